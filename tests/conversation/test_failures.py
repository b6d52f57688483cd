"""A turn that fails raises `TurnFailed`, unless the caller asks not to check it."""

import asyncio
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from conftest import Eventually, sim

from socketnb.conversation.session import Session
from socketnb.conversation.turn import Turn
from socketnb.dialects import registry
from socketnb.dialects.base import warn
from socketnb.errors import ExpectationFailed, TurnFailed, TurnTimeout
from socketnb.flows.flow import Flow, FlowTurn
from socketnb.hub import Hub
from socketnb.model.content import Choice
from socketnb.model.effects import Record, TurnDone

CHOICE = Choice("Order", {"type": "path-mine", "payload": {"label": "Order"}})
CALLS: dict[str, Callable[..., Any]] = {
    "say": lambda bot, **check: bot.say("hi", **check),
    "press": lambda bot, **check: bot.press(CHOICE, **check),
    "launch": lambda bot, **check: bot.launch(**check),
    "event": lambda bot, **check: bot.event("cart_abandoned", **check),
    "act": lambda bot, **check: bot.act("intent", name="greet", **check),
    "wait": lambda bot, **check: bot.send("hi").wait(**check),
    "stream": lambda bot, **check: list(bot.stream("hi", **check)),
    "stream of a turn": lambda bot, **check: list(bot.send("hi").stream(**check)),
}


@pytest.fixture
def broken(bot: Session) -> Session:
    """A session whose bot reports an error in every turn."""
    machine: Any = bot._driver._machine
    trace = machine._trace

    def fail(payload: Any) -> list[Any]:
        effects = trace(payload)
        turn = machine._turns.current
        machine._turns.end(turn)
        error = Record("action.trace", "error", turn=turn, error="the model is overloaded", final=True)
        return [*effects, error, TurnDone(turn, "failed", "the model is overloaded")]

    machine._trace = fail
    return bot


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_an_error_of_the_bot_is_raised_by_every_call_that_waits(broken: Session, call: Callable[..., Any]) -> None:
    with pytest.raises(TurnFailed, match="^bot: the model is overloaded$") as caught:
        call(broken)
    assert caught.value.turn.status == "failed"


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_an_error_of_the_bot_is_not_raised_without_the_check(broken: Session, call: Callable[..., Any]) -> None:
    call(broken, check=False)
    assert list(broken.turns_df()["status"]) == ["failed"]


def test_an_error_of_the_bot_is_raised_by_await(broken: Session) -> None:
    async def talk() -> None:
        await broken.send("hi")

    with pytest.raises(TurnFailed, match="overloaded"):
        asyncio.run(talk())


def test_an_error_with_a_turn_can_be_sent_to_another_process(broken: Session) -> None:
    with pytest.raises(TurnFailed) as caught:
        broken.say("hi")
    mismatch = ExpectationFailed("line 2", "Tuesday", "Monday", caught.value.turn)
    for error in (caught.value, TurnTimeout("too late", None), mismatch):
        copy = pickle.loads(pickle.dumps(error))
        assert (type(copy), str(copy), copy.turn) == (type(error), str(error), None)
    assert pickle.loads(pickle.dumps(mismatch)).got == "Monday"


def test_a_failed_reset_is_raised_unless_it_is_not_checked(hub: Hub, flow: Flow, monkeypatch: Any) -> None:
    bot = hub.connect("cognigy", simulate=True, flow=flow)
    monkeypatch.setattr(bot._driver._machine, "act", lambda turn, *_: [TurnDone(turn, "failed", "no")])
    with pytest.raises(TurnFailed, match="cognigy: no"):
        bot.reset()
    assert bot.reset(check=False).status == "failed"


def test_a_timeout_is_raised_without_the_check_too(hub: Hub, bot: Session) -> None:
    sim(hub).fault("silent")
    with pytest.raises(TurnTimeout):
        bot.say("hi", timeout=0.1, check=False)


def record(bot: Session, eventually: Eventually, *effects: Any) -> None:
    """Let the machine of a session return these effects, and wait until they are recorded."""
    seq = bot.seq
    bot._driver._post(lambda: bot._driver._perform(effects))
    eventually(lambda: bot.seq > seq)


def test_a_turn_has_its_warnings_even_after_its_end(bot: Session, eventually: Eventually) -> None:
    turn = bot.say("hi")
    assert turn.warnings == []
    record(bot, eventually, warn(1, "this may be the answer of another turn"), warn(0, "about the session"))
    eventually(lambda: bool(turn.warnings))
    assert turn.warnings == ["this may be the answer of another turn"]
    assert "this may be the answer of another turn" in repr(turn)
    assert turn.status == "completed"


def text(turn: int, words: str, sender: Any = "bot") -> Record:
    payload = {"trace": {"type": "text", "payload": {"message": words}}}
    return Record("action.trace", "text", payload, sender=sender, turn=turn, text=words)


def test_messages_after_the_end_of_a_turn_are_its_late_messages(bot: Session, eventually: Eventually) -> None:
    turn = bot.say("hi")
    record(bot, eventually, text(1, "one more thing"))
    eventually(lambda: bool(turn.late_messages))
    assert [message.text for message in turn.late_messages] == ["one more thing"]
    assert turn.text == "You said hi"


def test_a_turn_names_who_answered(bot: Session) -> None:
    answered = bot.say("hi")
    assert answered.sender == "bot"
    turn = Turn(1, answered.action, name="bot", driver=bot._driver, loop=bot._loop, timeout=1, encoding="")
    assert turn.sender is None
    for sender in ("bot", "agent", "system"):
        for trace in answered.traces:
            turn.add(trace._replace(sender=sender) if trace.kind == "text" else trace)
    assert turn.sender == "agent", "a message of the system is no answer"


def test_an_ended_turn_that_nobody_holds_is_forgotten(bot: Session) -> None:
    for n in range(3):
        bot.say(str(n))
    assert len(bot._events._ended) <= 1


@pytest.mark.parametrize("platform", registry.PLATFORMS)
def test_an_error_of_the_bot_is_shown_once(hub: Hub, platform: str) -> None:
    flow = Flow("broken")

    @flow.otherwise
    def fail(_: FlowTurn) -> None:
        raise ValueError("the database is down")

    turn = hub.connect(platform, name=platform, simulate=True, flow=flow).say("hi", check=False)
    assert repr(turn).count("the database is down") == 1
    assert "the database is down" in str(turn.error)
    assert turn.summary.startswith("failed · ")
    assert hub.turns_df()["status"].tolist() == ["failed"]
    assert hub.sessions_df()["errors"].tolist() == [1]

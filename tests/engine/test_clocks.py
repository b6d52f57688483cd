"""The clock of a turn starts when its action is sent, and no wait lasts for ever."""

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import FAST, Eventually, sim

from socketnb.conversation import turn as turn_module
from socketnb.conversation.session import Session
from socketnb.engine.open_turns import OpenTurns
from socketnb.errors import TurnError, TurnFailed, TurnTimeout
from socketnb.flows.flow import Flow, FlowTurn
from socketnb.hub import Hub

SHORT = 0.2


@pytest.fixture
def go() -> threading.Event:
    """Lets the handler of `slow` answer."""
    return threading.Event()


@pytest.fixture
def slow(hub: Hub, go: threading.Event) -> Iterator[Session]:
    """A session whose bot answers `slow` only after `go`."""
    flow = Flow("slow")

    @flow.on("slow")
    def wait(turn: FlowTurn) -> None:
        go.wait(10)
        turn.say("at last")

    @flow.otherwise
    def echo(turn: FlowTurn) -> None:
        turn.say(f"You said {turn.text}")

    yield hub.connect("voiceflow", name="bot", simulate=True, flow=flow, **FAST)
    go.set()


def explain(bot: Session, reason: str | None) -> None:
    """Let the machine of a session explain every open turn with this reason."""
    machine: Any = bot._driver._machine
    machine.explain = lambda _: reason


def test_a_turn_that_waits_for_another_one_does_not_time_out(slow: Session, go: threading.Event) -> None:
    first = slow.send("slow")
    slow.timeout = SHORT
    second = slow.send("hi")
    third = slow.send("hello")
    third.allow(SHORT)
    assert not third.over(3 * SHORT), "the clock ran although nothing was sent"
    assert (first.status, second.status, third.status) == ("running", "running", "running")
    slow.timeout = 10
    go.set()
    assert [turn.wait(10).text for turn in (first, second, third)] == ["at last", "You said hi", "You said hello"]


def test_after_a_turn_that_timed_out_the_next_turns_are_sent(hub: Hub, flow: Flow) -> None:
    bot = hub.connect("cognigy", simulate=True, flow=flow)
    bot.timeout = SHORT
    sim(hub).fault("silent")
    turns = [bot.send(str(n)) for n in range(4)]
    with pytest.raises(TurnTimeout, match="was not done with turn 1"):
        turns[0].wait()
    bot.timeout = 10
    assert [turn.wait(10).text for turn in turns[1:]] == [f"You said {n}" for n in range(1, 4)]


def test_a_queued_action_is_recorded_with_its_words_and_the_reason(
    slow: Session, go: threading.Event, eventually: Eventually
) -> None:
    explain(slow, "not sent: waiting for the end of turn 1")
    slow.send("slow")
    turn = slow.send("hi")
    eventually(lambda: bool(turn.traces))
    (queued,) = turn.traces
    assert (queued.kind, queued.direction, queued.sender, queued.text) == ("queued", "local", "user", "hi")
    reason = "not sent: waiting for the end of turn 1"
    assert json.loads(queued.payload) == {"verb": "text", "text": "hi", "reason": reason}
    assert turn.reason == "not sent: waiting for the end of turn 1"
    assert turn.summary == "running · not sent: waiting for the end of turn 1"
    go.set()
    assert turn.wait(10).reason is None
    assert [trace.kind for trace in turn.traces][:2] == ["queued", "action"]


def test_a_turn_that_is_sent_at_once_has_no_queued_trace(bot: Session) -> None:
    bot.say("hi")
    assert "queued" not in set(bot.traces_df()["kind"])


@pytest.mark.parametrize("reason", [None, "not sent: the link is down (refused)"])
def test_a_turn_times_out_while_the_link_is_down_and_reconnecting_has_no_limit(
    hub: Hub, flow: Flow, eventually: Eventually, reason: str | None
) -> None:
    simulator = hub.simulate("cognigy", flow)
    bot = hub.connect("cognigy", **simulator.settings, reconnection_limit=0, interval=0.05)
    explain(bot, reason)
    simulator.stop()
    eventually(lambda: bot.state == "reconnecting")
    with pytest.raises(TurnTimeout) as caught:
        bot.say("hi", timeout=SHORT)
    error = str(caught.value)
    assert f"turn 1 was not sent within 0.2 s: {(reason or ': the link is down').partition(': ')[2]}; " in error
    assert "the session is reconnecting and stays usable" in error
    assert "larger timeout" not in error
    assert caught.value.turn.reason == (reason or "not sent: the link is down")
    assert bot.traces_df()["text"].iloc[-1] is not None


def test_a_machine_that_forgets_an_action_does_not_hang(bot: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bot._driver._machine, "act", lambda *_: [])
    with pytest.raises(TurnTimeout, match="turn 1 was not sent within 0.2 s"):
        bot.say("hi", timeout=SHORT)


def test_a_machine_that_cannot_explain_does_not_hang(hub: Hub, bot: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bot._driver._machine, "explain", lambda _: 1 / 0)
    sim(hub).fault("silent")
    with pytest.raises(TurnTimeout, match="not done with turn 1 within 0.2 s; the session stays usable"):
        bot.say("hi", timeout=SHORT)


def test_a_machine_that_cannot_abandon_a_turn_does_not_hang(
    hub: Hub, bot: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bot._driver._machine, "abandon", lambda *_: 1 / 0)
    sim(hub).fault("silent")
    with pytest.raises(TurnTimeout):
        bot.say("hi", timeout=SHORT)
    assert bot.traces_df()["error"].str.contains("ZeroDivisionError").any()


def test_an_upload_that_gets_no_response_times_out(
    hub: Hub, flow: Flow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def no_response(*_: Any) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr("socketnb.engine.http.fetch", no_response)
    bot = hub.connect("cognigy", simulate=True, flow=flow, turn_timeout=SHORT)
    (tmp_path / "a.txt").write_text("hi")
    upload, text = bot.start("upload", file=tmp_path / "a.txt"), bot.send("hi")
    with pytest.raises(TurnTimeout, match="turn 1 was not sent within 0.2 s"):
        upload.wait()
    assert text.wait(10).text == "You said hi"


def test_the_error_of_a_timed_out_turn_names_the_cause_that_the_machine_knows(hub: Hub, bot: Session) -> None:
    explain(bot, "the endpoint never said it is ready")
    sim(hub).fault("silent")
    words = "was not done with turn 1 within 0.2 s: the endpoint never said it is ready; the session stays usable"
    with pytest.raises(TurnTimeout, match=words) as caught:
        bot.say("hi", timeout=SHORT)
    assert caught.value.turn.reason == "the bot was not done in time: the endpoint never said it is ready"
    assert bot.traces_df()["text"].iloc[-1] == caught.value.turn.reason


def test_the_error_of_a_timed_out_turn_names_a_link_that_was_lost_after_the_sending(
    hub: Hub, slow: Session, eventually: Eventually
) -> None:
    turn = slow.send("slow")
    eventually(lambda: any(trace.kind == "block" for trace in turn.traces))
    sim(hub).fault("drop")
    eventually(lambda: slow.state == "ready" and slow.traces_df()["link"].max() == 2)
    with pytest.raises(TurnTimeout, match=r"the link was lost after this was sent.* \(.+\); the session stays usable"):
        turn.wait(SHORT)


def test_the_error_of_a_turn_says_that_the_session_is_lost(hub: Hub, flow: Flow, eventually: Eventually) -> None:
    simulator = hub.simulate("voiceflow", flow)
    bot = hub.connect("voiceflow", **simulator.settings, **FAST, reconnection_attempts=1)
    simulator.fault("silent")
    turn = bot.send("hi")
    with pytest.raises(TurnTimeout, match="the session stays usable"):
        turn.wait(SHORT)
    simulator.stop()
    eventually(lambda: bot.state == "lost")
    with pytest.raises(TurnTimeout, match="the session is lost, and the next action tries to reconnect"):
        turn.wait()


@pytest.mark.parametrize("platform", ["cognigy", "voiceflow", "eusate"])
def test_the_error_of_a_turn_says_that_its_message_was_too_large(hub: Hub, flow: Flow, platform: str) -> None:
    bot = hub.connect(platform, simulate=True, flow=flow)
    with pytest.raises(TurnError, match=r"the link was lost .*\(a message was too large\)"):
        bot.say("x" * 2_000_000, timeout=3)


def test_closing_a_session_ends_the_turns_that_were_not_sent(slow: Session) -> None:
    explain(slow, "not sent: waiting for the end of turn 1")
    slow.send("slow")
    turn = slow.send("hi")
    slow.close()
    assert turn.wait().status == "cancelled"
    assert turn.reason == "the turn was cancelled: not sent: waiting for the end of turn 1"


def test_a_turn_that_was_not_sent_fails_with_the_last_attempt_to_reconnect(
    hub: Hub, flow: Flow, eventually: Eventually
) -> None:
    simulator = hub.simulate("cognigy", flow)
    bot = hub.connect("cognigy", **simulator.settings, reconnection_limit=2, interval=0.02)
    simulator.stop()
    eventually(lambda: bot.state == "lost")
    with pytest.raises(TurnFailed, match="not sent: no Socket.IO server answers at"):
        bot.say("hi")


def test_a_wait_ends_if_the_background_loop_has_stopped(hub: Hub, bot: Session, monkeypatch: Any) -> None:
    monkeypatch.setattr(turn_module, "WAIT_MARGIN_S", 0.1)
    sim(hub).fault("silent")
    turn = bot.send("hi")
    hub.engine.close()
    with pytest.raises(TurnTimeout, match="within 0.2 s: the background loop does not respond: restart the kernel;"):
        turn.wait(timeout=SHORT)


def test_a_refused_action_keeps_its_words(hub: Hub, flow: Flow) -> None:
    bot = hub.connect("cognigy", simulate=True, flow=flow)
    with pytest.raises(TurnFailed, match="no adaptive card with a submit button has arrived yet") as caught:
        bot.act("submit", values={}, title="Send my order")
    assert [(t.kind, t.text) for t in caught.value.turn.traces] == [("queued", "Send my order"), ("error", "failed")]
    assert "Send my order" in bot.transcript()


def test_an_action_that_ends_when_it_is_sent_is_not_recorded_as_refused(hub: Hub, flow: Flow) -> None:
    bot = hub.connect("cognigy", simulate=True, flow=flow)
    assert [trace.kind for trace in bot.act("typing").traces] == ["typing", "status"]


def test_the_time_without_a_link_adds_up_until_a_turn_is_sent() -> None:
    expired: list[int] = []

    async def run() -> float:
        turns = OpenTurns(expired.append)
        turns.begin(1, 0.2)
        started = time.monotonic()
        while not expired:  # the link is lost again and again
            turns.run_unsent(run=True)
            await asyncio.sleep(0.02)
            turns.run_unsent(run=False)
        return time.monotonic() - started

    assert 0.15 < asyncio.run(asyncio.wait_for(run(), 5)) < 2
    assert expired == [1]


def test_the_clock_of_a_sent_turn_starts_anew_and_is_not_paused() -> None:
    expired: list[int] = []

    async def run() -> None:
        turns = OpenTurns(expired.append)
        turns.run_unsent(run=True)
        turns.begin(1, 0.1)
        turns.mark_sent(1, time.monotonic())
        turns.mark_sent(1, time.monotonic() + 60)
        turns.run_unsent(run=False)
        assert turns.elapsed_ms(1, time.monotonic()) < 1000, "an action that is sent again changed the time"
        await asyncio.sleep(0.3)

    asyncio.run(run())
    assert expired == [1]

"""Sessions survive unusual bots, servers and moments."""

import asyncio
import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import FAST, Eventually, failed, sim

from socketnb.conversation.session import Session
from socketnb.errors import (
    ActionError,
    ConnectError,
    SessionError,
    SettingsError,
    TurnFailed,
    TurnTimeout,
)
from socketnb.flows.flow import Flow, FlowTurn
from socketnb.frames.derived import messages, turns
from socketnb.hub import Hub
from socketnb.model.content import Choice


@pytest.mark.parametrize("time_", [99999999999, 9900000000, -1, 1e300, "soon", True])
def test_an_invalid_time_does_not_break_the_frames(hub: Hub, time_: Any) -> None:
    flow = Flow("clock")

    @flow.otherwise
    def odd(turn: FlowTurn) -> None:
        turn.raw("action.trace", {"trace": {"type": "text", "payload": {"message": "hi"}, "time": time_}})

    bot = hub.connect("voiceflow", simulate=True, flow=flow)
    assert bot.say("x").text == "hi"
    traces = bot.traces_df()
    assert list(traces["seq"]) == list(range(len(traces)))


def test_a_lone_surrogate_can_be_sent_displayed_and_put_into_frames(bot: Session) -> None:
    turn = bot.say("cut \ud83d")
    assert turn.text == "You said cut ?"
    assert "cut ?" in repr(turn) + bot.transcript()
    assert bot._repr_mimebundle_()["text/html"].encode()
    assert list(bot.turns_df()["user_text"]) == ["cut ?"]


def test_a_turn_that_nothing_waits_for_times_out(hub: Hub, flow: Flow) -> None:
    bot = hub.connect("voiceflow", simulate=True, flow=flow, turn_timeout=0.3)
    sim(hub).fault("silent")
    unanswered = bot.send("hi")
    assert bot.say("again", timeout=5).text == "You said again"
    assert unanswered.status == "timeout"


def test_an_expired_session_is_replaced(hub: Hub, bot: Session) -> None:
    bot.say("hi")
    sim(hub).fault("expire")
    assert bot.say("again").text == "You said again"


def test_the_late_answer_of_a_timed_out_turn_does_not_reach_the_next_turn(hub: Hub) -> None:
    flow, go = Flow("late"), threading.Event()

    @flow.otherwise
    def late(turn: FlowTurn) -> None:
        go.wait(10)
        turn.say(f"You said {turn.text}")

    bot = hub.connect("voiceflow", simulate=True, flow=flow)
    sim(hub).fault("silent")
    with pytest.raises(TurnTimeout):
        bot.say("one", timeout=0.1)
    go.set()
    assert bot.say("two").text == "You said two"


def test_closing_while_another_thread_sends_ends_every_turn(hub: Hub, flow: Flow) -> None:
    simulator = hub.simulate("voiceflow", flow)
    for _ in range(10):
        bot = hub.connect("voiceflow", **simulator.settings)
        turns = []

        def talk(bot: Session = bot, turns: list[Any] = turns) -> None:
            with contextlib.suppress(SessionError):
                turns.extend(bot.send("hi") for _ in range(200))

        thread = threading.Thread(target=talk)
        thread.start()
        bot.say("hi")
        bot.close()
        thread.join()
        assert all(turn.status in ("completed", "cancelled") for turn in turns)


def test_closing_one_of_two_sessions_with_the_same_key_leaves_the_other_open(hub: Hub, flow: Flow) -> None:
    simulator = hub.simulate("voiceflow", flow)
    one = hub.connect("voiceflow", **simulator.settings, user_id="ada")
    key = next(iter(simulator._machine._keys))  # type: ignore[attr-defined]
    two = hub.connect("voiceflow", **simulator.settings, user_id="ada", session_key=key)
    one.close()
    assert two.say("hi").text == "You said hi"


def test_a_listener_cannot_wait_for_a_turn(bot: Session) -> None:
    errors: list[str] = []

    def wait(trace: Any) -> None:
        if trace.kind == "text":
            try:
                bot.say("from a listener")
            except SessionError as error:
                errors.append(str(error))

    bot.listen(wait)
    bot.say("hi")
    bot.say("again")
    assert "a listener cannot wait for a turn" in errors[0]


def test_a_button_without_a_request_is_rejected(bot: Session) -> None:
    with pytest.raises(ActionError, match="sends nothing"):
        bot.press(Choice("Order"))


def test_a_button_that_cannot_be_sent_fails_its_turn_at_once(bot: Session) -> None:
    with pytest.raises(TurnFailed, match="could not be sent"):
        bot.press(Choice("Go", "text"))
    assert bot.say("hi").text == "You said hi"


@pytest.mark.parametrize("wrong", [None, 1.0, True, ["Order"]])
def test_a_choice_of_the_wrong_type_is_rejected(bot: Session, wrong: Any) -> None:
    bot.launch()
    with pytest.raises(ActionError, match="choice must be the label of a button, its position or a Choice"):
        bot.press(wrong)


def test_the_state_changes_before_the_trace_that_it_explains(hub: Hub, bot: Session, eventually: Eventually) -> None:
    seen: list[tuple[str, str]] = []
    bot.listen(lambda trace: seen.append((trace.kind, bot.state)))
    sim(hub).fault("drop")
    eventually(lambda: ("resumed", "ready") in seen)
    assert ("disconnected", "reconnecting") in seen
    bot.close()
    assert seen[-1] == ("disconnected", "closed")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_a_forked_child_cannot_use_the_session_of_its_parent(tmp_path: Path) -> None:
    code = (
        "import os, socketnb as snb\n"
        "bot = snb.connect('voiceflow', simulate=True)\n"
        "child = os.fork()\n"
        "if not child:\n"
        "    try: bot.say('hi')\n"
        "    except snb.SessionError as error: print(error, flush=True)\n"
        "else:\n"
        "    os.waitpid(child, 0); print(bot.say('hours').status)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    assert "is closed" in done.stdout
    assert done.stdout.endswith("completed\n")


def test_a_session_that_ends_during_the_handshake_is_replaced(
    hub: Hub, flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulator = hub.simulate("voiceflow", flow)
    machine: Any = simulator._machine
    start = machine._start
    ended = ("session.ended", {"reason": "inactivity_timeout"})
    monkeypatch.setattr(machine, "_start", lambda link, *more: machine._emit(link, *ended) + start(link, *more))
    assert hub.connect("voiceflow", **simulator.settings, timeout=5).launch().text == "Hello!"


@pytest.mark.parametrize("answer", [("session.ended", {"reason": "x"}), ("server.restart", {})])
def test_a_server_that_ends_every_handshake_is_tried_only_once(
    hub: Hub, flow: Flow, monkeypatch: pytest.MonkeyPatch, answer: tuple[str, Any]
) -> None:
    simulator = hub.simulate("voiceflow", flow)
    machine: Any = simulator._machine
    starts = []

    def away(link: str, *_: Any) -> Any:
        starts.append(link)
        return machine._emit(link, *answer)

    monkeypatch.setattr(machine, "_start", away)
    with pytest.raises(ConnectError):
        hub.connect("voiceflow", **simulator.settings, timeout=0.5, **FAST)
    assert len(starts) == 1


def test_a_server_that_ends_the_session_at_every_action_is_delayed_and_given_up(
    hub: Hub, flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulator = hub.simulate("voiceflow", flow)
    machine: Any = simulator._machine
    bot = hub.connect("voiceflow", **simulator.settings, **FAST)
    monkeypatch.setattr(machine, "_act", lambda session, *_: machine._end(session, "no"))
    with pytest.raises(TurnFailed, match="keeps ordering reconnects"):
        bot.say("hi")
    assert bot.traces_df()["link"].max() < 10


def test_an_unanswered_no_reply_event_does_not_block_the_next_turn(hub: Hub, eventually: Eventually) -> None:
    flow = Flow("silence")

    @flow.otherwise
    def answer(turn: FlowTurn) -> None:
        turn.say(f"You said {turn.text or turn.verb}")
        turn.raw("action.trace", {"trace": {"type": "no-reply", "payload": {"timeout": 0.05}}})

    bot = hub.connect("voiceflow", simulate=True, flow=flow, no_reply=True)
    bot.say("hi")
    eventually(lambda: "You said no_reply" in set(bot.traces_df()["text"].dropna()))
    sim(hub).fault("silent")
    eventually(lambda: "silent" not in sim(hub)._machine._faults)
    assert bot.say("still there?", timeout=5).status == "completed"


def test_nothing_is_lost_after_a_restart_while_no_turn_runs(hub: Hub, bot: Session, eventually: Eventually) -> None:
    bot.say("hi")
    sim(hub).fault("restart")
    eventually(lambda: bot.state == "ready" and bot.traces_df()["link"].max() == 2)
    assert [bot.say("hi").text for _ in range(2)] == ["You said hi"] * 2


def test_a_launch_stops_a_handler_that_does_not_end(hub: Hub) -> None:
    flow, go = Flow("endless"), threading.Event()

    @flow.launch
    def hello(turn: FlowTurn) -> None:
        turn.say("Hello!")

    @flow.on("forever")
    async def forever(turn: FlowTurn) -> None:
        await asyncio.Event().wait()

    @flow.on("thread")
    def thread(turn: FlowTurn) -> None:
        go.wait(10)
        turn.say("too late")

    bot = hub.connect("voiceflow", simulate=True, flow=flow)
    for words in ("forever", "thread"):
        with pytest.raises(TurnTimeout):
            bot.say(words, timeout=0.2)
        assert bot.launch().text == "Hello!"
    go.set()
    assert bot.launch().text == "Hello!"
    assert "too late" not in bot.transcript()


def test_a_flow_cannot_ask_two_questions_at_once(hub: Hub, eventually: Eventually) -> None:
    flow = Flow("curious")

    @flow.otherwise
    async def curious(turn: FlowTurn) -> None:
        await asyncio.gather(turn.ask("a?"), turn.ask("b?"))

    bot = hub.connect("voiceflow", simulate=True, flow=flow)
    bot.say("hi")
    eventually(lambda: "await the answer to turn.ask" in str(bot.traces_df()["error"].dropna().tolist()))


@pytest.mark.parametrize("payload", [{1, 2}, object(), float("nan"), Choice("Order")])
def test_a_value_that_is_not_json_is_rejected_before_anything_is_sent(bot: Session, payload: Any) -> None:
    with pytest.raises(ActionError, match="the fields must be JSON values"):
        bot.act("custom", type="done", payload=payload)


def test_an_empty_stream_does_not_break_the_frames(hub: Hub) -> None:
    flow = Flow("nothing")

    @flow.otherwise
    def nothing(turn: FlowTurn) -> None:
        turn.stream([])

    bot = hub.connect("voiceflow", simulate=True, flow=flow, completion_events=True)
    assert bot.say("hi").messages == []
    assert list(bot.messages_df()["sender"]) == ["user"]
    assert list(bot.turns_df()["messages"]) == [0]


def test_frames_keep_the_order_of_traces_with_any_index(hub: Hub) -> None:
    flow = Flow("order")

    @flow.otherwise
    def answer(turn: FlowTurn) -> None:
        turn.stream([turn.text])

    one, two = (hub.connect("voiceflow", name=n, simulate=True, flow=flow, completion_events=True) for n in ("b", "a"))
    for n in range(3):
        (one if n % 2 else two).say(str(n))
    words = [str(n) for n in range(3) for _ in range(2)]
    assert list(hub.messages_df()["text"]) == words
    traces = hub.traces_df()
    doubled = traces.set_index(traces.index % 3)
    assert list(messages(doubled)["text"]) == words
    assert list(turns(doubled)["reply_text"]) == ["0", "1", "2"]


def test_an_interrupted_stream_gets_no_words_of_the_next_one(hub: Hub) -> None:
    flow = Flow("breaks")

    @flow.on("break")
    def breaks(turn: FlowTurn) -> None:
        def pieces() -> Iterator[str]:
            yield "half"
            raise RuntimeError("gone")

        turn.stream(pieces())

    @flow.otherwise
    def whole(turn: FlowTurn) -> None:
        turn.stream(["who", "le"])

    for asked in (True, False):
        bot = hub.connect("voiceflow", name="bot", simulate=True, flow=flow, completion_events=asked)
        assert (failed(bot, "break").text, bot.say("x").text) == ("half", "whole")
        assert list(bot.turns_df()["reply_text"])[-2:] == ["half", "whole"]


def test_a_button_with_a_credential_is_sent_as_the_bot_sent_it(hub: Hub) -> None:
    flow, actions = Flow("carrier"), []
    request = {"type": "path-1", "payload": {"label": "Go", "authorization": "planted-in-a-button"}}

    @flow.launch
    def offer(turn: FlowTurn) -> None:
        buttons = [{"name": "Go", "request": request}]
        turn.raw("action.trace", {"trace": {"type": "choice", "payload": {"buttons": buttons}}})

    bot = hub.connect("voiceflow", simulate=True, flow=flow)
    machine: Any = sim(hub)._machine
    act = machine._act
    machine._act = lambda session, payload, now: actions.append(payload["action"]) or act(session, payload, now)
    turn = bot.launch()
    assert "planted" not in repr(turn.choices) + repr(turn.traces)
    bot.press("Go")
    assert actions[-1] == request
    assert "planted" not in bot.traces_df().to_csv()


def test_a_typed_label_of_an_old_button_is_sent_as_text(hub: Hub, flow: Flow) -> None:
    bot = hub.connect("voiceflow", simulate=True, flow=flow, press_typed=True)
    bot.launch()
    bot.say("hi")
    assert bot.say("track").text == "You said track"


def test_the_user_can_end_the_conversation(bot: Session) -> None:
    assert bot.act("end").status == "completed"
    assert bot.say("hi").text == "You said hi"
    assert bot.traces_df()["conversation"].nunique() == 2


def test_a_session_name_must_not_be_a_path(hub: Hub) -> None:
    for name in ("../../escaped", "a/b", "..", ".hidden", "-x", "a b", ""):
        with pytest.raises(SettingsError, match="name must be one word"):
            hub.connect("voiceflow", name=name, simulate=True, resume=True)


def test_an_answer_that_was_lost_long_before_the_link_is_sent_again(
    hub: Hub, flow: Flow, eventually: Eventually
) -> None:
    bot = hub.connect("voiceflow", simulate=True, flow=flow, **FAST)
    bot.say("zero")
    simulator = sim(hub)
    send = simulator._eio4._sio.emit

    async def swallow(*_: Any, **__: Any) -> None:
        """Lose what is sent, as a stalled link does."""

    simulator._eio4._sio.emit = swallow
    turn = bot.send("hi")
    (session,) = simulator._machine._sessions.values()
    eventually(lambda: session.completed[-1].request["payload"] == "hi")
    session.last_used -= 60
    simulator._eio4._sio.emit = send
    simulator.fault("drop")
    assert turn.wait().text == "You said hi"
    assert list(bot.messages_df()["text"]) == ["zero", "You said zero", "hi", "You said hi"]


def test_a_keyboard_interrupt_during_close_leaves_nothing_open(
    hub: Hub, bot: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulator = sim(hub)
    close = bot._driver.close

    def interrupted() -> None:
        close()
        raise KeyboardInterrupt

    monkeypatch.setattr(bot._driver, "close", interrupted)
    with pytest.raises(KeyboardInterrupt):
        bot.close()
    assert not hub.sessions()
    assert not simulator.running


def test_sessions_opened_at_the_same_time_get_different_names(hub: Hub, flow: Flow) -> None:
    names: list[str] = []

    def connect() -> None:
        names.append(hub.connect("voiceflow", simulate=True, flow=flow).name)

    threads = [threading.Thread(target=connect) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(names)) == len(hub.sessions()) == 6


def test_a_setting_of_none_counts_as_not_given(hub: Hub, flow: Flow) -> None:
    bot = hub.connect("voiceflow", simulate=True, flow=flow, url=None, api_key=None, user_id=None)
    assert bot.launch().text == "Hello!"


def test_the_idle_timeout_stops_while_a_turn_runs(hub: Hub) -> None:
    flow, go = Flow("busy"), threading.Event()

    @flow.otherwise
    def busy(turn: FlowTurn) -> None:
        go.wait(10)

    simulator = hub.simulate("voiceflow", flow, idle_timeout=60)
    bot = hub.connect("voiceflow", **simulator.settings)
    assert simulator._machine.deadline is not None
    turn = bot.send("hi")
    while not any(trace.kind == "block" for trace in turn.traces):
        pass
    assert simulator._machine.deadline is None
    go.set()
    turn.wait()
    assert simulator._machine.deadline is not None

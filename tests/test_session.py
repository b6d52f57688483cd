"""Conversations over a real socket: sessions, turns, and what goes wrong with them."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import FAST

from socketnb.errors import ActionError, ConnectError, SessionError, SettingsError, TurnFailed, TurnTimeout
from socketnb.flow import Flow, FlowTurn
from socketnb.frames import messages, turns
from socketnb.hub import Hub
from socketnb.records import Choice, Close, Custom
from socketnb.session import Session

Eventually = Callable[[Callable[[], bool]], None]


@pytest.fixture
def bot(hub: Hub, flow: Flow) -> Session:
    return hub.connect("voiceflow", name="bot", simulate=True, flow=flow, **FAST)


def sim(hub: Hub) -> Any:
    return hub._simulators[-1]


def test_a_turn_has_its_words_its_buttons_and_its_times(bot: Session) -> None:
    turn = bot.launch()
    assert turn.text == "Hello!"
    assert [choice.label for choice in turn.choices] == ["Order", "Track"]
    assert turn.status == "completed"
    assert 0 < turn.first_ms <= turn.done_ms
    assert [trace.turn for trace in turn.traces] == [1] * len(turn.traces)


@pytest.mark.parametrize("how", ["Order", "order ", 1])
def test_a_button_is_pressed_by_label_or_position(bot: Session, how: str | int) -> None:
    bot.launch()
    assert bot.press(how).text == "Which size?"


def test_a_button_is_pressed_by_itself(bot: Session) -> None:
    turn = bot.launch()
    assert bot.press(turn.choices[0]).text == "Which size?"


def test_a_question_waits_for_the_next_turn(bot: Session) -> None:
    bot.launch()
    assert [c.label for c in bot.press("Order").choices] == ["S", "L"]
    assert bot.press("L").text == "One L pizza."


def test_after_the_end_the_next_turn_starts_a_new_conversation(bot: Session) -> None:
    bot.launch()
    bot.press("Order")
    bot.press("S")
    assert bot.say("hi").text == "You said hi"
    assert bot.traces_df()["conversation"].nunique() == 2


def test_send_returns_at_once_and_its_turn_can_be_waited_for(bot: Session) -> None:
    turns = [bot.send(str(n)) for n in range(5)]
    assert [turn.wait().text for turn in turns] == [f"You said {n}" for n in range(5)]


def test_a_turn_can_be_awaited(bot: Session) -> None:
    async def talk() -> list[str]:
        turns = await asyncio.gather(bot.send("a"), bot.send("b"))
        return [turn.text for turn in turns]

    assert asyncio.run(talk()) == ["You said a", "You said b"]


def test_messages_are_streamed_before_the_turn_is_over(hub: Hub) -> None:
    flow, go = Flow("story"), threading.Event()

    @flow.otherwise
    def tell(turn: FlowTurn) -> None:
        turn.say("Once upon a time")
        go.wait(10)
        turn.say("the end")

    bot = hub.connect("voiceflow", simulate=True, flow=flow)
    story = bot.stream("tell me a story")
    assert next(story).text == "Once upon a time"
    go.set()
    assert [message.text for message in story] == ["the end"]


def test_a_turn_that_does_not_end_times_out_with_what_came_and_the_session_goes_on(hub: Hub, bot: Session) -> None:
    sim(hub).fault("silent")
    with pytest.raises(TurnTimeout, match=r"not done with turn 1 within 0.2 s.*stays usable") as caught:
        bot.say("hi", timeout=0.2)
    assert caught.value.turn.text == "You said hi"
    assert caught.value.turn.status == "timeout"
    assert bot.say("again").text == "You said again"
    assert list(bot.turns_df()["status"]) == ["timeout", "completed"]


def test_an_awaited_turn_times_out_too(hub: Hub, bot: Session) -> None:
    sim(hub).fault("silent")
    bot.timeout = 0.2

    async def talk() -> None:
        await bot.send("hi")

    with pytest.raises(TurnTimeout):
        asyncio.run(talk())


def test_cancelling_an_awaiting_task_cancels_the_turn(hub: Hub, bot: Session) -> None:
    sim(hub).fault("silent")
    turn = bot.send("hi")

    async def talk() -> None:
        async with asyncio.timeout(0.1):
            await turn

    with pytest.raises(TimeoutError):
        asyncio.run(talk())
    assert turn.status == "cancelled"


def test_a_keyboard_interrupt_cancels_the_wait_and_is_recorded(hub: Hub, bot: Session) -> None:
    sim(hub).fault("silent")
    main = threading.main_thread().ident
    assert main
    turn = bot.send("hi")
    threading.Timer(0.1, lambda: signal.pthread_kill(main, signal.SIGINT)).start()
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        turn.wait()
    assert time.monotonic() - started < 5, "the wait was not cut short"
    assert turn.status == "cancelled"
    assert bot.traces_df()["kind"].isin(["cancelled"]).sum() == 1
    assert bot.say("again").text == "You said again"


def test_a_rejected_turn_says_why(hub: Hub, bot: Session) -> None:
    sim(hub).fault("reject")
    turn = bot.say("hi")
    assert (turn.status, turn.reason) == ("rejected", "rejected on request")


def test_an_error_of_the_platform_is_in_the_turn(bot: Session) -> None:
    turn = bot.say("sorry")
    assert turn.error == "too many tokens (quota)"
    assert turn.status == "completed"


def test_a_mistake_in_a_flow_is_told_with_its_line(bot: Session) -> None:
    turn = bot.say("break")
    assert "raised ZeroDivisionError: cannot slice a pizza by none, line" in (turn.error or "")
    assert bot.say("hi").text == "You said hi"


def test_unknown_and_malformed_events_are_kept_and_the_session_goes_on(bot: Session) -> None:
    shown = bot.say("strange").messages[0]
    assert shown.content == Custom("fireworks", {"colour": "red"})
    bot.say("malformed", timeout=5)
    assert bot.say("hi").text == "You said hi"
    traces = bot.traces_df()
    assert traces["error"].str.startswith("malformed").sum() >= 4
    assert list(traces["seq"]) == list(range(len(traces)))


def test_a_lost_link_is_opened_again_and_the_conversation_goes_on(
    hub: Hub, bot: Session, eventually: Eventually
) -> None:
    bot.launch()
    bot.press("Order")
    sim(hub).fault("drop")
    eventually(lambda: bot.traces_df()["kind"].isin(["resumed"]).any())
    assert bot.press("L").text == "One L pizza."
    kinds = list(bot.traces_df()["kind"])
    for kind in ("disconnected", "reconnecting", "gap", "resumed"):
        assert kind in kinds
    assert bot.traces_df()["link"].max() == 2


def test_a_turn_during_which_the_link_is_lost_is_completed_on_the_next(hub: Hub, eventually: Eventually) -> None:
    flow, go = Flow("slow"), threading.Event()

    @flow.otherwise
    def slow(turn: FlowTurn) -> None:
        go.wait(10)
        turn.say("done at last")

    bot = hub.connect("voiceflow", simulate=True, flow=flow, **FAST)
    turn = bot.send("hi")
    eventually(lambda: any(trace.kind == "block" for trace in turn.traces))
    sim(hub).fault("drop")
    go.set()
    assert turn.wait().text == "done at last"


def test_when_no_attempt_succeeds_open_turns_fail_and_the_next_action_tries_again(
    hub: Hub, flow: Flow, eventually: Eventually
) -> None:
    simulator = hub.simulate("voiceflow", flow)
    port = int(simulator.url.rsplit(":", 1)[1])
    bot = hub.connect("voiceflow", **simulator.settings, **FAST, reconnection_attempts=2)
    simulator.fault("silent")
    turn = bot.send("hi")
    eventually(lambda: "You said hi" in turn.text)
    simulator.stop()
    with pytest.raises(TurnFailed, match="no Socket.IO server answers at"):
        turn.wait()
    eventually(lambda: bot.state == "lost")
    with pytest.raises(TurnFailed):
        bot.say("anyone there?")
    assert list(bot.turns_df()["status"]) == ["failed", "failed"]
    again = hub.simulate("voiceflow", flow, port=port)
    again._machine._settings = simulator._settings
    assert bot.say("back?").text == "You said back?"


@pytest.mark.parametrize(
    ("verb", "fields", "said"),
    [
        ("lanch", {}, r"no voiceflow verb 'lanch'; did you mean 'launch'\?"),
        ("text", {"txt": "hi"}, "no field of 'text' 'txt'"),
        ("text", {"text": 7}, "text is a str, not a int"),
        ("text", {}, "text needs text"),
        ("event", {}, "event needs name"),
    ],
)
def test_a_wrong_verb_or_field_says_which_exist(bot: Session, verb: str, fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ActionError, match=said):
        bot.act(verb, **fields)
    assert bot.turns_df().empty, "nothing was sent"


def test_a_button_that_is_not_there_says_which_are(bot: Session) -> None:
    with pytest.raises(ActionError, match="no message has offered a button yet"):
        bot.press("Order")
    bot.launch()
    with pytest.raises(ActionError, match="no button 'Oder'; did you mean 'Order'"):
        bot.press("Oder")
    with pytest.raises(ActionError, match="no button 3; press 1 to 2"):
        bot.press(3)


def test_a_closed_session_says_so(bot: Session) -> None:
    bot.close()
    bot.close()
    with pytest.raises(SessionError, match="'bot' is closed"):
        bot.say("hi")


def test_closing_cancels_what_is_under_way(hub: Hub, bot: Session) -> None:
    sim(hub).fault("silent")
    turn = bot.send("hi")
    bot.close()
    assert turn.status == "cancelled"


def test_a_listener_that_fails_disturbs_nobody(bot: Session, caplog: pytest.LogCaptureFixture) -> None:
    heard: list[str] = []
    bot.listen(lambda trace: 1 / 0)  # type: ignore[arg-type, return-value]
    stop = bot.listen(lambda trace: heard.append(trace.kind))
    assert bot.say("hi").status == "completed"
    stop()
    stop()
    bot.say("again")
    assert heard.count("action") == 1
    assert "a listener of session 'bot' failed" in caplog.text


def test_sessions_may_be_used_from_many_threads_at_once(bot: Session) -> None:
    replies: list[str] = []

    def talk(n: int) -> None:
        replies.extend(bot.say(f"{n}.{m}").text for m in range(5))

    threads = [threading.Thread(target=talk, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(replies) == sorted(f"You said {n}.{m}" for n in range(4) for m in range(5))


def test_the_notebook_shows_a_turn_escaped_and_as_text(bot: Session) -> None:
    data = bot.say("<script>alert(1)</script>")._repr_mimebundle_()
    assert "<script" not in data["text/html"]
    assert "&lt;script&gt;" in data["text/html"]
    assert "user:  <script>alert(1)</script>" in data["text/plain"]
    assert "completed" in data["text/plain"]


def test_a_session_shows_its_conversation(bot: Session) -> None:
    bot.launch()
    data = bot._repr_mimebundle_()
    assert "Hello!" in data["text/html"]
    assert data["text/plain"] == "<session 'bot': voiceflow, ready, 1 turns>"
    assert bot.transcript() == "user:  (launch)\nbot:   Hello!\nbot:   [1] Order  [2] Track"


def test_a_choice_made_by_hand_is_sent_as_it_is(bot: Session) -> None:
    own = Choice("Order", {"type": "path-mine", "payload": {"label": "Order"}})
    assert bot.press(own).text == "Which size?"


@pytest.mark.parametrize("dev", [(), ("-X", "dev")])
def test_a_kernel_that_ends_leaves_no_warning_behind(dev: tuple[str, ...]) -> None:
    code = (
        "import socketnb as snb\n"
        "bot = snb.connect('voiceflow', simulate=True)\n"
        "bot.launch(); bot.send('track'); print('talked')"
    )
    done = subprocess.run([sys.executable, *dev, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "talked\n"
    assert [line for line in done.stderr.splitlines() if "took" not in line] == []


# ── Streams, sound, resuming ─────────────────────────────────────────────────────────────────────────────────


def test_a_streamed_answer_comes_piece_by_piece_and_is_one_message_afterwards(hub: Hub) -> None:
    flow, go = Flow("model"), threading.Event()

    def pieces() -> Iterator[str]:
        yield "He"
        go.wait(10)
        yield "llo, wo"
        yield "rld"

    @flow.otherwise
    def answer(turn: FlowTurn) -> None:
        turn.stream(pieces())

    bot = hub.connect("voiceflow", simulate=True, flow=flow, completion_events=True)
    story = bot.stream("hi")
    assert next(story).text == "He"
    go.set()
    assert [message.text for message in story] == ["llo, wo", "rld"]
    turn = bot.say("again")
    assert [message.text for message in turn.messages] == ["Hello, world"]
    assert turn.text == "Hello, world"
    assert list(bot.turns_df()["reply_text"]) == ["Hello, world"] * 2
    messages = bot.messages_df()
    assert list(messages[messages["sender"] == "bot"]["text"]) == ["Hello, world"] * 2
    assert (bot.traces_df()["kind"] == "delta").sum() == 10


def test_a_client_that_asked_for_no_pieces_gets_the_whole(hub: Hub) -> None:
    flow = Flow("model")

    @flow.otherwise
    def answer(turn: FlowTurn) -> None:
        turn.stream(["He", "llo"])

    turn = hub.connect("voiceflow", simulate=True, flow=flow).say("hi")
    assert [(m.trace.kind, m.text) for m in turn.messages] == [("text", "Hello")]


@pytest.mark.parametrize("encoding", ["audio/x-mulaw", "audio/pcm"])
def test_speech_is_a_message_with_a_sound_that_plays(bot: Session, hub: Hub, encoding: str) -> None:
    loud = hub.connect("voiceflow", simulate=True, flow=sim(hub).flow, audio_events=True, audio_encoding=encoding)
    text, sound = loud.say("hi there you").messages
    assert text.text == "You said hi there you"
    assert (sound.audio or b"")[:4] == b"RIFF"
    assert "<audio controls" in loud.say("x")._repr_mimebundle_()["text/html"]


def test_typed_words_press_a_button_if_asked_for(hub: Hub, flow: Flow) -> None:
    bot = hub.connect("voiceflow", simulate=True, flow=flow, press_typed=True)
    bot.launch()
    bot.say(" order ")
    assert list(bot.turns_df()["action"]) == ["launch", "press"]


def test_a_second_action_can_be_sent_at_once(hub: Hub) -> None:
    flow, go = Flow("slow"), threading.Event()

    @flow.otherwise
    def slow(turn: FlowTurn) -> None:
        go.wait(10)
        turn.say(f"You said {turn.text}")

    bot = hub.connect("voiceflow", simulate=True, flow=flow)
    one, two = bot.send("one"), bot.send("two", at_once=True)
    sent = bot.traces_df()
    while (sent["kind"] == "action").sum() < 2:
        sent = bot.traces_df()
    go.set()
    assert (one.wait().text, two.wait().text) == ("You said one", "You said two")


def test_a_session_is_resumed_by_a_later_kernel(hub: Hub, flow: Flow, home: Path) -> None:
    simulator = hub.simulate("voiceflow", flow)
    bot = hub.connect("voiceflow", name="shop", resume=True, **simulator.settings)
    bot.launch()
    bot.press("Order")
    bot.close()
    later = Hub()
    try:
        again = later.connect("voiceflow", name="shop", resume=True, **simulator.settings)
        assert again.say("L").text == "One L pizza."
        assert list(later.traces_df()["kind"])[:3] == ["connected", "session", "resumed"]
        (kept,) = (home / "sessions").glob("*.json")
        assert kept.stat().st_mode & 0o077 == 0
        key = next(iter(simulator._machine._keys), "")  # type: ignore[attr-defined]
        assert not key or key not in "".join(p.read_text() for p in home.rglob("*.jsonl"))
        eventually_gone = again.say("anything").text
        assert eventually_gone == "You said anything", "the kept session has ended, and a new one began"
    finally:
        later.close()


def test_a_kept_session_that_the_platform_forgot_is_told_and_replaced(hub: Hub, flow: Flow) -> None:
    simulator = hub.simulate("voiceflow", flow)
    hub.connect("voiceflow", name="shop", resume=True, **simulator.settings).close()
    simulator.fault("expire")
    again = hub.connect("voiceflow", name="shop", resume=True, **simulator.settings)
    assert "the stored session is gone; a new one begins" in set(again.traces_df()["text"].dropna())
    assert again.launch().text == "Hello!"


@pytest.mark.parametrize("other", [{"user_id": "bob"}, {"environment_id": "staging"}])
def test_a_kept_session_is_shown_to_nobody_else(hub: Hub, flow: Flow, other: dict[str, str]) -> None:
    simulator = hub.simulate("voiceflow", flow)
    hub.connect("voiceflow", name="shop", resume=True, **simulator.settings).close()
    again = hub.connect("voiceflow", name="shop", resume=True, **simulator.settings, **other)
    started = again.traces_df()["payload"][1]
    assert "sessionKey" not in started
    assert list(again.traces_df()["kind"])[2:5] == ["session", "session", "ready"]


def test_a_restarting_server_is_left_and_the_turn_goes_on(hub: Hub, eventually: Eventually) -> None:
    flow, go = Flow("slow"), threading.Event()

    @flow.otherwise
    def slow(turn: FlowTurn) -> None:
        turn.say("one moment")
        go.wait(10)
        turn.say("here you are")

    bot = hub.connect("voiceflow", simulate=True, flow=flow, **FAST)
    turn = bot.send("hi")
    eventually(lambda: "one moment" in turn.text)
    sim(hub).fault("restart")
    eventually(lambda: bot.state == "ready" and bot.traces_df()["link"].max() == 2)
    go.set()
    assert turn.wait().text == "one moment\nhere you are"
    assert list(bot.messages_df()["text"]) == ["hi", "one moment", "here you are"]


STEPS = ["client.start", "session.create", "client.started", "session.created", "action.send"]
STEPS += ["accepted", "block", "text", "choices", "completed", "delta"]


@pytest.mark.timeout(30)
@pytest.mark.parametrize("step", STEPS)
def test_a_link_that_is_cut_at_any_step_loses_and_doubles_nothing(hub: Hub, step: str, eventually: Eventually) -> None:
    flow = Flow(f"cut {step}")

    @flow.otherwise
    def answer(turn: FlowTurn) -> None:
        turn.say(f"You said {turn.text}")
        turn.stream(["a", "b", "c"])
        turn.choices("Yes", "No")

    bot = hub.connect("voiceflow", simulate=True, flow=flow, completion_events=True, **FAST)
    bot.say("zero")
    handshake = step in STEPS[:4]
    cuts = [step]

    def cut(trace: Any) -> None:
        """Cut the link when the step is seen, on the background thread: what the server sends next is lost."""
        if cuts and step in (trace.event, trace.kind, trace.text) and trace.turn != 1:
            cuts.pop()
            sim(hub)._loop.submit(sim(hub)._cut())

    bot.listen(cut)
    if handshake:  # a resumed session has the first half of the handshake, a new one all of it
        sim(hub).fault("expire" if step.startswith("session") else "drop")
    turns = [bot.send(text) for text in ("one", "two")]
    for turn in turns:
        assert turn.wait().status == "completed"
    assert not cuts, "the link was never cut"
    said = list(bot.messages_df()["text"])
    assert said == [part for text in ("zero", "one", "two") for part in (text, f"You said {text}", "abc", "[Yes] [No]")]


def test_an_early_loss_of_the_very_first_link_is_a_clear_error(
    hub: Hub, flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulator = hub.simulate("voiceflow", flow)
    machine: Any = simulator._machine
    monkeypatch.setattr(machine, "_create", lambda link, now: [Close(link)])
    with pytest.raises(ConnectError, match="the link was lost .* before it was ready"):
        hub.connect("voiceflow", **simulator.settings, **FAST)


# ── What a review found ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("time_", [99999999999, 9900000000, -1, 1e300, "soon", True])
def test_a_time_that_is_none_spoils_no_frame(hub: Hub, time_: Any) -> None:
    flow = Flow("clock")

    @flow.otherwise
    def odd(turn: FlowTurn) -> None:
        turn.raw("action.trace", {"trace": {"type": "text", "payload": {"message": "hi"}, "time": time_}})

    bot = hub.connect("voiceflow", simulate=True, flow=flow)
    assert bot.say("x").text == "hi"
    traces = bot.traces_df()
    assert list(traces["seq"]) == list(range(len(traces)))


def test_half_a_character_can_be_said_shown_and_tabled(bot: Session) -> None:
    turn = bot.say("cut \ud83d")
    assert turn.text == "You said cut ?"
    assert "cut ?" in repr(turn) + bot.transcript()
    assert bot._repr_mimebundle_()["text/html"].encode()
    assert list(bot.turns_df()["user_text"]) == ["cut ?"]


def test_a_turn_that_nobody_waits_for_gives_way_in_its_time(hub: Hub, flow: Flow) -> None:
    bot = hub.connect("voiceflow", simulate=True, flow=flow, turn_timeout=0.3)
    sim(hub).fault("silent")
    lost = bot.send("hi")
    assert bot.say("again", timeout=5).text == "You said again"
    assert lost.status == "timeout"


def test_a_session_that_the_platform_forgot_is_replaced(hub: Hub, bot: Session) -> None:
    bot.say("hi")
    sim(hub).fault("expire")
    assert bot.say("again").text == "You said again"


def test_a_turn_given_up_early_does_not_spoil_the_next(hub: Hub) -> None:
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


def test_closing_while_others_send_leaves_no_turn_without_an_end(hub: Hub, flow: Flow) -> None:
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


def test_two_sessions_on_one_key_do_not_silence_each_other(hub: Hub, flow: Flow) -> None:
    simulator = hub.simulate("voiceflow", flow)
    one = hub.connect("voiceflow", **simulator.settings)
    key = next(iter(simulator._machine._keys))  # type: ignore[attr-defined]
    two = hub.connect("voiceflow", **simulator.settings, session_key=key)
    one.close()
    assert two.say("hi").text == "You said hi"


def test_waiting_in_a_listener_is_refused(bot: Session) -> None:
    said: list[str] = []

    def wait(trace: Any) -> None:
        if trace.kind == "text":
            try:
                bot.say("from a listener")
            except SessionError as error:
                said.append(str(error))

    bot.listen(wait)
    bot.say("hi")
    bot.say("again")
    assert "a listener cannot wait for a turn" in said[0]


def test_a_button_without_anything_to_send_is_refused(bot: Session) -> None:
    with pytest.raises(ActionError, match="has nothing to send"):
        bot.press(Choice("Order"))


def test_a_button_that_cannot_be_sent_fails_its_turn_at_once(bot: Session) -> None:
    with pytest.raises(TurnFailed, match="could not be sent"):
        bot.press(Choice("Go", "text"))
    assert bot.say("hi").text == "You said hi"


@pytest.mark.parametrize("wrong", [None, 1.0, True, ["Order"]])
def test_a_button_of_the_wrong_type_is_refused(bot: Session, wrong: Any) -> None:
    bot.launch()
    with pytest.raises(ActionError, match="press a button by its label"):
        bot.press(wrong)


@pytest.mark.parametrize("wrong", ["5", 0, -1, float("nan"), True])
def test_a_timeout_that_is_none_is_refused(bot: Session, wrong: Any) -> None:
    with pytest.raises(ActionError, match="timeout is a number of seconds above 0"):
        bot.say("hi", timeout=wrong)


def test_the_state_is_told_before_what_it_explains(hub: Hub, bot: Session, eventually: Eventually) -> None:
    told: list[tuple[str, str]] = []
    bot.listen(lambda trace: told.append((trace.kind, bot.state)))
    sim(hub).fault("drop")
    eventually(lambda: ("resumed", "ready") in told)
    assert ("disconnected", "reconnecting") in told
    bot.close()
    assert told[-1] == ("disconnected", "closed")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_a_forked_child_says_that_the_session_is_not_its_own(tmp_path: Path) -> None:
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


# ── What a second review found ───────────────────────────────────────────────────────────────────────────────


def test_a_server_that_ends_the_stored_session_in_the_handshake_is_given_a_new_one(
    hub: Hub, flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulator = hub.simulate("voiceflow", flow)
    machine: Any = simulator._machine
    start = machine._start
    ended = ("session.ended", {"reason": "inactivity_timeout"})
    monkeypatch.setattr(machine, "_start", lambda link, *more: machine._emit(link, *ended) + start(link, *more))
    assert hub.connect("voiceflow", **simulator.settings, timeout=5).launch().text == "Hello!"


@pytest.mark.parametrize("answer", [("session.ended", {"reason": "x"}), ("server.restart", {})])
def test_a_server_that_only_sends_people_away_is_given_up_not_hammered(
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


def test_a_session_that_ends_at_every_action_is_given_up_after_the_usual_attempts(
    hub: Hub, flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulator = hub.simulate("voiceflow", flow)
    machine: Any = simulator._machine
    bot = hub.connect("voiceflow", **simulator.settings, **FAST)
    monkeypatch.setattr(machine, "_act", lambda session, *_: machine._end(session, "no"))
    with pytest.raises(TurnFailed, match="sends every link away"):
        bot.say("hi")
    assert bot.traces_df()["link"].max() < 10


def test_a_no_reply_that_nobody_answers_keeps_nobody_waiting(hub: Hub, eventually: Eventually) -> None:
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


def test_a_restart_while_nothing_runs_swallows_nothing(hub: Hub, bot: Session, eventually: Eventually) -> None:
    bot.say("hi")
    sim(hub).fault("restart")
    eventually(lambda: bot.state == "ready" and bot.traces_df()["link"].max() == 2)
    assert [bot.say("hi").text for _ in range(2)] == ["You said hi"] * 2


def test_a_launch_leaves_a_handler_that_does_not_end(hub: Hub) -> None:
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


def test_two_questions_at_a_time_are_refused(hub: Hub, eventually: Eventually) -> None:
    flow = Flow("curious")

    @flow.otherwise
    async def curious(turn: FlowTurn) -> None:
        await asyncio.gather(turn.ask("a?"), turn.ask("b?"))

    bot = hub.connect("voiceflow", simulate=True, flow=flow)
    bot.say("hi")
    eventually(lambda: "one question at a time" in str(bot.traces_df()["error"].dropna().tolist()))


@pytest.mark.parametrize("payload", [{1, 2}, object(), float("nan")])
def test_what_json_cannot_hold_is_refused_before_anything_is_sent(bot: Session, payload: Any) -> None:
    with pytest.raises(ActionError, match="sends what JSON can hold"):
        bot.act("custom", type="done", payload=payload)


def test_a_stream_of_nothing_spoils_no_frame(hub: Hub) -> None:
    flow = Flow("nothing")

    @flow.otherwise
    def nothing(turn: FlowTurn) -> None:
        turn.stream([])

    bot = hub.connect("voiceflow", simulate=True, flow=flow, completion_events=True)
    assert bot.say("hi").messages == []
    assert list(bot.messages_df()["sender"]) == ["user"]
    assert list(bot.turns_df()["messages"]) == [0]


def test_frames_keep_their_order_and_take_any_index(hub: Hub) -> None:
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


def test_a_stream_that_breaks_off_takes_no_words_of_the_next(hub: Hub) -> None:
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
        assert (bot.say("break").text, bot.say("x").text) == ("half", "whole")
        assert list(bot.turns_df()["reply_text"])[-2:] == ["half", "whole"]


def test_a_button_that_carries_a_credential_is_pressed_as_the_bot_sent_it(hub: Hub) -> None:
    flow, heard = Flow("carrier"), []
    request = {"type": "path-1", "payload": {"label": "Go", "authorization": "planted-in-a-button"}}

    @flow.launch
    def offer(turn: FlowTurn) -> None:
        buttons = [{"name": "Go", "request": request}]
        turn.raw("action.trace", {"trace": {"type": "choice", "payload": {"buttons": buttons}}})

    bot = hub.connect("voiceflow", simulate=True, flow=flow)
    machine: Any = sim(hub)._machine
    act = machine._act
    machine._act = lambda session, payload, now: heard.append(payload["action"]) or act(session, payload, now)
    turn = bot.launch()
    assert "planted" not in repr(turn.choices) + repr(turn.traces)
    bot.press("Go")
    assert heard[-1] == request
    assert "planted" not in bot.traces_df().to_csv()


def test_a_typed_label_of_an_old_button_is_a_text(hub: Hub, flow: Flow) -> None:
    bot = hub.connect("voiceflow", simulate=True, flow=flow, press_typed=True)
    bot.launch()
    bot.say("hi")
    assert bot.say("track").text == "You said track"


def test_the_user_can_end_the_conversation(bot: Session) -> None:
    assert bot.act("end").status == "completed"
    assert bot.say("hi").text == "You said hi"
    assert bot.traces_df()["conversation"].nunique() == 2


def test_a_name_that_is_a_path_is_refused(hub: Hub) -> None:
    for name in ("../../escaped", "a/b", "..", ".hidden", "-x", "a b", ""):
        with pytest.raises(SettingsError, match="a session's name is one word"):
            hub.connect("voiceflow", name=name, simulate=True, resume=True)


def test_a_turn_whose_answer_was_swallowed_long_before_the_link_was_lost_is_complete(
    hub: Hub, flow: Flow, eventually: Eventually
) -> None:
    bot = hub.connect("voiceflow", simulate=True, flow=flow, **FAST)
    bot.say("zero")
    simulator = sim(hub)
    send = simulator._sio.emit

    async def swallow(*_: Any, **__: Any) -> None:
        """A link that stalls: what is sent goes nowhere."""

    simulator._sio.emit = swallow
    turn = bot.send("hi")
    (session,) = simulator._machine._sessions.values()
    eventually(lambda: session.done[-1].request["payload"] == "hi")
    session.used -= 60
    simulator._sio.emit = send
    simulator.fault("drop")
    assert turn.wait().text == "You said hi"
    assert list(bot.messages_df()["text"]) == ["zero", "You said zero", "hi", "You said hi"]

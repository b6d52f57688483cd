"""Sessions and turns over a real socket, and how they end."""

import asyncio
import signal
import subprocess
import sys
import threading
import time
from typing import Any

import pytest
from conftest import FAST, Eventually, failed, sim

from socketnb.conversation.session import Session
from socketnb.errors import (
    ActionError,
    SessionError,
    TurnFailed,
    TurnTimeout,
)
from socketnb.flows.flow import Flow, FlowTurn
from socketnb.hub import Hub
from socketnb.model.content import Choice, Custom
from socketnb.model.trace import Trace


def test_a_turn_has_text_buttons_and_times(bot: Session) -> None:
    turn = bot.launch()
    assert turn.text == "Hello!"
    assert [choice.label for choice in turn.choices] == ["Order", "Track"]
    assert turn.status == "completed"
    assert 0 < turn.first_ms <= turn.done_ms
    assert [trace.turn for trace in turn.traces] == [1] * len(turn.traces)


@pytest.mark.parametrize("choice", ["Order", "order ", 1])
def test_a_button_is_pressed_by_label_or_position(bot: Session, choice: str | int) -> None:
    bot.launch()
    assert bot.press(choice).text == "Which size?"


def test_a_choice_of_a_turn_can_be_pressed(bot: Session) -> None:
    turn = bot.launch()
    assert bot.press(turn.choices[0]).text == "Which size?"


def test_the_next_turn_answers_a_question(bot: Session) -> None:
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


def test_messages_are_yielded_before_the_turn_ends(hub: Hub) -> None:
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


def test_a_turn_that_times_out_keeps_its_messages_and_the_session_stays_usable(hub: Hub, bot: Session) -> None:
    sim(hub).fault("silent")
    with pytest.raises(TurnTimeout, match=r"not done with turn 1 within 0.2 s.*stays usable") as caught:
        bot.say("hi", timeout=0.2)
    assert caught.value.turn.text == "You said hi"
    assert caught.value.turn.status == "timeout"
    assert bot.say("again").text == "You said again"
    assert list(bot.turns_df()["status"]) == ["timeout", "completed"]


def test_an_awaited_turn_times_out(hub: Hub, bot: Session) -> None:
    sim(hub).fault("silent")
    bot.timeout = 0.2

    async def talk() -> None:
        await bot.send("hi")

    with pytest.raises(TurnTimeout):
        asyncio.run(talk())


def test_cancelling_a_task_that_awaits_a_turn_cancels_the_turn(hub: Hub, bot: Session) -> None:
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
    assert time.monotonic() - started < 5, "the interrupt did not end the wait"
    assert turn.status == "cancelled"
    assert bot.traces_df()["kind"].isin(["cancelled"]).sum() == 1
    assert bot.say("again").text == "You said again"


def test_a_rejected_turn_has_the_reason(hub: Hub, bot: Session) -> None:
    sim(hub).fault("reject")
    turn = bot.say("hi")
    assert (turn.status, turn.reason) == ("rejected", "rejected on request")


def test_an_error_of_the_platform_is_in_the_turn(bot: Session) -> None:
    turn = failed(bot, "sorry")
    assert turn.error == turn.reason == "too many tokens (quota)"
    assert turn.status == "failed"


def test_an_exception_in_a_flow_is_reported_with_its_line(bot: Session) -> None:
    turn = failed(bot, "break")
    assert "raised ZeroDivisionError: cannot slice a pizza by none, line" in (turn.error or "")
    assert bot.say("hi").text == "You said hi"


def test_unknown_and_malformed_events_are_recorded_and_the_session_stays_usable(bot: Session) -> None:
    message = bot.say("strange").messages[0]
    assert message.content == Custom("fireworks", {"colour": "red"})
    bot.say("malformed", timeout=5)
    assert bot.say("hi").text == "You said hi"
    traces = bot.traces_df()
    assert traces["error"].str.startswith("malformed").sum() >= 4
    assert list(traces["seq"]) == list(range(len(traces)))


def test_a_lost_link_is_reopened_and_the_conversation_continues(hub: Hub, bot: Session, eventually: Eventually) -> None:
    bot.launch()
    bot.press("Order")
    sim(hub).fault("drop")
    eventually(lambda: bot.traces_df()["kind"].isin(["resumed"]).any())
    assert bot.press("L").text == "One L pizza."
    kinds = list(bot.traces_df()["kind"])
    for kind in ("disconnected", "reconnecting", "gap", "resumed"):
        assert kind in kinds
    assert bot.traces_df()["link"].max() == 2


def test_a_turn_whose_link_is_lost_is_completed_on_the_next_link(hub: Hub, eventually: Eventually) -> None:
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


def test_open_turns_fail_after_the_last_attempt_and_the_next_action_tries_again(
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
    restarted = hub.simulate("voiceflow", flow, port=port)
    restarted._machine._settings = simulator._settings
    assert bot.say("back?").text == "You said back?"


@pytest.mark.parametrize(
    ("verb", "fields", "message"),
    [
        ("lanch", {}, r"unknown voiceflow verb 'lanch'; did you mean 'launch'\?"),
        ("text", {"txt": "hi"}, "unknown text field 'txt'"),
        ("text", {"text": 7}, "text must be of type str, got int"),
        ("text", {}, "text needs text"),
        ("event", {}, "event needs name"),
    ],
)
def test_the_error_for_a_wrong_verb_or_field_says_what_is_wrong(
    bot: Session, verb: str, fields: dict[str, Any], message: str
) -> None:
    with pytest.raises(ActionError, match=message):
        bot.act(verb, **fields)
    assert bot.turns_df().empty, "something was sent"


def test_the_error_for_an_unknown_button_names_the_offered_ones(bot: Session) -> None:
    with pytest.raises(ActionError, match="no message has offered a button yet"):
        bot.press("Order")
    bot.launch()
    with pytest.raises(ActionError, match="unknown button 'Oder'; did you mean 'Order'"):
        bot.press("Oder")
    with pytest.raises(ActionError, match="no button 3: press 1 to 2"):
        bot.press(3)


def test_a_closed_session_rejects_actions(bot: Session) -> None:
    bot.close()
    bot.close()
    with pytest.raises(SessionError, match="'bot' is closed"):
        bot.say("hi")


def test_closing_cancels_running_turns(hub: Hub, bot: Session) -> None:
    sim(hub).fault("silent")
    turn = bot.send("hi")
    bot.close()
    assert turn.status == "cancelled"


def test_a_failing_listener_affects_nothing_else(bot: Session, caplog: pytest.LogCaptureFixture) -> None:
    kinds: list[str] = []
    bot.listen(lambda trace: 1 / 0)  # type: ignore[arg-type, return-value]
    stop = bot.listen(lambda trace: kinds.append(trace.kind))
    assert bot.say("hi").status == "completed"
    stop()
    stop()
    bot.say("again")
    assert kinds.count("action") == 1
    assert "a listener of session 'bot' failed" in caplog.text


def test_a_session_can_be_used_from_several_threads(bot: Session) -> None:
    replies: list[str] = []

    def talk(n: int) -> None:
        replies.extend(bot.say(f"{n}.{m}").text for m in range(5))

    threads = [threading.Thread(target=talk, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(replies) == sorted(f"You said {n}.{m}" for n in range(4) for m in range(5))


def test_a_turn_is_displayed_as_escaped_html_and_as_text(bot: Session) -> None:
    data = bot.say("<script>alert(1)</script>")._repr_mimebundle_()
    assert "<script" not in data["text/html"]
    assert "&lt;script&gt;" in data["text/html"]
    assert "user:  <script>alert(1)</script>" in data["text/plain"]
    assert "completed" in data["text/plain"]


def test_a_session_is_displayed_with_its_transcript(bot: Session) -> None:
    bot.launch()
    data = bot._repr_mimebundle_()
    assert "Hello!" in data["text/html"]
    assert data["text/plain"] == "<session 'bot': voiceflow, ready, 1 turns>"
    assert bot.transcript() == "user:  (launch)\nbot:   Hello!\nbot:   [1] Order  [2] Track"


def test_a_choice_made_by_the_user_is_sent_unchanged(bot: Session) -> None:
    own = Choice("Order", {"type": "path-mine", "payload": {"label": "Order"}})
    assert bot.press(own).text == "Which size?"


@pytest.mark.parametrize("dev", [(), ("-X", "dev")])
def test_a_process_that_ends_with_an_open_session_shows_no_warning(dev: tuple[str, ...]) -> None:
    code = (
        "import socketnb as snb\n"
        "bot = snb.connect('voiceflow', simulate=True)\n"
        "bot.launch(); bot.send('track'); print('talked')"
    )
    done = subprocess.run([sys.executable, *dev, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "talked\n"
    assert [line for line in done.stderr.splitlines() if "took" not in line] == []


def test_the_paths_of_a_custom_action_are_buttons(hub: Hub) -> None:
    flow = Flow("payment")

    @flow.launch
    def pay(turn: FlowTurn) -> None:
        turn.custom("pay", {"eur": 3}, paths=["paid", "failed"])

    @flow.on("paid")
    def paid(turn: FlowTurn) -> None:
        turn.say(f"Thank you ({turn.verb}).")

    bot = hub.connect("voiceflow", simulate=True, flow=flow)
    turn = bot.launch()
    assert [choice.label for choice in turn.choices] == ["paid", "failed"]
    assert "(pay)  [1] paid  [2] failed" in repr(turn)
    assert bot.press("paid").text == "Thank you (custom)."
    assert bot.act("custom", type="paid").text == "Thank you (custom)."
    assert bot.turns_df()["choices"][0] == "paid | failed"


@pytest.mark.parametrize("raised", [SystemExit, asyncio.CancelledError, KeyboardInterrupt, ValueError])
def test_no_exception_of_a_listener_ends_the_session(bot: Session, raised: type[BaseException]) -> None:
    def fail(trace: Trace) -> None:
        raise raised

    bot.listen(fail)
    assert bot.say("hi").text == "You said hi"
    assert bot.say("again").text == "You said again"


def test_a_listener_can_close_its_session(hub: Hub, bot: Session, flow: Flow) -> None:
    other = hub.connect("voiceflow", name="other", simulate=True, flow=flow)
    closed = threading.Event()

    def close(trace: Trace) -> None:
        if trace.kind == "text":
            bot.close()
            closed.set()

    bot.listen(close)
    turn = bot.send("hi")
    assert closed.wait(1), "close() waits for the thread that it runs on"
    assert other.say("hi").text == "You said hi"
    assert turn.wait().status in ("cancelled", "completed")


@pytest.mark.parametrize("timeout", [-1, 0, "5", True, float("nan")])
def test_an_invalid_timeout_is_rejected_before_anything_is_sent(bot: Session, timeout: Any) -> None:
    for call in (bot.say, bot.stream, bot.event):
        with pytest.raises(ActionError, match="timeout must be a number of seconds above 0"):
            call("hi", timeout=timeout)
    with pytest.raises(ActionError, match="timeout must be a number"):
        bot.launch(timeout=timeout)
    assert bot.turns_df().empty

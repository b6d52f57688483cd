"""Streams, sound, and sessions that continue after the loss of a link or in a later kernel."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import FAST, Eventually, sim

from socketnb.conversation.session import Session
from socketnb.errors import ConnectError
from socketnb.flows.flow import Flow, FlowTurn
from socketnb.hub import Hub
from socketnb.model.effects import Close


def test_a_streamed_message_is_yielded_in_pieces_and_is_one_message_in_the_turn(hub: Hub) -> None:
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


def test_a_stream_is_one_message_if_the_client_asks_for_no_pieces(hub: Hub) -> None:
    flow = Flow("model")

    @flow.otherwise
    def answer(turn: FlowTurn) -> None:
        turn.stream(["He", "llo"])

    turn = hub.connect("voiceflow", simulate=True, flow=flow).say("hi")
    assert [(m.trace.kind, m.text) for m in turn.messages] == [("text", "Hello")]


@pytest.mark.parametrize("encoding", ["audio/x-mulaw", "audio/pcm"])
def test_streamed_sound_is_a_message_with_a_wav_file(bot: Session, hub: Hub, encoding: str) -> None:
    speaker = hub.connect("voiceflow", simulate=True, flow=sim(hub).flow, audio_events=True, audio_encoding=encoding)
    text, sound = speaker.say("hi there you").messages
    assert text.text == "You said hi there you"
    assert (sound.audio or b"")[:4] == b"RIFF"
    assert "<audio controls" in speaker.say("x")._repr_mimebundle_()["text/html"]


def test_a_typed_label_presses_its_button_with_press_typed(hub: Hub, flow: Flow) -> None:
    bot = hub.connect("voiceflow", simulate=True, flow=flow, press_typed=True)
    bot.launch()
    bot.say(" order ")
    assert list(bot.turns_df()["action"]) == ["launch", "press"]


def test_a_second_text_can_be_sent_before_the_first_turn_ends(hub: Hub) -> None:
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
        (saved,) = (home / "sessions").glob("*.json")
        assert saved.stat().st_mode & 0o077 == 0
        key = next(iter(simulator._machine._keys), "")  # type: ignore[attr-defined]
        assert not key or key not in "".join(p.read_text() for p in home.rglob("*.jsonl"))
        assert again.say("anything").text == "You said anything", "the saved session has ended, and a new one starts"
    finally:
        later.close()


@pytest.mark.filterwarnings("ignore:shop")  # Voiceflow's client may report it as a warning
def test_a_saved_session_that_has_expired_is_noted_and_replaced(hub: Hub, flow: Flow) -> None:
    simulator = hub.simulate("voiceflow", flow)
    hub.connect("voiceflow", name="shop", resume=True, **simulator.settings).close()
    simulator.fault("expire")
    again = hub.connect("voiceflow", name="shop", resume=True, **simulator.settings)
    assert "the stored session no longer exists, so a new one begins" in set(again.traces_df()["text"].dropna())
    assert again.launch().text == "Hello!"


@pytest.mark.parametrize("other", [{"user_id": "bob"}, {"environment_id": "staging"}])
def test_a_saved_session_of_another_user_or_environment_is_not_resumed(
    hub: Hub, flow: Flow, other: dict[str, str]
) -> None:
    simulator = hub.simulate("voiceflow", flow)
    hub.connect("voiceflow", name="shop", resume=True, **simulator.settings).close()
    words = f"a new conversation starts, because the saved one has another {next(iter(other))}"
    with pytest.warns(RuntimeWarning, match=f"shop: {words}"):
        again = hub.connect("voiceflow", name="shop", resume=True, **simulator.settings, **other)
    traces = again.traces()
    assert "sessionKey" not in traces[2].payload
    assert [t.kind for t in traces[:6]] == ["warning", "connected", "session", "session", "session", "ready"]
    assert words in again.transcript()


def test_a_turn_continues_after_a_restart_of_the_server(hub: Hub, eventually: Eventually) -> None:
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
def test_no_message_is_lost_or_doubled_if_the_link_is_lost_at_any_step(
    hub: Hub, step: str, eventually: Eventually
) -> None:
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
        """Cut the link at the step, on the background thread, so that what the server sends next is lost."""
        if cuts and step in (trace.event, trace.kind, trace.text) and trace.turn != 1:
            cuts.pop()
            sim(hub)._loop.submit(sim(hub)._cut())

    bot.listen(cut)
    if handshake:  # a resumed session does the first half of the handshake, a new one all of it
        sim(hub).fault("expire" if step.startswith("session") else "drop")
    turns = [bot.send(text) for text in ("one", "two")]
    for turn in turns:
        assert turn.wait().status == "completed"
    assert not cuts, "the link was not cut"
    texts = list(bot.messages_df()["text"])
    assert texts == [
        part for text in ("zero", "one", "two") for part in (text, f"You said {text}", "abc", "[Yes] [No]")
    ]


def test_the_loss_of_the_first_link_before_it_is_ready_is_a_clear_error(
    hub: Hub, flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulator = hub.simulate("voiceflow", flow)
    machine: Any = simulator._machine
    monkeypatch.setattr(machine, "_create", lambda link, now: [Close(link)])
    with pytest.raises(ConnectError, match="the link was lost .* before it was ready"):
        hub.connect("voiceflow", **simulator.settings, **FAST)

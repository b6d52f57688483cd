"""Streams, sound, and conversations that outlive their links and their kernel."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import FAST, Eventually, sim

from socketnb.conversation.session import Session
from socketnb.errors import (
    ConnectError,
)
from socketnb.flows.flow import Flow, FlowTurn
from socketnb.hub import Hub
from socketnb.model.effects import Close


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
    assert "the stored session no longer exists, so a new one begins" in set(again.traces_df()["text"].dropna())
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

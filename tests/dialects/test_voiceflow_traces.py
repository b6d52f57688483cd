"""Every trace type of Voiceflow: from the wire to kind, words, content and node, one row each."""

import base64
import io
import json
import random
import wave
from typing import Any

import pytest
from test_voiceflow import SETTINGS, Pair, ids, say

from socketnb.dialects import voiceflow
from socketnb.dialects.messages import Message, Streams, message
from socketnb.dialects.sound import RATES, tone, wav
from socketnb.dialects.voiceflow.traces import READERS, Reading, read
from socketnb.flows.flow import Flow, FlowTurn
from socketnb.hub import Hub
from socketnb.model.content import Card, Cards, Choice, Choices, Custom, Delta, Media, Text
from socketnb.model.effects import Emit, Ended, Failed, Reconnect, Record, TurnDone
from socketnb.model.secret import masked
from socketnb.model.trace import NO_TIME, Trace

PATH = {"type": "path-1", "payload": {"label": "Go"}}
OPEN = {
    "type": "path-2",
    "payload": {"label": "Site", "actions": [{"type": "open_url", "payload": {"url": "https://x"}}]},
}
SLATE = {"id": "s", "content": [{"children": [{"text": "Hello "}, {"bold": True, "text": "you"}]}, {"children": []}]}
CHUNK = base64.b64encode(b"\x01\x02").decode()
TABLE: list[tuple[str, Any, Reading]] = [
    ("text", {"message": "Hi", "delay": 1000}, Reading("text", "Hi", Text("Hi"))),
    ("text", {"slate": SLATE}, Reading("text", "Hello you", Text("Hello you"))),
    ("text", {"message": "Hi", "ref": {"type": "node", "nodeID": "n1"}}, Reading("text", "Hi", Text("Hi"), "n1")),
    ("text", {"message": "Hi", "ref": {"type": "agent", "name": "Ada"}}, Reading("text", "Hi", Text("Hi"), "Ada")),
    ("speak", {"type": "message", "message": "Hi"}, Reading("speak", "Hi", Text("Hi"))),
    (
        "speak",
        {"type": "audio", "message": "", "src": "data:audio/mp3;base64,AA"},
        Reading("speak", "", Media("audio", "data:audio/mp3;base64,AA")),
    ),
    (
        "speak",
        {"type": "audio", "message": "<audio src='https://x/a.mp3'/>"},
        Reading("speak", "", Media("audio", "https://x/a.mp3")),
    ),
    (
        "visual",
        {"image": "https://x/a.png", "device": None},
        Reading("visual", None, Media("image", "https://x/a.png")),
    ),
    ("visual", {"image": None}, Reading("visual", None, Custom("visual", {"image": None}))),
    (
        "choice",
        {"buttons": [{"name": "Go", "request": PATH}, {"name": "Site", "request": OPEN}]},
        Reading("choices", "[Go] [Site]", Choices((Choice("Go", PATH), Choice("Site", OPEN, "https://x")))),
    ),
    ("choice", {"buttons": [{"name": "Go", "request": "text"}, 7, {}]}, Reading("choices", "", Choices(()))),
    (
        "choice",
        {"choices": [{"name": "Yes", "intent": "agree"}, {"name": "No"}]},
        Reading(
            "choices",
            "[Yes] [No]",
            Choices(
                (
                    Choice(
                        "Yes",
                        {"type": "intent", "payload": {"intent": {"name": "agree"}, "query": "Yes", "entities": []}},
                    ),
                    Choice("No", {"type": "text", "payload": "No"}),
                )
            ),
        ),
    ),
    (
        "cardV2",
        {
            "title": "T",
            "description": {"text": "D"},
            "imageUrl": "https://x",
            "buttons": [{"name": "Go", "request": PATH}],
        },
        Reading("card", "T\nD\n[Go]", Card("T", "D", "https://x", (Choice("Go", PATH),))),
    ),
    (
        "card",
        {"type": "Standard", "title": "T", "text": "D", "image": {"smallImageUrl": "https://s"}},
        Reading("card", "T\nD", Card("T", "D", "https://s")),
    ),
    (
        "carousel",
        {"layout": "Carousel", "cards": [{"title": "A"}, {"title": "B", "description": "b"}]},
        Reading("carousel", "A\nB\nb", Cards((Card("A"), Card("B", "b")))),
    ),
    ("carousel", {"layout": "List", "cards": [{"title": "A"}]}, Reading("list", "A", Cards((Card("A"),), "list"))),
    ("carousel", {"layout": "carousel", "cards": None}, Reading("carousel", "", Cards(()))),
    ("completion", {"state": "start"}, Reading("delta", "", Delta("completion", first=True))),
    ("completion", {"state": "content", "content": "wor"}, Reading("delta", "wor", Delta("completion", "wor"))),
    ("completion", {"state": "end", "tokens": {"total": 9}}, Reading("delta", "", Delta("completion", last=True))),
    (
        "completion-start",
        {"type": "text", "completion": "Hel"},
        Reading("delta", "Hel", Delta("completion", "Hel", first=True)),
    ),
    ("completion-continue", {"completion": "lo"}, Reading("delta", "lo", Delta("completion", "lo"))),
    ("completion-end", {}, Reading("delta", "", Delta("completion", last=True))),
    ("audio", {"state": "start", "messageID": "m"}, Reading("delta", None, Delta("audio", first=True))),
    ("audio", {"state": "content", "content": CHUNK}, Reading("delta", None, Delta("audio", sound=b"\x01\x02"))),
    ("audio", {"state": "content", "audio": "no base64!"}, Reading("delta", None, Delta("audio"))),
    ("no-reply", {"timeout": 10}, Reading("no_reply", "the bot goes on by itself after 10 s")),
    ("end", None, Reading("ended", "the bot ended the conversation")),
    ("debug", {"type": "x", "message": "m"}, Reading("debug", "m")),
    (
        "debug",
        {"message": "matched intent **order** - confidence interval _90%_"},
        Reading("debug", "matched intent **order** - confidence interval _90%_", intent="order"),
    ),
    (
        "log",
        {"kind": "step.set", "level": "info", "message": {"stepID": "s1"}},
        Reading("log", "step.set info", node="s1"),
    ),
    ("block", {"blockID": "b1"}, Reading("block", node="b1")),
    ("flow", {"diagramID": "d1", "name": "Main"}, Reading("flow", "Main", node="Main")),
    ("path", {"path": "choice:1"}, Reading("path", "choice:1", node="choice:1")),
    (
        "goto",
        {"request": {"type": "intent", "payload": {"intent": {"name": "order"}}}},
        Reading("path", "goes on with intent", intent="order"),
    ),
    ("entity-filling", {"entityToFill": "size", "intent": "order"}, Reading("debug", "asks for size", intent="order")),
    (
        "stream",
        {"src": "https://x/a.mp3", "token": "t", "action": "PLAY", "title": "Song"},
        Reading("audio", "Song", Media("audio", "https://x/a.mp3", "Song")),
    ),
    ("stream", {"src": "https://x/a.mp3", "token": "t", "action": "PAUSE"}, Reading("status", "PAUSE")),
    ("channel-action", {"name": "dial", "payload": {"to": 1}}, Reading("custom", "dial", Custom("dial", {"to": 1}))),
    ("knowledgeBase", {"chunks": [], "query": {"messages": [], "output": "42"}}, Reading("knowledge", "42")),
    ("knowledgeBase", {"contextType": "faq", "faqQuestion": "q", "faqAnswer": "a"}, Reading("knowledge", "a")),
    ("calendar", "any text", Reading("custom", "calendar", Custom("calendar", "any text"))),
]


@pytest.mark.parametrize(("kind", "payload", "reading"), TABLE, ids=[f"{n}-{row[0]}" for n, row in enumerate(TABLE)])
def test_a_trace_is_read_as_the_reference_says(kind: str, payload: Any, reading: Reading) -> None:
    assert read({"type": kind, "payload": payload}) == reading


def test_the_table_has_every_type_that_is_read() -> None:
    assert {row[0] for row in TABLE} >= set(READERS)


def test_a_custom_action_names_its_ways_on() -> None:
    paths = [{"label": "Paid", "event": {"type": "paid"}}, {"event": {"type": "failed"}}, {"label": "no event"}, 7]
    custom = read({"type": "pay", "payload": {"eur": 3}, "paths": paths, "defaultPath": 0}).content
    ways = (Choice("Paid", {"type": "paid"}), Choice("failed", {"type": "failed"}))
    assert custom == Custom("pay", {"eur": 3}, ways, 0)


def test_a_rich_text_nested_beyond_reading_is_kept_as_it_is() -> None:
    deep: dict[str, Any] = {"text": "down here"}
    for _ in range(5000):
        deep = {"children": [deep]}
    assert read({"type": "text", "payload": {"slate": {"content": [deep]}}}).kind == "custom"


# ── Streams ──────────────────────────────────────────────────────────────────────────────────────────────────


def shown(seq: int, trace: dict[str, Any]) -> Message:
    reading = read(trace)
    row = dict.fromkeys(Trace._fields)
    row |= {"seq": seq, "kind": reading.kind, "text": reading.text, "elapsed_ms": NO_TIME}
    assert reading.content
    return Message(reading.content, Trace(**row))  # type: ignore[arg-type]


@pytest.mark.parametrize("names", [("completion",) * 3, ("completion-start", "completion-continue", "completion-end")])
def test_a_streamed_text_equals_its_pieces(names: tuple[str, str, str]) -> None:
    field = "content" if names[0] == "completion" else "completion"
    pieces = ["He", "llo, wo", "rld"]
    traces = [{"type": names[0], "payload": {"state": "start"}}]
    traces += [{"type": names[1], "payload": {"state": "content", field: piece}} for piece in pieces]
    traces += [{"type": names[2], "payload": {"state": "end"}}]
    streams = Streams()
    found = [streams.add(shown(n, trace)) for n, trace in enumerate(traces)]
    assert found[:-1] == [None] * 4
    assert found[-1]
    assert (found[-1].content, found[-1].trace.seq) == (Text("Hello, world"), 0)
    assert not streams.rest()


def test_a_stream_that_breaks_off_shows_what_came() -> None:
    streams = Streams()
    streams.add(shown(0, {"type": "completion", "payload": {"state": "start"}}))
    streams.add(shown(1, {"type": "completion", "payload": {"state": "content", "content": "Hel"}}))
    assert [rest.content for rest in streams.rest()] == [Text("Hel")]


@pytest.mark.parametrize("encoding", sorted(RATES))
def test_streamed_sound_becomes_a_file_that_plays(encoding: str) -> None:
    samples = tone(encoding, 0.5)
    half = len(samples) // 4 * 2
    states: list[dict[str, Any]] = [{"state": "start"}]
    states += [
        {"state": "content", "content": base64.b64encode(part).decode()} for part in (samples[:half], samples[half:])
    ]
    states += [{"state": "end"}]
    streams = Streams(encoding)
    whole = [streams.add(shown(n, {"type": "audio", "payload": state})) for n, state in enumerate(states)][-1]
    assert whole
    assert whole.audio == wav(encoding, samples)
    with wave.open(io.BytesIO(whole.audio)) as file:
        assert file.getframerate() == RATES[encoding]
        assert file.getnframes() == RATES[encoding] // 2
        loudest = max(abs(int.from_bytes(file.readframes(1), "little", signed=True)) for _ in range(file.getnframes()))
    assert 4000 < loudest < 7000


def test_mulaw_decodes_as_the_standard_says() -> None:
    linear = wav("audio/x-mulaw", bytes([0x00, 0x80, 0xFF, 0x7F, 0xF0, 0x70]))[-12:]
    values = [int.from_bytes(linear[n : n + 2], "little", signed=True) for n in range(0, 12, 2)]
    assert values == [-32124, 32124, 0, 0, 120, -120]


# ── A hundred thousand malformed events ──────────────────────────────────────────────────────────────────────


def junk(random: random.Random, depth: int = 0) -> Any:
    """Return some JSON, with the wire's own names in unexpected places."""
    names = ["trace", "type", "payload", "messageID", "status", "buttons", "cards", "slate", "content", "state", "time"]
    names += ["request", "label", "name", "message", "sessionKey", "newSessionRequired", "reason", "action", "paths"]
    words = [*READERS, "accepted", "completed", "rejected", "start", "end", "", "\ud83d", "x" * 50, "m1", "m2"]
    match random.randrange(9 if depth < 4 else 5):
        case 0:
            return None
        case 1:
            return random.choice([True, False, 0, -1, 7, 2**70, 1e300, -0.5])
        case 2 | 3 | 4:
            return random.choice(words)
        case 5:
            return [junk(random, depth + 1) for _ in range(random.randrange(3))]
        case _:
            return {random.choice(names): junk(random, depth + 1) for _ in range(random.randrange(5))}


def test_a_hundred_thousand_malformed_events_leave_the_client_usable() -> None:
    chance = random.Random(7)  # noqa: S311 (the same junk every time)
    client = voiceflow.DIALECT.client(SETTINGS, ids())
    client.dial(0.0)
    client.opened(0.0)
    client.received("client.started", {"newSessionRequired": False}, 0.0)
    events = ["action.trace"] * 5 + ["action.status"] * 3 + ["error", "client.started", "session.created", "x"]
    events += ["session.ended", "server.restart"]
    for n in range(100_000):
        event = chance.choice(events)
        payload = {"trace": junk(chance), "messageID": junk(chance)} if chance.random() < 0.5 else junk(chance)
        effects = client.received(event, payload, float(n))
        assert effects
        voiceflow.DIALECT.content(event, payload)
        if n % 3 == 0:
            client.act(n, say("hi"), float(n))
        if any(isinstance(effect, Reconnect | Ended | Failed) for effect in effects):  # what the engine does then
            client.closed(float(n))
            client.dial(float(n))
            client.opened(float(n))
            client.received("client.started", {"newSessionRequired": False}, float(n))
    for turn in range(100_000):
        client.abandon(turn, 0.0)
    client.act(100_001, say("hi"), 0.0)
    ended = client.received("action.status", {"status": "completed"}, 0.0)
    assert any(isinstance(effect, TurnDone) and effect.turn == 100_001 for effect in ended)
    assert len(client._turns) <= 1001


def test_what_is_recorded_of_malformed_events_can_be_shown() -> None:
    chance = random.Random(11)  # noqa: S311
    client = voiceflow.DIALECT.client(SETTINGS, ids())
    from socketnb.recording.recorder import Recorder

    recording = Recorder("2026-01-01T00-00-00-000-abcd")
    log = recording.log("voiceflow", "bot", {"sessionKey"})
    for _ in range(3000):
        for effect in client.received("action.trace", {"trace": {"type": "text", **junk_dict(chance)}}, 0.0):
            if isinstance(effect, Record):
                message(log.append(effect, 1, 0, NO_TIME))
    recording.flush()
    assert recording.store.table().num_rows == 3000


def junk_dict(chance: random.Random) -> dict[str, Any]:
    found = junk(chance)
    return found if isinstance(found, dict) else {"payload": found}


# ── Over the wire ────────────────────────────────────────────────────────────────────────────────────────────


def test_a_flow_can_send_every_trace_type_and_each_arrives_as_it_was_sent(hub: Hub) -> None:
    flow = Flow("every type")

    @flow.otherwise
    def send(turn: FlowTurn) -> None:
        for kind, payload, _ in TABLE:
            turn.raw("action.trace", {"trace": {"type": kind, "payload": payload}})

    turn = hub.connect("voiceflow", simulate=True, flow=flow).say("go")
    arrived = [trace for trace in turn.traces if trace.event == "action.trace"][1:]  # the first names the node
    assert [(t.kind, t.text, t.node, t.intent) for t in arrived] == [
        (reading.kind, reading.text, reading.node, reading.intent) for _, _, reading in TABLE
    ]
    sent = [{**p, "token": masked("t")} if "token" in (p or {}) else p for _, p, _ in TABLE]
    assert [json.loads(t.payload)["trace"]["payload"] for t in arrived] == sent
    assert (turn.status, turn.error) == ("completed", None)


def test_thousands_of_malformed_events_on_the_wire_leave_the_session_usable(hub: Hub) -> None:
    flow, chance = Flow("junk"), random.Random(13)  # noqa: S311

    @flow.on("junk")
    def send(turn: FlowTurn) -> None:
        for _ in range(3000):
            turn.raw(chance.choice(["action.trace", "session.created", "client.started", "error", "x"]), junk(chance))

    @flow.otherwise
    def echo(turn: FlowTurn) -> None:
        turn.say(f"You said {turn.text}")

    bot = hub.connect("voiceflow", simulate=True, flow=flow)
    turn = bot.say("junk")
    assert turn.status == "completed"
    assert len(turn.traces) > 3000
    assert bot.say("hi").text == "You said hi"
    traces = bot.traces_df()
    assert list(traces["seq"]) == list(range(len(traces)))
    assert bot.transcript()
    assert len(bot.turns_df()) == 2


def test_the_key_travels_only_in_the_first_event(hub: Hub) -> None:
    pair = Pair()
    pair.connect()
    pair.act(1, say("hi"))
    pair.disconnect()
    pair.connect()
    carriers = {emit.event for emit in pair.of(Emit) if "VF.DM.planted-key" in repr(emit.args)}
    assert carriers == {"client.start"}
    assert "planted" not in repr(pair.client.dial(0.0))

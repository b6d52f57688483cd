"""Every trace type of Voiceflow: the kind, text, content and node that are read from it."""

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
from socketnb.dialects.voiceflow.shapes import Shaper
from socketnb.dialects.voiceflow.traces import READERS, ParsedTrace, parse_trace
from socketnb.errors import TurnFailed
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
TABLE: list[tuple[str, Any, ParsedTrace]] = [
    ("text", {"message": "Hi", "delay": 1000}, ParsedTrace("text", "Hi", Text("Hi"))),
    ("text", {"slate": SLATE}, ParsedTrace("text", "Hello you", Text("Hello you"))),
    ("text", {"message": "Hi", "ref": {"type": "node", "nodeID": "n1"}}, ParsedTrace("text", "Hi", Text("Hi"), "n1")),
    ("text", {"message": "Hi", "ref": {"type": "agent", "name": "Ada"}}, ParsedTrace("text", "Hi", Text("Hi"), "Ada")),
    ("speak", {"type": "message", "message": "Hi"}, ParsedTrace("speak", "Hi", Text("Hi"))),
    (
        "speak",
        {"type": "audio", "message": "", "src": "data:audio/mp3;base64,AA"},
        ParsedTrace("speak", "", Media("audio", "data:audio/mp3;base64,AA")),
    ),
    (
        "speak",
        {"type": "audio", "message": "<audio src='https://x/a.mp3'/>"},
        ParsedTrace("speak", "", Media("audio", "https://x/a.mp3")),
    ),
    (
        "visual",
        {"image": "https://x/a.png", "device": None},
        ParsedTrace("visual", None, Media("image", "https://x/a.png")),
    ),
    ("visual", {"image": None}, ParsedTrace("visual", None, Custom("visual", {"image": None}))),
    (
        "choice",
        {"buttons": [{"name": "Go", "request": PATH}, {"name": "Site", "request": OPEN}]},
        ParsedTrace("choices", "[Go] [Site]", Choices((Choice("Go", PATH), Choice("Site", OPEN, "https://x")))),
    ),
    ("choice", {"buttons": [{"name": "Go", "request": "text"}, 7, {}]}, ParsedTrace("choices", "", Choices(()))),
    (
        "choice",
        {"choices": [{"name": "Yes", "intent": "agree"}, {"name": "No"}]},
        ParsedTrace(
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
        ParsedTrace("card", "T\nD\n[Go]", Card("T", "D", "https://x", (Choice("Go", PATH),))),
    ),
    (
        "card",
        {"type": "Standard", "title": "T", "text": "D", "image": {"smallImageUrl": "https://s"}},
        ParsedTrace("card", "T\nD", Card("T", "D", "https://s")),
    ),
    (
        "carousel",
        {"layout": "Carousel", "cards": [{"title": "A"}, {"title": "B", "description": "b"}]},
        ParsedTrace("carousel", "A\nB\nb", Cards((Card("A"), Card("B", "b")))),
    ),
    ("carousel", {"layout": "List", "cards": [{"title": "A"}]}, ParsedTrace("list", "A", Cards((Card("A"),), "list"))),
    ("carousel", {"layout": "carousel", "cards": None}, ParsedTrace("carousel", "", Cards(()))),
    ("completion", {"state": "start"}, ParsedTrace("delta", "", Delta("completion", first=True))),
    ("completion", {"state": "content", "content": "wor"}, ParsedTrace("delta", "wor", Delta("completion", "wor"))),
    ("completion", {"state": "end", "tokens": {"total": 9}}, ParsedTrace("delta", "", Delta("completion", last=True))),
    (
        "completion-start",
        {"type": "text", "completion": "Hel"},
        ParsedTrace("delta", "Hel", Delta("completion", "Hel", first=True)),
    ),
    ("completion-continue", {"completion": "lo"}, ParsedTrace("delta", "lo", Delta("completion", "lo"))),
    ("completion-end", {}, ParsedTrace("delta", "", Delta("completion", last=True))),
    ("audio", {"state": "start", "messageID": "m"}, ParsedTrace("delta", None, Delta("audio", first=True))),
    ("audio", {"state": "content", "content": CHUNK}, ParsedTrace("delta", None, Delta("audio", sound=b"\x01\x02"))),
    (
        "audio",
        {"state": "content", "audio": {"base64": CHUNK}},
        ParsedTrace("delta", None, Delta("audio", sound=b"\x01\x02")),
    ),
    (
        "audio",
        {"state": "content", "audio": "not base64!"},
        ParsedTrace("error", error="audio chunk: the sound is not base64"),
    ),
    (
        "audio",
        {"state": "content", "content": [7]},
        ParsedTrace("error", error="audio chunk: the sound is neither bytes nor base64"),
    ),
    (
        "audio",
        {"state": "content", "content": CHUNK, "encoding": "audio/amr"},
        ParsedTrace("error", error="audio chunk: unknown encoding 'audio/amr'"),
    ),
    (
        "speak",
        {"type": "message", "message": '<speak>Two <break time="1s"/>teas &amp; a cake, 3 < 4</speak>'},
        ParsedTrace("speak", "Two teas & a cake, 3 < 4", Text("Two teas & a cake, 3 < 4")),
    ),
    (
        "debug",
        {"message": "An internal error occurred."},
        ParsedTrace("error", "An internal error occurred.", error="An internal error occurred."),
    ),
    (
        "text",
        {"message": "Hi", "ref": {"type": "agent", "nodeID": "n7", "name": "Ada"}},
        ParsedTrace("text", "Hi", Text("Hi"), "n7"),
    ),
    ("no-reply", {"timeout": 10}, ParsedTrace("no_reply", "the bot continues after 10 s without a reply")),
    ("end", None, ParsedTrace("flow_ended", "the bot ended the conversation")),
    ("debug", {"type": "x", "message": "m"}, ParsedTrace("debug", "m")),
    (
        "debug",
        {"message": "matched intent **order** - confidence interval _90%_"},
        ParsedTrace("debug", "matched intent **order** - confidence interval _90%_", intent="order"),
    ),
    (
        "log",
        {"kind": "step.set", "level": "info", "message": {"stepID": "s1"}},
        ParsedTrace("log", "step.set info", node="s1"),
    ),
    ("block", {"blockID": "b1"}, ParsedTrace("block", node="b1")),
    ("flow", {"diagramID": "d1", "name": "Main"}, ParsedTrace("flow", "Main", node="d1")),
    ("path", {"path": "choice:1"}, ParsedTrace("path", "choice:1")),
    (
        "goto",
        {"request": {"type": "intent", "payload": {"intent": {"name": "order"}}}},
        ParsedTrace("path", "continues with intent", intent="order"),
    ),
    (
        "entity-filling",
        {"entityToFill": "size", "intent": "order"},
        ParsedTrace("debug", "asks for size", intent="order"),
    ),
    (
        "stream",
        {"src": "https://x/a.mp3", "token": "t", "action": "PLAY", "title": "Song"},
        ParsedTrace("audio", "Song", Media("audio", "https://x/a.mp3", "Song")),
    ),
    ("stream", {"src": "https://x/a.mp3", "token": "t", "action": "PAUSE"}, ParsedTrace("status", "PAUSE")),
    (
        "channel-action",
        {"name": "dial", "payload": {"to": 1}},
        ParsedTrace("custom", "dial", Custom("dial", {"to": 1})),
    ),
    ("knowledgeBase", {"chunks": [], "query": {"messages": [], "output": "42"}}, ParsedTrace("knowledge", "42")),
    ("knowledgeBase", {"contextType": "faq", "faqQuestion": "q", "faqAnswer": "a"}, ParsedTrace("knowledge", "a")),
    ("calendar", "any text", ParsedTrace("custom", "calendar", Custom("calendar", "any text"))),
]


@pytest.mark.parametrize(("kind", "payload", "parsed"), TABLE, ids=[f"{n}-{row[0]}" for n, row in enumerate(TABLE)])
def test_a_trace_is_read_as_the_vendor_describes_it(kind: str, payload: Any, parsed: ParsedTrace) -> None:
    assert parse_trace({"type": kind, "payload": payload}) == parsed


def test_the_table_has_every_known_type() -> None:
    assert {row[0] for row in TABLE} >= set(READERS)


@pytest.mark.parametrize(
    ("default_path", "default"),
    [(0, None), (1, 0), (2, None), (3, 1), (4, None), (5, None), (-1, None), (None, None), ("1", None)],
)
def test_the_paths_of_a_custom_action_are_its_options(default_path: Any, default: int | None) -> None:
    paths = [{"label": "no event"}, {"label": "Paid", "event": {"type": "paid"}}, 7, {"event": {"type": "failed"}}]
    trace = {"type": "pay", "payload": {"eur": 3}, "paths": paths, "defaultPath": default_path}
    options = (Choice("Paid", {"type": "paid"}), Choice("failed", {"type": "failed"}))
    assert parse_trace(trace).content == Custom("pay", {"eur": 3}, options, default)


@pytest.mark.parametrize(("default_path", "default"), [(0, 0), (1, 1), (2, None)])
def test_the_default_path_is_one_of_the_paths(default_path: int, default: int | None) -> None:
    paths = [{"event": {"type": "paid"}}, {"event": {"type": "failed"}}]
    content = parse_trace({"type": "pay", "paths": paths, "defaultPath": default_path}).content
    assert isinstance(content, Custom)
    assert content.default == default


def test_a_rich_text_that_is_nested_too_deeply_is_custom_data() -> None:
    deep: dict[str, Any] = {"text": "down here"}
    for _ in range(5000):
        deep = {"children": [deep]}
    assert parse_trace({"type": "text", "payload": {"slate": {"content": [deep]}}}).kind == "custom"


# Streams


def message_of(seq: int, trace: dict[str, Any]) -> Message:
    parsed = parse_trace(trace)
    row = dict.fromkeys(Trace._fields)
    row |= {"seq": seq, "kind": parsed.kind, "text": parsed.text, "elapsed_ms": NO_TIME}
    assert parsed.content
    return Message(parsed.content, Trace(**row))  # type: ignore[arg-type]


@pytest.mark.parametrize("names", [("completion",) * 3, ("completion-start", "completion-continue", "completion-end")])
def test_a_streamed_text_is_joined_from_its_pieces(names: tuple[str, str, str]) -> None:
    field = "content" if names[0] == "completion" else "completion"
    pieces = ["He", "llo, wo", "rld"]
    traces = [{"type": names[0], "payload": {"state": "start"}}]
    traces += [{"type": names[1], "payload": {"state": "content", field: piece}} for piece in pieces]
    traces += [{"type": names[2], "payload": {"state": "end"}}]
    streams = Streams()
    messages = [streams.add(message_of(n, trace)) for n, trace in enumerate(traces)]
    assert messages[:-1] == [[]] * 4
    assert [(whole.content, whole.trace.seq) for whole in messages[-1]] == [(Text("Hello, world"), 0)]
    assert not streams.rest()


def test_a_stream_without_a_last_piece_shows_the_pieces_that_came() -> None:
    streams = Streams()
    streams.add(message_of(0, {"type": "completion", "payload": {"state": "start"}}))
    streams.add(message_of(1, {"type": "completion", "payload": {"state": "content", "content": "Hel"}}))
    assert [rest.content for rest in streams.rest()] == [Text("Hel")]


@pytest.mark.parametrize("encoding", sorted(RATES))
def test_streamed_sound_becomes_a_wav_file(encoding: str) -> None:
    samples = tone(encoding, 0.5)
    half = len(samples) // 4 * 2
    states: list[dict[str, Any]] = [{"state": "start"}]
    states += [
        {"state": "content", "content": base64.b64encode(part).decode()} for part in (samples[:half], samples[half:])
    ]
    states += [{"state": "end"}]
    streams = Streams(encoding)
    (whole,) = [
        m for n, state in enumerate(states) for m in streams.add(message_of(n, {"type": "audio", "payload": state}))
    ]
    assert whole.audio == wav(encoding, samples)
    with wave.open(io.BytesIO(whole.audio)) as file:
        assert file.getframerate() == RATES[encoding]
        assert file.getnframes() == RATES[encoding] // 2
        loudest = max(abs(int.from_bytes(file.readframes(1), "little", signed=True)) for _ in range(file.getnframes()))
    assert 4000 < loudest < 7000


def test_mulaw_is_decoded_as_in_the_standard() -> None:
    linear = wav("audio/x-mulaw", bytes([0x00, 0x80, 0xFF, 0x7F, 0xF0, 0x70]))[-12:]
    values = [int.from_bytes(linear[n : n + 2], "little", signed=True) for n in range(0, 12, 2)]
    assert values == [-32124, 32124, 0, 0, 120, -120]


def test_an_incomplete_sample_at_the_end_of_pcm_is_dropped() -> None:
    assert wav("audio/pcm", b"\x01\x02\x03") == wav("audio/pcm", b"\x01\x02")


@pytest.mark.parametrize("encoding", sorted(RATES))
def test_speech_is_sent_in_three_chunks_of_whole_samples(encoding: str) -> None:
    traces: Any = Shaper(ids(), {"audioEvents": True, "audioEncoding": encoding}).traces(Text("two words"))
    states = [trace["payload"] for trace in traces if trace["type"] == "audio"]
    assert [state["state"] for state in states] == ["start", "content", "content", "content", "end"]
    chunks = [base64.b64decode(state["content"]) for state in states[1:-1]]
    assert b"".join(chunks) == tone(encoding, 0.4)
    assert [len(chunk) % 2 for chunk in chunks] == [0, 0, 0]


@pytest.mark.parametrize("config", [{"completionEvents": True}, {"completionEvents": False}, {}])
def test_pieces_of_a_text_are_sent_only_to_a_client_that_asks_for_them(config: Any) -> None:
    shapes = Shaper(ids(), config)
    steps = [Delta("s", "Hel", first=True), Delta("s", "lo", last=True)]
    traces = [trace["type"] for step in steps for trace in shapes.traces(step)]
    assert traces == (["completion", "completion"] if config.get("completionEvents") else ["text"])


def test_only_a_custom_trace_with_paths_names_them() -> None:
    shapes = Shaper(ids(), {})
    (without,), (with_paths,) = shapes.traces(Custom("map", {})), shapes.traces(Custom("map", {}, (Choice("Go"),)))
    assert without == {"type": "map", "payload": {}}
    assert with_paths["paths"] == [{"label": "Go", "event": {"type": "Go"}}]


def test_a_saved_transcript_has_numbered_turns_and_keeps_unknown_logs() -> None:
    read: Any = voiceflow.DIALECT.read_transcript
    said = {"type": "action", "data": {"type": "text", "payload": "hi"}}
    answer = {"type": "trace", "data": {"type": "text", "payload": {"message": "Hello"}}}
    records = [timed.record for timed in read([said, answer, said, {"type": "note", "data": {"type": "text"}}]).records]
    kinds = [(record.turn, record.kind) for record in records]
    first, second = [(1, "action"), (1, "text"), (1, "status")], [(2, "action"), (2, "custom"), (2, "status")]
    assert kinds == [*first, *second]


def test_only_action_trace_contains_a_trace() -> None:
    payload = {"trace": {"type": "text", "payload": {"message": "Hi"}}}
    assert voiceflow.DIALECT.content("action.trace", payload) == Text("Hi")
    assert voiceflow.DIALECT.content("action.status", payload) is None


# Malformed events


def junk(random: random.Random, depth: int = 0) -> Any:
    """Return random JSON, with the names of the protocol in unexpected places."""
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


@pytest.mark.slow
def test_the_client_survives_a_hundred_thousand_malformed_events() -> None:
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
        if any(isinstance(effect, Reconnect | Ended | Failed) for effect in effects):  # as the engine does
            client.closed(float(n))
            client.dial(float(n))
            client.opened(float(n))
            client.received("client.started", {"newSessionRequired": False}, float(n))
    for turn in range(100_000):
        client.abandon(turn, 0.0)
    client.timer(1e6)  # the late answers are not awaited any longer
    client.act(100_001, say("hi"), 1e6)
    ended = [
        effect
        for status in ("accepted", "completed")
        for effect in client.received("action.status", {"status": status}, 1e6)
    ]
    assert any(isinstance(effect, TurnDone) and effect.turn == 100_001 for effect in ended)


def test_records_of_malformed_events_can_be_shown() -> None:
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
    value = junk(chance)
    return value if isinstance(value, dict) else {"payload": value}


# Over the wire


def test_every_trace_type_of_a_flow_arrives_unchanged(hub: Hub) -> None:
    flow = Flow("every type")

    @flow.otherwise
    def send(turn: FlowTurn) -> None:
        for kind, payload, _ in TABLE:
            turn.raw("action.trace", {"trace": {"type": kind, "payload": payload}})

    with pytest.raises(TurnFailed) as failed:  # one of the traces reports a failure of the bot
        hub.connect("voiceflow", simulate=True, flow=flow).say("go")
    turn = failed.value.turn
    assert turn
    arrived = [trace for trace in turn.traces if trace.event == "action.trace"][1:]  # the first names the node
    assert [(t.kind, t.text, t.node, t.intent) for t in arrived] == [
        (parsed.kind, parsed.text, parsed.node, parsed.intent) for _, _, parsed in TABLE
    ]
    sent = [{**p, "token": masked("t")} if "token" in (p or {}) else p for _, p, _ in TABLE]
    assert [json.loads(t.payload)["trace"]["payload"] for t in arrived] == sent
    assert (turn.status, turn.reason) == ("failed", "An internal error occurred.")


def test_a_session_survives_thousands_of_malformed_events(hub: Hub) -> None:
    flow, chance = Flow("junk"), random.Random(13)  # noqa: S311

    @flow.on("junk")
    def send(turn: FlowTurn) -> None:
        for _ in range(3000):
            turn.raw(chance.choice(["action.trace", "session.created", "client.started", "error", "x"]), junk(chance))

    @flow.otherwise
    def echo(turn: FlowTurn) -> None:
        turn.say(f"You said {turn.text}")

    bot = hub.connect("voiceflow", simulate=True, flow=flow)
    with pytest.raises(TurnFailed) as failed:  # there are error events among them
        bot.say("junk")
    turn = failed.value.turn
    assert turn
    assert len(turn.traces) > 3000
    assert bot.say("hi").text == "You said hi"
    traces = bot.traces_df()
    assert list(traces["seq"]) == list(range(len(traces)))
    assert bot.transcript()
    assert len(bot.turns_df()) == 2


def test_the_api_key_is_sent_only_in_the_first_event(hub: Hub) -> None:
    pair = Pair()
    pair.connect()
    pair.act(1, say("hi"))
    pair.disconnect()
    pair.connect()
    carriers = {emit.event for emit in pair.of(Emit) if "VF.DM.planted-key" in repr(emit.args)}
    assert carriers == {"client.start"}
    assert "planted" not in repr(pair.client.dial(0.0))

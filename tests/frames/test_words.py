"""What a turn says and what its frame says are the same, after any events on any platform."""

import math
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from socketnb.conversation.turn import Turn
from socketnb.dialects import registry
from socketnb.dialects.messages import messages
from socketnb.frames import derived
from socketnb.frames.table import frame_of
from socketnb.model.actions import Action
from socketnb.model.effects import Ready, Record, TurnDone
from socketnb.model.secret import Secret
from socketnb.model.trace import NO_TIME, Trace
from socketnb.recording.recorder import Recorder

GIVEN: dict[str, dict[str, Any]] = {
    "cognigy": {"token": Secret("planted-token"), "user_id": "ana", "session_id": "session-1"},
    "voiceflow": {"project_id": "project-1", "api_key": Secret("VF.DM.planted-key"), "user_id": "ana"},
    "eusate": {"api_key": Secret("planted-eusate-key"), "session_id": "customer-1"},
}
WORDS = st.sampled_from(
    ["", " ", "Hel", "lo", "Hello", "one\ntwo", "Schöne Grüße", '<speak>Hi<break time="1s"/></speak>']
)
LABELS = st.lists(st.sampled_from(["Yes", "No", ""]), max_size=3)
IDS = st.sampled_from(["last", "last", "other", ""])
ODD = st.sampled_from(
    [None, 7, [], {}, "x", {"data": []}, {"type": None}, {"trace": {"type": {}}}, {"status_code": "x"}]
)


# Events of each platform. The word "last" as an id stands for the id of the last input.


def _cognigy_output(text: str, labels: list[str], stream: str, reason: str, data: Any) -> tuple[str, Any]:
    buttons = [{"title": label, "contentType": "postback", "payload": label} for label in labels]
    cards = [{"title": text, "subtitle": "card", "buttons": buttons}]
    formats = [{}, {"_quickReplies": {"text": text, "quickReplies": buttons}}, {"_gallery": {"items": cards}}]
    rich = formats[len(stream + reason) % 3]
    cognigy = {"_default": rich} if rich else {}
    cognigy |= ({"_messageId": stream} if stream else {}) | ({"_finishReason": reason} if reason else {})
    content = (data or {}) | ({"_cognigy": cognigy} if cognigy else {})
    return "output", {"type": "output", "data": {"text": text, "data": content, "source": "bot", "traceId": "t"}}


DATA = st.sampled_from(
    [None, None, {"order": {"id": 1}}, {"attachments": [{"fileName": "a.png", "mimeType": "image/png"}]}]
)
COGNIGY = st.one_of(
    st.builds(
        _cognigy_output, WORDS, LABELS, st.sampled_from(["", "s", "s", "t"]), st.sampled_from(["", "stop"]), DATA
    ),
    st.builds(lambda text: ("output", {"type": "output", "data": {"text": text, "source": "agent"}}), WORDS),
    st.sampled_from(
        [("finalPing", {"type": "regular"}), ("output", {"type": "finalPing", "data": {"type": "regular"}})]
    ),
    st.sampled_from([("output", {"type": "error", "data": {"error": "no"}}), ("output", {"type": "odd", "data": {}})]),
    st.sampled_from([("typingStatus", {"status": "typingOn"}), ("endpoint-ready", {}), ("exception", {"error": "no"})]),
    st.tuples(st.sampled_from(["output", "finalPing", "weather"]), ODD),
)


def _trace(kind: str, message_id: str, **payload: Any) -> tuple[str, Any]:
    return "action.trace", {"trace": {"type": kind, "payload": payload}, "messageID": message_id}


def _buttons(labels: list[str]) -> list[Any]:
    return [
        {"name": label, "request": {"type": f"path-{n}", "payload": {"label": label}}} for n, label in enumerate(labels)
    ]


def _card(text: str, labels: list[str]) -> dict[str, Any]:
    return {"title": text, "description": {"text": "card"}, "buttons": _buttons(labels)}


STATES = st.sampled_from(["start", "content", "content", "end"])
VOICEFLOW = st.one_of(
    st.builds(lambda words, i: _trace("text", i, message=words), WORDS, IDS),
    st.builds(lambda words, i: _trace("speak", i, message=words, src="https://x/a.mp3" if words else ""), WORDS, IDS),
    st.builds(lambda state, words, i: _trace("completion", i, state=state, content=words), STATES, WORDS, IDS),
    st.builds(lambda state, i: _trace("audio", i, state=state, content="AAAA"), STATES, IDS),
    st.builds(lambda labels, i: _trace("choice", i, buttons=_buttons(labels)), LABELS, IDS),
    st.builds(lambda words, labels, i: _trace("cardV2", i, **_card(words, labels)), WORDS, LABELS, IDS),
    st.builds(lambda words, labels, i: _trace("carousel", i, cards=[_card(words, labels)] * 2), WORDS, LABELS, IDS),
    st.builds(
        lambda kind, i: _trace(kind, i, image="https://x/a.png"), st.sampled_from(["visual", "fireworks", "end"]), IDS
    ),
    st.builds(
        lambda s, i: ("action.status", {"status": s, "messageID": i}), st.sampled_from(["accepted", "completed"]), IDS
    ),
    st.tuples(st.sampled_from(["action.trace", "action.status", "error", "weather"]), ODD),
)


def _support(event: str, text: str, sender: str, conversation: str, more: Any) -> tuple[str, Any]:
    data = {"message": text, "sender": sender, "ticket_chat_id": conversation, "date_created": "2026-11-20T10:31:00Z"}
    return event, {"status_code": 200, "message": "ok", "data": data | more}


FILES = {"attachment": True, "attachment_metadata": [{"name": "a.png", "url": "https://x/a.png", "extension": "png"}]}
MORE = st.sampled_from([{}, {}, FILES, {"close_support": True}, {"closed_support": True, "close_support": True}])
CHATS = st.sampled_from(["c1", "c1", "c2", ""])
EUSATE = st.one_of(
    st.builds(_support, st.just("support"), WORDS, st.just("sate"), CHATS, MORE),
    st.builds(
        _support, st.just("customer_support"), WORDS, st.sampled_from(["agent", "customer", "sate"]), CHATS, MORE
    ),
    st.builds(
        _support,
        st.sampled_from(["support_echo", "close_support", "enter_customer_support"]),
        WORDS,
        st.just("sate"),
        CHATS,
        MORE,
    ),
    st.builds(
        lambda chat, handler: (
            "support_handler_changed",
            {"status_code": 200, "data": {"ticket_chat_id": chat, "handler": handler, "agent": {"username": "Ada"}}},
        ),
        CHATS,
        st.sampled_from(["agent", "sate"]),
    ),
    st.tuples(st.sampled_from(["support", "customer_support", "weather", "error"]), ODD),
)
EVENTS = {"cognigy": COGNIGY, "voiceflow": VOICEFLOW, "eusate": EUSATE}
HANDSHAKES: dict[str, list[tuple[str, Any]]] = {
    "cognigy": [("endpoint-ready", {})],
    "voiceflow": [
        ("client.started", {"newSessionRequired": True}),
        ("session.created", {"sessionKey": "a-session-key"}),
    ],
    "eusate": [("enter_customer_support", {"status_code": 200, "data": {}})],
}


class Session:
    """A client machine with a log, which records what a driver would record."""

    def __init__(self, platform: str) -> None:
        dialect = registry.get(platform)
        defaults = {name: setting.default for name, setting in dialect.settings.items()}
        numbers = count(1)
        settings = dialect.settle({**defaults, "url": "http://127.0.0.1:1", **GIVEN[platform]})
        self.machine = dialect.client(settings, lambda: f"id{next(numbers)}")
        self.recorder = Recorder("r")
        self.log = self.recorder.log(platform, "bot", dialect.secret_fields)
        self.turns: dict[int, Turn] = {}
        self.sent: dict[int, float] = {}  # the running turns
        self.traces: list[Trace] = []
        self.last_id, self.now = "", 0.0
        self.machine.dial(self.now)
        self.perform(self.machine.opened(self.now))
        for event, payload in HANDSHAKES[platform]:
            self.perform(self.machine.received(event, payload, self.now))

    def perform(self, effects: Any) -> None:
        for effect in effects:
            if isinstance(effect, Record):
                self.record(effect)
            elif isinstance(effect, TurnDone):
                self.sent.pop(effect.turn, None)
            elif isinstance(effect, Ready):
                self.log.conversation = effect.conversation

    def record(self, record: Record) -> None:
        if record.kind == "action":
            self.sent[record.turn] = self.now if record.turn in self.sent else NO_TIME
            self.last_id = dict(record.payload or {}).get("messageID", self.last_id)  # type: ignore[call-overload]
        elapsed_ms = (self.now - self.sent.get(record.turn, NO_TIME)) * 1000
        trace = self.log.append(record, 1, int(self.now * 1e9), elapsed_ms)
        self.traces.append(trace)
        if turn := self.turns.get(trace.turn):
            turn.add(trace)

    def step(self, name: str, value: Any) -> None:
        self.now += 0.1
        if name == "act":
            number, action = len(self.turns) + 1, Action("text", {"text": "hi"})
            fake: Any = None
            self.turns[number] = Turn(
                number, action, name="bot", driver=fake, loop=fake, timeout=1.0, encoding="audio/x-mulaw"
            )
            self.sent[number] = NO_TIME
            self.perform(self.machine.act(number, action, self.now))
        elif name == "abandon" and self.sent:
            number = next(iter(self.sent))
            effects = self.machine.abandon(number, self.now)
            self.record(Record("timeout", "timeout", None, "local", turn=number, text="too late", final=True))
            self.sent.pop(number)
            self.perform(effects)
        elif name == "event":
            event, payload = value
            if isinstance(payload, dict) and payload.get("messageID") == "last":
                payload = {**payload, "messageID": self.last_id}
            self.perform(self.machine.received(event, payload, self.now))
        elif name == "wait":
            self.now += 10
            self.perform(self.machine.timer(self.now))

    def frame(self, compute: Callable[..., Any]) -> Any:
        self.recorder.flush()
        return compute(frame_of(self.recorder.store.table()))


def steps(platform: str) -> st.SearchStrategy[list[tuple[str, Any]]]:
    event = EVENTS[platform].map(lambda found: ("event", found))
    other = st.sampled_from([("act", None), ("act", None), ("abandon", None), ("wait", None)])
    return st.lists(st.one_of(event, event, event, other), max_size=25).map(lambda found: [("act", None), *found])


@pytest.mark.parametrize("platform", sorted(EVENTS))
@given(data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_the_words_of_a_turn_and_of_its_frame_are_the_same(platform: str, data: st.DataObject) -> None:
    session = Session(platform)
    for name, value in data.draw(steps(platform)):
        session.step(name, value)
    turns = session.frame(derived.turns).set_index("turn")
    shown = session.frame(derived.messages)
    whole = messages(session.traces)
    assert len(shown) == len(whole), "the frame and the transcript have the same messages"
    assert shown["seq"].tolist() == [message.trace.seq for message in whole]
    for number, turn in session.turns.items():
        if number not in turns.index:  # its action is not sent yet
            assert turn.text == ""
            continue
        row = turns.loc[number]
        assert turn.text == (row["reply_text"] if isinstance(row["reply_text"], str) else "")
        assert len(turn.messages) == row["messages"]
        assert " | ".join(choice.label for m in turn.messages for choice in m.choices) == (
            row["choices"] if isinstance(row["choices"], str) else ""
        )
        received = shown[(shown["turn"] == number) & (shown["sender"] != "user") & shown["unsolicited"]]
        assert len(received) == row["late_messages"]


@pytest.mark.parametrize("platform", sorted(EVENTS))
@given(data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_received_word_is_lost(platform: str, data: st.DataObject) -> None:
    session = Session(platform)
    for name, value in data.draw(steps(platform)):
        session.step(name, value)
    found = messages(session.traces)
    shown = sorted(trace.seq for message in found for trace in message.pieces or (message.trace,))
    assert len(set(shown)) == len(shown), "nothing is shown twice"
    with_text = {trace.seq for trace in session.traces if trace.kind in ("text", "speak", "delta") and trace.text}
    assert with_text <= set(shown)
    for message in found:
        assert "".join(trace.text or "" for trace in message.pieces) in message.text


def test_a_late_message_counts_neither_in_the_turn_nor_in_its_frame() -> None:
    session = Session("cognigy")
    late = {"type": "output", "data": {"text": "late", "source": "bot"}}
    for name, value in [("act", None), ("event", ("output", late)), ("abandon", None), ("event", ("output", late))]:
        session.step(name, value)
    (turn,) = session.frame(derived.turns).to_dict("records")
    assert (session.turns[1].text, turn["reply_text"], turn["messages"], turn["late_messages"]) == (
        "late",
        "late",
        1,
        1,
    )
    assert [math.isnan(trace.elapsed_ms) for trace in session.traces if trace.kind == "text"] == [False, True]


def test_a_streamed_message_that_has_only_data_is_a_message_everywhere() -> None:
    session = Session("cognigy")
    data = {"order": {"id": 1}, "_cognigy": {"_messageId": "s"}}
    for step in [("act", None), ("event", ("output", {"type": "output", "data": {"text": "", "data": data}}))]:
        session.step(*step)
    assert [message.data for message in session.turns[1].messages] == [{"order": {"id": 1}}]
    assert session.frame(derived.turns)["messages"].tolist() == [1]
    for columns in (["sender"], ["sender", "data"]):
        shown = session.frame(lambda traces, names=columns: derived.messages(traces, names))
        assert shown["sender"].tolist() == ["user", "bot"], "the columns do not decide which messages there are"

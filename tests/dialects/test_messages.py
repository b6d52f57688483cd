"""Messages: what every type of content says and its buttons, and the pieces of streams."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from typing import Any, get_args

import pytest

from socketnb.dialects import registry
from socketnb.dialects.messages import Message, Streams, buttons, messages, spoken
from socketnb.model.content import (
    AdaptiveCard,
    Card,
    Cards,
    Choice,
    Choices,
    Content,
    Custom,
    DatePicker,
    Delta,
    Media,
    RatingRequest,
    Text,
    UserInput,
)
from socketnb.model.json import as_dict
from socketnb.model.trace import NO_TIME, SCHEMA, Trace

A, B, PAGE = Choice("A", {"text": "a"}), Choice("B", {"text": "b"}), Choice("Page", url="https://example.org")
CONTENTS: list[tuple[Content, tuple[Choice, ...]]] = [
    (Text("hi"), ()),
    (Choices((A, PAGE, B)), (A, B)),
    (Media("image", options=(PAGE, A)), (A,)),
    (Card(options=(A,)), (A,)),
    (Cards((Card(options=(A, PAGE)), Card()), options=(B,)), (A, B)),
    (Delta("stream", "hi"), ()),
    (UserInput("text", "hi"), ()),
    (Custom("seats", options=(A, B)), (A, B)),
    (AdaptiveCard({}, (A, PAGE)), (A,)),
    (DatePicker("Visit"), ()),
    (RatingRequest(), ()),
]


@pytest.mark.parametrize(("content", "expected"), CONTENTS)
def test_the_buttons_of_a_content_are_those_that_can_be_pressed(content: Content, expected: tuple[Choice, ...]) -> None:
    assert buttons(content) == expected


def test_every_type_of_content_is_tested_and_no_content_has_no_buttons() -> None:
    assert {type(content) for content, _ in CONTENTS} == set(get_args(Content))
    assert buttons(None) == ()


SAID: list[tuple[Content, str]] = [
    (Text("hi"), "hi"),
    (Choices((A, B), "Well?"), "Well?"),
    (Choices((A,)), ""),
    (Media("image", "https://x", "a dog", options=(A,)), "a dog"),
    (Card("Shoes", "blue", options=(A,)), "Shoes\nblue"),
    (Cards((Card("Shoes", options=(A,)), Card(text="blue")), "list", "Look:", (B,)), "Look:\nShoes\nblue"),
    (Delta("stream", "hi"), "hi"),
    (UserInput("text", "hi"), "hi"),
    (Custom("seats", {"rows": 3}, (A,)), ""),
    (Custom("seats", text="Where?"), "Where?"),
    (AdaptiveCard({}, (A,), "Stay in touch"), "Stay in touch"),
    (DatePicker("Visit"), "Visit"),
    (DatePicker("Visit", text="When?"), "When?"),
    (RatingRequest("How was it?"), "How was it?"),
]


@pytest.mark.parametrize(("content", "words"), SAID)
def test_a_message_says_its_texts_without_labels_and_names_of_types(content: Content, words: str) -> None:
    assert spoken(content) == words
    assert Message(content, trace(text="[A] [B]")).text == words


def test_every_type_of_content_says_something_and_no_content_says_nothing() -> None:
    assert {type(content) for content, _ in SAID} == set(get_args(Content))
    assert spoken(None) == ""


def test_the_representation_of_a_message_is_short_and_names_sender_text_and_buttons() -> None:
    said = Message(Choices((A, B), "Well?"), trace(sender="bot"))
    assert repr(said) == "<message from bot: 'Well?', buttons: ['A', 'B']>"
    long = repr(Message(Text("x" * 10_000), trace(sender="agent")))
    assert long.startswith("<message from agent: 'xxx")
    assert len(long) < 250
    assert repr(Message(Media("image", "https://x"), trace(sender="bot", kind="image"))) == "<message from bot: image>"


def trace(**fields: Any) -> Trace:
    row: dict[str, Any] = {name: column.blank for name, column in SCHEMA.items()}
    return Trace(**{**row, "platform": "cognigy", "payload": "{}", **fields})


# Streams


def streamed(*pieces: Delta, **fields: Any) -> list[Message]:
    streams = Streams()
    found = [streams.add(Message(piece, trace(seq=n, kind="delta", **fields))) for n, piece in enumerate(pieces)]
    return [*itertools.chain(*found), *streams.rest()]


@pytest.mark.parametrize(
    ("first", "last", "text"), [("Hel", "lo", "Hello"), ("Hel", "", "Hel"), ("", "Hello", "Hello")]
)
def test_a_streamed_message_has_the_text_of_all_pieces(first: str, last: str, text: str) -> None:
    (found,) = streamed(Delta("s", first), Delta("s"), Delta("s", last, last=True))
    assert found.text == text


def test_the_text_of_streamed_sound_is_not_lost() -> None:
    (found,) = streamed(Delta("s", "Hi", b"x"), Delta("s", " you", last=True))
    assert (found.text, bool(found.audio)) == ("Hi you", True)


def test_the_pieces_before_a_stream_begins_again_are_a_message() -> None:
    again = streamed(Delta("s", "one", first=True), Delta("s", "two", first=True), Delta("s", "!", last=True))
    assert [message.text for message in again] == ["one", "two!"]
    assert [[piece.seq for piece in message.pieces] for message in again] == [[0], [1, 2]]


def test_a_piece_after_the_end_of_its_turn_is_another_message() -> None:
    streams = Streams()
    streams.add(Message(Delta("s", "Hel"), trace(turn=1, elapsed_ms=5.0)))
    late = streams.add(Message(Delta("s", "lo", last=True), trace(turn=1)))
    assert [message.text for message in late] == ["lo"]
    assert [message.text for message in streams.rest()] == ["Hel"]


# Data


@pytest.fixture
def carrying(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the field `data` of a payload be the data of a message."""
    dialect = replace(registry.get("cognigy"), data=lambda _, payload: as_dict(payload).get("data"))
    monkeypatch.setattr("socketnb.dialects.registry.get", lambda _name: dialect)


@pytest.mark.usefixtures("carrying")
@pytest.mark.parametrize("data", [None, {"id": 1}, [1], 0, "x"])
def test_a_message_has_the_data_of_its_payload(data: Any) -> None:
    assert Message(Text("hi"), trace(payload=json.dumps({"data": data}))).data == data


@pytest.mark.usefixtures("carrying")
@pytest.mark.parametrize(
    ("pieces", "data"), [([{"a": 1}, None, {"a": 2, "b": 3}], {"a": 2, "b": 3}), ([{"a": 1}, "x"], "x"), ([None], None)]
)
def test_the_data_of_any_piece_is_data_of_the_message(pieces: list[Any], data: Any) -> None:
    streams = Streams()
    for piece in pieces:
        streams.add(Message(Delta("s"), trace(payload=json.dumps({"data": piece}))))
    found = streams.rest()
    assert [message.data for message in found] == ([] if data is None else [data])
    assert all(message.text == "" for message in found)


# Actions that were not sent at once


def queued(turn: int, text: str) -> Trace:
    payload = json.dumps({"verb": "text", "text": text, "reason": "not sent: the link is down"})
    return trace(kind="queued", event="queued", sender="user", turn=turn, text=text, payload=payload, seq=turn)


def test_an_action_that_was_queued_and_then_sent_is_one_message() -> None:
    sent = json.dumps({"resetFlow": False, "text": "hi"})
    action = trace(kind="action", event="processInput", sender="user", turn=1, text="hi", payload=sent, seq=9)
    found = messages([queued(1, "hi"), queued(2, "other"), action])
    assert [(message.text, message.trace.kind) for message in found] == [("other", "queued"), ("hi", "action")]


@pytest.mark.parametrize(
    ("fields", "reply"),
    [({}, True), ({"elapsed_ms": NO_TIME}, False), ({"sender": "user"}, False), ({"direction": "out"}, False)],
)
def test_only_what_arrives_during_its_turn_is_a_reply(fields: dict[str, Any], reply: object) -> None:
    assert trace(**{"direction": "in", "sender": "bot", "elapsed_ms": 0.0, **fields}).is_reply == reply

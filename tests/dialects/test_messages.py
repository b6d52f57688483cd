"""Messages: the buttons of every type of content."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from socketnb.dialects.messages import Message, Streams, buttons
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
from socketnb.model.trace import SCHEMA, Trace

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


def test_a_streamed_message_without_pieces_of_text_has_the_whole_text_of_its_last_piece() -> None:
    row: dict[str, Any] = {name: column.blank for name, column in SCHEMA.items()}
    streams, last = Streams(), Delta("s", last=True, whole="Hello")
    pieces = [streams.add(Message(delta, Trace(**row))) for delta in (Delta("s"), Delta("s"), last)]
    assert pieces[-1]
    assert pieces[-1].content == Text("Hello")

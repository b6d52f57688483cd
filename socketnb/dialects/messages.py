"""Messages: the displayable content of recorded traces, with the pieces of streams joined."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import assert_never

from socketnb.dialects import registry
from socketnb.dialects.base import DEFAULT_ENCODING
from socketnb.dialects.sound import RATES, wav
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
from socketnb.model.json import Json, as_dict, as_text
from socketnb.model.secret import clean
from socketnb.model.trace import CONTENT_KINDS, Trace

OFFERS = frozenset({"choices", "card", "carousel", "list", "image", "audio", "video", "adaptive", "custom"})
"""The kinds of traces that can have buttons."""


def buttons(content: Content | None) -> tuple[Choice, ...]:
    """Return the buttons of a content that can be pressed, in order. Buttons that only open a page are omitted."""
    return tuple(option for option in _options(content) if option.request)


def _options(content: Content | None) -> tuple[Choice, ...]:
    match content:
        case Choices(options) | Card(options=options) | Media(options=options):
            return options
        case Custom(options=options) | AdaptiveCard(options=options):
            return options
        case Cards(cards, options=options):
            return (*(option for card in cards for option in card.options), *options)
        case None | Text() | Delta() | UserInput() | DatePicker() | RatingRequest():
            return ()
        case _:
            assert_never(content)


@dataclass(frozen=True, slots=True)
class Message:
    """A message in a conversation: the displayable content of a trace, or of the joined pieces of a stream.

    Attributes:
        content: The text, buttons, cards or media.
        trace: The trace of the message. For a streamed message, the trace of its first piece.
    """

    content: Content
    trace: Trace

    @property
    def text(self) -> str:
        """The text of the message."""
        match self.content:
            case Text(text) | Delta(_, text) | UserInput(_, text):
                return text
            case _:
                return self.trace.text or ""

    @property
    def choices(self) -> tuple[Choice, ...]:
        """The buttons of the message that can be pressed, in order."""
        return buttons(self.content)

    @property
    def data(self) -> Json:
        """The data that the message carries besides its content, or None."""
        data: Json = registry.get(self.trace.platform).data(self.trace.event, parse(self.trace.payload))
        return data

    @property
    def audio(self) -> bytes | None:
        """The sound of a streamed message as a WAV file, or None."""
        return self.content.data or None if isinstance(self.content, Media) else None


def message(trace: Trace) -> Message | None:
    """Return the message of one trace, or None. It is parsed from the recorded, masked payload."""
    if trace.kind == "queued":
        return Message(queued_input(parse(trace.payload)), trace)
    if trace.kind not in CONTENT_KINDS and trace.kind not in ("action", "delta"):
        return None
    content = registry.get(trace.platform).content(trace.event, parse(trace.payload))
    if isinstance(content, UserInput) and content.text and trace.text:
        content = replace(content, text=trace.text)  # the label of a button, because only its payload was sent
    return None if content is None else Message(content, trace)


def queued_input(payload: Json) -> UserInput:
    """Return the action of the user in a trace of kind `queued`, recorded while an action is not sent yet."""
    fields = as_dict(payload)
    return UserInput(as_text(fields.get("verb")), as_text(fields.get("text")))


def parse(payload: str) -> Json:
    """Parse a recorded payload. Lone surrogates, which cannot be displayed, become question marks."""
    return _clean(json.loads(payload)) if "\\ud" in payload.casefold() else json.loads(payload)


def _clean(value: Json) -> Json:
    match value:
        case str():
            return clean(value)
        case list():
            return [_clean(item) for item in value]
        case dict():
            return {clean(key): _clean(item) for key, item in value.items()}
        case _:
            return value


class Streams:
    """Joins the pieces of streamed messages.

    Args:
        encoding: The encoding of streamed sound if the pieces do not contain it.
    """

    def __init__(self, encoding: str = DEFAULT_ENCODING) -> None:
        self._encoding = encoding
        self._open: dict[str, list[Message]] = {}

    def add(self, piece: Message) -> Message | None:
        """Add a message or piece. Return a complete message, or None for a piece that is not the last of its stream."""
        if not isinstance(delta := piece.content, Delta):
            return piece
        if delta.first or delta.stream not in self._open:
            self._open[delta.stream] = []
        self._open[delta.stream].append(piece)
        return self._joined(self._open.pop(delta.stream)) if delta.last else None

    def rest(self) -> list[Message]:
        """Return the streamed messages whose last piece has not arrived, with the pieces received so far."""
        return [joined for pieces in self._open.values() if (joined := self._joined(pieces))]

    def _joined(self, pieces: list[Message]) -> Message | None:
        deltas = [piece.content for piece in pieces if isinstance(piece.content, Delta)]
        sound = b"".join(delta.sound for delta in deltas)
        if sound:
            encoding = next((delta.encoding for delta in deltas if delta.encoding), self._encoding)
            if encoding in RATES:
                return Message(Media("audio", data=wav(encoding, sound)), pieces[0].trace)
            url = f"data:{encoding};base64,{base64.b64encode(sound).decode()}"
            return Message(Media("audio", url), pieces[0].trace)
        text = "".join(delta.text for delta in deltas) or deltas[-1].whole
        return Message(Text(text), pieces[0].trace) if text else None


def messages(traces: Iterable[Trace], encoding: str = DEFAULT_ENCODING) -> list[Message]:
    """Return the messages of traces, in the order in which they began."""
    streams = Streams(encoding)
    complete = [joined for piece in map(message, traces) if piece and (joined := streams.add(piece))]
    return sorted(complete + streams.rest(), key=lambda joined: joined.trace.seq)

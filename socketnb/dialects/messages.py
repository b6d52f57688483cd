"""Messages: the displayable content of recorded traces, with the pieces of streams joined.

`spoken` defines what a message says. It is the text of a message, of a turn and of the column `reply_text`.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar, assert_never

from socketnb.dialects import registry
from socketnb.dialects.base import DEFAULT_ENCODING, no_data
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

T = TypeVar("T")
PLAIN_KINDS = frozenset({"text", "speak"})
"""The kinds of traces whose text is exactly what the message says."""
OFFERS = frozenset({"choices", "card", "carousel", "list", "image", "audio", "video", "adaptive", "custom"})
"""The kinds of traces that can have buttons."""
MAX_REPR_CHARS = 200
"""The maximum number of characters of a text in the representation of its message."""


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


def spoken(content: Content | None) -> str:
    """Return what a content says, one part per line.

    These are its texts, captions, questions, and the titles and texts of its cards. The labels of buttons and the names
    of types are not said.
    """
    match content:
        case Card(title, text):
            return _lines(title, text)
        case Cards(cards, text=text):
            return _lines(text, *map(spoken, cards))
        case DatePicker(label, text=text):
            return text or label
        case Text(text) | Choices(text=text) | Media(text=text) | Delta(text=text) | UserInput(text=text):
            return text
        case Custom(text=text) | AdaptiveCard(text=text) | RatingRequest(text):
            return text
        case None:
            return ""
        case _:
            assert_never(content)


def _lines(*parts: str) -> str:
    return "\n".join(filter(None, parts))


@dataclass(frozen=True, slots=True, repr=False)
class Message:
    """A message in a conversation: the displayable content of a trace, or of the joined pieces of a stream.

    Attributes:
        content: The text, buttons, cards or media.
        trace: The trace of the message. For a streamed message, the trace of its first piece.
        pieces: The traces of all pieces of a streamed message.
    """

    content: Content
    trace: Trace
    pieces: tuple[Trace, ...] = ()

    @property
    def text(self) -> str:
        """What the message says: texts, captions, and the titles and texts of cards, without labels of buttons."""
        return spoken(self.content)

    @property
    def choices(self) -> tuple[Choice, ...]:
        """The buttons of the message that can be pressed, in order."""
        return buttons(self.content)

    @property
    def data(self) -> Json:
        """The data that the message carries besides its content, or None. The data of streamed pieces is merged."""
        read = registry.get(self.trace.platform).data
        if read is no_data:
            return None
        return merged_data(read(trace.event, parse(trace.payload)) for trace in self.pieces or (self.trace,))

    @property
    def audio(self) -> bytes | None:
        """The sound of a streamed message as a WAV file, or None."""
        return self.content.data or None if isinstance(self.content, Media) else None

    def __repr__(self) -> str:
        text, labels = self.text, [choice.label for choice in self.choices]
        says = repr(text if len(text) <= MAX_REPR_CHARS else f"{text[:MAX_REPR_CHARS]}…") if text else self.trace.kind
        return f"<message from {self.trace.sender}: {says}{f', buttons: {labels}' if labels else ''}>"


def merged_data(found: Iterable[Json]) -> Json:
    """Return the data of several pieces: one object with all fields, or the last value if one is not an object."""
    values = [value for value in found if value is not None]
    objects = [value for value in values if isinstance(value, dict)]
    if len(objects) < len(values):
        return values[-1]
    return {name: value for fields in objects for name, value in fields.items()} or None


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


class StreamPieces(Generic[T]):
    """Groups the pieces of streams. Each group is one message.

    A stream that begins again before its last piece has arrived begins a new group.

    Args:
        limit: The maximum number of streams whose last piece has not arrived. Above it, the oldest one ends.
    """

    def __init__(self, limit: float = math.inf) -> None:
        self._limit = limit
        self._open: dict[Hashable, list[T]] = {}

    def add(self, stream: Hashable, delta: Delta, piece: T) -> list[list[T]]:
        """Add a piece of a stream. Return the groups that this ends."""
        ended = [self._open.pop(stream)] if delta.first and stream in self._open else []
        self._open.setdefault(stream, []).append(piece)
        if delta.last:
            ended.append(self._open.pop(stream))
        elif len(self._open) > self._limit:
            ended.append(self._open.pop(next(iter(self._open))))
        return ended

    def rest(self) -> list[list[T]]:
        """Return the groups that have not ended."""
        return list(self._open.values())


def joined(pieces: Sequence[Delta], encoding: str = DEFAULT_ENCODING) -> Content | None:
    """Return the content of a streamed message, or None if its pieces have none.

    Args:
        pieces: The pieces, in order.
        encoding: The encoding of streamed sound if the pieces do not contain it.
    """
    text = "".join(piece.text for piece in pieces)
    if sound := b"".join(piece.sound for piece in pieces):
        encoding = next((piece.encoding for piece in pieces if piece.encoding), encoding)
        if encoding in RATES:
            return Media("audio", text=text, data=wav(encoding, sound))
        url = f"data:{encoding};base64,{base64.b64encode(sound).decode()}"
        return Media("audio", url, text)
    return Text(text) if text else None


class Streams:
    """Joins the pieces of streamed messages. A piece that arrives after the end of its turn begins another message.

    Args:
        encoding: The encoding of streamed sound if the pieces do not contain it.
    """

    def __init__(self, encoding: str = DEFAULT_ENCODING) -> None:
        self._encoding = encoding
        self._pieces: StreamPieces[Message] = StreamPieces()

    def add(self, piece: Message) -> list[Message]:
        """Add a message or piece. Return the messages that are complete now.

        This is the message itself, or the message of a stream that ends or begins again.
        """
        if not isinstance(delta := piece.content, Delta):
            return [piece]
        trace = piece.trace
        return self._messages(self._pieces.add((delta.stream, trace.turn, math.isnan(trace.elapsed_ms)), delta, piece))

    def rest(self) -> list[Message]:
        """Return the streamed messages whose last piece has not arrived, with the pieces received so far."""
        return self._messages(self._pieces.rest())

    def _messages(self, groups: list[list[Message]]) -> list[Message]:
        return [message for pieces in groups if (message := self._joined(pieces))]

    def _joined(self, pieces: list[Message]) -> Message | None:
        content = joined([piece.content for piece in pieces if isinstance(piece.content, Delta)], self._encoding)
        streamed = Message(content or Text(""), pieces[0].trace, tuple(piece.trace for piece in pieces))
        return streamed if content or streamed.data is not None else None


def messages(traces: Iterable[Trace], encoding: str = DEFAULT_ENCODING) -> list[Message]:
    """Return the messages of traces of one session, in the order in which they began.

    An action of the user that was queued and then sent is one message.
    """
    traces = list(traces)
    shown = {trace.turn for trace in traces if trace.kind == "action"}
    streams = Streams(encoding)
    complete: list[Message] = []
    for trace in traces:
        if trace.kind == "queued":
            if trace.turn in shown:
                continue
            shown.add(trace.turn)
        if piece := message(trace):
            complete += streams.add(piece)
    return sorted(complete + streams.rest(), key=lambda found: found.trace.seq)

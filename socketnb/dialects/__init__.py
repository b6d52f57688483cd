"""The dialects: each platform's protocol as two pure machines, a client and a server.

The law of this folder:
* A machine takes plain inputs and returns a list of frozen effects. It performs nothing itself.
* No IO, thread, clock, randomness or id of its own: time and ids come in as arguments.
* No dialect knows another. What differs between platforms is data in the dialect's module.
* An unknown event or trace type is never an error: it is recorded with kind `custom`, payload intact. A malformed
  one is recorded with kind `error`, and the conversation goes on.

Because nothing here touches the world, a client and a server machine can be played against each other with a list
as the network, against a transcript written from the vendor's page, and over a real socket, by the same tests.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from socketnb.errors import SettingsError, unknown
from socketnb.records import (
    CONTENT_KINDS,
    Answer,
    Card,
    Cards,
    Choice,
    Choices,
    Content,
    Custom,
    Delta,
    Did,
    Media,
    Record,
    Text,
    clean,
)
from socketnb.sound import RATES, wav

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from socketnb.records import (
        Action,
        Address,
        ClientEffect,
        Request,
        ServerEffect,
        Setting,
        Step,
        Trace,
        Verb,
    )

PLATFORMS = ("cognigy", "eusate", "voiceflow")


class ClientMachine(Protocol):
    """One conversation as the client sees it. It outlives its links.

    `now` is a monotonic clock in seconds. `deadline` is when `timer` wants to be called, or None.
    """

    deadline: float | None

    def dial(self, now: float) -> Address:
        """Begin a link: say where it goes, and start the clock of its handshake."""

    def opened(self, now: float) -> Sequence[ClientEffect]:
        """The link is open."""

    def act(self, turn: int, action: Action, now: float) -> Sequence[ClientEffect]:
        """The user acts, at any time: what cannot be sent yet waits in line."""

    def abandon(self, turn: int, now: float) -> Sequence[ClientEffect]:
        """Nobody waits for this turn any more."""

    def received(self, event: str, payload: Any, now: float) -> Sequence[ClientEffect]:
        """An event came; `payload` is its argument, a list of them, or None."""

    def timer(self, now: float) -> Sequence[ClientEffect]:
        """`deadline` has passed."""

    def acked(self, name: str, args: Sequence[Any], now: float) -> Sequence[ClientEffect]:  # noqa: ARG002
        """The server has acknowledged an event that was sent under this name."""
        return []

    def fetched(self, name: str, status: int, body: bytes, now: float) -> Sequence[ClientEffect]:  # noqa: ARG002
        """What was asked for with `Fetch` came; status 0: it failed, and `body` says why."""
        return []

    def closed(self, now: float) -> Sequence[ClientEffect]:
        """The link is gone."""


class ServerMachine(Protocol):
    """A whole endpoint: every link and every conversation.

    `now` is seconds since 1970. `deadline` is when `timer` wants to be called, or None. `path` is where Socket.IO
    is served, in a `namespace`, and `prefix` what the endpoint's url has after the host.
    """

    deadline: float | None
    path: str
    prefix: str = ""
    namespace: str = "/"

    def opened(self, link: str, query: Mapping[str, str], now: float) -> Sequence[ServerEffect]:
        """A client connects; `query` is decoded once."""

    def received(self, link: str, event: str, payload: Any, now: float) -> Sequence[ServerEffect]:
        """A client sent an event."""

    def acked(self, link: str, name: str, args: Sequence[Any], now: float) -> Sequence[ServerEffect]:  # noqa: ARG002
        """A client has acknowledged an event that was sent under this name."""
        return []

    def request(self, request: Request, now: float) -> Sequence[ServerEffect]:  # noqa: ARG002
        """An HTTP request came; an `Answer` is among the effects."""
        return [Answer(404, {"error": "there is nothing here"})]

    def conversation(self, to: str | None) -> str:  # noqa: ARG002
        """Return the conversation of a user's or a session's id, or the one that was used last.

        Raises:
            SettingsError: there is none, or the platform knows no way to speak up in one.
        """
        raise SettingsError("on this platform nobody but the flow can speak up")

    def inject(self, conversation: str, text: str, data: Any, now: float) -> Sequence[ServerEffect]:  # noqa: ARG002
        """Let the flow answer as if the user had said this."""
        return []

    def notify(self, conversation: str, text: str, data: Any, now: float) -> Sequence[ServerEffect]:  # noqa: ARG002
        """Send the user a message, past the flow."""
        return []

    def close(self, conversation: str, now: float) -> Sequence[ServerEffect]:  # noqa: ARG002
        """Close a conversation for the user."""
        raise SettingsError("on this platform conversations are not closed for the user")

    def leave_call(self, conversation: str, now: float) -> Sequence[ServerEffect]:  # noqa: ARG002
        """Let the bot leave the voice call of a conversation."""
        raise SettingsError("on this platform there are no calls")

    def closed(self, link: str, now: float, *, goodbye: bool = False) -> Sequence[ServerEffect]:
        """A client's link is gone, with a goodbye or without; its conversation stays."""

    def put(self, conversation: str, step: Step, now: float) -> Sequence[ServerEffect]:
        """The flow has something to show."""

    def done(self, conversation: str, error: str | None, now: float) -> Sequence[ServerEffect]:
        """The flow is done with this turn, or broke."""

    def timer(self, now: float) -> Sequence[ServerEffect]:
        """`deadline` has passed."""

    def fault(self, name: str) -> Sequence[ServerEffect]:
        """Arm one of the dialect's `FAULTS`, or do it at once."""


class Dialect(Protocol):
    """What a dialect's module offers."""

    NAME: str
    TITLE: str
    SETTINGS: dict[str, Setting]
    VERBS: dict[str, Verb]
    SECRET_FIELDS: frozenset[str]
    PLACE: tuple[str, ...]
    KEPT: tuple[str, ...]
    TALKS: int
    FAULTS: dict[str, str]
    OPTIONS: dict[str, Setting]

    def settled(self, settings: dict[str, Any]) -> dict[str, Any]:
        """Return settings that depend on each other as they belong together.

        Raises:
            SettingsError: they do not.
        """

    def client(self, settings: Mapping[str, Any], ids: Callable[[], str]) -> ClientMachine:
        """Return the client machine of one conversation; `ids` gives a new unique string at each call."""

    def server(self, settings: Mapping[str, Any], ids: Callable[[], str], options: Mapping[str, Any]) -> ServerMachine:
        """Return the server machine of one endpoint; `options` has a value for each of `OPTIONS`."""

    def simulated(self, ids: Callable[[], str]) -> dict[str, Any]:
        """Return made-up settings for a simulator, as `connect` takes them, but for its address."""

    def content(self, event: str, payload: Any) -> Content | None:
        """Return what a person sees of a recorded event, or None."""


def get(name: object) -> Dialect:
    """Return the dialect of a platform.

    Raises:
        SettingsError: there is no such platform.
    """
    if name == "voiceflow":
        from socketnb.dialects import voiceflow

        return voiceflow
    if name == "cognigy":
        from socketnb.dialects import cognigy

        return cognigy
    if name == "eusate":
        from socketnb.dialects import eusate

        return eusate
    raise SettingsError(unknown("platform", name, PLATFORMS))


OFFERS = frozenset({"choices", "card", "carousel", "list", "image", "audio", "video", "adaptive", "custom"})
"""Kinds of traces that may have buttons."""


def buttons(content: Content | None) -> tuple[Choice, ...]:
    """Return the buttons of a content, in order; those that only open a page are not among them."""
    match content:
        case Choices(options) | Card(options=options) | Media(options=options) | Custom(options=options):
            found = options
        case Cards(cards, options=below):
            found = (*(option for card in cards for option in card.options), *below)
        case _:
            found = ()
    return tuple(option for option in found if option.request)


@dataclass(frozen=True, slots=True)
class Message:
    """What a person sees of a trace: its content, beside the trace itself (of a stream: its first)."""

    content: Content
    trace: Trace

    @property
    def text(self) -> str:
        """The words of the message."""
        match self.content:
            case Text(text) | Delta(_, text) | Did(_, text):
                return text
            case _:
                return self.trace.text or ""

    @property
    def choices(self) -> tuple[Choice, ...]:
        """The buttons of the message, in order; those that only open a page are not among them."""
        return buttons(self.content)

    @property
    def audio(self) -> bytes | None:
        """The sound of the message as a WAV file, if it was streamed."""
        return self.content.data or None if isinstance(self.content, Media) else None


def message(trace: Trace) -> Message | None:
    """Return what a person sees of one trace, or None. Read from the recorded payload: credentials are masked."""
    if trace.kind not in CONTENT_KINDS and trace.kind not in ("action", "delta"):
        return None
    content = get(trace.platform).content(trace.event, parse(trace.payload))
    if isinstance(content, Did) and content.text and trace.text:
        content = replace(content, text=trace.text)  # the label that was pressed, where only its payload travels
    return None if content is None else Message(content, trace)


def parse(payload: str) -> Any:
    """Return a recorded payload as it was, but for halves of characters, which nothing can show."""
    return _clean(json.loads(payload)) if "\\ud" in payload.casefold() else json.loads(payload)


def _clean(value: Any) -> Any:
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
    """Puts the pieces of streamed messages together.

    Args:
        encoding: how streamed sound is encoded, where its pieces do not say.
    """

    def __init__(self, encoding: str = "audio/x-mulaw") -> None:
        self._encoding = encoding
        self._open: dict[str, list[Message]] = {}

    def add(self, shown: Message) -> Message | None:
        """Return a message as it is, a stream when it is whole, and nothing for its pieces before that."""
        if not isinstance(piece := shown.content, Delta):
            return shown
        if piece.first or piece.stream not in self._open:
            self._open[piece.stream] = []
        self._open[piece.stream].append(shown)
        return self._whole(self._open.pop(piece.stream)) if piece.last else None

    def rest(self) -> list[Message]:
        """Return the streams that are not whole, as far as they came."""
        return [whole for pieces in self._open.values() if (whole := self._whole(pieces))]

    def _whole(self, pieces: list[Message]) -> Message | None:
        deltas = [shown.content for shown in pieces if isinstance(shown.content, Delta)]
        sound = b"".join(delta.sound for delta in deltas)
        if sound:
            encoding = next((d.encoding for d in deltas if d.encoding), self._encoding)
            if encoding in RATES:
                return Message(Media("audio", data=wav(encoding, sound)), pieces[0].trace)
            address = f"data:{encoding};base64,{base64.b64encode(sound).decode()}"
            return Message(Media("audio", address), pieces[0].trace)
        text = "".join(delta.text for delta in deltas) or deltas[-1].whole
        return Message(Text(text), pieces[0].trace) if text else None


def messages(traces: Iterable[Trace], encoding: str = "audio/x-mulaw") -> list[Message]:
    """Return what a person sees of traces, streams put together, in the order in which each began."""
    streams = Streams(encoding)
    found = [whole for shown in map(message, traces) if shown and (whole := streams.add(shown))]
    return sorted(found + streams.rest(), key=lambda shown: shown.trace.seq)


def misread(event: str, payload: Any, what: str, turn: int) -> Record:
    """Return the record of a malformed event."""
    return Record(event, "error", payload, turn=turn, error=f"malformed {event}: {what}")


# Reading JSON from a stranger: a value of the wrong type counts as empty, and nothing raises.


def as_dict(value: Any) -> dict[str, Any]:
    """Return an object, or an empty one."""
    return value if isinstance(value, dict) else {}


def as_list(value: Any) -> list[Any]:
    """Return a list, or an empty one."""
    return value if isinstance(value, list) else []


def as_text(value: Any) -> str:
    """Return a text, or an empty one."""
    return value if isinstance(value, str) else ""

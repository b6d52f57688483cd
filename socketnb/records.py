"""The vocabulary that passes between the layers: frozen data and no IO.

What a user does is an `Action`. A dialect's machine answers every input with effects (`Emit`, `Record`, `Ready`,
`TurnDone` …). What was observed becomes one `Trace`, a row of the schema in `COLUMNS`. What a person sees of a
trace is its `Content`, read back from the trace's payload, so that a live conversation and a reopened recording
show the same thing.
"""

from __future__ import annotations

import hashlib
import math
import re
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Self

# ── Columns: schema version 1 ────────────────────────────────────────────────────────────────────────────────

COLUMNS: dict[str, str] = {
    "recording": "category",
    "platform": "category",
    "session": "category",
    "conversation": "category",
    "seq": "int64",
    "link": "int32",
    "turn": "int32",
    "at": "datetime64[ns, UTC]",
    "server_at": "datetime64[ns, UTC]",
    "elapsed_ms": "float64",
    "direction": "category",
    "event": "category",
    "kind": "category",
    "sender": "category",
    "text": "string",
    "node": "category",
    "intent": "category",
    "final": "bool",
    "error": "string",
    "bytes": "int32",
    "payload": "string",
}
CONTENT_KINDS = frozenset(
    "text speak choices card carousel list image audio video file visual adaptive date_picker custom".split()
)
"""The kinds that a person sees as a message."""

Direction = Literal["in", "out", "local"]
Sender = Literal["user", "bot", "agent", "system"]
Status = Literal["running", "completed", "rejected", "timeout", "cancelled", "failed"]


class Trace(NamedTuple):
    """One recorded event: one row, its fields in the order of `COLUMNS`.

    `at` and `server_at` are nanoseconds since 1970 in UTC, `elapsed_ms` is NaN outside a turn, `payload` is JSON
    text with credentials masked.
    """

    recording: str
    platform: str
    session: str
    conversation: str | None
    seq: int
    link: int
    turn: int
    at: int
    server_at: int | None
    elapsed_ms: float
    direction: Direction
    event: str
    kind: str
    sender: Sender
    text: str | None
    node: str | None
    intent: str | None
    final: bool
    error: str | None
    bytes: int
    payload: str


# ── What a person sees ───────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Choice:
    """A button: its label, and what the dialect sends when it is pressed. One with a `url` opens it instead."""

    label: str
    request: Any = None
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Text:
    """A piece of speech, Markdown where the sender is a bot."""

    text: str


@dataclass(frozen=True, slots=True)
class Choices:
    """Buttons to choose from, below a text where the platform sends both at once."""

    options: tuple[Choice, ...]
    text: str = ""


@dataclass(frozen=True, slots=True)
class Media:
    """A picture, sound, film or file: at a URL, or its bytes; below it, buttons."""

    kind: Literal["image", "audio", "video", "file"]
    url: str | None = None
    text: str = ""
    data: bytes = b""
    options: tuple[Choice, ...] = ()


@dataclass(frozen=True, slots=True)
class Card:
    """A title, a text, a picture, buttons, and a page that it opens; any of them may be missing."""

    title: str = ""
    text: str = ""
    image: str | None = None
    options: tuple[Choice, ...] = ()
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Cards:
    """Several cards, beside each other or in a list, with a text above and buttons below."""

    cards: tuple[Card, ...]
    layout: Literal["carousel", "list"] = "carousel"
    text: str = ""
    options: tuple[Choice, ...] = ()


@dataclass(frozen=True, slots=True)
class Delta:
    """A piece of a streamed message: of its words, or of its sound. `stream` tells streams apart.

    `whole` is what the message is if no other piece has words.
    """

    stream: str
    text: str = ""
    sound: bytes = b""
    encoding: str | None = None
    first: bool = False
    last: bool = False
    whole: str = ""


@dataclass(frozen=True, slots=True)
class Did:
    """What the user did: the verb, the words a person would read (none for a launch, say), and the data beside."""

    verb: str
    text: str = ""
    data: Any = None


@dataclass(frozen=True, slots=True)
class Custom:
    """Something we have no picture for: its name, its payload as it came, and what words it has.

    `options` are the ways on from it, if it names any; `default` is the number (from 0) of the one that is taken when
    nobody chooses.
    """

    name: str
    payload: Any = None
    options: tuple[Choice, ...] = ()
    default: int | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class Raw:
    """An event that a flow sends exactly as given; never a client's content."""

    event: str
    payload: Any = None


@dataclass(frozen=True, slots=True)
class End:
    """A flow ends the conversation."""


@dataclass(frozen=True, slots=True)
class Node:
    """A flow enters a handler."""

    name: str


@dataclass(frozen=True, slots=True)
class Typing:
    """A flow shows, or stops showing, that somebody is typing."""

    on: bool = True


@dataclass(frozen=True, slots=True)
class Queue:
    """A flow tells the user's place in the line for an agent, and the seconds that it will take."""

    position: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Handover:
    """A flow hands the conversation over to an agent, or (without a name) gets it back."""

    agent: str = ""


@dataclass(frozen=True, slots=True)
class AgentSays:
    """An agent says something, with a file's description (`name`, `url` …) or without."""

    text: str
    attachment: dict[str, Any] | None = None


Content = Text | Choices | Media | Card | Cards | Delta | Did | Custom
Step = Text | Choices | Media | Card | Cards | Delta | Custom | Raw | End | Node | Typing | Queue | Handover | AgentSays
"""What a flow can hand to a server machine."""


# ── What a user does, and what a dialect offers ──────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Action:
    """One thing the user does: a verb of the dialect and its fields. `at_once`: without waiting for the turn before.

    Where a session holds several conversations, `conversation` is the one that this is for: an id, "" for a new one,
    or None for the one that was spoken in last.
    """

    verb: str
    fields: dict[str, Any] = field(default_factory=dict)
    at_once: bool = False
    conversation: str | None = None


@dataclass(frozen=True, slots=True)
class Talk:
    """One of the conversations that a session holds.

    Attributes:
        id: the platform's id of it.
        handler: who answers: `bot` or `agent`; `agent` is the agent's name.
        unread: messages that were not marked as read.
        suggested: the platform suggests to close it.
        closed: it is over.
    """

    id: str
    handler: Literal["bot", "agent"] = "bot"
    agent: str = ""
    unread: int = 0
    suggested: bool = False
    closed: bool = False


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a verb."""

    name: str
    type: type
    required: bool = True


@dataclass(frozen=True, slots=True)
class Verb:
    """Something that users of a platform can do, in one line, with its fields in order."""

    help: str
    fields: tuple[Field, ...] = ()


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting of a dialect. `type` is what a value is converted to; `secret` ones are held as `Secret`.

    A `tuple` is several of `among`, in order; any other type with `among` is one of them.
    """

    help: str
    type: Any = str  # a class, or what a value is like: Callable
    default: Any = None
    required: bool = False
    secret: bool = False
    among: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Address:
    """Where and how a link is opened, and how a lost one is tried again.

    Times are seconds. `transports` are tried in order. `acks` are what to answer to an event whose sender asks for an
    acknowledgement; every other one is acknowledged with nothing. `advice` is what to do about a refusal.
    """

    url: str
    path: str
    transports: tuple[str, ...] = ("websocket",)
    namespace: str = "/"
    query: dict[str, str] = field(default_factory=dict)
    acks: dict[str, Any] = field(default_factory=dict)
    advice: str = ""
    attempts: float = 5
    delay: float = 1.0
    delay_max: float = 5.0

    def pause(self, attempt: int) -> float:
        """Return the seconds before an attempt (from 0) to reconnect: doubling from `delay` up to `delay_max`."""
        return min(self.delay * 2.0 ** min(attempt, 60), self.delay_max)


# ── Effects: what a machine wants done ───────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Emit:
    """Send an event. A server machine names the link; a client machine has only one.

    With an `ack`, the other side is asked to acknowledge, and the machine's `acked` is told so under that name.
    """

    event: str
    args: tuple[Any, ...] = ()
    link: str = ""
    ack: str = ""


class Record(NamedTuple):
    """Write one trace of an event, read as far as the dialect can read it. The one effect that every event has."""

    event: str
    kind: str
    payload: Any = None
    direction: Direction = "in"
    sender: Sender = "system"
    turn: int = 0
    text: str | None = None
    node: str | None = None
    intent: str | None = None
    server_at: int | None = None
    final: bool = False
    error: str | None = None
    conversation: str | None = None  # where a session holds several


@dataclass(frozen=True, slots=True)
class Credential:
    """A credential came over the wire: mask it from here on."""

    value: str


@dataclass(frozen=True, slots=True)
class Keep:
    """Keep a setting's value for a later kernel; an empty one is to be forgotten."""

    setting: str
    value: str


@dataclass(frozen=True, slots=True)
class Fetch:
    """Make an HTTP request, with a file as the form's field `file` if there is one; `fetched` is told under `name`."""

    name: str
    method: Literal["GET", "POST"]
    url: str
    headers: dict[str, str] = field(default_factory=dict)
    file: str | None = None


@dataclass(frozen=True, slots=True)
class Ready:
    """The conversation is open; `conversation` is its id, as a fingerprint where that id is a credential."""

    conversation: str | None


@dataclass(frozen=True, slots=True)
class Talks:
    """The conversations of the session are now these."""

    talks: tuple[Talk, ...]


@dataclass(frozen=True, slots=True)
class CallStarted:
    """A voice call has begun; times are as the platform gives them."""

    id: str
    conversation: str
    room: str
    token: Secret
    started: str
    turn: int


@dataclass(frozen=True, slots=True)
class CallEnded:
    """The voice call of this id is over."""

    id: str
    ended: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class TurnDone:
    """A turn is over."""

    turn: int
    status: Status
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Reconnect:
    """Leave this link and open the next at once; one that the server wants too often is made to wait."""

    reason: str
    wanted: bool = False  # by the user's side


@dataclass(frozen=True, slots=True)
class Failed:
    """The link cannot be made ready. After a refusal another attempt is not worth it."""

    reason: str
    how: Literal["refused", "timeout", "lost"]


@dataclass(frozen=True, slots=True)
class Ended:
    """The platform ended the conversation; the next action starts a new one."""

    reason: str


@dataclass(frozen=True, slots=True)
class Run:
    """Server: let the flow answer this user action in this conversation."""

    conversation: str
    did: Did


@dataclass(frozen=True, slots=True)
class Drop:
    """Server: this conversation is over; its flow need not be kept."""

    conversation: str


@dataclass(frozen=True, slots=True)
class Close:
    """Server: close this link."""

    link: str


@dataclass(frozen=True, slots=True)
class Reply:
    """Server: acknowledge the event that was just received with this."""

    payload: Any


@dataclass(frozen=True, slots=True)
class Refuse:
    """Server: refuse the link that is being opened, for this reason."""

    reason: str


@dataclass(frozen=True, slots=True)
class Request:
    """Server: an HTTP request to the endpoint, its JSON body or the file of its form read. `base` is the server's."""

    method: str
    path: str
    base: str
    headers: dict[str, str]
    body: Any = None
    file: tuple[str, str, bytes] | None = None  # name, media type, bytes
    query: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """Server: the answer to an HTTP request: JSON, or a file."""

    status: int
    body: Any = None
    file: tuple[str, str, bytes] | None = None


About = Ready | Credential | Keep | Talks | CallStarted | CallEnded | TurnDone
"""What a session is told of itself."""
ClientEffect = Emit | Record | Fetch | Reconnect | Failed | Ended | About
ServerEffect = Emit | Run | Drop | Close | Reply | Refuse | Answer


# ── Credentials ──────────────────────────────────────────────────────────────────────────────────────────────


def clean(text: str) -> str:
    """Return text that every encoding can hold: a lone surrogate becomes a question mark."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def fingerprint(value: str) -> str:
    """Return a short stable hash: it tells two credentials apart and gives neither away."""
    return hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()[:10]


MASK = re.compile(r"\*\*\*[0-9a-f]{10}")
"""What stands in a credential's place."""


def masked(value: str) -> str:
    """Return what stands in a credential's place."""
    return f"***{fingerprint(value)}"


class Secret(str):
    """A credential that gives itself only to who calls `reveal`: as a text, and so in JSON too, it is its masked form.

    Two are equal if their credentials are.
    """

    __slots__ = ("_value",)
    _value: str

    def __new__(cls, value: str) -> Self:
        """Hold a credential.

        Raises:
            TypeError: it is no text.
        """
        if not isinstance(value, str):
            raise TypeError(f"a Secret holds a text, not a {type(value).__name__}")
        plain = value.reveal() if isinstance(value, Secret) else value
        self = super().__new__(cls, masked(plain))
        self._value = plain
        return self

    def reveal(self) -> str:
        """Return the credential itself."""
        return self._value

    def __repr__(self) -> str:
        return f"Secret({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._value == other._value

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(self._value)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, _: dict[int, Any]) -> Self:
        return self

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        return str, (str(self),)

    def __getstate__(self) -> None:
        """Give nothing away."""


NO_TIME = math.nan
"""`elapsed_ms` outside a turn."""

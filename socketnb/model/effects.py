"""Effects: what a protocol machine asks for. A machine returns them, and the engine or the simulator performs them."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeAlias

from socketnb.model.actions import Conversation
from socketnb.model.content import UserInput
from socketnb.model.json import Json, JsonOut
from socketnb.model.secret import Secret
from socketnb.model.trace import Direction, Sender, Status


@dataclass(frozen=True, slots=True)
class Address:
    """Where and how a link is opened, and how often a lost one is opened again. Times are seconds.

    Attributes:
        url: The server's URL, without the path.
        path: The path of Socket.IO on the server.
        transports: `websocket` and `polling`, tried in order.
        namespace: The Socket.IO namespace.
        query: The parameters of the query string.
        acks: The answer to an event whose sender asks for an acknowledgement, by event. Other events are
            acknowledged without a value.
        advice: What to do about a refusal.
        attempts: How many attempts to reconnect are made after a lost link; may be infinite.
        delay: Seconds before the first of them. The delay doubles with each attempt.
        delay_max: The longest delay in seconds.
    """

    url: str
    path: str
    transports: tuple[str, ...] = ("websocket",)
    namespace: str = "/"
    query: dict[str, str] = field(default_factory=dict)
    acks: Mapping[str, JsonOut] = field(default_factory=dict)
    advice: str = ""
    attempts: float = 5
    delay: float = 1.0
    delay_max: float = 5.0


@dataclass(frozen=True, slots=True)
class Emit:
    """Send an event.

    Attributes:
        event: The name of the event.
        args: Its arguments.
        link: The link to send it over, for a server machine. A client machine has one link.
        ack: If not None, ask for an acknowledgement, and pass it to the machine's `acked` with this key.
    """

    event: str
    args: tuple[JsonOut, ...] = ()
    link: str = ""
    ack: Hashable = None


class Record(NamedTuple):
    """Write one trace. The fields are columns of the trace table; each event on the wire is recorded once."""

    event: str
    kind: str
    payload: JsonOut = None
    direction: Direction = "in"
    sender: Sender = "system"
    turn: int = 0
    text: str | None = None
    node: str | None = None
    intent: str | None = None
    server_at: int | None = None
    final: bool = False
    error: str | None = None
    conversation: str | None = None


@dataclass(frozen=True, slots=True)
class Credential:
    """A credential came over the wire: mask it from now on."""

    value: str


@dataclass(frozen=True, slots=True)
class Persist:
    """Save the value of a setting, so that a later kernel can resume the session. An empty value deletes it."""

    setting: str
    value: str


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """Make an HTTP request and pass the `HttpResponse` to the machine's `http_response`.

    Attributes:
        purpose: What the request is for; the machine recognises its response by it.
        method: GET or POST.
        url: The address.
        headers: The headers of the request.
        file: The path of a file to send as the field `file` of a form, or None.
    """

    purpose: Hashable
    method: Literal["GET", "POST"]
    url: str
    headers: dict[str, str] = field(default_factory=dict)
    file: str | None = None


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """The response to an `HttpRequest`. With status 0 there was none, and `body` says why."""

    purpose: Hashable
    status: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Ready:
    """The conversation is open. `conversation` is its id, or a fingerprint of the id if that is a credential."""

    conversation: str | None


@dataclass(frozen=True, slots=True)
class Conversations:
    """The conversations of the session have changed to these."""

    conversations: tuple[Conversation, ...]


@dataclass(frozen=True, slots=True)
class CallStarted:
    """A voice call has started. Times are as the platform gives them."""

    id: str
    conversation: str
    room: str
    token: Secret
    started: str
    turn: int


@dataclass(frozen=True, slots=True)
class CallEnded:
    """The voice call with this id has ended."""

    id: str
    ended: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class TurnDone:
    """A turn has ended."""

    turn: int
    status: Status
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Reconnect:
    """Close this link and open the next one at once.

    Attributes:
        reason: Why, for the trace.
        wanted: Whether the user asked for it. If the server asks too often, the next link is delayed.
    """

    reason: str
    wanted: bool = False


@dataclass(frozen=True, slots=True)
class Failed:
    """The link cannot be made ready. After a refusal no further attempt is made."""

    reason: str
    how: Literal["refused", "timeout", "lost"]


@dataclass(frozen=True, slots=True)
class Ended:
    """The platform has ended the conversation. The next action starts a new one."""

    reason: str


@dataclass(frozen=True, slots=True)
class RunFlow:
    """Server: let the flow of this conversation answer the user."""

    conversation: str
    user_input: UserInput


@dataclass(frozen=True, slots=True)
class EndFlow:
    """Server: the conversation is over; stop its flow and discard it."""

    conversation: str


@dataclass(frozen=True, slots=True)
class Close:
    """Server: close this link."""

    link: str


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """Server: acknowledge the event that was just received with this payload."""

    payload: JsonOut


@dataclass(frozen=True, slots=True)
class Refuse:
    """Server: refuse the link that is being opened."""

    reason: str


@dataclass(frozen=True, slots=True)
class HttpCall:
    """Server: an HTTP request to the endpoint.

    Attributes:
        method: GET, POST …
        path: The path of the URL.
        base: The URL of the server itself.
        headers: The headers by lower-case name.
        body: The JSON body, or None.
        file: The file of a form: its name, media type and bytes.
        query: The parameters of the query string.
    """

    method: str
    path: str
    base: str
    headers: dict[str, str]
    body: Json = None
    file: tuple[str, str, bytes] | None = None
    query: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class HttpReply:
    """Server: the reply to an HTTP call: JSON, or a file (its name, media type and bytes)."""

    status: int
    body: JsonOut = None
    file: tuple[str, str, bytes] | None = None


SessionUpdate: TypeAlias = Ready | Credential | Persist | Conversations | CallStarted | CallEnded | TurnDone
"""An effect that changes what the session knows about itself."""
ClientEffect: TypeAlias = Emit | Record | HttpRequest | Reconnect | Failed | Ended | SessionUpdate
ServerEffect: TypeAlias = Emit | RunFlow | EndFlow | Close | Acknowledge | Refuse | HttpReply

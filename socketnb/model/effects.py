"""Effects: the instructions that a protocol machine returns. The engine or the simulator performs them."""

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
    """The address of a link, its connection settings and its reconnect settings. Times are in seconds.

    Attributes:
        url: The server's URL, without the path.
        path: The path of Socket.IO on the server.
        transports: `websocket` and `polling`, tried in order.
        namespace: The Socket.IO namespace.
        query: The parameters of the query string.
        acks: The acknowledgement to send for each event, if its sender requests one. Other events are acknowledged
            without a value.
        advice: The advice in the error message for a refusal, and for a link that is lost before it was ready.
        attempts: The number of attempts to reconnect after a lost link; may be infinite.
        delay: The delay before the first attempt, in seconds. It doubles with each attempt.
        delay_max: The maximum delay in seconds.
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
        args: The arguments of the event.
        link: The link of a server machine to send the event over. A client machine has only one link.
        ack: If not None, request an acknowledgement, and pass it to the machine's `acked` with this key.
    """

    event: str
    args: tuple[JsonOut, ...] = ()
    link: str = ""
    ack: Hashable = None


class Record(NamedTuple):
    """Record one trace. The fields are columns of the trace table. Each event on the wire is recorded once."""

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
    """Mask this credential, which was received from the server, from now on."""

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
        purpose: The purpose of the request. The machine uses it to identify the response.
        method: The method.
        url: The URL.
        headers: The headers of the request.
        file: The path of a file to send as the field `file` of a form, or None.
        json: The JSON body, or None.
        turn: The turn whose action needs the request, or 0. The time-out of the turn counts from its first request.
    """

    purpose: Hashable
    method: Literal["GET", "POST", "PATCH"]
    url: str
    headers: dict[str, str] = field(default_factory=dict)
    file: str | None = None
    json: JsonOut = None
    turn: int = 0


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """The response to an `HttpRequest`. Status 0 means that there was no response; `body` then contains the reason."""

    purpose: Hashable
    status: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Ready:
    """The conversation is open. `conversation` is its id, or a fingerprint of the id if that is a credential."""

    conversation: str | None


@dataclass(frozen=True, slots=True)
class Conversations:
    """Replace the list of conversations of the session."""

    conversations: tuple[Conversation, ...]


@dataclass(frozen=True, slots=True)
class CallStarted:
    """A voice call has started. Times are in the platform's format."""

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
    """Close this link and open the next one immediately.

    Attributes:
        reason: The reason, for the trace.
        wanted: Whether the user requested the reconnect. If the server requests it too often, the next link is delayed.
    """

    reason: str
    wanted: bool = False


@dataclass(frozen=True, slots=True)
class Failed:
    """The link cannot become ready. After a refusal, no further attempt is made."""

    reason: str
    how: Literal["refused", "timeout", "lost"]


@dataclass(frozen=True, slots=True)
class Ended:
    """The platform has ended the conversation. The next action starts a new one."""

    reason: str


@dataclass(frozen=True, slots=True)
class RunFlow:
    """Server: run the flow of this conversation for an input of the user.

    Attributes:
        conversation: The id of the conversation.
        user_input: The input.
        vars: The variables of the flow, if the machine keeps them. The flow changes this object.
    """

    conversation: str
    user_input: UserInput
    vars: dict[str, Json] | None = None


@dataclass(frozen=True, slots=True)
class EndFlow:
    """Server: the conversation has ended; stop its flow and discard it."""

    conversation: str


@dataclass(frozen=True, slots=True)
class Close:
    """Server: close this link."""

    link: str


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """Server: acknowledge the current event with this payload."""

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
        base: The base URL of the server.
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
"""An effect that changes the state of the session."""
ClientEffect: TypeAlias = Emit | Record | HttpRequest | Reconnect | Failed | Ended | SessionUpdate
ServerEffect: TypeAlias = Emit | RunFlow | EndFlow | Close | Acknowledge | Refuse | HttpReply

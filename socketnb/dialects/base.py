"""The base of a dialect: the class `Dialect`, and the two abstract machines to inherit from.

Defining a subclass of a machine that lacks one of the methods raises an error.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, TypeAlias

from socketnb.errors import SettingsError
from socketnb.model.actions import Action, Setting, Verb
from socketnb.model.content import Choice, Content, Step
from socketnb.model.effects import (
    Address,
    ClientEffect,
    HttpCall,
    HttpReply,
    HttpRequest,
    HttpResponse,
    Record,
    ServerEffect,
    TurnDone,
)
from socketnb.model.json import Json, JsonObject, JsonOut
from socketnb.model.secret import Secret
from socketnb.model.trace import Status

DEFAULT_ENCODING = "audio/x-mulaw"
"""The default encoding of streamed sound."""
NewId: TypeAlias = Callable[[], str]
"""A function that returns a new unique string at each call."""
Settings: TypeAlias = Mapping[str, Any]
"""The values of a dialect's settings, or of its simulator's options, by name."""


class _Machine(abc.ABC):  # noqa: B024 (the two machines below define the methods)
    """A base class of machines. It raises an error when a subclass that lacks a method is defined, not on first use."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if abc.ABC not in cls.__bases__ and _Machine not in cls.__bases__:
            names = {name for base in cls.__mro__ for name in vars(base)}
            if missing := sorted(n for n in names if getattr(getattr(cls, n, None), "__isabstractmethod__", False)):
                raise TypeError(f"{cls.__name__} must define the methods {', '.join(missing)}")


class ClientMachine(_Machine):
    """The client side of one conversation. It outlives its links. `now` is the time of a monotonic clock in seconds."""

    @property
    def deadline(self) -> float | None:
        """When `timer` is to be called, or None."""
        return None

    @abc.abstractmethod
    def dial(self, now: float) -> Address:
        """Begin a link: return the address to connect to, and start the timeout of the handshake."""

    @abc.abstractmethod
    def opened(self, now: float) -> Sequence[ClientEffect]:
        """Handle the opening of a link."""

    @abc.abstractmethod
    def act(self, turn: int, action: Action, now: float) -> Sequence[ClientEffect]:
        """Handle an action of the user. It can be called at any time; an action that cannot be sent yet is queued."""

    @abc.abstractmethod
    def abandon(self, turn: int, now: float) -> Sequence[ClientEffect]:
        """Stop waiting for the end of a turn, because it timed out or was cancelled."""

    @abc.abstractmethod
    def received(self, event: str, payload: Json, now: float) -> Sequence[ClientEffect]:
        """Handle an event. `payload` is its argument, a list of its arguments, or None."""

    @abc.abstractmethod
    def timer(self, now: float) -> Sequence[ClientEffect]:
        """Handle that `deadline` has passed."""

    @abc.abstractmethod
    def closed(self, now: float) -> Sequence[ClientEffect]:
        """Handle the loss of the link."""

    def acked(self, key: Hashable, args: Sequence[Json], now: float) -> Sequence[ClientEffect]:
        """Handle the acknowledgement of an event that was sent with this key as `ack`."""
        return []

    def explain(self, turn: int) -> str | None:
        """Return why an open turn has not ended, as far as known.

        For a turn that was not sent, it is the reason, such as `not sent: waiting for the end of turn 2`. For a turn
        that was sent, it is what may have prevented the answer, such as a link that was lost afterwards. The driver
        calls this when a turn is queued, and before `abandon` when a turn times out.
        """
        return None

    def http_response(self, response: HttpResponse, now: float) -> Sequence[ClientEffect]:
        """Handle the response to an `HttpRequest`."""
        return []


class ServerMachine(_Machine):
    """The server side of an endpoint: every link and every conversation. `now` is in seconds since 1970.

    Attributes:
        path: The path where Socket.IO is served.
        prefix: The path of the endpoint's URL.
        url_settings: The settings of a client that hold the simulator's URL.
        namespace: The Socket.IO namespace.
        deadline: When `timer` is to be called, or None.
    """

    deadline: float | None = None
    path: str
    prefix: str = ""
    url_settings: tuple[str, ...] = ("url",)
    namespace: str = "/"

    @abc.abstractmethod
    def opened(self, link: str, query: Mapping[str, str], now: float) -> Sequence[ServerEffect]:
        """Handle a new connection from a client. `query` is URL-decoded once."""

    @abc.abstractmethod
    def received(self, link: str, event: str, payload: Json, now: float) -> Sequence[ServerEffect]:
        """Handle an event from a client."""

    @abc.abstractmethod
    def closed(self, link: str, now: float, *, goodbye: bool = False) -> Sequence[ServerEffect]:
        """Handle the loss of a client's link, with or without a disconnect packet. Its conversation stays."""

    @abc.abstractmethod
    def put(self, conversation: str, step: Step, now: float) -> Sequence[ServerEffect]:
        """Send a step of the flow or of an agent."""

    @abc.abstractmethod
    def done(self, conversation: str, error: str | None, now: float) -> Sequence[ServerEffect]:
        """End a turn of the flow. `error` is the reason if the flow failed."""

    @abc.abstractmethod
    def timer(self, now: float) -> Sequence[ServerEffect]:
        """Handle that `deadline` has passed."""

    @abc.abstractmethod
    def fault(self, name: str) -> Sequence[ServerEffect]:
        """Inject one of the dialect's faults. It takes effect immediately or on the next matching event."""

    def acked(self, link: str, key: Hashable, args: Sequence[Json], now: float) -> Sequence[ServerEffect]:
        """Handle the acknowledgement of an event that was sent with this key as `ack`."""
        return []

    def request(self, request: HttpCall, now: float) -> Sequence[ServerEffect]:
        """Handle an HTTP call. The returned effects include the `HttpReply`."""
        return [HttpReply(404, {"error": "not found"})]

    def conversation(self, to: str | None) -> str:
        """Return the conversation with this id, user or session. None means the conversation used last.

        Raises:
            SettingsError: There is no such conversation, or only the flow can send messages on this platform.
        """
        raise SettingsError("on this platform only the flow can send messages")

    def inject(self, conversation: str, text: str, data: JsonOut, now: float) -> Sequence[ServerEffect]:
        """Run the flow as if the user had sent this."""
        return []

    def notify(self, conversation: str, text: str, data: JsonOut, now: float) -> Sequence[ServerEffect]:
        """Send the user a message without running the flow."""
        return []

    def close(self, conversation: str, now: float) -> Sequence[ServerEffect]:
        """Close a conversation for the user."""
        raise SettingsError("on this platform a conversation cannot be closed from the server")

    def leave_call(self, conversation: str, now: float) -> Sequence[ServerEffect]:
        """Let the bot leave the voice call of a conversation."""
        raise SettingsError("on this platform there are no voice calls")


class TimedRecord(NamedTuple):
    """A record of a past event, with its time in nanoseconds since 1970."""

    record: Record
    at: int


class Transcript(NamedTuple):
    """A conversation saved by the platform: its id, and its records in order."""

    id: str
    records: list[TimedRecord]


class VariablesApi(NamedTuple):
    """How the variables of a conversation are read over HTTP.

    Attributes:
        request: Returns the request for these settings, or raises `SettingsError` if they do not allow it.
        refusal: Returns why a request failed, or None if it succeeded.
        read: Returns the variables in the body of a successful response.
    """

    request: Callable[[Settings], HttpRequest]
    refusal: Callable[[HttpResponse], str | None]
    read: Callable[[Json], JsonObject]


class ReadContent(Protocol):
    """A function that returns the displayable content of a recorded event."""

    def __call__(self, event: str, payload: JsonOut) -> Content | None:
        """Return the content of an event, or None if it has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the platform reports in one event about a turn or its conversation. None means that nothing is reported.

    Attributes:
        intent: The name of the recognised intent.
        confidence: The confidence of the intent, from 0 to 1.
        variables: The variables that changed, with their new values.
        knowledge: The sources of the knowledge base that were used.
        tokens: The number of tokens that a language model used.
        path: The nodes that were visited, in order.
        handler: Who handles the conversation from now on: `bot` or `agent`.
        agent: The name of the agent.
        suggested: Whether closing the conversation is suggested.
        closed_by: Who closed the conversation: `customer`, `agent`, `bot` or `system`.
        rating: The rating that the user gave.
    """

    intent: str | None = None
    confidence: float | None = None
    variables: Mapping[str, JsonOut] | None = None
    knowledge: tuple[str, ...] = ()
    tokens: int | None = None
    path: tuple[str, ...] = ()
    handler: str | None = None
    agent: str | None = None
    suggested: bool | None = None
    closed_by: str | None = None
    rating: float | None = None


def no_facts(_event: str, _payload: Json) -> Facts | None:
    """Return None. A dialect with this function reports no facts."""
    return None


def no_data(_event: str, _payload: Json) -> Json:
    """Return None. The messages of a dialect with this function carry no data."""
    return None


def _unchanged(settings: Settings) -> Settings:
    return settings


def _as_given(action: Action, _offered: Sequence[Choice], _settings: Settings) -> Action:
    return action


def _default_encoding(_: Settings) -> str:
    return DEFAULT_ENCODING


def _no_secret(_: str) -> bool:
    return False


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """The interface of a platform to the other layers. Each dialect package defines one instance, `DIALECT`.

    Attributes:
        name: The name of the platform, as in `connect(name)`.
        title: The display name of the platform.
        settings: The settings of `connect`, by name.
        verbs: The actions of a user, by name.
        client: Creates the client machine of one conversation from its settings.
        server: Creates the server machine of one simulator from its settings, ids and options.
        content: Returns the displayable content of a recorded event.
        data: Returns the data that a recorded message carries besides its content, or None if it carries none.
        facts: Returns what a recorded event reports about its turn or conversation, or None.
        data_kinds: The kinds of traces that `data` is called for in frames, or None for all kinds.
        fact_kinds: The kinds of traces that `facts` is called for in frames, or None for all kinds. Traces with a node
            are always included.
        simulated: Returns the settings of a simulator, without its URL.
        settle: Checks settings that depend on each other, and returns them in their final form.
        prepare: Returns the action to send for an action of the user, given the buttons that the last turn offered.
        sound_encoding: Returns the encoding of streamed sound for these settings.
        secret_in_url: Returns whether a value of the setting `url` contains a credential.
        secret_fields: Names of payload fields that hold credentials.
        resume_scope: Settings that must be the same for a saved session to be resumed.
        resume_settings: Settings that are saved to resume a session.
        user_setting: The setting that names the user. A saved session of another user is not resumed.
        max_conversations: The maximum number of conversations per session.
        read_transcript: Reads a conversation that the platform saved as JSON, or raises `SettingsError`. It is None if
            the platform has no such format.
        variables: How the variables of a conversation are read, or None if the platform does not offer it.
        faults: The faults of the simulator and their descriptions.
        options: The options of the simulator, by name.
    """

    name: str
    title: str
    settings: Mapping[str, Setting]
    verbs: Mapping[str, Verb]
    client: Callable[[Settings, NewId], ClientMachine]
    server: Callable[[Settings, NewId, Settings], ServerMachine]
    content: ReadContent
    simulated: Callable[[NewId], dict[str, str | Secret]]
    data: Callable[[str, Json], Json] = no_data
    facts: Callable[[str, Json], Facts | None] = no_facts
    data_kinds: frozenset[str] | None = None
    fact_kinds: frozenset[str] | None = None
    settle: Callable[[Settings], Settings] = _unchanged
    prepare: Callable[[Action, Sequence[Choice], Settings], Action] = _as_given
    sound_encoding: Callable[[Settings], str] = _default_encoding
    secret_in_url: Callable[[str], bool] = _no_secret
    secret_fields: frozenset[str] = frozenset()
    resume_scope: tuple[str, ...] = ("url",)
    resume_settings: tuple[str, ...] = ()
    user_setting: str = "user_id"
    max_conversations: int = 1
    read_transcript: Callable[[object], Transcript] | None = None
    variables: VariablesApi | None = None
    faults: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Setting] = field(default_factory=dict)


def misread(event: str, payload: JsonOut, problem: str, turn: int) -> Record:
    """Return the record of a malformed event."""
    return Record(event, "error", payload, turn=turn, error=f"malformed {event}: {problem}")


def warn(turn: int, text: str) -> Record:
    """Return the record of a warning about a turn, or about the session if `turn` is 0.

    The warning is recorded in the turn's traces, also after the turn has ended.
    """
    return Record("warning", "warning", None, "local", turn=turn, text=text)


def end_turn(turn: int, status: Status, reason: str | None, conversation: str | None = None) -> list[ClientEffect]:
    """Return the effects that end a turn that no received event ends."""
    kind, error = ("error", reason) if status == "failed" else ("status", None)
    record = Record("turn", kind, None, "local", turn=turn, text=status, final=True, error=error)
    return [record._replace(conversation=conversation), TurnDone(turn, status, reason)]

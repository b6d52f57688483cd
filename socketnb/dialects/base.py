"""What a platform's dialect provides: its settings and verbs, and two abstract machines to inherit from.

A class that inherits from a machine and lacks one of its methods cannot be defined.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, TypeAlias

from socketnb.errors import SettingsError
from socketnb.model.actions import Action, Setting, Verb
from socketnb.model.content import Choice, Content, Step
from socketnb.model.effects import Address, ClientEffect, HttpCall, HttpReply, HttpResponse, Record, ServerEffect
from socketnb.model.json import Json

DEFAULT_ENCODING = "audio/x-mulaw"
"""How streamed sound is encoded if neither the settings nor its pieces say so."""
NewId: TypeAlias = Callable[[], str]
"""Returns a new unique string at each call."""
Settings: TypeAlias = Mapping[str, Any]
"""The values of a dialect's settings, or of its simulator's options, by name."""


class _Machine(abc.ABC):  # noqa: B024 (the methods are in the two machines below)
    """A machine. The definition of a subclass that lacks a method fails, not only its first use."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if abc.ABC not in cls.__bases__ and _Machine not in cls.__bases__:
            names = {name for base in cls.__mro__ for name in vars(base)}
            if missing := sorted(n for n in names if getattr(getattr(cls, n, None), "__isabstractmethod__", False)):
                raise TypeError(f"{cls.__name__} must define the methods {', '.join(missing)}")


class ClientMachine(_Machine):
    """One conversation as the client sees it. It outlives its links. `now` is a monotonic clock in seconds."""

    @property
    def deadline(self) -> float | None:
        """When `timer` is to be called, or None."""
        return None

    @abc.abstractmethod
    def dial(self, now: float) -> Address:
        """Begin a link: return where to connect, and start the clock of the handshake."""

    @abc.abstractmethod
    def opened(self, now: float) -> Sequence[ClientEffect]:
        """Handle an open link."""

    @abc.abstractmethod
    def act(self, turn: int, action: Action, now: float) -> Sequence[ClientEffect]:
        """Handle an action of the user, at any time. An action that cannot be sent yet is queued."""

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

    def http_response(self, response: HttpResponse, now: float) -> Sequence[ClientEffect]:
        """Handle the response to an `HttpRequest`."""
        return []


class ServerMachine(_Machine):
    """A whole endpoint: every link and every conversation. `now` is seconds since 1970.

    Attributes:
        path: The path where Socket.IO is served.
        prefix: What the endpoint's URL has after the host.
        namespace: The Socket.IO namespace.
        deadline: When `timer` is to be called, or None.
    """

    deadline: float | None = None
    path: str
    prefix: str = ""
    namespace: str = "/"

    @abc.abstractmethod
    def opened(self, link: str, query: Mapping[str, str], now: float) -> Sequence[ServerEffect]:
        """Handle a client that connects. `query` is decoded once."""

    @abc.abstractmethod
    def received(self, link: str, event: str, payload: Json, now: float) -> Sequence[ServerEffect]:
        """Handle an event from a client."""

    @abc.abstractmethod
    def closed(self, link: str, now: float, *, goodbye: bool = False) -> Sequence[ServerEffect]:
        """Handle the loss of a client's link, with or without a goodbye. Its conversation stays."""

    @abc.abstractmethod
    def put(self, conversation: str, step: Step, now: float) -> Sequence[ServerEffect]:
        """Send a step of the flow, or of an agent."""

    @abc.abstractmethod
    def done(self, conversation: str, error: str | None, now: float) -> Sequence[ServerEffect]:
        """End a turn of the flow. `error` says why the flow failed, if it did."""

    @abc.abstractmethod
    def timer(self, now: float) -> Sequence[ServerEffect]:
        """Handle that `deadline` has passed."""

    @abc.abstractmethod
    def fault(self, name: str) -> Sequence[ServerEffect]:
        """Inject one of the dialect's faults, now or at the next occasion."""

    def acked(self, link: str, key: Hashable, args: Sequence[Json], now: float) -> Sequence[ServerEffect]:
        """Handle the acknowledgement of an event that was sent with this key as `ack`."""
        return []

    def request(self, request: HttpCall, now: float) -> Sequence[ServerEffect]:
        """Handle an HTTP call. One of the effects is its `HttpReply`."""
        return [HttpReply(404, {"error": "not found"})]

    def conversation(self, to: str | None) -> str:
        """Return the conversation with this id, or of this user or session; None means the one used last.

        Raises:
            SettingsError: There is no such conversation, or only the flow can speak on this platform.
        """
        raise SettingsError("on this platform only the flow can send messages")

    def inject(self, conversation: str, text: str, data: Json, now: float) -> Sequence[ServerEffect]:
        """Let the flow answer as if the user had sent this."""
        return []

    def notify(self, conversation: str, text: str, data: Json, now: float) -> Sequence[ServerEffect]:
        """Send the user a message without running the flow."""
        return []

    def close(self, conversation: str, now: float) -> Sequence[ServerEffect]:
        """Close a conversation for the user."""
        raise SettingsError("on this platform a conversation cannot be closed from the server")

    def leave_call(self, conversation: str, now: float) -> Sequence[ServerEffect]:
        """Let the bot leave the voice call of a conversation."""
        raise SettingsError("on this platform there are no voice calls")


class TimedRecord(NamedTuple):
    """A record of something in the past, and when it happened, in nanoseconds since 1970."""

    record: Record
    at: int


class Transcript(NamedTuple):
    """A conversation that the platform saved: its id, and its records in order."""

    id: str
    records: list[TimedRecord]


class ReadContent(Protocol):
    """Reads what a person sees of a recorded event."""

    def __call__(self, event: str, payload: Json) -> Content | None:
        """Return the content of an event, or None."""


def _unchanged(settings: dict[str, Any]) -> dict[str, Any]:
    return settings


def _as_given(action: Action, offered: Sequence[Choice], settings: Settings) -> Action:
    return action


def _default_encoding(settings: Settings) -> str:
    return DEFAULT_ENCODING


def _no_secret(url: str) -> bool:
    return False


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """Everything the other layers know about a platform. Each dialect package defines one, as `DIALECT`.

    Attributes:
        name: The name of the platform, as in `connect(name)`.
        title: Its name for people.
        settings: The settings of `connect`, by name.
        verbs: What a user can do, by name.
        client: Makes the client machine of one conversation from its settings.
        server: Makes the server machine of one simulator from its settings, ids and options.
        content: Reads what a person sees of a recorded event.
        simulated: Returns the settings of a simulator, without its URL.
        settle: Checks settings that depend on each other, and returns them in their final form.
        prepare: Returns the action to send for an action of the user, given the buttons that the last turn offered.
        sound_encoding: Returns how streamed sound is encoded with these settings.
        secret_in_url: Tells whether a value of the setting `url` contains a credential.
        secret_fields: Names of payload fields that hold credentials.
        resume_scope: Settings that must be the same for a saved session to be resumed.
        resume_settings: Settings that are saved to resume a session.
        user_setting: The setting that names the user. A saved session of another user is not resumed.
        max_conversations: How many conversations one session may hold.
        read_transcript: Reads a conversation that the platform saved as JSON, or raises `SettingsError`. None if the
            platform has no such format.
        faults: The faults of its simulator, each with its description.
        options: The options of its simulator, by name.
    """

    name: str
    title: str
    settings: Mapping[str, Setting]
    verbs: Mapping[str, Verb]
    client: Callable[[Settings, NewId], ClientMachine]
    server: Callable[[Settings, NewId, Settings], ServerMachine]
    content: ReadContent
    simulated: Callable[[NewId], dict[str, Any]]
    settle: Callable[[dict[str, Any]], dict[str, Any]] = _unchanged
    prepare: Callable[[Action, Sequence[Choice], Settings], Action] = _as_given
    sound_encoding: Callable[[Settings], str] = _default_encoding
    secret_in_url: Callable[[str], bool] = _no_secret
    secret_fields: frozenset[str] = frozenset()
    resume_scope: tuple[str, ...] = ("url",)
    resume_settings: tuple[str, ...] = ()
    user_setting: str = "user_id"
    max_conversations: int = 1
    read_transcript: Callable[[Json], Transcript] | None = None
    faults: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Setting] = field(default_factory=dict)


def misread(event: str, payload: Json, problem: str, turn: int) -> Record:
    """Return the record of a malformed event."""
    return Record(event, "error", payload, turn=turn, error=f"malformed {event}: {problem}")

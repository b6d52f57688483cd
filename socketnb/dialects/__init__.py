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

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from socketnb.errors import SettingsError, unknown
from socketnb.records import CONTENT_KINDS, Content, Record

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from socketnb.records import (
        Action,
        Address,
        ClientEffect,
        ServerEffect,
        Setting,
        Step,
        Trace,
        Verb,
    )

PLATFORMS = ("voiceflow",)


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

    def closed(self, now: float) -> Sequence[ClientEffect]:
        """The link is gone."""


class ServerMachine(Protocol):
    """A whole endpoint: every link and every conversation. `now` is seconds since 1970."""

    def opened(self, link: str, now: float) -> Sequence[ServerEffect]:
        """A client has connected."""

    def received(self, link: str, event: str, payload: Any, now: float) -> Sequence[ServerEffect]:
        """A client sent an event."""

    def closed(self, link: str) -> Sequence[ServerEffect]:
        """A client's link is gone; its conversation stays."""

    def put(self, conversation: str, step: Step, now: float) -> Sequence[ServerEffect]:
        """The flow has something to show."""

    def done(self, conversation: str, error: str | None, now: float) -> Sequence[ServerEffect]:
        """The flow is done with this turn, or broke."""

    def fault(self, name: str) -> None:
        """Arm one of the dialect's `FAULTS`."""


class Dialect(Protocol):
    """What a dialect's module offers."""

    NAME: str
    TITLE: str
    SETTINGS: dict[str, Setting]
    VERBS: dict[str, Verb]
    SECRET_FIELDS: frozenset[str]
    SERVER_PATH: str
    FAULTS: dict[str, str]

    def client(self, settings: Mapping[str, Any]) -> ClientMachine:
        """Return the client machine of one conversation."""

    def server(self, settings: Mapping[str, Any], ids: Callable[[], str]) -> ServerMachine:
        """Return the server machine of one endpoint; `ids` gives a new unique string at each call."""

    def simulated(self, url: str, ids: Callable[[], str]) -> dict[str, Any]:
        """Return made-up settings for a simulator at this address, as `connect` takes them."""

    def content(self, event: str, payload: Any) -> Content | None:
        """Return what a person sees of a recorded event, or None."""


def get(name: str) -> Dialect:
    """Return the dialect of a platform.

    Raises:
        SettingsError: there is no such platform.
    """
    if name == "voiceflow":
        from socketnb.dialects import voiceflow

        return voiceflow
    raise SettingsError(unknown("platform", name, PLATFORMS))


@dataclass(frozen=True, slots=True)
class Message:
    """What a person sees of a trace: its content, beside the trace itself."""

    content: Content
    trace: Trace

    @property
    def text(self) -> str:
        """The words of the message."""
        return self.trace.text or ""


def message(trace: Trace) -> Message | None:
    """Return what a person sees of a trace, or None. Read from the recorded payload: credentials are masked."""
    if trace.kind not in CONTENT_KINDS and trace.kind != "action":
        return None
    content = get(trace.platform).content(trace.event, json.loads(trace.payload))
    return None if content is None else Message(content, trace)


def misread(event: str, payload: Any, what: str) -> Record:
    """Return the record of a malformed event."""
    return Record(event, "error", payload, error=f"malformed {event}: {what}")

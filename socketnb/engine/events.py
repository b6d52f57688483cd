"""Session events, which a driver reports to its session."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from socketnb.errors import ConnectError
from socketnb.model.effects import Record, SessionUpdate

log = logging.getLogger(__name__)

State: TypeAlias = Literal["connecting", "ready", "reconnecting", "ended", "lost", "closed"]
"""The state of a session. `ended` means that the platform ended the conversation, `lost` that no link can be opened."""


@dataclass(frozen=True, slots=True)
class Observation:
    """A trace to record.

    Attributes:
        record: The observed event.
        link: The number of the link.
        observed_at: The time of the observation, in nanoseconds since 1970.
        elapsed_ms: Milliseconds since the turn's action was sent; NaN outside a turn.
    """

    record: Record
    link: int
    observed_at: int
    elapsed_ms: float


@dataclass(frozen=True, slots=True)
class StateChange:
    """The session has entered a state. `error` is the reason if the session is lost."""

    state: State
    error: ConnectError | None = None


SessionEvent: TypeAlias = Observation | StateChange | SessionUpdate


class EventBatch:
    """Collects session events, and delivers them in order as one batch.

    Args:
        deliver: Called with the events of a batch.
    """

    def __init__(self, deliver: Callable[[list[SessionEvent]], None]) -> None:
        self._deliver = deliver
        self._events: list[SessionEvent] = []

    def add(self, event: SessionEvent) -> None:
        """Add an event to the batch."""
        self._events.append(event)

    def flush(self) -> None:
        """Deliver the batch. Errors of the receiver are logged."""
        if self._events:
            events, self._events = self._events, []
            try:
                self._deliver(events)
            except Exception:
                log.exception("a batch of %d session events could not be delivered", len(events))

"""Deadlines and the queue of turns, shared by all client machines."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from socketnb.model.actions import Setting

T = TypeVar("T")
MAX_QUEUED_TURNS = 1000
"""The maximum number of queued turns."""
QUEUE_FULL = f"{MAX_QUEUED_TURNS} messages are queued; wait until some of them are answered"
"""The reason of a turn that is not queued because the queue is full."""
LATE_ANSWER_S = 5.0
"""How long an abandoned turn blocks the next turn, in seconds. Its late answer is not assigned to the next turn."""
LATE_ANSWER_TIMEOUT = Setting(
    "seconds that the next turn waits for the late answer of a turn that timed out", type=float, default=LATE_ANSWER_S
)
"""The setting `late_answer_timeout` of the platforms where an answer does not name its turn."""


@dataclass(frozen=True, slots=True)
class Owed:
    """The deadline of an abandoned turn, after which its late answer is no longer expected."""

    turn: int


class Deadlines:
    """Deadlines by key. A key is an `Enum` member or a frozen dataclass: a tuple would equal one of another class."""

    def __init__(self) -> None:
        self._due: dict[Hashable, float] = {}

    @property
    def next(self) -> float | None:
        """The earliest deadline, or None."""
        return min(self._due.values(), default=None)

    def set(self, key: Hashable, due: float) -> None:
        """Set a deadline, or move it."""
        self._due[key] = due

    def clear(self, *keys: Hashable) -> None:
        """Remove deadlines. Keys without a deadline are ignored."""
        for key in keys:
            self._due.pop(key, None)

    def expired(self, now: float) -> list[Hashable]:
        """Remove the deadlines that have passed, and return their keys in the order in which they were first set."""
        keys = [key for key, due in self._due.items() if due <= now]
        self.clear(*keys)
        return keys


def _one_lane(_: object) -> Hashable:
    return None


class TurnQueue(Generic[T]):
    """The queued and running turns of a session.

    Turns with the same lane are sent one after another. `T` is the machine's state of a turn.

    Args:
        deadlines: The queue sets the deadline `Owed(turn)` here for an abandoned turn. When it expires, call
            `end(turn)`.
        lane: Returns the lane of a turn. By default there is one lane.
        late_answer_s: How long an abandoned turn blocks its lane, in seconds.

    Attributes:
        late_answer_s: The argument of this name.
        waiting: The queued turns, in order.
        running: The sent turns that have not ended, including abandoned ones, in the order of sending.
        last: The turn that was sent last; 0 before the first one.
    """

    def __init__(
        self,
        deadlines: Deadlines,
        lane: Callable[[T], Hashable] = _one_lane,
        late_answer_s: float = LATE_ANSWER_S,
    ) -> None:
        self.waiting: dict[int, T] = {}
        self.running: dict[int, T] = {}
        self.last = 0
        self._deadlines = deadlines
        self._lane = lane
        self.late_answer_s = late_answer_s
        self._abandoned: set[int] = set()

    @property
    def full(self) -> bool:
        """Whether the queue is full."""
        return len(self.waiting) >= MAX_QUEUED_TURNS

    @property
    def current(self) -> int:
        """The turn for events without a turn: the oldest running turn, or the last one."""
        return next(iter(self.running), self.last)

    def add(self, turn: int, state: T) -> None:
        """Add a turn to the end of the queue."""
        self.waiting[turn] = state

    def put_back(self, turns: Mapping[int, T]) -> None:
        """Move running turns back to the front of the queue, in the given order."""
        for turn in turns:
            self.running.pop(turn, None)
        self.waiting = {**turns, **self.waiting}

    def next(self) -> int | None:
        """Return the first queued turn whose lane has no running turn, or None."""
        busy = {self._lane(state) for state in self.running.values()}
        return next((turn for turn, state in self.waiting.items() if self._lane(state) not in busy), None)

    def start(self, turn: int, state: T) -> None:
        """Mark a turn as sent. The turn may have been queued before."""
        self.waiting.pop(turn, None)
        self.running[turn] = state
        self.last = turn

    def end(self, turn: int) -> T | None:
        """Remove a queued or running turn, and return its state; None if the turn is unknown."""
        self._deadlines.clear(Owed(turn))
        self._abandoned.discard(turn)
        waited = self.waiting.pop(turn, None)
        return self.running.pop(turn, waited)

    def abandon(self, turn: int, now: float) -> None:
        """Stop waiting for a turn. A sent turn blocks its lane until its late answer arrives, or for a few seconds."""
        self.waiting.pop(turn, None)
        if turn in self.running:
            self._abandoned.add(turn)
            self._deadlines.set(Owed(turn), now + self.late_answer_s)

    def is_abandoned(self, turn: int) -> bool:
        """Return whether a turn was sent and then abandoned."""
        return turn in self._abandoned

    def obstacle(self, turn: int) -> str:
        """Return what the turns of a lane wait for while this turn is running in it."""
        if self.is_abandoned(turn):
            return f"waiting up to {self.late_answer_s:g} s for the late answer of turn {turn}"
        return f"waiting for the end of turn {turn}"

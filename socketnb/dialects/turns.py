"""Deadlines and the queue of turns: what the client machines have in common."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")
MAX_QUEUED_TURNS = 1000
"""Turns that may wait in line."""
LATE_ANSWER_S = 5.0
"""Seconds for which an abandoned turn blocks the next one, so that the next one does not receive its late answer."""


class Owed(NamedTuple):
    """The deadline of an abandoned turn: after it, no late answer is expected any more."""

    turn: int


class Deadlines:
    """Due times by key. A key is a string or a small immutable object; a machine tells its deadlines apart by it."""

    def __init__(self) -> None:
        self._due: dict[Hashable, float] = {}

    @property
    def next(self) -> float | None:
        """The earliest due time, or None."""
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
    """The turns of a session: those that wait in line, and those that were sent.

    Turns with the same lane are sent one after another. `T` is what the machine knows about a turn.

    Args:
        deadlines: Where the queue sets `Owed(turn)` for an abandoned turn. When it passes, call `end(turn)`.
        lane: Returns the lane of a turn. By default there is one lane.

    Attributes:
        waiting: The turns in line, in order.
        running: The turns that were sent and are not over, in the order of sending. Abandoned turns are among them.
        last: The turn that was sent last; 0 before the first one.
    """

    def __init__(self, deadlines: Deadlines, lane: Callable[[T], Hashable] = _one_lane) -> None:
        self.waiting: dict[int, T] = {}
        self.running: dict[int, T] = {}
        self.last = 0
        self._deadlines = deadlines
        self._lane = lane
        self._abandoned: set[int] = set()

    @property
    def full(self) -> bool:
        """Whether no further turn may wait."""
        return len(self.waiting) >= MAX_QUEUED_TURNS

    @property
    def current(self) -> int:
        """The turn to which an event without a turn belongs: the oldest that is running, or the last one."""
        return next(iter(self.running), self.last)

    def add(self, turn: int, state: T) -> None:
        """Put a turn at the end of the line."""
        self.waiting[turn] = state

    def put_back(self, turns: Mapping[int, T]) -> None:
        """Put turns at the front of the line, in the given order. They are not running any more."""
        for turn in turns:
            self.running.pop(turn, None)
        self.waiting = {**turns, **self.waiting}

    def next(self) -> int | None:
        """Return the first turn in line that may be sent: no turn of its lane is running. None if there is none."""
        busy = {self._lane(state) for state in self.running.values()}
        return next((turn for turn, state in self.waiting.items() if self._lane(state) not in busy), None)

    def start(self, turn: int, state: T) -> None:
        """Note that a turn was sent, whether it waited in line or not."""
        self.waiting.pop(turn, None)
        self.running[turn] = state
        self.last = turn

    def end(self, turn: int) -> T | None:
        """Remove a turn, wherever it is, and return its state; None if it is unknown."""
        self._deadlines.clear(Owed(turn))
        self._abandoned.discard(turn)
        waited = self.waiting.pop(turn, None)
        return self.running.pop(turn, waited)

    def abandon(self, turn: int, now: float) -> None:
        """Stop waiting for a turn. One that was sent blocks its lane until its late answer, or for a few seconds."""
        self.waiting.pop(turn, None)
        if turn in self.running:
            self._abandoned.add(turn)
            self._deadlines.set(Owed(turn), now + LATE_ANSWER_S)

    def is_abandoned(self, turn: int) -> bool:
        """Tell whether a turn was sent and then abandoned."""
        return turn in self._abandoned

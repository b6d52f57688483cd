"""The open turns of a driver: when each action was sent, and the clock of each turn.

The clock of a turn runs from the moment its action is sent. Before that it runs only while nothing else ends the wait,
for example while the link is down. A turn that waits for the end of earlier turns therefore loses no time.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from socketnb.model.trace import NO_TIME


@dataclass(slots=True)
class _Clock:
    """The clock of an open turn. Times are in seconds."""

    limit: float
    left: float  # when the clock starts to run again
    sent_at: float = NO_TIME
    started: bool = False  # the work for the action has begun, so the clock runs until the turn ends
    timer: asyncio.TimerHandle | None = None
    due: float = NO_TIME
    error: str | None = None  # the last recorded error of the turn

    def run(self, expire: Callable[[], None]) -> None:
        """Start the clock with the time that is left."""
        self.pause()
        self.due = time.monotonic() + self.left
        self.timer = asyncio.get_running_loop().call_later(self.left, expire)

    def pause(self) -> None:
        """Stop the clock."""
        if self.timer:
            self.timer.cancel()
            self.timer = None
            self.left = max(0.0, self.due - time.monotonic())


class OpenTurns:
    """The turns that have not ended, with their clocks. All methods run on the loop's thread.

    Args:
        expire: Called with the number of a turn that has timed out.
    """

    def __init__(self, expire: Callable[[int], None]) -> None:
        self._expire = expire
        self._clocks: dict[int, _Clock] = {}
        self._unsent_run = False

    def __contains__(self, turn: int) -> bool:
        return turn in self._clocks

    @property
    def numbers(self) -> list[int]:
        """The numbers of the open turns, oldest first."""
        return list(self._clocks)

    @property
    def any_started(self) -> bool:
        """Whether the clock of a turn runs until the turn ends."""
        return any(clock.started for clock in self._clocks.values())

    def begin(self, turn: int, limit: float) -> None:
        """Add a turn whose action is not sent yet. It times out after `limit` seconds of its clock."""
        self._clocks[turn] = _Clock(limit, limit)
        if self._unsent_run:
            self._run(turn)

    def set_limit(self, turn: int, limit: float) -> None:
        """Set the time that is left to a turn. For a turn that is not sent, it counts again from the sending."""
        if clock := self._clocks.get(turn):
            runs = clock.timer is not None
            clock.pause()
            clock.limit = clock.left = limit
            if runs:
                self._run(turn)

    def mark_started(self, turn: int) -> None:
        """Start the clock of a turn, because the work for its action begins. A turn that is not open is ignored."""
        if (clock := self._clocks.get(turn)) and not clock.started:
            clock.pause()
            clock.started, clock.left = True, clock.limit
            self._run(turn)

    def mark_sent(self, turn: int, now: float) -> None:
        """Record the time when the action of a turn was first sent, and start its clock."""
        if (clock := self._clocks.get(turn)) and math.isnan(clock.sent_at):
            clock.sent_at, clock.started = now, False
            self.mark_started(turn)

    def is_unsent(self, turn: int) -> bool:
        """Return whether a turn is open and its action was not sent."""
        return turn in self._clocks and math.isnan(self._clocks[turn].sent_at)

    def sent_at(self, turn: int) -> float:
        """Return when the action of a turn was sent; NaN if the turn is not open or not sent."""
        return self._clocks[turn].sent_at if turn in self._clocks else NO_TIME

    def elapsed_ms(self, turn: int, now: float) -> float:
        """Return the milliseconds since the action of a turn was sent; NaN if the turn is not open or not sent."""
        return (now - self.sent_at(turn)) * 1000

    def is_new_error(self, turn: int, error: str | None) -> bool:
        """Remember the error of a turn, and return whether the last error of the open turn was another one."""
        clock = self._clocks.get(turn)
        if clock is None or error is None:
            return True
        is_new, clock.error = clock.error != error, error
        return is_new

    def run_unsent(self, *, run: bool) -> None:
        """Start or pause the clocks of the turns whose work has not begun."""
        if run != self._unsent_run:
            self._unsent_run = run
            for turn, clock in self._clocks.items():
                if not clock.started:
                    self._run(turn) if run else clock.pause()

    def end(self, turn: int) -> None:
        """Remove a turn."""
        if clock := self._clocks.pop(turn, None):
            clock.pause()

    def stop_timers(self) -> None:
        """Stop all clocks."""
        for clock in self._clocks.values():
            clock.pause()

    def _run(self, turn: int) -> None:
        self._clocks[turn].run(lambda: self._expire(turn))

"""The open turns of a driver: when each action was sent, and when its turn times out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from socketnb.model.trace import NO_TIME


class OpenTurns:
    """The turns that have not ended, with their times. All methods run on the loop's thread.

    Args:
        expire: Called with the number of a turn that has timed out.
    """

    def __init__(self, expire: Callable[[int], None]) -> None:
        self._expire = expire
        self._sent_at: dict[int, float] = {}  # turn → the time when its action was sent; NaN before
        self._timers: dict[int, asyncio.TimerHandle] = {}

    def __contains__(self, turn: int) -> bool:
        return turn in self._sent_at

    @property
    def numbers(self) -> list[int]:
        """The numbers of the open turns, oldest first."""
        return list(self._sent_at)

    def begin(self, turn: int) -> None:
        """Add a turn whose action is not sent yet."""
        self._sent_at[turn] = NO_TIME

    def mark_sent(self, turn: int, now: float) -> None:
        """Record the time when the action of a turn was sent. A turn that is not open is ignored."""
        if turn in self._sent_at:
            self._sent_at[turn] = now

    def elapsed_ms(self, turn: int, now: float) -> float:
        """Return the milliseconds since the action of a turn was sent; NaN if the turn is not open or not sent."""
        return (now - self._sent_at.get(turn, NO_TIME)) * 1000

    def set_deadline(self, turn: int, deadline: float) -> None:
        """Set when a turn times out, in seconds of the monotonic clock. A turn that is not open is ignored."""
        if turn in self._sent_at:
            self._stop_timer(turn)
            delay = max(0.0, deadline - time.monotonic())
            self._timers[turn] = asyncio.get_running_loop().call_later(delay, self._expire, turn)

    def end(self, turn: int) -> None:
        """Remove a turn."""
        self._sent_at.pop(turn, None)
        self._stop_timer(turn)

    def stop_timers(self) -> None:
        """Stop all timers."""
        for turn in list(self._timers):
            self._stop_timer(turn)

    def _stop_timer(self, turn: int) -> None:
        if timer := self._timers.pop(turn, None):
            timer.cancel()

"""When a lost link is opened again: how many attempts are made, and the delay before each.

The rule is a policy: a function that returns a generator of delays. A driver takes any policy; `backoff` is the
default.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from typing import TypeAlias

from socketnb.model.effects import Address

ReconnectPolicy: TypeAlias = Callable[[Address], Iterator[float]]
"""Returns the delays in seconds before each attempt to reconnect to an address. When they end, no attempt is left."""
JITTER = 0.25
"""The largest part of a delay that is taken off at random, so that clients of one server do not return all at once."""
RECONNECT_INTERVAL_S = 10.0
"""If a server orders a second reconnect within so many seconds, it is delayed like a reconnect after a lost link."""


def backoff(address: Address, jitter: float = JITTER) -> Iterator[float]:
    """Yield the delays before the attempts to reconnect, doubling from `delay` up to `delay_max`, minus some jitter.

    Args:
        address: Says how many attempts are made, with which first and which longest delay.
        jitter: The largest part of a delay that is taken off at random, from 0 to 1.

    Yields:
        A delay in seconds.

    Example:
        >>> address = Address("https://bot.example", "socket.io", attempts=5, delay=1, delay_max=5)
        >>> list(backoff(address, jitter=0))
        [1.0, 2.0, 4.0, 5.0, 5.0]
    """
    attempt, delay = 0, address.delay
    while attempt < address.attempts:
        attempt, delay = attempt + 1, min(delay, address.delay_max)
        yield delay * (1 - jitter * random.random())  # noqa: S311 (jitter needs no secure random numbers)
        delay *= 2


class Reconnects:
    """Counts the attempts to open a lost link again, and says how long to wait before each.

    Args:
        policy: Returns the delays.

    Attributes:
        attempt: The number of the current attempt, 0 before the first.
    """

    def __init__(self, policy: ReconnectPolicy = backoff) -> None:
        self.attempt = 0
        self._policy = policy
        self._delays: Iterator[float] | None = None
        self._ordered_at = -math.inf

    def reset(self) -> None:
        """Count from the start again, because a link was open or the user asked for one."""
        self.attempt, self._delays = 0, None

    def next_delay(self, address: Address) -> float | None:
        """Begin the next attempt and return its delay in seconds, or return None if no attempt is left."""
        if self._delays is None:
            self._delays = self._policy(address)
        delay = next(self._delays, None)
        if delay is not None:
            self.attempt += 1
        return delay

    def is_ordered_too_often(self, now: float) -> bool:
        """Note that the server orders a reconnect; return whether it did so less than an interval ago."""
        before, self._ordered_at = self._ordered_at, now
        return now - before < RECONNECT_INTERVAL_S

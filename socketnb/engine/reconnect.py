"""Reconnecting of lost links: the number of attempts, and the delay before each attempt.

A policy is a function that returns a generator of delays. A driver accepts any policy; the default is `backoff`.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from typing import TypeAlias

from socketnb.model.effects import Address

ReconnectPolicy: TypeAlias = Callable[[Address], Iterator[float]]
"""A function that returns the delays in seconds before the attempts to reconnect to an address, one per attempt."""
JITTER = 0.25
"""The maximum fraction of a delay that is subtracted at random, so that clients do not reconnect simultaneously."""
RECONNECT_INTERVAL_S = 10.0
"""The interval in seconds. If a server orders two reconnects within it, the second is delayed as after a lost link."""


def backoff(address: Address, jitter: float = JITTER) -> Iterator[float]:
    """Yield the delays before the attempts to reconnect, doubling from `delay` up to `delay_max`, minus some jitter.

    Args:
        address: The number of attempts, the first delay and the maximum delay.
        jitter: The maximum fraction of a delay that is subtracted at random, from 0 to 1.

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
    """Counts the attempts to reconnect, and returns the delay before each attempt.

    Args:
        policy: The function that returns the delays.

    Attributes:
        attempt: The number of the current attempt, 0 before the first.
    """

    def __init__(self, policy: ReconnectPolicy = backoff) -> None:
        self.attempt = 0
        self._policy = policy
        self._delays: Iterator[float] | None = None
        self._ordered_at = -math.inf

    def reset(self) -> None:
        """Restart the count, because a link was open or the user requested a reconnect."""
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
        """Record that the server ordered a reconnect. Return whether its last order is less than an interval ago."""
        before, self._ordered_at = self._ordered_at, now
        return now - before < RECONNECT_INTERVAL_S

"""Unsolicited messages: those that arrive while no turn that they belong to is running."""

from __future__ import annotations

import concurrent.futures
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from socketnb.dialects.messages import Message, StreamPieces, messages
from socketnb.engine.loop import wait
from socketnb.model.content import Delta

if TYPE_CHECKING:
    from collections.abc import Callable

    from socketnb.dialects.base import ReadContent
    from socketnb.model.json import JsonOut
    from socketnb.model.trace import Sender, Trace

MAX_OPEN_STREAMS = 100
"""The maximum number of streamed messages that can be incomplete at the same time."""


class _Piece(NamedTuple):
    """A message, or a piece of a streamed message: its sender, and the number of its trace. The trace is in the log."""

    sender: Sender
    seq: int


class UnsolicitedMessages:
    """The unsolicited messages of a session that were not taken yet, oldest first. It can be used from any thread.

    A streamed message is added when its last piece has arrived, or when the session closes.

    Args:
        read: Reads the content of an event.
        traces: Returns the recorded traces from a number on, at most the given number of them.
    """

    def __init__(self, read: ReadContent, traces: Callable[[int, int], list[Trace]]) -> None:
        self.closed = False
        self._read = read
        self._traces = traces
        self._lock = threading.Lock()
        self._arrived: deque[list[_Piece]] = deque()
        self._streams: StreamPieces[_Piece] = StreamPieces(MAX_OPEN_STREAMS)
        self._waiters: set[concurrent.futures.Future[None]] = set()

    def add(self, trace: Trace, payload: JsonOut) -> None:
        """Add a message or piece if it is unsolicited. Called on the loop's thread."""
        if not trace.is_unsolicited:
            return
        piece = _Piece(trace.sender, trace.seq)
        if trace.kind != "delta":
            self._push([piece])
        elif isinstance(delta := self._read(trace.event, payload), Delta):
            self._push(*self._streams.add((trace.turn, delta.stream), delta, piece))

    def _push(self, *arrived: list[_Piece]) -> None:
        with self._lock:
            self._arrived += arrived
        self._wake()

    def close(self) -> None:
        """End all waits. Messages that have arrived can still be taken. Closing again does nothing."""
        if not self.closed:
            self._push(*self._streams.rest())
            self.closed = True
            self._wake()

    def _wake(self) -> None:
        with self._lock:
            waiters, self._waiters = self._waiters, set()
        for waiter in waiters:
            if waiter.set_running_or_notify_cancel():
                waiter.set_result(None)

    def take(self, sender: Sender | None, encoding: str) -> Message | None:
        """Remove and return the oldest message, or None.

        Args:
            sender: Only a message of this sender, or of any sender if None.
            encoding: The encoding of streamed sound.
        """
        while True:
            with self._lock:
                arrived = next((a for a in self._arrived if sender in (None, a[0].sender)), None)
                if arrived is None:
                    return None
                self._arrived.remove(arrived)
            first, last, pieces = arrived[0].seq, arrived[-1].seq, {piece.seq for piece in arrived}
            traces = self._traces(first, last - first + 1)
            for found in messages([trace for trace in traces if trace.seq in pieces], encoding):
                return found  # a trace without displayable content is no message: the next one is taken

    def waiter(self) -> concurrent.futures.Future[None] | None:
        """Return a future that is done when the next message has arrived; None if the session is closed."""
        future: concurrent.futures.Future[None] = concurrent.futures.Future()
        with self._lock:
            if self.closed:
                return None
            self._waiters.add(future)
        return future

    def drop(self, waiter: concurrent.futures.Future[None] | None) -> None:
        """Forget a future that `waiter` returned."""
        with self._lock:
            self._waiters -= {waiter} if waiter else set()

    def wait(self, sender: Sender | None, encoding: str, timeout: float) -> Message | None:
        """Return the oldest message, or wait for it. Return None after `timeout` seconds or if the session is closed.

        A keyboard interrupt ends the wait.
        """
        due = time.monotonic() + timeout
        while True:
            waiter = self.waiter()
            try:
                if found := self.take(sender, encoding):
                    return found
                if waiter is None or (left := due - time.monotonic()) <= 0:
                    return None
                wait(waiter, left)
            except TimeoutError:
                return self.take(sender, encoding)
            finally:
                self.drop(waiter)

"""A `Turn` is one user action and all that follows until the bot is done with it."""

from __future__ import annotations

import asyncio
import concurrent.futures
import html
import threading
from typing import TYPE_CHECKING, Any

from socketnb import render
from socketnb.dialects.messages import Message, message, messages
from socketnb.engine.loop import SLICE, wait
from socketnb.errors import ActionError, SessionError, TurnFailed, TurnTimeout
from socketnb.model.actions import Action
from socketnb.model.content import Choice, Choices, Delta
from socketnb.model.trace import NO_TIME, Status, Trace

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from socketnb.engine.driver import Driver
    from socketnb.engine.loop import Loop

SPARE = 5.0
"""Seconds that a wait outlasts its turn's own time, which the driver keeps."""


class Turn:
    """One user action and all that follows until the bot is done with it. It can be awaited.

    Attributes:
        number: 1, 2, 3 … in its session.
        action: what the user did.
        status: `running`, then `completed`, `rejected`, `timeout`, `cancelled` or `failed`.
        reason: why it ended so, where the platform tells.
        traces: what was observed, so far.
        session: the name of its session.
    """

    def __init__(
        self, number: int, action: Action, *, name: str, driver: Driver, loop: Loop, timeout: float, encoding: str
    ) -> None:
        self.number = number
        self.action = action
        self.status: Status = "running"
        self.reason: str | None = None
        self.traces: list[Trace] = []
        self.session = name
        self._driver = driver
        self._loop = loop
        self._timeout = timeout
        self._encoding = encoding
        self._changed = threading.Condition()
        self._done: concurrent.futures.Future[None] = concurrent.futures.Future()

    @property
    def messages(self) -> list[Message]:
        """What the bot showed, streamed pieces put together."""
        said = [trace for trace in self.traces if trace.sender != "user"]
        return messages(said, self._encoding)

    @property
    def text(self) -> str:
        """What the bot said, a line a message."""
        said = (m.content.text if isinstance(m.content, Choices) else m.text for m in self.messages)
        return "\n".join(filter(None, said))

    @property
    def choices(self) -> list[Choice]:
        """The buttons of the last message that has any."""
        return choices_of(self.traces)

    @property
    def error(self) -> str | None:
        """The error that came, if any."""
        return next((trace.error for trace in self.traces if trace.error), None)

    @property
    def first_ms(self) -> float:
        """Milliseconds from sending to the first message; NaN while there is none."""
        return next((m.trace.elapsed_ms for m in self.messages), NO_TIME)

    @property
    def done_ms(self) -> float:
        """Milliseconds from sending to the end; NaN while running."""
        return next((trace.elapsed_ms for trace in self.traces if trace.final), NO_TIME)

    def over(self, within: float = 0) -> bool:
        """Wait at most so many seconds; tell whether the bot is done, or the turn ended otherwise."""
        return bool(concurrent.futures.wait([self._done], timeout=within).done)

    def wait(self, timeout: float | None = None) -> Turn:
        """Wait until the bot is done, at most `timeout` seconds (default: the session's), and return this turn.

        Raises:
            TurnTimeout: it was not; the session stays usable.
            TurnFailed: the session broke.
        """
        seconds = self.allow(timeout)
        try:
            wait(self._done, seconds + SPARE)  # the driver gives the turn up in time; nothing waits for ever
        except KeyboardInterrupt:
            self._abandon("cancelled")
            raise
        except TimeoutError:
            self.finish("timeout", "the background loop does not answer")
        return self._result(seconds)

    def cancel(self) -> None:
        """Stop waiting for this turn. What came is kept; what still comes is in the session's frames."""
        self._abandon("cancelled")

    def stream(self, timeout: float | None = None) -> Iterator[Message]:
        """Yield the bot's messages as they arrive, a streamed one piece by piece, until the turn is over.

        Raises:
            TurnTimeout, TurnFailed: as `wait`.
        """
        seconds = self.allow(timeout)
        seen = 0
        try:
            while not (self._done.done() and seen == len(self.traces)):
                with self._changed:
                    if len(self.traces) == seen and not self._done.done():
                        self._changed.wait(SLICE)
                fresh = self.traces[seen:]
                seen += len(fresh)
                found = (m for m in map(message, fresh) if m and m.trace.sender != "user")
                yield from (m for m in found if m.text or not isinstance(m.content, Delta))
        except KeyboardInterrupt:
            self._abandon("cancelled")
            raise
        self._result(seconds)

    def __await__(self) -> Generator[Any, None, Turn]:
        return self._awaited().__await__()

    async def _awaited(self) -> Turn:
        try:
            await asyncio.shield(asyncio.wrap_future(self._done))
        except asyncio.CancelledError:
            self._abandon("cancelled")
            raise
        return self._result(self._timeout)

    def allow(self, timeout: float | None) -> float:
        """Set how long this turn may take from now, in seconds (default: the session's), and return that.

        Raises:
            ActionError: it is no number of seconds.
        """
        check_timeout(timeout)
        seconds = self._timeout if timeout is None else timeout
        if self._loop.here:
            raise SessionError("a listener cannot wait for a turn: use send() there")
        if timeout is not None:
            self._driver.allow(self.number, seconds)
        return float(seconds)

    def _abandon(self, kind: str) -> None:
        self._driver.abandon(self.number, kind)
        concurrent.futures.wait([self._done], timeout=1)

    def _result(self, seconds: float) -> Turn:
        if self.status == "failed":
            raise TurnFailed(f"{self.session}: {self.reason}", self)
        if self.status == "timeout":
            hint = f" (it said: {self.error})" if self.error else ""
            what = f"{self.session}: the bot was not done with turn {self.number} within {seconds:g} s{hint}"
            raise TurnTimeout(f"{what}; the session stays usable, timeout= waits longer", self)
        return self

    # What its session does with it

    def add(self, trace: Trace) -> None:
        """Take in what was observed."""
        with self._changed:
            self.traces.append(trace)
            self._changed.notify_all()

    def finish(self, status: Status, reason: str | None) -> None:
        """Be over, once."""
        with self._changed:
            if not self._done.done():
                self.status, self.reason = status, reason
                self._done.set_result(None)
                self._changed.notify_all()

    @property
    def summary(self) -> str:
        """How it ended, and how long it took: `completed · first 212 ms · 1.4 s`."""
        ms = render.milliseconds(self.first_ms)
        parts = [self.status, self.reason, ms and f"first {ms}", render.milliseconds(self.done_ms)]
        return " · ".join(part for part in parts if part)

    def __repr__(self) -> str:
        return f"{render.transcript_text(self.traces)}\n{'':<6} ({self.summary})"

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        foot = f'<small style="opacity:.65">{html.escape(self.summary)}</small>'
        return {
            "text/plain": repr(self),
            "text/html": render.transcript_html(self.traces, self._encoding) + foot,
        }


def check_timeout(timeout: float | None) -> None:
    """Check how long a turn is to be waited for: before it begins, nothing is sent then.

    Raises:
        ActionError: it is no number of seconds.
    """
    number = isinstance(timeout, int | float) and not isinstance(timeout, bool)
    if timeout is not None and not (number and 0 < timeout < threading.TIMEOUT_MAX):
        raise ActionError(f"timeout is a number of seconds above 0, not {timeout!r}")


def choices_of(traces: list[Trace]) -> list[Choice]:
    """Return the buttons of the last trace that has any."""
    for trace in reversed(traces):
        shown = message(trace)
        if shown and shown.choices:
            return list(shown.choices)
    return []

"""The class `Turn`: one action of the user and everything the bot sends in response."""

from __future__ import annotations

import asyncio
import concurrent.futures
import html
import threading
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING

from socketnb import render
from socketnb.conversation.verbs import check_timeout, choices_of
from socketnb.dialects.messages import Message, is_reply, message, messages
from socketnb.engine.loop import WAIT_SLICE_S, wait
from socketnb.errors import SessionError, TurnFailed, TurnTimeout
from socketnb.model.actions import Action
from socketnb.model.content import Choice, Delta
from socketnb.model.trace import NO_TIME, Status, Trace

if TYPE_CHECKING:
    from socketnb.engine.driver import Driver, EndReason
    from socketnb.engine.loop import Loop

WAIT_MARGIN_S = 5.0
"""How long a wait continues after the driver should have ended the turn, in seconds."""
CANCEL_TIMEOUT_S = 1.0
"""How long to wait for a cancelled turn to end, in seconds."""


class Turn:
    """One action of the user and everything the bot sends in response. A turn can be awaited.

    Attributes:
        number: The number of the turn in its session: 1, 2, 3 …
        action: The action of the user.
        status: `running`, then `completed`, `rejected`, `failed`, `timeout` or `cancelled`.
        reason: Why the turn ended with this status, if known.
        traces: The traces observed so far.
        session: The name of the session.

    Example:
        >>> with snb.connect("voiceflow", simulate=True) as bot:
        ...     turn = bot.say("track")
        >>> turn.status, turn.text
        ('completed', 'Gladly. What is your order number? (Try `4567`.)')
        >>> 0 < turn.first_ms <= turn.done_ms
        True
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
        """The messages of the bot or of an agent. The pieces of a streamed message are joined."""
        return messages(filter(is_reply, self.traces), self._encoding)

    @property
    def text(self) -> str:
        """What the messages say, one message per line, without labels of buttons."""
        return "\n".join(filter(None, (m.text for m in self.messages)))

    @property
    def choices(self) -> list[Choice]:
        """The buttons of the last message that has buttons."""
        return choices_of(self.traces)

    @property
    def error(self) -> str | None:
        """The first error of the turn, or None."""
        return next((trace.error for trace in self.traces if trace.error), None)

    @property
    def first_ms(self) -> float:
        """Milliseconds from sending the action to the first message; NaN if no message has arrived."""
        return next((m.trace.elapsed_ms for m in self.messages), NO_TIME)

    @property
    def done_ms(self) -> float:
        """Milliseconds from sending the action to the end of the turn; NaN while the turn is running."""
        return next((trace.elapsed_ms for trace in self.traces if trace.final), NO_TIME)

    def over(self, within: float = 0) -> bool:
        """Wait at most `within` seconds for the end of the turn, and return whether it has ended."""
        return bool(concurrent.futures.wait([self._done], timeout=within).done)

    def wait(self, timeout: float | None = None) -> Turn:
        """Wait until the bot is done.

        Args:
            timeout: Seconds from now after which the turn times out (default: the session's timeout, counted from
                the start of the turn).

        Returns:
            This turn.

        Raises:
            ActionError: `timeout` is not a number of seconds above 0.
            TurnTimeout: The bot was not done in time. The session stays usable.
            TurnFailed: The session failed during the turn.
            SessionError: A listener called this. A listener cannot wait.

        Example:
            >>> with snb.connect("voiceflow", simulate=True) as bot:
            ...     turn = bot.send("track")
            ...     turn.wait(timeout=10).status
            'completed'
        """
        seconds = self.allow(timeout)
        try:
            wait(self._done, seconds + WAIT_MARGIN_S)  # the driver ends it earlier unless its loop has stopped
        except KeyboardInterrupt:
            self._abandon("cancelled")
            raise
        except TimeoutError:
            self.finish("timeout", "the background loop does not respond: restart the kernel")
        return self._result(seconds)

    def cancel(self) -> None:
        """Stop waiting for this turn. Later traces of the turn are still recorded in the session.

        Example:
            >>> with snb.connect("voiceflow", simulate=True) as bot:
            ...     turn = bot.send("track")
            ...     turn.cancel()
            >>> turn.status in ("cancelled", "completed")
            True
        """
        self._abandon("cancelled")

    def stream(self, timeout: float | None = None) -> Iterator[Message]:
        """Yield the messages as they arrive, and each piece of a streamed message, until the turn has ended.

        Args:
            timeout: As in `wait`.

        Raises:
            TurnTimeout: The bot was not done in time. The session stays usable.
            TurnFailed: The session failed during the turn.
        """
        seconds = self.allow(timeout)
        seen = 0
        try:
            while not (self._done.done() and seen == len(self.traces)):
                with self._changed:
                    if len(self.traces) == seen and not self._done.done():
                        self._changed.wait(WAIT_SLICE_S)
                new = self.traces[seen:]
                seen += len(new)
                shown = (m for m in map(message, new) if m and m.trace.sender != "user")
                yield from (m for m in shown if m.text or not isinstance(m.content, Delta))
        except KeyboardInterrupt:
            self._abandon("cancelled")
            raise
        self._result(seconds)

    def __await__(self) -> Generator[object, None, Turn]:
        return self._until_done().__await__()

    async def _until_done(self) -> Turn:
        try:
            await asyncio.shield(asyncio.wrap_future(self._done))
        except asyncio.CancelledError:
            self._abandon("cancelled")
            raise
        return self._result(self._timeout)

    def allow(self, timeout: float | None) -> float:
        """Set the timeout of the turn, counted from now.

        Args:
            timeout: Seconds above 0, or None to keep the current timeout.

        Returns:
            The timeout in seconds: `timeout`, or the session's timeout.

        Raises:
            ActionError: `timeout` is not a number of seconds above 0.
            SessionError: A listener called this. A listener cannot wait.
        """
        check_timeout(timeout)
        seconds = self._timeout if timeout is None else timeout
        if self._loop.is_current_thread:
            raise SessionError("a listener cannot wait for a turn: use send() there")
        if timeout is not None:
            self._driver.allow(self.number, seconds)
        return float(seconds)

    def _abandon(self, reason: EndReason) -> None:
        self._driver.abandon(self.number, reason)
        concurrent.futures.wait([self._done], timeout=CANCEL_TIMEOUT_S)

    def _result(self, seconds: float) -> Turn:
        if self.status == "failed":
            raise TurnFailed(f"{self.session}: {self.reason}", self)
        if self.status == "timeout":
            hint = f" (its first error was: {self.error})" if self.error else ""
            text = f"{self.session}: the bot was not done with turn {self.number} within {seconds:g} s{hint}"
            raise TurnTimeout(f"{text}; the session stays usable; pass a larger timeout= to wait longer", self)
        return self

    # Called by the session, on the loop's thread

    def add(self, trace: Trace) -> None:
        """Add a trace."""
        with self._changed:
            self.traces.append(trace)
            self._changed.notify_all()

    def finish(self, status: Status, reason: str | None) -> None:
        """End the turn, unless it has ended."""
        with self._changed:
            if not self._done.done():
                self.status, self.reason = status, reason
                self._done.set_result(None)
                self._changed.notify_all()

    # Representations

    @property
    def summary(self) -> str:
        """The status and the duration of the turn, for example `completed · first 212 ms · 1.4 s`."""
        first_ms = render.milliseconds(self.first_ms)
        parts = [self.status, self.reason, first_ms and f"first {first_ms}", render.milliseconds(self.done_ms)]
        return " · ".join(part for part in parts if part)

    def __repr__(self) -> str:
        return f"{render.transcript_text(self.traces)}\n{'':<6} ({self.summary})"

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        foot = f'<small style="opacity:.65">{html.escape(self.summary)}</small>'
        return {
            "text/plain": repr(self),
            "text/html": render.transcript_html(self.traces, self._encoding) + foot,
        }

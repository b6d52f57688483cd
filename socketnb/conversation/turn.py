"""The class `Turn`: one action of the user and everything the bot sends in response."""

from __future__ import annotations

import asyncio
import concurrent.futures
import html
import threading
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Final

from socketnb import render
from socketnb.conversation.verbs import check_timeout
from socketnb.dialects.messages import Message, message, messages, parse
from socketnb.engine.loop import WAIT_SLICE_S, wait
from socketnb.engine.reasons import NOT_SENT, TIMED_OUT
from socketnb.errors import SessionError, TurnFailed, TurnTimeout
from socketnb.model.actions import Action
from socketnb.model.content import Choice, Delta
from socketnb.model.json import as_dict, as_text
from socketnb.model.trace import NO_TIME, Sender, Status, Trace

if TYPE_CHECKING:
    from socketnb.engine.driver import Driver
    from socketnb.engine.events import State
    from socketnb.engine.loop import Loop
    from socketnb.engine.reasons import EndReason

WAIT_MARGIN_S = 5.0
"""After this many seconds without the end of a turn that should have ended, the background loop is checked."""
CANCEL_TIMEOUT_S = 1.0
"""How long to wait for a cancelled turn to end, in seconds."""
AFTER_TIMEOUT: Final[dict[State, str]] = {
    "connecting": "the session is not connected yet",
    "ready": "the session stays usable",
    "reconnecting": "the session is reconnecting and stays usable",
    "ended": "the platform has ended the conversation, and the next action starts a new one",
    "lost": "the session is lost, and the next action tries to reconnect",
    "closed": "the session is closed",
}
"""What an error says about the session after a turn timed out."""


class Turn:
    """One action of the user and everything the bot sends in response. A turn can be awaited.

    Attributes:
        number: The number of the turn in its session: 1, 2, 3 …
        action: The action of the user.
        status: `running`, then `completed`, `rejected`, `failed`, `timeout` or `cancelled`.
        reason: Why the turn ended with this status, if known. While the turn is not sent: why it waits, for example
            `not sent: waiting for the end of turn 2`.
        traces: The traces observed so far, including those that arrived after the end of the turn.
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
        """The messages of the bot or of an agent during the turn. The pieces of a streamed message are joined."""
        return messages([trace for trace in list(self.traces) if trace.is_reply], self._encoding)

    @property
    def late_messages(self) -> list[Message]:
        """The messages of this turn that arrived after its end."""
        return messages([trace for trace in list(self.traces) if trace.is_unsolicited], self._encoding)

    @property
    def text(self) -> str:
        """What the messages say, one message per line, without labels of buttons."""
        return "\n".join(filter(None, (m.text for m in self.messages)))

    @property
    def choices(self) -> list[Choice]:
        """The buttons of all messages of the turn, in order."""
        return [choice for message in self.messages for choice in message.choices]

    @property
    def sender(self) -> Sender | None:
        """Who answered: `bot`, or `agent` if an agent sent the last message. None if no message has arrived."""
        return next((m.trace.sender for m in reversed(self.messages) if m.trace.sender in ("bot", "agent")), None)

    @property
    def warnings(self) -> list[str]:
        """Warnings about this turn, for example that a message may belong to another turn.

        A warning can arrive after the end of the turn.
        """
        return [trace.text or "" for trace in list(self.traces) if trace.kind == "warning"]

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

    def wait(self, timeout: float | None = None, *, check: bool = True) -> Turn:
        """Wait until the bot is done.

        Args:
            timeout: Seconds after which the turn times out, counted from now, or from the sending if the turn is not
                sent yet (default: the session's timeout, counted from the sending).
            check: Whether to raise `TurnFailed` if the turn fails.

        Returns:
            This turn.

        Raises:
            ActionError: `timeout` is not a number of seconds above 0.
            TurnTimeout: The bot was not done in time.
            TurnFailed: The turn failed, because of an error of the bot or of the session, and `check` is True.
            SessionError: A listener called this. A listener cannot wait.

        Example:
            >>> with snb.connect("voiceflow", simulate=True) as bot:
            ...     turn = bot.send("track")
            ...     turn.wait(timeout=10).status
            'completed'
        """
        seconds = self.allow(timeout)
        try:
            self._wait(seconds + WAIT_MARGIN_S)
        except KeyboardInterrupt:
            self._abandon("cancelled")
            raise
        return self._result(seconds, check=check)

    def _wait(self, patience: float) -> None:
        """Wait for the end of the turn. The driver ends it, unless its loop has stopped."""
        while not self._done.done():
            try:
                wait(self._done, patience)
            except TimeoutError:  # a turn that is not sent yet may wait longer
                if not self._loop.responds(WAIT_MARGIN_S):
                    self.finish("timeout", "the background loop does not respond: restart the kernel")

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

    def stream(self, timeout: float | None = None, *, check: bool = True) -> Iterator[Message]:
        """Yield the messages as they arrive, and each piece of a streamed message, until the turn has ended.

        Args:
            timeout: As in `wait`.
            check: As in `wait`.

        Raises:
            TurnTimeout: The bot was not done in time.
            TurnFailed: The turn failed, and `check` is True.
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
                shown = (m for m in map(message, [trace for trace in new if trace.is_reply]) if m)
                yield from (m for m in shown if m.text or not isinstance(m.content, Delta))
        except KeyboardInterrupt:
            self._abandon("cancelled")
            raise
        self._result(seconds, check=check)

    def __await__(self) -> Generator[object, None, Turn]:
        return self._until_done().__await__()

    async def _until_done(self) -> Turn:
        try:
            await asyncio.shield(asyncio.wrap_future(self._done))
        except asyncio.CancelledError:
            self._abandon("cancelled")
            raise
        return self._result(self._timeout, check=True)

    def allow(self, timeout: float | None) -> float:
        """Set the timeout of the turn, counted from now, or from the sending if the turn is not sent yet.

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

    def _result(self, seconds: float, *, check: bool) -> Turn:
        """Return this turn after its end.

        Raises:
            TurnTimeout: The turn timed out.
            TurnFailed: The turn failed, and `check` is True.
        """
        reason, hint = self.reason or "", ""
        if self.error and self.error not in reason:
            hint = f" (its first error was: {self.error})"
        if self.status == "failed" and check:
            raise TurnFailed(f"{self.session}: {reason or 'the turn failed'}{hint}", self)
        if self.status == "timeout":
            unsent = reason.startswith(NOT_SENT)
            cause = reason.removeprefix(NOT_SENT if unsent else TIMED_OUT).removeprefix(": ")
            cause = (f": {cause}" if cause else "") + hint
            waited = f"turn {self.number} was not sent" if unsent else f"the bot was not done with turn {self.number}"
            text = f"{waited} within {seconds:g} s{cause}; {AFTER_TIMEOUT[self._driver.state]}"
            text += "" if unsent else "; pass a larger timeout= to wait longer"
            raise TurnTimeout(f"{self.session}: {text}", self)
        return self

    # Called by the session, on the loop's thread

    def add(self, trace: Trace) -> None:
        """Add a trace."""
        with self._changed:
            self.traces.append(trace)
            if self.status == "running" and trace.kind in ("queued", "action"):
                waits = trace.kind == "queued"
                self.reason = as_text(as_dict(parse(trace.payload)).get("reason")) if waits else None
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
        """The status, its reason and the durations of the turn, such as `completed · first 212 ms · 1.4 s`.

        A reason that is the error of a trace is left out, because the transcript shows it.
        """
        first_ms = render.milliseconds(self.first_ms)
        reason = self.reason if self.reason != self.error else None
        parts = [self.status, reason, first_ms and f"first {first_ms}", render.milliseconds(self.done_ms)]
        return " · ".join(part for part in parts if part)

    def __repr__(self) -> str:
        return f"{render.transcript_text(self.traces)}\n{'':<6} ({self.summary})"

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        foot = f'<small style="opacity:.65">{html.escape(self.summary)}</small>'
        return {
            "text/plain": repr(self),
            "text/html": render.transcript_html(self.traces, self._encoding) + foot,
        }

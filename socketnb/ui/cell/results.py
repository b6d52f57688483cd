"""The results of the steps of a cell: a turn or a wait in one session, with everything that arrived meanwhile."""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING

from socketnb import render
from socketnb.dialects.messages import Message, messages
from socketnb.model.content import Custom
from socketnb.ui.expectation import Reply

if TYPE_CHECKING:
    from collections.abc import Iterable

    from socketnb.conversation.session import Session
    from socketnb.conversation.turn import Turn
    from socketnb.model.trace import Trace


class SessionFeed:
    """Collects the traces of a session from now on, on the background thread.

    Args:
        session: The session.

    Attributes:
        session: The name of the session.
        traces: The traces so far.
        stop: Ends the collection.
    """

    def __init__(self, session: Session) -> None:
        self.session = session.name
        self.traces: list[Trace] = []
        self.stop = session.follow(self.traces.extend)


class StepResult(abc.ABC):
    """The result of a step in one session.

    Args:
        feed: The traces of the session.
        begin: The index of the first trace in the feed that belongs to this step.

    Attributes:
        session: The name of the session.
        end: The index after the last trace that was read. The next step begins there, so that no message is lost.
    """

    def __init__(self, feed: SessionFeed, begin: int) -> None:
        self.session = feed.session
        self.end = begin
        self._feed = feed
        self._ended = False
        self._traces: list[Trace] = []

    @property
    def traces(self) -> list[Trace]:
        """The traces so far."""
        if not self._ended:
            new = self._feed.traces[self.end :]
            self.end += len(new)
            self._traces += filter(self._belongs, new)
        return self._traces

    def finish(self) -> None:
        """End the step: later traces do not belong to it."""
        _ = self.traces
        self._ended = True

    @abc.abstractmethod
    def _belongs(self, trace: Trace) -> bool:
        """Return whether a trace is shown in this result."""

    @property
    @abc.abstractmethod
    def status(self) -> str:
        """Whether the step is running, or how it ended."""

    @property
    @abc.abstractmethod
    def summary(self) -> str:
        """How the step ended, and how long it took."""

    @abc.abstractmethod
    def reply(self) -> Reply:
        """Return what expectations check."""


class TurnResult(StepResult):
    """A turn, with the unsolicited messages and the warnings that arrived until its end.

    Attributes:
        turn: The turn.
    """

    def __init__(self, feed: SessionFeed, begin: int, turn: Turn) -> None:
        super().__init__(feed, begin)
        self.turn = turn

    def _belongs(self, trace: Trace) -> bool:
        return trace.turn == self.turn.number or trace.is_unsolicited or trace.kind == "warning"

    @property
    def status(self) -> str:
        """The status of the turn."""
        return self.turn.status

    @property
    def summary(self) -> str:
        """The summary of the turn."""
        return self.turn.summary

    def reply(self) -> Reply:
        """Return the messages of the turn, without those that arrived after its end."""
        return _reply(trace for trace in self.turn.traces if trace.is_reply)


class WaitResult(StepResult):
    """What arrived in a session during a `/wait`."""

    def __init__(self, feed: SessionFeed, begin: int) -> None:
        super().__init__(feed, begin)
        self._waited = ""

    def _belongs(self, _: Trace) -> bool:
        return True

    @property
    def status(self) -> str:
        """Whether the step is waiting, or how long it waited."""
        return self._waited or "waiting"

    @property
    def summary(self) -> str:
        """The status."""
        return self.status

    def waited(self, seconds: float) -> None:
        """End the wait."""
        self.finish()
        self._waited = f"waited {seconds:.1f} s"

    def reply(self) -> Reply:
        """Return everything that arrived."""
        return _reply(trace for trace in self.traces if trace.is_received)


def _reply(traces: Iterable[Trace]) -> Reply:
    received = messages(traces)
    found = [data for message in received if (data := message.data) is not None]
    return Reply("\n".join(filter(None, map(_words, received))), found)


def _words(message: Message) -> str:
    """Return a message as text with its numbered buttons. The name of a custom message is not part of what it says."""
    if isinstance(custom := message.content, Custom):
        return "  ".join(filter(None, [custom.text, *(option.label for option in custom.options)]))
    return render.message_text(message)

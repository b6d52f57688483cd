"""The interface between a running cell and the views of its steps: a notebook, a terminal, or none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from socketnb import render
from socketnb.dialects.messages import messages

if TYPE_CHECKING:
    from collections.abc import Sequence

    from socketnb.model.trace import Trace


class StepResult(Protocol):
    """The result of a step in one session: a `Turn`, or the traces that arrived during a `/wait`."""

    @property
    def session(self) -> str:
        """Name of the session."""

    @property
    def traces(self) -> list[Trace]:
        """The traces so far."""

    @property
    def status(self) -> str:
        """Whether the step is running, or how it ended."""

    @property
    def summary(self) -> str:
        """How the step ended, and how long it took."""


def reply(result: StepResult) -> str:
    """Return the messages of the bot, one per line, with numbered buttons."""
    received = messages(trace for trace in result.traces if trace.sender != "user")
    return "\n".join(map(render.message_text, received))


class StepView(Protocol):
    """The view of one step."""

    def add(self, results: Sequence[StepResult]) -> None:
        """Add results, which may still receive traces."""

    def note(self, text: str, *, passed: bool = False) -> None:
        """Add a line: a passed expectation or an error."""

    def refresh(self, *, final: bool = False) -> None:
        """Show new traces, if the update interval has passed or the step has ended."""


class NoView:
    """A view that shows nothing."""

    def __init__(self, title: str = "") -> None:
        """Create the view of a step."""

    def add(self, results: Sequence[StepResult]) -> None:
        """Do nothing."""

    def note(self, text: str, *, passed: bool = False) -> None:
        """Do nothing."""

    def refresh(self, *, final: bool = False) -> None:
        """Do nothing."""

"""The interface between a running cell and where its steps are shown: a notebook, a terminal, or nowhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from socketnb import render
from socketnb.dialects.messages import messages

if TYPE_CHECKING:
    from collections.abc import Sequence

    from socketnb.model.trace import Trace


class StepResult(Protocol):
    """What one step brought in one session: a `Turn`, or what arrived during a `/wait`."""

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
    """Return what the bot showed, one line per message, buttons with their numbers."""
    received = messages(trace for trace in result.traces if trace.sender != "user")
    return "\n".join(map(render.message_text, received))


class StepView(Protocol):
    """Where one step is shown."""

    def add(self, results: Sequence[StepResult]) -> None:
        """Add results, which may still be growing."""

    def note(self, text: str, *, passed: bool = False) -> None:
        """Add a line: an expectation that passed, or what went wrong."""

    def refresh(self, *, final: bool = False) -> None:
        """Show what is new, if the last update was long enough ago, or if the step has ended."""


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

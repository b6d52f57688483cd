"""The interface between a running cell and the views of its steps: a notebook, a terminal, or none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from socketnb.ui.cell.results import StepResult


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

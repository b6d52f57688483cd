"""What a cell tells the place where a step is shown: an output of a notebook, a terminal, or nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from socketnb import render
from socketnb.dialects.messages import messages

if TYPE_CHECKING:
    from collections.abc import Sequence

    from socketnb.model.trace import Trace


class Part(Protocol):
    """What a session did and heard: a `Turn`, or what came while the cell waited."""

    @property
    def session(self) -> str:
        """The session's name."""

    @property
    def traces(self) -> list[Trace]:
        """What came, so far."""

    @property
    def status(self) -> str:
        """Whether it runs, or how it ended."""

    @property
    def summary(self) -> str:
        """How it ended, and how long it took."""


def reply(part: Part) -> str:
    """Return what the bot showed, a line a message, buttons with their numbers."""
    shown = messages(trace for trace in part.traces if trace.sender != "user")
    return "\n".join(map(render.message_text, shown))


class Place(Protocol):
    """Where a step is shown."""

    def add(self, parts: Sequence[Part]) -> None:
        """Show more."""

    def note(self, said: str, *, good: bool = False) -> None:
        """Add a line: what was expected and came, or what went wrong."""

    def refresh(self, *, end: bool = False) -> None:
        """Show what is new, if it is time, or at the end of the step."""


class Nowhere:
    """Shows nothing."""

    def __init__(self, title: str = "") -> None:
        """Be the place of a step."""

    def add(self, parts: Sequence[Part]) -> None:
        """Show nothing."""

    def note(self, said: str, *, good: bool = False) -> None:
        """Show nothing."""

    def refresh(self, *, end: bool = False) -> None:
        """Show nothing."""

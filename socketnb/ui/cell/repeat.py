"""A `%%chat` cell again and again: a progress bar while it runs, then how each step went and how long it took."""

from __future__ import annotations

import html
import time
from typing import TYPE_CHECKING, Any

from IPython.display import ProgressBar

from socketnb.errors import ExpectationFailed
from socketnb.ui.cell import Cell
from socketnb.ui.cell.output import OFTEN, Output

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd

    from socketnb.conversation.session import Session
    from socketnb.conversation.turn import Turn
    from socketnb.ui.cell.place import Part
    from socketnb.ui.script import Expect, Step


class Repeat:
    """Runs a cell so many times.

    Args:
        times: how often.
        steps, sessions: as of `Cell`.
        shown: show the progress and the summary.
        **how: as of `Cell`.

    Attributes:
        turns, parts: of all runs, in order; as of `Cell`.

    Raises:
        ActionError: as `Cell`.
    """

    def __init__(
        self, times: int, steps: Sequence[Step], sessions: Sequence[Session], *, shown: bool, **how: Any
    ) -> None:
        self.turns: list[Turn] = []
        self.parts: list[Part] = []
        self._facts: list[tuple[Any, ...]] = []
        self._times, self._shown, self._mask = times, shown, how.get("mask", str)
        self._new: Callable[[], Cell] = lambda: Cell(steps, sessions, **how)
        self._new()  # says now what is wrong
        self._bar = ProgressBar(times)
        self._output = Output()
        self._next = 0.0  # when the bar may move again

    def lay_out(self) -> None:
        """Show the progress bar, or have a place to tell what goes wrong."""
        if self._shown:
            self._progress(0)
        else:
            self._output.show({"text/plain": ""})

    def run(self, expected: Sequence[Expect] = ()) -> None:
        """Run it, and show how it went, also if it is interrupted or fails; errors as of `Cell.run`."""
        failed: ExpectationFailed | None = None
        try:
            for n in range(self._times):
                self._progress(n)
                cell = self._new()
                try:
                    cell.run(expected)
                except ExpectationFailed as error:
                    failed = failed or error
                    if not cell.keep_on:
                        raise
                finally:
                    self.turns += cell.turns
                    self.parts += cell.parts
                    self._facts += cell.facts()
        finally:
            self._end()
        if failed:
            raise failed

    def trouble(self, error: Exception) -> None:
        """Tell below the summary what ended it."""
        self._end(self._mask(f"✗ after {len(self._facts)} turns: {error}"), shown=True)

    def _progress(self, n: int) -> None:
        if self._shown and self._output.live and time.monotonic() >= self._next:
            self._next = time.monotonic() + OFTEN
            self._bar._progress = n  # noqa: SLF001 (its setter would show it, and elsewhere)
            self._output.show({"text/plain": repr(self._bar), "text/html": self._bar._repr_html_()})

    def _end(self, said: str = "", *, shown: bool = False) -> None:
        """Show the summary; in a kernel it takes the place of the progress bar."""
        if self._shown or shown:
            frame = self.summary()
            plain, table = (frame.to_string(), frame.to_html(notebook=True)) if len(frame) else ("", "")
            words = f"<div>{html.escape(said)}</div>" if said else ""
            self._output.show({"text/plain": "\n".join(filter(None, [plain, said])), "text/html": table + words})

    def summary(self) -> pd.DataFrame:
        """Return a row a step and session: how often, how it ended, the times in milliseconds."""
        import pandas as pd

        columns = ["step", "session", "turns", "completed", "unexpected", "p50_ms", "p90_ms", "max_ms"]
        frame = pd.DataFrame(self._facts, columns=["session", "line", "step", "completed", "unexpected", "ms"])
        table = (
            frame.groupby(["line", "session"], sort=True)
            .agg(
                step=("step", "first"),
                turns=("ms", "size"),
                completed=("completed", "sum"),
                unexpected=("unexpected", "sum"),
                p50_ms=("ms", "median"),
                p90_ms=("ms", lambda ms: ms.quantile(0.9)),
                max_ms=("ms", "max"),
            )
            .reset_index()
        )
        return table[columns].round(1).set_index("step")

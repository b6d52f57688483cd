"""A `%%chat` cell again and again: a progress bar while it runs, then how each step went and how long it took."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Any

from IPython.core.getipython import get_ipython
from IPython.display import ProgressBar, display, update_display

from socketnb.errors import ExpectationFailed, SocketnbError
from socketnb.faces.cell import Cell
from socketnb.faces.cell.row import OFTEN

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd

    from socketnb.faces.script import Expect, Step
    from socketnb.session import Session
    from socketnb.turn import Turn

log = logging.getLogger(__name__)


class Repeat:
    """Runs a cell so many times.

    Args:
        times: how often.
        steps, sessions: as of `Cell`.
        shown: show the progress and the summary.
        **how: as of `Cell`.

    Attributes:
        turns: of all runs, in order.
    """

    def __init__(
        self, times: int, steps: Sequence[Step], sessions: Sequence[Session], *, shown: bool, **how: Any
    ) -> None:
        self.turns: list[Turn] = []
        self.runs: list[Cell] = []
        self._times, self._steps, self._shown = times, steps, shown
        self._new: Callable[[], Cell] = lambda: Cell(steps, sessions, **how)
        self._new()  # says now what is wrong
        self._bar = ProgressBar(times)
        self._live = bool(getattr(get_ipython(), "kernel", None))
        self._at = 0.0

    def run(self, expected: Sequence[Expect] = ()) -> None:
        """Run it, and show how it went, also if it is interrupted or fails; errors as of `Cell.run`."""
        self.lay_out()
        failed: ExpectationFailed | None = None
        try:
            for n in range(1, self._times + 1):
                cell = self._new()
                self.runs.append(cell)
                try:
                    cell.run(expected)
                except ExpectationFailed as error:
                    failed = failed or error
                    if not cell.keep_on:
                        raise
                finally:
                    self.turns += cell.turns
                self._progress(n)
        finally:
            self._end()
        if failed:
            raise failed

    def lay_out(self) -> None:
        """Show the progress bar, once."""
        if self._shown and self._live and not self._at:
            self._bar.display()
            self._at = time.monotonic()

    def run_behind(self, expected: Sequence[Expect], done: Callable[[], None]) -> None:
        """Run it on a thread of its own; what goes wrong is told in the place of the progress bar."""
        self.lay_out()

        def work() -> None:
            try:
                self.run(expected)
            except SocketnbError as error:
                log.info("a repeated cell in the background ended: %s", error)  # its summary tells
            except Exception:
                log.exception("a repeated cell in the background failed")
            finally:
                done()

        threading.Thread(target=work, name="socketnb-cell", daemon=True).start()

    def _progress(self, n: int) -> None:
        if self._shown and self._live and (time.monotonic() - self._at >= OFTEN or n == self._times):
            self._at = time.monotonic()
            self._bar.progress = n

    def _end(self) -> None:
        """Show the summary; in a kernel it takes the place of the progress bar."""
        if self._shown and self.runs:
            summary = self.summary()
            if self._live:
                update_display(summary, display_id=self._bar._display_id)  # noqa: SLF001 (it has no public name)
            else:
                display(summary)

    def summary(self) -> pd.DataFrame:
        """Return a row a step and session: how often, how it ended, the times in milliseconds."""
        import pandas as pd

        columns = ["step", "session", "turns", "completed", "unexpected", "p50_ms", "p90_ms", "max_ms"]
        rows = [row for cell in self.runs for row in cell.facts()]
        frame = pd.DataFrame(rows, columns=["session", "line", "step", "completed", "unexpected", "ms"])
        grouped = frame.groupby(["line", "session"], sort=True)
        table = grouped.agg(
            step=("step", "first"),
            turns=("ms", "size"),
            completed=("completed", "sum"),
            unexpected=("unexpected", "sum"),
            p50_ms=("ms", "median"),
            p90_ms=("ms", lambda ms: ms.quantile(0.9)),
            max_ms=("ms", "max"),
        ).reset_index()
        return table[columns].round(1).set_index("step")

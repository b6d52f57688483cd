"""Repeated runs of a `%%chat` cell, with a progress bar and then a summary of each step."""

from __future__ import annotations

import html
import time
from typing import TYPE_CHECKING

from IPython.display import ProgressBar

from socketnb.errors import ExpectationFailed
from socketnb.ui.cell.live_output import UPDATE_INTERVAL_S, LiveOutput
from socketnb.ui.cell.run import CellRun, TurnFacts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd

    from socketnb.conversation.turn import Turn
    from socketnb.ui.cell.results import StepResult
    from socketnb.ui.script import Expect


class RepeatedRun:
    """Runs a cell several times.

    Args:
        times: Number of runs.
        new_run: Creates one run. It is called once to check the cell before anything is sent.
        show: Whether to show the progress and the summary.
        mask: Replaces credentials in a text that is shown.

    Attributes:
        turns: The turns of all runs, in order.
        results: The turns and the results of waits of all runs, in order.

    Raises:
        ActionError: As for `CellRun`.
    """

    def __init__(self, times: int, new_run: Callable[[], CellRun], *, show: bool, mask: Callable[[str], str]) -> None:
        self.turns: list[Turn] = []
        self.results: list[StepResult] = []
        self._facts: list[TurnFacts] = []
        self._times, self._new_run, self._show, self._mask = times, new_run, show, mask
        new_run()
        self._bar = ProgressBar(times)
        self._output = LiveOutput()
        self._next_update = 0.0  # monotonic time

    def create_views(self) -> None:
        """Show the progress bar, or an empty output that can show an error later."""
        if self._show:
            self._show_progress(0)
        else:
            self._output.show({"text/plain": ""})

    def run(self, expectations: Sequence[Expect] = ()) -> None:
        """Run the cell several times, and show the summary even after an interrupt or error.

        Raises:
            SocketnbError: As for `CellRun.run`.
        """
        failure: ExpectationFailed | None = None
        try:
            for number in range(self._times):
                self._show_progress(number)
                cell = self._new_run()
                try:
                    cell.run(expectations)
                except ExpectationFailed as error:
                    failure = failure or error
                    if not cell.continue_on_error:
                        raise
                finally:
                    self.turns += cell.turns
                    self.results += cell.results
                    self._facts += cell.turn_facts()
        finally:
            if self._show:
                self._show_summary()
        if failure:
            raise failure

    def show_error(self, error: Exception) -> None:
        """Show the summary, and below it the error that ended the runs."""
        self._show_summary(self._mask(f"✗ after {len(self._facts)} turns: {error}"))

    def _show_progress(self, runs: int) -> None:
        if self._show and self._output.is_live and time.monotonic() >= self._next_update:
            self._next_update = time.monotonic() + UPDATE_INTERVAL_S
            self._bar._progress = runs  # noqa: SLF001 (the setter would display the bar a second time)
            self._output.show({"text/plain": repr(self._bar), "text/html": self._bar._repr_html_()})

    def _show_summary(self, error: str = "") -> None:
        """Show the summary. In a kernel it replaces the progress bar."""
        frame = self.summary()
        plain, table = (frame.to_string(), frame.to_html(notebook=True)) if len(frame) else ("", "")
        error_html = f"<div>{html.escape(error)}</div>" if error else ""
        self._output.show({"text/plain": "\n".join(filter(None, [plain, error])), "text/html": table + error_html})

    def summary(self) -> pd.DataFrame:
        """Return one row per step and session.

        Returns:
            A frame with the index `step` and the columns session, turns, completed, unexpected (numbers of turns),
            p50_ms, p90_ms and max_ms (milliseconds to the end of the turn).
        """
        import pandas as pd

        columns = ["step", "session", "turns", "completed", "unexpected", "p50_ms", "p90_ms", "max_ms"]
        frame = pd.DataFrame(self._facts, columns=list(TurnFacts._fields))
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

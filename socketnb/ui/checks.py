"""The command `socketnb check`: print the steps of connecting to a bot with their durations, or the error."""

from __future__ import annotations

import importlib
import time
import warnings
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from socketnb.errors import ConnectError, ConnectTimeout, Refused, TurnError, Unreachable
from socketnb.render import milliseconds, printable
from socketnb.ui.exit_status import ExitStatus

if TYPE_CHECKING:
    from collections.abc import Mapping

    from socketnb.conversation.session import Session
    from socketnb.hub import Hub
    from socketnb.settings import Value

FAILED_STEPS = {Unreachable: "reachable", Refused: "accepted", ConnectTimeout: "in time"}
"""The type of the error → the step that failed."""
NS_PER_MS = 1_000_000
"""Nanoseconds per millisecond."""
STEP_WIDTH = 14
"""Characters of the column with the names of the steps."""


class Report:
    """Prints one line per step."""

    def __init__(self) -> None:
        self._console = Console(highlight=False)

    def passed(self, step: str, text: str) -> None:
        """Print a step that passed."""
        self._line(("✓ ", "green"), step, (printable(text), ""))

    def failed(self, step: str, text: str) -> None:
        """Print a step that failed."""
        self._line(("✗ ", "red"), step, (printable(text), "red"))

    def hint(self, text: str) -> None:
        """Print a hint."""
        self._console.print(f"  {text}", style="dim")

    def _line(self, mark: tuple[str, str], step: str, text: tuple[str, str]) -> None:
        self._console.print(Text.assemble(mark, f"{step:<{STEP_WIDTH}}", text), soft_wrap=True)


def check_bot(hub: Hub, bot: str, say: str | None, settings: Mapping[str, Value]) -> ExitStatus:
    """Connect to a bot, send a message if one is given, print each step, and return the exit status.

    Args:
        hub: The hub that opens the session.
        bot: A platform or a profile.
        say: The message to send, if any.
        settings: Other arguments of `connect`.

    Returns:
        `PASSED` if every step passed, otherwise `FAILED`. A warning at connecting, such as an endpoint that never said
        that it is ready, is a failed step.

    Raises:
        SettingsError: A setting is missing, unknown or malformed.
    """
    report = Report()
    for name in ("aiohttp", "socketio"):  # import them now, so that the measured times do not include the import
        importlib.import_module(name)
    started = time.perf_counter()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # a warning at connecting is a failed step below
            session = hub.connect(bot, record=False, **settings)
    except ConnectError as error:
        if isinstance(error, Refused):
            report.passed("reachable", "a server answered")
        step = next((step for kind, step in FAILED_STEPS.items() if isinstance(error, kind)), "connected")
        report.failed(step, str(error))
        return ExitStatus.FAILED
    with session:
        _report_times(report, session, (time.perf_counter() - started) * 1000)
        if unready := [trace.text or "" for trace in session.traces() if trace.kind == "warning"]:
            for text in unready:
                report.failed("ready", text)
            return ExitStatus.FAILED
        if say is None:
            report.hint("use --say TEXT to send a message and measure the reply")
            return ExitStatus.PASSED
        try:
            turn = session.say(say)
        except TurnError as error:
            report.failed("answers", str(error))
            return ExitStatus.FAILED
        if turn.status != "completed":
            report.failed("answers", turn.summary)
            return ExitStatus.FAILED
        report.passed("answers", turn.summary)
        return ExitStatus.PASSED


def _report_times(report: Report, session: Session, total_ms: float) -> None:
    """Print how long the server took to answer, and then to accept the session."""
    times = {trace.kind: trace.observed_at for trace in session.traces()}
    ready_ms = (max(times.values()) - times["connected"]) / NS_PER_MS if "connected" in times else 0.0
    report.passed("reachable", f"{session.platform} answered in {milliseconds(max(total_ms - ready_ms, 0))}")
    report.passed("accepted", f"connected {milliseconds(ready_ms)} after the handshake")

"""One run of a `%%chat` cell: its steps run in one or more sessions, and results are shown as they arrive."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, NamedTuple

from socketnb.conversation.verbs import check_fields
from socketnb.dialects import registry
from socketnb.errors import ActionError, ExpectationFailed, SessionError, SocketnbError, TurnError, TurnFailed
from socketnb.model.content import Choice
from socketnb.ui import script
from socketnb.ui.cell.results import SessionFeed, StepResult, TurnResult, WaitResult
from socketnb.ui.cell.view import NoView, StepView
from socketnb.ui.expectation import Reply, got, is_met
from socketnb.ui.script import Act, Expect, Step, Wait, error_at_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from socketnb.conversation.session import Session
    from socketnb.conversation.turn import Turn
    from socketnb.model.actions import FieldValue

log = logging.getLogger(__name__)
MAX_TITLE_CHARS = 120
"""The maximum length of a step's text in the title of its view."""
POLL_INTERVAL_S = 0.05
"""The interval between checks for new traces and interrupts, in seconds."""
NOT_SENT = "this line was not sent"


class TurnFacts(NamedTuple):
    """One row of the data behind a summary of repeated runs."""

    session: str
    line: int
    step: str
    completed: bool
    unexpected: bool
    ms: float


class CellRun:
    """One run of a cell. Verbs, fields, patterns and waits are checked before anything is sent.

    Args:
        steps: The steps of the cell.
        sessions: The sessions that run each step at the same time.
        timeout: Seconds to wait for a turn (default: the session's timeout).
        new_view: Creates the view of a step from its title (default: steps are not shown).
        mask: Replaces credentials in a text that is shown.
        continue_on_error: Whether to continue after failures. Failed expectations are then raised at the end.

    Attributes:
        turns: The turns that were started, in order.
        results: The turns and the results of waits, in order.
        views: The views of the steps that have results, in order.
        failures: The expectations that failed.
        continue_on_error: The argument of the same name.

    Raises:
        ActionError: A step is invalid on the platform. Nothing was sent.
    """

    def __init__(
        self,
        steps: Sequence[Step],
        sessions: Sequence[Session],
        *,
        timeout: float | None = None,
        new_view: Callable[[str], StepView] = NoView,
        mask: Callable[[str], str] = str,
        continue_on_error: bool = False,
    ) -> None:
        self.turns: list[Turn] = []
        self.results: list[StepResult] = []
        self.views: list[StepView] = []
        self.failures: list[ExpectationFailed] = []
        self.continue_on_error = continue_on_error
        self._steps, self._sessions, self._timeout, self._mask = steps, sessions, timeout, mask
        self._new_view = new_view
        self._steps_of_turns: list[tuple[Step, Turn]] = []
        self._fields: dict[tuple[str, int], Mapping[str, FieldValue]] = {}  # by session and line
        for session in sessions:
            for step in steps:
                if isinstance(step, Act):
                    with error_at_line(step):
                        self._fields[session.name, step.line] = self._parse_fields(session, step)
        self._started_steps = 0
        self._last_results: list[StepResult] = []
        self._latest: dict[str, StepResult] = {}  # the latest result of each session
        self._feeds: dict[str, SessionFeed] = {}

    def create_views(self) -> None:
        """Create the views of all steps, so that a cell in the background can fill them while other cells run."""
        self.views = [self._new_view(self._title(step)) for step in self._steps if not isinstance(step, Expect)]
        for view in self.views:
            view.refresh(final=True)

    def run(self, expectations: Sequence[Expect] = ()) -> None:
        """Run the steps, and check the replies of the whole cell at the end.

        Raises:
            ActionError: A button does not exist. Earlier steps were sent.
            SessionError: A session is closed.
            TurnError: A turn did not complete.
            ExpectationFailed: A reply is not as expected.
            KeyboardInterrupt: The user interrupted the cell. Running turns are cancelled.
        """
        self._feeds = {session.name: SessionFeed(session) for session in self._sessions}
        try:
            self._run_steps()
        finally:
            for feed in self._feeds.values():
                feed.stop()
        for step in expectations:
            self._check(step, self.results, "--expect")
        if self.failures:
            raise self.failures[0]

    def _run_steps(self) -> None:
        for step in self._steps:
            match step:
                case Expect():
                    self._check(step, self._last_results, f"line {step.line}")
                case Wait():
                    self._wait(step)
                case _:
                    self._start_turns(step)

    def show_error(self, error: Exception) -> None:
        """Show the error that ended the run at the failed step, and mark later steps as not run."""
        if not isinstance(error, ExpectationFailed):  # a failed expectation is already shown
            self._note(self._mask(str(error)))
        for view in self.views[self._started_steps :]:
            view.note("not run")
            view.refresh(final=True)

    def turn_facts(self) -> list[TurnFacts]:
        """Return the facts of each turn for a summary."""
        failed = {id(failure.turn) for failure in self.failures}
        return [
            TurnFacts(
                session=turn.session,
                line=step.line,
                step=self._title(step),
                completed=turn.status == "completed",
                unexpected=id(turn) in failed,
                ms=turn.done_ms,
            )
            for step, turn in self._steps_of_turns
        ]

    def _parse_fields(self, session: Session, step: Act) -> Mapping[str, FieldValue]:
        try:
            fields = script.parse_fields(step.verb, session.verbs, step.text)
            if not any(field.type is Choice for field in session.verbs[step.verb].fields):
                check_fields(registry.get(session.platform), step.verb, fields)
        except ActionError as error:
            raise ActionError(f"{session.name}: {error}" if len(self._sessions) > 1 else str(error)) from None
        return fields

    def _title(self, step: Step) -> str:
        """Return the text of a step, shortened to one line."""
        verb = step.verb if isinstance(step, Act) else script.WAIT if isinstance(step, Wait) else ""
        typed = f"/{verb} {step.text}".rstrip() if verb else step.text
        return self._mask(" ".join(typed.split()))[:MAX_TITLE_CHARS]

    def _begin_step(self, step: Step) -> StepView:
        """Return the view of the next step."""
        if self._started_steps == len(self.views):
            self.views.append(self._new_view(self._title(step)))
        self._started_steps += 1
        return self.views[self._started_steps - 1]

    def _note(self, text: str, *, passed: bool = False) -> None:
        """Show a line in the view of the current step."""
        if self.views:
            view = self.views[max(self._started_steps - 1, 0)]
            view.note(text, passed=passed)
            view.refresh(final=True)

    def _raise_or_note(self, error: SocketnbError) -> None:
        """Raise an error, or show it if the cell continues after errors."""
        if not self.continue_on_error:
            raise error
        self._note(self._mask(str(error)))

    # Turns

    def _start_turns(self, step: Step) -> None:
        """Start a turn in each session, and wait for all of them."""
        view = self._begin_step(step)
        results: list[TurnResult] = []
        self._last_results = []
        try:
            error = self._try_start(view, step, results)
            self._await_turns(view, results)  # started turns are awaited even if another turn could not start
            if error:
                self._raise_or_note(error)
        except KeyboardInterrupt:
            for result in results:
                result.turn.cancel()
            raise
        finally:
            for result in results:
                result.finish()
            view.refresh(final=True)

    def _try_start(self, view: StepView, step: Step, results: list[TurnResult]) -> SocketnbError | None:
        """Start a turn in each session and append its result to `results`. Return the first error, if any."""
        try:
            with error_at_line(step, NOT_SENT):
                starts = [(session, self._prepare(session, step)) for session in self._sessions]
                for session, start in starts:
                    begin = self._begin(session)
                    result = TurnResult(self._feeds[session.name], begin, start())
                    results.append(result)
                    self.turns.append(result.turn)
                    self._steps_of_turns.append((step, result.turn))
                    self._add_results(view, [result])
        except (ActionError, SessionError) as error:
            return error
        return None

    def _begin(self, session: Session) -> int:
        """Return the index of the first trace of the next step."""
        latest = self._latest.get(session.name)
        return latest.end if latest else len(self._feeds[session.name].traces)

    def _add_results(self, view: StepView, results: Sequence[StepResult]) -> None:
        self._latest.update((result.session, result) for result in results)
        self._last_results += results
        self.results += results
        view.add(results)

    def _prepare(self, session: Session, step: Step) -> Callable[[], Turn]:
        """Return a function that starts the turn. Buttons are checked first, so that all sessions press one or none."""
        if not isinstance(step, Act):
            return lambda: session.send(step.text)
        fields = self._fields[session.name, step.line]
        if isinstance(typed := fields.get("choice"), str):
            fields = {**fields, "choice": session.button(_choice(session, typed))}
        return lambda: session.start(step.verb, conversation=None, **fields)

    def _await_turns(self, view: StepView, results: Sequence[TurnResult]) -> None:
        turns = [result.turn for result in results]
        for turn in turns:
            turn.allow(self._timeout)
        while not all(turn.over(POLL_INTERVAL_S) for turn in turns):
            view.refresh()
        for turn in turns:
            try:
                turn.wait(self._timeout)
                if turn.status != "completed":
                    reason = f" ({turn.reason})" if turn.reason else ""
                    raise TurnFailed(f"{turn.session}: turn {turn.number} was {turn.status}{reason}", turn)
            except TurnError as error:
                self._raise_or_note(error)

    # Waits and expectations

    def _wait(self, step: Wait) -> None:
        view = self._begin_step(step)
        results = [WaitResult(self._feeds[session.name], self._begin(session)) for session in self._sessions]
        self._last_results = []
        self._add_results(view, results)
        started = time.monotonic()
        # A closed session ends the wait, unless the cell continues after errors and another session is open.
        enough_open = any if self.continue_on_error else all
        try:
            while (left := started + step.seconds - time.monotonic()) > 0 and enough_open(
                map(_is_open, self._sessions)
            ):
                time.sleep(min(POLL_INTERVAL_S, left))
                view.refresh()
        finally:
            for result in results:
                result.waited(time.monotonic() - started)
            view.refresh(final=True)
        for session in self._sessions:
            if not _is_open(session):
                self._raise_or_note(SessionError(f"line {step.line}: session {session.name!r} closed during the wait"))

    def _check(self, step: Expect, results: Iterable[StepResult], place: str) -> None:
        """Check the reply of each session. The reply of a session without results is empty."""
        results = list(results)
        for session in self._sessions:
            of_session = [result for result in results if result.session == session.name]
            replies = [result.reply() for result in of_session]
            text = "\n".join(reply.text for reply in replies if reply.text)
            reply = Reply(text, [data for each in replies for data in each.data])
            suffix = f", {session.name}" if len(self._sessions) > 1 else ""
            with error_at_line(step, "the replies are kept"):
                passed = is_met(step.text, reply)
            self._note(self._mask(f"{step.text}{suffix}"), passed=passed)
            if not passed:
                turn = next((result.turn for result in reversed(of_session) if isinstance(result, TurnResult)), None)
                actual = self._mask(got(step.text, reply))
                failure = ExpectationFailed(f"{place}{suffix}", self._mask(step.text), actual, turn)
                self.failures.append(failure)
                if not self.continue_on_error:
                    raise failure


def run_in_background(
    run: Callable[[], None], show_error: Callable[[Exception], None], finish: Callable[[], None]
) -> None:
    """Run a cell on a separate thread.

    Args:
        run: Runs the cell.
        show_error: Shows an error in the cell's output.
        finish: A function that is called after the run, even if the run failed.
    """

    def work() -> None:
        for function in (run, finish):
            try:
                function()
            except SocketnbError as error:
                show_error(error)
            except Exception as error:
                log.exception("a cell in the background failed")
                show_error(SocketnbError(f"{type(error).__name__}: {error}"))

    threading.Thread(target=work, name="socketnb-cell", daemon=True).start()


def _is_open(session: Session) -> bool:
    return session.state != "closed"


def _choice(session: Session, text: str) -> str | int | Choice:
    """Return the button for a typed text, which is tried as a label, as a number, and as a label in quotes."""
    labels = [choice.label.strip() for choice in session.choices]
    if text in labels:
        return text
    if text.isdecimal() and len(text) <= len(str(len(labels))):
        return int(text)
    return text[1:-1] if text[:1] == text[-1:] == '"' and len(text) > 1 else text

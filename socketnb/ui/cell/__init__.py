"""A `%%chat` cell at work: its steps in one session or several, shown as it comes, and what was expected checked."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from socketnb.errors import ActionError, ExpectationFailed, SessionError, SocketnbError, TurnError, TurnFailed
from socketnb.model.content import Choice
from socketnb.ui import script
from socketnb.ui.cell.place import Nowhere, Part, Place, reply
from socketnb.ui.script import Act, Expect, Step, Wait, with_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from socketnb.conversation.session import Session
    from socketnb.conversation.turn import Turn
    from socketnb.model.trace import Trace

log = logging.getLogger(__name__)
SHORT = 120
"""Characters of a step that name it."""
TICK = 0.05
"""Seconds: so often is looked for what is new, and whether the user interrupts."""


@dataclass
class Meanwhile:
    """What came to a session while a cell waited."""

    of: Session
    since: int
    status: str = "waiting"
    _traces: list[Trace] = field(default_factory=list)

    @property
    def session(self) -> str:
        """The session's name."""
        return self.of.name

    @property
    def traces(self) -> list[Trace]:
        """What came, so far."""
        if self.status == "waiting":
            self._traces += self.of.traces(self.since + len(self._traces))
        return self._traces

    @property
    def summary(self) -> str:
        """How long it has waited."""
        return self.status


class Cell:
    """What one run of a cell does. Verbs, fields, patterns and waits are checked before anything is sent.

    Args:
        steps: what is to be done.
        sessions: in which sessions, at once.
        timeout: seconds that a turn is waited for (default: the session's).
        place: makes a place for a step to be shown, from its words (default: nowhere).
        mask: takes credentials out of what is shown.
        keep_on: a turn that fails does not end the cell; what was expected in vain is told at its end.

    Attributes:
        turns: what was begun, in order.
        parts: the same, and what came while the cell waited.
        rows: where it is shown, one for each step that brings something.
        failed: what was expected in vain.
        keep_on: as given.

    Raises:
        ActionError: a step is none of the platform's; nothing was sent.
    """

    def __init__(
        self,
        steps: Sequence[Step],
        sessions: Sequence[Session],
        *,
        timeout: float | None = None,
        place: Callable[[str], Place] = Nowhere,
        mask: Callable[[str], str] = str,
        keep_on: bool = False,
    ) -> None:
        self.turns: list[Turn] = []
        self.parts: list[Part] = []
        self.rows: list[Place] = []
        self.failed: list[ExpectationFailed] = []
        self.keep_on = keep_on
        self._steps, self._sessions, self._timeout, self._mask = steps, sessions, timeout, mask
        self._place = place
        self._asked: list[tuple[Step, Turn]] = []
        self._fields = {
            (session.name, step.line): with_line(step, _fields, session, step, len(sessions) > 1)
            for session in sessions
            for step in steps
            if isinstance(step, Act)
        }
        self._next = 0
        self._last: list[Part] = []

    def lay_out(self) -> None:
        """Make a place for each step now, for who fills them later, when other cells run."""
        self.rows = [self._row(step) for step in self._steps if not isinstance(step, Expect)]
        for row in self.rows:
            row.refresh(end=True)

    def run(self, expected: Sequence[Expect] = ()) -> None:
        """Do it all, and check at the end what the replies together must have.

        Raises:
            ActionError: there is no such button, or file; what came before was sent.
            SessionError: a session is closed.
            TurnError: a turn did not end well.
            ExpectationFailed: a reply is not as expected.
            KeyboardInterrupt: the user has interrupted; the turns that ran are cancelled.
        """
        for step in self._steps:
            match step:
                case Expect():
                    self._check(step, self._last, f"line {step.line}")
                case Wait():
                    self._wait(step)
                case _:
                    self._talk(step)
        for step in expected:
            self._check(step, self.parts, "--expect")
        if self.failed:
            raise self.failed[0]

    def trouble(self, error: Exception) -> None:
        """Tell in the place of the step what ended the cell, and in those after it that they were not done."""
        if not isinstance(error, ExpectationFailed):  # that is told already
            self._tell(self._mask(str(error)))
        for row in self.rows[self._next :]:
            row.note("not done")
            row.refresh(end=True)

    def facts(self) -> list[tuple[str, int, str, bool, bool, float]]:
        """Return of each turn its session, its step's line and words, how it ended, and its milliseconds."""
        missed = {id(failed.turn) for failed in self.failed}
        return [
            (turn.session, step.line, self._words(step), turn.status == "completed", id(turn) in missed, turn.done_ms)
            for step, turn in self._asked
        ]

    def _row(self, step: Step) -> Place:
        return self._place(self._words(step))

    def _words(self, step: Step) -> str:
        """Return a step as it was typed, at a length that a line holds."""
        verb = step.verb if isinstance(step, Act) else script.WAIT if isinstance(step, Wait) else ""
        typed = f"/{verb} {step.text}".rstrip() if verb else step.text
        return self._mask(" ".join(typed.split()))[:SHORT]

    def _begin(self, step: Step) -> Place:
        if self._next == len(self.rows):
            self.rows.append(self._row(step))
        self._next += 1
        return self.rows[self._next - 1]

    def _tell(self, said: str, *, good: bool = False) -> None:
        if self.rows:
            row = self.rows[max(self._next - 1, 0)]
            row.note(said, good=good)
            row.refresh(end=True)

    def _talk(self, step: Step) -> None:
        row = self._begin(step)
        turns: list[Turn] = []
        self._last = []
        try:
            trouble = self._start(row, step, turns)
            self._follow(row, turns)  # what was begun is seen to its end, whatever came of the others
            if trouble and not self.keep_on:
                raise trouble
            if trouble:
                self._tell(self._mask(str(trouble)))
        except KeyboardInterrupt:
            for turn in turns:
                turn.cancel()
            raise
        finally:
            row.refresh(end=True)

    def _start(self, row: Place, step: Step, turns: list[Turn]) -> SocketnbError | None:
        """Begin a turn in each session, and return what was wrong, if anything was."""
        left = "this line was not sent"
        try:
            for start in [with_line(step, self._prepared, session, step, left=left) for session in self._sessions]:
                turns.append(with_line(step, start, left=left))
                self._keep(step, turns[-1])
                row.add(turns[-1:])
        except (ActionError, SessionError) as error:
            return error
        return None

    def _keep(self, step: Step, turn: Turn) -> None:
        self.turns.append(turn)
        self.parts.append(turn)
        self._last.append(turn)
        self._asked.append((step, turn))

    def _prepared(self, session: Session, step: Step) -> Callable[[], Turn]:
        """Return what begins a turn. A button is looked for now: if one session has it not, none is pressed."""
        if not isinstance(step, Act):
            return lambda: session.send(step.text)
        fields = self._fields[session.name, step.line]
        if isinstance(typed := fields.get("choice"), str):
            fields = {**fields, "choice": session.button(_choice(session, typed))}
        return lambda: session.start(step.verb, **fields)

    def _follow(self, row: Place, turns: Sequence[Turn]) -> None:
        for turn in turns:
            turn.allow(self._timeout)
        while not all(turn.over(TICK) for turn in turns):
            row.refresh()
        for turn in turns:
            try:
                turn.wait(self._timeout)
                if turn.status != "completed":
                    why = f" ({turn.reason})" if turn.reason else ""
                    raise TurnFailed(f"{turn.session}: turn {turn.number} was {turn.status}{why}", turn)
            except TurnError as error:
                if not self.keep_on:
                    raise
                self._tell(self._mask(str(error)))

    def _wait(self, step: Wait) -> None:
        row = self._begin(step)
        parts = [Meanwhile(session, session.seq) for session in self._sessions]
        self._last = list(parts)
        self.parts += parts
        row.add(parts)
        began = time.monotonic()
        try:
            enough = any if self.keep_on else all
            while (left := began + step.seconds - time.monotonic()) > 0 and enough(map(_is_open, self._sessions)):
                time.sleep(min(TICK, left))
                row.refresh()
        finally:
            for part in parts:
                _ = part.traces
                part.status = f"waited {time.monotonic() - began:.1f} s"
            row.refresh(end=True)
        for session in self._sessions:
            if not _is_open(session):
                error = SessionError(f"line {step.line}: session {session.name!r} was closed meanwhile")
                if not self.keep_on:
                    raise error
                self._tell(str(error))

    def _check(self, step: Expect, parts: Iterable[Part], where: str) -> None:
        """Check what each session replied; one that was not asked replied nothing."""
        parts = list(parts)
        for session in self._sessions:
            mine = [part for part in parts if part.session == session.name]
            got = "\n".join(filter(None, map(reply, mine)))
            of = f", {session.name}" if len(self._sessions) > 1 else ""
            met = with_line(step, step.met, got, left="what came is kept")
            self._tell(self._mask(f"{step.text}{of}"), good=met)
            if not met:
                failed = ExpectationFailed(f"{where}{of}", self._mask(step.text), got, mine[-1] if mine else None)
                self.failed.append(failed)
                if not self.keep_on:
                    raise failed


def behind(run: Callable[[], None], trouble: Callable[[Exception], None], done: Callable[[], None]) -> None:
    """Run a cell on a thread of its own; what goes wrong is told where it is shown."""

    def work() -> None:
        for do in (run, done):
            try:
                do()
            except SocketnbError as error:
                trouble(error)
            except Exception as error:
                log.exception("a cell in the background failed")
                trouble(SocketnbError(f"{type(error).__name__}: {error}"))

    threading.Thread(target=work, name="socketnb-cell", daemon=True).start()


def _is_open(session: Session) -> bool:
    return session.state != "closed"


def _fields(session: Session, step: Act, several: bool) -> dict[str, Any]:  # noqa: FBT001 (handed through)
    try:
        return script.fields(step.verb, session.verbs, step.text)
    except ActionError as error:
        raise ActionError(f"{session.name}: {error}" if several else str(error)) from None


def _choice(session: Session, text: str) -> str | int | Choice:
    """Return a button as it was typed: a number is its place, and quotes are left out, unless a button is called so."""
    labels = [choice.label.strip() for choice in session.choices]
    if text in labels:
        return text
    if text.isdecimal() and len(text) <= len(str(len(labels))):
        return int(text)
    return text[1:-1] if text[:1] == text[-1:] == '"' and len(text) > 1 else text

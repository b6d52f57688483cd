"""A `%%chat` cell at work: its steps in one session or several, shown as it comes, and what was expected checked."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from socketnb.errors import ActionError, ExpectationFailed, SocketnbError, TurnError
from socketnb.faces import script
from socketnb.faces.cell.place import Nowhere, Part, Place, reply
from socketnb.faces.script import Act, Expect, Step, Wait, with_line

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from socketnb.records import Trace
    from socketnb.session import Session
    from socketnb.turn import Turn

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
    begun: float = field(default_factory=time.monotonic)
    summary: str = "waiting"

    @property
    def session(self) -> str:
        """The session's name."""
        return self.of.name

    @property
    def traces(self) -> list[Trace]:
        """What came, so far."""
        return self.of.traces(self.since)


class Cell:
    """What one run of a cell does. It checks everything that can be checked before anything is sent.

    Args:
        steps: what is to be done.
        sessions: in which sessions, at once.
        timeout: seconds that a turn is waited for (default: the session's).
        place: makes a place for a step to be shown, from its words (default: nowhere).
        keep_on: a turn that fails does not end the cell; what was expected in vain is told at its end.

    Attributes:
        turns: what was begun, in order.
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
        keep_on: bool = False,
    ) -> None:
        self.turns: list[Turn] = []
        self.rows: list[Place] = []
        self.failed: list[ExpectationFailed] = []
        self._steps, self._sessions = steps, sessions
        self._timeout, self._place, self.keep_on = timeout, place, keep_on
        self._asked: list[tuple[Step, Turn]] = []
        self._fields = {
            (session.name, step.line): with_line(step, script.fields, step.verb, session.verbs, step.text)
            for session in sessions
            for step in steps
            if isinstance(step, Act)
        }
        self._next = 0
        self._last: list[Part] = []

    def lay_out(self) -> None:
        """Make a place for each step now, for who fills them later, when other cells run."""
        self.rows = [self._place(_words(step)) for step in self._steps if not isinstance(step, Expect)]
        for row in self.rows:
            row.refresh(end=True)

    def run(self, expected: Sequence[Expect] = ()) -> None:
        """Do it all, and check at the end what the replies together must have.

        Raises:
            ActionError: there is no such button, or file; what came before was sent.
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
            self._check(step, self.turns, "--expect")
        if self.failed:
            raise self.failed[0]

    def facts(self) -> list[tuple[str, int, str, bool, bool, float]]:
        """Return of each turn its session, its step's line and words, how it ended, and its milliseconds."""
        missed = {id(failed.turn) for failed in self.failed}
        return [
            (turn.session, step.line, _words(step), turn.status == "completed", id(turn) in missed, turn.done_ms)
            for step, turn in self._asked
        ]

    def run_behind(self, expected: Sequence[Expect], done: Callable[[], None]) -> None:
        """Do it all on a thread of its own; what goes wrong is told in the place of the step."""

        def work() -> None:
            try:
                self.run(expected)
            except SocketnbError as error:
                if not isinstance(error, ExpectationFailed):  # that is told already
                    self._tell(str(error))
            except Exception as error:
                log.exception("a cell in the background failed")
                self._tell(f"{type(error).__name__}: {error}")
            finally:
                done()

        self.lay_out()
        threading.Thread(target=work, name="socketnb-cell", daemon=True).start()

    def _begin(self, step: Step) -> Place:
        if self._next == len(self.rows):
            self.rows.append(self._place(_words(step)))
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
        try:
            turns.extend(with_line(step, self._start, session, step) for session in self._sessions)
        except ActionError as error:
            if not self.keep_on:
                raise
            row.note(str(error))
        finally:
            self.turns += turns
            self._asked += [(step, turn) for turn in turns]
            self._last = list(turns)
            row.add(turns)
        self._follow(row, turns)

    def _start(self, session: Session, step: Step) -> Turn:
        if not isinstance(step, Act):
            return session.send(step.text)
        fields = self._fields[session.name, step.line]
        if step.verb == "press":
            fields = {**fields, "choice": _choice(session, fields["choice"])}
        return session.start(step.verb, **fields)

    def _follow(self, row: Place, turns: Sequence[Turn]) -> None:
        try:
            for turn in turns:
                turn.allow(self._timeout)
            while not all(turn.over(TICK) for turn in turns):
                row.refresh()
        except KeyboardInterrupt:
            for turn in turns:
                turn.cancel()
            raise
        finally:
            row.refresh(end=True)
        for turn in turns:
            try:
                turn.wait(self._timeout)
            except TurnError as error:
                if not self.keep_on:
                    raise
                self._tell(str(error))

    def _wait(self, step: Wait) -> None:
        row = self._begin(step)
        parts = [Meanwhile(session, session.seq) for session in self._sessions]
        self._last = list(parts)
        row.add(parts)
        until = time.monotonic() + step.seconds
        while (left := until - time.monotonic()) > 0 and any(s.state != "closed" for s in self._sessions):
            time.sleep(min(TICK, left))
            row.refresh()
        for part in parts:
            part.summary = f"waited {time.monotonic() - part.begun:.1f} s"
        row.refresh(end=True)

    def _check(self, step: Expect, parts: Sequence[Any], where: str) -> None:
        """Check what each session replied."""
        for name in dict.fromkeys(part.session for part in parts):
            mine = [part for part in parts if part.session == name]
            got = "\n".join(filter(None, map(reply, mine)))
            of = f", {name}" if len(self._sessions) > 1 else ""
            if step.met(got):
                self._tell(f"{step.text}{of}", good=True)
                continue
            failed = ExpectationFailed(f"{where}{of}", step.text, got, mine[-1])
            self._tell(f"{step.text}{of}")
            self.failed.append(failed)
            if not self.keep_on:
                raise failed


def _words(step: Step) -> str:
    """Return a step as it was typed, at a length that a line holds."""
    verb = step.verb if isinstance(step, Act) else script.WAIT if isinstance(step, Wait) else ""
    typed = f"/{verb} {step.text}".rstrip() if verb else step.text
    return " ".join(typed.split())[:SHORT]


def _choice(session: Session, text: str) -> str | int:
    """Return a button as it was typed: a number is its place, unless a button is called so."""
    labels = [choice.label.strip() for choice in session.choices]
    return int(text) if text.isdecimal() and text not in labels else text

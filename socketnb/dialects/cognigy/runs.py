"""The account of runs: which turn each event of an endpoint belongs to.

A *run* is one execution of the flow. An endpoint executes one run of a conversation at a time, and each run sends, in
this order, `typingOn` (not on every endpoint), any number of outputs, and one `finalPing`. Each input of this session
is *owed* one run, until the `finalPing` of this run. Other runs are *unasked*: somebody injected their inputs. A
notification and an agent's message are outputs without a run, and have no `finalPing`.

Inputs have no id on the wire, and neither has a `finalPing`. An event is therefore assigned as follows; the first rule
that applies decides.

1. By its `traceId`, which identifies the input of a run. Endpoints may also send the same id always, a different one
   with each output, or none. `TraceIds` learns the form from complete runs; an id decides nothing before that.
2. While an unasked run is open, to that run, until its `finalPing`, which ends no turn. An unasked run is opened by
   `typingOn` or an output while nothing is owed. If it was opened by an output, it may have been a notification.
3. To the oldest input that is owed its run.
4. To the oldest turn that was given up, as its late answer.
5. To no turn, which is turn 0.

A `finalPing` ends the turn that is owed it. If nothing else has come for this turn, it may be a repetition of the last
one, which came less than `QUIET_S` ago or over an earlier link, or the late one of a turn that was given up. It is then
held: any other event for the turn discards it, and otherwise it ends the turn after `HOLD_S`.

Where the protocol does not decide, the turn gets a warning. In particular, an unasked run that begins just after an
input was sent looks like the run of that input, and every later answer is then one turn late. This is noticed when a
run is left over: then all turns since the last quiet moment get a warning, and turns and runs agree again. A quiet
moment is a time without events and without an owed run. It is as long as the longest wait for an answer so far, at
least `QUIET_S`.

These cases cannot be noticed, so they get no warning: a notification during the run of a turn, if no id distinguishes
it from the run's own outputs; an unasked run, if the run that is left over begins only after a quiet moment; and a
missing `finalPing`, if a surplus one follows it.
"""

from __future__ import annotations

import math
from typing import Literal

from socketnb.dialects.cognigy.trace_ids import Run, TraceIds

HOLD_S = 1.0
"""How long a `finalPing` that comes before any other event of its turn is held, in seconds."""
QUIET_S = 5.0
"""The minimum length of a quiet moment, in seconds."""
TYPED_RUNS = 2
"""The number of runs that must have begun with `typingOn` before this is expected of every run."""

LEFT_OVER = "a run that this session did not ask for took place near this turn: its messages may be in the wrong turn"
MIXED = "messages with different trace ids came in this turn: one of them may belong to another run"
UNASKED = "a message that was not asked for came just before this turn: messages or the end may belong to its run"
UNTYPED = "a message came before the endpoint began to type: it may be a notification"
EARLY_PING = "a finalPing came before anything else; it was taken for a repetition of an earlier one"
LATE = "this answer came late: it may belong to a run that was not asked for"
AFTER_AGENT = "an agent ended an earlier turn: if the bot answered it too, its answer is in this turn"
STRAY = "the only messages of this run had the trace id of another turn"

PingOutcome = Literal["ends", "held", "nothing"]
"""What a `finalPing` does: it ends the turn, it is held, or it ends nothing."""


class Runs:
    """The runs that are owed and open in one conversation. `now` is the time of a monotonic clock in seconds.

    Attributes:
        ids: What is known about trace ids.
        agent: Whether an agent handles the conversation.
        held: The run whose `finalPing` is held.
    """

    def __init__(self) -> None:
        self.ids = TraceIds()
        self.agent = False
        self.held: Run | None = None
        self._owed: dict[int, Run] = {}
        self._late: list[Run] = []  # given up; their finalPing may still come
        self._unasked: Run | None = None
        self._tail: Run | None = None  # the late run that the last output belonged to
        self._recent: list[int] = []  # the turns that ended since the last quiet moment
        self._mixed: list[int] = []  # turns with different trace ids, before it is known what these identify
        self._spare_pings = 0  # the finalPings of turns that an agent ended
        self._last_ping = ""  # the event that carried the last finalPing, if nothing came since
        self._pinged_at = -math.inf  # when the last turn ended with a finalPing
        self._typed_runs = 0
        self._typing_lost = False  # a link was lost, and no complete run has begun with `typingOn` since
        self._quiet_s = QUIET_S
        self._at = 0.0  # the time of the last event
        self._warnings: list[tuple[int, str]] = []

    @property
    def turn(self) -> int:
        """The turn of an event that nothing else assigns."""
        run = self._open()
        return run.turn if run else 0

    @property
    def silent(self) -> bool:
        """Whether inputs are owed their runs, and nothing has come for them."""
        return bool(self._owed) and not any(run.heard for run in self._owed.values())

    @property
    def unasked(self) -> bool:
        """Whether an unasked run is open."""
        return self._unasked is not None

    def is_cut(self, turn: int) -> bool:
        """Return whether the link was lost after the input of a turn was sent."""
        return turn in self._owed and self._owed[turn].cut

    def warnings(self) -> list[tuple[int, str]]:
        """Return the warnings since the last call, each with its turn."""
        found, self._warnings = self._warnings, []
        return found

    def sent(self, turn: int, now: float) -> None:
        """Note that the input of a turn was sent."""
        self._settle(now)
        self._owed[turn] = Run(turn, now, agent=self.agent)

    def link_lost(self) -> None:
        """Note that events may be missing."""
        self._typing_lost = True
        for run in (*self._owed.values(), *([self._unasked] if self._unasked else [])):
            run.cut = True

    def give_up(self, turn: int, now: float, *, failed: bool = False) -> None:
        """Stop expecting the answer of a turn. It may still come."""
        if run := self._owed.pop(turn, None):
            run.failed = failed
            self._late.append(run)
            self._end_wait(run, now)
            for trace in run.traces:
                self.ids.note(trace, turn)

    def typing(self, now: float) -> int:
        """Handle `typingOn`. Return its turn."""
        self._settle(now)
        if self._unasked and self._owed and not self._unasked.typed:
            self._unasked = None  # it was a notification: a run begins only now
        run = self._open()
        if run is None:
            run = self._unasked = Run(0, now)
        self._hear(run)
        run.typed |= not run.spoke
        return run.turn

    def error(self, now: float) -> int:
        """Handle an error of the endpoint. Return its turn."""
        self._settle(now)
        if run := self._open():
            self._hear(run)
        return self.turn

    def output(self, trace: str, now: float) -> int:
        """Handle an output of the bot. Return its turn."""
        self._settle(now)
        self._last_ping = ""
        late = next((run for run in self._late if trace in run.traces), None) if self.ids.tell_runs else None
        if late and late is not self._open():
            self._tail = late
            return late.turn
        is_unasked = self._unasked is not None and trace in self._unasked.traces
        known = None if late or is_unasked else self.ids.turn_of(trace)
        if known is not None:
            for waiting in self._owed.values():
                waiting.strays = True
            return known
        run = self._run_of_output(trace, now)
        if run is None:
            self.ids.note(trace, 0)
            return 0
        self._hear(run)
        run.spoke = True
        if trace:
            run.traces[trace] = run.traces.get(trace, 0) + 1
        if not run.turn:
            self.ids.note(trace, 0)
        return run.turn

    def agent_message(self, now: float) -> int | None:
        """Handle a message of an agent. Return the owed turn that it answers, or None."""
        self._settle(now)
        self.agent = True
        if self._unasked and not self._unasked.spoke:
            self._unasked = None  # it was the agent who typed
        return next(iter(self._owed), None)

    def answered_by_agent(self, turn: int, now: float) -> bool:
        """Return whether an agent's message is the answer to a turn, and end its run in this case."""
        run = self._owed.get(turn)
        if run is None or not run.agent or run.heard:
            return False
        self.end_by_agent(turn, now)
        return True

    def end_by_agent(self, turn: int, now: float) -> None:
        """Stop expecting the answer of the bot, because an agent handles the conversation."""
        if run := self._owed.pop(turn, None):
            self._end_wait(run, now)
            self._spare_pings += 1
            self._recent.append(turn)

    def ping(self, event: str, now: float) -> tuple[PingOutcome, int]:
        """Handle a `finalPing`. Return what it does, and its turn.

        Args:
            event: The event that carried it. An endpoint may send it as an event, in an output, or both.
            now: The time.
        """
        self._settle(now)
        is_twin = self._last_ping not in ("", event)
        self._last_ping = "" if is_twin else event
        run = next(iter(self._owed.values()), None)
        if is_twin:
            return "nothing", self.turn
        if self._tail:
            return "nothing", self._late_ping(self._tail)
        if self._unasked:
            unasked, self._unasked = self._unasked, None
            if run and not unasked.typed:  # if it was a notification, this is the finalPing of the turn
                self._doubt(run, UNASKED)
                self.held = run
                return "held", run.turn
            self._spare_pings = max(0, self._spare_pings - 1)
            self._left_over()
            return "nothing", 0
        if run is None:
            return "nothing", self._surplus_ping()
        is_answered = run.spoke if run.cut else run.heard  # after a lost link, the endpoint may repeat a finalPing
        is_expected = is_answered or (self.agent and not self._spare_pings)
        is_repeatable = run.cut or now - self._pinged_at < QUIET_S
        if is_expected or run is self.held or not (is_repeatable or self._late or self._spare_pings):
            self._end(run, now)
            return "ends", run.turn
        self.held = run
        return "held", run.turn

    def release(self, now: float) -> int | None:
        """Let the held `finalPing` end its turn, and return the turn. None if none is held."""
        run, self.held = self.held, None
        if run is None:
            return None
        self._end(run, now)
        return run.turn

    # Which run

    def _open(self) -> Run | None:
        """Return the run that an event belongs to by the order of events alone."""
        return self._unasked or next(iter(self._owed.values()), None) or next(iter(self._late), None)

    def _run_of_output(self, trace: str, now: float) -> Run | None:
        """Return the run of an output whose trace id has not decided it, or None if it belongs to no run."""
        run = next(iter(self._owed.values()), None)
        if run is None:
            return self._run_of_idle_output(trace, now)
        if unasked := self._unasked:
            if self.ids.tell_runs and trace in unasked.traces:
                return unasked
            is_another = self.ids.name_runs and bool(trace and unasked.traces) and trace not in unasked.traces
            if unasked.typed and not is_another:
                return unasked
            self._unasked = None
            self._doubt(run, UNASKED)
        if self._all_type and not (run.typed or run.cut):
            self._doubt(run, UNTYPED)
        if trace and run.traces and trace not in run.traces:
            if self.ids.name_runs and max(run.traces.values()) > 1:
                return None  # the run is known by its id, and this is another one
            run.mixed = True
        return run

    def _run_of_idle_output(self, trace: str, now: float) -> Run | None:
        """Return the run of an output that comes while nothing is owed."""
        if self._unasked:
            return self._unasked
        late = next(iter(self._late), None)
        if late and not (self.ids.name_runs and late.traces and trace not in late.traces):
            self._doubt(late, LATE)
            return late
        if not self._all_type or self._spare_pings:  # otherwise a run would have begun with typingOn
            self._unasked = Run(0, now)
        return self._unasked

    @property
    def _all_type(self) -> bool:
        """Whether every run begins with `typingOn`, and none of these events can be missing."""
        return self._typed_runs >= TYPED_RUNS and not self._typing_lost

    def _hear(self, run: Run) -> None:
        """Note that an event other than a `finalPing` came for a run."""
        run.heard, self._tail, self._last_ping = True, None, ""
        if self.held is not run:
            return
        self.held = None
        is_sure = self._all_type and not run.cut
        if not is_sure:
            self._left_over()
        if self._late:
            self._late.pop(0)
        elif self._spare_pings:
            self._spare_pings -= 1
        elif not is_sure:
            self._doubt(run, EARLY_PING)

    # Ends of runs

    def _end(self, run: Run, now: float) -> None:
        """End the run of a turn, learn from it, and forget the turns that were given up before."""
        del self._owed[run.turn]
        self._end_wait(run, now)
        self._pinged_at = now
        for late in self._late:
            if not late.failed:
                text = f"turn {late.turn} was not answered in time: if its answer came late, it is in this turn"
                self._doubt(run, text)
        self._late.clear()
        self._tail = None
        if self._spare_pings and run.spoke:
            self._doubt(run, AFTER_AGENT)
            self._spare_pings = 0
        if run.strays and not run.spoke:
            self.ids.distrust()
            self._doubt(run, STRAY)
        if not run.cut:
            self.ids.learn(run)
            if run.heard:
                self._typed_runs = self._typed_runs + 1 if run.typed else 0
                self._typing_lost = False
        if run.mixed:
            self._mixed.append(run.turn)
        if self.ids.name_runs:
            self._warnings += [(turn, MIXED) for turn in self._mixed]
            self._mixed.clear()
        self._recent.append(run.turn)
        if run.spoke:
            self.agent = False

    def _end_wait(self, run: Run, now: float) -> None:
        self._at = now
        self._quiet_s = max(self._quiet_s, now - run.at)
        self.held = None if self.held is run else self.held

    def _late_ping(self, late: Run) -> int:
        """Handle the `finalPing` of a turn that was given up. Return the turn."""
        self._tail = None
        self._late.remove(late)
        return late.turn

    def _surplus_ping(self) -> int:
        """Handle a `finalPing` while nothing is owed. Return its turn."""
        if self._late:
            return self._late_ping(self._late[0])
        if self._spare_pings:
            self._spare_pings -= 1
        elif not self._all_type:
            self._left_over()
        return 0

    def _left_over(self) -> None:
        """Warn about the turns that an unasked run may have shifted."""
        self._warnings += [(turn, LEFT_OVER) for turn in self._recent]
        self._recent.clear()

    def _doubt(self, run: Run, text: str) -> None:
        if text not in run.warned and run.turn:
            run.warned.add(text)
            self._warnings.append((run.turn, text))

    def _settle(self, now: float) -> None:
        """Forget what a quiet moment has settled."""
        if now - self._at >= self._quiet_s and not self._owed:
            if self._unasked is None:
                self._recent.clear()
            self._unasked = None
        self._at = now

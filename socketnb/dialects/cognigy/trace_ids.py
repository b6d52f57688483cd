"""A run, and what the trace ids of its outputs identify."""

from __future__ import annotations

from dataclasses import dataclass, field

MAX_REMEMBERED_IDS = 5000
"""The number of trace ids to keep."""


@dataclass(slots=True, eq=False)
class Run:
    """A run that is owed or open. `turn` is 0 for an unasked run."""

    turn: int
    at: float  # when the input was sent, or the run was noticed
    agent: bool = False  # an agent handled the conversation when the input was sent
    heard: bool = False  # an event other than a ping came
    spoke: bool = False  # an output of the bot came
    typed: bool = False  # `typingOn` came before any output
    cut: bool = False  # the link was lost, so events may be missing
    mixed: bool = False  # outputs with different trace ids came
    strays: bool = False  # outputs with the trace id of another run came
    failed: bool = False  # it was given up because of an error
    traces: dict[str, int] = field(default_factory=dict)  # trace id → number of outputs
    warned: set[str] = field(default_factory=set)


class TraceIds:
    """What the trace ids of an endpoint's outputs identify, as learned from complete runs."""

    def __init__(self) -> None:
        self._turns: dict[str, int] = {}  # trace id → the turn of its run; 0 if it is not the run of a turn
        self._previous: set[str] = set()  # the ids of the last run
        self._differ = False  # two runs had different ids
        self._reused = False  # two runs had the same id
        self._shared = False  # two outputs of a run had the same id
        self._separate = False  # two outputs of a run had different ids

    @property
    def tell_runs(self) -> bool:
        """Whether an id occurs in one run only."""
        return self._differ and not self._reused

    @property
    def name_runs(self) -> bool:
        """Whether all outputs of a run have the same id, which occurs in this run only."""
        return self.tell_runs and self._shared

    @property
    def may_tell_runs(self) -> bool:
        """Whether ids have been seen, and no id occurred in two runs."""
        return bool(self._turns) and not self._reused

    @property
    def name_outputs(self) -> bool:
        """Whether each output has its own id."""
        return self.tell_runs and self._separate and not self._shared

    def turn_of(self, trace: str) -> int | None:
        """Return the turn that an id belongs to, or None if the id is unknown or does not tell it."""
        return self._turns.get(trace) if self.tell_runs else None

    def note(self, trace: str, turn: int) -> None:
        """Note that an output with this id was assigned to a turn, or to no turn."""
        if trace:
            self._turns.setdefault(trace, turn)
            if len(self._turns) > MAX_REMEMBERED_IDS:
                del self._turns[next(iter(self._turns))]

    def learn(self, run: Run) -> None:
        """Learn from a complete run of a turn."""
        if not run.traces:
            return
        self._reused |= any(self._turns.get(trace) for trace in run.traces)
        self._differ |= bool(self._previous) and self._previous.isdisjoint(run.traces)
        self._shared |= max(run.traces.values()) > 1
        self._separate |= len(run.traces) > 1
        self._previous = set(run.traces)
        for trace in run.traces:
            self._turns.pop(trace, None)
            self.note(trace, run.turn)

    def distrust(self) -> None:
        """Stop using the ids, because they contradict the order of the events."""
        self._reused = True

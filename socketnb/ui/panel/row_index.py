"""The index of the rows: the numbers of the traces that a page shows.

It uses a few bytes per row, so that the cost of a page does not depend on the length of the conversation.
"""

from __future__ import annotations

import math
import statistics
import threading
from array import array
from bisect import bisect_left
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from socketnb.dialects.messages import message
from socketnb.model.content import Delta
from socketnb.model.trace import CONTENT_KINDS, NO_TIME
from socketnb.ui.panel.rows import is_visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from socketnb.model.trace import Trace
    from socketnb.ui.panel.protocol import Anchor

NO_CONVERSATION = -1
"""The conversation number of a row whose trace has no conversation."""


class IndexedTrace(NamedTuple):
    """A trace that was added to the index.

    Attributes:
        trace: The trace.
        first_ms: Milliseconds to the first message of the turn, if the trace ends the turn; otherwise NaN.
        stream: The seq of the stream's first piece, if the trace is a piece of a stream.
    """

    trace: Trace
    first_ms: float
    stream: int | None


@dataclass
class Selection:
    """Consecutive rows.

    Attributes:
        rows: The seq and `first_ms` of each row.
        end: The `seq` after the last indexed trace.
        at_anchor: Whether the first row is the first one from the anchor on.
        older: Whether there are rows before these.
        next_seq: The seq of the row after these, or None.
        continued: Streams that began before the anchor and continued after it, by the seq of their first piece.
    """

    rows: list[tuple[int, float]]
    end: int
    at_anchor: bool
    older: bool
    next_seq: int | None
    continued: list[int]

    def trim(self, count: int, *, backwards: bool) -> None:
        """Keep the given number of rows at the start, or at the end if `backwards`."""
        if count == len(self.rows):
            return
        if backwards:
            self.rows, self.older, self.at_anchor = self.rows[-count:], True, False
        else:
            self.next_seq = self.rows[count][0]
            self.rows = self.rows[:count]


class RowIndex:
    """The traces that have a row, with their turn and conversation. One thread adds traces while other threads read.

    Attributes:
        end: The `seq` after the last indexed trace.
        running: The running turns, also those that are not sent yet.
        queued: The running turns that are not sent yet, each with the seq of its row.
        turn: The number of the latest turn.
        turns: The number of turns.
        links: The number of links.
    """

    def __init__(self, first: int) -> None:
        self.end = self._latest_action = first
        self.running: set[int] = set()
        self.queued: dict[int, int] = {}
        self.turn = self.turns = self.links = 0
        self._lock = threading.RLock()
        self._seqs, self._turns, self._conversations = array("q"), array("i"), array("i")  # one entry per row
        self._first_ms = array("f")  # one entry per row
        self._numbers: dict[str, int] = {}  # conversation id → its number
        self._conversation_of_turn: dict[int, int] = {}
        self._last_actions: dict[int, int] = {}  # conversation → the seq of its last action
        self._first_ms_of_turn: dict[int, float] = {}  # of running turns
        self._open_streams: dict[tuple[str, int, bool], int] = {}  # stream → the seq of its first piece
        self._pieces: dict[int, array[int]] = {}  # the seq of a stream's first piece → the seqs of all pieces

    # Adding traces

    def add(self, traces: Iterable[Trace]) -> list[IndexedTrace]:
        """Add the traces that come next."""
        with self._lock:
            indexed = [self._add(trace) for trace in traces]
            if indexed:
                self.end = indexed[-1].trace.seq + 1
        return indexed

    def _add(self, trace: Trace) -> IndexedTrace:
        first_ms, stream = NO_TIME, None
        if trace.kind in ("queued", "action") and trace.direction != "in":
            self._add_action(trace)
        elif trace.kind in CONTENT_KINDS or trace.kind == "delta":
            if trace.is_reply:
                self._first_ms_of_turn.setdefault(trace.turn, trace.elapsed_ms)
        elif trace.kind == "connected":
            self.links += 1
        if trace.kind == "delta":
            stream = self._add_piece(trace)
        if trace.final:
            first_ms = self._first_ms_of_turn.pop(trace.turn, NO_TIME)
            self.running.discard(trace.turn)
            self.queued.pop(trace.turn, None)
            for name in [name for name, seq in self._open_streams.items() if self._turn_of_row(seq) == trace.turn]:
                del self._open_streams[name]  # its last piece is missing and cannot arrive any more
        if stream == trace.seq or (trace.kind != "delta" and is_visible(trace)):
            self._seqs.append(trace.seq)
            self._turns.append(trace.turn)
            self._conversations.append(self._conversation_number(trace))
            self._first_ms.append(first_ms)
        return IndexedTrace(trace, first_ms, stream)

    def _add_action(self, trace: Trace) -> None:
        """Add the action of a turn. The row of a queued action is removed when the action is sent."""
        if trace.turn not in self.running:
            self.turns += 1
        self.running.add(trace.turn)
        self.turn = max(self.turn, trace.turn)
        if trace.kind == "queued":
            self.queued[trace.turn] = trace.seq
            return
        self._latest_action = self._last_actions[self._conversation_number(trace)] = trace.seq
        if (seq := self.queued.pop(trace.turn, None)) is not None:
            position = bisect_left(self._seqs, seq)
            for column in (self._seqs, self._turns, self._conversations, self._first_ms):
                del column[position]

    def _turn_of_row(self, seq: int) -> int:
        return self._turns[bisect_left(self._seqs, seq)]

    def _add_piece(self, trace: Trace) -> int | None:
        """Add a piece to its stream, and return the `seq` of the first piece of that stream."""
        shown = message(trace)
        if not shown or not isinstance(piece := shown.content, Delta):
            return None
        name = (piece.stream, trace.turn, math.isnan(trace.elapsed_ms))  # a late piece begins another message
        if piece.first or name not in self._open_streams:
            self._open_streams[name] = trace.seq
            self._pieces[trace.seq] = array("q")
        first = self._open_streams[name]
        self._pieces[first].append(trace.seq)
        if piece.last:
            del self._open_streams[name]
        return first

    def _conversation_number(self, trace: Trace) -> int:
        if not trace.conversation:
            return NO_CONVERSATION
        number = self._numbers.setdefault(trace.conversation, len(self._numbers))
        if trace.turn:
            self._conversation_of_turn.setdefault(trace.turn, number)
        return number

    # Selecting rows

    def select(self, anchor: Anchor, seq: int, conversation: str | None, count: int) -> Selection:
        """Select at most `count` rows of one or all conversations."""
        with self._lock:
            total = len(self._seqs)
            positions: Sequence[int] = range(total)
            if conversation:
                positions = [n for n in positions if self._belongs(n, conversation)]
                total = len(positions)
            here = bisect_left(positions, seq, key=self._seqs.__getitem__)
            if anchor == "since" and total - here > count:
                anchor = "last"
            begin, end = {
                "before": (max(0, here - count), here),
                "around": (max(0, here - count // 2), min(total, here + count // 2)),
                "after": (here, min(total, here + count)),
                "since": (here, total),
                "last": (max(0, total - count), total),
            }[anchor]
            forwards = anchor in ("after", "since")
            return Selection(
                rows=[(self._seqs[n], self._first_ms[n]) for n in positions[begin:end]],
                end=self.end,
                at_anchor=forwards,
                older=begin > 0,
                next_seq=self._seqs[positions[end]] if end < total else None,
                continued=self._streams_across(seq) if forwards else [],
            )

    def _belongs(self, position: int, conversation: str) -> bool:
        """Return whether a row belongs to a conversation. A row without a conversation belongs to all of them."""
        number = self._conversations[position]
        if number == NO_CONVERSATION:
            number = self._conversation_of_turn.get(self._turns[position], NO_CONVERSATION)
        return number in (NO_CONVERSATION, self._numbers.get(conversation))

    def only_of(self, seqs: list[int], conversation: str | None) -> list[int]:
        """Return the rows with these seqs that belong to a conversation."""
        with self._lock:
            return [s for s in seqs if not conversation or self._belongs(bisect_left(self._seqs, s), conversation)]

    def seqs(self) -> array[int]:
        """Return the seqs of all rows."""
        with self._lock:
            return self._seqs[:]

    def latest(self, count: int) -> int | None:
        """Return the seq at which the last `count` rows begin, or None if there are at most `count` rows."""
        with self._lock:
            return self._seqs[-count] if len(self._seqs) > count else None

    # Streams

    def _streams_across(self, seq: int) -> list[int]:
        return [first for first, pieces in self._pieces.items() if first < seq <= pieces[-1]]

    def pieces(self, first: int, end: int) -> array[int]:
        """Return the seqs before `end` of all pieces of a stream."""
        with self._lock:
            seqs = self._pieces.get(first, array("q", [first]))
            return seqs[: bisect_left(seqs, end)]

    def is_open(self, first: int) -> bool:
        """Return whether a stream has not ended."""
        with self._lock:
            return first in self._open_streams.values()

    # Turns

    def last_action(self, conversation: str | None) -> int:
        """Return the seq of the last action in a conversation. None means any conversation."""
        with self._lock:
            number = self._numbers.get(conversation or "", NO_CONVERSATION)
            return self._latest_action if number == NO_CONVERSATION else self._last_actions.get(number, -1)

    def running_in(self, conversation: str | None) -> list[int]:
        """Return the running turns of one or all conversations."""
        with self._lock:
            number = self._numbers.get(conversation or "")
            return [
                turn
                for turn in self.running
                if not conversation or self._conversation_of_turn.get(turn, number) == number
            ]

    def span(self, turn: int) -> tuple[int, int]:
        """Return the range of a turn: the seq of its first trace, and the seq after its last trace."""
        with self._lock:
            if turn == self.turn:
                return self._latest_action, self.end
            seqs = [seq for seq, turn_of_row in zip(self._seqs, self._turns, strict=True) if turn_of_row == turn]
        return (seqs[0], seqs[-1] + 1) if seqs else (self.end, self.end)

    @property
    def median_first_ms(self) -> float:
        """The median time to the first message of a turn, in milliseconds; NaN if no turn has a message."""
        with self._lock:
            known = [first_ms for first_ms in self._first_ms if not math.isnan(first_ms)]
        return statistics.median(known) if known else NO_TIME

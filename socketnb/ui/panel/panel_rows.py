"""The view model of a panel: a conversation as pages of rows. It does not depend on a widget or a browser.

Rows are created from recorded traces on demand. Only an index of the rows is kept in memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from socketnb.dialects import registry
from socketnb.dialects.messages import Streams, message
from socketnb.model.content import Delta
from socketnb.model.trace import CONTENT_KINDS
from socketnb.ui.panel.row_index import IndexedTrace, RowIndex
from socketnb.ui.panel.rows import count_light, empty_row, is_visible, make_row, message_row

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from socketnb.conversation.session import Session
    from socketnb.dialects.messages import Message
    from socketnb.model.trace import Trace
    from socketnb.ui.panel.protocol import Anchor, PanelRow, RowPage

PAGE_ROWS = 80
"""The number of rows per page."""
CHUNK_TRACES = 8192
"""The number of traces to read in one step."""


class PanelRows:
    """The rows of a session, from its first trace on. One thread adds traces while other threads read.

    Attributes:
        index: The index of the traces that have a row.
    """

    def __init__(self, session: Session) -> None:
        self.index = RowIndex(session.first)
        self._session = session
        dialect = registry.get(session.platform)
        self._verbs, self._has_conversations = dialect.verbs.keys(), dialect.max_conversations > 1
        self._streams = Streams(session.encoding)
        for since in range(session.first, session.seq, CHUNK_TRACES):
            traces = session.traces(since, CHUNK_TRACES, payloads=False)
            if any(trace.kind == "delta" for trace in traces):  # the name of a stream is in the payload
                traces = session.traces(since, CHUNK_TRACES)
            self.skip(self.index.add(traces))

    @property
    def end(self) -> int:
        """The `seq` after the last trace that was processed."""
        return self.index.end

    # Live rows

    def live(self, indexed: Iterable[IndexedTrace]) -> list[PanelRow]:
        """Return the rows of traces that have just been added to the index, in order."""
        rows: list[PanelRow | None] = []
        for each in indexed:
            trace = each.trace
            if trace.kind == "delta":
                rows.append(self._piece(each))
            elif trace.kind == "typing" and trace.direction == "in":
                stopped = (trace.text or "").casefold().endswith("off")
                rows.append({**empty_row(trace), "typing": not stopped})
            elif is_visible(trace):
                rows.append(self._row(trace, each.first_ms))
        return [row for row in rows if row]

    def skip(self, indexed: Iterable[IndexedTrace]) -> None:
        """Add pieces of streams that are not sent to pages, so that the whole message is complete."""
        for each in indexed:
            if each.trace.kind == "delta" and (shown := message(each.trace)):
                self._streams.add(shown)

    def _row(self, trace: Trace, first_ms: float) -> PanelRow:
        row = make_row(trace, first_ms, self._verbs, waits=trace.turn in self.index.queued)
        if self._has_conversations and trace.conversation:
            row["conversation"] = trace.conversation
        return row

    def _piece(self, indexed: IndexedTrace) -> PanelRow | None:
        """Return a piece of a stream as a row; the row of the last piece has the whole message."""
        shown = message(indexed.trace)
        if indexed.stream is None or not shown or not isinstance(piece := shown.content, Delta):
            return None
        row = empty_row(indexed.trace)
        row["delta"], row["stream"] = piece.text, indexed.stream
        for whole in self._streams.add(shown):
            if whole.trace.seq == indexed.stream:
                row.update(message_row(whole, self._verbs))
        return row

    # Pages of rows

    def page(self, anchor: Anchor, seq: int = 0, conversation: str | None = None, count: int = PAGE_ROWS) -> RowPage:
        """Return at most `count` rows of one or all conversations. Rows with long HTML reduce the number.

        Args:
            anchor: The rows to return, see `Anchor`.
            seq: The seq of the trace that `anchor` refers to.
            conversation: The id of a conversation, or None for all.
            count: The maximum number of rows.
        """
        first = self._session.first
        seq = min(max(seq, first), self.end)
        selection = self.index.select(anchor, seq, conversation, count)
        rows = self._rows(selection.rows, selection.end)
        backwards = anchor in ("before", "last", "since")
        light = count_light(rows, backwards=backwards)
        if light < len(rows):
            selection.trim(light, backwards=backwards)
            rows = rows[-light:] if backwards else rows[:light]
        begin = selection.rows[0][0] if selection.older else first
        until = selection.end if selection.next_seq is None else selection.next_seq
        return {
            "from": seq if selection.at_anchor else begin,
            "to": seq if anchor == "before" else until,
            "rows": rows,
            "continued": [
                self._stream(trace, selection.end)
                for piece in selection.continued
                for trace in self._session.traces(piece, 1)
            ],
            "older": selection.older,
            "newer": selection.next_seq is not None,
        }

    def _rows(self, selected: list[tuple[int, float]], end: int) -> list[PanelRow]:
        if not selected:
            return []
        first, last = selected[0][0], selected[-1][0]
        traces = {trace.seq: trace for trace in self._session.traces(first, last + 1 - first)}
        rows = [
            self._stream(trace, end) if trace.kind == "delta" else self._row(trace, first_ms)
            for seq, first_ms in selected
            if (trace := traces.get(seq))
        ]
        for row in rows:
            if "choices" in row or "form" in row:
                row["expired"] = row["seq"] < self.index.last_action(row.get("conversation"))
        return rows

    def _stream(self, trace: Trace, end: int) -> PanelRow:
        """Return a streamed message as one row at the position of its first piece, with the pieces received so far."""
        row = empty_row(trace)
        if self.index.is_open(trace.seq):
            row["delta"] = "".join(
                piece.content.text for piece in self._pieces(trace.seq, end) if isinstance(piece.content, Delta)
            )
            row["stream"] = trace.seq
        elif whole := self.streamed(trace.seq, end):
            row.update(message_row(whole, self._verbs))
        return row

    def streamed(self, first: int, end: int) -> Message | None:
        """Return the streamed message whose first piece has the seq `first`, with the pieces before `end`."""
        streams = Streams(self._session.encoding)
        complete = [whole for piece in self._pieces(first, end) for whole in streams.add(piece)]
        return next(iter(complete or streams.rest()), None)

    def _pieces(self, first: int, end: int) -> list[Message]:
        return [shown for piece in self._read(self.index.pieces(first, end)) if (shown := message(piece))]

    def _read(self, seqs: Sequence[int]) -> list[Trace]:
        """Return the traces with these seqs. Consecutive traces are read in one step."""
        traces: list[Trace] = []
        while seqs:
            run = next((n for n, seq in enumerate(seqs) if seq != seqs[0] + n), len(seqs))
            traces += self._session.traces(seqs[0], run)
            seqs = seqs[run:]
        return traces

    # Search

    def find(self, text: str, conversation: str | None = None) -> list[int]:
        """Return the seqs of the rows of one or all conversations that contain a text. Case is ignored."""
        import pandas as pd

        messages = self._session.messages_df(columns=["seq", "text"])
        traces = self._session.traces_df(columns=["seq", "kind", "text", "error"])
        is_notice = traces["seq"].isin(self.index.seqs()) & ~traces["kind"].isin(
            [*CONTENT_KINDS, "action", "queued", "delta"]
        )
        notices = traces[is_notice].assign(text=traces["error"].fillna(traces["text"]))[["seq", "text"]]
        rows = pd.concat([messages, notices]).sort_values("seq")
        rows = rows[rows["seq"] >= self._session.first]
        matches = rows["seq"][rows["text"].str.contains(text, case=False, regex=False, na=False)].tolist()
        return self.index.only_of(matches, conversation)

    def latest(self, count: int) -> int:
        """Return the seq of the trace at which the last `count` rows begin."""
        seq = self.index.latest(count)
        return self._session.first if seq is None else seq

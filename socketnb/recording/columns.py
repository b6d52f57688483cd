"""The traces of one recording as Arrow columns, in memory as far as it is bounded, and else in their parts.

New rows wait in a list until there are some, or somebody reads; then they become a table, once and for all. That is
done where they are appended: a thread of its own would hold up the one that appends for longer.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from socketnb.errors import RecordingError
from socketnb.recording.parts import Row, arrow_schema, read_part, table_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pyarrow as pa

PIECES = 32
"""Pieces that the newest rows may be in before a reader joins them: many small ones make reading slow."""
BATCH = 2048
"""Rows that are converted at once: what else runs waits no longer than for that."""


@dataclass(frozen=True, slots=True)
class Part:
    """Rows that are complete: in memory, in a file, or both."""

    rows: int
    table: pa.Table | None
    path: Path | None


class Columns:
    """All traces of a recording, in the order observed. One thread appends, any thread reads.

    Args:
        name: the recording's id.
        keep: rows that stay in memory, of those that are in a part too.
    """

    def __init__(self, name: str, keep: int = 1_000_000) -> None:
        self.name = name
        self._keep = keep
        self._lock = threading.Lock()
        self._parts: list[Part] = []
        self._newer: list[pa.Table] = []
        self._new: list[Row] = []
        self._ready = False

    def extend(self, rows: Sequence[Row]) -> None:
        """Add rows."""
        self._new.extend(rows)
        if self._ready and len(self._new) >= BATCH and self._lock.acquire(blocking=False):
            try:
                self._convert()
            finally:
                self._lock.release()

    def prepare(self) -> None:
        """Load what converts rows, in a thread that nobody waits for."""
        import pyarrow.parquet  # noqa: F401 (to have it loaded)

        self._ready = True

    def table(self, since: int = 0, columns: Sequence[str] | None = None, until: int | None = None) -> pa.Table:
        """Return the rows from number `since` on, up to `until`: all columns, or these, in the order of `COLUMNS`.

        Raises:
            RecordingError: rows that are no longer in memory cannot be read from their part.
        """
        import pyarrow as pa

        with self._lock:
            self._convert()
            if len(self._newer) > PIECES:
                self._newer = [pa.concat_tables(self._newer).unify_dictionaries().combine_chunks()]
            parts = [*self._parts, *(Part(table.num_rows, table, None) for table in self._newer)]
        pieces, begin = [arrow_schema().empty_table()], 0
        for part in parts:
            first, last = max(0, since - begin), part.rows if until is None else min(part.rows, until - begin)
            if first < last:
                table = part.table if part.table is not None else _read(part.path, columns)
                pieces.append(table.slice(first, last - first))
            begin += part.rows
        return pa.concat_tables(pieces if columns is None else [piece.select(columns) for piece in pieces])

    def seal(self, start: int, stop: int) -> pa.Table:
        """Make the rows from `start` to `stop` a part, and return them; texts are not copied: that would be felt.

        What is before them and no part yet, since sealing it failed, becomes a part without a file.
        """
        import pyarrow as pa

        with self._lock:
            self._convert()
            done = sum(part.rows for part in self._parts)
            table = pa.concat_tables([arrow_schema().empty_table(), *self._newer]).unify_dictionaries(
                pa.system_memory_pool()
            )
            before, full, rest = (
                table.slice(0, start - done),
                table.slice(start - done, stop - start),
                table.slice(stop - done),
            )
            self._parts += [Part(piece.num_rows, piece, None) for piece in (before, full) if piece.num_rows]
            self._newer = [rest] if rest.num_rows else []
        return full

    def written(self, start: int, path: Path) -> None:
        """Know the file of the part that begins at a row; let go of the oldest beyond what stays in memory."""
        with self._lock:
            held = sum(part.rows for part in self._parts if part.table is not None)
            row = 0
            for n, part in enumerate(self._parts):
                known = replace(part, path=path) if row == start else part
                if held > self._keep and known.table is not None and known.path is not None:
                    known = replace(known, table=None)
                    held -= part.rows
                self._parts[n] = known
                row += part.rows

    def _convert(self) -> None:
        """Turn the new rows into a table; the lock is held. What is appended meanwhile waits for the next time."""
        count = len(self._new)
        for start in range(0, count, BATCH):
            batch = self._new[: min(BATCH, count - start)]
            self._newer.append(table_of(batch))
            del self._new[: len(batch)]


def _read(path: Path | None, columns: Sequence[str] | None) -> pa.Table:
    try:
        return read_part(path, columns) if path else None
    except FileNotFoundError:
        raise RecordingError(f"the part {path} was removed: what is no longer in memory is gone with it") from None

"""The traces of one recording as Arrow tables: the latest traces in memory, the others in parts on disk.

New rows are collected in a list and converted to a table when there are enough of them or when they are read. The
appending thread converts them itself, because a second thread would compete for the interpreter and delay it longer.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from socketnb.errors import RecordingError
from socketnb.recording.parts import read_part
from socketnb.recording.schema import TRACES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pyarrow as pa

    from socketnb.recording.schema import TraceValues

MAX_RECENT_TABLES = 32
"""The number of tables of unsealed rows above which a reader joins them. Many small tables make reading slow."""
CONVERSION_ROWS = 2048
"""The number of rows converted in one step. Other work waits for at most one step."""


@dataclass(frozen=True, slots=True)
class SealedRows:
    """The rows of a sealed part: in memory, in a file, or both."""

    rows: int
    table: pa.Table | None
    path: Path | None


class TraceStore:
    """All traces of a recording in the order observed. One thread appends, and any thread can read.

    Args:
        name: The id of the recording.
        memory_rows: The number of sealed rows to keep in memory.
    """

    def __init__(self, name: str, memory_rows: int = 1_000_000) -> None:
        self.name = name
        self._memory_rows = memory_rows
        self._lock = threading.Lock()
        self._sealed: list[SealedRows] = []
        self._recent: list[pa.Table] = []  # tables of converted rows that are not sealed
        self._new: list[TraceValues] = []  # rows that are not converted
        self._ready = False

    def extend(self, rows: Sequence[TraceValues]) -> None:
        """Add rows."""
        self._new.extend(rows)
        if self._ready and len(self._new) >= CONVERSION_ROWS and self._lock.acquire(blocking=False):
            try:
                self._convert()
            finally:
                self._lock.release()

    def prepare(self) -> None:
        """Import the libraries that convert rows. Call this on a background thread."""
        import pyarrow.parquet  # noqa: F401 (loaded in advance)

        self._ready = True

    def table(self, since: int = 0, columns: Sequence[str] | None = None, until: int | None = None) -> pa.Table:
        """Return the rows from number `since` (inclusive) to `until` (exclusive).

        Args:
            since: The number of the first row.
            columns: The columns to return. By default all.
            until: The number after the last row. By default all rows are returned.

        Raises:
            RecordingError: Rows that are no longer in memory cannot be read from their part.
        """
        import pyarrow as pa

        with self._lock:
            self._convert()
            if len(self._recent) > MAX_RECENT_TABLES:
                self._recent = [pa.concat_tables(self._recent).unify_dictionaries().combine_chunks()]
            blocks = [*self._sealed, *(SealedRows(table.num_rows, table, None) for table in self._recent)]
        tables, begin = [TRACES.arrow.empty_table()], 0
        for block in blocks:
            first, last = max(0, since - begin), block.rows if until is None else min(block.rows, until - begin)
            if first < last:
                table = block.table if block.table is not None else _read(block.path, columns)
                tables.append(table.slice(first, last - first))
            begin += block.rows
        return pa.concat_tables(tables if columns is None else [table.select(columns) for table in tables])

    def seal(self, start: int, stop: int) -> pa.Table:
        """Join the rows from `start` to `stop` into one sealed block, and return them. Copying texts is avoided.

        Earlier rows that could not be sealed become a block without a file.
        """
        import pyarrow as pa

        with self._lock:
            self._convert()
            done = sum(block.rows for block in self._sealed)
            table = pa.concat_tables([TRACES.arrow.empty_table(), *self._recent]).unify_dictionaries(
                pa.system_memory_pool()
            )
            before, full, rest = (
                table.slice(0, start - done),
                table.slice(start - done, stop - start),
                table.slice(stop - done),
            )
            self._sealed += [SealedRows(rows.num_rows, rows, None) for rows in (before, full) if rows.num_rows]
            self._recent = [rest] if rest.num_rows else []
        return full

    def written(self, start: int, path: Path) -> None:
        """Set the file of the part that begins at row `start`, and drop the oldest rows beyond the memory limit."""
        with self._lock:
            in_memory = sum(block.rows for block in self._sealed if block.table is not None)
            row = 0
            for n, sealed in enumerate(self._sealed):
                block = replace(sealed, path=path) if row == start else sealed
                if in_memory > self._memory_rows and block.table is not None and block.path is not None:
                    block = replace(block, table=None)
                    in_memory -= block.rows
                self._sealed[n] = block
                row += block.rows

    def _convert(self) -> None:
        """Convert the new rows to tables. The caller holds the lock. Rows added meanwhile may be left for later."""
        for _ in range(0, len(self._new), CONVERSION_ROWS):
            batch = self._new[:CONVERSION_ROWS]
            self._recent.append(TRACES.table(batch))
            del self._new[: len(batch)]


def _read(path: Path | None, columns: Sequence[str] | None) -> pa.Table:
    try:
        return read_part(path, columns) if path else None
    except FileNotFoundError:
        raise RecordingError(f"the part {path} was removed, and its traces are no longer in memory") from None

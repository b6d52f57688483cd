"""The traces of one recording as Arrow tables: in memory up to a limit, and in their parts beyond it.

New rows wait in a list until there are enough of them or somebody reads; then they become a table. The appending thread
converts them itself, because a second thread would compete with it for the interpreter and delay it longer.
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
"""Tables of unsealed rows before a reader joins them. Many small tables make reading slow."""
CONVERSION_ROWS = 2048
"""Rows that are converted in one step. Other work waits no longer than for that."""


@dataclass(frozen=True, slots=True)
class SealedRows:
    """The rows of a sealed part: in memory, in a file, or both."""

    rows: int
    table: pa.Table | None
    path: Path | None


class TraceStore:
    """All traces of a recording in the order observed. One thread appends, any thread reads.

    Args:
        name: The id of the recording.
        memory_rows: The number of rows to keep in memory, of those that are also in a part.
    """

    def __init__(self, name: str, memory_rows: int = 1_000_000) -> None:
        self.name = name
        self._memory_rows = memory_rows
        self._lock = threading.Lock()
        self._sealed: list[SealedRows] = []
        self._recent: list[pa.Table] = []  # converted, not sealed
        self._new: list[TraceValues] = []  # not converted
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
        """Load the libraries that convert rows. The caller is a thread that nobody waits for."""
        import pyarrow.parquet  # noqa: F401 (loaded in advance)

        self._ready = True

    def table(self, since: int = 0, columns: Sequence[str] | None = None, until: int | None = None) -> pa.Table:
        """Return the rows from number `since` up to and without `until`.

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
        """Make the rows from `start` to `stop` one sealed block, and return them. Texts are not copied: it is slow.

        Earlier rows that are not in a part, because sealing them failed, become a block without a file.
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
        """Note the file of the part that begins at row `start`, and drop the oldest rows beyond the memory limit."""
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
        """Convert the new rows to tables; the lock is held. Rows appended meanwhile may be left for the next time."""
        for _ in range(0, len(self._new), CONVERSION_ROWS):
            batch = self._new[:CONVERSION_ROWS]
            self._recent.append(TRACES.table(batch))
            del self._new[: len(batch)]


def _read(path: Path | None, columns: Sequence[str] | None) -> pa.Table:
    try:
        return read_part(path, columns) if path else None
    except FileNotFoundError:
        raise RecordingError(f"the part {path} was removed, and its traces are no longer in memory") from None

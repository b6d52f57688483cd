"""Traces in memory as Arrow columns.

New rows wait in a list; the first reader turns them into one Arrow batch, and nobody converts them again.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from socketnb.records import COLUMNS, Trace

if TYPE_CHECKING:
    import pyarrow as pa


def arrow_schema() -> pa.Schema:
    """Return the Arrow schema of a trace: `COLUMNS`, with `large_string` so that a column may pass 2 GB."""
    import pyarrow as pa

    types = {
        "category": pa.dictionary(pa.int32(), pa.string()),
        "string": pa.large_string(),
        "datetime64[ns, UTC]": pa.timestamp("ns", tz="UTC"),
        "int64": pa.int64(),
        "int32": pa.int32(),
        "float64": pa.float64(),
        "bool": pa.bool_(),
    }
    return pa.schema([(name, types[dtype]) for name, dtype in COLUMNS.items()])


CHUNKS = 64
"""Pieces that a column may be in before they are joined: many small ones make every read slow."""


class Columns:
    """All traces of a kernel, in the order they were observed. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._new: list[Trace] = []
        self._table: pa.Table | None = None

    def append(self, trace: Trace) -> None:
        """Add a row."""
        with self._lock:
            self._new.append(trace)

    def table(self, since: int = 0) -> pa.Table:
        """Return the rows from number `since` on, in the order of `COLUMNS`."""
        import pyarrow as pa

        with self._lock:
            schema = arrow_schema()
            if self._table is None:
                self._table = schema.empty_table()
            if self._new:
                fields = zip(schema, zip(*self._new, strict=True), strict=True)
                arrays = [pa.array(values, type=column.type) for column, values in fields]
                batch = pa.Table.from_arrays(arrays, schema=schema)
                table = pa.concat_tables([self._table, batch])
                many = table.column(0).num_chunks > CHUNKS
                self._table = table.unify_dictionaries().combine_chunks() if many else table
                self._new = []
            table = self._table
        return table.slice(since)

    def traces(self, session: str, recording: str, since: int = 0) -> list[Trace]:
        """Return a session's traces from its `seq` number `since` on."""
        import pyarrow as pa
        import pyarrow.compute as pc

        table = self.table()
        wanted = pc.and_(pc.equal(table["session"], session), pc.equal(table["recording"], recording))
        rows = table.filter(pc.and_(wanted, pc.greater_equal(table["seq"], since)))
        for time in ("at", "server_at"):
            rows = rows.set_column(rows.schema.get_field_index(time), time, rows[time].cast(pa.int64()))
        return [Trace(**row) for row in rows.to_pylist()]

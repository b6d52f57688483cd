"""The Arrow schema of the trace table, conversion to tables, and migration of older tables and lines.

Everything here is derived from `model.trace.SCHEMA`. A recording contains the version of its schema. A column that is
newer than the recording is read under its former name, or has its default value.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from socketnb.errors import RecordingError
from socketnb.model import trace
from socketnb.model.trace import NO_TIME, Trace

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa

    from socketnb.model.json import JsonObject
    from socketnb.model.trace import Column

TraceValues = tuple[object, ...]
"""The values of one trace in the order of the columns. Plain tuples, because the garbage collector can skip them."""
TIME_DTYPE = "datetime64[ns, UTC]"


class Schema:
    """The columns of a trace table, and the operations that depend on them.

    Args:
        columns: The columns by name, in order. The last one is `payload`.

    Attributes:
        version: The version of the schema, which is the version of its newest column.
        categories: The names of the columns with few different values.
        times: The names of the columns with times.
    """

    def __init__(self, columns: Mapping[str, Column]) -> None:
        self.columns = dict(columns)
        self.version = max(column.since for column in columns.values())
        self.categories = [name for name, column in columns.items() if column.dtype == "category"]
        self.times = [name for name, column in columns.items() if column.dtype == TIME_DTYPE]

    @functools.cached_property
    def arrow(self) -> pa.Schema:
        """The Arrow schema. Texts have the type `large_string`, so that a column can exceed 2 GB."""
        import pyarrow as pa

        types = {
            "category": pa.dictionary(pa.int32(), pa.string()),
            "string": pa.large_string(),
            TIME_DTYPE: pa.timestamp("ns", tz="UTC"),
            "int64": pa.int64(),
            "int32": pa.int32(),
            "float64": pa.float64(),
            "bool": pa.bool_(),
        }
        return pa.schema([(name, types[column.dtype]) for name, column in self.columns.items()])

    def table(self, rows: Sequence[TraceValues]) -> pa.Table:
        """Return rows as a table. NaN becomes null, because other tools would treat NaN as a number."""
        import pyarrow as pa

        if not rows:
            return self.arrow.empty_table()
        # Arrow's own pool requests memory in pages of 2 MB, and clearing them would block the event loop.
        pool = pa.system_memory_pool()
        arrays = [
            pa.array(values, type=field.type, from_pandas=pa.types.is_floating(field.type), memory_pool=pool)
            for field, values in zip(self.arrow, zip(*rows, strict=True), strict=True)
        ]
        return pa.Table.from_arrays(arrays, schema=self.arrow)

    def checked_table(self, rows: Sequence[TraceValues], file: str) -> pa.Table:
        """Return the rows of a file as a table.

        Raises:
            RecordingError: A value has the wrong type, or a required value is missing.
        """
        import pyarrow as pa

        try:
            table = self.table(rows)
        except (pa.ArrowException, OverflowError, TypeError, ValueError) as error:
            raise RecordingError(f"{file} has a line that is not a trace: {first_line(error)}") from None
        for name, column in self.columns.items():
            if not column.nullable and table[name].null_count:
                raise RecordingError(f"{file} has a line that is not a trace: it has no {name!r}")
        return table

    def check_version(self, version: int, file: str) -> None:
        """Check that this schema can read a recording of a version.

        Raises:
            RecordingError: The version is newer.
        """
        if version < 1:
            raise RecordingError(f"{file} is not a part of a recording: its schema version is {version}")
        if version > self.version:
            newer = f"has schema version {version} and this socketnb reads up to {self.version}"
            raise RecordingError(f"{file} {newer}: install a newer socketnb")

    def row(self, fields: JsonObject, payload: str, file: str) -> TraceValues:
        """Return the values of a line of any version.

        Args:
            fields: The fields of the line without its payload. The dict is modified.
            payload: The payload as JSON text.
            file: The name of the file, for error messages.

        Raises:
            RecordingError: The line is of a newer version, or is not a trace.
        """
        version = fields.pop("v", 1)
        if type(version) is not int:
            raise RecordingError(f"{file} has a line that is not a trace: its version is {version!r}")
        self.check_version(version, file)
        fields["payload"] = payload
        row = []
        for name, column in self.columns.items():
            if name in fields:
                row.append(fields.pop(name))
            elif version < column.since and column.formerly in fields:
                row.append(fields.pop(column.formerly))
            elif column.nullable or (version < column.since and not column.formerly):
                row.append(column.blank)
            else:
                raise RecordingError(f"{file} has a line that is not a trace: it has no {name!r}")
        if fields:
            unknown = next(iter(fields))
            raise RecordingError(f"{file} has a line with the unknown field {unknown!r}: install a newer socketnb")
        return tuple(row)

    def stored_name(self, name: str, version: int, stored: Sequence[str]) -> str | None:
        """Return the name of a column in tables of a version, or None if they do not contain the column."""
        former = self.columns[name].formerly
        if name not in stored and former in stored and version < self.columns[name].since:
            return former
        return name if name in stored else None

    def migrated(self, table: pa.Table, version: int, names: Sequence[str], file: str) -> pa.Table:
        """Return columns of a table of an older version, converted to the current version.

        Raises:
            RecordingError: The table lacks a column of its version.
        """
        import pyarrow as pa

        arrays = []
        for name in names:
            column, kind = self.columns[name], self.arrow.field(name).type
            if stored := self.stored_name(name, version, table.column_names):
                arrays.append(table[stored].cast(kind))
            elif version < column.since and not column.formerly:
                arrays.append(pa.array([column.blank] * table.num_rows, type=kind, from_pandas=True))
            else:
                raise RecordingError(f"{file} is not a part of a recording: it has no column {name!r}")
        return pa.Table.from_arrays(arrays, schema=pa.schema([self.arrow.field(name) for name in names]))


TRACES = Schema(trace.SCHEMA)
"""The schema of the trace table."""


def with_numeric_times(table: pa.Table) -> pa.Table:
    """Return a trace table with its times as numbers: nanoseconds since 1970."""
    import pyarrow as pa

    for name in TRACES.times:
        table = table.set_column(table.schema.get_field_index(name), name, table[name].cast(pa.int64()))
    return table


def traces_of(table: pa.Table) -> list[Trace]:
    """Return the traces of a table."""
    import pyarrow as pa

    columns = [
        [NO_TIME if value is None else value for value in column.to_pylist()]
        if pa.types.is_floating(column.type)
        else column.to_pylist()
        for column in with_numeric_times(table).columns
    ]
    return [Trace(*values) for values in zip(*columns, strict=True)]


def first_line(error: Exception) -> str:
    """Return the first line of an error's message, or the name of its type."""
    return (str(error).splitlines() or [type(error).__name__])[0]

"""Traces out of a frame, into a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from socketnb.errors import RecordingError, SettingsError
from socketnb.frames.table import table_from
from socketnb.model.trace import COLUMNS
from socketnb.recording.parts import line_of, numbered, whole, write_part
from socketnb.settings import to_path

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd
    import pyarrow as pa

BATCH = 8192
"""Rows that become lines at once."""


def to_parquet(frame: pd.DataFrame, path: str | Path) -> None:
    """Write traces as one Parquet file, such as the parts of a recording; errors as `table_from`, or RecordingError."""
    table, path = table_from(frame), to_path(path, "path must be a path")
    try:
        write_part(table, path)
    except OSError as error:
        raise RecordingError(f"{path} cannot be written: {error.strerror or error}") from None


def to_jsonl(frame: pd.DataFrame, path: str | Path) -> None:
    """Write traces as JSON lines, one a trace, as a recording has them; errors as `to_parquet`."""
    table, path = table_from(frame), to_path(path, "path must be a path")
    try:
        with whole(path) as new, new.open("wb") as file:
            file.writelines(lines(table))
    except OSError as error:
        raise RecordingError(f"{path} cannot be written: {error.strerror or error}") from None


def lines(table: pa.Table) -> Iterator[bytes]:
    """Yield the line of each trace."""
    table = numbered(table)
    *names, _ = COLUMNS
    for batch in table.to_batches(BATCH):
        *columns, payloads = (column.to_pylist() for column in batch.columns)
        for values, payload in zip(zip(*columns, strict=True), payloads, strict=True):
            yield line_of(dict(zip(names, values, strict=True)), payload.encode())


def jsonl(frame: pd.DataFrame) -> str:
    """Return traces as JSON lines; errors as `table_from`."""
    return b"".join(lines(table_from(frame))).decode()


def to_duckdb(frame: pd.DataFrame, path: str | Path, table: str = "traces") -> None:
    """Write traces as a new table of a DuckDB file; errors as `to_parquet`, or there is a table of this name."""
    try:
        import duckdb
    except ImportError:
        raise SettingsError('DuckDB is not installed: pip install "socketnb[duckdb]"') from None
    rows, path = table_from(frame), to_path(path, "path must be a path")
    if not isinstance(table, str) or not table.strip() or "\0" in table:
        raise SettingsError(f"table is a name, not {table!r}")
    name = '"' + table.replace('"', '""') + '"'
    try:
        with duckdb.connect(str(path)) as connection:
            connection.register("socketnb_rows", rows)
            connection.execute(f"CREATE TABLE {name} AS SELECT * FROM socketnb_rows")  # noqa: S608 (quoted above)
    except duckdb.CatalogException:
        raise RecordingError(f"{path} has a table {table!r} already: name another file or table") from None
    except duckdb.Error as error:
        raise RecordingError(f"{path} cannot be written: {str(error).splitlines()[0]}") from None

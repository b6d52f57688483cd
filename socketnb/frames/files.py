"""Traces in and out of a frame: Parquet, JSON lines, DuckDB, and a saved Voiceflow transcript."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from socketnb.dialects import voiceflow
from socketnb.dialects.voiceflow.transcript import transcript
from socketnb.errors import RecordingError, SettingsError
from socketnb.recording.parts import arrow_schema, line_of, numbered, read_lines, table_of_lines, whole, write_part
from socketnb.recording.recorder import Recorder
from socketnb.records import COLUMNS, NO_TIME, clean
from socketnb.settings import path_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pandas as pd
    import pyarrow as pa

BATCH = 8192
"""Rows that become lines at once."""


@functools.cache
def add_accessor() -> None:
    """Give every DataFrame `df.chat`, once pandas is needed at all."""
    import pandas as pd

    from socketnb.frames.chat import Chat

    pd.api.extensions.register_dataframe_accessor("chat")(Chat)


def frame_of(table: pa.Table) -> pd.DataFrame:
    """Return a table of traces as a frame, in the dtypes of the schema."""
    import pandas as pd
    import pyarrow as pa

    add_accessor()
    string = pd.StringDtype("pyarrow")
    frame: pd.DataFrame = table.unify_dictionaries().to_pandas(types_mapper={pa.large_string(): string}.get)
    return frame


def table_from(frame: pd.DataFrame) -> pa.Table:
    """Return a frame of traces as a table.

    Raises:
        SettingsError: the frame has not just the columns of a trace, or a value is of another type.
    """
    import pyarrow as pa

    if missing := [name for name in COLUMNS if name not in frame]:
        raise SettingsError(f"a trace also has the columns {', '.join(missing)}: take them from traces_df()")
    if strange := [str(name) for name in frame if name not in COLUMNS]:
        raise SettingsError(f"a trace has no column {strange[0]!r}: drop it, or use pandas' own df.to_parquet")
    schema = arrow_schema()
    try:
        return pa.Table.from_arrays([_array(frame[field.name], field.type) for field in schema], schema=schema)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise SettingsError(f"these are no traces as traces_df() gives them: {error}") from None


def _array(column: pd.Series, kind: pa.DataType) -> pa.Array:
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        return pa.array(column.astype(object), type=pa.string(), from_pandas=True).dictionary_encode().cast(kind)
    found = pa.array(column, from_pandas=True)
    if isinstance(found, pa.ChunkedArray):
        found = found.combine_chunks()
    return found.cast(kind)


def to_parquet(frame: pd.DataFrame, path: str | Path) -> None:
    """Write traces as one Parquet file, such as the parts of a recording; errors as `table_from`, or RecordingError."""
    table, path = table_from(frame), path_of(path, "path is a path")
    try:
        write_part(table, path)
    except OSError as error:
        raise RecordingError(f"{path} cannot be written: {error.strerror or error}") from None


def to_jsonl(frame: pd.DataFrame, path: str | Path) -> None:
    """Write traces as JSON lines, one a trace, as a recording has them; errors as `to_parquet`."""
    table, path = table_from(frame), path_of(path, "path is a path")
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
    rows, path = table_from(frame), path_of(path, "path is a path")
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


def from_jsonl(path: str | Path) -> pd.DataFrame:
    """Return the traces of a file of JSON lines, as `to_jsonl` or a recording has them.

    Raises:
        RecordingError: there is no such file, or a line is no trace.
    """
    path = path_of(path, "path is a path")
    traces, _ = read_lines(_bytes(path), path.name, whole=True)
    return frame_of(table_of_lines(traces, path.name))


def from_voiceflow(saved: str | Path | dict[str, Any] | Sequence[Any]) -> pd.DataFrame:
    """Return a saved Voiceflow transcript as traces; a status row, of our own, ends each turn.

    Args:
        saved: the answer of the API's transcript call, or the path of a file with it.

    Raises:
        SettingsError: it is no transcript.
        RecordingError: there is no such file, or it is no JSON.
    """
    if isinstance(saved, str | Path):
        path = path_of(saved, "saved is a path")
        try:
            saved = json.loads(_bytes(path))
        except (ValueError, RecursionError) as error:
            raise RecordingError(f"{path.name} is no JSON: {error}") from None
    name, found = transcript(saved)
    name = clean(name)
    recorder = Recorder(name)
    log = recorder.log(voiceflow.NAME, name, voiceflow.SECRET_FIELDS)
    log.conversation = name
    begun = NO_TIME
    for record, at in found:
        begun = at if record.kind == "action" else begun
        log.append(record, 1, at, (at - begun) / 1e6)
    recorder.close()
    return frame_of(recorder.columns.table())


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise RecordingError(f"{path} cannot be read: {error.strerror or error}") from None

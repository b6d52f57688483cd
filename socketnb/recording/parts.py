"""What a recording is made of: sealed Parquet parts, and JSON-lines segments that are not sealed yet.

A line is a trace: an object with the fields of `COLUMNS` in their order, times in nanoseconds, `payload` last and as
it was received. A part is a Parquet file of the same columns, which says the version of the schema.
"""

from __future__ import annotations

import codecs
import contextlib
import json
import os
from typing import TYPE_CHECKING, Any

import orjson

from socketnb.errors import RecordingError
from socketnb.model.trace import COLUMNS, NO_TIME, Trace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    import pyarrow as pa

Row = tuple[Any, ...]
"""The values of a trace, in the order of `COLUMNS`."""
VERSION = 1
"""Of the schema. A change of `COLUMNS` raises it, and says in `MIGRATIONS` how what was written before is read."""
MIGRATIONS: dict[int, Callable[[pa.Table], pa.Table]] = {}
"""Version → what makes a table of the next one of it."""
KEY = b"socketnb.schema"
OPTIONAL = frozenset({"conversation", "server_at", "elapsed_ms", "text", "node", "intent", "error"})
"""Columns in which a value may be missing."""
LAST = b',"payload":'
"""Begins the last field of a line. Inside of a text its quotes would be escaped, so the first is the one."""
NO_JSON = "this cannot be kept as JSON: it is nested too deeply, or odder still"
"""Is recorded in the place of a payload that Python cannot go through."""
CATEGORIES = [name for name, dtype in COLUMNS.items() if dtype == "category"]


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


# Traces and tables


def table_of(rows: Sequence[Row]) -> pa.Table:
    """Return rows as a table; a missing time is null, not NaN: other tools would count with it."""
    import pyarrow as pa

    schema = arrow_schema()
    if not rows:
        return schema.empty_table()
    # Arrow's own pool asks for memory in pages of 2 MB, and the event loop would wait while they are cleared.
    pool = pa.system_memory_pool()
    arrays = [
        pa.array(values, type=field.type, from_pandas=field.name == "elapsed_ms", memory_pool=pool)
        for field, values in zip(schema, zip(*rows, strict=True), strict=True)
    ]
    return pa.Table.from_arrays(arrays, schema=schema)


def table_of_lines(traces: Sequence[Trace], name: str) -> pa.Table:
    """Return the traces of a file's lines as a table.

    Raises:
        RecordingError: a value is of the wrong type, or missing where there always is one.
    """
    import pyarrow as pa

    try:
        table = table_of(traces)
    except (pa.ArrowException, OverflowError, TypeError, ValueError) as error:
        raise RecordingError(f"{name} has a line that is no trace: {_first(error)}") from None
    for column in COLUMNS:
        if column not in OPTIONAL and table[column].null_count:
            raise RecordingError(f"{name} has a line that is no trace: it has no {column}")
    return table


def numbered(table: pa.Table) -> pa.Table:
    """Return a table with its times as numbers: nanoseconds since 1970."""
    import pyarrow as pa

    for time in ("observed_at", "server_at"):
        table = table.set_column(table.schema.get_field_index(time), time, table[time].cast(pa.int64()))
    return table


def traces_of(table: pa.Table) -> list[Trace]:
    """Return the traces of a table."""
    table = numbered(table)
    columns = [column.to_pylist() for column in table.columns]
    elapsed = table.schema.get_field_index("elapsed_ms")
    columns[elapsed] = [NO_TIME if value is None else value for value in columns[elapsed]]
    return [Trace(*values) for values in zip(*columns, strict=True)]


# Parts


def write_part(table: pa.Table, path: Path) -> None:
    """Write a part; errors as `whole`."""
    import pyarrow.parquet as pq

    stamped = table.replace_schema_metadata({KEY: str(VERSION)})
    with whole(path) as new:
        pq.write_table(stamped, new, compression="zstd", use_dictionary=CATEGORIES, write_page_checksum=True)


@contextlib.contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Give the path of a new file, which only its user can read, and takes this one's place when it is written.

    Raises:
        OSError: it could not be written; nothing is left of it, and what was there before is.
    """
    new = path.with_name(f".{path.name}.new")
    try:
        os.close(os.open(new, os.O_WRONLY | os.O_CREAT, 0o600))
        yield new
        _sync(new)
        new.replace(path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
    if os.name == "posix":  # elsewhere a folder cannot be opened
        _sync(path.parent)


def _sync(path: Path) -> None:
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def read_part(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Read a part, or some columns of it.

    Raises:
        RecordingError: it is damaged, no part at all, or of a newer version.
        FileNotFoundError: it is not there.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    with _readable(path):
        file = pq.ParquetFile(path, memory_map=True, page_checksum_verification=True)
        version = _version(path, file.schema_arrow.metadata)
        table = file.read(columns=None if version < VERSION or columns is None else list(columns))
    for step in range(version, VERSION):
        table = MIGRATIONS[step](table)
    schema = arrow_schema()
    names = list(COLUMNS) if columns is None else list(columns)
    if missing := [name for name in names if name not in table.column_names]:
        raise RecordingError(f"{path.name} is no part of a recording: it has no column {missing[0]!r}")
    return table.select(names).cast(pa.schema([schema.field(name) for name in names]))


def rows_of(path: Path) -> int:
    """Return how many rows a part has; errors as `read_part`."""
    import pyarrow.parquet as pq

    with _readable(path):
        return int(pq.read_metadata(path).num_rows)


@contextlib.contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Say in a sentence that a part is damaged, whatever the library says of it."""
    import pyarrow as pa

    try:
        yield
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError, ValueError) as error:
        raise RecordingError(f"{path.name} is no part of a recording, or is damaged ({_first(error)})") from None


def _version(path: Path, metadata: dict[bytes, bytes] | None) -> int:
    said = (metadata or {}).get(KEY, b"")
    if not said.isdigit():
        raise RecordingError(f"{path.name} is no part of a recording: it does not say its schema's version")
    if int(said) > VERSION:
        newer = f"has version {int(said)} of the schema and this socketnb reads up to {VERSION}"
        raise RecordingError(f"{path.name} {newer}: install a newer socketnb")
    return int(said)


def _first(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


# Lines


def to_json(payload: Any) -> bytes:
    """Return a payload as JSON, whatever it holds."""
    try:
        return orjson.dumps(payload)
    except TypeError:  # halves of characters, integers over 64 bits, deep nesting
        pass
    try:
        return json.dumps(json.loads(json.dumps(payload, default=repr), parse_constant=lambda _: None)).encode()
    except (RecursionError, TypeError, ValueError):
        return orjson.dumps(NO_JSON)


def line_of(fields: dict[str, Any], payload: bytes) -> bytes:
    """Return a trace as a line: its fields, but for the payload, which is JSON already."""
    return b"".join((orjson.dumps(fields)[:-1], LAST, payload, b"}\n"))


def read_lines(data: bytes, name: str, *, whole: bool = False) -> tuple[list[Trace], int]:
    """Return the traces of lines, and how many lines are torn: not whole, since their writer was killed.

    Args:
        data: the lines.
        name: of their file.
        whole: none of them may be torn.

    Raises:
        RecordingError: a line is of a newer version of the schema, or no trace at all.
    """
    *lines, rest = data.removeprefix(codecs.BOM_UTF8).split(b"\n")
    torn = 0
    if rest and whole:
        lines.append(rest)
    elif rest:
        torn = 1
    traces: list[Trace] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            fields, payload = _parse(line)
        except ValueError:
            if whole:
                raise RecordingError(f"line {number} of {name} is no trace") from None
            torn += 1
        else:
            traces.append(_trace(fields, payload, name))
    return traces, torn


def _parse(line: bytes) -> tuple[dict[str, Any], str]:
    """Return the fields of a line, and its payload as it stands there."""
    head, _, rest = line.rstrip().partition(LAST)
    try:
        fields, payload = orjson.loads(head + b"}"), rest[:-1]
        try:
            orjson.loads(payload)
        except ValueError:
            json.loads(payload)  # which takes halves of characters
    except (ValueError, RecursionError):
        fields = orjson.loads(line)  # as another tool may write it: the payload at any place
        if not isinstance(fields, dict):
            raise
        payload = to_json(fields.pop("payload", None))
    return fields, payload.decode()


def _trace(fields: dict[str, Any], payload: str, name: str) -> Trace:
    if fields.get("elapsed_ms", 0) is None:
        fields["elapsed_ms"] = NO_TIME
    try:
        return Trace(**fields, payload=payload)
    except TypeError:
        strange = [field for field in fields if field not in COLUMNS]
        why = f"it has {strange[0]!r}: install a newer socketnb" if strange else "it is no trace"
        raise RecordingError(f"{name} has a line that this socketnb cannot read: {why}") from None

"""Conversion between Arrow tables, frames and traces."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from socketnb.errors import SettingsError
from socketnb.model.trace import SCHEMA, Trace
from socketnb.recording.schema import TIME_DTYPE, TRACES

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    import pandas as pd
    import pyarrow as pa

    from socketnb.model.json import JsonOut
    from socketnb.model.trace import Column

SESSION_KEYS = ["recording", "platform", "session"]
"""The columns that identify a session in a frame."""
TURN_KEYS = [*SESSION_KEYS, "turn"]
"""The columns that identify a turn in a frame."""


def frame_of(table: pa.Table) -> pd.DataFrame:
    """Return a trace table as a frame with the dtypes of the schema."""
    import pandas as pd
    import pyarrow as pa

    string = pd.StringDtype("pyarrow")
    frame: pd.DataFrame = table.unify_dictionaries().to_pandas(types_mapper={pa.large_string(): string}.get)
    return frame


def json_text(value: JsonOut) -> str:
    """Return a value as JSON text."""
    return json.dumps(value, ensure_ascii=False)


def typed(frame: pd.DataFrame, columns: Mapping[str, Column]) -> pd.DataFrame:
    """Return these columns of a frame in their dtypes, with a new index. An empty frame has them as well."""
    import pandas as pd

    string = pd.StringDtype("pyarrow")
    values = {
        name: frame[name].astype(string if column.dtype == "string" else column.dtype)
        for name, column in columns.items()
    }
    return pd.DataFrame(values).reset_index(drop=True)


def selected(frame: pd.DataFrame, columns: Mapping[str, Column], names: Collection[str]) -> pd.DataFrame:
    """Return the columns with these names in their dtypes, with a new index."""
    return typed(frame, {name: columns[name] for name in names})


def table_from(frame: pd.DataFrame) -> pa.Table:
    """Return a frame of traces as a table.

    Raises:
        SettingsError: The frame lacks a column, has an unknown column, or has a value of the wrong type.
    """
    import pyarrow as pa

    require(frame, *SCHEMA)
    if extra := [str(name) for name in frame if name not in SCHEMA]:
        raise SettingsError(f"unknown column {extra[0]!r}: drop it, or use the writer of pandas instead")
    try:
        arrays = [_array(frame[field.name], field.type) for field in TRACES.arrow]
        return pa.Table.from_arrays(arrays, schema=TRACES.arrow)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise SettingsError(f"the frame has values that are not from traces_df(): {error}") from None


def _array(column: pd.Series, kind: pa.DataType) -> pa.Array:
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        return pa.array(column.astype(object), type=pa.string(), from_pandas=True).dictionary_encode().cast(kind)
    array = pa.array(column, from_pandas=True)
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    return array.cast(kind)


def require(frame: pd.DataFrame, *columns: str) -> None:
    """Check that a frame has columns.

    Raises:
        SettingsError: A column is missing.
    """
    if missing := [name for name in columns if name not in frame]:
        for name in missing:
            if (former := SCHEMA[name].formerly if name in SCHEMA else None) in frame:
                raise SettingsError(
                    f"the column {former!r} is called {name!r} now: rename it with df.rename(columns=…)"
                )
        raise SettingsError(f"the frame lacks the columns {', '.join(missing)}: take them from traces_df()")


def traces_from(rows: pd.DataFrame) -> list[Trace]:
    """Return the rows of a frame as traces. Times and missing columns are blank."""
    present = {name: rows[name] for name, column in SCHEMA.items() if name in rows and column.dtype != TIME_DTYPE}
    columns = {
        name: series.astype(object).where(series.notna(), SCHEMA[name].blank) for name, series in present.items()
    }
    filled = [columns.get(name, [column.blank] * len(rows)) for name, column in SCHEMA.items()]
    return [Trace(*values) for values in zip(*filled, strict=True)]

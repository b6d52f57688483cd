"""Tables of traces as frames, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from socketnb.errors import SettingsError
from socketnb.model.trace import COLUMNS
from socketnb.recording.parts import arrow_schema

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


def frame_of(table: pa.Table) -> pd.DataFrame:
    """Return a table of traces as a frame, in the dtypes of the schema."""
    import pandas as pd
    import pyarrow as pa

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

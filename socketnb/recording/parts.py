"""Parts: the sealed Parquet files of a recording. The metadata of a part contains the version of the schema."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from socketnb.errors import RecordingError
from socketnb.recording.files import atomic_write
from socketnb.recording.schema import TRACES, Schema, first_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import pyarrow as pa

VERSION_KEY = b"socketnb.schema"
"""The key of the schema's version in the metadata of a part."""


def write_part(table: pa.Table, path: Path) -> None:
    """Write a trace table as a part.

    Raises:
        OSError: The part could not be written. An existing file is unchanged.
    """
    import pyarrow.parquet as pq

    table = table.replace_schema_metadata({VERSION_KEY: str(TRACES.version)})
    with atomic_write(path) as new:
        pq.write_table(table, new, compression="zstd", use_dictionary=TRACES.categories, write_page_checksum=True)


def read_part(path: Path, columns: Sequence[str] | None = None, schema: Schema = TRACES) -> pa.Table:
    """Read a part of any version.

    Args:
        path: The file.
        columns: The columns to return. By default all.
        schema: The schema to read the part with.

    Raises:
        RecordingError: The file is damaged, is not a part, or is of a newer version.
        FileNotFoundError: The file does not exist.
    """
    import pyarrow.parquet as pq

    names = list(schema.columns) if columns is None else list(columns)
    with _readable(path):
        file = pq.ParquetFile(path, memory_map=True, page_checksum_verification=True)
        version = _version(path, file.schema_arrow.metadata)
        schema.check_version(version, path.name)
        stored = file.schema_arrow.names
        table = file.read(columns=[name for wanted in names if (name := schema.stored_name(wanted, version, stored))])
        return schema.migrated(table, version, names, path.name)


def rows_of(path: Path) -> int:
    """Return the number of rows of a part. Raises the errors of `read_part`."""
    import pyarrow.parquet as pq

    with _readable(path):
        return int(pq.read_metadata(path).num_rows)


@contextlib.contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Convert errors of the Parquet library to a `RecordingError` that names the file."""
    import pyarrow as pa

    try:
        yield
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError, ValueError) as error:
        why = first_line(error)
        raise RecordingError(f"{path.name} is not a part of a recording, or is damaged ({why})") from None


def _version(path: Path, metadata: dict[bytes, bytes] | None) -> int:
    version = (metadata or {}).get(VERSION_KEY, b"")
    if not version.isdigit():
        raise RecordingError(
            f"{path.name} is not a part of a recording: its metadata contains no version of the schema"
        )
    return int(version)

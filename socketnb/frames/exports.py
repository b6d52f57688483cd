"""Export formats. `EXPORTS` has one entry per format. The panel, `%chat`, `df.chat` and the command line use it.

To add a format, add a function and its entry to `EXPORTS`.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from socketnb import render
from socketnb.errors import RecordingError, SettingsError, unknown
from socketnb.frames.table import SESSION_KEYS, require, table_from, traces_from
from socketnb.model.trace import SCHEMA
from socketnb.recording.files import atomic_write
from socketnb.recording.lines import line_of
from socketnb.recording.parts import write_part
from socketnb.recording.schema import with_numeric_times
from socketnb.settings import to_path

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from socketnb.model.trace import Trace

BATCH_ROWS = 8192
"""The number of rows to convert to JSON lines in one step."""


# Transcripts


def as_text(traces: pd.DataFrame, _title: str = "") -> str:
    """Return the conversation as plain text, one line per message."""
    return "\n\n".join(_transcripts(traces, "{}\n", render.transcript_text))


def as_markdown(traces: pd.DataFrame, _title: str = "") -> str:
    """Return the conversation as Markdown."""
    return "\n\n".join(_transcripts(traces, "**{}**\n\n", render.transcript_markdown))


def as_html(traces: pd.DataFrame, title: str = "") -> str:
    """Return the conversation as HTML: a complete page if a title is given, otherwise a fragment."""
    body = "".join(_transcripts(traces, "<h4>{}</h4>", render.transcript_html, html.escape))
    return render.page(title, body) if title else body


def _transcripts(
    traces: pd.DataFrame, heading: str, transcript: Callable[[list[Trace]], str], escape: Callable[[str], str] = str
) -> Iterator[str]:
    """Yield the transcript of each session, under a heading with its name if there are several."""
    require(traces, "platform", "session", "seq", "event", "kind", "sender", "text", "payload")
    keys = [name for name in SESSION_KEYS if name in traces]
    groups = [group for _, group in traces.groupby(keys, observed=True, sort=False)]
    for group in groups:
        name = escape(str(group["session"].iloc[0]))
        above = heading.format(name) if len(groups) > 1 else ""
        yield above + transcript(traces_from(group.sort_values("seq")))


# Traces


def as_jsonl(traces: pd.DataFrame, _title: str = "") -> str:
    """Return traces as JSON lines."""
    return b"".join(_lines(table_from(traces))).decode()


def as_csv(traces: pd.DataFrame, _title: str = "") -> str:
    """Return the frame as comma-separated values with a header row."""
    return traces.to_csv(index=False, lineterminator="\n")


def write_jsonl(traces: pd.DataFrame, path: Path) -> None:
    """Write traces as JSON lines, without holding them all in memory."""
    table = table_from(traces)
    with atomic_write(path) as new, new.open("wb") as file:
        file.writelines(_lines(table))


def write_parquet(traces: pd.DataFrame, path: Path) -> None:
    """Write traces as a Parquet file in the format of a recording's parts."""
    write_part(table_from(traces), path)


def write_duckdb(traces: pd.DataFrame, path: Path, table: str = "traces") -> None:
    """Write traces as a new table of a DuckDB file."""
    try:
        import duckdb
    except ImportError:
        raise SettingsError('DuckDB is not installed: pip install "socketnb[duckdb]"') from None
    rows = table_from(traces)
    if not isinstance(table, str) or not table.strip() or "\0" in table:
        raise SettingsError(f"table must be the name of a table, got {table!r}")
    name = '"' + table.replace('"', '""') + '"'
    try:
        with duckdb.connect(str(path)) as connection:
            connection.register("socketnb_rows", rows)
            connection.execute(f"CREATE TABLE {name} AS SELECT * FROM socketnb_rows")  # noqa: S608 (quoted above)
    except duckdb.CatalogException:
        raise RecordingError(f"{path} already has a table {table!r}: pass another file or table=") from None
    except duckdb.Error as error:
        raise RecordingError(f"{path} cannot be written: {str(error).splitlines()[0]}") from None


def _lines(table: pa.Table) -> Iterator[bytes]:
    """Yield the line of each trace."""
    table = with_numeric_times(table)
    *names, _payload = SCHEMA
    for batch in table.to_batches(BATCH_ROWS):
        *columns, payloads = (column.to_pylist() for column in batch.columns)
        for values, payload in zip(zip(*columns, strict=True), payloads, strict=True):
            yield line_of(dict(zip(names, values, strict=True)), payload.encode())


# The table of formats


@dataclass(frozen=True, slots=True)
class Export:
    """An export format. At least one of the two functions is defined.

    Attributes:
        description: The name of the format for a menu.
        suffixes: The suffixes of the files. The first is used for new files.
        text: Returns a frame of traces as text in this format. The second argument is a title.
        file: Writes a frame of traces to a path (default: write the result of `text`).
    """

    description: str
    suffixes: tuple[str, ...]
    text: Callable[[pd.DataFrame, str], str] | None = None
    file: Callable[[pd.DataFrame, Path], None] | None = None

    @property
    def is_text(self) -> bool:
        """Whether the format is a text format, which can be printed and copied."""
        return self.text is not None


EXPORTS: dict[str, Export] = {
    "text": Export("Text", (".txt",), as_text),
    "markdown": Export("Markdown", (".md",), as_markdown),
    "html": Export("HTML", (".html", ".htm"), as_html),
    "jsonl": Export("JSON lines", (".jsonl",), as_jsonl, write_jsonl),
    "csv": Export("CSV", (".csv",), as_csv),
    "parquet": Export("Parquet", (".parquet",), None, write_parquet),
    "duckdb": Export("DuckDB", (".duckdb",), None, write_duckdb),
}
"""The export formats by name."""


def text(traces: pd.DataFrame, format: str, title: str = "") -> str:  # noqa: A002 (as in pandas)
    """Return a frame of traces in a text format.

    Args:
        traces: A frame of traces, or any part of one.
        format: The name of a text format in `EXPORTS`.
        title: The title, for formats that have one. HTML with a title is a complete page, otherwise a fragment.

    Raises:
        SettingsError: The text format is unknown, or a column is missing.
    """
    export = EXPORTS.get(format) if isinstance(format, str) else None
    if export is None or export.text is None:
        raise SettingsError(unknown("format", format, [name for name, export in EXPORTS.items() if export.is_text]))
    return export.text(traces, title)


def write(traces: pd.DataFrame, path: str | Path, format: str | None = None, title: str = "") -> None:  # noqa: A002 (as in pandas)
    """Write a frame of traces to a file.

    Args:
        traces: A frame of traces, or any part of one.
        path: The file. An existing file is replaced. To a DuckDB file, a new table is added.
        format: The name of a format in `EXPORTS` (default: by the suffix of the file).
        title: The title, for formats that have one (default: the name of the file).

    Raises:
        SettingsError: The format is unknown, or a column is missing.
        RecordingError: The file cannot be written.
    """
    path = to_path(path, "path must be a path")
    export = EXPORTS[format_of(path) if format is None else _known(format)]
    try:
        if export.file:
            export.file(traces, path)
        elif export.text:
            content = export.text(traces, title or path.stem)
            with atomic_write(path) as new:
                new.write_text(content if content.endswith("\n") else content + "\n", encoding="utf-8", newline="")
    except OSError as error:
        raise RecordingError(f"{path} cannot be written: {error.strerror or error}") from None


def format_of(path: Path) -> str:
    """Return the name of the format with the suffix of a file.

    Raises:
        SettingsError: No format has this suffix.
    """
    suffixes = {suffix: name for name, export in EXPORTS.items() for suffix in export.suffixes}
    try:
        return suffixes[path.suffix.lower()]
    except KeyError:
        raise SettingsError(
            f"{path.name} has no known suffix: name the format, or use one of {', '.join(suffixes)}"
        ) from None


def _known(format: str) -> str:  # noqa: A002 (as in pandas)
    if not isinstance(format, str) or format not in EXPORTS:
        raise SettingsError(unknown("format", format, EXPORTS))
    return format

"""A recording on disk, read as it is: parts, and the segments that are not sealed yet, also while it is written."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, NamedTuple

from socketnb.errors import RecordingError
from socketnb.recording.journal import LOCK, NAME, lock
from socketnb.recording.parts import arrow_schema, read_lines, read_part, rows_of, table_of_lines

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pyarrow as pa

LOOKS = 5
"""Times that a folder is looked at whose numbers are not whole: parts may have come just while it was listed."""
GLANCE = 0.1
"""Seconds to find out whether a folder is being written: another reader may be finding out too."""


class Piece(NamedTuple):
    """Rows under one number: in the part if it is there, and else in the segment."""

    part: Path | None
    segment: Path | None


class Folder:
    """The rows of a recording in the order written, read anew each time. A single part or file of lines will do.

    Attributes:
        torn: lines that the last reading passed over, since their writer was killed in the middle of them.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = str(path)
        self.torn = 0

    def pieces(self) -> list[Piece]:
        """Return its parts and segments, in order.

        Raises:
            RecordingError: the folder is not there, or cannot be read.
        """
        if self.path.is_file():
            sealed = self.path.suffix == ".parquet"
            return [Piece(self.path if sealed else None, None if sealed else self.path)]
        for _ in range(LOOKS):
            names = {found["name"] for _, found in self._named() if found["form"] != "parquet.new"}
            if _whole(names):
                break
        return [Piece(self.path / f"{name}.parquet", self.path / f"_{name}.jsonl") for name in sorted(names)]

    def files(self) -> list[Path]:
        """Return the files that are the recording's own; errors as `pieces`."""
        if self.path.is_file():
            return [self.path]
        there = self.path / LOCK
        return [*(file for file, _ in self._named()), *([there] if there.exists() else [])]

    def _named(self) -> list[tuple[Path, re.Match[str]]]:
        """Return its files, segments first: one that is sealed just now is found as the part then."""
        try:
            segments, parts = (
                list(self.path.glob("_*.jsonl")),
                [*self.path.glob("*.parquet"), *self.path.glob(".*.new")],
            )
        except OSError as error:
            raise RecordingError(f"{self.path} cannot be read: {error.strerror or error}") from None
        if not self.path.is_dir():
            raise RecordingError(f"there is no recording at {self.path} any more")
        return [(file, found) for file in segments + parts if (found := NAME.fullmatch(file.name)) and file.is_file()]

    def table(self, since: int = 0, columns: Sequence[str] | None = None) -> pa.Table:
        """Return the rows from number `since` on: all columns, or these.

        Raises:
            RecordingError: a file is damaged, or of a newer version.
        """
        import pyarrow as pa

        self.torn = 0
        schema = arrow_schema()
        chosen = schema if columns is None else pa.schema([schema.field(name) for name in columns])
        tables = [chosen.empty_table()]
        for piece in self.pieces():
            rows, table = self._read(piece, since, columns)
            if table is not None:
                tables.append(table.slice(since))
            since = max(0, since - rows)
        return pa.concat_tables(tables)

    def rows(self) -> int:
        """Return how many rows there are; errors as `table`."""
        return sum(self._read(piece, sys.maxsize, None)[0] for piece in self.pieces())

    def live(self) -> bool:
        """Return whether somebody records into it now."""
        folder = self.path.parent if self.path.is_file() else self.path
        if not (folder / LOCK).exists():
            return False
        from filelock import Timeout

        probe = lock(folder, GLANCE)
        try:
            probe.acquire()
        except Timeout:
            return True
        except OSError:
            return False
        probe.release()
        return False

    def _read(self, piece: Piece, since: int, columns: Sequence[str] | None) -> tuple[int, pa.Table | None]:
        """Return how many rows a piece has, and the rows if any is wanted: of the part, or else of the segment."""
        for _ in range(2):  # a segment may become a part meanwhile
            try:
                if piece.part and piece.part.exists():
                    rows = rows_of(piece.part)
                    return rows, read_part(piece.part, columns) if since < rows else None
                if piece.segment:
                    traces, torn = read_lines(piece.segment.read_bytes(), piece.segment.name)
                    if torn and not traces and self.path.is_file():
                        raise RecordingError(f"{self.path.name} has no line that is a trace")
                    self.torn += torn
                    table = table_of_lines(traces, piece.segment.name)
                    return table.num_rows, table if columns is None else table.select(columns)
            except FileNotFoundError:
                continue
            except OSError as error:
                raise RecordingError(f"{self.path} cannot be read: {error.strerror or error}") from None
        raise RecordingError(f"{piece.part or piece.segment} was removed while it was read")


def _whole(names: set[str]) -> bool:
    """Return whether no number is missing in any run."""
    runs: dict[str, list[int]] = {}
    for name in names:
        run, _, number = name.rpartition("-")
        runs.setdefault(run, []).append(int(number))
    return all(max(numbers) == len(numbers) - 1 for numbers in runs.values())

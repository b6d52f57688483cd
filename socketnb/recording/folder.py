"""A recording on disk: its parts and its unsealed segments. It can be read while a kernel writes to it."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, NamedTuple

from socketnb.errors import RecordingError
from socketnb.recording.journal import FILE_NAME, LOCK_FILE, folder_lock
from socketnb.recording.lines import read_lines
from socketnb.recording.parts import read_part, rows_of
from socketnb.recording.schema import TRACES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    import pyarrow as pa

MAX_LISTINGS = 5
"""The number of attempts to list a folder without missing numbers. A segment may become a part during a listing."""
LOCK_PROBE_S = 0.1
"""How long to wait for the lock when checking whether a kernel writes to a folder, in seconds. A reader may hold it."""


class NumberedFiles(NamedTuple):
    """The part and the segment with the same number. If the part exists, the rows are read from it."""

    part: Path | None
    segment: Path | None


class Folder:
    """The rows of a recording in the order written. Each call reads them from disk.

    Args:
        path: The folder of a recording, a single part, or a JSON lines file.

    Attributes:
        torn: The number of incomplete lines that the last call skipped.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = str(path)
        self.torn = 0

    def numbered_files(self) -> list[NumberedFiles]:
        """Return the parts and segments in order.

        Raises:
            RecordingError: The folder does not exist or cannot be read.
        """
        if self.path.is_file():
            is_part = self.path.suffix == ".parquet"
            return [NumberedFiles(self.path if is_part else None, None if is_part else self.path)]
        for _ in range(MAX_LISTINGS):
            matches = [match for _, match in self._list() if match["suffix"] != "parquet.new"]
            if _complete(matches):
                break
        names = {match["name"] for match in matches}
        return [NumberedFiles(self.path / f"{name}.parquet", self.path / f"_{name}.jsonl") for name in sorted(names)]

    def files(self) -> list[Path]:
        """Return the files of the recording. Raises the errors of `numbered_files`."""
        if self.path.is_file():
            return [self.path]
        lock = self.path / LOCK_FILE
        return [*(file for file, _ in self._list()), *([lock] if lock.exists() else [])]

    def _list(self) -> list[tuple[Path, re.Match[str]]]:
        """Return the files and their matched names. Segments are listed first, in case one is sealed meanwhile."""
        try:
            segments, parts = (
                list(self.path.glob("_*.jsonl")),
                [*self.path.glob("*.parquet"), *self.path.glob(".*.new")],
            )
        except OSError as error:
            raise RecordingError(f"{self.path} cannot be read: {error.strerror or error}") from None
        if not self.path.is_dir():
            raise RecordingError(f"the recording {self.path} no longer exists")
        return [
            (file, match) for file in segments + parts if (match := FILE_NAME.fullmatch(file.name)) and file.is_file()
        ]

    def table(self, since: int = 0, columns: Sequence[str] | None = None) -> pa.Table:
        """Return the rows from number `since` on.

        Args:
            since: The number of the first row.
            columns: The columns to return. By default all.

        Raises:
            RecordingError: A file is damaged or is of a newer version.
        """
        import pyarrow as pa

        self.torn = 0
        schema = TRACES.arrow
        schema = schema if columns is None else pa.schema([schema.field(name) for name in columns])
        tables = [schema.empty_table()]
        for files in self.numbered_files():
            rows, table = self._read(files, since, columns)
            if table is not None:
                tables.append(table.slice(since))
            since = max(0, since - rows)
        return pa.concat_tables(tables)

    def rows(self) -> int:
        """Return the number of rows. Raises the errors of `table`."""
        return sum(self._read(files, sys.maxsize, None)[0] for files in self.numbered_files())

    def live(self) -> bool:
        """Return whether a kernel is recording into it."""
        folder = self.path.parent if self.path.is_file() else self.path
        if not (folder / LOCK_FILE).exists():
            return False
        from filelock import Timeout

        lock = folder_lock(folder, LOCK_PROBE_S)
        try:
            lock.acquire()
        except Timeout:
            return True
        except OSError:
            return False
        lock.release()
        return False

    def _read(self, files: NumberedFiles, since: int, columns: Sequence[str] | None) -> tuple[int, pa.Table | None]:
        """Return the number of rows of the part or segment, and its table if it has rows from `since` on."""
        for _ in range(2):  # the segment may become a part meanwhile
            try:
                if files.part and files.part.exists():
                    rows = rows_of(files.part)
                    return rows, read_part(files.part, columns) if since < rows else None
                if files.segment:
                    lines, torn = read_lines(files.segment.read_bytes(), files.segment.name)
                    if torn and not lines and self.path.is_file():
                        raise RecordingError(
                            f"{self.path.name} contains no trace: pass a file of df.chat.to_jsonl or of a recording"
                        )
                    self.torn += torn
                    table = TRACES.checked_table(lines, files.segment.name)
                    return table.num_rows, table if columns is None else table.select(columns)
            except FileNotFoundError:
                continue
            except OSError as error:
                raise RecordingError(f"{self.path} cannot be read: {error.strerror or error}") from None
        raise RecordingError(f"{files.part or files.segment} was removed while it was being read")


def _complete(names: Iterable[re.Match[str]]) -> bool:
    """Return whether the numbers of every kernel run are complete."""
    runs: dict[str, set[int]] = {}
    for name in names:
        runs.setdefault(name["run"], set()).add(int(name["number"]))
    return all(max(numbers) == len(numbers) - 1 for numbers in runs.values())

"""The durable journal: lines written through to the operating system before anybody is shown what they say.

A killed process loses nothing that was written so, and nothing needs repair afterwards. A recording is a folder; a
run of a kernel writes one segment of lines after the other into it, each with its number, and each is sealed into
the part of that number when it is full. Where both are there, the part counts.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from socketnb.errors import RecordingError

if TYPE_CHECKING:
    from pathlib import Path

    from filelock import BaseFileLock

LOCK = ".lock"


def segment(folder: Path, recording: str, number: int) -> Path:
    """Return the path of a segment: its `_` lets pandas, Dask and Spark pass it over when they read the folder."""
    return folder / f"_{recording}-{number:05}.jsonl"


def part(folder: Path, recording: str, number: int) -> Path:
    """Return the path of a sealed part."""
    return folder / f"{recording}-{number:05}.parquet"


def lock(folder: Path) -> BaseFileLock:
    """Return the lock of a folder's one writer, which a process that dies lets go of."""
    from filelock import FileLock

    return FileLock(folder / LOCK, timeout=0, mode=0o600, thread_local=False)


class Journal:
    """Writes the lines of one recording into `folder`; only its user can read them.

    Raises:
        RecordingError: another process writes into this folder.
        OSError: the folder cannot be written.
    """

    def __init__(self, folder: Path, recording: str) -> None:
        from filelock import Timeout

        self.folder = folder
        self.recording = recording
        self.number = 0
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = lock(folder)
        try:
            self._lock.acquire()
        except Timeout:
            said = f"another kernel records into {folder}: give record= another folder, or shut that kernel down"
            raise RecordingError(said) from None
        try:
            self._file = self._open()
        except OSError:
            self._lock.release()
            raise

    @property
    def path(self) -> Path:
        """The segment that is being written."""
        return segment(self.folder, self.recording, self.number)

    def write(self, lines: bytes) -> None:
        """Write lines through.

        Raises:
            OSError: they could not be written whole; the lines before them are as they were.
        """
        left = memoryview(lines)
        try:
            while left:
                left = left[os.write(self._file, left) :]
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, os.fstat(self._file).st_size - (len(lines) - len(left)))
            raise

    def next(self) -> None:
        """Go on in the next segment.

        Raises:
            OSError: it could not be opened.
        """
        self.number += 1
        old, self._file = self._file, self._open()
        os.close(old)

    def _open(self) -> int:
        return os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def close(self) -> None:
        """Close the segment and let go of the folder. Closing again does nothing."""
        if self._lock.is_locked:
            os.close(self._file)
            self._lock.release()

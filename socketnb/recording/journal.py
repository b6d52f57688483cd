"""The durable journal: lines written through to the operating system before anybody is shown what they say.

A killed process loses nothing that was written so, and nothing needs repair afterwards. A recording is a folder; a
run of a kernel writes one segment of lines after the other into it, each with its number, and each is sealed into
the part of that number when it is full. Where both are there, the part counts.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
from typing import TYPE_CHECKING

from socketnb.errors import RecordingError

if TYPE_CHECKING:
    from pathlib import Path

    from filelock import BaseFileLock

LOCK = ".lock"
PATIENCE = 1.0
"""Seconds that a writer waits for its folder."""
NAME = re.compile(r"[_.]?(?P<name>\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d-[\w-]+-\d{5})\.(?P<form>jsonl|parquet|parquet\.new)")
"""What files of a recording are called: segments begin with `_`, so that pandas, Dask and Spark pass them over."""


def part_of(segment: Path) -> Path:
    """Return the path of the part that takes a segment's place."""
    return segment.with_name(f"{segment.stem.removeprefix('_')}.parquet")


def lock(folder: Path, patience: float) -> BaseFileLock:
    """Return the lock of a folder's one writer, which a process that dies lets go of.

    Args:
        folder: the recording's.
        patience: seconds to wait for it, since somebody may just be looking whether it is taken.
    """
    from filelock import FileLock

    return FileLock(folder / LOCK, timeout=patience, mode=0o600, thread_local=False, poll_interval=0.01)


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
        self._lock = lock(folder, PATIENCE)
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
        return self.folder / f"_{self.recording}-{self.number:05}.jsonl"

    def write(self, lines: bytes) -> None:
        """Write lines through.

        Raises:
            OSError: they could not be written whole, or their file was removed; the lines before are as they were.
        """
        if os.fstat(self._file).st_nlink == 0:
            raise FileNotFoundError(errno.ENOENT, "its file was removed")
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

"""The journal: lines that are passed to the operating system before their traces are shown.

A killed process loses none of these lines, and a recording needs no repair. A recording is a folder. Each kernel run
writes numbered segments of lines into it, one after another. A full segment is sealed: a part with the same number
replaces it. If both exist, the part is used.
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

LOCK_FILE = ".lock"
"""The name of the lock file of a folder."""
LOCK_TIMEOUT_S = 1.0
"""How long a writer waits for the lock of its folder, in seconds. A reader may hold the lock briefly."""
FILE_NAME = re.compile(
    r"[_.]?(?P<name>(?P<run>\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d-[\w-]+)-(?P<number>\d{5}))"
    r"\.(?P<suffix>jsonl|parquet|parquet\.new)"
)
"""The pattern of the file names in a recording. Segments begin with `_`, so that pandas, Dask and Spark skip them."""


def part_of(segment: Path) -> Path:
    """Return the path of the part that replaces a segment."""
    return segment.with_name(f"{segment.stem.removeprefix('_')}.parquet")


def folder_lock(folder: Path, timeout: float) -> BaseFileLock:
    """Return the lock of the only writer of a folder. The lock is released when its process ends.

    Args:
        folder: The folder of the recording.
        timeout: Seconds to wait for the lock.
    """
    from filelock import FileLock

    return FileLock(folder / LOCK_FILE, timeout=timeout, mode=0o600, thread_local=False, poll_interval=0.01)


class Journal:
    """The writer of a recording's lines. Only the user can read its files.

    Args:
        folder: The folder of the recording. It is created if it does not exist.
        recording: The id of the recording.

    Raises:
        RecordingError: Another process writes into this folder.
        OSError: The folder cannot be written.
    """

    def __init__(self, folder: Path, recording: str) -> None:
        from filelock import Timeout

        self.folder = folder
        self.recording = recording
        self.number = 0
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = folder_lock(folder, LOCK_TIMEOUT_S)
        try:
            self._lock.acquire()
        except Timeout:
            why = f"another kernel is recording into {folder}: pass another folder as record=, or shut that kernel down"
            raise RecordingError(why) from None
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
        """Write lines, and pass them to the operating system.

        Raises:
            OSError: The lines could not be written completely, or the file was removed. Earlier lines are unchanged.
        """
        if os.fstat(self._file).st_nlink == 0:
            raise FileNotFoundError(errno.ENOENT, "its file was removed")
        rest = memoryview(lines)
        try:
            while rest:
                rest = rest[os.write(self._file, rest) :]
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, os.fstat(self._file).st_size - (len(lines) - len(rest)))
            raise

    def next(self) -> None:
        """Begin the next segment.

        Raises:
            OSError: The segment could not be opened.
        """
        self.number += 1
        old, self._file = self._file, self._open()
        os.close(old)

    def _open(self) -> int:
        return os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def close(self) -> None:
        """Close the segment and unlock the folder. Closing again does nothing."""
        if self._lock.is_locked:
            os.close(self._file)
            self._lock.release()

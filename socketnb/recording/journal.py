"""The durable journal: one JSON line a trace, written through to the operating system before anybody is shown it.

A killed process loses nothing that was written so. A recording is a folder; each run of a kernel appends to a file
of its own in it.
"""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

if TYPE_CHECKING:
    from socketnb.records import Trace


class Journal:
    """Appends traces to `<folder>/<recording>.jsonl`; the folder is made with the first one.

    A full disk or a folder that cannot be written draws one warning; the conversation goes on in memory.
    """

    def __init__(self, folder: Path, recording: str) -> None:
        self.folder = folder
        self.path = folder / f"{recording}.jsonl"
        self._file: int | None = None
        self._broken = False

    def open(self) -> None:
        """Make the folder and the file: before the first trace, so that it is the user's own call that is warned."""
        if self._file is None and not self._broken:
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            except OSError as error:
                self._fail(error)

    def append(self, trace: Trace) -> None:
        """Write a trace through."""
        if self._broken:
            return
        try:
            self.open()
            if self._file is None:
                return
            line = memoryview(orjson.dumps(trace._asdict(), option=orjson.OPT_APPEND_NEWLINE))
            while line:
                line = line[os.write(self._file, line) :]
        except (OSError, TypeError, ValueError) as error:
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        self._broken = True
        why = getattr(error, "strerror", None) or error
        said = f"the recording in {self.folder} stops here ({why}); the session goes on in memory"
        warnings.warn(said, RuntimeWarning, stacklevel=4)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

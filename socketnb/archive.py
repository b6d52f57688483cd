"""Recordings on disk: list, open and delete them."""

from __future__ import annotations

import contextlib
import datetime as dt
import re
from pathlib import Path
from typing import TYPE_CHECKING

from socketnb.errors import RecordingError, SettingsError, unknown
from socketnb.frames.columns import RECORDING_COLUMNS, document_columns
from socketnb.frames.table import typed
from socketnb.frames.trace_frames import TraceFrames
from socketnb.recording.folder import Folder
from socketnb.settings import home, to_path

if TYPE_CHECKING:
    import pandas as pd

DURATION = re.compile(r"\s*\d+(\.\d+)?\s*[a-zA-Z]")
"""The pattern for the start of a duration: a number and a unit."""
MAX_NAME_CHARS = 200
"""The maximum length of an unknown name in an error message."""


class Recording(TraceFrames):
    """A recording on disk. Each frame is read from disk, so it includes traces that a running kernel has just written.

    Attributes:
        path: The folder or the file of the recording.
        name: The name of the recording in `recordings()`.

    Example:
        >>> import tempfile
        >>> import socketnb as snb
        >>> folder = tempfile.mkdtemp()
        >>> with snb.connect("voiceflow", simulate=True, record=folder) as bot:
        ...     _ = bot.say("hello")
        ...     recording = snb.open_recording(folder)
        ...     len(recording) == len(recording.traces_df())
        True
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.name
        self._folder = Folder(path)

    @property
    def torn(self) -> int:
        """The number of incomplete lines, left by a kernel that was killed. Their traces were never shown.

        Raises:
            RecordingError: A file is damaged or is of a newer version.
        """
        self._folder.table()
        return self._folder.torn

    @property
    def live(self) -> bool:
        """Whether a kernel is recording into it."""
        return self._folder.live()

    def __len__(self) -> int:
        return self._folder.rows()

    def _stores(self) -> list[Folder]:
        """Return the store of its traces."""
        return [self._folder]

    def delete(self) -> None:
        """Delete the files of the recording, and its folder if the folder contains nothing else.

        Raises:
            RecordingError: A kernel is recording into the folder, or a file cannot be deleted.
        """
        if self.live:
            raise RecordingError(f"a kernel is recording into {self.name}: shut that kernel down first")
        try:
            for file in self._folder.files():
                file.unlink()
            if self.path.is_dir() and not any(self.path.iterdir()):
                self.path.rmdir()
        except OSError as error:
            raise RecordingError(f"{self.path} cannot be removed: {error.strerror or error}") from None

    def summary(self) -> dict[str, object]:
        """Return the row of this recording in `recordings()`."""
        row: dict[str, object] = {"recording": self.name, "platforms": "", "sessions": 0, "rows": 0, "bytes": 0}
        try:
            row["bytes"] = sum(file.stat().st_size for file in self._folder.files())
            traces = self.traces_df(columns=["recording", "platform", "session", "observed_at"])
        except (RecordingError, OSError) as error:
            return {**row, "state": str(error)}
        torn = f", {self._folder.torn} torn" if self._folder.torn else ""
        unsealed = any(files.part and not files.part.exists() for files in self._folder.numbered_files())
        return {
            **row,
            "when": traces["observed_at"].min(),
            "platforms": ", ".join(sorted(traces["platform"].unique())),
            "sessions": len(traces[["recording", "session"]].drop_duplicates()),
            "rows": len(traces),
            "state": "recording" if self.live else f"cut short{torn}" if unsealed else "closed",
        }

    def last_written(self) -> float | None:
        """Return the time of the last change to a file, in seconds since 1970, or None if there are no files."""
        return max((file.stat().st_mtime for file in self._folder.files()), default=None)

    def __repr__(self) -> str:
        try:
            return f"<recording {self.name!r}: {len(self):,} traces>"
        except RecordingError as error:
            return f"<recording {self.name!r}: {error}>"


def _all() -> list[Recording]:
    """Return the recordings in the user's folder, the oldest first."""
    folder = home() / "recordings"
    paths = sorted(folder.iterdir()) if folder.is_dir() else []
    return [Recording(path) for path in paths if path.is_dir() and Folder(path).files()]


def open_recording(which: str | Path) -> Recording:
    """Return a recording on disk.

    Args:
        which: The name in `recordings()`, or the path of a folder, a Parquet file or a JSON lines file.

    Raises:
        RecordingError: There is no such recording.
        SettingsError: The argument is neither a name nor a path.

    Example:
        >>> import tempfile
        >>> import socketnb as snb
        >>> folder = tempfile.mkdtemp()
        >>> with snb.connect("voiceflow", simulate=True, record=folder) as bot:
        ...     _ = bot.say("hello")
        ...     recording = snb.open_recording(folder)
        ...     recording.turns_df()["user_text"].tolist()[-1]
        'hello'
    """
    path = to_path(which, "a recording must be given by its name or path")
    with contextlib.suppress(OSError):  # the name is too long for a path
        named = home() / "recordings" / which
        for candidate in (named, path):
            if candidate.is_dir() and Folder(candidate).files():
                return Recording(candidate)
            if candidate.suffix.lower() in (".parquet", ".jsonl") and candidate.is_file():
                return Recording(candidate)
        if path.is_dir():
            raise RecordingError(f"{path} is not a recording: it contains no Parquet or JSON lines files")
    raise RecordingError(unknown("recording", str(which)[:MAX_NAME_CHARS], [recording.name for recording in _all()]))


@document_columns(RECORDING_COLUMNS)
def recordings() -> pd.DataFrame:
    """Return the recordings in SOCKETNB_HOME or the user's data folder, the oldest first.

    Returns:
        A frame with a row per recording.

    Example:
        >>> import socketnb as snb
        >>> snb.recordings().columns[:3].tolist()
        ['recording', 'when', 'platforms']
    """
    return _frame([recording.summary() for recording in _all()])


@document_columns(RECORDING_COLUMNS)
def prune(older_than: str | dt.timedelta) -> pd.DataFrame:
    """Delete the recordings that were last written longer ago than the given age.

    Args:
        older_than: The age, such as "30 days" or "12h"; at least one second. Recordings that were written more
            recently and recordings of running kernels are kept.

    Returns:
        A frame with a row per deleted recording.

    Raises:
        SettingsError: `older_than` is not a duration with a unit.
        RecordingError: A recording cannot be deleted.

    Example:
        >>> import socketnb as snb
        >>> deleted = snb.prune("30 days")  # doctest: +SKIP
    """
    age = _duration(older_than)
    limit = dt.datetime.now(dt.UTC).timestamp() - age.total_seconds()
    deleted = []
    for recording in _all():
        written = recording.last_written()
        if written is not None and written < limit and not recording.live:
            deleted.append(recording.summary())
            recording.delete()
    return _frame(deleted)


def _duration(given: str | dt.timedelta) -> dt.timedelta:
    import pandas as pd

    age: pd.Timedelta | None = None
    if isinstance(given, dt.timedelta) or (isinstance(given, str) and DURATION.match(given)):
        with contextlib.suppress(ValueError):
            age = pd.Timedelta(given)
    if age is None or not age >= pd.Timedelta("1s"):  # this is false for NaT
        raise SettingsError(f'older_than must be a duration such as "30 days" or "12h", got {given!r}')
    return dt.timedelta(seconds=age.total_seconds())


def _frame(rows: list[dict[str, object]]) -> pd.DataFrame:
    import pandas as pd

    frame = pd.DataFrame(rows, columns=list(RECORDING_COLUMNS))
    frame["when"] = pd.to_datetime(frame["when"], utc=True)
    return typed(frame, RECORDING_COLUMNS)

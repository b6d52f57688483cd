"""Recordings that lie on disk: found, opened, deleted."""

from __future__ import annotations

import contextlib
import datetime as dt
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from socketnb.errors import RecordingError, SettingsError, unknown
from socketnb.frames import query
from socketnb.recording.folder import Folder
from socketnb.settings import home, path_of

if TYPE_CHECKING:
    import pandas as pd

RECORDINGS = {
    "recording": "string",
    "when": "datetime64[ns, UTC]",
    "platforms": "string",
    "sessions": "int32",
    "rows": "int64",
    "bytes": "int64",
    "state": "string",
}


class Recording:
    """A recording on disk. It is read anew whenever a frame is asked for, also while somebody writes it.

    Attributes:
        path: its folder, or its one file.
        name: what `recordings()` calls it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.name
        self._folder = Folder(path)

    @property
    def torn(self) -> int:
        """How many lines are not whole, since their writer was killed in the middle of them: nobody was shown those."""
        self._folder.table()
        return self._folder.torn

    @property
    def live(self) -> bool:
        """Whether a kernel records into it now."""
        return self._folder.live()

    def __len__(self) -> int:
        return self._folder.rows()

    def traces_df(self, **options: Any) -> pd.DataFrame:
        """Return one row per trace, as `socketnb.traces_df` does, with the same options.

        Raises:
            RecordingError: a file is damaged, or of a newer version.
        """
        return query.traces_df([self._folder], **options)

    def messages_df(self, **options: Any) -> pd.DataFrame:
        """Return one row per message that a person sees; options and errors as `traces_df`."""
        return query.messages_df([self._folder], **options)

    def turns_df(self, **options: Any) -> pd.DataFrame:
        """Return one row per turn; options and errors as `traces_df`."""
        return query.turns_df([self._folder], **options)

    def sessions_df(self, **options: Any) -> pd.DataFrame:
        """Return one row per session; options and errors as `traces_df`."""
        return query.sessions_df([self._folder], **options)

    def delete(self) -> None:
        """Remove it from the disk, and its folder if nothing else lies there.

        Raises:
            RecordingError: a kernel records into it now, or it cannot be removed.
        """
        if self.live:
            raise RecordingError(f"a kernel records into {self.name}: shut that kernel down first")
        try:
            for file in self._folder.files():
                file.unlink()
            if self.path.is_dir() and not any(self.path.iterdir()):
                self.path.rmdir()
        except OSError as error:
            raise RecordingError(f"{self.path} cannot be removed: {error.strerror or error}") from None

    def facts(self) -> dict[str, Any]:
        """Return its row of `recordings()`."""
        facts: dict[str, Any] = {"recording": self.name, "platforms": "", "sessions": 0, "rows": 0, "bytes": 0}
        try:
            facts["bytes"] = sum(file.stat().st_size for file in self._folder.files())
            traces = self.traces_df(columns=["recording", "platform", "session", "observed_at"])
        except (RecordingError, OSError) as error:
            return {**facts, "state": str(error)}
        torn = f", {self._folder.torn} torn" if self._folder.torn else ""
        unsealed = any(files.part and not files.part.exists() for files in self._folder.numbered_files())
        return {
            **facts,
            "when": traces["observed_at"].min(),
            "platforms": ", ".join(sorted(traces["platform"].unique())),
            "sessions": len(traces[["recording", "session"]].drop_duplicates()),
            "rows": len(traces),
            "state": "recording" if self.live else f"cut short{torn}" if unsealed else "closed",
        }

    def __repr__(self) -> str:
        try:
            return f"<recording {self.name!r}: {len(self):,} traces>"
        except RecordingError as error:
            return f"<recording {self.name!r}: {error}>"


def _all() -> list[Recording]:
    """Return the recordings under the user's folder, the oldest first."""
    folder = home() / "recordings"
    paths = sorted(folder.iterdir()) if folder.is_dir() else []
    return [Recording(path) for path in paths if path.is_dir() and Folder(path).files()]


def open_recording(which: str | Path) -> Recording:
    """Return a recording on disk, by its name or its path: a folder, a Parquet part, or a file of JSON lines.

    Raises:
        RecordingError: there is none.
        SettingsError: this is no name and no path.
    """
    path = path_of(which, "a recording is opened by its name or its path")
    with contextlib.suppress(OSError):  # a name too long for a path
        named = home() / "recordings" / which
        for there in (named, path):
            if there.is_dir() and Folder(there).files():
                return Recording(there)
            if there.suffix in (".parquet", ".jsonl") and there.is_file():
                return Recording(there)
        if path.is_dir():
            raise RecordingError(f"{path} is no recording: it has neither parts nor lines")
    raise RecordingError(unknown("recording", str(which)[:200], [recording.name for recording in _all()]))


def recordings() -> pd.DataFrame:
    """Return the recordings under SOCKETNB_HOME or the user's data folder, the oldest first.

    Returns:
        A row each: `recording` (its name), `when` it begins, `platforms`, how many `sessions`, `rows` and `bytes`, and
        its `state`: recording, closed, cut short, or what is wrong with it.
    """
    return _frame([recording.facts() for recording in _all()])


def prune(older_than: str | dt.timedelta) -> pd.DataFrame:
    """Delete the recordings that were last written so long ago, such as "30 days"; return what they were.

    Raises:
        SettingsError: `older_than` is no duration with a unit.
    """
    age = _duration(older_than)
    latest = dt.datetime.now(dt.UTC).timestamp() - age.total_seconds()
    deleted = []
    for recording in _all():
        files = recording._folder.files()  # noqa: SLF001 (of this module)
        if files and max(file.stat().st_mtime for file in files) < latest and not recording.live:
            deleted.append(recording.facts())
            recording.delete()
    return _frame(deleted)


def _duration(given: str | dt.timedelta) -> dt.timedelta:
    import pandas as pd

    age: Any = None
    if isinstance(given, dt.timedelta) or (isinstance(given, str) and re.match(r"\s*\d+(\.\d+)?\s*[a-zA-Z]", given)):
        with contextlib.suppress(ValueError):
            age = pd.Timedelta(given)
    if age is None or not age >= pd.Timedelta("1s"):  # NaT is neither
        raise SettingsError(f'older_than is a duration such as "30 days" or "12h", not {given!r}')
    return dt.timedelta(seconds=age.total_seconds())


def _frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    import pandas as pd

    frame = pd.DataFrame(rows, columns=list(RECORDINGS))
    frame["when"] = pd.to_datetime(frame["when"], utc=True)
    string = pd.StringDtype("pyarrow")
    return frame.astype({name: string if dtype == "string" else dtype for name, dtype in RECORDINGS.items()})

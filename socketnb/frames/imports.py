"""Import of traces from files: JSON lines, and saved Voiceflow transcripts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from socketnb.dialects import registry
from socketnb.errors import RecordingError, SettingsError
from socketnb.frames import accessor  # noqa: F401 (registers df.chat)
from socketnb.frames.table import frame_of
from socketnb.model.secret import clean
from socketnb.model.trace import NO_TIME
from socketnb.recording.lines import read_lines
from socketnb.recording.recorder import Recorder
from socketnb.recording.schema import TRACES
from socketnb.settings import to_path

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from socketnb.model.json import Json, JsonObject


def from_jsonl(path: str | Path) -> pd.DataFrame:
    """Return the traces in a JSON lines file, written by `df.chat.to_jsonl` or by a recording.

    Args:
        path: The file.

    Returns:
        A frame with the columns of `traces_df`.

    Raises:
        RecordingError: The file cannot be read, or a line is not a trace.
        SettingsError: The argument is not a path.

    Example:
        >>> import pathlib, tempfile
        >>> import socketnb as snb
        >>> path = pathlib.Path(tempfile.mkdtemp(), "traces.jsonl")
        >>> with snb.connect("voiceflow", simulate=True, record=False) as bot:
        ...     traces = bot.traces_df()
        ...     traces.chat.to_jsonl(path)
        >>> len(snb.from_jsonl(path)) == len(traces)
        True
    """
    path = to_path(path, "path must be a path")
    rows, _ = read_lines(_bytes(path), path.name, complete=True)
    return frame_of(TRACES.checked_table(rows, path.name))


def from_voiceflow(saved: str | Path | JsonObject | Sequence[Json]) -> pd.DataFrame:
    """Return a saved Voiceflow transcript as traces. A local status trace is added at the end of each turn.

    Args:
        saved: The response of the API's transcript call, or the path of a file that contains it.

    Returns:
        A frame with the columns of `traces_df`.

    Raises:
        SettingsError: The argument is not a transcript.
        RecordingError: The file cannot be read or is not JSON.

    Example:
        >>> import socketnb as snb
        >>> logs = [{"type": "trace", "data": {"type": "text", "payload": {"message": "Hello!"}}}]
        >>> snb.from_voiceflow({"id": "t1", "logs": logs})["text"].tolist()[0]
        'Hello!'
    """
    if isinstance(saved, str | Path):
        path = to_path(saved, "saved must be a path")
        try:
            saved = json.loads(_bytes(path))
        except (ValueError, RecursionError) as error:
            raise RecordingError(f"{path.name} is not JSON: {error}") from None
    return _frame_of_transcript("voiceflow", saved)


def _frame_of_transcript(platform: str, saved: object) -> pd.DataFrame:
    """Return a saved transcript of a platform as traces."""
    dialect = registry.get(platform)
    if dialect.read_transcript is None:
        raise SettingsError(f"{dialect.title} has no format for saved transcripts")
    transcript = dialect.read_transcript(saved)
    name = clean(transcript.id)
    recorder = Recorder(name)
    log = recorder.log(dialect.name, name, dialect.secret_fields)
    log.conversation = name
    began = NO_TIME
    for record, at in transcript.records:
        began = at if record.kind == "action" else began
        log.append(record, 1, at, (at - began) / 1e6)
    recorder.close()
    return frame_of(recorder.store.table())


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise RecordingError(f"{path} cannot be read: {error.strerror or error}") from None

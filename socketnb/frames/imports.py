"""Traces from a file: JSON lines, and a saved Voiceflow transcript."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from socketnb.dialects import registry
from socketnb.errors import RecordingError, SettingsError
from socketnb.frames import accessor  # noqa: F401 (registers df.chat)
from socketnb.frames.table import frame_of
from socketnb.model.json import Json
from socketnb.model.secret import clean
from socketnb.model.trace import NO_TIME
from socketnb.recording.lines import read_lines
from socketnb.recording.recorder import Recorder
from socketnb.recording.schema import TRACES
from socketnb.settings import path_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd


def from_jsonl(path: str | Path) -> pd.DataFrame:
    """Return the traces of a file of JSON lines, as `to_jsonl` or a recording has them.

    Raises:
        RecordingError: there is no such file, or a line is no trace.
    """
    path = path_of(path, "path is a path")
    rows, _ = read_lines(_bytes(path), path.name, complete=True)
    return frame_of(TRACES.checked_table(rows, path.name))


def from_voiceflow(saved: str | Path | dict[str, Any] | Sequence[Any]) -> pd.DataFrame:
    """Return a saved Voiceflow transcript as traces; a status row, of our own, ends each turn.

    Args:
        saved: the answer of the API's transcript call, or the path of a file with it.

    Raises:
        SettingsError: it is no transcript.
        RecordingError: there is no such file, or it is no JSON.
    """
    if isinstance(saved, str | Path):
        path = path_of(saved, "saved is a path")
        try:
            saved = json.loads(_bytes(path))
        except (ValueError, RecursionError) as error:
            raise RecordingError(f"{path.name} is no JSON: {error}") from None
    return _frame_of_transcript("voiceflow", saved)


def _frame_of_transcript(platform: str, saved: Json) -> pd.DataFrame:
    dialect = registry.get(platform)
    if dialect.read_transcript is None:
        raise SettingsError(f"{dialect.title} has no format for saved transcripts")
    transcript = dialect.read_transcript(saved)
    name = clean(transcript.id)
    recorder = Recorder(name)
    log = recorder.log(dialect.name, name, dialect.secret_fields)
    log.conversation = name
    begun = NO_TIME
    for record, at in transcript.records:
        begun = at if record.kind == "action" else begun
        log.append(record, 1, at, (at - begun) / 1e6)
    recorder.close()
    return frame_of(recorder.store.table())


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise RecordingError(f"{path} cannot be read: {error.strerror or error}") from None

"""The recorders of one kernel: which recorder records which session."""

from __future__ import annotations

import datetime as dt
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from socketnb.recording.recorder import Recorder
from socketnb.settings import home, memory_rows, to_path

if TYPE_CHECKING:
    from socketnb.recording.masks import Secrets

REQUIREMENT = "record must be True, False or a folder"


class Recorders:
    """Creates at most one active recorder per target: the kernel's recording, a folder, or memory.

    Args:
        secrets: The credentials of all sessions of the kernel.
    """

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets
        self._all: list[Recorder] = []  # stopped ones too, because their traces stay in the frames
        self._by_place: dict[Path | bool, Recorder] = {}  # True: the kernel's recording; False: memory
        self._default: bool | Path = True

    def set_default(self, record: bool | str | Path) -> None:  # noqa: FBT001 (a folder, or on and off)
        """Set the target of `record=True`: True for the kernel's recording, False for memory, or a folder."""
        self._default = record if isinstance(record, bool) else to_path(record, REQUIREMENT)

    def get(self, record: bool | str | Path) -> Recorder:  # noqa: FBT001 (a folder, or on and off)
        """Return the recorder for a value of `record`. Create one if none exists or the existing one has stopped."""
        place = record if isinstance(record, bool) else to_path(record, REQUIREMENT)
        if place is True:
            place = self._default
        recorder = self._by_place.get(place)
        if recorder is None or recorder.stopped:
            recorder = self._by_place[place] = self._new(place)
            self._all.append(recorder)
        return recorder

    def _new(self, place: Path | bool) -> Recorder:  # noqa: FBT001 (see get)
        started = dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H-%M-%S-%f")
        recording = f"{started[:-3]}-{uuid.uuid4().hex[:4]}"
        folder = home() / "recordings" / recording if place is True else place or None
        return Recorder(recording, folder, memory_rows(), self._secrets)

    @property
    def folder(self) -> Path | None:
        """The folder of the kernel's recording; None if there is no recording or it has stopped."""
        recorder = self._by_place.get(True)
        return recorder.folder if recorder and not recorder.stopped else None

    def describe(self) -> str:
        """Return a sentence that says where new sessions are recorded."""
        if self._default is False:
            return "new sessions are not recorded: their traces stay in memory"
        folder = self._default if isinstance(self._default, Path) else self.folder or home() / "recordings"
        return f"new sessions are recorded in {folder}"

    def all(self) -> list[Recorder]:
        """Return every recorder, oldest first."""
        return list(self._all)

"""The journal: what is on disk after each write, and after a write that failed."""

import errno
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from socketnb.errors import RecordingError
from socketnb.recording.folder import Folder
from socketnb.recording.journal import Journal, part_of

RUN = "2026-01-02T03-04-05-006-r"


def failing_after(writes: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the next writes write only these numbers of bytes, and the one after them fail."""
    real, rest = os.write, list(writes)

    def write(file: int, data: Any) -> int:
        if not rest:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(file, data[: rest.pop(0)])

    monkeypatch.setattr(os, "write", write)


@pytest.mark.parametrize("writes", [[], [1], [9], [4, 3], [10]])
def test_a_write_that_fails_leaves_exactly_the_lines_before(
    writes: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(tmp_path, RUN)
    journal.write(b'{"a":1}\n')
    journal.write(b'{"b":2}\n{"c":3}\n')
    with monkeypatch.context() as patch:
        failing_after(writes, patch)
        with pytest.raises(OSError, match="No space left"):
            journal.write(b'{"d":4}\n{"e":5}\n')
    assert journal.path.read_bytes() == b'{"a":1}\n{"b":2}\n{"c":3}\n'
    journal.write(b'{"f":6}\n')
    assert journal.path.read_bytes() == b'{"a":1}\n{"b":2}\n{"c":3}\n{"f":6}\n'
    journal.close()


def test_a_write_in_several_steps_is_complete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(tmp_path, RUN)
    with monkeypatch.context() as patch:
        failing_after([3, 1, 100], patch)
        journal.write(b'{"a":1}\n')
    assert journal.path.read_bytes() == b'{"a":1}\n'
    journal.close()


def test_a_line_is_on_disk_when_write_returns(tmp_path: Path) -> None:
    journal = Journal(tmp_path, RUN)
    journal.write(b"{}\n")
    assert (tmp_path / f"_{RUN}-00000.jsonl").read_bytes() == b"{}\n"
    journal.next()
    assert journal.path == tmp_path / f"_{RUN}-00001.jsonl"
    journal.write(b"[]\n")
    assert (tmp_path / f"_{RUN}-00000.jsonl").read_bytes() == b"{}\n"
    assert journal.path.read_bytes() == b"[]\n"
    assert part_of(journal.path) == tmp_path / f"{RUN}-00001.parquet"
    journal.close()
    journal.close()


def test_a_removed_segment_is_an_error(tmp_path: Path) -> None:
    journal = Journal(tmp_path, RUN)
    journal.path.unlink()
    with pytest.raises(FileNotFoundError, match="its file was removed"):
        journal.write(b"{}\n")
    journal.close()


def test_the_folder_is_locked_until_the_journal_is_closed(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "new" / "folder", RUN)
    with pytest.raises(RecordingError, match="another kernel is recording into .*: pass another folder as record="):
        Journal(tmp_path / "new" / "folder", "2026-01-02T03-04-05-007-s")
    journal.close()
    Journal(tmp_path / "new" / "folder", RUN).close()


def test_a_journal_that_cannot_open_its_segment_does_not_keep_the_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Journal) -> int:
        raise PermissionError(errno.EACCES, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "_open", refuse)
        with pytest.raises(PermissionError):
            Journal(tmp_path, RUN)
    Journal(tmp_path, RUN).close()


def test_a_journal_closed_in_another_thread_unlocks_its_folder(tmp_path: Path) -> None:
    journal = Journal(tmp_path, RUN)
    assert Folder(tmp_path).live()
    thread = threading.Thread(target=journal.close)
    thread.start()
    thread.join()
    assert not Folder(tmp_path).live()

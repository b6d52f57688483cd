"""The store and the folder of a recording: which rows they return, and from where."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from socketnb.archive import open_recording
from socketnb.errors import RecordingError
from socketnb.model.effects import Record
from socketnb.model.trace import NO_TIME
from socketnb.recording import parts, recorder, store
from socketnb.recording.folder import Folder
from socketnb.recording.recorder import Recorder
from socketnb.recording.store import TraceStore

RUN = "2026-01-02T03-04-05-006-r"
OBSERVED_AT = 1_700_000_000_000_000_000


def rows(numbers: range) -> list[tuple[object, ...]]:
    """Return rows whose `seq` are these numbers."""
    log = Recorder(RUN).log("voiceflow", "bot", ())
    log.seq = numbers.start
    return [tuple(log.append(Record("event", "custom", n), 1, OBSERVED_AT, NO_TIME)) for n in numbers]


def seqs(found: TraceStore | Folder, since: int = 0) -> list[int]:
    return [int(seq) for seq in found.table(since)["seq"].to_pylist()]


def seal(traces: TraceStore, folder: Path, start: int, stop: int) -> Path:
    """Seal rows of a store as the recorder does."""
    path = folder / f"{RUN}-{start // 10:05}.parquet"
    parts.write_part(traces.seal(start, stop), path)
    traces.written(start, path)
    return path


@pytest.mark.parametrize(
    ("memory_rows", "in_memory"),
    [(0, [False, False, False]), (10, [False, False, True]), (20, [False, True, True]), (30, [True, True, True])],
)
def test_the_newest_rows_up_to_the_limit_stay_in_memory(
    memory_rows: int, in_memory: list[bool], tmp_path: Path
) -> None:
    traces = TraceStore(RUN, memory_rows)
    for start in (0, 10, 20):
        traces.extend(rows(range(start, start + 10)))
        seal(traces, tmp_path, start, start + 10)
    assert [block.table is not None for block in traces._sealed] == in_memory
    assert seqs(traces) == list(range(30))


def test_only_the_rows_of_a_written_part_are_read_from_its_file(tmp_path: Path) -> None:
    traces = TraceStore(RUN, 0)
    traces.extend(rows(range(20)))
    first, second = traces.seal(0, 10), traces.seal(10, 20)
    assert (first.num_rows, second.num_rows) == (10, 10)
    path = tmp_path / f"{RUN}-00000.parquet"
    parts.write_part(first, path)
    traces.written(0, path)
    assert seqs(traces) == list(range(20)), "the rows of the second part are still in memory"


def test_a_part_is_read_only_if_a_row_of_it_is_wanted(tmp_path: Path) -> None:
    traces = TraceStore(RUN, 0)
    traces.extend(rows(range(20)))
    first, second = seal(traces, tmp_path, 0, 10), seal(traces, tmp_path, 10, 20)
    traces.extend(rows(range(20, 25)))
    first.unlink()
    assert seqs(traces, 10) == list(range(10, 25))
    with pytest.raises(RecordingError, match="-00000.parquet was removed, and its traces are no longer in memory"):
        traces.table(9)
    second.unlink()
    assert seqs(traces, 20) == list(range(20, 25))
    assert traces.table(20, ["seq"], until=22)["seq"].to_pylist() == [20, 21]
    assert traces.table(25).num_rows == traces.table(99).num_rows == 0


def test_many_new_rows_are_converted_when_they_are_added_but_not_before_the_libraries_are_loaded() -> None:
    traces = TraceStore(RUN)
    traces.extend(rows(range(store.CONVERSION_ROWS)))
    assert len(traces._new) == store.CONVERSION_ROWS
    traces.prepare()
    traces.extend(rows(range(store.CONVERSION_ROWS, store.CONVERSION_ROWS + 1)))
    assert len(traces._new) == 0
    traces.extend(rows(range(store.CONVERSION_ROWS - 1)))
    assert len(traces._new) == store.CONVERSION_ROWS - 1, "few rows wait"


def test_a_part_is_full_at_its_number_of_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "PART_ROWS", 10)
    recording = Recorder(RUN, tmp_path)
    log = recording.log("voiceflow", "bot", ())
    for n in range(25):
        log.append(Record("event", "custom", n), 1, OBSERVED_AT, NO_TIME)
        recording.flush()
    recording.close()
    assert [parts.rows_of(path) for path in sorted(tmp_path.glob("*.parquet"))] == [10, 10, 5]


def test_some_traces_of_a_session_are_returned(tmp_path: Path) -> None:
    recording = Recorder(RUN)
    logs = [recording.log("voiceflow", name, ()) for name in ("a", "b")]
    for n in range(10):
        for log in logs:
            log.append(Record("event", "custom", n), 1, OBSERVED_AT, NO_TIME)
    recording.flush()
    assert [trace.seq for trace in logs[1].traces(3, 2)] == [3, 4]
    assert [trace.seq for trace in logs[1].traces(-5, 2)] == [0, 1]
    assert [trace.seq for trace in logs[1].traces(9, 99)] == [9]
    assert [trace.payload for trace in logs[0].traces(8)] == ["8", "9"]
    assert [trace.payload for trace in logs[0].traces(8, payloads=False)] == ["", ""]


def test_the_fields_of_a_trace_come_from_the_record_and_the_log() -> None:
    log = Recorder(RUN).log("voiceflow", "bot", ())
    log.conversation = "c1"
    first = log.append(Record("event", "text", None, sender="bot", turn=3, text="hi", final=True), 2, OBSERVED_AT, 7.5)
    assert (first.recording, first.platform, first.session, first.seq, first.link) == (RUN, "voiceflow", "bot", 0, 2)
    assert (first.observed_at, first.elapsed_ms, first.conversation) == (OBSERVED_AT, 7.5, "c1")
    assert (first.kind, first.sender, first.turn, first.text, first.final) == ("text", "bot", 3, "hi", True)
    assert (first.bytes, first.payload) == (0, "null")
    second = log.append(Record("event", "text", {}, conversation="", server_at=7), 1, OBSERVED_AT, NO_TIME)
    assert (second.conversation, second.bytes, second.server_at, second.seq) == ("c1", 2, 7, 1)
    third = log.append(Record("event", "text", "é", conversation="c2"), 1, OBSERVED_AT, NO_TIME)
    assert (third.conversation, third.bytes) == ("c2", 4), "the size is in bytes"
    assert log.link == 2, "the highest link so far"


@pytest.mark.parametrize("name", ["conversation", "event", "node", "intent", "text", "error"])
def test_a_credential_is_masked_in_every_text_column(name: str) -> None:
    log = Recorder(RUN).log("voiceflow", "bot", ())
    log.hide("planted-key")
    fields = {"event": "event", "kind": "text", name: "is planted-key"}
    trace = log.append(Record(**fields), 1, OBSERVED_AT, NO_TIME)  # type: ignore[arg-type]
    assert getattr(trace, name).startswith("is ***")
    assert "planted" not in str(trace)


@pytest.mark.parametrize(
    ("time", "expected"),
    [(2**63 - 1, 2**63 - 1), (2**63, None), (-(2**63), None), (1 - 2**63, 1 - 2**63), (True, None)],
)
def test_a_time_is_recorded_if_the_column_can_hold_it(time: int, expected: int | None) -> None:
    recording = Recorder(RUN)
    trace = recording.log("voiceflow", "bot", ()).append(Record("e", "custom", server_at=time), 1, 1, NO_TIME)
    assert trace.server_at == expected
    recording.flush()
    assert recording.store.table().num_rows == 1


# On disk


def folder_with(tmp_path: Path, *segments: bytes) -> Path:
    """Return a folder with a part of two rows and these segments after it."""
    recording = Recorder(RUN, tmp_path)
    log = recording.log("voiceflow", "bot", ())
    for n in range(2):
        log.append(Record("event", "custom", n), 1, OBSERVED_AT, NO_TIME)
    recording.flush()
    line = next(tmp_path.glob("_*.jsonl")).read_bytes().splitlines(keepends=True)[0]
    recording.close()
    for number, segment in enumerate(segments, 1):
        (tmp_path / f"_{RUN}-{number:05}.jsonl").write_bytes(segment.replace(b"LINE", line))
    return tmp_path


def test_incomplete_lines_are_counted_over_all_segments_and_anew_at_each_reading(tmp_path: Path) -> None:
    recording = open_recording(folder_with(tmp_path, b'LINE{"a', b'LINE{"b', b"LINE"))
    assert [recording.torn, recording.torn] == [2, 2]
    assert len(recording) == 5


def test_an_incomplete_line_in_the_middle_is_skipped(tmp_path: Path) -> None:
    recording = open_recording(folder_with(tmp_path, b'LINE{"a\n\nLINE'))
    assert recording.torn == 1
    assert len(recording) == 4


def test_a_single_file_with_an_incomplete_line_is_read(tmp_path: Path) -> None:
    folder_with(tmp_path, b'LINE{"a')
    recording = open_recording(tmp_path / f"_{RUN}-00001.jsonl")
    assert (len(recording), recording.torn) == (1, 1)


def test_reading_begins_at_any_row(tmp_path: Path) -> None:
    folder = Folder(folder_with(tmp_path, b"LINELINE", b"LINE"))
    for since in range(7):
        assert len(seqs(folder, since)) == max(0, 5 - since)
    assert seqs(folder, 1) == [1, 0, 0, 0]


def test_an_unfinished_part_is_ignored(tmp_path: Path) -> None:
    folder = Folder(folder_with(tmp_path, b"LINE"))
    (tmp_path / f".{RUN}-00002.parquet.new").write_bytes(b"half a part")
    (tmp_path / f".{RUN}-00001.parquet.new").write_bytes(b"half a part")
    assert seqs(folder) == [0, 1, 0]
    assert len(folder.files()) == 5, "but it belongs to the recording"


def test_a_segment_that_becomes_a_part_while_it_is_read_is_read_as_the_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Folder(folder_with(tmp_path, b"LINE"))
    real = Path.read_bytes

    def seal_meanwhile(self: Path) -> bytes:
        if self.suffix == ".jsonl" and self.exists():
            part = tmp_path / f"{RUN}-00000.parquet"
            pq.write_table(pq.read_table(part), tmp_path / f"{RUN}-00001.parquet")
            self.unlink()
        return real(self)

    monkeypatch.setattr(Path, "read_bytes", seal_meanwhile)
    assert seqs(folder) == [0, 1, 0, 1]


def test_a_missing_number_is_waited_for_only_a_few_times(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder_with(tmp_path, b"LINE", b"LINE")
    (tmp_path / f"_{RUN}-00001.jsonl").unlink()
    calls: list[str] = []
    real = Path.glob

    def glob(self: Path, pattern: str) -> list[Path]:
        calls.append(pattern)
        return list(real(self, pattern))

    monkeypatch.setattr(Path, "glob", glob)
    assert seqs(Folder(tmp_path)) == [0, 1, 0], "the rest is read"
    assert calls.count("_*.jsonl") == 5


@pytest.mark.parametrize(("numbers", "listings"), [((0, 1), 1), ((0, 2), 5)])
def test_a_folder_is_listed_again_only_while_a_number_is_missing(
    numbers: tuple[int, ...], listings: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in numbers:
        (tmp_path / f"{RUN}-{number:05}.parquet").touch()
    folder = Folder(tmp_path)
    found, listed = folder._list(), []
    monkeypatch.setattr(folder, "_list", lambda: listed.append(1) or found)
    assert len(folder.numbered_files()) == 2
    assert len(listed) == listings

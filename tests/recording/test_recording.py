"""Recording: no trace is lost if the process is killed, the disk is full, or a part cannot be sealed."""

import errno
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from socketnb.archive import open_recording
from socketnb.errors import RecordingError, SettingsError
from socketnb.flows.flow import Flow
from socketnb.frames.query import traces_df
from socketnb.hub import Hub
from socketnb.model.effects import Record
from socketnb.model.trace import NO_TIME, Trace
from socketnb.recording import lines, masks, parts, recorder, schema
from socketnb.recording.folder import Folder
from socketnb.recording.recorder import Log, Recorder

RUN = "2026-01-02T03-04-05-006-r"
AT = 1_700_000_000_000_000_000
ANY_TEXT = st.text(st.characters())
KEY = st.text(st.characters(), max_size=8).filter(lambda key: key.casefold() not in masks.FIELDS)  # these are masked
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEY, inner, max_size=4),
    max_leaves=12,
)


def log_of(recording: Recorder | None = None) -> tuple[Log, Recorder]:
    recording = recording or Recorder(RUN)
    return recording.log("voiceflow", "bot", {"sessionKey"}), recording


def write(log: Log, payload: Any = None, **fields: Any) -> Trace:
    trace = log.append(Record("event", "custom", payload, **fields), 1, AT, NO_TIME)
    log.recorder.flush()
    return trace


def seqs(folder: Path) -> list[int]:
    return Folder(folder).table()["seq"].to_pylist()


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limit parts to a hundred rows, so that a test fills several."""
    monkeypatch.setattr(recorder, "PART_ROWS", 100)


@pytest.fixture
def recording(tmp_path: Path) -> Iterator[Recorder]:
    recording = Recorder(RUN, tmp_path / "r")
    yield recording
    recording.close()


# Durability


def test_a_row_is_on_disk_before_a_listener_sees_it(hub: Hub, flow: Flow, tmp_path: Path) -> None:
    bot = hub.connect("voiceflow", simulate=True, flow=flow, record=tmp_path)
    missing = []

    def check(trace: Trace) -> None:
        if trace.seq not in seqs(tmp_path):
            missing.append(trace)

    bot.listen(check)
    bot.launch()
    assert not missing


KILLED = """
import os, sys
from pathlib import Path
import pyarrow.parquet
from socketnb.model.effects import Record
from socketnb.model.trace import NO_TIME
from socketnb.recording import recorder

recorder.PART_ROWS = 500

def record(folder):
    recording = recorder.Recorder("2026-01-02T03-04-05-006-r", folder)
    log = recording.log("voiceflow", "bot", ())
    acknowledged = os.open(folder / "acknowledged", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for _ in range(20_000):
        for _ in range(16):
            trace = log.append(Record("event", "custom", {"n": log.seq, "text": "x" * 200}), 1, 1, NO_TIME)
        recording.flush()
        os.write(acknowledged, b"%d\\n" % trace.seq)
    os._exit(1)

for folder in sys.argv[1:]:
    pid = os.fork()  # a new interpreter for each would take most of the time
    if pid == 0:
        record(Path(folder))
    print(pid, flush=True)
    os.waitpid(pid, 0)
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_a_process_killed_at_twenty_moments_keeps_every_acknowledged_trace_once_and_in_order(
    tmp_path: Path, eventually: Callable[[Callable[[], bool]], None]
) -> None:
    chance = random.Random(20)  # noqa: S311
    folders = [tmp_path / str(n) for n in range(20)]
    command = [sys.executable, "-c", KILLED, *map(str, folders)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        for n, folder in enumerate(folders):
            pid, file = int(parent.stdout.readline()), folder / "acknowledged"
            try:
                eventually(lambda file=file: file.exists() and file.stat().st_size > 0)
                if n % 2:  # while it seals
                    eventually(lambda folder=folder: any(folder.glob("*.parquet*")) or any(folder.glob(".*.new")))
                size = file.stat().st_size + chance.randint(0, 300)
                eventually(lambda file=file, size=size: file.stat().st_size >= size)
            finally:
                os.kill(pid, signal.SIGKILL)
    for folder in folders:
        acknowledged = [int(line) for line in (folder / "acknowledged").read_text().split("\n")[:-1]]
        recorded = seqs(folder)
        assert recorded == list(range(len(recorded)))
        assert recorded[-1] >= acknowledged[-1]
        assert [json.loads(payload)["n"] for payload in Folder(folder).table()["payload"].to_pylist()] == recorded


def kill(child: "subprocess.Popen[str]") -> list[int]:
    """Kill a process, and return the numbers that it has printed since."""
    os.kill(child.pid, signal.SIGKILL)
    output, _ = child.communicate()
    return [int(line) for line in output.split("\n")[:-1]]


def test_a_killed_kernel_keeps_every_trace_that_it_showed(tmp_path: Path) -> None:
    code = (
        "import socketnb as snb\n"
        f"bot = snb.connect('voiceflow', simulate=True, record={str(tmp_path)!r})\n"
        "bot.listen(lambda trace: print(trace.seq, flush=True))\n"
        "while True: bot.say('hours')"
    )
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert child.stdout
    shown = [int(child.stdout.readline()) for _ in range(200)]
    shown += kill(child)
    recorded = seqs(tmp_path)
    assert recorded == list(range(len(recorded)))
    assert recorded[-1] >= shown[-1]


def test_an_incomplete_last_line_is_skipped_and_counted(tmp_path: Path) -> None:
    log, recording = log_of(Recorder(RUN, tmp_path))
    write(log, 1)
    (segment,) = tmp_path.glob("_*.jsonl")
    with segment.open("ab") as file:
        file.write(segment.read_bytes()[:-20])
    assert seqs(tmp_path) == [0]
    assert open_recording(tmp_path).torn == 1
    recording.close()


# Sealing


@pytest.mark.usefixtures("small")
def test_full_segments_become_parts_and_the_rows_stay_the_same(recording: Recorder, tmp_path: Path) -> None:
    log, _ = log_of(recording)
    for n in range(250):
        write(log, n)
    before = traces_df([Folder(tmp_path / "r")])
    recording.close()
    files = sorted(file.name for file in (tmp_path / "r").iterdir())
    assert files == [".lock", *(f"{RUN}-0000{n}.parquet" for n in range(3))]
    assert traces_df([Folder(tmp_path / "r")]).equals(before)
    assert traces_df([recording.store]).equals(before)


@pytest.mark.usefixtures("small")
def test_large_payloads_fill_a_part_before_its_rows_do(
    recording: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "PART_BYTES", 3 << 20)
    log, _ = log_of(recording)
    for _ in range(8):
        write(log, "x" * (1 << 20))
    recording.close()
    assert len(list((tmp_path / "r").glob("*.parquet"))) == 3
    assert seqs(tmp_path / "r") == list(range(8))


@pytest.mark.usefixtures("small")
def test_a_part_is_read_instead_of_its_segment(recording: Recorder, tmp_path: Path) -> None:
    log, _ = log_of(recording)
    for n in range(100):
        write(log, n)
    segment = tmp_path / "r" / f"_{RUN}-00000.jsonl"
    lines = segment.read_bytes() if segment.exists() else b""
    recording.close()
    segment.write_bytes(lines or b"{}\n")  # as after a kill between writing the part and deleting the segment
    assert seqs(tmp_path / "r") == list(range(100))


@pytest.mark.usefixtures("small")
def test_a_segment_stays_if_its_part_cannot_be_written(
    recording: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pq, "write_table", full)
    log, _ = log_of(recording)
    for n in range(250):
        write(log, n)
    with pytest.warns(RuntimeWarning, match="could not be converted to Parquet .*it stays as JSON lines"):
        recording.close()
    assert {file.suffix for file in (tmp_path / "r").glob("*[0-9].*")} == {".jsonl"}
    assert recording.trouble
    assert "No space left on device" in recording.trouble
    assert seqs(tmp_path / "r") == list(range(250))
    assert recording.store.table()["seq"].to_pylist() == list(range(250))


@pytest.mark.usefixtures("small")
def test_a_part_that_appears_while_the_folder_is_listed_is_found(
    recording: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, _ = log_of(recording)
    for n in range(350):
        write(log, n)
    recording.close()
    real, calls = Path.glob, []

    def glob(self: Path, pattern: str) -> list[Path]:
        calls.append(pattern)
        return [file for file in real(self, pattern) if len(calls) > 3 or not file.stem.endswith("-00001")]

    monkeypatch.setattr(Path, "glob", glob)
    assert seqs(tmp_path / "r") == list(range(350))


@pytest.mark.usefixtures("small")
def test_a_reader_during_writing_sees_complete_rows_in_order(recording: Recorder, tmp_path: Path) -> None:
    log, _ = log_of(recording)
    write(log, 0)
    wrong: list[list[int]] = []
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            numbers = seqs(tmp_path / "r")
            if numbers != list(range(len(numbers))):
                wrong.append(numbers)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for n in range(3_000):
        write(log, n)
    stop.set()
    for reader in readers:
        reader.join()
    assert not wrong


def test_rows_stay_in_order_if_one_part_cannot_be_sealed(
    recording: Recorder, tmp_path: Path, small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, _ = log_of(recording)
    write(log, 0)
    recording._sealer = recorder.ThreadPoolExecutor(1)
    recording._sealer.shutdown()  # as at the interpreter's end
    for n in range(1, 250):
        write(log, n)
    recording.close()
    assert {file.suffix for file in (tmp_path / "r").glob("*[0-9].*")} == {".jsonl", ".parquet"}
    assert seqs(tmp_path / "r") == list(range(250))
    assert recording.store.table()["seq"].to_pylist() == list(range(250))


def test_an_exactly_full_part_leaves_no_empty_segment(recording: Recorder, tmp_path: Path, small: None) -> None:
    log, _ = log_of(recording)
    for n in range(100):
        write(log, n)
    recording.close()
    assert not list((tmp_path / "r").glob("*.jsonl"))
    assert len(list((tmp_path / "r").glob("*.parquet"))) == 1


EXITS = """
import socketnb as snb
from socketnb.recording import recorder
bots = [snb.connect("voiceflow", name=f"bot{n}", simulate=True) for n in range(6)]
folder = snb.open_recording(snb.recordings()["recording"][0]).path
recorder.PART_ROWS = bots[0]._log.recorder.rows + %d
print(folder)
"""


@pytest.mark.parametrize("more", [0, 2, 4])
def test_a_part_that_fills_up_while_the_kernel_exits_loses_no_trace(more: int) -> None:
    done = subprocess.run([sys.executable, "-c", EXITS % more], capture_output=True, text=True, check=True)
    table = Folder(Path(done.stdout.strip())).table()
    rows = list(zip(table["session"].to_pylist(), table["seq"].to_pylist(), strict=True))
    assert len(rows) == len(set(rows)) == table.num_rows
    for name in {session for session, _ in rows}:
        assert [seq for session, seq in rows if session == name] == list(range(sum(s == name for s, _ in rows)))
    assert [kind for kind in table["kind"].to_pylist() if kind == "disconnected"] == ["disconnected"] * 6


# Memory


@pytest.mark.usefixtures("small")
def test_sealed_rows_beyond_the_memory_limit_are_read_from_their_parts(tmp_path: Path) -> None:
    log, recording = log_of(Recorder(RUN, tmp_path, memory_rows=150))
    for n in range(1_000):
        write(log, n)
    assert recording._sealer
    recording._sealer.submit(int).result()  # wait until it has sealed
    in_memory = [block.table is not None for block in recording.store._sealed]
    assert in_memory == [False] * 9 + [True]
    assert recording.store.table()["payload"].to_pylist() == [str(n) for n in range(1_000)]
    assert recording.store.table(940, ["seq"])["seq"].to_pylist() == list(range(940, 1_000))
    assert [trace.seq for trace in log.traces(42)] == list(range(42, 1_000))
    next(tmp_path.glob(f"{RUN}-00003.parquet")).unlink()
    with pytest.raises(RecordingError, match=r"-00003.parquet was removed"):
        recording.store.table()
    assert len(log.traces(950)) == 50, "the traces in memory can still be read"
    recording.close()


def test_the_memory_limit_is_a_setting(hub: Hub, flow: Flow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOCKETNB_MEMORY_ROWS", "many")
    with pytest.raises(SettingsError, match="SOCKETNB_MEMORY_ROWS must be a whole number of at least 0, got 'many'"):
        hub.connect("voiceflow", simulate=True, flow=flow)
    monkeypatch.setenv("SOCKETNB_MEMORY_ROWS", "7")
    bot = hub.connect("voiceflow", simulate=True, flow=flow)
    assert bot._log.recorder.store._memory_rows == 7


@pytest.mark.usefixtures("small")
def test_without_a_folder_everything_stays_in_memory() -> None:
    log, recording = log_of(Recorder(RUN, None, memory_rows=10))
    for n in range(1_000):
        write(log, n)
    recording.close()
    assert recording.store.table()["payload"].to_pylist() == [str(n) for n in range(1_000)]


def test_many_small_reads_do_not_leave_many_small_tables() -> None:
    log, recording = log_of()
    for n in range(200):
        write(log, n)
        recording.store.table()
    assert recording.store.table().column(0).num_chunks < 40
    assert recording.store.table()["payload"].to_pylist() == [str(n) for n in range(200)]


def test_a_session_finds_its_own_traces_among_others() -> None:
    log, recording = log_of()
    other = recording.log("eusate", "other", ())
    for n in range(10):
        write(log, n)
        write(other, n)
    assert [(trace.session, trace.seq) for trace in other.traces(7)] == [("other", 7), ("other", 8), ("other", 9)]
    assert other.traces(10) == []


# Problems


def test_a_folder_that_cannot_be_written_causes_one_warning_and_the_session_continues(
    hub: Hub, flow: Flow, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.warns(RuntimeWarning, match="the session continues in memory") as warned:
        bot = hub.connect("voiceflow", name="bot", simulate=True, flow=flow, record=tmp_path / "file" / "folder")
        assert bot.say("hi").text == "You said hi"
    assert len(warned) == 1
    assert len(bot.turns_df()) == 1
    assert list(bot.traces_df().query("event == 'recording'")["kind"]) == ["error"]


def test_a_full_disk_causes_one_warning_and_leaves_earlier_traces_unchanged(
    hub: Hub, flow: Flow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bot = hub.connect("voiceflow", name="bot", simulate=True, flow=flow, record=tmp_path)
    bot.say("before")
    written, real = len(seqs(tmp_path)), os.write

    def full(file: int, data: Any) -> int:
        if len(data) > 100 and Path(f"/proc/self/fd/{file}").readlink().is_relative_to(tmp_path):
            if bytes(data).startswith(b"{"):
                return real(file, data[:50])  # as much as fits
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(file, data)

    monkeypatch.setattr(os, "write", full)
    assert bot.say("full").text == "You said full"
    monkeypatch.undo()
    with pytest.warns(RuntimeWarning, match="No space left on device") as warned:
        assert bot.say("after").text == "You said after"
        bot.traces_df()
    assert len(warned) == 1
    assert seqs(tmp_path) == list(range(written))
    assert open_recording(tmp_path).torn == 0
    assert list(bot.turns_df()["status"]) == ["completed"] * 3
    assert "No space left on device" in bot.transcript(), "the transcript says so"


def test_a_folder_has_one_writer(hub: Hub, flow: Flow, tmp_path: Path) -> None:
    hub.connect("voiceflow", simulate=True, flow=flow, record=tmp_path)
    other = Hub()
    with pytest.raises(RecordingError, match="another kernel is recording into"):
        other.connect("voiceflow", simulate=True, flow=flow, record=tmp_path)
    other.close()


def test_the_lock_of_a_dead_writer_is_free_and_a_folder_can_hold_several_runs(tmp_path: Path) -> None:
    runs = [f"{RUN}-{name}" for name in "ab"]
    for run in runs:
        code = (
            "import os\nfrom pathlib import Path\nfrom socketnb.recording.recorder import Recorder\n"
            "from socketnb.model.effects import Record\nfrom socketnb.model.trace import NO_TIME\n"
            f"r = Recorder({run!r}, Path({str(tmp_path)!r}))\n"
            "r.log('voiceflow', 'bot', ()).append(Record('e', 'custom'), 1, 1, NO_TIME)\nr.flush()\nos._exit(9)"
        )
        assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 9
    assert Folder(tmp_path).table()["recording"].to_pylist() == runs


def test_only_the_user_can_read_a_recording(recording: Recorder, tmp_path: Path) -> None:
    log, _ = log_of(recording)
    write(log, 1)
    modes = {file.stat().st_mode & 0o077 for file in (tmp_path / "r").iterdir()}
    recording.close()
    modes |= {file.stat().st_mode & 0o077 for file in (tmp_path / "r").iterdir()}
    assert modes == {0}


def test_a_folder_removed_during_a_session_causes_a_warning_and_the_session_continues(
    hub: Hub, flow: Flow, tmp_path: Path
) -> None:
    bot = hub.connect("voiceflow", name="bot", simulate=True, flow=flow, record=tmp_path / "r")
    bot.say("before")
    shutil.rmtree(tmp_path / "r")
    bot.say("gone")
    with pytest.warns(RuntimeWarning, match="its file was removed"):
        bot.say("after")
    assert len(bot.turns_df()) == 3


def test_a_session_opened_after_the_recording_stopped_gets_a_new_recording(
    hub: Hub, flow: Flow, tmp_path: Path
) -> None:
    bot = hub.connect("voiceflow", name="bot", simulate=True, flow=flow, record=tmp_path / "r")
    shutil.rmtree(tmp_path / "r")
    bot.say("gone")
    with pytest.warns(RuntimeWarning, match="its file was removed"):
        bot.close()
        hub.traces_df()
    hub.connect("voiceflow", name="bot", simulate=True, flow=flow, record=tmp_path / "r").say("again")
    assert "You said again" in Folder(tmp_path / "r").table()["text"].to_pylist()
    assert {"You said gone", "You said again"} <= set(hub.traces_df()["text"].dropna())


def test_a_relative_home_does_not_move_when_the_working_directory_changes(
    hub: Hub, flow: Flow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SOCKETNB_HOME", "here")
    hub.connect("voiceflow", name="bot", simulate=True, flow=flow)
    (tmp_path / "there").mkdir()
    monkeypatch.chdir(tmp_path / "there")
    hub.close()
    assert len(list((tmp_path / "here").rglob("*.parquet"))) == 1


@pytest.mark.parametrize("time", [-62135596800 * 10**9, 2**63, -(2**63) - 1, 10**30])
def test_a_time_out_of_range_is_recorded_as_missing(time: int, tmp_path: Path) -> None:
    recording = Recorder(RUN, tmp_path)
    log, _ = log_of(recording)
    write(log, 1)
    assert write(log, {"date": time}, server_at=time).server_at is None
    write(log, 3)
    recording.close()
    assert seqs(tmp_path) == [0, 1, 2]
    assert recording.store.table().num_rows == 3


def test_a_writer_is_not_refused_while_readers_probe_the_lock(tmp_path: Path) -> None:
    Recorder(RUN, tmp_path).close()
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            Folder(tmp_path).live()

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(50):
        Recorder(RUN, tmp_path).close()
    stop.set()
    reader.join()


# Any content


def through_everything(payload: Any, text: str, folder: Path) -> list[Trace]:
    """Return a trace as read from a segment, from a part, and from memory."""
    recording = Recorder(RUN, folder)
    log, _ = log_of(recording)
    write(log, payload, text=text, error=text)
    segment = schema.traces_of(Folder(folder).table())
    recording.close()
    part = schema.traces_of(Folder(folder).table())
    return [*segment, *part, *schema.traces_of(recording.store.table())]


def clean(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


@settings(deadline=None)
@given(JSON, ANY_TEXT)
def test_any_payload_and_text_survive_journal_part_and_store(
    tmp_path_factory: pytest.TempPathFactory, payload: Any, text: str
) -> None:
    for trace in through_everything(payload, text, tmp_path_factory.mktemp("r")):
        assert json.loads(trace.payload) == payload
        assert (trace.text, trace.error) == (clean(text), clean(text))


@pytest.mark.parametrize(
    "text",
    [
        "\0",
        "\ud800",
        "é\u202e\u05e2\u05d1\u05e8\u05d9\u05ea 漢字 🎉👩\u200d👩\u200d👧",
        "\r\n\x85\u2028",
        '","payload":',
        "x" * (1 << 20),
        "😀" * (1 << 18),
        "",
    ],
    ids=["NUL", "half", "scripts", "lines", "mark", "1 MiB", "emoji", "empty"],
)
def test_difficult_texts_survive_journal_part_and_store(text: str, tmp_path: Path) -> None:
    for trace in through_everything({"message": text, text[:9]: [text]}, text, tmp_path):
        assert json.loads(trace.payload)["message"] == text
        assert (trace.text, trace.error) == (clean(text), clean(text))


@pytest.mark.parametrize("payload", [2**70, -(2**63) - 1, [float("nan"), 2**70], {"a": float("inf")}])
def test_numbers_that_json_cannot_represent_do_not_damage_lines(payload: Any, tmp_path: Path) -> None:
    recording = Recorder(RUN, tmp_path)
    log, _ = log_of(recording)
    for content in (1, payload, 3):
        write(log, content)
    assert seqs(tmp_path) == [0, 1, 2]
    recording.close()
    assert seqs(tmp_path) == [0, 1, 2]


def test_a_payload_that_is_nested_too_deeply_is_replaced_by_a_notice(tmp_path: Path) -> None:
    deep: Any = "token=planted"
    for _ in range(100_000):
        deep = [deep]
    recording = Recorder(RUN, tmp_path)
    log, _ = log_of(recording)
    assert write(log, deep).payload == json.dumps(lines.NOT_JSON)
    recording.close()
    assert seqs(tmp_path) == [0]


# Damage


def test_a_part_with_a_flipped_bit_is_refused_or_read_unchanged(recording: Recorder, tmp_path: Path) -> None:
    log, _ = log_of(recording)
    chance = random.Random(4)  # noqa: S311
    for n in range(50):
        write(log, {"n": n, "message": chance.randbytes(100).hex()})  # cannot be compressed: zstd would not notice
    recording.close()
    (part,) = (tmp_path / "r").glob("*.parquet")
    original, rows = part.read_bytes(), Folder(tmp_path / "r").table().to_pylist()
    for _ in range(200):
        place = chance.randrange(len(original))
        flipped = original[place] ^ 1 << chance.randrange(8)
        part.write_bytes(original[:place] + bytes([flipped]) + original[place + 1 :])
        try:
            frame = traces_df([Folder(tmp_path / "r")])
        except RecordingError:
            continue
        if len(frame) == len(rows):
            assert frame["payload"].tolist() == [row["payload"] for row in rows]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path.write_bytes(b"PAR1 and nothing else"), "is not a part of a recording, or is damaged"),
        (lambda path: pq.write_table(pa.table({"a": [1]}), path), "its metadata contains no version of the schema"),
        (
            lambda path: pq.write_table(pa.table({"a": [1]}).replace_schema_metadata({parts.VERSION_KEY: "1"}), path),
            "it has no column 'recording'",
        ),
    ],
)
def test_a_file_that_is_not_a_part_is_named_in_the_error(
    make: Callable[[Path], None], message: str, tmp_path: Path
) -> None:
    make(tmp_path / f"{RUN}-00000.parquet")
    with pytest.raises(RecordingError, match=message):
        Folder(tmp_path).table()

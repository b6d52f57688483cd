"""Recordings on disk: list, open, export, import and delete them."""

import base64
import datetime as dt
import errno
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import socketnb as snb
from socketnb.errors import RecordingError, SettingsError
from socketnb.flows.flow import Flow
from socketnb.hub import Hub
from socketnb.model.trace import SCHEMA

DTYPES = {name: column.dtype for name, column in SCHEMA.items()}
SAME: Callable[..., None] = pd.testing.assert_frame_equal


@pytest.fixture
def used(hub: Hub, flow: Flow, home: Path) -> Hub:
    bot = hub.connect("voiceflow", name="bot", simulate=True, flow=flow)
    bot.launch()
    bot.press("Order")
    hub.connect("eusate", name="help", simulate=True, flow=flow).say("1 + 1")
    return hub


@pytest.fixture
def traces(used: Hub) -> pd.DataFrame:
    return used.traces_df()


# List and open


def test_recordings_are_listed_with_their_time_platforms_and_size(used: Hub) -> None:
    (row,) = snb.recordings().to_dict("records")
    assert row["state"] == "recording"
    used.close()
    (row,) = snb.recordings().to_dict("records")
    assert (row["platforms"], row["sessions"], row["state"]) == ("eusate, voiceflow", 2, "closed")
    assert row["rows"] == len(used.traces_df()) == len(snb.open_recording(row["recording"]))
    assert abs(row["when"] - pd.Timestamp.now("UTC")) < pd.Timedelta("5min")
    assert row["bytes"] == sum(file.stat().st_size for file in snb.open_recording(row["recording"]).path.iterdir())


def test_an_empty_list_of_recordings_has_the_same_columns(used: Hub, monkeypatch: Any, tmp_path: Path) -> None:
    some = snb.recordings().dtypes
    monkeypatch.setenv("SOCKETNB_HOME", str(tmp_path / "nothing"))
    assert snb.recordings().empty
    assert snb.recordings().dtypes.equals(some)


def test_an_opened_recording_has_the_same_frames_as_the_kernel_that_writes_it(used: Hub) -> None:
    recording = snb.open_recording(snb.recordings()["recording"][0])
    assert recording.live
    SAME(recording.traces_df(), used.traces_df())
    SAME(recording.turns_df(), used.turns_df())
    SAME(recording.messages_df(session="bot"), used.messages_df(session="bot"))
    SAME(recording.sessions_df(), used.sessions_df())
    before = recording.traces_df()
    used.session("bot").press("S")
    new = recording.traces_df(since=before)
    of_bot = [frame.query("session == 'bot'")["seq"] for frame in (before, new)]
    assert of_bot[1].iloc[0] == of_bot[0].iloc[-1] + 1
    used.close()
    assert not recording.live
    SAME(recording.traces_df(), used.traces_df())
    assert repr(recording) == f"<recording {recording.name!r}: {len(recording):,} traces>"


def test_a_recording_is_opened_by_its_folder_and_an_unknown_name_lists_those_that_exist(
    used: Hub, tmp_path: Path
) -> None:
    folder = used.recording()
    assert folder
    assert snb.open_recording(folder).name == snb.open_recording(str(folder)).name == folder.name
    with pytest.raises(RecordingError, match=f"unknown recording 'x'; available: {folder.name}"):
        snb.open_recording("x")
    with pytest.raises(RecordingError, match="no Parquet or JSON lines files"):
        snb.open_recording(tmp_path)
    for wrong in ("", 7, None, "a\0b", "~nobody-of-this-name/x"):
        with pytest.raises(SettingsError, match="must be given by its name or path"):
            snb.open_recording(wrong)  # type: ignore[arg-type]


def test_a_damaged_recording_is_listed_with_its_problem(used: Hub) -> None:
    folder = used.recording()
    assert folder
    used.close()
    (part,) = folder.glob("*.parquet")
    part.write_bytes(part.read_bytes()[:-9])
    (row,) = snb.recordings().to_dict("records")
    assert "is damaged" in row["state"]


def test_the_recording_of_a_killed_kernel_is_listed_as_cut_short(home: Path) -> None:
    code = (
        "import os, socketnb as snb\n"
        "snb.connect('voiceflow', simulate=True).say('hours')\n"
        "folder = snb.open_recording(snb.recordings()['recording'][0]).path\n"
        "next(folder.glob('*.jsonl')).open('a').write('{\"record')\n"
        "os._exit(9)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 9
    assert list(snb.recordings()["state"]) == ["cut short, 1 torn"]
    assert list(snb.open_recording(snb.recordings()["recording"][0]).turns_df()["status"]) == ["completed"]


# Delete


def test_deleting_a_recording_keeps_other_files_and_is_refused_while_it_is_written(used: Hub) -> None:
    folder = used.recording()
    assert folder
    recording = snb.open_recording(folder)
    for live in (recording, snb.open_recording(next(folder.glob("_*.jsonl")))):
        with pytest.raises(RecordingError, match="a kernel is recording into"):
            live.delete()
    used.close()
    others = {"notes.txt", "sales.parquet", "_mine.jsonl", "sales-00001.parquet"}
    for name in others:
        (folder / name).write_text("other")
    (folder / f".{folder.name}-00007.parquet.new").write_text("as after a kill during sealing")
    assert len(recording) > 0
    recording.delete()
    assert {file.name for file in folder.iterdir()} == others
    with pytest.raises(RecordingError, match="no Parquet or JSON lines files"):
        snb.open_recording(folder)
    shutil.rmtree(folder)
    with pytest.raises(RecordingError, match="no longer exists"):
        recording.traces_df()
    assert "no longer exists" in repr(recording)


def test_other_files_among_recordings_are_ignored(used: Hub, home: Path) -> None:
    (home / "recordings" / ".ipynb_checkpoints").mkdir()
    folder = used.recording()
    assert folder
    (folder / "x.parquet").mkdir()
    (folder / "_x.jsonl").symlink_to("nowhere")
    assert list(snb.recordings()["recording"]) == [folder.name]
    assert len(snb.open_recording(folder).traces_df()) == len(used.traces_df())


def test_old_recordings_are_pruned_and_listed(used: Hub) -> None:
    folder = used.recording()
    assert folder
    assert snb.prune("1 day").empty
    long_ago = (dt.datetime.now(dt.UTC) - dt.timedelta(days=40)).timestamp()
    for file in folder.iterdir():
        os.utime(file, (long_ago, long_ago))
    assert snb.prune("30 days").empty, "it is being recorded"
    used.close()
    (folder / ".lock").touch()
    assert snb.prune("30 days").empty, "it was written recently"
    for file in folder.iterdir():
        os.utime(file, (long_ago, long_ago))
    assert list(snb.prune(dt.timedelta(days=30))["recording"]) == [folder.name]
    assert not folder.exists()


@pytest.mark.parametrize("wrong", ["", "soon", "30", "+30", "30,", 30, None, "-1 day", "0s", dt.timedelta(0)])
def test_an_invalid_age_deletes_nothing(wrong: Any) -> None:
    with pytest.raises(SettingsError, match='older_than must be a duration such as "30 days"'):
        snb.prune(wrong)


# Export and import


def test_traces_are_the_same_after_export_to_parquet_and_lines(traces: pd.DataFrame, tmp_path: Path) -> None:
    traces.chat.to_parquet(tmp_path / "a.parquet")
    traces.chat.to_jsonl(str(tmp_path / "a.jsonl"))
    SAME(snb.open_recording(tmp_path / "a.parquet").traces_df(), traces)
    SAME(snb.open_recording(tmp_path / "a.jsonl").traces_df(), traces)
    SAME(snb.from_jsonl(tmp_path / "a.jsonl"), traces)
    lines = (tmp_path / "a.jsonl").read_text().splitlines()
    assert len(lines) == len(traces)
    assert list(json.loads(lines[0])) == ["v", *SCHEMA]


def test_any_part_of_a_frame_and_an_empty_one_can_be_exported_and_read(traces: pd.DataFrame, tmp_path: Path) -> None:
    for part in (traces[traces["turn"] == 1], traces[:0], pd.concat([traces[5:], traces[:5]])):
        part.chat.to_parquet(tmp_path / "a.parquet")
        part.chat.to_jsonl(tmp_path / "a.jsonl")
        for back in (snb.open_recording(tmp_path / "a.parquet").traces_df(), snb.from_jsonl(tmp_path / "a.jsonl")):
            assert back["payload"].tolist() == part["payload"].tolist()
            assert {name: str(dtype) for name, dtype in back.dtypes.items()} == DTYPES


def test_lines_written_by_another_tool_are_read(traces: pd.DataFrame, tmp_path: Path) -> None:
    traces.chat.to_jsonl(tmp_path / "a.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    sorted_rows = "\r\n".join(json.dumps(row, sort_keys=True) for row in rows)
    (tmp_path / "b.jsonl").write_text("\ufeff" + sorted_rows + "\n\n", encoding="utf-8")
    back = snb.from_jsonl(tmp_path / "b.jsonl")
    SAME(back.drop(columns="payload"), traces.drop(columns="payload"))
    assert [json.loads(p) for p in back["payload"]] == [json.loads(p) for p in traces["payload"]]


LINE = json.dumps(dict.fromkeys(SCHEMA, "x") | dict.fromkeys(("link", "turn", "observed_at", "server_at", "bytes"), 1))
LINE = LINE.replace('"seq": "x"', '"seq": %s').replace('"elapsed_ms": "x"', '"elapsed_ms": 1').replace(
    '"final": "x"', '"final": true'
) + "\n"  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (LINE % '"abc"', "has a line that is not a trace"),
        (LINE % "null", "a line that is not a trace: it has no 'seq'"),
        (LINE % "9e99", "has a line that is not a trace"),
        (
            LINE.replace('"payload": "x"', '"payload": ' + "[" * 2_000 + "]" * 2_000) % 1,
            "line 1 of a.jsonl is not a trace",
        ),
        ('{"a": 1}\n', "it has no 'recording'"),
        ("not json\n", "line 1 of a.jsonl is not a trace"),
        ("[1]\n", "line 1 of a.jsonl is not a trace"),
        ("{}\n", "it has no 'recording'"),
    ],
)
def test_a_file_without_traces_is_named_in_the_error(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(text)
    with pytest.raises(RecordingError, match=message):
        snb.from_jsonl(tmp_path / "a.jsonl")
    if "{" not in text:
        with pytest.raises(RecordingError, match=r"a\.jsonl contains no trace"):
            snb.open_recording(tmp_path / "a.jsonl").traces_df()
    with pytest.raises(RecordingError, match="cannot be read: No such file"):
        snb.from_jsonl(tmp_path / "none.jsonl")


def test_exporting_a_frame_that_is_not_of_traces_names_the_missing_or_extra_column(
    traces: pd.DataFrame, tmp_path: Path
) -> None:
    for write in ("to_parquet", "to_jsonl", "to_duckdb"):
        with pytest.raises(SettingsError, match="the frame lacks the columns seq, payload"):
            getattr(traces.drop(columns=["seq", "payload"]).chat, write)(tmp_path / "a")
        with pytest.raises(SettingsError, match="unknown column 'mine'"):
            getattr(traces.assign(mine=1).chat, write)(tmp_path / "a")
        with pytest.raises(SettingsError, match="values that are not from traces_df"):
            getattr(traces.assign(seq="x").chat, write)(tmp_path / "a")
        with pytest.raises(RecordingError, match="cannot be written"):
            getattr(traces.chat, write)(tmp_path / "no" / "folder" / "a")
    assert not list(tmp_path.glob("a*"))


def test_duckdb_gets_a_new_table_and_keeps_existing_ones(traces: pd.DataFrame, tmp_path: Path) -> None:
    duckdb = pytest.importorskip("duckdb")
    traces.chat.to_duckdb(tmp_path / "a.duckdb")
    traces[:3].chat.to_duckdb(tmp_path / "a.duckdb", table='odd "name"')
    with pytest.raises(RecordingError, match="already has a table 'traces'"):
        traces.chat.to_duckdb(tmp_path / "a.duckdb")
    with duckdb.connect(str(tmp_path / "a.duckdb")) as connection:
        rows = connection.sql("from traces order by rowid").to_arrow_table()
        assert connection.execute('select count(*) from "odd ""name"""').fetchone() == (3,)
    for name in ("seq", "payload", "session", "server_at"):
        assert rows[name].to_pandas().tolist() == traces[name].tolist()
    assert (rows["observed_at"].to_pandas() == traces["observed_at"]).all()
    assert rows["elapsed_ms"].null_count == traces["elapsed_ms"].isna().sum(), (
        "missing, not NaN, which SQL would calculate with"
    )


# Parts read by other tools


@pytest.fixture
def folder(used: Hub, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a running kernel's recording, with two parts and a segment."""
    monkeypatch.setattr("socketnb.recording.recorder.PART_ROWS", 20)
    recorder = used.recorders.get(record=True)
    for _ in range(2):
        start = recorder._start
        while recorder._start == start:
            used.session("bot").say("more")
    assert recorder._sealer
    recorder._sealer.submit(int).result()
    assert recorder.folder
    assert len(list(recorder.folder.glob("*.parquet"))) == 2
    return recorder.folder


def test_pandas_reads_the_folder(folder: Path, used: Hub) -> None:
    found = pd.read_parquet(folder)
    assert found["payload"].tolist() == used.traces_df()["payload"][: len(found)].tolist()
    assert str(found["observed_at"].dt.tz) == "UTC"
    assert found["kind"].dtype == "category"


def test_duckdb_reads_parts_and_lines(folder: Path, used: Hub) -> None:
    duckdb = pytest.importorskip("duckdb")
    parts = duckdb.read_parquet(f"{folder}/*.parquet").select("session, seq, payload").fetchall()
    lines = duckdb.read_json(f"{folder}/_*.jsonl").select("session, seq").fetchall()
    traces = used.traces_df()
    assert [row[:2] for row in parts] == list(zip(traces["session"], traces["seq"], strict=True))[: len(parts)]
    assert [row[2] for row in parts] == traces["payload"][: len(parts)].tolist()
    assert {row[1] for row in lines} <= set(traces["seq"])


def test_polars_reads_the_parts(folder: Path, used: Hub) -> None:
    polars = pytest.importorskip("polars")
    found = polars.read_parquet(folder / "*.parquet")
    assert found["payload"].to_list() == used.traces_df()["payload"][: len(found)].tolist()
    assert found["observed_at"].dtype == polars.Datetime("ns", "UTC")


@pytest.mark.filterwarnings("ignore:The inplace keyword")  # Dask's own use of pandas
def test_dask_reads_the_folder(folder: Path, used: Hub) -> None:
    dask = pytest.importorskip("dask.dataframe")
    found = dask.read_parquet(folder).compute()
    assert found["payload"].tolist() == used.traces_df()["payload"][: len(found)].tolist()


# A saved transcript of Voiceflow

ACTIONS = [
    {"type": "launch"},
    {"type": "text", "payload": "where is my order?"},
    {"type": "path-1", "payload": {"label": "Track"}},
]
REPLIES = [
    [{"type": "text", "payload": {"message": "Hi!", "slate": {}}}],
    [
        {"type": "block", "payload": {"blockID": "b1"}},
        {"type": "choice", "payload": {"buttons": [{"name": "Track", "request": {"type": "path-1"}}]}},
    ],
    [{"type": "text", "payload": {"message": "On its way."}}, {"type": "end"}],
]


def logs(encode: Callable[[Any], Any]) -> list[dict[str, Any]]:
    """Return the logs of a transcript with a turn every 10 s and a trace every 250 ms."""
    found = []
    for n, (action, traces) in enumerate(zip(ACTIONS, REPLIES, strict=True)):
        for place, (kind, data) in enumerate([("action", action), *(("trace", trace) for trace in traces)]):
            when = dt.datetime(2026, 3, 1, 12, 0, 10 * n, 250_000 * place, tzinfo=dt.UTC)
            created = when.isoformat(timespec="milliseconds").replace("+00:00", "Z")
            found.append({"type": kind, "data": encode(data), "createdAt": created, "updatedAt": created})
    return found


def old_format() -> list[dict[str, Any]]:
    """Return the same transcript in the format of the older API call."""
    formats = {"launch": "launch", "text": "request", "path-1": "request"}
    return [
        {
            "turnID": str(n),
            "format": "trace" if log["type"] == "trace" else formats[log["data"]["type"]],
            "type": log["data"]["type"],
            "payload": log["data"],
            "startTime": log["createdAt"],
        }
        for n, log in enumerate(logs(lambda data: data))
    ]


def encoded(data: Any) -> str:
    return base64.b64encode(json.dumps(data).encode()).decode()


SAVED = [
    {"transcript": {"id": "t1", "sessionID": "s", "logs": logs(lambda data: data)}},
    {"id": "t1", "logs": logs(json.dumps)},
    {"transcript": {"id": "t1", "logs": logs(encoded)}},
    old_format(),
]


@pytest.mark.parametrize("saved", SAVED, ids=["objects", "json", "encoded", "old format"])
def test_a_saved_transcript_of_voiceflow_becomes_traces(saved: Any, tmp_path: Path) -> None:
    (tmp_path / "saved.json").write_text(json.dumps(saved))
    traces = snb.from_voiceflow(tmp_path / "saved.json")
    SAME(snb.from_voiceflow(saved), traces)
    assert {name: str(dtype) for name, dtype in traces.dtypes.items()} == DTYPES
    turns = traces.chat.turns()
    assert turns["action"].tolist() == ["launch", "text", "press"]
    assert turns["user_text"].tolist()[1:] == ["where is my order?", "Track"]
    assert turns["reply_text"].tolist() == ["Hi!", "", "On its way."]
    assert turns["choices"].tolist()[1] == "Track"
    assert turns["first_ms"].tolist() == [250.0, 500.0, 250.0]
    assert turns["status"].tolist() == ["completed"] * 3
    assert traces["observed_at"].iloc[0] == pd.Timestamp("2026-03-01T12:00:00Z")
    assert "On its way." in traces.chat.transcript()
    traces.chat.to_parquet(tmp_path / "a.parquet")
    SAME(snb.open_recording(tmp_path / "a.parquet").traces_df(), traces)


@pytest.mark.parametrize("wrong", [{}, {"logs": 7}, [1], {"transcript": {"logs": ["x"]}}, {"transcript": 3}])
def test_something_that_is_not_a_transcript_is_refused(wrong: Any, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="must be a Voiceflow transcript"):
        snb.from_voiceflow(wrong)
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(RecordingError, match="a.json is not JSON"):
        snb.from_voiceflow(tmp_path / "a.json")


def test_a_transcript_with_odd_values_is_read() -> None:
    deep = "[" * 100_000 + "]" * 100_000
    logs = [{"type": "action", "data": deep, "createdAt": when} for when in ("9999-12-31T00:00:00Z", "0001-01-01", "x")]
    traces = snb.from_voiceflow({"id": "\ud800", "logs": logs})
    assert traces["server_at"].isna().all()
    assert traces["session"].iloc[0] == "?"


def test_an_imported_frame_has_the_accessor_in_a_new_kernel() -> None:
    code = "import socketnb as snb; print(len(snb.from_voiceflow({'logs': []}).chat.turns()))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "0\n"


@pytest.mark.parametrize("wrong", [None, "", "a\0b", "~nobody-of-this-name/x", 7])
def test_an_invalid_path_is_refused_in_one_sentence(wrong: Any, traces: pd.DataFrame, hub: Hub) -> None:
    calls: list[Callable[[Any], Any]] = [
        snb.from_jsonl,
        *(getattr(traces.chat, f"to_{format_}") for format_ in FORMATS),
    ]
    for call in calls:
        with pytest.raises(SettingsError, match="must be a path, got"):
            call(wrong)
    if wrong is not None:
        with pytest.raises(SettingsError, match="record must be True, False or a folder, got"):
            hub.connect("voiceflow", simulate=True, record=wrong)


FORMATS = ("parquet", "jsonl", "duckdb")


def test_a_long_transcript_leaves_no_thread_behind() -> None:
    before = threading.active_count()
    traces = snb.from_voiceflow({"logs": [{"type": "trace", "data": {"type": "text"}}] * 5_000})
    assert len(traces) == 5_000
    assert threading.active_count() == before


def test_a_segment_that_cannot_be_read_is_reported_in_one_sentence(used: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path) -> bytes:
        raise PermissionError(errno.EACCES, "Permission denied")

    folder = used.recording()
    assert folder
    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(RecordingError, match="cannot be read: Permission denied"):
        snb.open_recording(folder).traces_df()


def test_unknown_logs_of_a_transcript_are_kept() -> None:
    strange = [
        {"type": "debug", "data": {"x": 1}},
        {"type": "trace", "data": "?"},
        {"type": "action", "data": None},
        {},
    ]
    traces = snb.from_voiceflow({"logs": strange})
    assert traces["kind"].tolist() == ["custom", "custom", "action", "custom", "status"]
    assert [json.loads(p) for p in traces["payload"][:2]] == strange[:2]

"""Recordings on disk: found, opened, exported, brought in, deleted."""

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
from socketnb.model.trace import COLUMNS

SAME: Callable[..., None] = pd.testing.assert_frame_equal


@pytest.fixture
def talked(hub: Hub, flow: Flow, home: Path) -> Hub:
    bot = hub.connect("voiceflow", name="bot", simulate=True, flow=flow)
    bot.launch()
    bot.press("Order")
    hub.connect("eusate", name="help", simulate=True, flow=flow).say("1 + 1")
    return hub


@pytest.fixture
def traces(talked: Hub) -> pd.DataFrame:
    return talked.traces_df()


# Found and opened


def test_recordings_are_listed_with_when_what_and_how_much(talked: Hub) -> None:
    (row,) = snb.recordings().to_dict("records")
    assert row["state"] == "recording"
    talked.close()
    (row,) = snb.recordings().to_dict("records")
    assert (row["platforms"], row["sessions"], row["state"]) == ("eusate, voiceflow", 2, "closed")
    assert row["rows"] == len(talked.traces_df()) == len(snb.open_recording(row["recording"]))
    assert abs(row["when"] - pd.Timestamp.now("UTC")) < pd.Timedelta("5min")
    assert row["bytes"] == sum(file.stat().st_size for file in snb.open_recording(row["recording"]).path.iterdir())


def test_the_list_has_the_same_columns_when_nothing_is_recorded(talked: Hub, monkeypatch: Any, tmp_path: Path) -> None:
    some = snb.recordings().dtypes
    monkeypatch.setenv("SOCKETNB_HOME", str(tmp_path / "nothing"))
    assert snb.recordings().empty
    assert snb.recordings().dtypes.equals(some)


def test_an_opened_recording_has_the_same_frames_as_the_kernel_also_while_it_is_written(talked: Hub) -> None:
    recording = snb.open_recording(snb.recordings()["recording"][0])
    assert recording.live
    SAME(recording.traces_df(), talked.traces_df())
    SAME(recording.turns_df(), talked.turns_df())
    SAME(recording.messages_df(session="bot"), talked.messages_df(session="bot"))
    SAME(recording.sessions_df(), talked.sessions_df())
    before = recording.traces_df()
    talked.session("bot").press("S")
    new = recording.traces_df(since=before)
    of_bot = [frame.query("session == 'bot'")["seq"] for frame in (before, new)]
    assert of_bot[1].iloc[0] == of_bot[0].iloc[-1] + 1
    talked.close()
    assert not recording.live
    SAME(recording.traces_df(), talked.traces_df())
    assert repr(recording) == f"<recording {recording.name!r}: {len(recording):,} traces>"


def test_a_recording_is_opened_by_its_folder_too_and_a_wrong_name_says_which_exist(talked: Hub, tmp_path: Path) -> None:
    folder = talked.recording()
    assert folder
    assert snb.open_recording(folder).name == snb.open_recording(str(folder)).name == folder.name
    with pytest.raises(RecordingError, match=f"unknown recording 'x'; available: {folder.name}"):
        snb.open_recording("x")
    with pytest.raises(RecordingError, match="neither parts nor lines"):
        snb.open_recording(tmp_path)
    for wrong in ("", 7, None, "a\0b", "~nobody-of-this-name/x"):
        with pytest.raises(SettingsError, match="by its name or its path"):
            snb.open_recording(wrong)  # type: ignore[arg-type]


def test_a_recording_that_is_damaged_is_listed_with_what_is_wrong(talked: Hub) -> None:
    folder = talked.recording()
    assert folder
    talked.close()
    (part,) = folder.glob("*.parquet")
    part.write_bytes(part.read_bytes()[:-9])
    (row,) = snb.recordings().to_dict("records")
    assert "is damaged" in row["state"]


def test_a_recording_of_a_killed_kernel_says_so(home: Path) -> None:
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


# Deleted


def test_a_recording_is_deleted_but_not_while_it_is_written_nor_what_else_lies_there(talked: Hub) -> None:
    folder = talked.recording()
    assert folder
    recording = snb.open_recording(folder)
    for live in (recording, snb.open_recording(next(folder.glob("_*.jsonl")))):
        with pytest.raises(RecordingError, match="a kernel records into"):
            live.delete()
    talked.close()
    mine = {"notes.txt", "sales.parquet", "_mine.jsonl", "sales-00001.parquet"}
    for name in mine:
        (folder / name).write_text("mine")
    (folder / f".{folder.name}-00007.parquet.new").write_text("as a kernel leaves it that is killed while it seals")
    assert len(recording) > 0
    recording.delete()
    assert {file.name for file in folder.iterdir()} == mine
    with pytest.raises(RecordingError, match="neither parts nor lines"):
        snb.open_recording(folder)
    shutil.rmtree(folder)
    with pytest.raises(RecordingError, match="no longer exists"):
        recording.traces_df()
    assert "no longer exists" in repr(recording)


def test_what_else_lies_among_recordings_is_passed_over(talked: Hub, home: Path) -> None:
    (home / "recordings" / ".ipynb_checkpoints").mkdir()
    folder = talked.recording()
    assert folder
    (folder / "x.parquet").mkdir()
    (folder / "_x.jsonl").symlink_to("nowhere")
    assert list(snb.recordings()["recording"]) == [folder.name]
    assert len(snb.open_recording(folder).traces_df()) == len(talked.traces_df())


def test_old_recordings_are_pruned_and_told(talked: Hub) -> None:
    folder = talked.recording()
    assert folder
    assert snb.prune("1 day").empty
    long_ago = (dt.datetime.now(dt.UTC) - dt.timedelta(days=40)).timestamp()
    for file in folder.iterdir():
        os.utime(file, (long_ago, long_ago))
    assert snb.prune("30 days").empty, "it is being written"
    talked.close()
    for file in folder.iterdir():
        os.utime(file, (long_ago, long_ago))
    assert list(snb.prune(dt.timedelta(days=30))["recording"]) == [folder.name]
    assert not folder.exists()


@pytest.mark.parametrize("wrong", ["", "soon", "30", "+30", "30,", 30, None, "-1 day", "0s", dt.timedelta(0)])
def test_an_age_that_is_none_deletes_nothing(wrong: Any) -> None:
    with pytest.raises(SettingsError, match='older_than must be a duration such as "30 days"'):
        snb.prune(wrong)


# Out and in


def test_traces_come_back_from_parquet_and_lines_as_they_were(traces: pd.DataFrame, tmp_path: Path) -> None:
    traces.chat.to_parquet(tmp_path / "a.parquet")
    traces.chat.to_jsonl(str(tmp_path / "a.jsonl"))
    SAME(snb.open_recording(tmp_path / "a.parquet").traces_df(), traces)
    SAME(snb.open_recording(tmp_path / "a.jsonl").traces_df(), traces)
    SAME(snb.from_jsonl(tmp_path / "a.jsonl"), traces)
    lines = (tmp_path / "a.jsonl").read_text().splitlines()
    assert len(lines) == len(traces)
    assert list(json.loads(lines[0])) == ["v", *COLUMNS]


def test_any_part_of_a_frame_and_an_empty_one_go_out_and_in(traces: pd.DataFrame, tmp_path: Path) -> None:
    for part in (traces[traces["turn"] == 1], traces[:0], pd.concat([traces[5:], traces[:5]])):
        part.chat.to_parquet(tmp_path / "a.parquet")
        part.chat.to_jsonl(tmp_path / "a.jsonl")
        for back in (snb.open_recording(tmp_path / "a.parquet").traces_df(), snb.from_jsonl(tmp_path / "a.jsonl")):
            assert back["payload"].tolist() == part["payload"].tolist()
            assert {name: str(dtype) for name, dtype in back.dtypes.items()} == COLUMNS


def test_lines_that_another_tool_has_written_are_read(traces: pd.DataFrame, tmp_path: Path) -> None:
    traces.chat.to_jsonl(tmp_path / "a.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    sorted_rows = "\r\n".join(json.dumps(row, sort_keys=True) for row in rows)
    (tmp_path / "b.jsonl").write_text("\ufeff" + sorted_rows + "\n\n", encoding="utf-8")
    back = snb.from_jsonl(tmp_path / "b.jsonl")
    SAME(back.drop(columns="payload"), traces.drop(columns="payload"))
    assert [json.loads(p) for p in back["payload"]] == [json.loads(p) for p in traces["payload"]]


LINE = json.dumps(dict.fromkeys(COLUMNS, "x") | dict.fromkeys(("link", "turn", "observed_at", "server_at", "bytes"), 1))
LINE = LINE.replace('"seq": "x"', '"seq": %s').replace('"elapsed_ms": "x"', '"elapsed_ms": 1').replace(
    '"final": "x"', '"final": true'
) + "\n"  # fmt: skip


@pytest.mark.parametrize(
    ("text", "says"),
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
def test_a_file_that_has_no_traces_is_named(text: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(text)
    with pytest.raises(RecordingError, match=says):
        snb.from_jsonl(tmp_path / "a.jsonl")
    if "{" not in text:
        with pytest.raises(RecordingError, match=r"a\.jsonl has no line that is a trace"):
            snb.open_recording(tmp_path / "a.jsonl").traces_df()
    with pytest.raises(RecordingError, match="cannot be read: No such file"):
        snb.from_jsonl(tmp_path / "none.jsonl")


def test_a_frame_that_is_not_of_traces_says_what_it_misses_or_has_too_much(
    traces: pd.DataFrame, tmp_path: Path
) -> None:
    for write in ("to_parquet", "to_jsonl", "to_duckdb"):
        with pytest.raises(SettingsError, match="the frame lacks the columns seq, payload"):
            getattr(traces.drop(columns=["seq", "payload"]).chat, write)(tmp_path / "a")
        with pytest.raises(SettingsError, match="a trace has no column 'mine'"):
            getattr(traces.assign(mine=1).chat, write)(tmp_path / "a")
        with pytest.raises(SettingsError, match="values are not those of traces_df"):
            getattr(traces.assign(seq="x").chat, write)(tmp_path / "a")
        with pytest.raises(RecordingError, match="cannot be written"):
            getattr(traces.chat, write)(tmp_path / "no" / "folder" / "a")
    assert not list(tmp_path.glob("a*"))


def test_duckdb_gets_a_table_and_keeps_one_that_is_there(traces: pd.DataFrame, tmp_path: Path) -> None:
    duckdb = pytest.importorskip("duckdb")
    traces.chat.to_duckdb(tmp_path / "a.duckdb")
    traces[:3].chat.to_duckdb(tmp_path / "a.duckdb", table='odd "name"')
    with pytest.raises(RecordingError, match="has a table 'traces' already"):
        traces.chat.to_duckdb(tmp_path / "a.duckdb")
    with duckdb.connect(str(tmp_path / "a.duckdb")) as connection:
        rows = connection.sql("from traces order by rowid").to_arrow_table()
        assert connection.execute('select count(*) from "odd ""name"""').fetchone() == (3,)
    for name in ("seq", "payload", "session", "server_at"):
        assert rows[name].to_pandas().tolist() == traces[name].tolist()
    assert (rows["observed_at"].to_pandas() == traces["observed_at"]).all()
    assert rows["elapsed_ms"].null_count == traces["elapsed_ms"].isna().sum(), "no NaN that SQL would count with"


# Parts as other tools read them


@pytest.fixture
def folder(talked: Hub, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A recording of two parts and a segment, as of a kernel that still runs."""
    monkeypatch.setattr("socketnb.recording.recorder.PART_ROWS", 20)
    recorder = talked._current[True]
    for _ in range(2):
        begun = recorder._start
        while recorder._start == begun:
            talked.session("bot").say("more")
    assert recorder._sealer
    recorder._sealer.submit(int).result()
    assert recorder.folder
    assert len(list(recorder.folder.glob("*.parquet"))) == 2
    return recorder.folder


def test_pandas_reads_the_folder_as_it_is(folder: Path, talked: Hub) -> None:
    found = pd.read_parquet(folder)
    assert found["payload"].tolist() == talked.traces_df()["payload"][: len(found)].tolist()
    assert str(found["observed_at"].dt.tz) == "UTC"
    assert found["kind"].dtype == "category"


def test_duckdb_reads_parts_and_lines_as_they_are(folder: Path, talked: Hub) -> None:
    duckdb = pytest.importorskip("duckdb")
    parts = duckdb.read_parquet(f"{folder}/*.parquet").select("session, seq, payload").fetchall()
    lines = duckdb.read_json(f"{folder}/_*.jsonl").select("session, seq").fetchall()
    traces = talked.traces_df()
    assert [row[:2] for row in parts] == list(zip(traces["session"], traces["seq"], strict=True))[: len(parts)]
    assert [row[2] for row in parts] == traces["payload"][: len(parts)].tolist()
    assert {row[1] for row in lines} <= set(traces["seq"])


def test_polars_reads_the_parts_as_they_are(folder: Path, talked: Hub) -> None:
    polars = pytest.importorskip("polars")
    found = polars.read_parquet(folder / "*.parquet")
    assert found["payload"].to_list() == talked.traces_df()["payload"][: len(found)].tolist()
    assert found["observed_at"].dtype == polars.Datetime("ns", "UTC")


@pytest.mark.filterwarnings("ignore:The inplace keyword")  # Dask's own use of pandas
def test_dask_reads_the_folder_as_it_is(folder: Path, talked: Hub) -> None:
    dask = pytest.importorskip("dask.dataframe")
    found = dask.read_parquet(folder).compute()
    assert found["payload"].tolist() == talked.traces_df()["payload"][: len(found)].tolist()


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
    """Return the logs of a transcript: a turn begins every 10 s, a trace comes every 250 ms."""
    found = []
    for n, (action, traces) in enumerate(zip(ACTIONS, REPLIES, strict=True)):
        for place, (kind, data) in enumerate([("action", action), *(("trace", trace) for trace in traces)]):
            when = dt.datetime(2026, 3, 1, 12, 0, 10 * n, 250_000 * place, tzinfo=dt.UTC)
            created = when.isoformat(timespec="milliseconds").replace("+00:00", "Z")
            found.append({"type": kind, "data": encode(data), "createdAt": created, "updatedAt": created})
    return found


def dialog() -> list[dict[str, Any]]:
    """Return the same as the older call has it."""
    forms = {"launch": "launch", "text": "request", "path-1": "request"}
    return [
        {
            "turnID": str(n),
            "format": "trace" if log["type"] == "trace" else forms[log["data"]["type"]],
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
    dialog(),
]


@pytest.mark.parametrize("saved", SAVED, ids=["objects", "json", "encoded", "dialog"])
def test_a_saved_transcript_of_voiceflow_becomes_traces(saved: Any, tmp_path: Path) -> None:
    (tmp_path / "saved.json").write_text(json.dumps(saved))
    traces = snb.from_voiceflow(tmp_path / "saved.json")
    SAME(snb.from_voiceflow(saved), traces)
    assert {name: str(dtype) for name, dtype in traces.dtypes.items()} == COLUMNS
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
def test_what_is_no_transcript_is_told_so(wrong: Any, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="not a saved Voiceflow transcript"):
        snb.from_voiceflow(wrong)
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(RecordingError, match="a.json is not JSON"):
        snb.from_voiceflow(tmp_path / "a.json")


def test_a_transcript_may_say_odd_things() -> None:
    deep = "[" * 100_000 + "]" * 100_000
    logs = [{"type": "action", "data": deep, "createdAt": when} for when in ("9999-12-31T00:00:00Z", "0001-01-01", "x")]
    traces = snb.from_voiceflow({"id": "\ud800", "logs": logs})
    assert traces["server_at"].isna().all()
    assert traces["session"].iloc[0] == "?"


def test_a_frame_that_was_brought_in_has_the_accessor_in_a_new_kernel() -> None:
    code = "import socketnb as snb; print(len(snb.from_voiceflow({'logs': []}).chat.turns()))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "0\n"


@pytest.mark.parametrize("wrong", [None, "", "a\0b", "~nobody-of-this-name/x", 7])
def test_a_path_that_is_none_is_one_sentence(wrong: Any, traces: pd.DataFrame, hub: Hub) -> None:
    calls: list[Callable[[Any], Any]] = [snb.from_jsonl, *(getattr(traces.chat, f"to_{form}") for form in FORMS)]
    for call in calls:
        with pytest.raises(SettingsError, match="is a path, not"):
            call(wrong)
    if wrong is not None:
        with pytest.raises(SettingsError, match="record is True, False or a folder, not"):
            hub.connect("voiceflow", simulate=True, record=wrong)


FORMS = ("parquet", "jsonl", "duckdb")


def test_a_long_transcript_leaves_no_thread_behind() -> None:
    before = threading.active_count()
    traces = snb.from_voiceflow({"logs": [{"type": "trace", "data": {"type": "text"}}] * 5_000})
    assert len(traces) == 5_000
    assert threading.active_count() == before


def test_a_segment_that_cannot_be_read_is_one_sentence(talked: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(self: Path) -> bytes:
        raise PermissionError(errno.EACCES, "Permission denied")

    folder = talked.recording()
    assert folder
    monkeypatch.setattr(Path, "read_bytes", forbidden)
    with pytest.raises(RecordingError, match="cannot be read: Permission denied"):
        snb.open_recording(folder).traces_df()


def test_logs_that_nobody_knows_are_kept() -> None:
    strange = [
        {"type": "debug", "data": {"x": 1}},
        {"type": "trace", "data": "?"},
        {"type": "action", "data": None},
        {},
    ]
    traces = snb.from_voiceflow({"logs": strange})
    assert traces["kind"].tolist() == ["custom", "custom", "action", "custom", "status"]
    assert [json.loads(p) for p in traces["payload"][:2]] == strange[:2]

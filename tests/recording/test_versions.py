"""Versions of the schema: older recordings are migrated, newer ones are refused."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from socketnb.archive import open_recording
from socketnb.errors import RecordingError
from socketnb.frames.query import traces_df
from socketnb.model.effects import Record
from socketnb.model.trace import NO_TIME, SCHEMA, VERSION, Column, Trace
from socketnb.recording import lines, parts
from socketnb.recording.folder import Folder
from socketnb.recording.recorder import Recorder
from socketnb.recording.schema import TRACES, Schema

RUN = "2026-01-02T03-04-05-006-r"
STAMP = b'"v":%d' % VERSION
OBSERVED_AT = 1_700_000_000_000_000_000
VERSION_1 = (
    "recording platform session conversation seq link turn at server_at elapsed_ms direction event kind sender text "
    "node intent final error bytes payload"
).split()
"""The columns of version 1, in which `observed_at` was `at`."""
TOY = Schema(
    {
        **{name: column for name, column in SCHEMA.items() if name not in ("text", "payload")},
        "mood": Column("category", "A toy column with a default.", since=VERSION + 1, default="calm"),
        "score": Column("float64", "A toy column that is nullable.", nullable=True, since=VERSION + 1),
        "depth": Column("int32", "A toy column without a default.", since=VERSION + 1),
        "words": Column("string", "A renamed toy column.", nullable=True, since=VERSION + 1, formerly="text"),
        "payload": SCHEMA["payload"],
    }
)


def values(n: int) -> dict[str, Any]:
    """Return the values of a trace by their names in version 1."""
    trace = {
        "recording": RUN, "platform": "voiceflow", "session": "bot", "conversation": "c1", "seq": n, "link": 1,
        "turn": 2, "at": OBSERVED_AT + n, "server_at": OBSERVED_AT if n else None, "elapsed_ms": 7.5 if n else None,
        "direction": "in", "event": "action.trace", "kind": "text", "sender": "bot", "text": f"number {n}",
        "node": None, "intent": None, "final": False, "error": None, "bytes": 9, "payload": f'{{"n":  {n}}}',
    }  # fmt: skip
    assert list(trace) == VERSION_1
    return trace


def write_part_of_version_1(folder: Path, numbers: range) -> Path:
    """Write a part as the first version wrote it, without the current code."""
    category, time = pa.dictionary(pa.int32(), pa.string()), pa.timestamp("ns", tz="UTC")
    texts = dict.fromkeys(("text", "error", "payload"), pa.large_string())
    types = dict.fromkeys(("at", "server_at"), time) | dict.fromkeys(("link", "turn", "bytes"), pa.int32()) | texts
    types |= {"seq": pa.int64(), "elapsed_ms": pa.float64(), "final": pa.bool_()}
    columns = {name: [values(n)[name] for n in numbers] for name in VERSION_1}
    table = pa.table({name: pa.array(column, types.get(name, category)) for name, column in columns.items()})
    path = folder / f"{RUN}-00000.parquet"
    pq.write_table(table.replace_schema_metadata({b"socketnb.schema": b"1"}), path)
    return path


def lines_of_version_1(numbers: range) -> bytes:
    """Return lines as the first version wrote them, without the current code."""
    rows = [values(n) for n in numbers]
    return b"".join(
        (json.dumps({name: row[name] for name in VERSION_1[:-1]})[:-1] + f',"payload":{row["payload"]}}}\n').encode()
        for row in rows
    )


def rows_today(numbers: range) -> list[dict[str, Any]]:
    """Return the rows that the recordings of version 1 have today."""
    return TRACES.table([tuple(row.values()) for row in as_rows(numbers)]).to_pylist()


def as_rows(numbers: range) -> list[dict[str, Any]]:
    """Return the values of traces by their names today. Columns that version 1 did not have are blank."""
    names = {"at": "observed_at"}
    found = [{names.get(name, name): value for name, value in values(n).items()} for n in numbers]
    return [{name: row.get(name, column.blank) for name, column in SCHEMA.items()} for row in found]


def test_the_version_is_that_of_the_newest_column() -> None:
    assert VERSION == TRACES.version == max(column.since for column in SCHEMA.values()) >= 2
    assert TOY.version == VERSION + 1


def test_a_part_of_version_1_has_the_columns_of_today(tmp_path: Path) -> None:
    write_part_of_version_1(tmp_path, range(3))
    assert Folder(tmp_path).table().to_pylist() == rows_today(range(3))
    assert Folder(tmp_path).table().schema == TRACES.arrow
    assert Folder(tmp_path).table(1, ["observed_at", "seq"]).to_pylist() == [
        {"observed_at": row["observed_at"], "seq": row["seq"]} for row in rows_today(range(1, 3))
    ]
    assert open_recording(tmp_path).turns_df()["observed_at"].notna().all()


def test_lines_of_version_1_have_the_columns_of_today(tmp_path: Path) -> None:
    (tmp_path / f"_{RUN}-00000.jsonl").write_bytes(lines_of_version_1(range(3)))
    assert Folder(tmp_path).table().to_pylist() == rows_today(range(3))
    assert Folder(tmp_path).table(0, ["observed_at"]).column_names == ["observed_at"]
    assert Folder(tmp_path).table()["payload"][2].as_py() == '{"n":  2}', "the payload is not rewritten"


def test_a_recording_of_version_1_that_was_cut_short_gives_the_same_frame_as_a_new_one(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    for folder in (old, new):
        folder.mkdir()
    write_part_of_version_1(old, range(2))
    (old / f"_{RUN}-00001.jsonl").write_bytes(lines_of_version_1(range(2, 5)) + b'{"recording": "torn')
    recorder = Recorder(RUN, new)
    log = recorder.log("voiceflow", "bot", ())
    for n in range(5):
        row = values(n)
        shared = {name: row[name] for name in ("direction", "sender", "turn", "server_at", "text", "conversation")}
        record = Record(row["event"], row["kind"], {"n": n}, **shared)
        log.append(record, 1, row["at"], NO_TIME if row["elapsed_ms"] is None else row["elapsed_ms"])
    recorder.close()
    before, after = (traces_df([Folder(folder)]).drop(columns=["payload", "bytes"]) for folder in (old, new))
    assert before.astype(object).equals(after.astype(object))
    assert before.dtypes.equals(after.dtypes)
    assert Folder(old).rows() == 5


def test_a_line_begins_with_its_version_and_ends_with_its_payload(tmp_path: Path) -> None:
    recorder = Recorder(RUN, tmp_path)
    recorder.log("voiceflow", "bot", ()).append(Record("event", "custom", {"n": 1}), 1, OBSERVED_AT, NO_TIME)
    recorder.flush()
    (segment,) = tmp_path.glob("_*.jsonl")
    line = segment.read_text()
    recorder.close()
    assert line.startswith(f'{{"v":{VERSION},"recording":')
    assert line.endswith(',"payload":{"n":1}}\n')
    assert list(json.loads(line)) == ["v", *SCHEMA]


@pytest.mark.parametrize("version", [1, VERSION])
def test_a_new_column_has_its_default_in_an_older_part(version: int, tmp_path: Path) -> None:
    if version == 1:
        path = write_part_of_version_1(tmp_path, range(2))
    else:
        path = tmp_path / "a.parquet"
        parts.write_part(TRACES.table([Trace(**row) for row in as_rows(range(2))]), path)
    found = parts.read_part(path, schema=TOY)
    assert found.schema == TOY.arrow
    check_toy(found)
    alone = parts.read_part(path, ["mood", "depth"], TOY)
    assert alone.to_pylist() == [{"mood": "calm", "depth": 0}] * 2


@pytest.mark.parametrize("version", [1, VERSION])
def test_a_new_column_has_its_default_in_an_older_line(version: int) -> None:
    data = lines_of_version_1(range(2))
    if version == VERSION:
        data = b"".join(
            lines.line_of({name: value for name, value in row.items() if name != "payload"}, row["payload"].encode())
            for row in as_rows(range(2))
        )
    rows, torn = lines.read_lines(data, "a.jsonl", schema=TOY)
    assert torn == 0
    check_toy(TOY.checked_table(rows, "a.jsonl"))


def check_toy(table: pa.Table) -> None:
    assert table["mood"].to_pylist() == ["calm", "calm"]
    assert table["score"].to_pylist() == [None, None]
    assert table["depth"].to_pylist() == [0, 0]
    assert table["words"].to_pylist() == ["number 0", "number 1"]
    assert table["seq"].to_pylist() == [0, 1]


def test_a_part_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / f"{RUN}-00000.parquet"
    parts.write_part(TRACES.table([Trace(**row) for row in as_rows(range(1))]), path)
    assert pq.read_metadata(path).metadata[parts.VERSION_KEY] == str(VERSION).encode()
    pq.write_table(pq.read_table(path).replace_schema_metadata({parts.VERSION_KEY: str(VERSION + 1)}), path)
    reads = f"this socketnb reads up to {VERSION}"
    with pytest.raises(RecordingError, match=f"has schema version {VERSION + 1} and {reads}: install a newer"):
        Folder(tmp_path).table()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda line: line.replace(STAMP, b'"v":%d' % (VERSION + 1)),
            "has schema version .*: install a newer socketnb",
        ),
        (lambda line: line.replace(b'"seq"', b'"mood":"blue","seq"'), "the unknown field 'mood': install a newer"),
        (lambda line: line.replace(STAMP, b'"v":"2"'), "not a trace: its version is '2'"),
        (lambda line: line.replace(STAMP, b'"v":true'), "not a trace: its version is True"),
        (lambda line: line.replace(b'"seq"', b'"sequence"'), "it has no 'seq'"),
        (lambda line: line.replace(b'"seq":0', b'"seq":null'), "it has no 'seq'"),
        (lambda line: line.replace(b'"seq":0', b'"seq":"x"'), "has a line that is not a trace"),
    ],
)
def test_a_line_that_cannot_be_read_is_refused_with_the_reason(
    change: Callable[[bytes], bytes], message: str, tmp_path: Path
) -> None:
    row = as_rows(range(1))[0]
    payload = row.pop("payload").encode()
    (tmp_path / f"_{RUN}-00000.jsonl").write_bytes(change(lines.line_of(row, payload)))
    with pytest.raises(RecordingError, match=message):
        Folder(tmp_path).table()


def test_a_missing_optional_field_is_a_missing_value(tmp_path: Path) -> None:
    row = as_rows(range(1))[0]
    payload = row.pop("payload").encode()
    for name in ("node", "elapsed_ms", "server_at", "text"):
        del row[name]
    (tmp_path / f"_{RUN}-00000.jsonl").write_bytes(lines.line_of(row, payload))
    (found,) = Folder(tmp_path).table(0, ["node", "elapsed_ms", "server_at", "text"]).to_pylist()
    assert found == dict.fromkeys(("node", "elapsed_ms", "server_at", "text"))


def test_a_part_without_a_column_of_its_version_is_refused(tmp_path: Path) -> None:
    path = write_part_of_version_1(tmp_path, range(1))
    for version in ("1", str(VERSION)):
        table = pq.read_table(path).drop_columns(["seq"])
        pq.write_table(table.replace_schema_metadata({parts.VERSION_KEY: version}), tmp_path / "a.parquet")
        with pytest.raises(RecordingError, match=r"a\.parquet is not a part of a recording: it has no column"):
            parts.read_part(tmp_path / "a.parquet")


def test_a_former_name_is_read_only_from_older_parts(tmp_path: Path) -> None:
    path = write_part_of_version_1(tmp_path, range(1))
    pq.write_table(pq.read_table(path).replace_schema_metadata({parts.VERSION_KEY: str(VERSION)}), path)
    with pytest.raises(RecordingError, match="it has no column 'observed_at'"):
        parts.read_part(path)


def test_a_renamed_column_must_be_there_under_its_former_name(tmp_path: Path) -> None:
    path = write_part_of_version_1(tmp_path, range(2))
    table = pq.read_table(path)
    pq.write_table(table.drop_columns(["at"]).replace_schema_metadata(table.schema.metadata), path)
    with pytest.raises(RecordingError, match="it has no column 'observed_at'"):
        parts.read_part(path)
    line = {name: value for name, value in values(0).items() if name not in ("at", "payload")}
    with pytest.raises(RecordingError, match="it has no 'observed_at'"):
        TRACES.row(line, "{}", "a.jsonl")


def test_a_column_of_an_older_version_must_be_there_in_a_newer_part(tmp_path: Path) -> None:
    path = tmp_path / f"{RUN}-00000.parquet"
    parts.write_part(TRACES.table([Trace(**row) for row in as_rows(range(1))]), path)
    table = pq.read_table(path)
    pq.write_table(table.drop_columns(["kind"]).replace_schema_metadata(table.schema.metadata), path)
    with pytest.raises(RecordingError, match="it has no column 'kind'"):
        parts.read_part(path)


@pytest.mark.parametrize("version", [0, -5])
def test_a_version_below_1_is_refused(version: int) -> None:
    with pytest.raises(RecordingError, match=f"its schema version is {version}"):
        TRACES.row({"v": version}, "{}", "a.jsonl")


def test_every_field_of_a_record_is_a_column_and_payload_is_the_last() -> None:
    assert set(Record._fields) <= set(SCHEMA)
    assert list(SCHEMA)[-1] == "payload"


@pytest.mark.parametrize(
    ("column", "blank"),
    [
        (Column("category", ""), ""),
        (Column("string", "", nullable=True), None),
        (Column("int32", ""), 0),
        (Column("int64", "", default=7), 7),
        (Column("bool", "", default=False), False),
        (Column("float64", ""), 0.0),
        (Column("datetime64[ns, UTC]", ""), 0),
    ],
)
def test_a_column_has_a_value_where_none_is_known(column: Column, blank: object) -> None:
    assert column.blank == blank
    assert math.isnan(Column("float64", "", nullable=True).blank)  # type: ignore[arg-type]

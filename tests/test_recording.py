"""Recording: nothing is lost, nothing secret gets in."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from socketnb.flow import Flow, FlowTurn
from socketnb.hub import Hub
from socketnb.recording.columns import CHUNKS, Columns
from socketnb.recording.journal import Journal
from socketnb.recording.recorder import Log, Recorder
from socketnb.records import NO_TIME, Record, Trace, fingerprint

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters()),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(), max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)


def log_of(journal: Journal | None = None) -> tuple[Log, Columns]:
    columns = Columns()
    return Recorder("r", columns, journal).log("voiceflow", "bot", {"sessionKey"}), columns


def write(log: Log, payload: Any = None, **said: Any) -> Trace:
    return log.append(Record("event", "custom", payload, **said), 1, 1_700_000_000_000_000_000, NO_TIME)


def test_every_row_is_on_disk_before_anybody_is_told(hub: Hub, flow: Flow, tmp_path: Path) -> None:
    bot = hub.connect("voiceflow", simulate=True, flow=flow, record=tmp_path)
    missing = []

    def look(trace: Trace) -> None:
        (file,) = tmp_path.glob("*.jsonl")
        lines = file.read_text().splitlines()
        if json.loads(lines[-1])["seq"] != trace.seq:
            missing.append(trace)

    bot.listen(look)
    bot.launch()
    assert not missing


def test_a_killed_process_leaves_every_trace_that_it_showed(tmp_path: Path) -> None:
    code = (
        "import socketnb as snb\n"
        f"bot = snb.connect('voiceflow', simulate=True, record={str(tmp_path)!r})\n"
        "bot.listen(lambda trace: print(trace.seq, flush=True))\n"
        "while True: bot.say('hours')"
    )
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert child.stdout
    shown = [int(child.stdout.readline()) for _ in range(200)]
    os.kill(child.pid, signal.SIGKILL)
    shown += [int(line) for line in child.stdout.read().splitlines() if line.endswith(tuple("0123456789"))]
    child.stdout.close()
    child.wait()
    (file,) = tmp_path.glob("*.jsonl")
    kept = [json.loads(line)["seq"] for line in file.read_text().splitlines()]
    assert kept == list(range(len(kept)))
    assert kept[-1] >= shown[-1]


def test_a_folder_that_cannot_be_written_draws_one_warning_and_the_session_goes_on(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    log, columns = log_of(Journal(tmp_path / "file" / "folder", "r"))
    with pytest.warns(RuntimeWarning, match="the session goes on in memory") as warned:
        for n in range(3):
            write(log, n)
    assert len(warned) == 1
    assert columns.table().num_rows == 3


def test_named_fields_and_known_credentials_are_masked_wherever_they_turn_up() -> None:
    log, columns = log_of()
    log.hide('planted"key')
    trace = write(
        log,
        {"sessionKey": "planted-session", "deep": [{"said": 'my planted"key is safe'}]},
        text='planted"key',
        node='planted"key',
        intent='planted"key',
        error='no planted"key',
    )
    assert "planted" not in repr(trace)
    assert "planted" not in repr(columns.table().to_pylist())
    assert json.loads(trace.payload)["sessionKey"] == f"***{fingerprint('planted-session')}", "rows stay joinable"


def test_no_credential_reaches_a_recording_a_frame_a_repr_or_a_log(
    hub: Hub, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(0)
    flow = Flow("parrot")

    @flow.otherwise
    def parrot(turn: FlowTurn) -> None:
        turn.say(turn.text)

    simulator = hub.simulate("voiceflow", flow)
    key = simulator.revealed()["api_key"]
    bot = hub.connect("voiceflow", **simulator.settings, record=tmp_path)
    session_key = next(iter(simulator._machine._keys))  # type: ignore[attr-defined]
    turn = bot.say(f"is {key} the same as {session_key}?")
    (file,) = tmp_path.glob("*.jsonl")
    places = {
        "recording": file.read_text(),
        "traces": hub.traces_df().to_csv(),
        "turns": hub.turns_df().to_csv(),
        "messages": hub.messages_df().to_csv(),
        "turn": repr(turn) + turn._repr_mimebundle_()["text/html"],
        "session": repr(bot) + bot._repr_mimebundle_()["text/html"] + bot.transcript(),
        "simulator": repr(simulator) + repr(simulator.settings),
        "log": caplog.text,
    }
    assert [where for where, text in places.items() if key in text or session_key in text] == []


@given(JSON)
def test_any_payload_goes_through_json_and_columns(payload: Any) -> None:
    log, columns = log_of()
    trace = write(log, payload)
    assert json.loads(trace.payload) == payload
    assert columns.table()["payload"][0].as_py() == trace.payload


@given(st.text(st.characters()))
def test_any_text_goes_through_journal_and_columns(text: str) -> None:
    log, columns = log_of()
    write(log, text=text, error=text)
    kept = columns.table()["text"][0].as_py()
    assert kept == text.encode("utf-8", "replace").decode()


def test_a_lone_surrogate_goes_into_the_journal(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "r")
    log, _ = log_of(journal)
    write(log, "\ud800", text="\ud800", node="\ud800", intent="\ud800")
    journal.close()
    row = json.loads((tmp_path / "r.jsonl").read_text())
    assert (row["text"], json.loads(row["payload"])) == ("?", "\ud800")


def test_the_recording_of_a_stranger_is_not_readable_by_others(hub: Hub, flow: Flow, tmp_path: Path) -> None:
    hub.connect("voiceflow", simulate=True, flow=flow, record=tmp_path)
    (file,) = tmp_path.glob("*.jsonl")
    assert file.stat().st_mode & 0o077 == 0


def test_many_small_reads_do_not_leave_many_small_pieces() -> None:
    log, columns = log_of()
    for n in range(200):
        write(log, n)
        columns.table()
    assert columns.table().column(0).num_chunks <= CHUNKS + 1
    assert columns.table()["payload"].to_pylist() == [str(n) for n in range(200)]

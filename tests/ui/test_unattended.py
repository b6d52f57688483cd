"""Notebooks that a program runs: a failed expectation fails them, and no credential is left anywhere."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import kernels
import nbformat
import papermill
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from papermill.exceptions import PapermillExecutionError

from socketnb.hub import Hub

pytestmark = [pytest.mark.kernel, pytest.mark.filterwarnings("default")]  # warnings of jupyter_client
KEY = "planted-key-0123456789"
CONNECT = "%load_ext socketnb\n%chat connect voiceflow --simulate --name bot"


def new_notebook(*cells: str) -> Any:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return notebook


def write_notebook(path: Path, *cells: str) -> Path:
    nbformat.write(new_notebook(*cells), path)
    return path


FAILS = [CONNECT, "%%chat bot\nhours\n?? Saturday\n?? Sunday", "print('never')"]


def test_nbclient_stops_at_a_failed_expectation() -> None:
    notebook = new_notebook(*FAILS)
    with pytest.raises(CellExecutionError) as caught:
        NotebookClient(notebook, timeout=60).execute()
    assert caught.value.ename == "ExpectationFailed"
    assert caught.value.evalue.startswith("line 4: expected 'Sunday', got: We are here:")
    (error,) = [output for output in notebook.cells[1].outputs if output.output_type == "error"]
    assert "  expected  Sunday" in error.traceback
    assert not any("socketnb/" in line for line in error.traceback)
    assert notebook.cells[2].outputs == []


STOPPED = {
    "button": ("%%chat bot\n/press Nothing", "ActionError: line 2: bot: no message has offered a button yet"),
    "verb": ("%%chat bot\nhi\n/lunch", "ActionError: line 3: unknown verb 'lunch'; did you mean 'launch'?"),
    "session": ("%%chat nosuch\nhi", "SessionError: unknown session 'nosuch'; available: bot"),
    "option": ("%%chat --nonsense\nhi", "SettingsError: unrecognized arguments: --nonsense"),
}
"""Cells that cannot run, and the beginning of their error."""


@pytest.mark.parametrize(("cell", "sentence"), STOPPED.values(), ids=STOPPED)
def test_whatever_stops_a_cell_is_an_error_output_of_one_sentence(
    kernel: kernels.Kernel, cell: str, sentence: str
) -> None:
    kernel.run(CONNECT)
    messages = kernel.messages(kernel.client.execute(cell))
    (error,) = [message["content"] for message in messages if message["msg_type"] == "error"]
    assert len(error["traceback"]) == 1
    assert error["traceback"][0].startswith(sentence)
    assert f"{error['ename']}: {error['evalue']}" == error["traceback"][0]
    assert [message for message in messages if message["msg_type"] == "stream"] == []


def test_a_mistake_in_a_line_is_an_error_of_its_cell(kernel: kernels.Kernel) -> None:
    reply = kernel.client.execute("%load_ext socketnb\n%chat connect nowhere", reply=True, timeout=60)
    assert reply["content"]["status"] == "error"


def test_nbclient_stops_at_a_cell_that_cannot_run() -> None:
    cell, sentence = STOPPED["session"]
    notebook = new_notebook(CONNECT, cell, "print('never')")
    with pytest.raises(CellExecutionError) as caught:
        NotebookClient(notebook, timeout=60).execute()
    assert f"{caught.value.ename}: {caught.value.evalue}" == sentence
    assert notebook.cells[2].outputs == []


def test_papermill_stops_at_a_failed_expectation(tmp_path: Path) -> None:
    source = write_notebook(tmp_path / "a.ipynb", *FAILS)
    with pytest.raises(PapermillExecutionError) as caught:
        papermill.execute_notebook(source, tmp_path / "out.ipynb", progress_bar=False, cwd=tmp_path)
    assert "ExpectationFailed: line 4\n  expected  Sunday\n  got       We are here:" in str(caught.value)
    assert "never" not in (tmp_path / "out.ipynb").read_text().replace("print('never')", "")


def test_nbmake_fails_every_notebook_with_a_cell_that_fails_or_cannot_run(tmp_path: Path) -> None:
    write_notebook(tmp_path / "fails.ipynb", *FAILS)
    for name, (cell, _) in STOPPED.items():
        write_notebook(tmp_path / f"{name}.ipynb", CONNECT, cell)
    write_notebook(tmp_path / "passes.ipynb", CONNECT, "%%chat bot\nhours\n?? Saturday")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--nbmake", "-p", "no:cacheprovider", "-q", "."],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert f"{len(STOPPED) + 1} failed, 1 passed" in done.stdout, done.stdout + done.stderr
    assert "ExpectationFailed" in done.stdout
    for _, sentence in STOPPED.values():
        assert sentence in done.stdout


def test_a_key_is_in_no_output_history_traceback_or_saved_notebook(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulator = hub.simulate("eusate", token=KEY)
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("PLANTED", KEY)
    profiles = tmp_path / "profiles.toml"
    profiles.write_text(
        f'[help]\nplatform = "eusate"\nurl = "{simulator.url}"\napi_key = "{KEY}"\n'
        f'[env]\nplatform = "eusate"\nurl = "{simulator.url}"\napi_key = {{env = "PLANTED"}}\n'
    )
    profiles.chmod(0o600)
    cells = [
        "%load_ext socketnb\n%xmode Verbose\nimport os, socketnb as snb\n%chat connect help",
        "%%chat help -o turns --df traces\nhours\n/review 5 nice",
        "%%chat help --raw\nhours",
        "%%chat help -f json\nhours",
        "%chat connect env --name second\nsnb.session('second')",
        "%chat profiles",
        "%chat df",
        "%chat panel help",
        "key = os.environ['PLANTED']\nsnb.connect('eusate', name='third', url=snb.profiles().value[0], api_key=key)",
        "snb.connect('eusate', api_key=key, timeout='soon')",
        "%chat connect eusate --set api_key={key} --set nonsense=1",
        f"snb.connect('eusate', url='{simulator.url}', api_key=key + 'x')",
        "%%chat help --vars\n/review rating={{key}}",
        "%chat connect help --set {key}",
        "%chat use {key}\n",
        "turns, traces, snb.sessions(), vars(turns[0]), snb.session('help')._settings",
    ]
    notebook = new_notebook(*cells)
    options = {
        "ipython_hist_file": str(tmp_path / "history.sqlite"),
        "resources": {"metadata": {"path": str(tmp_path)}},
    }
    NotebookClient(notebook, timeout=60, allow_errors=True, **options).execute()
    nbformat.write(notebook, tmp_path / "saved.ipynb")
    assert sum(output.output_type == "error" for cell in notebook.cells for output in cell.outputs) >= 2
    assert "Saturday" in json.dumps(notebook)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]  # with the recordings
    assert {"history.sqlite", "saved.ipynb"} < {path.name for path in files}
    assert any(path.suffix == ".parquet" for path in files)
    assert [path for path in files if KEY.encode() in path.read_bytes()] == [profiles]

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


@pytest.mark.parametrize("cell", ["%%chat bot\n/press Nothing", "%chat connect nowhere", "%%chat bot\nhi\n/lunch"])
def test_a_failed_turn_and_a_mistake_are_errors_of_their_cell(kernel: kernels.Kernel, cell: str) -> None:
    kernel.run(CONNECT)
    reply = kernel.client.execute(cell, reply=True, timeout=kernels.MESSAGE_TIMEOUT_S)
    assert reply["content"]["status"] == "error"


def test_papermill_stops_at_a_failed_expectation(tmp_path: Path) -> None:
    source = write_notebook(tmp_path / "a.ipynb", *FAILS)
    with pytest.raises(PapermillExecutionError) as caught:
        papermill.execute_notebook(source, tmp_path / "out.ipynb", progress_bar=False, cwd=tmp_path)
    assert "ExpectationFailed: line 4\n  expected  Sunday\n  got       We are here:" in str(caught.value)
    assert "never" not in (tmp_path / "out.ipynb").read_text().replace("print('never')", "")


def test_nbmake_fails_only_the_notebook_with_a_failed_expectation(tmp_path: Path) -> None:
    write_notebook(tmp_path / "fails.ipynb", *FAILS)
    write_notebook(tmp_path / "passes.ipynb", CONNECT, "%%chat bot\nhours\n?? Saturday")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--nbmake", "-p", "no:cacheprovider", "-q", "."],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert "1 failed, 1 passed" in done.stdout, done.stdout + done.stderr
    assert "ExpectationFailed" in done.stdout


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

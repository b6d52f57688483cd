"""What the README says is true: its tour runs, its tables agree with the code."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

from socketnb.dialects import voiceflow
from socketnb.hub import hub

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    InteractiveShell.clear_instance()
    shell = InteractiveShell.instance(colors="nocolor")
    shell.autoawait = True
    yield shell
    hub.close()
    shell.history_manager.end_session()
    InteractiveShell.clear_instance()


def test_the_tour_runs_cell_by_cell(shell: Any) -> None:
    cells = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(cells) >= 7
    shown = ""
    for cell in cells:
        with capture_output() as output:
            result = shell.run_cell(cell)
        assert result.success, f"{cell}\n{result.error_before_exec or result.error_in_exec}"
        shown += output.stdout + "".join(out.data["text/plain"] for out in output.outputs)
    assert "Tuesday before noon" in shown
    assert "One L pizza." in shown


def test_every_setting_is_in_the_table() -> None:
    table = README[README.index("| setting of Voiceflow") : README.index("Beside `say`")]
    assert set(re.findall(r"`(\w+)`", table)) == set(voiceflow.SETTINGS)  # names alone: a value has a sign in it


def test_every_fault_is_named() -> None:
    section = README[README.index("## The simulator") : README.index("## The layers")]
    assert {"drop", *voiceflow.FAULTS} <= set(re.findall(r'"(\w+)"', section))


def test_the_map_of_the_layers_shows_every_module() -> None:
    table = README[README.index("## The layers") : README.index("## Changes")]
    there = {p.name + ("/" if p.is_dir() else "") for p in (ROOT / "socketnb").iterdir() if p.name[0] not in "_."}
    assert {name for name in there if not name.endswith("typed")} <= set(re.findall(r"`([\w./]+)`", table))


def test_the_make_targets_that_it_names_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"`?make ([a-z]+)", README)) - {"the"} <= targets


def test_every_verb_is_named() -> None:
    section = README[README.index("Beside `say`") : README.index("`connect` also takes")]
    assert set(voiceflow.VERBS) - {"text"} <= set(re.findall(r"`(\w+)", section))

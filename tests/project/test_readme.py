"""What the README says is true: its tour runs, its tables agree with the code."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

from socketnb.dialects import registry
from socketnb.dialects.registry import PLATFORMS
from socketnb.hub import hub
from socketnb.ui import cli
from socketnb.ui.commands import COMMANDS
from socketnb.ui.magic import Chat

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
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


@pytest.mark.parametrize("platform", PLATFORMS)
def test_every_setting_is_in_the_table(platform: str) -> None:
    start = README.index(f"| setting of {platform.capitalize()}")
    table = README[start : README.index("Beside `say`", start)]
    names = {name for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)}
    assert names == set(registry.get(platform).settings)


@pytest.mark.parametrize("platform", PLATFORMS)
def test_every_fault_and_option_is_named(platform: str) -> None:
    start = README.index(f"*{platform.capitalize()}'s*")
    section = README[start : README.index("\n\n", start)]
    assert set(registry.get(platform).faults) <= set(re.findall(r'"(\w+)"', section))
    assert set(registry.get(platform).options) <= set(re.findall(r"`(\w+)=", section))


def test_the_map_of_the_layers_shows_every_module() -> None:
    table = README[README.index("## The layers") : README.index("## Changes")]
    there = {p.name + ("/" if p.is_dir() else "") for p in (ROOT / "socketnb").iterdir() if p.name[0] not in "_."}
    assert {name for name in there if not name.endswith("typed")} <= set(re.findall(r"`([\w./]+)`", table))


def test_the_make_targets_that_it_names_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"`?make ([a-z]+)", README)) - {"the"} <= targets


@pytest.mark.parametrize("platform", PLATFORMS)
def test_every_verb_is_named(platform: str) -> None:
    start = README.index("Beside `say`", README.index(f"| setting of {platform.capitalize()}"))
    section = README[start : README.index("\n\n", start)]
    assert set(registry.get(platform).verbs) - {"text"} <= set(re.findall(r"`(\w+)", section))


def test_every_option_of_a_cell_and_every_command_is_named() -> None:
    section = README[README.index("## Cells") : README.index("## Your own project")]
    options = {option for action in Chat.talk.parser._actions for option in action.option_strings}
    assert options <= set(re.findall(r"--?[a-z-]+", section))
    assert set(COMMANDS) <= set(re.findall(r"`(\w+)`", section))
    assert {f"Chat.{name}" for name in Chat.class_own_traits(config=True)} <= set(re.findall(r"Chat\.\w+", section))


def test_every_command_of_the_command_line_is_named() -> None:
    assert set(cli.commands.commands) <= set(re.findall(r"socketnb (\w+)", README)) | {"demo", "lab"}

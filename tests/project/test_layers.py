"""The house itself: its public names, its layers, its light import, its words."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import socketnb

ROOT = Path(__file__).parents[2]
HEAVY = "{'pandas', 'pyarrow', 'socketio', 'engineio', 'aiohttp', 'anywidget', 'IPython', 'ipywidgets', 'nh3'}"
PUBLIC = """
    ActionError Call Choice ConnectError ConnectTimeout Conversation ExpectationFailed Flow FlowError Message
    Recording RecordingError Refused Secret Session SessionError SettingsError Simulator SocketnbError Turn
    TurnError TurnFailed TurnTimeout Unreachable card connect from_jsonl from_voiceflow messages_df
    open_recording panels profiles prune recordings run session sessions sessions_df simulate traces_df
    turns_df
""".split()


def test_the_public_names_are_these() -> None:
    assert sorted(socketnb.__all__) == sorted(PUBLIC)
    assert all(getattr(socketnb, name).__doc__ for name in PUBLIC)


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = f"import socketnb, sys; print({HEAVY} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_the_command_line_loads_what_a_command_needs_and_nothing_for_its_help() -> None:
    heavy = HEAVY.replace("}", ", 'prompt_toolkit', 'rich', 'keyring'}")
    code = "import sys\nfrom socketnb.ui import cli\nsys.argv = ['socketnb', '--help']\ntry: cli.main()\n"
    code += f"finally: print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("set()\n")
    assert "simulate" in done.stdout


def test_importing_the_package_starts_no_thread() -> None:
    code = "import socketnb, threading; print(threading.active_count())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "1\n"


@pytest.mark.parametrize(
    ("file", "line", "contract"),
    [
        ("dialects/cognigy/client.py", "import socketnb.dialects.voiceflow", "No dialect imports another"),
        ("dialects/eusate/client.py", "import uuid", "Dialects, model and errors are pure"),
        ("dialects/voiceflow/client.py", "import pandas", "Dialects, model and errors are pure"),
        ("dialects/voiceflow/client.py", "import asyncio", "Dialects, model and errors are pure"),
        ("dialects/voiceflow/client.py", "def f():\n    import time", "Dialects, model and errors are pure"),
        ("recording/journal.py", "from socketnb.ui import panel", "Layers: downwards only"),
        ("engine/driver.py", "from socketnb import recording", "Layers: downwards only"),
        ("frames/__init__.py", "import aiohttp", "Sockets live in the engine and the simulator"),
        ("render.py", "import asyncio", "Event loops live in"),
        ("conversation/session.py", "import IPython", "Notebook libraries live in the ui"),
        ("conversation/session.py", "import socketnb", "Nobody imports the package root"),
    ],
)
def test_an_import_against_the_layers_fails_the_check(tmp_path: Path, file: str, line: str, contract: str) -> None:
    shutil.copytree(ROOT / "socketnb", tmp_path / "socketnb")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    planted = tmp_path / "socketnb" / file
    planted.write_text(planted.read_text() + f"\n{line}\n")
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert any(contract in row and "BROKEN" in row for row in done.stdout.splitlines()), done.stdout


def test_the_constraints_pin_every_dependency() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = project["dependencies"] + [d for extra in project["optional-dependencies"].values() for d in extra]
    names = {d.split(">")[0].split("[")[0].lower().replace("_", "-") for d in wanted} - {"socketnb"}
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = {line.split("==")[0].lower().replace("_", "-") for line in lines if "==" in line}
    assert names <= pinned

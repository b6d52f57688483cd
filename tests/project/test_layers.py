"""The structure of the package: its public names, layers, imports, and the size of its files."""

import ast
import graphlib
import inspect
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import socketnb

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "socketnb"
MAX_LINES = 450
"""Lines of a file of the package."""
MAX_ANY = 15
"""Lines with `Any` per 1,000 lines of the package."""
HEAVY = "{'pandas', 'pyarrow', 'socketio', 'engineio', 'aiohttp', 'anywidget', 'IPython', 'ipywidgets', 'nh3'}"
PUBLIC = """
    ActionError Call Choice ConnectError ConnectTimeout Conversation ExpectationFailed Flow FlowError Message
    Recording RecordingError Refused Secret Session SessionError SettingsError Simulator SocketnbError Turn
    TurnError TurnFailed TurnTimeout Unreachable card connect conversations_df from_jsonl from_voiceflow
    messages_df open_recording panels profiles prune recordings run session sessions sessions_df simulate traces_df
    turns_df
""".split()


EVENTS = {
    "cognigy": "processInput finalPing typingStatus endpoint-ready cognigyStopFlow",
    "eusate": "support_echo enter_support customer_support mark_conversation_read call_support close_support "
    "support_handler_changed review_support",
    "voiceflow": "action.trace action.send action.status client.start client.started session.create session.created "
    "session.ended",
}
"""Names of events, of which each dialect must know its own and no other part of the package any."""


def python(code: str) -> str:
    """Run code in a new process and return what it prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout


def without_docstrings(source: str) -> str:
    """Return Python code without the docstrings of its modules, classes and functions."""
    lines = source.splitlines()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and ast.get_docstring(
            node
        ):
            docstring = node.body[0]
            for number in range(docstring.lineno - 1, docstring.end_lineno or docstring.lineno):
                lines[number] = ""
    return "\n".join(lines)


def test_the_public_names_are_these() -> None:
    assert sorted(socketnb.__all__) == sorted(PUBLIC)


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_resolves_and_has_a_docstring(name: str) -> None:
    value = getattr(socketnb, name)
    assert inspect.isclass(value) or callable(value)
    assert inspect.getdoc(value)


def test_every_public_name_is_listed_by_dir() -> None:
    assert set(PUBLIC) <= set(dir(socketnb))


def test_no_module_has_the_name_of_a_public_function() -> None:
    modules = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()}
    assert not modules & set(PUBLIC)


@pytest.mark.parametrize("name", ["session", "sessions", "panels", "profiles", "run"])
def test_a_public_function_stays_itself_after_every_module_is_imported(name: str) -> None:
    code = (
        "import importlib, pkgutil, socketnb, socketnb.conversation.session\n"
        "for module in pkgutil.iter_modules(socketnb.__path__):\n"
        "    if module.name != '__main__': importlib.import_module(f'socketnb.{module.name}')\n"
        f"print(type(socketnb.{name}).__name__)"
    )
    assert python(code) in ("method\n", "function\n")


def test_importing_the_package_loads_nothing_heavy() -> None:
    assert python(f"import socketnb, sys; print({HEAVY} & set(sys.modules))") == "set()\n"


def test_importing_the_package_loads_neither_asyncio_nor_another_module_of_the_package() -> None:
    code = "import socketnb, sys; print([m for m in sys.modules if m.startswith(('asyncio', 'socketnb'))])"
    assert python(code) == "['socketnb']\n"


def test_the_help_of_the_command_line_loads_nothing_heavy() -> None:
    heavy = HEAVY.replace("}", ", 'prompt_toolkit', 'rich', 'keyring'}")
    code = "import sys\nfrom socketnb.ui import cli\nsys.argv = ['socketnb', '--help']\ntry: cli.main()\n"
    output = python(f"{code}finally: print({heavy} & set(sys.modules))")
    assert output.endswith("set()\n")
    assert "simulate" in output


def test_importing_the_package_starts_no_thread() -> None:
    assert python("import socketnb, threading; print(threading.active_count())") == "1\n"


@pytest.mark.parametrize(("method", "section"), [("connect", "Settings of"), ("simulate", "Faults of the")])
def test_help_lists_the_settings_options_and_faults_of_every_platform(method: str, section: str) -> None:
    from socketnb.dialects import registry

    text = inspect.getdoc(getattr(socketnb, method)) or ""
    for platform in registry.PLATFORMS:
        dialect = registry.get(platform)
        assert f"{section} {platform}" in text
        names = dialect.settings if method == "connect" else [*dialect.options, *dialect.faults]
        assert [name for name in names if f"\n    {name}: " not in text] == []


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_file_of_the_package_is_too_long(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= MAX_LINES


def test_few_lines_of_the_package_use_any() -> None:
    lines = [line for path in PACKAGE.rglob("*.py") for line in path.read_text().splitlines()]
    uses = [line for line in lines if re.search(r"\bAny\b", line)]
    assert 1000 * len(uses) / len(lines) <= MAX_ANY, f"{len(uses)} of {len(lines)} lines"


@pytest.mark.parametrize("platform", EVENTS)
def test_only_the_dialect_names_the_events_of_its_platform(platform: str) -> None:
    pattern = re.compile(rf"(?<![\w.])({'|'.join(map(re.escape, EVENTS[platform].split()))})(?![\w.])")
    dialect = PACKAGE / "dialects" / platform
    in_dialect = {event for path in dialect.rglob("*.py") for event in pattern.findall(path.read_text())}
    assert in_dialect == set(EVENTS[platform].split()), "the test must name events that exist"
    for path in [*PACKAGE.rglob("*.py"), *PACKAGE.rglob("*.js")]:
        if dialect not in path.parents:
            source = path.read_text()
            found = pattern.findall(without_docstrings(source) if path.suffix == ".py" else source)
            assert not found, f"{path.relative_to(ROOT)} names {found}"


@pytest.mark.parametrize(
    ("file", "line", "contract"),
    [
        ("dialects/cognigy/client.py", "import socketnb.dialects.voiceflow", "No dialect imports another"),
        ("dialects/base.py", "import socketnb.dialects.eusate.calls", "No dialect imports another"),
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
def test_an_import_that_breaks_a_contract_fails_the_check(tmp_path: Path, file: str, line: str, contract: str) -> None:
    shutil.copytree(ROOT / "socketnb", tmp_path / "socketnb")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    changed_file = tmp_path / "socketnb" / file
    changed_file.write_text(changed_file.read_text() + f"\n{line}\n")
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert any(contract in row and "BROKEN" in row for row in done.stdout.splitlines()), done.stdout


def imports() -> dict[str, set[str]]:
    """Return which modules of the package each module imports, wherever in its file the import stands."""
    files = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in PACKAGE.rglob("*.py")}
    files = {name.removesuffix(".__init__"): path for name, path in files.items()}
    imported: dict[str, set[str]] = {name: set() for name in files}
    for name, path in files.items():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module:
                imported[name] |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
            elif isinstance(node, ast.Import):
                imported[name] |= {alias.name for alias in node.names}
        imported[name] &= {other for other in files if other != name and not name.startswith(f"{other}.")}
    return imported


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = imports()
    assert sum(map(len, graph.values())) > len(graph)
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError, which names the modules


def test_the_constraints_pin_every_dependency() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    requirements = project["dependencies"] + [d for extra in project["optional-dependencies"].values() for d in extra]
    names = {d.split(">")[0].split("[")[0].lower().replace("_", "-") for d in requirements} - {"socketnb"}
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = {line.split("==")[0].lower().replace("_", "-") for line in lines if "==" in line}
    assert names <= pinned


def test_a_type_checker_reports_a_misspelt_public_name(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        'import socketnb as snb\n\nbot: snb.Session = snb.connect("voiceflow")\nsnb.conect("voiceflow")\n'
    )
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(ROOT / ".mypy_cache"), str(script)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert 'Module has no attribute "conect"' in done.stdout
    assert "Found 1 error" in done.stdout

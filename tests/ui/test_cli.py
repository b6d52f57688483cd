"""The command line, as a person and as a script use it."""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
from command_line import CommandLine
from conftest import Eventually

from socketnb import __version__
from socketnb.frames.exports import EXPORTS
from socketnb.hub import Hub
from socketnb.ui import cli


@pytest.fixture
def command_line(hub: Hub, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(hub, monkeypatch, capsys)


def test_the_demo_prints_a_conversation_frames_and_the_folder_of_the_recording(
    command_line: CommandLine, home: Path
) -> None:
    done = command_line.run("demo")
    assert done.status == 0, done.stderr
    for part in ("Tuesday before noon", "traces_df()", "action.trace", "turns_df()", "Track order", "make lab"):
        assert part in done.stdout
    (folder,) = (home / "recordings").iterdir()
    assert f"The recording is in {folder}" in done.stdout
    command_line.hub.close()
    assert list(folder.glob("*.parquet"))
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("platform", "names", "number"),
    [
        ("voiceflow", {"url", "state_url", "project_id", "api_key"}, signal.SIGINT),
        ("cognigy", {"url", "token"}, signal.SIGTERM),
        ("eusate", {"url", "api_key"}, signal.SIGTERM),
    ],
)
def test_a_simulator_runs_until_a_signal(
    command_line: CommandLine, eventually: Eventually, platform: str, names: set[str], number: signal.Signals
) -> None:
    hub, monkeypatch, capsys = command_line.hub, command_line.monkeypatch, command_line.capsys
    handlers: dict[signal.Signals, object] = {}
    fake = SimpleNamespace(signal=handlers.__setitem__, SIGINT=signal.SIGINT, SIGTERM=signal.SIGTERM)
    monkeypatch.setattr(cli, "signal", fake)
    monkeypatch.setattr("socketnb.hub.hub", hub)
    printed: list[str] = []
    statuses: list[object] = []

    def serve() -> None:
        try:
            cli.main(["simulate", platform, "--json"])
        except SystemExit as ended:
            statuses.append(ended.code)

    server = threading.Thread(target=serve)
    server.start()
    eventually(lambda: printed.append(capsys.readouterr().out) or "}" in "".join(printed))
    settings = json.loads("".join(printed))
    assert set(settings) == names
    assert hub.connect(platform, **settings).say("hello").status == "completed"
    assert statuses == []
    handlers[number]()  # type: ignore[operator]
    server.join(10)
    assert statuses == [0]
    assert capsys.readouterr().err == ""


def test_a_simulator_in_a_process_of_its_own_stops_at_ctrl_c(hub: Hub) -> None:
    command = [sys.executable, "-m", "socketnb", "simulate", "voiceflow", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stderr
        settings = json.loads(process.stdout.readline())
        assert hub.connect("voiceflow", **settings).say("hello").status == "completed"
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(10) == 0
        assert process.stderr.read() == ""


def test_recordings_are_listed_exported_and_deleted(command_line: CommandLine, home: Path, tmp_path: Path) -> None:
    run = command_line.run
    assert run("recordings").stdout == "no recordings yet; create one: socketnb demo\n"
    run("demo")
    command_line.hub.close()
    (folder,) = (home / "recordings").iterdir()
    assert folder.name in run("recordings").stdout
    for name, export in EXPORTS.items():
        file = tmp_path / f"a{export.suffixes[0]}"
        done = run("export", folder.name, str(file))
        assert done.stdout.endswith(f" traces of {folder.name} to {file}\n"), done.stderr
        assert file.stat().st_size
        assert run("export", folder.name, str(tmp_path / name), "--format", name).status == 0
    assert '<meta charset="utf-8">' in (tmp_path / "a.html").read_text()
    assert "Tuesday before noon" in (tmp_path / "a.md").read_text()
    assert run("recordings", "--prune", "30 days").stdout == "no recording is that old\n"
    assert run("recordings", "--delete", folder.name).stdout == f"deleted {folder.name}\n"
    assert not folder.exists()


def test_a_mistake_about_recordings_is_one_line(command_line: CommandLine, home: Path, tmp_path: Path) -> None:
    command_line.run("demo")
    command_line.hub.close()
    (folder,) = (home / "recordings").iterdir()
    command_line.run("export", folder.name, str(tmp_path / "a.duckdb"))
    for words, message in {
        ("export", folder.name, "a.xyz"): "a.xyz has no known suffix: name the format, or use one of .txt, .md",
        ("export", folder.name, "a.md", "--format", "sheet"): "'sheet' is not one of 'text', 'markdown'",
        ("export", folder.name, "a.md", "--session", "nope"): "unknown session 'nope'; available: demo",
        ("export", folder.name, str(tmp_path / "a.duckdb")): "already has a table 'traces'",
        ("export", "nope", "a.md"): "unknown recording 'nope'",
        ("recordings", "--prune", "soon"): "older_than",
        ("recordings", "--delete", "x", "--prune", "1d"): "give either --delete or --prune",
    }.items():
        done = command_line.run(*words)
        assert (done.status, done.stdout, done.stderr.count("\n")) == (2, "", 1)
        assert message in done.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("dem",), "No such command 'dem'"),
        (("simulate", "voicflow"), "'voicflow' is not"),
        (("simulate", "voiceflow", "--port", "x"), "'x' is not a valid integer"),
        (("lab", "no-such-folder"), "does not exist"),
        (("demo", "--nonsense"), "No such option"),
    ],
)
def test_a_mistake_is_one_line_and_status_2(command_line: CommandLine, words: tuple[str, ...], message: str) -> None:
    done = command_line.run(*words)
    assert (done.status, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("socketnb: ")
    assert message in done.stderr


def test_the_version_is_the_version_of_the_package(command_line: CommandLine) -> None:
    assert __version__ in command_line.run("--version").stdout


def test_without_a_command_the_help_is_printed(command_line: CommandLine) -> None:
    done = command_line.run()
    assert "simulate" in done.stdout + done.stderr
    assert done.status == 2


@pytest.mark.parametrize("name", cli.commands.commands)
def test_every_command_and_option_has_a_help_text(command_line: CommandLine, name: str) -> None:
    done = command_line.run(name, "--help")
    assert done.status == 0
    summary = done.stdout.splitlines()[2].strip()
    assert summary[0].isupper()
    assert f"{name} " in command_line.run("--help").stdout
    for parameter in cli.commands.commands[name].params:
        described = parameter.to_info_dict().get("help") or parameter.param_type_name == "argument"
        assert described, parameter.name


@pytest.mark.filterwarnings("default")
def test_a_warning_of_connect_is_one_line_without_a_place_in_the_code(command_line: CommandLine) -> None:
    simulator = command_line.hub.simulate("cognigy", ready_after=60)
    settings = [f"--set={name}={value}" for name, value in {**simulator.revealed(), "ready_timeout": 0.1}.items()]
    warning = "connected, but the endpoint never said it is ready: an old endpoint, or a wrong token"
    assert command_line.run("chat", "cognigy", *settings).stderr == f"socketnb: cognigy: {warning}\n"

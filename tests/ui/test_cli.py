"""The command line, as a person and as a script use it."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from socketnb import __version__
from socketnb.hub import Hub

SOCKETNB = [sys.executable, "-m", "socketnb"]


def run(*words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([*SOCKETNB, *words], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)


def test_the_demo_talks_prints_frames_and_says_where_things_are(home: Path) -> None:
    done = run("demo")
    assert done.returncode == 0, done.stderr
    for part in ("Tuesday before noon", "traces_df()", "action.trace", "turns_df()", "Track order", "make lab"):
        assert part in done.stdout
    (folder,) = (home / "recordings").iterdir()
    assert f"The recording lies in {folder}" in done.stdout
    assert list(folder.glob("*.parquet"))
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("platform", "names", "end"),
    [
        ("voiceflow", {"url", "project_id", "api_key"}, signal.SIGINT),
        ("cognigy", {"url", "token"}, signal.SIGTERM),
        ("eusate", {"url", "api_key"}, signal.SIGTERM),
    ],
)
def test_a_simulator_serves_until_it_is_told_to_stop(
    hub: Hub, platform: str, names: set[str], end: signal.Signals
) -> None:
    command = [*SOCKETNB, "simulate", platform, "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as served:
        assert served.stdout
        assert served.stderr
        settings = json.loads(served.stdout.readline())
        assert set(settings) == names
        assert hub.connect(platform, **settings).say("hello").status == "completed"
        os.kill(served.pid, end)
        assert served.wait(10) == 0
        assert served.stderr.read() == ""


def test_recordings_are_listed_exported_and_deleted(home: Path, tmp_path: Path) -> None:
    assert run("recordings").stdout == "nothing is recorded yet: socketnb demo\n"
    run("demo")
    (folder,) = (home / "recordings").iterdir()
    assert folder.name in run("recordings").stdout
    for ending in ("parquet", "jsonl", "duckdb", "csv", "md", "html", "txt"):
        done = run("export", folder.name, str(tmp_path / f"a.{ending}"))
        assert done.stdout.endswith(f"traces of {folder.name} are in {tmp_path / f'a.{ending}'}\n"), done.stderr
        assert (tmp_path / f"a.{ending}").stat().st_size
    assert '<meta charset="utf-8">' in (tmp_path / "a.html").read_text()
    assert "Tuesday before noon" in (tmp_path / "a.md").read_text()
    for words, said in {
        ("export", folder.name, "a.xyz"): "a.xyz ends with none of .parquet",
        ("export", folder.name, "a.md", "--session", "nope"): "unknown session 'nope'; available: demo",
        ("export", folder.name, str(tmp_path / "a.duckdb")): "has a table 'traces' already",
        ("export", "nope", "a.md"): "unknown recording 'nope'",
        ("recordings", "--prune", "soon"): "older_than is a duration",
        ("recordings", "--delete", "x", "--prune", "1d"): "one at a time",
    }.items():
        done = run(*words)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
        assert said in done.stderr
    assert run("recordings", "--prune", "30 days").stdout == "none is that old\n"
    assert run("recordings", "--delete", folder.name).stdout == f"deleted {folder.name}\n"
    assert not folder.exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("dem",), "No such command 'dem'"),
        (("simulate", "voicflow"), "'voicflow' is not"),
        (("simulate", "voiceflow", "--port", "x"), "'x' is not a valid integer"),
        (("lab", "no-such-folder"), "does not exist"),
        (("demo", "--nonsense"), "No such option"),
    ],
)
def test_a_mistake_is_one_line_and_status_2(words: tuple[str, ...], said: str) -> None:
    done = run(*words)
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("socketnb: ")
    assert said in done.stderr


def test_the_version_is_the_packages() -> None:
    assert __version__ in run("--version").stdout


def test_without_a_command_the_help_is_shown() -> None:
    done = run()
    assert "simulate" in done.stdout + done.stderr
    assert done.returncode == 2

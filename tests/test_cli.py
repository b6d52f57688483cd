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

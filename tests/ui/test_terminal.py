"""`socketnb chat` and `check`, in a pipe and in a real terminal."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from socketnb.errors import CONTROLS
from socketnb.hub import Hub
from socketnb.simulator.server import Simulator

SOCKETNB = [sys.executable, "-m", "socketnb"]
FLOW = """
import asyncio
import socketnb as snb

mine = snb.Flow("mine")
not_a_flow = 7


@mine.on("stream")
async def stream(turn):
    turn.stream(["one ", "two ", "three"])


@mine.otherwise
def otherwise(turn):
    turn.say("\\x1b[2Jhostile \\x07" + turn.text)
"""


def piped(said: str, *words: str, cwd: Path | None = None) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([*SOCKETNB, *words], input=said, capture_output=True, text=True, check=False, cwd=cwd)


def test_a_pipe_is_a_script_that_can_fail() -> None:
    done = piped("/launch\n/press Track order\n4567\n?? Tuesday\n", "chat", "voiceflow", "--simulate")
    assert (done.returncode, done.stderr) == (0, "")
    assert "Tuesday before noon" in done.stdout
    assert done.stdout.count("completed · first") == 3
    assert "✓ Tuesday" in done.stdout
    done = piped("hours\n?? Sunday\nnever\n", "chat", "voiceflow", "--simulate")
    assert done.returncode == 1
    assert "line 2: expected 'Sunday'" in done.stdout
    assert "never" not in done.stdout


@pytest.mark.parametrize(
    ("said", "line"),
    [
        ("hi\n/lunch", "line 2: unknown verb 'lunch'; did you mean 'launch'?"),
        ("/press Nothing", "press: no message has offered a button yet"),
    ],
)
def test_a_mistake_in_a_pipe_is_one_line(said: str, line: str) -> None:
    done = piped(said, "chat", "voiceflow", "--simulate")
    assert done.returncode == 1
    assert line.removeprefix("press: ") in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_what_a_bot_says_cannot_steer_the_terminal(tmp_path: Path) -> None:
    (tmp_path / "bots.py").write_text(FLOW)
    done = piped("hi\nstream", "chat", "voiceflow", "--simulate", "--flow", "bots:mine", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "[2Jhostile hi\n" in done.stdout
    assert "\x1b" not in done.stdout
    assert "\x07" not in done.stdout
    assert "one two three\n" in done.stdout


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("chat", "nobody"), "unknown platform 'nobody'"),
        (("chat", "voiceflow", "--simulate", "--timeout", "0"), "timeout is a number of seconds above 0"),
        (("chat", "voiceflow", "--simulate", "--set", "VF.DM.planted"), "--set takes KEY=VALUE"),
        (
            ("chat", "voiceflow", "--simulate", "--flow", "bots:nobody"),
            "--flow is MODULE:FLOW, and 'bots:nobody' is none",
        ),
        (("chat", "voiceflow", "--simulate", "--flow", "bots:not_a_flow"), "flow is a Flow, such as Flow('pizza')"),
        (("simulate", "voiceflow", "--flow", "broken:mine"), "the module fails with ZeroDivisionError"),
        (("simulate", "voiceflow", "--fault", "x"), "unknown fault 'x'"),
        (("simulate", "voiceflow", "--token", "a b"), "token is a text of letters, digits"),
        (("check", "eusate"), "eusate needs api_key"),
    ],
)
def test_a_wrong_word_is_one_line_and_status_2(tmp_path: Path, words: tuple[str, ...], line: str) -> None:
    (tmp_path / "bots.py").write_text(FLOW)
    (tmp_path / "broken.py").write_text("1 / 0")
    done = piped("", *words, cwd=tmp_path)
    assert done.returncode == 2
    assert line in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "planted" not in done.stderr


def test_a_bot_is_checked_in_words() -> None:
    done = piped("", "check", "cognigy", "--simulate", "--say", "hours")
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split()[:2] for line in done.stdout.splitlines()] == [
        ["✓", "reachable"],
        ["✓", "let"],
        ["✓", "answers"],
    ]
    done = piped("", "check", "cognigy", "--set", "url=http://127.0.0.1:9", "--set", "token=abc")
    assert done.returncode == 1
    assert done.stdout.startswith("✗ reachable     no Socket.IO server answers at http://127.0.0.1:9")


def test_a_wrong_key_is_told_as_such(tmp_path: Path) -> None:
    hub = Hub()
    simulator = hub.simulate("cognigy", token="0123456789abcdef" * 4)
    done = piped("", "check", "cognigy", "--set", f"url={simulator.url}", "--set", f"token={'f' * 64}")
    hub.close()
    assert done.returncode == 1
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["✓", "✗"]
    assert "f" * 64 not in done.stdout


@contextmanager
def terminal(folder: Path, *words: str, simulate: bool = True) -> Iterator[Any]:
    """Talk in a real terminal; at the end Ctrl-D ends it, and well."""
    import pexpect

    command = [*SOCKETNB, "chat", *words, *(["--simulate"] if simulate else [])]
    env = {**os.environ, "TERM": "xterm-256color"}
    how: Any = {"cwd": str(folder), "env": env, "encoding": "utf-8", "timeout": 30, "dimensions": (40, 100)}
    with pexpect.spawn(command[0], command[1:], **how) as shell:
        shell.expect("Ctrl-D ends")
        yield partial(_type, shell)
        shell.expect(">")
        shell.sendeof()
        shell.expect(pexpect.EOF)
    assert shell.exitstatus == 0


def settings(simulator: Simulator) -> list[str]:
    return [word for name, value in simulator.revealed().items() for word in ("--set", f"{name}={value}")]


def _type(shell: Any, keys: str, *seen: str) -> None:
    """Type at the prompt, and wait until each of these is seen."""
    shell.expect(">")  # what is typed before would be lost
    shell.send(keys)
    for words in seen:
        if words == "^C":
            shell.sendintr()
        elif words == "Enter":
            shell.send("\r")
        else:
            shell.expect(words)


def test_a_person_talks_in_a_terminal_with_completion_and_history(home: Path, tmp_path: Path) -> None:
    with terminal(tmp_path, "voiceflow") as type_:
        type_("/launch\r", "completed")
        type_("/press Tra\t", "ck order", "Enter", "your order number", "completed")
        type_("/help\r", "/wait seconds")
        type_("/lunch\r", "did you mean 'launch'")
    history = home / "chat_history"
    assert "+/press Track order" in history.read_text()
    assert history.stat().st_mode & 0o077 == 0


def test_ctrl_c_stops_waiting_and_the_conversation_goes_on(tmp_path: Path) -> None:
    (tmp_path / "bots.py").write_text(
        "import asyncio, socketnb as snb\nmine = snb.Flow('m')\n"
        "@mine.on('wait')\nasync def wait(turn):\n    turn.say('one moment')\n    await asyncio.sleep(60)\n"
        "@mine.otherwise\ndef other(turn): turn.say('here again')\n"
    )
    with terminal(tmp_path, "cognigy", "--flow", "bots:mine") as type_:
        type_("wait\r", "one moment", "^C", "stopped")
        type_("/help\r", "/wait seconds")


def test_a_server_that_refuses_cannot_steer_the_terminal_either(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    import asyncio
    import threading

    import socketio
    from aiohttp import web

    server = socketio.AsyncServer(async_mode="aiohttp")
    app = web.Application()
    server.attach(app)

    @server.event
    def connect(sid: str, environ: Any, auth: Any = None) -> None:
        raise socketio.exceptions.ConnectionRefusedError("\x1b]0;pwn\x07\x1b[2J no")

    ready, ports = threading.Event(), []
    loop = asyncio.new_event_loop()

    async def start() -> web.AppRunner:
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        ports.append(runner.addresses[0][1])
        return runner

    def serve() -> None:
        runner = loop.run_until_complete(start())
        ready.set()
        loop.run_forever()
        loop.run_until_complete(runner.cleanup())
        loop.close()

    thread = threading.Thread(target=serve)
    thread.start()
    ready.wait(10)
    try:
        for command in ("chat", "check"):
            done = piped("", command, "cognigy", "--set", "token=x", "--set", f"url=http://127.0.0.1:{ports[0]}")
            assert done.returncode
            assert "pwn" in done.stdout + done.stderr
            assert not CONTROLS.search((done.stdout + done.stderr).replace("\n", ""))
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


def test_nothing_that_a_bot_says_is_lost_in_a_terminal(tmp_path: Path) -> None:
    (tmp_path / "bots.py").write_text(
        "import socketnb as snb\nmine = snb.Flow('m')\n"
        "@mine.otherwise\ndef other(turn): turn.say('Type <your-name>\\n<div>\\nin a block</div>\\n[1]: http://x.example')\n"
    )
    with terminal(tmp_path, "cognigy", "--flow", "bots:mine") as type_:
        type_("hi\r", "Type <your-name>", "in a block", "http://x.example", "completed")


def test_the_history_of_a_terminal_has_no_credential(home: Path, tmp_path: Path, hub: Hub) -> None:
    simulator = hub.simulate("eusate", token="planted-key-0123456789")
    with terminal(tmp_path, "eusate", *settings(simulator), simulate=False) as type_:
        type_("my key is planted-key-0123456789\r", "completed")
    assert "my key is" in (home / "chat_history").read_text()
    assert [path for path in home.rglob("*") if path.is_file() and b"planted-key" in path.read_bytes()] == []


def test_a_module_of_this_folder_comes_before_others_of_its_name(tmp_path: Path) -> None:
    (tmp_path / "tabnanny.py").write_text(FLOW)
    done = piped("hi", "chat", "voiceflow", "--simulate", "--flow", "tabnanny:mine", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("module", ["import sys; sys.exit(0)", "raise GeneratorExit", "raise ValueError('x')"])
def test_a_module_that_ends_the_program_is_a_mistake(tmp_path: Path, module: str) -> None:
    (tmp_path / "ends.py").write_text(module)
    done = piped("", "chat", "voiceflow", "--simulate", "--flow", "ends:mine", cwd=tmp_path)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1


def test_a_terminal_that_has_no_such_signs_shows_others() -> None:
    env = {**os.environ, "PYTHONIOENCODING": "ascii"}
    command = [*SOCKETNB, "check", "voiceflow", "--simulate", "--say", "hours"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    assert (done.returncode, done.stderr) == (0, "")
    assert "? answers" in done.stdout


@pytest.mark.parametrize("pair", ["name=x", "simulate=true", "self=1", "record=off", "turn_timeout=5", "a b=1"])
def test_what_is_no_setting_of_a_platform_is_told(pair: str) -> None:
    for command in ("chat", "check"):
        done = piped("", command, "voiceflow", "--simulate", "--set", pair)
        assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
        assert "--set takes a platform's setting" in done.stderr


@pytest.mark.parametrize("pair", ["say=x", "hub=x", "bot=x", "how=x", "typed=x"])
def test_a_setting_that_is_called_as_something_of_ours_is_unknown_all_the_same(pair: str) -> None:
    for command in ("chat", "check"):
        done = piped("", command, "voiceflow", "--simulate", "--set", pair)
        assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
        assert "unknown voiceflow setting" in done.stderr

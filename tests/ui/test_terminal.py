"""`socketnb chat` and `check`: with input from a pipe, and in a real terminal."""

import asyncio
import io
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from command_line import CommandLine
from observing import observe, output, queued
from rich.console import Console

from socketnb.dialects.base import warn
from socketnb.dialects.cognigy import client as cognigy_client
from socketnb.errors import CONTROLS
from socketnb.hub import Hub
from socketnb.simulator.server import Simulator
from socketnb.ui.cell.results import SessionFeed, WaitResult
from socketnb.ui.terminal import TerminalView

SOCKETNB = [sys.executable, "-m", "socketnb"]
FLOW = """
import socketnb as snb

mine = snb.Flow("mine")
not_a_flow = 7


@mine.on("stream")
async def stream(turn):
    turn.stream(["one ", "two ", "three"])


@mine.on("markup")
def markup(turn):
    turn.say("Type <your-name>\\n<div>\\nin a block</div>\\n[1]: http://x.example")


@mine.on("boom")
def boom(turn):
    raise ValueError("broken flow")


@mine.otherwise
def otherwise(turn):
    turn.say("\\x1b[2Jhostile \\x07" + turn.text)
"""


@pytest.fixture
def command_line(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> CommandLine:
    """Commands that run in a folder with a module `bots`."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bots.py").write_text(FLOW)
    return CommandLine(hub, monkeypatch, capsys)


def test_input_from_a_pipe_is_a_script_that_can_fail(command_line: CommandLine) -> None:
    done = command_line.run("chat", "voiceflow", "--simulate", stdin="/launch\n/press Track order\n4567\n?? Tuesday\n")
    assert (done.status, done.stderr) == (0, "")
    assert "Tuesday before noon" in done.stdout
    assert done.stdout.count("completed · first") == 3
    assert "✓ Tuesday" in done.stdout
    done = command_line.run("chat", "voiceflow", "--simulate", stdin="hours\n?? Sunday\nnever\n")
    assert done.status == 1
    assert "line 2: expected 'Sunday'" in done.stdout
    assert "never" not in done.stdout


@pytest.mark.parametrize(
    ("stdin", "status", "message"),
    [
        ("hi\n/lunch", 2, "line 2: unknown verb 'lunch'; did you mean 'launch'?"),
        ("hi\n?? /(/", 2, "line 2: /(/ is not a valid regular expression"),
        ("hi\n/event", 2, "line 2: event needs name"),
        ("/press Nothing", 1, "no message has offered a button yet"),
        ("hours\n?? Sunday", 1, "line 2: expected 'Sunday'"),
        ("hours\n?? data.order.id = 1", 1, "line 2: expected 'data.order.id = 1'"),
    ],
)
def test_the_exit_status_tells_a_bot_that_failed_from_lines_that_cannot_run(
    command_line: CommandLine, stdin: str, status: int, message: str
) -> None:
    done = command_line.run("chat", "voiceflow", "--simulate", stdin=stdin)
    assert done.status == status
    assert message in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_messages_of_a_bot_cannot_control_the_terminal(command_line: CommandLine) -> None:
    done = command_line.run("chat", "voiceflow", "--simulate", "--flow", "bots:mine", stdin="hi\nstream")
    assert done.status == 0, done.stderr
    assert "[2Jhostile hi\n" in done.stdout
    assert "\x1b" not in done.stdout
    assert "\x07" not in done.stdout
    assert "one two three\n" in done.stdout


def test_messages_outside_turns_and_actions_that_wait_are_printed(hub: Hub, capsys: pytest.CaptureFixture[str]) -> None:
    bot = hub.connect("cognigy", simulate=True)
    feed = SessionFeed(bot)
    observe(bot, output("Your parcel."), output("I am late.", turn=1), queued(2, "hi", "not sent: the link is down"))
    view = TerminalView(Console(highlight=False))
    view.add([WaitResult(feed, 0)])
    assert capsys.readouterr().out.splitlines() == [
        "unsolicited:",
        "Your parcel.",
        "late message of turn 1:",
        "I am late.",
        "not sent: the link is down",
    ]


def test_markup_in_messages_is_printed(command_line: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # print as in a terminal
    done = command_line.run("chat", "cognigy", "--simulate", "--flow", "bots:mine", stdin="markup")
    for part in ("Type <your-name>", "in a block", "http://x.example", "completed"):
        assert part in done.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("chat", "nobody"), "unknown platform 'nobody'"),
        (("chat", "voiceflow", "--simulate", "--timeout", "0"), "timeout "),
        (("chat", "voiceflow", "--simulate", "--set", "VF.DM.planted"), "KEY=VALUE"),
        (
            ("chat", "voiceflow", "--simulate", "--flow", "bots:nobody"),
            "--flow must be MODULE:FLOW, got 'bots:nobody': ",
        ),
        (("chat", "voiceflow", "--simulate", "--flow", "bots:not_a_flow"), "flow must be a Flow such as Flow('pizza')"),
        (("simulate", "voiceflow", "--flow", "broken:mine"), "importing the module raised ZeroDivisionError"),
        (("simulate", "voiceflow", "--fault", "x"), "unknown fault 'x'"),
        (("simulate", "voiceflow", "--token", "a b"), "token must consist of letters, digits"),
        (("check", "eusate"), "eusate needs api_key"),
    ],
)
def test_a_mistake_is_one_line_and_status_2(
    command_line: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], message: str
) -> None:
    monkeypatch.setattr("signal.signal", lambda *_: None)
    (tmp_path / "broken.py").write_text("1 / 0")
    done = command_line.run(*words)
    assert done.status == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "planted" not in done.stderr


def test_check_prints_one_line_per_step(command_line: CommandLine) -> None:
    done = command_line.run("check", "cognigy", "--simulate", "--say", "hours")
    assert (done.status, done.stderr) == (0, "")
    assert [line.split()[:2] for line in done.stdout.splitlines()] == [
        ["✓", "reachable"],
        ["✓", "accepted"],
        ["✓", "answers"],
    ]
    done = command_line.run("check", "cognigy", "--set", "url=http://127.0.0.1:9", "--set", "token=abc")
    assert done.status == 1
    assert done.stdout.startswith("✗ reachable     ")
    assert "http://127.0.0.1:9" in done.stdout


@pytest.mark.parametrize("platform", ["cognigy", "eusate", "voiceflow"])
def test_an_error_of_the_bot_ends_the_script_with_status_1(command_line: CommandLine, platform: str) -> None:
    done = command_line.run("chat", platform, "--simulate", "--flow", "bots:mine", stdin="boom\nnever")
    assert done.status == 1
    assert "broken flow" in done.stdout
    assert "never" not in done.stdout


def test_check_fails_with_the_advice_of_a_warning_at_connecting(
    command_line: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    advice = "connected, but the endpoint never said it is ready: an old endpoint, or a wrong token"
    opened = cognigy_client.Client.opened
    monkeypatch.setattr(cognigy_client.Client, "opened", lambda *args: [warn(0, advice), *opened(*args)])
    done = command_line.run("check", "cognigy", "--simulate")
    assert done.status == 1
    assert f"✗ ready         {advice}" in done.stdout


def test_a_file_that_does_not_exist_is_found_before_anything_is_sent(command_line: CommandLine) -> None:
    done = command_line.run("chat", "cognigy", "--simulate", stdin="hi\n/upload nowhere.png")
    assert done.status == 2
    assert "line 2: upload needs the path of an existing file" in done.stdout
    assert "completed" not in done.stdout


def test_a_wrong_key_is_reported_without_the_key(command_line: CommandLine, hub: Hub) -> None:
    simulator = hub.simulate("cognigy", token="0123456789abcdef" * 4)
    done = command_line.run("check", "cognigy", "--set", f"url={simulator.url}", "--set", f"token={'f' * 64}")
    assert done.status == 1
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["✓", "✗"]
    assert "f" * 64 not in done.stdout


@contextmanager
def terminal(folder: Path, *words: str) -> Iterator[Callable[..., None]]:
    """Talk in a real terminal; at the end, Ctrl-D ends the conversation with status 0."""
    import pexpect

    command = [*SOCKETNB, "chat", *words, "--simulate"]
    env = {**os.environ, "TERM": "xterm-256color", "PROMPT_TOOLKIT_NO_CPR": "1"}
    options: Any = {"cwd": str(folder), "env": env, "encoding": "utf-8", "timeout": 30, "dimensions": (40, 100)}
    with pexpect.spawn(command[0], command[1:], **options) as shell:
        shell.expect("Ctrl-D ends")
        yield partial(_type, shell)
        shell.expect(">")
        shell.sendeof()
        shell.expect(pexpect.EOF)
    assert shell.exitstatus == 0


def _type(shell: Any, keys: str, *steps: str) -> None:
    """Type at the prompt, then wait for each text; ^C and Enter are typed instead."""
    shell.expect(">")  # text that is typed before the prompt is lost
    shell.send(keys)
    for step in steps:
        if step == "^C":
            shell.sendintr()
        elif step == "Enter":
            shell.send("\r")
        else:
            shell.expect(step)


def test_a_terminal_has_completion_and_history(home: Path, tmp_path: Path) -> None:
    with terminal(tmp_path, "voiceflow") as type_:
        type_("/launch\r", "completed")
        type_("/press Tra\t", "ck order", "Enter", "your order number", "completed")
        type_("/help\r", "/wait seconds")
        type_("/lunch\r", "did you mean 'launch'")
    history = home / "chat_history"
    assert "+/press Track order" in history.read_text()
    assert history.stat().st_mode & 0o077 == 0


def test_ctrl_c_stops_waiting_and_the_conversation_continues(tmp_path: Path) -> None:
    (tmp_path / "bots.py").write_text(
        "import asyncio, socketnb as snb\nmine = snb.Flow('m')\n"
        "@mine.on('wait')\nasync def wait(turn):\n    turn.say('one moment')\n    await asyncio.sleep(60)\n"
        "@mine.otherwise\ndef other(turn): turn.say('here again')\n"
    )
    with terminal(tmp_path, "cognigy", "--flow", "bots:mine") as type_:
        type_("wait\r", "one moment", "^C", "stopped")
        type_("/help\r", "/wait seconds")


def test_a_cell_can_be_typed_in_a_terminal_of_ipython(tmp_path: Path) -> None:
    import pexpect

    prompt = r"In \[(?:\x1b\[\d*m)*{}"
    more = r"\.\.\.:"
    env = {**os.environ, "TERM": "xterm-256color", "PROMPT_TOOLKIT_NO_CPR": "1", "IPYTHONDIR": str(tmp_path)}
    options: Any = {"env": env, "encoding": "utf-8", "timeout": 30, "dimensions": (40, 100)}
    with pexpect.spawn(sys.executable, ["-m", "IPython", "--no-banner", "--colors=nocolor"], **options) as shell:
        for n, line in enumerate(["%load_ext socketnb", "b = %chat connect voiceflow --simulate", "%%chat"], 1):
            shell.expect(prompt.format(n))
            shell.send(f"{line}\r")
        for line in ("hours", "", ""):
            shell.expect(more)
            shell.send(f"{line}\r")
        shell.expect("Saturday")


def settings(simulator: Simulator) -> list[str]:
    return [word for name, value in simulator.revealed().items() for word in ("--set", f"{name}={value}")]


def test_the_history_of_a_terminal_contains_no_credential(home: Path, command_line: CommandLine) -> None:
    from prompt_toolkit.application import create_app_session
    from prompt_toolkit.input import create_pipe_input
    from prompt_toolkit.output import DummyOutput

    simulator = command_line.hub.simulate("eusate", token="planted-key-0123456789")
    with create_pipe_input() as keys, create_app_session(input=keys, output=DummyOutput()):
        keys.send_text("my key is planted-key-0123456789\r\x04")
        done = command_line.run("chat", "eusate", *settings(simulator), in_terminal=True)
    assert "completed" in done.stdout
    assert "my key is" in (home / "chat_history").read_text()
    command_line.hub.close()
    assert [path for path in home.rglob("*") if path.is_file() and b"planted-key" in path.read_bytes()] == []


def test_a_server_that_refuses_cannot_control_the_terminal(command_line: CommandLine) -> None:
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
            url = f"url=http://127.0.0.1:{ports[0]}"
            done = command_line.run(command, "cognigy", "--set", "token=x", "--set", url)
            assert done.status
            assert "pwn" in done.stdout + done.stderr
            assert not CONTROLS.search((done.stdout + done.stderr).replace("\n", ""))
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


def test_a_module_of_the_current_folder_hides_others_of_its_name(
    command_line: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "tabnanny", raising=False)
    (tmp_path / "tabnanny.py").write_text(FLOW)
    done = command_line.run("chat", "voiceflow", "--simulate", "--flow", "tabnanny:mine", stdin="hi")
    assert (done.status, done.stderr) == (0, "")


@pytest.mark.parametrize("module", ["import sys; sys.exit(0)", "raise GeneratorExit", "raise ValueError('x')"])
def test_a_module_that_exits_is_a_mistake(command_line: CommandLine, tmp_path: Path, module: str) -> None:
    (tmp_path / "exits.py").write_text(module)
    done = command_line.run("chat", "voiceflow", "--simulate", "--flow", "exits:mine")
    assert done.status == 2
    assert len(done.stderr.splitlines()) == 1


def test_an_ascii_terminal_shows_a_question_mark_for_a_tick(
    command_line: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    stdout = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr("sys.stdout", stdout)
    assert command_line.run("check", "voiceflow", "--simulate", "--say", "hours").status == 0
    stdout.flush()
    assert b"? answers" in stdout.buffer.getvalue()  # type: ignore[attr-defined]


@pytest.mark.parametrize("command", ["chat", "check"])
@pytest.mark.parametrize("pair", ["name=x", "simulate=true", "self=1", "record=off", "turn_timeout=5", "a b=1"])
def test_set_takes_only_settings_of_the_platform(command_line: CommandLine, command: str, pair: str) -> None:
    done = command_line.run(command, "voiceflow", "--simulate", "--set", pair)
    assert (done.status, len(done.stderr.splitlines())) == (2, 1)
    assert "--set takes a setting of the platform" in done.stderr


@pytest.mark.parametrize("command", ["chat", "check"])
@pytest.mark.parametrize("pair", ["say=x", "hub=x", "bot=x", "pairs=x", "timeout_s=x"])
def test_a_setting_with_the_name_of_an_internal_parameter_is_unknown(
    command_line: CommandLine, command: str, pair: str
) -> None:
    done = command_line.run(command, "voiceflow", "--simulate", "--set", pair)
    assert (done.status, len(done.stderr.splitlines())) == (2, 1)
    assert "unknown voiceflow setting" in done.stderr

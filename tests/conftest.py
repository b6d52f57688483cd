"""Fixtures that tests share: a hub, a flow, a session, a shell and a kernel."""

import os
import threading
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import hypothesis
import kernels
import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

import socketnb
from socketnb.conversation.session import Session
from socketnb.flows.flow import Flow, FlowTurn
from socketnb.hub import Hub

hypothesis.settings.register_profile("mutants", max_examples=20, deadline=None, database=None)  # make mutants
NUMBERS = count()
Eventually = Callable[..., None]  # takes a condition, and optionally the seconds to wait for it
FAST = {"reconnection_delay": 0.02, "reconnection_delay_max": 0.05}


def pytest_addoption(parser: pytest.Parser) -> None:
    places = ["lab", "notebook", "ipykernel-7.3"]
    parser.addoption("--place", default="lab", choices=places, help="where test_browser.py shows the panel")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give each test its own data folder, and no settings from the environment."""
    monkeypatch.setenv("SOCKETNB_HOME", str(tmp_path / "home"))
    for name in os.environ:
        if name.startswith("SOCKETNB_") and name != "SOCKETNB_HOME":
            monkeypatch.delenv(name)
    return tmp_path / "home"


@pytest.fixture
def hub() -> Iterator[Hub]:
    """A hub. The test fails if it leaves a thread behind."""
    before = set(threading.enumerate())
    hub = socketnb._with_ui(Hub())
    yield hub
    hub.close()
    ours = [t for t in set(threading.enumerate()) - before if t.name.startswith("socketnb")]
    for thread in ours:  # wait for a handler that is returning
        thread.join(5)
    left = [thread.name for thread in ours if thread.is_alive()]
    assert not left, f"the hub left threads behind: {left}"


@pytest.fixture
def flow() -> Flow:
    """A flow with one answer of each kind."""
    flow = Flow(f"test {next(NUMBERS)}")

    @flow.launch
    def hello(turn: FlowTurn) -> None:
        turn.say("Hello!")
        turn.choices("Order", "Track")

    @flow.on("Order")
    async def order(turn: FlowTurn) -> None:
        size = await turn.ask("Which size?", choices=["S", "L"])
        turn.say(f"One {size} pizza.")
        turn.end()

    @flow.on("strange")
    def strange(turn: FlowTurn) -> None:
        turn.raw("action.trace", {"trace": {"type": "fireworks", "payload": {"colour": "red"}}, "messageID": "m"})
        turn.raw("weather.report", {"sun": True})

    @flow.on("malformed")
    def malformed(turn: FlowTurn) -> None:
        for event in ("action.trace", "action.status", "session.created", "client.started"):
            for payload in (None, 7, [], {}, {"trace": 7}, {"trace": {"type": None}}, {"status": []}):
                turn.raw(event, payload)

    @flow.on("sorry")
    def sorry(turn: FlowTurn) -> None:
        turn.raw("error", {"code": "quota", "error": "too many tokens"})

    @flow.on("break")
    def broken(turn: FlowTurn) -> None:
        raise ZeroDivisionError("cannot slice a pizza by none")

    @flow.otherwise
    def echo(turn: FlowTurn) -> None:
        turn.say(f"You said {turn.text}")

    return flow


@pytest.fixture
def bot(hub: Hub, flow: Flow) -> Session:
    """A session with that flow, on its own simulator."""
    return hub.connect("voiceflow", name="bot", simulate=True, flow=flow, **FAST)


def sim(hub: Hub) -> Any:
    """Return the simulator that was started last."""
    return hub._simulators[-1]


@pytest.fixture
def eventually() -> Eventually:
    """A function that waits until a condition is true."""

    def wait(condition: Callable[[], bool], seconds: float = 10) -> None:
        tick = threading.Event()
        for _ in range(int(seconds / 0.01)):
            if condition():
                return
            tick.wait(0.01)
        raise AssertionError("the condition did not become true in time")

    return wait


class Cells:
    """Runs cells in a shell, and keeps their output."""

    def __init__(self, shell: InteractiveShell) -> None:
        self.shell = shell
        self.html: list[str] = []
        self.outputs: list[Any] = []
        self.text = ""
        self.errors = ""

    def run(self, cell: str) -> Any:
        with capture_output() as shown:
            result = self.shell.run_cell(cell)
        self.outputs = shown.outputs
        self.html = [output.data.get("text/html", "") for output in shown.outputs]
        self.text = shown.stdout + "".join(output.data["text/plain"] for output in shown.outputs)
        self.errors = shown.stderr
        return result


@pytest.fixture
def cells(hub: Hub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Cells]:
    monkeypatch.setattr("socketnb.hub.hub", hub)
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    InteractiveShell.clear_instance()
    shell = InteractiveShell.instance(colors="nocolor")
    shell.run_line_magic("load_ext", "socketnb")
    yield Cells(shell)
    shell.history_manager.end_session()
    InteractiveShell.clear_instance()


@pytest.fixture
def ears(hub: Hub) -> list[str]:
    """The texts that a bot received. Its session has the name bot."""
    flow = Flow("ears")
    texts: list[str] = []

    @flow.otherwise
    def receive(turn: FlowTurn) -> None:
        texts.append(turn.text)

    hub.connect("voiceflow", name="bot", simulate=True, flow=flow)
    return texts


@pytest.fixture(scope="session")
def shared_kernel() -> Iterator[kernels.Kernel]:
    """A real kernel for all tests of a process: starting one takes seconds."""
    with kernels.kernel() as kernel:
        yield kernel


@pytest.fixture
def kernel(shared_kernel: kernels.Kernel) -> Iterator[kernels.Kernel]:
    """A real kernel without open sessions."""
    yield shared_kernel
    shared_kernel.reset()

"""The magics in a real Jupyter kernel: waiting, interrupting, and staying alive behind a cell that blocks."""

import tempfile
from collections.abc import Iterator
from typing import Any

import pytest

pytestmark = [pytest.mark.kernel, pytest.mark.filterwarnings("default")]  # the kernel client's own warnings
CONNECT = """%load_ext socketnb
import socketnb as snb
sim = snb.simulate("voiceflow", ping_interval=1, ping_timeout=1)
bot = snb.connect("voiceflow", name="bot", **sim.settings)"""


class Kernel:
    """A kernel and what its cells print and show."""

    def __init__(self, manager: Any, client: Any) -> None:
        self.manager, self.client = manager, client

    def run(self, cell: str) -> str:
        """Run a cell and return what it printed and showed, as text."""
        return self.finish(self.client.execute(cell))

    def finish(self, request: str) -> str:
        parts: list[str] = []
        while True:
            message = self.client.get_iopub_msg(timeout=60)
            if message["parent_header"].get("msg_id") != request:
                continue
            content = message["content"]
            if message["msg_type"] == "status" and content["execution_state"] == "idle":
                return "".join(parts)
            if message["msg_type"] == "error":
                parts.append("\n".join([content["ename"], content["evalue"], *content["traceback"]]))
            parts.append(content.get("text") or content.get("data", {}).get("text/plain", ""))


@pytest.fixture
def kernel() -> Iterator[Kernel]:
    from jupyter_client.manager import KernelManager

    with (
        tempfile.TemporaryDirectory() as folder
    ):  # files, not ports: between choosing one and using it another takes it
        manager = KernelManager(transport="ipc", ip=f"{folder}/k")
        manager.start_kernel()
        client = manager.client()
        client.start_channels()
        client.wait_for_ready(timeout=60)
        yield Kernel(manager, client)
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def test_a_session_keeps_its_link_and_misses_nothing_while_a_cell_blocks(kernel: Kernel) -> None:
    kernel.run(CONNECT)
    kernel.run("""
flow = snb.Flow("demo shop")
@flow.otherwise
async def tick(turn):
    import asyncio
    for n in range(40):
        turn.say(str(n)); await asyncio.sleep(0.1)
sid, turn = bot._driver.link.sid, bot.send("go")""")
    kernel.run("import time; time.sleep(5)")
    print_it = "print(turn.status, turn.text.split() == [str(n) for n in range(40)], bot._driver.link.sid == sid)"
    assert kernel.run(print_it) == "completed True True\n"


def test_a_chat_cell_shows_its_turns_and_leaves_no_value(kernel: Kernel) -> None:
    kernel.run(CONNECT)
    shown = kernel.run("%%chat bot\ntrack\n4567")
    assert "Tuesday before noon" in shown
    assert kernel.run("_") == "''"


def test_an_interrupted_chat_cell_keeps_what_came_and_the_session_goes_on(kernel: Kernel) -> None:
    kernel.run(CONNECT)
    kernel.run("sim.fault('silent'); bot.listen(lambda trace: print(trace.kind, flush=True))")
    request = kernel.client.execute("%%chat bot\nhours")
    while "choices" not in kernel.client.get_iopub_msg(timeout=60)["content"].get("text", ""):
        pass
    kernel.manager.interrupt_kernel()
    shown = kernel.finish(request)
    assert "interrupted: the turn was cancelled, the session stays usable" in shown
    assert "Traceback" not in shown
    assert "socketnb/" not in shown
    assert kernel.run("print(bot.say('thanks').status, list(bot.turns_df()['status']))").startswith("completed")


def test_a_turn_can_be_awaited_in_a_cell_and_a_coroutine_run(kernel: Kernel) -> None:
    kernel.run(CONNECT)
    assert "Saturday" in kernel.run("print((await bot.send('hours')).text)")
    code = "async def ask(): return (await bot.send('hours')).text\nprint(snb.run(ask()))"
    assert "Saturday" in kernel.run(code)


def test_a_mistake_is_one_line(kernel: Kernel) -> None:
    kernel.run("%load_ext socketnb")
    shown = kernel.run("%chat connect voicflow --simulate")
    assert "UsageError: there is no platform 'voicflow'; did you mean 'voiceflow'?" in shown
    assert "Traceback" not in shown


def test_a_kernel_shuts_down_with_sessions_open(kernel: Kernel) -> None:
    kernel.run(CONNECT)
    kernel.client.shutdown()
    assert kernel.manager.provisioner.process.wait(15) == 0

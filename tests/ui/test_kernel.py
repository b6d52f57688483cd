"""The magics in a real Jupyter kernel: waiting, interrupting, and keeping the link while a cell blocks."""

import kernels
import pytest
from kernels import CONNECT, Kernel

pytestmark = [pytest.mark.kernel, pytest.mark.filterwarnings("default")]  # warnings of jupyter_client


def test_a_session_keeps_its_link_and_loses_nothing_while_a_cell_blocks(kernel: Kernel) -> None:
    kernel.run(CONNECT)
    kernel.run("""
flow = snb.Flow("demo shop")
@flow.otherwise
async def tick(turn):
    import asyncio
    for n in range(25):
        turn.say(str(n)); await asyncio.sleep(0.1)
sid, turn = bot._driver.link.sid, bot.send("go")""")
    kernel.run("import time; time.sleep(3)  # longer than ping_interval + ping_timeout")
    comparison = "print(turn.status, turn.text.split() == [str(n) for n in range(25)], bot._driver.link.sid == sid)"
    assert kernel.run(comparison) == "completed True True\n"


def test_a_chat_cell_shows_its_turns_and_leaves_no_value(kernel: Kernel) -> None:
    kernel.run(CONNECT)
    kernel.run("'before'")
    assert "Tuesday before noon" in kernel.run("%%chat bot\ntrack\n4567")
    assert kernel.run("_") == "'before'"


def test_a_turn_can_be_awaited_and_a_coroutine_can_be_run(kernel: Kernel) -> None:
    kernel.run(CONNECT)
    assert "Saturday" in kernel.run("print((await bot.send('hours')).text)")
    code = "async def ask(): return (await bot.send('hours')).text\nprint(snb.run(ask()))"
    assert "Saturday" in kernel.run(code)


def test_a_mistake_is_one_line(kernel: Kernel) -> None:
    kernel.run("%load_ext socketnb")
    shown = kernel.run("%chat connect voicflow --simulate")
    assert "UsageError: unknown platform 'voicflow'; did you mean 'voiceflow'?" in shown
    assert "Traceback" not in shown


def test_a_kernel_shuts_down_with_sessions_open() -> None:
    with kernels.kernel() as kernel:
        kernel.run(CONNECT)
        kernel.client.shutdown()
        assert kernel.manager.provisioner.process.wait(15) == 0

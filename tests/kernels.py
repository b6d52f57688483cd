"""Runs cells in a real Jupyter kernel, and reads the messages that they cause."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager

MESSAGE_TIMEOUT_S = 60
CONNECT = """%load_ext socketnb
import socketnb as snb
sim = snb.simulate("voiceflow", ping_interval=1, ping_timeout=1)
bot = snb.connect("voiceflow", name="bot", **sim.settings)"""

COUNTS = """%load_ext socketnb
import asyncio
import socketnb as snb
flow = snb.Flow("counts")
@flow.otherwise
async def count(turn):
    for n in range(5):
        turn.say(f"word {n}")
        await asyncio.sleep(0.5)
bot = snb.connect("voiceflow", name="bot", simulate=True, flow=flow)"""

RESET = """import socketnb.hub
socketnb.hub.hub.close()
%unload_ext socketnb
%reset -f"""
"""Closes everything that a test opened, and deletes its variables."""


class Kernel:
    """A kernel with its client.

    Attributes:
        other_messages: Messages that belong to another cell than the one that was running when they arrived.
    """

    def __init__(self, manager: KernelManager, client: BlockingKernelClient) -> None:
        self.manager, self.client = manager, client
        self.other_messages: list[Any] = []

    def run(self, cell: str) -> str:
        """Run a cell and return what it printed and showed, as text."""
        return self.finish(self.client.execute(cell, allow_stdin=False))

    def finish(self, request: str) -> str:
        """Wait until a cell is done, and return what it printed and showed."""
        parts: list[str] = []
        for message in self.messages(request):
            content = message["content"]
            if message["msg_type"] == "error":
                parts.append("\n".join([content["ename"], content["evalue"], *content["traceback"]]))
            parts.append(content.get("text") or content.get("data", {}).get("text/plain", ""))
        return "".join(parts)

    def messages(self, request: str) -> list[Any]:
        """Wait until a cell is done, and return its messages."""
        messages: list[Any] = []
        while True:
            message = self.client.get_iopub_msg(timeout=MESSAGE_TIMEOUT_S)
            if message["parent_header"].get("msg_id") != request:
                self.other_messages.append(message)
                continue
            messages.append(message)
            if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                return messages

    def reset(self) -> None:
        """Leave nothing of a test to the next one."""
        self.run(RESET)
        self.other_messages.clear()


@contextmanager
def kernel() -> Iterator[Kernel]:
    """Start a kernel with its own recordings, and stop it at the end."""
    with tempfile.TemporaryDirectory() as folder:
        # Unix sockets instead of ports: another process can take a port between its choice and its use.
        manager = KernelManager(transport="ipc", ip=f"{folder}/k")
        manager.start_kernel(env={**os.environ, "SOCKETNB_HOME": f"{folder}/home"})
        client = manager.client()
        client.start_channels()
        client.wait_for_ready(timeout=MESSAGE_TIMEOUT_S)
        try:
            yield Kernel(manager, client)
        finally:
            client.stop_channels()
            manager.shutdown_kernel(now=True)

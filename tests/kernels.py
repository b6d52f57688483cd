"""Drives a real Jupyter kernel: its cells, and the messages that they bring."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

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


class Kernel:
    """A kernel and what its cells print and show."""

    def __init__(self, manager: Any, client: Any) -> None:
        self.manager, self.client = manager, client
        self.spare: list[Any] = []  # messages that came while a cell ran which was not the one that they belong to

    def run(self, cell: str) -> str:
        """Run a cell and return what it printed and showed, as text."""
        return self.finish(self.client.execute(cell, allow_stdin=False))

    def finish(self, request: str) -> str:
        """Return what a cell printed and showed, once it is done."""
        parts: list[str] = []
        for message in self.messages(request):
            content = message["content"]
            if message["msg_type"] == "error":
                parts.append("\n".join([content["ename"], content["evalue"], *content["traceback"]]))
            parts.append(content.get("text") or content.get("data", {}).get("text/plain", ""))
        return "".join(parts)

    def messages(self, request: str) -> list[Any]:
        """Return the messages of a cell, once it is done."""
        found: list[Any] = []
        while True:
            message = self.client.get_iopub_msg(timeout=60)
            if message["parent_header"].get("msg_id") != request:
                self.spare.append(message)
                continue
            found.append(message)
            if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                return found


@contextmanager
def kernel() -> Iterator[Kernel]:
    """Start a kernel, and end it."""
    from jupyter_client.manager import KernelManager

    with tempfile.TemporaryDirectory() as folder:
        # Files, not ports: between choosing one and using it another takes it.
        manager = KernelManager(transport="ipc", ip=f"{folder}/k")
        manager.start_kernel()
        client = manager.client()
        client.start_channels()
        client.wait_for_ready(timeout=60)
        try:
            yield Kernel(manager, client)
        finally:
            client.stop_channels()
            manager.shutdown_kernel(now=True)

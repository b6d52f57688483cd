"""What messages in an open panel cost the kernel, beside a core HTML widget that holds them all: `make bench`.

The messages come over a real socket; only what the panel does is timed, and what it sends is made JSON, as a kernel
does. What is wanted stands beside what is measured; nothing here fails, for a clock on a busy machine proves little.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

from ipywidgets import HTML

from socketnb.conversation.session import Session
from socketnb.flows.flow import Flow, FlowTurn
from socketnb.hub import Hub
from socketnb.model.trace import Trace
from socketnb.ui.panel import Panel
from socketnb.ui.panel.pane import Pane

FEW = 2_000
WORDS = "Message {}: plain words, as bots say them, of the usual length."


class Open(Panel):
    """A panel that notes the bytes of each message."""

    def __init__(self, *sessions: Session) -> None:
        self.sizes: list[int] = []
        super().__init__(*sessions)

    def _pane(self, place: int, session: Session) -> Pane:
        return Timed(session, partial(self._send_of, place))

    def send(self, content: Any, buffers: Any = None) -> None:
        """Make a message what travels."""
        self.sizes.append(len(json.dumps(content)))
        super().send(content, buffers)


class Timed(Pane):
    """A pane that notes the CPU seconds of each burst."""

    def __init__(self, *args: Any) -> None:
        self.seconds: list[float] = []
        super().__init__(*args)

    def tell(self, burst: Sequence[Trace]) -> None:
        """Do it, and note how long it took."""
        begun = time.thread_time()
        super().tell(burst)
        self.seconds.append(time.thread_time() - begun)

    def _go_on(self) -> None:
        begun = time.thread_time()
        super()._go_on()
        self.seconds.append(time.thread_time() - begun)


def talkative() -> Flow:
    """Return a bot that says as many messages as it is told."""
    flow = Flow("talkative")

    @flow.otherwise
    def talk(turn: FlowTurn) -> None:
        for n in range(int(turn.text)):
            turn.say(WORDS.format(n))

    return flow


def measure(count: int) -> tuple[float, list[int], int]:
    """Return the CPU seconds in the panel, the bytes of each message that it sent, and how often it worked."""
    hub = Hub()
    bot = hub.connect("voiceflow", simulate=True, flow=talkative(), record=False, turn_timeout=600)
    bot.say("1")  # what is loaded but once
    panel = Open(bot)
    (pane,) = panel._panes  # noqa: SLF001 (this is what is measured)
    pane.hear({"ask": "last", "seq": 0, "view": "a page"}, [])
    bot.say(str(count), timeout=600)
    seconds = pane.seconds if isinstance(pane, Timed) else []
    hub.close()
    return sum(seconds), panel.sizes, len(seconds)


def peer(count: int) -> tuple[float, int]:
    """Return the same for a widget that holds the whole conversation."""
    log, sent = HTML(), 0
    begun = time.thread_time()
    for n in range(count):
        log.value += f"<p>{WORDS.format(n)}</p>"
        sent += len(json.dumps({"value": log.value}))
    return time.thread_time() - begun, sent


def main() -> None:
    """Measure, and print the table."""
    seconds, sizes, bursts = measure(FEW)
    slow, many = peer(FEW)
    print(f"{FEW:,} messages into an open panel, heard in {bursts:,} steps, told to pages in {len(sizes):,} messages")
    print(f"  seconds  {seconds:6.3f}   an HTML widget {slow:8.2f}   1/{slow / seconds:.0f}   wanted: under 0.1 s")
    print(f"  MB       {sum(sizes) / 1e6:6.2f}   an HTML widget {many / 1e6:8.1f}         wanted: under 1 MB")


if __name__ == "__main__":
    main()

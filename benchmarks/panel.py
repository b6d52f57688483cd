"""Measures what messages in an open panel cost the kernel, compared to an HTML widget: `make bench`.

The messages come over a real socket. Only the work of the panel is timed, including the conversion to JSON, as in a
kernel. The targets are printed next to the results. Nothing fails here, because times on a busy machine vary.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from functools import partial

from ipywidgets import HTML

from socketnb.conversation.session import Session
from socketnb.flows.flow import Flow, FlowTurn
from socketnb.hub import Hub
from socketnb.model.json import JsonObject
from socketnb.model.trace import Trace
from socketnb.ui.panel import Panel
from socketnb.ui.panel.session_view import SessionView

MESSAGES = 2_000
TEXT = "Message {}: plain words, as bots send them, of the usual length."


class MeasuredPanel(Panel):
    """A panel that records the size of each message in bytes."""

    def __init__(self, *sessions: Session) -> None:
        self.sizes: list[int] = []
        super().__init__(*sessions)

    def _make_view(self, index: int, session: Session) -> SessionView:
        return TimedView(session, partial(self._send_from, index))

    def send(self, content: JsonObject, buffers: list[bytes] | None = None) -> None:
        """Record the size of a message and send it."""
        self.sizes.append(len(json.dumps(content)))
        super().send(content, buffers)


class TimedView(SessionView):
    """A view that records the CPU seconds of each batch."""

    def __init__(self, session: Session, send: Callable[[JsonObject], None]) -> None:
        self.seconds: list[float] = []
        super().__init__(session, send)

    def update(self, batch: Sequence[Trace]) -> None:
        """Handle a batch and record its time."""
        start = time.thread_time()
        super().update(batch)
        self.seconds.append(time.thread_time() - start)

    def _end_interval(self) -> None:
        start = time.thread_time()
        super()._end_interval()
        self.seconds.append(time.thread_time() - start)


def chatty_flow() -> Flow:
    """Return a bot that sends as many messages as the text says."""
    flow = Flow("chatty")

    @flow.otherwise
    def send_many(turn: FlowTurn) -> None:
        for n in range(int(turn.text)):
            turn.say(TEXT.format(n))

    return flow


def measure_panel(count: int) -> tuple[float, list[int], int]:
    """Return the CPU seconds in the panel, the bytes of each message that it sent, and the number of batches."""
    hub = Hub()
    bot = hub.connect("voiceflow", simulate=True, flow=chatty_flow(), record=False, turn_timeout=600)
    bot.say("1")  # so that everything is imported
    panel = MeasuredPanel(bot)
    (view,) = panel._views  # noqa: SLF001 (the object that is measured)
    view.receive({"type": "fetch", "anchor": "last", "seq": 0, "view": "a page"}, [])
    bot.say(str(count), timeout=600)
    seconds = view.seconds if isinstance(view, TimedView) else []
    hub.close()
    return sum(seconds), panel.sizes, len(seconds)


def measure_html_widget(count: int) -> tuple[float, int]:
    """Return the CPU seconds and the bytes of a widget that holds the whole conversation."""
    log, sent = HTML(), 0
    start = time.thread_time()
    for n in range(count):
        log.value += f"<p>{TEXT.format(n)}</p>"
        sent += len(json.dumps({"value": log.value}))
    return time.thread_time() - start, sent


def main() -> None:
    """Measure, and print the table."""
    seconds, sizes, batches = measure_panel(MESSAGES)
    html_seconds, html_bytes = measure_html_widget(MESSAGES)
    print(f"{MESSAGES:,} messages in an open panel, in {batches:,} batches and {len(sizes):,} messages to pages")
    ratio = f"1/{html_seconds / seconds:.0f}"
    print(f"  seconds  {seconds:6.3f}   HTML widget {html_seconds:8.2f}   {ratio}   target: below 0.1 s")
    print(f"  MB       {sum(sizes) / 1e6:6.2f}   HTML widget {html_bytes / 1e6:8.1f}         target: below 1 MB")


if __name__ == "__main__":
    main()

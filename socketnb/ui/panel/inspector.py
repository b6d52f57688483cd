"""The data of the inspector: facts about the session, and the traces of one turn."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from socketnb import render
from socketnb.model.trace import CONTENT_KINDS

if TYPE_CHECKING:
    from socketnb.conversation.session import Session
    from socketnb.model.trace import Trace
    from socketnb.ui.panel.protocol import InspectedTrace
    from socketnb.ui.panel.row_index import RowIndex

MAX_TRACES = 200
"""The maximum number of traces listed. The latest traces of the turn are listed."""
MAX_PAYLOAD_CHARS = 4_000
"""The maximum length of a payload."""
MAX_LABEL_CHARS = 80
"""The maximum length of the summary of a trace."""


def inspect_turn(session: Session, index: RowIndex, turn: int, known: int) -> dict[str, object]:
    """Return facts about the session, and the latest traces of a turn after the trace `known`."""
    begin, end = index.span(turn)
    begin = max(begin, known + 1)
    latest = session.traces(max(begin, end - MAX_TRACES), MAX_TRACES)
    traces = [trace for trace in latest if trace.turn in (turn, 0) and trace.seq < end]
    last = traces[-1] if traces else None
    median = render.milliseconds(index.median_first_ms)
    facts = {
        "conversation": last and last.conversation,
        "reconnects": str(max(0, index.links - 1)),
        "turns": f"{index.turns} · p50 {median}" if median else index.turns,
        "recording": last and last.recording,
        "traces": index.end - session.first,
        **session.ids,
    }
    return {
        "turn": turn,
        "facts": [[name, str(value)] for name, value in facts.items() if value],
        "traces": [_inspected(trace) for trace in traces],
    }


def _inspected(trace: Trace) -> InspectedTrace:
    return {
        "seq": trace.seq,
        "ms": None if math.isnan(trace.elapsed_ms) else round(trace.elapsed_ms, 1),
        "direction": trace.direction,
        "kind": trace.kind,
        "event": trace.event,
        "label": (trace.error or trace.text or trace.node or "")[:MAX_LABEL_CHARS],
        "content": trace.kind in CONTENT_KINDS or trace.kind == "delta",
        "payload": trace.payload[:MAX_PAYLOAD_CHARS],
    }

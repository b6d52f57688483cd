"""The chat panel: an anywidget view of a session.

What travels, as custom messages (never as synced state, which would be saved in the notebook):

    page → kernel   {"ask": seq}                     send everything from this trace on
                    {"say": text}                    say something
                    {"press": seq, "option": n}      press button n (from 0) of that trace
    kernel → page   {"from": a, "to": b, "rows": […], "facts": {…}}     the rows of traces a to b-1
                    {"problem": sentence, "text": …}                    something was not sent

The ranges [a, b) lie end to end, so a page that misses one sees it and asks; one that comes twice does no harm.
"""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

import anywidget

from socketnb import dialects, render
from socketnb.dialects import Streams, message
from socketnb.errors import ActionError, SocketnbError
from socketnb.records import Delta

if TYPE_CHECKING:
    from socketnb.records import Trace
    from socketnb.session import Session

log = logging.getLogger(__name__)
STATES = ("ready", "resumed", "ended", "session")
"""Kinds of traces after which the session's state may be another."""
HERE = Path(__file__).parent


class Row(TypedDict, total=False):
    """What the page is told of a trace."""

    seq: int
    turn: int
    at: int  # milliseconds since 1970
    sender: str
    html: str  # sanitised; the page inserts it as it is
    text: str  # the user's own words; the page inserts them as text
    delta: str  # the next piece of a streamed message; its last row has the whole as html
    stream: str
    choices: list[str]
    notice: str
    kind: str
    first: float  # milliseconds since the turn's action, of a message
    done: float  # the same, of what ended the turn


def row(trace: Trace, streams: Streams) -> Row | None:
    """Return what the page shows of a trace, or None. `streams` has seen the traces before it."""
    about: Row = {"seq": trace.seq, "turn": trace.turn, "at": trace.at // 1_000_000, "kind": trace.kind}
    about["sender"] = trace.sender
    shown = message(trace)
    if shown and trace.kind == "action":
        about["text"] = render.cut(render.message_text(shown))
    elif shown and isinstance(shown.content, Delta):
        about["delta"], about["stream"] = shown.content.text, shown.content.stream
        if whole := streams.add(shown):
            about["html"] = render.message_html(whole)
    elif shown:
        if html := render.message_html(shown, buttons=False):
            about["html"] = html
        if shown.choices:
            about["choices"] = [option.label for option in shown.choices]
    elif said := render.notice(trace):
        about["notice"] = render.cut(said)
    elif not trace.final:
        return None
    if not math.isnan(trace.elapsed_ms):
        about["first"] = round(trace.elapsed_ms, 1)
        if trace.final:
            about["done"] = round(trace.elapsed_ms, 1)
    return about


class Panel(anywidget.AnyWidget):
    """A chat panel. Show it in several places and each is a view of the same conversation."""

    # The text, not the path: anywidget would watch a path in a thread that it never ends.
    _esm = (HERE / "panel.js").read_text(encoding="utf-8")
    _css = (HERE / "panel.css").read_text(encoding="utf-8")

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._covered: int | None = None  # the end of the last range sent; the first begins where the panel does
        self._streams = Streams(session.encoding)
        for trace in session.traces():
            row(trace, self._streams)
        # ipykernel 7.4 answers a comm on the shell that last published on it; ours publishes from a thread, so
        # clicks would wait for the running cell. Other versions have no such name and need nothing.
        if hasattr(self.comm, "_reply_subshell_for"):
            self.comm._reply_subshell_for = lambda _data, default: default  # noqa: SLF001
        self.on_msg(self._hear)
        self._stop_listening = session.follow(self._tell)

    def close(self) -> None:
        """Remove the panel from every page."""
        self._stop_listening()
        super().close()

    def _repr_mimebundle_(self, **_: object) -> Any:
        """Beside the widget, a transcript: what GitHub, nbviewer and mail show."""
        bundle = super()._repr_mimebundle_()
        if bundle is None:
            return None
        data, metadata = bundle
        static = self._session._repr_mimebundle_()
        return {**data, **static, "text/plain": self._session.transcript()}, metadata

    def _tell(self, burst: list[Trace]) -> None:
        """Hand what came to the pages; on the background thread."""
        rows = [shown for trace in burst if (shown := row(trace, self._streams))]
        if rows or any(trace.direction == "local" or trace.kind in STATES for trace in burst):
            since = burst[0].seq if self._covered is None else self._covered
            self._publish(rows, since, burst[-1].seq + 1)

    def _publish(self, rows: list[Row], since: int, to: int) -> None:
        self._covered = max(self._covered or 0, to)
        self.send({"from": since, "to": to, "rows": rows, "facts": self._facts()})

    def _facts(self) -> dict[str, Any]:
        session = self._session
        title = dialects.get(session.platform).TITLE
        return {"name": session.name, "platform": title, "state": session.state}

    def _hear(self, _: object, said: Any, __: object) -> None:
        """Do what a page asks; on the main thread or on a subshell's."""
        try:
            match said:
                case {"ask": int(since)}:
                    self._tell_again(since)
                case {"say": str(text)} if text.strip():
                    self._session.send(text)
                case {"press": int(seq), "option": int(option)}:
                    self._press(seq, option)
        except SocketnbError as error:
            self.send({"problem": str(error), "text": said.get("say", "")})
        except Exception as error:
            log.exception("the panel of %r failed", self._session.name)
            self.send({"problem": f"{type(error).__name__}: {error}", "text": said.get("say", "")})

    def _tell_again(self, since: int) -> None:
        """Hand over everything from a trace on; a stream that began before it is put together all the same."""
        traces, streams = self._session.traces(), Streams(self._session.encoding)
        rows = [shown for trace in traces if (shown := row(trace, streams)) and trace.seq >= since]
        self._publish(rows, since, traces[-1].seq + 1 if traces else since)

    def _press(self, seq: int, option: int) -> None:
        trace = next(iter(self._session.traces(seq)), None)
        shown = message(trace) if trace and trace.seq == seq else None
        options = shown.choices if shown else ()
        if not 0 <= option < len(options):
            raise ActionError("there is no button here; nothing was sent")
        self._session.start("press", choice=options[option])

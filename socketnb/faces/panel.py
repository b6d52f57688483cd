"""The chat panel: an anywidget view of a session.

What travels, as custom messages (never as synced state, which would be saved in the notebook):

    page → kernel   {"ask": seq}                     send everything from this trace on
                    {"say": text, "id": n}           say something; the page's own number of it comes back
                    {"press": seq, "option": n}      press button n (from 0) of that trace
                    {"do": verb}                     launch, reset: start over
                    {"stop": true}                   wait no longer for what is running
                    {"export": form}                 hand over the conversation: markdown, html or jsonl
                    {"inspect": seq}                 tell of the session, and the traces from this one on
    kernel → page   {"from": a, "to": b, "rows": […], "facts": {…}}     the rows of traces a to b-1
                    {"file": name, "content": text}                     what was to be exported
                    {"inspected": {"session": […], "traces": […]}}      what the inspector shows
                    {"said": n, "turn": number}                         the turn of what a page has said
                    {"pressed": seq, "option": n}                       which button it was
                    {"problem": sentence, "text", "said", "press"}      something was not sent

The ranges [a, b) lie end to end, so a page that misses one sees it and asks; one that comes twice does no harm.
"""

from __future__ import annotations

import itertools
import logging
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict

import anywidget

from socketnb import dialects, render
from socketnb.dialects import Message, Streams, buttons, message
from socketnb.errors import ActionError, SocketnbError
from socketnb.frames.files import jsonl
from socketnb.records import CONTENT_KINDS, Card, Cards, Delta

if TYPE_CHECKING:
    from socketnb.records import Trace
    from socketnb.session import Session

log = logging.getLogger(__name__)
STATES = ("ready", "resumed", "ended", "session")
"""Kinds of traces after which the session's state may be another."""
ENDINGS = {"markdown": "md", "html": "html", "jsonl": "jsonl"}
INSPECTED = 200
"""Traces that the inspector lists at most: the latest of the turn."""
PAYLOAD = 4_000
"""Characters of a payload that the inspector shows."""
HERE = Path(__file__).parent


class CardRow(TypedDict):
    """What the page is told of a card."""

    html: str  # sanitised
    options: list[int]  # its buttons, by their place in the row's choices


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
    choices: list[str]  # the buttons' labels, in order
    cards: list[CardRow]  # beside each other, or in a list; those of the buttons that are a card's stand in it
    layout: str  # carousel, list or single
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
        about.update(_content_row(shown))
    elif said := render.notice(trace):
        about["notice"] = render.cut(said)
    elif not trace.final:
        return None
    if not math.isnan(trace.elapsed_ms):
        about["first"] = round(trace.elapsed_ms, 1)
        if trace.final:
            about["done"] = round(trace.elapsed_ms, 1)
    return about


def _content_row(shown: Message) -> Row:
    """Return what the page shows of a message: cards one by one, all else as one piece of HTML; and its buttons."""
    about: Row = {"choices": [option.label for option in shown.choices]} if shown.choices else {}
    html = ""
    match shown.content:
        case Cards(cards, layout, text, options):
            html = (render.markdown(text) if text else "") + render.links(options)
            about["layout"], about["cards"] = layout, _cards(cards)
        case Card():
            about["layout"], about["cards"] = "single", _cards((shown.content,))
        case _:
            html = render.message_html(shown, buttons=False)
    if html:
        about["html"] = html
    return about


def _about(said: dict[str, Any]) -> dict[str, Any]:
    """Return what the page needs to give back what it thought was sent."""
    return {"text": said.get("say", ""), "said": said.get("id"), "press": said.get("press")}


def _inspected_trace(trace: Trace) -> dict[str, Any]:
    """Return a trace as the inspector lists it; all of it travels as text."""
    return {
        "seq": trace.seq,
        "ms": None if math.isnan(trace.elapsed_ms) else round(trace.elapsed_ms, 1),
        "direction": trace.direction,
        "kind": trace.kind,
        "event": trace.event,
        "label": (trace.error or trace.text or trace.node or "")[:80],
        "shown": trace.kind in CONTENT_KINDS,
        "payload": trace.payload[:PAYLOAD],
    }


def _cards(cards: tuple[Card, ...]) -> list[CardRow]:
    places = itertools.count()
    return [{"html": render.card_html(card), "options": [next(places) for _ in buttons(card)]} for card in cards]


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
        verbs = dialects.get(session.platform).VERBS
        facts = {"name": session.name, "platform": title, "state": session.state}
        return {**facts, "restart": next((verb for verb in ("reset", "launch") if verb in verbs), None)}

    def _hear(self, _: object, said: Any, __: object) -> None:
        """Do what a page asks; on the main thread or on a subshell's."""
        try:
            match said:
                case {"ask": int(since)}:
                    self._tell_again(since)
                case {"say": str(text)} if text.strip():
                    turn = self._session.send(text)
                    self.send({"said": said.get("id"), "turn": turn.number})
                case {"press": int(seq), "option": int(option)}:
                    self._press(seq, option)
                case {"do": "reset" | "launch" as verb}:
                    self._session.start(verb)
                case {"stop": True}:
                    for turn in reversed(self._session.running):
                        turn.cancel()
                case {"inspect": int(since)} if since >= 0:
                    self.send({"inspected": self._inspected(since)})
                case {"export": "markdown" | "html" | "jsonl" as form}:
                    self.send({"file": f"{self._session.name}.{ENDINGS[form]}", "content": self._exported(form)})
        except SocketnbError as error:
            self.send({"problem": str(error), **_about(said)})
        except Exception as error:
            log.exception("the panel of %r failed", self._session.name)
            self.send({"problem": f"{type(error).__name__}: {error}", **_about(said)})

    def _inspected(self, since: int) -> dict[str, Any]:
        """Return what the inspector shows: names and values of the session, and the latest traces from one on."""
        session = self._session
        traces = session.traces(max(since, (self._covered or 0) - INSPECTED))
        latest = traces[-1] if traces else None
        about = {
            "conversation": latest and latest.conversation,
            "link": latest and latest.link,
            "turns": latest and max(trace.turn for trace in traces),
            "recording": latest and latest.recording,
            "traces": latest and latest.seq + 1,
        }
        return {
            "session": [[name, str(value)] for name, value in about.items() if value],
            "traces": [_inspected_trace(trace) for trace in traces],
        }

    def _exported(self, form: Literal["markdown", "html", "jsonl"]) -> str:
        traces = self._session.traces_df()
        if form == "jsonl":
            return jsonl(traces)
        said = str(traces.chat.transcript(form))
        return render.page(self._session.name, said) if form == "html" else said

    def _tell_again(self, since: int) -> None:
        """Hand over everything from a trace on; a stream that began before it is put together all the same."""
        traces, streams = self._session.traces(), Streams(self._session.encoding)
        rows = [shown for trace in traces if (shown := row(trace, streams)) and trace.seq >= since]
        self._publish(rows, since, traces[-1].seq + 1 if traces else since)

    def _press(self, seq: int, option: int) -> None:
        trace = next(iter(self._session.traces(seq, 1)), None)
        shown = message(trace) if trace and trace.seq == seq else None
        options = shown.choices if shown else ()
        if not 0 <= option < len(options):
            raise ActionError("there is no button here; nothing was sent")
        self._session.start("press", choice=options[option])
        self.send({"pressed": seq, "option": option})

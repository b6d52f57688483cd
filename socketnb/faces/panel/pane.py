"""One session in a panel: does what its page asks, and tells the page what happens."""

from __future__ import annotations

import logging
import math
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

from socketnb import dialects, render
from socketnb.errors import ActionError, SocketnbError, unknown
from socketnb.faces.panel import forms
from socketnb.faces.panel.rows import Page, Story, Where, payload_of
from socketnb.frames.files import jsonl
from socketnb.records import CONTENT_KINDS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from socketnb.records import Trace
    from socketnb.session import Session

log = logging.getLogger(__name__)
ENDINGS = {"markdown": "md", "html": "html", "jsonl": "jsonl"}
INSPECTED = 200
"""Traces that the inspector lists at most: the latest of the turn."""
PAYLOAD = 4_000
"""Characters of a payload that the inspector shows."""
STATIC = 300
"""Messages of the transcript that a saved notebook has."""


class Pane:
    """A session's side of a panel. `send` hands a message to every page."""

    def __init__(self, session: Session, send: Callable[[dict[str, Any]], None]) -> None:
        self.session = session
        self._send = send
        self._dialect = dialects.get(session.platform)
        self._story = Story(session)
        self._told = self._story.end  # all traces before this number were handed out, or are to be asked for
        self._facts = self._facts_now()
        self._files: tempfile.TemporaryDirectory[str] | None = None
        self._stop_listening = session.follow(self.tell)

    def close(self) -> None:
        """Hear no more, and forget the files that were handed over."""
        self._stop_listening()
        if self._files:
            self._files.cleanup()

    # What the page is told

    def tell(self, burst: Sequence[Trace]) -> None:
        """Hand what came to the pages; called on the background thread."""
        end = self._story.end
        if burst and burst[0].seq > end:  # what came while this was being made
            burst = [*self.session.traces(end, burst[0].seq - end), *burst]
        rows = self._story.take([trace for trace in burst if trace.seq >= end])
        facts, self._facts = self._facts, self._facts_now()
        if rows or facts != self._facts:
            since, self._told = self._told, self._story.end
            news = {"facts": self._facts} if facts != self._facts else {}
            self._send({"from": since, "to": self._story.end, "rows": rows, **news})

    def _facts_now(self) -> dict[str, Any]:
        """Return what may change: the state, and the conversations where there can be several."""
        facts: dict[str, Any] = {"state": self.session.state}
        if self._dialect.TALKS > 1:
            facts["talks"] = [
                {"id": talk.id, "agent": talk.agent, "unread": talk.unread, "closed": talk.closed}
                for talk in self.session.conversations()
            ]
        return facts

    def _about(self) -> dict[str, Any]:
        """Return what does not change."""
        verbs = self._dialect.VERBS
        return {
            "name": self.session.name,
            "platform": self._dialect.TITLE,
            "restart": next((verb for verb in ("reset", "launch") if verb in verbs), None),
            "verbs": forms.verb_forms(verbs),
            "talks": self._dialect.TALKS,
        }

    # What the page asks

    def hear(self, said: dict[str, Any], buffers: Sequence[Any]) -> None:
        """Do what a page asks; on the main thread or on a subshell's."""
        try:
            self._do(said, buffers)
        except SocketnbError as error:
            self._send({"problem": str(error), "asked": _asked(said)})
        except Exception as error:
            log.exception("the panel of %r failed", self.session.name)
            self._send({"problem": f"{type(error).__name__}: {error}", "asked": _asked(said)})

    def _do(self, said: dict[str, Any], buffers: Sequence[Any]) -> None:
        session, talk = self.session, said.get("talk")
        if isinstance(talk, str) and said.keys() & {"say", "press", "submit", "date", "act"}:
            _ = session.conversation(talk) if talk else session.new_conversation()
        match said:
            case {"ask": str(where), "view": view} if where in get_args(Where):
                page = self._page(cast("Where", where), said.get("seq", 0), talk if isinstance(talk, str) else None)
                self._send({"page": page, "view": view, "where": where, "facts": self._facts, "about": self._about()})
            case {"say": str(text)} if text.strip():
                self._send({"said": said.get("id"), "turn": session.send(text).number})
            case {"press": int(seq), "option": int(option)}:
                self._press(seq, option)
            case {"submit": int(seq), "option": int(option), "values": dict(values)}:
                self._submit(seq, option, values)
            case {"date": int(seq), "values": list(values)}:
                words = forms.date_words(payload_of(session, seq)[1], [str(value) for value in values])
                session.start("date", date=words)
                self._send({"pressed": seq, "option": -1})
            case {"act": str(verb), "fields": dict(fields)}:
                self._act(verb, fields, buffers)
                self._send({"acted": said.get("id")})
            case {"do": "reset" | "launch" as verb}:
                session.start(verb)
            case {"do": "reconnect"}:
                session.reconnect()
            case {"stop": True}:
                for turn in reversed(session.running):
                    turn.cancel()
            case {"inspect": int(turn), "view": view}:
                self._send({"inspected": self._inspected(turn or self._story.turn), "view": view})
            case {"find": str(words), "view": view} if words:
                self._send({"found": self._story.find(words), "words": words, "view": view})
            case {"export": "markdown" | "html" | "jsonl" as form, "view": view}:
                self._send({"file": f"{session.name}.{ENDINGS[form]}", "content": self._exported(form), "view": view})

    def _page(self, where: Where, seq: int, talk: str | None) -> dict[str, Any]:
        page: Page = self._story.page(where, int(seq), talk)
        return {**page, "running": list(self._story.running)}

    def _press(self, seq: int, option: int) -> None:
        options = shown.choices if (shown := payload_of(self.session, seq)[0]) else ()
        if not 0 <= option < len(options):
            raise ActionError("there is no button here; nothing was sent")
        self.session.start("press", choice=options[option])
        self._send({"pressed": seq, "option": option})

    def _submit(self, seq: int, option: int, values: dict[str, Any]) -> None:
        options = shown.choices if (shown := payload_of(self.session, seq)[0]) else ()
        if not 0 <= option < len(options):
            raise ActionError("this form has no such button; nothing was sent")
        self.session.start("submit", values=values, title=options[option].label)
        self._send({"pressed": seq, "option": option})

    def _act(self, verb: str, fields: dict[str, Any], buffers: Sequence[Any]) -> None:
        if verb not in list(self._dialect.VERBS):
            raise ActionError(unknown(f"{self.session.platform} verb", verb, self._dialect.VERBS))
        how = self._dialect.VERBS[verb]
        paths = [field.name for field in how.fields if field.type is Path]
        for name, content in zip([name for name in paths if fields.get(name)], buffers, strict=False):
            fields = {**fields, name: self._file(str(fields[name]), bytes(content))}
        self.session.start(verb, **forms.field_values(how, fields))

    def _file(self, name: str, content: bytes) -> str:
        """Keep a file that a page handed over where the platform can be given it; return its path."""
        self._files = self._files or tempfile.TemporaryDirectory(prefix="socketnb-")
        path = Path(tempfile.mkdtemp(dir=self._files.name)) / (Path(name.replace("\\", "/")).name[-100:] or "file")
        path.write_bytes(content)
        return str(path)

    # Looking inside

    def _inspected(self, turn: int) -> dict[str, Any]:
        """Return what the inspector shows: names and values of the session, and a turn's latest traces."""
        session = self.session
        begin, end = self._story.span(turn)
        latest = session.traces(max(begin, end - INSPECTED), INSPECTED)
        traces = [trace for trace in latest if trace.turn in (turn, 0) and trace.seq < end]
        last = traces[-1] if traces else None
        first = render.milliseconds(self._story.first_ms)
        about = {
            "conversation": last and last.conversation,
            "link": last and f"{last.link} · {last.link - 1 or 'no'} reconnects",
            "turns": f"{self._story.turn} · p50 {first}" if first else self._story.turn,
            "recording": last and last.recording,
            "traces": self._story.end - session.first,
            **session.ids,
        }
        return {
            "turn": turn,
            "session": [[name, str(value)] for name, value in about.items() if value],
            "traces": [_inspected_trace(trace) for trace in traces],
        }

    def _exported(self, form: Literal["markdown", "html", "jsonl"]) -> str:
        traces = self.session.traces_df()
        traces = traces[traces["seq"] >= self.session.first]
        if form == "jsonl":
            return jsonl(traces)
        said = str(traces.chat.transcript(form))
        return render.page(self.session.name, said) if form == "html" else said

    def static(self) -> tuple[str, str]:
        """Return the conversation's latest messages as HTML and as plain text, for where no kernel is."""
        begin = self._story.latest(STATIC)
        traces = self.session.traces(begin)
        words, html = render.transcript_text(traces), render.transcript_html(traces, self.session.encoding)
        left = (
            f"… {begin - self.session.first} earlier traces are in the recording" if begin > self.session.first else ""
        )
        head = f"{self.session.name}: {self._dialect.TITLE}, {self.session.state}"
        return (
            f"<div><strong>{head}</strong>{f'<div>{left}</div>' if left else ''}{html}</div>",
            "\n".join(filter(None, [head, left, words])),
        )


def _asked(said: dict[str, Any]) -> dict[str, Any]:
    """Return what the page needs to give back what it thought was sent."""
    return {name: said.get(name) for name in ("say", "id", "press", "submit", "date", "act", "view") if name in said}


def _inspected_trace(trace: Trace) -> dict[str, Any]:
    """Return a trace as the inspector lists it; all of it travels as text."""
    return {
        "seq": trace.seq,
        "ms": None if math.isnan(trace.elapsed_ms) else round(trace.elapsed_ms, 1),
        "direction": trace.direction,
        "kind": trace.kind,
        "event": trace.event,
        "label": (trace.error or trace.text or trace.node or "")[:80],
        "shown": trace.kind in CONTENT_KINDS or trace.kind == "delta",
        "payload": trace.payload[:PAYLOAD],
    }

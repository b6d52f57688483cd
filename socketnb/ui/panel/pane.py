"""One session in a panel: does what its page asks, and tells the page what happens."""

from __future__ import annotations

import logging
import math
import re
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

from socketnb import render
from socketnb.dialects import registry
from socketnb.dialects.messages import message
from socketnb.errors import ActionError, SocketnbError, unknown
from socketnb.frames import exports
from socketnb.model.content import Custom
from socketnb.model.json import as_dict
from socketnb.model.secret import clean
from socketnb.model.trace import CONTENT_KINDS
from socketnb.ui.panel import forms
from socketnb.ui.panel.rows import PanelRows, Seen, Where

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from socketnb.conversation.session import Session
    from socketnb.dialects.messages import Message
    from socketnb.model.trace import Trace

log = logging.getLogger(__name__)
ENDINGS = {"markdown": "md", "html": "html", "jsonl": "jsonl"}
PAUSE = 0.03
"""Seconds between two messages to the pages: a notebook server lets through so many in a second."""
MOST = 300
"""Traces that a page is told of as they come: where there are more at once, it asks for the last of them."""
INSPECTED = 200
"""Traces that the inspector lists at most: the latest of the turn."""
PAYLOAD = 4_000
"""Characters of a payload that the inspector shows."""
WORDS = 200
"""Characters that are looked for at most."""
STATIC = 300
"""Rows of the transcript that a saved notebook has."""


class Pane:
    """A session's side of a panel. `send` hands a message to every page; `changed` is told that there is news."""

    def __init__(
        self, session: Session, send: Callable[[dict[str, Any]], None], changed: Callable[[], None] = lambda: None
    ) -> None:
        self.session = session
        self._send = send
        self._changed = changed
        self._dialect = registry.get(session.platform)
        self._lock = threading.RLock()  # news come on the background thread, pages ask on any other
        self._story = PanelRows(session)
        self._asked = False  # a page is there
        self._told = self._story.end  # all traces before this number were handed out, or are to be asked for
        self._pending: list[Seen] = []  # what is to be handed out when the pause is over
        self._pausing = False
        self._facts = self._facts_now()
        self._pressed: dict[int, int] = {}  # the number of a message with buttons → the turn that it became
        self._files: tempfile.TemporaryDirectory[str] | None = None
        self._stop_listening = session.follow(self.tell)
        self.tell([])

    def close(self) -> None:
        """Hear no more, and forget the files that were handed over."""
        self._stop_listening()
        with self._lock:
            self._asked = False
        if self._files:
            self._files.cleanup()

    # What the page is told

    def tell(self, burst: Sequence[Trace]) -> None:
        """Hand what came to the pages, at once or after a pause; called on the background thread."""
        with self._lock:
            end = self._story.end
            if burst and burst[0].seq > end:  # what came while this was being made
                burst = [*self.session.traces(end, burst[0].seq - end), *burst]
            seen = self._story.take([trace for trace in burst if trace.seq >= end])
            self._restore([trace.turn for trace, *_ in seen if trace.final and math.isnan(trace.elapsed_ms)])
            if not self._asked:
                self._story.pass_over(seen)
                self._told = self._story.end
            else:
                self._pending += seen
                if not self._pausing or self.session.state == "closed":
                    self._hand_out()
        self._changed()

    def _hand_out(self) -> None:
        seen, self._pending = self._pending, []
        facts, self._facts = self._facts, self._facts_now()
        news: dict[str, Any] = {"facts": self._facts} if facts != self._facts else {}
        if len(seen) > MOST:
            self._story.pass_over(seen)
            rows, news["many"] = [], True
        else:
            rows = self._story.live(seen)
        if rows or news:
            since, self._told = self._told, self._story.end
            self._send({"from": since, "to": self._told, "rows": rows, **news})
            self._pausing = self.session.later(PAUSE, self._go_on)

    def _go_on(self) -> None:
        with self._lock:
            self._pausing = False
            if self._asked:
                self._hand_out()

    def _restore(self, unsent: Sequence[int]) -> None:
        """Let what was pressed be pressed again where its turn was never sent."""
        for seq in [seq for seq, turn in self._pressed.items() if turn in unsent]:
            del self._pressed[seq]
            self._send({"restored": seq})

    def _facts_now(self) -> dict[str, Any]:
        """Return what may change: the state, and the conversations where there can be several."""
        facts: dict[str, Any] = {"state": self.session.state}
        if self._dialect.max_conversations > 1:
            facts["talks"] = [
                {"id": talk.id, "agent": talk.agent, "unread": talk.unread, "closed": talk.closed}
                for talk in self.session.conversations()
            ]
        return facts

    def _about(self) -> dict[str, Any]:
        """Return what does not change."""
        verbs = self._dialect.verbs
        return {
            "name": self.session.name,
            "platform": self._dialect.title,
            "restart": next((verb for verb in ("reset", "launch") if verb in verbs), None),
            "verbs": forms.verb_forms(verbs),
            "talks": self._dialect.max_conversations,
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
            self._send({"problem": f"this failed: {type(error).__name__}", "asked": _asked(said)})

    def _do(self, said: dict[str, Any], buffers: Sequence[Any]) -> None:
        session = self.session
        talk = said.get("talk") if isinstance(said.get("talk"), str) else None
        match said:
            case {"ask": str(where), "seq": int(seq), "view": view} if where in get_args(Where):
                page = self._page(cast("Where", where), seq, talk)
                about = {"facts": self._facts, "about": self._about()}
                self._send({"page": page, "view": view, "where": where, "id": said.get("id"), **about})
            case {"say": str(text)} if text.strip():
                turn = session.send(text, conversation=talk)
                self._send({"said": said.get("id"), "turn": turn.number})
            case {"press": int(seq), "option": int(option)}:
                label = self._option(seq, option)
                self._once(seq, option, "press", talk, choice=label)
            case {"submit": int(seq), "option": int(option), "values": dict(values)}:
                title = self._option(seq, option).label
                self._once(seq, option, "submit", talk, values=values, title=title)
            case {"date": int(seq), "values": list(values)}:
                shown = self._message(seq)
                if not shown or shown.trace.kind != "date_picker" or not isinstance(shown.content, Custom):
                    raise ActionError("there is no date picker here; nothing was sent")
                words = forms.date_words(as_dict(shown.content.payload), [str(value) for value in values])
                self._once(seq, -1, "date", talk, date=words)
            case {"act": str(verb), "fields": dict(fields)}:
                form = said.get("seq")
                values = self._values(verb, fields, buffers)
                if isinstance(form, int):
                    self._once(form, -1, verb, talk, **values)
                else:
                    session.start(verb, conversation=talk, **values)
                self._send({"acted": said.get("id")})
            case {"do": "reset" | "launch" as verb}:
                session.start(verb)
            case {"do": "reconnect"}:
                session.reconnect()
            case {"stop": True}:
                for turn in reversed(session.running):
                    turn.cancel()
            case {"inspect": int(number), "had": [had, int(last)], "view": view}:
                number = number or self._story.turn
                self._send({"inspected": self._inspected(number, last if had == number else -1), "view": view})
            case {"find": str(words), "view": view} if words:
                found = self._story.find(clean(words[:WORDS]), talk)
                self._send({"found": found, "words": words, "view": view})
            case {"export": "markdown" | "html" | "jsonl" as form, "view": view}:
                self._send({"file": f"{session.name}.{ENDINGS[form]}", "content": self._exported(form), "view": view})

    def _page(self, where: Where, seq: int, talk: str | None) -> dict[str, Any]:
        with self._lock:
            self._asked = True
            self._facts = self._facts_now()
        if talk == "":  # a conversation that has not begun
            end = self._story.end
            return {"at": (end, end), "rows": [], "grown": [], "older": False, "newer": False, "running": []}
        page = self._story.page(where, seq, talk)
        for row in page["rows"]:
            if "form" in row:  # it stays open, whatever else is said
                row["spent"] = row["seq"] in self._pressed
        return {**page, "running": self._story.running_in(talk)}

    def _message(self, seq: int) -> Message | None:
        trace = next(iter(self.session.traces(seq, 1)), None) if seq >= self.session.first else None
        return message(trace) if trace and trace.seq == seq else None

    def _option(self, seq: int, option: int) -> Any:
        options = shown.choices if (shown := self._message(seq)) else ()
        if not 0 <= option < len(options):
            raise ActionError("there is no button here; nothing was sent")
        return options[option]

    def _once(self, seq: int, option: int, verb: str, talk: str | None, **fields: Any) -> None:
        """Press a button, or a form's: once, though two views may press it."""
        with self._lock:  # its end is not told before this is noted
            if seq not in self._pressed:
                self._pressed[seq] = self.session.start(verb, conversation=talk, **fields).number
        self._send({"pressed": seq, "option": option})

    def _values(self, verb: str, fields: dict[str, Any], buffers: Sequence[Any]) -> dict[str, Any]:
        """Return the values of a verb's fields, as a form gave them."""
        if verb not in list(self._dialect.verbs):
            raise ActionError(unknown(f"{self.session.platform} verb", verb, self._dialect.verbs))
        how = self._dialect.verbs[verb]
        values = forms.field_values(verb, how, fields)
        given = iter(buffers)
        for field in how.fields:
            if field.type is Path and field.name in values:
                content = next(given, None)
                if content is None:
                    raise ActionError(f"{verb}: the file did not come with its name; nothing was sent")
                values[field.name] = self._file(str(values[field.name]), bytes(content))
        return values

    def _file(self, name: str, content: bytes) -> str:
        """Keep a file that a page handed over where the platform can be given it; return its path."""
        self._files = self._files or tempfile.TemporaryDirectory(prefix="socketnb-")
        plain = re.sub(r"[\x00-\x1f\x7f/\\\\:]+", "/", clean(name)).rpartition("/")[2].strip(". ")
        while len(plain.encode()) > 200:  # noqa: PLR2004 (what file systems take, with room)
            plain = plain[1:]
        path = Path(tempfile.mkdtemp(dir=self._files.name)) / (plain or "file")
        path.write_bytes(content)
        return str(path)

    # Looking inside

    def _inspected(self, turn: int, last_had: int) -> dict[str, Any]:
        """Return what the inspector shows: facts of the session, and a turn's latest traces but for those it has."""
        session, story = self.session, self._story
        begin, end = story.span(turn)
        begin = max(begin, last_had + 1)
        latest = session.traces(max(begin, end - INSPECTED), INSPECTED)
        traces = [trace for trace in latest if trace.turn in (turn, 0) and trace.seq < end]
        last = traces[-1] if traces else None
        first = render.milliseconds(story.first_ms)
        about = {
            "conversation": last and last.conversation,
            "reconnects": str(story.reconnects),
            "turns": f"{story.turns} · p50 {first}" if first else story.turns,
            "recording": last and last.recording,
            "traces": story.end - session.first,
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
            return exports.text(traces, "jsonl")
        said = str(traces.chat.transcript(form))
        return render.page(self.session.name, said) if form == "html" else said

    def static(self) -> tuple[str, str]:
        """Return the conversation's latest messages as HTML and as plain text, for where no kernel is."""
        begin = self._story.latest(STATIC)
        traces = self.session.traces(begin)
        head = f"{self.session.name}: {self._dialect.title}, {self.session.state}"
        left = f"… {begin - self.session.first:,} earlier traces" if begin > self.session.first else ""
        html = render.transcript_tail(traces, self.session.encoding)
        words = render.cut(render.transcript_text(traces), render.HEAVIEST)
        return (
            f"<div><strong>{head}</strong>{f'<div>{left}</div>' if left else ''}{html}</div>",
            "\n".join(filter(None, [head, left, words])),
        )


def _asked(said: dict[str, Any]) -> dict[str, Any]:
    """Return what the page needs to give back what it thought was sent."""
    return {name: said.get(name) for name in ("say", "id", "press", "submit", "date", "seq", "view") if name in said}


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

"""One session in a panel: handles the requests of pages, and sends new rows to them."""

from __future__ import annotations

import logging
import math
import re
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, cast, get_args

from socketnb import render
from socketnb.dialects import registry
from socketnb.dialects.messages import message
from socketnb.errors import ActionError, SocketnbError, unknown
from socketnb.frames import exports
from socketnb.model.content import AdaptiveCard, DatePicker
from socketnb.model.secret import clean
from socketnb.ui.panel import forms
from socketnb.ui.panel.inspector import inspect_turn
from socketnb.ui.panel.panel_rows import PanelRows
from socketnb.ui.panel.protocol import Anchor

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from socketnb.conversation.session import Session
    from socketnb.dialects.messages import Message
    from socketnb.model.actions import FieldValue
    from socketnb.model.content import Choice
    from socketnb.model.json import Json, JsonObject
    from socketnb.model.trace import Trace
    from socketnb.ui.panel.protocol import PageMessage, RowPage, SessionInfo, SessionStatus
    from socketnb.ui.panel.row_index import IndexedTrace

log = logging.getLogger(__name__)
SEND_INTERVAL_S = 0.03
"""The interval between messages with rows, in seconds. Notebook servers limit the number of messages per second."""
MAX_LIVE_TRACES = 300
"""The maximum number of traces whose rows are sent in one message. For more traces, the page fetches the last rows."""
MAX_SEARCH_CHARS = 200
"""The maximum length of a search text."""
STATIC_ROWS = 300
"""The number of rows of the transcript that is saved with a notebook."""
MAX_FILE_NAME_BYTES = 200
"""The maximum length of a file name, in bytes. File systems allow 255."""
FORM = -1
"""The option number for the submit button of a form."""


def _ignore() -> None:
    """Do nothing."""


class SessionView:
    """The kernel's side of one session in a panel.

    Args:
        session: The session.
        send: Sends a message to every page that shows the panel.
        on_change: Called on the background thread after each change.
    """

    def __init__(
        self, session: Session, send: Callable[[PageMessage], None], on_change: Callable[[], None] = _ignore
    ) -> None:
        self.session = session
        self._send = send
        self._on_change = on_change
        self._dialect = registry.get(session.platform)
        self._lock = threading.RLock()  # traces arrive on the background thread, requests on other threads
        self._rows = PanelRows(session)
        self._has_pages = False
        self._sent = self._rows.end  # rows of traces before this seq were sent or can be fetched
        self._pending: list[IndexedTrace] = []  # sent at the end of the interval
        self._waiting = False  # ends the interval
        self._status = self._current_status()
        self._pressed: dict[int, int] = {}  # seq of a row with buttons → the turn that a press started
        self._files: tempfile.TemporaryDirectory[str] | None = None
        self._stop_listening = session.follow(self.update)
        self.update([])

    def close(self) -> None:
        """Stop listening, and delete the uploaded files."""
        self._stop_listening()
        with self._lock:
            self._has_pages = False
        if self._files:
            self._files.cleanup()

    # Sending rows

    def update(self, batch: Sequence[Trace]) -> None:
        """Send the rows of new traces, now or at the end of the interval. Called on the background thread."""
        with self._lock:
            end = self._rows.end
            if batch and batch[0].seq > end:  # traces that arrived while this object was being created
                batch = [*self.session.traces(end, batch[0].seq - end), *batch]
            indexed = self._rows.index.add([trace for trace in batch if trace.seq >= end])
            self._restore([trace.turn for trace, *_ in indexed if trace.final and math.isnan(trace.elapsed_ms)])
            if not self._has_pages:
                self._rows.skip(indexed)
                self._sent = self._rows.end
            else:
                self._pending += indexed
                if not self._waiting or self.session.state == "closed":
                    self._send_rows()
        self._on_change()

    def _send_rows(self) -> None:
        indexed, self._pending = self._pending, []
        status, self._status = self._status, self._current_status()
        changes: dict[str, object] = {"status": self._status} if status != self._status else {}
        if len(indexed) > MAX_LIVE_TRACES:
            self._rows.skip(indexed)
            rows, changes["overflow"] = [], True
        else:
            rows = self._rows.live(indexed)
        if rows or changes:
            begin, self._sent = self._sent, self._rows.end
            self._send({"type": "rows", "from": begin, "to": self._sent, "rows": rows, **changes})
            self._waiting = self.session.later(SEND_INTERVAL_S, self._end_interval)

    def _end_interval(self) -> None:
        with self._lock:
            self._waiting = False
            if self._has_pages:
                self._send_rows()

    def _restore(self, unsent: Sequence[int]) -> None:
        """Enable buttons again whose turns were never sent."""
        for seq in [seq for seq, turn in self._pressed.items() if turn in unsent]:
            del self._pressed[seq]
            self._send({"type": "restored", "seq": seq})

    def _current_status(self) -> SessionStatus:
        status: SessionStatus = {"state": self.session.state}
        if self._dialect.max_conversations > 1:
            status["conversations"] = [
                {"id": each.id, "agent": each.agent, "unread": each.unread, "closed": each.closed}
                for each in self.session.conversations()
            ]
        return status

    def _info(self) -> SessionInfo:
        return {
            "name": self.session.name,
            "platform": self._dialect.title,
            "can_restart": self._restart_verb is not None,
            "max_conversations": self._dialect.max_conversations,
            "verbs": forms.verb_forms(self._dialect.verbs),
            "exports": [[name, export.description] for name, export in exports.EXPORTS.items() if export.is_text],
        }

    @property
    def _restart_verb(self) -> str | None:
        return next((verb for verb in ("reset", "launch") if verb in self._dialect.verbs), None)

    # Handling requests

    def receive(self, request: JsonObject, buffers: Sequence[bytes | memoryview]) -> None:
        """Handle a request of a page. Called on the main or a subshell thread."""
        try:
            self._handle(request, buffers)
        except SocketnbError as error:
            self._send({"type": "error", "error": str(error), "request": _reference(request)})
        except Exception as error:
            log.exception("a request to the panel of %r failed", self.session.name)
            text = f"The request failed: {type(error).__name__}"
            self._send({"type": "error", "error": text, "request": _reference(request)})

    def _handle(self, request: JsonObject, buffers: Sequence[bytes | memoryview]) -> None:
        session = self.session
        name = request.get("conversation")
        conversation = name if isinstance(name, str) else None
        match request:
            case {"type": "say", "text": str(text)} if text.strip():
                turn = session.send(text, conversation=conversation)
                self._send({"type": "sent", "id": request.get("id"), "turn": turn.number})
            case {"type": "press", "seq": int(seq), "option": int(option)}:
                self._press(seq, option, "press", conversation, choice=self._choice(seq, option))
            case {"type": "submit", "seq": int(seq), "option": int(option), "values": dict(values)}:
                title = self._choice(seq, option).label
                self._press(seq, option, self._card(seq).verb, conversation, values=values, title=title)
            case {"type": "date", "seq": int(seq), "values": list(values)}:
                picker = self._date_picker(seq)
                date = forms.date_text(picker, [str(value) for value in values])
                self._press(seq, FORM, picker.verb, conversation, date=date)
            case {"type": "act", "verb": str(verb), "fields": dict(fields)}:
                self._act(verb, self._values(verb, fields, buffers), conversation, request.get("seq"))
                self._send({"type": "accepted", "id": request.get("id")})
            case {"type": "restart"} if self._restart_verb:
                session.start(self._restart_verb)
            case {"type": "reconnect"}:
                session.reconnect()
            case {"type": "stop"}:
                for turn in reversed(session.running):
                    turn.cancel()
            case {"view": str(view)}:
                if answer := self._answer(request, conversation):
                    self._send({"view": view, **answer})

    def _answer(self, request: JsonObject, conversation: str | None) -> PageMessage | None:
        """Return the answer to a request of a view."""
        match request:
            case {"type": "fetch", "anchor": anchor, "seq": int(seq)} if anchor in get_args(Anchor):
                page = self._page(cast("Anchor", anchor), seq, conversation)
                answer = {"type": "page", "anchor": anchor, "id": request.get("id"), "page": page}
                return {**answer, "status": self._status, "info": self._info()}
            case {"type": "inspect", "turn": int(turn), "known": [known_turn, int(last)]}:
                turn = turn or self._rows.index.turn
                known = last if known_turn == turn else -1
                return {"type": "inspected", **inspect_turn(self.session, self._rows.index, turn, known)}
            case {"type": "find", "text": str(text)} if text:
                seqs = self._rows.find(clean(text[:MAX_SEARCH_CHARS]), conversation)
                return {"type": "found", "seqs": seqs, "text": text}
            case {"type": "export", "format": str(name)} if name in exports.EXPORTS:
                traces = self.session.traces_df()
                content = exports.text(traces[traces["seq"] >= self.session.first], name, self.session.name)
                file_name = f"{self.session.name}{exports.EXPORTS[name].suffixes[0]}"
                return {"type": "file", "name": file_name, "content": content}
        return None

    def _page(self, anchor: Anchor, seq: int, conversation: str | None) -> PageMessage:
        with self._lock:
            self._has_pages = True
            self._status = self._current_status()
        if conversation == "":  # a new conversation
            end = self._rows.end
            empty: RowPage = {"from": end, "to": end, "rows": [], "continued": [], "older": False, "newer": False}
            return {**empty, "running": []}
        page = self._rows.page(anchor, seq, conversation)
        for row in page["rows"]:
            if "form" in row:  # a form stays open until it is submitted
                row["expired"] = row["seq"] in self._pressed
        return {**page, "running": self._rows.index.running_in(conversation)}

    def _message(self, seq: int) -> Message | None:
        trace = next(iter(self.session.traces(seq, 1)), None) if seq >= self.session.first else None
        if not trace or trace.seq != seq:
            return None
        return self._rows.streamed(seq, self._rows.end) if trace.kind == "delta" else message(trace)

    def _choice(self, seq: int, option: int) -> Choice:
        choices = shown.choices if (shown := self._message(seq)) else ()
        if not 0 <= option < len(choices):
            raise ActionError("this message has no such button (nothing was sent)")
        return choices[option]

    def _card(self, seq: int) -> AdaptiveCard:
        shown = self._message(seq)
        if not shown or not isinstance(shown.content, AdaptiveCard):
            raise ActionError("this message has no form (nothing was sent)")
        return shown.content

    def _date_picker(self, seq: int) -> DatePicker:
        shown = self._message(seq)
        if not shown or not isinstance(shown.content, DatePicker):
            raise ActionError("this message has no date picker (nothing was sent)")
        return shown.content

    def _press(self, seq: int, option: int, verb: str, conversation: str | None, **fields: FieldValue) -> None:
        """Press a button of a row or submit its form. If two views do so, only the first request counts."""
        with self._lock:  # so that the end of the turn is not handled before the turn is noted
            if seq not in self._pressed:
                self._pressed[seq] = self.session.start(verb, conversation=conversation, **fields).number
        self._send({"type": "pressed", "seq": seq, "option": option})

    def _act(self, verb: str, values: Mapping[str, FieldValue], conversation: str | None, seq: Json) -> None:
        if isinstance(seq, int):  # the form of a row
            self._press(seq, FORM, verb, conversation, **values)
        else:
            self.session.start(verb, conversation=conversation, **values)

    def _values(self, verb: str, fields: JsonObject, buffers: Sequence[bytes | memoryview]) -> JsonObject:
        """Return the values of a verb's fields from a form. The contents of its files are in `buffers`."""
        if verb not in self._dialect.verbs:
            raise ActionError(unknown(f"{self.session.platform} verb", verb, self._dialect.verbs))
        spec = self._dialect.verbs[verb]
        values = forms.field_values(verb, spec, fields)
        contents = iter(buffers)
        for field in spec.fields:
            if field.type is Path and field.name in values:
                content = next(contents, None)
                if content is None:
                    raise ActionError(f"{verb}: the file has a name but no content (nothing was sent)")
                values[field.name] = self._save_upload(str(values[field.name]), bytes(content))
        return values

    def _save_upload(self, name: str, content: bytes) -> str:
        """Save a file that was uploaded from a page, and return its path."""
        self._files = self._files or tempfile.TemporaryDirectory(prefix="socketnb-")
        safe_name = re.sub(r"[\x00-\x1f\x7f/\\\\:]+", "/", clean(name)).rpartition("/")[2].strip(". ")
        while len(safe_name.encode()) > MAX_FILE_NAME_BYTES:
            safe_name = safe_name[1:]
        path = Path(tempfile.mkdtemp(dir=self._files.name)) / (safe_name or "file")
        path.write_bytes(content)
        return str(path)

    # The saved notebook

    def static(self) -> tuple[str, str]:
        """Return the latest messages as HTML and as plain text, for places without a kernel."""
        begin = self._rows.latest(STATIC_ROWS)
        traces = self.session.traces(begin)
        title = f"{self.session.name}: {self._dialect.title}, {self.session.state}"
        omitted = f"… {begin - self.session.first:,} earlier traces" if begin > self.session.first else ""
        html = render.transcript_tail(traces, self.session.encoding)
        text = render.cut(render.transcript_text(traces), render.MAX_TRANSCRIPT_CHARS)
        return (
            f"<div><strong>{title}</strong>{f'<div>{omitted}</div>' if omitted else ''}{html}</div>",
            "\n".join(filter(None, [title, omitted, text])),
        )


def _reference(request: JsonObject) -> JsonObject:
    """Return the fields that identify a failed request for a page, and the text to restore."""
    return {name: request[name] for name in ("type", "text", "id", "seq", "view") if name in request}

"""Where what one step brought is shown in a notebook, and in which form."""

from __future__ import annotations

import html
import json
import threading
import time
from typing import TYPE_CHECKING, Any

from socketnb import render
from socketnb.dialects.messages import messages
from socketnb.ui.cell.output import OFTEN, Output
from socketnb.ui.cell.place import Nowhere

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from socketnb.model.trace import Trace
    from socketnb.ui.cell.place import Part

FORMATS = ("html", "text", "markdown", "json")
LATEST = 400
"""Traces of a turn that are shown: the latest."""
MARKS = {
    True: '<span style="color:var(--jp-success-color1,#2e7d32)">✓</span>',
    False: '<span style="color:var(--jp-error-color1,#b00020)">✗</span>',
}
SIDE = "flex:1 1 0;min-width:0"


class Row:
    """The place of one step in a notebook.

    Args:
        form: one of `FORMATS`, or `raw`.
        title: what is asked for, and shown while nothing is there yet.
    """

    def __init__(self, form: str, title: str) -> None:
        self._form: Callable[[Row], dict[str, Any]] = FORMS[form]
        self.title = f"… {title}"
        self.columns: dict[str, list[Part]] = {}
        self.notes: list[tuple[bool, str]] = []  # whether good, and the words
        self._lock = threading.RLock()  # a cell's thread and those of its buttons
        self._output = Output()
        self._shown: object = None
        self._next = 0.0  # when it may be brought up to date again

    def add(self, parts: Sequence[Part]) -> None:
        """Show more, each below what its session has here, the sessions side by side."""
        with self._lock:
            for part in parts:
                self.columns.setdefault(part.session, []).append(part)
        self.refresh()

    def note(self, said: str, *, good: bool = False) -> None:
        """Add a line; where what is shown cannot be brought up to date, it comes after it."""
        with self._lock:
            self.notes.append((good, said))
            if not self._output.live and self._shown is not None:
                self._output.show({"text/plain": _marked(said, good=good)})
                self._shown = self._state()

    def refresh(self, *, end: bool = False) -> None:
        """Bring the output up to date, if there is something new; where it cannot be, it is shown at its end.

        What is long takes its time to be shown, and is shown less often.
        """
        with self._lock:
            began, state = time.monotonic(), self._state()
            if state == self._shown or not (end or (self._output.live and began >= self._next)):
                return
            self._output.show(self._form(self))
            now = time.monotonic()
            self._shown, self._next = state, now + max(OFTEN, 10 * (now - began))

    def _state(self) -> object:
        return [(len(p.traces), p.status) for column in self.columns.values() for p in column], len(self.notes)


class Troubles(Nowhere):
    """The place of a step that is to show nothing, and that nobody waits for: what goes wrong is told all the same."""

    def __init__(self, title: str) -> None:
        super().__init__(title)
        self._output = Output()
        self._told: list[str] = []

    def note(self, said: str, *, good: bool = False) -> None:
        """Tell what went wrong."""
        self._told += [] if good else [_marked(said, good=good)]

    def refresh(self, *, end: bool = False) -> None:
        """Show that, or nothing: the place is that of the cell that runs when this is called first."""
        if end:
            self._output.show({"text/plain": "\n".join(self._told)})


# The forms


def _text(row: Row) -> dict[str, Any]:
    many = len(row.columns) > 1
    parts = ["\n".join([*([f"{name}:"] if many else []), *map(_plain, column)]) for name, column in _seen(row).items()]
    return {"text/plain": "\n".join([*(parts or [row.title]), *_notes(row)])}


def _seen(row: Row) -> dict[str, list[Part]]:
    """Return the columns once there is something in them, or nothing more will come."""
    parts = [part for column in row.columns.values() for part in column]
    return row.columns if any(part.traces or part.status not in ("running", "waiting") for part in parts) else {}


def _notes(row: Row) -> list[str]:
    return [_marked(said, good=good) for good, said in row.notes]


def _marked(said: str, *, good: bool) -> str:
    return f"{'✓' if good else '✗'} {render.printable(render.cut(said))}"


def _plain(part: Part) -> str:
    return "\n".join(filter(None, [render.transcript_text(_last(part)), f"{'':<6} ({part.summary})"]))


def _last(part: Part) -> list[Trace]:
    """Return as many of the traces as a page can hold; the frames have them all."""
    return part.traces[-LATEST:]


def _html(row: Row) -> dict[str, Any]:
    many = len(row.columns) > 1
    columns = []
    for name, parts in _seen(row).items():
        head = f"<strong>{html.escape(name)}</strong>" if many else ""
        body = "".join(f"{_above(part)}{render.transcript_html(_last(part))}{_small(part.summary)}" for part in parts)
        columns.append(f'<div style="{SIDE}">{head}{body}</div>' if many else body)
    notes = "".join(f"<div>{MARKS[good]} {html.escape(render.cut(said))}</div>" for good, said in row.notes)
    body = "".join(columns) or _small(row.title)
    if many:
        body = f'<div style="display:flex;gap:16px;align-items:flex-start">{body}</div>'
    body = body.replace("<p>", '<p style="margin:2px 0">')  # notebooks leave a line between paragraphs
    return {"text/html": body + notes, **_text(row)}


def _above(part: Part) -> str:
    left = len(part.traces) - LATEST
    return _small(f"… {left:,} earlier events, in the frames") if left > 0 else ""


def _small(words: str) -> str:
    return f'<small style="opacity:.65">{html.escape(render.cut(words))}</small>'


def _markdown(row: Row) -> dict[str, Any]:
    parts = []
    for name, column in _seen(row).items():
        parts += [f"**{name}**"] if len(row.columns) > 1 else []
        parts += [f"{render.transcript_markdown(_last(part))}\n\n*{render.harmless(part.summary)}*" for part in column]
    rest = [render.harmless(words) for words in [*([] if parts else [row.title]), *_notes(row)]]
    return {"text/markdown": "\n\n".join([*parts, *rest]), **_text(row)}


def _json(row: Row) -> dict[str, Any]:
    said = [_facts(part) for column in row.columns.values() for part in column]
    shown = said[0] if len(said) == 1 else said
    return {"application/json": shown, "text/plain": render.printable(json.dumps(shown, ensure_ascii=False, indent=1))}


def _facts(part: Any) -> Mapping[str, Any]:
    """Return a turn as JSON: NaN, which JSON has not, is null."""
    times = {name: getattr(part, name, None) for name in ("first_ms", "done_ms")}
    return {
        "session": part.session,
        "turn": getattr(part, "number", None),
        "status": getattr(part, "status", None),
        "messages": [
            {"sender": shown.trace.sender, "kind": shown.trace.kind, "text": render.message_text(shown)}
            for shown in messages(_last(part))
        ],
        "choices": [choice.label for choice in getattr(part, "choices", [])],
        **{name: None if ms is None or ms != ms else round(ms, 1) for name, ms in times.items()},  # noqa: PLR0124
    }


def _raw(row: Row) -> dict[str, Any]:
    lines = [
        f"{render.milliseconds(t.elapsed_ms):>7} {t.direction:<5} {t.event}  {t.kind}  {render.cut(t.payload)}"
        for column in row.columns.values()
        for part in column
        for t in _last(part)
    ]
    return {"text/plain": render.printable("\n".join(lines or [row.title]))}


FORMS = {"html": _html, "text": _text, "markdown": _markdown, "json": _json, "raw": _raw}

"""Where what one step brought is shown: an output of the cell, brought up to date in its place, from any thread."""

from __future__ import annotations

import html
import json
import threading
import time
import uuid
from typing import TYPE_CHECKING, Any

from IPython.core.getipython import get_ipython

from socketnb import render
from socketnb.dialects import messages

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from socketnb.faces.cell.place import Part

FORMATS = ("html", "text", "markdown", "json")
OFTEN = 0.1
"""Seconds between two updates of what still grows."""
MARKS = {
    True: '<span style="color:var(--jp-success-color1,#2e7d32)">✓</span>',
    False: '<span style="color:var(--jp-error-color1,#b00020)">✗</span>',
}
SIDE = "flex:1 1 0;min-width:0"


class Row:
    """One output of a cell.

    Args:
        form: one of `FORMATS`, or `raw`.
        title: what is asked for, and shown while nothing is there yet.
    """

    def __init__(self, form: str, title: str) -> None:
        self._form: Callable[[Row], dict[str, Any]] = FORMS[form]
        self.title = f"… {title}"
        self.columns: dict[str, list[Part]] = {}
        self.notes: list[tuple[bool, str]] = []  # whether good, and the words
        self._id = f"socketnb-{uuid.uuid4().hex[:12]}"
        self._lock = threading.Lock()
        shell = get_ipython()
        self._publish = shell.display_pub.publish if shell else None  # this cell's: another may be captured meanwhile
        self._live = bool(getattr(shell, "kernel", None))  # a terminal would print an update anew
        self._there = False
        self._shown: object = None
        self._at = 0.0

    def add(self, parts: Sequence[Part]) -> None:
        """Show more, each below what its session has here, the sessions side by side."""
        for part in parts:
            self.columns.setdefault(part.session, []).append(part)
        self.refresh()

    def note(self, said: str, *, good: bool = False) -> None:
        """Add a line; where what is shown cannot be brought up to date, it comes after it."""
        self.notes.append((good, said))
        if self._publish and not self._live and self._shown is not None:
            self._publish(data={"text/plain": _marked(said, good=good)}, metadata={})
            self._shown = self._state()

    def refresh(self, *, end: bool = False) -> None:
        """Bring the output up to date, if there is something new; where it cannot be, it is shown at its end."""
        with self._lock:
            now, state = time.monotonic(), self._state()
            if not self._publish or state == self._shown or not (end or (self._live and now - self._at >= OFTEN)):
                return
            self._shown, self._at = state, now
            self._publish(data=self._form(self), metadata={}, transient={"display_id": self._id}, update=self._there)
            self._there = self._live

    def _state(self) -> object:
        return [(len(p.traces), p.summary) for c in self.columns.values() for p in c], len(self.notes)


# The forms


def _text(row: Row) -> dict[str, Any]:
    many = len(row.columns) > 1
    parts = ["\n".join([*([f"{name}:"] if many else []), *map(_plain, column)]) for name, column in row.columns.items()]
    return {"text/plain": "\n".join([*(parts or [row.title]), *_notes(row)])}


def _notes(row: Row) -> list[str]:
    return [_marked(said, good=good) for good, said in row.notes]


def _marked(said: str, *, good: bool) -> str:
    return f"{'✓' if good else '✗'} {said}"


def _plain(part: Part) -> str:
    return f"{render.transcript_text(part.traces)}\n{'':<6} ({part.summary})"


def _html(row: Row) -> dict[str, Any]:
    many = len(row.columns) > 1
    columns = []
    for name, parts in row.columns.items():
        head = f"<strong>{html.escape(name)}</strong>" if many else ""
        body = "".join(f"{render.transcript_html(part.traces)}{_small(part.summary)}" for part in parts)
        columns.append(f'<div style="{SIDE}">{head}{body}</div>' if many else body)
    notes = "".join(f"<div>{MARKS[good]} {html.escape(render.cut(said))}</div>" for good, said in row.notes)
    body = "".join(columns) or _small(row.title)
    if many:
        body = f'<div style="display:flex;gap:16px;align-items:flex-start">{body}</div>'
    return {"text/html": body + notes, **_text(row)}


def _small(words: str) -> str:
    return f'<small style="opacity:.65">{html.escape(render.cut(words))}</small>'


def _markdown(row: Row) -> dict[str, Any]:
    parts = []
    for name, column in row.columns.items():
        parts += [f"**{name}**"] if len(row.columns) > 1 else []
        parts += [f"{render.transcript_markdown(part.traces)}\n\n*{part.summary}*" for part in column]
    return {"text/markdown": "\n\n".join([*(parts or [row.title]), *_notes(row)]), **_text(row)}


def _json(row: Row) -> dict[str, Any]:
    said = [_facts(part) for column in row.columns.values() for part in column]
    shown = said[0] if len(said) == 1 else said
    return {"application/json": shown, "text/plain": json.dumps(shown, ensure_ascii=False, indent=1)}


def _facts(part: Any) -> Mapping[str, Any]:
    """Return a turn as JSON: NaN, which JSON has not, is null."""
    times = {name: getattr(part, name, None) for name in ("first_ms", "done_ms")}
    return {
        "session": part.session,
        "turn": getattr(part, "number", None),
        "status": getattr(part, "status", None),
        "messages": [
            {"sender": shown.trace.sender, "kind": shown.trace.kind, "text": render.message_text(shown)}
            for shown in messages(part.traces)
        ],
        "choices": [choice.label for choice in getattr(part, "choices", [])],
        **{name: None if ms is None or ms != ms else round(ms, 1) for name, ms in times.items()},  # noqa: PLR0124
    }


def _raw(row: Row) -> dict[str, Any]:
    lines = [
        f"{render.milliseconds(t.elapsed_ms):>7} {t.direction:<5} {t.event}  {t.kind}  {render.cut(t.payload)}"
        for column in row.columns.values()
        for part in column
        for t in part.traces
    ]
    return {"text/plain": "\n".join(lines or [row.title])}


FORMS = {"html": _html, "text": _text, "markdown": _markdown, "json": _json, "raw": _raw}

"""The view of a step in a notebook, and the formats in which it can be shown."""

from __future__ import annotations

import html
import json
import math
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from socketnb import render
from socketnb.dialects.messages import Message, messages
from socketnb.ui.cell.live_output import UPDATE_INTERVAL_S, LiveOutput
from socketnb.ui.cell.results import TurnResult
from socketnb.ui.cell.view import NoView

if TYPE_CHECKING:
    from collections.abc import Sequence

    from socketnb.model.json import JsonObjectOut, JsonOut
    from socketnb.model.trace import Trace
    from socketnb.ui.cell.results import StepResult

FORMATS = ("html", "text", "markdown", "json")
MAX_TRACES = 400
"""The maximum number of traces shown of a result. The latest ones are shown."""
RUNNING = ("running", "waiting")
"""The statuses of a result that can receive more traces."""
MARKS = {
    True: '<span style="color:var(--jp-success-color1,#2e7d32)">✓</span>',
    False: '<span style="color:var(--jp-error-color1,#b00020)">✗</span>',
}
COLUMN_STYLE = "flex:1 1 0;min-width:0"


class Note(NamedTuple):
    """A line below the results: a passed expectation or an error."""

    text: str
    passed: bool


class NotebookView:
    """The view of one step in a notebook.

    Args:
        format_name: One of `FORMATS`, or `raw`.
        title: The text of the step, shown until the first result arrives.
    """

    def __init__(self, format_name: str, title: str) -> None:
        self._format = FORMATTERS[format_name]
        self.title = f"… {title}"
        self.columns: dict[str, list[StepResult]] = {}
        self.notes: list[Note] = []
        self._lock = threading.RLock()  # used by the cell's thread and the threads of its buttons
        self._output = LiveOutput()
        self._shown_state: object = None
        self._next_update = 0.0  # in seconds of the monotonic clock

    def add(self, results: Sequence[StepResult]) -> None:
        """Add results below the earlier ones of their session. Several sessions are shown side by side."""
        with self._lock:
            for result in results:
                self.columns.setdefault(result.session, []).append(result)
        self.refresh()

    def note(self, text: str, *, passed: bool = False) -> None:
        """Add a line. If the output is already shown and cannot be updated, print the line after it."""
        with self._lock:
            self.notes.append(Note(text, passed))
            if not self._output.is_live and self._shown_state is not None:
                self._output.show({"text/plain": _marked(self.notes[-1])})
                self._shown_state = self._state()

    def refresh(self, *, final: bool = False) -> None:
        """Update the output if there are new traces. An output that cannot be updated is shown once, at the end.

        The interval between updates grows with the time that an update takes.
        """
        with self._lock:
            started, state = time.monotonic(), self._state()
            if state == self._shown_state or not (final or (self._output.is_live and started >= self._next_update)):
                return
            self._output.show(self._format(self))
            now = time.monotonic()
            self._shown_state, self._next_update = state, now + max(UPDATE_INTERVAL_S, 10 * (now - started))

    def visible_columns(self) -> dict[str, list[StepResult]]:
        """Return the results by session. Before any result has traces or has ended, return nothing."""
        results = [result for column in self.columns.values() for result in column]
        return self.columns if any(result.traces or result.status not in RUNNING for result in results) else {}

    def _state(self) -> object:
        results = [result for column in self.columns.values() for result in column]
        return [(len(result.traces), result.status) for result in results], len(self.notes)


class ErrorView(NoView):
    """A view that shows only errors, for a quiet cell that runs in the background."""

    def __init__(self, title: str) -> None:
        super().__init__(title)
        self._output = LiveOutput()
        self._errors: list[str] = []

    def note(self, text: str, *, passed: bool = False) -> None:
        """Store an error until the next refresh."""
        if not passed:
            self._errors.append(_marked(Note(text, passed)))

    def refresh(self, *, final: bool = False) -> None:
        """Show the errors, or an empty output. The first call binds the output to the running cell."""
        if final:
            self._output.show({"text/plain": "\n".join(self._errors)})


# Formats: each returns the data of an output by MIME type


def _text(view: NotebookView) -> JsonObjectOut:
    many = len(view.columns) > 1
    columns = [
        "\n".join([*([f"{name}:"] if many else []), *map(_plain, results)])
        for name, results in view.visible_columns().items()
    ]
    return {"text/plain": "\n".join([*(columns or [view.title]), *map(_marked, view.notes)])}


def _marked(note: Note) -> str:
    return f"{'✓' if note.passed else '✗'} {render.printable(render.cut(note.text))}"


def _plain(result: StepResult) -> str:
    return "\n".join(filter(None, [render.transcript_text(_latest(result)), f"{'':<6} ({result.summary})"]))


def _latest(result: StepResult) -> list[Trace]:
    """Return the latest traces, up to the limit of a page. The frames contain all traces."""
    return result.traces[-MAX_TRACES:]


def _html(view: NotebookView) -> JsonObjectOut:
    many = len(view.columns) > 1
    columns = []
    for name, results in view.visible_columns().items():
        heading = f"<strong>{html.escape(name)}</strong>" if many else ""
        body = "".join(f"{_omitted(r)}{render.transcript_html(_latest(r))}{_small(r.summary)}" for r in results)
        columns.append(f'<div style="{COLUMN_STYLE}">{heading}{body}</div>' if many else body)
    notes = "".join(f"<div>{MARKS[note.passed]} {html.escape(render.cut(note.text))}</div>" for note in view.notes)
    body = "".join(columns) or _small(view.title)
    if many:
        body = f'<div style="display:flex;gap:16px;align-items:flex-start">{body}</div>'
    body = body.replace("<p>", '<p style="margin:2px 0">')  # notebooks put an empty line between paragraphs
    return {"text/html": body + notes, **_text(view)}


def _omitted(result: StepResult) -> str:
    count = len(result.traces) - MAX_TRACES
    return _small(f"… {count:,} earlier events are in the frames") if count > 0 else ""


def _small(text: str) -> str:
    return f'<small style="opacity:.65">{html.escape(render.cut(text))}</small>'


def _markdown(view: NotebookView) -> JsonObjectOut:
    blocks = []
    for name, results in view.visible_columns().items():
        blocks += [f"**{name}**"] if len(view.columns) > 1 else []
        blocks += [f"{render.transcript_markdown(_latest(r))}\n\n*{render.harmless(r.summary)}*" for r in results]
    lines = [render.harmless(line) for line in [*([] if blocks else [view.title]), *map(_marked, view.notes)]]
    return {"text/markdown": "\n\n".join([*blocks, *lines]), **_text(view)}


def _json(view: NotebookView) -> JsonObjectOut:
    results = [_result_json(result) for column in view.columns.values() for result in column]
    data: JsonOut = results[0] if len(results) == 1 else results
    return {"application/json": data, "text/plain": render.printable(json.dumps(data, ensure_ascii=False, indent=1))}


def _result_json(result: StepResult) -> JsonObjectOut:
    """Return a result as JSON. NaN becomes null."""
    turn = result.turn if isinstance(result, TurnResult) else None
    return {
        "session": result.session,
        "turn": turn.number if turn else None,
        "status": result.status,
        "messages": list(map(_message_json, messages(_latest(result)))),
        "choices": [choice.label for choice in turn.choices] if turn else [],
        "warnings": [trace.text for trace in result.traces if trace.kind == "warning"],
        **{name: _rounded(getattr(turn, name, math.nan)) for name in ("first_ms", "done_ms")},
    }


def _message_json(message: Message) -> JsonObjectOut:
    trace = message.trace
    facts = {"sender": trace.sender, "kind": trace.kind, "text": render.message_text(message)}
    unsolicited = {"unsolicited": True} if trace.is_unsolicited else {}
    return {**facts, **unsolicited, **({} if message.data is None else {"data": message.data})}


def _rounded(ms: float) -> float | None:
    return None if math.isnan(ms) else round(ms, 1)


def _raw(view: NotebookView) -> JsonObjectOut:
    lines = [
        f"{render.milliseconds(t.elapsed_ms):>7} {t.direction:<5} {t.event}  {t.kind}  {render.cut(t.payload)}"
        for column in view.columns.values()
        for result in column
        for t in _latest(result)
    ]
    return {"text/plain": render.printable("\n".join(lines or [view.title]))}


Formatter: TypeAlias = Callable[[NotebookView], "JsonObjectOut"]
FORMATTERS: dict[str, Formatter] = {"html": _html, "text": _text, "markdown": _markdown, "json": _json, "raw": _raw}

"""Rows: the display data of traces."""

from __future__ import annotations

import datetime as dt
import itertools
import json
import logging
import math
from typing import TYPE_CHECKING, assert_never

from socketnb import render
from socketnb.dialects.entries import notice
from socketnb.dialects.messages import buttons, message, parse
from socketnb.model.content import AdaptiveCard, Card, DatePicker, RatingRequest, UserInput
from socketnb.model.json import as_dict, as_text
from socketnb.model.trace import CONTENT_KINDS
from socketnb.ui.panel import forms

if TYPE_CHECKING:
    from collections.abc import Container

    from socketnb.dialects.messages import Message
    from socketnb.model.trace import Trace
    from socketnb.ui.panel.protocol import CardRow, FormRow, PanelRow

log = logging.getLogger(__name__)
MAX_PAGE_CHARS = 2_000_000
"""The maximum length of HTML in a message to a page. Long HTML reduces the number of rows."""
MAX_BUTTONS = 100
"""The maximum number of buttons of a message."""


def is_visible(trace: Trace) -> bool:
    """Return whether a page shows a trace that is not a piece of a stream. The payload is not parsed."""
    is_message = trace.kind in CONTENT_KINDS or trace.kind in ("action", "queued")
    return is_message or trace.final or bool(notice(trace))


def empty_row(trace: Trace) -> PanelRow:
    """Return the fields that all rows have, and the mark of an unsolicited message."""
    row: PanelRow = {
        "seq": trace.seq,
        "turn": trace.turn,
        "time": trace.observed_at // 1_000_000,
        "sender": trace.sender,
    }
    if (trace.kind in CONTENT_KINDS or trace.kind == "delta") and trace.is_unsolicited:
        row["unsolicited"] = True
    return row


def make_row(trace: Trace, first_ms: float, verbs: Container[str], *, waits: bool = False) -> PanelRow:
    """Return the row of a trace that is not a piece of a stream. It never raises an error.

    Args:
        trace: The trace.
        first_ms: Milliseconds to the first message of the turn, if the trace ends the turn; otherwise NaN.
        verbs: The verbs of the platform. A form is shown only if the platform has the verb that answers it.
        waits: Whether the trace is a queued action that may still be sent.
    """
    row = empty_row(trace)
    try:
        row.update(_content_row(trace, verbs))
        if trace.kind == "queued":
            reason = as_text(as_dict(parse(trace.payload)).get("reason"))
            row["queued"] = (render.cut(reason) or "not sent yet") if waits else ""
    except Exception as error:
        log.exception("%s %d cannot be shown", trace.event, trace.seq)
        row["notice"], row["kind"] = f"This cannot be shown: {type(error).__name__}", "error"
    if trace.final:
        row["done_ms"] = None if math.isnan(trace.elapsed_ms) else round(trace.elapsed_ms, 1)
        if not math.isnan(first_ms):
            row["first_ms"] = round(first_ms, 1)
    return row


def _content_row(trace: Trace, verbs: Container[str]) -> PanelRow:
    shown = message(trace)
    if not shown:
        text = notice(trace)
        return {"notice": render.cut(text), "kind": trace.kind} if text else {}
    if isinstance(shown.content, UserInput):
        return {"text": render.cut(render.message_text(shown)), "verb": shown.content.verb}
    return message_row(shown, verbs)


def message_row(shown: Message, verbs: Container[str]) -> PanelRow:
    """Return the content of a message as a row: cards and forms part by part, everything else as HTML."""
    row: PanelRow = {}
    html, _, options, cards, layout, form, data = render.parts(shown)
    if form and form.verb in verbs:
        row["form"] = _form(form)
        if isinstance(form, AdaptiveCard) or (isinstance(form, DatePicker) and form.text == form.label):
            html = ""  # the form shows the text
    if shown.choices:
        row["choices"] = [render.cut(option.label, render.MAX_LABEL_CHARS) for option in shown.choices[:MAX_BUTTONS]]
    if cards:
        row["cards"], row["layout"] = _cards(cards), layout if len(cards) > 1 else "single"
    html += render.links(options)
    if (more := len(shown.choices) - MAX_BUTTONS) > 0:
        html += f"<p><em>… and {more:,} more buttons</em></p>"
    if html:
        row["html"] = html
    if data is not None:
        row["data"] = render.cut(json.dumps(data, indent=1, ensure_ascii=False))
    return row


def _form(form: render.Form) -> FormRow:
    match form:
        case AdaptiveCard(card):
            return {"card": forms.card_parts(card)}
        case DatePicker() as picker:
            return {"date": forms.date_form(picker, dt.datetime.now(dt.UTC).astimezone().date())}
        case RatingRequest(verb=verb):
            return {"rating": verb}
        case unknown:
            assert_never(unknown)


def _cards(cards: tuple[Card, ...]) -> list[CardRow]:
    indices = itertools.count()
    rows: list[CardRow] = []
    for card in cards:
        options = [index for _ in buttons(card) if (index := next(indices)) < MAX_BUTTONS]
        if len(rows) < render.MAX_CARDS:
            rows.append({"html": render.card_html(card), "options": options})
    return rows


def count_light(rows: list[PanelRow], *, backwards: bool) -> int:
    """Return how many rows, counted from one end, fit into a message to a page; at least one."""
    size = 0
    for n, row in enumerate(reversed(rows) if backwards else rows):
        size += len(row.get("html", "")) + sum(len(card["html"]) for card in row.get("cards", []))
        if size > MAX_PAGE_CHARS and n:
            return n
    return len(rows)

"""Messages as safe HTML and as plain text.

Whatever a bot sends is hostile: its Markdown becomes HTML without raw HTML in it, and that passes a sanitiser with
a list of what may stay. Everything else is escaped.
"""

from __future__ import annotations

import html
import math
from functools import cache
from typing import TYPE_CHECKING

from socketnb.dialects import Message, message
from socketnb.records import Choices, Custom, Did, Text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from markdown_it import MarkdownIt

    from socketnb.records import Trace

TAGS = frozenset("a b blockquote br code del em h1 h2 h3 h4 hr i li ol p pre s strong ul".split())
LONGEST = 20_000
"""Characters of one message that are shown; the recording has them all."""
ICONS = {"error": "⚠", "timeout": "⏱", "cancelled": "⏹", "rejected": "✋", "failed": "⚠"}


def cut(text: str) -> str:
    """Return a text at a length that a page can hold."""
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}… ({len(text) - LONGEST:,} more characters)"


@cache
def _markdown() -> MarkdownIt:
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark", {"html": False, "breaks": True, "linkify": False}).enable("strikethrough")


def markdown(text: str) -> str:
    """Return a bot's Markdown as HTML that can do nothing but be read."""
    import nh3

    return nh3.clean(
        _markdown().render(cut(text)),
        tags=set(TAGS),
        attributes={"a": {"href", "title"}},
        url_schemes={"http", "https", "mailto", "tel"},
        link_rel="noopener noreferrer",
        set_tag_attribute_values={"a": {"target": "_blank"}},
    )


def message_html(shown: Message) -> str:
    """Return one message's content as HTML: a bot's Markdown sanitised, all else escaped."""
    match shown.content:
        case Text(text):
            return markdown(text)
        case Choices(options):
            return " ".join(f"<code>{html.escape(option.label)}</code>" for option in options)
        case Did(verb, text):
            return html.escape(cut(text)) if text else f"<em>{html.escape(verb)}</em>"
        case Custom(name, _):
            return f"<code>{html.escape(name)}</code> <em>(no picture for this kind)</em>"


def message_text(shown: Message) -> str:
    """Return one message's content as plain text."""
    match shown.content:
        case Choices(options):
            return "  ".join(f"[{n}] {option.label}" for n, option in enumerate(options, 1))
        case Did(verb, text):
            return text or f"({verb})"
        case Custom(name, _):
            return f"({name})"
        case _:
            return shown.text


def notice(trace: Trace) -> str | None:
    """Return the words of a trace that is no message but that people should see, or None."""
    match trace.kind:
        case "error":
            return trace.error
        case "ended":
            return f"The conversation ended ({trace.text})" if trace.event == "session.ended" else None
        case "gap":
            return f"Connection lost and back: {trace.text}"
        case "timeout" | "cancelled":
            return trace.text
        case "status" if trace.text == "rejected":
            return "The bot rejected this"
        case _:
            return trace.text if trace.kind == "session" else None


def milliseconds(ms: float) -> str:
    """Return a duration as people read it: `212 ms`, `1.4 s`."""
    if math.isnan(ms):
        return ""
    return f"{ms:.0f} ms" if ms < 1000 else f"{ms / 1000:.1f} s"  # noqa: PLR2004


def transcript_text(traces: Iterable[Trace]) -> str:
    """Return a conversation as plain text, a line a message."""
    lines = []
    for trace in traces:
        if shown := message(trace):
            lines.append(f"{trace.sender + ':':<6} {message_text(shown)}")
        elif said := notice(trace):
            lines.append(f"{'--':<6} {said}")
    return "\n".join(lines)


def transcript_html(traces: Iterable[Trace]) -> str:
    """Return a conversation as HTML that reads well anywhere: no style sheet, no script, no widget."""
    rows = []
    for trace in traces:
        if shown := message(trace):
            mine = trace.sender == "user"
            style = "border-left:3px solid #1f6feb" if mine else "border-left:3px solid #8884"
            who = f'<small style="opacity:.65">{html.escape(trace.sender)}</small>'
            rows.append(
                f'<div style="margin:4px 0;padding:2px 10px;{style}">{who} {message_html(shown)}</div>',
            )
        elif said := notice(trace):
            icon = ICONS.get(trace.kind, "·")
            rows.append(f'<div style="margin:4px 0;opacity:.65">{icon} {html.escape(cut(said))}</div>')
    return "".join(rows)

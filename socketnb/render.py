"""Messages as safe HTML and as plain text.

Whatever a bot sends is hostile: its Markdown becomes HTML without raw HTML in it, and that passes a sanitiser with
a list of what may stay. Everything else is escaped.
"""

from __future__ import annotations

import base64
import html
import json
import math
import re
from functools import cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from socketnb.dialects.messages import Message, messages
from socketnb.model.content import (
    AdaptiveCard,
    Card,
    Cards,
    Choice,
    Choices,
    Custom,
    DatePicker,
    Delta,
    Media,
    RatingRequest,
    Text,
    UserInput,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from markdown_it import MarkdownIt

    from socketnb.model.trace import Trace

TAGS = frozenset(
    "a b blockquote br code del em h1 h2 h3 h4 hr i li ol p pre s strong table tbody td th thead tr ul".split()
)
PLAIN = re.compile(r"[^\W\d_](?:[^\W_]++|[ .,;:?'\u2019()/@€$%=-]++)*+(?<! )")
"""Words without a sign that means anything in Markdown or HTML: the most that bots say, and shown as it is."""
ELSEWHERE = re.compile(r"\](\((?!\s*(?:https?|mailto|tel):)|:|\[)", re.IGNORECASE)
"""Where a Markdown link goes, if not to the web."""
CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
LONGEST = 20_000
"""Characters of one message that are shown; the recording has them all."""
FORMATTED = 10_000
"""Characters up to which a text is read as Markdown: some take time that grows with the square of their length."""
CARDS, OF_A_CARD = 30, 2_000
"""Cards of one message that are shown, and characters of each one's text."""
ADDRESS, DATA = 8_000, 8_000_000
"""Characters of an address, and of one that has the data in it, that a page is handed."""
SHORT = 120
"""Characters of an address that plain text shows; data URLs are longer."""
HEAVIEST = 500_000
"""Characters of a transcript that stands in a notebook."""
MU_LAW = "audio/x-mulaw"
"""How streamed sound is encoded where nobody says."""
ICONS = {"error": "⚠", "timeout": "⏱", "cancelled": "⏹", "status": "✋"}


def printable(text: str) -> str:
    """Return a text without the signs that a terminal would obey."""
    return CONTROLS.sub("", text)


def cut(text: str, longest: int = LONGEST) -> str:
    """Return a text at a length that a page can hold."""
    return text if len(text) <= longest else f"{text[:longest]}… ({len(text) - longest:,} more characters)"


@cache
def _markdown() -> MarkdownIt:
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark", {"html": False, "breaks": True, "linkify": False}).enable(
        ["strikethrough", "table"]
    )


def markdown(text: str) -> str:
    """Return a bot's Markdown as HTML that can do nothing but be read."""
    import nh3

    if len(text) <= LONGEST and PLAIN.fullmatch(text):
        return f"<p>{text}</p>\n"
    if len(text) > FORMATTED:
        return f'<p style="white-space:pre-wrap">{html.escape(cut(text))}</p>'
    return nh3.clean(
        _markdown().render(text),
        tags=set(TAGS),
        attributes={"a": {"href", "title"}},
        url_schemes={"http", "https", "mailto", "tel"},
        link_rel="noopener noreferrer",
        url_relative="deny",  # in a notebook a relative link would be one to its own server
        set_tag_attribute_values={"a": {"target": "_blank"}},
    )


def safe_url(url: str | None, *kinds: str) -> str | None:
    """Return an address if a page may load it: http, https, or a data URL of one of these kinds of media.

    Without kinds it is a link's: a phone number and a mail address will do too.
    """
    try:
        scheme = urlsplit(url or "").scheme
    except ValueError:
        return None
    if any(ord(sign) <= ord(" ") for sign in url or ""):
        return None
    if len(url or "") > (DATA if scheme == "data" else ADDRESS):
        return None
    allowed = scheme in (("http", "https") if kinds else ("http", "https", "tel", "mailto")) or any(
        str(url).startswith(f"data:{kind}/") for kind in kinds
    )
    return url if allowed else None


def message_html(shown: Message, *, buttons: bool = True) -> str:
    """Return one message's content as HTML: a bot's Markdown sanitised, all else escaped; `buttons` as labels."""
    match shown.content:
        case Text(text):
            return markdown(text)
        case Choices(options, text):
            return (markdown(text) if text else "") + links(options) + (_labels(options) if buttons else "")
        case Media(options=options):
            return _media(shown.content) + links(options) + (_labels(options) if buttons else "")
        case Card():
            return _card(shown.content, buttons)
        case Cards(cards, layout, text, options):
            beside = ' style="display:flex;gap:12px;overflow-x:auto"' if layout == "carousel" else ""
            width = ' style="flex:0 0 200px"' if layout == "carousel" else ""
            shown_cards = "".join(
                f'<div class="snb-card"{width}>{_card(card, buttons)}</div>' for card in cards[:CARDS]
            )
            above = markdown(text) if text else ""
            below = links(options) + (_labels(options) if buttons else "")
            return f'{above}<div class="snb-{layout}"{beside}>{shown_cards}</div>{below}'
        case UserInput(verb, text):
            return html.escape(cut(text)) if text else f"<em>{html.escape(verb.replace('_', ' '))}</em>"
        case Delta(_, text):
            return html.escape(cut(text))
        case Custom(name, payload, options, text=text):
            folded = html.escape(cut(json.dumps(payload, indent=1, ensure_ascii=False)))
            ways = links(options) + (_labels(options) if buttons else "")
            said = markdown(text) if text else ""
            return f"{said}<details><summary>{html.escape(name)}</summary><pre>{folded}</pre></details>{ways}"
        case AdaptiveCard(_, options, text):
            return markdown(text) + links(options) + (_labels(options) if buttons else "")
        case DatePicker(text=text) | RatingRequest(text):
            return markdown(text)


def links(options: tuple[Choice, ...]) -> str:
    """Return the buttons that open a page, and the labels of those that do nothing."""
    dead = (option for option in options if option.request is None and not safe_url(option.url))
    links = (f"{_link(url, option.label)} " for option in options if (url := safe_url(option.url)))
    return "".join([*links, *(f"<span>{html.escape(option.label)}</span> " for option in dead)])


def _labels(options: tuple[Choice, ...]) -> str:
    labels = " ".join(f"<code>{html.escape(option.label)}</code>" for option in options if option.request is not None)
    return f'<span class="snb-labels">{labels}</span>' if labels else ""


def _media(media: Media) -> str:
    said = html.escape(cut(media.text))
    url = media.url
    if media.data:
        url = f"data:audio/wav;base64,{base64.b64encode(media.data).decode()}"
    source = safe_url(url, *(() if media.kind == "file" else (media.kind,)))
    if source is None:
        return f"<p>{said or media.kind} <em>(its address cannot be shown)</em></p>"
    source = html.escape(source, quote=True)
    words = f"<p>{said}</p>" if said else ""
    match media.kind:
        case "image":
            style = "display:block;max-width:100%;max-height:200px"
            return f'<img src="{source}" alt="{said}" loading="lazy" referrerpolicy="no-referrer" style="{style}">'
        case "audio":
            return f'{words}<audio controls preload="none" src="{source}"></audio>'
        case "video":
            return f'{words}<video controls preload="none" style="max-width:100%" src="{source}"></video>'
        case _:
            return _link(str(url), media.text or "file")


def _link(url: str, words: str) -> str:
    address = html.escape(url, quote=True)
    return f'<a href="{address}" target="_blank" rel="noopener noreferrer">{html.escape(cut(words))}</a>'


def _card(card: Card, buttons: bool) -> str:  # noqa: FBT001 (handed through)
    picture = _media(Media("image", card.image, card.title)) if safe_url(card.image, "image") else ""
    page = safe_url(card.url)
    words = _link(page, card.title or page) if page else html.escape(cut(card.title))
    title = f"<div><strong>{words}</strong></div>" if words else ""
    text = markdown(cut(card.text, OF_A_CARD)) if card.text else ""
    return picture + title + text + links(card.options) + (_labels(card.options) if buttons else "")


def card_html(card: Card) -> str:
    """Return a card's picture and words as HTML for a page that has a style sheet; its buttons are the page's."""
    picture = safe_url(card.image, "image")
    alt, page = html.escape(cut(card.title), quote=True), safe_url(card.url)
    title = _link(page, card.title or page) if page else html.escape(cut(card.title))
    pages = links(card.options)
    parts = [
        f'<img src="{html.escape(picture, quote=True)}" alt="{alt}" referrerpolicy="no-referrer">' if picture else "",
        f'<div class="snb-title">{title}</div>' if title else "",
        f'<div class="snb-words">{markdown(cut(card.text, OF_A_CARD))}</div>' if card.text else "",
        f'<div class="snb-words">{pages}</div>' if pages else "",
    ]
    return "".join(parts)


def page(title: str, body: str) -> str:
    """Return HTML as a page of its own, which a browser reads in the right characters."""
    return f'<!doctype html>\n<meta charset="utf-8">\n<title>{html.escape(title)}</title>\n{body}\n'


def message_text(shown: Message) -> str:
    """Return one message's content as plain text."""
    match shown.content:
        case Choices(options, text):
            return "  ".join(filter(None, [text, _numbered(options)]))
        case UserInput(verb, text):
            return text or f"({verb.replace('_', ' ')})"
        case Custom(name, _, options, text=text):
            return "  ".join(filter(None, [f"({name})", text, _numbered(options)]))
        case Media(kind, url, text, options=options):
            where = f" {url}" if url and len(url) < SHORT else ""
            return "  ".join(filter(None, [f"({kind}{where})" + (f" {text}" if text else ""), _numbered(options)]))
        case _:
            return shown.text


def _numbered(options: tuple[Choice, ...]) -> str:
    """Return the buttons, those that can be pressed each with its number for `press`."""
    pressed = [option for option in options if option.request is not None]
    others = [option for option in options if option.request is None]
    links = (f"{o.label} ({o.url})" if safe_url(o.url) and len(str(o.url)) < SHORT else o.label for o in others)
    return "  ".join([*(f"[{n}] {option.label}" for n, option in enumerate(pressed, 1)), *links])


def notice(trace: Trace) -> str | None:
    """Return the words of a trace that is no message but that people should see, or None."""
    match trace.kind:
        case "error":
            return trace.error
        case "ended":
            # Voiceflow's flow says in a trace of its own that it has come to its end, before the session ends
            return f"The conversation ended ({trace.text})" if trace.event != "action.trace" else None
        case "gap":
            return f"Connection lost and back: {trace.text}"
        case "timeout" | "cancelled" | "queue" | "handler" | "call" if trace.direction != "out":
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


def _told(traces: Iterable[Trace], encoding: str) -> Iterator[tuple[Trace, Message | None, str]]:
    """Return what people see, in order: each trace with its message, or with the words of its notice."""
    traces = list(traces)
    seen = {shown.trace.seq: shown for shown in messages(traces, encoding)}
    for trace in traces:
        if shown := seen.get(trace.seq):
            yield trace, shown, ""
        elif said := notice(trace):
            yield trace, None, said


def transcript_text(traces: Iterable[Trace]) -> str:
    """Return a conversation as plain text, a line a message."""
    lines = (
        f"{trace.sender + ':':<6} {message_text(shown)}" if shown else f"{'--':<6} {said}"
        for trace, shown, said in _told(traces, MU_LAW)
    )
    return printable("\n".join(lines))


def transcript_markdown(traces: Iterable[Trace]) -> str:
    """Return a conversation as Markdown: who speaks in bold, what a bot says as it says it, notices in italics.

    Without HTML in it and with links to the web alone: not all that show Markdown see to that.
    """
    return "\n\n".join(
        f"**{trace.sender}:** {harmless(message_text(shown))}" if shown else f"*{harmless(said)}*"
        for trace, shown, said in _told(traces, MU_LAW)
    )


def harmless(text: str) -> str:
    """Return Markdown in which nothing can run: no tag, no definition of a link, no link but to these schemes."""
    text = printable(text).replace("<", "&lt;")
    return ELSEWHERE.sub(r"]\\\1", text)


def transcript_html(traces: Iterable[Trace], encoding: str = MU_LAW) -> str:
    """Return a conversation as HTML that reads well anywhere: no style sheet, no script, no widget."""
    return "".join(_blocks(traces, encoding))


def transcript_tail(traces: Iterable[Trace], encoding: str = MU_LAW, heaviest: int = HEAVIEST) -> str:
    """Return the last of a conversation as HTML, as much as is not too heavy, and a line on what is left out."""
    blocks, kept, weight = _blocks(traces, encoding), 0, 0
    for block in reversed(blocks):
        weight += len(block)
        if weight > heaviest and kept:
            break
        kept += 1
    left = len(blocks) - kept
    above = f"<div><em>… {left:,} earlier message{'s' if left > 1 else ''}</em></div>" if left else ""
    return above + "".join(blocks[left:])


def _blocks(traces: Iterable[Trace], encoding: str) -> list[str]:
    rows = []
    for trace, shown, said in _told(traces, encoding):
        if shown:
            colour = "#1f6feb" if trace.sender == "user" else "#8884"
            who = f'<small style="opacity:.65">{html.escape(trace.sender)}</small>'
            style = f"margin:4px 0;padding:2px 10px;border-left:3px solid {colour}"
            rows.append(f'<div style="{style}">{who} {message_html(shown)}</div>')
        else:
            icon = ICONS.get(trace.kind, "·")
            rows.append(f'<div style="margin:4px 0;opacity:.65">{icon} {html.escape(cut(said))}</div>')
    return rows

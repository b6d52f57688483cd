"""Messages as safe HTML and as plain text, for the panel, cells, saved notebooks and exports.

All data from a bot is untrusted. Markdown is rendered without raw HTML and then sanitised with an allowlist of tags.
All other text is escaped.

Only `parts` handles every type of content. The rest of this module and the panel use its results.
"""

from __future__ import annotations

import base64
import html
import json
import math
import re
from functools import cache
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias, assert_never
from urllib.parse import urlsplit

from socketnb.dialects.base import DEFAULT_ENCODING
from socketnb.dialects.entries import Entry, entries
from socketnb.dialects.messages import Message, buttons, spoken
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
    from collections.abc import Iterable

    from markdown_it import MarkdownIt

    from socketnb.model.json import Json, JsonOut
    from socketnb.model.trace import Trace

TAGS = frozenset(
    "a b blockquote br code del em h1 h2 h3 h4 hr i li ol p pre s strong table tbody td th thead tr ul".split()
)
"""The HTML tags that a bot's Markdown may produce."""
PLAIN = re.compile(r"[^\W\d_](?:[^\W_]++|[ .,;:?'\u2019()/@€$%=-]++)*+(?<! )")
"""The pattern of text without special characters of Markdown or HTML. It needs no Markdown parser."""
UNSAFE_LINK = re.compile(r"\](\((?!\s*(?:https?|mailto|tel):)|:|\[)", re.IGNORECASE)
"""The pattern of a Markdown link whose target is not a web, mail or telephone address."""
CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""The pattern of control characters, which a terminal would interpret."""
MAX_MESSAGE_CHARS = 20_000
"""The maximum number of characters shown of a message. The recording contains all of them."""
MAX_MARKDOWN_CHARS = 10_000
"""The maximum length of a text that is parsed as Markdown. Parsing some texts takes quadratic time."""
MAX_CARDS = 30
"""The maximum number of cards shown of a message."""
MAX_CARD_CHARS = 2_000
"""The maximum number of characters shown of a card's text."""
MAX_LINKS = 100
"""The maximum number of link buttons shown of a message or card."""
MAX_LABEL_CHARS = 200
"""The maximum number of characters shown of a button's label."""
MAX_URL_CHARS = 8_000
"""The maximum length of a URL in HTML."""
MAX_DATA_URL_CHARS = 8_000_000
"""The maximum length of a data URL in HTML."""
MAX_TEXT_URL_CHARS = 120
"""The maximum length of a URL in plain text."""
MAX_DATA_CHARS = 200
"""The maximum number of characters shown of a message's data in plain text."""
MAX_TRANSCRIPT_CHARS = 500_000
"""The maximum length of the HTML of a transcript that is saved with a notebook."""
ICONS = {"error": "⚠", "warning": "⚠", "timeout": "⏱", "cancelled": "⏹", "status": "✋"}
"""The icons of notices, by the kind of the trace."""
CAROUSEL_STYLE = ' style="display:flex;gap:12px;overflow-x:auto"'
CAROUSEL_CARD_STYLE = ' style="flex:0 0 200px"'
IMAGE_STYLE = "display:block;max-width:100%;max-height:200px"

Layout: TypeAlias = Literal["carousel", "list", "single"]
Form: TypeAlias = AdaptiveCard | DatePicker | RatingRequest
"""The content types that the panel shows as a form, if the platform has a verb that answers them."""


# Text


def printable(text: str) -> str:
    """Return a text without the control characters that a terminal would interpret."""
    return CONTROLS.sub("", text)


def cut(text: str, limit: int = MAX_MESSAGE_CHARS) -> str:
    """Return a text cut to `limit` characters, with the number of omitted characters."""
    return text if len(text) <= limit else f"{text[:limit]}… ({len(text) - limit:,} more characters)"


def milliseconds(ms: float) -> str:
    """Return a duration in a readable form, such as `212 ms` or `1.4 s`; empty if it is NaN."""
    if math.isnan(ms):
        return ""
    return f"{ms:.0f} ms" if ms < 1000 else f"{ms / 1000:.1f} s"  # noqa: PLR2004 (a second)


# Markdown and URLs


@cache
def _markdown() -> MarkdownIt:
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark", {"html": False, "breaks": True, "linkify": False}).enable(
        ["strikethrough", "table"]
    )


def markdown(text: str) -> str:
    """Return Markdown as sanitised HTML. It contains no scripts, images, forms or relative links."""
    import nh3

    if len(text) <= MAX_MESSAGE_CHARS and PLAIN.fullmatch(text):
        return f"<p>{text}</p>\n"
    if len(text) > MAX_MARKDOWN_CHARS:
        return f'<p style="white-space:pre-wrap">{html.escape(cut(text))}</p>'
    return nh3.clean(
        _markdown().render(text),
        tags=set(TAGS),
        attributes={"a": {"href", "title"}},
        url_schemes={"http", "https", "mailto", "tel"},
        link_rel="noopener noreferrer",
        url_relative="deny",  # in a notebook, a relative link would open a page of the notebook server
        set_tag_attribute_values={"a": {"target": "_blank"}},
    )


def safe_url(url: str | None, *media: str) -> str | None:
    """Return a URL if it is safe in a page, otherwise None.

    Args:
        url: The URL as the bot sent it.
        *media: The allowed media types of a data URL, such as `image`. If given, http, https and these data URLs are
            allowed. If not, the URL is a link, and http, https, mailto and tel are allowed.
    """
    try:
        scheme = urlsplit(url or "").scheme
    except ValueError:
        return None
    if any(ord(char) <= ord(" ") for char in url or ""):
        return None
    if len(url or "") > (MAX_DATA_URL_CHARS if scheme == "data" else MAX_URL_CHARS):
        return None
    allowed = scheme in (("http", "https") if media else ("http", "https", "tel", "mailto")) or any(
        str(url).startswith(f"data:{kind}/") for kind in media
    )
    return url if allowed else None


# Messages


class Parts(NamedTuple):
    """The parts of a message, which each output format combines in its own way.

    Attributes:
        html: Sanitised HTML of everything except cards and buttons.
        text: The plain text of the same parts.
        options: Buttons below the message.
        cards: Cards below the HTML.
        layout: The layout of the cards.
        form: The form in the message.
        data: The data that the message carries besides these parts.
    """

    html: str
    text: str
    options: tuple[Choice, ...] = ()
    cards: tuple[Card, ...] = ()
    layout: Layout = "single"
    form: Form | None = None
    data: Json = None


def parts(message: Message, first: int = 1) -> Parts:
    """Return the parts of a message. Only this function handles each type of content.

    Args:
        message: The message.
        first: The number of its first button in plain text.
    """
    data = message.data
    match message.content:
        case Text(text):
            return Parts(_optional_markdown(text), text, data=data)
        case Delta(_, text):
            return Parts(html.escape(cut(text)), text, data=data)
        case UserInput(verb, text):
            name = verb.replace("_", " ")
            return Parts(
                html.escape(cut(text)) if text else f"<em>{html.escape(name)}</em>", text or f"({name})", data=data
            )
        case Choices(options, text):
            return Parts(_optional_markdown(text), _joined(text, options, first), options, data=data)
        case Media(kind, url, text, options=options) as media:
            address = f" {url}" if url and len(url) < MAX_TEXT_URL_CHARS else ""
            name = f"({kind}{address})" + (f" {text}" if text else "")
            return Parts(_media(media), _joined(name, options, first), options, data=data)
        case Card() as card:
            return Parts("", _cards_text("", (card,), (), first), cards=(card,), data=data)
        case Cards(cards, layout, text, options):
            words = _cards_text(text, cards, options, first)
            return Parts(_optional_markdown(text), words, options, cards, layout, data=data)
        case Custom(name, payload, options, text=text):
            mark = "" if name == "data" and data is not None else f"({name})"
            words = "  ".join(filter(None, [mark, text, _numbered(options, first)]))
            shown = _optional_markdown(text) + _folded(name, payload)
            return Parts(shown, words, options, data=None if data == payload else data)
        case AdaptiveCard(_, options, text) as card:
            return Parts(_optional_markdown(text), _joined(text, options, first), options, form=card, data=data)
        case (DatePicker(text=text) | RatingRequest(text)) as form:
            return Parts(_optional_markdown(text), message.text or message.trace.text or "", form=form, data=data)
        case unknown:
            assert_never(unknown)


def message_html(message: Message, *, buttons: bool = True) -> str:
    """Return a message as HTML for a page without a style sheet; `buttons` adds the labels of its buttons."""
    html_, text, options, cards, layout, form, data = parts(message)
    if form and not html_:  # the page that shows it as a form has a label of its own
        html_ = f"<p>{html.escape(cut(text))}</p>"
    if cards:
        style, card_style = (CAROUSEL_STYLE, CAROUSEL_CARD_STYLE) if layout == "carousel" else ("", "")
        rendered = "".join(
            f'<div class="snb-card"{card_style}>{card_html(card, buttons=buttons)}</div>' for card in cards[:MAX_CARDS]
        )
        html_ += f'<div class="snb-{layout}"{style}>{rendered}</div>'
    return html_ + links(options) + (_labels(options) if buttons else "") + data_html(data)


def message_text(message: Message, first: int = 1) -> str:
    """Return a message as plain text, with numbered buttons and without its data.

    Args:
        message: The message.
        first: The number of its first button.
    """
    return parts(message, first).text


def data_html(data: Json) -> str:
    """Return the data of a message as folded HTML; empty if there is none."""
    return "" if data is None else _folded("data", data)


def data_text(data: Json) -> str:
    """Return the data of a message as one short line; empty if there is none."""
    return "" if data is None else f"data: {cut(json.dumps(data, ensure_ascii=False), MAX_DATA_CHARS)}"


def card_html(card: Card, *, buttons: bool = False) -> str:
    """Return a card as HTML: its picture, title, text and links; `buttons` adds the labels of its buttons."""
    picture = _media(Media("image", card.image, card.title)) if safe_url(card.image, "image") else ""
    url = safe_url(card.url)
    title = _link(url, card.title or url) if url else html.escape(cut(card.title))
    body = (markdown(cut(card.text, MAX_CARD_CHARS)) if card.text else "") + links(card.options)
    heading = f'<div class="snb-title"><strong>{title}</strong></div>' if title else ""
    text = f'<div class="snb-card-text">{body}</div>' if body else ""
    return picture + heading + text + (_labels(card.options) if buttons else "")


def links(options: tuple[Choice, ...]) -> str:
    """Return links for the buttons that open a page, and labels for the buttons that do nothing."""
    inactive, active = [], []
    for option in options:
        label = cut(option.label, MAX_LABEL_CHARS)
        if url := safe_url(option.url):
            active.append(f"{_link(url, label)} ")
        elif option.request is None:
            inactive.append(f"<span>{html.escape(label)}</span> ")
    return "".join((active + inactive)[:MAX_LINKS])


def page(title: str, body: str) -> str:
    """Return HTML as a complete page with a title and its character encoding."""
    return f'<!doctype html>\n<meta charset="utf-8">\n<title>{html.escape(title)}</title>\n{body}\n'


def _optional_markdown(text: str) -> str:
    return markdown(text) if text else ""


def _labels(options: tuple[Choice, ...]) -> str:
    labels = " ".join(f"<code>{html.escape(option.label)}</code>" for option in options if option.request is not None)
    return f'<span class="snb-labels">{labels}</span>' if labels else ""


def _media(media: Media) -> str:
    text = html.escape(cut(media.text))
    url = media.url
    if media.data:
        url = f"data:audio/wav;base64,{base64.b64encode(media.data).decode()}"
    source = safe_url(url, *(() if media.kind == "file" else (media.kind,)))
    if source is None:
        return f"<p>{text or media.kind} <em>(its address cannot be shown)</em></p>"
    source = html.escape(source, quote=True)
    caption = f"<p>{text}</p>" if text else ""
    match media.kind:
        case "image":
            options = f'loading="lazy" referrerpolicy="no-referrer" style="{IMAGE_STYLE}"'
            return f'<img src="{source}" alt="{text}" {options}>'
        case "audio":
            return f'{caption}<audio controls preload="none" src="{source}"></audio>'
        case "video":
            return f'{caption}<video controls preload="none" style="max-width:100%" src="{source}"></video>'
        case "file":
            return _link(str(url), media.text or "file")
        case unknown:
            assert_never(unknown)


def _link(url: str, label: str) -> str:
    address = html.escape(url, quote=True)
    return f'<a href="{address}" target="_blank" rel="noopener noreferrer">{html.escape(cut(label))}</a>'


def _folded(name: str, value: JsonOut) -> str:
    details = html.escape(cut(json.dumps(value, indent=1, ensure_ascii=False)))
    return f"<details><summary>{html.escape(name)}</summary><pre>{details}</pre></details>"


def _joined(text: str, options: tuple[Choice, ...], first: int) -> str:
    return "  ".join(filter(None, [text, _numbered(options, first)]))


def _cards_text(text: str, cards: tuple[Card, ...], options: tuple[Choice, ...], first: int) -> str:
    """Return cards as text, one paragraph per card, with numbered buttons."""
    lines = [text]
    for card in cards:
        lines.append(_joined(spoken(card), card.options, first))
        first += len(buttons(card))
    return "\n".join(filter(None, [*lines, _numbered(options, first)]))


def _numbered(options: tuple[Choice, ...], first: int) -> str:
    """Return the labels of buttons. Buttons that can be pressed are numbered as for `press`."""
    pressable = [option for option in options if option.request]
    others = [option for option in options if not option.request]
    urls = (
        f"{option.label} ({option.url})"
        if safe_url(option.url) and len(str(option.url)) < MAX_TEXT_URL_CHARS
        else option.label
        for option in others
    )
    return "  ".join([*(f"[{n}] {option.label}" for n, option in enumerate(pressable, first)), *urls])


# Transcripts


def transcript_text(traces: Iterable[Trace]) -> str:
    """Return a conversation as plain text: lines after the first of a message are indented."""
    lines = []
    for entry in entries(traces):
        head = f"{entry.sender}:" if entry.message else "--"
        for line in "\n".join(_words(entry)).splitlines() or [""]:
            lines.append(f"{head:<6} {line}" if head or line else "")
            head = ""
    return printable("\n".join(lines))


def transcript_markdown(traces: Iterable[Trace]) -> str:
    """Return a conversation as Markdown, with senders in bold, messages as received, and notices in italics.

    It contains no HTML, and links only to web, mail and telephone addresses, because some viewers do not sanitise
    Markdown.
    """
    paragraphs = []
    for entry in entries(traces):
        words = "\n\n".join(map(harmless, _words(entry)))
        paragraphs.append(f"**{harmless(entry.sender)}:** {words}" if entry.message else f"*{words}*")
    return "\n\n".join(paragraphs)


def _words(entry: Entry) -> list[str]:
    """Return the lines of an entry: the message and its data, or its notice."""
    if not entry.message:
        return [entry.notice]
    words, data = message_text(entry.message, entry.first), data_text(entry.message.data)
    words = f"({entry.mark}) {words}" if entry.mark else words
    return [line for line in (words, data) if line] or [""]


def harmless(text: str) -> str:
    """Return Markdown without tags, link definitions, and links other than web, mail and telephone links."""
    text = printable(text).replace("<", "&lt;")
    return UNSAFE_LINK.sub(r"]\\\1", text)


def transcript_html(traces: Iterable[Trace], encoding: str = DEFAULT_ENCODING) -> str:
    """Return a conversation as HTML that needs no style sheet, script or widget."""
    return "".join(_blocks(traces, encoding))


def transcript_tail(
    traces: Iterable[Trace], encoding: str = DEFAULT_ENCODING, limit: int = MAX_TRANSCRIPT_CHARS
) -> str:
    """Return the end of a conversation as HTML of about `limit` characters, with the number of omitted messages."""
    blocks, kept, size = _blocks(traces, encoding), 0, 0
    for block in reversed(blocks):
        size += len(block)
        if size > limit and kept:
            break
        kept += 1
    omitted = len(blocks) - kept
    head = f"<div><em>… {omitted:,} earlier message{'s' if omitted > 1 else ''}</em></div>" if omitted else ""
    return head + "".join(blocks[omitted:])


def _blocks(traces: Iterable[Trace], encoding: str) -> list[str]:
    """Return each message or notice as one block of HTML."""
    blocks = []
    for entry in entries(traces, encoding):
        if entry.message:
            colour = "#1f6feb" if entry.trace.sender == "user" else "#8884"
            sender = f'<small style="opacity:.65">{html.escape(entry.sender)}</small>'
            style = f"margin:4px 0;padding:2px 10px;border-left:3px solid {colour}"
            mark = f"<em>{html.escape(entry.mark)}</em> " if entry.mark else ""
            blocks.append(f'<div style="{style}">{sender} {mark}{message_html(entry.message)}</div>')
        else:
            icon = ICONS.get(entry.trace.kind, "·")
            blocks.append(f'<div style="margin:4px 0;opacity:.65">{icon} {html.escape(cut(entry.notice))}</div>')
    return blocks

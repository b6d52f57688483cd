"""Rendering: everything that a bot sends is sanitised or escaped, and has a limit."""

from html.parser import HTMLParser

import pytest

from socketnb.dialects.messages import Message
from socketnb.model.content import AdaptiveCard, Choice, Content, DatePicker, RatingRequest
from socketnb.model.trace import NO_TIME, Trace
from socketnb.render import (
    MAX_DATA_URL_CHARS,
    MAX_LINKS,
    MAX_MESSAGE_CHARS,
    TAGS,
    cut,
    harmless,
    links,
    markdown,
    message_html,
    message_text,
    milliseconds,
    safe_url,
)

ATTACKS = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    "[click](javascript:alert(1))",
    "[click](JaVaScRiPt:alert(1))",
    "[click](data:text/html;base64,PHNjcmlwdD4=)",
    "[click](vbscript:msgbox(1))",
    "![x](https://evil.example/track.png)",
    "<a href='javascript:alert(1)'>x</a>",
    "<iframe src='https://evil.example'></iframe>",
    "<style>*{display:none}</style>",
    "<form action='https://evil.example'><input></form>",
    '<p style="position:fixed;inset:0">x</p>',
    '"><script>alert(1)</script>',
    "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
    "`<script>`\n\n```\n<script>alert(1)</script>\n```",
    "[x]: javascript:alert(1)\n\n[x]",
    '<https://good.example/"onmouseover=alert(1)>',
    "\x00<scr\x00ipt>alert(1)</script>",
]


class Elements(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))


@pytest.mark.parametrize("attack", ATTACKS)
def test_markdown_of_a_bot_cannot_run_scripts_or_load_anything(attack: str) -> None:
    for tag, attributes in Elements(markdown(attack)).elements:
        assert tag in TAGS
        assert set(attributes) <= {"href", "title", "target", "rel"}
        assert (attributes.get("href") or "https:").startswith(("http:", "https:", "mailto:", "tel:"))


def test_links_open_in_a_new_tab_without_a_referrer() -> None:
    ((_, _), (tag, attributes)) = Elements(markdown("[shop](https://shop.example)")).elements
    assert tag == "a"
    assert attributes == {"href": "https://shop.example", "target": "_blank", "rel": "noopener noreferrer"}


def test_markdown_keeps_its_formatting() -> None:
    assert markdown("**Tuesday** `#4567`\nnoon") == "<p><strong>Tuesday</strong> <code>#4567</code><br>\nnoon</p>\n"


def test_a_message_that_is_too_long_is_cut_with_a_note() -> None:
    assert cut("x" * (MAX_MESSAGE_CHARS + 5)).endswith("… (5 more characters)")
    assert len(markdown("x" * 10 * MAX_MESSAGE_CHARS)) < 2 * MAX_MESSAGE_CHARS


def test_the_number_and_the_labels_of_links_are_limited() -> None:
    html = links(tuple(Choice("x" * 1_000, url="https://x") for _ in range(2 * MAX_LINKS)))
    assert html.count("<a ") == MAX_LINKS
    assert len(html) < 500 * MAX_LINKS


@pytest.mark.parametrize("text", ["<b>x</b>", "[x](javascript:alert(1))", "[x]: javascript:x", "[x][y]"])
def test_exported_markdown_has_no_tags_and_only_safe_links(text: str) -> None:
    assert markdown(harmless(text)).count("<a ") == 0
    assert "<b>" not in harmless(text)


@pytest.mark.parametrize(("ms", "text"), [(3.2, "3 ms"), (212.4, "212 ms"), (1430, "1.4 s"), (float("nan"), "")])
def test_durations_are_readable(ms: float, text: str) -> None:
    assert milliseconds(ms) == text


@pytest.mark.parametrize("link", ["/logout", "../files/x", "//evil.example/x", "x"])
def test_a_link_to_the_notebook_server_is_removed(link: str) -> None:
    assert Elements(markdown(f"[x]({link})")).elements[-1][1].get("href") is None


@pytest.mark.parametrize(
    ("url", "media", "allowed"),
    [
        ("https://x", (), True),
        ("data:image/png;base64,AA", ("image",), True),
        ("data:image/png;base64,AA", ("audio",), False),
        ("data:text/html,x", ("image",), False),
        ("\x01http://x", (), False),
        ("http://x y", (), False),
        ("javascript:x", ("image",), False),
        ("/relative", (), False),
        ("http://[", (), False),
        (None, (), False),
        (f"https://x/{'a' * 9_000}", (), False),
        (f"data:image/png;base64,{'A' * 9_000}", ("image",), True),
        (f"data:image/png;base64,{'A' * MAX_DATA_URL_CHARS}", ("image",), False),
    ],
)
def test_only_safe_urls_are_allowed(url: str | None, media: tuple[str, ...], allowed: object) -> None:
    assert (safe_url(url, *media) is not None) == allowed


def form(content: Content, text: str) -> Message:
    fields = dict.fromkeys(Trace._fields)
    trace = Trace(**{**fields, "platform": "cognigy", "seq": 0, "elapsed_ms": NO_TIME, "text": text, "payload": "{}"})  # type: ignore[arg-type]
    return Message(content, trace)


@pytest.mark.parametrize("content", [DatePicker(label="When do you arrive?"), RatingRequest()])
def test_a_form_without_words_shows_the_text_of_its_trace_outside_the_panel(content: Content) -> None:
    assert message_html(form(content, "When do you arrive?")) == "<p>When do you arrive?</p>"
    assert message_text(form(content, "When do you arrive?")) == "When do you arrive?"


def test_the_buttons_of_an_adaptive_card_are_numbered_and_its_links_have_their_url_in_text() -> None:
    options = (Choice("Send it", {"text": "x"}), Choice("Web", url="https://x.org"))
    message = form(AdaptiveCard({}, options, "Stay in touch"), "Stay in touch\n[Send it] [Web]")
    assert message_text(message) == "Stay in touch  [1] Send it  Web (https://x.org)"

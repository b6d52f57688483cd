"""What a bot sends is hostile until it is sanitised."""

from html.parser import HTMLParser

import pytest

from socketnb.render import LONGEST, TAGS, cut, markdown, milliseconds, safe_url

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
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


@pytest.mark.parametrize("attack", ATTACKS)
def test_nothing_that_a_bot_sends_can_run_or_load(attack: str) -> None:
    for tag, attributes in Elements(markdown(attack)).found:
        assert tag in TAGS
        assert set(attributes) <= {"href", "title", "target", "rel"}
        assert (attributes.get("href") or "https:").startswith(("http:", "https:", "mailto:", "tel:"))


def test_links_open_in_a_new_page_without_a_referrer() -> None:
    ((_, _), (tag, attributes)) = Elements(markdown("[shop](https://shop.example)")).found
    assert tag == "a"
    assert attributes == {"href": "https://shop.example", "target": "_blank", "rel": "noopener noreferrer"}


def test_markdown_keeps_what_people_read() -> None:
    assert markdown("**Tuesday** `#4567`\nnoon") == "<p><strong>Tuesday</strong> <code>#4567</code><br>\nnoon</p>\n"


def test_a_message_too_long_for_a_page_is_cut_and_says_so() -> None:
    assert cut("x" * (LONGEST + 5)).endswith("… (5 more characters)")
    assert len(markdown("x" * 10 * LONGEST)) < 2 * LONGEST


@pytest.mark.parametrize(("ms", "said"), [(3.2, "3 ms"), (212.4, "212 ms"), (1430, "1.4 s"), (float("nan"), "")])
def test_durations_read_as_people_say_them(ms: float, said: str) -> None:
    assert milliseconds(ms) == said


@pytest.mark.parametrize("link", ["/logout", "../files/x", "//evil.example/x", "x"])
def test_a_link_to_the_notebooks_own_server_is_none(link: str) -> None:
    assert Elements(markdown(f"[x]({link})")).found[-1][1].get("href") is None


@pytest.mark.parametrize(
    ("url", "kinds", "passes"),
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
    ],
)
def test_only_addresses_that_a_page_may_load_pass(url: str | None, kinds: tuple[str, ...], passes: object) -> None:
    assert (safe_url(url, *kinds) is not None) == passes

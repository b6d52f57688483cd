"""The words of a text in SSML (W3C Speech Synthesis Markup Language)."""

from __future__ import annotations

import html
import re

TAG = re.compile(r"</?[A-Za-z][\w:.-]*(?:\s+[\w:.-]+\s*=\s*(?:\"[^\"]*\"|'[^']*'))*\s*/?>")
PAUSE = re.compile(r"</?(?:break|p|s|speak)\b", re.IGNORECASE)
SPACES = re.compile(r"[ \t]{2,}")


def ssml_words(text: str) -> str:
    """Return a text without SSML tags. A text without tags is returned without surrounding spaces.

    Example:
        >>> ssml_words('<speak>Two <break time="1s"/>teas &amp; a cake, 3 < 4</speak>')
        'Two teas & a cake, 3 < 4'
    """
    if not TAG.search(text):
        return text.strip()
    spoken = TAG.sub(lambda tag: " " if PAUSE.match(tag[0]) else "", text)
    return SPACES.sub(" ", html.unescape(spoken)).strip()

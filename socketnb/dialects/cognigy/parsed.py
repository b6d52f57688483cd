"""The result type of parsing an output, and parsers of the fields that several formats share."""

from __future__ import annotations

from typing import NamedTuple, assert_never

from socketnb.model.content import (
    AdaptiveCard,
    Card,
    Cards,
    Choice,
    Choices,
    Content,
    Custom,
    DatePicker,
    Delta,
    Media,
    RatingRequest,
    Text,
    UserInput,
)
from socketnb.model.json import JsonObject, as_text

UNSET = ("", "undefined", "null")
"""The placeholder that Cognigy's editor writes for an empty URL."""


class ParsedOutput(NamedTuple):
    """A parsed output: the kind and the text of its trace, and its displayable content."""

    kind: str
    text: str | None = None
    content: Content | None = None


def parsed(kind: str, content: Content) -> ParsedOutput:
    """Return the parsed output of a content."""
    return ParsedOutput(kind, words(content), content)


def words(content: Content) -> str:
    """Return the displayed text of a content."""
    match content:
        case Text(text) | Delta(text=text) | UserInput(text=text):
            return text
        case Choices(options, text) | Media(text=text, options=options) | AdaptiveCard(text=text, options=options):
            return lines(text, _labels(options))
        case Card(title, text, options=options):
            return lines(title, text, _labels(options))
        case Cards(cards, text=text, options=options):
            return lines(text, *map(words, cards), _labels(options))
        case DatePicker(label, text=text):
            return text or label or "date picker"
        case RatingRequest(text):
            return text or "rating request"
        case Custom(name, options=options, text=text):
            return lines(text or name, _labels(options))
        case _:
            assert_never(content)


def lines(*parts: str) -> str:
    """Join the parts that are not empty, one per line."""
    return "\n".join(filter(None, parts))


def _labels(options: tuple[Choice, ...]) -> str:
    return " ".join(f"[{option.label}]" for option in options)


def joined_text(value: object) -> str:
    """Return a string or number as text, and a list with one line per item. Other values give an empty string."""
    return "\n".join(map(scalar_text, value)) if isinstance(value, list) else scalar_text(value)


def scalar_text(value: object) -> str:
    """Return a string or number as text. Other values give an empty string."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else as_text(value)


def field_text(item: JsonObject, *names: str) -> str:
    """Return the first non-empty text among these fields. Formats use names such as `imageUrl` or `image_url`."""
    for name in names:
        snake = "".join(f"_{char.lower()}" if char.isupper() else char for char in name)
        if text := scalar_text(item.get(name)) or scalar_text(item.get(snake)):
            return text
    return ""


def address(value: object) -> str | None:
    """Return the URL, or None if the field has none."""
    url = as_text(value).strip()
    return None if url in UNSET else url.replace(" ", "%20")

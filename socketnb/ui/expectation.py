"""What `??` and `--expect` check in a reply: words, a regular expression, or a value in the data of a message."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from socketnb.errors import ActionError

if TYPE_CHECKING:
    from socketnb.model.json import Json

REGEX_TIMEOUT_S = 2.0
"""The timeout of a regular expression search, in seconds. Some patterns would search a reply forever."""
PATTERN = re.compile(r"/(.+)/(i?)", re.DOTALL)
DATA = re.compile(r"data\.(\S+?)\s*={1,2}\s*(\S.*)", re.DOTALL)
"""`data.` with a path, and the expected value."""


class Reply(NamedTuple):
    """What arrived in a step.

    Attributes:
        text: The messages as text, one per line.
        data: The data of the messages that carry data, in order.
    """

    text: str
    data: Sequence[Json]


def is_met(expected: str, reply: Reply) -> bool:
    """Return whether a reply meets an expectation.

    Args:
        expected: Words that the text must contain, a /regular expression/ that it must match, or `data.path = value`
            for a value in the data of a message.
        reply: The reply.

    Raises:
        ActionError: The regular expression is invalid, or its search takes too long.

    Example:
        >>> reply = Reply("Order 4567 arrives on Tuesday.", [{"order": {"id": 4567, "items": ["boots"]}}])
        >>> is_met("Tuesday", reply), is_met("/mon|tues/i", reply)
        (True, True)
        >>> is_met("data.order.id = 4567", reply), is_met("data.order.items.0 = boots", reply)
        (True, True)
    """
    if match := DATA.fullmatch(expected):
        return any(_equals(match[2].rstrip(), value) for value in _values(match[1], reply))
    if match := PATTERN.fullmatch(expected):
        return _found(match[1], reply.text, ignore_case=bool(match[2]))
    return expected in reply.text


def got(expected: str, reply: Reply) -> str:
    """Return the part of a reply that an expectation refers to."""
    match = DATA.fullmatch(expected)
    if not match:
        return reply.text
    found = [f"data.{match[1]} = {_as_json(value)}" for value in _values(match[1], reply)]
    return "\n".join(found or [f"data = {_as_json(data)}" for data in reply.data] or ["no data"])


def _found(pattern: str, text: str, *, ignore_case: bool) -> bool:
    import regex

    try:
        flags = regex.MULTILINE | (regex.IGNORECASE if ignore_case else 0)
        return bool(regex.search(pattern, text, flags, timeout=REGEX_TIMEOUT_S))
    except TimeoutError:
        raise ActionError(
            f"the search for /{pattern}/ took more than {REGEX_TIMEOUT_S:g} s; use a simpler regular expression"
        ) from None
    except (regex.error, OverflowError, RecursionError) as error:
        raise ActionError(f"/{pattern}/ is not a valid regular expression ({error})") from None


def _values(path: str, reply: Reply) -> list[Json]:
    """Return the values at a path in the data of the messages. The position in a list is a number from 0."""
    values = list(reply.data)
    for key in path.split("."):
        values = [found for value in values for found in _children(value, key)]
    return values


def _children(value: Json, key: str) -> list[Json]:
    match value:
        case dict() if key in value:
            return [value[key]]
        case list() if key.isdecimal() and int(key) < len(value):
            return [value[int(key)]]
        case _:
            return []


def _equals(typed: str, value: Json) -> bool:
    """Return whether a value equals a typed text, or the JSON that the text contains."""
    try:
        wanted = json.loads(typed)
    except (ValueError, RecursionError):
        return typed == value
    return typed == value or _same(wanted, value)


def _same(a: Json, b: Json) -> bool:
    """Return whether two JSON values are equal. In Python, `True == 1`."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_same(a[name], b[name]) for name in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(_same, a, b))
    return isinstance(a, bool) == isinstance(b, bool) and a == b


def _as_json(value: Json) -> str:
    return json.dumps(value, ensure_ascii=False)

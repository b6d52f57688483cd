"""JSON of unknown structure, and readers that never raise an error: a value of the wrong type counts as empty."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import TypeAlias

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
"""A JSON value that was read: an object, array, string, number, boolean or null."""
JsonObject: TypeAlias = dict[str, Json]
"""A JSON object that was read."""
JsonOut: TypeAlias = "bool | int | float | str | Sequence[JsonOut] | Mapping[str, JsonOut] | None"
"""A JSON value that is only sent or stored: covariant, so a list of strings or a dict of objects is one too."""
JsonObjectOut: TypeAlias = Mapping[str, JsonOut]
"""A JSON object that is only sent or stored."""


def as_dict(value: object) -> JsonObject:
    """Return a JSON object, or an empty one if the value is anything else."""
    return value if isinstance(value, dict) else {}


def as_list(value: object) -> list[Json]:
    """Return a JSON array, or an empty one if the value is anything else."""
    return value if isinstance(value, list) else []


def as_text(value: object) -> str:
    """Return a string, or an empty one if the value is anything else."""
    return value if isinstance(value, str) else ""


def from_bytes(value: object) -> Json:
    """Return an argument of an event as JSON. Bytes become an object with the key `base64`."""
    match value:
        case bytes() | bytearray() | memoryview():
            return {"base64": base64.b64encode(value).decode()}
        case dict():
            return {str(key): from_bytes(item) for key, item in value.items()}
        case list() | tuple():
            return [from_bytes(item) for item in value]
        case str() | int() | float() | None:
            return value
        case _:
            return str(value)

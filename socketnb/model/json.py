"""JSON of unknown structure, and readers that never raise an error: a value of the wrong type counts as empty."""

from __future__ import annotations

from typing import Any, TypeAlias

Json: TypeAlias = Any
"""A JSON value: an object, array, string, number, boolean or null. Payloads from a server have no narrower type."""
JsonObject: TypeAlias = dict[str, Json]
"""A JSON object."""


def as_dict(value: object) -> JsonObject:
    """Return a JSON object, or an empty one if the value is anything else."""
    return value if isinstance(value, dict) else {}


def as_list(value: object) -> list[Json]:
    """Return a JSON array, or an empty one if the value is anything else."""
    return value if isinstance(value, list) else []


def as_text(value: object) -> str:
    """Return a string, or an empty one if the value is anything else."""
    return value if isinstance(value, str) else ""

"""The format of JSON lines: one trace per line. A recording consists of such lines until they are sealed in a part.

A line is an object. Its first field `v` is the version of the schema; lines without it have version 1. The columns
follow in order, with times in nanoseconds since 1970. The last field, `payload`, is JSON as received.
"""

from __future__ import annotations

import codecs
import json
from typing import TYPE_CHECKING

import orjson

from socketnb.errors import RecordingError
from socketnb.model.trace import VERSION
from socketnb.recording.schema import TRACES, Schema

if TYPE_CHECKING:
    from socketnb.model.json import JsonObject
    from socketnb.recording.schema import TraceValues

BEGIN = f'{{"v":{VERSION},'.encode()
"""The start of every line."""
BEFORE_PAYLOAD = b',"payload":'
"""The text before the payload. Inside a string its quotes would be escaped, so its first occurrence is the field."""
NOT_JSON = "this payload cannot be recorded as JSON: it is nested too deeply or has a type that JSON does not know"
"""Recorded in place of a payload that cannot be converted to JSON."""


def to_json(payload: object) -> bytes:
    """Return a payload as JSON. A value that JSON does not support becomes a string."""
    try:
        return orjson.dumps(payload)
    except TypeError:  # lone surrogates, integers over 64 bits, deep nesting
        pass
    try:
        return json.dumps(json.loads(json.dumps(payload, default=repr), parse_constant=lambda _: None)).encode()
    except (RecursionError, TypeError, ValueError):
        return orjson.dumps(NOT_JSON)


def line_of(fields: JsonObject, payload: bytes) -> bytes:
    """Return a trace as a line.

    Args:
        fields: The columns without the payload.
        payload: The payload as JSON.
    """
    return b"".join((BEGIN, orjson.dumps(fields)[1:-1], BEFORE_PAYLOAD, payload, b"}\n"))


def read_lines(
    data: bytes, file: str, *, complete: bool = False, schema: Schema = TRACES
) -> tuple[list[TraceValues], int]:
    """Return the rows of lines, and the number of torn lines, which are incomplete because the writer was killed.

    Args:
        data: The lines.
        file: The name of the file, for error messages.
        complete: Whether a torn line is an error.
        schema: The schema to read the lines with.

    Raises:
        RecordingError: A line is of a newer version of the schema, or is not a trace.
    """
    *lines, rest = data.removeprefix(codecs.BOM_UTF8).split(b"\n")
    torn = 0
    if rest and complete:
        lines.append(rest)
    elif rest:
        torn = 1
    rows: list[TraceValues] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            fields, payload = _parse(line)
        except ValueError:
            if complete:
                raise RecordingError(f"line {number} of {file} is not a trace") from None
            torn += 1
        else:
            rows.append(schema.row(fields, payload, file))
    return rows, torn


def _parse(line: bytes) -> tuple[JsonObject, str]:
    """Return the fields of a line, and its payload exactly as written."""
    head, _, rest = line.rstrip().partition(BEFORE_PAYLOAD)
    try:
        fields, payload = orjson.loads(head + b"}"), rest[:-1]
        try:
            orjson.loads(payload)
        except ValueError:
            json.loads(payload)  # accepts lone surrogates
    except (ValueError, RecursionError):
        fields = orjson.loads(line)  # another tool may write the payload at another position
        if not isinstance(fields, dict):
            raise
        payload = to_json(fields.pop("payload", None))
    return fields, payload.decode()

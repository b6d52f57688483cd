"""Conversion of a transcript from Voiceflow's API into records.

Sources: the vendor's API reference, "Get transcript" (an object with `logs`, each of type `action` or `trace`) and,
older, "Get Transcript Dialog" (a list of turns, each of format `launch`, `request` or `trace`).
"""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
import json
from typing import TYPE_CHECKING

from socketnb.dialects.base import TimedRecord, Transcript
from socketnb.dialects.voiceflow.actions import user_input
from socketnb.dialects.voiceflow.traces import parse_trace, time_of
from socketnb.errors import SettingsError
from socketnb.model.effects import Record
from socketnb.model.json import Json, JsonObject, as_dict, as_text

if TYPE_CHECKING:
    from collections.abc import Iterator

UNIX_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
LAST_TIME = dt.datetime(2262, 1, 1, tzinfo=dt.UTC)
"""The latest time. Later times do not fit into 64 bits as nanoseconds."""


def read_transcript(saved: object) -> Transcript:
    """Return the id and the records of a saved transcript. A status follows the last trace of each turn.

    Args:
        saved: The response of the API's transcript call.

    Raises:
        SettingsError: The argument is not a transcript.
    """
    fields = as_dict(saved)
    fields = as_dict(fields.get("transcript")) or fields
    logs = saved if isinstance(saved, list) else fields.get("logs")
    if not isinstance(logs, list) or not all(isinstance(log, dict) for log in logs):
        raise SettingsError(
            "saved must be a Voiceflow transcript: pass the response of the API's transcript call, "
            "an object with the list `logs` or a list of turns"
        )
    records: list[TimedRecord] = []
    turn = 0
    for record, at in _records(list(map(as_dict, logs))):
        if record.kind == "action":
            records += _end_of_turn(records, turn)
            turn += 1
        records.append(TimedRecord(record._replace(turn=turn), at))
    records += _end_of_turn(records, turn)
    return Transcript(as_text(fields.get("id")) or as_text(fields.get("sessionID")) or "transcript", records)


def _end_of_turn(records: list[TimedRecord], turn: int) -> list[TimedRecord]:
    if not turn:
        return []
    end = Record("transcript", "status", direction="local", turn=turn, text="completed", final=True)
    return [TimedRecord(end, records[-1].at)]


def _records(logs: list[JsonObject]) -> Iterator[TimedRecord]:
    latest = 0
    for log in logs:
        kind = as_text(log.get("format")) or as_text(log.get("type"))
        data = _data(log)
        time = _time(log.get("createdAt")) or _time(log.get("startTime")) or time_of(data)
        at = latest = max(latest, time or latest)
        if kind in ("launch", "request", "action"):
            request: JsonObject = data if as_text(data.get("type")) else {"type": kind, "payload": data}
            text = user_input(request).text or None
            record = Record("action.send", "action", {"action": request}, "out", "user", text=text, server_at=time)
        elif kind == "trace" and as_text(data.get("type")):
            parsed = parse_trace(data)
            record = Record(
                "action.trace", parsed.kind, {"trace": data}, sender="bot", text=parsed.text, server_at=time
            )
            record = record._replace(node=parsed.node, intent=parsed.intent)
        else:
            record = Record(kind or "log", "custom", log, text=kind or None, server_at=time)
        yield TimedRecord(record, at)


def _data(log: JsonObject) -> JsonObject:
    """Return the trace or request of a log entry: an object, JSON, encoded JSON or, in older entries, the entry."""
    data = log.get("data", log.get("payload"))
    if isinstance(data, str):
        data = _decoded(data) or {}
    if "format" in log and not as_text(as_dict(data).get("type")):
        return {"type": as_text(log.get("type")), "payload": data}
    return as_dict(data)


def _decoded(text: str) -> Json:
    """Return the value of a JSON text, which may be encoded in base64; None if the text is not JSON."""
    texts: list[str | bytes] = [text]
    with contextlib.suppress(ValueError):
        texts.append(base64.b64decode(text, validate=True))
    for candidate in texts:
        try:
            value: Json = json.loads(candidate)
        except (ValueError, RecursionError):
            continue
        return value
    return None


def _time(value: Json) -> int | None:
    """Return an ISO time in nanoseconds since 1970. A time without a zone is in UTC."""
    try:
        time = dt.datetime.fromisoformat(as_text(value))
    except ValueError:
        return None
    time = time if time.tzinfo else time.replace(tzinfo=dt.UTC)
    return (time - UNIX_EPOCH) // dt.timedelta(microseconds=1) * 1000 if UNIX_EPOCH <= time < LAST_TIME else None

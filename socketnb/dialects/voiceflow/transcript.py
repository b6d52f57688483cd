"""A saved transcript, as Voiceflow's API hands it out, read into records.

Sources: the vendor's API reference, "Get transcript" (an object with `logs`, each of type `action` or `trace`) and,
older, "Get Transcript Dialog" (a list of turns, each of format `launch`, `request` or `trace`).
"""

from __future__ import annotations

import base64
import datetime as dt
import json
from typing import TYPE_CHECKING, Any, NamedTuple

from socketnb.dialects.voiceflow.actions import user_input
from socketnb.dialects.voiceflow.traces import read, time_of
from socketnb.errors import SettingsError
from socketnb.model.effects import Record
from socketnb.model.json import as_dict, as_text

if TYPE_CHECKING:
    from collections.abc import Iterator

EPOCH, LATEST = dt.datetime(1970, 1, 1, tzinfo=dt.UTC), dt.datetime(2262, 1, 1, tzinfo=dt.UTC)


class Saved(NamedTuple):
    """A record, and when what it tells of was, in nanoseconds since 1970."""

    record: Record
    at: int


def transcript(saved: Any) -> tuple[str, list[Saved]]:
    """Return the id of a saved transcript, and its records in order, with a status after each turn's last trace.

    Raises:
        SettingsError: this is no transcript.
    """
    whole = as_dict(saved)
    whole = as_dict(whole.get("transcript")) or whole
    logs = saved if isinstance(saved, list) else whole.get("logs")
    if not isinstance(logs, list) or not all(isinstance(log, dict) for log in logs):
        raise SettingsError(
            "a saved Voiceflow transcript is an object with the list `logs`, or a list of turns: "
            "what the API's transcript call answers"
        )
    found: list[Saved] = []
    turn = 0
    for record, at in _records(logs):
        if record.kind == "action":
            found += _done(found, turn)
            turn += 1
        found.append(Saved(record._replace(turn=turn), at))
    found += _done(found, turn)
    return as_text(whole.get("id")) or as_text(whole.get("sessionID")) or "transcript", found


def _done(found: list[Saved], turn: int) -> list[Saved]:
    if not turn:
        return []
    end = Record("transcript", "status", direction="local", turn=turn, text="completed", final=True)
    return [Saved(end, found[-1].at)]


def _records(logs: list[dict[str, Any]]) -> Iterator[Saved]:
    latest = 0
    for log in logs:
        form = as_text(log.get("format")) or as_text(log.get("type"))
        data = _data(log)
        when = _time(log.get("createdAt")) or _time(log.get("startTime")) or time_of(data)
        at = latest = max(latest, when or latest)
        if form in ("launch", "request", "action"):
            request = data if as_text(data.get("type")) else {"type": form, "payload": data}
            said = user_input(request).text or None
            yield Saved(
                Record("action.send", "action", {"action": request}, "out", "user", text=said, server_at=when), at
            )
        elif form == "trace" and as_text(data.get("type")):
            reading = read(data)
            told = Record("action.trace", reading.kind, {"trace": data}, sender="bot", text=reading.text)
            yield Saved(told._replace(node=reading.node, intent=reading.intent, server_at=when), at)
        else:
            yield Saved(Record(form or "log", "custom", log, text=form or None, server_at=when), at)


def _data(log: dict[str, Any]) -> dict[str, Any]:
    """Return the trace or request of a log: an object, its JSON, or that encoded; older ones lie flat in the turn."""
    data = log.get("data", log.get("payload"))
    if isinstance(data, str):
        data = _parsed(data) or {}
    if "format" in log and not as_text(as_dict(data).get("type")):
        return {"type": as_text(log.get("type")), "payload": data}
    return as_dict(data)


def _parsed(text: str) -> Any:
    for decode in (str, lambda said: base64.b64decode(said, validate=True)):
        try:
            return json.loads(decode(text))
        except (ValueError, RecursionError):
            continue
    return None


def _time(said: Any) -> int | None:
    """Return an ISO time in nanoseconds since 1970; without a zone it is UTC."""
    try:
        time = dt.datetime.fromisoformat(as_text(said))
    except ValueError:
        return None
    time = time if time.tzinfo else time.replace(tzinfo=dt.UTC)
    return (time - EPOCH) // dt.timedelta(microseconds=1) * 1000 if EPOCH <= time < LATEST else None

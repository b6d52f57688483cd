"""Lets a session observe events that no server sent."""

import time
from typing import Any

from socketnb.conversation.session import Session
from socketnb.engine.events import Observation
from socketnb.model.effects import Record
from socketnb.model.trace import NO_TIME


def observe(session: Session, *records: Record, elapsed_ms: float = NO_TIME) -> None:
    """Let a session observe events that no server sent."""

    async def take() -> None:
        session._events.take([Observation(record, 1, time.time_ns(), elapsed_ms) for record in records])

    session._loop.run(take(), 10)


def output(text: str, data: Any = None, **columns: Any) -> Record:
    """Return a message of a bot on Cognigy, as the client records it."""
    payload = {"type": "output", "data": {"source": "bot", "text": text, "data": data or {}}}
    return Record("output", "text", payload, sender="bot", text=text, **columns)


def queued(turn: int, text: str, reason: str) -> Record:
    """Return the record of a text that is not sent yet."""
    payload = {"verb": "text", "text": text, "reason": reason}
    return Record("queued", "queued", payload, "local", "user", turn, text)

"""Logs of received events and messageIDs, for recognising events that a server repeats after a lost link."""

from __future__ import annotations

import json
from collections import deque

from socketnb.model.json import Json
from socketnb.model.secret import fingerprint

MAX_REPEATED_TURNS = 8
"""The number of recent turns whose events a server may repeat."""
MAX_REMEMBERED_IDS = 1000
"""The number of messageIDs to keep, so that a late event is recorded under its own turn."""


class ReceivedLog:
    """Fingerprints of the events of each of the last turns, in order."""

    def __init__(self) -> None:
        self._received: dict[int, list[str]] = {}
        self._repeatable: dict[int, deque[str]] = {}  # turn → events that may still be repeated, in order

    def begin(self, turn: int) -> None:
        """Start to log the events of a turn. Beyond the limit, the oldest turn is removed."""
        self._received.setdefault(turn, [])
        for old in list(self._received)[:-MAX_REPEATED_TURNS]:
            del self._received[old]

    def link_resumed(self) -> None:
        """Expect the server to repeat the events from before the link was lost."""
        self._repeatable = {turn: deque(marks) for turn, marks in self._received.items()}

    def repeated(self, turn: int, payload: Json) -> bool:
        """Return whether an event repeats the next expected event of its turn. If not, log the event."""
        if turn not in self._received:
            return False
        mark, expected = fingerprint(json.dumps(payload, default=str)), self._repeatable.get(turn)
        if expected and expected[0] == mark:
            expected.popleft()
            return True
        self._repeatable.pop(turn, None)
        self._received[turn].append(mark)
        return False


class MessageIds:
    """The turns of recent messageIDs."""

    def __init__(self) -> None:
        self._turns: dict[str, int] = {}

    def get(self, message_id: Json) -> int | None:
        """Return the turn of a messageID, or None if it is unknown or not a string."""
        return self._turns.get(message_id) if isinstance(message_id, str) else None

    def add(self, message_id: str, turn: int) -> None:
        """Store the turn of a messageID. Beyond the limit, the oldest messageID is removed."""
        self._turns[message_id] = turn
        if len(self._turns) > MAX_REMEMBERED_IDS:
            del self._turns[next(iter(self._turns))]

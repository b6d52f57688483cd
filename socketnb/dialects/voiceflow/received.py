"""A log of received events, which recognises those that a server sends again after a lost link, and of messageIDs."""

from __future__ import annotations

import json
from collections import deque

from socketnb.model.json import Json
from socketnb.model.secret import fingerprint

MAX_REPEATED_TURNS = 8
"""The last turns whose events a server may send again."""
MAX_REMEMBERED_IDS = 1000
"""messageIDs whose turn is known, so that a late event is recorded under its own turn."""


class ReceivedLog:
    """Fingerprints of the events of each of the last turns, in order."""

    def __init__(self) -> None:
        self._received: dict[int, list[str]] = {}
        self._repeatable: dict[int, deque[str]] = {}  # turn → events that may still be sent again, in order

    def begin(self, turn: int) -> None:
        """Log the events of a turn from now on. The oldest turn is forgotten if there are many."""
        self._received.setdefault(turn, [])
        for old in list(self._received)[:-MAX_REPEATED_TURNS]:
            del self._received[old]

    def link_resumed(self) -> None:
        """Expect that the server repeats what came before the link was lost."""
        self._repeatable = {turn: deque(marks) for turn, marks in self._received.items()}

    def repeated(self, turn: int, payload: Json) -> bool:
        """Tell whether this is exactly the next event that the turn got before the link was lost. If not, log it."""
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
    """The turns of the last messageIDs."""

    def __init__(self) -> None:
        self._turns: dict[str, int] = {}

    def get(self, message_id: Json) -> int | None:
        """Return the turn of a messageID, or None if it is unknown or not a string."""
        return self._turns.get(message_id) if isinstance(message_id, str) else None

    def add(self, message_id: str, turn: int) -> None:
        """Remember the turn of a messageID. The oldest messageID is forgotten if there are many."""
        self._turns[message_id] = turn
        if len(self._turns) > MAX_REMEMBERED_IDS:
            del self._turns[next(iter(self._turns))]

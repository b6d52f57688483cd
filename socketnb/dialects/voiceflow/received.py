"""A log of received events, for recognising events that a server repeats after a lost link or a restart."""

from __future__ import annotations

import json
from collections import deque

from socketnb.model.json import Json, as_dict
from socketnb.model.secret import fingerprint

MAX_REPEATED_TURNS = 8
"""The number of recent turns whose events a server may repeat."""


class ReceivedLog:
    """Fingerprints of the events of each of the last turns, in order.

    A repetition starts with the first event of the turn, the status `accepted`. Therefore an event that equals a later
    one is new. The messageID and the time of an event are ignored, because a restarted server may change them.
    """

    def __init__(self) -> None:
        self._received: dict[int, list[str]] = {}
        self._repeatable: dict[int, list[deque[str]]] = {}  # turn → series of events, one of which may be repeated

    def begin(self, turn: int) -> None:
        """Start to log the events of a turn. Beyond the limit, the oldest turn is removed."""
        self._received.setdefault(turn, [])
        for old in list(self._received)[:-MAX_REPEATED_TURNS]:
            del self._received[old]
            self._repeatable.pop(old, None)

    def link_resumed(self) -> None:
        """Expect the server to repeat the events from before the link was lost."""
        for turn in self._received:
            self.sent_again(turn)

    def sent_again(self, turn: int) -> None:
        """Expect the server to repeat the events of a turn, or to continue a repetition that was interrupted."""
        if turn in self._received:
            self._repeatable[turn] = [*self._repeatable.get(turn, []), deque(self._received[turn])]

    def repeated(self, turn: int, payload: Json) -> bool:
        """Return whether an event repeats the next expected event of its turn. If not, log the event."""
        if turn not in self._received:
            return False
        mark = _mark(payload)
        expected = [series for series in self._repeatable.get(turn, []) if series and series[0] == mark]
        if expected:
            for series in expected:
                series.popleft()
            self._repeatable[turn] = expected
            return True
        if "status" in as_dict(payload) and mark in self._received[turn]:
            return True  # a doubled status
        self._repeatable.pop(turn, None)
        self._received[turn].append(mark)
        return False


def _mark(payload: Json) -> str:
    fields = {name: value for name, value in as_dict(payload).items() if name != "messageID"}
    trace = {name: value for name, value in as_dict(fields.get("trace")).items() if name != "time"}
    return fingerprint(json.dumps([fields | ({"trace": trace} if trace else {})], default=str))

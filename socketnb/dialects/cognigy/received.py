"""A log of received events that recognises the events that an endpoint repeats after a lost link.

Events have no id, but outputs have a traceId, which identifies a repeated output. An output without a traceId is never
treated as a repetition, because two answers can be equal. A repeated `finalPing` follows the same output as the first
time. A `finalPing` without an output belongs to the current turn, unless no other event shows that the endpoint
received the input of that turn.
"""

from __future__ import annotations

import json
from collections import deque
from typing import NamedTuple, TypeAlias

from socketnb.model.json import Json, as_dict
from socketnb.model.secret import fingerprint

MAX_REMEMBERED_EVENTS = 5000
"""The number of events to keep."""


class Ping(NamedTuple):
    """Identifies a `finalPing` by the name of the event that carried it. Two of them with the same name are equal."""

    event: str


Mark: TypeAlias = Ping | str | None
"""What identifies an event: a ping, or the fingerprint of an output with a traceId. None for other outputs."""


class _Entry(NamedTuple):
    mark: Mark
    turn: int  # the last turn sent before the event arrived


class ReceivedLog:
    """The received outputs and pings of a session, each with the last turn sent before it."""

    def __init__(self) -> None:
        self._entries: deque[_Entry] = deque(maxlen=MAX_REMEMBERED_EVENTS)
        self._repeatable: list[_Entry] = []  # the entries that may still be repeated over this link
        self._repeating = False  # the event before this one was a repetition

    def link_lost(self) -> None:
        """Expect the next link to repeat the events received so far."""
        self._repeatable, self._repeating = list(self._entries), False

    def repeated(self, payload: Json, turn: int, *, ping: Ping | None, quiet: bool) -> int | None:
        """Return the turn of the first arrival if an event is a repetition. Otherwise log the event and return None.

        Args:
            payload: The payload of the event.
            turn: The last turn that was sent.
            ping: The identity of the event, if it is a `finalPing`.
            quiet: Whether the current turn was sent over an earlier link and has received no event yet.
        """
        mark = ping or _mark_of(payload)
        index = self._index(mark, quiet=quiet)
        if index is None:
            self._entries.append(_Entry(mark, turn))
            if mark:  # something new ends the repetition; an output without a traceId may be new or not
                self._repeatable, self._repeating = [], False
            return None
        before = self._repeatable[index].turn
        self._repeatable, self._repeating = self._repeatable[index + 1 :], True
        return before

    def _index(self, mark: Mark, *, quiet: bool) -> int | None:
        """Return the position of an event among those that may be repeated."""
        indexes = [n for n, entry in enumerate(self._repeatable) if entry.mark == mark] if mark else []
        if not isinstance(mark, Ping) or not indexes:
            return indexes[0] if indexes else None
        if self._repeating:  # only outputs without a traceId may be in between
            skipped = self._repeatable[: indexes[0]]
            return None if any(entry.mark for entry in skipped) else indexes[0]
        last = indexes[-1]
        only_pings = all(isinstance(entry.mark, Ping) for entry in self._repeatable[last:])
        return last if quiet and only_pings else None


def _mark_of(payload: Json) -> Mark:
    has_id = as_dict(as_dict(payload).get("data")).get("traceId")
    return fingerprint(json.dumps(payload, default=str)) if has_id else None

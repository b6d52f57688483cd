"""A log of received events that recognises the events that an endpoint repeats after a lost link.

Events have no id. What identifies a repeated output depends on its trace id and its position:

- If the endpoint gives each output its own id, an equal output is a repetition. If it gives each run its own id, this
  holds after the `finalPing` of the run.
- An output that follows a repetition, and is equal to the event that followed at the first time, is a repetition.
- While no turn is running, an output that equals one of a run that has ended is a repetition. The same holds while
  nothing has come for the running turn since before the lost link, unless the ids are known to identify nothing.
- An output that equals one of the run that has not ended is a repetition if it arrives before `endpoint-ready`, because
  an endpoint repeats events before that.
- Any other equal output may be a repetition or a new message, such as a second "ok". It counts as new.

If the id did not decide, the output is reported as doubtful, so that the turn gets a warning.

A repeated `finalPing` follows the same output as the first time. A `finalPing` without an output belongs to the current
turn, unless no other event shows that the endpoint received the input of that turn. After a new output it is new.
"""

from __future__ import annotations

import json
from collections import deque
from enum import Enum
from typing import NamedTuple, TypeAlias

from socketnb.model.json import Json
from socketnb.model.secret import fingerprint

MAX_REMEMBERED_EVENTS = 5000
"""The number of events to keep."""


class Ping(NamedTuple):
    """Identifies a `finalPing` by the name of the event that carried it. Two of them with the same name are equal."""

    event: str


class Sign(Enum):
    """What is known about an event that equals an earlier one, besides its position."""

    OUTPUT = "its trace id identifies the output"
    RUN = "its trace id identifies the run"
    UNPROVEN = "its trace id may identify the run, or it has none although other outputs have one"
    NOTHING = "trace ids identify nothing"


class Moment(NamedTuple):
    """When an event arrives.

    Attributes:
        turn: The last turn that was sent.
        owed: Whether a turn is running.
        quiet: Whether the current turn was sent over an earlier link and has received no event yet.
        opening: Whether the endpoint has not said yet that it is ready. It repeats events before that.
    """

    turn: int
    owed: bool = False
    quiet: bool = False
    opening: bool = False


class Verdict(NamedTuple):
    """Whether an event is a repetition.

    Attributes:
        before: The last turn sent before the first arrival of a repetition; None if the event counts as new.
        doubtful: Whether this is not certain.
    """

    before: int | None = None
    doubtful: bool = False


Mark: TypeAlias = Ping | str
"""What identifies an event: a ping, or the fingerprint of an output."""


class _Entry(NamedTuple):
    mark: Mark
    turn: int  # the last turn sent before the event arrived


class ReceivedLog:
    """The received outputs and pings of a session, each with the last turn sent before it."""

    def __init__(self) -> None:
        self._entries: deque[_Entry] = deque(maxlen=MAX_REMEMBERED_EVENTS)
        self._repeatable: list[_Entry] = []  # the entries that may still be repeated over this link
        self._repeating = False  # the event before this one was a repetition
        self._has_new = False  # a new output has come over this link

    def link_lost(self) -> None:
        """Expect the next link to repeat the events received so far."""
        self._repeatable, self._repeating, self._has_new = list(self._entries), False, False

    def add(self, payload: Json, moment: Moment, sign: Sign, ping: Ping | None = None) -> Verdict:
        """Judge whether an event is a repetition, and log it if it is new.

        Args:
            payload: The payload of the event.
            moment: When it arrives.
            sign: What the trace id of the event identifies.
            ping: The identity of the event, if it is a `finalPing`.
        """
        mark = ping or fingerprint(json.dumps(payload, default=str))
        index = self._index(mark, quiet=moment.quiet)
        if index is None:
            self._entries.append(_Entry(mark, moment.turn))
            self._has_new |= ping is None
            if ping or sign is not Sign.NOTHING:  # something new ends the repetition
                self._repeatable, self._repeating = [], False
            return Verdict()
        follows = self._repeating and index == 0
        has_ended = any(isinstance(entry.mark, Ping) for entry in self._repeatable[index + 1 :])
        certain = follows or sign is Sign.OUTPUT or (sign is Sign.RUN and has_ended)
        likely = not moment.owed or (moment.quiet and sign is Sign.UNPROVEN) if has_ended else moment.opening
        if ping or certain or likely:
            before = self._repeatable[index].turn
            self._repeatable, self._repeating = self._repeatable[index + 1 :], True
            return Verdict(before, doubtful=not ping and not certain)
        self._entries.append(_Entry(mark, moment.turn))
        self._repeating = False
        return Verdict(doubtful=True)

    def _index(self, mark: Mark, *, quiet: bool) -> int | None:
        """Return the position of an event among those that may be repeated."""
        indexes = [n for n, entry in enumerate(self._repeatable) if entry.mark == mark]
        if not isinstance(mark, Ping) or not indexes:
            return indexes[0] if indexes else None
        if self._repeating:
            return indexes[0] if indexes[0] == 0 else None
        last = indexes[-1]
        only_pings = all(isinstance(entry.mark, Ping) for entry in self._repeatable[last:])
        return last if quiet and only_pings and not self._has_new else None

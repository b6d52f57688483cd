"""What came, so that what an endpoint sends again after a lost link is known.

Events have no id, but outputs have a traceId, by which one that comes again is known. An output without one is never
taken for one that came before: two answers may well be the same. A `finalPing` comes again after the output that it
came after; alone, it is that of the turn under way, unless nothing else shows that its input was ever heard.
"""

from __future__ import annotations

import json
from collections import deque
from typing import Any

from socketnb.model.json import as_dict
from socketnb.model.secret import fingerprint

MOST = 5000
"""Events that are remembered."""
PING = "ping "
"""Begins the mark of a `finalPing`."""


class Heard:
    """What came, and after which turn."""

    def __init__(self) -> None:
        self._marks: deque[tuple[str, int]] = deque(maxlen=MOST)
        self._left: list[tuple[str, int]] = []  # what may come again over this link
        self._known = False  # the event before came again

    def lost(self) -> None:
        """The link is lost: what came may come again."""
        self._left, self._known = list(self._marks), False

    def again(self, payload: Any, turn: int, *, ping: str, quiet: bool) -> int | None:
        """Return after which turn this came before, if it comes again; else take note of it, and return None.

        Args:
            payload: the event's payload.
            turn: the last turn that was sent.
            ping: the event that a `finalPing` came as; all that came so are alike.
            quiet: the turn under way was sent over an earlier link, and nothing came of it yet.
        """
        trace = as_dict(as_dict(payload).get("data")).get("traceId")
        mark = PING + ping if ping else fingerprint(json.dumps(payload, default=str)) if trace else ""
        found = self._place(mark, quiet=quiet)
        if found is None:
            self._marks.append((mark, turn))
            if mark:  # what is new ends what comes again; of what has no traceId nobody knows
                self._left, self._known = [], False
            return None
        after = self._left[found][1]
        self._left, self._known = self._left[found + 1 :], True
        return after

    def _place(self, mark: str, *, quiet: bool) -> int | None:
        """Return where this stands in what may come again."""
        if not mark:
            return None
        places = [n for n, (before, _) in enumerate(self._left) if before == mark]
        if not mark.startswith(PING) or not places:
            return places[0] if places else None
        if self._known:  # only what has no traceId may stand before it
            return None if any(before for before, _ in self._left[: places[0]]) else places[0]
        alone = all(before.startswith(PING) for before, _ in self._left[places[-1] :])
        return places[-1] if quiet and alone else None

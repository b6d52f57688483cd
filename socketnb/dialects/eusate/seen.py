"""The messages that the client has received, so that it recognises a repeated one and knows what it missed.

Messages have no id: conversation, sender, time and text tell one from another.
"""

from __future__ import annotations

from collections.abc import Container
from typing import NamedTuple, Self

from socketnb.dialects.eusate.messages import created_at
from socketnb.model.json import JsonObject, as_text

MAX_SEEN_MESSAGES = 1000
"""Messages that are remembered. A repetition of an older message is taken for a new one."""


class MessageKey(NamedTuple):
    """What identifies a message. Its time is in nanoseconds since 1970."""

    conversation: str
    sender: str
    created_at: int
    text: str

    @classmethod
    def of(cls, conversation: str, data: JsonObject) -> Self | None:
        """Return the key of a message, or None if it has no time and cannot be recognised."""
        time = created_at(data)
        if time is None:
            return None
        return cls(conversation, as_text(data.get("sender")), time, as_text(data.get("message")))


class SeenMessages:
    """The last messages that were received, and the time of the last one in each conversation."""

    def __init__(self) -> None:
        self._keys: dict[MessageKey, None] = {}  # in the order of arrival
        self._latest: dict[str, int] = {}  # conversation → time of its latest message
        self._missed_since: dict[str, int] = {}  # conversation → the same when the link was lost

    def add(self, conversation: str, data: JsonObject) -> bool:
        """Remember a message. Return whether it is new."""
        key = MessageKey.of(conversation, data)
        if key is None:
            return True
        if key in self._keys:
            return False
        self._keys[key] = None
        if len(self._keys) > MAX_SEEN_MESSAGES:
            del self._keys[next(iter(self._keys))]
        self._latest[conversation] = max(key.created_at, self._latest.get(conversation, 0))
        return True

    def link_lost(self, unanswered: Container[str]) -> None:
        """Note from when on messages may be missed.

        Args:
            unanswered: Conversations whose messages were requested over the lost link and did not arrive. They are
                requested again from the earlier time.
        """
        self._missed_since |= {name: time for name, time in self._latest.items() if name not in unanswered}

    def is_missed(self, conversation: str, data: JsonObject) -> bool:
        """Tell whether a message of the HTTP interface was sent while there was no link, and has not arrived since."""
        key = MessageKey.of(conversation, data)
        if key is None or key.sender == "customer" or key in self._keys:
            return False
        return key.created_at >= self._missed_since.get(conversation, 0)

"""The messages that the client has received, for recognising repeated and missed messages.

Messages have no id. They are identified by conversation, sender, time and text.
"""

from __future__ import annotations

from collections.abc import Container
from typing import NamedTuple, Self

from socketnb.dialects.eusate.messages import created_at
from socketnb.model.json import JsonObject, as_text

MAX_SEEN_MESSAGES = 1000
"""The number of messages to keep. A repetition of an older message counts as a new message."""


class MessageKey(NamedTuple):
    """The identity of a message. The time is in nanoseconds since 1970."""

    conversation: str
    sender: str
    created_at: int
    text: str

    @classmethod
    def of(cls, conversation: str, data: JsonObject) -> Self | None:
        """Return the key of a message, or None if the message has no time and cannot be identified."""
        time = created_at(data)
        if time is None:
            return None
        return cls(conversation, as_text(data.get("sender")), time, as_text(data.get("message")))


class SeenMessages:
    """The last received messages, and the time of the latest message in each conversation."""

    def __init__(self) -> None:
        self._keys: dict[MessageKey, None] = {}  # in order of arrival
        self._latest: dict[str, int] = {}  # conversation → time of its latest message
        self._missed_since: dict[str, int] = {}  # conversation → time of its latest message when the link was lost

    def add(self, conversation: str, data: JsonObject) -> bool:
        """Add a message, and return whether it is new."""
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

    def latest(self, conversation: str) -> int:
        """Return the time of the latest message in a conversation, in nanoseconds since 1970; 0 if there is none."""
        return self._latest.get(conversation, 0)

    def link_lost(self, unanswered: Container[str]) -> None:
        """Remember the time from which messages may be missed.

        Args:
            unanswered: Conversations whose messages were requested over the lost link and did not arrive. They are
                requested again from the earlier time.
        """
        self._missed_since |= {name: time for name, time in self._latest.items() if name not in unanswered}

    def is_missed(self, conversation: str, data: JsonObject) -> bool:
        """Return whether a message from the HTTP interface was sent while the link was down and is still missing."""
        key = MessageKey.of(conversation, data)
        if key is None or key.sender == "customer" or key in self._keys:
            return False
        return key.created_at >= self._missed_since.get(conversation, 0)

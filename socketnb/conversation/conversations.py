"""The conversations of a session, on platforms that allow several per session."""

from __future__ import annotations

import threading

from socketnb.errors import ActionError, unknown
from socketnb.model.actions import Conversation


class SessionConversations:
    """The conversations of a session, and the conversation chosen for the next turn.

    Args:
        platform: The name of the platform.
        limit: How many conversations the platform allows per session.

    Attributes:
        current: The conversations, as last reported by the platform.
    """

    def __init__(self, platform: str, limit: int) -> None:
        self.current: tuple[Conversation, ...] = ()
        self._platform = platform
        self._limit = limit
        self._chosen = threading.local()  # .id: the conversation for the next turn of this thread

    def check(self, conversation: str | None) -> str | None:
        """Return the id of a conversation, "" for a new one, or None for the one used last.

        Raises:
            ActionError: There is no such conversation, or the platform has one conversation per session.
        """
        if conversation == "" and self._limit == 1:
            raise ActionError(f"{self._platform} has one conversation per session: open another session with connect()")
        ids = [known.id for known in self.current]
        if conversation and conversation not in ids:
            raise ActionError(unknown("conversation", conversation, ids))
        return conversation

    def choose(self, conversation: str) -> None:
        """Choose the conversation for the next turn that this thread starts.

        Raises:
            ActionError: As in `check`.
        """
        self._chosen.id = self.check(conversation)

    def take_chosen(self) -> str | None:
        """Return the conversation that this thread has chosen, and clear the choice."""
        chosen: str | None = getattr(self._chosen, "id", None)
        self._chosen.id = None
        return chosen

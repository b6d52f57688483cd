"""The state that the parts of the client machine share: the link, the conversations and the turns of one customer."""

from __future__ import annotations

import enum
from dataclasses import replace
from typing import Literal, TypedDict, Unpack

from socketnb.dialects.eusate.requests import enter_room
from socketnb.dialects.eusate.turns import ConversationRef, Turn, Turns
from socketnb.dialects.turns import Deadlines
from socketnb.model.actions import Conversation
from socketnb.model.effects import ClientEffect, Conversations, Persist, Ready, Record, TurnDone
from socketnb.model.trace import Status


class Phase(enum.Enum):
    """The phase of a link.

        DOWN ──opened──▶ LISTING ──the list of conversations arrived, failed or is late──▶ READY

    In any phase, losing the link leads to DOWN. Turns are sent only in READY.
    """

    DOWN = enum.auto()
    LISTING = enum.auto()
    READY = enum.auto()


class Due(enum.Enum):
    """The deadlines of a link: for the connection, and for the list of conversations."""

    CONNECTION = enum.auto()
    LISTING = enum.auto()


class ConversationChanges(TypedDict, total=False):
    """The fields of a `Conversation` that can change."""

    handler: Literal["bot", "agent"]
    agent: str
    unread: int
    suggested: bool
    closed: bool


class CustomerState:
    """The link, the conversations and the turns of a customer.

    Args:
        current: The id of the conversation for the first turn, or None for a new one.

    Attributes:
        conversations: The known conversations, by id.
        left_rooms: The conversations whose room the customer has left.
        current: The conversation that the next turn is for, unless it names another. None means a new one.
        deadlines: The deadlines of the link (`Due`) and of late answers to abandoned turns.
        turns: The queued and running turns.
        phase: The phase of the link.
        link: The number of the link; 0 before the first one.
    """

    def __init__(self, current: str | None) -> None:
        self.conversations: dict[str, Conversation] = {}
        self.left_rooms: set[str] = set()
        self.current: ConversationRef = current
        self.deadlines = Deadlines()
        self.turns = Turns(self.deadlines, self.conversations)
        self.phase = Phase.DOWN
        self.link = 0
        self._was_ready = False

    # The link

    @property
    def is_open(self) -> bool:
        """Whether the link is open."""
        return self.phase is not Phase.DOWN

    def link_opened(self, list_due: float) -> None:
        """Update the state after the next link has opened. The list of conversations is due at `list_due`."""
        self.phase = Phase.LISTING
        self.link += 1
        self.deadlines.clear(Due.CONNECTION)
        self.deadlines.set(Due.LISTING, list_due)

    def link_closed(self) -> None:
        """Update the state after the link was lost."""
        self.phase = Phase.DOWN
        self.deadlines.clear(Due.CONNECTION, Due.LISTING)

    def mark_ready(self, text: str) -> list[ClientEffect]:
        """Mark the link as ready. `text` is the reason in the trace. Outside the phase LISTING, do nothing."""
        if self.phase is not Phase.LISTING:
            return []
        self.phase = Phase.READY
        self.deadlines.clear(Due.LISTING)
        kind = "resumed" if self._was_ready else "ready"
        self._was_ready = True
        return [Ready(None), Record("ready", kind, None, "local", text=text)]

    # Conversations

    @property
    def open_conversations(self) -> list[str]:
        """The ids of the conversations that are not closed."""
        return [conversation.id for conversation in self.conversations.values() if not conversation.closed]

    def get(self, conversation: ConversationRef) -> Conversation:
        """Return a conversation. An unknown conversation counts as open with the bot as its handler."""
        conversation = conversation if isinstance(conversation, str) else ""
        return self.conversations.get(conversation, Conversation(conversation))

    def known(self, conversation: ConversationRef) -> str | None:
        """Return the id of a conversation if the conversation is known, otherwise None."""
        return conversation if isinstance(conversation, str) and conversation in self.conversations else None

    def add(self, conversation: str) -> list[ClientEffect]:
        """Add an unknown conversation, and enter its room. If a conversation is being started, it receives this id."""
        if not conversation or conversation in self.conversations:
            return []
        starting = self.turns.assign_id(conversation)
        if self.current is None or self.current == starting:
            self.current = conversation
        entering = enter_room(conversation) if self.is_open else []
        return [*self.update(conversation), self._persist_current(), *entering]

    def update(self, conversation: str, **changes: Unpack[ConversationChanges]) -> list[ClientEffect]:
        """Update a conversation. A closed conversation stays closed."""
        before = self.conversations.get(conversation)
        after = replace(self.get(conversation), **changes)
        if before and before.closed:
            after = replace(after, closed=True, suggested=False)
        if after == before:
            return []
        self.conversations[conversation] = after
        return [Conversations(tuple(self.conversations.values()))]

    def _persist_current(self) -> Persist:
        return Persist("conversation_id", self.current if isinstance(self.current, str) else "")

    # Turns

    def finish(self, turn: Turn, status: Status, reason: str) -> list[ClientEffect]:
        """End a turn and remove it. An abandoned turn has already ended."""
        abandoned = self.turns.is_abandoned(turn.number)
        self.forget(turn)
        return [] if abandoned else self.end(turn.number, status, reason, turn.conversation)

    def forget(self, turn: Turn) -> None:
        """Remove a turn. If its new conversation was never started, the previous conversation becomes current again."""
        self.turns.end(turn.number)
        unused = self.known(turn.conversation) is None and not self.turns.others_for(turn)
        if self.current == turn.conversation and unused:
            self.current = turn.previous

    def end(self, turn: int, status: Status, reason: str, conversation: ConversationRef = None) -> list[ClientEffect]:
        """Return the effects that end a turn."""
        kind, error = ("error", reason) if status == "failed" else ("status", None)
        record = Record("turn", kind, None, "local", turn=turn, text=status, final=True, error=error)
        return [record._replace(conversation=self.known(conversation)), TurnDone(turn, status, reason)]

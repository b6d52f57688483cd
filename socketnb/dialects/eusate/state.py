"""The state that the parts of the client machine share: the link, the conversations and the turns of one customer."""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from typing import Literal, TypedDict, Unpack

from socketnb.dialects.base import end_turn, warn
from socketnb.dialects.eusate.requests import enter_room
from socketnb.dialects.eusate.turn import ConversationRef, NewConversation, Turn
from socketnb.dialects.eusate.turns import Turns
from socketnb.dialects.turns import Deadlines
from socketnb.model.actions import Conversation
from socketnb.model.effects import ClientEffect, Conversations, Persist, Ready, Record
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


CONFIRMATION_S = 2.0
"""How long the confirmation of a turn is awaited after an event that may be its answer, in seconds."""


@dataclass(frozen=True, slots=True)
class Unconfirmed:
    """The deadline for the confirmation of a turn that may have been answered without one."""

    turn: int


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
        late_answer_s: How long an abandoned turn blocks the next turn of its conversation, in seconds.

    Attributes:
        conversations: The known conversations, by id.
        left_rooms: The conversations whose room the customer has left.
        current: The conversation that the next turn is for, unless it names another. None means a new one.
        deadlines: The deadlines of the link (`Due`) and of late answers to abandoned turns.
        turns: The queued and running turns.
        phase: The phase of the link.
        link: The number of the link; 0 before the first one.
    """

    def __init__(self, current: str | None, late_answer_s: float) -> None:
        self.conversations: dict[str, Conversation] = {}
        self.left_rooms: set[str] = set()
        self.current: ConversationRef = current
        self.deadlines = Deadlines()
        self.turns = Turns(self.deadlines, self.conversations, late_answer_s)
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
        self.deadlines.clear(Due.CONNECTION, Due.LISTING, *(Unconfirmed(turn.number) for turn in self.turns.recent))
        self.turns.recent.clear()

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
        starting = self.turns.assign_id(conversation, self.turns.starting)
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

    def _assign_known(self, conversation: str, starting: NewConversation) -> list[ClientEffect]:
        """Assign the id of a conversation that was taken for one of another client to the one being started."""
        earlier = self.turns.accounts.get(conversation)
        self.turns.assign_id(conversation, starting)
        if earlier:
            self.turns.accounts[conversation].heard_at = earlier.heard_at
        if self.current in (None, starting):
            self.current = conversation
            return [self._persist_current()]
        return []

    def _persist_current(self) -> Persist:
        return Persist("conversation_id", self.current if isinstance(self.current, str) else "")

    # Turns

    def finish(self, turn: Turn, status: Status, reason: str, *, answered: bool = True) -> list[ClientEffect]:
        """End a turn and remove it. An abandoned turn has already ended.

        Args:
            turn: The turn.
            status: How it has ended.
            reason: The event that has ended it, or the error.
            answered: Whether the bot has answered the turn.
        """
        if turn.event == "support" and status != "rejected":
            self.turns.account(turn.conversation).end(turn.number, answered=answered)
        abandoned = self.turns.is_abandoned(turn.number)
        self.forget(turn)
        return [] if abandoned else self.end(turn, status, reason)

    def finish_by_agent(self, turn: Turn, reason: str, *, asked_bot: bool = False) -> list[ClientEffect]:
        """Complete a turn that an agent handles, or that an agent has answered although the bot was asked."""
        account = self.turns.account(turn.conversation)
        before = account.asked, account.answered, account.owed
        effects = self.finish(turn, "completed", reason, answered=False)
        if not asked_bot:
            account.asked, account.answered, account.owed = before
        return effects

    def give_up(self, turn: Turn) -> list[ClientEffect]:
        """Remove a turn whose late answer has not come. It may still come."""
        if turn.event == "support":
            self.turns.account(turn.conversation).end(turn.number, answered=False, owed=True)
        self.forget(turn)
        return self.warn_of_early(turn)

    def not_confirmed(self, turn: Turn) -> list[ClientEffect]:
        """Complete a turn that the helpdesk has not confirmed, although something that may be its answer has come."""
        effects: list[ClientEffect] = []
        if turn.early and isinstance(turn.conversation, NewConversation):
            effects = self._assign_known(turn.early.conversation, turn.conversation)
        turn.confirmed.add("echo")  # its echo is no longer expected
        effects.append(warn(turn.number, "Eusate has not confirmed this message with support_echo"))
        return [*effects, *self.warn_of_early(turn), *self.finish(turn, "completed", "no support_echo")]

    @staticmethod
    def warn_of_early(turn: Turn) -> list[ClientEffect]:
        """Return warnings if a message that came before the confirmation of a turn may be its reply."""
        if not turn.early:
            return []
        text = f"a message of turn {turn.early.turn}" if turn.early.turn else "a message outside of any turn"
        warnings: list[ClientEffect] = [warn(turn.number, f"{text} may be the reply to this one")]
        if turn.early.turn:
            warnings.append(
                warn(turn.early.turn, f"a late message of this turn may be the reply to turn {turn.number}")
            )
        turn.early = None
        return warnings

    def await_echo(self, turn: Turn, now: float) -> None:
        """Wait a few seconds for the confirmation of a turn. If it does not come, the turn ends with a warning."""
        self.deadlines.set(Unconfirmed(turn.number), now + CONFIRMATION_S)

    def forget(self, turn: Turn) -> None:
        """Remove a turn. If its new conversation was never started, the previous conversation becomes current again."""
        self.turns.end(turn.number)
        unused = self.known(turn.conversation) is None and not self.turns.has_others(turn)
        if self.current == turn.conversation and unused:
            self.current = turn.previous

    def end(self, turn: Turn, status: Status, reason: str) -> list[ClientEffect]:
        """Return the effects that end a turn."""
        return end_turn(turn.number, status, reason, self.known(turn.conversation))

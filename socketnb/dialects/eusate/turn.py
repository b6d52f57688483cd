"""A turn of a customer, and the conversation that it belongs to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeAlias

from socketnb.dialects.eusate.actions import EVENTS
from socketnb.model.actions import Action

Confirmation: TypeAlias = Literal["echo", "ack"]
"""How the helpdesk confirms that it has received a message: with `support_echo`, or with an acknowledgement."""


class NewConversation(NamedTuple):
    """A conversation that does not have an id yet. `turn` is the turn that starts it."""

    turn: int


class EarlyMessage(NamedTuple):
    """A message that came before the confirmation of a turn: its conversation, and the turn it was assigned to."""

    conversation: str
    turn: int


ConversationRef: TypeAlias = str | NewConversation | None
"""A conversation by its id, one that has no id yet, or None for no conversation."""


@dataclass(slots=True)
class Turn:
    """A queued or sent turn.

    Attributes:
        number: The number of the turn.
        action: The action of the customer.
        conversation: The conversation of the turn.
        previous: The conversation that was current before this turn.
        link: The number of the link that the turn was sent over; 0 while it is queued.
        confirmed: How the helpdesk has confirmed the turn so far.
        replied: Whether the bot has answered the turn.
        certain: Whether a message after the confirmation can only be the reply to this turn.
        owed: The turn before it whose answer may still come, or 0.
        early: A message that came before the confirmation, so that it was not taken for the reply, or None.
        unresolved: Whether the turn has ended with its conversation, before the helpdesk has confirmed or rejected it.
        sent_after: The time of the latest message of the conversation when the turn was sent, as the helpdesk reports.
    """

    number: int
    action: Action
    conversation: ConversationRef
    previous: ConversationRef
    link: int = 0
    confirmed: set[Confirmation] = field(default_factory=set)
    replied: bool = False
    certain: bool = False
    owed: int = 0
    early: EarlyMessage | None = None
    unresolved: bool = False
    sent_after: int = 0

    @property
    def event(self) -> str:
        """The name of the event that sends the turn."""
        return EVENTS[self.action.verb]

    @property
    def text(self) -> str:
        """The text of a message."""
        return self.action.text("text")

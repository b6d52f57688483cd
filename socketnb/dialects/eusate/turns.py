"""The turns of a customer, and the rules that find the turn of an answer.

An event does not say which turn it answers. So one turn per conversation is sent at a time, even if it asks to be
sent at once. New conversations are started one at a time, because only the answer to the first turn contains the id.

- An acknowledgement names its turn.
- An event that names a known conversation is for the oldest turn in it.
- An event that names an unknown conversation is for the turn that starts one.
- An event that names no conversation is for the oldest turn that it can be for.
"""

from __future__ import annotations

from collections.abc import Container, Hashable
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from socketnb.dialects.eusate.actions import EVENTS
from socketnb.dialects.turns import Deadlines, TurnQueue
from socketnb.model.actions import Action


class NewConversation(NamedTuple):
    """A conversation that does not have an id yet. `turn` is the turn that starts it."""

    turn: int


ConversationRef: TypeAlias = str | NewConversation | None
"""A conversation by its id, one that has no id yet, or None for no conversation."""


@dataclass(slots=True)
class Turn:
    """A turn that waits in line or was sent.

    Attributes:
        number: The number of the turn.
        action: What the customer does.
        conversation: The conversation that it is for.
        previous: The conversation that was the current one before.
        link: The number of the link that it was sent over; 0 while it waits.
        acked: Whether the helpdesk has acknowledged it.
        echoed: Whether its `support_echo` has arrived.
    """

    number: int
    action: Action
    conversation: ConversationRef
    previous: ConversationRef
    link: int = 0
    acked: bool = False
    echoed: bool = False

    @property
    def event(self) -> str:
        """The event that it is sent as."""
        return EVENTS[self.action.verb]


def _lane(turn: Turn) -> Hashable:
    """Return the conversation of a turn. All new conversations share one lane."""
    return NewConversation if isinstance(turn.conversation, NewConversation) else turn.conversation


class Turns(TurnQueue[Turn]):
    """The turns of a customer: in line, sent and abandoned.

    Args:
        deadlines: The deadlines of the machine.
        known: The ids of the conversations that are known.
    """

    def __init__(self, deadlines: Deadlines, known: Container[str]) -> None:
        super().__init__(deadlines, _lane)
        self._known = known
        self._last_of: dict[ConversationRef, int] = {}  # the turn that was sent last in each conversation

    @property
    def sent(self) -> list[Turn]:
        """The turns that were sent and are not over, oldest first."""
        return [self.running[number] for number in sorted(self.running)]

    @property
    def starting(self) -> NewConversation | None:
        """The new conversation whose first turn was sent, until its id is known."""
        return next((turn.conversation for turn in self.sent if isinstance(turn.conversation, NewConversation)), None)

    def begin(self, turn: Turn, link: int) -> None:
        """Note that a turn is sent over a link. Until the next one, events without a turn belong to it."""
        turn.link = link
        self.start(turn.number, turn)
        self._last_of[turn.conversation] = turn.number

    def waiting_for(self, event: str, conversation: str, number: int = 0) -> Turn | None:
        """Return the turn that an answer is for.

        Args:
            event: The event of the request.
            conversation: The conversation that the answer names, or "".
            number: The turn that the answer names, or 0.
        """
        candidates = [turn for turn in self.sent if turn.event == event]
        if number:
            return next((turn for turn in candidates if turn.number == number), None)
        if conversation:
            return next((turn for turn in candidates if turn.conversation in self._names_of(conversation)), None)
        return next((turn for turn in candidates if not turn.echoed), next(iter(candidates), None))

    def number_in(self, conversation: str) -> int:
        """Return the turn of an event that is not an answer: the oldest turn in its conversation, or the last one."""
        numbers = (turn.number for turn in self.sent if turn.conversation in self._names_of(conversation))
        return next(numbers, self._last_of.get(conversation or None, self.last))

    def _names_of(self, conversation: str) -> tuple[ConversationRef, ...]:
        """Return the references that mean a conversation: its id, and the one being started if the id is unknown."""
        starting = None if conversation in self._known else self.starting
        return (conversation, starting) if starting else (conversation,)

    def assign_id(self, conversation: str) -> NewConversation | None:
        """Give the conversation that is being started its id. Return it, or None if none is being started."""
        starting = self.starting
        if starting:
            for turn in (*self.running.values(), *self.waiting.values()):
                turn.conversation = conversation if turn.conversation == starting else turn.conversation
        self._last_of[conversation] = self._last_of.pop(starting, self.last) if starting else self.last
        return starting

    def others_for(self, turn: Turn) -> bool:
        """Tell whether another turn is for the same conversation."""
        turns = (*self.running.values(), *self.waiting.values())
        return any(other.conversation == turn.conversation for other in turns if other is not turn)

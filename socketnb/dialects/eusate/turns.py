"""The turns of a customer, and the rules that assign an answer to a turn.

An event does not contain the turn that it answers. Therefore only one turn per conversation runs at a time, even with
`at_once`. New conversations are started one at a time, because only the answer to the first turn contains the id.

- An acknowledgement has the key of its turn.
- An event with a known conversation belongs to the oldest turn in that conversation.
- An event with an unknown conversation belongs to the turn that starts one.
- An event without a conversation belongs to the oldest turn that it can answer.
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
    """A queued or sent turn.

    Attributes:
        number: The number of the turn.
        action: The action of the customer.
        conversation: The conversation of the turn.
        previous: The conversation that was current before this turn.
        link: The number of the link that the turn was sent over; 0 while it is queued.
        acked: Whether the helpdesk has acknowledged the turn.
        echoed: Whether the `support_echo` of the turn has arrived.
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
        """The name of the event that sends the turn."""
        return EVENTS[self.action.verb]


def _lane(turn: Turn) -> Hashable:
    """Return the lane of a turn: its conversation. All new conversations share one lane."""
    return NewConversation if isinstance(turn.conversation, NewConversation) else turn.conversation


class Turns(TurnQueue[Turn]):
    """The turns of a customer: queued, sent and abandoned.

    Args:
        deadlines: The deadlines of the machine.
        known: The ids of the known conversations.
    """

    def __init__(self, deadlines: Deadlines, known: Container[str]) -> None:
        super().__init__(deadlines, _lane)
        self._known = known
        self._last_of: dict[ConversationRef, int] = {}  # the last sent turn of each conversation

    @property
    def sent(self) -> list[Turn]:
        """The sent turns that have not ended, oldest first."""
        return [self.running[number] for number in sorted(self.running)]

    @property
    def starting(self) -> NewConversation | None:
        """The new conversation whose first turn was sent, until its id is known."""
        return next((turn.conversation for turn in self.sent if isinstance(turn.conversation, NewConversation)), None)

    def begin(self, turn: Turn, link: int) -> None:
        """Mark a turn as sent over a link. Events without a turn belong to it until the next turn is sent."""
        turn.link = link
        self.start(turn.number, turn)
        self._last_of[turn.conversation] = turn.number

    def waiting_for(self, event: str, conversation: str, number: int = 0) -> Turn | None:
        """Return the turn that an answer belongs to.

        Args:
            event: The event of the request.
            conversation: The conversation in the answer, or "".
            number: The number of the turn in the answer, or 0.
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
        """Return the references to a conversation: its id, and the conversation being started if the id is unknown."""
        starting = None if conversation in self._known else self.starting
        return (conversation, starting) if starting else (conversation,)

    def assign_id(self, conversation: str) -> NewConversation | None:
        """Assign the id of the conversation being started. Return the conversation, or None if there is none."""
        starting = self.starting
        if starting:
            for turn in (*self.running.values(), *self.waiting.values()):
                turn.conversation = conversation if turn.conversation == starting else turn.conversation
        self._last_of[conversation] = self._last_of.pop(starting, self.last) if starting else self.last
        return starting

    def others_for(self, turn: Turn) -> bool:
        """Return whether another turn belongs to the same conversation."""
        turns = (*self.running.values(), *self.waiting.values())
        return any(other.conversation == turn.conversation for other in turns if other is not turn)

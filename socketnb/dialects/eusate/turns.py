"""The turns of a customer, and the rules that assign an answer to a turn.

An event does not contain the turn that it answers. Therefore only one turn per conversation runs at a time, even with
`at_once`. New conversations are started one at a time, because only the answer to the first turn contains the id.

- An acknowledgement has the key of its turn.
- An event with a known conversation belongs to the oldest turn in that conversation.
- An event with an unknown conversation belongs to the turn that starts one, if the helpdesk has received it.
- An event without a conversation belongs to the oldest turn that it can answer.

`accounts.py` assigns a message that answers no running turn.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Container, Hashable

from socketnb.dialects.eusate.accounts import Account, Confirmations
from socketnb.dialects.eusate.requests import REQUESTS, Answer
from socketnb.dialects.eusate.turn import ConversationRef, NewConversation, Turn
from socketnb.dialects.turns import Deadlines, TurnQueue

MAX_RECENT_TURNS = 8
"""The number of messages, ended ones included, for which a confirmation is awaited."""


def _lane(turn: Turn) -> Hashable:
    """Return the lane of a turn: its conversation. All new conversations share one lane."""
    return NewConversation if isinstance(turn.conversation, NewConversation) else turn.conversation


class Turns(TurnQueue[Turn]):
    """The turns of a customer: queued, sent and abandoned.

    Args:
        deadlines: The deadlines of the machine.
        known: The ids of the known conversations.
        late_answer_s: How long an abandoned turn blocks the next turn of its conversation, in seconds.

    Attributes:
        accounts: The accounts of the conversations.
        confirmations: The confirmations that come before a reply.
        recent: The last messages that were sent over the current link, oldest first.
    """

    def __init__(self, deadlines: Deadlines, known: Container[str], late_answer_s: float) -> None:
        super().__init__(deadlines, _lane, late_answer_s)
        self.accounts: dict[ConversationRef, Account] = {}
        self.confirmations = Confirmations()
        self.recent: deque[Turn] = deque(maxlen=MAX_RECENT_TURNS)
        self._known = known

    @property
    def sent(self) -> list[Turn]:
        """The sent turns that have not ended, oldest first."""
        return [self.running[number] for number in sorted(self.running)]

    @property
    def starter(self) -> Turn | None:
        """The turn that starts a conversation whose id is not known yet, or None."""
        return next((turn for turn in self.sent if isinstance(turn.conversation, NewConversation)), None)

    @property
    def starting(self) -> NewConversation | None:
        """The new conversation whose first turn the helpdesk may have received, until its id is known."""
        turn = self.starter
        if turn is None or not isinstance(turn.conversation, NewConversation) or self.is_unreceived(turn):
            return None
        return turn.conversation

    def is_unreceived(self, turn: Turn) -> bool:
        """Return whether the helpdesk has not received a message over the current link yet."""
        return turn in self.recent and turn.event == "support" and self.confirmations.missing(turn)

    def account(self, conversation: ConversationRef) -> Account:
        """Return the account of a conversation. Create it if there is none."""
        return self.accounts.setdefault(conversation, Account())

    def begin(self, turn: Turn, link: int, now: float) -> None:
        """Mark a turn as sent over a link."""
        turn.link = link
        self.start(turn.number, turn)
        account = self.account(turn.conversation)
        account.sent = turn.number
        if turn.event != "support":
            return
        self.recent.append(turn)
        account.begin(turn, now, self.late_answer_s)
        unstarted = self._unstarted() if isinstance(turn.conversation, NewConversation) else None
        if unstarted:
            other = self.accounts[unstarted]
            turn.owed, turn.certain = other.asked, False
            other.doubtful.append(other.asked)

    def waiting_for(self, event: str, conversation: str, number: int = 0) -> Turn | None:
        """Return the turn that an answer belongs to.

        Args:
            event: The event of the request; "" for any event.
            conversation: The conversation in the answer, or "".
            number: The number of the turn in the answer, or 0.
        """
        candidates = [turn for turn in self.sent if event in ("", turn.event)]
        if number:
            return next((turn for turn in candidates if turn.number == number), None)
        if conversation:
            return next((turn for turn in candidates if turn.conversation in self._names_of(conversation)), None)
        return next((turn for turn in candidates if "echo" not in turn.confirmed), next(iter(candidates), None))

    def rejected_by(self, answer: Answer, closed: Container[str]) -> Turn | None:
        """Return the turn that an error rejects, or None. An event of another name rejects the oldest turn.

        Args:
            answer: The error.
            closed: The ids of closed conversations. Messages to them are rejected.
        """
        event, conversation = answer.event, answer.conversation
        if conversation or answer.turn or event not in REQUESTS:
            return self.waiting_for(event if event in REQUESTS else "", conversation, answer.turn)
        to_closed = (turn for turn in self.sent if turn.event == event and turn.conversation in closed)
        return next(to_closed, self.waiting_for(event, ""))

    def number_in(self, conversation: str) -> int:
        """Return the turn of an event that is not an answer: the oldest turn in its conversation, or the last one."""
        numbers = (turn.number for turn in self.sent if turn.conversation in self._names_of(conversation))
        last = self.accounts[conversation].sent if conversation in self.accounts else 0
        return next(numbers, last if conversation else self.last)

    def blocker(self, turn: Turn) -> Turn | None:
        """Return the sent turn that a queued turn waits for, or None."""
        return next((other for other in self.sent if _lane(other) == _lane(turn)), None)

    def _names_of(self, conversation: str) -> tuple[ConversationRef, ...]:
        """Return the references to a conversation: its id, and the conversation being started if the id is unknown."""
        starting = None if conversation in self._known else self.starting
        return (conversation, starting) if starting else (conversation,)

    def _unstarted(self) -> NewConversation | None:
        """Return a conversation whose first turn was given up before its id was known, or None."""
        running = {turn.conversation for turn in self.running.values()}
        given_up = (ref for ref, account in self.accounts.items() if account.owed and ref not in running)
        return next((ref for ref in given_up if isinstance(ref, NewConversation)), None)

    def assign_id(self, conversation: str, starting: NewConversation | None) -> NewConversation | None:
        """Assign the id of a conversation that was started. Return the conversation, or None if there is none.

        Args:
            conversation: The id.
            starting: The conversation being started. If it is None, the id is that of a conversation whose first turn
                was given up.
        """
        starting = starting or self._unstarted()
        if starting:
            for turn in (*self.running.values(), *self.waiting.values()):
                turn.conversation = conversation if turn.conversation == starting else turn.conversation
            self.accounts[conversation] = self.accounts.pop(starting, Account())
        return starting

    def has_others(self, turn: Turn) -> bool:
        """Return whether another turn belongs to the same conversation."""
        turns = (*self.running.values(), *self.waiting.values())
        return any(other.conversation == turn.conversation for other in turns if other is not turn)

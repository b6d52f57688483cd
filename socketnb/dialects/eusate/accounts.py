"""The answers that each conversation still expects: the turn of a late message, and the replies that are in doubt.

A message of the bot does not name the message that it answers. Two things tell whether it can answer the running turn:
the `support_echo` and the acknowledgement of the turn, if the helpdesk has sent them before its replies so far
(`Confirmations`), and the account of the conversation (`Account`).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from socketnb.dialects.eusate.turn import Confirmation, Turn


class Confirmations:
    """Which confirmations come before the reply to a message. The vendor's page does not define the order.

    Attributes:
        has_echoes: Whether the helpdesk has sent a `support_echo` at least once.
    """

    def __init__(self) -> None:
        self._first: set[Confirmation] = set()  # came before a reply
        self._mixed: set[Confirmation] = set()  # came after a reply, at least once
        self.has_echoes = False

    def learn(self, turn: Turn) -> None:
        """Learn from a turn that the bot has answered now."""
        self._first |= turn.confirmed

    def came_late(self, *kinds: Confirmation) -> None:
        """Learn that these confirmations can come after the reply."""
        self._mixed |= set(kinds)

    @property
    def expected(self) -> set[Confirmation]:
        """The confirmations that come before the reply."""
        return self._first - self._mixed

    def missing(self, turn: Turn) -> bool:
        """Return whether the helpdesk has not received a turn yet, so that no message can answer it."""
        return bool(self.expected) and not self.expected & turn.confirmed


@dataclass(slots=True)
class Account:
    """The account of one conversation.

    Attributes:
        sent: The turn of any verb that was sent last; 0 before the first one.
        last: The message of the customer that has ended last; 0 before the first one.
        asked: The message among them that the bot was to answer last; 0 before the first one.
        answered: Whether the bot has answered `asked`.
        owed: Whether `asked` was given up, so that its answer may still come.
        settled: Whether the answer to `asked` cannot have been taken for the reply to a later turn.
        heard_at: When the bot wrote last, in seconds.
        doubtful: The answered turns whose reply may be a further message to an earlier turn.
    """

    sent: int = 0
    last: int = 0
    asked: int = 0
    answered: bool = True
    owed: bool = False
    settled: bool = True
    heard_at: float = float("-inf")
    doubtful: list[int] = field(default_factory=list)

    @property
    def is_unasked(self) -> bool:
        """Whether the bot owes no answer, and the last message of the customer was for an agent."""
        return self.answered and self.last != self.asked

    def begin(self, turn: Turn, now: float, late_answer_s: float) -> None:
        """Note the sending of a message. After a quiet time, earlier replies are no longer in doubt."""
        is_quiet = now - self.heard_at >= late_answer_s
        if is_quiet and self.settled:
            self.doubtful.clear()
        turn.owed = self.asked if self.owed else 0
        turn.certain = not self.last

    def end(self, turn: int, *, answered: bool, owed: bool = False) -> None:
        """Note the end of a message that the bot was to answer."""
        self.last = self.asked = turn
        self.answered, self.owed = answered, owed

    def reply(self, turn: Turn) -> list[int]:
        """Note a message that ends a turn. Return the turns that are in doubt now."""
        if not turn.certain and turn.number not in self.doubtful:
            self.doubtful.append(turn.number)
        self.settled = self.settled and not turn.owed
        return [turn.number] if turn.owed else []

    def late(self, *, from_bot: bool) -> tuple[int, list[int]]:
        """Note a message that answers no running turn. Return the turn that it belongs to, and the turns in doubt."""
        if not from_bot:
            return self.last, []
        if not self.answered:
            self.answered, self.owed = True, False
            return self.asked, [self.asked] if self.asked in self.doubtful else []
        self.settled, self.owed = True, False
        doubtful = [*self.doubtful, *([self.last] if self.is_unasked else [])]
        self.doubtful.clear()
        return self.last, doubtful

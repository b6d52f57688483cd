"""The account of each action: which events it still expects, and which action an event answers.

The server answers an action with `action.status` accepted, traces, and `action.status` completed, or with rejected. The
events contain a `messageID`. Some servers repeat the client's messageID, which decides everything. Others create one.
A new messageID then belongs to the oldest action without an event, because the server answers actions in order.

An action that was given up without any event is still *owed* an answer. If a new messageID arrives after the next
action was sent, it may belong to either of them. It is assigned to the newer action, and both turns receive a warning.

The progress of an action (`Progress`):

    NEW ──sent──▶ SENT ──status or trace──▶ TAKEN_UP ──completed or rejected──▶ (finished)
                   └──link lost──▶ RETRY ──sent again, with its messageID──▶ SENT
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from socketnb.dialects.base import warn
from socketnb.model.json import Json, JsonObjectOut

if TYPE_CHECKING:
    from collections.abc import Iterable

    from socketnb.model.effects import ClientEffect

MAX_REMEMBERED_IDS = 1000
"""The number of messageIDs to keep, so that a late event is recorded under its own turn."""


class Progress(Enum):
    """The progress of an action."""

    NEW = "not sent yet"
    SENT = "sent, and no event has arrived for it"
    TAKEN_UP = "a status or trace has arrived for it"
    RETRY = "queued to be sent again"


@dataclass(slots=True, eq=False)
class Sent:
    """An action: its turn, its request and what happened to it.

    Attributes:
        turn: The turn that its events belong to.
        request: The `action` of `action.send`.
        message_id: The messageID that the client sends.
        progress: The progress of the action.
        is_turn: Whether it is an action of the user. If not, the machine sent it, and it ends no turn.
        is_named: Whether an event with a messageID has arrived for it.
        lost_link: Whether the link was lost after it was sent.
        given_up: Whether its turn has ended without its last status.
        overtaken_by: The actions that were assigned an answer while this one had none.
        error: The first error that the bot reported for it, or None.
    """

    turn: int
    request: JsonObjectOut
    message_id: str
    progress: Progress = Progress.NEW
    is_turn: bool = True
    is_named: bool = False
    lost_link: bool = False
    given_up: bool = False
    overtaken_by: list[Sent] = field(default_factory=list)
    error: str | None = None


DOUBT = "the messageID does not tell whether this is the answer of this turn or of an earlier one that got no answer"
EARLY_ERROR = "the error arrived before the server accepted this: it may belong to the turn before"
SURPLUS = "the server answered more actions than were sent: this turn may show the answer of an earlier one"


@dataclass(frozen=True, slots=True)
class Owner:
    """The action that an event answers, or None, whether that is certain, and the action that it may answer instead."""

    sent: Sent | None
    certain: bool = True
    rival: Sent | None = None

    @property
    def doubt(self) -> str:
        """Why it is uncertain, for a warning about the turn of the action, or about the last turn without one."""
        return DOUBT if self.sent else SURPLUS


def same_action(one: JsonObjectOut, other: JsonObjectOut) -> bool:
    """Return whether two requests are the same action. A restarting server adds fields, such as `diagramID`."""
    return all(one.get(name) == other.get(name) for name in ("type", "payload"))


class Accounts:
    """The accounts of a session's actions.

    Attributes:
        echoes: Whether the server repeats the client's messageIDs, so that it recognises a repeated action.
        owed: The actions that were given up, and whose answer may still arrive with an unknown messageID.
    """

    def __init__(self) -> None:
        self.echoes = False
        self.owed: list[Sent] = []
        self._accepts = False  # whether the server has sent `accepted`, which comes before the traces of an action
        self._open: list[Sent] = []  # sent and not finished, in order
        self._last: Sent | None = None  # the action that was sent last
        self._ids: dict[str, Sent | None] = {}  # None: the messageID of events that answer no action
        self._written_off: list[int] | None = None  # the turns answered since `write_off`, or None
        self._guess: Sent | None = None  # an action that a trace was assigned to before any `accepted`
        self._warned: set[tuple[int, str]] = set()

    @property
    def unconfirmed(self) -> list[Sent]:
        """The sent actions without any event, in order."""
        return [sent for sent in self._open if sent.progress is Progress.SENT]

    def begin(self, sent: Sent) -> None:
        """Open the account of an action that is sent now, possibly again."""
        others = [other for other in self._open if other is not sent]
        self.owed += [other for other in others if other.given_up or (not other.is_turn and not other.is_named)]
        self._open = [*(other for other in others if other.is_turn and not other.given_up), sent]
        sent.progress, sent.given_up = Progress.SENT, False
        self._last = sent
        self._name(sent.message_id, sent)

    def finish(self, sent: Sent) -> bool:
        """Close the account of an action, and return whether it was open."""
        was_open = sent in self._open
        self._open = [other for other in self._open if other is not sent]
        return was_open

    def give_up(self, sent: Sent) -> bool:
        """Stop waiting for an action. Return whether its late answer could be taken for that of a later action."""
        self.finish(sent)
        sent.given_up = True
        is_named = sent.is_named and self._guess is not sent
        if self.echoes or is_named or sent.progress not in (Progress.SENT, Progress.TAKEN_UP):
            return False
        self.owed.append(sent)
        return True

    def in_doubt(self, sent: Sent) -> list[Sent]:
        """Return the actions whose answers are in doubt because an action gets none."""
        if self.echoes:
            return []
        return [*sent.overtaken_by, *([sent] if self._guess is sent else [])]

    def write_off(self) -> None:
        """Stop expecting late answers, after a pause. A surplus answer will show that one was taken for another's."""
        self.owed.clear()
        self._written_off = []

    def doubtful_turns(self, owner: Owner) -> list[int]:
        """Return the turns to warn about because of the owner of an event."""
        if owner.certain:
            return []
        if owner.sent:
            return sorted({sent.turn for sent in (owner.sent, owner.rival) if sent})
        turns, self._written_off = self._written_off, None
        return sorted({*(turns or ()), *([self._last.turn] if self._last else ())})

    def warnings(self, turns: Iterable[int], text: str) -> list[ClientEffect]:
        """Return the warnings about turns. A turn is warned once about the same doubt."""
        new = [turn for turn in turns if (turn, text) not in self._warned]
        self._warned.update((turn, text) for turn in new)
        return [warn(turn, text) for turn in new]

    def link_lost(self) -> None:
        """Note the loss of the link. Actions that the machine sent itself are given up."""
        for sent in list(self._open):
            sent.lost_link = True
            if not sent.is_turn:
                self.give_up(sent)

    def forget(self) -> None:
        """Close all accounts, because the session has ended. Late events with a known messageID keep their turn."""
        self._open.clear()
        self.owed.clear()
        self._written_off = None

    def known(self, message_id: Json) -> Sent | None:
        """Return the action with a known messageID, or None."""
        return self._ids.get(message_id) if isinstance(message_id, str) else None

    def given_up(self, request: JsonObjectOut) -> Sent | None:
        """Return the last action that was given up and is the same as a request, or None."""
        actions = reversed(list(self._ids.values()))
        return next((sent for sent in actions if sent and sent.given_up and same_action(sent.request, request)), None)

    def owner(self, message_id: Json, status: str = "") -> Owner:
        """Return the action that an event answers, and mark it as taken up. `status` is empty for a trace."""
        named = isinstance(message_id, str) and message_id != ""
        if named and message_id in self._ids:
            owner = self._named(str(message_id))
        elif named:
            owner = Owner(None) if self.echoes else self._first(status)
            self._name(str(message_id), owner.sent)
        elif status not in ("accepted", "rejected") or (status == "rejected" and not self.unconfirmed):
            owner = self._current(status)
        elif (owner := self._first(status)).sent and owner.sent not in self._open:
            self._open.insert(0, owner.sent)  # the traces of a late answer follow
        self._accepts |= status == "accepted"
        if sent := owner.sent:
            sent.is_named |= named
            if sent.progress is not Progress.NEW:
                sent.progress = Progress.TAKEN_UP
        return owner

    def _named(self, message_id: str) -> Owner:
        sent = self._ids[message_id]
        if sent is None or sent.message_id != message_id:
            return Owner(sent)
        self.echoes = True
        self.owed.clear()
        guessed, self._guess = self._guess is sent, None
        return Owner(sent, not guessed)

    def _first(self, status: str) -> Owner:
        """Return the action that an event with an unknown messageID, or the status `accepted`, answers."""
        unconfirmed = self.unconfirmed
        if not status and self._accepts:  # a trace of an action comes after `accepted`, unless that was lost
            lost = [] if unconfirmed else [sent for sent in self.owed if sent.lost_link]
            return Owner(lost[0], certain=False) if lost else Owner(None)
        if unconfirmed:
            sent = unconfirmed[0]
            for other in unconfirmed[1:]:
                other.overtaken_by.append(sent)
            if not status and not sent.is_named:
                self._guess = sent
            if not self.owed:
                if self._written_off is not None:
                    self._written_off = [*self._written_off, sent.turn][-MAX_REMEMBERED_IDS:]
                return Owner(sent)
            rival, *others = self.owed
            self.owed = [*others, sent]  # the answer belongs to one of both, and the other one is still owed
            return Owner(sent, certain=False, rival=rival)
        if self._guess and not self._accepts and status:
            return Owner(self._guess, certain=False)
        if self.owed and not status:  # it may also answer no action
            return Owner(self.owed[0], certain=False)
        if self.owed:
            return self._late(self.owed[0], certain=len(self.owed) == 1 and not self.owed[0].is_named)
        return Owner(None, certain=not status)

    def _current(self, status: str) -> Owner:
        """Return the action that a trace or a final status without a messageID answers."""
        taken_up = [sent for sent in self._open if sent.progress is Progress.TAKEN_UP]
        unconfirmed = self.unconfirmed
        if taken_up:
            return Owner(taken_up[0])
        if unconfirmed and not self._accepts and not self.owed:
            return Owner(unconfirmed[0])
        late = self.owed[0] if self.owed else None
        if late and (late.progress is Progress.TAKEN_UP or late.lost_link or not self._accepts):
            return self._late(late, certain=not self._open) if status else Owner(late, not self._open)
        return Owner(None)

    def _late(self, sent: Sent, *, certain: bool) -> Owner:
        self.owed = [other for other in self.owed if other is not sent]
        return Owner(sent, certain)

    def _name(self, message_id: str, sent: Sent | None) -> None:
        self._ids[message_id] = sent
        if len(self._ids) > MAX_REMEMBERED_IDS:
            del self._ids[next(iter(self._ids))]

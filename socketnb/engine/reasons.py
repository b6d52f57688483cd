"""Why turns wait and why they end, in the words of the traces that a driver records."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from socketnb.model.effects import ClientEffect, Record, TurnDone

if TYPE_CHECKING:
    from socketnb.dialects.base import ClientMachine
    from socketnb.engine.events import State
    from socketnb.engine.open_turns import OpenTurns
    from socketnb.model.actions import Action

log = logging.getLogger(__name__)

EndReason: TypeAlias = Literal["timeout", "cancelled"]
"""The reason why a turn is abandoned."""
TIMED_OUT = "the bot was not done in time"
"""The beginning of the reason of a turn that timed out after it was sent. The cause follows, if it is known."""
NOT_SENT = "not sent"
"""The beginning of the reason of a turn whose action is not sent. A machine's `explain` returns it too."""
END_TEXTS: Final[dict[EndReason, str]] = {"timeout": TIMED_OUT, "cancelled": "the turn was cancelled"}


def is_refused(turn: int, effects: Sequence[ClientEffect]) -> bool:
    """Return whether a machine ended a turn without sending anything for it."""
    sent = any(isinstance(effect, Record) and effect.turn == turn and effect.direction == "out" for effect in effects)
    return not sent and any(isinstance(effect, TurnDone) and effect.turn == turn for effect in effects)


def queued(turn: int, action: Action, reason: str) -> Record:
    """Return the record of an action that is not sent, so that its words are shown."""
    payload = {"verb": action.verb, "text": action.words, "reason": reason}
    return Record("queued", "queued", payload, "local", "user", turn, action.words or None)


def with_cause(effects: Sequence[ClientEffect], cause: str) -> list[ClientEffect]:
    """Return effects in which the failures of turns name a cause."""

    def named(effect: ClientEffect) -> ClientEffect:
        match effect:
            case TurnDone(_, "failed", str(reason)):
                return replace(effect, reason=f"{reason} ({cause})")
            case Record(final=True, error=str(error)):
                return effect._replace(error=f"{error} ({cause})")
            case _:
                return effect

    return list(map(named, effects))


class Reasons:
    """Explains why the open turns of a session have not ended.

    Args:
        machine: The client machine of the session.
        turns: The open turns.
    """

    def __init__(self, machine: ClientMachine, turns: OpenTurns) -> None:
        self._machine = machine
        self._turns = turns
        self._loss: tuple[float, str] | None = None  # when and why a link was lost last

    def link_lost(self, now: float, reason: str) -> None:
        """Remember that the link was lost."""
        self._loss = (now, reason)

    def cause(self, turn: int, state: State) -> str | None:
        """Return why an open turn has not ended, as far as known. For an unsent turn there is always a reason."""
        try:
            cause = self._machine.explain(turn)
        except Exception:
            log.exception("the %s machine could not explain turn %d", type(self._machine).__module__, turn)
            cause = None
        if self._turns.is_unsent(turn):
            cause = cause or ("no reason is known" if state == "ready" else "the link is down")
            return cause if cause.startswith(NOT_SENT) else f"{NOT_SENT}: {cause}"
        if self._loss and self._turns.sent_at(turn) <= self._loss[0]:
            return f"{cause or 'the link was lost after this was sent'} ({self._loss[1]})"
        return cause

    def ending(self, turn: int, reason: EndReason, state: State) -> str:
        """Return why a turn is abandoned."""
        cause, text = self.cause(turn, state), END_TEXTS[reason]
        if cause and reason == "timeout" and self._turns.is_unsent(turn):
            return cause
        return f"{text}: {cause}" if cause else text

"""Explanations of why a turn has not ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from socketnb.dialects.voiceflow.accounts import Progress, Sent
from socketnb.dialects.voiceflow.handshake import AWAITED, State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from socketnb.dialects.turns import TurnQueue


def why_unfinished(sent: Sent) -> str:
    """Return why an action that was sent has no answer."""
    if sent.error:
        return f"the bot reported an error: {sent.error}"
    if sent.lost_link:
        return "the link was lost after this was sent, and the server did not continue it"
    if sent.progress is Progress.SENT:
        return "the server did not answer it: no action.status arrived"
    return "the server accepted it, but did not report its end: no action.status completed arrived"


def why_unsent(turn: int, turns: TurnQueue[Sent], state: State, late: Sequence[Sent], late_s: float) -> str:
    """Return why a queued action is not sent.

    Args:
        turn: The turn of the action.
        turns: The queued and running turns.
        state: The state of the link.
        late: The actions that were given up, and whose late answers are awaited.
        late_s: How long they are awaited, in seconds.
    """
    if turns.waiting[turn].progress is Progress.RETRY and state is not State.READY:
        return "the link was lost after this was sent; it is sent again over the next link"
    if state in (State.DOWN, State.DIALLING):
        return "not sent: the link is down"
    if state in AWAITED:
        return f"not sent: waiting for {AWAITED[state]}"
    earlier = [other for other in turns.waiting if other < turn]
    if late and not earlier:
        return f"not sent: waiting up to {late_s:g} s for the late answer of turn {late[-1].turn}"
    return f"not sent: {turns.obstacle(earlier[-1] if earlier else turns.last)}"

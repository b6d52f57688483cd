"""The deadlines of the client machine, and its reasons for the end of a turn that the server does not end."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from socketnb.model.effects import Record

if TYPE_CHECKING:
    from socketnb.dialects.voiceflow.accounts import Sent
    from socketnb.model.trace import Status

LAST_STATUS_TIMEOUT_S = 2.0
"""How long to wait for the status of a turn after `session.ended` or `error`, in seconds. It may also arrive first."""
LOST = "the link was lost before the server accepted this; the bot may or may not have received it"
AGAIN = "sent again, as the server asked"
RESTARTED = "the server restarted during this turn and did not continue it; send it again"


class Due(Enum):
    """A deadline of the machine."""

    HANDSHAKE = "the next step of the handshake"
    LAST_STATUS = "the status of the running turns after session.ended"
    SILENCE = "the report that the user says nothing"
    LATE_ANSWER = "the late answers of turns that were given up"
    QUIET = "the end of a pause, after which late answers are no longer expected"


@dataclass(frozen=True, slots=True)
class Ending:
    """The deadline of a turn that ends as failed unless the server continues it."""

    turn: int


def end_of_turn(sent: Sent, status: Status, reason: str) -> Record:
    """Return the record of the end of a turn that no event reports. An error of the bot has a record already."""
    kind, error = ("error", reason) if status == "failed" and not sent.error else ("status", None)
    return Record("turn", kind, None, "local", "system", sent.turn, status, final=True, error=error)

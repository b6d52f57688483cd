"""The deadlines of the client machine, and its reasons for the end of a turn that the server does not end."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

LAST_STATUS_TIMEOUT_S = 2.0
"""How long to wait for the status of a turn after `session.ended` or `error`, in seconds. It may also arrive first."""
LOST = "the link was lost before the bot received this; send it again"
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

"""Everything that can go wrong, as one tree.

Each error is one sentence, without credentials, that says what happened and names the fix.

    SocketnbError
    ├── SettingsError      what the caller gave is missing, unknown or of the wrong form
    ├── SessionError       no session of that name, or it is closed
    ├── ActionError        an unknown verb, field or button; nothing was sent
    ├── ConnectError       the platform could not be talked to
    │   ├── Unreachable    no Socket.IO server answered at the address
    │   ├── Refused        a server answered and said no
    │   └── ConnectTimeout a step of connecting did not come in time; the sentence names the step
    ├── TurnError          a turn did not end well; `.turn` is the turn so far
    │   ├── TurnTimeout    the bot was not done in time; the session stays usable
    │   └── TurnFailed     the session broke under the turn
    ├── FlowError          a flow was written or used wrongly
    └── RecordingError     a recording is missing, damaged, in use, or of a newer version
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable


class SocketnbError(Exception):
    """The root of every error that socketnb raises on purpose."""


class SettingsError(SocketnbError, ValueError):
    """What the caller gave is missing, unknown or of the wrong form."""


class SessionError(SocketnbError):
    """No session of that name, or the session is closed."""


class ActionError(SocketnbError, ValueError):
    """An unknown verb, field or button. Nothing was sent."""


class ConnectError(SocketnbError, ConnectionError):
    """The platform could not be talked to."""


class Unreachable(ConnectError):
    """No Socket.IO server answered at the address."""


class Refused(ConnectError):
    """A server answered and said no."""


class ConnectTimeout(ConnectError, TimeoutError):
    """A step of connecting did not come in time."""


class TurnError(SocketnbError):
    """A turn did not end well.

    Attributes:
        turn: the `Turn` so far, with every trace that came.
    """

    def __init__(self, message: str, turn: Any) -> None:
        super().__init__(message)
        self.turn = turn


class TurnTimeout(TurnError, TimeoutError):
    """The bot was not done in time. The session stays usable."""


class TurnFailed(TurnError):
    """The session broke under the turn."""


class FlowError(SocketnbError):
    """A flow was written or used wrongly."""


class RecordingError(SocketnbError):
    """A recording is missing, damaged, in use, or of a newer version."""


def unknown(what: str, given: object, known: Iterable[str]) -> str:
    """Return the one sentence for a name that does not exist, with the nearest that does."""
    known = sorted(known)
    near = difflib.get_close_matches(str(given), known, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    there = ", ".join(known) if known else "none"
    return f"there is no {what} {given!r}; {hint}there is: {there}"

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
    ├── ExpectationFailed  a reply is not what a `%%chat` cell expected; `.expected`, `.got`, `.turn`
    ├── FlowError          a flow was written or used wrongly
    └── RecordingError     a recording is missing, damaged, in use, or of a newer version
"""

from __future__ import annotations

import difflib
import re
import traceback
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable


SHORT, LINES = 200, 20
"""Characters of a reply that a sentence quotes, and lines of it that are shown."""
CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
"""What a terminal would obey, line ends among it."""


class SocketnbError(Exception):
    """The root of every error that socketnb raises on purpose.

    A notebook shows where in the user's own code it was raised, and nothing of ours.
    """

    def __str__(self) -> str:
        """Return the sentence, on one line: what it quotes may be a bot's."""
        return CONTROLS.sub(" ", super().__str__())

    def _render_traceback_(self) -> list[str]:
        """Return what IPython shows in the place of a traceback."""
        frames = []
        for frame in traceback.extract_tb(self.__traceback__):
            if PurePath(__file__).parent in PurePath(frame.filename).parents:
                break
            if "IPython" not in PurePath(frame.filename).parts:
                frames.append(frame)
        return [line.rstrip() for line in traceback.format_list(frames)] + [f"{type(self).__name__}: {self}"]


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


class ExpectationFailed(SocketnbError, AssertionError):
    """A reply is not what a `%%chat` cell expected.

    Attributes:
        expected: the words, or the /regular expression/.
        got: the reply, a line a message.
        turn: the `Turn` whose reply it is.
    """

    def __init__(self, where: str, expected: str, got: str, turn: Any) -> None:
        shown = " ".join(got.split()) or "nothing"
        shown = shown if len(shown) <= SHORT else f"{shown[:SHORT]}…"
        super().__init__(f"{where}: expected {expected!r}, got: {shown}")
        self.where, self.expected, self.got, self.turn = where, expected, got, turn

    def _render_traceback_(self) -> list[str]:
        lines = [CONTROLS.sub(" ", line)[:SHORT] for line in filter(str.strip, self.got.splitlines())] or ["nothing"]
        got = lines[:LINES] + ([f"… {len(lines) - LINES:,} more lines"] if len(lines) > LINES else [])
        return [
            f"{type(self).__name__}: {self.where}",
            f"  expected  {self.expected}",
            *(f"  {'' if n else 'got':<9} {line}" for n, line in enumerate(got)),
        ]


class FlowError(SocketnbError):
    """A flow was written or used wrongly."""


class RecordingError(SocketnbError):
    """A recording is missing, damaged, in use, or of a newer version."""


def unknown(what: str, given: object, available: Iterable[str]) -> str:
    """Return the error message for a name that does not exist, with the closest available name if one is similar.

    Args:
        what: What the name stands for, such as "session".
        given: The name that was given.
        available: The names that exist.
    """
    names = sorted(available)
    similar = difflib.get_close_matches(str(given), names, n=1)
    hint = f"did you mean {similar[0]!r}? " if similar else ""
    return f"unknown {what} {given!r}; {hint}available: {', '.join(names) or 'none'}"

"""The exceptions of socketnb, as one tree.

The message of each is one sentence, without credentials, that says what is wrong and how to fix it.

    SocketnbError
    ├── SettingsError      an argument is missing, unknown or malformed
    ├── SessionError       the session does not exist or is closed
    ├── ActionError        an unknown verb, field or button; nothing was sent
    ├── ConnectError       connecting to the platform failed
    │   ├── Unreachable    no Socket.IO server answered at the URL
    │   ├── Refused        the server refused the connection
    │   └── ConnectTimeout a step of the connection timed out; the message names the step
    ├── TurnError          a turn failed; `.turn` holds what arrived so far
    │   ├── TurnTimeout    the bot did not finish in time
    │   └── TurnFailed     the bot reported an error, or the session failed during the turn
    ├── ExpectationFailed  a reply differs from what a `%%chat` cell expects; `.expected`, `.got`, `.turn`
    ├── FlowError          an error in the definition or use of a flow
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


MAX_QUOTED_CHARS = 200
"""The maximum number of characters of a reply in an error message."""
MAX_SHOWN_LINES = 20
"""The maximum number of lines of a reply below the message of a failed expectation."""
CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
"""The pattern of control characters, which a terminal would interpret, including line breaks."""


class SocketnbError(Exception):
    """The base class of all errors that socketnb raises.

    A notebook shows only the frames of the user's own code in its traceback.

    Attributes:
        is_brief: Whether a notebook shows the message without a traceback.
    """

    is_brief = False

    def __str__(self) -> str:
        """Return the message on one line without control characters, because the message may quote a bot."""
        return CONTROLS.sub(" ", super().__str__())

    def _render_traceback_(self) -> list[str]:
        """Return the lines that IPython shows instead of a traceback."""
        frames: list[traceback.FrameSummary] = []
        for frame in [] if self.is_brief else traceback.extract_tb(self.__traceback__):
            if PurePath(__file__).parent in PurePath(frame.filename).parents:
                break
            if "IPython" not in PurePath(frame.filename).parts:
                frames.append(frame)
        return [line.rstrip() for line in traceback.format_list(frames)] + [f"{type(self).__name__}: {self}"]


class SettingsError(SocketnbError, ValueError):
    """An argument is missing, unknown or malformed."""


class SessionError(SocketnbError):
    """The session does not exist or is closed."""


class ActionError(SocketnbError, ValueError):
    """An unknown verb, field or button. Nothing was sent."""


class ConnectError(SocketnbError, ConnectionError):
    """Connecting to the platform failed."""


class Unreachable(ConnectError):
    """No Socket.IO server answered at the URL."""


class Refused(ConnectError):
    """The server refused the connection."""


class ConnectTimeout(ConnectError, TimeoutError):
    """A step of the connection timed out."""


class TurnError(SocketnbError):
    """A turn failed.

    Attributes:
        turn: The `Turn`, with the traces and messages that arrived so far; None if the error is about no turn.
    """

    def __init__(self, message: str, turn: Any) -> None:
        super().__init__(message)
        self.turn = turn

    def __reduce__(self) -> tuple[type, tuple[str, None]]:
        """Pickle the error without its turn, which belongs to this process."""
        return type(self), (str(self), None)


class TurnTimeout(TurnError, TimeoutError):
    """The bot did not finish its turn in time, or no message arrived in time."""


class TurnFailed(TurnError):
    """The bot reported an error, or the session failed during the turn."""


class ExpectationFailed(SocketnbError, AssertionError):
    """A reply differs from what a `%%chat` cell expects.

    Attributes:
        where: The line of the cell.
        expected: The expected words, or the /regular expression/.
        got: The reply, one line per message.
        turn: The `Turn` of the reply.
    """

    def __init__(self, where: str, expected: str, got: str, turn: Any) -> None:
        quoted = " ".join(got.split()) or "nothing"
        quoted = quoted if len(quoted) <= MAX_QUOTED_CHARS else f"{quoted[:MAX_QUOTED_CHARS]}…"
        super().__init__(f"{where}: expected {expected!r}, got: {quoted}")
        self.where, self.expected, self.got, self.turn = where, expected, got, turn

    def __reduce__(self) -> tuple[type, tuple[str, str, str, None]]:
        """Pickle the error without its turn, which belongs to this process."""
        return type(self), (self.where, self.expected, self.got, None)

    def _render_traceback_(self) -> list[str]:
        lines = [CONTROLS.sub(" ", line)[:MAX_QUOTED_CHARS] for line in self.got.splitlines() if line.strip()]
        hidden = len(lines) - MAX_SHOWN_LINES
        got = [*lines[:MAX_SHOWN_LINES], *([f"… {hidden:,} more lines"] if hidden > 0 else [])] or ["nothing"]
        return [
            f"{type(self).__name__}: {self.where}",
            f"  expected  {self.expected}",
            *(f"  {'' if n else 'got':<9} {line}" for n, line in enumerate(got)),
        ]


class FlowError(SocketnbError):
    """A flow is defined or used incorrectly."""


class RecordingError(SocketnbError):
    """A recording is missing, damaged, in use, or of a newer version."""


def unknown(what: str, given: object, available: Iterable[str]) -> str:
    """Return the error message for a name that does not exist, with the closest available name if one is similar.

    Args:
        what: The kind of name, such as "session".
        given: The name that was given.
        available: The names that exist.
    """
    names = sorted(set(available))
    similar = difflib.get_close_matches(str(given), names, n=1)
    hint = f"did you mean {similar[0]!r}? " if similar else ""
    return f"unknown {what} {given!r}; {hint}available: {', '.join(names) or 'none'}"

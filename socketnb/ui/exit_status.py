"""The exit statuses of the command line."""

from __future__ import annotations

import enum


class ExitStatus(enum.IntEnum):
    """How a command ended."""

    PASSED = 0
    FAILED = 1
    """The bot failed: a turn, an expectation or a check failed, or a button does not exist."""
    COULD_NOT_RUN = 2
    """An argument or a line is invalid, or the bot could not be reached."""
    INTERRUPTED = 130
    """Ctrl-C was pressed. Shells use this status."""

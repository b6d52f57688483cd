"""socketnb: talk to Socket.IO chatbots from Jupyter, keep the conversation in the kernel, read it as a DataFrame.

    import socketnb as snb

    bot = snb.connect("voiceflow", simulate=True)
    turn = bot.say("where is my order?")
    turn.text, turn.choices, turn.first_ms
    bot.traces_df()

In a notebook, `%load_ext socketnb` adds `%chat` and `%%chat`, and `bot.panel()` shows a chat panel.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from socketnb.archive import open_recording, prune, recordings
from socketnb.engine.loop import run_in_cell as run
from socketnb.errors import (
    ActionError,
    ConnectError,
    ConnectTimeout,
    ExpectationFailed,
    FlowError,
    RecordingError,
    Refused,
    SessionError,
    SettingsError,
    SocketnbError,
    TurnError,
    TurnFailed,
    TurnTimeout,
    Unreachable,
)
from socketnb.flow import Flow
from socketnb.frames.files import from_jsonl, from_voiceflow
from socketnb.hub import hub as _hub
from socketnb.records import Secret

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__version__ = "0.1.0"
__all__ = [
    "ActionError",
    "ConnectError",
    "ConnectTimeout",
    "ExpectationFailed",
    "Flow",
    "FlowError",
    "RecordingError",
    "Refused",
    "Secret",
    "SessionError",
    "SettingsError",
    "SocketnbError",
    "TurnError",
    "TurnFailed",
    "TurnTimeout",
    "Unreachable",
    "connect",
    "from_jsonl",
    "from_voiceflow",
    "messages_df",
    "open_recording",
    "panels",
    "profiles",
    "prune",
    "recordings",
    "run",
    "session",
    "sessions",
    "sessions_df",
    "simulate",
    "traces_df",
    "turns_df",
]

# Without a handler, a log line would be printed from a background thread, into whatever cell is near.
logging.getLogger(__name__).addHandler(logging.NullHandler())

connect = _hub.connect
simulate = _hub.simulate
session = _hub.session
sessions = _hub.sessions
panels = _hub.panels
profiles = _hub.profiles
traces_df = _hub.traces_df
messages_df = _hub.messages_df
turns_df = _hub.turns_df
sessions_df = _hub.sessions_df


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Add `%chat` and `%%chat` to a notebook: `%load_ext socketnb`."""
    from socketnb.faces.magic import load

    load(shell)


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """Take them away again: `%unload_ext socketnb`. Sessions stay open."""
    from socketnb.faces.magic import unload

    unload(shell)

"""Talk to Socket.IO chatbots from Jupyter, keep the conversation in the kernel, and read it as a DataFrame.

    import socketnb as snb

    bot = snb.connect("voiceflow", simulate=True)
    turn = bot.say("where is my order?")
    turn.text, turn.choices, turn.first_ms
    bot.traces_df()

In a notebook, `%load_ext socketnb` adds `%chat` and `%%chat`, and `bot.panel()` shows a chat panel.

Public names are imported on first use, so `import socketnb` is fast. This module is above all layers. It passes the
functions that show a session or ask the user to the hub, so that no layer imports from a higher one.
"""

from __future__ import annotations

import importlib
import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from socketnb.archive import Recording, open_recording, prune, recordings
    from socketnb.conversation.call import Call
    from socketnb.conversation.session import Session, View
    from socketnb.conversation.turn import Turn
    from socketnb.dialects.messages import Message
    from socketnb.engine.loop import run
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
    from socketnb.flows.flow import Flow, card
    from socketnb.frames.imports import from_jsonl, from_voiceflow
    from socketnb.hub import Hub
    from socketnb.hub import hub as _hub
    from socketnb.model.actions import Conversation
    from socketnb.model.content import Choice
    from socketnb.model.secret import Secret
    from socketnb.simulator.server import Simulator

    connect = _hub.connect
    conversations_df = _hub.conversations_df
    messages_df = _hub.messages_df
    panels = _hub.panels
    profiles = _hub.profiles
    session = _hub.session
    sessions = _hub.sessions
    sessions_df = _hub.sessions_df
    simulate = _hub.simulate
    traces_df = _hub.traces_df
    turns_df = _hub.turns_df

__version__ = "0.1.0"
__all__ = [
    "ActionError",
    "Call",
    "Choice",
    "ConnectError",
    "ConnectTimeout",
    "Conversation",
    "ExpectationFailed",
    "Flow",
    "FlowError",
    "Message",
    "Recording",
    "RecordingError",
    "Refused",
    "Secret",
    "Session",
    "SessionError",
    "SettingsError",
    "Simulator",
    "SocketnbError",
    "Turn",
    "TurnError",
    "TurnFailed",
    "TurnTimeout",
    "Unreachable",
    "card",
    "connect",
    "conversations_df",
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

_MODULES = {
    "archive": "Recording open_recording prune recordings",
    "conversation.call": "Call",
    "conversation.session": "Session",
    "conversation.turn": "Turn",
    "dialects.messages": "Message",
    "engine.loop": "run",
    "errors": "ActionError ConnectError ConnectTimeout ExpectationFailed FlowError RecordingError Refused SessionError "
    "SettingsError SocketnbError TurnError TurnFailed TurnTimeout Unreachable",
    "flows.flow": "Flow card",
    "frames.imports": "from_jsonl from_voiceflow",
    "model.actions": "Conversation",
    "model.content": "Choice",
    "model.secret": "Secret",
    "simulator.server": "Simulator",
}
_MODULE_OF = {name: f"{__name__}.{module}" for module, names in _MODULES.items() for name in names.split()}
"""The module that defines each public name. The other public names are methods of the hub."""

# Without this handler, log lines from a background thread would appear in the output of the running cell.
logging.getLogger(__name__).addHandler(logging.NullHandler())


if not TYPE_CHECKING:  # a type checker reads the imports above, and reports any other name

    def __getattr__(name: str) -> object:
        """Import a public name when it is first used."""
        if name in _MODULE_OF:
            value = getattr(importlib.import_module(_MODULE_OF[name]), name)
        elif name in __all__:
            from socketnb.hub import hub

            value = getattr(_with_ui(hub), name)
        else:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _with_ui(hub: Hub) -> Hub:
    """Set the functions of a hub that show sessions and ask the user, and return the hub."""
    hub.make_panel, hub.ask = _make_panel, _ask
    return hub


def _make_panel(ui: str, *sessions: Session) -> View:
    if ui == "core":
        from socketnb.ui.core_panel import CorePanel

        return CorePanel(*sessions)
    from socketnb.ui.panel import Panel

    return Panel(*sessions)


def _ask(question: str) -> str | None:
    import sys

    if "ipykernel" not in sys.modules:
        return None
    from socketnb.ui.prompt import ask

    return ask(question)


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Add `%chat` and `%%chat` to a notebook, as `%load_ext socketnb` does."""
    from socketnb.hub import hub
    from socketnb.ui.magic import load

    load(shell, _with_ui(hub))


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """Remove `%chat` and `%%chat` from a notebook, as `%unload_ext socketnb` does. Sessions stay open."""
    from socketnb.ui.magic import unload

    unload(shell)

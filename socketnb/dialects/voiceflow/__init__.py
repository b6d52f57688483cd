"""Voiceflow's socket runtime: the documented dialect of the vendor's page "Interact (socket)", client and server.

`traces.py` reads what the bot shows, `actions.py` what the user does; `client.py` and `server.py` are the machines.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from socketnb.dialects import as_dict, as_text
from socketnb.dialects.voiceflow.actions import VERBS, did
from socketnb.dialects.voiceflow.client import Client
from socketnb.dialects.voiceflow.server import FAULTS, OPTIONS, Server
from socketnb.dialects.voiceflow.traces import read
from socketnb.records import Content, Secret, Setting

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = [
    "FAULTS",
    "KEPT",
    "NAME",
    "OPTIONS",
    "PLACE",
    "SECRET_FIELDS",
    "SETTINGS",
    "TALKS",
    "TITLE",
    "VERBS",
    "client",
    "content",
    "server",
    "settled",
    "simulated",
]

NAME = "voiceflow"
TITLE = "Voiceflow"
SECRET_FIELDS = frozenset({"sessionKey", "authorization"})
PLACE: tuple[str, ...] = ("url", "project_id", "environment_id")
KEPT: tuple[str, ...] = ("user_id", "session_key")
TALKS = 1
TRANSPORTS = ("websocket", "polling")  # the page's order; python-socketio has no webtransport, the page's third

SETTINGS: dict[str, Setting] = {
    "url": Setting("where the runtime is", default="https://general-runtime.voiceflow.com"),
    "project_id": Setting("the project, as its settings page shows it", required=True),
    "api_key": Setting("the project's API key, VF.DM.…; public projects need none", secret=True),
    "user_id": Setting("who is talking; made up when absent"),
    "environment_id": Setting("the environment's alias; absent: the project's traffic split"),
    "session_key": Setting("a stored session to go on with", secret=True),
    "completion_events": Setting("stream what language models say, piece by piece", type=bool, default=False),
    "audio_events": Setting("stream speech", type=bool, default=False),
    "audio_encoding": Setting("how speech is encoded", default="audio/x-mulaw", among=("audio/x-mulaw", "audio/pcm")),
    "user_timezone": Setting("the user's time zone, an IANA name such as Europe/Berlin", type=ZoneInfo),
    "press_typed": Setting("a text that is a button's label presses the button", type=bool, default=False),
    "no_reply": Setting("tell the bot by itself when the user says nothing", type=bool, default=False),
    "transports": Setting("how to connect, in order", type=tuple, default=TRANSPORTS, among=TRANSPORTS),
    "try_all": Setting("try the next transport when one fails", type=bool, default=True),
    "timeout": Setting("seconds until connecting gives up", type=float, default=10.0),
    "reconnection": Setting("try a lost link again", type=bool, default=True),
    "reconnection_attempts": Setting("how often a lost link is tried again", type=int, default=5),
    "reconnection_delay": Setting("seconds before the first attempt; doubles", type=float, default=1.0),
    "reconnection_delay_max": Setting("seconds before an attempt at most", type=float, default=5.0),
}


def content(event: str, payload: Any) -> Content | None:
    """Return what a person sees of a recorded event, or None."""
    if event == "action.send":
        return did(as_dict(as_dict(payload).get("action")))
    trace = as_dict(as_dict(payload).get("trace"))
    if event == "action.trace" and as_text(trace.get("type")):
        return read(trace, as_text(payload.get("messageID"))).content
    return None


def settled(settings: dict[str, Any]) -> dict[str, Any]:
    """Return the settings as they are: none depends on another."""
    return settings


def client(settings: Mapping[str, Any], ids: Callable[[], str]) -> Client:
    """Return the client machine of one conversation; `ids` gives a new unique string at each call."""
    return Client(settings, ids)


def server(settings: Mapping[str, Any], ids: Callable[[], str], options: Mapping[str, Any]) -> Server:
    """Return the server machine of one endpoint; `ids` gives a new unique string at each call."""
    return Server(settings, ids, options)


def simulated(ids: Callable[[], str]) -> dict[str, Any]:
    """Return made-up settings for a simulator, as `connect` takes them, but for its address."""
    return {"project_id": f"project-{ids()}", "api_key": Secret(f"VF.DM.{ids()}")}

"""Voiceflow's socket runtime: the documented dialect of the vendor's page "Interact (socket)", client and server.

`traces.py` reads what the bot shows, `actions.py` what the user does; `client.py` and `server.py` are the machines.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from socketnb.dialects.base import Dialect
from socketnb.dialects.voiceflow.actions import VERBS, user_input
from socketnb.dialects.voiceflow.client import Client
from socketnb.dialects.voiceflow.server import FAULTS, OPTIONS, Server
from socketnb.dialects.voiceflow.traces import read
from socketnb.model.actions import Setting
from socketnb.model.content import Content
from socketnb.model.json import as_dict, as_text
from socketnb.model.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable

TRANSPORTS = ("websocket", "polling")  # the page's order; python-socketio has no webtransport, the page's third

SETTINGS: dict[str, Setting] = {
    "url": Setting("where the runtime is", default="https://general-runtime.voiceflow.com"),
    "project_id": Setting("the project, as its settings page shows it", required=True),
    "api_key": Setting("the project's API key, VF.DM.…; public projects need none", secret=True),
    "user_id": Setting("who is talking; made up when absent", generate="user"),
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
        return user_input(as_dict(as_dict(payload).get("action")))
    trace = as_dict(as_dict(payload).get("trace"))
    if event == "action.trace" and as_text(trace.get("type")):
        return read(trace, as_text(payload.get("messageID"))).content
    return None


def simulated(ids: Callable[[], str]) -> dict[str, Any]:
    """Return made-up settings for a simulator, as `connect` takes them, but for its address."""
    return {"project_id": f"project-{ids()}", "api_key": Secret(f"VF.DM.{ids()}")}


DIALECT = Dialect(
    name="voiceflow",
    title="Voiceflow",
    settings=SETTINGS,
    verbs=VERBS,
    client=Client,
    server=Server,
    content=content,
    simulated=simulated,
    secret_fields=frozenset({"sessionKey", "authorization"}),
    resume_scope=("url", "project_id", "environment_id"),
    resume_settings=("user_id", "session_key"),
    faults=FAULTS,
    options=OPTIONS,
)

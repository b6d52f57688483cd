"""The faults and options of the simulator, and what is wrong with a client's request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from socketnb.dialects.sound import RATES
from socketnb.model.actions import Setting
from socketnb.model.json import JsonObject, as_dict, as_text

if TYPE_CHECKING:
    from socketnb.dialects.base import Settings

OPTIONS: dict[str, Setting] = {
    "idle_timeout": Setting("idle seconds after which a session ends; 0: no limit", type=float, default=0.0),
    "message_ids": Setting(
        "whose messageIDs events contain: those that the client sent, or new ones of the server",
        default="client",
        among=("client", "server"),
    ),
    "restart_action": Setting("whether `server.restart` contains the running action", type=bool, default=True),
    "late_by": Setting("seconds by which the fault `late` delays an answer", type=float, default=3.0),
    "both_links": Setting(
        "whether two links with the same session key both receive the events; otherwise the newer one does",
        type=bool,
        default=False,
    ),
}
FAULTS = {
    "reject": "the next action is rejected",
    "silent": "the next action is accepted but never completed",
    "late": "the events of the next action are delayed by `late_by` seconds",
    "expire": "every session ends and is forgotten",
    "mute": "events from clients are no longer answered",
    "restart": "every client is told to reconnect and to resend its running action; old links are closed after 5 s",
    "restart_before": "the next action is not accepted, but its client is told to reconnect and to resend it",
    "restart_after": "the next action is accepted, and then its client is told to reconnect and to resend it",
    "error": "every client is sent a general error",
}


def start_problem(start: JsonObject, settings: Settings) -> tuple[str, str] | None:
    """Return the code and the text of what is wrong with `client.start`, or None."""
    if start.get("projectID") != settings["project_id"]:
        return "project_not_found", "unknown project: check project_id"
    if settings.get("api_key") and start.get("authorization") != settings["api_key"].reveal():
        return "unauthorized", "the API key was not accepted: check api_key"
    if not as_text(start.get("userID")):
        return "bad_request", "client.start needs a userID"
    encoding = as_dict(start.get("config")).get("audioEncoding")
    if encoding is not None and encoding not in list(RATES):
        return "bad_request", f"unknown audioEncoding {encoding!r}: choose {' or '.join(RATES)}"
    return None


def action_problem(action: JsonObject) -> str | None:
    """Return what is wrong with an action, or None."""
    if not as_text(action.get("type")):
        return "an action needs a type"
    if action["type"] == "text" and not isinstance(action.get("payload"), str):
        return "the payload of a text action must be a string"
    return None

"""The handshake of a link: its states, the address to connect to, and the payload of `client.start`.

The states of a link (`State`). After the handshake, the link is ready:

    DOWN ──▶ DIALLING ──opened: client.start──▶ STARTING ──client.started──▶ READY      (the stored session resumes)
                                                    └──client.started──▶ CREATING ──session.created──▶ READY
    CREATING ──session.created, if `variables` is set──▶ SETTING ──the state API responds──▶ READY
    READY ──session.ended──▶ ENDED ──the next action──▶ DIALLING
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from socketnb.model.effects import Address
from socketnb.model.json import JsonObject

if TYPE_CHECKING:
    from socketnb.dialects.base import Settings
    from socketnb.model.secret import Secret

PATH = "v4/interact/socket"


class State(Enum):
    """The state of the link."""

    DOWN = "no link"
    DIALLING = "connecting"
    STARTING = "client.start was sent"
    CREATING = "session.create was sent"
    SETTING = "the variables are being set"
    READY = "ready"
    ENDED = "the session has ended"


AWAITED = {
    State.DIALLING: "Socket.IO connection",
    State.STARTING: "client.started",
    State.CREATING: "session.created",
    State.SETTING: "response of the state API",
}
"""The states of the handshake and the event that each state waits for."""


def address(settings: Settings) -> Address:
    """Return the address to connect to."""
    s = settings
    return Address(
        url=s["url"],
        path=PATH,
        transports=s["transports"] if s["try_all"] else s["transports"][:1],
        attempts=s["reconnection_attempts"] if s["reconnection"] else 0,
        delay=s["reconnection_delay"],
        delay_max=s["reconnection_delay_max"],
    )


def client_start(settings: Settings, key: Secret | None) -> JsonObject:
    """Return the payload of `client.start`. `key` is the key of the session to resume."""
    s = settings
    config = {
        "completionEvents": s["completion_events"],
        "userTimezone": s["user_timezone"],
        "audioEvents": s["audio_events"] or None,
        "audioEncoding": s["audio_encoding"] if s["audio_events"] else None,
    }
    start = {
        "userID": s["user_id"],
        "projectID": s["project_id"],
        "environmentID": s["environment_id"],
        "sessionKey": key.reveal() if key else None,
        "authorization": s["api_key"].reveal() if s["api_key"] else None,
        "config": _without_none(config),
    }
    return _without_none(start)


def _without_none(fields: JsonObject) -> JsonObject:
    return {name: value for name, value in fields.items() if value is not None}

"""Cognigy.AI's Socket.IO endpoint: the client and the server side of the protocol on the vendor's page "Socket.IO".

`outputs.py` and `forms.py` parse the bot's outputs into the types of `parsed.py`. `actions.py` encodes and decodes the
user's actions, and `shapes.py` encodes a flow's steps. `client.py` and `server.py` are the machines. `received.py`
recognises events that an endpoint sends again, and `runs.py` and `trace_ids.py` decide which turn an event belongs to.
`sending.py` is the sending half of the client.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from socketnb.dialects.base import Dialect, Facts
from socketnb.dialects.cognigy.actions import VERBS, rating_of, user_input
from socketnb.dialects.cognigy.client import Client
from socketnb.dialects.cognigy.handshake import TRANSPORTS
from socketnb.dialects.cognigy.outputs import data_of, handover_of, parse_output, sender_of
from socketnb.dialects.cognigy.server import FAULTS, OPTIONS, Server
from socketnb.dialects.turns import LATE_ANSWER_TIMEOUT
from socketnb.errors import SettingsError
from socketnb.model.actions import Setting
from socketnb.model.json import Json, JsonObject, JsonOut, as_dict
from socketnb.model.secret import Secret

if TYPE_CHECKING:
    from socketnb.dialects.base import NewId, Settings
    from socketnb.model.content import Content


TOKEN = re.compile(r"[0-9a-fA-F]{32,}")
"""The pattern of an endpoint's token."""

SETTINGS: dict[str, Setting] = {
    "url": Setting(
        "the Endpoint URL from the endpoint's editor, with or without its last part, the token", required=True
    ),
    "token": Setting("the URL token, if the url does not contain it", secret=True),
    "user_id": Setting("the id of the user; generated if not given", generate="user"),
    "session_id": Setting("the id of the conversation; generated if not given", generate="session"),
    "channel": Setting("the channel name that the flow receives", default="socket-client"),
    "passthrough_ip": Setting("the user's IP address, for the endpoint's logs"),
    "transport": Setting("the transport of the connection", default="websocket", among=tuple(TRANSPORTS)),
    "reconnection": Setting("reconnect after a lost link", type=bool, default=True),
    "interval": Setting("seconds before each attempt to reconnect", type=float, default=10.0),
    "reconnection_limit": Setting("the number of attempts to reconnect; 0: no limit", type=int, default=5),
    "expires_in": Setting("idle seconds after which the next message starts a new conversation", type=float),
    "test_mode": Setting("do not count the conversation as billable", type=bool, default=False),
    "emit_with_ack": Setting("let the endpoint keep events until they are acknowledged", type=bool, default=True),
    "inner_handshake": Setting("send the ids in an event, not in the address", type=bool, default=False),
    "timeout": Setting("seconds until a connection attempt times out", type=float, default=10.0),
    "ready_timeout": Setting(
        "seconds to wait until the endpoint says that it is ready; 0: do not wait", type=float, default=2.0
    ),
    "late_answer_timeout": LATE_ANSWER_TIMEOUT,
}


def settle(settings: Settings) -> Settings:
    """Return the settings with separate `url` and `token`. The last part of an Endpoint URL is the token.

    Raises:
        SettingsError: There is no token, or there are two different ones, or a time is too small.
    """
    url, token = settings["url"].rstrip("/"), settings["token"]
    server, _, last = url.rpartition("/")
    for name in ("interval", "expires_in"):
        if settings[name] is not None and settings[name] <= 0:
            raise SettingsError(f"cognigy: {name} must be a number of seconds above 0, got {settings[name]!r}")
    for name in ("ready_timeout", "late_answer_timeout"):
        if settings[name] < 0:
            raise SettingsError(f"cognigy: {name} must be a number of seconds of at least 0, got {settings[name]!r}")
    if token is not None and token != Secret(last) and TOKEN.fullmatch(last):
        raise SettingsError("cognigy: the url ends with a token, and token= is a different one: give only one of them")
    if token is None and server.count("/") < 2:  # noqa: PLR2004 (of https://)
        raise SettingsError("cognigy needs the endpoint's token: pass the whole Endpoint URL as url, or add token=…")
    if token is None or token == Secret(last):
        url, token = server, Secret(last)
    return {**settings, "url": url, "token": token}


def secret_in_url(url: str) -> bool:
    """Return whether a URL contains the endpoint's token."""
    return bool(TOKEN.search(url))


def content(event: str, payload: JsonOut) -> Content | None:
    """Return the displayable content of a recorded event, or None."""
    fields = as_dict(payload)
    if event == "processInput":
        return user_input(fields)
    message = _message(event, payload)
    return None if message is None else parse_output(message).content


def data(event: str, payload: Json) -> Json:
    """Return the data of a recorded output that is not part of its content, or None."""
    message = _message(event, payload)
    return None if message is None else data_of(message)


def facts(event: str, payload: Json) -> Facts | None:
    """Return what a recorded event reports: who handles the conversation, or the user's rating."""
    if event == "processInput":
        rating = rating_of(as_dict(payload))
        return None if rating is None else Facts(rating=rating)
    message = _message(event, payload) or {}
    if handover := handover_of(message):
        return Facts(handler=handover[0], agent=handover[1] or None)
    return Facts(handler="agent") if sender_of(message) == "agent" else None


def _message(event: str, payload: JsonOut) -> JsonObject | None:
    """Return the message in an output, or None."""
    fields = as_dict(payload)
    message = fields.get("data")
    is_message = event == "output" and fields.get("type") == "output" and isinstance(message, dict)
    return as_dict(message) if is_message else None


def simulated(ids: NewId) -> dict[str, str | Secret]:
    """Return the settings of a simulator, as `connect` takes them, without its URL."""
    return {"token": Secret("".join(ids() for _ in range(6))[:64])}


DIALECT = Dialect(
    name="cognigy",
    title="Cognigy.AI",
    settings=SETTINGS,
    verbs=VERBS,
    client=Client,
    server=Server,
    content=content,
    data=data,
    facts=facts,
    simulated=simulated,
    settle=settle,
    secret_in_url=secret_in_url,
    secret_fields=frozenset({"URLToken", "urlToken"}),
    resume_scope=("url", "token"),
    resume_settings=("user_id", "session_id"),
    faults=FAULTS,
    options=OPTIONS,
)

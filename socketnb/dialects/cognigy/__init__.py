"""Cognigy.AI's Socket.IO endpoint: the protocol of the vendor's page "Socket.IO", client and endpoint.

`outputs.py` reads what the bot shows, `actions.py` what the user does; `client.py` and `server.py` are the machines,
and `shapes.py` puts what a flow shows into the vendor's formats.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from socketnb.dialects.base import Dialect
from socketnb.dialects.cognigy.actions import VERBS, user_input
from socketnb.dialects.cognigy.client import TRANSPORTS, Client
from socketnb.dialects.cognigy.outputs import read
from socketnb.dialects.cognigy.server import FAULTS, OPTIONS, Server
from socketnb.errors import SettingsError
from socketnb.model.actions import Setting
from socketnb.model.content import Content
from socketnb.model.json import as_dict
from socketnb.model.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable


TOKEN = re.compile(r"[0-9a-fA-F]{32,}")
"""What an endpoint's token looks like."""

SETTINGS: dict[str, Setting] = {
    "url": Setting("the Endpoint URL as its editor shows it, or without its last part, the token", required=True),
    "token": Setting("the URL token, where the url has none", secret=True),
    "user_id": Setting("who is talking; made up when absent", generate="user"),
    "session_id": Setting("the conversation; made up when absent", generate="session"),
    "channel": Setting("the channel that the flow is told", default="socket-client"),
    "passthrough_ip": Setting("the user's IP address, for the endpoint's logs"),
    "transport": Setting("how to connect", default="websocket", among=tuple(TRANSPORTS)),
    "reconnection": Setting("try a lost link again", type=bool, default=True),
    "interval": Setting("seconds before each attempt", type=float, default=10.0),
    "reconnection_limit": Setting("how often a lost link is tried again; 0: for ever", type=int, default=5),
    "expires_in": Setting("seconds of silence after which the next message starts a new conversation", type=float),
    "test_mode": Setting("do not count the conversation as billable", type=bool, default=False),
    "emit_with_ack": Setting("let the endpoint keep what is not acknowledged", type=bool, default=True),
    "inner_handshake": Setting("tell who is there in an event, not in the address", type=bool, default=False),
    "timeout": Setting("seconds until connecting gives up", type=float, default=10.0),
}


def settle(settings: dict[str, Any]) -> dict[str, Any]:
    """Return the settings with server and token apart: an Endpoint URL has the token as its last part.

    Raises:
        SettingsError: there is no token, or there are two, or a time is none.
    """
    url, token = settings["url"].rstrip("/"), settings["token"]
    server, _, last = url.rpartition("/")
    for name in ("interval", "expires_in"):
        if settings[name] is not None and settings[name] <= 0:
            raise SettingsError(f"cognigy: {name} is a number of seconds above 0")
    if token is not None and token != Secret(last) and TOKEN.fullmatch(last):
        raise SettingsError("cognigy: the url ends with a token, and token= is another: give one of them")
    if token is None and server.count("/") < 2:  # noqa: PLR2004 (of https://)
        raise SettingsError("cognigy needs the endpoint's token: give its whole Endpoint URL, or token=… beside url")
    if token is None or token == Secret(last):
        url, token = server, Secret(last)
    return {**settings, "url": url, "token": token}


def secret_in_url(url: str) -> bool:
    """Return whether an Endpoint URL contains its token."""
    return bool(TOKEN.fullmatch(url.rstrip("/").rpartition("/")[2]))


def content(event: str, payload: Any) -> Content | None:
    """Return what a person sees of a recorded event, or None."""
    about = as_dict(payload)
    if event == "processInput":
        return user_input(about)
    if event == "output" and about.get("type") == "output" and isinstance(about.get("data"), dict):
        return read(about["data"]).content
    return None


def simulated(ids: Callable[[], str]) -> dict[str, Any]:
    """Return made-up settings for a simulator, as `connect` takes them, but for its address."""
    return {"token": Secret("".join(ids() for _ in range(6))[:64])}


DIALECT = Dialect(
    name="cognigy",
    title="Cognigy.AI",
    settings=SETTINGS,
    verbs=VERBS,
    client=Client,
    server=Server,
    content=content,
    simulated=simulated,
    settle=settle,
    secret_in_url=secret_in_url,
    secret_fields=frozenset({"URLToken", "urlToken"}),
    resume_scope=("url", "token"),
    resume_settings=("user_id", "session_id"),
    faults=FAULTS,
    options=OPTIONS,
)

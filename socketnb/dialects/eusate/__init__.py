"""Eusate's helpdesk: the events of the vendor's page "Socket.IO Events", customer and helpdesk.

`actions.py` says what a customer does and reads what is said; `client.py` and `server.py` are the machines.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from socketnb.dialects import as_dict
from socketnb.dialects.eusate.actions import EVENTS, VERBS, did, is_request, said
from socketnb.dialects.eusate.client import OPEN_AT_MOST, TRANSPORTS, Client
from socketnb.dialects.eusate.server import FAULTS, OPTIONS, Server
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

NAME = "eusate"
TITLE = "Eusate"
SECRET_FIELDS = frozenset({"token"})
PLACE: tuple[str, ...] = ("url", "api_key")
KEPT: tuple[str, ...] = ("session_id", "conversation_id")
TALKS = OPEN_AT_MOST

SETTINGS: dict[str, Setting] = {
    "url": Setting("where the helpdesk is", default="https://api.eusate.com"),
    "api_key": Setting("the organisation's API key", secret=True, required=True),
    "session_id": Setting("the customer; made up when absent"),
    "conversation_id": Setting("a conversation to go on with"),
    "token_source": Setting("what kind of key it is", default="api", among=("api", "inapp")),
    "mark_read": Setting("mark messages as read when they come", type=bool, default=True),
    "transport": Setting("how to connect; auto: a websocket, else polling", default="auto", among=tuple(TRANSPORTS)),
    "timeout": Setting("seconds until connecting gives up", type=float, default=10.0),
    "reconnection": Setting("try a lost link again", type=bool, default=True),
    "reconnection_attempts": Setting("how often a lost link is tried again", type=int, default=5),
    "reconnection_delay": Setting("seconds before the first attempt; doubles", type=float, default=1.0),
    "reconnection_delay_max": Setting("seconds before an attempt at most", type=float, default=5.0),
}
SHOWN = ("support", "customer_support", "close_support")


def settled(settings: dict[str, Any]) -> dict[str, Any]:
    """Return the settings as they are: none depends on another."""
    return settings


def content(event: str, payload: Any) -> Content | None:
    """Return what a person sees of a recorded event, or None."""
    about = as_dict(payload)
    if event in EVENTS.values() and is_request(about):
        return did(event, about)
    if event in SHOWN and isinstance(about.get("data"), dict):
        return said(about["data"]).content
    return said(about).content if event == "messages" else None


def client(settings: Mapping[str, Any], ids: Callable[[], str]) -> Client:
    """Return the client machine of one customer; `ids` gives a new unique string at each call."""
    return Client(settings, ids)


def server(settings: Mapping[str, Any], ids: Callable[[], str], options: Mapping[str, Any]) -> Server:
    """Return the server machine of one helpdesk; `ids` gives a new unique string at each call."""
    return Server(settings, ids, options)


def simulated(ids: Callable[[], str]) -> dict[str, Any]:
    """Return made-up settings for a simulator, as `connect` takes them, but for its address."""
    return {"api_key": Secret(f"eu-{ids()}{ids()}")}

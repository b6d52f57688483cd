"""Eusate's helpdesk: the events of the vendor's page "Socket.IO Events", customer and helpdesk.

`actions.py` says what a customer does and reads what is said; `client.py` and `server.py` are the machines.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from socketnb.dialects.base import Dialect
from socketnb.dialects.eusate.actions import EVENTS, VERBS, is_request, said, user_input
from socketnb.dialects.eusate.client import OPEN_AT_MOST, TRANSPORTS, Client
from socketnb.dialects.eusate.server import FAULTS, OPTIONS, Server
from socketnb.model.actions import Setting
from socketnb.model.content import Content
from socketnb.model.json import as_dict
from socketnb.model.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable


SETTINGS: dict[str, Setting] = {
    "url": Setting("where the helpdesk is", default="https://api.eusate.com"),
    "api_key": Setting("the organisation's API key", secret=True, required=True),
    "session_id": Setting("the customer; made up when absent", generate="session"),
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


def content(event: str, payload: Any) -> Content | None:
    """Return what a person sees of a recorded event, or None."""
    about = as_dict(payload)
    if event in EVENTS.values() and is_request(about):
        return user_input(event, about)
    if event in SHOWN and isinstance(about.get("data"), dict):
        return said(about["data"]).content
    return said(about).content if event == "messages" else None


def simulated(ids: Callable[[], str]) -> dict[str, Any]:
    """Return made-up settings for a simulator, as `connect` takes them, but for its address."""
    return {"api_key": Secret(f"eu-{ids()}{ids()}")}


DIALECT = Dialect(
    name="eusate",
    title="Eusate",
    settings=SETTINGS,
    verbs=VERBS,
    client=Client,
    server=Server,
    content=content,
    simulated=simulated,
    secret_fields=frozenset({"token"}),
    resume_scope=("url", "api_key"),
    resume_settings=("session_id", "conversation_id"),
    max_conversations=OPEN_AT_MOST,
    faults=FAULTS,
    options=OPTIONS,
)

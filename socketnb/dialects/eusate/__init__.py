"""Eusate's helpdesk: the client and the server side of the vendor's page "Socket.IO Events".

`actions.py` and `messages.py` encode and decode payloads. `client.py` is the client machine; its parts are `state.py`,
`accounts.py`, `sending.py`, `inbox.py`, `calls.py` and `history.py`. `server.py` is the server machine, with its HTTP
interface in `server_http.py` and its options and faults in `server_options.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from socketnb.dialects.base import Dialect, Facts
from socketnb.dialects.eusate.actions import EVENTS, VERBS, is_request, user_input
from socketnb.dialects.eusate.client import TRANSPORTS, Client
from socketnb.dialects.eusate.messages import read_message
from socketnb.dialects.eusate.requests import FIRST_ERROR_CODE, MAX_OPEN_CONVERSATIONS
from socketnb.dialects.eusate.server import Server
from socketnb.dialects.eusate.server_options import FAULTS, OPTIONS
from socketnb.dialects.turns import LATE_ANSWER_TIMEOUT
from socketnb.model.actions import Setting
from socketnb.model.content import Content
from socketnb.model.json import JsonOut, as_dict, as_text
from socketnb.model.secret import Secret

if TYPE_CHECKING:
    from socketnb.dialects.base import NewId


SETTINGS: dict[str, Setting] = {
    "url": Setting("the URL of the helpdesk", default="https://api.eusate.com"),
    "api_key": Setting("the organisation's API key", secret=True, required=True),
    "session_id": Setting("the id of the customer; generated if not given", generate="session"),
    "conversation_id": Setting("the id of a conversation to continue"),
    "token_source": Setting("the type of the API key", default="api", among=("api", "inapp")),
    "mark_read": Setting("mark messages as read when they arrive", type=bool, default=True),
    "late_answer_timeout": LATE_ANSWER_TIMEOUT,
    "transport": Setting("the transport; auto tries websocket, then polling", default="auto", among=tuple(TRANSPORTS)),
    "timeout": Setting("seconds until a connection attempt times out", type=float, default=10.0),
    "reconnection": Setting("reconnect after a lost link", type=bool, default=True),
    "reconnection_attempts": Setting("the number of attempts to reconnect", type=int, default=5),
    "reconnection_delay": Setting(
        "seconds before the first attempt to reconnect; doubles with each attempt", type=float, default=1.0
    ),
    "reconnection_delay_max": Setting(
        "the maximum delay before an attempt to reconnect, in seconds", type=float, default=5.0
    ),
}
MESSAGE_EVENTS = ("support", "customer_support", "close_support")
"""Events whose `data` is a message."""


def content(event: str, payload: JsonOut) -> Content | None:
    """Return the displayable content of a recorded event, or None."""
    body = as_dict(payload)
    if event in EVENTS.values() and is_request(body):
        return user_input(event, body)
    data = body.get("data")
    if event in MESSAGE_EVENTS and isinstance(data, dict):
        return read_message(data).content
    return read_message(body).content if event == "messages" else None


def facts(event: str, payload: JsonOut) -> Facts | None:
    """Return what a recorded event reports about its conversation, or None."""
    body = as_dict(payload)
    is_history = event == "messages"  # from the HTTP interface, whose messages have no envelope
    if is_history and body.get("closed") is True:
        return Facts(closed_by="system")
    data, code = body if is_history else as_dict(body.get("data")), body.get("status_code")
    if not data or (isinstance(code, int) and code >= FIRST_ERROR_CODE):
        return None
    is_closed, sender = data.get("closed_support") is True, as_text(data.get("sender"))
    suggested = data.get("close_support") is True and not is_closed if "close_support" in data else None
    match event:
        case "support_handler_changed":
            is_agent = data.get("handler") == "agent"
            return Facts(
                handler="agent" if is_agent else "bot",
                agent=as_text(as_dict(data.get("agent")).get("username")) or None,
            )
        case "customer_support_closed":
            return Facts(closed_by="bot")
        case "close_support":
            return Facts(closed_by="customer")
        case "review_support":
            return Facts(rating=_rating(data.get("rating")))
        case "support" | "customer_support" | "messages" if sender in ("sate", "agent"):
            is_agent = sender == "agent"
            closed_by = ("agent" if is_agent else "bot") if is_closed else None
            return Facts(handler="agent" if is_agent else None, suggested=suggested, closed_by=closed_by)
        case _:
            return None


def _rating(value: JsonOut) -> float | None:
    try:
        return float(value) if isinstance(value, str | int) else None
    except ValueError:
        return None


def simulated(ids: NewId) -> dict[str, str | Secret]:
    """Return generated settings for a simulator, without its URL."""
    return {"api_key": Secret(f"eu-{ids()}{ids()}")}


DIALECT = Dialect(
    name="eusate",
    title="Eusate",
    settings=SETTINGS,
    verbs=VERBS,
    client=Client,
    server=Server,
    content=content,
    facts=facts,
    simulated=simulated,
    secret_fields=frozenset({"token"}),
    resume_scope=("url", "api_key"),
    resume_settings=("session_id", "conversation_id"),
    user_setting="session_id",
    max_conversations=MAX_OPEN_CONVERSATIONS,
    faults=FAULTS,
    options=OPTIONS,
)

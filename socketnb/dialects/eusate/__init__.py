"""Eusate's helpdesk: the client and the server side of the vendor's page "Socket.IO Events".

`actions.py` and `messages.py` encode and decode payloads. `client.py` is the client machine; its parts are `state.py`,
`sending.py`, `inbox.py`, `calls.py` and `history.py`. `server.py` is the server machine; `server_http.py` is its HTTP
interface.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from socketnb.dialects.base import Dialect
from socketnb.dialects.eusate.actions import EVENTS, VERBS, is_request, user_input
from socketnb.dialects.eusate.client import TRANSPORTS, Client
from socketnb.dialects.eusate.messages import read_message
from socketnb.dialects.eusate.requests import MAX_OPEN_CONVERSATIONS
from socketnb.dialects.eusate.server import FAULTS, OPTIONS, Server
from socketnb.dialects.turns import LATE_ANSWER_TIMEOUT
from socketnb.model.actions import Setting
from socketnb.model.content import Content
from socketnb.model.json import JsonOut, as_dict
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
    simulated=simulated,
    secret_fields=frozenset({"token"}),
    resume_scope=("url", "api_key"),
    resume_settings=("session_id", "conversation_id"),
    user_setting="session_id",
    max_conversations=MAX_OPEN_CONVERSATIONS,
    faults=FAULTS,
    options=OPTIONS,
)

"""The address of an endpoint, and how a client sends its ids: in the query string or in the event `handshake`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from socketnb.model.effects import Address
from socketnb.model.json import JsonObject

if TYPE_CHECKING:
    from socketnb.dialects.base import Settings

TRANSPORTS = {"websocket": ("websocket",), "polling": ("polling",), "auto": ("websocket", "polling")}


def identity(settings: Settings, session_id: str) -> JsonObject:
    """Return the client's answer to the event `handshake`."""
    return {
        "userId": settings["user_id"],
        "sessionId": session_id,
        "urlToken": settings["token"].reveal(),
        "testMode": settings["test_mode"],
        "emitWithAck": settings["emit_with_ack"],
    }


def address(settings: Settings, session_id: str) -> Address:
    """Return the address of an endpoint for one session."""
    url = urlsplit(settings["url"])
    query = {
        "sessionId": quote(session_id, safe=""),  # encoded twice, as by Cognigy's own client
        "urlToken": quote(settings["token"].reveal(), safe=""),
        "userId": quote(settings["user_id"], safe=""),
        "testMode": str(settings["test_mode"]).lower(),
        "emitWithAck": str(settings["emit_with_ack"]).lower(),
    }
    return Address(
        url=f"{url.scheme}://{url.netloc}",
        path=f"{url.path}/socket.io".strip("/"),
        transports=TRANSPORTS[settings["transport"]],
        query={"handshake": "true"} if settings["inner_handshake"] else query,
        acks={"handshake": identity(settings, session_id)},
        attempts=(settings["reconnection_limit"] or math.inf) if settings["reconnection"] else 0,
        delay=settings["interval"],
        delay_max=settings["interval"],
        advice="an old endpoint, or a wrong token: check the Endpoint URL and its token",
    )

"""Requests to the helpdesk and its answers, used by every part of the client machine.

The helpdesk answers with an event that has the name of the request, with an acknowledgement, or with both.
"""

from __future__ import annotations

from typing import NamedTuple, Self

from socketnb.dialects.eusate.actions import EVENTS, payload_of
from socketnb.model.actions import Action
from socketnb.model.effects import ClientEffect, Emit, Record
from socketnb.model.json import Json, JsonObject, JsonObjectOut, as_dict, as_text
from socketnb.model.trace import Sender

NAMESPACE = "/helpdesk"
"""The Socket.IO namespace."""
MAX_OPEN_CONVERSATIONS = 3
"""The maximum number of open conversations of a customer."""
STARTING_EVENTS = ("support", "call_support")
"""Events that can start a conversation."""
FIRST_ERROR_CODE = 400
"""The smallest `status_code` of an error, as in HTTP."""
FIRST_SERVER_ERROR = 500
"""The smallest `status_code` of an error of the helpdesk itself, as in HTTP. It fails the turn."""
REQUESTS = frozenset({*EVENTS.values(), "enter_customer_support", "enter_support"})
"""The events of all requests."""


class RequestId(NamedTuple):
    """The key of an acknowledgement: the request's event, and its turn (0 for a request that belongs to no turn)."""

    event: str
    turn: int


def request(
    event: str, payload: JsonObjectOut, kind: str, conversation: str | None = None, *, turn: int = 0, text: str = ""
) -> list[ClientEffect]:
    """Record an event, and send it with a request for an acknowledgement. User requests have the kind `action`."""
    sender: Sender = "user" if kind == "action" else "system"
    record = Record(event, kind, payload, "out", sender, turn, text or None, conversation=conversation or None)
    return [record, Emit(event, (payload,), ack=RequestId(event, turn))]


def enter_room(conversation: str) -> list[ClientEffect]:
    """Enter the room of a conversation, so that its broadcasts arrive."""
    return request("enter_support", {"ticket_chat_id": conversation}, "session", conversation)


def mark_read(conversation: str) -> list[ClientEffect]:
    """Mark a conversation as read, without a turn."""
    return request("mark_conversation_read", payload_of(Action("read"), "", conversation), "read", conversation)


class Answer(NamedTuple):
    """An event or acknowledgement from the helpdesk. Both use the same envelope.

    Attributes:
        event: The name of the event. For an acknowledgement, the event of the request.
        payload: The envelope as received.
        code: `status_code`, or 0 if it is missing.
        message: The message of the envelope.
        data: The content.
        conversation: The id of the conversation, or "" if the answer names none.
        turn: The turn of the acknowledged request; 0 for an event.
    """

    event: str
    payload: Json
    code: int
    message: str
    data: JsonObject
    conversation: str
    turn: int

    @classmethod
    def read(cls, event: str, payload: Json, turn: int = 0) -> Self:
        """Parse an envelope. Missing or malformed fields count as empty."""
        envelope = as_dict(payload)
        data, code = as_dict(envelope.get("data")), envelope.get("status_code")
        return cls(
            event,
            payload,
            code if isinstance(code, int) else 0,
            as_text(envelope.get("message")),
            data,
            as_text(data.get("ticket_chat_id")),
            turn,
        )

    @property
    def rejected(self) -> bool:
        """Whether the helpdesk rejected the request."""
        return self.code >= FIRST_ERROR_CODE

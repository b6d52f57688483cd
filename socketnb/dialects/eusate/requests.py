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
REPETITION_S = 2.0
"""How long the repetition of an error may take, in seconds."""
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


class ReportedError:
    """An error that has ended a turn. The helpdesk may report it again, with another name or after an acknowledgement.

    Args:
        turn: The number of the turn.
        event: The event that has sent the turn.
        answer: The error.
        now: The time.

    Attributes:
        turn: The argument of this name.
    """

    def __init__(self, turn: int, event: str, answer: Answer, now: float) -> None:
        self.turn = turn
        self._event = event
        self._content = answer.code, answer.message
        self._ways = {(answer.event, bool(answer.turn))}
        self._at = now

    def is_repeated_by(self, answer: Answer, now: float) -> bool:
        """Return whether a later error is the same one, reported in another way. Each way repeats it once."""
        way = answer.event, bool(answer.turn)
        is_for_turn = answer.event == self._event or answer.event not in REQUESTS
        is_same = (answer.code, answer.message) == self._content and now < self._at + REPETITION_S
        if not (is_for_turn and is_same) or way in self._ways:
            return False
        self._ways.add(way)
        return True

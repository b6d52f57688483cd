"""The conversations of the simulated helpdesk, and their format on the wire."""

from __future__ import annotations

import datetime as dt
from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple

from socketnb.dialects.base import NewId, Settings
from socketnb.dialects.eusate.requests import MAX_OPEN_CONVERSATIONS
from socketnb.errors import SettingsError
from socketnb.model.content import UserInput
from socketnb.model.json import Json, JsonObject, JsonObjectOut, JsonOut, as_dict, as_list, as_text

NO_FILES = "attachments can be sent to agents only"


class RunningCall(NamedTuple):
    """A running voice call: its id and its start time."""

    id: str
    started_at: str


@dataclass(slots=True)
class HelpdeskConversation:
    """One conversation of a customer.

    Attributes:
        id: The id of the conversation, `ticket_chat_id` on the wire.
        session: The id of the customer.
        ticket: The id of the ticket.
        created_at: The start time of the conversation.
        room: The links in the room of the conversation.
        asking_link: The link over which the latest message of the customer arrived.
        inputs: The messages that the flow must answer. It is answering the first one.
        messages: All messages, oldest first.
        parts: The parts of the reply that the flow is composing.
        agent: The name of the agent who has taken over, or "".
        suggests_closing: Whether the bot suggests to close the conversation.
        closed: Whether the conversation is closed.
        active_at: When the last message was sent, in seconds since 1970.
        silent: Whether the current reply is withheld.
        call: The running voice call of the conversation.
        read: Who has read the last message.
    """

    id: str
    session: str
    ticket: str
    created_at: str
    room: set[str] = field(default_factory=set)
    asking_link: str = ""
    inputs: deque[UserInput] = field(default_factory=deque)
    messages: list[JsonObjectOut] = field(default_factory=list)
    parts: list[str] = field(default_factory=list)
    agent: str = ""
    suggests_closing: bool = False
    closed: bool = False
    active_at: float = 0.0
    silent: bool = False
    call: RunningCall | None = None
    read: dict[str, bool] = field(default_factory=lambda: {"customer": True, "agent": True})

    def add_message(self, id_: str, text: object, sender: str, time: str, attachment: JsonOut = None) -> JsonObjectOut:
        """Add a message, and return it in the format of events, which have no message id."""
        data: JsonObjectOut = {
            "message": as_text(text),
            "ticket_chat_id": self.id,
            "sender": sender,
            "attachment": bool(attachment),
            "attachment_metadata": attachment or None,
            "close_support": self.suggests_closing,
            "closed_support": self.closed,
            "date_created": time,
            "date_updated": time,
        }
        self.messages.append({"id": id_, **data})
        self.read = {reader: reader == sender for reader in self.read}
        return data

    def call_data(self) -> JsonObjectOut:
        """Return the call in the format of events."""
        call, started_at = self.call or (None, None)
        return {"room": self.id, "ticket_chat_id": self.id, "ticket_call_id": call, "call_start_time": started_at}


class Problem(NamedTuple):
    """The reason and the status code of a rejected request."""

    message: str
    code: int = 400


class ConversationStore:
    """All conversations of the helpdesk.

    Args:
        ids: Returns a new unique string at each call.
        options: The options of the simulator.

    Attributes:
        by_id: The conversations by id, ordered by last use.
    """

    def __init__(self, ids: NewId, options: Settings) -> None:
        self.by_id: dict[str, HelpdeskConversation] = {}
        self._options = options
        self._ids = ids

    def find_or_start(self, event: str, body: JsonObject, time: str) -> HelpdeskConversation | Problem:
        """Return the conversation that a request is for, or start one if it names none."""
        session, id_ = as_text(body.get("session_id")), body.get("ticket_chat_id")
        has_attachment = body.get("attachment") is True
        if not session:
            return Problem("session_id is required")
        if event == "support" and not (isinstance(body.get("message"), str) or has_attachment):
            return Problem("message must be a string")
        if has_attachment and not body.get("attachment_metadata"):
            return Problem("attachment_metadata is required")
        if has_attachment and (refused := self._refused_file(body["attachment_metadata"])):
            return refused
        if id_ is not None:
            conversation = self.by_id.get(as_text(id_))
            if conversation is None or conversation.session != session:
                return Problem("unknown ticket_chat_id", 404)
            if conversation.closed:
                return Problem("the conversation is closed")
            return Problem(NO_FILES) if has_attachment and not conversation.agent else conversation
        if has_attachment:
            return Problem(NO_FILES)
        open_ = [each for each in self.by_id.values() if each.session == session and not each.closed]
        if len(open_) >= MAX_OPEN_CONVERSATIONS:
            return Problem(f"a customer may have at most {MAX_OPEN_CONVERSATIONS} open conversations")
        conversation = HelpdeskConversation(f"conv_{self._ids()}", session, f"ticket_{self._ids()}", time)
        self.by_id[conversation.id] = conversation
        return conversation

    def _refused_file(self, metadata: Json) -> Problem | None:
        """Return why a file is not accepted, or None if all files are accepted."""
        max_kb, types = self._options["max_file_kb"], as_text(self._options["file_types"]).casefold()
        allowed = {each.strip(" .") for each in types.split(",")}
        for file in [as_dict(each) for each in as_list(metadata) or [metadata]]:
            name, size = as_text(file.get("name")), file.get("size_kb")
            extension = (as_text(file.get("extension")) or name.rpartition(".")[2]).strip(".").casefold()
            if types and extension not in allowed:
                return Problem(f"files of the type {extension!r} are not accepted")
            if max_kb and isinstance(size, int | float) and size > max_kb:
                return Problem(f"the file is larger than {max_kb:g} kB", 413)
        return None

    def use(self, conversation: HelpdeskConversation) -> None:
        """Mark a conversation as the one used last."""
        self.by_id[conversation.id] = self.by_id.pop(conversation.id)

    def last(self, to: str | None) -> HelpdeskConversation:
        """Return the conversation with this id, or the one that this customer used last; None means any customer.

        Raises:
            SettingsError: There is no such conversation.
        """
        for conversation in reversed(self.by_id.values()):
            if to in (None, conversation.id, conversation.session):
                return conversation
        raise SettingsError(
            "there is no conversation yet" if to is None else f"unknown conversation or customer {to!r}"
        )


def iso_time(now: float) -> str:
    """Return seconds since 1970 as an ISO 8601 time in UTC."""
    return dt.datetime.fromtimestamp(now, dt.UTC).isoformat().replace("+00:00", "Z")

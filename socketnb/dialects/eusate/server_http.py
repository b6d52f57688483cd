"""The HTTP interface of the simulated helpdesk: conversations and messages of a customer, and an agent's take-over."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from socketnb.dialects.eusate.server_conversations import HelpdeskConversation
from socketnb.model.effects import HttpCall, HttpReply, ServerEffect
from socketnb.model.json import JsonObjectOut

CONVERSATIONS = re.compile(r"/api/v1/helpdesk/customer/(.+)/conversations/(?:([^/]+)/messages/)?")
"""The path of a customer's conversations, or of the messages in one of them."""
TAKE_OVER = re.compile(r"/api/v1/helpdesk/[^/]+/tickets/([^/]+)/take-over/")
"""The path of a take-over, by the id of the ticket."""
TRUE_VALUES = ("true", "t", "yes", "1")
"""The values of the parameter `closed` that select closed conversations. Other values select open ones."""


class HttpInterface:
    """Answers HTTP calls.

    Args:
        api_key: The API key that a call must contain.
        conversations: All conversations of the helpdesk, by id.
        take_over: Hands a conversation over to an agent.
    """

    def __init__(
        self,
        api_key: str,
        conversations: Mapping[str, HelpdeskConversation],
        take_over: Callable[[HelpdeskConversation], list[ServerEffect]],
    ) -> None:
        self._api_key = api_key
        self._conversations = conversations
        self._take_over = take_over

    def answer(self, call: HttpCall) -> list[ServerEffect]:
        """Return the reply to a call, and its other effects."""
        if call.headers.get("authorization") != f"Bearer {self._api_key}":
            return [HttpReply(401, {"detail": "unknown API key"})]
        if match := CONVERSATIONS.fullmatch(call.path):
            return [self._messages(match[1], match[2]) if match[2] else self._list(match[1], call.query)]
        if (match := TAKE_OVER.fullmatch(call.path)) and call.method == "POST":
            for conversation in self._conversations.values():
                if conversation.ticket == match[1]:
                    return [HttpReply(200, {"success": True}), *self._take_over(conversation)]
        return [HttpReply(404, {"detail": "not found"})]

    def _list(self, session: str, query: Mapping[str, str]) -> HttpReply:
        closed = query.get("closed", "") in TRUE_VALUES
        conversations = [c for c in self._conversations.values() if c.session == session and c.closed == closed]
        return HttpReply(200, [{**_conversation(c), "latest_message": _latest(c)} for c in conversations])

    def _messages(self, session: str, id_: str) -> HttpReply:
        conversation = self._conversations.get(id_)
        if conversation is None or conversation.session != session:
            return HttpReply(404, {"detail": "unknown conversation"})
        return HttpReply(200, {**_conversation(conversation), "messages": list(map(_message, conversation.messages))})


def _conversation(conversation: HelpdeskConversation) -> JsonObjectOut:
    messages = conversation.messages
    return {
        "id": conversation.id,
        "date_created": conversation.created_at,
        "date_updated": messages[-1]["date_created"] if messages else conversation.created_at,
        "closed": conversation.closed,
        "close_support": conversation.suggests_closing,
        "read_by_customer": conversation.read["customer"],
        "read_by_agent": conversation.read["agent"],
        "responder": "agent" if conversation.agent else "sate",
        "ticket": conversation.ticket,
        "ticket_slug": conversation.ticket,
    }


def _latest(conversation: HelpdeskConversation) -> JsonObjectOut | None:
    return _message(conversation.messages[-1]) if conversation.messages else None


def _message(message: JsonObjectOut) -> JsonObjectOut:
    """Return a message in the format of the HTTP interface, where two fields have other names."""
    names = ("id", "date_created", "date_updated", "message", "sender", "attachment_metadata")
    renamed = {"is_attachment": message["attachment"], "ticket_chat": message["ticket_chat_id"]}
    return {**{name: message[name] for name in names}, **renamed}

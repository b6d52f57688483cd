"""The helpdesk's HTTP interface: the customer's open conversations, and messages sent while the link was down.

A helpdesk without this interface also works. The session then starts without the list of conversations, and messages
sent while the link is down are lost.
"""

from __future__ import annotations

import json
from typing import Literal, NamedTuple
from urllib.parse import quote

from socketnb.dialects.base import Settings
from socketnb.dialects.eusate.inbox import CLOSED_BY_HELPDESK, Inbox
from socketnb.dialects.eusate.messages import created_at
from socketnb.dialects.eusate.requests import Answer
from socketnb.dialects.eusate.seen import SeenMessages
from socketnb.dialects.eusate.state import CustomerState
from socketnb.dialects.eusate.turn import Turn
from socketnb.model.effects import ClientEffect, HttpRequest, HttpResponse, Record
from socketnb.model.json import Json, JsonObject, as_dict, as_list, as_text

HTTP_OK = 200
"""The status of a response with a body."""


class Query(NamedTuple):
    """The purpose of an HTTP request: the list of open conversations, or the messages of one."""

    subject: Literal["conversations", "messages"]
    conversation: str = ""


class History:
    """Requests conversations and messages from the HTTP interface, and processes the responses.

    Args:
        state: The link, the conversations and the turns.
        inbox: Processes the missed messages.
        seen: The messages that were received.
        settings: The settings of the dialect.
    """

    def __init__(self, state: CustomerState, inbox: Inbox, seen: SeenMessages, settings: Settings) -> None:
        self._state = state
        self._inbox = inbox
        self._seen = seen
        customer = quote(settings["session_id"], safe="")
        self._base = f"{settings['url'].rstrip('/')}/api/v1/helpdesk/customer/{customer}"
        self._headers = {"Authorization": f"Bearer {settings['api_key'].reveal()}"}
        self._saved = settings["conversation_id"]
        self._listed = False  # whether the helpdesk has listed the conversations at least once
        self._unanswered: set[str] = set()  # conversations whose messages have been requested

    def request(self, conversations: list[str]) -> list[ClientEffect]:
        """Request the open conversations and the messages of the given conversations, after a new link has opened."""
        self._unanswered = set(conversations)
        effects = [self._get(Query("conversations"), "conversations/?closed=false")]
        return [*effects, *map(self._request_messages, conversations)]

    def _request_messages(self, conversation: str) -> HttpRequest:
        name = quote(conversation, safe="", errors="replace")
        return self._get(Query("messages", conversation), f"conversations/{name}/messages/")

    def _get(self, query: Query, path: str) -> HttpRequest:
        return HttpRequest(query, "GET", f"{self._base}/{path}", self._headers)

    def link_lost(self) -> None:
        """Remember that messages may be missed from now on."""
        self._seen.link_lost(self._unanswered)

    def read(self, response: HttpResponse, now: float) -> list[ClientEffect]:
        """Process a response."""
        if not isinstance(response.purpose, Query):
            return []
        subject, conversation = response.purpose
        try:
            body = json.loads(response.body) if response.status == HTTP_OK else None
        except ValueError:
            body = None
        if body is None:
            return self._failed(response, response.purpose)
        if subject == "conversations":
            return self._read_list(body, now)
        return self._read_messages(conversation, body, now)

    def _failed(self, response: HttpResponse, query: Query) -> list[ClientEffect]:
        reason = f"HTTP {response.status}" if response.status else response.body.decode(errors="replace")
        text = f"the helpdesk did not return its {query.subject} ({reason})"
        log = Record(query.subject, "log", None, "local", text=text, conversation=query.conversation or None)
        return [log, *(self._state.mark_ready(text) if query.subject == "conversations" else [])]

    def _read_list(self, body: Json, now: float) -> list[ClientEffect]:
        items = [item for item in map(as_dict, as_list(body)) if as_text(item.get("id"))]
        effects = [effect for item in items for effect in self._read_conversation(item, now)]
        self._listed = True
        state = self._state
        if state.current == self._saved and state.known(state.current) is None:
            state.current = None  # the saved conversation is no longer open
        return [*effects, *state.mark_ready(f"{len(items)} conversations are open")]

    def _read_conversation(self, item: JsonObject, now: float) -> list[ClientEffect]:
        """Add or update a conversation from the list."""
        state, conversation = self._state, as_text(item.get("id"))
        starting, is_new = state.turns.starting, state.known(conversation) is None
        if is_new and not self._listed and starting and state.link == 1:
            return []  # it may be the conversation that is being started
        effects = state.add(conversation)
        is_agent = item.get("responder") == "agent"
        known = state.get(conversation)
        unread = 0 if item.get("read_by_customer") is not False else max(1, known.unread)
        effects += state.update(
            conversation, handler="agent" if is_agent else "bot", agent=known.agent if is_agent else "", unread=unread
        )
        effects += state.update(
            conversation, suggested=item.get("close_support") is True, closed=item.get("closed") is True
        )
        effects += self._inbox.taken_over(conversation, now) if is_agent else []
        latest = as_dict(item.get("latest_message"))
        if not self._listed and not state.turns.starting:  # a message from before this session is not a missed one
            self._seen.add(conversation, latest)
            return effects
        if not is_new:
            return effects
        turn = state.turns.waiting_for("support", conversation)
        asked = turn if turn and turn.link < state.link and latest.get("sender") == "sate" else None
        effects += self._add_missed(conversation, latest, asked, now)
        return [*effects, self._request_messages(conversation)]

    def _read_messages(self, conversation: str, body: Json, now: float) -> list[ClientEffect]:
        self._unanswered.discard(conversation)
        item = as_dict(body)
        messages = [as_dict(message) for message in as_list(item.get("messages"))]
        turn = self._state.turns.waiting_for("support", conversation)
        effects: list[ClientEffect] = []
        asked = None
        for message in messages:
            asked = turn if turn and _is_message_of(turn, message) else asked
            effects += self._add_missed(conversation, message, asked, now)
        if item.get("closed") is True and not self._state.get(conversation).closed:
            number = self._state.turns.number_in(conversation)
            closed: JsonObject = {"ticket_chat_id": conversation, "closed": True}
            record = Record("messages", "ended", closed, "local", turn=number, text=CLOSED_BY_HELPDESK)
            effects.append(record._replace(conversation=conversation))
            effects += self._inbox.close(conversation, "closed meanwhile", now)
        return effects

    def _add_missed(self, conversation: str, message: JsonObject, asked: Turn | None, now: float) -> list[ClientEffect]:
        """Record a message if it was sent while the link was down. `asked` is the turn that it answers, or None."""
        if not self._seen.is_missed(conversation, message):
            return []
        data = {**message, "ticket_chat_id": conversation}
        still_asked = asked if asked and asked.number in self._state.turns.running else None
        answer = Answer("messages", message, 0, "", data, conversation, 0)
        return self._inbox.message(answer, now, missed=True, asked=still_asked)


def _is_message_of(turn: Turn, message: JsonObject) -> bool:
    """Return whether a message in the list of messages is the customer's message of this turn."""
    is_same = message.get("sender") == "customer" and as_text(message.get("message")) == turn.text
    return is_same and (created_at(message) or 0) >= turn.sent_after

"""The client machine of one customer of an Eusate helpdesk.

A customer enters a personal room when a link opens, and can have up to three open conversations. Each conversation has
a room, which the client enters when it knows the id of the conversation. After a lost link, the client enters all rooms
again and requests the missed messages from the HTTP interface (`history.py`). `state.py` defines the phases of a link,
`turns.py` assigns answers to turns, and `inbox.py` decides when a turn ends.

A turn that was abandoned, or was running when its link was lost, briefly blocks the next turn of its conversation, so
that its late answer is not assigned to the next turn.

Sources: the vendor's page "Socket.IO Events" and its HTTP reference.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from socketnb.dialects.base import ClientMachine, warn
from socketnb.dialects.eusate.calls import Calls
from socketnb.dialects.eusate.history import History
from socketnb.dialects.eusate.inbox import Inbox
from socketnb.dialects.eusate.requests import (
    FIRST_SERVER_ERROR,
    NAMESPACE,
    STARTING_EVENTS,
    Answer,
    ReportedError,
    RequestId,
    enter_room,
    request,
)
from socketnb.dialects.eusate.seen import SeenMessages
from socketnb.dialects.eusate.sending import Sender
from socketnb.dialects.eusate.state import CustomerState, Due, Unconfirmed
from socketnb.dialects.turns import Owed
from socketnb.model.effects import Address, ClientEffect, Failed, HttpResponse, Record
from socketnb.model.json import Json, as_dict, as_text
from socketnb.model.trace import Status

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from socketnb.dialects.base import NewId, Settings
    from socketnb.model.actions import Action

TRANSPORTS = {"auto": ("websocket", "polling"), "websocket": ("websocket",), "polling": ("polling",)}
"""The transports to try, in order, for each value of the setting `transport`."""
LIST_TIMEOUT_S = 2.0
"""How long to wait for the list of conversations before turns are sent without it, in seconds."""
LINK_LOST = (
    "the link was lost before Eusate confirmed the action: check whether the action arrived, and repeat it if not"
)
"""The reason of a turn that was running when the link was lost."""
EMPTY_ACK_EVENTS = (*STARTING_EVENTS, "close_support", "close_call_support")
"""Requests whose answer always has data. An acknowledgement without data only confirms their receipt."""


class Client(ClientMachine):
    """The client machine of one customer. `ids` is not used, because the helpdesk generates all ids."""

    def __init__(self, settings: Settings, ids: NewId) -> None:
        self._settings = settings
        self._state = CustomerState(settings["conversation_id"] or None, settings["late_answer_timeout"])
        self._calls = Calls(self._state)
        seen = SeenMessages()
        self._inbox = Inbox(self._state, self._calls, seen, mark_read=settings["mark_read"])
        self._history = History(self._state, self._inbox, seen, settings)
        self._sender = Sender(self._state, self._calls, seen, settings["session_id"])
        self._last_error: ReportedError | None = None

    @property
    def deadline(self) -> float | None:
        """When `timer` is to be called, or None."""
        return self._state.deadlines.next

    # Links

    def dial(self, now: float) -> Address:
        """Begin a link: return the address to connect to, and start the timeout of the connection."""
        s = self._settings
        self._state.deadlines.set(Due.CONNECTION, now + s["timeout"])
        return Address(
            url=s["url"],
            path="socket.io",
            transports=TRANSPORTS[s["transport"]],
            namespace=NAMESPACE,
            query={"token_source": s["token_source"], "token": s["api_key"].reveal()},
            attempts=s["reconnection_attempts"] if s["reconnection"] else 0,
            delay=s["reconnection_delay"],
            delay_max=s["reconnection_delay_max"],
            advice="check api_key",
        )

    def opened(self, now: float) -> list[ClientEffect]:
        """Handle the opening of a link: enter the customer's rooms, and request missed messages."""
        state = self._state
        state.link_opened(list_due=now + LIST_TIMEOUT_S)
        effects = request("enter_customer_support", {"session_id": self._settings["session_id"]}, "session")
        conversations = state.open_conversations
        for conversation in conversations:
            effects += enter_room(conversation) if conversation not in state.left_rooms else []
        return [*effects, *self._history.request(conversations)]

    def closed(self, now: float) -> list[ClientEffect]:
        """Handle the loss of the link: fail unconfirmed turns, and keep waiting for the replies to confirmed ones."""
        state = self._state
        if state.is_open:
            self._history.link_lost()
        state.link_closed()
        effects: list[ClientEffect] = []
        for turn in state.turns.sent:
            if state.turns.is_abandoned(turn.number):
                continue
            if turn.event != "support":
                effects += state.finish(turn, "failed", LINK_LOST)
            elif not turn.confirmed:
                effects += state.end(turn, "failed", LINK_LOST)
                state.turns.abandon(turn.number, now)
            elif state.get(turn.conversation).handler == "agent":
                effects += state.not_confirmed(turn)
        return effects

    def timer(self, now: float) -> list[ClientEffect]:
        """Handle expired deadlines: of the connection, of the list of conversations, and of late answers."""
        state = self._state
        expired = state.deadlines.expired(now)
        effects: list[ClientEffect] = []
        if Due.CONNECTION in expired:
            seconds = self._settings["timeout"]
            effects.append(Failed(f"no Socket.IO connection opened within {seconds:g} s", "timeout"))
        if Due.LISTING in expired:
            effects += state.mark_ready("the helpdesk has not listed its conversations yet; continuing without them")
        for turn in state.turns.sent:
            if Owed(turn.number) in expired:
                effects += state.give_up(turn)
            elif Unconfirmed(turn.number) in expired:
                effects += state.not_confirmed(turn)
        return effects + self._sender.send_next(now)

    # Turns

    def act(self, turn: int, action: Action, now: float) -> list[ClientEffect]:
        """Handle an action of the customer. It is queued if its conversation is busy."""
        return self._sender.act(turn, action, now)

    def abandon(self, turn: int, now: float) -> list[ClientEffect]:
        """Stop waiting for a turn. If the turn was sent, it briefly blocks the next turn of its conversation."""
        turns = self._state.turns
        if turn in turns.waiting:
            self._state.forget(turns.waiting[turn])
        turns.abandon(turn, now)
        effects: list[ClientEffect] = []
        sent = turns.running.get(turn)
        if sent and sent.early:  # the message that came early may have been the reply
            turns.confirmations.came_late(*sent.confirmed)
            effects = self._state.warn_of_early(sent)
        return effects + self._sender.send_next(now)

    def explain(self, turn: int) -> str | None:
        """Return why an open turn has not ended, as far as known."""
        state = self._state
        if queued := state.turns.waiting.get(turn):
            return f"not sent: {self._sender.obstacle(queued)}"
        sent = state.turns.running.get(turn)
        if sent and (sent.link < state.link or not state.is_open):
            return "the link was lost after this was sent"
        if sent and not sent.confirmed:
            return "Eusate has not confirmed that it received this"
        return None

    # Events

    def acked(self, key: Hashable, args: Sequence[Json], now: float) -> list[ClientEffect]:
        """Handle the acknowledgement of a request. An acknowledgement with content is the answer."""
        if not isinstance(key, RequestId):
            return []
        self._inbox.acked(key.turn, now)
        answer = Answer.read(key.event, args[0] if args else None, key.turn)
        is_receipt = not answer.data and not answer.rejected and key.event in EMPTY_ACK_EVENTS
        if not as_dict(answer.payload) or is_receipt:
            return []
        return [*self._dispatch(answer, now), *self._sender.send_next(now)]

    def received(self, event: str, payload: Json, now: float) -> list[ClientEffect]:
        """Handle an event."""
        return [*self._dispatch(Answer.read(event, payload), now), *self._sender.send_next(now)]

    def http_response(self, response: HttpResponse, now: float) -> list[ClientEffect]:
        """Handle a response of the HTTP interface."""
        return [*self._history.read(response, now), *self._sender.send_next(now)]

    def _dispatch(self, answer: Answer, now: float) -> list[ClientEffect]:
        """Pass an answer to its handler. Unknown events are recorded."""
        if answer.rejected:
            return self._rejected(answer, now)
        event, payload, last = answer.event, answer.payload, self._state.turns.last
        match event:
            case "support" | "customer_support":
                return self._inbox.message(answer, now)
            case "support_echo":
                return self._inbox.echo(answer, now)
            case "support_handler_changed":
                return self._inbox.handler_changed(answer, now)
            case "customer_support_closed":
                return self._inbox.closed_by_helpdesk(answer, now)
            case "close_support":
                return self._inbox.closed_by_customer(answer, now)
            case "call_support":
                return self._calls.started(answer)
            case "close_call_support" | "sate_left_call":
                return self._calls.ended(answer)
            case "mark_conversation_read" | "review_support" | "leave_support":
                return self._confirmed(answer)
            case "enter_customer_support" | "enter_support":
                return [Record(event, "session", payload, conversation=answer.conversation or None)]
            case "error":
                return [Record(event, "error", payload, turn=last, error=as_text(payload) or json.dumps(payload))]
            case _ if "status_code" in as_dict(payload) and not answer.data:  # the envelope of the connection
                return [Record(event, "session", payload)]
            case _:
                return [Record(event, "custom", payload, turn=last, text=event)]

    def _rejected(self, answer: Answer, now: float) -> list[ClientEffect]:
        """Handle an error code: end the turn of the request, or the oldest turn if no request has the event's name."""
        state, event, payload = self._state, answer.event, answer.payload
        reason = answer.message or str(answer.code)
        if not answer.turn and self._last_error and self._last_error.is_repeated_by(answer, now):
            return [Record(event, "status", payload, turn=self._last_error.turn, text="repeated")]
        late = next((turn for turn in state.turns.recent if turn.unresolved), None)
        if late and event == "support" and answer.turn in (0, late.number):
            late.unresolved = False
            record = Record(event, "error", payload, turn=late.number, text="rejected", error=reason)
            return [record, warn(late.number, f"Eusate rejected this message ({reason})")]
        closed = {conversation.id for conversation in state.conversations.values() if conversation.closed}
        turn = state.turns.rejected_by(answer, closed)
        if not turn:  # the acknowledgement repeats the event
            kind, error = ("status", None) if answer.turn else ("error", reason)
            return [Record(event, kind, payload, turn=answer.turn, error=error)]
        known = state.known(turn.conversation)
        status: Status = "failed" if answer.code >= FIRST_SERVER_ERROR else "rejected"
        record = Record(event, "error", payload, turn=turn.number, text=status, error=reason, conversation=known)
        ended = self._calls.end(turn.conversation, reason) if event == "close_call_support" else []
        self._last_error = ReportedError(turn.number, turn.event, answer, now)
        return [record, *ended, *state.finish(turn, status, reason)]

    def _confirmed(self, answer: Answer) -> list[ClientEffect]:
        """Handle the answer to a request that has no further content, and complete its turn."""
        state, event = self._state, answer.event
        kind = {"mark_conversation_read": "read", "review_support": "review"}.get(event, "session")
        turn = state.turns.waiting_for(event, answer.conversation, answer.turn)
        if not turn or not isinstance(turn.conversation, str):
            kind = kind if event == "mark_conversation_read" else "status"
            conversation = answer.conversation or None
            return [Record(event, kind, answer.payload, turn=state.turns.last, conversation=conversation)]
        effects: list[ClientEffect] = []
        if event == "mark_conversation_read":
            effects = state.update(turn.conversation, unread=0)
        elif event == "leave_support":
            state.left_rooms.add(turn.conversation)
        record = Record(event, kind, answer.payload, turn=turn.number, conversation=turn.conversation)
        return [record, *effects, *state.finish(turn, "completed", event)]

"""The voice calls of a customer. A customer has at most one running call, which is with the bot."""

from __future__ import annotations

from socketnb.dialects.base import misread
from socketnb.dialects.eusate.requests import Answer
from socketnb.dialects.eusate.state import CustomerState
from socketnb.dialects.eusate.turn import ConversationRef
from socketnb.model.effects import CallEnded, CallStarted, ClientEffect, Credential, Record
from socketnb.model.json import as_text
from socketnb.model.secret import Secret


class Calls:
    """The calls that are running, and the events that start and end them."""

    def __init__(self, state: CustomerState) -> None:
        self._state = state
        self._running: dict[str, str] = {}  # conversation → id of the call

    @property
    def conversation(self) -> str | None:
        """The conversation in which a call is running, or None."""
        return next(iter(self._running), None)

    def is_running_in(self, conversation: ConversationRef) -> bool:
        """Return whether a call is running in this conversation."""
        return conversation in self._running

    def started(self, answer: Answer) -> list[ClientEffect]:
        """Handle `call_support`: record the call and complete the turn that started it."""
        state, conversation = self._state, answer.conversation
        token, call = as_text(answer.data.get("token")), as_text(answer.data.get("ticket_call_id"))
        if not token or not conversation or not call:
            number = state.turns.number_in(conversation)
            return [misread("call_support", answer.payload, "token or an id is missing", number)]
        if self._running.get(conversation) == call:
            number = state.turns.number_in(conversation)
            return [
                Record(
                    "call_support", "status", answer.payload, turn=number, text="repeated", conversation=conversation
                )
            ]
        turn = state.turns.waiting_for("call_support", conversation)
        added = state.add(conversation)
        number = turn.number if turn else state.turns.number_in(conversation)
        self._running[conversation] = call
        text = "the call has started"
        record = Record("call_support", "call", answer.payload, turn=number, text=text, conversation=conversation)
        room, start = as_text(answer.data.get("room")), as_text(answer.data.get("call_start_time"))
        started = CallStarted(call, conversation, room or conversation, Secret(token), start, number)
        finished = state.finish(turn, "completed", "call_support") if turn else []
        return [Credential(token), record, *added, started, *finished]

    def ended(self, answer: Answer) -> list[ClientEffect]:
        """Handle `close_call_support`, which answers a turn, or `sate_left_call`, which does not."""
        event, conversation = answer.event, answer.conversation
        call, bot_left = as_text(answer.data.get("ticket_call_id")), event == "sate_left_call"
        text = "the bot has left the call" if bot_left else "the call has ended"
        turn = None if bot_left else self._state.turns.waiting_for(event, conversation)
        if turn and isinstance(turn.conversation, str):
            conversation = conversation or turn.conversation
        number = turn.number if turn else self._state.turns.number_in(conversation)
        record = Record(event, "call", answer.payload, turn=number, text=text, conversation=conversation or None)
        effects: list[ClientEffect] = [record]
        if call in ("", self._running.get(conversation)):
            effects += self.end(conversation, text, as_text(answer.data.get("call_end_time")) or None)
        return effects + (self._state.finish(turn, "completed", event) if turn else [])

    def end(self, conversation: ConversationRef, reason: str, ended_at: str | None = None) -> list[ClientEffect]:
        """End the call in this conversation, if there is one. `ended_at` is the end time that the helpdesk reported."""
        if not isinstance(conversation, str) or conversation not in self._running:
            return []
        return [CallEnded(self._running.pop(conversation), ended_at, reason)]

"""Messages and other events from the helpdesk: echoes, handler changes, and the end of a conversation.

A turn ends with its `support` reply. An agent may reply at any time, so while an agent is the handler, a turn ends
with its `support_echo`, and the agent's messages (`customer_support`) do not end turns. The reason of a turn names the
event that ended it.
"""

from __future__ import annotations

from socketnb.dialects.base import misread
from socketnb.dialects.eusate.calls import Calls
from socketnb.dialects.eusate.messages import SENDERS, created_at, read_message
from socketnb.dialects.eusate.requests import Answer, mark_read
from socketnb.dialects.eusate.seen import SeenMessages
from socketnb.dialects.eusate.state import CustomerState
from socketnb.dialects.eusate.turns import Turn
from socketnb.model.effects import ClientEffect, Persist, Record
from socketnb.model.json import JsonObject, as_dict, as_text

NS_PER_SECOND = 10**9
"""Nanoseconds per second."""
CLOSED_BY_HELPDESK = "the helpdesk has closed the conversation"
"""The text of the trace when the helpdesk closed a conversation."""


class Inbox:
    """Records events from the helpdesk, and ends the turns that they answer.

    Args:
        state: The link, the conversations and the turns.
        calls: The calls that are running.
        seen: The messages that were received.
        mark_read: Whether to mark messages as read when they arrive.
    """

    def __init__(self, state: CustomerState, calls: Calls, seen: SeenMessages, *, mark_read: bool) -> None:
        self._state = state
        self._calls = calls
        self._seen = seen
        self._mark_read = mark_read
        self._late_echoes = 0  # pending echoes of turns that have ended

    def link_lost(self) -> None:
        """Forget the pending echoes of messages sent over the lost link."""
        self._late_echoes = 0

    # Messages

    def message(self, answer: Answer, *, missed: bool = False) -> list[ClientEffect]:
        """Record a message, and complete the turn that it answers.

        Args:
            answer: The event, or a message from the HTTP interface in the same format.
            missed: Whether the message was sent while the link was down and comes from the HTTP interface.
        """
        state, data = self._state, answer.data
        conversation = answer.conversation or self._conversation_of(answer.turn)
        if not conversation or not isinstance(data.get("message"), str):
            problem = f"{'message' if conversation else 'ticket_chat_id'} is missing"
            return [misread(answer.event, answer.payload, problem, state.turns.number_in(conversation))]
        turn = self._answered_turn(answer, conversation, missed=missed)
        is_new = self._seen.add(conversation, data)
        if not is_new and not self._may_be_twin(turn, data):
            return [self._repeated(answer, state.turns.last, conversation)]
        added = state.add(conversation)
        message = read_message(data)
        record = Record(
            answer.event,
            message.kind,
            answer.payload,
            sender=SENDERS.get(as_text(data.get("sender")), "bot"),
            turn=turn.number if turn else state.turns.number_in(conversation),
            text=message.text,
            server_at=created_at(data),
            conversation=conversation,
        )
        effects = [record, *added, *self._apply(conversation, data, missed=missed)]
        if not turn or turn.number not in state.turns.running:
            return effects
        self._late_echoes += not turn.echoed and not missed
        return effects + state.finish(turn, "completed", "support")

    def _conversation_of(self, number: int) -> str:
        """Return the id of the conversation of a sent turn, or "" if the conversation has no id yet."""
        turn = self._state.turns.running.get(number)
        return turn.conversation if turn and isinstance(turn.conversation, str) else ""

    def _answered_turn(self, answer: Answer, conversation: str, *, missed: bool) -> Turn | None:
        """Return the turn that a message answers, or None."""
        sender = as_text(answer.data.get("sender"))
        if sender == "customer" or not (answer.event == "support" or (missed and sender == "sate")):
            return None
        turn = self._state.turns.waiting_for("support", conversation, answer.turn)
        sent_since = turn is not None and missed and turn.link == self._state.link
        return None if sent_since else turn

    @staticmethod
    def _may_be_twin(turn: Turn | None, data: JsonObject) -> bool:
        """Return whether a message that equals an earlier one is a new message and not a repetition.

        Eusate's times can be whole seconds, so the replies to two turns can be equal. A new message answers a turn that
        the helpdesk has confirmed and not yet answered.
        """
        time = created_at(data)
        confirmed = turn is not None and (turn.acked or turn.echoed)
        return confirmed and time is not None and time % NS_PER_SECOND == 0

    @staticmethod
    def _repeated(answer: Answer, number: int, conversation: str) -> Record:
        return Record(answer.event, "status", answer.payload, turn=number, text="repeated", conversation=conversation)

    def _apply(self, conversation: str, data: JsonObject, *, missed: bool) -> list[ClientEffect]:
        """Apply the changes in a message: the handler, the read mark, and the suggestion to close the conversation."""
        state, sender = self._state, as_text(data.get("sender"))
        reads = self._mark_read and sender != "customer"
        unread = 0 if reads or sender == "customer" else state.get(conversation).unread + 1
        effects = state.update(conversation, unread=unread)
        if sender == "agent" and not missed:
            effects += state.update(conversation, handler="agent")
        if "close_support" in data:
            closed = data.get("closed_support") is True
            effects += state.update(conversation, suggested=data["close_support"] is True and not closed)
            effects += self.close(conversation, "closed_support") if closed else []
        return [*effects, *mark_read(conversation)] if reads and state.is_open else effects

    # Echoes and handlers

    def echo(self, answer: Answer) -> list[ClientEffect]:
        """Handle `support_echo`, which confirms a message and, while an agent is the handler, completes its turn."""
        state, conversation = self._state, answer.conversation
        turn = state.turns.waiting_for("support", conversation)
        is_late = self._late_echoes > 0 and not conversation
        self._late_echoes = max(0, self._late_echoes - 1)
        if not turn or turn.echoed or is_late:
            number = state.turns.number_in(conversation)
            return [Record("support_echo", "ack", answer.payload, turn=number, conversation=conversation or None)]
        turn.echoed = True
        known = state.known(turn.conversation)
        record = Record("support_echo", "ack", answer.payload, turn=turn.number, conversation=known)
        if known and state.get(known).handler == "agent":
            return [record, *state.finish(turn, "completed", "support_echo")]
        return [record]

    def handler_changed(self, answer: Answer) -> list[ClientEffect]:
        """Handle `support_handler_changed`: an agent has taken over, or the bot has resumed."""
        state, conversation, handler = self._state, answer.conversation, as_text(answer.data.get("handler"))
        if not conversation or not handler:
            return [misread(answer.event, answer.payload, "ticket_chat_id or handler is missing", state.turns.last)]
        is_agent = handler == "agent"
        agent = as_text(as_dict(answer.data.get("agent")).get("username"))
        text = f"you are now chatting with {agent or 'an agent'}" if is_agent else "the bot answers again"
        number = state.turns.number_in(conversation)
        record = Record(answer.event, "handler", answer.payload, turn=number, text=text, conversation=conversation)
        effects = [record, *state.add(conversation)]
        effects += state.update(conversation, handler="agent" if is_agent else "bot", agent=agent if is_agent else "")
        return effects + (self.taken_over(conversation) if is_agent else [])

    def taken_over(self, conversation: str) -> list[ClientEffect]:
        """Complete the turn that the bot has received: an agent has taken over, so the bot does not answer it."""
        turn = self._state.turns.waiting_for("support", conversation)
        if turn and (turn.echoed or (turn.acked and turn.link < self._state.link)):
            return self._state.finish(turn, "completed", "support_handler_changed")
        return []

    # The end of a conversation

    def closed_by_helpdesk(self, answer: Answer) -> list[ClientEffect]:
        """Handle `customer_support_closed`."""
        conversation, turns = answer.conversation, self._state.turns
        if not conversation:
            return [misread(answer.event, answer.payload, "ticket_chat_id is missing", turns.last)]
        number = turns.number_in(conversation)
        record = Record(
            answer.event, "ended", answer.payload, turn=number, text=CLOSED_BY_HELPDESK, conversation=conversation
        )
        return [record, *self._state.add(conversation), *self.close(conversation, answer.event)]

    def closed_by_customer(self, answer: Answer) -> list[ClientEffect]:
        """Handle `close_support`, the answer to the customer's request to close the conversation."""
        state, event = self._state, "close_support"
        turn = state.turns.waiting_for(event, answer.conversation, answer.turn)
        conversation = answer.conversation or (self._conversation_of(turn.number) if turn else "")
        if not conversation:
            return [misread(event, answer.payload, "ticket_chat_id is missing", state.turns.last)]
        number = turn.number if turn else state.turns.last
        if self._seen.add(conversation, answer.data):
            message = read_message(answer.data)
            record = Record(event, message.kind, answer.payload, "in", "bot", number, message.text)
            record = record._replace(conversation=conversation)
        else:
            record = self._repeated(answer, number, conversation)
        effects = [record, *state.add(conversation), *self.close(conversation, event)]
        return effects + (state.finish(turn, "completed", event) if turn else [])

    def close(self, conversation: str, reason: str) -> list[ClientEffect]:
        """Mark a conversation as closed, end its call, and complete its turns that wait for a reply."""
        state = self._state
        effects = state.update(conversation, closed=True, suggested=False, unread=0)
        effects += self._calls.end(conversation, "the conversation was closed")
        for turn in state.turns.sent:
            if turn.conversation == conversation and turn.event == "support":
                effects += state.finish(turn, "completed", reason)
        return effects + ([Persist("conversation_id", "")] if state.current == conversation else [])

"""Messages and other events from the helpdesk: echoes, handler changes, and the end of a conversation.

A turn ends with its `support` reply, or with the message of an agent who replies instead of the bot. An agent may reply
at any time, so while an agent is the handler, a turn ends with its `support_echo`, and the agent's messages are late
messages of the last turn. The reason of a turn names the event that ended it.

A message that comes before the confirmation of the running turn is a late message of the turn before, if the helpdesk
has confirmed messages before its replies so far. If the confirmation then does not come, the turn ends anyway, with a
warning.
"""

from __future__ import annotations

from typing import Literal

from socketnb.dialects.base import misread, warn
from socketnb.dialects.eusate.calls import Calls
from socketnb.dialects.eusate.messages import SENDERS, created_at, read_files, read_message
from socketnb.dialects.eusate.requests import Answer, mark_read
from socketnb.dialects.eusate.seen import SeenMessages
from socketnb.dialects.eusate.state import CustomerState, Unconfirmed
from socketnb.dialects.eusate.turn import EarlyMessage, Turn
from socketnb.model.effects import ClientEffect, Persist, Record
from socketnb.model.json import JsonObject, as_dict, as_text
from socketnb.model.trace import Sender

NS_PER_SECOND = 10**9
"""Nanoseconds per second."""
CLOSED_BY_HELPDESK = "the helpdesk has closed the conversation"
"""The text of the trace when the helpdesk closed a conversation."""
SURPLUS = "a further message of the bot came later, so the messages of this turn may belong to an earlier one"
"""The warning about a turn whose reply may be a further message to an earlier turn."""


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
        self._announced: set[str] = set()  # conversations whose changes of the handler are announced

    # Messages

    def message(
        self, answer: Answer, now: float, *, missed: bool = False, asked: Turn | None = None
    ) -> list[ClientEffect]:
        """Record a message, and complete the turn that it answers.

        Args:
            answer: The event, or a message from the HTTP interface in the same format.
            now: The time.
            missed: Whether the message was sent while the link was down and comes from the HTTP interface.
            asked: The turn that a missed message answers, or None.
        """
        state, data = self._state, answer.data
        conversation = answer.conversation or self._conversation_of(answer.turn)
        if not conversation or not (isinstance(data.get("message"), str) or read_files(data)):
            problem = f"{'message' if conversation else 'ticket_chat_id'} is missing"
            return [misread(answer.event, answer.payload, problem, state.turns.number_in(conversation))]
        sender = SENDERS.get(as_text(data.get("sender")), "bot")
        turn = asked if missed or sender == "user" else self._answered_turn(answer, conversation)
        is_new = self._seen.add(conversation, data)
        if not is_new and not self._may_be_twin(turn, data):
            return [self._repeated(answer, conversation)]
        if sender == "user":
            return self._from_customer(answer, conversation)
        early_for = None if turn or missed else self._early_for(conversation)
        added = state.add(conversation)
        handler = state.get(conversation).handler
        changed = None if missed else self._handler_told_by(conversation, sender)
        number, warnings = self._place(turn, conversation, sender, is_twin=not is_new, missed=missed)
        if early_for:
            early_for.early = EarlyMessage(conversation, number)
            state.await_echo(early_for, now)
        if sender == "bot":
            state.turns.account(conversation).heard_at = now
        message = read_message(data)
        record = Record(
            answer.event,
            message.kind,
            answer.payload,
            sender=sender,
            turn=number,
            text=message.text,
            server_at=created_at(data),
            conversation=conversation,
        )
        effects = [record, *added, *(state.update(conversation, handler=changed, agent="") if changed else [])]
        effects += [*self._apply(conversation, data, now), *warnings]
        if not turn or turn.number not in state.turns.running:
            return effects
        if sender == "bot":
            effects += state.finish(turn, "completed", "support")
            state.turns.account(conversation).owed = not is_new
            return effects
        return effects + state.finish_by_agent(turn, "customer_support", asked_bot=handler == "bot")

    def _conversation_of(self, number: int) -> str:
        """Return the id of the conversation of a sent turn, or "" if the conversation has no id yet."""
        turn = self._state.turns.running.get(number)
        return turn.conversation if turn and isinstance(turn.conversation, str) else ""

    def _answered_turn(self, answer: Answer, conversation: str) -> Turn | None:
        """Return the turn that a message answers, or None if the helpdesk has not received the running turn yet."""
        turns = self._state.turns
        turn = turns.waiting_for("support", conversation, answer.turn)
        if turn is None or answer.turn:
            return turn
        is_late_answer = answer.data.get("sender") != "agent" and self._is_for_agent(turn)
        if is_late_answer and not turns.account(conversation).answered:
            return None
        return None if turns.is_unreceived(turn) else turn

    def _early_for(self, conversation: str) -> Turn | None:
        """Return the running turn that a message would answer if the helpdesk had received it, or None."""
        turns = self._state.turns
        turn = turns.waiting_for("support", conversation)
        turn = turn or (None if self._state.known(conversation) else turns.starter)
        return turn if turn and turns.is_unreceived(turn) else None

    def _place(
        self, turn: Turn | None, conversation: str, sender: Sender, *, is_twin: bool, missed: bool
    ) -> tuple[int, list[ClientEffect]]:
        """Return the number of the turn that a message belongs to, and warnings about turns that are in doubt."""
        state, turns = self._state, self._state.turns
        account, from_bot = turns.account(conversation), sender == "bot"
        if turn is None:
            number, doubtful = account.late(from_bot=from_bot)
            return number, [warn(each, SURPLUS) for each in doubtful]
        number = turn.number
        if from_bot and not missed and turn.link == state.link:
            turn.replied = True
            turns.confirmations.learn(turn)
        doubts = [f"the reply may be the late answer to turn {turn.owed}"] if account.reply(turn) else []
        if from_bot and not (turn.certain or turn.confirmed or turns.confirmations.has_echoes or missed):
            doubts.append("Eusate confirms no messages, so the reply may belong to an earlier turn")
        if from_bot and self._is_for_agent(turn):
            doubts.append("the bot has written while an agent answers, so this may not be the reply")
        if is_twin:
            doubts.append("the reply equals the one before it, so it may be a repetition")
        if not from_bot:
            account.doubtful.append(number)
            if not turn.confirmed:
                doubts.append("Eusate has not confirmed this message, so the agent's message may not be a reply")
        if not turn.confirmed and turn.link < state.link and not missed:
            doubts.append("Eusate has not confirmed this message, so the reply may belong to an earlier turn")
        return number, [warn(number, text) for text in doubts]

    @staticmethod
    def _may_be_twin(turn: Turn | None, data: JsonObject) -> bool:
        """Return whether a message that equals an earlier one is a new message and not a repetition.

        Eusate's times can be whole seconds, so the replies to two turns can be equal. A new message answers a turn that
        the helpdesk has confirmed and not yet answered.
        """
        time = created_at(data)
        return bool(turn and turn.confirmed) and time is not None and time % NS_PER_SECOND == 0

    def _repeated(self, answer: Answer, conversation: str) -> Record:
        number = self._state.turns.number_in(conversation)
        return Record(answer.event, "status", answer.payload, turn=number, text="repeated", conversation=conversation)

    def _from_customer(self, answer: Answer, conversation: str) -> list[ClientEffect]:
        """Record a message that the customer has sent with another client, or a copy of our own message."""
        text = as_text(answer.data.get("message"))
        if any(turn.conversation == conversation and turn.text == text for turn in self._state.turns.recent):
            return [self._repeated(answer, conversation)]
        message = read_message(answer.data)
        record = Record(answer.event, message.kind, answer.payload, sender="user", text=message.text)
        record = record._replace(server_at=created_at(answer.data), conversation=conversation)
        return [record, *self._state.add(conversation)]

    def _handler_told_by(self, conversation: str, sender: Sender) -> Literal["bot", "agent"] | None:
        """Return the handler of a conversation if a message tells that it has changed without an announcement."""
        if sender == "agent":
            return None if conversation in self._announced else "agent"
        return "bot" if self._state.turns.account(conversation).is_unasked else None

    def _apply(self, conversation: str, data: JsonObject, now: float) -> list[ClientEffect]:
        """Apply the changes in a message: the read mark, and the suggestion to close the conversation."""
        state = self._state
        effects = state.update(conversation, unread=0 if self._mark_read else state.get(conversation).unread + 1)
        if "close_support" in data:
            closed = data.get("closed_support") is True
            effects += state.update(conversation, suggested=data["close_support"] is True and not closed)
            effects += self.close(conversation, "closed_support", now) if closed else []
        return [*effects, *mark_read(conversation)] if self._mark_read and state.is_open else effects

    # Confirmations and handlers

    def echo(self, answer: Answer, now: float) -> list[ClientEffect]:
        """Handle `support_echo`, which confirms a message and, while an agent is the handler, completes its turn."""
        state, turns = self._state, self._state.turns
        turns.confirmations.has_echoes = True
        turn = self._echoed_turn(answer.conversation)
        number = turn.number if turn else turns.number_in(answer.conversation)
        conversation = state.known(turn.conversation) if turn else answer.conversation or None
        record = Record("support_echo", "ack", answer.payload, turn=number, conversation=conversation)
        if not turn:
            return [record]
        turn.confirmed.add("echo")
        if number in turns.running:
            effects: list[ClientEffect] = [record]
            if turn.early and any("echo" not in other.confirmed for other in turns.sent):
                effects += state.warn_of_early(turn)  # the echo may be that of another turn
            else:
                state.deadlines.clear(Unconfirmed(number))
            return effects + (state.finish_by_agent(turn, "support_echo") if self._is_for_agent(turn) else [])
        turns.confirmations.came_late("echo")
        for other in turns.sent:  # the echo may also be that of another turn, if one was not sent
            if self._is_for_agent(other) and "echo" not in other.confirmed:
                self._state.await_echo(other, now)
        return [record]

    def _echoed_turn(self, conversation: str) -> Turn | None:
        """Return the turn that the next `support_echo` confirms, or None. The event usually names no conversation."""
        turns = self._state.turns
        is_first = "echo" in turns.confirmations.expected
        for turn in turns.recent:
            is_awaited = turn.number in turns.running or (turn.replied and not is_first)
            if is_awaited and "echo" not in turn.confirmed and conversation in ("", turn.conversation):
                return turn
        return None

    def acked(self, number: int, now: float) -> None:
        """Handle the acknowledgement of a turn, with or without content."""
        turns = self._state.turns
        turn = turns.running.get(number) or next((turn for turn in turns.recent if turn.number == number), None)
        if not turn:
            return
        turn.confirmed.add("ack")
        if number not in turns.running:
            if turn.replied:
                turns.confirmations.came_late("ack")
        elif "echo" not in turn.confirmed and self._is_for_agent(turn):
            self._state.await_echo(turn, now)
        else:
            self._state.deadlines.clear(Unconfirmed(number))

    def _is_for_agent(self, turn: Turn) -> bool:
        return turn.event == "support" and self._state.get(turn.conversation).handler == "agent"

    def handler_changed(self, answer: Answer, now: float) -> list[ClientEffect]:
        """Handle `support_handler_changed`: an agent has taken over, or the bot has resumed."""
        state, conversation, handler = self._state, answer.conversation, as_text(answer.data.get("handler"))
        if not conversation or not handler:
            return [misread(answer.event, answer.payload, "ticket_chat_id or handler is missing", state.turns.last)]
        is_agent = handler == "agent"
        agent = as_text(as_dict(answer.data.get("agent")).get("username"))
        text = f"you are now chatting with {agent or 'an agent'}" if is_agent else "the bot answers again"
        self._announced.add(conversation)
        number = state.turns.number_in(conversation)
        record = Record(answer.event, "handler", answer.payload, turn=number, text=text, conversation=conversation)
        effects = [record, *state.add(conversation)]
        effects += state.update(conversation, handler="agent" if is_agent else "bot", agent=agent if is_agent else "")
        return effects + (self.taken_over(conversation, now) if is_agent else [])

    def taken_over(self, conversation: str, now: float) -> list[ClientEffect]:
        """Complete the turn that the bot has received: an agent has taken over, so the bot does not answer it."""
        turn = self._state.turns.waiting_for("support", conversation)
        if turn and turn.confirmed:
            return self._state.finish(turn, "completed", "support_handler_changed", answered=False)
        if turn:
            self._state.await_echo(turn, now)
        return []

    # The end of a conversation

    def closed_by_helpdesk(self, answer: Answer, now: float) -> list[ClientEffect]:
        """Handle `customer_support_closed`."""
        conversation, turns = answer.conversation, self._state.turns
        if not conversation:
            return [misread(answer.event, answer.payload, "ticket_chat_id is missing", turns.last)]
        number = turns.number_in(conversation)
        record = Record(
            answer.event, "ended", answer.payload, turn=number, text=CLOSED_BY_HELPDESK, conversation=conversation
        )
        return [record, *self._state.add(conversation), *self.close(conversation, answer.event, now)]

    def closed_by_customer(self, answer: Answer, now: float) -> list[ClientEffect]:
        """Handle `close_support`, the answer to the customer's request to close the conversation."""
        state, event = self._state, "close_support"
        turn = state.turns.waiting_for(event, answer.conversation, answer.turn)
        conversation = answer.conversation or (self._conversation_of(turn.number) if turn else "")
        if not conversation:
            return [misread(event, answer.payload, "ticket_chat_id is missing", state.turns.last)]
        number = turn.number if turn else state.turns.number_in(conversation)
        if self._seen.add(conversation, answer.data):
            message = read_message(answer.data)
            record = Record(event, message.kind, answer.payload, "in", "bot", number, message.text)
            record = record._replace(conversation=conversation)
        else:
            record = self._repeated(answer, conversation)
        effects = [record, *state.add(conversation), *self.close(conversation, event, now)]
        return effects + (state.finish(turn, "completed", event) if turn else [])

    def close(self, conversation: str, reason: str, now: float) -> list[ClientEffect]:
        """Mark a conversation as closed, end its call, and complete its turns that wait for a reply.

        A turn that the helpdesk has not received yet will be rejected.
        """
        state = self._state
        effects = state.update(conversation, closed=True, suggested=False, unread=0)
        effects += self._calls.end(conversation, "the conversation was closed")
        for turn in state.turns.sent:
            if turn.conversation != conversation or turn.event != "support":
                continue
            if state.turns.is_unreceived(turn):
                state.await_echo(turn, now)
            else:
                turn.unresolved = not turn.confirmed
                effects += state.finish(turn, "completed", reason)
        return effects + ([Persist("conversation_id", "")] if state.current == conversation else [])

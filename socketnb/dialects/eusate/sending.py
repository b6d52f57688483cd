"""Sending of the customer's actions, with their queue and the checks before sending.

A turn belongs to the conversation that it names, or otherwise to the conversation of the previous turn.
"""

from __future__ import annotations

from dataclasses import replace

from socketnb.dialects.base import end_turn
from socketnb.dialects.eusate.actions import EVENTS, MAX_RATING, MIN_RATING, payload_of, user_input
from socketnb.dialects.eusate.calls import Calls
from socketnb.dialects.eusate.requests import MAX_OPEN_CONVERSATIONS, STARTING_EVENTS, enter_room, request
from socketnb.dialects.eusate.seen import SeenMessages
from socketnb.dialects.eusate.state import CustomerState, Phase
from socketnb.dialects.eusate.turn import ConversationRef, NewConversation, Turn
from socketnb.dialects.turns import QUEUE_FULL
from socketnb.model.actions import Action
from socketnb.model.effects import ClientEffect
from socketnb.model.json import Json, as_dict, as_list


class Sender:
    """Queues the customer's actions, and sends each one when no turn is running in its conversation.

    Args:
        state: The link, the conversations and the turns.
        calls: The calls that are running.
        seen: The messages that were received.
        session_id: The id of the customer.
    """

    def __init__(self, state: CustomerState, calls: Calls, seen: SeenMessages, session_id: str) -> None:
        self._state = state
        self._calls = calls
        self._seen = seen
        self._session_id = session_id

    def act(self, turn: int, action: Action, now: float) -> list[ClientEffect]:
        """Send an action, or queue it behind the turns of its conversation."""
        state = self._state
        if action.verb == "press":
            closed = as_dict(action.request).get("close")
            if not isinstance(closed, str):
                return end_turn(turn, "failed", "this button is not from this helpdesk (nothing was sent)")
            action = replace(action, verb="close", conversation=closed)
        if state.turns.full:
            return end_turn(turn, "failed", QUEUE_FULL)
        conversation, previous = self._conversation_for(turn, action), state.current
        if EVENTS[action.verb] in STARTING_EVENTS:
            state.current = conversation
        state.turns.add(turn, Turn(turn, action, conversation, previous))
        return self.send_next(now)

    def _conversation_for(self, turn: int, action: Action) -> ConversationRef:
        """Return the conversation of an action: a new one if the action starts one, or None if there is none."""
        state = self._state
        if action.conversation:
            return action.conversation
        if action.verb == "hang_up" and self._calls.conversation and action.conversation is None:
            return self._calls.conversation
        can_start = EVENTS[action.verb] in STARTING_EVENTS
        if can_start and (action.conversation == "" or not state.current or state.get(state.current).closed):
            return NewConversation(turn)
        return state.current

    def obstacle(self, turn: Turn) -> str:
        """Return why a queued turn has not been sent."""
        state, turns = self._state, self._state.turns
        if state.phase is not Phase.READY:
            return "waiting for the list of conversations" if state.is_open else "the link is down"
        blocker = turns.blocker(turn)
        return turns.obstacle(blocker.number if blocker else turns.last)

    def send_next(self, now: float) -> list[ClientEffect]:
        """Send the queued turns whose conversation has no running turn."""
        effects: list[ClientEffect] = []
        turns = self._state.turns
        while self._state.phase is Phase.READY and (number := turns.next()) is not None:
            effects += self._send(turns.waiting[number], now)
        return effects

    def _send(self, turn: Turn, now: float) -> list[ClientEffect]:
        state = self._state
        if problem := self._problem(turn):
            state.forget(turn)
            return state.end(turn, "failed", f"{problem} (nothing was sent)")
        state.turns.begin(turn, state.link, now)
        conversation = turn.conversation if isinstance(turn.conversation, str) else None
        handled_by_agent = turn.event == "support" and state.get(conversation).handler == "agent"
        if handled_by_agent and not state.turns.confirmations.has_echoes:
            state.await_echo(turn, now)
        turn.sent_after = self._seen.latest(conversation or "")
        effects: list[ClientEffect] = []
        if conversation in state.left_rooms and turn.event in STARTING_EVENTS:
            state.left_rooms.discard(conversation)
            effects = enter_room(conversation)
        payload = payload_of(turn.action, self._session_id, conversation)
        shown = user_input(turn.event, payload)
        text = shown.text or shown.verb
        return [*effects, *request(turn.event, payload, "action", conversation, turn=turn.number, text=text)]

    def _problem(self, turn: Turn) -> str | None:
        """Return why a turn cannot be sent, or None."""
        state, action, starts = self._state, turn.action, turn.event in STARTING_EVENTS
        is_new = isinstance(turn.conversation, NewConversation)
        conversation = state.get(turn.conversation)
        if turn.conversation is None or (is_new and not starts):
            return f"there is no conversation to {action.verb.replace('_', ' ')} yet; send a message first"
        if is_new and len(state.open_conversations) >= MAX_OPEN_CONVERSATIONS:
            maximum = MAX_OPEN_CONVERSATIONS
            return f"{maximum} conversations are open, which is the maximum; close one, or continue one of them"
        if conversation.closed and (starts or action.verb == "close"):
            return f"conversation {conversation.id!r} is closed; start another one with new_conversation()"
        is_agent, call = conversation.handler == "agent", self._calls.conversation
        match action.verb:
            case "attach" if not is_agent:
                return "files can be sent only while an agent answers"
            case "attach" if not all(_is_file(file) for file in as_list(action.json("files")) or [None]):
                return (
                    "each file must be a URL or a description with a url; a local file must first be stored elsewhere"
                )
            case "review" if action.json("rating") not in range(MIN_RATING, MAX_RATING + 1):
                return f"rating must be a whole number from 1 to 5, got {action.json('rating')}"
            case "call" if is_agent:
                return "a call is possible only while the bot answers, and an agent answers in this conversation"
            case "call" if call or any(other.event == "call_support" for other in state.turns.sent):
                return "another call is running; end it first"
            case "hang_up" if call and not self._calls.is_running_in(turn.conversation):
                return f"no call is running in this conversation; the call is in conversation {call!r}"
            case _:
                return None


def _is_file(file: Json) -> bool:
    return "://" in file if isinstance(file, str) else isinstance(file, dict) and bool(file.get("url"))

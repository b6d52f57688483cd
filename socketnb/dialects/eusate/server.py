"""The server machine: an Eusate helpdesk for customers and agents, with its HTTP interface.

The options in `server_options.py` select what the vendor's page does not define: the name of the connection event,
how requests are answered, whether the echo is sent before the reply, and more. A rejected request is answered with an
event of the same name. The bot ("SATE") answers a turn with one message, so all steps of a turn are joined into one
text, unless the option `replies` is `each`. If the flow raises an exception, the answer is a `support` event with
`status_code` 500.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, assert_never

from socketnb.dialects.base import ServerMachine
from socketnb.dialects.eusate.actions import MAX_RATING, MIN_RATING, user_input
from socketnb.dialects.eusate.requests import NAMESPACE
from socketnb.dialects.eusate.server_conversations import (
    ConversationStore,
    HelpdeskConversation,
    Problem,
    RunningCall,
    iso_time,
)
from socketnb.dialects.eusate.server_http import HttpInterface
from socketnb.dialects.eusate.server_rooms import Rooms, envelope
from socketnb.dialects.eusate.server_text import text_of
from socketnb.dialects.tokens import jwt
from socketnb.errors import SettingsError
from socketnb.model.content import (
    AgentSays,
    Card,
    Cards,
    Choices,
    Custom,
    Delta,
    End,
    Handover,
    Media,
    Node,
    Queue,
    Raw,
    Step,
    Text,
    Typing,
)
from socketnb.model.effects import Emit, EndFlow, HttpCall, Refuse, RunFlow, ServerEffect
from socketnb.model.json import Json, JsonObject, JsonOut, as_dict, as_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from socketnb.dialects.base import NewId, Settings

CALL_TOKEN_HOURS = 6
"""The validity of the token of a voice call, in hours."""
RATINGS = tuple(map(str, range(MIN_RATING, MAX_RATING + 1)))
"""The allowed ratings of a review, as strings."""


class Server(ServerMachine):
    """The server machine of a helpdesk. `ids` returns a new unique string at each call."""

    namespace = NAMESPACE
    path = "socket.io"

    def __init__(self, settings: Settings, ids: NewId, options: Settings) -> None:
        self._api_key: str = settings["api_key"].reveal()
        self._ids = ids
        self._options = options
        self._signing_key = ids().encode()
        self._faults: set[str] = set()
        self._conversations = ConversationStore(ids, options)
        self._rooms = Rooms(options, self._faults)
        self._http = HttpInterface(
            self._api_key, self._conversations.by_id, lambda conversation: self._set_agent(conversation, "an agent")
        )

    # Links

    def opened(self, link: str, query: Mapping[str, str], now: float) -> list[ServerEffect]:
        """Handle a new connection. The query contains the API key."""
        source = query.get("token_source")
        if source not in ("api", "inapp"):
            return [Refuse(json.dumps({"status_code": 400, "message": "token_source must be api or inapp"}))]
        if query.get("token") != self._api_key:
            return [Refuse(json.dumps({"status_code": 401, "message": "Invalid token"}))]
        if source == "inapp":
            self._rooms.agents.add(link)
        name = self._options["envelope"]
        return [Emit(name, (envelope(link, "Connected"),), link)] if name else []

    def closed(self, link: str, now: float, *, goodbye: bool = False) -> list[ServerEffect]:
        """Handle the loss of a link: remove it from all rooms."""
        self._rooms.remove(link)
        for conversation in self._conversations.by_id.values():
            conversation.room.discard(link)
        return []

    def _time(self, now: float) -> str:
        return iso_time(int(now) if self._options["whole_seconds"] else now)

    # Requests

    def received(self, link: str, event: str, payload: Json, now: float) -> list[ServerEffect]:
        """Handle an event from a client."""
        if "mute" in self._faults:
            return []
        body = as_dict(payload)
        match event:
            case "enter_customer_support":
                return self._enter(link, body)
            case "support":
                return self._support(link, body, now)
            case "call_support":
                return self._start_call(link, body, now)
            case (
                "enter_support"
                | "leave_support"
                | "mark_conversation_read"
                | "close_call_support"
                | "close_support"
                | "review_support"
                | "agent_support"
            ):
                conversation = self._conversations.by_id.get(as_text(body.get("ticket_chat_id")))
                if conversation is None:
                    return self._rooms.reject(link, event, Problem("unknown ticket_chat_id", 404))
                return self._request(link, event, conversation, body, self._time(now))
            case _:
                return []

    def _request(
        self, link: str, event: str, conversation: HelpdeskConversation, body: JsonObject, time: str
    ) -> list[ServerEffect]:
        """Handle a request that concerns an existing conversation."""
        match event:
            case "enter_support":
                conversation.room.add(link)
                return self._rooms.answer(link, event, "Joined support room")
            case "leave_support":
                conversation.room.discard(link)
                return self._rooms.answer(link, event, "Left support room")
            case "mark_conversation_read":
                reader = as_text(body.get("entity"))
                if reader not in conversation.read:
                    return self._rooms.reject(link, event, Problem("entity must be customer or agent"))
                conversation.read[reader] = True
                return self._rooms.answer(link, event, "Marked as read")
            case "close_call_support":
                data = {**conversation.call_data(), "call_end_time": time}
                conversation.call = None
                return self._rooms.broadcast(conversation.room | {link}, event, "Call ended", data)
            case "close_support":
                return self._close(link, conversation, time)
            case "review_support":
                return self._review(link, conversation, body)
            case _:
                return self._agent_support(link, conversation, body, time)

    def _enter(self, link: str, body: JsonObject) -> list[ServerEffect]:
        event, session = "enter_customer_support", as_text(body.get("session_id"))
        if not session:
            return self._rooms.reject(link, event, Problem("session_id is required"))
        missed = self._rooms.enter(link, session)
        return [*self._rooms.answer(link, event, "Joined customer support room"), *missed]

    def _support(self, link: str, body: JsonObject, now: float) -> list[ServerEffect]:
        """Handle a message from a customer."""
        time = self._time(now)
        if "refuse" in self._faults:
            return self._rooms.reject(link, "support", Problem("refused on request"))
        conversation = self._conversations.find_or_start("support", body, time)
        if isinstance(conversation, Problem):
            return self._rooms.reject(link, "support", conversation)
        self._conversations.use(conversation)
        self._postpone_closing(conversation, now)
        if not self._options["strict"]:
            self._rooms.add_customer(link, conversation.session)
        attachment = body.get("attachment_metadata")
        data = conversation.add_message(self._ids(), body.get("message"), "customer", time, attachment)
        conversation.asking_link = link
        echo: list[ServerEffect] = [Emit("support_echo", (envelope(link, "support_echo"),), link)]
        if self._options["echo"] == "never" or "lose_echo" in self._faults:
            self._faults.discard("lose_echo")
            echo.clear()
        if conversation.agent:  # agents receive the customer's messages as events of the same name
            agents = conversation.room & self._rooms.agents
            answer: str = self._options["agent_reply"]
            reply = self._agent_message(conversation, answer, None, time) if answer else []
            return [*echo, *self._rooms.broadcast(agents, "support", "Message received", data), *reply]
        if "silent" in self._faults:
            self._faults.discard("silent")
            conversation.silent = True
        conversation.inputs.append(user_input("support", body))
        is_idle = len(conversation.inputs) == 1
        run = [RunFlow(conversation.id, conversation.inputs[0])] if is_idle else []
        return [*echo, *run] if self._options["echo"] == "before" else [*run, *echo]

    def _close(self, link: str, conversation: HelpdeskConversation, time: str) -> list[ServerEffect]:
        event = "close_support"
        if conversation.closed:
            return self._rooms.reject(link, event, Problem("the conversation is closed"))
        conversation.closed = conversation.suggests_closing = True
        self._set_deadline()
        text = "Thank you for writing to us. Your conversation is closed."
        data = conversation.add_message(self._ids(), text, "sate", time)
        message = "Support conversation closed"
        others = self._rooms.broadcast(conversation.room - {link}, event, message, data)
        return [*self._rooms.answer(link, event, message, data), *others, EndFlow(conversation.id)]

    def _review(self, link: str, conversation: HelpdeskConversation, body: JsonObject) -> list[ServerEffect]:
        if body.get("rating") not in RATINGS:
            return self._rooms.reject(link, "review_support", Problem('rating must be a string from "1" to "5"'))
        data = {
            "rating": body["rating"],
            "review": as_text(body.get("review")),
            "ticket_chat_id": conversation.id,
        }
        return self._rooms.answer(link, "review_support", "Review noted", data)

    # Calls

    def _start_call(self, link: str, body: JsonObject, now: float) -> list[ServerEffect]:
        event, time = "call_support", self._time(now)
        conversation = self._conversations.find_or_start(event, body, time)
        if isinstance(conversation, Problem):
            return self._rooms.reject(link, event, conversation)
        if conversation.agent:
            return self._rooms.reject(link, event, Problem("calls are possible only while SATE answers"))
        if conversation.call:
            return self._rooms.reject(link, event, Problem("a call is in progress"))
        self._conversations.use(conversation)
        conversation.call = RunningCall(f"call_{self._ids()}", time)
        grants: JsonObject = {"room": conversation.id, "roomJoin": True, "canPublish": True, "canSubscribe": True}
        expires = int(now) + CALL_TOKEN_HOURS * 3600
        claims: JsonObject = {"iss": "simulated", "sub": conversation.session, "nbf": int(now), "exp": expires}
        token = jwt({**claims, "jti": self._ids(), "video": grants}, self._signing_key)
        data = {"token": token, **conversation.call_data()}
        return self._rooms.broadcast(conversation.room | {link}, event, "Call started", data)

    def leave_call(self, conversation: str, now: float) -> list[ServerEffect]:
        """Let the bot leave the voice call of a conversation."""
        current = self._conversations.by_id[conversation]
        if not current.call:
            raise SettingsError("no call is running in this conversation")
        data = {"ticket_chat_id": current.id, "ticket_call_id": current.call.id}
        current.call = None
        return self._rooms.to_customer(current, "sate_left_call", "SATE left the call", data)

    # Agents

    def _agent_support(
        self, link: str, conversation: HelpdeskConversation, body: JsonObject, time: str
    ) -> list[ServerEffect]:
        """Handle a message from an agent."""
        event = "agent_support"
        if link not in self._rooms.agents:
            return self._rooms.reject(link, event, Problem("this event is for agents only", 403))
        attachment = body.get("attachment_metadata") or body.get("attachment_meta")
        effects = self._agent_message(conversation, as_text(body.get("message")), attachment, time)
        data = {name: value for name, value in conversation.messages[-1].items() if name != "id"}
        agents = (conversation.room & self._rooms.agents) | {link}
        return [*effects, *self._rooms.broadcast(agents, event, "Message sent", data)]

    def _agent_message(
        self, conversation: HelpdeskConversation, text: str, attachment: JsonOut, time: str
    ) -> list[ServerEffect]:
        joins = [] if conversation.agent else self._set_agent(conversation, "an agent")
        data = conversation.add_message(self._ids(), text, "agent", time, attachment)
        return [*joins, *self._rooms.to_customer(conversation, "customer_support", "New message", data)]

    def _set_agent(self, conversation: HelpdeskConversation, name: str) -> list[ServerEffect]:
        """Hand a conversation over to an agent, or back to the bot if the name is empty."""
        conversation.agent = name
        agent = {"id": f"agent_{name.casefold().replace(' ', '_')}", "username": name} if name else None
        data = {"ticket_chat_id": conversation.id, "handler": "agent" if name else "sate", "agent": agent}
        return self._rooms.to_customer(conversation, "support_handler_changed", "Handler changed", data)

    def conversation(self, to: str | None) -> str:
        """Return the conversation with this id, or the one that this customer used last; None means any customer.

        Raises:
            SettingsError: There is no such conversation.
        """
        return self._conversations.last(to).id

    def close(self, conversation: str, now: float) -> list[ServerEffect]:
        """Close a conversation for the customer."""
        current = self._conversations.by_id[conversation]
        current.closed = True
        self._set_deadline()
        data = {"ticket_id": current.ticket, "ticket_chat_id": current.id, "status": "resolved_and_closed"}
        effects = self._rooms.to_customer(current, "customer_support_closed", "Conversation closed", data)
        return [*effects, EndFlow(current.id)]

    # The flow

    def put(self, conversation: str, step: Step, now: float) -> list[ServerEffect]:
        """Send a step of an agent, or add a step of the flow to the reply."""
        current = self._conversations.by_id[conversation]
        self._postpone_closing(current, now)
        match step:
            case Raw(event, payload):
                return [Emit(event, (payload,), link) for link in sorted(current.room | {current.asking_link})]
            case End():
                current.suggests_closing = True
            case Handover(agent):
                return [*self._flush(current, now), *self._set_agent(current, agent)]
            case AgentSays(text, attachment):
                return [*self._flush(current, now), *self._agent_message(current, text, attachment, self._time(now))]
            case Delta(first=first, text=text):
                if first or not current.parts:
                    current.parts.append("")
                current.parts[-1] += text
            case Text() | Choices() | Card() | Cards() | Media() | Custom() | Queue():
                text = text_of(step)
                effects = self._flush(current, now) if text and self._options["replies"] == "each" else []
                current.parts += [text] if text else []
                return effects
            case Node() | Typing():
                pass  # the helpdesk has no event for these steps
            case _:
                assert_never(step)
        return []

    def done(self, conversation: str, error: str | None, now: float) -> list[ServerEffect]:
        """End a turn of the flow: send its reply, or its error, and run the flow for the next message."""
        current = self._conversations.by_id[conversation]
        if not current.inputs:  # the flow failed after its turn ended with a question
            return []
        current.inputs.popleft()
        following: list[ServerEffect] = [RunFlow(current.id, current.inputs[0])] if current.inputs else []
        if error:
            current.parts.clear()
            failure = envelope(current.asking_link, error, {"ticket_chat_id": current.id}, 500)
            return [Emit("support", (failure,), current.asking_link), *following]
        if current.silent:
            current.silent = False
            current.parts.clear()
            return following
        return [*self._flush(current, now, always=not current.agent), *following]

    def _flush(self, conversation: HelpdeskConversation, now: float, *, always: bool = False) -> list[ServerEffect]:
        """Send the reply collected so far. An empty reply is sent only if `always` is set."""
        if not conversation.parts and not always:
            return []
        text = "\n\n".join(filter(None, conversation.parts))
        data = conversation.add_message(self._ids(), text, "sate", self._time(now))
        conversation.parts.clear()
        conversation.suggests_closing = False
        event, message = "support", "Message sent successfully"
        links = conversation.room | ({conversation.asking_link} & self._rooms.links_of(conversation.session))
        if self._options["strict"]:  # only the first reply reaches a link that has not entered the room
            is_first = [each["sender"] for each in conversation.messages].count("sate") == 1
            links = conversation.room | ({conversation.asking_link} if is_first else set())
        if links or self._options["strict"]:
            return self._rooms.broadcast(links, event, message, data)
        return self._rooms.to_customer(conversation, event, message, data)

    def fault(self, name: str) -> list[ServerEffect]:
        """Inject one of `FAULTS`."""
        self._faults.add(name)
        return []

    def timer(self, now: float) -> list[ServerEffect]:
        """Close the conversations that have been idle for the time of the option `auto_close`."""
        idle = [each for each in self._conversations.by_id.values() if not each.closed and self._closes_at(each) <= now]
        return [effect for conversation in idle for effect in self.close(conversation.id, now)]

    def _closes_at(self, conversation: HelpdeskConversation) -> float:
        after: float = self._options["auto_close"]
        return conversation.active_at + after if after else float("inf")

    def _postpone_closing(self, conversation: HelpdeskConversation, now: float) -> None:
        conversation.active_at = now
        self._set_deadline()

    def _set_deadline(self) -> None:
        open_ = (conversation for conversation in self._conversations.by_id.values() if not conversation.closed)
        due = min(map(self._closes_at, open_), default=float("inf"))
        self.deadline = due if due < float("inf") else None

    def request(self, request: HttpCall, now: float) -> list[ServerEffect]:
        """Handle a call to the HTTP interface."""
        return self._http.answer(request)

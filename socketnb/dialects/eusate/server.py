"""The server machine: an Eusate helpdesk, for customers and for agents, with its HTTP interface.

What the vendor does not publish is decided here, most of it by `OPTIONS`: under which name the connection's envelope
comes, how requests are answered, whether the echo comes before the reply, and that agents' messages wait for a
customer who is away. A request that is refused is answered under its own name. The bot ("SATE") answers a turn with
one message: what the flow shows is put into its words.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from socketnb.dialects.base import ServerMachine
from socketnb.dialects.eusate.actions import user_input
from socketnb.dialects.eusate.requests import MAX_OPEN_CONVERSATIONS, NAMESPACE
from socketnb.dialects.tokens import jwt
from socketnb.errors import SettingsError
from socketnb.model.actions import Setting
from socketnb.model.content import (
    AgentSays,
    Card,
    Cards,
    Choice,
    Choices,
    Custom,
    Delta,
    End,
    Handover,
    Media,
    Queue,
    Raw,
    Step,
    Text,
    UserInput,
)
from socketnb.model.effects import Acknowledge, Emit, EndFlow, HttpCall, HttpReply, Refuse, RunFlow, ServerEffect
from socketnb.model.json import as_dict, as_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

OPTIONS: dict[str, Setting] = {
    "envelope": Setting("the event that tells of the connection; empty: none", default="connect_response"),
    "answers": Setting("how requests are answered", default="event", among=("event", "ack", "both")),
    "echo": Setting("when support_echo comes", default="before", among=("before", "after")),
    "keep_missed": Setting("keep agents' messages for a customer who is away", type=bool, default=True),
}
FAULTS = {
    "silent": "the next message is echoed and never answered",
    "mute": "nothing that clients send is answered any more",
    "duplicate": "every broadcast is sent twice",
    "refuse": "every message is refused",
}
TOKEN_HOURS = 6
NO_FILES = "attachments are for agents only"
CONVERSATIONS = re.compile(r"/api/v1/helpdesk/customer/(.+)/conversations/(?:([^/]+)/messages/)?")
TAKE_OVER = re.compile(r"/api/v1/helpdesk/[^/]+/tickets/([^/]+)/take-over/")


@dataclass(slots=True)
class _Talk:
    """One conversation."""

    id: str
    session: str
    ticket: str
    created: str
    room: set[str] = field(default_factory=set)
    asking: str = ""  # the link that the message under way came from
    inputs: deque[UserInput] = field(default_factory=deque)  # the first is under way
    messages: list[dict[str, Any]] = field(default_factory=list)
    parts: list[str] = field(default_factory=list)  # of the reply that is being put together
    agent: str = ""  # who has taken over
    suggests: bool = False
    closed: bool = False
    silent: bool = False
    call: tuple[str, str] | None = None  # its id, and when it began
    read: dict[str, bool] = field(default_factory=lambda: {"customer": True, "agent": True})


class Server(ServerMachine):
    """A whole helpdesk. `ids` gives a new unique string at each call."""

    namespace = NAMESPACE

    def __init__(self, settings: Mapping[str, Any], ids: Callable[[], str], options: Mapping[str, Any]) -> None:
        self.deadline: float | None = None
        self.path = "socket.io"
        self._key = settings["api_key"].reveal()
        self._ids = ids
        self._options = options
        self._signing_key = ids().encode()
        self._agents: set[str] = set()  # links of agents
        self._customers: dict[str, set[str]] = {}  # session → links in its personal room
        self._missed: dict[str, list[tuple[str, Any]]] = {}
        self._talks: dict[str, _Talk] = {}  # in the order of their last use
        self._faults: set[str] = set()

    # Links

    def opened(self, link: str, query: Mapping[str, str], now: float) -> list[ServerEffect]:  # noqa: ARG002
        """A client connects, with its key in the query."""
        source = query.get("token_source")
        if source not in ("api", "inapp"):
            return [Refuse(json.dumps({"status_code": 400, "message": "token_source is api or inapp"}))]
        if query.get("token") != self._key:
            return [Refuse(json.dumps({"status_code": 401, "message": "Invalid token"}))]
        if source == "inapp":
            self._agents.add(link)
        name = self._options["envelope"]
        return [Emit(name, (self._envelope(link, "Connected"),), link)] if name else []

    def closed(self, link: str, now: float, *, goodbye: bool = False) -> list[ServerEffect]:  # noqa: ARG002
        """A client's link is gone, and with it its places in the rooms."""
        self._agents.discard(link)
        for links in [*self._customers.values(), *(talk.room for talk in self._talks.values())]:
            links.discard(link)
        return []

    def _envelope(self, link: str, message: str, data: Any = None, code: int = 200) -> dict[str, Any]:
        return {"status_code": code, "sid": link, "message": message, "data": {} if data is None else data}

    def _answer(self, link: str, event: str, message: str, data: Any = None, code: int = 200) -> list[ServerEffect]:
        envelope, how = self._envelope(link, message, data, code), self._options["answers"]
        event_: list[ServerEffect] = [Emit(event, (envelope,), link)] if how != "ack" else []
        return [*event_, Acknowledge(envelope)] if how != "event" else event_

    def _broadcast(self, links: set[str], event: str, message: str, data: Any) -> list[ServerEffect]:
        times = 2 if "duplicate" in self._faults else 1
        return [Emit(event, (self._envelope(to, message, data),), to) for to in sorted(links) for _ in range(times)]

    def _to_customer(self, talk: _Talk, event: str, message: str, data: Any) -> list[ServerEffect]:
        """Send to the customer's personal room, or keep it until somebody is there."""
        links = self._customers.get(talk.session, set()) or talk.room - self._agents
        if not links and self._options["keep_missed"]:
            self._missed.setdefault(talk.session, []).append((event, self._envelope("", message, data)))
        return self._broadcast(links, event, message, data)

    # Requests

    def received(self, link: str, event: str, payload: Any, now: float) -> list[ServerEffect]:
        """A client sent an event."""
        if "mute" in self._faults:
            return []
        about, at = as_dict(payload), _iso(now)
        if event == "enter_customer_support":
            return self._enter(link, about)
        if event == "support":
            return self._support(link, about, at)
        if event == "call_support":
            return self._call(link, about, now)
        talk = self._talks.get(as_text(about.get("ticket_chat_id")))
        if event not in REQUESTS:
            return []
        if talk is None:
            return self._answer(link, event, "there is no such ticket_chat_id", code=404)
        effects: list[ServerEffect] = getattr(self, REQUESTS[event])(link, talk, about, at)
        return effects

    def _enter(self, link: str, about: dict[str, Any]) -> list[ServerEffect]:
        session = as_text(about.get("session_id"))
        if not session:
            return self._answer(link, "enter_customer_support", "session_id is needed", code=400)
        self._customers.setdefault(session, set()).add(link)
        missed = [Emit(event, ({**said, "sid": link},), link) for event, said in self._missed.pop(session, [])]
        return [*self._answer(link, "enter_customer_support", "Joined customer support room"), *missed]

    def _enter_talk(self, link: str, talk: _Talk, about: dict[str, Any], at: str) -> list[ServerEffect]:  # noqa: ARG002
        talk.room.add(link)
        return self._answer(link, "enter_support", "Joined support room")

    def _leave_talk(self, link: str, talk: _Talk, about: dict[str, Any], at: str) -> list[ServerEffect]:  # noqa: ARG002
        talk.room.discard(link)
        return self._answer(link, "leave_support", "Left support room")

    def _mark_read(self, link: str, talk: _Talk, about: dict[str, Any], at: str) -> list[ServerEffect]:  # noqa: ARG002
        if about.get("entity") not in talk.read:
            return self._answer(link, "mark_conversation_read", "entity is customer or agent", code=400)
        talk.read[about["entity"]] = True
        return self._answer(link, "mark_conversation_read", "Marked as read")

    def _support(self, link: str, about: dict[str, Any], at: str) -> list[ServerEffect]:
        if "refuse" in self._faults:
            return self._answer(link, "support", "refused on request", code=400)
        talk, problem, code = self._talk_for(about, "support", at)
        if problem or talk is None:
            return self._answer(link, "support", problem, code=code)
        self._talks[talk.id] = self._talks.pop(talk.id, talk)
        self._customers.setdefault(talk.session, set()).add(link)
        data = self._say(talk, about.get("message"), "customer", at, about.get("attachment_metadata"))
        talk.asking = link
        echo: list[ServerEffect] = [Emit("support_echo", (self._envelope(link, "support_echo"),), link)]
        if talk.agent:  # agents read along under their own event's name
            return [*echo, *self._broadcast(talk.room & self._agents, "support", "Message received", data)]
        if "silent" in self._faults:
            self._faults.discard("silent")
            talk.silent = True
        talk.inputs.append(user_input("support", about))
        run = [RunFlow(talk.id, talk.inputs[0])] if len(talk.inputs) == 1 else []
        return [*echo, *run] if self._options["echo"] == "before" else [*run, *echo]

    def _talk_for(self, about: dict[str, Any], event: str, at: str) -> tuple[_Talk | None, str, int]:
        """Return the conversation that a request is for, a new one if it names none, or what is wrong with it."""
        session, chat = as_text(about.get("session_id")), about.get("ticket_chat_id")
        if not session:
            return None, "session_id is needed", 400
        if event == "support" and not isinstance(about.get("message"), str):
            return None, "message is a text", 400
        if about.get("attachment") is True and not about.get("attachment_metadata"):
            return None, "attachment_metadata is needed", 400
        if chat is not None:
            talk = self._talks.get(as_text(chat))
            if talk is None or talk.session != session:
                return None, "there is no such ticket_chat_id", 404
            if talk.closed:
                return None, "the conversation is closed", 400
            return (None, NO_FILES, 400) if about.get("attachment") is True and not talk.agent else (talk, "", 200)
        if about.get("attachment") is True:
            return None, NO_FILES, 400
        if sum(not talk.closed and talk.session == session for talk in self._talks.values()) >= MAX_OPEN_CONVERSATIONS:
            return None, f"a customer has at most {MAX_OPEN_CONVERSATIONS} open conversations", 400
        talk = _Talk(f"conv_{self._ids()}", session, f"ticket_{self._ids()}", at)
        self._talks[talk.id] = talk
        return talk, "", 200

    def _say(self, talk: _Talk, message: Any, sender: str, at: str, attachment: Any = None) -> dict[str, Any]:
        """Keep a message and return it as events have it."""
        data = {
            "message": as_text(message),
            "ticket_chat_id": talk.id,
            "sender": sender,
            "attachment": bool(attachment),
            "attachment_metadata": attachment or None,
            "close_support": talk.suggests,
            "closed_support": talk.closed,
            "date_created": at,
            "date_updated": at,
        }
        talk.messages.append({"id": self._ids(), **data})
        talk.read = {who: who == sender for who in talk.read}
        return data

    def _close(self, link: str, talk: _Talk, about: dict[str, Any], at: str) -> list[ServerEffect]:  # noqa: ARG002
        if talk.closed:
            return self._answer(link, "close_support", "the conversation is closed", code=400)
        talk.closed = talk.suggests = True
        words = "Thank you for writing to us. Your conversation is closed."
        data, said = self._say(talk, words, "sate", at), "Support conversation closed"
        others = self._broadcast(talk.room - {link}, "close_support", said, data)
        return [*self._answer(link, "close_support", said, data), *others, EndFlow(talk.id)]

    def _review(self, link: str, talk: _Talk, about: dict[str, Any], at: str) -> list[ServerEffect]:  # noqa: ARG002
        if about.get("rating") not in ("1", "2", "3", "4", "5"):
            return self._answer(link, "review_support", 'rating is a text from "1" to "5"', code=400)
        data = {"rating": about["rating"], "review": as_text(about.get("review")), "ticket_chat_id": talk.id}
        return self._answer(link, "review_support", "Review noted", data)

    # Calls

    def _call(self, link: str, about: dict[str, Any], now: float) -> list[ServerEffect]:
        at = _iso(now)
        talk, problem, code = self._talk_for(about, "call_support", at)
        if talk and talk.agent:
            problem = "calls are with SATE, and an agent answers"
        elif talk and talk.call:
            problem = "a call is in progress"
        if problem or talk is None:
            return self._answer(link, "call_support", problem, code=code if talk is None else 400)
        self._talks[talk.id] = self._talks.pop(talk.id)
        talk.call = (f"call_{self._ids()}", at)
        grants = {"room": talk.id, "roomJoin": True, "canPublish": True, "canSubscribe": True}
        claims = {"iss": "simulated", "sub": talk.session, "nbf": int(now), "exp": int(now) + TOKEN_HOURS * 3600}
        token = jwt({**claims, "jti": self._ids(), "video": grants}, self._signing_key)
        return self._broadcast(talk.room | {link}, "call_support", "Call started", {"token": token, **_call_of(talk)})

    def _hang_up(self, link: str, talk: _Talk, about: dict[str, Any], at: str) -> list[ServerEffect]:  # noqa: ARG002
        data = {**_call_of(talk), "call_end_time": at}
        talk.call = None
        return self._broadcast(talk.room | {link}, "close_call_support", "Call ended", data)

    def leave_call(self, conversation: str, now: float) -> list[ServerEffect]:  # noqa: ARG002
        """Let the bot leave the voice call of a conversation."""
        talk = self._talks[conversation]
        if not talk.call:
            raise SettingsError("there is no call to leave")
        data = {"ticket_chat_id": talk.id, "ticket_call_id": talk.call[0]}
        talk.call = None
        return self._to_customer(talk, "sate_left_call", "SATE left the call", data)

    # Agents

    def _agent_support(self, link: str, talk: _Talk, about: dict[str, Any], at: str) -> list[ServerEffect]:
        if link not in self._agents:
            return self._answer(link, "agent_support", "this is for agents", code=403)
        attachment = about.get("attachment_metadata") or about.get("attachment_meta")
        effects = self._agent_says(talk, as_text(about.get("message")), attachment, at)
        last = talk.messages[-1]
        data = {name: value for name, value in last.items() if name != "id"}
        return [*effects, *self._broadcast((talk.room & self._agents) | {link}, "agent_support", "Message sent", data)]

    def _agent_says(self, talk: _Talk, text: str, attachment: Any, at: str) -> list[ServerEffect]:
        joins = [] if talk.agent else self._agent_joins(talk, "an agent")
        data = self._say(talk, text, "agent", at, attachment)
        return [*joins, *self._to_customer(talk, "customer_support", "New message", data)]

    def _agent_joins(self, talk: _Talk, name: str) -> list[ServerEffect]:
        talk.agent = name
        handler = "agent" if name else "sate"
        agent = {"id": f"agent_{name.casefold().replace(' ', '_')}", "username": name} if name else None
        data = {"ticket_chat_id": talk.id, "handler": handler, "agent": agent}
        return self._to_customer(talk, "support_handler_changed", "Handler changed", data)

    def conversation(self, to: str | None) -> str:
        """Return the conversation of this id, or the last used of a customer, or of all.

        Raises:
            SettingsError: there is none.
        """
        found = [talk for talk in reversed(self._talks.values()) if to in (None, talk.id, talk.session)]
        if not found:
            raise SettingsError("nobody has said anything here yet" if to is None else f"there is no {to!r} here")
        return found[0].id

    def close(self, conversation: str, now: float) -> list[ServerEffect]:  # noqa: ARG002
        """Close a conversation for the customer."""
        talk = self._talks[conversation]
        talk.closed = True
        data = {"ticket_id": talk.ticket, "ticket_chat_id": talk.id, "status": "resolved_and_closed"}
        return [*self._to_customer(talk, "customer_support_closed", "Conversation closed", data), EndFlow(talk.id)]

    # What the flow shows

    def put(self, conversation: str, step: Step, now: float) -> list[ServerEffect]:
        """The flow, or an agent, has something to show."""
        talk = self._talks[conversation]
        match step:
            case Raw(event, payload):
                return [Emit(event, (payload,), link) for link in sorted(talk.room | {talk.asking})]
            case End():
                talk.suggests = True
            case Handover(agent):
                return [*self._flush(talk, now), *self._agent_joins(talk, agent)]
            case AgentSays(text, attachment):
                return [*self._flush(talk, now), *self._agent_says(talk, text, attachment, _iso(now))]
            case Delta(first=first, text=text):
                if first or not talk.parts:
                    talk.parts.append("")
                talk.parts[-1] += text
            case _ if words := _words(step):
                talk.parts.append(words)
        return []

    def done(self, conversation: str, error: str | None, now: float) -> list[ServerEffect]:
        """The flow is done with this turn, or broke."""
        talk = self._talks[conversation]
        if not talk.inputs:  # it broke after it had asked
            return []
        talk.inputs.popleft()
        following: list[ServerEffect] = [RunFlow(talk.id, talk.inputs[0])] if talk.inputs else []
        if error:
            talk.parts.clear()
            envelope = self._envelope(talk.asking, error, {"ticket_chat_id": talk.id}, 500)
            return [Emit("support", (envelope,), talk.asking), *following]
        if talk.silent:
            talk.silent = False
            talk.parts.clear()
            return following
        return [*self._flush(talk, now, always=not talk.agent), *following]

    def _flush(self, talk: _Talk, now: float, *, always: bool = False) -> list[ServerEffect]:
        """Send what the bot has said so far as one reply."""
        if not talk.parts and not always:
            return []
        data = self._say(talk, "\n\n".join(filter(None, talk.parts)), "sate", _iso(now))
        talk.parts.clear()
        talk.suggests = False
        sent, there = "Message sent successfully", self._customers.get(talk.session, set())
        links = talk.room | ({talk.asking} & there)
        return (
            self._broadcast(links, "support", sent, data) if links else self._to_customer(talk, "support", sent, data)
        )

    def fault(self, name: str) -> list[ServerEffect]:
        """Arm one of `FAULTS`."""
        self._faults.add(name)
        return []

    def timer(self, now: float) -> list[ServerEffect]:  # noqa: ARG002
        """Nothing is ever due."""
        return []

    # HTTP

    def request(self, request: HttpCall, now: float) -> list[ServerEffect]:  # noqa: ARG002
        """Answer the HTTP interface: a customer's conversations, their messages, and an agent's taking over."""
        if request.headers.get("authorization") != f"Bearer {self._key}":
            return [HttpReply(401, {"detail": "the API key is not known"})]
        if found := re.fullmatch(r"/api/v1/helpdesk/customer/(.+)/conversations/(?:([^/]+)/messages/)?", request.path):
            return [self._listed(found[1], found[2], request.query)]
        if found := TAKE_OVER.fullmatch(request.path):
            talk = next((talk for talk in self._talks.values() if talk.ticket == found[1]), None)
            if talk and request.method == "POST":
                return [HttpReply(200, {"success": True}), *self._agent_joins(talk, "an agent")]
        return [HttpReply(404, {"detail": "there is nothing here"})]

    def _listed(self, session: str, conversation: str | None, query: Mapping[str, str]) -> HttpReply:
        if conversation:
            talk = self._talks.get(conversation)
            if talk is None or talk.session != session:
                return HttpReply(404, {"detail": "there is no such conversation"})
            return HttpReply(200, {**_http(talk), "messages": list(map(_http_message, talk.messages))})
        closed = query.get("closed", "") in ("true", "t", "yes", "1")
        talks = [talk for talk in self._talks.values() if talk.session == session and talk.closed == closed]
        return HttpReply(200, [{**_http(talk), "latest_message": _latest(talk)} for talk in talks])


REQUESTS = {
    "enter_support": "_enter_talk",
    "leave_support": "_leave_talk",
    "mark_conversation_read": "_mark_read",
    "close_call_support": "_hang_up",
    "close_support": "_close",
    "review_support": "_review",
    "agent_support": "_agent_support",
}


def _iso(now: float) -> str:
    return dt.datetime.fromtimestamp(now, dt.UTC).isoformat().replace("+00:00", "Z")


def _call_of(talk: _Talk) -> dict[str, Any]:
    call, started = talk.call or (None, None)
    return {"room": talk.id, "ticket_chat_id": talk.id, "ticket_call_id": call, "call_start_time": started}


def _http(talk: _Talk) -> dict[str, Any]:
    return {
        "id": talk.id,
        "date_created": talk.created,
        "date_updated": talk.messages[-1]["date_created"] if talk.messages else talk.created,
        "closed": talk.closed,
        "close_support": talk.suggests,
        "read_by_customer": talk.read["customer"],
        "read_by_agent": talk.read["agent"],
        "responder": "agent" if talk.agent else "sate",
        "ticket": talk.ticket,
        "ticket_slug": talk.ticket,
    }


def _latest(talk: _Talk) -> dict[str, Any] | None:
    return _http_message(talk.messages[-1]) if talk.messages else None


def _http_message(message: dict[str, Any]) -> dict[str, Any]:
    """Return a message as the HTTP interface has it, which calls two fields differently."""
    kept = ("id", "date_created", "date_updated", "message", "sender", "attachment_metadata")
    more = {"is_attachment": message["attachment"], "ticket_chat": message["ticket_chat_id"]}
    return {**{name: message[name] for name in kept}, **more}


def _words(step: Step) -> str:
    """Return a step in the words of a message: this platform's bot has nothing else."""
    match step:
        case Text(text):
            return text
        case Choices(options, text):
            return "\n".join(filter(None, [text, *map(_option, options)]))
        case Card():
            return _card(step)
        case Cards(cards, text=text, options=options):
            return "\n\n".join(filter(None, [text, *map(_card, cards), *map(_option, options)]))
        case Media(_, url, text):
            return f"[{text or url}]({url})" if url and not url.startswith("data:") else text
        case Custom(name, text=text):
            return text or f"({name})"
        case Queue(position, seconds):
            return f"You are number {position} in the queue; it takes about {seconds:.0f} s."
        case _:
            return ""


def _option(option: Choice) -> str:
    return f"• [{option.label}]({option.url})" if option.url else f"• {option.label}"


def _card(card: Card) -> str:
    title = f"**{card.title}**" if card.title else ""
    return "\n".join(filter(None, [title, card.text, *map(_option, card.options)]))

"""The client machine of one customer of an Eusate helpdesk.

A customer enters a personal room right after connecting, and holds up to three open conversations, each with a room of
its own, entered once its id is known; after a lost link all are entered again. What a turn says goes to the
conversation that was spoken in last, unless the session has chosen another.

A turn ends with the `support` reply to it. While an agent is the handler nobody knows when a reply comes: the turn
ends with its echo, and what the agent says (`customer_support`) comes by itself. Which rule it was is its reason.

Answers come as events named like the request, or as acknowledgements, or both: what comes twice is recorded as a
status. Messages have no id here: conversation, sender, time and words tell one from another. After a lost link the
HTTP interface is asked for what was said meanwhile, and what is known of it is passed over.

Sources: the vendor's page "Socket.IO Events" and its HTTP reference.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from socketnb.dialects import ClientMachine, as_dict, as_list, as_text, misread
from socketnb.dialects.eusate.actions import EVENTS, SENDERS, did, payload_of, said, time_of
from socketnb.records import (
    Action,
    Address,
    CallEnded,
    CallStarted,
    ClientEffect,
    Credential,
    Emit,
    Failed,
    Fetch,
    Keep,
    Ready,
    Record,
    Secret,
    Status,
    Talk,
    Talks,
    TurnDone,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

NAMESPACE = "/helpdesk"
TRANSPORTS = {"auto": ("websocket", "polling"), "websocket": ("websocket",), "polling": ("polling",)}
GRACE = 2.0
"""Seconds that the list of conversations is waited for."""
OWED = 5.0
"""Seconds that the answer to a turn that was given up holds the next of its conversation."""
OPEN_AT_MOST = 3
QUEUE = 1000
"""Messages that may wait in line."""
SEEN = 1000
"""Messages that are remembered, so that one that comes again is known."""
LOST = "the link was lost before Eusate confirmed this: see whether it arrived, else do it again"


@dataclass(slots=True)
class _Sent:
    """A turn that was sent, and how far it is."""

    turn: int
    event: str
    heard: bool = False  # its echo, or an acknowledgement, has come
    given_up: bool = False  # nobody waits for it; its answer may still come


class Client(ClientMachine):
    """One customer. `ids` gives a new unique string at each call."""

    def __init__(self, settings: Mapping[str, Any], ids: Callable[[], str]) -> None:  # noqa: ARG002 (all machines' form)
        self.deadline: float | None = None
        self._due: dict[str, float] = {}  # step → when it is due
        self._settings = settings
        self._open = self._ready = False  # the link; and whether the conversations are known
        self._talks: dict[str, Talk] = {}
        self._current = str(settings["conversation_id"] or "")  # the conversation spoken in last
        self._waiting: dict[int, Action] = {}  # turns in line, in order
        self._running: dict[str, list[_Sent]] = {}  # conversation ("": a new one) → turns that were sent
        self._last = 0
        self._seen: dict[tuple[str, str, str, str], None] = {}
        self._latest: dict[str, int] = {}  # conversation → the time of its last message
        self._call = ""  # the id of the call that runs
        if self._current:
            self._talks[self._current] = Talk(self._current)

    # Links

    def dial(self, now: float) -> Address:
        """Begin a link: say where it goes, and start its clock."""
        s = self._settings
        self._set(connect=now + s["timeout"])
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
        """The link is open: enter the customer's room and those of the conversations, and ask which there are."""
        self._open = True
        self._set(connect=None, talks=now + GRACE)
        enter = self._emit("enter_customer_support", {"session_id": self._settings["session_id"]}, "session")
        rooms = [effect for talk in self._talks.values() if not talk.closed for effect in self._enter(talk.id)]
        talks = self._fetch("conversations", "conversations/?closed=false")
        return [*enter, *rooms, *talks]

    def closed(self, now: float) -> list[ClientEffect]:  # noqa: ARG002
        """The link is gone: what was not heard of has failed, the rest is waited for."""
        self._open = self._ready = False
        self._set(connect=None, talks=None)
        effects: list[ClientEffect] = []
        for key, turns in list(self._running.items()):
            for sent in [sent for sent in turns if not (sent.heard and sent.event == "support")]:
                effects += self._finish(key, sent, "failed", LOST)
        return effects

    def timer(self, now: float) -> list[ClientEffect]:
        """No connection came in time, or no list of conversations, or no late answer: then it goes on without."""
        due = [name for name, when in self._due.items() if when <= now]
        self._set(**dict.fromkeys(due))
        effects: list[ClientEffect] = []
        if "connect" in due:
            effects += [Failed(f"no Socket.IO connection came within {self._settings['timeout']:g} s", "timeout")]
        if "talks" in due:
            effects += self._go_on("the helpdesk has not told its conversations yet: going on without")
        for turns in self._running.values():
            turns[:] = [sent for sent in turns if not (sent.given_up and f"owed {sent.turn}" in due)]
        return effects + self._send_next()

    def _set(self, **due: float | None) -> None:
        self._due = {name: when for name, when in {**self._due, **due}.items() if when is not None}
        self.deadline = min(self._due.values(), default=None)

    def _go_on(self, said: str) -> list[ClientEffect]:
        """Be ready, if that is not so already."""
        if self._ready or not self._open:
            return []
        self._ready = True
        self._set(talks=None)
        return [Ready(None), Record("ready", "ready", None, "local", text=said), *self._send_next()]

    def _enter(self, conversation: str) -> list[ClientEffect]:
        return self._emit("enter_support", {"ticket_chat_id": conversation}, "session", conversation=conversation)

    def _fetch(self, name: str, path: str) -> list[ClientEffect]:
        s = self._settings
        url = f"{s['url'].rstrip('/')}/api/v1/helpdesk/customer/{quote(s['session_id'], safe='')}/{path}"
        return [Fetch(name, "GET", url, {"Authorization": f"Bearer {s['api_key'].reveal()}"})]

    # Turns

    def act(self, turn: int, action: Action, now: float) -> list[ClientEffect]:  # noqa: ARG002
        """The customer acts: send it, or let it wait in line behind what its conversation is at."""
        if len(self._waiting) >= QUEUE:
            return self._refuse(turn, f"{QUEUE} messages wait already: wait for the helpdesk")
        if action.verb == "press":
            action = replace(action, verb="close", conversation=action.fields["choice"].request["close"])
        if self._ready and action.at_once:
            return self._send(turn, action, self._key(action))
        self._waiting[turn] = action
        return self._send_next()

    def abandon(self, turn: int, now: float) -> list[ClientEffect]:
        """Nobody waits for this turn any more: its answer holds the next for a while, which else would take it."""
        self._waiting.pop(turn, None)
        for sent in (sent for turns in self._running.values() for sent in turns if sent.turn == turn):
            sent.given_up = True
            self._set(**{f"owed {turn}": now + OWED})
        return self._send_next()

    def _key(self, action: Action) -> str:
        """Return the conversation that an action is for; "" is a new one."""
        if action.conversation is not None:
            return action.conversation
        if self._running.get("") or (EVENTS[action.verb] in ("support", "call_support") and self._is_closed()):
            return ""
        return self._current

    def _is_closed(self) -> bool:
        return self._current in self._talks and self._talks[self._current].closed

    def _send_next(self) -> list[ClientEffect]:
        effects: list[ClientEffect] = []
        blocked: set[str] = set()
        held = False  # what names no conversation is for that of the one before, and waits behind it
        for turn, action in list(self._waiting.items()) if self._ready else ():
            if held and action.conversation is None:
                continue
            key = self._key(action)
            held = bool(self._running.get(key)) or key in blocked
            if held:
                blocked.add(key)
            else:
                del self._waiting[turn]
                effects += self._send(turn, action, key)
        return effects

    def _send(self, turn: int, action: Action, key: str) -> list[ClientEffect]:
        self._last = turn
        if problem := self._problem(action, key):
            return self._refuse(turn, f"{problem}; nothing was sent")
        event = EVENTS[action.verb]
        payload = payload_of(action, self._settings["session_id"], key)
        self._running.setdefault(key, []).append(_Sent(turn, event))
        if event in ("support", "call_support"):
            self._current = key
        what = did(event, payload)
        return self._emit(event, payload, "action", key, turn=turn, text=what.text or what.verb)

    def _problem(self, action: Action, key: str) -> str | None:
        """Return why this cannot be sent, if so."""
        talk = self._talks.get(key, Talk(key))
        begins = EVENTS[action.verb] in ("support", "call_support")
        if not key and not begins:
            return f"there is no conversation to {action.verb.replace('_', ' ')} yet: say something first"
        if not key and sum(not talk.closed for talk in self._talks.values()) >= OPEN_AT_MOST:
            return f"{OPEN_AT_MOST} conversations are open, and no more can be: close one, or choose one of them"
        if begins and talk.closed:
            return f"conversation {key} is closed: new_conversation() begins another"
        match action.verb:
            case "attach" if talk.handler != "agent":
                return "files can be sent only while an agent answers"
            case "attach" if not all(isinstance(f, dict) and f.get("url") for f in action.fields["files"] or [None]):
                return "each file needs a description with its url, such as {'url': …, 'name': …}"
            case "review" if not 1 <= action.fields["rating"] <= 5:  # noqa: PLR2004 (stars)
                return f"rating is a whole number from 1 to 5, not {action.fields['rating']}"
            case "call" if talk.handler == "agent":
                return "calls are with the bot, and an agent answers here"
            case "call" if self._call:
                return "a call is running already: end it first"
            case "hang_up" if not self._call:
                return "there is no call to end"
        return None

    def _emit(
        self, event: str, payload: Any, kind: str, conversation: str = "", *, turn: int = 0, text: str | None = None
    ) -> list[ClientEffect]:
        """Record and send, and ask for an acknowledgement."""
        who: Any = "user" if kind == "action" else "system"
        record = Record(event, kind, payload, "out", who, turn, text, conversation=conversation or None)
        return [record, Emit(event, (payload,), ack=f"{event} {turn}")]

    def _refuse(self, turn: int, reason: str) -> list[ClientEffect]:
        record = Record("turn", "error", None, "local", "system", turn, "failed", final=True, error=reason)
        return [record, TurnDone(turn, "failed", reason)]

    def _finish(self, key: str, sent: _Sent, status: Status, reason: str) -> list[ClientEffect]:
        """End a turn with no event of its own."""
        self._running[key].remove(sent)
        if sent.given_up:
            self._set(**{f"owed {sent.turn}": None})
            return self._send_next()
        kind, error = ("error", reason) if status == "failed" else ("status", None)
        record = Record(
            "turn", kind, None, "local", turn=sent.turn, text=status, final=True, error=error, conversation=key or None
        )
        return [record, TurnDone(sent.turn, status, reason), *self._send_next()]

    def _under_way(self, event: str, conversation: str) -> tuple[str, _Sent] | None:
        """Return the oldest turn that waits for this event, in this conversation, in a new one, or in any."""
        keys = [conversation, ""] if conversation else list(self._running)
        for key in keys:
            for sent in self._running.get(key, []):
                if sent.event == event:
                    return key, sent
        return None

    def _turn_in(self, conversation: str) -> int:
        turns = self._running.get(conversation) or self._running.get("") or []
        return turns[0].turn if turns else self._last

    # What comes

    def acked(self, name: str, args: Sequence[Any], now: float) -> list[ClientEffect]:
        """An event was acknowledged: it was heard, and where something came with it, that is its answer."""
        event, _, number = name.partition(" ")
        for turns in self._running.values():
            for sent in turns:
                sent.heard |= sent.turn == int(number) and sent.event == event
        return self.received(event, args[0], now) if args and isinstance(args[0], dict) else []

    def received(self, event: str, payload: Any, now: float) -> list[ClientEffect]:  # noqa: ARG002
        """An event came, in the envelope that all have."""
        about = as_dict(payload)
        data = as_dict(about.get("data"))
        conversation = as_text(data.get("ticket_chat_id"))
        code = about.get("status_code")
        if isinstance(code, int) and code >= 400:  # noqa: PLR2004 (as in HTTP)
            return self._rejected(event, payload, as_text(about.get("message")) or str(code), conversation)
        match event:
            case "support" | "customer_support":
                return self._message(event, payload, data, event if event == "support" else None)
            case "support_echo":
                return self._echo(payload, conversation)
            case "support_handler_changed":
                return self._handler(payload, data, conversation)
            case "customer_support_closed":
                return self._auto_closed(payload, conversation)
            case "call_support":
                return self._called(payload, data, conversation)
            case "close_call_support" | "sate_left_call":
                return self._hung_up(event, payload, data, conversation)
            case "close_support":
                return self._closes(payload, data, conversation)
            case "mark_conversation_read" | "review_support" | "leave_support":
                return self._done(event, payload, conversation)
            case "enter_customer_support" | "enter_support":
                return [Record(event, "session", payload, conversation=conversation or None)]
            case "error":
                return [Record(event, "error", payload, turn=self._last, error=as_text(payload) or json.dumps(payload))]
            case _ if "status_code" in about and not data:  # the envelope of the connection, under whatever name
                return [Record(event, "session", payload)]
            case _:
                return [Record(event, "custom", payload, turn=self._last, text=event)]

    def _rejected(self, event: str, payload: Any, why: str, conversation: str) -> list[ClientEffect]:
        found = self._under_way(event, conversation)
        if not found:
            return [Record(event, "error", payload, turn=self._last, error=why)]
        key, sent = found
        record = Record(event, "error", payload, turn=sent.turn, text="rejected", error=why, conversation=key or None)
        return [record, *self._finish(key, sent, "rejected", why)]

    def _done(self, event: str, payload: Any, conversation: str) -> list[ClientEffect]:
        """Record the answer to a request, and end its turn."""
        kind = {"mark_conversation_read": "read", "review_support": "review"}.get(event, "session")
        found = self._under_way(event, conversation)
        if not found:
            kind = kind if event == "mark_conversation_read" else "status"
            return [Record(event, kind, payload, turn=self._last, conversation=conversation or None)]
        key, sent = found
        effects = self._update(key, unread=0) if event == "mark_conversation_read" else []
        record = Record(event, kind, payload, turn=sent.turn, conversation=key or None)
        return [record, *effects, *self._finish(key, sent, "completed", event)]

    def _known(self, conversation: str) -> list[ClientEffect]:
        """Take note of a conversation: one that is new is the one that was being begun, and its room is entered."""
        if not conversation or conversation in self._talks:
            return []
        if new := self._running.pop("", None):
            self._running.setdefault(conversation, []).extend(new)
            self._current = conversation
        effects = self._update(conversation)
        return [*effects, Keep("conversation_id", self._current), *(self._enter(conversation) if self._open else [])]

    def _update(self, conversation: str, **changed: Any) -> list[ClientEffect]:
        before = self._talks.get(conversation)
        self._talks[conversation] = replace(before or Talk(conversation), **changed)
        return [Talks(tuple(self._talks.values()))] if self._talks[conversation] != before else []

    def _message(self, event: str, payload: Any, data: dict[str, Any], rule: str | None) -> list[ClientEffect]:
        """Record what somebody said. `rule` is why it ends the turn that waits for a reply, if it does."""
        conversation, words = as_text(data.get("ticket_chat_id") or data.get("ticket_chat")), data.get("message")
        if not conversation or not isinstance(words, str):
            missing = "message" if conversation else "ticket_chat_id"
            return [misread(event, payload, f"{missing} is missing", self._turn_in(conversation))]
        who = as_text(data.get("sender"))
        if self._is_again(conversation, who, data, words):
            return [Record(event, "status", payload, turn=self._last, text="again", conversation=conversation)]
        effects = self._known(conversation)
        found = self._under_way("support", conversation) if rule and who != "customer" else None
        turn = found[1].turn if found else self._turn_in(conversation)
        shown = said(data)
        record = Record(
            event,
            shown.kind,
            payload,
            sender=SENDERS.get(who, "bot"),
            turn=turn,
            text=shown.text,
            server_at=time_of(data),
            conversation=conversation,
        )
        effects = [record, *effects, *self._after(conversation, who, data, live=event != "messages")]
        return effects + (self._finish(*found, "completed", rule) if found and rule else [])

    def _is_again(self, conversation: str, who: str, data: dict[str, Any], words: str) -> bool:
        if not (at := as_text(data.get("date_created"))):
            return False
        mark = (conversation, who, at, words)
        if mark in self._seen:
            return True
        self._seen[mark] = None
        if len(self._seen) > SEEN:
            del self._seen[next(iter(self._seen))]
        self._latest[conversation] = max(time_of(data) or 0, self._latest.get(conversation, 0))
        return False

    def _after(self, conversation: str, who: str, data: dict[str, Any], *, live: bool) -> list[ClientEffect]:
        """Note what a message changes: who answers, whether it is read, whether the conversation may be closed."""
        reads = self._settings["mark_read"] and who != "customer"
        unread = 0 if reads or who == "customer" else self._talks[conversation].unread + 1
        closed = data.get("closed_support") is True
        suggested = data.get("close_support") is True and not closed
        effects = self._update(conversation, unread=unread, suggested=suggested, closed=closed)
        if who == "agent" and live:
            effects += self._update(conversation, handler="agent")
        if not reads or not self._open:
            return effects
        payload = {"ticket_chat_id": conversation, "entity": "customer"}
        return [*effects, *self._emit("mark_conversation_read", payload, "read", conversation)]

    def _echo(self, payload: Any, conversation: str) -> list[ClientEffect]:
        found = self._under_way("support", conversation)
        if not found or (found[1].heard and not conversation and self._talks.get(found[0]) is None):
            return [Record("support_echo", "ack", payload, turn=self._turn_in(conversation))]
        key, sent = found
        sent.heard = True
        record = Record("support_echo", "ack", payload, turn=sent.turn, conversation=key or None)
        if self._talks.get(key, Talk(key)).handler == "agent":
            return [record, *self._finish(key, sent, "completed", "support_echo")]
        return [record]

    def _handler(self, payload: Any, data: dict[str, Any], conversation: str) -> list[ClientEffect]:
        event, handler = "support_handler_changed", as_text(data.get("handler"))
        if not conversation or not handler:
            return [misread(event, payload, "ticket_chat_id or handler is missing", self._last)]
        agent = as_text(as_dict(data.get("agent")).get("username"))
        effects = self._known(conversation)
        turn = self._turn_in(conversation)
        is_agent = handler == "agent"
        effects += self._update(conversation, handler="agent" if is_agent else "bot", agent=agent if is_agent else "")
        text = f"you are now chatting with {agent or 'an agent'}" if is_agent else "the bot answers again"
        record = Record(event, "handler", payload, turn=turn, text=text, conversation=conversation)
        found = self._under_way("support", conversation)
        if is_agent and found and found[1].heard:  # the bot will not answer this any more
            return [record, *effects, *self._finish(*found, "completed", event)]
        return [record, *effects]

    def _auto_closed(self, payload: Any, conversation: str) -> list[ClientEffect]:
        event = "customer_support_closed"
        if not conversation:
            return [misread(event, payload, "ticket_chat_id is missing", self._last)]
        text = "the helpdesk has closed it"
        record = Record(event, "ended", payload, turn=self._turn_in(conversation), text=text, conversation=conversation)
        effects = [*self._known(conversation), *self._update(conversation, closed=True, suggested=False)]
        for sent in list(self._running.get(conversation, [])):
            effects += self._finish(conversation, sent, "completed", event)
        return [record, *effects]

    def _closes(self, payload: Any, data: dict[str, Any], conversation: str) -> list[ClientEffect]:
        found = self._under_way("close_support", conversation)
        key = conversation or (found[0] if found else "")
        if not key or self._talks.get(key, Talk(key)).closed:
            return [Record("close_support", "status", payload, turn=self._last, text="again", conversation=key or None)]
        shown, turn = said(data), found[1].turn if found else self._last
        record = Record("close_support", shown.kind, payload, "in", "bot", turn, shown.text, conversation=key)
        self._is_again(key, as_text(data.get("sender")), data, as_text(data.get("message")))
        effects = [record, *self._update(key, closed=True, suggested=False, unread=0)]
        return effects + (self._finish(*found, "completed", "close_support") if found else [])

    # Calls

    def _called(self, payload: Any, data: dict[str, Any], conversation: str) -> list[ClientEffect]:
        token, call = as_text(data.get("token")), as_text(data.get("ticket_call_id"))
        if not token or not conversation or not call:
            return [misread("call_support", payload, "token or an id is missing", self._turn_in(conversation))]
        if call == self._call:
            return [Record("call_support", "status", payload, turn=self._last, text="again", conversation=conversation)]
        effects = self._known(conversation)
        found = self._under_way("call_support", conversation)
        turn, started = found[1].turn if found else self._last, as_text(data.get("call_start_time"))
        self._call = call
        record = Record("call_support", "call", payload, turn=turn, text="the call begins", conversation=conversation)
        room = as_text(data.get("room")) or conversation
        begun = CallStarted(call, conversation, room, Secret(token), started)
        done = self._finish(*found, "completed", "call_support") if found else []
        return [Credential(token), record, *effects, begun, *done]

    def _hung_up(self, event: str, payload: Any, data: dict[str, Any], conversation: str) -> list[ClientEffect]:
        call, left = as_text(data.get("ticket_call_id")), event == "sate_left_call"
        text = "the bot has left the call" if left else "the call has ended"
        found = None if left else self._under_way(event, conversation)
        turn = found[1].turn if found else self._turn_in(conversation)
        record = Record(event, "call", payload, turn=turn, text=text, conversation=conversation or None)
        effects: list[ClientEffect] = [record]
        if self._call and call in ("", self._call):
            effects.append(CallEnded(call, as_text(data.get("call_end_time")) or None, text))
            self._call = ""
        return effects + (self._finish(*found, "completed", event) if found else [])

    # The HTTP interface

    def fetched(self, name: str, status: int, body: bytes, now: float) -> list[ClientEffect]:  # noqa: ARG002
        """The list of conversations, or the messages of one, came; a helpdesk that has neither is used all the same."""
        what, _, conversation = name.partition(" ")
        try:
            answer = json.loads(body) if status == 200 else None  # noqa: PLR2004
        except ValueError:
            answer = None
        if answer is None:
            why = f"HTTP {status}" if status else body.decode(errors="replace")
            said = f"the helpdesk does not tell its {what} ({why})"
            log = Record(what, "log", None, "local", text=said)
            return [log, *(self._go_on(said) if what == "conversations" else [])]
        if what == "conversations":
            listed = [effect for talk in map(as_dict, as_list(answer)) for effect in self._listed(talk)]
            return [*listed, *self._go_on(f"{len(as_list(answer))} conversations are open")]
        messages = map(as_dict, as_list(as_dict(answer).get("messages")))
        return [effect for each in messages for effect in self._missed(conversation, each)]

    def _listed(self, about: dict[str, Any]) -> list[ClientEffect]:
        """Take note of a conversation that the helpdesk lists; ask what was said in one that was spoken in before."""
        conversation = as_text(about.get("id"))
        known = conversation in self._talks
        if not conversation or (self._running.get("") and not known):  # it may be the one that is being begun
            return []
        effects = self._update(
            conversation,
            handler="agent" if about.get("responder") == "agent" else "bot",
            unread=0 if about.get("read_by_customer") is not False else max(1, self._unread(conversation)),
            suggested=about.get("close_support") is True,
            closed=about.get("closed") is True,
        )
        if not known and self._open and about.get("closed") is not True:
            effects += self._enter(conversation)
        if conversation in self._latest:
            effects += self._fetch(
                f"messages {conversation}", f"conversations/{quote(conversation, safe='', errors='replace')}/messages/"
            )
        return effects

    def _unread(self, conversation: str) -> int:
        return self._talks[conversation].unread if conversation in self._talks else 0

    def _missed(self, conversation: str, message: dict[str, Any]) -> list[ClientEffect]:
        """Take in what was said while there was no link."""
        at = time_of(message)
        if message.get("sender") == "customer" or at is None or at < self._latest.get(conversation, 0):
            return []
        rule = "support" if message.get("sender") == "sate" else None
        found = self._message("messages", message, {**message, "ticket_chat_id": conversation}, rule)
        return [] if isinstance(found[0], Record) and found[0].text == "again" else found

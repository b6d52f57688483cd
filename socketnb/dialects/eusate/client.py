"""The client machine of one customer of an Eusate helpdesk.

A customer enters a personal room right after connecting, and holds up to three open conversations, each with a room of
its own, entered once its id is known; after a lost link all are entered again. A turn is for the conversation that the
one before was for, unless it names another; one that begins a conversation has a name of ours (`NEW`) until the
helpdesk gives its id. In each conversation one turn is under way at a time, also where it asks to be sent at once:
answers name no turn. One that was given up, or lost with its link, holds the next for a while, which else would take
its answer.

A turn ends with the `support` reply to it. While an agent is the handler nobody knows when a reply comes: the turn
ends with its echo, and what the agent says (`customer_support`) comes by itself. Which rule it was is its reason.

Answers come as events named like the request, or as acknowledgements, or both. An acknowledgement names its turn; an
event its conversation, or nothing: then it is for the oldest that it can be for. Messages have no id: conversation,
sender, time and words tell one from another, and one that comes twice is recorded as a status. After a lost link the
HTTP interface is asked for what was said meanwhile.

Sources: the vendor's page "Socket.IO Events" and its HTTP reference.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple
from urllib.parse import quote

from socketnb.dialects.base import ClientMachine, misread
from socketnb.dialects.eusate.actions import EVENTS, SENDERS, payload_of, said, time_of, user_input
from socketnb.model.actions import Action, Conversation
from socketnb.model.effects import (
    Address,
    CallEnded,
    CallStarted,
    ClientEffect,
    Conversations,
    Credential,
    Emit,
    Failed,
    HttpRequest,
    HttpResponse,
    Persist,
    Ready,
    Record,
    TurnDone,
)
from socketnb.model.json import as_dict, as_list, as_text
from socketnb.model.secret import Secret
from socketnb.model.trace import Status

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping, Sequence

NAMESPACE = "/helpdesk"
TRANSPORTS = {"auto": ("websocket", "polling"), "websocket": ("websocket",), "polling": ("polling",)}
NEW = "\0new "
"""Begins the name of a conversation that has no id yet."""
BEGINS = ("support", "call_support")
"""Events that can begin a conversation."""
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


class Query(NamedTuple):
    """The purpose of an HTTP request: the list of open conversations, or the messages of one."""

    what: Literal["conversations", "messages"]
    conversation: str = ""


@dataclass(slots=True)
class _Turn:
    """A turn that waits in line or was sent."""

    number: int
    action: Action
    talk: str  # its conversation, or a name that begins with NEW
    before: str  # the conversation that the turn before was for
    sent: bool = False
    link: int = 0  # that it was sent over
    acked: bool = False
    echoed: bool = False
    given_up: bool = False  # nobody waits for it; its answer may still come

    @property
    def event(self) -> str:
        return EVENTS[self.action.verb]


class Client(ClientMachine):
    """One customer. `ids` gives a new unique string at each call."""

    def __init__(self, settings: Mapping[str, Any], ids: Callable[[], str]) -> None:  # noqa: ARG002 (all machines' form)
        self._due: dict[str, float] = {}  # step → when it is due
        self._settings = settings
        self._open = self._ready = False  # the link; and whether the conversations are known
        self._links = 0
        self._told = self._was_ready = False  # the list of conversations has come; the session has been ready
        self._asked: set[str] = set()  # conversations whose messages are asked for
        self._echoes = 0  # that are still to come of turns that are over
        self._talks: dict[str, Conversation] = {}
        self._left: set[str] = set()  # conversations whose room the customer has left
        self._target = str(settings["conversation_id"] or "")  # what the next turn is for; "": a new one
        self._turns: dict[int, _Turn] = {}  # in line or under way, in their order
        self._last = 0
        self._last_in: dict[str, int] = {}  # the same, of each conversation
        self._seen: dict[tuple[str, str, int, str], None] = {}
        self._latest: dict[str, int] = {}  # conversation → the time of its last message
        self._since: dict[str, int] = {}  # the same, when the link was lost
        self._calls: dict[str, str] = {}  # conversation → the call that runs in it

    # Links

    @property
    def deadline(self) -> float | None:
        """When `timer` is to be called, or None."""
        return min(self._due.values(), default=None)

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
        self._links += 1
        self._set(connect=None, talks=now + GRACE)
        effects = self._emit("enter_customer_support", {"session_id": self._settings["session_id"]}, "session")
        there = [talk.id for talk in self._talks.values() if not talk.closed]
        for talk in there:
            effects += self._enter(talk) if talk not in self._left else []
        effects += self._fetch(Query("conversations"), "conversations/?closed=false")
        self._asked = set(there)
        for talk in there:
            path = f"conversations/{quote(talk, safe='', errors='replace')}/messages/"
            effects += self._fetch(Query("messages", talk), path)
        return effects

    def closed(self, now: float) -> list[ClientEffect]:
        """The link is gone: what was not heard of has failed, the reply to the rest is waited for."""
        if self._open:  # what was asked for and did not come is asked for again
            self._since |= {talk: at for talk, at in self._latest.items() if talk not in self._asked}
        self._open = self._ready = False
        self._echoes = 0
        self._set(connect=None, talks=None)
        effects: list[ClientEffect] = []
        for turn in [turn for turn in self._turns.values() if turn.sent and not turn.given_up]:
            if turn.event != "support":
                effects += self._finish(turn, "failed", LOST)
            elif not (turn.acked or turn.echoed):
                effects += self._end(turn, "failed", LOST)
                turn.given_up = True
                self._set(**{f"owed {turn.number}": now + OWED})
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
        for turn in [turn for turn in self._turns.values() if turn.given_up and f"owed {turn.number}" in due]:
            self._forget(turn)
        return effects + self._send_next()

    def _set(self, **due: float | None) -> None:
        self._due = {name: when for name, when in {**self._due, **due}.items() if when is not None}

    def _go_on(self, said: str) -> list[ClientEffect]:
        """Be ready, if that is not so already."""
        if self._ready or not self._open:
            return []
        self._ready = True
        self._set(talks=None)
        kind, self._was_ready = "resumed" if self._was_ready else "ready", True
        return [Ready(None), Record("ready", kind, None, "local", text=said)]

    def _enter(self, talk: str) -> list[ClientEffect]:
        return self._emit("enter_support", {"ticket_chat_id": talk}, "session", talk)

    def _fetch(self, query: Query, path: str) -> list[ClientEffect]:
        s = self._settings
        url = f"{s['url'].rstrip('/')}/api/v1/helpdesk/customer/{quote(s['session_id'], safe='')}/{path}"
        return [HttpRequest(query, "GET", url, {"Authorization": f"Bearer {s['api_key'].reveal()}"})]

    # Turns

    def act(self, turn: int, action: Action, now: float) -> list[ClientEffect]:  # noqa: ARG002
        """The customer acts: send it, or let it wait in line behind what its conversation is at."""
        if action.verb == "press":
            talk = as_dict(action.fields["choice"].request).get("close")
            if not isinstance(talk, str):
                return self._refuse(turn, "this button is none of this helpdesk's; nothing was sent")
            action = replace(action, verb="close", conversation=talk)
        if sum(not each.sent for each in self._turns.values()) >= QUEUE:
            return self._refuse(turn, f"{QUEUE} messages wait already: wait for the helpdesk")
        talk, before = self._talk_for(turn, action), self._target
        if EVENTS[action.verb] in BEGINS:
            self._target = talk
        self._turns[turn] = _Turn(turn, action, talk, before)
        return self._send_next()

    def _talk_for(self, turn: int, action: Action) -> str:
        """Return the conversation that an action is for; one of ours for a new one, "" if there is none."""
        begins = EVENTS[action.verb] in BEGINS
        if action.conversation:
            return action.conversation
        if action.verb == "hang_up" and self._calls and action.conversation is None:
            return next(iter(self._calls))
        over = self._target in self._talks and self._talks[self._target].closed
        if begins and (action.conversation == "" or not self._target or over):
            return f"{NEW}{turn}"
        return self._target

    def abandon(self, turn: int, now: float) -> list[ClientEffect]:
        """Nobody waits for this turn any more: its answer holds the next for a while, which else would take it."""
        if gone := self._turns.get(turn):
            gone.given_up = True
            if gone.sent:
                self._set(**{f"owed {turn}": now + OWED})
            else:
                self._forget(gone)
        return self._send_next()

    def _forget(self, turn: _Turn) -> None:
        """Let go of a turn. If there is no such conversation after all, the next is for the one before."""
        self._turns.pop(turn.number, None)
        self._set(**{f"owed {turn.number}": None})
        others = any(each.talk == turn.talk for each in self._turns.values())
        if self._target == turn.talk and turn.talk not in self._talks and not others:
            self._target = turn.before

    def _send_next(self) -> list[ClientEffect]:
        """Send what waits and whose conversation is free; one conversation is begun at a time."""
        effects: list[ClientEffect] = []
        busy: set[str] = set()
        for turn in list(self._turns.values()) if self._ready else ():
            if not turn.sent and _name(turn.talk) not in busy:
                effects += self._send(turn)
            if turn.number in self._turns:
                busy.add(_name(turn.talk))
        return effects

    def _send(self, turn: _Turn) -> list[ClientEffect]:
        self._last = self._last_in[turn.talk] = turn.number
        if problem := self._problem(turn):
            self._forget(turn)
            return self._refuse(turn.number, f"{problem}; nothing was sent", turn.talk)
        turn.sent, turn.link = True, self._links
        effects: list[ClientEffect] = []
        if turn.event in BEGINS and turn.talk in self._left:
            self._left.discard(turn.talk)
            effects = self._enter(turn.talk)
        talk = "" if turn.talk.startswith(NEW) else turn.talk
        payload = payload_of(turn.action, self._settings["session_id"], talk)
        what = user_input(turn.event, payload)
        said = what.text or what.verb
        return [*effects, *self._emit(turn.event, payload, "action", talk, turn=turn.number, text=said)]

    def _problem(self, turn: _Turn) -> str | None:
        """Return why this cannot be sent, if so."""
        action, talk = turn.action, self._talks.get(turn.talk, Conversation(turn.talk))
        verb, is_open = action.verb.replace("_", " "), [talk for talk in self._talks.values() if not talk.closed]
        if not turn.talk or (turn.event not in BEGINS and turn.talk.startswith(NEW)):
            return f"there is no conversation to {verb} yet: say something first"
        if turn.talk.startswith(NEW) and len(is_open) >= OPEN_AT_MOST:
            return f"{OPEN_AT_MOST} conversations are open, and no more can be: close one, or choose one of them"
        if talk.closed and (turn.event in BEGINS or action.verb == "close"):
            return f"conversation {talk.id} is closed: new_conversation() begins another"
        others = [each for each in self._turns.values() if each.sent and each.event == "call_support"]
        match action.verb:
            case "attach" if talk.handler != "agent":
                return "files can be sent only while an agent answers"
            case "attach" if not all(isinstance(f, dict) and f.get("url") for f in action.fields["files"] or [None]):
                return "each file needs a description with its url, such as {'url': …, 'name': …}"
            case "review" if not 1 <= action.fields["rating"] <= 5:  # noqa: PLR2004 (stars)
                return f"rating is a whole number from 1 to 5, not {action.fields['rating']}"
            case "call" if talk.handler == "agent":
                return "calls are with the bot, and an agent answers here"
            case "call" if self._calls or others:
                return "a call is running already: end it first"
            case "hang_up" if self._calls and turn.talk not in self._calls:
                return f"the call is in conversation {next(iter(self._calls))}, not here"
        return None

    def _emit(
        self, event: str, payload: Any, kind: str, talk: str = "", *, turn: int = 0, text: str | None = None
    ) -> list[ClientEffect]:
        """Record and send, and ask for an acknowledgement."""
        who: Any = "user" if kind == "action" else "system"
        record = Record(event, kind, payload, "out", who, turn, text, conversation=talk or None)
        return [record, Emit(event, (payload,), ack=f"{event} {turn}")]

    def _refuse(self, turn: int, reason: str, talk: str = "") -> list[ClientEffect]:
        record = Record("turn", "error", None, "local", "system", turn, "failed", final=True, error=reason)
        known = talk if talk in self._talks else None
        return [record._replace(conversation=known), TurnDone(turn, "failed", reason)]

    def _finish(self, turn: _Turn, status: Status, reason: str) -> list[ClientEffect]:
        """End a turn, for this reason, and let go of it."""
        self._forget(turn)
        return [] if turn.given_up else self._end(turn, status, reason)

    def _end(self, turn: _Turn, status: Status, reason: str) -> list[ClientEffect]:
        kind, error = ("error", reason) if status == "failed" else ("status", None)
        known = turn.talk if turn.talk in self._talks else None
        record = Record("turn", kind, None, "local", turn=turn.number, text=status, final=True, error=error)
        return [record._replace(conversation=known), TurnDone(turn.number, status, reason)]

    def _waiting_for(self, event: str, talk: str, number: int = 0) -> _Turn | None:
        """Return the turn that an answer is for.

        It is the one that the acknowledgement names; or the oldest of the conversation that the event names, or, if
        that is new to us, the oldest that begins one; or, if it names none, the oldest that it can be for.
        """
        found = [turn for turn in self._turns.values() if turn.sent and turn.event == event]
        if number:
            return next((turn for turn in found if turn.number == number), None)
        if talk and talk in self._talks:
            return next((turn for turn in found if turn.talk == talk), None)
        if talk:
            return next((turn for turn in found if turn.talk in (talk, self._beginning())), None)
        return next(iter([turn for turn in found if not turn.echoed] or found), None)

    def _beginning(self) -> str:
        """Return our name of the conversation that is being begun, if one is."""
        return next((turn.talk for turn in self._turns.values() if turn.sent and turn.talk.startswith(NEW)), NEW)

    def _turn_in(self, talk: str) -> int:
        name = talk if talk in self._talks else self._beginning()
        mine = (turn.number for turn in self._turns.values() if turn.sent and turn.talk in (talk, name))
        return next(mine, self._last_in.get(talk, self._last))

    # What comes

    def acked(self, key: Hashable, args: Sequence[Any], now: float) -> list[ClientEffect]:  # noqa: ARG002
        """An event was acknowledged: it was heard, and where something came with it, that is its answer."""
        event, _, number = str(key).partition(" ")
        if turn := self._turns.get(int(number)):
            turn.acked = True
        about = as_dict(args[0] if args else None)
        # An empty one is a receipt, unless the answer has nothing in it anyway.
        empty = not about.get("data") and _code(about) < 400  # noqa: PLR2004 (as in HTTP)
        if not about or (empty and event in (*BEGINS, "close_support", "close_call_support")):
            return []
        return [*self._came(event, about, int(number)), *self._send_next()]

    def received(self, event: str, payload: Any, now: float) -> list[ClientEffect]:  # noqa: ARG002
        """An event came."""
        return [*self._came(event, payload, 0), *self._send_next()]

    def _came(self, event: str, payload: Any, number: int) -> list[ClientEffect]:
        """Read what came, in the envelope that all have; an acknowledgement names the number of its turn."""
        about = as_dict(payload)
        data = as_dict(about.get("data"))
        talk = as_text(data.get("ticket_chat_id"))
        if _code(about) >= 400:  # noqa: PLR2004 (as in HTTP)
            return self._rejected(event, payload, as_text(about.get("message")) or str(_code(about)), talk, number)
        match event:
            case "support" | "customer_support":
                return self._message(event, payload, data, number)
            case "support_echo":
                return self._echo(payload, talk)
            case "support_handler_changed":
                return self._handler(payload, data, talk)
            case "customer_support_closed":
                return self._auto_closed(payload, talk)
            case "call_support":
                return self._called(payload, data, talk)
            case "close_call_support" | "sate_left_call":
                return self._hung_up(event, payload, data, talk)
            case "close_support":
                return self._closes(payload, data, talk, number)
            case "mark_conversation_read" | "review_support" | "leave_support":
                return self._done(event, payload, talk, number)
            case "enter_customer_support" | "enter_support":
                return [Record(event, "session", payload, conversation=talk or None)]
            case "error":
                return [Record(event, "error", payload, turn=self._last, error=as_text(payload) or json.dumps(payload))]
            case _ if "status_code" in about and not data:  # the envelope of the connection, under whatever name
                return [Record(event, "session", payload)]
            case _:
                return [Record(event, "custom", payload, turn=self._last, text=event)]

    def _rejected(self, event: str, payload: Any, why: str, talk: str, number: int) -> list[ClientEffect]:
        turn = self._waiting_for(event, talk, number)
        if not turn:
            kind, error = ("status", None) if number else ("error", why)  # the event has said so before
            return [Record(event, kind, payload, turn=self._last, error=error)]
        known = turn.talk if turn.talk in self._talks else None
        record = Record(event, "error", payload, turn=turn.number, text="rejected", error=why, conversation=known)
        hung_up = self._call_over(turn.talk, None, why) if event == "close_call_support" else []
        return [record, *hung_up, *self._finish(turn, "rejected", why)]

    def _done(self, event: str, payload: Any, talk: str, number: int) -> list[ClientEffect]:
        """Record the answer to a request, and end its turn."""
        kind = {"mark_conversation_read": "read", "review_support": "review"}.get(event, "session")
        turn = self._waiting_for(event, talk, number)
        if not turn:
            kind = kind if event == "mark_conversation_read" else "status"
            return [Record(event, kind, payload, turn=self._last, conversation=talk or None)]
        effects: list[ClientEffect] = []
        if event == "mark_conversation_read":
            effects = self._update(turn.talk, unread=0)
        elif event == "leave_support":
            self._left.add(turn.talk)
        record = Record(event, kind, payload, turn=turn.number, conversation=turn.talk)
        return [record, *effects, *self._finish(turn, "completed", event)]

    def _known(self, talk: str) -> list[ClientEffect]:
        """Take note of a conversation. One that is new is the one that is being begun; its room is entered."""
        if not talk or talk in self._talks:
            return []
        begun = self._beginning()
        for turn in self._turns.values():
            turn.talk = talk if turn.talk == begun else turn.talk
        self._target = talk if self._target in (begun, "") else self._target
        self._last_in[talk] = self._last_in.pop(begun, self._last)
        return [*self._update(talk), *self._keep(), *(self._enter(talk) if self._open else [])]

    def _keep(self) -> list[ClientEffect]:
        return [Persist("conversation_id", "" if self._target.startswith(NEW) else self._target)]

    def _update(self, talk: str, **changed: Any) -> list[ClientEffect]:
        """Change what is known of a conversation; one that is closed stays so."""
        before = self._talks.get(talk)
        after = replace(before or Conversation(talk), **changed)
        if before and before.closed:
            after = replace(after, closed=True, suggested=False)
        if after == before:
            return []
        self._talks[talk] = after
        return [Conversations(tuple(self._talks.values()))]

    def _message(
        self, event: str, payload: Any, data: dict[str, Any], number: int = 0, *, missed: bool = False
    ) -> list[ClientEffect]:
        """Record what somebody said; a `support` reply ends the turn that waits for it."""
        talk, words, who = as_text(data.get("ticket_chat_id")), data.get("message"), as_text(data.get("sender"))
        if number and not talk and (mine := self._turns.get(number)) and not mine.talk.startswith(NEW):
            talk = mine.talk
        if not talk or not isinstance(words, str):
            what = f"{'message' if talk else 'ticket_chat_id'} is missing"
            return [misread(event, payload, what, self._turn_in(talk))]
        replies = who != "customer" and (event == "support" or (missed and who == "sate"))
        turn = self._waiting_for("support", talk, number) if replies else None
        if turn and missed and turn.link == self._links:  # it was sent since
            turn = None
        # Eusate's times may have whole seconds, and two replies of one second may be the same.
        twin = turn is not None and (turn.acked or turn.echoed) and not missed and (time_of(data) or 1) % 10**9 == 0
        if self._is_again(talk, who, data, words) and not twin:
            return [Record(event, "status", payload, turn=self._last, text="again", conversation=talk)]
        effects = self._known(talk)
        shown = said(data)
        record = Record(
            event,
            shown.kind,
            payload,
            sender=SENDERS.get(who, "bot"),
            turn=turn.number if turn else self._turn_in(talk),
            text=shown.text,
            server_at=time_of(data),
            conversation=talk,
        )
        effects = [record, *effects, *self._after(talk, who, data, missed=missed)]
        if not turn or turn.number not in self._turns:
            return effects
        self._echoes += not turn.echoed and not missed
        return effects + self._finish(turn, "completed", "support")

    def _is_again(self, talk: str, who: str, data: dict[str, Any], words: str) -> bool:
        if (at := time_of(data)) is None:
            return False
        mark = (talk, who, at, words)
        if mark in self._seen:
            return True
        self._seen[mark] = None
        if len(self._seen) > SEEN:
            del self._seen[next(iter(self._seen))]
        self._latest[talk] = max(at, self._latest.get(talk, 0))
        return False

    def _after(self, talk: str, who: str, data: dict[str, Any], *, missed: bool) -> list[ClientEffect]:
        """Note what a message changes: who answers, whether it is read, whether the conversation may be closed."""
        reads = self._settings["mark_read"] and who != "customer"
        unread = 0 if reads or who == "customer" else self._talks[talk].unread + 1
        effects = self._update(talk, unread=unread)
        if who == "agent" and not missed:
            effects += self._update(talk, handler="agent")
        if "close_support" in data:
            closed = data.get("closed_support") is True
            effects += self._update(talk, suggested=data["close_support"] is True and not closed)
            effects += self._over(talk, "closed_support") if closed else []
        if not reads or not self._open:
            return effects
        return [*effects, *self._emit("mark_conversation_read", payload_of(READ, "", talk), "read", talk)]

    def _echo(self, payload: Any, talk: str) -> list[ClientEffect]:
        turn = self._waiting_for("support", talk)
        late, self._echoes = bool(self._echoes and not talk), max(0, self._echoes - 1)
        if not turn or turn.echoed or late:
            return [Record("support_echo", "ack", payload, turn=self._turn_in(talk), conversation=talk or None)]
        turn.echoed = True
        known = self._talks.get(turn.talk)
        record = Record("support_echo", "ack", payload, turn=turn.number, conversation=known.id if known else None)
        if known and known.handler == "agent":
            return [record, *self._finish(turn, "completed", "support_echo")]
        return [record]

    def _handler(self, payload: Any, data: dict[str, Any], talk: str) -> list[ClientEffect]:
        event, handler = "support_handler_changed", as_text(data.get("handler"))
        if not talk or not handler:
            return [misread(event, payload, "ticket_chat_id or handler is missing", self._last)]
        agent = as_text(as_dict(data.get("agent")).get("username"))
        is_agent = handler == "agent"
        text = f"you are now chatting with {agent or 'an agent'}" if is_agent else "the bot answers again"
        record = Record(event, "handler", payload, turn=self._turn_in(talk), text=text, conversation=talk)
        effects = self._known(talk)
        effects += self._update(talk, handler="agent" if is_agent else "bot", agent=agent if is_agent else "")
        return [record, *effects, *(self._taken_over(talk) if is_agent else [])]

    def _taken_over(self, talk: str) -> list[ClientEffect]:
        """End the turn that the bot was heard to have, and will not answer any more."""
        turn = self._waiting_for("support", talk)
        heard = turn and (turn.echoed or (turn.acked and turn.link < self._links))
        return self._finish(turn, "completed", "support_handler_changed") if turn and heard else []

    def _auto_closed(self, payload: Any, talk: str) -> list[ClientEffect]:
        event = "customer_support_closed"
        if not talk:
            return [misread(event, payload, "ticket_chat_id is missing", self._last)]
        text = "the helpdesk has closed it"
        record = Record(event, "ended", payload, turn=self._turn_in(talk), text=text, conversation=talk)
        return [record, *self._known(talk), *self._over(talk, event)]

    def _over(self, talk: str, event: str) -> list[ClientEffect]:
        """A conversation is closed, and with it what waits for a reply in it."""
        effects = self._update(talk, closed=True, suggested=False, unread=0)
        effects += self._call_over(talk, None, "the conversation was closed")
        for turn in [turn for turn in self._turns.values() if turn.sent and turn.talk == talk]:
            effects += self._finish(turn, "completed", event) if turn.event == "support" else []
        return effects + ([Persist("conversation_id", "")] if self._target == talk else [])

    def _closes(self, payload: Any, data: dict[str, Any], talk: str, number: int) -> list[ClientEffect]:
        turn = self._waiting_for("close_support", talk, number)
        talk = talk or (turn.talk if turn else "")
        if not talk:
            return [misread("close_support", payload, "ticket_chat_id is missing", self._last)]
        words, at = as_text(data.get("message")), turn.number if turn else self._last
        if self._is_again(talk, as_text(data.get("sender")), data, words):
            record = Record("close_support", "status", payload, turn=at, text="again", conversation=talk)
        else:
            shown = said(data)
            record = Record("close_support", shown.kind, payload, "in", "bot", at, shown.text, conversation=talk)
        effects = [record, *self._known(talk), *self._over(talk, "close_support")]
        return effects + (self._finish(turn, "completed", "close_support") if turn else [])

    # Calls

    def _called(self, payload: Any, data: dict[str, Any], talk: str) -> list[ClientEffect]:
        token, call = as_text(data.get("token")), as_text(data.get("ticket_call_id"))
        if not token or not talk or not call:
            return [misread("call_support", payload, "token or an id is missing", self._turn_in(talk))]
        if self._calls.get(talk) == call:
            return [Record("call_support", "status", payload, turn=self._last, text="again", conversation=talk)]
        turn = self._waiting_for("call_support", talk)
        effects = self._known(talk)
        at, started = turn.number if turn else self._last, as_text(data.get("call_start_time"))
        self._calls[talk] = call
        record = Record("call_support", "call", payload, turn=at, text="the call begins", conversation=talk)
        begun = CallStarted(call, talk, as_text(data.get("room")) or talk, Secret(token), started, at)
        done = self._finish(turn, "completed", "call_support") if turn else []
        return [Credential(token), record, *effects, begun, *done]

    def _hung_up(self, event: str, payload: Any, data: dict[str, Any], talk: str) -> list[ClientEffect]:
        call, left = as_text(data.get("ticket_call_id")), event == "sate_left_call"
        text = "the bot has left the call" if left else "the call has ended"
        turn = None if left else self._waiting_for(event, talk)
        talk = talk or (turn.talk if turn else "")
        at = turn.number if turn else self._turn_in(talk)
        effects: list[ClientEffect] = [Record(event, "call", payload, turn=at, text=text, conversation=talk or None)]
        if call in ("", self._calls.get(talk)):
            effects += self._call_over(talk, as_text(data.get("call_end_time")) or None, text)
        return effects + (self._finish(turn, "completed", event) if turn else [])

    def _call_over(self, talk: str, ended: str | None, reason: str) -> list[ClientEffect]:
        return [CallEnded(self._calls.pop(talk), ended, reason)] if talk in self._calls else []

    # The HTTP interface

    def http_response(self, response: HttpResponse, now: float) -> list[ClientEffect]:  # noqa: ARG002
        """Handle the list of conversations, or the messages of one. A helpdesk without this interface works too."""
        if not isinstance(response.purpose, Query):
            return []
        what, talk = response.purpose
        return [*self._read(what, talk, response.status, response.body), *self._send_next()]

    def _read(self, what: str, talk: str, status: int, body: bytes) -> list[ClientEffect]:
        try:
            answer = json.loads(body) if status == 200 else None  # noqa: PLR2004
        except ValueError:
            answer = None
        if answer is None:
            why = f"HTTP {status}" if status else body.decode(errors="replace")
            text = f"the helpdesk does not tell its {what} ({why})"
            log = Record(what, "log", None, "local", text=text, conversation=talk or None)
            return [log, *(self._go_on(text) if what == "conversations" else [])]
        if what == "conversations":
            listed = [about for about in map(as_dict, as_list(answer)) if as_text(about.get("id"))]
            effects = [effect for about in listed for effect in self._listed(about)]
            self._told = True
            if self._target == self._settings["conversation_id"] and self._target not in self._talks:
                self._target = ""  # what was kept is over
            return [*effects, *self._go_on(f"{len(listed)} conversations are open")]
        self._asked.discard(talk)
        about = as_dict(answer)
        messages = map(as_dict, as_list(about.get("messages")))
        effects = [effect for each in messages for effect in self._missed(talk, each)]
        if about.get("closed") is True and not self._talks.get(talk, Conversation(talk)).closed:
            text = "the helpdesk has closed it"
            effects += [Record("messages", "ended", None, "local", turn=self._last, text=text, conversation=talk)]
            effects += self._over(talk, "closed meanwhile")
        return effects

    def _listed(self, about: dict[str, Any]) -> list[ClientEffect]:
        """Take note of a conversation that the helpdesk lists."""
        talk = str(about["id"])
        new = talk not in self._talks
        if new and not self._told and self._beginning() != NEW and self._links == 1:  # may be the one being begun
            return []
        latest = as_dict(about.get("latest_message"))
        effects = self._known(talk)
        is_agent = about.get("responder") == "agent"
        unread = 0 if about.get("read_by_customer") is not False else max(1, self._talks[talk].unread)
        agent = self._talks[talk].agent if is_agent else ""
        suggested = about.get("close_support") is True
        effects += self._update(talk, handler="agent" if is_agent else "bot", agent=agent, unread=unread)
        effects += self._update(talk, suggested=suggested, closed=about.get("closed") is True)
        effects += self._taken_over(talk) if is_agent else []
        if not self._told and self._beginning() == NEW:  # what was said before this session is known
            self._is_again(talk, as_text(latest.get("sender")), latest, as_text(latest.get("message")))
            return effects
        return effects + (self._missed(talk, latest) if new else [])

    def _missed(self, talk: str, message: dict[str, Any]) -> list[ClientEffect]:
        """Take in what was said while there was no link."""
        at, who, words = time_of(message), as_text(message.get("sender")), as_text(message.get("message"))
        known = at is not None and (talk, who, at, words) in self._seen
        if who == "customer" or at is None or at < self._since.get(talk, 0) or known:
            return []
        return self._message("messages", message, {**message, "ticket_chat_id": talk}, missed=True)


READ = Action("read")


def _name(talk: str) -> str:
    """Return what a conversation is told from others by; all that are being begun are one."""
    return NEW if talk.startswith(NEW) else talk


def _code(about: dict[str, Any]) -> int:
    code = about.get("status_code")
    return code if isinstance(code, int) else 0

"""The server machine: a Voiceflow runtime that serves one project.

It speaks the documented protocol. It also speaks the protocol of Voiceflow's own web widget, which begins with
`start` and uses other names for the same events (`WIDGET_REQUESTS`, `WIDGET_EVENTS`).

The vendor does not document how a session is resumed. In this module, a session keeps the events of its last turns and
repeats them to a client that lost its link, if the client sends messageIDs.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from socketnb.dialects.base import ServerMachine
from socketnb.dialects.tokens import jwt
from socketnb.dialects.voiceflow.accounts import same_action
from socketnb.dialects.voiceflow.actions import user_input
from socketnb.dialects.voiceflow.faults import action_problem, start_problem
from socketnb.dialects.voiceflow.handshake import PATH
from socketnb.dialects.voiceflow.shapes import Shaper
from socketnb.dialects.voiceflow.state_api import StateApi
from socketnb.model.content import End, Raw, Step
from socketnb.model.effects import Close, Emit, EndFlow, HttpCall, RunFlow, ServerEffect
from socketnb.model.json import Json, JsonObject, JsonObjectOut, JsonOut, as_dict, as_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from socketnb.dialects.base import NewId, Settings

MAX_REPEATED_TURNS = 4
"""The number of completed turns that a session keeps for repetition. The protocol has no acknowledgements."""
MAX_UNSENT_EVENTS = 10_000
"""The number of events kept for a session without a link."""
RESTART_CLOSE_S = 5.0
"""How long a restarting server waits for its clients to reconnect before it closes their links, in seconds."""
WIDGET_REQUESTS = {"start": "client.start", "session-key-update": "session.create", "action": "action.send"}
"""The event name that Voiceflow's web widget sends → the documented name."""
WIDGET_EVENTS = {
    "client.started": "start",
    "session.created": "session-key-update",
    "action.trace": "trace",
    "action.status": "action",
    "session.ended": "session-ended",
}
"""The documented name of an event that a server sends → the web widget's name."""


@dataclass(slots=True)
class _Turn:
    """An action and the events that were sent for it."""

    message_id: str
    request: JsonObject
    delay: float = 0.0  # seconds by which its events are delayed
    events: list[tuple[str, JsonOut]] = field(default_factory=list)
    completed: bool = False
    silent: bool = False  # whether its final status is withheld


@dataclass(slots=True)
class _Session:
    """A conversation. It outlives its links. Without a link, events are queued in `unsent`."""

    id: str
    user: str
    key: str
    links: list[str]
    shaper: Shaper
    last_used: float
    turns: deque[_Turn] = field(default_factory=deque)  # the first one is running
    completed: deque[_Turn] = field(default_factory=lambda: deque(maxlen=MAX_REPEATED_TURNS))
    has_ids: bool = False  # whether the client sends messageIDs and so recognises repeated events
    restarted: JsonObject | None = None  # the action that the client was told to send again
    unsent: deque[tuple[str, JsonOut]] = field(default_factory=lambda: deque(maxlen=MAX_UNSENT_EVENTS))
    ended: bool = False  # whether the flow has ended the session


class _Delayed(NamedTuple):
    """An event that is sent later. Its session may have ended by then."""

    due: float
    session: _Session
    event: str
    payload: JsonOut
    turn: _Turn | None


class Server(ServerMachine):
    """The server machine of an endpoint. `ids` returns a new unique string at each call."""

    url_settings = ("url", "state_url")

    def __init__(self, settings: Settings, ids: NewId, options: Settings) -> None:
        self.path = PATH
        self._settings = settings
        self._ids = ids
        self._options = options
        self._idle = float(options["idle_timeout"])
        self._now = 0.0
        self._state = StateApi(settings)
        self._closing: dict[str, float | None] = {}  # link → when it is closed, after a restart; None: not set yet
        self._signing_key = ids().encode()
        self._starts: dict[str, JsonObject] = {}  # link → the accepted client.start
        self._widgets: set[str] = set()  # links that speak the web widget's protocol
        self._links: dict[str, _Session] = {}
        self._keys: dict[str, _Session] = {}  # sessionKey → session
        self._sessions: dict[str, _Session] = {}
        self._delayed: list[_Delayed] = []  # in the order of the events
        self._faults: set[str] = set()

    def opened(self, link: str, query: Mapping[str, str], now: float) -> list[ServerEffect]:
        """Do nothing: the client sends the first event."""
        return []

    def received(self, link: str, event: str, payload: Json, now: float) -> list[ServerEffect]:
        """Handle an event from a client."""
        self._now = now
        if "mute" in self._faults:
            return []
        if event == "start":
            self._widgets.add(link)
        if link in self._widgets:
            event = WIDGET_REQUESTS.get(event, event)
        match event:
            case "client.start":
                return self._start(link, as_dict(payload), now)
            case "session.create" if link in self._starts:
                return self._create(link, now)
            case "action.send" if link in self._links:
                return self._act(self._links[link], as_dict(payload), now)
            case "session.create" | "action.send":
                missing = "client.start" if link not in self._starts else "session.create"
                return self._error(link, "out_of_order", f"send {missing} before {event}")
            case "keep-alive":
                return []
            case "cancel":
                return [Emit("cancel", ({"success": False},), link)]
            case _:
                return self._error(link, "unknown_event", f"unknown event {event!r}")

    def closed(self, link: str, now: float, *, goodbye: bool = False) -> list[ServerEffect]:
        """Handle the loss of a client's link. The session stays. After a clean disconnect, no events are missing."""
        self._starts.pop(link, None)
        self._widgets.discard(link)
        self._closing.pop(link, None)
        if (session := self._links.pop(link, None)) and link in session.links:
            session.links.remove(link)
            if goodbye:
                session.completed.clear()
        return []

    def put(self, conversation: str, step: Step, now: float) -> list[ServerEffect]:
        """Send a step of the flow."""
        self._now = now
        session = self._sessions.get(conversation)
        if session is None:
            return []
        if isinstance(step, Raw):
            return self._raw(session, step)
        if isinstance(step, End):
            session.ended = True
        return [effect for trace in session.shaper.traces(step) for effect in self._trace(session, trace, now)]

    def done(self, conversation: str, error: str | None, now: float) -> list[ServerEffect]:
        """End a turn of the flow."""
        self._now = now
        session = self._sessions.get(conversation)
        if session is None:
            return []
        running = session.turns[0] if session.turns else None
        effects = self._to(session, "error", {"code": "flow_error", "error": error}, running) if error else []
        if not session.turns:  # the flow failed after asking a question
            return effects
        turn = session.turns.popleft()
        session.completed.append(turn)
        turn.completed, session.last_used = True, now
        for trace in session.shaper.rest():  # a stream whose last piece was not sent
            effects += self._trace(session, trace, now, turn)
        if not turn.silent:
            effects += self._to(session, "action.status", {"status": "completed", "messageID": turn.message_id}, turn)
        if session.ended:
            return effects + self._end(session, "end_of_diagram")
        effects += self._run_next(session)
        self._set_timer()
        return effects

    def timer(self, now: float) -> list[ServerEffect]:
        """End the sessions that have been idle for too long, send delayed events, and close links after a restart."""
        self._now = now
        idle = [s for s in self._sessions.values() if self._idle and not s.turns and s.last_used + self._idle <= now]
        effects = [effect for session in idle for effect in self._end(session, "inactivity_timeout")]
        due = [each for each in self._delayed if each.due <= now]
        self._delayed = [each for each in self._delayed if each.due > now]
        effects += [e for _, session, event, payload, turn in due for e in self._send(session, event, payload, turn)]
        for link, at in list(self._closing.items()):
            if at is None:
                self._closing[link] = now + RESTART_CLOSE_S
            elif at <= now:
                del self._closing[link]
                effects.append(Close(link))
        self._set_timer()
        return effects

    def fault(self, name: str) -> list[ServerEffect]:
        """Inject one of `FAULTS`. It takes effect immediately or on the next matching event."""
        sessions = list(self._sessions.values())
        match name:
            case "expire":
                return [effect for session in sessions for effect in self._end(session, "expired")]
            case "restart":
                return [
                    effect
                    for session in sessions
                    for effect in self._restart(session, session.turns[0] if session.turns else None)
                ]
            case "error":
                return [e for s in sessions for e in self._to(s, "error", {"code": "test", "error": "on request"})]
            case _:
                self._faults.add(name)
        return []

    def request(self, request: HttpCall, now: float) -> list[ServerEffect]:
        """Answer a call of the state API."""
        return [self._state.answer(request)]

    # Sessions

    def _start(self, link: str, start: JsonObject, now: float) -> list[ServerEffect]:
        if refusal := start_problem(start, self._settings):
            return [*self._error(link, *refusal), Close(link)]
        self._starts[link] = start
        session = self._keys.get(as_text(start.get("sessionKey")))
        if session and session.user != start["userID"]:
            session = None
        effects = self._emit(link, "client.started", {"newSessionRequired": session is None})
        if session:
            session.links = [*session.links, link] if self._options["both_links"] else [link]
            session.shaper.config, session.last_used = as_dict(start.get("config")), now
            self._links[link] = session
            self._state.describe(session.user, start)
            effects += self._resume(session, link)
        return effects

    def _resume(self, session: _Session, link: str) -> list[ServerEffect]:
        """Send the events queued without a link. A client with messageIDs also receives its last turns again."""
        turns = [*session.completed, *session.turns] if session.has_ids else []
        events = [event for turn in turns for event in turn.events]
        in_turns = set(map(id, events))
        events += [event for event in session.unsent if id(event) not in in_turns]
        session.unsent.clear()
        return [effect for event, payload in events for effect in self._emit(link, event, payload)]

    def _create(self, link: str, now: float) -> list[ServerEffect]:
        if (old := self._links.get(link)) and link in old.links:
            old.links.remove(link)
        start, sid = self._starts[link], self._ids()
        key = jwt({"sub": start["userID"], "sid": sid, "iat": int(now)}, self._signing_key)
        user = as_text(start["userID"])
        session = _Session(sid, user, key, [link], Shaper(self._ids, as_dict(start.get("config"))), now)
        self._state.describe(user, start)
        self._sessions[sid] = self._keys[key] = self._links[link] = session
        self._set_timer()
        return self._emit(link, "session.created", {"sessionKey": key})

    def _end(self, session: _Session, reason: str) -> list[ServerEffect]:
        effects = self._to(session, "session.ended", {"reason": reason})
        self._forget(session)
        return [*effects, EndFlow(session.id)]

    def _forget(self, session: _Session) -> None:
        del self._sessions[session.id], self._keys[session.key]
        for link in session.links:
            self._links.pop(link, None)

    def _set_timer(self) -> None:
        sessions = self._sessions.values()
        due = [session.last_used + self._idle for session in sessions if not session.turns] if self._idle else []
        due += [each.due for each in self._delayed]
        due += [self._now if at is None else at for at in self._closing.values()]
        self.deadline = min(due, default=None)

    # Turns

    def _act(self, session: _Session, payload: JsonObject, now: float) -> list[ServerEffect]:
        session.last_used = now
        action = as_dict(payload.get("action"))
        given = as_text(payload.get("messageID")) if self._options["message_ids"] == "client" else ""
        session.has_ids = bool(given)
        message_id = given or self._ids()
        if known := self._known(session, message_id, action):
            status = "completed" if known.completed else "accepted"
            return self._to(session, "action.status", {"status": status, "messageID": known.message_id})
        problem = action_problem(action)
        if self._take("reject"):
            problem = "rejected on request"
        if self._take("restart_before"):
            return self._restart(session, _Turn(message_id, action), is_running=False)
        delay = float(self._options["late_by"]) if self._take("late") else 0.0
        turn = _Turn(message_id, action, delay, silent=self._take("silent"))
        if problem:
            rejected = {"status": "rejected", "messageID": message_id, "reason": problem}
            return self._to(session, "action.status", rejected)
        effects: list[ServerEffect] = []
        if action["type"] in ("launch", "end"):  # both requests end the running turns
            while session.turns:
                old = session.turns.popleft()
                old.completed = True
                effects += self._to(session, "action.status", {"status": "completed", "messageID": old.message_id}, old)
        session.turns.append(turn)
        self._set_timer()
        effects += self._to(session, "action.status", {"status": "accepted", "messageID": message_id}, turn)
        if action["type"] == "end":
            effects += self._to(session, "action.status", {"status": "completed", "messageID": message_id}, turn)
            return effects + self._end(session, "ended_by_user")
        if self._take("restart_after"):
            effects += self._restart(session, turn)
        return effects + (self._run_next(session) if len(session.turns) == 1 else [])

    def _take(self, fault: str) -> bool:
        """Return whether a fault of the next action was injected, and remove it."""
        injected = fault in self._faults
        self._faults.discard(fault)
        return injected

    def _known(self, session: _Session, message_id: str, action: JsonObject) -> _Turn | None:
        """Return the turn of an action that is repeated after a lost link or a restart, or None."""
        for turn in [*session.turns, *session.completed]:
            is_restarted = session.restarted is turn.request and same_action(turn.request, action)
            if turn.message_id == message_id or is_restarted:
                session.restarted = None
                return turn
        return None

    def _run_next(self, session: _Session) -> list[ServerEffect]:
        if not session.turns:
            return []
        return [RunFlow(session.id, user_input(session.turns[0].request), self._state.variables(session.user))]

    def _restart(self, session: _Session, turn: _Turn | None, *, is_running: bool = True) -> list[ServerEffect]:
        """Tell the clients of a session to reconnect and to send an action again, and close their links later."""
        session.restarted = turn.request if turn and is_running else None
        action: JsonObjectOut = {}
        if turn and self._options["restart_action"]:
            action = {"action": {**turn.request, "diagramID": "diagram-1", "time": int(self._now * 1000)}}
        links, session.links = session.links, []  # later events wait for the next link
        self._closing |= dict.fromkeys(links)
        self._set_timer()
        return [effect for link in links for effect in self._emit(link, "server.restart", action)]

    # Sending

    def _raw(self, session: _Session, step: Raw) -> list[ServerEffect]:
        payload = step.payload
        if step.event == "action.trace" and isinstance(payload, dict) and "messageID" not in payload:
            payload = {**payload, "messageID": session.turns[0].message_id if session.turns else self._ids()}
        return self._to(session, step.event, payload, session.turns[0] if session.turns else None)

    def _trace(
        self, session: _Session, trace: JsonObjectOut, now: float, turn: _Turn | None = None
    ) -> list[ServerEffect]:
        turn = turn or (session.turns[0] if session.turns else None)
        payload: JsonObjectOut = {
            "trace": {**trace, "time": int(now * 1000)},
            "messageID": turn.message_id if turn else self._ids(),
        }
        return self._to(session, "action.trace", payload, turn)

    def _to(self, session: _Session, event: str, payload: JsonOut, turn: _Turn | None = None) -> list[ServerEffect]:
        """Send an event to the clients of a session, or queue it: until it is due, or until the session has a link."""
        delay = turn.delay if turn else 0.0
        earlier = [each.due for each in self._delayed if each.session is session]
        if not earlier and not delay:
            return self._send(session, event, payload, turn)
        due = max([self._now + delay, *earlier])  # later events do not overtake delayed ones
        self._delayed.append(_Delayed(due, session, event, payload, turn))
        self._set_timer()
        return []

    def _send(self, session: _Session, event: str, payload: JsonOut, turn: _Turn | None) -> list[ServerEffect]:
        sent = (event, payload)
        if turn:
            turn.events.append(sent)
        if not session.links:
            session.unsent.append(sent)
        return [effect for link in session.links for effect in self._emit(link, event, payload)]

    def _emit(self, link: str, event: str, payload: JsonOut) -> list[ServerEffect]:
        if link not in self._widgets or event not in WIDGET_EVENTS:
            return [Emit(event, (payload,), link)]
        match event:
            case "client.started":
                payload = {"versionID": "simulated", **as_dict(payload)}
            case "action.trace":
                payload = {"trace": payload.get("trace")} if isinstance(payload, dict) else payload
            case "action.status":
                payload = {"status": payload.get("status")} if isinstance(payload, dict) else payload
            case "session.ended":
                return [Emit("session-ended", (), link)]
        return [Emit(WIDGET_EVENTS[event], (payload,), link)]

    def _error(self, link: str, code: str, error: str) -> list[ServerEffect]:
        return self._emit(link, "error", {"code": code, "error": error})

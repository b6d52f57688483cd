"""The server machine: a Voiceflow runtime that serves one project.

It speaks the documented protocol. It also speaks the protocol of Voiceflow's own web widget, which begins with
`start` and uses other names for the same events (`WIDGET_REQUESTS`, `WIDGET_EVENTS`).

The vendor does not document how a session is resumed. In this module, a session keeps the events of its last turns and
repeats them to a client that lost its link, if the client sends messageIDs.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from socketnb.dialects.base import ServerMachine
from socketnb.dialects.tokens import jwt
from socketnb.dialects.voiceflow.actions import user_input
from socketnb.dialects.voiceflow.client import PATH
from socketnb.dialects.voiceflow.shapes import Shaper
from socketnb.model.actions import Setting
from socketnb.model.content import End, Raw, Step
from socketnb.model.effects import Close, Emit, EndFlow, RunFlow, ServerEffect
from socketnb.model.json import Json, JsonObject, JsonObjectOut, JsonOut, as_dict, as_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from socketnb.dialects.base import NewId, Settings

OPTIONS: dict[str, Setting] = {
    "idle_timeout": Setting("idle seconds after which a session ends; 0: no limit", type=float, default=0.0),
}
MAX_REPEATED_TURNS = 4
"""The number of completed turns that a session keeps for repetition. The protocol has no acknowledgements."""
MAX_UNSENT_EVENTS = 10_000
"""The number of events kept for a session without a link."""
FAULTS = {
    "reject": "the next action is rejected",
    "silent": "the next action is accepted but never completed",
    "expire": "every session ends and is forgotten",
    "mute": "events from clients are no longer answered",
    "restart": "every client is told to reconnect and to resend its running action",
    "error": "every client is sent a general error",
}
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
    events: list[tuple[str, JsonOut]] = field(default_factory=list)
    completed: bool = False
    silent: bool = False  # whether its final status is withheld


@dataclass(slots=True)
class _Session:
    """A conversation. It outlives its links. Without a link, events are queued in `unsent`."""

    id: str
    key: str
    link: str | None
    shaper: Shaper
    last_used: float
    turns: deque[_Turn] = field(default_factory=deque)  # the first one is running
    completed: deque[_Turn] = field(default_factory=lambda: deque(maxlen=MAX_REPEATED_TURNS))
    has_ids: bool = False  # whether the client sends messageIDs and so recognises repeated events
    restarted: JsonObject | None = None  # the action that the client was told to send again
    unsent: deque[tuple[str, JsonOut]] = field(default_factory=lambda: deque(maxlen=MAX_UNSENT_EVENTS))
    ended: bool = False  # whether the flow has ended the session


class Server(ServerMachine):
    """The server machine of an endpoint. `ids` returns a new unique string at each call."""

    def __init__(self, settings: Settings, ids: NewId, options: Settings) -> None:
        self.path = PATH
        self._settings = settings
        self._ids = ids
        self._idle = float(options["idle_timeout"])
        self._signing_key = ids().encode()
        self._starts: dict[str, JsonObject] = {}  # link → the accepted client.start
        self._widgets: set[str] = set()  # links that speak the web widget's protocol
        self._links: dict[str, _Session] = {}
        self._keys: dict[str, _Session] = {}  # sessionKey → session
        self._sessions: dict[str, _Session] = {}
        self._faults: set[str] = set()

    def opened(self, link: str, query: Mapping[str, str], now: float) -> list[ServerEffect]:
        """Do nothing: the client sends the first event."""
        return []

    def received(self, link: str, event: str, payload: Json, now: float) -> list[ServerEffect]:
        """Handle an event from a client."""
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
        if (session := self._links.pop(link, None)) and session.link == link:
            session.link = None
            if goodbye:
                session.completed.clear()
        return []

    def put(self, conversation: str, step: Step, now: float) -> list[ServerEffect]:
        """Send a step of the flow."""
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
        session = self._sessions.get(conversation)
        if session is None:
            return []
        effects = self._to(session, "error", {"code": "flow_error", "error": error}) if error else []
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
        """End the sessions that have been idle for too long."""
        idle = [s for s in self._sessions.values() if not s.turns and s.last_used + self._idle <= now]
        effects = [effect for session in idle for effect in self._end(session, "inactivity_timeout")]
        self._set_timer()
        return effects

    def fault(self, name: str) -> list[ServerEffect]:
        """Inject one of `FAULTS`. It takes effect immediately or on the next matching event."""
        sessions = list(self._sessions.values())
        match name:
            case "expire":
                return [effect for session in sessions for effect in self._end(session, "expired")]
            case "restart":
                return [effect for session in sessions for effect in self._restart(session)]
            case "error":
                return [e for s in sessions for e in self._to(s, "error", {"code": "test", "error": "on request"})]
            case _:
                self._faults.add(name)
        return []

    # Sessions

    def _start(self, link: str, start: JsonObject, now: float) -> list[ServerEffect]:
        s, refusal = self._settings, None
        if start.get("projectID") != s["project_id"]:
            refusal = self._error(link, "project_not_found", "unknown project: check project_id")
        elif s.get("api_key") and start.get("authorization") != s["api_key"].reveal():
            refusal = self._error(link, "unauthorized", "the API key was not accepted: check api_key")
        elif not as_text(start.get("userID")):
            refusal = self._error(link, "bad_request", "client.start needs a userID")
        if refusal:
            return [*refusal, Close(link)]
        self._starts[link] = start
        session = self._keys.get(as_text(start.get("sessionKey")))
        effects = self._emit(link, "client.started", {"newSessionRequired": session is None})
        if session:
            session.link, session.shaper.config, session.last_used = link, as_dict(start.get("config")), now
            self._links[link] = session
            effects += self._resume(session)
        return effects

    def _resume(self, session: _Session) -> list[ServerEffect]:
        """Send the events queued without a link. A client with messageIDs also receives its last turns again."""
        turns = [*session.completed, *session.turns] if session.has_ids else []
        events = [event for turn in turns for event in turn.events]
        in_turns = set(map(id, events))
        events += [event for event in session.unsent if id(event) not in in_turns]
        session.unsent.clear()
        return [effect for event, payload in events for effect in self._emit(session.link or "", event, payload)]

    def _create(self, link: str, now: float) -> list[ServerEffect]:
        if old := self._links.get(link):
            old.link = None
        start, sid = self._starts[link], self._ids()
        key = jwt({"sub": start["userID"], "sid": sid, "iat": int(now)}, self._signing_key)
        session = _Session(sid, key, link, Shaper(self._ids, as_dict(start.get("config"))), now)
        self._sessions[sid] = self._keys[key] = self._links[link] = session
        self._set_timer()
        return self._emit(link, "session.created", {"sessionKey": key})

    def _end(self, session: _Session, reason: str) -> list[ServerEffect]:
        effects = self._to(session, "session.ended", {"reason": reason})
        self._forget(session)
        return [*effects, EndFlow(session.id)]

    def _forget(self, session: _Session) -> None:
        del self._sessions[session.id], self._keys[session.key]
        if session.link:
            self._links.pop(session.link, None)

    def _set_timer(self) -> None:
        used = [s.last_used for s in self._sessions.values() if not s.turns] if self._idle else []
        self.deadline = min(used) + self._idle if used else None

    # Turns

    def _act(self, session: _Session, payload: JsonObject, now: float) -> list[ServerEffect]:
        session.last_used = now
        action = as_dict(payload.get("action"))
        session.has_ids = bool(as_text(payload.get("messageID")))
        message_id = as_text(payload.get("messageID")) or self._ids()
        if known := self._known(session, message_id, action):
            status = "completed" if known.completed else "accepted"
            return self._to(session, "action.status", {"status": status, "messageID": known.message_id})
        problem = _problem(action)
        if "reject" in self._faults:
            self._faults.discard("reject")
            problem = "rejected on request"
        turn = _Turn(message_id, action, silent="silent" in self._faults)
        self._faults.discard("silent")
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
        return effects + (self._run_next(session) if len(session.turns) == 1 else [])

    def _known(self, session: _Session, message_id: str, action: JsonObject) -> _Turn | None:
        """Return the turn of an action that is repeated after a lost link or a restart, or None."""
        for turn in [*session.turns, *session.completed]:
            if turn.message_id == message_id or (session.restarted == turn.request == action):
                session.restarted = None
                return turn
        return None

    def _run_next(self, session: _Session) -> list[ServerEffect]:
        return [RunFlow(session.id, user_input(session.turns[0].request))] if session.turns else []

    def _restart(self, session: _Session) -> list[ServerEffect]:
        session.restarted = session.turns[0].request if session.turns else None
        return self._to(session, "server.restart", {"action": session.restarted} if session.restarted else {})

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
        """Send an event over the link of a session, or queue it until the session has a link."""
        sent = (event, payload)
        if turn:
            turn.events.append(sent)
        if session.link is None:
            session.unsent.append(sent)
            return []
        return self._emit(session.link, event, payload)

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


def _problem(action: JsonObject) -> str | None:
    """Return what is wrong with an action, or None."""
    if not as_text(action.get("type")):
        return "an action needs a type"
    if action["type"] == "text" and not isinstance(action.get("payload"), str):
        return "the payload of a text action must be a string"
    return None

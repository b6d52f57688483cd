"""The server machine: a Voiceflow runtime that serves one project.

It speaks the documented dialect, and to clients that begin with `start` the one of Voiceflow's own web widget, which
has other names for the same things (`WIDGET`). What the vendor does not publish is decided here: a session keeps the
events of its last turns, and a client that lost its link, and sends messageIDs, is sent them again.
"""

from __future__ import annotations

import base64
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from socketnb.dialects.base import ServerMachine
from socketnb.dialects.sound import tone
from socketnb.dialects.tokens import jwt
from socketnb.dialects.voiceflow.actions import user_input
from socketnb.dialects.voiceflow.client import PATH
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
    Node,
    Queue,
    Raw,
    Step,
    Text,
    Typing,
)
from socketnb.model.effects import Close, Emit, EndFlow, RunFlow, ServerEffect
from socketnb.model.json import as_dict, as_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

OPTIONS: dict[str, Setting] = {
    "idle_timeout": Setting("seconds after which a session without an action ends; 0: never", type=float, default=0.0),
}
RESENT = 4
"""Turns that a session keeps to send again: the protocol has no acknowledgements."""
FAULTS = {
    "reject": "the next action is rejected",
    "silent": "the next action is accepted and never completed",
    "expire": "every session ends and is forgotten",
    "mute": "nothing that clients send is answered any more",
    "restart": "every client is told to reconnect, and to replay the action under way",
    "error": "every client is sent a general error",
}
# Voiceflow's own web widget: its name for an event, and the documented one. The two sets do not collide.
WIDGET_SAYS = {"start": "client.start", "session-key-update": "session.create", "action": "action.send"}
WIDGET_HEARS = {
    "client.started": "start",
    "session.created": "session-key-update",
    "action.trace": "trace",
    "action.status": "action",
    "session.ended": "session-ended",
}


@dataclass(slots=True)
class _Turn:
    """One action, and what was sent for it."""

    message_id: str
    request: dict[str, Any]
    events: list[tuple[str, Any]] = field(default_factory=list)
    over: bool = False
    silent: bool = False


@dataclass(slots=True)
class _Session:
    """One conversation. It outlives its links: what comes without one waits in `unsent`."""

    id: str
    key: str
    link: str | None
    config: dict[str, Any]
    used: float
    turns: deque[_Turn] = field(default_factory=deque)  # the first is under way
    done: deque[_Turn] = field(default_factory=lambda: deque(maxlen=RESENT))
    names: bool = False  # its client sends messageIDs, and so knows what comes twice
    restarted: dict[str, Any] | None = None  # the action that its client was told to replay
    unsent: deque[tuple[str, Any]] = field(default_factory=lambda: deque(maxlen=10_000))
    words: str = ""  # of a stream that the client did not ask to have in pieces
    ended: bool = False


class Server(ServerMachine):
    """A whole endpoint. `ids` gives a new unique string at each call."""

    def __init__(self, settings: Mapping[str, Any], ids: Callable[[], str], options: Mapping[str, Any]) -> None:
        self.deadline: float | None = None
        self.path = PATH
        self._settings = settings
        self._ids = ids
        self._idle = float(options["idle_timeout"])
        self._signing_key = ids().encode()
        self._starts: dict[str, dict[str, Any]] = {}  # link → its accepted client.start
        self._widgets: set[str] = set()  # links that speak the web widget's dialect
        self._links: dict[str, _Session] = {}
        self._keys: dict[str, _Session] = {}  # sessionKey → session
        self._sessions: dict[str, _Session] = {}
        self._faults: set[str] = set()

    def opened(self, link: str, query: Mapping[str, str], now: float) -> list[ServerEffect]:  # noqa: ARG002 (all machines' form)
        """A client has connected: it speaks first."""
        return []

    def received(self, link: str, event: str, payload: Any, now: float) -> list[ServerEffect]:
        """A client sent an event."""
        if "mute" in self._faults:
            return []
        if event == "start":
            self._widgets.add(link)
        if link in self._widgets:
            event = WIDGET_SAYS.get(event, event)
        match event:
            case "client.start":
                return self._start(link, as_dict(payload), now)
            case "session.create" if link in self._starts:
                return self._create(link, now)
            case "action.send" if link in self._links:
                return self._act(self._links[link], as_dict(payload), now)
            case "session.create" | "action.send":
                before = "client.start" if link not in self._starts else "session.create"
                return self._error(link, "out_of_order", f"{event} came before {before}")
            case "keep-alive":
                return []
            case "cancel":
                return [Emit("cancel", ({"success": False},), link)]
            case _:
                return self._error(link, "unknown_event", f"there is no event {event!r}")

    def closed(self, link: str, now: float, *, goodbye: bool = False) -> list[ServerEffect]:  # noqa: ARG002
        """A client's link is gone; its session stays. What was sent before a goodbye has arrived."""
        self._starts.pop(link, None)
        self._widgets.discard(link)
        if (session := self._links.pop(link, None)) and session.link == link:
            session.link = None
            if goodbye:
                session.done.clear()
        return []

    def put(self, conversation: str, step: Step, now: float) -> list[ServerEffect]:
        """The flow has something to show."""
        session = self._sessions.get(conversation)
        if session is None:
            return []
        if isinstance(step, Raw):
            return self._raw(session, step)
        if isinstance(step, End):
            session.ended = True
        return [effect for trace in self._shapes(session, step) for effect in self._trace(session, trace, now)]

    def done(self, conversation: str, error: str | None, now: float) -> list[ServerEffect]:
        """The flow is done with this turn, or broke."""
        session = self._sessions.get(conversation)
        if session is None:
            return []
        effects = self._to(session, "error", {"code": "flow_error", "error": error}) if error else []
        if not session.turns:  # it broke after it had asked, say
            return effects
        turn = session.turns.popleft()
        session.done.append(turn)
        turn.over, session.used = True, now
        if session.words:  # a stream that broke off
            effects += self._trace(session, self._text(session.words), now, turn)
            session.words = ""
        if not turn.silent:
            effects += self._to(session, "action.status", {"status": "completed", "messageID": turn.message_id}, turn)
        if session.ended:
            return effects + self._end(session, "end_of_diagram")
        effects += self._run_next(session)
        self._set_timer()
        return effects

    def timer(self, now: float) -> list[ServerEffect]:
        """End the sessions that nobody has used for too long."""
        idle = [s for s in self._sessions.values() if not s.turns and s.used + self._idle <= now]
        effects = [effect for session in idle for effect in self._end(session, "inactivity_timeout")]
        self._set_timer()
        return effects

    def fault(self, name: str) -> list[ServerEffect]:
        """Arm one of `FAULTS`, or do it at once."""
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

    def _start(self, link: str, start: dict[str, Any], now: float) -> list[ServerEffect]:
        s, refusal = self._settings, None
        if start.get("projectID") != s["project_id"]:
            refusal = self._error(link, "project_not_found", "no such project: check project_id")
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
            session.link, session.config, session.used = link, as_dict(start.get("config")), now
            self._links[link] = session
            effects += self._resume(session)
        return effects

    def _resume(self, session: _Session) -> list[ServerEffect]:
        """Send what came while there was no link, and to a client that knows what comes twice, the last turns again."""
        turns = [*session.done, *session.turns] if session.names else []
        events = [item for turn in turns for item in turn.events]
        sent = set(map(id, events))
        events += [item for item in session.unsent if id(item) not in sent]
        session.unsent.clear()
        return [effect for event, payload in events for effect in self._emit(session.link or "", event, payload)]

    def _create(self, link: str, now: float) -> list[ServerEffect]:
        if old := self._links.get(link):
            old.link = None
        start, sid = self._starts[link], self._ids()
        key = jwt({"sub": start["userID"], "sid": sid, "iat": int(now)}, self._signing_key)
        session = _Session(sid, key, link, as_dict(start.get("config")), now)
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
        used = [s.used for s in self._sessions.values() if not s.turns] if self._idle else []
        self.deadline = min(used) + self._idle if used else None

    # Turns

    def _act(self, session: _Session, payload: dict[str, Any], now: float) -> list[ServerEffect]:
        session.used = now
        action = as_dict(payload.get("action"))
        session.names = bool(as_text(payload.get("messageID")))
        message_id = as_text(payload.get("messageID")) or self._ids()
        if known := self._known(session, message_id, action):
            status = "completed" if known.over else "accepted"
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
        if action["type"] in ("launch", "end"):  # both leave what is under way
            while session.turns:
                old = session.turns.popleft()
                old.over = True
                effects += self._to(session, "action.status", {"status": "completed", "messageID": old.message_id}, old)
        session.turns.append(turn)
        self._set_timer()
        effects += self._to(session, "action.status", {"status": "accepted", "messageID": message_id}, turn)
        if action["type"] == "end":
            effects += self._to(session, "action.status", {"status": "completed", "messageID": message_id}, turn)
            return effects + self._end(session, "ended_by_user")
        return effects + (self._run_next(session) if len(session.turns) == 1 else [])

    def _known(self, session: _Session, message_id: str, action: dict[str, Any]) -> _Turn | None:
        """Return the turn that this action is sent again for: after a lost link, or a restart."""
        for turn in [*session.turns, *session.done]:
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
        self, session: _Session, trace: dict[str, Any], now: float, turn: _Turn | None = None
    ) -> list[ServerEffect]:
        turn = turn or (session.turns[0] if session.turns else None)
        payload = {
            "trace": {**trace, "time": int(now * 1000)},
            "messageID": turn.message_id if turn else self._ids(),
        }
        return self._to(session, "action.trace", payload, turn)

    def _to(self, session: _Session, event: str, payload: Any, turn: _Turn | None = None) -> list[ServerEffect]:
        """Send to a session's link, or keep it until there is one."""
        item = (event, payload)
        if turn:
            turn.events.append(item)
        if session.link is None:
            session.unsent.append(item)
            return []
        return self._emit(session.link, event, payload)

    def _emit(self, link: str, event: str, payload: Any) -> list[ServerEffect]:
        if link not in self._widgets or event not in WIDGET_HEARS:
            return [Emit(event, (payload,), link)]
        match event:
            case "client.started":
                payload = {"versionID": "simulated", **payload}
            case "action.trace":
                payload = {"trace": payload.get("trace")} if isinstance(payload, dict) else payload
            case "action.status":
                payload = {"status": payload.get("status")} if isinstance(payload, dict) else payload
            case "session.ended":
                return [Emit("session-ended", (), link)]
        return [Emit(WIDGET_HEARS[event], (payload,), link)]

    def _error(self, link: str, code: str, error: str) -> list[ServerEffect]:
        return self._emit(link, "error", {"code": code, "error": error})

    # Shapes: a step of the flow as the traces that Voiceflow sends for it

    def _shapes(self, session: _Session, step: Step) -> list[dict[str, Any]]:
        match step:
            case Delta():
                return self._stream(session, step)
            case Text(text):
                return [self._text(text), *self._sound(session, text)]
            case Choices(options, text):
                above = self._shapes(session, Text(text)) if text else []
                return [*above, {"type": "choice", "payload": {"buttons": self._buttons(options)}}]
            case Card():
                return [{"type": "cardV2", "payload": self._card(step)}]
            case Cards(cards, layout):
                shown = [{"id": self._ids(), **self._card(card)} for card in cards]
                return [{"type": "carousel", "payload": {"layout": layout.capitalize(), "cards": shown}}]
            case Media("image", url):
                return [{"type": "visual", "payload": {"visualType": "image", "image": url, "device": None}}]
            case Media("audio", url, ""):
                return [{"type": "stream", "payload": {"src": url, "token": self._ids(), "action": "PLAY"}}]
            case Media("audio", url, text):
                return [{"type": "speak", "payload": {"type": "audio", "message": text, "src": url}}]
            case Media(_, url, text):  # there is no trace for a film or a file: bots send a link
                return [self._text(text if str(url).startswith("data:") else f"[{text or url}]({url})")]
            case Node(name):
                return [{"type": "block", "payload": {"blockID": name}}]
            case Typing() | Queue():  # this platform has no word for it
                return []
            case Handover(agent):
                return [{"type": "handover", "payload": {"agent": agent}}]
            case AgentSays(text):
                return self._shapes(session, Text(text))
            case Custom(name, payload, paths):
                ways = [{"label": way.label, "event": {"type": way.label}} for way in paths]
                more = {"paths": ways, "defaultPath": 0} if ways else {}
                return [{"type": name, "payload": payload, **more}]
            case _:
                return [{"type": "end", "payload": None}]

    def _text(self, text: str) -> dict[str, Any]:
        slate = {"id": self._ids(), "content": [{"children": [{"text": text}]}]}
        return {"type": "text", "payload": {"slate": slate, "message": text, "delay": 0}}

    def _buttons(self, options: tuple[Choice, ...]) -> list[dict[str, Any]]:
        return [{"name": o.label, "request": o.request or self._path(o)} for o in options]

    def _path(self, option: Choice) -> dict[str, Any]:
        payload: dict[str, Any] = {"label": option.label}
        if option.url:
            payload["actions"] = [{"type": "open_url", "payload": {"url": option.url}}]
        return {"type": f"path-{self._ids()}", "payload": payload}

    def _card(self, card: Card) -> dict[str, Any]:
        described = {"text": card.text, "slate": [{"children": [{"text": card.text}]}]}
        buttons = self._buttons(card.options)
        return {"title": card.title, "description": described, "imageUrl": card.image, "buttons": buttons}

    def _stream(self, session: _Session, piece: Delta) -> list[dict[str, Any]]:
        """Send a piece as it is, or, to a client that did not ask for pieces, the whole at the end."""
        if session.config.get("completionEvents") is not True:
            session.words = piece.text if piece.first else session.words + piece.text
            if not piece.last:
                return []
            text, session.words = session.words, ""
            return [self._text(text), *self._sound(session, text)]
        state = "start" if piece.first else "end" if piece.last else "content"
        return [{"type": "completion", "payload": {"state": state, **({"content": piece.text} if piece.text else {})}}]

    def _sound(self, session: _Session, text: str) -> list[dict[str, Any]]:
        """Speak, to a client that asked for it: a tone as long as the words would take, in three chunks."""
        encoding = as_text(session.config.get("audioEncoding"))
        if session.config.get("audioEvents") is not True or not encoding:
            return []
        samples = tone(encoding, min(2.0, 0.2 * len(text.split())))
        third = len(samples) // 6 * 2 + 2
        chunks = [samples[at : at + third] for at in range(0, len(samples), third)]
        said = [{"state": "content", "content": base64.b64encode(chunk).decode()} for chunk in chunks]
        states = [{"state": "start", "messageID": self._ids()}, *said, {"state": "end"}]
        return [{"type": "audio", "payload": state} for state in states]


def _problem(action: dict[str, Any]) -> str | None:
    """Return what is wrong with an action, if anything."""
    if not as_text(action.get("type")):
        return "an action needs a type"
    if action["type"] == "text" and not isinstance(action.get("payload"), str):
        return "the payload of a text action is a string"
    return None

"""Voiceflow's socket runtime, client and server: the documented dialect of the page "Interact (socket)".

A link is made ready by a handshake:

    opened ──client.start──▶ starting ──client.started──▶ ready                 (the stored session goes on)
                                 └─────client.started──▶ creating ──session.created──▶ ready       (a new one)

One action at a time is under way; the page advises it ("Action Lifecycle"). The next waits in line until
`action.status` says completed or rejected. Traces and statuses find their turn by `messageID`, which the server
makes up: the first one not seen before belongs to the oldest action still without one.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from socketnb.dialects import misread
from socketnb.records import (
    Action,
    Address,
    Choice,
    Choices,
    ClientEffect,
    Close,
    Content,
    Credential,
    Custom,
    Did,
    Emit,
    End,
    Ended,
    Failed,
    Field,
    Node,
    Raw,
    Ready,
    Reconnect,
    Record,
    Run,
    Secret,
    ServerEffect,
    Setting,
    Step,
    Text,
    TurnDone,
    Verb,
    fingerprint,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

NAME = "voiceflow"
TITLE = "Voiceflow"
SERVER_PATH = "v4/interact/socket"

SETTINGS: dict[str, Setting] = {
    "url": Setting("where the runtime is", default="https://general-runtime.voiceflow.com"),
    "project_id": Setting("the project, as its settings page shows it", required=True),
    "api_key": Setting("the project's API key, VF.DM.…; public projects need none", secret=True),
    "user_id": Setting("who is talking; made up when absent"),
    "environment_id": Setting("the environment's alias; absent: the project's traffic split"),
    "session_key": Setting("a stored session to go on with", secret=True),
    "timeout": Setting("seconds until connecting gives up", type=float, default=10.0),
    "reconnection_attempts": Setting("how often a lost link is tried again", type=int, default=5),
    "reconnection_delay": Setting("seconds before the first attempt; doubles", type=float, default=1.0),
    "reconnection_delay_max": Setting("seconds before an attempt at most", type=float, default=5.0),
}
VERBS: dict[str, Verb] = {
    "text": Verb("say something", (Field("text", str),)),
    "press": Verb("press a button", (Field("choice", Choice),)),
    "launch": Verb("start the conversation from the beginning"),
    "event": Verb("trigger an event of the project by its name", (Field("name", str),)),
}
SECRET_FIELDS = frozenset({"sessionKey", "authorization"})
FAULTS = {
    "reject": "the next action is rejected",
    "silent": "the next action is accepted and never completed",
    "expire": "every session is forgotten",
    "mute": "nothing that clients send is answered any more",
}


# ── Reading traces ───────────────────────────────────────────────────────────────────────────────────────────


class Reading(NamedTuple):
    """What a trace says: its kind, its words, its content, and where in the project it came from."""

    kind: str
    text: str | None = None
    content: Content | None = None
    node: str | None = None


def _text(payload: dict[str, Any]) -> Reading:
    message = payload.get("message")
    if not isinstance(message, str):
        message = _slate(payload.get("slate"))
    return Reading("text", message, Text(message))


def _slate(slate: Any) -> str:
    """Join the words of a rich text: a tree of nodes with `children`, whose leaves have `text`."""

    def words(node: Any) -> str:
        if not isinstance(node, dict):
            return ""
        return str(node.get("text", "")) + "".join(map(words, _list(node.get("children"))))

    content = slate.get("content") if isinstance(slate, dict) else None
    return "\n".join(map(words, _list(content))).strip()


def _choice(payload: dict[str, Any]) -> Reading:
    buttons = [b for b in _list(payload.get("buttons")) if isinstance(b, dict)]
    options = tuple(Choice(str(b.get("name") or "…"), b["request"]) for b in buttons if b.get("request"))
    return Reading("choices", " ".join(f"[{o.label}]" for o in options), Choices(options))


def _block(payload: dict[str, Any]) -> Reading:
    node = payload.get("blockID")
    return Reading("block", node=str(node) if node else None)


READERS: dict[str, Callable[[dict[str, Any]], Reading]] = {
    "text": _text,
    "choice": _choice,
    "block": _block,
    "end": lambda _: Reading("ended", "the bot ended the conversation"),
}


def read(trace: dict[str, Any]) -> Reading:
    """Read one trace. A type that is not known is content of kind `custom`: custom actions bring their own."""
    kind, payload = str(trace["type"]), trace.get("payload")
    if reader := READERS.get(kind):
        return reader(payload if isinstance(payload, dict) else {})
    return Reading("custom", kind, Custom(kind, payload))


def content(event: str, payload: Any) -> Content | None:
    """Return what a person sees of a recorded event, or None."""
    if event == "action.send":
        return _did(_dict(_dict(payload).get("action")))
    trace = _dict(payload).get("trace")
    if event == "action.trace" and isinstance(trace, dict) and "type" in trace:
        return read(trace).content
    return None


def _did(action: dict[str, Any]) -> Did:
    """Return what the user did, read back from a request."""
    kind, payload = str(action.get("type")), action.get("payload")
    if kind == "text":
        return Did("text", payload if isinstance(payload, str) else "")
    if kind == "event":
        return Did("event", str(_dict(_dict(payload).get("event")).get("name", "")))
    if kind.startswith("path-") or "label" in _dict(payload):
        return Did("press", str(_dict(payload).get("label", "")))
    return Did(kind)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _nanoseconds(time: Any) -> int | None:
    """Read a trace's `time`: the vendor's samples have it in seconds and in milliseconds."""
    if isinstance(time, bool) or not isinstance(time, int | float) or not 0 < time < 1e14:  # noqa: PLR2004
        return None
    return int(time * (10**9 if time < 1e11 else 10**6))  # noqa: PLR2004 (seconds until the year 5138)


# ── The client ───────────────────────────────────────────────────────────────────────────────────────────────


def _request(action: Action) -> dict[str, Any]:
    """Return the `action` of `action.send` for what the user does."""
    match action.verb:
        case "text":
            return {"type": "text", "payload": action.fields["text"]}
        case "press":
            return dict(action.fields["choice"].request)  # the button's request, verbatim
        case "event":
            return {"type": "event", "payload": {"event": {"name": action.fields["name"]}}}
        case _:
            return {"type": "launch", "payload": {}}


class Client:
    """One conversation with a Voiceflow project."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self.deadline: float | None = None
        self._settings = settings
        self._key: Secret | None = settings["session_key"]
        self._state = "down"  # down · dialling · starting · creating · ready · ended
        self._waiting: deque[tuple[int, dict[str, Any]]] = deque()
        self._running: tuple[int, dict[str, Any]] | None = None
        self._nameless: deque[int] = deque()  # turns sent, whose messageID has not come yet
        self._turns: dict[str, int] = {}  # messageID → turn
        self._sent: set[int] = set()  # turns whose action was sent once and may have to be sent again
        self._last = 0  # unsolicited traces belong to the turn before them

    def dial(self, now: float) -> Address:
        """Begin a link: say where it goes, and start the clock of its handshake."""
        s = self._settings
        self._state, self.deadline = "dialling", now + s["timeout"]
        return Address(
            url=s["url"],
            path=SERVER_PATH,
            transports=("websocket", "polling"),  # the page's order; python-socketio knows no webtransport
            attempts=s["reconnection_attempts"],
            delay=s["reconnection_delay"],
            delay_max=s["reconnection_delay_max"],
        )

    def opened(self, now: float) -> list[ClientEffect]:  # noqa: ARG002 (the protocol of all machines)
        """The link is open: send `client.start`."""
        s = self._settings
        start = {
            "userID": s["user_id"],
            "projectID": s["project_id"],
            "environmentID": s["environment_id"],
            "sessionKey": self._key.reveal() if self._key else None,
            "authorization": s["api_key"].reveal() if s["api_key"] else None,
        }
        payload = {name: value for name, value in start.items() if value is not None}
        self._state = "starting"
        return _sent("client.start", {**payload, "config": {"completionEvents": False}}, "session")

    def act(self, turn: int, action: Action, now: float) -> list[ClientEffect]:  # noqa: ARG002
        """The user acts: send it, or let it wait in line."""
        self._waiting.append((turn, _request(action)))
        if self._state == "ended" and not self._running:
            return [Reconnect("a new session")]  # "A valid session must already exist": the handshake makes one
        return self._send_next()

    def abandon(self, turn: int, now: float) -> list[ClientEffect]:  # noqa: ARG002
        """Nobody waits for this turn any more: the next in line may go."""
        self._waiting = deque(item for item in self._waiting if item[0] != turn)
        if self._running and self._running[0] == turn:
            self._running = None
            return self._send_next()
        return []

    def received(self, event: str, payload: Any, now: float) -> list[ClientEffect]:
        """An event came."""
        match event, self._state:
            case "client.started", "starting":
                return self._started(payload)
            case "session.created", "creating":
                return self._created(payload)
            case (("client.started" | "session.created"), state):
                return [misread(event, payload, f"it came while {state}")]
            case "action.status", _:
                return self._status(payload)
            case "action.trace", _:
                return self._trace(payload)
            case "session.ended", _:
                return self._ended(payload, now)
            case "error", _:
                return self._error(payload)
            case _:
                return [Record(event, "custom", payload, turn=self._turn, text=event)]

    def timer(self, now: float) -> list[ClientEffect]:  # noqa: ARG002
        """A step of the handshake did not come, or no status after `session.ended`."""
        self.deadline = None
        awaited = {"dialling": "Socket.IO connection", "starting": "client.started", "creating": "session.created"}
        if self._state in awaited:
            return [Failed(f"no {awaited[self._state]} came within {self._settings['timeout']:g} s")]
        return self._finish("completed", "the session ended") if self._state == "ended" else []

    def closed(self, now: float) -> list[ClientEffect]:  # noqa: ARG002
        """The link is gone. An action that no status came for is sent again on the next; others go on there."""
        if self._state != "ended":
            self._state, self.deadline = "down", None
        self._take_back()
        return []

    # Handshake

    def _started(self, payload: Any) -> list[ClientEffect]:
        required = _dict(payload).get("newSessionRequired")
        if not isinstance(required, bool):
            return [misread("client.started", payload, "newSessionRequired is missing")]
        if not required:
            return self._ready("client.started", payload, "resumed" if self._key else "ready")
        stale = "the stored session is gone; a new one begins" if self._key else None
        self._state, self._key = "creating", None
        effects: list[ClientEffect] = [Record("client.started", "session", payload, text=stale)]
        if stale:
            effects += self._finish("failed", stale)
        return effects + _sent("session.create", {}, "session")

    def _created(self, payload: Any) -> list[ClientEffect]:
        key = _dict(payload).get("sessionKey")
        if not isinstance(key, str) or not key:
            return [misread("session.created", payload, "sessionKey is missing")]
        self._key = Secret(key)
        return [Credential(key), *self._ready("session.created", payload, "ready")]

    def _ready(self, event: str, payload: Any, kind: str) -> list[ClientEffect]:
        self._state, self.deadline = "ready", None
        conversation = fingerprint(self._key.reveal()) if self._key else None
        return [Ready(conversation), Record(event, kind, payload), *self._send_next()]

    # Turns

    @property
    def _turn(self) -> int:
        return self._running[0] if self._running else self._last

    def _send_next(self) -> list[ClientEffect]:
        if self._state != "ready" or self._running or not self._waiting:
            return []
        self._running = turn, request = self._waiting.popleft()
        self._last = turn
        self._nameless.append(turn)
        did = _did(request)
        again, said = turn in self._sent, did.text or did.verb
        self._sent.add(turn)
        if again:
            return _sent("action.send", {"action": request}, "status", turn, f"sent again: {said}")
        return _sent("action.send", {"action": request}, "action", turn, said)

    def _take_back(self) -> None:
        """Put an action that no status came for back in line: the server has not begun with it."""
        if self._running and self._running[0] in self._nameless:
            self._waiting.appendleft(self._running)
            self._running = None
        self._nameless.clear()

    def _turn_of(self, message_id: Any) -> int:
        if isinstance(message_id, str) and message_id in self._turns:
            return self._turns[message_id]
        turn = self._nameless.popleft() if self._nameless else self._turn
        if isinstance(message_id, str):
            self._turns[message_id] = turn
        return turn

    def _status(self, payload: Any) -> list[ClientEffect]:
        status, reason = _dict(payload).get("status"), _dict(payload).get("reason")
        if not isinstance(status, str):
            return [misread("action.status", payload, "status is missing")]
        turn = self._turn_of(payload.get("messageID"))
        over = status in ("completed", "rejected")
        final = over and self._running is not None and self._running[0] == turn
        effects: list[ClientEffect] = [
            Record("action.status", "status", payload, turn=turn, text=status, final=final),
        ]
        if over:
            self._turns.pop(payload.get("messageID"), None)
        if final:
            effects += self._finish("completed" if status == "completed" else "rejected", reason)
        return effects

    def _finish(self, status: Any, reason: Any) -> list[ClientEffect]:
        """End the turn under way, if any, and send the next in line."""
        if not self._running:
            return []
        done = TurnDone(self._running[0], status, str(reason) if reason else None)
        self._sent.discard(self._running[0])
        self._running = None
        if self._state == "ended":
            self.deadline = None
            return [done, Reconnect("a new session")] if self._waiting else [done]
        return [done, *self._send_next()]

    def _trace(self, payload: Any) -> list[ClientEffect]:
        trace = _dict(payload).get("trace")
        if not isinstance(trace, dict) or not isinstance(trace.get("type"), str):
            return [misread("action.trace", payload, "a trace needs a type")]
        reading = read(trace)
        return [
            Record(
                "action.trace",
                reading.kind,
                payload,
                sender="bot",
                turn=self._turn_of(payload.get("messageID")),
                text=reading.text,
                node=reading.node,
                server_at=_nanoseconds(trace.get("time")),
            )
        ]

    def _ended(self, payload: Any, now: float) -> list[ClientEffect]:
        reason = str(_dict(payload).get("reason") or "no reason given")
        self._state, self._key = "ended", None
        self._take_back()  # sent while the end was on its way
        # The status of the turn under way may come before or after: wait for it, but not for ever.
        self.deadline = now + 2 if self._running else None
        effects: list[ClientEffect] = [
            Record("session.ended", "ended", payload, turn=self._turn, text=reason),
            Ended(reason),
        ]
        return [*effects, Reconnect("a new session")] if self._waiting and not self._running else effects

    def _error(self, payload: Any) -> list[ClientEffect]:
        error = _dict(payload)
        said = str(error.get("error") or payload)
        if code := error.get("code"):
            said = f"{said} ({code})"
        record = Record("error", "error", payload, turn=self._turn, error=said)
        return [record, Failed(said, final=True)] if self._state in ("starting", "creating") else [record]


def _sent(event: str, payload: Any, kind: str, turn: int = 0, text: str | None = None) -> list[ClientEffect]:
    """Record and send: the record first, so that nothing is sent that was not written down."""
    who: Any = "user" if kind == "action" else "system"
    return [Record(event, kind, payload, "out", who, turn, text), Emit(event, (payload,))]


def client(settings: Mapping[str, Any]) -> Client:
    """Return the client machine of one conversation."""
    return Client(settings)


# ── The server ───────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(slots=True)
class _Session:
    """One conversation on the server. It outlives its links: what comes without one waits in `unsent`."""

    id: str
    key: str
    link: str | None
    turns: deque[tuple[str, Did]] = field(default_factory=deque)  # (messageID, what); the first is under way
    unsent: deque[tuple[str, Any]] = field(default_factory=lambda: deque(maxlen=10_000))
    ended: bool = False


class Server:
    """A Voiceflow runtime that serves one project."""

    def __init__(self, settings: Mapping[str, Any], ids: Callable[[], str]) -> None:
        self._settings = settings
        self._ids = ids
        self._signing_key = ids().encode()
        self._users: dict[str, str] = {}  # link → userID, once client.start was accepted
        self._links: dict[str, _Session] = {}
        self._keys: dict[str, _Session] = {}  # sessionKey → session
        self._sessions: dict[str, _Session] = {}
        self._faults: set[str] = set()

    def opened(self, link: str, now: float) -> list[ServerEffect]:  # noqa: ARG002 (the protocol of all machines)
        """A client has connected: it speaks first."""
        return []

    def received(self, link: str, event: str, payload: Any, now: float) -> list[ServerEffect]:
        """A client sent an event."""
        if "mute" in self._faults:
            return []
        match event:
            case "client.start":
                return self._start(link, _dict(payload))
            case "session.create" if link in self._users:
                return self._create(link, now)
            case "action.send" if link in self._links:
                return self._act(self._links[link], _dict(payload))
            case "session.create" | "action.send":
                before = "client.start" if link not in self._users else "session.create"
                return [_error(link, "out_of_order", f"{event} came before {before}")]
            case _:
                return [_error(link, "unknown_event", f"there is no event {event!r}")]

    def closed(self, link: str) -> list[ServerEffect]:
        """A client's link is gone; its session stays."""
        self._users.pop(link, None)
        if session := self._links.pop(link, None):
            session.link = None
        return []

    def put(self, conversation: str, step: Step, now: float) -> list[ServerEffect]:
        """The flow has something to show: one trace."""
        session = self._sessions.get(conversation)
        if session is None:
            return []
        if isinstance(step, Raw):
            return _to(session, step.event, step.payload)
        if isinstance(step, End):
            session.ended = True
        trace = {**self._shape(step), "time": int(now * 1000)}
        message_id = session.turns[0][0] if session.turns else self._ids()
        return _to(session, "action.trace", {"trace": trace, "messageID": message_id})

    def done(self, conversation: str, error: str | None, now: float) -> list[ServerEffect]:  # noqa: ARG002
        """The flow is done with this turn, or broke."""
        session = self._sessions.get(conversation)
        if session is None or not session.turns:
            return []
        effects = _to(session, "error", {"code": "flow_error", "error": error}) if error else []
        message_id, _ = session.turns.popleft()
        if "silent" in self._faults:
            self._faults.discard("silent")
            return effects
        effects += _to(session, "action.status", {"status": "completed", "messageID": message_id})
        if session.ended:
            self._forget(session)
            return [*effects, *_to(session, "session.ended", {"reason": "end_of_diagram"})]
        return effects + ([Run(session.id, session.turns[0][1])] if session.turns else [])

    def fault(self, name: str) -> None:
        """Arm one of `FAULTS`."""
        if name == "expire":
            for session in list(self._sessions.values()):
                self._forget(session)
        else:
            self._faults.add(name)

    def _start(self, link: str, start: dict[str, Any]) -> list[ServerEffect]:
        s, refusal = self._settings, None
        if start.get("projectID") != s["project_id"]:
            refusal = _error(link, "project_not_found", "no such project: check project_id")
        elif s.get("api_key") and start.get("authorization") != s["api_key"].reveal():
            refusal = _error(link, "unauthorized", "the API key was not accepted: check api_key")
        elif not isinstance(start.get("userID"), str):
            refusal = _error(link, "bad_request", "client.start needs a userID")
        if refusal:
            return [refusal, Close(link)]
        self._users[link] = start["userID"]
        session = self._keys.get(str(start.get("sessionKey")))
        effects: list[ServerEffect] = [Emit("client.started", ({"newSessionRequired": session is None},), link)]
        if session:
            session.link, self._links[link] = link, session
            effects += [Emit(event, (payload,), link) for event, payload in session.unsent]
            session.unsent.clear()
        return effects

    def _create(self, link: str, now: float) -> list[ServerEffect]:
        if old := self._links.get(link):
            old.link = None
        sid = self._ids()
        key = _jwt({"sub": self._users[link], "sid": sid, "iat": int(now)}, self._signing_key)
        session = _Session(sid, key, link)
        self._sessions[sid] = self._keys[key] = self._links[link] = session
        return [Emit("session.created", ({"sessionKey": key},), link)]

    def _act(self, session: _Session, payload: dict[str, Any]) -> list[ServerEffect]:
        action = _dict(payload.get("action"))
        message_id = payload.get("messageID") or self._ids()
        problem = _problem(action)
        if "reject" in self._faults:
            self._faults.discard("reject")
            problem = "rejected on request"
        if problem:
            rejected = {"status": "rejected", "messageID": message_id, "reason": problem}
            return _to(session, "action.status", rejected)
        session.turns.append((message_id, _did(action)))
        effects = _to(session, "action.status", {"status": "accepted", "messageID": message_id})
        return effects + ([Run(session.id, session.turns[0][1])] if len(session.turns) == 1 else [])

    def _shape(self, step: Step) -> dict[str, Any]:
        """Put a step of the flow into the trace that Voiceflow sends for it."""
        match step:
            case Text(text):
                slate = {"id": self._ids(), "content": [{"children": [{"text": text}]}]}
                return {"type": "text", "payload": {"slate": slate, "message": text, "delay": 0}}
            case Choices(options):
                buttons = [{"name": o.label, "request": o.request or self._path(o.label)} for o in options]
                return {"type": "choice", "payload": {"buttons": buttons}}
            case Node(name):
                return {"type": "block", "payload": {"blockID": name}}
            case _:
                return {"type": "end", "payload": None}

    def _path(self, label: str) -> dict[str, Any]:
        return {"type": f"path-{self._ids()}", "payload": {"label": label}}

    def _forget(self, session: _Session) -> None:
        del self._sessions[session.id], self._keys[session.key]
        if session.link:
            self._links.pop(session.link, None)


def _problem(action: dict[str, Any]) -> str | None:
    """Say what is wrong with an action, if anything."""
    if not isinstance(action.get("type"), str):
        return "an action needs a type"
    if action["type"] == "text" and not isinstance(action.get("payload"), str):
        return "the payload of a text action is a string"
    return None


def _to(session: _Session, event: str, payload: Any) -> list[ServerEffect]:
    """Send to a session's link, or keep it until there is one."""
    if session.link is None:
        session.unsent.append((event, payload))
        return []
    return [Emit(event, (payload,), session.link)]


def _error(link: str, code: str, error: str) -> Emit:
    return Emit("error", ({"code": code, "error": error},), link)


def _jwt(claims: dict[str, Any], key: bytes) -> str:
    """Return a signed JSON Web Token (RFC 7519, HS256)."""

    def part(data: bytes) -> bytes:
        return base64.urlsafe_b64encode(data).rstrip(b"=")

    body = part(b'{"alg":"HS256","typ":"JWT"}') + b"." + part(json.dumps(claims).encode())
    return (body + b"." + part(hmac.digest(key, body, hashlib.sha256))).decode()


def server(settings: Mapping[str, Any], ids: Callable[[], str]) -> Server:
    """Return the server machine of one endpoint; `ids` gives a new unique string at each call."""
    return Server(settings, ids)


def simulated(url: str, ids: Callable[[], str]) -> dict[str, Any]:
    """Return made-up settings for a simulator at this address, as `connect` takes them."""
    return {"url": url, "project_id": f"project-{ids()}", "api_key": Secret(f"VF.DM.{ids()}")}

"""The client machine of one conversation with a Voiceflow project.

A link is made ready by a handshake, `HANDSHAKE`:

    opened ──client.start──▶ starting ──client.started──▶ ready                 (the stored session goes on)
                                 └─────client.started──▶ creating ──session.created──▶ ready       (a new one)

One action at a time is under way; the page advises it ("Action Lifecycle"). The next waits in line until
`action.status` says completed or rejected, unless it asks to be sent at once. Traces and statuses find their turn by
`messageID`: ours where the server echoes it; one that the server made up belongs to the oldest action that has no
status yet.

After a lost link the same session goes on. An action that no status came for is sent again, with its messageID. A
server that sends a turn again from its `accepted` on is understood: what is known already is recorded as a status.
"""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from socketnb.dialects.base import ClientMachine, misread
from socketnb.dialects.voiceflow.actions import request_of, user_input
from socketnb.dialects.voiceflow.traces import read, time_of
from socketnb.model.actions import Action
from socketnb.model.effects import (
    Address,
    ClientEffect,
    Credential,
    Emit,
    Ended,
    Failed,
    Persist,
    Ready,
    Reconnect,
    Record,
    TurnDone,
)
from socketnb.model.json import as_dict, as_text
from socketnb.model.secret import Secret, fingerprint
from socketnb.model.trace import Status

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PATH = "v4/interact/socket"
HANDSHAKE = {
    ("starting", "client.started"): "_started",
    ("starting", "client.created"): "_started",  # the name in an older edition of the page
    ("creating", "session.created"): "_created",
}
AWAITED = {"dialling": "Socket.IO connection", "starting": "client.started", "creating": "session.created"}
REMEMBERED = 1000
"""messageIDs whose turn is known, so that what comes late is not taken for something new."""
RESENT = 8
"""Turns of which a server may send everything again after a lost link."""
GRACE = 2.0
"""Seconds that the status of a turn is waited for after `session.ended`: the two come in either order."""


@dataclass(slots=True)
class _Sent:
    """An action, and how far it is."""

    request: dict[str, Any]
    message_id: str
    recorded: bool = False
    named: bool = False  # a status or trace of it has come
    attended: bool = True  # somebody waits; one that the machine sent by itself keeps nobody waiting


class Client(ClientMachine):
    """One conversation. `ids` gives a new unique string at each call."""

    def __init__(self, settings: Mapping[str, Any], ids: Callable[[], str]) -> None:
        self._deadline: float | None = None
        self._settings = settings
        self._ids = ids
        self._key: Secret | None = settings["session_key"]
        self._state = "down"  # down · dialling · starting · creating · ready · ended
        self._waiting: dict[int, _Sent] = {}  # turns in line, in order
        self._running: dict[int, _Sent] = {}
        self._turns: dict[str, int] = {}  # messageID → turn, of the last that came
        self._echoes = False  # the server uses our messageID: an action sent twice is known to be the same
        self._last = 0  # unsolicited traces belong to the turn before them
        self._heard: dict[int, list[str]] = {}  # fingerprints of what came in each of the last turns
        self._again: dict[int, deque[str]] = {}  # what may come again after a lost link
        self._silence: float | None = None  # seconds after which the bot wants to hear that the user says nothing
        self._restart: dict[str, Any] | None = None  # the action that a restarting server asked for

    @property
    def deadline(self) -> float | None:
        """When `timer` is to be called, or None."""
        return self._deadline

    def dial(self, now: float) -> Address:
        """Begin a link: say where it goes, and start the clock of its handshake."""
        s = self._settings
        self._state, self._deadline = "dialling", now + s["timeout"]
        return Address(
            url=s["url"],
            path=PATH,
            transports=s["transports"] if s["try_all"] else s["transports"][:1],
            attempts=s["reconnection_attempts"] if s["reconnection"] else 0,
            delay=s["reconnection_delay"],
            delay_max=s["reconnection_delay_max"],
        )

    def opened(self, now: float) -> list[ClientEffect]:  # noqa: ARG002 (all machines' form)
        """The link is open: send `client.start`."""
        s = self._settings
        config = {
            "completionEvents": s["completion_events"],
            "userTimezone": s["user_timezone"],
            "audioEvents": s["audio_events"] or None,
            "audioEncoding": s["audio_encoding"] if s["audio_events"] else None,
        }
        start = {
            "userID": s["user_id"],
            "projectID": s["project_id"],
            "environmentID": s["environment_id"],
            "sessionKey": self._key.reveal() if self._key else None,
            "authorization": s["api_key"].reveal() if s["api_key"] else None,
            "config": _given(config),
        }
        self._state = "starting"
        return _sent("client.start", _given(start), "session")

    def act(self, turn: int, action: Action, now: float) -> list[ClientEffect]:  # noqa: ARG002
        """The user acts: send it, or let it wait in line."""
        sent = _Sent(request_of(action), self._ids())
        if self._state == "ready" and action.at_once:
            return self._send(turn, sent)
        self._waiting[turn] = sent
        if self._state == "ended" and not self._running:
            return [Reconnect("a new session")]  # "A valid session must already exist": the handshake makes one
        return self._send_next()

    def abandon(self, turn: int, now: float) -> list[ClientEffect]:  # noqa: ARG002
        """Nobody waits for this turn any more: the next in line may go."""
        self._waiting.pop(turn, None)
        return self._next() if self._running.pop(turn, None) else []

    def received(self, event: str, payload: Any, now: float) -> list[ClientEffect]:
        """An event came."""
        if step := HANDSHAKE.get((self._state, event)):
            effects: list[ClientEffect] = getattr(self, step)(payload)
            return effects
        match event:
            case "action.status":
                return self._status(payload, now)
            case "action.trace":
                return self._trace(payload)
            case "session.ended":
                return self._ended(payload, now)
            case "server.restart":
                return self._restarts(payload)
            case "error":
                return self._error(payload)
            case "client.started" | "client.created" | "session.created":
                return [misread(event, payload, f"it came while {self._state}", self._turn)]
            case _:
                return [Record(event, "custom", payload, turn=self._turn, text=event)]

    def timer(self, now: float) -> list[ClientEffect]:  # noqa: ARG002
        """A step did not come, a turn has no status after the end, or the user has said nothing for long enough."""
        self._deadline = None
        if step := AWAITED.get(self._state):
            return [Failed(f"no {step} came within {self._settings['timeout']:g} s", "timeout")]
        if self._state == "ended":
            turns = list(self._running)
            return [effect for turn in turns for effect in self._finish(turn, "completed", "the session ended")]
        if self._running:  # another turn, sent at once, goes on
            return []
        return self._unattended({"type": "no-reply"}, "no_reply", "the user said nothing")

    def closed(self, now: float) -> list[ClientEffect]:  # noqa: ARG002
        """The link is gone."""
        if self._state != "ended":
            self._state, self._deadline = "down", None
        self._running = {turn: sent for turn, sent in self._running.items() if sent.attended}
        effects: list[ClientEffect] = []
        if not self._echoes and not self._restart:
            for turn in [turn for turn, sent in self._running.items() if not sent.named]:
                effects += self._finish(turn, "failed", "the link was lost before the bot took this up: say it again")
        self._take_back()
        return effects

    # Handshake

    def _started(self, payload: Any) -> list[ClientEffect]:
        required = as_dict(payload).get("newSessionRequired")
        if not isinstance(required, bool):
            return [misread("client.started", payload, "newSessionRequired is missing", self._turn)]
        if not required:
            self._again = {turn: deque(heard) for turn, heard in self._heard.items()}
            return self._ready("client.started", payload, "resumed" if self._key else "ready")
        stale = "the stored session is gone; a new one begins" if self._key else None
        self._state, self._key = "creating", None
        effects: list[ClientEffect] = [Record("client.started", "session", payload, text=stale)]
        if stale:
            for turn in list(self._running):
                effects += self._finish(turn, "failed", stale)
        return effects + _sent("session.create", {}, "session")

    def _created(self, payload: Any) -> list[ClientEffect]:
        key = as_text(as_dict(payload).get("sessionKey"))
        if not key:
            return [misread("session.created", payload, "sessionKey is missing", self._turn)]
        self._key = Secret(key)
        return [Credential(key), Persist("session_key", key), *self._ready("session.created", payload, "ready")]

    def _ready(self, event: str, payload: Any, kind: str) -> list[ClientEffect]:
        self._state, self._deadline = "ready", None
        conversation = fingerprint(self._key.reveal()) if self._key else None
        effects: list[ClientEffect] = [Ready(conversation), Record(event, kind, payload)]
        if self._restart:
            action, self._restart = self._restart, None
            for turn, sent in self._running.items():
                if sent.request == action:
                    sent.named = False
                    return effects + self._emit(turn, sent, "status", "sent again, as the server asked")
            if not self._waiting:
                return effects + self._unattended(action, "status", "sent again, as the server asked")
        return effects + self._send_next()

    # Turns

    @property
    def _turn(self) -> int:
        return next(iter(self._running), self._last)

    def _send_next(self) -> list[ClientEffect]:
        if self._state != "ready" or not self._waiting or any(sent.attended for sent in self._running.values()):
            return []
        self._running.clear()
        turn = next(iter(self._waiting))
        return self._send(turn, self._waiting.pop(turn))

    def _unattended(self, request: dict[str, Any], kind: str, said: str) -> list[ClientEffect]:
        """Send what the user did not do, in the turn before it."""
        sent = _Sent(request, self._ids(), recorded=True, attended=False)
        self._running[self._last] = sent
        self._name(sent.message_id, self._last)
        return self._emit(self._last, sent, kind, said)

    def _send(self, turn: int, sent: _Sent) -> list[ClientEffect]:
        what = user_input(sent.request)
        said, kind = what.text or what.verb, "action"
        if sent.recorded:
            kind, said = "status", f"sent again: {said}"
        sent.recorded = True
        self._deadline = None
        self._silence = None
        self._running[turn], self._last = sent, turn
        self._name(sent.message_id, turn)
        self._heard.setdefault(turn, [])
        for old in list(self._heard)[:-RESENT]:
            del self._heard[old]
        return self._emit(turn, sent, kind, said)

    def _emit(self, turn: int, sent: _Sent, kind: str, said: str) -> list[ClientEffect]:
        payload = {"action": sent.request, "messageID": sent.message_id}
        return _sent("action.send", payload, kind, turn, said)

    def _take_back(self) -> None:
        """Put actions that no status came for back in line: the server may not have begun with them."""
        back = {turn: sent for turn, sent in self._running.items() if not sent.named}
        self._running = {turn: sent for turn, sent in self._running.items() if sent.named}
        self._waiting = {**back, **self._waiting}

    def _turn_of(self, message_id: Any) -> int:
        known = self._turns.get(message_id) if isinstance(message_id, str) else None
        if known is None:
            nameless = (turn for turn, sent in self._running.items() if not sent.named)
            known = next(nameless, self._turn)
            if isinstance(message_id, str):
                self._name(message_id, known)
        elif (sent := self._running.get(known)) and sent.message_id == message_id:
            self._echoes = True
        if sent := self._running.get(known):
            sent.named = True
        return known

    def _name(self, message_id: str, turn: int) -> None:
        """Remember which turn a messageID belongs to; the oldest is forgotten when there are many."""
        self._turns[message_id] = turn
        if len(self._turns) > REMEMBERED:
            del self._turns[next(iter(self._turns))]

    def _is_again(self, turn: int, payload: Any) -> bool:
        """Tell whether this is, to the letter, the next of what came in this turn before the link was lost."""
        if turn not in self._heard:
            return False
        mark, before = fingerprint(json.dumps(payload)), self._again.get(turn)
        if before and before[0] == mark:
            before.popleft()
            return True
        self._again.pop(turn, None)
        self._heard[turn].append(mark)
        return False

    def _status(self, payload: Any, now: float) -> list[ClientEffect]:
        about = as_dict(payload)
        status, reason = as_text(about.get("status")), about.get("reason")
        if not status:
            return [misread("action.status", payload, "status is missing", self._turn)]
        turn = self._turn_of(about.get("messageID"))
        self._is_again(turn, payload)
        over = status in ("completed", "rejected") and turn in self._running
        final = over and self._running[turn].attended
        record = Record("action.status", "status", payload, turn=turn, text=status, final=final)
        if over:
            del self._running[turn]
            if self._settings["no_reply"] and self._silence is not None and self._state == "ready":
                self._deadline, self._silence = now + self._silence, None
        if not final:
            return [record]
        done: Status = "completed" if status == "completed" else "rejected"
        return [record, TurnDone(turn, done, str(reason) if reason else None), *self._next()]

    def _finish(self, turn: int, status: Status, reason: str) -> list[ClientEffect]:
        """End a turn that no status will end, if it is under way, and go on with the next in line."""
        sent = self._running.pop(turn, None)
        if sent is None:
            return []
        if not sent.attended:  # its turn has ended before
            return self._next()
        kind, error = ("error", reason) if status == "failed" else ("status", None)
        record = Record("turn", kind, None, "local", "system", turn, status, final=True, error=error)
        return [record, TurnDone(turn, status, reason), *self._next()]

    def _next(self) -> list[ClientEffect]:
        if self._state != "ended":
            return self._send_next()
        if self._running:
            return []
        self._deadline = None
        return [Reconnect("a new session")] if self._waiting else []

    def _trace(self, payload: Any) -> list[ClientEffect]:
        trace = as_dict(as_dict(payload).get("trace"))
        if not isinstance(trace.get("type"), str):
            return [misread("action.trace", payload, "a trace needs a type", self._turn)]
        reading = read(trace, as_text(payload.get("messageID")))
        turn = self._turn_of(payload.get("messageID"))
        again = self._is_again(turn, payload)
        if reading.kind == "no_reply":
            seconds = as_dict(trace.get("payload")).get("timeout")
            self._silence = float(seconds) if isinstance(seconds, int | float) and seconds > 0 else None
        return [
            Record(
                "action.trace",
                "status" if again else reading.kind,
                payload,
                sender="bot",
                turn=turn,
                text=f"again: {reading.text}" if again else reading.text,
                node=reading.node,
                intent=reading.intent,
                server_at=time_of(trace),
            )
        ]

    # What may come at any time

    def _ended(self, payload: Any, now: float) -> list[ClientEffect]:
        reason = as_text(as_dict(payload).get("reason")) or "no reason given"
        if self._state in AWAITED:  # the stored session's end: the handshake goes on and makes a new one
            self._key = None
            return [Record("session.ended", "session", payload, text=f"the stored session has ended ({reason})")]
        self._state, self._key = "ended", None
        self._take_back()  # sent while the end was on its way
        self._deadline = now + GRACE if self._running else None
        effects: list[ClientEffect] = [
            Persist("session_key", ""),
            Ended(reason),
            Record("session.ended", "ended", payload, turn=self._turn, text=reason),
        ]
        return [*effects, Reconnect("a new session")] if self._waiting and not self._running else effects

    def _restarts(self, payload: Any) -> list[ClientEffect]:
        record = Record("server.restart", "session", payload, turn=self._turn, text="the server restarts")
        if self._state in AWAITED:
            return [record, Failed("the server restarts", "lost")]
        self._restart = as_dict(as_dict(payload).get("action")) or None
        return [record, Reconnect("the server restarts")]

    def _error(self, payload: Any) -> list[ClientEffect]:
        error = as_dict(payload)
        said = str(error.get("error") or payload)
        if code := error.get("code"):
            said = f"{said} ({code})"
        record = Record("error", "error", payload, turn=self._turn, error=said)
        return [record, Failed(said, "refused")] if self._state in ("starting", "creating") else [record]


def _given(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _sent(event: str, payload: Any, kind: str, turn: int = 0, text: str | None = None) -> list[ClientEffect]:
    """Record and send: the record first, so that nothing is sent that was not written down."""
    who: Any = "user" if kind == "action" else "system"
    return [Record(event, kind, payload, "out", who, turn, text), Emit(event, (payload,))]

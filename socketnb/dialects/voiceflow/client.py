"""The client machine of one conversation with a Voiceflow project.

The states of a link (`State`); a handshake makes it ready:

    DOWN ──▶ DIALLING ──opened: client.start──▶ STARTING ──client.started──▶ READY      (the stored session resumes)
                                                    └──client.started──▶ CREATING ──session.created──▶ READY
    READY ──session.ended──▶ ENDED ──the next action──▶ DIALLING

One action runs at a time, as the page advises ("Action Lifecycle"). The next one waits in line until `action.status`
reports completed or rejected, unless it asks to be sent at once. Traces and statuses find their turn by `messageID`,
which is the client's own if the server echoes it. A messageID that the server generated belongs to the oldest action
without a status.

The states of an action (`Progress`):

    NEW ──sent──▶ SENT ──status or trace──▶ TAKEN_UP ──completed or rejected──▶ (removed)
                   └──link lost──▶ RETRY ──sent again, with its messageID──▶ SENT

After a lost link the same session is resumed. If the server sends the events of a turn again, from `accepted` on, those
that are known already are recorded as statuses.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from socketnb.dialects.base import ClientMachine, misread
from socketnb.dialects.turns import Deadlines, TurnQueue
from socketnb.dialects.voiceflow.actions import request_of, user_input
from socketnb.dialects.voiceflow.received import MessageIds, ReceivedLog
from socketnb.dialects.voiceflow.traces import parse_trace, time_of
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
from socketnb.model.json import Json, JsonObject, as_dict, as_text
from socketnb.model.secret import Secret, fingerprint

if TYPE_CHECKING:
    from socketnb.dialects.base import NewId, Settings
    from socketnb.model.trace import Sender, Status

PATH = "v4/interact/socket"
LAST_STATUS_TIMEOUT_S = 2.0
"""Seconds to wait for the status of a turn after `session.ended`: the two come in either order."""


class State(Enum):
    """The state of the link."""

    DOWN = "no link"
    DIALLING = "connecting"
    STARTING = "client.start was sent"
    CREATING = "session.create was sent"
    READY = "ready"
    ENDED = "the session has ended"


AWAITED = {
    State.DIALLING: "Socket.IO connection",
    State.STARTING: "client.started",
    State.CREATING: "session.created",
}
"""The states of the handshake, and what each one waits for."""


class Due(Enum):
    """A deadline of the machine."""

    HANDSHAKE = "the next step of the handshake"
    LAST_STATUS = "the status of the running turns after session.ended"
    SILENCE = "the report that the user says nothing"


class Progress(Enum):
    """How far an action is."""

    NEW = "not sent yet"
    SENT = "sent, and nothing has come for it"
    TAKEN_UP = "a status or trace has come for it"
    RETRY = "in line to be sent again"


@dataclass(slots=True)
class _Sent:
    """An action in line or under way."""

    request: JsonObject
    message_id: str
    progress: Progress = Progress.NEW
    is_turn: bool = True  # False: the machine sent it without an action of the user, and no turn ends with it


class Client(ClientMachine):
    """One conversation. `ids` returns a new unique string at each call."""

    def __init__(self, settings: Settings, ids: NewId) -> None:
        self._settings = settings
        self._ids = ids
        self._key: Secret | None = settings["session_key"]
        self._state = State.DOWN
        self._deadlines = Deadlines()
        self._turns: TurnQueue[_Sent] = TurnQueue(self._deadlines)
        self._message_ids = MessageIds()
        self._echoes = False  # the server uses the client's messageIDs, so it recognises an action that is sent twice
        self._received = ReceivedLog()
        self._silence_s: float | None = None  # seconds of silence that the bot wants to be told about
        self._restart: JsonObject | None = None  # the action that a restarting server asked for

    @property
    def deadline(self) -> float | None:
        """When `timer` is to be called, or None."""
        return self._deadlines.next

    def dial(self, now: float) -> Address:
        """Begin a link: return where to connect, and start the clock of the handshake."""
        s = self._settings
        self._state = State.DIALLING
        self._deadlines.clear(*Due)
        self._deadlines.set(Due.HANDSHAKE, now + s["timeout"])
        return Address(
            url=s["url"],
            path=PATH,
            transports=s["transports"] if s["try_all"] else s["transports"][:1],
            attempts=s["reconnection_attempts"] if s["reconnection"] else 0,
            delay=s["reconnection_delay"],
            delay_max=s["reconnection_delay_max"],
        )

    def opened(self, now: float) -> list[ClientEffect]:
        """Handle an open link: send `client.start`."""
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
            "config": _without_none(config),
        }
        self._state = State.STARTING
        return _emit("client.start", _without_none(start), "session")

    def act(self, turn: int, action: Action, now: float) -> list[ClientEffect]:
        """Send an action, or put it in line."""
        sent = _Sent(request_of(action), self._ids())
        if self._state is State.READY and action.at_once:
            return self._send(turn, sent)
        self._turns.add(turn, sent)
        if self._state is State.ENDED and not self._turns.running:
            return [Reconnect("a new session")]  # "A valid session must already exist": the handshake makes one
        return self._send_next()

    def abandon(self, turn: int, now: float) -> list[ClientEffect]:
        """Stop waiting for the end of a turn. The next one may go: late events carry their messageID."""
        was_sent = turn in self._turns.running
        self._turns.end(turn)
        return self._next() if was_sent else []

    def received(self, event: str, payload: Json, now: float) -> list[ClientEffect]:
        """Handle an event."""
        match (self._state, event):
            case (State.STARTING, "client.started" | "client.created"):  # the second is its name on an older page
                return self._started(payload)
            case (State.CREATING, "session.created"):
                return self._created(payload)
            case (_, "action.status"):
                return self._status(payload, now)
            case (_, "action.trace"):
                return self._trace(payload)
            case (_, "session.ended"):
                return self._ended(payload, now)
            case (_, "server.restart"):
                return self._server_restarts(payload)
            case (_, "error"):
                return self._error(payload)
            case (_, "client.started" | "client.created" | "session.created"):
                problem = f"unexpected in the state '{self._state.value}'"
                return [misread(event, payload, problem, self._turns.current)]
            case _:
                return [Record(event, "custom", payload, turn=self._turns.current, text=event)]

    def timer(self, now: float) -> list[ClientEffect]:
        """Handle the deadlines that have passed."""
        effects: list[ClientEffect] = []
        for due in self._deadlines.expired(now):
            match due:
                case Due.HANDSHAKE if step := AWAITED.get(self._state):
                    text = f"no {step} came within {self._settings['timeout']:g} s"
                    effects.append(Failed(text, "timeout"))
                case Due.LAST_STATUS:
                    for turn in list(self._turns.running):
                        effects += self._finish(turn, "completed", "the session ended")
                case Due.SILENCE if not self._turns.running:  # otherwise a turn that was sent at once still runs
                    effects += self._send_unasked({"type": "no-reply"}, "no_reply", "the user said nothing")
        return effects

    def closed(self, now: float) -> list[ClientEffect]:
        """Handle the loss of the link."""
        if self._state is not State.ENDED:
            self._state = State.DOWN
            self._deadlines.clear(*Due)
        self._end_unasked()
        effects: list[ClientEffect] = []
        if not self._echoes and not self._restart:
            reason = "the link was lost before the bot took this up; send it again"
            for turn in self._unconfirmed():
                effects += self._finish(turn, "failed", reason)
        self._put_back()
        return effects

    # Handshake

    def _started(self, payload: Json) -> list[ClientEffect]:
        required = as_dict(payload).get("newSessionRequired")
        if not isinstance(required, bool):
            return [misread("client.started", payload, "newSessionRequired is missing", self._turns.current)]
        if not required:
            self._received.link_resumed()
            return self._ready("client.started", payload, "resumed" if self._key else "ready")
        stale = "the stored session no longer exists, so a new one begins" if self._key else None
        self._state, self._key = State.CREATING, None
        effects: list[ClientEffect] = [Record("client.started", "session", payload, text=stale)]
        if stale:
            for turn in list(self._turns.running):
                effects += self._finish(turn, "failed", stale)
        return effects + _emit("session.create", {}, "session")

    def _created(self, payload: Json) -> list[ClientEffect]:
        key = as_text(as_dict(payload).get("sessionKey"))
        if not key:
            return [misread("session.created", payload, "sessionKey is missing", self._turns.current)]
        self._key = Secret(key)
        return [Credential(key), Persist("session_key", key), *self._ready("session.created", payload, "ready")]

    def _ready(self, event: str, payload: Json, kind: str) -> list[ClientEffect]:
        self._state = State.READY
        self._deadlines.clear(*Due)
        conversation = fingerprint(self._key.reveal()) if self._key else None
        effects: list[ClientEffect] = [Ready(conversation), Record(event, kind, payload)]
        if not self._restart:
            return effects + self._send_next()
        request, self._restart = self._restart, None
        for turn, sent in self._turns.running.items():
            if sent.request == request:
                return effects + self._emit_action(turn, sent, "status", "sent again, as the server asked")
        if self._turns.waiting:
            return effects + self._send_next()
        return effects + self._send_unasked(request, "status", "sent again, as the server asked")

    # Turns

    def _unconfirmed(self) -> dict[int, _Sent]:
        """Return the actions that were sent and for which nothing has come."""
        return {turn: sent for turn, sent in self._turns.running.items() if sent.progress is Progress.SENT}

    def _put_back(self) -> None:
        """Put actions for which nothing has come back in line: the server may not have received them."""
        turns = self._unconfirmed()
        for sent in turns.values():
            sent.progress = Progress.RETRY
        self._turns.put_back(turns)

    def _end_unasked(self) -> None:
        for turn, sent in list(self._turns.running.items()):
            if not sent.is_turn:
                self._turns.end(turn)

    def _send_next(self) -> list[ClientEffect]:
        if self._state is not State.READY or any(sent.is_turn for sent in self._turns.running.values()):
            return []
        if self._turns.waiting:
            self._end_unasked()
        turn = self._turns.next()
        return [] if turn is None else self._send(turn, self._turns.waiting[turn])

    def _send_unasked(self, request: JsonObject, kind: str, text: str) -> list[ClientEffect]:
        """Send a request that is not an action of the user, in the last turn."""
        turn, sent = self._turns.last, _Sent(request, self._ids(), is_turn=False)
        self._turns.start(turn, sent)
        self._message_ids.add(sent.message_id, turn)
        return self._emit_action(turn, sent, kind, text)

    def _send(self, turn: int, sent: _Sent) -> list[ClientEffect]:
        user = user_input(sent.request)
        kind, text = "action", user.text or user.verb
        if sent.progress is Progress.RETRY:
            kind, text = "status", f"sent again: {text}"
        self._deadlines.clear(Due.SILENCE)
        self._silence_s = None
        self._turns.start(turn, sent)
        self._message_ids.add(sent.message_id, turn)
        self._received.begin(turn)
        return self._emit_action(turn, sent, kind, text)

    def _emit_action(self, turn: int, sent: _Sent, kind: str, text: str) -> list[ClientEffect]:
        sent.progress = Progress.SENT
        payload = {"action": sent.request, "messageID": sent.message_id}
        return _emit("action.send", payload, kind, turn, text)

    def _turn_of(self, message_id: Json) -> int:
        """Return the turn of an event, and note that the server has taken up its action."""
        turn = self._message_ids.get(message_id)
        if turn is None:
            turn = next(iter(self._unconfirmed()), self._turns.current)
            if isinstance(message_id, str):
                self._message_ids.add(message_id, turn)
        elif (sent := self._turns.running.get(turn)) and sent.message_id == message_id:
            self._echoes = True
        if sent := self._turns.running.get(turn):
            sent.progress = Progress.TAKEN_UP
        return turn

    def _status(self, payload: Json, now: float) -> list[ClientEffect]:
        fields = as_dict(payload)
        status, reason = as_text(fields.get("status")), fields.get("reason")
        if not status:
            return [misread("action.status", payload, "status is missing", self._turns.current)]
        turn = self._turn_of(fields.get("messageID"))
        self._received.repeated(turn, payload)
        ended = self._turns.end(turn) if status in ("completed", "rejected") and turn in self._turns.running else None
        final = ended is not None and ended.is_turn
        record = Record("action.status", "status", payload, turn=turn, text=status, final=final)
        if ended and self._settings["no_reply"] and self._silence_s is not None and self._state is State.READY:
            self._deadlines.set(Due.SILENCE, now + self._silence_s)
            self._silence_s = None
        if not final:
            return [record]
        result: Status = "completed" if status == "completed" else "rejected"
        return [record, TurnDone(turn, result, str(reason) if reason else None), *self._next()]

    def _finish(self, turn: int, status: Status, reason: str) -> list[ClientEffect]:
        """End a turn that no status will end, if it is running, and send the next one."""
        sent = self._turns.end(turn) if turn in self._turns.running else None
        if sent is None:
            return []
        if not sent.is_turn:
            return self._next()
        kind, error = ("error", reason) if status == "failed" else ("status", None)
        record = Record("turn", kind, None, "local", "system", turn, status, final=True, error=error)
        return [record, TurnDone(turn, status, reason), *self._next()]

    def _next(self) -> list[ClientEffect]:
        """Send the next turn in line, in a new session if this one has ended."""
        if self._state is not State.ENDED:
            return self._send_next()
        if self._turns.running:
            return []
        self._deadlines.clear(Due.LAST_STATUS)
        return [Reconnect("a new session")] if self._turns.waiting else []

    def _trace(self, payload: Json) -> list[ClientEffect]:
        trace = as_dict(as_dict(payload).get("trace"))
        if not isinstance(trace.get("type"), str):
            return [misread("action.trace", payload, "type of the trace is missing", self._turns.current)]
        parsed = parse_trace(trace, as_text(payload.get("messageID")))
        turn = self._turn_of(payload.get("messageID"))
        repeated = self._received.repeated(turn, payload)
        if parsed.kind == "no_reply":
            seconds = as_dict(trace.get("payload")).get("timeout")
            self._silence_s = float(seconds) if isinstance(seconds, int | float) and seconds > 0 else None
        return [
            Record(
                "action.trace",
                "status" if repeated else parsed.kind,
                payload,
                sender="bot",
                turn=turn,
                text=f"received again: {parsed.text or parsed.kind}" if repeated else parsed.text,
                node=parsed.node,
                intent=parsed.intent,
                server_at=time_of(trace),
            )
        ]

    # Events that may come at any time

    def _ended(self, payload: Json, now: float) -> list[ClientEffect]:
        reason = as_text(as_dict(payload).get("reason")) or "no reason given"
        if self._state in AWAITED:  # the stored session has ended: the handshake continues with a new one
            self._key = None
            return [Record("session.ended", "session", payload, text=f"the stored session has ended ({reason})")]
        self._state, self._key = State.ENDED, None
        self._put_back()
        self._deadlines.clear(*Due)
        if self._turns.running:
            self._deadlines.set(Due.LAST_STATUS, now + LAST_STATUS_TIMEOUT_S)
        effects: list[ClientEffect] = [
            Persist("session_key", ""),
            Ended(reason),
            Record("session.ended", "ended", payload, turn=self._turns.current, text=reason),
        ]
        renew = self._turns.waiting and not self._turns.running
        return [*effects, Reconnect("a new session")] if renew else effects

    def _server_restarts(self, payload: Json) -> list[ClientEffect]:
        record = Record("server.restart", "session", payload, turn=self._turns.current, text="the server restarts")
        if self._state in AWAITED:
            return [record, Failed("the server restarts", "lost")]
        self._restart = as_dict(as_dict(payload).get("action")) or None
        return [record, Reconnect("the server restarts")]

    def _error(self, payload: Json) -> list[ClientEffect]:
        fields = as_dict(payload)
        text = str(fields.get("error") or payload)
        if code := fields.get("code"):
            text = f"{text} ({code})"
        record = Record("error", "error", payload, turn=self._turns.current, error=text)
        in_handshake = self._state in (State.STARTING, State.CREATING)
        return [record, Failed(text, "refused")] if in_handshake else [record]


def _without_none(fields: JsonObject) -> JsonObject:
    return {name: value for name, value in fields.items() if value is not None}


def _emit(event: str, payload: JsonObject, kind: str, turn: int = 0, text: str | None = None) -> list[ClientEffect]:
    """Record and send an event. The record comes first, so that nothing is sent that was not recorded."""
    sender: Sender = "user" if kind == "action" else "system"
    return [Record(event, kind, payload, "out", sender, turn, text), Emit(event, (payload,))]

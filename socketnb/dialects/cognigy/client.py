"""The client machine of one conversation with a Cognigy.AI Socket.IO endpoint.

The states of a link (`State`):

    DOWN ──▶ DIALLING ──opened──▶ OPENING ──endpoint-ready──▶ READY ──idle for expires_in──▶ EXPIRED
                                     └──after READY_TIMEOUT_S──▶ READY      (before Cognigy.AI 4.79)

A user id and a session id identify a conversation: reconnecting with the same two ids resumes it. Inputs have no id, so
one turn runs at a time, and it ends with `finalPing`. The next turn is queued unless it has `at_once`. An event that
arrives while no turn is running (inject, notify, an agent) is recorded under the last turn.

After a lost link, an endpoint that keeps undelivered events repeats the events that were not acknowledged.
`ReceivedLog` recognises repeated events, which are recorded as statuses. The delivery state of the last input is a
`Delivery`:

    ANSWERED ──input sent──▶ SENT ──link lost──▶ UNCONFIRMED ──older events repeated──▶ UNRECEIVED ──sent again──▶ SENT

Any new event changes the state to ANSWERED. If an endpoint repeats events from before an input, it has not received the
input, so the input is sent again. An abandoned turn briefly blocks the next turn, so that its late answer is not
assigned to the next turn.

Sources: the vendor's Socket.IO endpoint page; `@cognigy/socket-client` 4 and 5 for the order of events. Two bugs of
    that
client are not reproduced: a reset is sent once, and an error without a listener has no effect.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from socketnb.dialects.base import ClientMachine, misread
from socketnb.dialects.cognigy.actions import input_fields, label, user_input
from socketnb.dialects.cognigy.forms import press_problem, submit_problem
from socketnb.dialects.cognigy.handshake import address, identity
from socketnb.dialects.cognigy.outputs import parse_output, sender_of
from socketnb.dialects.cognigy.received import Ping, ReceivedLog
from socketnb.dialects.cognigy.uploads import UploadRefused, UploadStep, answer_of, file_request, token_request
from socketnb.dialects.turns import LATE_ANSWER_S, MAX_QUEUED_TURNS, Deadlines, Owed, TurnQueue
from socketnb.model.actions import Action
from socketnb.model.content import AdaptiveCard
from socketnb.model.effects import (
    Address,
    ClientEffect,
    Credential,
    Emit,
    Ended,
    Failed,
    HttpResponse,
    Persist,
    Ready,
    Reconnect,
    Record,
    TurnDone,
)
from socketnb.model.json import Json, JsonObject, as_dict, as_text
from socketnb.model.trace import Status

if TYPE_CHECKING:
    from socketnb.dialects.base import NewId, Settings

READY_TIMEOUT_S = 2.0
"""Seconds to wait for `endpoint-ready`."""


class State(Enum):
    """The state of the link."""

    DOWN = "no link"
    DIALLING = "connecting"
    OPENING = "connected, waiting for endpoint-ready"
    READY = "ready"
    EXPIRED = "idle for too long: the next input starts a new conversation"


class Delivery(Enum):
    """The delivery state of the last input."""

    ANSWERED = "an event has arrived since, or no input was sent"
    SENT = "sent over the current link"
    UNCONFIRMED = "sent over an earlier link, and no event has arrived since"
    UNRECEIVED = "not received by the endpoint: it is sent again"


class Due(Enum):
    """A deadline of the machine. Abandoned turns have the deadline `Owed`."""

    CONNECT = "the connection"
    READY = "endpoint-ready"
    ERROR = "waiting for the finalPing after an error"
    EXPIRY = "the expiry of an idle conversation"


@dataclass(slots=True)
class _Turn:
    """A queued or running turn."""

    action: Action
    payload: JsonObject = field(default_factory=dict)  # the input that was sent
    error: str = ""  # the last error for this turn


class Client(ClientMachine):
    """The client machine of one conversation. `ids` returns a new unique string at each call."""

    def __init__(self, settings: Settings, ids: NewId) -> None:
        self._settings = settings
        self._ids = ids
        self._session_id = str(settings["session_id"])
        self._state = State.DOWN
        self._deadlines = Deadlines()
        self._turns: TurnQueue[_Turn] = TurnQueue(self._deadlines)
        self._uploads: dict[int, Action] = {}  # turns whose file is being uploaded
        self._resumes = False  # this conversation was ready before
        self._delivery = Delivery.ANSWERED
        self._received = ReceivedLog()
        self._last_ping = ""  # the event that ended the last turn, if no output has arrived since
        self._card: JsonObject = {}  # the last adaptive card

    @property
    def deadline(self) -> float | None:
        """When `timer` is to be called, or None."""
        return self._deadlines.next

    def dial(self, now: float) -> Address:
        """Begin a link: return the address to connect to, and start the timeout of the handshake."""
        if self._state is State.EXPIRED:
            self._session_id, self._resumes = f"session-{self._ids()}", False
            self._received, self._card = ReceivedLog(), {}
        self._state = State.DIALLING
        self._deadlines.set(Due.CONNECT, now + self._settings["timeout"])
        return address(self._settings, self._session_id)

    def opened(self, now: float) -> list[ClientEffect]:
        """Handle the opening of a link. The endpoint reports when it is ready, except before Cognigy.AI 4.79."""
        self._state = State.OPENING
        self._deadlines.clear(Due.CONNECT)
        self._deadlines.set(Due.READY, now + min(READY_TIMEOUT_S, self._settings["timeout"]))
        text = None if self._resumes else f"user {self._settings['user_id']}, session {self._session_id}"
        return [
            Persist("session_id", self._session_id),
            Record("connect", "session", identity(self._settings, self._session_id), "local", text=text),
        ]

    def act(self, turn: int, action: Action, now: float) -> list[ClientEffect]:
        """Send or queue an action."""
        if action.verb == "typing":
            return self._send_typing(turn, on=action.fields.get("on") is not False)
        if self._turns.full:
            return self._end_locally(
                turn, "failed", f"{MAX_QUEUED_TURNS} messages are queued; wait until the endpoint has answered some"
            )
        if self._state is State.READY and action.at_once:
            return self._send(turn, action, now)
        self._turns.add(turn, _Turn(action))
        if self._state is State.EXPIRED:
            return [Reconnect("a new session", wanted=True)]
        return self._send_next(now)

    def abandon(self, turn: int, now: float) -> list[ClientEffect]:
        """Stop waiting for the end of a turn."""
        self._uploads.pop(turn, None)
        if sent := self._turns.running.get(turn):
            sent.error = ""
            if turn == self._turns.current:
                self._deadlines.clear(Due.ERROR)
        self._turns.abandon(turn, now)
        return self._send_next(now)

    def received(self, event: str, payload: Json, now: float) -> list[ClientEffect]:
        """Handle an event."""
        self._restart_expiry(now)
        turn = self._turns.current
        match event:
            case "endpoint-ready":
                return self._ready(Record(event, "ready", payload, text="the endpoint is ready"), now)
            case "handshake":
                question = Record("handshake", "session", payload, text="the endpoint asks for the user and session")
                return [question, Record("handshake", "ack", identity(self._settings, self._session_id), "out")]
            case "typingStatus":
                status = as_text(as_dict(payload).get("status"))
                if not status:
                    return [misread(event, payload, "status is missing", turn)]
                self._note_answer(now)
                return [Record(event, "typing", payload, sender="bot", turn=turn, text=status)]
            case "output" | "finalPing":
                return self._output_or_ping(event, payload, now)
            case "exception" | "error":
                return self._error(event, payload, payload, now)
            case _:
                return [Record(event, "custom", payload, turn=turn, text=event)]

    def timer(self, now: float) -> list[ClientEffect]:
        """Handle the deadlines that have passed."""
        effects: list[ClientEffect] = []
        for due in self._deadlines.expired(now):
            match due:
                case Due.CONNECT:
                    text = f"no Socket.IO connection opened within {self._settings['timeout']:g} s"
                    effects.append(Failed(text, "timeout"))
                case Due.READY:
                    text = "no endpoint-ready arrived, continuing without it (Cognigy.AI before 4.79 sends none)"
                    effects += self._ready(Record("endpoint-ready", "ready", None, "local", text=text), now)
                case Due.ERROR if error := self._current_error():
                    turn = self._turns.current
                    self._turns.end(turn)
                    effects += [*self._end_locally(turn, "failed", error), *self._send_next(now)]
                case Owed(turn):
                    self._turns.end(turn)
                    effects += self._send_next(now)
                case Due.EXPIRY if self._state is State.READY:
                    self._state = State.EXPIRED
                    text = f"idle for {self._settings['expires_in']:g} s: the next message starts a new conversation"
                    ended = Record("expired", "ended", None, "local", turn=self._turns.last, text=text)
                    effects += [Ended(text), ended]
        return effects

    def http_response(self, response: HttpResponse, now: float) -> list[ClientEffect]:
        """Handle the HTTP response of an upload step: the token, or the description of the file."""
        if not isinstance(step := response.purpose, UploadStep) or (action := self._uploads.get(step.turn)) is None:
            return []
        try:
            answer = answer_of(step, response)
        except UploadRefused as refused:
            del self._uploads[step.turn]
            return [*self._end_locally(step.turn, "failed", str(refused)), *self._send_next(now)]
        if step.step == "token":
            upload = file_request(step.turn, answer, str(action.fields["file"]))
            token = as_text(answer.get("token"))
            return [Credential(token), upload] if token else [upload]
        del self._uploads[step.turn]
        action = Action("upload", {**action.fields, "attachment": answer})
        if self._state is not State.READY:
            self._turns.put_back({step.turn: _Turn(action)})
            return [Reconnect("a new session", wanted=True)] if self._state is State.EXPIRED else []
        return [*self._send(step.turn, action, now), *self._send_next(now)]

    def closed(self, now: float) -> list[ClientEffect]:
        """Handle the loss of the link. Turns keep running: their events may arrive over the next link."""
        if self._state is not State.EXPIRED:
            self._state = State.DOWN
        if self._delivery is not Delivery.ANSWERED:
            self._delivery = Delivery.UNCONFIRMED
        self._received.link_lost()
        self._deadlines.clear(*Due)
        return []

    # Readiness

    def _ready(self, record: Record, now: float) -> list[ClientEffect]:
        if self._state is not State.OPENING:
            return [record._replace(kind="session")]
        self._state = State.READY
        self._deadlines.clear(Due.CONNECT, Due.READY)
        if self._current_error():
            self._deadlines.set(Due.ERROR, now + LATE_ANSWER_S)
        self._restart_expiry(now)
        record, self._resumes = record._replace(kind="resumed") if self._resumes else record, True
        if self._turns.running and self._delivery is Delivery.UNCONFIRMED:
            text = "the link was lost after this was sent; if no answer comes, send it again"
            return [Ready(self._session_id), record, Record("processInput", "session", None, "local", text=text)]
        return [Ready(self._session_id), record, *self._send_again(now), *self._send_next(now)]

    def _restart_expiry(self, now: float) -> None:
        """Restart the idle timer if the session has one. It runs only while no turn is running."""
        limit = self._settings["expires_in"]
        if limit and self._state is State.READY and not self._busy:
            self._deadlines.set(Due.EXPIRY, now + limit)
        else:
            self._deadlines.clear(Due.EXPIRY)

    # Sending

    @property
    def _busy(self) -> bool:
        return bool(self._turns.running or self._uploads)

    def _send_next(self, now: float) -> list[ClientEffect]:
        effects: list[ClientEffect] = []
        while self._state is State.READY and not self._uploads and (turn := self._turns.next()) is not None:
            effects += self._send(turn, self._turns.waiting[turn].action, now)
        self._restart_expiry(now)
        return effects

    def _send(self, turn: int, action: Action, now: float) -> list[ClientEffect]:
        s = self._settings
        self._turns.end(turn)
        self._turns.last = turn
        if problem := self._problem(action):
            return self._end_locally(turn, "failed", f"{problem} (nothing was sent)")
        if action.verb == "upload" and "attachment" not in action.fields:
            self._uploads[turn] = action
            self._restart_expiry(now)
            return [token_request(turn, s["url"], s["token"])]
        payload = {
            "URLToken": s["token"].reveal(),
            "userId": s["user_id"],
            "sessionId": self._session_id,
            "channel": s["channel"],
            "source": "device",
            "passthroughIP": s["passthrough_ip"],
            **input_fields(action, self._card),
        }
        self._turns.start(turn, _Turn(action, payload))
        self._delivery = Delivery.SENT
        self._restart_expiry(now)
        text = label(action, user_input(payload))
        return [Record("processInput", "action", payload, "out", "user", turn, text), Emit("processInput", (payload,))]

    def _problem(self, action: Action) -> str | None:
        """Return why an action cannot be sent, or None."""
        if action.choice:
            return press_problem(self._card, action.choice)
        if action.verb != "submit":
            return None
        return submit_problem(self._card, as_dict(action.json("values")), action.text("title") or None)

    def _send_again(self, now: float) -> list[ClientEffect]:
        """When the endpoint is ready, resend the inputs that it has not received."""
        if self._delivery is not Delivery.UNRECEIVED or self._state is not State.READY:
            return []
        self._delivery = Delivery.SENT
        self._restart_expiry(now)
        text = "sent again: the endpoint had not received it"
        effects: list[ClientEffect] = []
        for turn, sent in self._turns.running.items():
            effects += [
                Record("processInput", "status", sent.payload, "out", turn=turn, text=text),
                Emit("processInput", (sent.payload,)),
            ]
        return effects

    def _send_typing(self, turn: int, *, on: bool) -> list[ClientEffect]:
        if self._state is not State.READY:
            text = "the link is down, so the typing status was not sent; try again after the reconnect"
            return self._end_locally(turn, "failed", text)
        payload = {"status": "typingOn" if on else "typingOff"}
        record = Record("typingStatus", "typing", payload, "out", "user", turn, payload["status"])
        return [record, Emit("typingStatus", (payload,)), *self._end_locally(turn, "completed", None)]

    def _end_locally(self, turn: int, status: Status, reason: str | None) -> list[ClientEffect]:
        """End a turn that will not receive a `finalPing`."""
        kind, error = ("error", reason) if status == "failed" else ("status", None)
        record = Record("turn", kind, None, "local", "system", turn, status, final=True, error=error)
        return [record, TurnDone(turn, status, reason)]

    # Receiving

    def _current_error(self) -> str:
        turn = self._turns.running.get(self._turns.current)
        return turn.error if turn else ""

    def _note_answer(self, now: float) -> None:
        """Record that a new event arrived, which may belong to the current turn."""
        if self._delivery is not Delivery.UNRECEIVED:
            self._delivery = Delivery.ANSWERED
        if self._current_error():
            self._deadlines.set(Due.ERROR, now + LATE_ANSWER_S)

    def _output_or_ping(self, event: str, payload: Json, now: float) -> list[ClientEffect]:
        is_ping = "finalPing" in (event, as_dict(payload).get("type"))
        ping = Ping(event) if is_ping else None
        quiet = bool(self._turns.running) and self._delivery in (Delivery.UNCONFIRMED, Delivery.UNRECEIVED)
        before = self._received.repeated(payload, self._turns.last, ping=ping, quiet=quiet)
        if before is None:
            self._note_answer(now)
            return self._output(payload, now) if event == "output" else self._final(event, payload, payload, now)
        turn = self._turns.current
        if quiet and not is_ping and before < turn:
            self._delivery = Delivery.UNRECEIVED
        again = Record(event, "status", payload, turn=turn, text="sent again after the lost link")
        return [again, *self._send_again(now)]

    def _output(self, payload: Json, now: float) -> list[ClientEffect]:
        turn, output = self._turns.current, as_dict(payload)
        kind, data = output.get("type"), output.get("data")
        if not isinstance(kind, str):
            return [misread("output", payload, "type is missing", turn)]
        if kind == "finalPing":
            return self._final("output", payload, data, now)
        if kind == "error":
            return self._error("output", payload, as_dict(data).get("error"), now)
        if kind != "output":
            return [Record("output", "custom", payload, turn=turn, text=f"output of type {kind}")]
        if not isinstance(data, dict):
            return [misread("output", payload, "data is missing", turn)]
        self._last_ping = ""
        parsed = parse_output(data)
        if isinstance(parsed.content, AdaptiveCard):
            self._card = parsed.content.card
        return [Record("output", parsed.kind, payload, sender=sender_of(data), turn=turn, text=parsed.text)]

    def _final(self, event: str, payload: Json, ping: Json, now: float) -> list[ClientEffect]:
        """End the current turn. An endpoint may send `finalPing` as an event, as an output, or both."""
        reason = as_text(as_dict(ping).get("type"))
        is_twin = self._last_ping not in ("", event)
        self._last_ping = "" if is_twin else event
        turn = self._turns.current
        status = Record(event, "status", payload, turn=turn, text=f"finalPing {reason}".strip())
        if is_twin or not self._turns.running:
            return [status]
        abandoned = self._turns.is_abandoned(turn)
        self._turns.end(turn)
        self._deadlines.clear(Due.ERROR)
        if abandoned:
            return [status, *self._send_next(now)]
        record = Record(event, "status", payload, turn=turn, text="completed", final=True)
        done = TurnDone(turn, "completed", reason if reason != "regular" else None)
        return [record, done, *self._send_next(now)]

    def _error(self, event: str, payload: Json, error: Json, now: float) -> list[ClientEffect]:
        """Record an error. The current turn fails with this error unless a `finalPing` arrives soon."""
        turn = self._turns.current
        text = as_text(as_dict(error).get("message")) or as_text(error)
        text = text or json.dumps(payload if error is None else error, default=str)
        record = Record(event, "error", payload, turn=turn, error=text)
        if self._state is State.OPENING and not self._resumes:
            return [record, Failed(f"the endpoint refused the connection: {text}", "refused")]
        if turn in self._turns.running and not self._turns.is_abandoned(turn):
            self._turns.running[turn].error = text
            self._deadlines.set(Due.ERROR, now + LATE_ANSWER_S)
        return [record]

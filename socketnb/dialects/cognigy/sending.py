"""The sending half of the client machine: the queue of turns, and the state that both halves share."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from socketnb.dialects.base import end_turn, warn
from socketnb.dialects.cognigy.actions import input_fields, label, user_input
from socketnb.dialects.cognigy.forms import press_problem, submit_problem
from socketnb.dialects.cognigy.received import ReceivedLog
from socketnb.dialects.cognigy.runs import Runs
from socketnb.dialects.cognigy.uploads import UploadRefused, UploadStep, answer_of, file_request, token_request
from socketnb.dialects.turns import LATE_ANSWER_S, QUEUE_FULL, Deadlines, TurnQueue
from socketnb.model.actions import Action
from socketnb.model.effects import ClientEffect, Credential, Emit, HttpResponse, Reconnect, Record
from socketnb.model.json import JsonObject, as_dict, as_text

if TYPE_CHECKING:
    from socketnb.dialects.base import NewId, Settings


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
    END = "the end of a turn with an error, or with an agent"
    HOLD = "the other events of a turn whose finalPing came first"
    EXPIRY = "the expiry of an idle conversation"


@dataclass(slots=True)
class _Turn:
    """A queued or running turn."""

    action: Action
    payload: JsonObject = field(default_factory=dict)  # the input that was sent
    error: str = ""  # the last error for this turn
    agent: bool = False  # an agent handles the conversation, so there may be no finalPing


class Sending:
    """Queues and sends the actions of the user. `ids` returns a new unique string at each call."""

    def __init__(self, settings: Settings, ids: NewId) -> None:
        self._settings = settings
        self._ids = ids
        self._session_id = str(settings["session_id"])
        self._state = State.DOWN
        self._deadlines = Deadlines()
        self._turns: TurnQueue[_Turn] = TurnQueue(self._deadlines, late_answer_s=settings["late_answer_timeout"])
        self._runs = Runs()
        self._uploads: dict[int, Action] = {}  # turns whose file is being uploaded
        self._resumes = False  # this conversation was ready before
        self._delivery = Delivery.ANSWERED
        self._received = ReceivedLog()
        self._unready = False  # the endpoint has not said that it is ready over this link
        self._held_reason = ""  # the type of the held finalPing
        self._card: JsonObject = {}  # the last adaptive card

    def act(self, turn: int, action: Action, now: float) -> list[ClientEffect]:
        """Send or queue an action."""
        if action.verb == "typing":
            return self._send_typing(turn, on=action.fields.get("on") is not False)
        if self._turns.full:
            return end_turn(turn, "failed", QUEUE_FULL)
        if self._state is State.READY and action.at_once:
            return self._send(turn, action, now)
        self._turns.add(turn, _Turn(action))
        if self._state is State.EXPIRED:
            return [Reconnect("a new session", wanted=True)]
        return self._send_next(now)

    def explain(self, turn: int) -> str | None:
        """Return why an open turn has not ended, as far as known."""
        if turn in self._uploads:
            return "the endpoint has not answered the upload"
        if turn in self._turns.waiting:
            return f"not sent: {self._obstacle()}"
        if turn not in self._turns.running:
            return None
        if self._runs.is_cut(turn):
            return "the link was lost after this was sent"
        if self._unready and self._settings["ready_timeout"]:
            return "the endpoint never said it is ready"
        return "a run that this session did not ask for has not ended" if self._runs.unasked else None

    def _obstacle(self) -> str:
        """Return what prevents the next turn from being sent."""
        if self._state is State.EXPIRED:
            return "a new conversation is being opened"
        if self._state is State.OPENING:
            return f"waiting up to {self._settings['ready_timeout']:g} s for endpoint-ready"
        if self._state is not State.READY:
            return "the link is down"
        return self._turns.obstacle(next(iter(self._uploads), self._turns.current))

    def http_response(self, response: HttpResponse, now: float) -> list[ClientEffect]:
        """Handle the HTTP response of an upload step: the token, or the description of the file."""
        if not isinstance(step := response.purpose, UploadStep) or (action := self._uploads.get(step.turn)) is None:
            return []
        try:
            answer = answer_of(step, response)
        except UploadRefused as refused:
            del self._uploads[step.turn]
            return [*end_turn(step.turn, "failed", str(refused)), *self._send_next(now)]
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
            return end_turn(turn, "failed", f"{problem} (nothing was sent)")
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
        if action.verb == "reset":
            self._runs.agent = False
        self._turns.start(turn, _Turn(action, payload, agent=self._runs.agent))
        self._runs.sent(turn, now)
        if turn == self._turns.current:
            self._restart_end(now)
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
        self._restart_expiry(now)
        return self._resend("sent again: the endpoint had not received it", now)

    def _resend(self, text: str, now: float) -> list[ClientEffect]:
        """Send the lost inputs again, except those of turns that have timed out, and then the next turn."""
        self._delivery = Delivery.ANSWERED
        effects: list[ClientEffect] = []
        for turn, sent in list(self._turns.running.items()):
            if self._turns.is_abandoned(turn):
                self._turns.end(turn)
                self._runs.give_up(turn, now)
                continue
            self._delivery = Delivery.SENT
            effects += [
                Record("processInput", "status", sent.payload, "out", turn=turn, text=text),
                Emit("processInput", (sent.payload,)),
            ]
        return effects + self._send_next(now)

    def _send_typing(self, turn: int, *, on: bool) -> list[ClientEffect]:
        if self._state is not State.READY:
            text = "the link is down, so the typing status was not sent; try again after the reconnect"
            return end_turn(turn, "failed", text)
        payload = {"status": "typingOn" if on else "typingOff"}
        record = Record("typingStatus", "typing", payload, "out", "user", turn, payload["status"])
        return [record, Emit("typingStatus", (payload,)), *end_turn(turn, "completed", None)]

    # Deadlines and warnings

    def _restart_expiry(self, now: float) -> None:
        """Restart the idle timer if the session has one. It runs only while no turn is running."""
        limit = self._settings["expires_in"]
        if limit and self._state is State.READY and not self._busy:
            self._deadlines.set(Due.EXPIRY, now + limit)
        else:
            self._deadlines.clear(Due.EXPIRY)

    def _restart_end(self, now: float) -> None:
        """Restart the deadline of the current turn, if it can end without a `finalPing`."""
        sent = self._turns.running.get(self._turns.current)
        if sent and (sent.error or sent.agent):
            self._deadlines.set(Due.END, now + LATE_ANSWER_S)

    def _warnings(self) -> list[ClientEffect]:
        return [warn(turn, text) for turn, text in self._runs.warnings()]

"""The client machine of one conversation with a Cognigy.AI Socket.IO endpoint.

The states of a link (`State`):

    DOWN ──▶ DIALLING ──opened──▶ OPENING ──endpoint-ready──▶ READY ──idle for expires_in──▶ EXPIRED
                                     └──after ready_timeout──▶ READY      (before Cognigy.AI 4.79)

A user id and a session id identify a conversation: reconnecting with the same two ids resumes it. Inputs have no id, so
one turn runs at a time, and it ends with `finalPing`. The next turn is queued unless it has `at_once`. `Runs` decides
which turn an event belongs to. Messages that belong to no turn are recorded with turn 0, and messages of an agent while
no turn is running with the last turn.

A turn also ends in these cases:

- An error came during the turn. It fails with the error at its `finalPing`, or `LATE_ANSWER_S` after the last event.
- An agent answers. If the agent handled the conversation before the turn, and the bot has sent nothing, the answer ends
  the turn, because no `finalPing` can be expected. Otherwise the turn ends `LATE_ANSWER_S` after the last event.
- An agent handles the conversation, and no answer or `finalPing` comes within `LATE_ANSWER_S`. The agent's later
  messages are late messages of the last turn.

An abandoned turn briefly blocks the next turn (setting `late_answer_timeout`), so that its late answer is not assigned
to the next turn.

If `endpoint-ready` comes after `ready_timeout`, and no event has come for the inputs sent before it, they are lost and
are sent again. The input of a turn that has timed out is never sent again.

After a lost link, an endpoint that keeps undelivered events repeats the events that were not acknowledged.
`ReceivedLog` recognises repeated events, which are recorded as statuses. The delivery state of the last input is a
`Delivery`:

    ANSWERED ──input sent──▶ SENT ──link lost──▶ UNCONFIRMED ──older events repeated──▶ UNRECEIVED ──sent again──▶ SENT

Any new event changes the state to ANSWERED. If an endpoint repeats events from before an input, it has not received the
input, so the input is sent again.

Sources: the vendor's Socket.IO endpoint page; `@cognigy/socket-client` 4 and 5 for the order of events. Two bugs of
that client are not reproduced: a reset is sent once, and an error without a listener has no effect.
"""

from __future__ import annotations

import json

from socketnb.dialects.base import ClientMachine, end_turn, misread, warn
from socketnb.dialects.cognigy.handshake import address, identity
from socketnb.dialects.cognigy.outputs import handover_of, parse_output, sender_of
from socketnb.dialects.cognigy.received import Moment, Ping, ReceivedLog, Sign
from socketnb.dialects.cognigy.runs import HOLD_S, Runs
from socketnb.dialects.cognigy.sending import Delivery, Due, Sending, State
from socketnb.dialects.turns import Owed
from socketnb.model.content import AdaptiveCard
from socketnb.model.effects import (
    Address,
    ClientEffect,
    Ended,
    Failed,
    Persist,
    Ready,
    Record,
    TurnDone,
)
from socketnb.model.json import Json, JsonObject, as_dict, as_text

NEVER_READY = "connected, but the endpoint never said it is ready: an old endpoint, or a wrong token"
REPEATED = "a message equals one from before the lost link: it may be a repetition or a new message"


class Client(Sending, ClientMachine):
    """The client machine of one conversation: its links, and what it receives."""

    @property
    def deadline(self) -> float | None:
        """When `timer` is to be called, or None."""
        return self._deadlines.next

    def dial(self, now: float) -> Address:
        """Begin a link: return the address to connect to, and start the timeout of the handshake."""
        if self._state is State.EXPIRED:
            self._session_id, self._resumes = f"session-{self._ids()}", False
            self._received, self._runs, self._card = ReceivedLog(), Runs(), {}
        self._state = State.DIALLING
        self._deadlines.set(Due.CONNECT, now + self._settings["timeout"])
        return address(self._settings, self._session_id)

    def opened(self, now: float) -> list[ClientEffect]:
        """Handle the opening of a link. The endpoint reports when it is ready, except before Cognigy.AI 4.79."""
        self._state = State.OPENING
        self._unready = True
        self._deadlines.clear(Due.CONNECT)
        text = None if self._resumes else f"user {self._settings['user_id']}, session {self._session_id}"
        effects: list[ClientEffect] = [
            Persist("session_id", self._session_id),
            Record("connect", "session", identity(self._settings, self._session_id), "local", text=text),
        ]
        if wait := self._settings["ready_timeout"]:
            self._deadlines.set(Due.READY, now + wait)
            return effects
        text = "endpoint-ready is not awaited"
        return effects + self._ready(Record("endpoint-ready", "ready", None, "local", text=text), now)

    def abandon(self, turn: int, now: float) -> list[ClientEffect]:
        """Stop waiting for the end of a turn."""
        self._uploads.pop(turn, None)
        if sent := self._turns.running.get(turn):
            sent.error, sent.agent = "", False
            if turn == self._turns.current:
                self._deadlines.clear(Due.END)
        self._turns.abandon(turn, now)
        return self._send_next(now)

    def received(self, event: str, payload: Json, now: float) -> list[ClientEffect]:
        """Handle an event."""
        self._restart_expiry(now)
        effects = self._event(event, payload, now)
        if not self._runs.held:
            self._deadlines.clear(Due.HOLD)
        return effects + self._warnings()

    def _event(self, event: str, payload: Json, now: float) -> list[ClientEffect]:
        match event:
            case "endpoint-ready":
                return self._endpoint_ready(Record(event, "ready", payload, text="the endpoint is ready"), now)
            case "handshake":
                question = Record("handshake", "session", payload, text="the endpoint asks for the user and session")
                return [question, Record("handshake", "ack", identity(self._settings, self._session_id), "out")]
            case "typingStatus":
                status = as_text(as_dict(payload).get("status"))
                if not status:
                    return [misread(event, payload, "status is missing", self._runs.turn)]
                turn = self._runs.typing(now) if status == "typingOn" else self._runs.turn
                self._note_answer(turn, now)
                return [Record(event, "typing", payload, sender="bot", turn=turn, text=status)]
            case "output" | "finalPing":
                return self._output_or_ping(event, payload, now)
            case "exception" | "error":
                return self._error(event, payload, payload, now)
            case _:
                return [Record(event, "custom", payload, turn=self._runs.turn, text=event)]

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
                    record = Record("endpoint-ready", "ready", None, "local", text=text)
                    effects += [warn(0, NEVER_READY), *self._ready(record, now)]
                case Due.END:
                    effects += self._end_without_ping(now)
                case Due.HOLD:
                    if turn := self._runs.release(now):
                        effects += self._end_with_ping(turn, self._held_reason, now)
                case Owed(turn):
                    self._turns.end(turn)
                    self._runs.give_up(turn, now)
                    effects += self._send_next(now)
                case Due.EXPIRY if self._state is State.READY:
                    self._state = State.EXPIRED
                    text = f"idle for {self._settings['expires_in']:g} s: the next message starts a new conversation"
                    ended = Record("expired", "ended", None, "local", turn=self._turns.last, text=text)
                    effects += [Ended(text), ended]
        return effects + self._warnings()

    def closed(self, now: float) -> list[ClientEffect]:
        """Handle the loss of the link. Turns keep running: their events may arrive over the next link."""
        if self._state is not State.EXPIRED:
            self._state = State.DOWN
        if self._delivery is not Delivery.ANSWERED:
            self._delivery = Delivery.UNCONFIRMED
        self._received.link_lost()
        self._runs.link_lost()
        self._deadlines.clear(*Due)
        return []

    # Readiness

    def _endpoint_ready(self, record: Record, now: float) -> list[ClientEffect]:
        """Handle `endpoint-ready`. Inputs that were sent before it, and are not answered, are sent again."""
        is_late, self._unready = self._unready and self._state is State.READY, False
        effects = self._ready(record, now)
        if is_late and self._delivery is Delivery.SENT and self._runs.silent:
            resent = [turn for turn in self._turns.running if not self._turns.is_abandoned(turn)]
            effects += self._resend("sent again: the endpoint was not ready before", now)
            text = "the endpoint said it is ready only after this was sent, so this was sent again"
            effects += [warn(turn, text) for turn in resent]
        return effects

    def _ready(self, record: Record, now: float) -> list[ClientEffect]:
        if self._state is not State.OPENING:
            return [record._replace(kind="session")]
        self._state = State.READY
        self._deadlines.clear(Due.CONNECT, Due.READY)
        self._restart_end(now)
        if self._runs.held:
            self._deadlines.set(Due.HOLD, now + HOLD_S)
        self._restart_expiry(now)
        record, self._resumes = record._replace(kind="resumed") if self._resumes else record, True
        if self._turns.running and self._delivery is Delivery.UNCONFIRMED:
            text = "the link was lost after this was sent; if no answer comes, send it again"
            return [Ready(self._session_id), record, Record("processInput", "session", None, "local", text=text)]
        return [Ready(self._session_id), record, *self._send_again(now), *self._send_next(now)]

    # Ends of turns

    def _end_with_ping(self, turn: int, reason: str, now: float, record: Record | None = None) -> list[ClientEffect]:
        """End a turn whose `finalPing` came. `record` is its trace, or None if it was recorded before."""
        abandoned = self._turns.is_abandoned(turn)
        sent = self._turns.end(turn)
        self._deadlines.clear(Due.END, Due.HOLD)
        effects = self._warnings()
        if sent and sent.error and not abandoned:
            effects += end_turn(turn, "failed", sent.error)
        elif not abandoned:
            record = record or Record("finalPing", "status", None, "local", turn=turn)
            done = TurnDone(turn, "completed", reason if reason not in ("", "regular") else None)
            effects += [record._replace(text="completed", final=True), done]
        return effects + self._send_next(now)

    def _end_without_ping(self, now: float) -> list[ClientEffect]:
        """End the current turn, whose `finalPing` is no longer expected because of an error or an agent."""
        turn = self._turns.current
        sent = self._turns.running.get(turn)
        if sent is None or not (sent.error or sent.agent):
            return []
        self._turns.end(turn)
        if sent.error:
            self._runs.give_up(turn, now, failed=True)
            return [*end_turn(turn, "failed", sent.error), *self._send_next(now)]
        self._runs.end_by_agent(turn, now)
        return [*end_turn(turn, "completed", "an agent handles the conversation"), *self._send_next(now)]

    # Receiving

    def _note_answer(self, turn: int, now: float) -> None:
        """Record that a new event arrived for a turn."""
        if turn in self._turns.running:
            if self._delivery is not Delivery.UNRECEIVED:
                self._delivery = Delivery.ANSWERED
            self._restart_end(now)

    def _output_or_ping(self, event: str, payload: Json, now: float) -> list[ClientEffect]:
        """Handle an output or a `finalPing`, unless the endpoint repeats it. Then it is recorded as a status."""
        is_ping = "finalPing" in (event, as_dict(payload).get("type"))
        owed = bool(self._turns.running)
        quiet = owed and self._delivery in (Delivery.UNCONFIRMED, Delivery.UNRECEIVED)
        moment = Moment(self._turns.last, owed, quiet, self._state is State.OPENING)
        verdict = self._received.add(payload, moment, self._sign(payload), Ping(event) if is_ping else None)
        if (before := verdict.before) is None:
            effects = self._output(payload, now) if event == "output" else self._final(event, payload, payload, now)
            if verdict.doubtful and effects and isinstance(record := effects[0], Record):
                return [record, warn(record.turn, REPEATED), *effects[1:]]
            return effects
        if quiet and not is_ping and before < self._turns.current:
            self._delivery = Delivery.UNRECEIVED
        again = Record(event, "status", payload, turn=before, text="sent again after the lost link")
        return [again, *([warn(before, REPEATED)] if verdict.doubtful else []), *self._send_again(now)]

    def _sign(self, payload: Json) -> Sign:
        """Return what the trace id of an event identifies."""
        ids, has_id = self._runs.ids, bool(as_text(as_dict(as_dict(payload).get("data")).get("traceId")))
        if ids.tell_runs and has_id:
            return Sign.OUTPUT if ids.name_outputs else Sign.RUN
        return Sign.UNPROVEN if ids.may_tell_runs else Sign.NOTHING

    def _output(self, payload: Json, now: float) -> list[ClientEffect]:
        turn, output = self._runs.turn, as_dict(payload)
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
        parsed, sender = parse_output(data), sender_of(data)
        if isinstance(parsed.content, AdaptiveCard):
            self._card = parsed.content.card
        record = Record("output", parsed.kind, payload, sender=sender, turn=turn, text=parsed.text)
        if parsed.kind in ("queue", "handler") or sender == "agent":
            return self._handover(record, data, now)
        turn = self._runs.output(as_text(data.get("traceId")), now)
        self._note_answer(turn, now)
        return [record._replace(turn=turn)]

    def _handover(self, record: Record, data: JsonObject, now: float) -> list[ClientEffect]:
        """Handle an event of a handover, or a message of an agent. They have no `finalPing`."""
        if record.sender != "agent":
            record = record._replace(turn=self._runs.turn or self._turns.last)
            if handover := handover_of(data):
                self._runs.agent = handover[0] == "agent"
                self._expect_agent(record.turn, now)
            return [record]
        turn = self._runs.agent_message(now)
        if turn is None:
            return [record._replace(turn=self._turns.last)]
        record = record._replace(turn=turn)
        if self._turns.is_abandoned(turn):
            return [record]
        self._expect_agent(turn, now)
        if not self._runs.answered_by_agent(turn, now):
            return [record]
        self._turns.end(turn)
        self._deadlines.clear(Due.END, Due.HOLD)
        return [record, *end_turn(turn, "completed", None), *self._send_next(now)]

    def _expect_agent(self, turn: int, now: float) -> None:
        """Note whether an agent handles a turn, so that it can end without a `finalPing`."""
        if turn in self._turns.running and not self._turns.is_abandoned(turn):
            self._turns.running[turn].agent = self._runs.agent
            self._note_answer(turn, now)

    def _final(self, event: str, payload: Json, ping: Json, now: float) -> list[ClientEffect]:
        """Handle a `finalPing`. An endpoint may send it as an event, as an output, or both."""
        reason = as_text(as_dict(ping).get("type"))
        outcome, turn = self._runs.ping(event, now)
        self._note_answer(turn, now)
        status = Record(event, "status", payload, turn=turn, text=f"finalPing {reason}".strip())
        if outcome == "ends":
            return [status, *self._end_with_ping(turn, reason, now, status)]
        if outcome == "held":
            self._held_reason = reason
            self._deadlines.set(Due.HOLD, now + HOLD_S)
        return [status]

    def _error(self, event: str, payload: Json, error: Json, now: float) -> list[ClientEffect]:
        """Record an error. The current turn fails with it at its `finalPing`, or soon if none arrives."""
        turn = self._runs.error(now)
        text = as_text(as_dict(error).get("message")) or as_text(error)
        text = text or json.dumps(payload if error is None else error, default=str)
        record = Record(event, "error", payload, turn=turn, error=text)
        if self._state is State.OPENING and not self._resumes:
            return [record, Failed(f"the endpoint refused the connection: {text}", "refused")]
        if turn in self._turns.running and not self._turns.is_abandoned(turn):
            self._turns.running[turn].error = text
        self._note_answer(turn, now)
        return [record]

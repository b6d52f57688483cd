"""The client machine of one conversation with a Voiceflow project.

`handshake.py` describes the states of a link.

One action runs at a time, as the vendor's page recommends ("Action Lifecycle"). The next action is queued until
`action.status` reports completed or rejected, unless it has `at_once`. `accounts.py` decides which action an event
answers. After a time-out, the next action waits for the late answer if that answer could not be recognised later.

After a lost link, the client resumes the same session. If the server repeats the events of a turn, starting with
`accepted`, events that the client has already received are recorded as statuses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from socketnb.dialects.base import ClientMachine, end_turn, misread, warn
from socketnb.dialects.turns import QUEUE_FULL, Deadlines, TurnQueue
from socketnb.dialects.voiceflow.accounts import DOUBT, EARLY_ERROR, Accounts, Progress, Sent, same_action
from socketnb.dialects.voiceflow.actions import emit, request_of, send_action, user_input
from socketnb.dialects.voiceflow.endings import AGAIN, LAST_STATUS_TIMEOUT_S, LOST, RESTARTED, Due, Ending, end_of_turn
from socketnb.dialects.voiceflow.explain import why_unfinished, why_unsent
from socketnb.dialects.voiceflow.handshake import AWAITED, State, address, client_start
from socketnb.dialects.voiceflow.received import ReceivedLog
from socketnb.dialects.voiceflow.traces import AGENT_MESSAGE, parse_agent_message, parse_error, parse_trace, time_of
from socketnb.dialects.voiceflow.variables import patch_variables, refusal
from socketnb.model.actions import Action
from socketnb.model.effects import (
    Address,
    ClientEffect,
    Credential,
    Ended,
    Failed,
    HttpResponse,
    Persist,
    Ready,
    Reconnect,
    Record,
    TurnDone,
)
from socketnb.model.json import Json, JsonObject, JsonObjectOut, as_dict, as_text
from socketnb.model.secret import Secret, fingerprint

if TYPE_CHECKING:
    from socketnb.dialects.base import NewId, Settings
    from socketnb.model.trace import Status


class Client(ClientMachine):
    """The client machine of one conversation. `ids` returns a new unique string at each call."""

    def __init__(self, settings: Settings, ids: NewId) -> None:
        self._settings = settings
        self._ids = ids
        self._key: Secret | None = settings["session_key"]
        self._state = State.DOWN
        self._now = 0.0
        self._deadlines = Deadlines()
        self._turns: TurnQueue[Sent] = TurnQueue(self._deadlines)
        self._accounts = Accounts()
        self._late: list[Sent] = []  # given up; the next turn waits for their late answers
        self._late_s: float = settings["late_answer_timeout"]
        self._received = ReceivedLog()
        self._silence_s: float | None = None  # seconds of silence after which the bot expects a report
        self._restarting = False  # since `server.restart`, until the next link is ready
        self._replay: JsonObject | None = None  # the action that a restarting server requested again

    @property
    def deadline(self) -> float | None:
        """When `timer` is to be called, or None."""
        return self._deadlines.next

    def dial(self, now: float) -> Address:
        """Begin a link: return the address to connect to, and start the timeout of the handshake."""
        self._state = State.DIALLING
        self._deadlines.clear(*Due)
        self._deadlines.set(Due.HANDSHAKE, now + self._settings["timeout"])
        return address(self._settings)

    def opened(self, now: float) -> list[ClientEffect]:
        """Handle the opening of a link: send `client.start`."""
        self._state = State.STARTING
        return emit("client.start", client_start(self._settings, self._key), "session")

    def act(self, turn: int, action: Action, now: float) -> list[ClientEffect]:
        """Send or queue an action."""
        self._now = now
        if self._turns.full:
            return end_turn(turn, "failed", QUEUE_FULL)
        sent = Sent(turn, request_of(action), self._ids())
        if self._state is State.READY and action.at_once:
            return self._send(sent)
        self._turns.add(turn, sent)
        if self._state is State.ENDED and not self._turns.running:
            # The page: "A valid session must already exist". The handshake creates one.
            return [Reconnect("a new session")]
        return self._send_next()

    def abandon(self, turn: int, now: float) -> list[ClientEffect]:
        """Stop waiting for the end of a turn.

        The next turn is sent if a late answer can be recognised by its messageID, or after a pause otherwise.
        """
        self._now = now
        sent = self._turns.running.get(turn)
        self._turns.end(turn)
        self._deadlines.clear(Ending(turn))
        if sent is None:
            return []
        return [*self._give_up(sent), *self._next()]

    def explain(self, turn: int) -> str | None:
        """Return why an open turn has not ended, as far as known."""
        if turn in self._turns.waiting:
            return why_unsent(turn, self._turns, self._state, self._late, self._late_s)
        sent = self._turns.running.get(turn)
        return None if sent is None else why_unfinished(sent)

    def received(self, event: str, payload: Json, now: float) -> list[ClientEffect]:
        """Handle an event."""
        self._now = now
        match (self._state, event):
            # The second name is from an older version of the page.
            case (State.STARTING, "client.started" | "client.created"):
                return self._started(payload)
            case (State.CREATING, "session.created"):
                return self._created(payload)
            case (_, "action.status"):
                return self._status(payload)
            case (_, "action.trace"):
                return self._trace(payload)
            case (_, "session.ended"):
                return self._ended(payload)
            case (_, "server.restart"):
                return self._server_restarts(payload)
            case (_, "error"):
                return self._error(payload)
            case (_, "client.started" | "client.created" | "session.created"):
                problem = f"unexpected in the state '{self._state.value}'"
                return [misread(event, payload, problem, self._turns.current)]
            case (_, name) if name == AGENT_MESSAGE and (text := parse_agent_message(payload)):
                return [Record(event, "text", payload, sender="agent", text=text)]
            case _:
                return [Record(event, "custom", payload, turn=self._turns.current, text=event)]

    def timer(self, now: float) -> list[ClientEffect]:
        """Handle the deadlines that have passed."""
        self._now = now
        effects: list[ClientEffect] = []
        for due in self._deadlines.expired(now):
            match due:
                case Due.HANDSHAKE if step := AWAITED.get(self._state):
                    text = f"no {step} arrived within {self._settings['timeout']:g} s"
                    effects.append(Failed(text, "timeout"))
                case Due.LAST_STATUS:
                    for turn in list(self._turns.running):
                        effects += self._finish(turn, "completed", "the session ended")
                # A turn that was sent with at_once may still be running.
                case Due.SILENCE if not self._turns.running:
                    effects += self._send_unasked({"type": "no-reply"}, "no_reply", "the user said nothing")
                case Due.LATE_ANSWER:
                    self._late.clear()
                    effects += self._next()
                case Due.QUIET:
                    self._accounts.write_off()
                case Ending(turn) if sent := self._turns.running.get(turn):
                    effects += self._finish(turn, "failed", sent.error or RESTARTED)
        return effects

    def closed(self, now: float) -> list[ClientEffect]:
        """Handle the loss of the link."""
        self._now = now
        if self._state is not State.ENDED:
            self._state = State.DOWN
            self._deadlines.clear(*Due)
        self._accounts.link_lost()
        effects: list[ClientEffect] = []
        if not self._accounts.echoes and not self._restarting:
            for sent in self._accounts.unconfirmed:
                effects += self._finish(sent.turn, "failed", LOST)
        self._put_back()
        return effects

    def http_response(self, response: HttpResponse, now: float) -> list[ClientEffect]:
        """Handle the response of the state API to the request that sets the variables."""
        self._now = now
        if self._state is not State.SETTING:
            return []
        if problem := refusal(response):
            return [Failed(f"the variables could not be set: {problem}", "refused")]
        names = ", ".join(self._settings["variables"])
        return self._ready(Record("variables", "ready", direction="local", text=f"variables set: {names}"))

    # Handshake

    def _started(self, payload: Json) -> list[ClientEffect]:
        required = as_dict(payload).get("newSessionRequired")
        if not isinstance(required, bool):
            return self._malformed("client.started", payload, "newSessionRequired is neither true nor false")
        if not required:
            self._received.link_resumed()
            return self._ready(Record("client.started", "resumed" if self._key else "ready", payload))
        stale = "the stored session no longer exists, so a new one begins" if self._key else None
        self._state, self._key = State.CREATING, None
        effects: list[ClientEffect] = [Record("client.started", "session", payload, text=stale)]
        if stale:
            effects.append(warn(0, stale))
            for turn in list(self._turns.running):
                effects += self._finish(turn, "failed", stale)
        self._forget()
        return effects + emit("session.create", {}, "session")

    def _created(self, payload: Json) -> list[ClientEffect]:
        key = as_text(as_dict(payload).get("sessionKey"))
        if not key:
            return self._malformed("session.created", payload, "sessionKey is missing")
        self._key = Secret(key)
        effects: list[ClientEffect] = [Credential(key), Persist("session_key", key)]
        if not self._settings["variables"]:
            return [*effects, *self._ready(Record("session.created", "ready", payload))]
        self._state = State.SETTING
        return [*effects, Record("session.created", "session", payload), patch_variables(self._settings)]

    def _malformed(self, event: str, payload: Json, problem: str) -> list[ClientEffect]:
        record = misread(event, payload, problem, self._turns.current)
        return [record, Failed(str(record.error), "lost")]

    def _ready(self, record: Record) -> list[ClientEffect]:
        self._state = State.READY
        self._deadlines.clear(*Due)
        if self._late:
            self._deadlines.set(Due.LATE_ANSWER, self._now + self._late_s)
        conversation = fingerprint(self._key.reveal()) if self._key else None
        effects: list[ClientEffect] = [Ready(conversation), record]
        restarting, self._restarting = self._restarting, False
        replay, self._replay = self._replay, None
        replayed = replay and self._to_replay(replay)
        for turn, sent in self._turns.running.items() if restarting else ():
            if sent is not replayed:
                self._deadlines.set(Ending(turn), self._now + self._late_s)
        if replayed and replay:
            replayed.request = replay
            return effects + self._send(replayed, AGAIN)
        if replay and not self._turns.waiting:
            return effects + self._send_unasked(replay, "status", AGAIN, self._accounts.given_up(replay))
        return effects + self._next()

    def _to_replay(self, request: JsonObject) -> Sent | None:
        """Return the running or interrupted action that a restarting server requested again, or None."""
        interrupted = [sent for sent in self._turns.waiting.values() if sent.progress is Progress.RETRY]
        actions = [*self._turns.running.values(), *interrupted]
        return next((sent for sent in actions if same_action(sent.request, request)), None)

    def _forget(self) -> None:
        """Forget the expected answers: the session no longer exists."""
        self._accounts.forget()
        self._late.clear()
        self._restarting, self._replay = False, None

    # Turns

    def _put_back(self) -> None:
        """Queue unconfirmed actions again, because the server may not have received them."""
        if turns := {sent.turn: sent for sent in self._accounts.unconfirmed}:
            for sent in turns.values():
                sent.progress = Progress.RETRY
            self._turns.put_back(turns)

    def _send_next(self) -> list[ClientEffect]:
        if self._state is not State.READY or self._turns.running or self._late:
            return []
        turn = self._turns.next()
        return [] if turn is None else self._send(self._turns.waiting[turn])

    def _send_unasked(
        self, request: JsonObjectOut, kind: str, text: str, earlier: Sent | None = None
    ) -> list[ClientEffect]:
        """Send a request that is not an action of the user now.

        Its answers are late messages of the turn of the earlier action that is sent again, or of the last turn.
        """
        turn, message_id = (earlier.turn, earlier.message_id) if earlier else (self._turns.last, self._ids())
        sent = Sent(turn, request, message_id, is_turn=False)
        self._accounts.begin(sent)
        if earlier:
            self._received.sent_again(turn)
        return send_action(sent, kind, text)

    def _send(self, sent: Sent, again: str = "") -> list[ClientEffect]:
        user = user_input(sent.request)
        kind, text = "action", user.text or user.verb
        if again or sent.progress is Progress.RETRY:
            kind, text = "status", again or f"sent again: {text}"
        self._deadlines.clear(Due.SILENCE, Due.QUIET, Ending(sent.turn))
        self._silence_s = None
        self._turns.start(sent.turn, sent)
        self._accounts.begin(sent)
        self._received.begin(sent.turn)
        if again:
            self._received.sent_again(sent.turn)
        return send_action(sent, kind, text)

    def _owner(self, payload: JsonObject, status: str = "") -> tuple[Sent | None, list[ClientEffect]]:
        """Return the action that an event answers, and the warnings if that is uncertain."""
        owner = self._accounts.owner(payload.get("messageID"), status)
        if (sent := owner.sent) and self._turns.running.get(sent.turn) is sent:
            self._deadlines.clear(Ending(sent.turn))
            if sent.error:
                self._deadlines.set(Ending(sent.turn), self._now + LAST_STATUS_TIMEOUT_S)
        self._postpone_quiet()
        return sent, self._accounts.warnings(self._accounts.doubtful_turns(owner), owner.doubt)

    def _status(self, payload: Json) -> list[ClientEffect]:
        fields = as_dict(payload)
        status, reason = as_text(fields.get("status")), fields.get("reason")
        if not status:
            return [misread("action.status", payload, "status is missing", self._turns.current)]
        sent, warnings = self._owner(fields, status)
        turn = sent.turn if sent else 0
        self._received.repeated(turn, payload)
        ends = sent is not None and status in ("completed", "rejected")
        final = ends and self._turns.running.get(turn) is sent
        failure = sent.error if sent and final and status == "completed" else None
        record = Record("action.status", "status", payload, turn=turn, text=status, final=final and not failure)
        if sent is None or not ends:
            return [record, *warnings]
        was_open = self._accounts.finish(sent)
        if was_open and self._settings["no_reply"] and self._silence_s is not None and self._state is State.READY:
            self._deadlines.set(Due.SILENCE, self._now + self._silence_s)
            self._silence_s = None
        if sent in self._late:
            self._late.remove(sent)
            return [record, *warnings, *self._next()]
        if not final:
            return [record, *warnings]
        self._turns.end(turn)
        self._deadlines.clear(Ending(turn))
        if failure:
            warnings = [end_of_turn(sent, "failed", failure), *warnings]
        result: Status = "rejected" if status == "rejected" else "failed" if failure else "completed"
        text = sent.error or (str(reason) if reason else None)
        return [record, *warnings, TurnDone(turn, result, text), *self._next()]

    def _give_up(self, sent: Sent) -> list[ClientEffect]:
        """Stop waiting for an action. The next turn waits for its late answer if that could not be recognised."""
        warnings = self._accounts.warnings([other.turn for other in self._accounts.in_doubt(sent)], DOUBT)
        if self._accounts.give_up(sent) and self._late_s:
            self._late.append(sent)
            self._deadlines.set(Due.LATE_ANSWER, self._now + self._late_s)
        return warnings

    def _finish(self, turn: int, status: Status, reason: str) -> list[ClientEffect]:
        """End a running turn that will not receive a status, and send the next turn."""
        sent = self._turns.end(turn) if turn in self._turns.running else None
        if sent is None:
            return []
        self._deadlines.clear(Ending(turn))
        warnings = self._give_up(sent)
        return [end_of_turn(sent, status, reason), *warnings, TurnDone(turn, status, reason), *self._next()]

    def _next(self) -> list[ClientEffect]:
        """Send the next queued turn. If the session has ended, start a new one."""
        if self._state is not State.ENDED:
            effects = self._send_next()
            self._postpone_quiet()
            return effects
        if self._turns.running:
            return []
        self._deadlines.clear(Due.LAST_STATUS)
        return [Reconnect("a new session")] if self._turns.waiting else []

    def _postpone_quiet(self) -> None:
        if self._accounts.owed and not self._turns.running and not self._late:
            self._deadlines.set(Due.QUIET, self._now + self._late_s)

    def _trace(self, payload: Json) -> list[ClientEffect]:
        fields = as_dict(payload)
        trace = as_dict(fields.get("trace"))
        if not isinstance(trace.get("type"), str):
            return [misread("action.trace", payload, "type of the trace is missing", self._turns.current)]
        parsed = parse_trace(trace, as_text(fields.get("messageID")))
        sent, warnings = self._owner(fields)
        turn = sent.turn if sent else 0
        repeated = self._received.repeated(turn, payload)
        if parsed.kind == "no_reply":
            seconds = as_dict(trace.get("payload")).get("timeout")
            self._silence_s = float(seconds) if isinstance(seconds, int | float) and seconds > 0 else None
        if parsed.is_failure and sent:
            sent.error = sent.error or parsed.error
        record = Record(
            "action.trace",
            "status" if repeated else parsed.kind,
            payload,
            sender="bot",
            turn=turn,
            text=f"received again: {parsed.text or parsed.kind}" if repeated else parsed.text,
            node=None if repeated else parsed.node,
            intent=None if repeated else parsed.intent,
            server_at=time_of(trace),
            error=None if repeated else parsed.error,
        )
        return [record, *warnings]

    # Events that can arrive at any time

    def _ended(self, payload: Json) -> list[ClientEffect]:
        reason = as_text(as_dict(payload).get("reason")) or "no reason given"
        if self._state in AWAITED:  # the stored session has ended: the handshake continues with a new one
            self._key = None
            return [Record("session.ended", "session", payload, text=f"the stored session has ended ({reason})")]
        self._state, self._key = State.ENDED, None
        self._put_back()
        self._late.clear()
        self._deadlines.clear(*Due)
        if self._turns.running:
            self._deadlines.set(Due.LAST_STATUS, self._now + LAST_STATUS_TIMEOUT_S)
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
        self._restarting = True
        self._replay = as_dict(as_dict(payload).get("action")) or None
        return [record, Reconnect("the server restarts")]

    def _error(self, payload: Json) -> list[ClientEffect]:
        """Record an error. The turn to which it belongs ends as failed, with its status or shortly afterwards."""
        text = parse_error(payload)
        named = self._accounts.known(as_dict(payload).get("messageID"))
        sent = named or self._turns.running.get(self._turns.current)
        if sent and sent.turn in self._turns.running:
            sent.error = sent.error or text
            self._deadlines.set(Ending(sent.turn), self._now + LAST_STATUS_TIMEOUT_S)
        record = Record("error", "error", payload, turn=sent.turn if sent else 0, error=text)
        in_handshake = self._state in (State.STARTING, State.CREATING)
        if in_handshake:
            return [record, Failed(text, "refused")]
        is_early = sent and not named and sent.progress is Progress.SENT and sent.turn > 1
        return [record, *(self._accounts.warnings([sent.turn], EARLY_ERROR) if sent and is_early else ())]

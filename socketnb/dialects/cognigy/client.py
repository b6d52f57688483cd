"""The client machine of one conversation with a Cognigy.AI Socket.IO endpoint.

    opened ──(handshake, if inner)──▶ opening ──endpoint-ready──▶ ready
                                         └────────GRACE─────────▶ ready      (before Cognigy.AI 4.79)

A conversation is a user id and a session id: reconnecting with the same two goes on with it. Inputs carry no id, so
one is under way at a time, and its turn ends with `finalPing`; the next waits in line unless it asks to be sent at
once. What comes while no turn runs (inject, notify, an agent) belongs to none: it is recorded under the last.

After a lost link, an endpoint that keeps undelivered events sends again what was not acknowledged; `heard.py` knows
it, and it is recorded as a status. An endpoint that sends again what was acknowledged before an input was sent has not
heard of the input: it is sent again.

A turn that nobody waits for any more still owes its `finalPing`: it holds the next for a while, which else would take
its answer.

Sources: the vendor's Socket.IO endpoint page; `@cognigy/socket-client` 4 and 5 for the order of events. What that
client gets wrong is not copied: a reset is sent once, and an error that nobody listens for does no harm.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple
from urllib.parse import quote, urlsplit

from socketnb.dialects.base import ClientMachine, misread
from socketnb.dialects.cognigy.actions import inputs_of, label, user_input
from socketnb.dialects.cognigy.outputs import read, sender_of, submits
from socketnb.dialects.cognigy.received import Heard
from socketnb.model.actions import Action
from socketnb.model.effects import (
    Address,
    ClientEffect,
    Credential,
    Emit,
    Ended,
    Failed,
    HttpRequest,
    HttpResponse,
    Persist,
    Ready,
    Reconnect,
    Record,
    TurnDone,
)
from socketnb.model.json import as_dict, as_text
from socketnb.model.trace import Status

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

GRACE = 2.0
"""Seconds that `endpoint-ready` is waited for."""
QUEUE = 1000
"""Inputs that may wait in line."""
OWED = 5.0
"""Seconds that a `finalPing` is waited for: after an error, and of a turn that was given up, which holds the next."""
TRANSPORTS = {"websocket": ("websocket",), "polling": ("polling",), "auto": ("websocket", "polling")}


class Upload(NamedTuple):
    """The purpose of an HTTP request: a step of the upload of a turn's file."""

    step: Literal["token", "file"]
    turn: int


@dataclass(slots=True)
class _Input:
    """An input that was sent."""

    payload: dict[str, Any]
    error: str = ""  # what came instead of an answer, so far
    given_up: bool = False  # nobody waits for it; its finalPing may still come


class Client(ClientMachine):
    """One conversation. `ids` gives a new unique string at each call."""

    def __init__(self, settings: Mapping[str, Any], ids: Callable[[], str]) -> None:
        self._settings = settings
        self._ids = ids
        self._session_id = str(settings["session_id"])
        self._state = "down"  # down · dialling · opening · ready · expired
        self._due: dict[str, float] = {}  # step → when it is due
        self._resumes = False
        self._waiting: dict[int, Action] = {}  # turns in line, in order
        self._running: dict[int, _Input] = {}  # turns that were sent, the oldest first
        self._uploads: dict[int, Action] = {}  # turns whose file is under way
        self._last = 0
        self._pinged = ""  # how the turn before ended, if nothing came since
        self._card: dict[str, Any] = {}  # the adaptive card that came last
        self._heard = Heard()
        self._spoke = False  # something was sent over this link
        self._unheard = False  # the endpoint has not heard of the turns under way
        self._answered = True  # something has come since the last input

    @property
    def deadline(self) -> float | None:
        """When `timer` is to be called, or None."""
        return min(self._due.values(), default=None)

    def dial(self, now: float) -> Address:
        """Begin a link: say where it goes, and start the clock of its handshake."""
        s = self._settings
        if self._state == "expired":
            self._session_id, self._resumes = f"session-{self._ids()}", False
            self._heard, self._card = Heard(), {}
        self._state = "dialling"
        self._set(connect=now + s["timeout"])
        where = urlsplit(s["url"])
        flags = {"testMode": s["test_mode"], "emitWithAck": s["emit_with_ack"]}
        who = {"userId": s["user_id"], "sessionId": self._session_id, "urlToken": s["token"].reveal()}
        query = {
            "sessionId": quote(self._session_id, safe=""),  # encoded twice in all, as Cognigy's own client does
            "urlToken": quote(s["token"].reveal(), safe=""),
            "userId": quote(s["user_id"], safe=""),
            **{name: str(flag).lower() for name, flag in flags.items()},
        }
        return Address(
            url=f"{where.scheme}://{where.netloc}",
            path=f"{where.path}/socket.io".strip("/"),
            transports=TRANSPORTS[s["transport"]],
            query={"handshake": "true"} if s["inner_handshake"] else query,
            acks={"handshake": {**who, **flags}},
            attempts=(s["reconnection_limit"] or math.inf) if s["reconnection"] else 0,
            delay=s["interval"],
            delay_max=s["interval"],
            advice="check the Endpoint URL and its token",
        )

    def opened(self, now: float) -> list[ClientEffect]:
        """The link is open: the endpoint says when it is ready, or, an old one, does not."""
        self._state = "opening"
        self._set(connect=None, ready=now + min(GRACE, self._settings["timeout"]))
        said = None if self._resumes else f"user {self._settings['user_id']}, session {self._session_id}"
        return [
            Persist("session_id", self._session_id),
            Record("connect", "session", self._who(), "local", text=said),
        ]

    def act(self, turn: int, action: Action, now: float) -> list[ClientEffect]:
        """The user acts: send it, or let it wait in line."""
        if action.verb == "typing":
            return self._typing(turn, on=action.fields.get("on", True))
        if len(self._waiting) >= QUEUE:
            return self._over(turn, "failed", f"{QUEUE} messages wait already: wait for the endpoint")
        if self._state == "ready" and action.at_once:
            return self._send(turn, action, now)
        self._waiting[turn] = action
        if self._state == "expired":
            return [Reconnect("a new session", wanted=True)]
        return self._send_next(now)

    def abandon(self, turn: int, now: float) -> list[ClientEffect]:
        """Nobody waits for this turn any more: its answer holds the next for a while, which else would take it."""
        self._waiting.pop(turn, None)
        self._uploads.pop(turn, None)
        if gone := self._running.get(turn):
            gone.given_up, gone.error = True, ""
            self._set(**{f"owed {turn}": now + OWED, **({"error": None} if turn == self._turn else {})})
        return self._send_next(now)

    def received(self, event: str, payload: Any, now: float) -> list[ClientEffect]:
        """An event came."""
        self._alive(now)
        match event:
            case "endpoint-ready":
                ready = Record(event, "ready", payload, text="the endpoint says it is ready")
                return self._ready(ready, now)
            case "handshake":
                ask = Record("handshake", "session", payload, text="the endpoint asks who is there")
                return [ask, Record("handshake", "ack", self._who(), "out")]
            case "typingStatus":
                status = as_text(as_dict(payload).get("status"))
                if not status:
                    return [misread(event, payload, "status is missing", self._turn)]
                self._goes_on(now)
                return [Record(event, "typing", payload, sender="bot", turn=self._turn, text=status)]
            case "output" | "finalPing":
                ping = event if "finalPing" in (event, as_dict(payload).get("type")) else ""
                quiet = bool(self._running) and not self._answered and not self._spoke
                after = self._heard.again(payload, self._last, ping=ping, quiet=quiet)
                if after is not None:
                    self._unheard |= quiet and not ping and after < self._turn
                    again = Record(event, "status", payload, turn=self._turn, text="again, after the lost link")
                    return [again, *self._send_again(now)]
                self._goes_on(now)
                return self._output(payload, now) if event == "output" else self._final(event, payload, payload, now)
            case "exception" | "error":
                return self._failed(event, payload, payload, now)
            case _:
                return [Record(event, "custom", payload, turn=self._turn, text=event)]

    def timer(self, now: float) -> list[ClientEffect]:
        """A step is due."""
        due = [name for name, when in self._due.items() if when <= now]
        self._set(**dict.fromkeys(due))
        effects: list[ClientEffect] = []
        for name in due:
            match name:
                case "connect":
                    effects.append(
                        Failed(f"no Socket.IO connection came within {self._settings['timeout']:g} s", "timeout")
                    )
                case "ready":
                    said = "no endpoint-ready has come: going on without (Cognigy.AI before 4.79 sends none)"
                    effects += self._ready(Record("endpoint-ready", "ready", None, "local", text=said), now)
                case "error" if self._running and (said := self._running[self._turn].error):
                    turn = self._turn
                    del self._running[turn]
                    effects += [*self._over(turn, "failed", said), *self._send_next(now)]
                case _ if name.startswith("owed"):
                    self._running.pop(int(name.split()[1]), None)
                    effects += self._send_next(now)
                case "expiry" if self._state == "ready":
                    self._state = "expired"
                    said = f"idle for {self._settings['expires_in']:g} s: the next message starts a new conversation"
                    effects += [Ended(said), Record("expired", "ended", None, "local", turn=self._last, text=said)]
        return effects

    def http_response(self, response: HttpResponse, now: float) -> list[ClientEffect]:
        """Handle a step of an upload: the token came, or the file arrived."""
        if not isinstance(response.purpose, Upload):
            return []
        (step, turn), status, body = response.purpose, response.status, response.body
        if (action := self._uploads.get(turn)) is None:
            return []
        try:
            answer = as_dict(json.loads(body)) if status else {}
        except ValueError:
            answer = {}
        if not 200 <= status < 300 or not answer:  # noqa: PLR2004
            del self._uploads[turn]
            why = f"HTTP {status}" if status else body.decode(errors="replace")
            at = "gave no upload token" if step == "token" else "did not take the file"
            return [*self._over(turn, "failed", f"the endpoint {at} ({why})"), *self._send_next(now)]
        if step == "token":
            token, url = as_text(answer.get("token")), as_text(answer.get("fileUploadUrl"))
            headers = {"Authorization": f"Bearer {token}"}
            upload = HttpRequest(Upload("file", turn), "POST", url, headers, str(action.fields["file"]))
            return [Credential(token), upload] if token else [upload]
        del self._uploads[turn]
        sent = Action("upload", {**action.fields, "attachment": answer})
        if self._state != "ready":
            self._waiting = {turn: sent, **self._waiting}
            return [Reconnect("a new session", wanted=True)] if self._state == "expired" else []
        return [*self._send(turn, sent, now), *self._send_next(now)]

    def closed(self, now: float) -> list[ClientEffect]:  # noqa: ARG002 (all machines' form)
        """The link is gone. A turn under way goes on: its events may be kept for the next link."""
        if self._state != "expired":
            self._state = "down"
        self._spoke = self._unheard = False
        self._heard.lost()
        self._set(connect=None, ready=None, error=None, expiry=None)
        return []

    # Being ready

    def _ready(self, record: Record, now: float) -> list[ClientEffect]:
        if self._state != "opening":
            return [record._replace(kind="session")]
        self._state = "ready"
        self._set(
            connect=None, ready=None, error=now + OWED if self._running and self._running[self._turn].error else None
        )
        self._alive(now)
        record, self._resumes = record._replace(kind="resumed") if self._resumes else record, True
        if self._running and not self._answered and not self._unheard:
            lost = "the link was lost after this was sent: if nothing comes of it, say it again"
            return [Ready(self._session_id), record, Record("processInput", "session", None, "local", text=lost)]
        return [Ready(self._session_id), record, *self._send_again(now), *self._send_next(now)]

    def _alive(self, now: float) -> None:
        """Begin the idle time anew, if there is one and nothing runs."""
        idle = self._settings["expires_in"] and self._state == "ready" and not self._busy
        self._set(expiry=now + self._settings["expires_in"] if idle else None)

    def _who(self) -> dict[str, Any]:
        s = self._settings
        return {
            "userId": s["user_id"],
            "sessionId": self._session_id,
            "urlToken": s["token"].reveal(),
            "testMode": s["test_mode"],
            "emitWithAck": s["emit_with_ack"],
        }

    def _set(self, **due: float | None) -> None:
        self._due = {name: when for name, when in {**self._due, **due}.items() if when is not None}

    # Turns

    @property
    def _turn(self) -> int:
        return next(iter(self._running), self._last)

    @property
    def _busy(self) -> bool:
        return bool(self._running or self._uploads)

    def _goes_on(self, now: float) -> None:
        """Something came that may be of the turn under way."""
        self._answered = True
        if self._running and self._running[self._turn].error:
            self._set(error=now + OWED)

    def _send_next(self, now: float) -> list[ClientEffect]:
        effects: list[ClientEffect] = []
        while self._state == "ready" and self._waiting and not self._busy:
            turn = next(iter(self._waiting))
            effects += self._send(turn, self._waiting.pop(turn), now)
        self._alive(now)
        return effects

    def _send(self, turn: int, action: Action, now: float) -> list[ClientEffect]:
        s = self._settings
        self._last = turn
        if problem := self._problem(action):
            return self._over(turn, "failed", f"{problem}; nothing was sent")
        if action.verb == "upload" and "attachment" not in action.fields:
            self._uploads[turn] = action
            self._alive(now)
            return [
                HttpRequest(
                    Upload("token", turn), "GET", f"{s['url']}/{quote(s['token'].reveal(), safe='')}/fileuploadtoken"
                )
            ]
        payload = {
            "URLToken": s["token"].reveal(),
            "userId": s["user_id"],
            "sessionId": self._session_id,
            "channel": s["channel"],
            "source": "device",
            "passthroughIP": s["passthrough_ip"],
            **inputs_of(action, self._card),
        }
        self._running[turn] = _Input(payload)
        self._spoke, self._answered = True, False
        self._alive(now)
        said = label(action, user_input(payload))
        return [Record("processInput", "action", payload, "out", "user", turn, said), Emit("processInput", (payload,))]

    def _problem(self, action: Action) -> str | None:
        """Return why this cannot be sent, if so."""
        if action.verb != "submit":
            return None
        titles = submits(self._card)
        if not titles:
            return "no adaptive card with a button to submit it has come yet"
        title = action.fields.get("title")
        return None if title in (None, *titles) else f"the card has no button {title!r}: {' or '.join(titles)}"

    def _send_again(self, now: float) -> list[ClientEffect]:
        """Send what the endpoint has not heard of, when it is ready."""
        if not self._unheard or self._state != "ready":
            return []
        self._unheard, self._spoke = False, True
        self._alive(now)
        return [
            effect
            for turn, sent in self._running.items()
            for effect in (
                Record("processInput", "status", sent.payload, "out", turn=turn, text="sent again: it was not heard"),
                Emit("processInput", (sent.payload,)),
            )
        ]

    def _typing(self, turn: int, *, on: bool) -> list[ClientEffect]:
        if self._state != "ready":
            return self._over(turn, "failed", "there is no link to send this over: try again when there is")
        payload = {"status": "typingOn" if on else "typingOff"}
        record = Record("typingStatus", "typing", payload, "out", "user", turn, payload["status"])
        return [record, Emit("typingStatus", (payload,)), *self._over(turn, "completed", None)]

    def _over(self, turn: int, status: Status, reason: str | None) -> list[ClientEffect]:
        """End a turn that no `finalPing` will end."""
        kind, error = ("error", reason) if status == "failed" else ("status", None)
        record = Record("turn", kind, None, "local", "system", turn, status, final=True, error=error)
        return [record, TurnDone(turn, status, reason)]

    # What comes

    def _output(self, payload: Any, now: float) -> list[ClientEffect]:
        about = as_dict(payload)
        kind, data = about.get("type"), about.get("data")
        if not isinstance(kind, str):
            return [misread("output", payload, "type is missing", self._turn)]
        if kind == "finalPing":
            return self._final("output", payload, data, now)
        if kind == "error":
            return self._failed("output", payload, as_dict(data).get("error"), now)
        if kind != "output":
            return [Record("output", "custom", payload, turn=self._turn, text=f"output of type {kind}")]
        if not isinstance(data, dict):
            return [misread("output", payload, "data is missing", self._turn)]
        self._pinged = ""
        reading = read(data)
        if reading.kind == "adaptive":
            self._card = as_dict(getattr(reading.content, "payload", None))
        sender = sender_of(data)
        return [Record("output", reading.kind, payload, sender=sender, turn=self._turn, text=reading.text)]

    def _final(self, event: str, payload: Any, about: Any, now: float) -> list[ClientEffect]:
        """End the turn, once: an endpoint may say it in either encoding, or in both."""
        reason = as_text(as_dict(about).get("type"))
        twin = self._pinged not in ("", event)
        self._pinged = "" if twin else event
        said = Record(event, "status", payload, turn=self._turn, text=f"finalPing {reason}".strip())
        if twin or not self._running:
            return [said]
        turn = self._turn
        sent = self._running.pop(turn)
        self._set(error=None, **{f"owed {turn}": None})
        if sent.given_up:
            return [said, *self._send_next(now)]
        record = Record(event, "status", payload, turn=turn, text="completed", final=True)
        done = TurnDone(turn, "completed", reason if reason != "regular" else None)
        return [record, done, *self._send_next(now)]

    def _failed(self, event: str, payload: Any, error: Any, now: float) -> list[ClientEffect]:
        """Record an error. A turn that no `finalPing` ends in a while has failed with it."""
        about = as_dict(error)
        said = as_text(about.get("message")) or as_text(error)
        said = said or json.dumps(payload if error is None else error, default=str)
        record = Record(event, "error", payload, turn=self._turn, error=said)
        if self._state == "opening" and not self._resumes:
            return [record, Failed(f"the endpoint refuses: {said}", "refused")]
        if self._running and not self._running[self._turn].given_up:
            self._running[self._turn].error = said
            self._set(error=now + OWED)
        return [record]

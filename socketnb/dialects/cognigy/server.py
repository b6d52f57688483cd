"""The server machine: a Cognigy.AI Socket.IO endpoint, with its HTTP interface for inject, notify and file uploads.

Inputs of a conversation run one after another, and an injected input is one of them. A run sends `typingStatus`, its
outputs and one `finalPing`. The vendor does not document everything. The options `refusal`, `trace_id` and
`handover_ping` select how an unknown token is refused, which outputs share a traceId, and whether a message to an agent
is answered with a `finalPing`.
"""

from __future__ import annotations

import inspect
import json
import re
from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING
from urllib.parse import unquote

from socketnb.dialects.base import ServerMachine
from socketnb.dialects.cognigy.actions import is_reset, user_input
from socketnb.dialects.cognigy.parsed import joined_text
from socketnb.dialects.cognigy.server_files import OPTIONS as FILE_OPTIONS
from socketnb.dialects.cognigy.server_files import Files
from socketnb.dialects.cognigy.shapes import FORMATS, shape
from socketnb.errors import SettingsError
from socketnb.model.actions import Setting
from socketnb.model.content import AgentSays, End, Handover, Raw, Step, Typing, UserInput
from socketnb.model.effects import Close, Emit, EndFlow, HttpCall, HttpReply, Refuse, RunFlow, ServerEffect
from socketnb.model.json import Json, JsonObject, JsonObjectOut, JsonOut, as_dict, as_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from socketnb.dialects.base import NewId, Settings

Transformer = Callable[[JsonObject], JsonObject | None]
REFUSALS = ("connect", "output", "exception", "close")
PINGS = ("direct", "wrapped", "both")
PING_FAULTS = ("silent", "late_ping", "double_ping")
TRACE_IDS = ("input", "output", "constant", "none")
OPTIONS: dict[str, Setting] = {
    "format": Setting("the format of messages with more than text", default="default", among=tuple(FORMATS)),
    "final_ping": Setting("how a turn ends: event finalPing, output, or both", default="direct", among=PINGS),
    "refusal": Setting("how an unknown token is refused", default="connect", among=REFUSALS),
    "ready_after": Setting("seconds until endpoint-ready is sent; earlier inputs are lost", type=float, default=0.0),
    "trace_id": Setting(
        "what a traceId identifies: an input, an output or, if constant, the conversation; none: there is no traceId",
        default="input",
        among=TRACE_IDS,
    ),
    "handover_ping": Setting("answer a message to an agent with a finalPing", type=bool, default=True),
    "prefix": Setting("the path of the endpoint's url, such as /bots", default=""),
    "input_transformer": Setting("called with each input; returns the flow's input, or None", type=Callable),
    "output_transformer": Setting("called with each output's data; returns the data to send, or None", type=Callable),
    **FILE_OPTIONS,
}
FAULTS = {
    "silent": "the next input is answered without a finalPing",
    "late_ping": "the finalPing of the next input is sent when the input after it arrives",
    "double_ping": "the next input is answered with two finalPings",
    "mute": "inputs are no longer answered",
    "unready": "endpoint-ready is no longer sent, as before Cognigy.AI 4.79",
    "error": "every conversation is sent an output of type error",
    "exception": "every conversation is sent an exception",
    "duplicate": "every output is sent twice, because its acknowledgement is lost",
    "forget": "events that are not acknowledged are forgotten",
}
MAX_UNACKED_EVENTS = 1000
"""The number of events kept for a conversation without a link."""
PREFIX = re.compile(r"\w[\w-]*(/\w[\w-]*)*")
SPEAK = re.compile(r"/(?:v2\.0/endpoint/)?(inject|notify)(?:/([^/]+))?")
"""The paths of inject and notify; the token is in the path or in the body."""
REFUSED = "unknown URL token: check the Endpoint URL"


class Ask(Enum):
    """Acknowledgement keys of events that request data from the client. Other events have string keys."""

    HANDSHAKE = "handshake"


@dataclass(slots=True)
class _Run:
    """One input, and its run of the flow."""

    trace_id: str
    fields: JsonObjectOut | None = None  # None: the flow does not run
    error: str = ""  # why the flow does not run
    ping: str = ""  # the fault of its finalPing
    stopped: bool = False  # the flow ended the conversation


@dataclass(slots=True)
class _Conversation:
    """The session of one user. It outlives its links."""

    id: str
    user: str
    session: str
    trace_id: str  # for all outputs, with the option `trace_id=constant`
    acks: bool = False  # whether the client acknowledges events
    links: set[str] = field(default_factory=set)
    runs: deque[_Run] = field(default_factory=deque)  # the first one is running
    late_pings: list[JsonObjectOut] = field(default_factory=list)  # sent when the next input arrives
    unacked: dict[Hashable, tuple[str, JsonOut]] = field(default_factory=dict)
    agent: str = ""  # the agent who has taken over


class Server(ServerMachine):
    """The server machine of an endpoint. `ids` returns a new unique string at each call."""

    def __init__(self, settings: Settings, ids: NewId, options: Settings) -> None:
        prefix = options["prefix"].strip("/")
        if prefix and not PREFIX.fullmatch(prefix):
            raise SettingsError(f"prefix must be a path such as /bots/eu, got {options['prefix']!r}")
        self.prefix = f"/{prefix}" if prefix else ""
        self.path = f"{prefix}/socket.io".strip("/")
        self._token = settings["token"].reveal()
        self._ids = ids
        self._options = options
        self._conversations: dict[str, _Conversation] = {}  # ordered by last use
        self._links: dict[str, _Conversation] = {}
        self._faults: set[str] = set()
        self._opening: dict[str, float] = {}  # the links that are not ready, and when they will be
        self._files = Files(ids, options)

    # Links

    def opened(self, link: str, query: Mapping[str, str], now: float) -> list[ServerEffect]:
        """Handle a new connection. The query contains the client's ids, or requests the event `handshake`."""
        fields = {name: unquote(value) for name, value in query.items()}  # Cognigy's own clients encode twice
        if fields.get("handshake") == "true":
            return [Emit("handshake", (), link, ack=Ask.HANDSHAKE)]
        if fields.get("urlToken") != self._token and self._options["refusal"] == "connect":
            return [Refuse(REFUSED)]
        return self._enter(link, fields, now)

    def acked(self, link: str, key: Hashable, args: Sequence[Json], now: float) -> list[ServerEffect]:
        """Handle an acknowledgement: the client's ids for the event `handshake`, or the receipt of another event."""
        if key is Ask.HANDSHAKE:
            fields = as_dict(args[0] if args else None)
            return self._enter(link, {**fields, "emitWithAck": str(fields.get("emitWithAck")).lower()}, now)
        if (conversation := self._links.get(link)) and "duplicate" not in self._faults:
            conversation.unacked.pop(key, None)
        return []

    def _enter(self, link: str, fields: Mapping[str, Json], now: float) -> list[ServerEffect]:
        if fields.get("urlToken") != self._token:
            refusals = {"close": [], "exception": [self._exception(link, REFUSED)]}
            return [*refusals.get(self._options["refusal"], [self._error(link, REFUSED)]), Close(link)]
        conversation = self._attach(link, as_text(fields.get("userId")), as_text(fields.get("sessionId")))
        conversation.acks = fields.get("emitWithAck") == "true"
        unacked = conversation.unacked.items()
        again: list[ServerEffect] = [Emit(event, (payload,), link, ack=key) for key, (event, payload) in unacked]
        if "unready" in self._faults:
            return again
        self._opening[link] = now + self._options["ready_after"]
        return [*again, *self.timer(now)]

    def _attach(self, link: str, user: str, session: str) -> _Conversation:
        """Attach a link to its conversation. The ids of an input override the ids in the query."""
        name = _name_of(user, session)
        conversation = self._conversations.pop(name, None) or _Conversation(name, user, session, self._new_trace_id())
        self._conversations[name] = conversation
        if (before := self._links.get(link)) is not conversation:
            if before:
                conversation.acks = before.acks
                before.links.discard(link)
            self._links[link] = conversation
            conversation.links.add(link)
        return conversation

    def closed(self, link: str, now: float, *, goodbye: bool = False) -> list[ServerEffect]:
        """Handle the loss of a client's link. Its conversation stays."""
        if conversation := self._links.pop(link, None):
            conversation.links.discard(link)
        self._opening.pop(link, None)
        return self.timer(now)

    def timer(self, now: float) -> list[ServerEffect]:
        """Send `endpoint-ready` to the links that are ready by now."""
        ready = [link for link, due in self._opening.items() if due <= now]
        for link in ready:
            del self._opening[link]
        self.deadline = min(self._opening.values(), default=None)
        return [Emit("endpoint-ready", (), link) for link in ready]

    # Inputs

    def received(self, link: str, event: str, payload: Json, now: float) -> list[ServerEffect]:
        """Handle an event from a client."""
        fields = as_dict(payload)
        if event != "processInput" or "mute" in self._faults or link in self._opening:  # typingStatus is for agents
            return []
        if fields.get("URLToken") != self._token:
            return [self._error(link, REFUSED)]
        user, session = as_text(fields.get("userId")), as_text(fields.get("sessionId"))
        if not user or not session:
            return [self._error(link, "processInput needs a userId and a sessionId")]
        if not is_reset(fields) and not joined_text(fields.get("text")) and not fields.get("data"):
            return [self._error(link, "processInput needs a text or data")]
        return self._input(self._attach(link, user, session), fields)

    def _input(self, conversation: _Conversation, fields: JsonObjectOut) -> list[ServerEffect]:
        run = _Run(self._new_trace_id(), ping=next((name for name in PING_FAULTS if name in self._faults), ""))
        self._faults.discard(run.ping)
        try:
            run.fields = self._transformed("input_transformer", fields)
        except BaseException as error:  # noqa: BLE001 (a user's function may raise anything)
            run.error = _transformer_error("input", error)
        effects = [each for ping in conversation.late_pings for each in self._send_ping(conversation, ping)]
        conversation.late_pings.clear()
        if run.fields and is_reset(run.fields):
            effects += [EndFlow(conversation.id), *self._abort(conversation)]
        conversation.runs.append(run)
        return effects + (self._start(conversation) if len(conversation.runs) == 1 else [])

    def _start(self, conversation: _Conversation) -> list[ServerEffect]:
        """Run the flow for the first input that is for the flow, and end the inputs before it."""
        effects: list[ServerEffect] = []
        while conversation.runs:
            run = conversation.runs[0]
            if run.fields is not None and not conversation.agent:
                user = _flow_input(run.fields)
                return [*effects, *self._typing(conversation, on=True), RunFlow(conversation.id, user)]
            if run.error:
                effects += self._send(conversation, "output", _error_output(run.error))
            if run.fields is not None and not self._options["handover_ping"]:
                run.ping = "silent"
            effects += self._end(conversation)
        return effects

    def _end(self, conversation: _Conversation) -> list[ServerEffect]:
        """End the first input."""
        run = conversation.runs.popleft()
        ping: JsonObjectOut = {"type": "cognigyStopFlow" if run.stopped else "regular"}
        if run.ping == "late_ping" and not conversation.runs:
            conversation.late_pings.append(ping)
            return []
        times = {"silent": 0, "double_ping": 2}.get(run.ping, 1)
        return [each for _ in range(times) for each in self._send_ping(conversation, ping)]

    def _abort(self, conversation: _Conversation) -> list[ServerEffect]:
        """End every input without running the flow, because the user starts over."""
        conversation.agent = ""
        effects = self._typing(conversation, on=False) if conversation.runs else []
        while conversation.runs:
            effects += self._end(conversation)
        return effects

    def inject(self, conversation: str, text: str, data: JsonOut, now: float) -> list[ServerEffect]:
        """Run the flow as if the user had sent this."""
        fields = {"text": text, **({"data": data} if data is not None else {})}
        return self._input(self._conversations[conversation], fields)

    def notify(self, conversation: str, text: str, data: JsonOut, now: float) -> list[ServerEffect]:
        """Send the user a message without running the flow."""
        message = {"text": text, "data": {} if data is None else data, "source": "bot"}
        return self._send_message(self._conversations[conversation], message, None)

    def conversation(self, to: str | None) -> str:
        """Return the conversation of a user or session id, or the one used last.

        Raises:
            SettingsError: There is no such conversation.
        """
        latest_first = reversed(self._conversations.values())
        matches = [each for each in latest_first if to in (None, each.user, each.session)]
        if not matches and to is None:
            raise SettingsError("no client has connected to this simulator yet")
        if not matches:
            raise SettingsError(f"no user or session {to!r} has connected to this simulator")
        return matches[0].id

    # Steps of the flow

    def put(self, conversation: str, step: Step, now: float) -> list[ServerEffect]:
        """Send a step of the flow, or of an agent."""
        current = self._conversations[conversation]
        run = current.runs[0] if current.runs else None
        match step:
            case Raw(event, payload):
                return self._send(current, event, payload)
            case End():
                if run:
                    run.stopped = True
                return []
            case Typing(on):
                return self._typing(current, on=on)
            case Handover(agent):
                current.agent = agent
        message = shape(step, FORMATS[self._options["format"]])
        if not message:
            return []
        trace_id = None if isinstance(step, AgentSays) or not run else run.trace_id
        return self._send_message(current, {"source": "bot", **message}, trace_id)

    def done(self, conversation: str, error: str | None, now: float) -> list[ServerEffect]:
        """End a turn of the flow."""
        current = self._conversations[conversation]
        effects = self._send(current, "output", _error_output(error)) if error else []
        if not current.runs:  # the flow ran without an input, or failed after asking a question
            return effects
        return [*effects, *self._typing(current, on=False), *self._end(current), *self._start(current)]

    def _send_ping(self, conversation: _Conversation, ping: JsonObjectOut) -> list[ServerEffect]:
        effects: list[ServerEffect] = []
        if self._options["final_ping"] != "direct":
            effects += self._send(conversation, "output", {"type": "finalPing", "data": ping})
        if self._options["final_ping"] != "wrapped":
            effects += self._send(conversation, "finalPing", ping)
        return effects

    def _typing(self, conversation: _Conversation, *, on: bool) -> list[ServerEffect]:
        status = {"status": "typingOn" if on else "typingOff"}
        return [Emit("typingStatus", (status,), link) for link in sorted(conversation.links)]

    def _new_trace_id(self) -> str:
        return f"endpoint-realtimeClient-{self._ids()}"

    def _send_message(
        self, conversation: _Conversation, message: JsonObjectOut, trace_id: str | None
    ) -> list[ServerEffect]:
        """Send an output. `trace_id` is that of its run, or None for an output that belongs to no run."""
        match self._options["trace_id"]:
            case "constant":
                trace_id = conversation.trace_id
            case "output":
                trace_id = None
        named = {} if self._options["trace_id"] == "none" else {"traceId": trace_id or self._new_trace_id()}
        data = {**message, **named, "disableSensitiveLogging": False}
        try:
            transformed = self._transformed("output_transformer", data)
        except BaseException as error:  # noqa: BLE001 (a user's function may raise anything)
            return self._send(conversation, "output", _error_output(_transformer_error("output", error)))
        return (
            [] if transformed is None else self._send(conversation, "output", {"type": "output", "data": transformed})
        )

    def _transformed(self, name: str, value: JsonObjectOut) -> JsonObjectOut | None:
        transformer: Transformer | None = self._options[name]
        if transformer is None:
            return value
        result: object = transformer(as_dict(value))
        if inspect.iscoroutine(result):
            result.close()
            raise TypeError("it is a coroutine: define it with def, not async def")
        if result is not None and not isinstance(result, dict):
            raise TypeError(f"it returned a {type(result).__name__}: return the payload, a dict, or None")
        json.dumps(result)
        return dict(result) if result is not None else None

    def _send(self, conversation: _Conversation, event: str, payload: JsonOut) -> list[ServerEffect]:
        """Send an event over every link of a conversation, and keep it until one of them acknowledges it."""
        key: Hashable = None
        if conversation.acks and "forget" not in self._faults:
            key = self._ids()
            conversation.unacked[key] = (event, payload)
            if len(conversation.unacked) > MAX_UNACKED_EVENTS:
                del conversation.unacked[next(iter(conversation.unacked))]
        return [Emit(event, (payload,), link, ack=key) for link in sorted(conversation.links)]

    def _error(self, link: str, message: str) -> ServerEffect:
        return Emit("output", (_error_output(message),), link)

    def _exception(self, link: str, message: str) -> ServerEffect:
        payload: JsonObjectOut = {"message": message, "type": "Error", "code": 1, "reference": self._ids()}
        return Emit("exception", (payload,), link)

    def fault(self, name: str) -> list[ServerEffect]:
        """Inject one of `FAULTS`. It takes effect immediately or on the next matching event."""
        match name:
            case "error":
                output, conversations = _error_output("on request"), self._conversations.values()
                return [effect for each in conversations for effect in self._send(each, "output", output)]
            case "exception":
                return [self._exception(link, "on request") for link in self._links]
            case _:
                self._faults.add(name)
        return []

    # HTTP

    def request(self, request: HttpCall, now: float) -> list[ServerEffect]:
        """Handle a call to the endpoint's HTTP interface: inject, notify, or one of the three upload steps."""
        path = request.path.removeprefix(self.prefix)
        if speak := SPEAK.fullmatch(path):
            body = as_dict(request.body)
            return self._speak(speak[1], speak[2] or body.get("URLToken"), body, now, request.method)
        if path == f"/{self._token}/fileuploadtoken" and request.method == "GET":
            return [self._files.new_token(request.base + self.prefix)]
        if path == "/fileupload" and request.method == "POST":
            return [self._files.upload(request, request.base + self.prefix)]
        if path.startswith("/files/") and (file := self._files.get(path.removeprefix("/files/"))):
            return [file]
        return [HttpReply(404, {"error": "not found"})]

    def _speak(self, kind: str, token: Json, body: JsonObject, now: float, method: str) -> list[ServerEffect]:
        if method != "POST":
            return [HttpReply(405, {"error": "use POST"})]
        if token != self._token:
            return [HttpReply(401, {"error": REFUSED})]
        name = _name_of(as_text(body.get("userId")), as_text(body.get("sessionId")))
        if name not in self._conversations:
            return [HttpReply(404, {"error": "unknown userId and sessionId"})]
        text, data = joined_text(body.get("text")), body.get("data")
        if not text and not data:
            return [HttpReply(400, {"error": "a text or data is required"})]
        speak = self.inject if kind == "inject" else self.notify
        return [HttpReply(200, {}), *speak(name, text, data, now)]


def _flow_input(fields: JsonObjectOut) -> UserInput:
    """Return the user's action that the flow handles. A reset without a text launches the flow."""
    user = user_input(fields)
    if user.verb != "reset":
        return user
    return user_input({**fields, "resetFlow": False}) if user.text or user.data else UserInput("launch")


def _error_output(message: str) -> JsonObjectOut:
    return {"type": "error", "data": {"error": {"message": message}}}


def _transformer_error(which: str, error: BaseException) -> str:
    return f"the {which} transformer raised {type(error).__name__}: {error}"


def _name_of(user: str, session: str) -> str:
    return json.dumps([user, session])

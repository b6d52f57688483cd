"""The server machine: a Cognigy.AI Socket.IO endpoint, with its HTTP interface for inject, notify and file uploads.

The vendor does not document three details. This module defines them as follows: the option `refusal` selects how an
unknown token is refused; each output has its own traceId; and a user's message during a handover goes to the agent and
ends its turn immediately.
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
from socketnb.dialects.cognigy.shapes import FORMATS, shape
from socketnb.errors import SettingsError
from socketnb.model.actions import Setting
from socketnb.model.content import End, Handover, Raw, Step, Typing, UserInput
from socketnb.model.effects import Close, Emit, EndFlow, HttpCall, HttpReply, Refuse, RunFlow, ServerEffect
from socketnb.model.json import Json, JsonObject, JsonObjectOut, JsonOut, as_dict, as_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from socketnb.dialects.base import NewId, Settings

Transformer = Callable[[JsonObject], JsonObject | None]
REFUSALS = ("connect", "output", "exception")
PINGS = ("direct", "wrapped", "both")
OPTIONS: dict[str, Setting] = {
    "format": Setting("the format of messages with more than text", default="default", among=tuple(FORMATS)),
    "final_ping": Setting("how a turn ends: event finalPing, output, or both", default="direct", among=PINGS),
    "refusal": Setting("how an unknown token is refused", default="connect", among=REFUSALS),
    "prefix": Setting("the path of the endpoint's url, such as /bots", default=""),
    "input_transformer": Setting("called with each input; returns the flow's input, or None", type=Callable),
    "output_transformer": Setting("called with each output's data; returns the data to send, or None", type=Callable),
}
FAULTS = {
    "silent": "the next input is answered without a finalPing",
    "mute": "inputs are no longer answered",
    "unready": "endpoint-ready is no longer sent, as before Cognigy.AI 4.79",
    "error": "every conversation is sent an output of type error",
    "exception": "every conversation is sent an exception",
    "duplicate": "every output is sent twice, because its acknowledgement is lost",
    "forget": "events that are not acknowledged are forgotten",
}
MAX_UNACKED_EVENTS = 1000
"""The number of events kept for a conversation without a link."""
MAX_FILES = 16
"""The number of uploaded files kept."""
PREFIX = re.compile(r"\w[\w-]*(/\w[\w-]*)*")
SPEAK = re.compile(r"/(?:v2\.0/endpoint/)?(inject|notify)(?:/([^/]+))?")
"""The paths of inject and notify; the token is in the path or in the body."""
REFUSED = "unknown URL token: check the Endpoint URL"


class Ask(Enum):
    """Acknowledgement keys of events that request data from the client. Other events have string keys."""

    HANDSHAKE = "handshake"


@dataclass(slots=True)
class _Conversation:
    """The session of one user. It outlives its links."""

    id: str
    user: str
    session: str
    acks: bool = False  # whether the client acknowledges events
    links: set[str] = field(default_factory=set)
    inputs: deque[JsonObjectOut] = field(default_factory=deque)  # the first one is running
    unacked: dict[Hashable, tuple[str, JsonOut]] = field(default_factory=dict)
    agent: str = ""  # the agent who has taken over
    stopped: bool = False  # the flow ended the conversation in this turn
    silent: bool = False  # the current turn gets no finalPing


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
        self._files: dict[str, tuple[str, str, bytes]] = {}
        self._upload_tokens: deque[str] = deque(maxlen=MAX_FILES)

    # Links

    def opened(self, link: str, query: Mapping[str, str], now: float) -> list[ServerEffect]:
        """Handle a new connection. The query contains the client's ids, or requests the event `handshake`."""
        fields = {name: unquote(value) for name, value in query.items()}  # Cognigy's own clients encode twice
        if fields.get("handshake") == "true":
            return [Emit("handshake", (), link, ack=Ask.HANDSHAKE)]
        if fields.get("urlToken") != self._token and self._options["refusal"] == "connect":
            return [Refuse(REFUSED)]
        return self._enter(link, fields)

    def acked(self, link: str, key: Hashable, args: Sequence[Json], now: float) -> list[ServerEffect]:
        """Handle an acknowledgement: the client's ids for the event `handshake`, or the receipt of another event."""
        if key is Ask.HANDSHAKE:
            fields = as_dict(args[0] if args else None)
            return self._enter(link, {**fields, "emitWithAck": str(fields.get("emitWithAck")).lower()})
        if (conversation := self._links.get(link)) and "duplicate" not in self._faults:
            conversation.unacked.pop(key, None)
        return []

    def _enter(self, link: str, fields: Mapping[str, Json]) -> list[ServerEffect]:
        if fields.get("urlToken") != self._token:
            refusal = self._error if self._options["refusal"] != "exception" else self._exception
            return [refusal(link, REFUSED), Close(link)]
        conversation = self._attach(link, as_text(fields.get("userId")), as_text(fields.get("sessionId")))
        conversation.acks = fields.get("emitWithAck") == "true"
        unacked = conversation.unacked.items()
        again: list[ServerEffect] = [Emit(event, (payload,), link, ack=key) for key, (event, payload) in unacked]
        return again if "unready" in self._faults else [*again, Emit("endpoint-ready", (), link)]

    def _attach(self, link: str, user: str, session: str) -> _Conversation:
        """Attach a link to its conversation. The ids of an input override the ids in the query."""
        name = _name_of(user, session)
        conversation = self._conversations.pop(name, None) or _Conversation(name, user, session)
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
        return []

    # Inputs

    def received(self, link: str, event: str, payload: Json, now: float) -> list[ServerEffect]:
        """Handle an event from a client."""
        fields = as_dict(payload)
        if event != "processInput" or "mute" in self._faults:  # typingStatus is for agents
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
        try:
            transformed = self._transformed("input_transformer", fields)
        except BaseException as error:  # noqa: BLE001 (a user's function may raise anything)
            message = _transformer_error("input", error)
            return [*self._send(conversation, "output", _error_output(message)), *self._final(conversation)]
        if transformed is None:
            return self._final(conversation)
        effects: list[ServerEffect] = []
        if is_reset(transformed):
            conversation.inputs.clear()
            conversation.agent = ""
            effects = [EndFlow(conversation.id)]
        if conversation.agent:  # the message goes to the agent, and the flow does not run
            return self._final(conversation)
        conversation.inputs.append(transformed)
        if "silent" in self._faults:
            self._faults.discard("silent")
            conversation.silent = True
        return effects + (self._run(conversation) if len(conversation.inputs) == 1 else [])

    def _run(self, conversation: _Conversation) -> list[ServerEffect]:
        if not conversation.inputs:
            return []
        user = user_input(conversation.inputs[0])
        if user.verb == "reset":
            has_input = user.text or user.data
            user = user_input({**conversation.inputs[0], "resetFlow": False}) if has_input else UserInput("launch")
        return [*self._typing(conversation, on=True), RunFlow(conversation.id, user)]

    def inject(self, conversation: str, text: str, data: JsonOut, now: float) -> list[ServerEffect]:
        """Run the flow as if the user had sent this."""
        fields = {"text": text, **({"data": data} if data is not None else {})}
        return self._input(self._conversations[conversation], fields)

    def notify(self, conversation: str, text: str, data: JsonOut, now: float) -> list[ServerEffect]:
        """Send the user a message without running the flow."""
        message = {"text": text, "data": {} if data is None else data, "source": "bot"}
        return self._send_message(self._conversations[conversation], message)

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
        match step:
            case Raw(event, payload):
                return self._send(current, event, payload)
            case End():
                current.stopped = True
                return []
            case Typing(on):
                return self._typing(current, on=on)
            case Handover(agent):
                current.agent = agent
        message = shape(step, FORMATS[self._options["format"]])
        return self._send_message(current, {"source": "bot", **message}) if message else []

    def done(self, conversation: str, error: str | None, now: float) -> list[ServerEffect]:
        """End a turn of the flow."""
        current = self._conversations[conversation]
        effects = self._send(current, "output", _error_output(error)) if error else []
        if not current.inputs:  # the flow ran without an input, or failed after asking a question
            return effects
        current.inputs.popleft()
        effects += self._typing(current, on=False)
        if current.silent:
            current.silent = False
        else:
            effects += self._final(current)
        return effects + self._run(current)

    def _final(self, conversation: _Conversation) -> list[ServerEffect]:
        ping = {"type": "cognigyStopFlow" if conversation.stopped else "regular"}
        conversation.stopped = False
        effects: list[ServerEffect] = []
        if self._options["final_ping"] != "direct":
            effects += self._send(conversation, "output", {"type": "finalPing", "data": ping})
        if self._options["final_ping"] != "wrapped":
            effects += self._send(conversation, "finalPing", ping)
        return effects

    def _typing(self, conversation: _Conversation, *, on: bool) -> list[ServerEffect]:
        status = {"status": "typingOn" if on else "typingOff"}
        return [Emit("typingStatus", (status,), link) for link in sorted(conversation.links)]

    def _send_message(self, conversation: _Conversation, message: JsonObjectOut) -> list[ServerEffect]:
        trace_id = f"endpoint-realtimeClient-{self._ids()}"
        data = {**message, "traceId": trace_id, "disableSensitiveLogging": False}
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

    def timer(self, now: float) -> list[ServerEffect]:
        """Do nothing: this machine has no deadlines."""
        return []

    # HTTP

    def request(self, request: HttpCall, now: float) -> list[ServerEffect]:
        """Handle a call to the endpoint's HTTP interface: inject, notify, or one of the three upload steps."""
        path = request.path.removeprefix(self.prefix)
        if speak := SPEAK.fullmatch(path):
            body = as_dict(request.body)
            return self._speak(speak[1], speak[2] or body.get("URLToken"), body, now, request.method)
        if path == f"/{self._token}/fileuploadtoken" and request.method == "GET":
            self._upload_tokens.append(self._ids())
            url = f"{request.base}{self.prefix}/fileupload"
            return [HttpReply(200, {"fileUploadUrl": url, "token": self._upload_tokens[-1]})]
        if path == "/fileupload" and request.method == "POST":
            return [self._upload(request)]
        if path.startswith("/files/") and (file := self._files.get(path.removeprefix("/files/"))):
            return [HttpReply(200, file=file)]
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

    def _upload(self, request: HttpCall) -> HttpReply:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if token not in self._upload_tokens:
            return HttpReply(401, {"error": "unknown upload token"})
        if request.file is None:
            return HttpReply(400, {"error": "the form needs the field `file`"})
        name, media_type, content = request.file
        file_id = self._ids()
        self._files[file_id] = request.file
        if len(self._files) > MAX_FILES:
            del self._files[next(iter(self._files))]
        url = f"{request.base}{self.prefix}/files/{file_id}"
        file: JsonObjectOut = {
            "fileName": name,
            "mimeType": media_type,
            "size": len(content),
            "url": url,
            "status": "scanned",
        }
        return HttpReply(200, {"runtimeFileId": file_id, **file})


def _error_output(message: str) -> JsonObjectOut:
    return {"type": "error", "data": {"error": {"message": message}}}


def _transformer_error(which: str, error: BaseException) -> str:
    return f"the {which} transformer raised {type(error).__name__}: {error}"


def _name_of(user: str, session: str) -> str:
    return json.dumps([user, session])

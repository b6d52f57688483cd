"""The server machine: a Cognigy.AI Socket.IO endpoint, with its HTTP interface for inject, notify and file uploads.

What the vendor does not publish is decided here: how an unknown token is refused (`refusal`), that every output has a
traceId of its own, and that a user's message during a handover goes to the agent and ends its turn at once.
"""

from __future__ import annotations

import inspect
import json
import re
from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from socketnb.dialects.base import ServerMachine
from socketnb.dialects.cognigy.actions import is_reset, user_input
from socketnb.dialects.cognigy.outputs import as_text as lines
from socketnb.dialects.cognigy.shapes import FORMATS, shape
from socketnb.errors import SettingsError
from socketnb.model.actions import Setting
from socketnb.model.content import End, Handover, Raw, Step, Typing, UserInput
from socketnb.model.effects import Close, Emit, EndFlow, HttpCall, HttpReply, Refuse, RunFlow, ServerEffect
from socketnb.model.json import Json, as_dict, as_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Transformer = Callable[[dict[str, Any]], dict[str, Any] | None]
REFUSALS = ("connect", "output", "exception")
PINGS = ("direct", "wrapped", "both")
OPTIONS: dict[str, Setting] = {
    "format": Setting("the format of what is richer than text", default="default", among=tuple(FORMATS)),
    "final_ping": Setting("how a turn ends: finalPing itself, in an output, both", default="direct", among=PINGS),
    "refusal": Setting("how an unknown token is refused", default="connect", among=REFUSALS),
    "prefix": Setting("what the endpoint's url has after the host, such as /bots", default=""),
    "input_transformer": Setting("called with each input; returns what the flow gets, or None", type=Callable),
    "output_transformer": Setting("called with each output's data; returns what is sent, or None", type=Callable),
}
FAULTS = {
    "silent": "the next input is answered, but its finalPing never comes",
    "mute": "no input is answered any more",
    "unready": "endpoint-ready is never sent any more, as before Cognigy.AI 4.79",
    "error": "every conversation is sent an output of type error",
    "exception": "every conversation is sent an exception",
    "duplicate": "every output is sent twice, its acknowledgement lost",
    "forget": "what is not acknowledged is forgotten",
}
UNACKED = 1000
"""Events that a conversation without a link keeps."""
FILES = 16
"""Uploaded files that are kept."""
PREFIX = re.compile(r"\w[\w-]*(/\w[\w-]*)*")
UNKNOWN = "unknown URL token: check the Endpoint URL"


class Ask(Enum):
    """The event whose acknowledgement answers a question of the server. The keys of other events are strings."""

    HANDSHAKE = "handshake"


@dataclass(slots=True)
class _Conversation:
    """One user's session. It outlives its links."""

    id: str
    user: str
    session: str
    acks: bool = False
    links: set[str] = field(default_factory=set)
    inputs: deque[dict[str, Any]] = field(default_factory=deque)  # the first is under way
    unacked: dict[Hashable, tuple[str, Any]] = field(default_factory=dict)
    agent: str = ""  # who has taken over
    stopped: bool = False
    silent: bool = False


class Server(ServerMachine):
    """A whole endpoint. `ids` gives a new unique string at each call."""

    def __init__(self, settings: Mapping[str, Any], ids: Callable[[], str], options: Mapping[str, Any]) -> None:
        self.deadline: float | None = None
        prefix = options["prefix"].strip("/")
        if prefix and not PREFIX.fullmatch(prefix):
            raise SettingsError(f"prefix is a path such as /bots/eu, not {options['prefix']!r}")
        self.prefix = f"/{prefix}" if prefix else ""
        self.path = f"{prefix}/socket.io".strip("/")
        self._token = settings["token"].reveal()
        self._ids = ids
        self._options = options
        self._there: dict[str, _Conversation] = {}  # in the order of their last use
        self._links: dict[str, _Conversation] = {}
        self._faults: set[str] = set()
        self._files: dict[str, tuple[str, str, bytes]] = {}
        self._upload_tokens: deque[str] = deque(maxlen=FILES)

    # Links

    def opened(self, link: str, query: Mapping[str, str], now: float) -> list[ServerEffect]:  # noqa: ARG002
        """A client connects; its query says who it is, or that it wants to be asked."""
        about = {name: unquote(value) for name, value in query.items()}  # Cognigy's own clients encode twice
        if about.get("handshake") == "true":
            return [Emit("handshake", (), link, ack=Ask.HANDSHAKE)]
        if about.get("urlToken") != self._token and self._options["refusal"] == "connect":
            return [Refuse(UNKNOWN)]
        return self._enter(link, about)

    def acked(self, link: str, key: Hashable, args: Sequence[Any], now: float) -> list[ServerEffect]:  # noqa: ARG002
        """Handle an acknowledgement: of the handshake, with the identity of the client, or of an output."""
        if key is Ask.HANDSHAKE:
            about = as_dict(args[0] if args else None)
            return self._enter(link, {**about, "emitWithAck": str(about.get("emitWithAck")).lower()})
        if (here := self._links.get(link)) and "duplicate" not in self._faults:
            here.unacked.pop(key, None)
        return []

    def _enter(self, link: str, about: Mapping[str, Any]) -> list[ServerEffect]:
        if about.get("urlToken") != self._token:
            refusal = self._error if self._options["refusal"] != "exception" else self._exception
            return [refusal(link, UNKNOWN), Close(link)]
        here = self._move(link, as_text(about.get("userId")), as_text(about.get("sessionId")))
        here.acks = about.get("emitWithAck") == "true"
        again: list[ServerEffect] = [Emit(event, args, link, ack=key) for key, (event, args) in here.unacked.items()]
        return again if "unready" in self._faults else [*again, Emit("endpoint-ready", (), link)]

    def _move(self, link: str, user: str, session: str) -> _Conversation:
        """Put a link to its conversation: what an input says counts for more than the query."""
        name = _name_of(user, session)
        here = self._there.pop(name, None) or _Conversation(name, user, session)
        self._there[name] = here
        if (before := self._links.get(link)) is not here:
            if before:
                here.acks = before.acks
                before.links.discard(link)
            self._links[link] = here
            here.links.add(link)
        return here

    def closed(self, link: str, now: float, *, goodbye: bool = False) -> list[ServerEffect]:  # noqa: ARG002
        """A client's link is gone; its conversation stays."""
        if here := self._links.pop(link, None):
            here.links.discard(link)
        return []

    # Inputs

    def received(self, link: str, event: str, payload: Any, now: float) -> list[ServerEffect]:  # noqa: ARG002
        """A client sent an event."""
        about = as_dict(payload)
        if event != "processInput" or "mute" in self._faults:  # typingStatus is for agents
            return []
        if about.get("URLToken") != self._token:
            return [self._error(link, UNKNOWN)]
        user, session = as_text(about.get("userId")), as_text(about.get("sessionId"))
        if not user or not session:
            return [self._error(link, "processInput needs a userId and a sessionId")]
        if not is_reset(about) and not lines(about.get("text")) and not about.get("data"):
            return [self._error(link, "processInput needs a text or data")]
        return self._input(self._move(link, user, session), about)

    def _input(self, here: _Conversation, about: dict[str, Any]) -> list[ServerEffect]:
        try:
            transformed = self._transformed("input_transformer", about)
        except BaseException as error:  # noqa: BLE001 (a user's function may raise anything)
            return [*self._tell(here, "output", _error_of(_broke("input", error))), *self._final(here)]
        if transformed is None:
            return self._final(here)
        effects: list[ServerEffect] = []
        if is_reset(transformed):
            here.inputs.clear()
            here.agent = ""
            effects = [EndFlow(here.id)]
        if here.agent:  # the agent reads along; the flow does not answer
            return self._final(here)
        here.inputs.append(transformed)
        if "silent" in self._faults:
            self._faults.discard("silent")
            here.silent = True
        return effects + (self._run(here) if len(here.inputs) == 1 else [])

    def _run(self, here: _Conversation) -> list[ServerEffect]:
        if not here.inputs:
            return []
        what = user_input(here.inputs[0])
        if what.verb == "reset":
            text, data = what.text, what.data
            what = user_input({**here.inputs[0], "resetFlow": False}) if text or data else UserInput("launch")
        return [*self._typing(here, on=True), RunFlow(here.id, what)]

    def inject(self, conversation: str, text: str, data: Any, now: float) -> list[ServerEffect]:  # noqa: ARG002
        """Let the flow answer as if the user had said this."""
        about = {"text": text, **({"data": data} if data is not None else {})}
        return self._input(self._there[conversation], about)

    def notify(self, conversation: str, text: str, data: Any, now: float) -> list[ServerEffect]:  # noqa: ARG002
        """Send the user a message, past the flow."""
        return self._say(
            self._there[conversation], {"text": text, "data": {} if data is None else data, "source": "bot"}
        )

    def conversation(self, to: str | None) -> str:
        """Return the conversation of a user's or a session's id, or the one that was used last.

        Raises:
            SettingsError: there is none.
        """
        there = [here for here in reversed(self._there.values()) if to in (None, here.user, here.session)]
        if not there:
            raise SettingsError(
                "nobody has connected to this simulator yet" if to is None else f"nobody is {to!r} here"
            )
        return there[0].id

    # What the flow shows

    def put(self, conversation: str, step: Step, now: float) -> list[ServerEffect]:  # noqa: ARG002
        """The flow, or an agent, has something to show."""
        here = self._there[conversation]
        match step:
            case Raw(event, payload):
                return self._tell(here, event, payload)
            case End():
                here.stopped = True
                return []
            case Typing(on):
                return self._typing(here, on=on)
            case Handover(agent):
                here.agent = agent
        shown = shape(step, FORMATS[self._options["format"]])
        return self._say(here, {"source": "bot", **shown}) if shown else []

    def done(self, conversation: str, error: str | None, now: float) -> list[ServerEffect]:  # noqa: ARG002
        """The flow is done with this turn, or broke."""
        here = self._there[conversation]
        effects = self._tell(here, "output", _error_of(error)) if error else []
        if not here.inputs:  # it was injected without a turn of its own, or broke after it had asked
            return effects
        here.inputs.popleft()
        effects += self._typing(here, on=False)
        if here.silent:
            here.silent = False
        else:
            effects += self._final(here)
        return effects + self._run(here)

    def _final(self, here: _Conversation) -> list[ServerEffect]:
        about, how = {"type": "cognigyStopFlow" if here.stopped else "regular"}, self._options["final_ping"]
        here.stopped = False
        wrapped = self._tell(here, "output", {"type": "finalPing", "data": about}) if how != "direct" else []
        return wrapped + (self._tell(here, "finalPing", about) if how != "wrapped" else [])

    def _typing(self, here: _Conversation, *, on: bool) -> list[ServerEffect]:
        status = {"status": "typingOn" if on else "typingOff"}
        return [Emit("typingStatus", (status,), link) for link in sorted(here.links)]

    def _say(self, here: _Conversation, data: dict[str, Any]) -> list[ServerEffect]:
        data = {**data, "traceId": f"endpoint-realtimeClient-{self._ids()}", "disableSensitiveLogging": False}
        try:
            transformed = self._transformed("output_transformer", data)
        except BaseException as error:  # noqa: BLE001 (a user's function may raise anything)
            return self._tell(here, "output", _error_of(_broke("output", error)))
        return [] if transformed is None else self._tell(here, "output", {"type": "output", "data": transformed})

    def _transformed(self, name: str, value: dict[str, Any]) -> dict[str, Any] | None:
        transformer: Transformer | None = self._options[name]
        if transformer is None:
            return value
        result: Any = transformer(value)
        if inspect.iscoroutine(result):
            result.close()
            raise TypeError("it is a coroutine: write it with def, not async def")
        if result is not None and not isinstance(result, dict):
            raise TypeError(f"it returned a {type(result).__name__}: return the payload, a dict, or None")
        json.dumps(result)
        return dict(result) if result is not None else None

    def _tell(self, here: _Conversation, event: str, payload: Any) -> list[ServerEffect]:
        """Send an event to every link of a conversation, and keep it until one has acknowledged it."""
        args: tuple[Json, ...] = (payload,)
        key: Hashable = None
        if here.acks and "forget" not in self._faults:
            key = self._ids()
            here.unacked[key] = (event, args)
            if len(here.unacked) > UNACKED:
                del here.unacked[next(iter(here.unacked))]
        return [Emit(event, args, link, ack=key) for link in sorted(here.links)]

    def _error(self, link: str, said: str) -> ServerEffect:
        return Emit("output", (_error_of(said),), link)

    def _exception(self, link: str, said: str) -> ServerEffect:
        return Emit("exception", ({"message": said, "type": "Error", "code": 1, "reference": self._ids()},), link)

    def fault(self, name: str) -> list[ServerEffect]:
        """Arm one of `FAULTS`, or do it at once."""
        match name:
            case "error":
                return [e for here in self._there.values() for e in self._tell(here, "output", _error_of("on request"))]
            case "exception":
                return [self._exception(link, "on request") for link in self._links]
            case _:
                self._faults.add(name)
        return []

    def timer(self, now: float) -> list[ServerEffect]:  # noqa: ARG002
        """Nothing is ever due."""
        return []

    # HTTP

    def request(self, request: HttpCall, now: float) -> list[ServerEffect]:
        """Answer the endpoint's HTTP interface: inject, notify, and the three steps of a file."""
        path = request.path.removeprefix(self.prefix)
        if speak := re.fullmatch(r"/(?:v2\.0/endpoint/)?(inject|notify)(?:/([^/]+))?", path):
            token = speak[2] or as_dict(request.body).get("URLToken")
            return self._spoken(speak[1], token, as_dict(request.body), now, request.method)
        if path == f"/{self._token}/fileuploadtoken" and request.method == "GET":
            self._upload_tokens.append(self._ids())
            url = f"{request.base}{self.prefix}/fileupload"
            return [HttpReply(200, {"fileUploadUrl": url, "token": self._upload_tokens[-1]})]
        if path == "/fileupload" and request.method == "POST":
            return [self._uploaded(request)]
        if path.startswith("/files/") and (file := self._files.get(path.removeprefix("/files/"))):
            return [HttpReply(200, file=file)]
        return [HttpReply(404, {"error": "there is nothing here"})]

    def _spoken(self, how: str, token: Any, body: dict[str, Any], now: float, method: str) -> list[ServerEffect]:
        if method != "POST":
            return [HttpReply(405, {"error": "POST it"})]
        if token != self._token:
            return [HttpReply(401, {"error": UNKNOWN})]
        name = _name_of(as_text(body.get("userId")), as_text(body.get("sessionId")))
        if name not in self._there:
            return [HttpReply(404, {"error": "there is no such userId and sessionId here"})]
        if not lines(body.get("text")) and not body.get("data"):
            return [HttpReply(400, {"error": "there is neither text nor data"})]
        say = self.inject if how == "inject" else self.notify
        return [HttpReply(200, {}), *say(name, lines(body.get("text")), body.get("data"), now)]

    def _uploaded(self, request: HttpCall) -> HttpReply:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if token not in self._upload_tokens:
            return HttpReply(401, {"error": "the upload token is not known"})
        if request.file is None:
            return HttpReply(400, {"error": "the form has no field `file`"})
        name, kind, data = request.file
        file_id = self._ids()
        self._files[file_id] = request.file
        if len(self._files) > FILES:
            del self._files[next(iter(self._files))]
        url = f"{request.base}{self.prefix}/files/{file_id}"
        meta = {"fileName": name, "mimeType": kind, "size": len(data), "url": url, "status": "scanned"}
        return HttpReply(200, {"runtimeFileId": file_id, **meta})


def _error_of(said: str) -> dict[str, Any]:
    return {"type": "error", "data": {"error": {"message": said}}}


def _broke(which: str, error: BaseException) -> str:
    return f"the {which} transformer raised {type(error).__name__}: {error}"


def _name_of(user: str, session: str) -> str:
    return json.dumps([user, session])

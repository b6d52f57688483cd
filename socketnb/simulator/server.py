"""Serves a flow through a dialect's server machine, on a loopback port and a background loop of its own.

Clients of two generations are served on one path: `eio4.py` and, for those that say `EIO=3`, `eio3.py`.

The loop is not the engine's: a flow that blocks must not stop the sessions that talk to it from answering pings.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import time
import uuid
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from socketnb.engine.link import wire
from socketnb.errors import SettingsError, unknown
from socketnb.flows.flow import Flow, FlowRun
from socketnb.model.content import AgentSays, Handover
from socketnb.model.effects import Acknowledge, Close, Emit, EndFlow, HttpCall, HttpReply, Refuse, RunFlow, ServerEffect
from socketnb.model.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence

    from aiohttp import web

    from socketnb.dialects.base import Dialect
    from socketnb.engine.loop import Loop
    from socketnb.simulator import eio3, eio4

log = logging.getLogger(__name__)
HOST = "127.0.0.1"
TOKEN = re.compile(r"[\w.~-]+", re.ASCII)
MEDIA_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+")
LARGEST = 16 * 2**20
"""Bytes of an HTTP request: an uploaded file."""
DROP = "drop"
FAULTS = {DROP: "every link is cut"}


class Simulator:
    """A running simulator.

    Args:
        dialect: the platform it speaks as.
        flow: the bot.
        loop: the loop it runs on.
        options: a value for each of the dialect's options.
        port: its port; 0: any that is free.
        token: the credential that it asks for; None: one is made up.
        ping_interval, ping_timeout: seconds, as Engine.IO means them.
        on_stop: called when it has stopped.

    Attributes:
        url: where it listens.
        settings: what `connect` needs to reach it, under the same names.

    Raises:
        SettingsError: the port is taken or is none, or a ping time is too short.
    """

    def __init__(
        self,
        dialect: Dialect,
        flow: Flow,
        loop: Loop,
        *,
        options: dict[str, Any],
        port: int,
        token: str | None,
        ping_interval: float,
        ping_timeout: float,
        on_stop: Callable[[Simulator], None] = lambda _: None,
    ) -> None:
        if not isinstance(flow, Flow):
            raise SettingsError(f"flow is a Flow, such as Flow('pizza'), not {type(flow).__name__}")
        if type(port) is not int or not 0 <= port <= 65535:  # noqa: PLR2004
            raise SettingsError(f"port is a number from 0 (any that is free) to 65535, not {port!r}")
        if not (_is_number(ping_interval) and _is_number(ping_timeout) and ping_interval >= 1 and ping_timeout > 0):
            raise SettingsError("ping_interval is at least 1 s (the wire has whole seconds) and ping_timeout above 0")
        if token is not None and (not isinstance(token, str) or not TOKEN.fullmatch(token)):
            raise SettingsError("token is a text of letters, digits and ._~-, as it can stand in an address")
        self.platform = dialect.name
        self.flow = flow
        self.running = True
        self._loop = loop
        self._on_stop = on_stop
        self._faults = {**FAULTS, **dialect.faults}
        self._settings = dialect.simulated(_new_id)
        if token is not None:
            self._settings |= {key: Secret(token) for key, v in self._settings.items() if isinstance(v, Secret)}
        self._machine = dialect.server(self._settings, _new_id, options)
        self._links: set[str] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._flows: dict[str, FlowRun] = {}
        self._out: asyncio.Queue[Emit | Close] = asyncio.Queue()
        self.url = loop.run(self._start(port, ping_interval, ping_timeout)) + self._machine.prefix
        self._settings = {"url": self.url, **self._settings}

    @property
    def settings(self) -> dict[str, Any]:
        """What `connect` needs to reach it; credentials are `Secret`."""
        return dict(self._settings)

    def revealed(self) -> dict[str, Any]:
        """Return the settings with credentials in the clear, for a client that is not ours."""
        return {k: v.reveal() if isinstance(v, Secret) else v for k, v in self._settings.items()}

    def fault(self, name: str) -> None:
        """Inject a fault by its name.

        Raises:
            SettingsError: there is no such fault.
        """
        if name not in list(self._faults):
            raise SettingsError(unknown("fault", name, self._faults))
        if not self.running:
            raise SettingsError("this simulator has stopped: snb.simulate starts another")
        self._loop.run(self._cut() if name == DROP else self._call(lambda: self._machine.fault(name)))

    def agent_joins(self, name: str = "Ada", *, to: str | None = None) -> None:
        """Let an agent take over the conversation of this id, a user's or a session's (default: the last used).

        Raises:
            SettingsError: there is no such conversation, or the platform cannot do this.
        """
        self._speak(to, lambda here: self._machine.put(here, Handover(str(name)), time.time()))

    def agent_says(self, text: str, *, attachment: dict[str, Any] | None = None, to: str | None = None) -> None:
        """Say something as an agent, with a file's description or without; `to` and errors as `agent_joins`."""
        self._speak(to, lambda here: self._machine.put(here, AgentSays(str(text), attachment), time.time()))

    def agent_leaves(self, *, to: str | None = None) -> None:
        """Give a conversation that was handed over back to the flow; `to` and errors as `agent_joins`."""
        self._speak(to, lambda here: self._machine.put(here, Handover(), time.time()))

    def inject(self, text: str, data: Any = None, *, to: str | None = None) -> None:
        """Let the flow answer as if the user of a conversation had said this; `to` and errors as `agent_joins`."""
        _checked(data)
        self._speak(to, lambda here: self._machine.inject(here, str(text), data, time.time()))

    def notify(self, text: str, data: Any = None, *, to: str | None = None) -> None:
        """Send the user of a conversation a message, past the flow; `to` and errors as `agent_joins`."""
        _checked(data)
        self._speak(to, lambda here: self._machine.notify(here, str(text), data, time.time()))

    def close(self, *, to: str | None = None) -> None:
        """Close a conversation for the user; `to` and errors as `agent_joins`."""
        self._speak(to, lambda here: self._machine.close(here, time.time()))

    def leave_call(self, *, to: str | None = None) -> None:
        """Let the bot leave the voice call of a conversation; `to` and errors as `agent_joins`."""
        self._speak(to, lambda here: self._machine.leave_call(here, time.time()))

    def _speak(self, to: str | None, say: Callable[[str], Sequence[ServerEffect]]) -> None:
        if not self.running:
            raise SettingsError("this simulator has stopped: snb.simulate starts another")
        self._loop.run(self._call(lambda: say(self._machine.conversation(to))))

    def stop(self) -> None:
        """Stop serving. Stopping again does nothing."""
        if self.running:
            self.running = False
            try:
                self._loop.run(self._stop(), timeout=2)
            except TimeoutError:
                log.warning("a flow blocks the simulator at %s: it ends with the process", self.url)
            finally:
                self._on_stop(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"<{self.platform} simulator at {self.url}, {self.flow!r}{'' if self.running else ', stopped'}>"

    # On the loop

    async def _start(self, port: int, ping_interval: float, ping_timeout: float) -> str:
        from aiohttp import web

        from socketnb.simulator import eio3, eio4

        @web.middleware
        async def older_clients(
            request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
        ) -> web.StreamResponse:
            older = request.query.get("EIO") == "3" and request.path.strip("/") == self._machine.path
            return await (self._eio3.handle if older else handler)(request)

        app = web.Application(middlewares=[older_clients], client_max_size=LARGEST)
        ears = eio4.LinkCallbacks(self._opened, self._received, self._closed)
        self._eio3 = eio3.Server(ears, _new_id, (ping_interval, ping_timeout))
        where = self._machine.path, self._machine.namespace
        self._eio4 = eio4.Server(app, *where, ears, (ping_interval, ping_timeout))
        app.router.add_route("*", "/{path:.*}", self._http)
        self._runner = web.AppRunner(app, access_log=None, logger=wire, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, HOST, port)
        try:
            await site.start()
        except (OSError, OverflowError) as error:
            await self._runner.cleanup()
            raise SettingsError(f"port {port} cannot be used ({error}): choose another, or 0 for any") from None
        self._sender = asyncio.create_task(self._send())
        return f"http://{HOST}:{self._runner.addresses[0][1]}"

    async def _stop(self) -> None:
        self._sender.cancel()
        if self._timer:
            self._timer.cancel()
        for conversation in self._flows.values():
            conversation.stop()
        await self._eio3.stop()
        await self._eio4.stop()
        await self._cut()
        await self._runner.cleanup()

    async def _cut(self) -> None:
        """Cut every connection as a pulled cable does: without a goodbye."""
        for link in list(self._links):  # what is still on its way from them is lost, too
            self._closed(link, goodbye=False)
        for connection in self._runner.server.connections if self._runner.server else []:
            if connection.transport is not None:
                connection.transport.abort()

    async def _call(self, call: Callable[[], Sequence[ServerEffect]]) -> None:
        self._do(call())

    def _opened(self, link: str, query: Mapping[str, str]) -> str | None:
        effects = self._machine.opened(link, query, time.time())
        if refused := next((effect.reason for effect in effects if isinstance(effect, Refuse)), None):
            return refused
        self._links.add(link)
        self._do(effects)
        return None

    def _closed(self, link: str, goodbye: bool) -> None:  # noqa: FBT001 (both servers tell it so)
        if link in self._links:
            self._links.discard(link)
            self._do(self._machine.closed(link, time.time(), goodbye=goodbye))

    def _received(self, link: str, event: str, args: list[Any]) -> Any:
        if link not in self._links:
            return None
        payload = args[0] if len(args) == 1 else args or None
        effects = self._machine.received(link, event, payload, time.time())
        self._do(effects)
        return next((effect.payload for effect in effects if isinstance(effect, Acknowledge)), None)

    def _acked(self, link: str, key: Hashable, *args: Any) -> None:
        if link in self._links:
            self._do(self._machine.acked(link, key, args, time.time()))

    async def _http(self, request: web.Request) -> web.StreamResponse:
        """Answer what is no Socket.IO: the endpoint's own HTTP interface."""
        from aiohttp import web

        base = f"http://{HOST}:{self._runner.addresses[0][1]}"
        try:
            body, file = await _read(request)
        except (ValueError, LookupError, RecursionError, web.RequestPayloadError):
            return web.json_response({"error": "the body cannot be read: send JSON"}, status=400)
        headers = {name.casefold(): value for name, value in request.headers.items()}
        asked = HttpCall(request.method, request.path, base, headers, body, file, dict(request.query))
        effects = self._machine.request(asked, time.time())
        self._do([effect for effect in effects if not isinstance(effect, HttpReply)])
        answer = next(effect for effect in effects if isinstance(effect, HttpReply))
        if not answer.file:
            return web.json_response(answer.body, status=answer.status)
        _, kind, data = answer.file  # never shown by a browser as a page of this host
        safe = {"Content-Disposition": "attachment", "X-Content-Type-Options": "nosniff"}
        kind = kind.partition(";")[0].strip()
        safe["Content-Type"] = kind if MEDIA_TYPE.fullmatch(kind) else "application/octet-stream"
        return web.Response(body=data, headers=safe, status=answer.status)

    def _do(self, effects: Sequence[ServerEffect]) -> None:
        for effect in effects:
            match effect:
                case RunFlow(conversation, user_input):
                    self._conversation(conversation).take(user_input)
                case EndFlow(conversation):
                    if flow := self._flows.pop(conversation, None):
                        flow.stop()
                case Emit() | Close():
                    self._out.put_nowait(effect)
        if self._timer:
            self._timer.cancel()
        if (due := self._machine.deadline) is not None:
            delay = max(0.0, due - time.time())
            self._timer = asyncio.get_running_loop().call_later(delay, self._tick)

    def _tick(self) -> None:
        self._do(self._machine.timer(time.time()))

    def _wire(self, link: str) -> eio3.Server | eio4.Server:
        return self._eio3 if link in self._eio3 else self._eio4

    def _conversation(self, name: str) -> FlowRun:
        if name not in self._flows:
            self._flows[name] = FlowRun(
                self.flow,
                lambda step: self._do(self._machine.put(name, step, time.time())),
                lambda error: self._do(self._machine.done(name, error, time.time())),
            )
        return self._flows[name]

    async def _send(self) -> None:
        """Send what the machine wants sent, in its order."""
        while True:
            effect = await self._out.get()
            try:
                match effect:
                    case Emit(event, args, link, ack) if link in self._links:
                        acked = None if ack is None else partial(self._acked, link, ack)
                        await self._wire(link).emit(link, event, args, acked)
                    case Close(link) if link in self._links:
                        await self._wire(link).close(link)
            except Exception:
                log.exception("%s could not be sent", effect.event if isinstance(effect, Emit) else "a goodbye")


async def _read(request: web.Request) -> tuple[Any, tuple[str, str, bytes] | None]:
    """Return a request's JSON body, or the file of its form.

    Raises:
        ValueError: it is neither.
    """
    from aiohttp.web import FileField

    if request.content_type == "multipart/form-data":
        file = (await request.post()).get("file")
        return None, (file.filename, file.content_type, file.file.read()) if isinstance(file, FileField) else None
    return await request.json() if request.can_read_body else None, None


def _checked(data: Any) -> None:
    try:
        json.dumps(data, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise SettingsError(f"data is what JSON can hold, and this it cannot: {error}") from None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < float("inf")


def _new_id() -> str:
    return uuid.uuid4().hex[:12]

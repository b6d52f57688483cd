"""The simulator: serves a flow through a dialect's server machine, on a loopback port and a background loop.

Clients of two protocol generations are served on one path: `eio4.py`, and `eio3.py` for clients that send `EIO=3`.

The simulator has its own loop, so that a flow that blocks does not keep sessions from answering pings.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import time
import uuid
from functools import partial
from typing import TYPE_CHECKING, Self, assert_never

from socketnb.engine.link import wire
from socketnb.errors import SettingsError, unknown
from socketnb.flows.flow import Flow
from socketnb.flows.run import FlowRun
from socketnb.model.content import AgentSays, Handover
from socketnb.model.effects import Acknowledge, Close, Emit, EndFlow, HttpCall, HttpReply, Refuse, RunFlow, ServerEffect
from socketnb.model.json import Json, JsonObjectOut, JsonOut, from_bytes
from socketnb.model.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence

    from aiohttp import web

    from socketnb.dialects.base import Dialect
    from socketnb.engine.loop import Loop
    from socketnb.settings import Values
    from socketnb.simulator import eio3, eio4

log = logging.getLogger(__name__)
HOST = "127.0.0.1"
TOKEN = re.compile(r"[\w.~-]+", re.ASCII)
MEDIA_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+")
MAX_REQUEST_BYTES = 16 * 2**20
"""The maximum size of an HTTP request, such as an uploaded file."""
STOP_TIMEOUT_S = 2.0
"""How long `stop` waits for a flow that blocks the loop, in seconds."""
DROP = "drop"
FAULTS = {DROP: "cut every link"}
"""The faults of every simulator. Each dialect adds its own."""


class Simulator:
    """A running simulator. `socketnb.simulate` starts one.

    Args:
        dialect: The dialect of the platform.
        flow: The bot.
        loop: The loop that runs the simulator.
        options: A value for each option of the dialect.
        port: The port, or 0 for any free port.
        token: The credential that clients must send; None to generate one.
        ping_interval: Seconds between the server's pings.
        ping_timeout: Seconds until an unanswered ping closes a link.
        on_stop: A function that is called when the simulator has stopped.

    Attributes:
        platform: The name of the platform.
        url: The URL to connect to.
        flow: The bot.
        running: Whether the simulator is running.

    Raises:
        SettingsError: An argument is malformed, or the port cannot be used.

    Example:
        >>> import socketnb as snb
        >>> with snb.simulate("voiceflow") as simulator:
        ...     bot = snb.connect("voiceflow", **simulator.settings)
        ...     simulator.fault("reject")
        ...     turn = bot.say("hours")
        ...     bot.close()
        >>> turn.status
        'rejected'
    """

    def __init__(
        self,
        dialect: Dialect,
        flow: Flow,
        loop: Loop,
        *,
        options: Values,
        port: int,
        token: str | None,
        ping_interval: float,
        ping_timeout: float,
        on_stop: Callable[[Simulator], None] = lambda _: None,
    ) -> None:
        if not isinstance(flow, Flow):
            raise SettingsError(f"flow must be a Flow such as Flow('pizza'), got {type(flow).__name__}")
        if type(port) is not int or not 0 <= port <= 65535:  # noqa: PLR2004 (the highest port of TCP)
            raise SettingsError(f"port must be a number from 0 (any free port) to 65535, got {port!r}")
        if not (_is_number(ping_interval) and _is_number(ping_timeout) and ping_interval >= 1 and ping_timeout > 0):
            raise SettingsError("ping_interval must be at least 1 second, and ping_timeout above 0")
        if token is not None and (not isinstance(token, str) or not TOKEN.fullmatch(token)):
            raise SettingsError("token must consist of letters, digits and ._~-, so that a URL can contain it")
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
        self._flow_runs: dict[str, FlowRun] = {}
        self._outbox: asyncio.Queue[Emit | Close] = asyncio.Queue()
        self.url = loop.run(self._start(port, ping_interval, ping_timeout)) + self._machine.prefix
        self._settings = {**dict.fromkeys(self._machine.url_settings, self.url), **self._settings}

    @property
    def settings(self) -> Values:
        """The settings that `connect` needs. Credentials are `Secret`."""
        return dict(self._settings)

    def revealed(self) -> Values:
        """Return the settings with readable credentials, for clients other than socketnb."""
        return {k: v.reveal() if isinstance(v, Secret) else v for k, v in self._settings.items()}

    def fault(self, name: str) -> None:
        """Inject a fault. `help(socketnb.simulate)` lists the faults of each platform.

        Raises:
            SettingsError: The fault is unknown, or the simulator has stopped.
        """
        if name not in list(self._faults):  # a list, because the name may not be hashable
            raise SettingsError(unknown("fault", name, self._faults))
        self._check_running()
        self._loop.run(self._cut() if name == DROP else self._call(lambda: self._machine.fault(name)))

    def agent_joins(self, name: str = "Ada", *, to: str | None = None) -> None:
        """Hand a conversation over to an agent.

        Args:
            name: The name of the agent.
            to: The id of the conversation, user or session (default: the conversation used last).

        Raises:
            SettingsError: The conversation does not exist, or the platform has no agents.
        """
        self._run(to, lambda conversation: self._machine.put(conversation, Handover(str(name)), time.time()))

    def agent_says(self, text: str, *, attachment: JsonObjectOut | None = None, to: str | None = None) -> None:
        """Send a message as the agent.

        Args:
            text: The text of the message.
            attachment: A description of a file, as the platform defines it.
            to: The conversation, as for `agent_joins`.

        Raises:
            SettingsError: The conversation does not exist, or the platform has no agents.
        """
        step = AgentSays(str(text), attachment)
        self._run(to, lambda conversation: self._machine.put(conversation, step, time.time()))

    def agent_leaves(self, *, to: str | None = None) -> None:
        """Return a conversation from the agent to the flow. `to` and errors are as for `agent_joins`."""
        self._run(to, lambda conversation: self._machine.put(conversation, Handover(), time.time()))

    def inject(self, text: str, data: JsonOut = None, *, to: str | None = None) -> None:
        """Run the flow as if the user had sent a message. `to` and errors are as for `agent_joins`."""
        _check_json(data)
        self._run(to, lambda conversation: self._machine.inject(conversation, str(text), data, time.time()))

    def notify(self, text: str, data: JsonOut = None, *, to: str | None = None) -> None:
        """Send the user a message without running the flow. `to` and errors are as for `agent_joins`."""
        _check_json(data)
        self._run(to, lambda conversation: self._machine.notify(conversation, str(text), data, time.time()))

    def close(self, *, to: str | None = None) -> None:
        """Close a conversation for the user. `to` and errors are as for `agent_joins`."""
        self._run(to, lambda conversation: self._machine.close(conversation, time.time()))

    def leave_call(self, *, to: str | None = None) -> None:
        """End the bot's part in the voice call of a conversation. `to` and errors are as for `agent_joins`."""
        self._run(to, lambda conversation: self._machine.leave_call(conversation, time.time()))

    def _run(self, to: str | None, call: Callable[[str], Sequence[ServerEffect]]) -> None:
        """Call a method of the machine for a conversation, on the loop, and perform the effects."""
        self._check_running()
        self._loop.run(self._call(lambda: call(self._machine.conversation(to))))

    def _check_running(self) -> None:
        if not self.running:
            raise SettingsError("this simulator has stopped: start another with snb.simulate")

    def stop(self) -> None:
        """Stop serving. Calling it again has no effect."""
        if self.running:
            self.running = False
            try:
                self._loop.run(self._stop(), timeout=STOP_TIMEOUT_S)
            except TimeoutError:
                log.warning(
                    "the simulator at %s did not stop because a flow blocks it; it ends with the process", self.url
                )
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
            is_older = request.query.get("EIO") == "3" and request.path.strip("/") == self._machine.path
            return await (self._eio3.handle if is_older else handler)(request)

        app = web.Application(middlewares=[older_clients], client_max_size=MAX_REQUEST_BYTES)
        callbacks = eio4.ServerCallbacks(self._opened, self._received, self._closed)
        pings = eio4.Pings(ping_interval, ping_timeout)
        self._eio3 = eio3.Server(callbacks, _new_id, pings)
        self._eio4 = eio4.Server(app, self._machine.path, self._machine.namespace, callbacks, pings)
        app.router.add_route("*", "/{path:.*}", self._http)
        self._runner = web.AppRunner(app, access_log=None, logger=wire, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, HOST, port)
        try:
            await site.start()
        except (OSError, OverflowError) as error:
            await self._runner.cleanup()
            raise SettingsError(
                f"port {port} cannot be used ({error}): choose another port, or 0 for any free one"
            ) from None
        self._sender = asyncio.create_task(self._send())
        return f"http://{HOST}:{self._runner.addresses[0][1]}"

    async def _stop(self) -> None:
        self._sender.cancel()
        if self._timer:
            self._timer.cancel()
        for flow_run in self._flow_runs.values():
            flow_run.stop()
        await self._eio3.stop()
        await self._eio4.stop()
        await self._cut()
        await self._runner.cleanup()

    async def _cut(self) -> None:
        """Cut every connection without a disconnect packet, as an unplugged cable does."""
        for link in list(self._links):  # messages in transit from clients are also lost
            self._closed(link, goodbye=False)
        for connection in self._runner.server.connections if self._runner.server else []:
            if connection.transport is not None:
                connection.transport.abort()

    async def _call(self, call: Callable[[], Sequence[ServerEffect]]) -> None:
        self._perform(call())

    def _opened(self, link: str, query: Mapping[str, str]) -> str | None:
        effects = self._machine.opened(link, query, time.time())
        if refused := next((effect.reason for effect in effects if isinstance(effect, Refuse)), None):
            return refused
        self._links.add(link)
        self._perform(effects)
        return None

    def _closed(self, link: str, goodbye: bool) -> None:  # noqa: FBT001 (the signature of the callback)
        if link in self._links:
            self._links.discard(link)
            self._perform(self._machine.closed(link, time.time(), goodbye=goodbye))

    def _received(self, link: str, event: str, args: list[Json]) -> JsonOut:
        if link not in self._links:
            return None
        effects = self._machine.received(link, event, _payload(args), time.time())
        self._perform(effects)
        return next((effect.payload for effect in effects if isinstance(effect, Acknowledge)), None)

    def _acked(self, link: str, key: Hashable, *args: Json) -> None:
        if link in self._links:
            self._perform(self._machine.acked(link, key, [from_bytes(each) for each in args], time.time()))

    async def _http(self, request: web.Request) -> web.StreamResponse:
        """Handle a request that is not Socket.IO, for the HTTP interface of the platform."""
        from aiohttp import web

        base = f"http://{HOST}:{self._runner.addresses[0][1]}"
        try:
            body, file = await _read(request)
        except (ValueError, LookupError, RecursionError, web.RequestPayloadError):
            return web.json_response({"error": "the body cannot be read: send JSON or a form"}, status=400)
        except web.HTTPRequestEntityTooLarge:
            return web.json_response({"error": f"the body is larger than {MAX_REQUEST_BYTES} bytes"}, status=413)
        headers = {name.casefold(): value for name, value in request.headers.items()}
        call = HttpCall(request.method, request.path, base, headers, body, file, dict(request.query))
        effects = self._machine.request(call, time.time())
        self._perform([effect for effect in effects if not isinstance(effect, HttpReply)])
        reply = next(effect for effect in effects if isinstance(effect, HttpReply))
        if not reply.file:
            return web.json_response(reply.body, status=reply.status)
        _, media_type, data = reply.file
        media_type = media_type.partition(";")[0].strip()
        reply_headers = {  # a browser must not display the file as a page of this host
            "Content-Disposition": "attachment",
            "X-Content-Type-Options": "nosniff",
            "Content-Type": media_type if MEDIA_TYPE.fullmatch(media_type) else "application/octet-stream",
        }
        return web.Response(body=data, headers=reply_headers, status=reply.status)

    def _perform(self, effects: Sequence[ServerEffect]) -> None:
        for effect in effects:
            match effect:
                case RunFlow(conversation, user_input, variables):
                    self._flow_run(conversation, variables).handle(user_input)
                case EndFlow(conversation):
                    if flow_run := self._flow_runs.pop(conversation, None):
                        flow_run.stop()
                case Emit() | Close():
                    self._outbox.put_nowait(effect)
                case Acknowledge() | Refuse() | HttpReply():
                    pass  # the caller returns it to the client
                case _:
                    assert_never(effect)
        if self._timer:
            self._timer.cancel()
        if (deadline := self._machine.deadline) is not None:
            delay = max(0.0, deadline - time.time())
            self._timer = asyncio.get_running_loop().call_later(delay, self._on_timer)

    def _on_timer(self) -> None:
        self._perform(self._machine.timer(time.time()))

    def _server_of(self, link: str) -> eio3.Server | eio4.Server:
        return self._eio3 if link in self._eio3 else self._eio4

    def _flow_run(self, conversation: str, variables: dict[str, Json] | None) -> FlowRun:
        """Return the run of the flow for a conversation. Create it if there is none."""
        if conversation not in self._flow_runs:
            self._flow_runs[conversation] = FlowRun(
                self.flow,
                variables,
                lambda step: self._perform(self._machine.put(conversation, step, time.time())),
                lambda error: self._perform(self._machine.done(conversation, error, time.time())),
            )
        return self._flow_runs[conversation]

    async def _send(self) -> None:
        """Send queued events to the clients, in order."""
        while True:
            effect = await self._outbox.get()
            try:
                match effect:
                    case Emit(event, args, link, ack) if link in self._links:
                        acked = None if ack is None else partial(self._acked, link, ack)
                        await self._server_of(link).emit(link, event, args, acked)
                    case Close(link) if link in self._links:
                        await self._server_of(link).close(link)
            except Exception:
                log.exception("%s could not be sent", effect.event if isinstance(effect, Emit) else "disconnect")


def _payload(args: Sequence[object]) -> Json:
    """Return the arguments of an event as JSON: the only one, a list of several, or None."""
    payload = [from_bytes(each) for each in args]
    return payload[0] if len(payload) == 1 else payload or None


async def _read(request: web.Request) -> tuple[Json, tuple[str, str, bytes] | None]:
    """Return the JSON body of a request, or the file of its form.

    Raises:
        ValueError: The body is neither JSON nor a form with a file.
    """
    from aiohttp.web import FileField

    if request.content_type == "multipart/form-data":
        file = (await request.post()).get("file")
        return None, (file.filename, file.content_type, file.file.read()) if isinstance(file, FileField) else None
    return await request.json() if request.can_read_body else None, None


def _check_json(data: object) -> None:
    try:
        json.dumps(data, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise SettingsError(f"data must be JSON: {error}") from None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < float("inf")


def _new_id() -> str:
    return uuid.uuid4().hex[:12]

"""Serves a flow through a dialect's server machine, on a loopback port and a background loop of its own.

The loop is not the engine's: a flow that blocks must not stop the sessions that talk to it from answering pings.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from typing import TYPE_CHECKING, Any, Self

from socketnb.engine.link import wire
from socketnb.errors import SettingsError, unknown
from socketnb.flow import Conversation, Flow
from socketnb.records import Close, Drop, Emit, Run, Secret, ServerEffect

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from socketnb.dialects import Dialect
    from socketnb.engine.loop import Loop

log = logging.getLogger(__name__)
HOST = "127.0.0.1"
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
        self.platform = dialect.NAME
        self.flow = flow
        self.running = True
        self._loop = loop
        self._on_stop = on_stop
        self._faults = {**FAULTS, **dialect.FAULTS}
        self._settings = dialect.simulated(_new_id)
        self._machine = dialect.server(self._settings, _new_id, options)
        self._links: set[str] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._flows: dict[str, Conversation] = {}
        self._out: asyncio.Queue[Emit | Close] = asyncio.Queue()
        self.url = loop.run(self._start(dialect.SERVER_PATH, port, ping_interval, ping_timeout))
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
        self._loop.run(self._cut() if name == DROP else self._fault(name))

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

    async def _start(self, path: str, port: int, ping_interval: float, ping_timeout: float) -> str:
        import socketio
        from aiohttp import web

        self._sio = socketio.AsyncServer(
            async_mode="aiohttp",
            ping_interval=ping_interval,
            ping_timeout=ping_timeout,
            logger=wire,
            engineio_logger=wire,
        )
        self._sio.on("connect", lambda sid, *_: self._opened(sid))
        self._sio.on("disconnect", self._closed)
        self._sio.on("*", self._received)
        app = web.Application()
        self._sio.attach(app, socketio_path=path)
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
        await self._sio.shutdown()
        await self._cut()
        await self._runner.cleanup()

    async def _cut(self) -> None:
        """Cut every connection as a pulled cable does: without a goodbye."""
        for link in self._links:
            self._do(self._machine.closed(link, time.time()))
        for connection in self._runner.server.connections if self._runner.server else []:
            if connection.transport is not None:
                connection.transport.abort()

    async def _fault(self, name: str) -> None:
        self._do(self._machine.fault(name))

    def _opened(self, link: str) -> None:
        self._links.add(link)
        self._do(self._machine.opened(link, time.time()))

    def _closed(self, link: str, reason: str) -> None:
        self._links.discard(link)
        goodbye = reason == self._sio.reason.CLIENT_DISCONNECT
        self._do(self._machine.closed(link, time.time(), goodbye=goodbye))

    def _received(self, event: str, sid: str, *args: Any) -> None:
        payload = args[0] if len(args) == 1 else list(args) or None
        self._do(self._machine.received(sid, event, payload, time.time()))

    def _do(self, effects: Sequence[ServerEffect]) -> None:
        for effect in effects:
            match effect:
                case Run(conversation, did):
                    self._conversation(conversation).take(did)
                case Drop(conversation):
                    if flow := self._flows.pop(conversation, None):
                        flow.stop()
                case _:
                    self._out.put_nowait(effect)
        if self._timer:
            self._timer.cancel()
        if (due := self._machine.deadline) is not None:
            delay = max(0.0, due - time.time())
            self._timer = asyncio.get_running_loop().call_later(delay, self._tick)

    def _tick(self) -> None:
        self._do(self._machine.timer(time.time()))

    def _conversation(self, name: str) -> Conversation:
        if name not in self._flows:
            self._flows[name] = Conversation(
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
                    case Emit(event, args, link):
                        await self._sio.emit(event, args or None, to=link)
                    case Close(link):
                        await self._sio.disconnect(link)
            except Exception:
                log.exception("%s could not be sent", effect.event if isinstance(effect, Emit) else "a goodbye")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < float("inf")


def _new_id() -> str:
    return uuid.uuid4().hex[:12]

"""A server for Engine.IO 4 and Socket.IO 5, which current clients use: python-socketio with the interface of `eio3`.

Both servers call `ServerCallbacks` and offer `emit`, `close` and `stop`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from socketnb.engine.link import wire
from socketnb.model.json import Json, JsonOut

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aiohttp import web


class ServerCallbacks(NamedTuple):
    """The functions that a server calls on its loop for events of clients, in order.

    Attributes:
        opened: Takes the link and the query string; returns the reason if the link is refused.
        received: Takes the link, the event and its arguments; returns the payload of the acknowledgement.
        closed: Takes the link, and whether the client sent a disconnect packet.
    """

    opened: Callable[[str, Mapping[str, str]], str | None]
    received: Callable[[str, str, list[Json]], JsonOut]
    closed: Callable[[str, bool], None]


class Pings(NamedTuple):
    """The interval and the timeout of pings, in seconds."""

    interval: float
    timeout: float


class Server:
    """Serves Engine.IO 4.

    Args:
        app: The aiohttp application.
        path: The path of Socket.IO.
        namespace: The Socket.IO namespace.
        callbacks: The functions to call on events of clients.
        pings: The ping interval and timeout.
    """

    def __init__(
        self, app: web.Application, path: str, namespace: str, callbacks: ServerCallbacks, pings: Pings
    ) -> None:
        import socketio

        self._namespace = namespace
        self._callbacks = callbacks
        self._sio = socketio.AsyncServer(
            async_mode="aiohttp",
            ping_interval=pings.interval,
            ping_timeout=pings.timeout,
            logger=wire,
            engineio_logger=wire,
            namespaces=[namespace],
        )

        def closed(sid: str, reason: str) -> None:
            callbacks.closed(sid, reason == self._sio.reason.CLIENT_DISCONNECT)

        def received(event: str, sid: str, *args: Json) -> JsonOut:
            return callbacks.received(sid, str(event), list(args))

        for event, handler in {"connect": self._opened, "disconnect": closed, "*": received}.items():
            self._sio.on(event, handler, namespace=namespace)
        self._sio.attach(app, socketio_path=path)

    async def emit(self, link: str, event: str, args: tuple[JsonOut, ...], acked: Callable[..., None] | None) -> None:
        """Send an event. `acked` is called with the arguments of the acknowledgement."""
        await self._sio.emit(event, args or None, to=link, namespace=self._namespace, callback=acked)

    async def close(self, link: str) -> None:
        """Disconnect a client."""
        await self._sio.disconnect(link, namespace=self._namespace)

    async def stop(self) -> None:
        """Stop all tasks."""
        await self._sio.shutdown()

    def _opened(self, sid: str, environ: Mapping[str, Any]) -> None:
        from socketio.exceptions import ConnectionRefusedError  # noqa: A004 (the builtin one would lose the reason)

        reason = self._callbacks.opened(sid, environ["aiohttp.request"].query)
        if reason is not None:
            raise ConnectionRefusedError(reason)

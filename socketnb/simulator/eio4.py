"""Engine.IO 4 and Socket.IO 5, which today's clients speak: python-socketio's server, behind the same calls as eio3.

What the two have in common is `LinkCallbacks` (what they tell) and `emit`, `close`, `stop`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from socketnb.engine.link import wire

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aiohttp import web


class LinkCallbacks(NamedTuple):
    """Who is told what clients do, on the loop, in the order of the wire."""

    opened: Callable[[str, Mapping[str, str]], str | None]  # link and query; returns why it is refused, if it is
    received: Callable[[str, str, list[Any]], Any]  # link, event, arguments; returns its acknowledgement
    closed: Callable[[str, bool], None]  # link, and whether it said goodbye


class Server:
    """Serves Engine.IO 4.

    Args:
        app: what it serves in.
        path, namespace: where.
        ears: who is told.
        pings: seconds between pings, and until an unanswered one closes a link.
    """

    def __init__(
        self, app: web.Application, path: str, namespace: str, ears: LinkCallbacks, pings: tuple[float, float]
    ) -> None:
        import socketio

        self._namespace = namespace
        self._ears = ears
        self._sio = socketio.AsyncServer(
            async_mode="aiohttp",
            ping_interval=pings[0],
            ping_timeout=pings[1],
            logger=wire,
            engineio_logger=wire,
            namespaces=[namespace],
        )

        def closed(sid: str, why: str) -> None:
            ears.closed(sid, why == self._sio.reason.CLIENT_DISCONNECT)

        def received(event: str, sid: str, *args: Any) -> Any:
            return ears.received(sid, str(event), list(args))

        for event, handler in {"connect": self._opened, "disconnect": closed, "*": received}.items():
            self._sio.on(event, handler, namespace=namespace)
        self._sio.attach(app, socketio_path=path)

    async def emit(self, link: str, event: str, args: tuple[Any, ...], acked: Callable[..., None] | None) -> None:
        """Send an event; `acked` is called with what the client acknowledges it with."""
        await self._sio.emit(event, args or None, to=link, namespace=self._namespace, callback=acked)

    async def close(self, link: str) -> None:
        """Disconnect a client."""
        await self._sio.disconnect(link, namespace=self._namespace)

    async def stop(self) -> None:
        """Stop all tasks."""
        await self._sio.shutdown()

    def _opened(self, sid: str, environ: Mapping[str, Any]) -> None:
        from socketio.exceptions import ConnectionRefusedError  # noqa: A004 (the builtin one would lose the reason)

        reason = self._ears.opened(sid, environ["aiohttp.request"].query)
        if reason is not None:
            raise ConnectionRefusedError(reason)

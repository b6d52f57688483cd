"""Engine.IO 4 and Socket.IO 5, which today's clients speak: python-socketio's server, behind the same calls as eio3.

What the two have in common is `Ears` (what they tell) and `emit`, `close`, `stop`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from socketnb.engine.link import wire

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aiohttp import web


class Ears(NamedTuple):
    """Who is told what clients do, on the loop, in the order of the wire."""

    opened: Callable[[str, Mapping[str, str]], str | None]  # link and query; returns why it is refused, if it is
    received: Callable[[str, str, list[Any]], None]  # link, event, arguments
    closed: Callable[[str, bool], None]  # link, and whether it said goodbye


class Server:
    """Serves Engine.IO 4.

    Args:
        app: what it serves in.
        path: where.
        ears: who is told.
        ping_interval, ping_timeout: seconds.
    """

    def __init__(self, app: web.Application, path: str, ears: Ears, ping_interval: float, ping_timeout: float) -> None:
        import socketio

        self._ears = ears
        self._sio = socketio.AsyncServer(
            async_mode="aiohttp",
            ping_interval=ping_interval,
            ping_timeout=ping_timeout,
            logger=wire,
            engineio_logger=wire,
        )
        self._sio.on("connect", self._opened)
        self._sio.on("disconnect", lambda sid, why: ears.closed(sid, why == self._sio.reason.CLIENT_DISCONNECT))
        self._sio.on("*", lambda event, sid, *args: ears.received(sid, str(event), list(args)))
        self._sio.attach(app, socketio_path=path)

    async def emit(self, link: str, event: str, args: tuple[Any, ...], acked: Callable[..., None] | None) -> None:
        """Send an event; `acked` is called with what the client acknowledges it with."""
        await self._sio.emit(event, args or None, to=link, callback=acked)

    async def close(self, link: str) -> None:
        """Disconnect a client."""
        await self._sio.disconnect(link)

    async def stop(self) -> None:
        """Stop all tasks."""
        await self._sio.shutdown()

    def _opened(self, sid: str, environ: Mapping[str, Any]) -> None:
        from socketio.exceptions import ConnectionRefusedError  # noqa: A004 (the builtin one would lose the reason)

        reason = self._ears.opened(sid, environ["aiohttp.request"].query)
        if reason is not None:
            raise ConnectionRefusedError(reason)

"""A link: one Socket.IO connection. It hands on what arrives and translates the library's errors; no more."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import logging
import mimetypes
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlencode

from socketnb.errors import ConnectError, Refused, Unreachable
from socketnb.model.effects import HttpResponse

if TYPE_CHECKING:
    from collections.abc import Callable

    import aiohttp

    from socketnb.model.effects import Address, HttpRequest

log = logging.getLogger(__name__)
wire = logging.getLogger("socketnb.wire")
wire.setLevel(logging.CRITICAL)  # python-socketio logs addresses and payloads as they are, credentials and all
LARGEST = 2**20
"""Bytes of an HTTP answer that are read."""


class LinkCallbacks(NamedTuple):
    """Who is told what arrives, in the order of the wire."""

    event: Callable[[str, list[Any]], None]  # an event and its arguments
    broken: Callable[[str], None]  # what is no Socket.IO packet
    closed: Callable[[str], None]  # once: why the link is gone


class Link:
    """One Socket.IO connection.

    Attributes:
        transport: `websocket` or `polling`.
        sid: the server's id of this connection.
    """

    def __init__(self, address: Address, client: Any) -> None:
        self._namespace = address.namespace
        self._client = client

    @property
    def transport(self) -> str:
        """`websocket` or `polling`."""
        return str(self._client.transport())

    @property
    def sid(self) -> str:
        """The server's id of this connection; it changes with every connection."""
        return str(self._client.get_sid(self._namespace))

    async def emit(self, event: str, args: tuple[Any, ...], acked: Callable[..., None] | None = None) -> None:
        """Send an event; `acked` is called with what it is acknowledged with.

        On a link that is just being lost this does nothing: its loss is reported anyway.
        """
        import socketio.exceptions

        try:
            await self._client.emit(event, args or None, namespace=self._namespace, callback=acked)
        except socketio.exceptions.BadNamespaceError:
            log.debug("%s was not sent: the link is gone", event)

    async def close(self) -> None:
        """Say goodbye and disconnect. The library closes the socket under its own goodbye: ours is sent before."""
        engine = self._client.eio
        with contextlib.suppress(TimeoutError):  # a server that has stopped listening is left all the same
            async with asyncio.timeout(1):
                if engine.state == "connected":
                    await engine.send("1" if self._namespace == "/" else f"1{self._namespace},")
                    await engine.queue.join()
                if engine.transport() == "polling":  # the library's goodbye waits for the poll that is under way
                    await _abort(self._client)
                await self._client.disconnect()


async def open_link(
    address: Address,
    http: aiohttp.ClientSession,
    ears: LinkCallbacks,
) -> Link:
    """Open a connection, trying the address's transports in order.

    Raises:
        Unreachable: nothing answered as a Socket.IO server.
        Refused: the server said no to this client.
    """
    error: ConnectError = Unreachable("no transport to try")
    for transport in address.transports:
        try:
            return await _connect(address, transport, http, ears)
        except Refused:
            raise
        except Unreachable as failed:
            error = failed
    raise error


async def _connect(
    address: Address,
    transport: str,
    http: aiohttp.ClientSession,
    ears: LinkCallbacks,
) -> Link:
    import aiohttp
    import socketio

    sockets = _Sockets(http)
    client = _client_class()(
        reconnection=False, handle_sigint=False, logger=wire, engineio_logger=wire, http_session=sockets
    )
    refused: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    namespace = address.namespace

    def came(event: str, *args: Any) -> Any:
        """Hand an event on; what is returned is its acknowledgement, if its sender asks for one."""
        ears.event(str(event), list(args))
        return address.acks.get(event)

    async def closed(reason: Any = "") -> None:
        """Tell that the link is gone, after what came before: the library hands events on in tasks."""
        asyncio.get_running_loop().call_soon(ears.closed, str(reason) or "lost")
        await sockets.close()

    def refuse(*why: Any) -> None:
        """Take note of a refusal; a link that could not even be opened is told here as well."""
        if client.eio.state == "connected" and not refused.done():
            refused.set_result(_refusal(list(why)))

    client.on("*", came, namespace=namespace)
    client.on("connect_error", refuse, namespace=namespace)
    client.on("disconnect", closed, namespace=namespace)
    dispatch = client.eio.handlers["message"]

    async def guarded(data: Any) -> None:
        """Keep a packet that python-socketio cannot decode from ending as a lost task."""
        try:
            await dispatch(data)
        except Exception as error:  # noqa: BLE001 (a hostile packet may raise anything in the decoder)
            ears.broken(f"{type(error).__name__}: {error}")

    client.eio.on("message", guarded)
    connecting = asyncio.ensure_future(
        client.connect(
            f"{address.url}?{urlencode(address.query)}" if address.query else address.url,
            transports=[transport],
            namespaces=[namespace],
            socketio_path=address.path,
            wait_timeout=None,  # the machine has a clock of its own, and names the step
        )
    )
    try:
        await asyncio.wait([connecting, refused], return_when=asyncio.FIRST_COMPLETED)
        if not refused.done():
            await connecting
    except socketio.exceptions.ConnectionError as error:
        raise Unreachable(_unreachable(address.url, _cause(error))) from error
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise Unreachable(_unreachable(address.url, error)) from error
    else:
        if refused.done():  # the library would wait until the poll that is under way is over
            advice = f": {address.advice}" if address.advice else ""
            raise Refused(f"{address.url} refused the connection: {refused.result()}{advice}")
        return Link(address, client)
    finally:
        if refused.done() or not connecting.done() or connecting.cancelled() or connecting.exception():
            connecting.cancel()
            await asyncio.wait([connecting])
            await _abort(client)
            await sockets.close()


async def _abort(client: Any) -> None:
    """Leave a connection without a goodbye, and without waiting for a poll that is under way."""
    if client.eio.read_loop_task:
        client.eio.read_loop_task.cancel()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(1):
            await client.eio.disconnect(abort=True)


class _Sockets:
    """The shared HTTP session; it closes the websockets that python-engineio leaves open when they are lost."""

    def __init__(self, http: aiohttp.ClientSession) -> None:
        self._http = http
        self.opened: list[Any] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._http, name)

    async def ws_connect(self, *args: Any, **options: Any) -> Any:
        """Open a websocket, and remember it."""
        socket = await self._http.ws_connect(*args, **options)
        self.opened.append(socket)
        return socket

    async def close(self) -> None:
        """Close what is still open, without waiting long for a server that does not answer."""
        for socket in self.opened:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.2):
                    await socket.close()


@functools.cache
def _client_class() -> Any:
    """Return python-socketio's client, but for one thing: collected as garbage, it would close our shared session."""
    import engineio
    import socketio

    class Engine(engineio.AsyncClient):  # type: ignore[misc]  # untyped library
        def __del__(self) -> None:
            """Do nothing: the HTTP session belongs to the loop."""

    class Client(socketio.AsyncClient):  # type: ignore[misc]  # untyped library
        def _engineio_client_class(self) -> type:
            return Engine

    return Client


async def fetch(wanted: HttpRequest, http: aiohttp.ClientSession) -> HttpResponse:
    """Make an HTTP request and return its response; with status 0, the body says why there is none."""
    import aiohttp

    try:
        with contextlib.ExitStack() as stack:
            form = None
            if wanted.file:
                path = Path(wanted.file)
                kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
                form = aiohttp.FormData(quote_fields=False)  # file names as browsers send them
                file = stack.enter_context(path.open("rb"))  # noqa: ASYNC230 (aiohttp reads it in a thread)
                form.add_field("file", file, filename=path.name, content_type=kind)
            async with http.request(wanted.method, wanted.url, headers=wanted.headers, data=form) as answer:
                body = b""
                async for chunk in answer.content.iter_chunked(2**16):
                    body += chunk
                    if len(body) > LARGEST:
                        break
                return HttpResponse(wanted.purpose, answer.status, body)
    except Exception as error:  # noqa: BLE001 (a file's name and a server's answer can make the library raise anything)
        # The text of the library's errors may have the address in it, credentials and all.
        mine = isinstance(error, OSError) and not isinstance(error, aiohttp.ClientError)
        reason = (mine and getattr(error, "strerror", None)) or type(error).__name__
        return HttpResponse(wanted.purpose, 0, reason.encode())


def _unreachable(url: str, cause: BaseException) -> str:
    import aiohttp

    why = str(cause) or type(cause).__name__
    if isinstance(cause, aiohttp.ClientResponseError):  # its text has the whole address, credentials and all
        why = f"HTTP {cause.status}"
    return f"no Socket.IO server answers at {url} ({why}): check the url, and that the server runs"


def _cause(error: BaseException) -> BaseException:
    """Return the error at the bottom: python-engineio says "Connection error", the socket says why."""
    while (below := error.__cause__ or error.__context__) is not None:
        error = below
    return error


def _refusal(said: list[Any]) -> str:
    """Read what a server gave as its reason: a text, JSON in a text, or an object."""
    reason = said[0] if said else "no reason given"
    if isinstance(reason, dict):
        reason = reason.get("message", reason)
    if isinstance(reason, str) and reason.startswith("{"):
        try:
            reason = json.loads(reason).get("message", reason)
        except ValueError:
            log.debug("the refusal only looks like JSON")
    return str(reason)

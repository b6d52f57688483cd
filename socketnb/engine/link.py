"""A link: one Socket.IO connection. It passes on incoming events and translates errors of the library."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlencode

from socketnb.errors import ConnectError, Refused, Unreachable
from socketnb.model.json import Json, JsonOut, from_bytes

if TYPE_CHECKING:
    import aiohttp
    import socketio

    from socketnb.model.effects import Address

log = logging.getLogger(__name__)
wire = logging.getLogger("socketnb.wire")
"""The logger of python-socketio. It is silent, because the library logs addresses and payloads with credentials."""
wire.setLevel(logging.CRITICAL)
TOO_LARGE = "a message was too large"
"""The reason of the loss of a link that the server closed because of the size of a message."""
GOODBYE_TIMEOUT_S = 1.0
"""How long to wait when closing a link if the server does not answer, in seconds."""
SOCKET_CLOSE_TIMEOUT_S = 0.2
"""How long to wait when closing a websocket if the server does not answer, in seconds."""


class LinkCallbacks(NamedTuple):
    """The functions that a link calls, in the order of arrival.

    Attributes:
        event: Called with the name of an event and its arguments.
        broken: Called with a description of each packet that is not a Socket.IO packet.
        closed: Called once, with the reason of the loss.
    """

    event: Callable[[str, list[Json]], None]
    broken: Callable[[str], None]
    closed: Callable[[str], None]


class Link:
    """One Socket.IO connection."""

    def __init__(self, address: Address, client: socketio.AsyncClient) -> None:
        self._namespace = address.namespace
        self._client = client

    @property
    def transport(self) -> str:
        """The transport of the connection, `websocket` or `polling`."""
        return str(self._client.transport())

    @property
    def sid(self) -> str:
        """The server's id for this connection."""
        return str(self._client.get_sid(self._namespace))

    async def emit(self, event: str, args: tuple[JsonOut, ...], on_ack: Callable[..., None] | None = None) -> None:
        """Send an event. `on_ack` is called with the arguments of its acknowledgement.

        If the link has just been lost, do nothing. The loss is reported separately.
        """
        import socketio.exceptions

        try:
            await self._client.emit(event, args or None, namespace=self._namespace, callback=on_ack)
        except socketio.exceptions.BadNamespaceError:
            log.debug("%s was not sent: the link is gone", event)

    async def close(self) -> None:
        """Send a disconnect packet and close the connection.

        The library closes the socket before it sends its own disconnect packet, so this method sends one first.
        """
        engine = self._client.eio
        with contextlib.suppress(TimeoutError):  # a server that does not answer receives no disconnect packet
            async with asyncio.timeout(GOODBYE_TIMEOUT_S):
                if engine.state == "connected":
                    await engine.send("1" if self._namespace == "/" else f"1{self._namespace},")
                    await engine.queue.join()
                if engine.transport() == "polling":  # the library's disconnect waits for the current poll
                    await _abort(self._client)
                await self._client.disconnect()


async def open_link(address: Address, http: aiohttp.ClientSession, callbacks: LinkCallbacks) -> Link:
    """Open a connection, trying the address's transports in order.

    Args:
        address: Where and how to connect.
        http: The HTTP session to connect with.
        callbacks: The functions to call. They may be called before this function returns.

    Raises:
        Unreachable: No Socket.IO server answered.
        Refused: The server refused this client.
    """
    error: ConnectError = Unreachable("the address names no transport")
    for transport in address.transports:
        try:
            return await _connect(address, transport, http, callbacks)
        except Refused:
            raise
        except Unreachable as unreachable:
            error = unreachable
    raise error


async def _connect(address: Address, transport: str, http: aiohttp.ClientSession, callbacks: LinkCallbacks) -> Link:
    import aiohttp
    import socketio

    sockets = _Sockets(http)
    client = _client_class()(
        reconnection=False,
        handle_sigint=False,
        logger=wire,
        engineio_logger=wire,
        http_session=sockets,
        serializer=json_packets(),
    )
    refused = _register(client, address, callbacks, sockets)
    connecting = asyncio.ensure_future(
        client.connect(
            f"{address.url}?{urlencode(address.query)}" if address.query else address.url,
            transports=[transport],
            namespaces=[address.namespace],
            socketio_path=address.path,
            wait_timeout=None,  # the machine has its own timeout, whose error names the late step
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
        if refused.done():  # the library would wait for the end of the current poll
            advice = f": {address.advice}" if address.advice else ""
            raise Refused(f"{address.url} refused the connection: {refused.result()}{advice}")
        return Link(address, client)
    finally:
        if refused.done() or not connecting.done() or connecting.cancelled() or connecting.exception():
            connecting.cancel()
            await asyncio.wait([connecting])
            await _abort(client)
            await sockets.close()


def _register(
    client: socketio.AsyncClient, address: Address, callbacks: LinkCallbacks, sockets: _Sockets
) -> asyncio.Future[str]:
    """Register handlers with the library's client, and return a future that receives the reason of a refusal."""
    loop = asyncio.get_running_loop()
    refused: asyncio.Future[str] = loop.create_future()

    def on_event(event: str, *args: Json) -> JsonOut:
        """Pass on an event, and return the acknowledgement if the sender requests one."""
        callbacks.event(str(event), list(args))
        return address.acks.get(event)

    async def on_disconnect(reason: str = "") -> None:
        """Report the loss of the link after all earlier events, which the library delivers in tasks."""
        loop.call_soon(callbacks.closed, sockets.problem or str(reason) or "lost")
        await sockets.close()

    def on_connect_error(*args: Json) -> None:
        """Store the reason of a refusal. The library also calls this for a link that could not be opened."""
        if client.eio.state == "connected" and not refused.done():
            refused.set_result(_refusal(args))

    handle = client.eio.handlers["message"]

    async def on_packet(packet: str | bytes) -> None:
        """Handle a packet. An undecodable packet would otherwise raise an unhandled error in a task.

        The library would take every later packet for an attachment that is missing or does not fit.
        """
        if isinstance(packet, str) and client.forget_attachments():
            callbacks.broken("an attachment of a binary event is missing")
        try:
            await handle(packet)
        except Exception as error:  # noqa: BLE001 (a hostile packet may raise anything in the decoder)
            client.forget_attachments()
            callbacks.broken(f"{type(error).__name__}: {error}")

    client.on("*", on_event, namespace=address.namespace)
    client.on("connect_error", on_connect_error, namespace=address.namespace)
    client.on("disconnect", on_disconnect, namespace=address.namespace)
    client.eio.on("message", on_packet)
    return refused


async def _abort(client: socketio.AsyncClient) -> None:
    """Close a connection without a disconnect packet and without waiting for the current poll."""
    if client.eio.read_loop_task:
        client.eio.read_loop_task.cancel()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(GOODBYE_TIMEOUT_S):
            await client.eio.disconnect(abort=True)


class _Sockets:
    """The shared HTTP session. It also closes the websockets that python-engineio leaves open when they are lost."""

    def __init__(self, http: aiohttp.ClientSession) -> None:
        self._http = http
        self._opened: list[aiohttp.ClientWebSocketResponse] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._http, name)

    async def ws_connect(self, *args: Any, **options: Any) -> aiohttp.ClientWebSocketResponse:
        """Open a websocket and keep a reference to it."""
        socket: aiohttp.ClientWebSocketResponse = await self._http.ws_connect(*args, **options)
        self._opened.append(socket)
        return socket

    @property
    def problem(self) -> str:
        """Why the server closed a websocket, if its close code tells it."""
        import aiohttp

        too_large = aiohttp.WSCloseCode.MESSAGE_TOO_BIG
        return TOO_LARGE if any(socket.close_code == too_large for socket in self._opened) else ""

    async def close(self) -> None:
        """Close the websockets that are still open."""
        for socket in self._opened:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(SOCKET_CLOSE_TIMEOUT_S):
                    await socket.close()


@functools.cache
def _client_class() -> type[socketio.AsyncClient]:
    """Return a subclass of python-socketio's client that can be collected and that survives bad binary packets.

    The garbage collection of the library's client would close the shared HTTP session.
    """
    import engineio
    import socketio

    class Engine(engineio.AsyncClient):  # type: ignore[misc]  # untyped library
        def __del__(self) -> None:
            """Do nothing, because the HTTP session belongs to the loop."""

    class Client(socketio.AsyncClient):  # type: ignore[misc]  # untyped library
        def _engineio_client_class(self) -> type:
            return Engine

        def forget_attachments(self) -> bool:
            """Stop waiting for the attachments of a binary packet. Return whether one was missing."""
            waited: object = self._binary_packet  # type: ignore[has-type]  # untyped library
            self._binary_packet = None
            return waited is not None

    return Client


@functools.cache
def json_packets() -> type:
    """Return a subclass of python-socketio's packet whose binary arguments are JSON. Other packets have none."""
    import socketio.packet

    class JsonPacket(socketio.packet.Packet):  # type: ignore[misc]  # untyped library
        @classmethod
        def reconstruct_binary(cls, data: object, attachments: list[bytes]) -> object:
            """Put the attachments into the arguments of a binary packet."""
            return super().reconstruct_binary(data, [from_bytes(attachment) for attachment in attachments])

    return JsonPacket


def _unreachable(url: str, cause: BaseException) -> str:
    import aiohttp

    reason = str(cause) or type(cause).__name__
    if isinstance(
        cause, aiohttp.ClientResponseError
    ):  # the text of the error contains the full URL with the credentials
        reason = f"HTTP {cause.status}"
    return f"no Socket.IO server answers at {url} ({reason}): check the url, and that the server is running"


def _cause(error: BaseException) -> BaseException:
    """Return the root cause of an error, because python-engineio itself reports only "Connection error"."""
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    return error


def _refusal(args: Sequence[Json]) -> str:
    """Return the reason that a server sent with a refusal, as a text, JSON in a text, or an object."""
    reason = args[0] if args else "no reason given"
    if isinstance(reason, dict):
        reason = reason.get("message", reason)
    if isinstance(reason, str) and reason.startswith("{"):
        try:
            reason = json.loads(reason).get("message", reason)
        except ValueError:
            log.debug("the refusal begins like JSON but is not valid JSON")
    return str(reason)

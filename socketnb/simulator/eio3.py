"""A server for Engine.IO 3 and Socket.IO 4 (socket.io 2.x), which older clients use and python-socketio lacks.

It has the same path as the server for Engine.IO 4, and serves clients that send `EIO=3`. It differs from the newer
protocol in four
points: the server connects the namespace without a request (`40`); the client sends the pings and the server answers
(`2` → `3`); a refusal is a plain string (`44"reason"`); and polled packets are framed as `<length>:<packet>`, with the
length in UTF-16 code units. Only text, the default namespace and no upgrade from polling are supported.

Sources: engine.io-protocol revision 3, socket.io-protocol revision 4.
"""

from __future__ import annotations

import asyncio
import functools
import json
import re
from typing import TYPE_CHECKING

from aiohttp import WSMsgType, web

from socketnb.model.json import JsonOut

if TYPE_CHECKING:
    from collections.abc import Callable

    from socketnb.simulator.eio4 import Pings, ServerCallbacks

OPEN, CLOSE, PING, PONG, MESSAGE = "01234"
CONNECT, DISCONNECT, EVENT, ACK, ERROR = "01234"
EVENT_OR_ACK = re.compile(r"4([23])(\d{0,9})(\[.*)", re.DOTALL)
LENGTH = re.compile(rb"((?:[0-9]\0){1,9}):\0")
MAX_PACKET_BYTES = 2**20
"""The maximum size of a packet and of the body of a POST request."""
MAX_QUEUED_PACKETS = 5000
"""The maximum number of queued packets for a client that does not read."""


class Client:
    """One connection, with the packets to send and the callbacks of unacknowledged events."""

    def __init__(self, sid: str) -> None:
        self.sid = sid
        self.outbox: asyncio.Queue[str | None] = asyncio.Queue()  # None ends the connection
        self.open = True
        self.polling = False
        self.acks: dict[int, Callable[..., None]] = {}
        self.next_ack = 0
        self.timer: asyncio.TimerHandle | None = None

    @property
    def overloaded(self) -> bool:
        """Whether too many packets or acknowledgements are outstanding."""
        return self.outbox.qsize() > MAX_QUEUED_PACKETS or len(self.acks) > MAX_QUEUED_PACKETS


class Server:
    """Serves Engine.IO 3: `handle` is an aiohttp handler.

    Args:
        callbacks: The functions to call on events of clients.
        new_id: Returns a new unique string at each call.
        pings: The ping interval and timeout. A client that is silent for longer than their sum is disconnected.
    """

    def __init__(self, callbacks: ServerCallbacks, new_id: Callable[[], str], pings: Pings) -> None:
        self._callbacks = callbacks
        self._new_id = new_id
        self._pings = pings
        self._clients: dict[str, Client] = {}

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve one request: a websocket, or a GET or POST of a client that polls."""
        origin = request.headers.get("Origin")
        if origin and origin != f"{request.scheme}://{request.host}":  # a web page of another site
            return _refused(3, "origin not allowed")
        if request.query.get("transport") == "websocket":
            return await self._websocket(request)
        if request.query.get("transport") != "polling" or request.method not in ("GET", "POST"):
            return _refused(0, "Transport unknown")
        if "sid" not in request.query:
            client = self._open(request)
            client.polling = True
            return await self._poll(client)
        known_client = self._clients.get(request.query["sid"])
        if known_client is None:
            return _refused(1, "Session ID unknown")
        return await (self._posted(known_client, request) if request.method == "POST" else self._poll(known_client))

    async def emit(self, link: str, event: str, args: tuple[JsonOut, ...], acked: Callable[..., None] | None) -> None:
        """Send an event. `acked` is called with the arguments of the acknowledgement."""
        client = self._clients[link]
        number = ""
        if acked:
            number = str(client.next_ack)
            client.acks[client.next_ack] = acked
            client.next_ack += 1
        client.outbox.put_nowait(f"{MESSAGE}{EVENT}{number}{json.dumps([event, *args])}")

    async def close(self, link: str) -> None:
        """Disconnect a client."""
        self._clients[link].outbox.put_nowait(f"{MESSAGE}{DISCONNECT}")
        self._closed(self._clients[link], goodbye=False)

    async def stop(self) -> None:
        """Disconnect all clients."""
        for client in list(self._clients.values()):
            self._closed(client, goodbye=False)

    def __contains__(self, link: str) -> bool:
        return link in self._clients

    def _open(self, request: web.Request) -> Client:
        client = Client(self._new_id())
        self._clients[client.sid] = client
        interval, timeout = (int(seconds * 1000) for seconds in self._pings)
        hello = {"sid": client.sid, "upgrades": [], "pingInterval": interval, "pingTimeout": timeout}
        client.outbox.put_nowait(OPEN + json.dumps(hello))
        reason = self._callbacks.opened(client.sid, request.query)
        if reason is None:
            client.outbox.put_nowait(MESSAGE + CONNECT)
            self._restart_timer(client)
        else:
            client.outbox.put_nowait(MESSAGE + ERROR + json.dumps(reason))
            self._closed(client, goodbye=True)
        return client

    async def _websocket(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(max_msg_size=MAX_PACKET_BYTES)
        await socket.prepare(request)
        client = self._open(request)
        writing = asyncio.create_task(_write(client, socket))
        try:
            async for message in socket:
                if message.type is not WSMsgType.TEXT or not client.open:
                    break
                self._packet(client, message.data)
        finally:
            self._closed(client, goodbye=False)
            await writing
        return socket

    async def _poll(self, client: Client) -> web.Response:
        """Return all queued packets, or wait for the first one."""
        packets = [await client.outbox.get()]
        while not client.outbox.empty():
            packets.append(client.outbox.get_nowait())
        if None in packets:  # a client that polls again receives the end again
            client.outbox.put_nowait(None)
        body = "".join(_frame(packet or CLOSE) for packet in packets)
        return web.Response(text=body, content_type="text/plain", charset="UTF-8")

    async def _posted(self, client: Client, request: web.Request) -> web.Response:
        body = await request.read()
        if len(body) > MAX_PACKET_BYTES:
            return _refused(3, "Payload too large")
        try:
            for packet in _unframed(body.decode()):
                self._packet(client, packet)
        except (ValueError, IndexError):
            return _refused(3, "Bad request")
        return web.Response(text="ok")

    def _packet(self, client: Client, packet: str) -> None:
        self._restart_timer(client)
        if client.overloaded:
            self._closed(client, goodbye=False)
        elif packet[:1] == PING:
            client.outbox.put_nowait(PONG + packet[1:6])  # a ping may contain "probe"
        elif packet == CLOSE or packet == MESSAGE + DISCONNECT:
            self._closed(client, goodbye=True)
        elif match := EVENT_OR_ACK.fullmatch(packet):
            kind, number, text = match.groups()
            try:
                args = json.loads(text)
            except (ValueError, RecursionError):
                return
            if kind == EVENT and args and isinstance(args[0], str):
                payload = self._callbacks.received(client.sid, args[0], args[1:])
                if number:
                    ack_args = json.dumps([] if payload is None else [payload])
                    client.outbox.put_nowait(f"{MESSAGE}{ACK}{number}{ack_args}")
            elif kind == ACK and (acked := client.acks.pop(int(number or -1), None)):
                acked(*args)

    def _restart_timer(self, client: Client) -> None:
        """Wait for the next packet of the client, and disconnect it if none arrives in time."""
        if client.timer:
            client.timer.cancel()
        if client.open:
            disconnect = functools.partial(self._closed, client, goodbye=False)
            client.timer = asyncio.get_running_loop().call_later(sum(self._pings), disconnect)

    def _closed(self, client: Client, *, goodbye: bool) -> None:
        if client.open:
            client.open = False
            client.outbox.put_nowait(None)
            if client.timer:
                client.timer.cancel()
            if not client.polling or client.timer is None:
                self._clients.pop(client.sid, None)
            else:  # the client polls once more
                asyncio.get_running_loop().call_later(sum(self._pings), self._clients.pop, client.sid, None)
            self._callbacks.closed(client.sid, goodbye)


async def _write(client: Client, socket: web.WebSocketResponse) -> None:
    try:
        while (packet := await client.outbox.get()) is not None:
            await socket.send_str(packet)
        await socket.close()
    except (ConnectionError, RuntimeError):  # the connection is lost, which the reader detects
        return


def _refused(code: int, message: str) -> web.Response:
    return web.json_response({"code": code, "message": message}, status=400)


def _units(text: str) -> int:
    """Return the length of a text in UTF-16 code units, as JavaScript counts."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _frame(packet: str) -> str:
    return f"{_units(packet)}:{packet}"


def _unframed(body: str) -> list[str]:
    """Return the packets of a body.

    Raises:
        ValueError: The framing is malformed.
    """
    data, packets, start = body.encode("utf-16-le"), [], 0
    while start < len(data):
        length = LENGTH.match(data, start)
        end = length.end() + 2 * int(length[1].replace(b"\0", b"")) if length else 0
        if not length or not length.end() < end <= len(data):
            raise ValueError("a packet is incomplete")
        packets.append(data[length.end() : end].decode("utf-16-le"))
        start = end
    return packets

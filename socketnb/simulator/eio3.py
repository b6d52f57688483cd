"""Engine.IO 3 and Socket.IO 4 (socket.io 2.x), which older clients speak and python-socketio refuses.

It is served on the same path as Engine.IO 4, to clients that say `EIO=3`. What differs from the newer protocol: the
server connects the namespace unasked (`40`), the client pings and the server answers (`2` → `3`), a refusal is a bare
text (`44"why"`), and packets that are polled for are framed as `<length>:<packet>`, length in UTF-16 units. Text
only, the default namespace only, no upgrade from polling.

Sources: engine.io-protocol revision 3, socket.io-protocol revision 4.
"""

from __future__ import annotations

import asyncio
import json
import re
from typing import TYPE_CHECKING, Any

from aiohttp import WSMsgType, web

if TYPE_CHECKING:
    from collections.abc import Callable

    from socketnb.simulator.eio4 import LinkCallbacks

OPEN, CLOSE, PING, PONG, MESSAGE = "01234"
CONNECT, DISCONNECT, EVENT, ACK, ERROR = "01234"
EVENT_OR_ACK = re.compile(r"4([23])(\d{0,9})(\[.*)", re.DOTALL)
LENGTH = re.compile(rb"((?:[0-9]\0){1,9}):\0")
LARGEST = 2**20
"""Bytes of a packet, or of what a client posts."""
BACKLOG = 5000
"""Packets that wait for a client that does not take them."""


class Client:
    """One connection: what is to be sent to it, and who waits to be acknowledged."""

    def __init__(self, sid: str) -> None:
        self.sid = sid
        self.out: asyncio.Queue[str | None] = asyncio.Queue()  # packets; None: the end
        self.open = True
        self.polls = False
        self.acks: dict[int, Callable[..., None]] = {}
        self.sent = 0
        self.timer: asyncio.TimerHandle | None = None

    @property
    def stuck(self) -> bool:
        """Whether too much waits for it."""
        return self.out.qsize() > BACKLOG or len(self.acks) > BACKLOG


class Server:
    """Serves Engine.IO 3: `handle` is an aiohttp handler.

    Args:
        ears: who is told.
        ids: gives a new unique string at each call.
        pings: seconds between pings, and of patience; a client that is silent for longer than both is disconnected.
    """

    def __init__(self, ears: LinkCallbacks, ids: Callable[[], str], pings: tuple[float, float]) -> None:
        self._ears = ears
        self._ids = ids
        self._times = pings
        self._clients: dict[str, Client] = {}

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve one request: a websocket, or one poll or post of a client that has none."""
        origin = request.headers.get("Origin")
        if origin and origin != f"{request.scheme}://{request.host}":  # a page from elsewhere has no business here
            return _refused(3, "origin not allowed")
        if request.query.get("transport") == "websocket":
            return await self._websocket(request)
        if request.query.get("transport") != "polling" or request.method not in ("GET", "POST"):
            return _refused(0, "Transport unknown")
        if "sid" not in request.query:
            client = self._open(request)
            client.polls = True
            return await self._poll(client)
        client_there = self._clients.get(request.query["sid"])
        if client_there is None:
            return _refused(1, "Session ID unknown")
        return await (self._posted(client_there, request) if request.method == "POST" else self._poll(client_there))

    async def emit(self, link: str, event: str, args: tuple[Any, ...], acked: Callable[..., None] | None) -> None:
        """Send an event; `acked` is called with what the client acknowledges it with."""
        client = self._clients[link]
        number = ""
        if acked:
            number = str(client.sent)
            client.acks[client.sent] = acked
            client.sent += 1
        client.out.put_nowait(f"{MESSAGE}{EVENT}{number}{json.dumps([event, *args])}")

    async def close(self, link: str) -> None:
        """Disconnect a client."""
        self._clients[link].out.put_nowait(f"{MESSAGE}{DISCONNECT}")
        self._closed(self._clients[link], goodbye=False)

    async def stop(self) -> None:
        """Disconnect everybody."""
        for client in list(self._clients.values()):
            self._closed(client, goodbye=False)

    def __contains__(self, link: str) -> bool:
        return link in self._clients

    def _open(self, request: web.Request) -> Client:
        client = Client(self._ids())
        self._clients[client.sid] = client
        interval, timeout = (int(seconds * 1000) for seconds in self._times)
        hello = {"sid": client.sid, "upgrades": [], "pingInterval": interval, "pingTimeout": timeout}
        client.out.put_nowait(OPEN + json.dumps(hello))
        refused = self._ears.opened(client.sid, request.query)
        if refused is None:
            client.out.put_nowait(MESSAGE + CONNECT)
            self._alive(client)
        else:
            client.out.put_nowait(MESSAGE + ERROR + json.dumps(refused))
            self._closed(client, goodbye=True)
        return client

    async def _websocket(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(max_msg_size=LARGEST)
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
        """Answer with all packets that are due, or wait for the first."""
        packets = [await client.out.get()]
        while not client.out.empty():
            packets.append(client.out.get_nowait())
        if None in packets:  # the end; a client that polls again is to hear of it too
            client.out.put_nowait(None)
        body = "".join(_frame(packet or CLOSE) for packet in packets)
        return web.Response(text=body, content_type="text/plain", charset="UTF-8")

    async def _posted(self, client: Client, request: web.Request) -> web.Response:
        body = await request.read()
        if len(body) > LARGEST:
            return _refused(3, "Payload too large")
        try:
            for packet in _unframed(body.decode()):
                self._packet(client, packet)
        except (ValueError, IndexError):
            return _refused(3, "Bad request")
        return web.Response(text="ok")

    def _packet(self, client: Client, packet: str) -> None:
        self._alive(client)
        if client.stuck:
            self._closed(client, goodbye=False)
        elif packet[:1] == PING:
            client.out.put_nowait(PONG + packet[1:6])  # "probe" is all that is said so
        elif packet == CLOSE or packet == MESSAGE + DISCONNECT:
            self._closed(client, goodbye=True)
        elif found := EVENT_OR_ACK.fullmatch(packet):
            kind, number, text = found.groups()
            try:
                args = json.loads(text)
            except (ValueError, RecursionError):
                return
            if kind == EVENT and args and isinstance(args[0], str):
                reply = self._ears.received(client.sid, args[0], args[1:])
                if number:
                    acknowledged = json.dumps([] if reply is None else [reply])
                    client.out.put_nowait(f"{MESSAGE}{ACK}{number}{acknowledged}")
            elif kind == ACK and (acked := client.acks.pop(int(number or -1), None)):
                acked(*args)

    def _alive(self, client: Client) -> None:
        """Wait for the next sign of life."""
        if client.timer:
            client.timer.cancel()
        if client.open:
            lost = lambda: self._closed(client, goodbye=False)  # noqa: E731 (called with no argument, once)
            client.timer = asyncio.get_running_loop().call_later(sum(self._times), lost)

    def _closed(self, client: Client, *, goodbye: bool) -> None:
        if client.open:
            client.open = False
            client.out.put_nowait(None)
            if client.timer:
                client.timer.cancel()
            if not client.polls or client.timer is None:
                self._clients.pop(client.sid, None)
            else:  # its last poll is still to come
                asyncio.get_running_loop().call_later(sum(self._times), self._clients.pop, client.sid, None)
            self._ears.closed(client.sid, goodbye)


async def _write(client: Client, socket: web.WebSocketResponse) -> None:
    try:
        while (packet := await client.out.get()) is not None:
            await socket.send_str(packet)
        await socket.close()
    except (ConnectionError, RuntimeError):  # it is gone: who reads from it sees that
        return


def _refused(code: int, message: str) -> web.Response:
    return web.json_response({"code": code, "message": message}, status=400)


def _units(text: str) -> int:
    """Return how long JavaScript thinks a text is."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _frame(packet: str) -> str:
    return f"{_units(packet)}:{packet}"


def _unframed(body: str) -> list[str]:
    """Return the packets of a body.

    Raises:
        ValueError: it is not framed as it should be.
    """
    data, packets, at = body.encode("utf-16-le"), [], 0
    while at < len(data):
        found = LENGTH.match(data, at)
        end = found.end() + 2 * int(found[1].replace(b"\0", b"")) if found else 0
        if not found or not found.end() < end <= len(data):
            raise ValueError("a packet is cut short")
        packets.append(data[found.end() : end].decode("utf-16-le"))
        at = end
    return packets

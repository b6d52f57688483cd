"""Engine.IO 3 on the wire: the packets that older clients send and expect, over a real port."""

import asyncio
import io
import json
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from socketnb.flows.flow import Flow
from socketnb.hub import Hub
from socketnb.simulator.eio3 import _frame, _unframed

Conversation = Callable[[aiohttp.ClientSession, str, dict[str, str]], Awaitable[Any]]


@pytest.fixture
def run_client(hub: Hub, flow: Flow) -> Callable[..., Any]:
    """Return a function that runs a conversation with a simulator over the older protocol."""

    def run(conversation: Conversation, **options: Any) -> Any:
        simulator = hub.simulate("cognigy", flow, **options)
        query = {"EIO": "3", "urlToken": simulator.revealed()["token"], "userId": "u", "sessionId": "s"}

        async def main() -> Any:
            async with aiohttp.ClientSession() as http, asyncio.timeout(20):
                return await conversation(http, f"{simulator.url}/socket.io/", query)

        return asyncio.run(main())

    return run


def input_packet(query: dict[str, str], text: str) -> str:
    payload = {"URLToken": query["urlToken"], "userId": "u", "sessionId": "s", "text": text}
    return "42" + json.dumps(["processInput", payload])


async def until(socket: aiohttp.ClientWebSocketResponse, start: str) -> list[str]:
    """Receive packets up to one that starts like this."""
    packets = [await socket.receive_str()]
    while not packets[-1].startswith(start):
        packets.append(await socket.receive_str())
    return packets


def test_a_websocket_receives_open_then_connect_then_endpoint_ready(run_client: Any) -> None:
    async def conversation(http: aiohttp.ClientSession, url: str, query: dict[str, str]) -> list[str]:
        async with http.ws_connect(url, params={**query, "transport": "websocket"}) as socket:
            first = [await socket.receive_str() for _ in range(3)]
            await socket.send_str("2")
            await socket.send_str("2probe")
            return [*first, *await until(socket, "3probe")]

    opened, connected, ready, *pongs = run_client(conversation)
    hello = json.loads(opened[1:])
    assert (opened[0], hello["upgrades"], hello["pingInterval"], hello["pingTimeout"]) == ("0", [], 25000, 20000)
    assert connected == "40", "the server connects the namespace without being asked"
    assert json.loads(ready[2:]) == ["endpoint-ready"]
    assert pongs == ["3", "3probe"], "the server answers the pings of the client"


def test_an_event_with_an_id_is_acknowledged(run_client: Any) -> None:
    async def conversation(http: aiohttp.ClientSession, url: str, query: dict[str, str]) -> str:
        async with http.ws_connect(url, params={**query, "transport": "websocket"}) as socket:
            await socket.send_str('427["typingStatus",{"status":"typingOn"}]')
            return (await until(socket, "43"))[-1]

    assert run_client(conversation) == "437[]"


@pytest.mark.parametrize(
    "junk",
    [
        "",
        "9",
        "4",
        "42",
        "42[",
        "42{}",
        "42[7]",
        "42[]",
        "43[]",
        "4399999[]",
        "42" + "9" * 30 + "[]",
        "45-[1]",
        "42" + "[" * 9000,
        "6",
    ],
)
def test_malformed_packets_do_not_end_the_connection(run_client: Any, junk: str) -> None:
    async def conversation(http: aiohttp.ClientSession, url: str, query: dict[str, str]) -> list[str]:
        async with http.ws_connect(url, params={**query, "transport": "websocket"}) as socket:
            await socket.send_str(junk)
            await socket.send_str(input_packet(query, "hi"))
            return await until(socket, '42["finalPing"')

    assert any("You said hi" in packet for packet in run_client(conversation))


def test_a_conversation_works_over_polling(run_client: Any) -> None:
    async def conversation(http: aiohttp.ClientSession, url: str, query: dict[str, str]) -> list[str]:
        query = {**query, "transport": "polling", "b64": "1"}
        async with http.get(url, params=query) as answer:
            packets = _unframed(await answer.text())
        query["sid"] = json.loads(packets[0][1:])["sid"]
        async with http.post(url, params=query, data=_frame(input_packet(query, "😀 ä")) + _frame("2")) as answer:
            assert await answer.text() == "ok"
        while not any(packet.startswith('42["finalPing"') for packet in packets):
            async with http.get(url, params=query) as answer:
                packets += _unframed(await answer.text())
        async with http.post(url, params=query, data=_frame("41")) as answer:
            assert answer.status == 200
        async with http.get(url, params=query) as answer:
            return [*packets, *_unframed(await answer.text())]

    packets = run_client(conversation)
    assert packets[1] == "40"
    assert "3" in packets
    assert any("You said 😀 ä" in json.dumps(json.loads(p[2:]), ensure_ascii=False) for p in packets if p[:3] == "42[")
    assert packets[-1] == "1", "a client that polls once more receives the close packet"


@pytest.mark.parametrize(
    ("extra", "headers", "status"),
    [
        ({"sid": "unknown"}, {}, 400),
        ({}, {"Origin": "https://elsewhere.example"}, 400),
        ({"transport": "websocket"}, {"Origin": "https://elsewhere.example"}, 400),
    ],
)
def test_unknown_sessions_and_foreign_origins_are_refused(
    run_client: Any, extra: dict[str, str], headers: dict[str, str], status: int
) -> None:
    async def conversation(http: aiohttp.ClientSession, url: str, query: dict[str, str]) -> int:
        async with http.get(url, params={**query, "transport": "polling", **extra}, headers=headers) as answer:
            return answer.status

    assert run_client(conversation) == status


@pytest.mark.parametrize("body", ["5:42", "x:42", ":", "-1:4", "0:"])
def test_a_post_with_malformed_framing_is_a_bad_request(run_client: Any, body: str) -> None:
    async def conversation(http: aiohttp.ClientSession, url: str, query: dict[str, str]) -> int:
        query = {**query, "transport": "polling"}
        async with http.get(url, params=query) as answer:
            query["sid"] = json.loads(_unframed(await answer.text())[0][1:])["sid"]
        async with http.post(url, params=query, data=body) as answer:
            return answer.status

    assert run_client(conversation) == 400


def test_a_silent_client_is_disconnected(run_client: Any) -> None:
    async def conversation(http: aiohttp.ClientSession, url: str, query: dict[str, str]) -> aiohttp.WSMsgType:
        async with http.ws_connect(url, params={**query, "transport": "websocket"}) as socket:
            await until(socket, "42")
            return (await socket.receive()).type

    assert run_client(conversation, ping_interval=1, ping_timeout=0.1) is aiohttp.WSMsgType.CLOSE


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1)))
def test_unframing_reverses_framing(packets: list[str]) -> None:
    assert _unframed("".join(map(_frame, packets))) == packets


def test_the_length_of_a_frame_is_in_utf_16_code_units() -> None:
    assert _frame("😀a") == "3:😀a"


@pytest.mark.parametrize(("method", "extra"), [("PUT", {}), ("GET", {"transport": "webtransport"})])
def test_unknown_methods_and_transports_are_refused(run_client: Any, method: str, extra: dict[str, str]) -> None:
    async def conversation(http: aiohttp.ClientSession, url: str, query: dict[str, str]) -> int:
        async with http.request(method, url, params={**query, "transport": "polling", **extra}) as answer:
            return answer.status

    assert run_client(conversation) == 400


def test_unframing_many_packets_is_fast() -> None:
    assert len(_unframed("1:2" * 300_000)) == 300_000


def test_a_post_that_is_too_large_is_refused(run_client: Any) -> None:
    async def conversation(http: aiohttp.ClientSession, url: str, query: dict[str, str]) -> int:
        query = {**query, "transport": "polling"}
        async with http.get(url, params=query) as answer:
            query["sid"] = json.loads(_unframed(await answer.text())[0][1:])["sid"]
        async with http.post(url, params=query, data=io.BytesIO(b"2" * (2**20 + 1))) as answer:
            return answer.status

    assert run_client(conversation) == 400


def test_a_client_that_does_not_read_is_disconnected(run_client: Any) -> None:
    async def conversation(http: aiohttp.ClientSession, url: str, query: dict[str, str]) -> int:
        query = {**query, "transport": "polling"}
        async with http.get(url, params=query) as answer:
            query["sid"] = json.loads(_unframed(await answer.text())[0][1:])["sid"]
        async with http.post(url, params=query, data="1:2" * 6000) as answer:
            assert answer.status == 200
        async with http.get(url, params=query) as answer:
            return len(_unframed(await answer.text()))

    assert run_client(conversation) < 5100

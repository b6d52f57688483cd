"""Engine.IO 3, byte by byte: what older clients send and expect, over a real port."""

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
def talk(hub: Hub, flow: Flow) -> Callable[..., Any]:
    """Run a conversation with an endpoint of the older protocol."""

    def run(conversation: Conversation, **options: Any) -> Any:
        simulator = hub.simulate("cognigy", flow, **options)
        query = {"EIO": "3", "urlToken": simulator.revealed()["token"], "userId": "u", "sessionId": "s"}

        async def main() -> Any:
            async with aiohttp.ClientSession() as http, asyncio.timeout(20):
                return await conversation(http, f"{simulator.url}/socket.io/", query)

        return asyncio.run(main())

    return run


def said(query: dict[str, str], text: str) -> str:
    about = {"URLToken": query["urlToken"], "userId": "u", "sessionId": "s", "text": text}
    return "42" + json.dumps(["processInput", about])


async def until(socket: aiohttp.ClientWebSocketResponse, start: str) -> list[str]:
    """Receive until a packet that begins so."""
    packets = [await socket.receive_str()]
    while not packets[-1].startswith(start):
        packets.append(await socket.receive_str())
    return packets


def test_a_websocket_is_opened_connected_and_told_that_the_endpoint_is_ready_in_that_order(talk: Any) -> None:
    async def conversation(http: aiohttp.ClientSession, url: str, query: dict[str, str]) -> list[str]:
        async with http.ws_connect(url, params={**query, "transport": "websocket"}) as socket:
            first = [await socket.receive_str() for _ in range(3)]
            await socket.send_str("2")
            await socket.send_str("2probe")
            return [*first, *await until(socket, "3probe")]

    opened, connected, ready, *pongs = talk(conversation)
    hello = json.loads(opened[1:])
    assert (opened[0], hello["upgrades"], hello["pingInterval"], hello["pingTimeout"]) == ("0", [], 25000, 20000)
    assert connected == "40", "unprompted"
    assert json.loads(ready[2:]) == ["endpoint-ready"]
    assert pongs == ["3", "3probe"], "the client pings, the server answers"


def test_an_event_that_asks_for_an_acknowledgement_gets_an_empty_one(talk: Any) -> None:
    async def conversation(http: aiohttp.ClientSession, url: str, query: dict[str, str]) -> str:
        async with http.ws_connect(url, params={**query, "transport": "websocket"}) as socket:
            await socket.send_str('427["typingStatus",{"status":"typingOn"}]')
            return (await until(socket, "43"))[-1]

    assert talk(conversation) == "437[]"


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
def test_malformed_packets_do_no_harm(talk: Any, junk: str) -> None:
    async def conversation(http: aiohttp.ClientSession, url: str, query: dict[str, str]) -> list[str]:
        async with http.ws_connect(url, params={**query, "transport": "websocket"}) as socket:
            await socket.send_str(junk)
            await socket.send_str(said(query, "hi"))
            return await until(socket, '42["finalPing"')

    assert any("You said hi" in packet for packet in talk(conversation))


def test_a_conversation_by_polling(talk: Any) -> None:
    async def conversation(http: aiohttp.ClientSession, url: str, query: dict[str, str]) -> list[str]:
        query = {**query, "transport": "polling", "b64": "1"}
        async with http.get(url, params=query) as answer:
            packets = _unframed(await answer.text())
        query["sid"] = json.loads(packets[0][1:])["sid"]
        async with http.post(url, params=query, data=_frame(said(query, "😀 ä")) + _frame("2")) as answer:
            assert await answer.text() == "ok"
        while not any(packet.startswith('42["finalPing"') for packet in packets):
            async with http.get(url, params=query) as answer:
                packets += _unframed(await answer.text())
        async with http.post(url, params=query, data=_frame("41")) as answer:
            assert answer.status == 200
        async with http.get(url, params=query) as answer:
            return [*packets, *_unframed(await answer.text())]

    packets = talk(conversation)
    assert packets[1] == "40"
    assert "3" in packets
    assert any("You said 😀 ä" in json.dumps(json.loads(p[2:]), ensure_ascii=False) for p in packets if p[:3] == "42[")
    assert packets[-1] == "1", "the end is told to who polls once more"


@pytest.mark.parametrize(
    ("extra", "headers", "status"),
    [
        ({"sid": "unknown"}, {}, 400),
        ({}, {"Origin": "https://elsewhere.example"}, 400),
        ({"transport": "websocket"}, {"Origin": "https://elsewhere.example"}, 400),
    ],
)
def test_what_has_no_business_here_is_refused(
    talk: Any, extra: dict[str, str], headers: dict[str, str], status: int
) -> None:
    async def conversation(http: aiohttp.ClientSession, url: str, query: dict[str, str]) -> int:
        async with http.get(url, params={**query, "transport": "polling", **extra}, headers=headers) as answer:
            return answer.status

    assert talk(conversation) == status


@pytest.mark.parametrize("body", ["5:42", "x:42", ":", "-1:4", "0:"])
def test_a_post_that_is_not_framed_is_a_bad_request(talk: Any, body: str) -> None:
    async def conversation(http: aiohttp.ClientSession, url: str, query: dict[str, str]) -> int:
        query = {**query, "transport": "polling"}
        async with http.get(url, params=query) as answer:
            query["sid"] = json.loads(_unframed(await answer.text())[0][1:])["sid"]
        async with http.post(url, params=query, data=body) as answer:
            return answer.status

    assert talk(conversation) == 400


def test_a_client_that_is_silent_for_too_long_is_disconnected(talk: Any) -> None:
    async def conversation(http: aiohttp.ClientSession, url: str, query: dict[str, str]) -> aiohttp.WSMsgType:
        async with http.ws_connect(url, params={**query, "transport": "websocket"}) as socket:
            await until(socket, "42")
            return (await socket.receive()).type

    assert talk(conversation, ping_interval=1, ping_timeout=0.1) is aiohttp.WSMsgType.CLOSE


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1)))
def test_what_is_framed_is_unframed_as_it_was(packets: list[str]) -> None:
    assert _unframed("".join(map(_frame, packets))) == packets


def test_a_length_counts_as_javascript_counts() -> None:
    assert _frame("😀a") == "3:😀a"


@pytest.mark.parametrize(("method", "extra"), [("PUT", {}), ("GET", {"transport": "webtransport"})])
def test_what_is_no_transport_is_refused(talk: Any, method: str, extra: dict[str, str]) -> None:
    async def conversation(http: aiohttp.ClientSession, url: str, query: dict[str, str]) -> int:
        async with http.request(method, url, params={**query, "transport": "polling", **extra}) as answer:
            return answer.status

    assert talk(conversation) == 400


def test_many_packets_are_unframed_in_no_time() -> None:
    assert len(_unframed("1:2" * 300_000)) == 300_000


def test_a_post_that_is_too_large_is_refused(talk: Any) -> None:
    async def conversation(http: aiohttp.ClientSession, url: str, query: dict[str, str]) -> int:
        query = {**query, "transport": "polling"}
        async with http.get(url, params=query) as answer:
            query["sid"] = json.loads(_unframed(await answer.text())[0][1:])["sid"]
        async with http.post(url, params=query, data=io.BytesIO(b"2" * (2**20 + 1))) as answer:
            return answer.status

    assert talk(conversation) == 400


def test_a_client_that_takes_nothing_is_disconnected(talk: Any) -> None:
    async def conversation(http: aiohttp.ClientSession, url: str, query: dict[str, str]) -> int:
        query = {**query, "transport": "polling"}
        async with http.get(url, params=query) as answer:
            query["sid"] = json.loads(_unframed(await answer.text())[0][1:])["sid"]
        async with http.post(url, params=query, data="1:2" * 6000) as answer:
            assert answer.status == 200
        async with http.get(url, params=query) as answer:
            return len(_unframed(await answer.text()))

    assert talk(conversation) < 5100

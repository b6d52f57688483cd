"""The simulated endpoint of Cognigy over real sockets, with a client that only sends and keeps events."""

import asyncio
import json
import random
import threading
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable
from itertools import groupby
from pathlib import Path
from typing import Any, Self

import pytest
import socketio

from socketnb.errors import TurnFailed
from socketnb.flows.flow import Flow, FlowTurn
from socketnb.hub import Hub
from socketnb.simulator.server import MAX_REQUEST_BYTES, Simulator

SECONDS = 20


class Client:
    """One connection. It keeps each received event with the time of its arrival."""

    def __init__(self, simulator: Simulator) -> None:
        self.settings = simulator.revealed()
        self.events: list[tuple[str, Any, float]] = []
        self._received = asyncio.Condition()
        self._socket = socketio.AsyncClient(handle_sigint=False, reconnection=False)
        self._socket.on("*", self._receive)

    async def __aenter__(self) -> Self:
        token = self.settings["token"]
        address = f"{self.settings['url']}?userId=u&sessionId=s&emitWithAck=true&urlToken={token}"
        await self._socket.connect(address, transports=["websocket"])
        self.connected_at = asyncio.get_running_loop().time()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._socket.disconnect()

    async def _receive(self, event: str, payload: Any = None) -> None:
        async with self._received:
            self.events.append((event, payload, asyncio.get_running_loop().time()))
            self._received.notify_all()

    async def say(self, text: str, data: Any = None) -> None:
        ids = {"URLToken": self.settings["token"], "userId": "u", "sessionId": "s"}
        await self._socket.emit("processInput", {**ids, "text": text, "data": data})

    def count(self, event: str) -> int:
        return [name for name, *_ in self.events].count(event)

    async def until(self, event: str, number: int = 1) -> None:
        """Wait until an event has arrived this often."""
        async with asyncio.timeout(SECONDS), self._received:
            await self._received.wait_for(lambda: self.count(event) >= number)

    def outputs(self) -> list[Any]:
        return [payload["data"] for event, payload, _ in self.events if event == "output"]

    def texts(self) -> list[str]:
        return [output["text"] for output in self.outputs()]


def run(simulator: Simulator, conversation: Callable[..., Awaitable[None]], clients: int = 1) -> list[Client]:
    """Run a conversation with one or more connections to a simulator, and return the clients."""

    async def main() -> list[Client]:
        used = [Client(simulator) for _ in range(clients)]
        try:
            for client in used:
                await client.__aenter__()
            await conversation(*used)
        finally:
            for client in used:
                await client.__aexit__()
        return used

    return asyncio.run(main())


def test_endpoint_ready_comes_late_and_an_input_before_it_is_lost(hub: Hub, flow: Flow) -> None:
    async def conversation(client: Client) -> None:
        await client.say("early")
        await client.until("endpoint-ready")
        await client.say("in time")
        await client.until("finalPing")

    (client,) = run(hub.simulate("cognigy", flow, ready_after=0.3), conversation)
    event, _, at = client.events[0]
    assert event == "endpoint-ready"
    assert at - client.connected_at > 0.2
    assert client.texts() == ["You said in time"]


def test_two_links_of_a_session_receive_everything(hub: Hub, flow: Flow) -> None:
    async def conversation(one: Client, two: Client) -> None:
        for number, client in enumerate((one, two), 1):
            await client.say(f"from {number}")
            for each in (one, two):
                await each.until("finalPing", number)

    one, two = run(hub.simulate("cognigy", flow), conversation, clients=2)
    assert one.texts() == ["You said from 1", "You said from 2"]
    assert [event[:2] for event in one.events] == [event[:2] for event in two.events], "with the same traceIds"


def test_injected_inputs_run_between_those_of_the_user(hub: Hub, flow: Flow) -> None:
    @flow.otherwise
    def answer(turn: FlowTurn) -> None:
        for part in "abc":
            turn.say(f"{turn.text} {part}")

    simulator = hub.simulate("cognigy", flow)
    choose = random.Random(1).choice  # noqa: S311 (not for cryptography)
    said = [(choose(["say", "inject"]), f"n{n}") for n in range(40)]

    async def conversation(client: Client) -> None:
        for kind, text in said:
            await (client.say(text) if kind == "say" else asyncio.to_thread(simulator.inject, text))
        await client.until("finalPing", len(said))

    (client,) = run(simulator, conversation)
    runs = [list(run) for _, run in groupby(client.outputs(), lambda output: output["traceId"])]
    assert sorted(run[0]["text"] for run in runs) == sorted(f"{text} a" for _, text in said)
    for outputs in runs:
        word = outputs[0]["text"].split()[0]
        assert [output["text"] for output in outputs] == [f"{word} {part}" for part in "abc"]
    names = [event if event != "typingStatus" else payload["status"] for event, payload, _ in client.events[1:]]
    assert names == ["typingOn", "output", "output", "output", "typingOff", "finalPing"] * len(said)


def test_an_agent_and_a_notification_interrupt_a_flow_that_is_answering(hub: Hub, flow: Flow) -> None:
    proceed = threading.Event()

    @flow.on("slow")
    def slow(turn: FlowTurn) -> None:
        turn.say("begun")
        proceed.wait(SECONDS)
        turn.say("finished")

    simulator = hub.simulate("cognigy", flow)

    async def conversation(client: Client) -> None:
        await client.say("slow")
        await client.until("output")
        await asyncio.to_thread(simulator.agent_says, "I am Ada")
        await asyncio.to_thread(simulator.notify, "news")
        await client.until("output", 3)
        proceed.set()
        await client.until("finalPing")

    (client,) = run(simulator, conversation)
    assert client.texts() == ["begun", "I am Ada", "news", "finished"]
    begun, agent, news, finished = (output["traceId"] for output in client.outputs())
    assert begun == finished
    assert len({begun, agent, news}) == 3


def test_bytes_from_a_client_reach_the_flow_as_base64(hub: Hub, flow: Flow) -> None:
    seen: list[Any] = []

    @flow.otherwise
    def keep(turn: FlowTurn) -> None:
        seen.append(turn.data)

    async def conversation(client: Client) -> None:
        await client.say("file", {"content": b"\0\1", "list": [b"\2"]})
        await client.until("finalPing")

    run(hub.simulate("cognigy", flow), conversation)
    assert seen == [{"content": {"base64": "AAE="}, "list": [{"base64": "Ag=="}]}]


def test_a_refused_file_fails_its_turn_and_names_the_status(hub: Hub, flow: Flow, tmp_path: Path) -> None:
    large, other = tmp_path / "large.png", tmp_path / "page.html"
    large.write_bytes(b"12345")
    other.write_text("1")
    simulator = hub.simulate("cognigy", flow, max_file_size=4, file_types="image/*")
    bot = hub.connect("cognigy", **simulator.settings)
    with pytest.raises(TurnFailed, match=r"did not accept the file \(HTTP 413\)"):
        bot.act("upload", file=large)
    with pytest.raises(TurnFailed, match=r"did not accept the file \(HTTP 415\)"):
        bot.act("upload", file=other)
    assert bot.say("hi").text == "You said hi"


def test_a_request_above_the_limit_of_the_server_is_refused_in_json(hub: Hub, flow: Flow) -> None:
    url = f"{hub.simulate('cognigy', flow).url}/fileupload"
    form = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n' + b"1" * MAX_REQUEST_BYTES
    sent = urllib.request.Request(url, form + b"\r\n--x--\r\n", {"Content-Type": "multipart/form-data; boundary=x"})
    with pytest.raises(urllib.error.HTTPError) as raised:
        urllib.request.urlopen(sent, timeout=SECONDS)
    with raised.value as refused:
        assert refused.code == 413
        assert "error" in json.load(refused)

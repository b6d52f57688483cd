"""The engine: the background loop, links, and the driver, with the socket in the way."""

import asyncio
import concurrent.futures
import gc
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from socketnb.engine.link import LinkCallbacks, open_link
from socketnb.engine.loop import Loop, run
from socketnb.errors import ConnectError, SettingsError, SocketnbError
from socketnb.flows.flow import Flow
from socketnb.hub import Hub
from socketnb.model.effects import Address


@pytest.fixture
def loop() -> Iterator[Loop]:
    loop = Loop("test-loop")
    yield loop
    loop.close()


def test_a_loop_starts_on_first_use_and_ends_with_all_its_tasks(loop: Loop) -> None:
    assert "test-loop" not in [t.name for t in threading.enumerate()]
    ended: list[bool] = []

    async def forever() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    future = loop.submit(forever())
    loop.run(asyncio.sleep(0))
    loop.close()
    assert ended == [True]
    assert future.cancelled()
    assert "test-loop" not in [t.name for t in threading.enumerate()]


def test_a_loop_that_was_closed_starts_again(loop: Loop) -> None:
    async def one() -> int:
        return 1

    loop.run(one())
    loop.close()
    assert loop.run(one()) == 1


def test_running_on_a_loop_gives_up_after_the_timeout_and_cancels(loop: Loop) -> None:
    cancelled = threading.Event()

    async def slow() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    with pytest.raises(TimeoutError):
        loop.run(slow(), timeout=0.05)
    assert cancelled.wait(5)


def test_a_coroutines_own_timeout_is_not_taken_for_ours(loop: Loop) -> None:
    async def fails() -> None:
        raise concurrent.futures.TimeoutError("its own")

    with pytest.raises(TimeoutError, match="its own"):
        loop.run(fails())


def test_a_lost_link_is_tried_after_one_second_growing_to_five_five_times() -> None:
    address = Address("http://x", "p")
    assert [address.pause(n) for n in range(address.attempts)] == [1.0, 2.0, 4.0, 5.0, 5.0]
    assert address.pause(10**6) == 5.0


def test_a_packet_that_is_none_becomes_an_error_trace_and_the_session_goes_on(
    hub: Hub, flow: Flow, eventually: Callable[[Callable[[], bool]], None]
) -> None:
    bot = hub.connect("voiceflow", simulate=True, flow=flow)
    simulator: Any = hub._simulators[0]
    (sid,) = simulator._eio4._sio.eio.sockets
    for packet in ('2["unfinished', "9", "x", "2{}", "2[]", "2[7]"):
        hub._simulator_loop.run(simulator._eio4._sio.eio.send(sid, packet))
    eventually(lambda: bot.traces_df()["error"].notna().sum() >= 4)
    assert bot.say("hi").text == "You said hi"
    assert set(bot.traces_df()["error"].dropna().str.split(":").str[0]) == {"not a Socket.IO packet"}


def test_an_exception_in_a_machine_is_a_trace_at_once(hub: Hub, flow: Flow, monkeypatch: pytest.MonkeyPatch) -> None:
    bot = hub.connect("voiceflow", simulate=True, flow=flow)
    machine: Any = bot._driver._machine
    monkeypatch.setattr(machine, "_trace", lambda payload: 1 / 0)
    turn = bot.say("hi")
    assert turn.status == "completed"
    assert "ZeroDivisionError: division by zero" in set(bot.traces_df()["error"].dropna())


def test_a_session_survives_a_main_thread_that_is_busy_longer_than_the_ping_allows(hub: Hub) -> None:
    code = """
import time, threading
import socketnb as snb
flow = snb.Flow("ticker")
@flow.otherwise
async def tick(turn):
    import asyncio
    for n in range(40):
        turn.say(str(n))
        await asyncio.sleep(0.1)
sim = snb.simulate("voiceflow", flow, ping_interval=1, ping_timeout=1)
bot = snb.connect("voiceflow", **sim.settings)
sid = bot._driver.link.sid
turn = bot.send("go")
time.sleep(5)
assert bot._driver.link.sid == sid, "another link"
assert turn.status == "completed", turn.status
assert turn.text.split() == [str(n) for n in range(40)], turn.text
assert bot.traces_df()["link"].max() == 1
print("all there")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "all there\n", done.stderr


def test_a_polling_link_works_where_websockets_do_not(hub: Hub, flow: Flow, monkeypatch: pytest.MonkeyPatch) -> None:
    from aiohttp import ClientConnectionError, ClientSession

    async def blocked(*_: object, **__: object) -> None:
        raise ClientConnectionError("a proxy without websockets")

    monkeypatch.setattr(ClientSession, "ws_connect", blocked)
    bot = hub.connect("voiceflow", simulate=True, flow=flow)
    assert bot.launch().text == "Hello!"
    assert bot.traces_df()["text"][0] == "link 1 over polling"


def test_a_link_that_is_gone_does_not_take_the_others_with_it(
    hub: Hub, flow: Flow, eventually: Callable[[Callable[[], bool]], None]
) -> None:
    bot = hub.connect("voiceflow", simulate=True, flow=flow)
    sid = bot._driver.link.sid if bot._driver.link else None
    other = hub.connect("voiceflow", simulate=True, flow=flow, reconnection_delay=0.01)
    simulator: Any = hub._simulators[-1]
    simulator.fault("drop")
    eventually(lambda: bool(other.traces_df()["kind"].isin(["resumed"]).any()))
    with pytest.raises(SettingsError):
        hub.connect("voiceflow", simulate=True, flow=flow, timeout="soon")
    with pytest.raises(ConnectError):
        hub.connect("voiceflow", project_id="x", url=f"{simulator.url}", timeout=5)
    gc.collect()  # python-engineio's client closes the HTTP session it has when it is collected
    assert bot.say("hi").text == "You said hi"
    assert bot._driver.link
    assert bot._driver.link.sid == sid


OPEN = '0{"sid":"s","upgrades":[],"pingInterval":25000,"pingTimeout":20000}'


@pytest.mark.parametrize("answer", ["no packet at all", OPEN, None])
def test_a_handshake_that_fails_leaves_no_websocket_open(loop: Loop, answer: str | None) -> None:
    async def scenario() -> str:
        opened, asked, closed = asyncio.Event(), asyncio.Event(), asyncio.get_running_loop().create_future()
        tracing = aiohttp.TraceConfig()

        async def mark(*_: object) -> None:
            opened.set()

        tracing.on_request_end.append(mark)

        async def serve(request: web.Request) -> web.WebSocketResponse:
            socket = web.WebSocketResponse()
            await socket.prepare(request)
            if answer:
                await socket.send_str(answer)
            while (message := await socket.receive()).type is aiohttp.WSMsgType.TEXT:
                asked.set()  # for the namespace
            closed.set_result(message.type.name)
            return socket

        app = web.Application()
        app.router.add_get("/socket.io/", serve)
        async with TestServer(app) as server, aiohttp.ClientSession(trace_configs=[tracing]) as http:
            address = Address(str(server.make_url("")), "socket.io")
            ears = LinkCallbacks(lambda *_: None, lambda _: None, lambda _: None)
            opening = asyncio.ensure_future(open_link(address, http, ears))
            await opened.wait()
            if answer == OPEN:
                await asked.wait()
            if answer in (OPEN, None):  # nobody waits any more for a server that says nothing, or not enough
                opening.cancel()
            await asyncio.wait([opening])
            return str(await asyncio.wait_for(closed, 5))

    assert loop.run(scenario()) == "CLOSE"


async def _double(x: int) -> int:
    await asyncio.sleep(0)
    return 2 * x


def test_a_users_coroutine_runs_inside_a_running_loop() -> None:
    code = (
        "import asyncio, socketnb as snb\n"
        "async def double(x): await asyncio.sleep(0); return 2 * x\n"
        "async def cell(): return snb.run(double(21))\n"
        "print(asyncio.run(cell()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "42\n"


def test_a_loop_that_cannot_be_nested_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import nest_asyncio2

    def apply(loop: object) -> None:
        raise ValueError("Can't patch loop of type")

    monkeypatch.setattr(nest_asyncio2, "apply", apply)

    async def cell() -> int:
        return run(_double(21))

    with pytest.raises(SocketnbError, match=r"cannot nest in a asyncio.*use top-level `await` instead"):
        asyncio.run(cell())

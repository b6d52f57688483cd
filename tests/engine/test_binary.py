"""Binary arguments of events and acknowledgements are recorded as base64."""

import json
import threading
from functools import partial
from typing import Any

import pytest
from conftest import Eventually, sim

from socketnb.conversation.session import Session
from socketnb.hub import Hub


@pytest.mark.parametrize(
    ("args", "payload"),
    [
        ((b"\x00\x01",), {"base64": "AAE="}),
        (({"audio": b"\x00\x01", "n": 1},), {"audio": {"base64": "AAE="}, "n": 1}),
        (({"chunks": [{"data": b"\x00\x01"}, None]},), {"chunks": [{"data": {"base64": "AAE="}}, None]}),
        ((b"\x00", "two", b""), [{"base64": "AA=="}, "two", {"base64": ""}]),
    ],
)
def test_binary_arguments_of_an_event_are_recorded(
    hub: Hub, bot: Session, eventually: Eventually, args: tuple[Any, ...], payload: Any
) -> None:
    hub._simulator_loop.run(sim(hub)._eio4._sio.emit("blob", args))
    eventually(lambda: bot.traces_df()["event"].isin(["blob"]).any())
    (row,) = bot.traces_df().query("event == 'blob'").to_dict("records")
    assert (json.loads(row["payload"]), row["kind"]) == (payload, "custom")
    assert bot.say("hi").text == "You said hi"


@pytest.mark.parametrize(
    "packets",
    [
        ['51-["blob",{"_placeholder":true,"num":7}]', b"\x00"],
        ['52-["blob",{"_placeholder":true,"num":0}]', b"\x00"],
        [b"\x00"],
    ],
)
def test_a_binary_packet_that_does_not_fit_its_attachments_is_an_error_and_the_session_stays_usable(
    hub: Hub, bot: Session, packets: list[Any]
) -> None:
    (sid,) = sim(hub)._eio4._sio.eio.sockets
    for packet in packets:
        hub._simulator_loop.run(sim(hub)._eio4._sio.eio.send(sid, packet))
    assert bot.say("hi", timeout=5).text == "You said hi"
    assert bot.traces_df()["error"].str.contains("not a Socket.IO packet").sum() == 1


def test_a_placeholder_in_a_text_packet_is_kept_as_it_is(hub: Hub, bot: Session, eventually: Eventually) -> None:
    (sid,) = sim(hub)._eio4._sio.eio.sockets
    hub._simulator_loop.run(sim(hub)._eio4._sio.eio.send(sid, '2["blob",{"_placeholder":true,"num":0}]'))
    eventually(lambda: bot.traces_df()["event"].isin(["blob"]).any())
    (row,) = bot.traces_df().query("event == 'blob'").to_dict("records")
    assert json.loads(row["payload"]) == {"_placeholder": True, "num": 0}


def test_binary_arguments_of_an_acknowledgement_reach_the_machine_as_base64(
    hub: Hub, bot: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    acked = threading.Event()
    got: list[Any] = []

    def take(key: object, args: Any, now: float) -> list[Any]:
        got.extend(args)
        acked.set()
        return []

    monkeypatch.setattr(bot._driver._machine, "acked", take)
    links = bot._driver._links
    assert links.current
    number = links.current._client._generate_ack_id("/", partial(links._on_ack, links.number, "key"))
    (sid,) = sim(hub)._eio4._sio.eio.sockets
    for packet in (f'61-{number}[{{"file":[{{"_placeholder":true,"num":0}}]}}]', b"\x00\x01"):
        hub._simulator_loop.run(sim(hub)._eio4._sio.eio.send(sid, packet))
    assert acked.wait(5)
    assert got == [{"file": [{"base64": "AAE="}]}]


def test_events_without_binary_arguments_are_not_searched_for_bytes(
    bot: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    converted: list[object] = []
    monkeypatch.setattr("socketnb.engine.link.from_bytes", converted.append)
    assert bot.say("hi").text == "You said hi"
    assert converted == []

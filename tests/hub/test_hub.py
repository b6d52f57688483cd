"""The hub: opening sessions, with every way in which that goes wrong; names, settings, closing."""

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from conftest import FAST

import socketnb as snb
from socketnb.errors import ConnectError, ConnectTimeout, Refused, SessionError, SettingsError, Unreachable
from socketnb.flows.flow import Flow
from socketnb.hub import Hub


@contextmanager
def server_that(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """Serve something that is no Socket.IO server, on a free port."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                answer(connection)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(5)


def test_a_session_is_found_by_its_name_or_as_the_one_used_last(hub: Hub, flow: Flow) -> None:
    with pytest.raises(SessionError, match="no session is open: snb.connect"):
        hub.session()
    bot = hub.connect("voiceflow", name="shop", simulate=True, flow=flow)
    assert hub.session() is hub.session("shop") is bot
    other = hub.connect("voiceflow", simulate=True, flow=flow)
    assert hub.sessions() == [bot, other]
    with pytest.raises(SessionError, match=r"unknown session 'shp'; did you mean 'shop'\?"):
        hub.session("shp")
    assert hub.session() is other
    assert hub.use("shop") is hub.session() is bot
    third = hub.connect("voiceflow", name="third", simulate=True, flow=flow)
    third.close()
    with pytest.raises(SessionError, match="which session"):
        hub.session()


def test_sessions_without_a_name_get_one_each(hub: Hub, flow: Flow) -> None:
    names = [hub.connect("voiceflow", simulate=True, flow=flow).name for _ in range(3)]
    assert names == ["voiceflow", "voiceflow-2", "voiceflow-3"]


def test_running_a_cell_again_replaces_the_session_of_that_name_and_goes_on_counting(hub: Hub, flow: Flow) -> None:
    first = hub.connect("voiceflow", name="bot", simulate=True, flow=flow)
    first.launch()
    second = hub.connect("voiceflow", name="bot", simulate=True, flow=flow)
    assert first.state == "closed"
    assert hub.sessions() == [second]
    second.launch()
    traces = hub.traces_df(session="bot")
    assert list(traces["seq"]) == list(range(len(traces)))
    assert list(hub.turns_df()["turn"]) == [1, 2]
    assert second.transcript().count("Hello!") == 1, "the new session shows its own conversation"


def test_a_simulator_is_reached_with_its_own_settings(hub: Hub, flow: Flow) -> None:
    with hub.simulate("voiceflow", flow) as simulator:
        assert hub.connect("voiceflow", **simulator.settings).launch().text == "Hello!"


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ({"platform": "voicflow"}, r"unknown platform 'voicflow'; did you mean 'voiceflow'\?"),
        ({"platform": "voiceflow"}, r"needs project_id .*SOCKETNB_VOICEFLOW_PROJECT_ID.*simulate=True"),
        (
            {"platform": "voiceflow", "projectid": "x"},
            r"unknown voiceflow setting 'projectid'; did you mean 'project_id'\?",
        ),
        ({"platform": "voiceflow", "project_id": "x", "url": "nonsense"}, "url is like https://host"),
        ({"platform": "voiceflow", "project_id": "x", "url": "http://host:port"}, "url is like https://host"),
        ({"platform": "voiceflow", "project_id": 7}, "project_id is a text, not 7"),
        ({"platform": "voiceflow", "project_id": "x", "timeout": "soon"}, "timeout is a number from 0 up, not 'soon'"),
        ({"platform": "voiceflow", "project_id": "x", "timeout": -1}, "timeout is a number from 0 up, not -1"),
        ({"platform": "voiceflow", "project_id": "x", "reconnection_attempts": 1.5}, "is a whole number from 0 up"),
        ({"platform": "voiceflow", "project_id": "x", "completion_events": "perhaps"}, "is True or False"),
        ({"platform": "voiceflow", "project_id": "x", "user_timezone": "Europe/Berlim"}, "a time zone's IANA name"),
        ({"platform": "voiceflow", "project_id": "x", "audio_encoding": "audio/mp3"}, "available: audio/pcm"),
        ({"platform": "voiceflow", "project_id": "x", "transports": "websocket,pigeon"}, "unknown value 'pigeon'"),
        (
            {"platform": "voiceflow", "project_id": "x", "url": "http://me:hunter2@h"},
            "url ends with its path",
        ),
        (
            {"platform": "voiceflow", "project_id": "x", "url": "http://h/?token=hunter2"},
            "url ends with its path",
        ),
        ({"platform": "voiceflow", "simulate": True, "url": "http://h"}, "has its own url"),
        ({"platform": "voiceflow", "simulate": True, "turn_timeout": float("nan")}, "turn_timeout is a number"),
        ({"platform": "voiceflow", "simulate": True, "record": 7}, "record is True, False or a folder"),
        ({"platform": "voiceflow", "simulate": True, "record": "a\0b"}, "record is True, False or a folder"),
        ({"platform": "voiceflow", "simulate": True, "flow": "pizza"}, "flow is a Flow"),
        ({"platform": 7}, "unknown platform 7"),
        ({"platform": "voiceflow", "project_id": "x", "api_key": " "}, "api_key is a text that is not empty"),
        ({"platform": "voiceflow", "project_id": "x", "turn_timeout": 0}, "turn_timeout is a number"),
        ({"platform": "voiceflow", "simulate": True, "name": "two words"}, "name is one word"),
        ({"platform": "voiceflow", "project_id": "x", "flow": Flow("unused")}, "a flow runs on the simulator"),
    ],
)
def test_a_wrong_setting_is_one_sentence_that_names_the_fix(hub: Hub, call: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError, match=said) as caught:
        hub.connect(**call)
    assert "\n" not in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert not hub.sessions()
    assert not hub._simulators


def test_settings_come_from_the_environment_where_no_argument_says_otherwise(
    hub: Hub, flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = hub.simulate("voiceflow", flow).revealed()
    monkeypatch.setenv("SOCKETNB_VOICEFLOW_URL", settings["url"])
    monkeypatch.setenv("SOCKETNB_VOICEFLOW_PROJECT_ID", "to be overruled")
    monkeypatch.setenv("SOCKETNB_VOICEFLOW_API_KEY", settings["api_key"])
    assert hub.connect("voiceflow", project_id=settings["project_id"]).state == "ready"


def test_an_unreachable_host_is_told_at_once(hub: Hub) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(Unreachable, match=f"no Socket.IO server answers at {url} .*check the url"):
        hub.connect("voiceflow", project_id="x", url=url)
    assert not hub.sessions()


def test_a_host_that_does_not_exist_is_told(hub: Hub) -> None:
    with pytest.raises(ConnectError, match="check the url"):
        hub.connect("voiceflow", project_id="x", url="http://no-such-host.invalid")


def test_a_web_server_that_speaks_no_socketio_is_told(hub: Hub) -> None:
    page = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

    def answer(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(page)

    with server_that(answer) as url, pytest.raises(Unreachable, match="no Socket.IO server answers"):
        hub.connect("voiceflow", project_id="x", url=url)


@pytest.mark.parametrize("body", [b"0{}", b"0[]", b"0null", b""])
def test_a_server_that_opens_with_nonsense_is_told_at_once(hub: Hub, body: bytes) -> None:
    def answer(connection: socket.socket) -> None:
        connection.recv(4096)
        length = str(len(body)).encode()
        connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: " + length + b"\r\n\r\n" + body)

    with server_that(answer) as url, pytest.raises(Unreachable, match="no Socket.IO server answers"):
        hub.connect("voiceflow", project_id="x", url=url, timeout=30)


def test_garbage_on_the_wire_is_told(hub: Hub) -> None:
    def answer(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(b"\x00\xffnot http\r\n\r\n")

    with server_that(answer) as url, pytest.raises(Unreachable, match="no Socket.IO server answers"):
        hub.connect("voiceflow", project_id="x", url=url)


def test_a_server_that_is_silent_is_given_up_after_the_timeout(hub: Hub) -> None:
    hold = threading.Event()
    with server_that(lambda _: hold.wait(10) and None) as url:
        with pytest.raises(ConnectTimeout, match="no Socket.IO connection came within 0.3 s"):
            hub.connect("voiceflow", project_id="x", url=url, timeout=0.3)
        hold.set()


def test_a_handshake_that_is_not_answered_is_given_up_and_names_the_step(hub: Hub) -> None:
    simulator = hub.simulate("voiceflow")
    simulator.fault("mute")
    with pytest.raises(ConnectTimeout, match="no client.started came within 0.3 s"):
        hub.connect("voiceflow", **simulator.settings, timeout=0.3)


def test_a_wrong_key_is_refused_in_one_sentence_without_the_key(hub: Hub) -> None:
    settings = {**hub.simulate("voiceflow").settings, "api_key": "VF.DM.planted-key"}
    with pytest.raises(Refused, match="the API key was not accepted: check api_key") as caught:
        hub.connect("voiceflow", **settings)
    assert "planted" not in str(caught.value)
    assert "planted" not in hub.traces_df().to_string()


def test_a_recording_goes_where_it_is_told(hub: Hub, flow: Flow, home: Path, tmp_path: Path) -> None:
    hub.connect("voiceflow", simulate=True, flow=flow, record=False).launch()
    assert not home.exists()
    hub.connect("voiceflow", simulate=True, flow=flow, record=tmp_path / "mine").launch()
    assert len(list((tmp_path / "mine").glob("*.jsonl"))) == 1
    hub.connect("voiceflow", simulate=True, flow=flow).launch()
    folder = hub.recording()
    assert folder
    assert list(folder.glob("*.jsonl"))
    assert hub.traces_df()["recording"].nunique() == 3


def test_closing_twice_and_using_a_hub_again_both_work(hub: Hub, flow: Flow) -> None:
    hub.connect("voiceflow", simulate=True, flow=flow)
    hub.close()
    hub.close()
    assert not hub.sessions()
    assert hub.connect("voiceflow", simulate=True, flow=flow, **FAST).launch().text == "Hello!"


def test_a_port_that_is_taken_is_told(hub: Hub) -> None:
    said = "cannot be used .*choose another, or 0 for any"
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(SettingsError, match=said):
        hub.simulate("voiceflow", port=taken.getsockname()[1])
    with pytest.raises(SettingsError, match="port is a number from 0"):
        hub.simulate("voiceflow", port=70000)


@pytest.mark.parametrize("pings", [{"ping_interval": 0.5}, {"ping_timeout": 0}])
def test_a_ping_too_short_for_the_wire_is_told(hub: Hub, pings: dict[str, float]) -> None:
    with pytest.raises(SettingsError, match="ping_interval is at least 1 s"):
        hub.simulate("voiceflow", **pings)  # type: ignore[arg-type]


def test_an_unknown_fault_says_which_exist(hub: Hub) -> None:
    with pytest.raises(SettingsError, match=r"unknown fault 'dropp'; did you mean 'drop'\?"):
        hub.simulate("voiceflow").fault("dropp")


def test_a_coroutine_is_run_from_a_plain_cell_and_from_one_whose_loop_runs() -> None:
    async def double(x: int) -> int:
        await asyncio.sleep(0)
        return 2 * x

    assert snb.run(double(2)) == 4

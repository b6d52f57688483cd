"""The hub: opening sessions and its errors, names, settings, closing."""

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
    """Run a server that is not a Socket.IO server on a free port. `answer` handles a connection."""
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


def test_a_session_is_found_by_its_name_or_because_it_was_used_last(hub: Hub, flow: Flow) -> None:
    with pytest.raises(SessionError, match="no session is open: open one"):
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
    with pytest.raises(SessionError, match="pass the name of one; available: shop, voiceflow"):
        hub.session()


def test_sessions_without_a_name_are_numbered(hub: Hub, flow: Flow) -> None:
    names = [hub.connect("voiceflow", simulate=True, flow=flow).name for _ in range(3)]
    assert names == ["voiceflow", "voiceflow-2", "voiceflow-3"]


def test_a_new_session_of_the_same_name_replaces_the_old_one_and_continues_its_numbering(hub: Hub, flow: Flow) -> None:
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


def test_the_settings_of_a_simulator_connect_to_it(hub: Hub, flow: Flow) -> None:
    with hub.simulate("voiceflow", flow) as simulator:
        assert hub.connect("voiceflow", **simulator.settings).launch().text == "Hello!"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"platform": "voicflow"}, r"unknown platform 'voicflow'; did you mean 'voiceflow'\?"),
        ({"platform": "voiceflow"}, r"needs project_id .*SOCKETNB_VOICEFLOW_PROJECT_ID.*simulate=True"),
        (
            {"platform": "voiceflow", "projectid": "x"},
            r"unknown voiceflow setting 'projectid'; did you mean 'project_id'\?",
        ),
        ({"platform": "voiceflow", "project_id": "x", "url": "nonsense"}, "url must look like https://host"),
        ({"platform": "voiceflow", "project_id": "x", "url": "http://host:port"}, "url must look like https://host"),
        ({"platform": "voiceflow", "project_id": 7}, "project_id must be a string, got 7"),
        (
            {"platform": "voiceflow", "project_id": "x", "timeout": "soon"},
            "timeout must be a number of at least 0, got 'soon'",
        ),
        ({"platform": "voiceflow", "project_id": "x", "timeout": -1}, "timeout must be a number of at least 0, got -1"),
        (
            {"platform": "voiceflow", "project_id": "x", "reconnection_attempts": 1.5},
            "must be a whole number of at least 0, got 1.5",
        ),
        ({"platform": "voiceflow", "project_id": "x", "completion_events": "perhaps"}, "must be True or False"),
        (
            {"platform": "voiceflow", "project_id": "x", "user_timezone": "Europe/Berlim"},
            "must be an IANA time zone name",
        ),
        ({"platform": "voiceflow", "project_id": "x", "audio_encoding": "audio/mp3"}, "available: audio/pcm"),
        ({"platform": "voiceflow", "project_id": "x", "transports": "websocket,pigeon"}, "unknown value 'pigeon'"),
        (
            {"platform": "voiceflow", "project_id": "x", "url": "http://me:hunter2@h"},
            "url must end with its path",
        ),
        (
            {"platform": "voiceflow", "project_id": "x", "url": "http://h/?token=hunter2"},
            "url must end with its path",
        ),
        ({"platform": "voiceflow", "simulate": True, "url": "http://h"}, "has its own url"),
        (
            {"platform": "voiceflow", "simulate": True, "turn_timeout": float("nan")},
            "turn_timeout must be a number of seconds above 0",
        ),
        ({"platform": "voiceflow", "simulate": True, "record": 7}, "record must be True, False or a folder"),
        ({"platform": "voiceflow", "simulate": True, "record": "a\0b"}, "record must be True, False or a folder"),
        ({"platform": "voiceflow", "simulate": True, "flow": "pizza"}, "flow must be a Flow"),
        ({"platform": 7}, "unknown platform 7"),
        ({"platform": "voiceflow", "project_id": "x", "api_key": " "}, "api_key must be a string that is not empty"),
        (
            {"platform": "voiceflow", "project_id": "x", "turn_timeout": 0},
            "turn_timeout must be a number of seconds above 0",
        ),
        ({"platform": "voiceflow", "simulate": True, "name": "two words"}, "name must be one word"),
        ({"platform": "voiceflow", "project_id": "x", "flow": Flow("unused")}, "a flow runs on the simulator"),
    ],
)
def test_the_error_for_a_wrong_setting_is_one_sentence_that_names_the_fix(
    hub: Hub, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(SettingsError, match=message) as caught:
        hub.connect(**arguments)
    assert "\n" not in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert not hub.sessions()
    assert not hub._simulators


def test_settings_are_read_from_the_environment_unless_they_are_arguments(
    hub: Hub, flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = hub.simulate("voiceflow", flow).revealed()
    monkeypatch.setenv("SOCKETNB_VOICEFLOW_URL", settings["url"])
    monkeypatch.setenv("SOCKETNB_VOICEFLOW_PROJECT_ID", "overridden by the argument")
    monkeypatch.setenv("SOCKETNB_VOICEFLOW_API_KEY", settings["api_key"])
    assert hub.connect("voiceflow", project_id=settings["project_id"]).state == "ready"


def test_connecting_to_a_closed_port_fails_immediately(hub: Hub) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(Unreachable, match=f"no Socket.IO server answers at {url} .*check the url"):
        hub.connect("voiceflow", project_id="x", url=url)
    assert not hub.sessions()


def test_connecting_to_an_unknown_host_names_the_url_as_the_fix(hub: Hub) -> None:
    with pytest.raises(ConnectError, match="check the url"):
        hub.connect("voiceflow", project_id="x", url="http://no-such-host.invalid")


def test_a_web_server_without_socketio_is_unreachable(hub: Hub) -> None:
    page = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

    def answer(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(page)

    with server_that(answer) as url, pytest.raises(Unreachable, match="no Socket.IO server answers"):
        hub.connect("voiceflow", project_id="x", url=url)


@pytest.mark.parametrize("body", [b"0{}", b"0[]", b"0null", b""])
def test_a_server_with_a_malformed_handshake_is_unreachable(hub: Hub, body: bytes) -> None:
    def answer(connection: socket.socket) -> None:
        connection.recv(4096)
        length = str(len(body)).encode()
        connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: " + length + b"\r\n\r\n" + body)

    with server_that(answer) as url, pytest.raises(Unreachable, match="no Socket.IO server answers"):
        hub.connect("voiceflow", project_id="x", url=url, timeout=30)


def test_a_server_that_does_not_speak_http_is_unreachable(hub: Hub) -> None:
    def answer(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(b"\x00\xffnot http\r\n\r\n")

    with server_that(answer) as url, pytest.raises(Unreachable, match="no Socket.IO server answers"):
        hub.connect("voiceflow", project_id="x", url=url)


def test_connecting_to_a_silent_server_times_out(hub: Hub) -> None:
    hold = threading.Event()
    with server_that(lambda _: hold.wait(10) and None) as url:
        with pytest.raises(ConnectTimeout, match="no Socket.IO connection arrived within 0.3 s"):
            hub.connect("voiceflow", project_id="x", url=url, timeout=0.3)
        hold.set()


def test_the_timeout_of_a_handshake_names_the_step(hub: Hub) -> None:
    simulator = hub.simulate("voiceflow")
    simulator.fault("mute")
    with pytest.raises(ConnectTimeout, match="no client.started arrived within 0.3 s"):
        hub.connect("voiceflow", **simulator.settings, timeout=0.3)


def test_the_error_for_a_wrong_key_does_not_contain_the_key(hub: Hub) -> None:
    settings = {**hub.simulate("voiceflow").settings, "api_key": "VF.DM.planted-key"}
    with pytest.raises(Refused, match="the API key was not accepted: check api_key") as caught:
        hub.connect("voiceflow", **settings)
    assert "planted" not in str(caught.value)
    assert "planted" not in hub.traces_df().to_string()


def test_record_selects_where_a_session_is_recorded(hub: Hub, flow: Flow, home: Path, tmp_path: Path) -> None:
    hub.connect("voiceflow", simulate=True, flow=flow, record=False).launch()
    assert not home.exists()
    hub.connect("voiceflow", simulate=True, flow=flow, record=tmp_path / "mine").launch()
    assert len(list((tmp_path / "mine").glob("*.jsonl"))) == 1
    hub.connect("voiceflow", simulate=True, flow=flow).launch()
    folder = hub.recording()
    assert folder
    assert list(folder.glob("*.jsonl"))
    assert hub.traces_df()["recording"].nunique() == 3


def test_a_hub_can_be_closed_twice_and_used_again(hub: Hub, flow: Flow) -> None:
    hub.connect("voiceflow", simulate=True, flow=flow)
    hub.close()
    hub.close()
    assert not hub.sessions()
    assert hub.connect("voiceflow", simulate=True, flow=flow, **FAST).launch().text == "Hello!"


def test_a_port_that_is_in_use_is_rejected(hub: Hub) -> None:
    message = "cannot be used .*choose another port, or 0 for any free one"
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(SettingsError, match=message):
        hub.simulate("voiceflow", port=taken.getsockname()[1])
    with pytest.raises(SettingsError, match="port must be a number from 0"):
        hub.simulate("voiceflow", port=70000)


@pytest.mark.parametrize("pings", [{"ping_interval": 0.5}, {"ping_timeout": 0}])
def test_a_ping_interval_or_timeout_that_is_too_short_is_rejected(hub: Hub, pings: dict[str, float]) -> None:
    with pytest.raises(SettingsError, match="ping_interval must be at least 1 second"):
        hub.simulate("voiceflow", **pings)  # type: ignore[arg-type]


def test_the_error_for_an_unknown_fault_suggests_a_similar_one(hub: Hub) -> None:
    with pytest.raises(SettingsError, match=r"unknown fault 'dropp'; did you mean 'drop'\?"):
        hub.simulate("voiceflow").fault("dropp")


def test_run_returns_the_result_of_a_coroutine() -> None:
    async def double(x: int) -> int:
        await asyncio.sleep(0)
        return 2 * x

    assert snb.run(double(2)) == 4

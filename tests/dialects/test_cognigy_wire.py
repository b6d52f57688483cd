"""Cognigy over real sockets: sessions with the simulator, lost links, files, HTTP, agents."""

import json
import threading
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from conftest import Eventually, sim

from socketnb.conversation.session import Session
from socketnb.errors import ActionError, ConnectError, ConnectTimeout, Refused, SettingsError, TurnFailed
from socketnb.flows.flow import Flow, FlowTurn, card
from socketnb.hub import Hub
from socketnb.model.effects import Close

FAST = {"interval": 0.02}


@pytest.fixture
def flow(flow: Flow) -> Flow:
    """The common test flow, with the steps that only Cognigy has."""

    @flow.on("agent please")
    def agent_please(turn: FlowTurn) -> None:
        turn.queue(2, 90)
        turn.handover("Ada")

    @flow.on("which")
    def which(turn: FlowTurn) -> None:
        turn.choices("Yes", "No", text="Well?")

    @flow.on("story")
    def story(turn: FlowTurn) -> None:
        turn.stream(["Once ", "upon ", "a time."])

    return flow


@pytest.fixture
def bot(hub: Hub, flow: Flow) -> Session:
    return hub.connect("cognigy", name="bot", simulate=True, flow=flow, **FAST)


@pytest.mark.parametrize("transport", ["websocket", "polling", "auto"])
@pytest.mark.parametrize("inner", [True, False])
@pytest.mark.parametrize("prefix", ["", "/bots/eu"])
def test_a_conversation_works_with_every_transport_handshake_and_prefix(
    hub: Hub, flow: Flow, transport: str, inner: Any, prefix: str
) -> None:
    simulator = hub.simulate("cognigy", flow, prefix=prefix)
    bot = hub.connect("cognigy", **simulator.settings, transport=transport, inner_handshake=inner)
    assert bot.launch().text == "Hello!"
    assert bot.press("Order").text == "Which size?"
    assert bot.press("L").text == "One L pizza."
    turns = bot.turns_df()
    assert list(turns["user_text"].fillna("")) == ["", "Order", "L"]
    assert list(turns["reply_text"]) == ["Hello!", "Which size?", "One L pizza."]
    assert list(turns["status"]) == ["completed"] * 3
    assert bot.say("strange").status == "completed"


def test_the_token_of_a_whole_endpoint_url_is_never_shown(
    hub: Hub, flow: Flow, home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    simulator = hub.simulate("cognigy", flow)
    token = simulator.revealed()["token"]
    bot = hub.connect("cognigy", url=f"{simulator.url}/{token}", inner_handshake=True)
    bot.say("hi")
    frame = bot.traces_df()
    assert set(frame["conversation"].dropna()) == {bot._settings["session_id"]}
    visible = frame.to_csv() + repr(bot) + str(bot._repr_mimebundle_()) + caplog.text
    assert token not in visible + "".join(path.read_text() for path in home.rglob("*.jsonl"))
    assert bot._settings["user_id"] in frame["text"][1], "a generated id is shown"


def test_the_error_for_a_wrong_url_does_not_repeat_it(hub: Hub) -> None:
    with pytest.raises(SettingsError) as raised:
        hub.connect("cognigy", url="endpoint.cognigy.ai/0e77b9a19f33")
    assert "0e77" not in str(raised.value)


@pytest.mark.parametrize(
    ("refusal", "transport"),
    [("connect", "websocket"), ("connect", "polling"), ("output", "websocket"), ("exception", "websocket")],
)
def test_a_wrong_token_is_refused_with_the_fix(hub: Hub, flow: Flow, refusal: str, transport: str) -> None:
    simulator = hub.simulate("cognigy", flow, refusal=refusal)
    with pytest.raises(Refused, match="unknown URL token: check the Endpoint URL") as raised:
        hub.connect("cognigy", url=simulator.url, token="abc123-planted", transport=transport)
    assert "planted" not in str(raised.value)


def test_the_refusal_of_a_proxy_does_not_show_the_token(hub: Hub, flow: Flow) -> None:
    simulator = hub.simulate("cognigy", flow)
    with pytest.raises(ConnectError, match="HTTP 404|no Socket.IO server") as raised:
        hub.connect("cognigy", url=f"{simulator.url}/elsewhere", token="planted")
    assert "planted" not in str(raised.value)


def test_an_endpoint_without_endpoint_ready_can_be_used(hub: Hub, flow: Flow) -> None:
    simulator = hub.simulate("cognigy", flow)
    simulator.fault("unready")
    with pytest.warns(RuntimeWarning, match="the endpoint never said it is ready"):
        bot = hub.connect("cognigy", **simulator.settings, ready_timeout=0.3)
    assert bot.say("hi").text == "You said hi"
    warning, ready = bot.traces_df()["text"][2:4]
    assert warning == "connected, but the endpoint never said it is ready: an old endpoint, or a wrong token"
    assert "no endpoint-ready arrived" in ready


def test_an_endpoint_that_closes_the_link_before_it_is_ready_is_an_error_with_the_advice(hub: Hub, flow: Flow) -> None:
    simulator: Any = hub.simulate("cognigy", flow)
    simulator._machine._enter = lambda link, *_: [Close(link)]
    with pytest.raises(ConnectError, match="before it was ready: an old endpoint, or a wrong token"):
        hub.connect("cognigy", **simulator.settings)


def test_buttons_are_shown_below_their_text(bot: Session) -> None:
    turn = bot.say("which")
    assert turn.text == "Well?"
    assert [choice.label for choice in turn.choices] == ["Yes", "No"]
    assert list(bot.messages_df()["text"]) == ["which", "Well?\n[Yes] [No]"]
    assert "Well?" in turn._repr_mimebundle_()["text/html"]
    assert bot.press("no").text == "You said No"


def test_a_stream_is_shown_as_one_message_and_recorded_in_pieces(bot: Session) -> None:
    turn = bot.say("story")
    assert turn.text == "Once upon a time."
    assert list(bot.messages_df()["text"]) == ["story", "Once upon a time."]
    assert list(bot.traces_df()["kind"]).count("delta") == 4
    assert list(bot.turns_df()["reply_text"]) == ["Once upon a time."]


def test_an_agent_takes_over_and_leaves(hub: Hub, bot: Session, eventually: Eventually) -> None:
    bot.say("agent please")
    assert bot.say("hello?").text == "", "the agent has not answered yet"
    sim(hub).agent_says("I am Ada")
    eventually(lambda: "I am Ada" in list(bot.messages_df()["text"]))
    row = bot.messages_df().iloc[-1]
    assert row["sender"] == "agent"
    transcript = bot.transcript()
    assert "position 2 in the queue, about 2 min" in transcript
    assert "Ada has joined" in transcript
    sim(hub).agent_leaves()
    assert bot.say("hi").text == "You said hi"
    bot.say("agent please")
    assert bot.act("reset", text="hi").text == "You said hi"


def test_inject_and_notify_send_unsolicited_messages(hub: Hub, bot: Session, eventually: Eventually) -> None:
    bot.say("hi")
    sim(hub).notify("news", {"key": 1})
    sim(hub).inject("as if")
    eventually(lambda: "You said as if" in list(bot.messages_df()["text"]))
    assert list(bot.messages_df()["text"]) == ["hi", "You said hi", "news", "You said as if"]
    assert list(bot.turns_df()["reply_text"]) == ["You said hi"], "unsolicited messages are no replies"


def test_a_message_of_the_server_needs_a_connected_user(hub: Hub, flow: Flow) -> None:
    simulator = hub.simulate("cognigy", flow)
    with pytest.raises(SettingsError, match="no client has connected"):
        simulator.notify("hello?")
    hub.connect("cognigy", **simulator.settings)
    with pytest.raises(SettingsError, match="no user or session 'bob' has connected"):
        simulator.agent_says("hello?", to="bob")
    with pytest.raises(SettingsError, match="only the flow"):
        hub.simulate("voiceflow", flow).inject("hello?")


def post(url: str, body: Any) -> int:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=5) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def test_inject_and_notify_work_over_http(hub: Hub, flow: Flow, eventually: Eventually) -> None:
    simulator = hub.simulate("cognigy", flow, prefix="bots")
    bot = hub.connect("cognigy", **simulator.settings)
    ids = {"userId": bot._settings["user_id"], "sessionId": bot._settings["session_id"]}
    token = simulator.revealed()["token"]
    assert post(f"{simulator.url}/notify/{token}", {**ids, "text": "news"}) == 200
    assert post(f"{simulator.url}/v2.0/endpoint/inject", {**ids, "URLToken": token, "text": "as if"}) == 200
    assert post(f"{simulator.url}/notify/other", {**ids, "text": "news"}) == 401
    eventually(lambda: list(bot.messages_df()["text"]) == ["news", "You said as if"])


def test_an_uploaded_file_reaches_the_flow_and_the_transcript(hub: Hub, flow: Flow, tmp_path: Path) -> None:
    @flow.on("look (map é.txt)")
    def look(turn: FlowTurn) -> None:
        (meta,) = turn.data["attachments"]
        with urllib.request.urlopen(meta["url"], timeout=5) as file:
            turn.say(f"{turn.verb} {meta['mimeType']} {file.read().decode()} {file.headers['Content-Disposition']}")

    simulator = hub.simulate("cognigy", flow, prefix="bots")
    bot = hub.connect("cognigy", **simulator.settings)
    path = tmp_path / "map é.txt"
    path.write_text("north")
    turn = bot.act("upload", file=path, text="look")
    assert turn.text == "upload text/plain north attachment"
    assert "user:  (upload) look (map é.txt)" in bot.transcript()
    with pytest.raises(ActionError, match="nothing was sent"):
        bot.act("upload", file=tmp_path / "none")
    (tmp_path / "large").write_bytes(bytes(17 * 2**20))
    with pytest.raises(TurnFailed, match="did not accept the file"):
        bot.act("upload", file=tmp_path / "large")
    assert bot.say("hi").text == "You said hi"


def test_every_other_verb_completes_its_turn(bot: Session) -> None:
    assert bot.act("data", data={"a": 1}).traces[0].text == "data"
    assert bot.act("data", data={"a": 1}, text="hi").text == "You said hi"
    assert bot.act("date", date="24.12.").text == "You said 24.12."
    assert bot.act("rate", rating=5, comment="nice").text == "You said 5 nice"
    assert bot.act("accept_privacy").status == "completed"
    assert bot.act("typing").status == "completed"
    assert list(bot.turns_df()["status"]) == ["completed"] * 6
    assert bot.reset().text == "Hello!"


def test_a_session_survives_errors_of_the_endpoint(hub: Hub, bot: Session, eventually: Eventually) -> None:
    sim(hub).fault("error")
    sim(hub).fault("exception")
    eventually(lambda: int(bot.traces_df()["error"].notna().sum()) == 2)
    assert bot.say("malformed").status == "completed"
    with pytest.raises(TurnFailed, match="ZeroDivisionError"):
        bot.say("break")
    assert bot.say("hi").text == "You said hi"


@pytest.mark.slow
def test_an_error_without_a_final_ping_fails_its_turn_soon(hub: Hub, flow: Flow) -> None:
    @flow.on("quota")
    def quota(turn: FlowTurn) -> None:
        turn.raw("output", {"type": "error", "data": {"error": {"message": "limit reached"}}})

    bot = hub.connect("cognigy", simulate=True, flow=flow)
    sim(hub).fault("silent")
    with pytest.raises(TurnFailed, match="limit reached"):
        bot.say("quota")


def test_a_conversation_is_resumed_in_a_later_kernel(hub: Hub, flow: Flow) -> None:
    simulator = hub.simulate("cognigy", flow)
    hub.connect("cognigy", name="shop", resume=True, **simulator.settings).say("Order")
    hub.session("shop").close()
    later = Hub()
    try:
        again = later.connect("cognigy", name="shop", resume=True, **simulator.settings)
        assert again.say("L").text == "One L pizza."
    finally:
        later.close()


def test_the_message_after_the_idle_time_starts_a_new_conversation(
    hub: Hub, flow: Flow, eventually: Eventually
) -> None:
    bot = hub.connect("cognigy", simulate=True, flow=flow, expires_in=0.05)
    bot.say("Order")
    eventually(lambda: bot.state == "ended")
    assert bot.say("L").text == "You said L", "the question belongs to the earlier conversation"
    assert bot.traces_df()["conversation"].nunique() == 2
    assert "idle for 0.05 s" in bot.transcript()


STEPS = ["received", "typingOn", "one", "two", "three", "and more", "typingOff", "completed"]


@pytest.mark.timeout(100)
def test_fifty_lost_links_at_any_step_neither_lose_nor_repeat_an_output(
    hub: Hub, flow: Flow, eventually: Eventually
) -> None:
    @flow.otherwise
    def answer(turn: FlowTurn) -> None:
        for word in ("one", "two"):
            turn.say(f"{word} {turn.text}")
        turn.stream([f"three {turn.text} ", "and more"])
        turn.choices("Yes", "No", text=turn.text)

    bot = hub.connect("cognigy", simulate=True, flow=flow, **FAST)
    simulator: Any = sim(hub)
    cuts: list[str] = []
    input_ = simulator._machine._input

    def receive(*args: Any) -> Any:
        cut("received")
        return input_(*args)

    def cut(*steps: str | None) -> None:
        """Cut the link at a step: the next event and the next acknowledgement are lost."""
        if cuts and cuts[0] in steps:
            cuts.pop()
            simulator._loop.submit(simulator._cut())

    simulator._machine._input = receive
    bot.listen(lambda trace: cut(trace.text, (trace.text or " ").split(" ")[0]) if trace.turn else None)
    for n in range(50):
        cuts[:] = [STEPS[n % len(STEPS)]]
        bot.say(f"n{n}", timeout=10)
        assert not cuts, "the link was never cut"
        eventually(lambda n=n: bot.state == "ready" and bot._driver._links.number == n + 2)  # type: ignore[misc]
    texts = list(bot.messages_df()["text"])
    expected = [
        line
        for n in range(50)
        for line in (f"n{n}", f"one n{n}", f"two n{n}", f"three n{n} and more", f"n{n}\n[Yes] [No]")
    ]
    assert texts == expected
    assert bot.traces_df()["link"].max() == 51


def test_injected_inputs_shift_no_turn_without_a_warning(hub: Hub, flow: Flow, eventually: Eventually) -> None:
    bot = hub.connect("cognigy", name="bot", simulate=True, flow=flow, **FAST)
    injecting = threading.Event()

    def inject() -> None:
        for n in range(10):
            sim(hub).inject(f"injected {n}")
            injecting.set()

    bot.say("first")
    thread = threading.Thread(target=inject)
    thread.start()
    injecting.wait(10)
    turns = {turn.number: turn.text for turn in (bot.say(f"n{n}") for n in range(30))}
    thread.join(10)
    eventually(lambda: int((bot.messages_df()["kind"] == "text").sum()) == 41)
    wrong = {number for number, text in turns.items() if text != f"You said n{number - 2}"}
    eventually(lambda: wrong <= set(bot.traces_df().query("kind == 'warning'")["turn"]))
    assert bot.say("last").text == "You said last"


def test_the_demo_shows_every_kind_of_content(hub: Hub) -> None:
    bot = hub.connect("cognigy", simulate=True)
    bot.say("Show me around")
    kinds = set(bot.messages_df()["kind"])
    assert kinds == {
        "action",
        "adaptive",
        "audio",
        "carousel",
        "choices",
        "custom",
        "date_picker",
        "file",
        "image",
        "list",
        "text",
        "video",
    }


def test_an_event_that_is_sent_again_after_a_lost_link_is_shown_once(
    hub: Hub, bot: Session, eventually: Eventually
) -> None:
    sim(hub).fault("duplicate")
    bot.say("hi")
    sim(hub).fault("drop")
    eventually(lambda: "sent again after the lost link" in set(bot.traces_df()["text"].dropna()))
    assert list(bot.messages_df()["text"]) == ["hi", "You said hi"]


def test_a_card_is_sent_as_a_gallery_of_one(hub: Hub, flow: Flow) -> None:
    @flow.on("goods")
    def goods(turn: FlowTurn) -> None:
        turn.card("Bottle", "cold", choices=["Buy"])
        turn.carousel(card("A"), card("B"))

    for name in ("default", "webchat", "facebook", "preview"):
        with hub.simulate("cognigy", flow, format=name) as simulator:
            bot = hub.connect("cognigy", **simulator.settings)
            assert bot.say("goods").messages[0].choices[0].label == "Buy"
            bot.close()


def test_a_connection_that_takes_too_long_is_a_timeout(hub: Hub, flow: Flow) -> None:
    simulator = hub.simulate("cognigy", flow)
    machine: Any = simulator._machine
    gate = threading.Event()

    def opened(*_: Any) -> Any:
        gate.wait(5)
        return []

    machine.opened = opened
    try:
        with pytest.raises(ConnectTimeout, match="no Socket.IO connection opened within 0.2 s"):
            hub.connect("cognigy", **simulator.settings, timeout=0.2)
    finally:
        gate.set()


def test_closing_sends_no_waiting_turn(hub: Hub, flow: Flow) -> None:
    ran: list[str] = []
    go = threading.Event()

    @flow.otherwise
    def slow(turn: FlowTurn) -> None:
        ran.append(turn.text)
        go.wait(5)

    simulator = hub.simulate("cognigy", flow)
    bot = hub.connect("cognigy", **simulator.settings)
    turns = [bot.send(text) for text in "abc"]
    while not ran:
        threading.Event().wait(0.01)
    bot.close()
    go.set()
    assert {turn.status for turn in turns} == {"cancelled"}
    simulator.stop()
    assert ran == ["a"]


def test_a_session_can_expire_again_and_again(hub: Hub, flow: Flow, eventually: Eventually) -> None:
    bot = hub.connect("cognigy", simulate=True, flow=flow, expires_in=0.05, reconnection=False)
    for _ in range(3):
        eventually(lambda: bot.state == "ended")
        turns = [bot.send(word) for word in "ab"]
        assert [turn.wait(5).text for turn in turns] == ["You said a", "You said b"]


def test_a_chunked_http_answer_is_read_completely(hub: Hub, flow: Flow, tmp_path: Path) -> None:
    from aiohttp import web

    async def chunked(request: web.Request) -> web.StreamResponse:
        if request.method == "GET":
            answer = web.StreamResponse()
            await answer.prepare(request)
            await answer.write(b'{"fileUploadUrl": "http://' + request.host.encode())
            await answer.write(b'/up", "token": "t"}')
            return answer
        return web.json_response({"runtimeFileId": "f", "fileName": "a"})

    async def serve() -> tuple[web.AppRunner, str]:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", chunked)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return runner, f"http://127.0.0.1:{runner.addresses[0][1]}"

    bot = hub.connect("cognigy", simulate=True, flow=flow)
    runner, url = hub._simulator_loop.run(serve())
    machine: Any = bot._driver._machine
    machine._settings = {**machine._settings, "url": url}
    (tmp_path / "a").write_text("a")
    assert bot.act("upload", file=tmp_path / "a").text == "You said a"
    hub._simulator_loop.run(runner.cleanup())


@pytest.mark.parametrize("name", [b"\xff.txt", b"two\nlines.txt", b'quo"te.txt'])
def test_a_file_with_any_name_is_sent_or_refused_at_once(hub: Hub, flow: Flow, tmp_path: Path, name: bytes) -> None:
    import os

    path = tmp_path / os.fsdecode(name)
    path.write_text("north")
    bot = hub.connect("cognigy", simulate=True, flow=flow)
    try:
        assert bot.act("upload", file=path).status == "completed"
    except TurnFailed as error:
        assert "did not accept the file" in str(error)  # noqa: PT017 (either result is right)
    assert bot.say("hi").text == "You said hi"


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({"Content-Type": "application/json; charset=foo"}, b"{}"),
        ({"Content-Type": "application/json"}, b"[" * 100_000),
        ({"Content-Type": "application/json", "Content-Encoding": "gzip"}, b"not gzip"),
        ({"Content-Type": "multipart/form-data; boundary=x"}, b"not a form"),
    ],
)
def test_an_unreadable_http_body_is_a_bad_request(hub: Hub, flow: Flow, headers: dict[str, str], body: bytes) -> None:
    simulator = hub.simulate("cognigy", flow)
    request = urllib.request.Request(f"{simulator.url}/inject/x", body, headers)
    with pytest.raises(urllib.error.HTTPError) as raised:
        urllib.request.urlopen(request, timeout=5)
    with raised.value:
        assert raised.value.code in (400, 401)


def test_buttons_of_every_type_are_shown(hub: Hub, flow: Flow) -> None:
    buttons = [
        {"title": "Alpha", "type": "postback", "payload": ""},
        {"title": 5, "type": "postback", "payload": 7},
        {"title": "Call", "type": "phone_number", "payload": "+49 30 1234"},
        {"title": "Site", "type": "web_url", "url": "https://example.org/a b"},
        {"title": "Evil", "type": "web_url", "url": "javascript:alert(1)"},
    ]

    @flow.on("buttons")
    def show(turn: FlowTurn) -> None:
        rich = {"_default": {"_buttons": {"type": "buttons", "text": "Well?", "buttons": buttons}}}
        turn.raw("output", {"type": "output", "data": {"text": None, "data": {"_cognigy": rich}}})

    bot = hub.connect("cognigy", simulate=True, flow=flow)
    turn = bot.say("buttons")
    html = turn._repr_mimebundle_()["text/html"]
    assert 'href="tel:+49301234"' in html
    assert 'href="https://example.org/a%20b"' in html
    assert "javascript" not in html
    for label in ("Alpha", "5", "Call", "Site", "Evil"):
        assert label in html
        assert label in bot.transcript()
    assert [choice.label for choice in turn.choices] == ["5"]
    assert bot.press("5").text == "You said 7"

"""Eusate over real sockets: conversations, agents, calls, lost links, and an agent as a second client."""

import datetime as dt
import json
import sys
import threading
import types
from pathlib import Path
from typing import Any

import pytest
from conftest import Eventually, sim

from socketnb.conversation.session import Session
from socketnb.errors import ActionError, ConnectError, Refused, TurnFailed
from socketnb.flows.flow import Flow, FlowTurn
from socketnb.hub import Hub

FAST = {"reconnection_delay": 0.02, "reconnection_delay_max": 0.05}


@pytest.fixture
def bot(hub: Hub, flow: Flow) -> Session:
    return hub.connect("eusate", name="bot", simulate=True, flow=flow, **FAST)


@pytest.mark.parametrize("transport", ["auto", "websocket", "polling"])
@pytest.mark.parametrize("answers", ["event", "ack", "both"])
def test_a_conversation_over_every_transport_and_kind_of_answer(
    hub: Hub, flow: Flow, transport: str, answers: str
) -> None:
    simulator = hub.simulate("eusate", flow, answers=answers)
    bot = hub.connect("eusate", **simulator.settings, transport=transport)
    assert bot.say("hi").text == "You said hi"
    assert bot.say("Order").text == "Which size?\n• S\n• L"
    turn = bot.say("L")
    assert (turn.text, turn.reason) == ("One L pizza.", "support")
    assert [choice.label for choice in turn.choices] == ["Close conversation"], "the flow has ended"
    assert bot.press(1).status == "completed"
    assert bot.act("review", rating=5, review="fine").status == "completed"
    assert list(bot.turns_df()["action"]) == ["text", "text", "text", "close", "review"]
    assert bot.conversations()[0].closed


def test_the_demo_covers_bot_agent_call_and_review(hub: Hub, eventually: Eventually) -> None:
    bot = hub.connect("eusate", simulate=True)
    assert bot.say("Where is my order?").text.startswith("Gladly.")
    assert "Tuesday before noon" in bot.say("4567").text
    turn = bot.say("Talk to a person")
    assert "handing you over" in turn.text
    eventually(lambda: "Hello, this is Ada" in bot.transcript())
    assert bot.say("hello Ada").reason == "support_echo"
    sim(hub).agent_says("Look at this.", attachment={"url": "https://example.org/a.pdf", "name": "a.pdf"})
    eventually(lambda: "a.pdf" in bot.transcript())
    sim(hub).agent_leaves()
    eventually(lambda: bot.conversations()[0].handler == "bot")
    call = bot.call()
    call.end()
    assert bot.say("bye").choices[0].label == "Close conversation"
    bot.press("Close conversation")
    assert bot.act("review", rating=4).status == "completed"
    assert "you are now chatting with Ada" in bot.transcript()
    assert set(bot.messages_df()["sender"]) == {"user", "bot", "agent"}


@pytest.mark.parametrize("transport", ["websocket", "polling"])
def test_a_wrong_key_is_refused_with_a_sentence_that_names_the_setting(hub: Hub, flow: Flow, transport: str) -> None:
    simulator = hub.simulate("eusate", flow)
    with pytest.raises(Refused, match="Invalid token: check api_key") as raised:
        hub.connect("eusate", url=simulator.url, api_key="planted-wrong-key", transport=transport)
    assert "planted" not in str(raised.value)


def test_the_key_and_the_token_of_a_call_are_never_shown_or_saved(
    hub: Hub, flow: Flow, home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bot = hub.connect("eusate", name="bot", resume=True, **hub.simulate("eusate", flow).settings)
    call = bot.call()
    exposed = (
        bot.traces_df().to_csv()
        + repr(bot)
        + str(bot._repr_mimebundle_())
        + repr(call)
        + repr(call.token)
        + caplog.text
    )
    exposed += "".join(path.read_text() for path in home.rglob("*") if path.is_file())
    assert call.token.reveal() not in exposed
    assert sim(hub).revealed()["api_key"] not in exposed


def test_a_session_holds_three_open_conversations(bot: Session) -> None:
    for word in ("one", "two", "three"):
        bot.new_conversation().say(word)
    first, second, third = bot.conversations()
    assert bot.say("still the third").status == "completed"
    assert bot.conversation(first.id).say("to the first").status == "completed"
    assert bot.conversation(second).say("to the second").status == "completed"
    with pytest.raises(TurnFailed, match="3 conversations are open, which is the maximum"):
        bot.new_conversation().say("a fourth")
    with pytest.raises(ActionError, match="unknown conversation 'none'"):
        bot.conversation("none")
    frame = bot.messages_df()
    conversation_of = dict(zip(frame["text"], frame["conversation"], strict=True))
    assert conversation_of["You said to the first"] == first.id
    assert conversation_of["You said to the second"] == second.id
    assert conversation_of["You said still the third"] == third.id


def test_other_platforms_have_one_conversation_per_session(hub: Hub, flow: Flow) -> None:
    bot = hub.connect("voiceflow", simulate=True, flow=flow)
    assert bot.conversations() == []
    with pytest.raises(ActionError, match="one conversation per session"):
        bot.new_conversation()
    with pytest.raises(ActionError, match="unknown voiceflow verb 'call'"):
        bot.call()


def test_a_call_knows_its_room_its_times_and_how_it_ended(hub: Hub, bot: Session, eventually: Eventually) -> None:
    bot.say("hi")
    call = bot.call()
    assert call.running
    assert call.room == call.conversation == bot.conversations()[0].id
    assert call.grants["roomJoin"] is True
    assert call.expires is not None
    assert dt.timedelta(hours=5) < call.expires - call.started < dt.timedelta(hours=7)
    with pytest.raises(TurnFailed, match="another call is running"):
        bot.call()
    call.end()
    assert not call.running
    assert call.duration == call.ended - call.started  # type: ignore[operator]
    call.end()
    second = bot.call()
    sim(hub).leave_call()
    eventually(lambda: not second.running)
    assert second.reason == "the bot has left the call"
    assert "the bot has left the call" in bot.transcript()
    sim(hub).agent_joins("Ada")
    eventually(lambda: bot.conversations()[0].handler == "agent")
    with pytest.raises(TurnFailed, match="an agent answers in this conversation"):
        bot.call()


def test_joining_a_call_without_the_voice_extra_says_how_to_install_it(
    bot: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "livekit", None)
    call = bot.call()
    with pytest.raises(ConnectError, match=r'pip install "socketnb\[voice\]"'):
        call.join("wss://example.org")
    call.end()
    with pytest.raises(ConnectError, match="this call has ended"):
        call.join("wss://example.org")


def test_a_call_is_joined_with_the_livekit_sdk(bot: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    joined: list[tuple[str, str]] = []

    class Room:
        """The part of the SDK that is used."""

        async def connect(self, url: str, token: str) -> None:
            joined.append((url, token))
            if "wrong" in url:
                raise RuntimeError(f"engine: no room with {token}")

    livekit = types.ModuleType("livekit")
    livekit.rtc = types.SimpleNamespace(Room=Room)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "livekit", livekit)
    call = bot.call()
    assert isinstance(call.join("wss://example.org"), Room)
    assert joined == [("wss://example.org", call.token.reveal())]
    with pytest.raises(ConnectError, match="the room cannot be joined at wss://wrong") as raised:
        call.join("wss://wrong")
    assert call.token.reveal() not in str(raised.value)


def test_a_conversation_closed_by_the_helpdesk_is_shown_as_closed(
    hub: Hub, bot: Session, eventually: Eventually
) -> None:
    bot.say("hi")
    sim(hub).close()
    eventually(lambda: bot.conversations()[0].closed)
    assert "the helpdesk has closed the conversation" in bot.transcript()
    assert bot.say("again").text == "You said again"
    assert len(bot.conversations()) == 2


def test_a_later_kernel_resumes_the_conversation_of_a_customer(hub: Hub, flow: Flow) -> None:
    simulator = hub.simulate("eusate", flow)
    hub.connect("eusate", name="desk", resume=True, **simulator.settings).say("Order")
    hub.session("desk").close()
    later = Hub()
    try:
        again = later.connect("eusate", name="desk", resume=True, **simulator.settings)
        assert again.say("L").text == "One L pizza."
    finally:
        later.close()


STEPS = ["support", "support_echo", "You", "mark_conversation_read", "enter_support"]


@pytest.mark.timeout(60)
def test_no_message_is_lost_or_doubled_wherever_the_link_is_cut(hub: Hub, bot: Session, eventually: Eventually) -> None:
    simulator, cut_points = sim(hub), [""]

    def cut(trace: Any) -> None:
        if cut_points and cut_points[0] in (trace.event, str(trace.text).split(" ")[0]) and trace.direction == "in":
            cut_points.pop()
            simulator._loop.submit(simulator._cut())

    cut_points.clear()
    bot.say("zero")
    bot.listen(cut)
    expected = ["zero", "You said zero"]
    for n in range(20):
        cut_points[:] = [STEPS[n % len(STEPS)]]
        if n % len(STEPS) == 4:
            simulator.fault("drop")
        else:
            turn = bot.send(f"n{n}")
            turn.wait(10)
            expected += [f"n{n}", f"You said n{n}"]
        simulator.agent_says(f"agent {n}")
        simulator.agent_leaves()
        expected += [f"agent {n}"]
        eventually(lambda n=n: not cut_points and bot.state == "ready" and bot._driver._links.number >= n + 2)  # type: ignore[misc]
        eventually(lambda n=n: f"agent {n}" in list(bot.messages_df()["text"]))  # type: ignore[misc]
        eventually(lambda: bot.conversations()[0].handler == "bot")
    assert list(bot.messages_df()["text"]) == expected


def test_an_agent_can_connect_with_any_socket_io_client(hub: Hub, flow: Flow, eventually: Eventually) -> None:
    import asyncio

    import socketio

    simulator = hub.simulate("eusate", flow)
    bot = hub.connect("eusate", **simulator.settings)
    bot.say("hi")
    settings, payloads = simulator.revealed(), []

    async def agent() -> None:
        received = asyncio.Event()

        def receive(payload: Any) -> None:
            payloads.append(payload)
            received.set()

        client = socketio.AsyncClient(handle_sigint=False)
        client.on("agent_support", receive, namespace="/helpdesk")
        address = f"{settings['url']}?token_source=inapp&token={settings['api_key']}"
        await client.connect(address, namespaces=["/helpdesk"], transports=["websocket"])
        conversation = bot.conversations()[0].id
        await client.emit("enter_support", {"ticket_chat_id": conversation}, namespace="/helpdesk")
        message = {
            "message": "I am real",
            "ticket_chat_id": conversation,
            "attachment": False,
            "attachment_metadata": None,
        }
        await client.emit("agent_support", message, namespace="/helpdesk")
        await asyncio.wait_for(received.wait(), 5)
        await client.disconnect()

    asyncio.run(agent())
    eventually(lambda: "I am real" in list(bot.messages_df()["text"]))
    assert payloads[0]["data"]["sender"] == "agent"
    assert bot.conversations()[0].handler == "agent"
    assert bot.act("attach", files=[{"url": "https://x.org/a.pdf", "name": "a.pdf"}]).reason == "support_echo"


def test_an_error_in_the_flow_fails_the_turn(bot: Session) -> None:
    turn = bot.send("break")
    with pytest.raises(TurnFailed, match="ZeroDivisionError"):
        turn.wait()
    assert (turn.status, "ZeroDivisionError" in str(turn.reason)) == ("failed", True)
    assert bot.say("hi").text == "You said hi"


def test_malformed_events_leave_the_session_usable(hub: Hub, flow: Flow) -> None:
    @flow.on("junk")
    def junk(turn: FlowTurn) -> None:
        for event in (
            "support_echo",
            "customer_support",
            "support_handler_changed",
            "call_support",
            "close_call_support",
        ):
            for payload in (None, 7, [], {}, {"data": 7}, {"status_code": 200, "data": {"ticket_chat_id": 5}}):
                turn.raw(event, payload)
        turn.say("still here")

    bot = hub.connect("eusate", simulate=True, flow=flow)
    assert bot.say("junk").text == "still here"
    assert bot.say("hi").text == "You said hi"
    json.loads(bot.traces_df()["payload"].iloc[-1])


@pytest.mark.parametrize("answers", ["event", "ack", "both"])
def test_a_rejected_message_starts_no_conversation(hub: Hub, flow: Flow, answers: str) -> None:
    bot = hub.connect("eusate", **hub.simulate("eusate", flow, answers=answers).settings)
    sim(hub).fault("refuse")
    turn = bot.say("hi")
    assert (turn.status, turn.reason) == ("rejected", "refused on request")
    assert bot.conversations() == []


def test_a_conversation_with_only_a_call_is_listed_for_a_customer_id_with_special_characters(
    hub: Hub, flow: Flow, eventually: Eventually
) -> None:
    bot = hub.connect("eusate", simulate=True, flow=flow, session_id="a/b ü?c", **FAST)
    bot.call().end()
    sim(hub).fault("drop")
    eventually(lambda: bot.traces_df()["kind"].eq("resumed").any() and bot.state == "ready")
    assert "log" not in set(bot.traces_df()["kind"]), "the helpdesk lists its conversations"
    assert bot.say("hi").text == "You said hi"
    assert len(bot.conversations()) == 1


def test_ending_a_call_does_not_change_the_current_conversation(bot: Session) -> None:
    call = bot.call()
    bot.new_conversation()
    call.end()
    bot.say("hi")
    assert len(bot.conversations()) == 2
    second = bot.conversation(bot.conversations()[1]).call()
    bot.close()
    assert (second.running, second.reason) == (False, "the session was closed")


def test_each_thread_has_its_own_current_conversation(bot: Session) -> None:
    for word in "abc":
        bot.new_conversation().say(word)
    ids = [conversation.id for conversation in bot.conversations()]

    def send_in(id_: str) -> None:
        for n in range(20):
            bot.conversation(id_).send(f"{id_} {n}").wait()

    threads = [threading.Thread(target=send_in, args=[id_]) for id_ in ids]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    frame = bot.messages_df()
    replies = frame[frame["text"].str.startswith("You said conv")]
    assert len(replies) == 60
    assert all(text.split()[2] == id_ for text, id_ in zip(replies["text"], replies["conversation"], strict=True))


@pytest.mark.parametrize("keep_missed", [True, False])
def test_no_reply_is_lost_if_the_link_is_lost_while_a_conversation_starts(
    hub: Hub, flow: Flow, eventually: Eventually, keep_missed: Any
) -> None:
    go = threading.Event()

    @flow.on("slow")
    def slow(turn: FlowTurn) -> None:
        go.wait(10)
        turn.say("at last")

    simulator = hub.simulate("eusate", flow, keep_missed=keep_missed)
    bot = hub.connect("eusate", **simulator.settings, **FAST)
    turn = bot.send("slow")
    eventually(lambda: "ack" in set(bot.traces_df()["kind"]))
    simulator.fault("drop")
    eventually(lambda: bot._driver._links.number == 2 and bot.state == "ready")
    go.set()
    assert turn.wait(10).text == "at last"
    assert bot.say("hi").text == "You said hi"
    assert len(bot.conversations()) == 1

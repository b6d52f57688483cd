"""Eusate over real sockets: conversations, agents, calls, lost links, and a second client that is an agent's."""

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
def test_a_conversation(hub: Hub, flow: Flow, transport: str, answers: str) -> None:
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


def test_the_demo_tells_the_whole_story(hub: Hub, eventually: Eventually) -> None:
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
def test_a_wrong_key_is_one_sentence_that_names_it(hub: Hub, flow: Flow, transport: str) -> None:
    simulator = hub.simulate("eusate", flow)
    with pytest.raises(Refused, match="Invalid token: check api_key") as raised:
        hub.connect("eusate", url=simulator.url, api_key="planted-wrong-key", transport=transport)
    assert "planted" not in str(raised.value)


def test_neither_the_key_nor_a_call_s_token_is_anywhere_to_be_read(
    hub: Hub, flow: Flow, home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bot = hub.connect("eusate", name="bot", resume=True, **hub.simulate("eusate", flow).settings)
    call = bot.call()
    shown = (
        bot.traces_df().to_csv()
        + repr(bot)
        + str(bot._repr_mimebundle_())
        + repr(call)
        + repr(call.token)
        + caplog.text
    )
    shown += "".join(path.read_text() for path in home.rglob("*") if path.is_file())
    assert call.token.reveal() not in shown
    assert sim(hub).revealed()["api_key"] not in shown


def test_three_conversations_in_one_session(bot: Session) -> None:
    for word in ("one", "two", "three"):
        bot.new_conversation().say(word)
    first, second, third = bot.conversations()
    assert bot.say("still the third").status == "completed"
    assert bot.conversation(first.id).say("to the first").status == "completed"
    assert bot.conversation(second).say("to the second").status == "completed"
    with pytest.raises(TurnFailed, match="3 conversations are open, and no more can be"):
        bot.new_conversation().say("a fourth")
    with pytest.raises(ActionError, match="unknown conversation 'none'"):
        bot.conversation("none")
    frame = bot.messages_df()
    said = dict(zip(frame["text"], frame["conversation"], strict=True))
    assert said["You said to the first"] == first.id
    assert said["You said to the second"] == second.id
    assert said["You said still the third"] == third.id


def test_other_platforms_have_one_conversation_a_session(hub: Hub, flow: Flow) -> None:
    bot = hub.connect("voiceflow", simulate=True, flow=flow)
    assert bot.conversations() == []
    with pytest.raises(ActionError, match="one conversation a session"):
        bot.new_conversation()
    with pytest.raises(ActionError, match="unknown voiceflow verb 'call'"):
        bot.call()


def test_a_call_says_where_it_is_and_how_it_ended(hub: Hub, bot: Session, eventually: Eventually) -> None:
    bot.say("hi")
    call = bot.call()
    assert call.running
    assert call.room == call.conversation == bot.conversations()[0].id
    assert call.grants["roomJoin"] is True
    assert call.expires is not None
    assert dt.timedelta(hours=5) < call.expires - call.started < dt.timedelta(hours=7)
    with pytest.raises(TurnFailed, match="a call is running already"):
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
    with pytest.raises(TurnFailed, match="an agent answers here"):
        bot.call()


def test_joining_a_call_without_the_extra_says_how_to_install_it(bot: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "livekit", None)
    call = bot.call()
    with pytest.raises(ConnectError, match=r'pip install "socketnb\[voice\]"'):
        call.join("wss://example.org")
    call.end()
    with pytest.raises(ConnectError, match="this call has ended"):
        call.join("wss://example.org")


def test_a_call_is_joined_with_livekit_s_own_sdk(bot: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, str]] = []

    class Room:
        """What the SDK offers, and no more."""

        async def connect(self, url: str, token: str) -> None:
            seen.append((url, token))
            if "wrong" in url:
                raise RuntimeError(f"engine: no room with {token}")

    livekit = types.ModuleType("livekit")
    livekit.rtc = types.SimpleNamespace(Room=Room)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "livekit", livekit)
    call = bot.call()
    assert isinstance(call.join("wss://example.org"), Room)
    assert seen == [("wss://example.org", call.token.reveal())]
    with pytest.raises(ConnectError, match="the room cannot be joined at wss://wrong") as raised:
        call.join("wss://wrong")
    assert call.token.reveal() not in str(raised.value)


def test_a_helpdesk_that_closes_a_conversation_says_so(hub: Hub, bot: Session, eventually: Eventually) -> None:
    bot.say("hi")
    sim(hub).close()
    eventually(lambda: bot.conversations()[0].closed)
    assert "the helpdesk has closed it" in bot.transcript()
    assert bot.say("again").text == "You said again"
    assert len(bot.conversations()) == 2


def test_a_customer_is_gone_on_with_in_a_later_kernel(hub: Hub, flow: Flow) -> None:
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
def test_a_link_that_is_cut_at_any_point_enters_all_rooms_again_and_misses_and_doubles_nothing(
    hub: Hub, bot: Session, eventually: Eventually
) -> None:
    simulator, cuts = sim(hub), [""]

    def cut(trace: Any) -> None:
        if cuts and cuts[0] in (trace.event, str(trace.text).split(" ")[0]) and trace.direction == "in":
            cuts.pop()
            simulator._loop.submit(simulator._cut())

    cuts.clear()
    bot.say("zero")
    bot.listen(cut)
    wanted = ["zero", "You said zero"]
    for n in range(20):
        cuts[:] = [STEPS[n % len(STEPS)]]
        if n % len(STEPS) == 4:
            simulator.fault("drop")
        else:
            turn = bot.send(f"n{n}")
            turn.wait(10)
            wanted += [f"n{n}", f"You said n{n}"]
        simulator.agent_says(f"agent {n}")
        simulator.agent_leaves()
        wanted += [f"agent {n}"]
        eventually(lambda n=n: not cuts and bot.state == "ready" and bot._driver._number >= n + 2)  # type: ignore[misc]
        eventually(lambda n=n: f"agent {n}" in list(bot.messages_df()["text"]))  # type: ignore[misc]
        eventually(lambda: bot.conversations()[0].handler == "bot")
    assert list(bot.messages_df()["text"]) == wanted


def test_an_agent_is_a_second_client_in_a_browser_or_here(hub: Hub, flow: Flow, eventually: Eventually) -> None:
    import asyncio

    import socketio

    simulator = hub.simulate("eusate", flow)
    bot = hub.connect("eusate", **simulator.settings)
    bot.say("hi")
    settings, heard = simulator.revealed(), []

    async def agent() -> None:
        came = asyncio.Event()

        def hear(said: Any) -> None:
            heard.append(said)
            came.set()

        client = socketio.AsyncClient(handle_sigint=False)
        client.on("agent_support", hear, namespace="/helpdesk")
        address = f"{settings['url']}?token_source=inapp&token={settings['api_key']}"
        await client.connect(address, namespaces=["/helpdesk"], transports=["websocket"])
        talk = bot.conversations()[0].id
        await client.emit("enter_support", {"ticket_chat_id": talk}, namespace="/helpdesk")
        message = {"message": "I am real", "ticket_chat_id": talk, "attachment": False, "attachment_metadata": None}
        await client.emit("agent_support", message, namespace="/helpdesk")
        await asyncio.wait_for(came.wait(), 5)
        await client.disconnect()

    asyncio.run(agent())
    eventually(lambda: "I am real" in list(bot.messages_df()["text"]))
    assert heard[0]["data"]["sender"] == "agent"
    assert bot.conversations()[0].handler == "agent"
    assert bot.act("attach", files=[{"url": "https://x.org/a.pdf", "name": "a.pdf"}]).reason == "support_echo"


def test_errors_of_a_flow_reject_the_turn(bot: Session) -> None:
    turn = bot.say("break")
    assert (turn.status, "ZeroDivisionError" in str(turn.reason)) == ("rejected", True)
    assert bot.say("hi").text == "You said hi"


def test_junk_from_the_helpdesk_breaks_nothing(hub: Hub, flow: Flow) -> None:
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
def test_a_message_that_is_refused_is_rejected_and_begins_nothing(hub: Hub, flow: Flow, answers: str) -> None:
    bot = hub.connect("eusate", **hub.simulate("eusate", flow, answers=answers).settings)
    sim(hub).fault("refuse")
    turn = bot.say("hi")
    assert (turn.status, turn.reason) == ("rejected", "refused on request")
    assert bot.conversations() == []


def test_a_conversation_that_was_only_called_in_and_any_customer_s_id_are_listed(
    hub: Hub, flow: Flow, eventually: Eventually
) -> None:
    bot = hub.connect("eusate", simulate=True, flow=flow, session_id="a/b ü?c", **FAST)
    bot.call().end()
    sim(hub).fault("drop")
    eventually(lambda: bot.traces_df()["kind"].eq("resumed").any() and bot.state == "ready")
    assert "log" not in set(bot.traces_df()["kind"]), "the helpdesk tells its conversations"
    assert bot.say("hi").text == "You said hi"
    assert len(bot.conversations()) == 1


def test_ending_a_call_chooses_no_conversation(bot: Session) -> None:
    call = bot.call()
    bot.new_conversation()
    call.end()
    bot.say("hi")
    assert len(bot.conversations()) == 2
    second = bot.conversation(bot.conversations()[1]).call()
    bot.close()
    assert (second.running, second.reason) == (False, "the session was closed")


def test_each_thread_chooses_for_itself(bot: Session) -> None:
    for word in "abc":
        bot.new_conversation().say(word)
    talks = [talk.id for talk in bot.conversations()]

    def talk_in(talk: str) -> None:
        for n in range(20):
            bot.conversation(talk).send(f"{talk} {n}").wait()

    threads = [threading.Thread(target=talk_in, args=[talk]) for talk in talks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    frame = bot.messages_df()
    replies = frame[frame["text"].str.startswith("You said conv")]
    assert len(replies) == 60
    assert all(text.split()[2] == talk for text, talk in zip(replies["text"], replies["conversation"], strict=True))


@pytest.mark.parametrize("keep_missed", [True, False])
def test_a_link_that_is_lost_while_a_conversation_begins_loses_no_reply(
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
    eventually(lambda: bot._driver._number == 2 and bot.state == "ready")
    go.set()
    assert turn.wait(10).text == "at last"
    assert bot.say("hi").text == "You said hi"
    assert len(bot.conversations()) == 1

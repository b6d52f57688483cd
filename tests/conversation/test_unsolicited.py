"""Messages that no running turn waits for: `next_message` and `messages`."""

import asyncio
import signal
import threading
import time
from typing import Any

import pytest
from conftest import Eventually, sim

import socketnb as snb
from socketnb.conversation.session import Session
from socketnb.errors import ActionError, SessionError, TurnTimeout
from socketnb.flows.flow import Flow
from socketnb.hub import Hub
from socketnb.model.effects import Record


@pytest.fixture
def bot(hub: Hub, flow: Flow) -> Session:
    return hub.connect("cognigy", name="bot", simulate=True, flow=flow)


def record(bot: Session, *effects: Any) -> None:
    """Let the machine of a session return these effects."""
    bot._driver._post(lambda: bot._driver._perform(effects))


def says(words: str, sender: Any = "bot", turn: int = 0) -> Record:
    payload = {"type": "output", "data": {"text": words}}
    return Record("output", "text", payload, sender=sender, turn=turn, text=words)


def test_unsolicited_messages_are_returned_oldest_first_and_once(hub: Hub, bot: Session) -> None:
    bot.say("hi")
    for n in range(3):
        sim(hub).notify(str(n))
    assert [bot.next_message(timeout=5).text for _ in range(3)] == ["0", "1", "2"]
    with pytest.raises(TurnTimeout, match=r"^bot: no unsolicited message arrived within 0.1 s$") as caught:
        bot.next_message(timeout=0.1)
    assert caught.value.turn is None


def test_the_answer_of_a_turn_is_not_unsolicited(bot: Session) -> None:
    assert bot.say("hi").text == "You said hi"
    with pytest.raises(TurnTimeout):
        bot.next_message(timeout=0.1)


def test_a_message_after_the_end_of_its_turn_is_unsolicited(bot: Session) -> None:
    bot.say("hi")
    record(bot, says("one more thing", turn=1))
    message = bot.next_message(timeout=5)
    assert (message.text, message.trace.turn) == ("one more thing", 1)


def test_a_message_that_the_user_sent_with_another_client_is_not_unsolicited(bot: Session) -> None:
    record(bot, says("from my phone", sender="user"), says("Hello"))
    assert bot.next_message(timeout=5).text == "Hello"


def test_a_message_is_waited_for(hub: Hub, bot: Session) -> None:
    threading.Timer(0.1, sim(hub).notify, ["hello"]).start()
    assert bot.next_message(timeout=10).text == "hello"


def test_messages_of_other_senders_stay_for_later(bot: Session) -> None:
    record(bot, says("I am a bot"), says("I am Ada", "agent"), says("closed", "system"))
    assert bot.next_message(timeout=5, sender="agent").text == "I am Ada"
    with pytest.raises(TurnTimeout, match="no unsolicited message of the agent arrived"):
        bot.next_message(timeout=0.1, sender="agent")
    assert [bot.next_message(timeout=5).text for _ in range(2)] == ["I am a bot", "closed"]


def test_the_default_timeout_is_that_of_the_session(bot: Session) -> None:
    bot.timeout = 0.1
    with pytest.raises(TurnTimeout, match="within 0.1 s"):
        bot.next_message()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"timeout": 0}, "timeout must be a number of seconds above 0"),
        ({"sender": "agnt"}, r"unknown sender 'agnt'; did you mean 'agent'\?"),
    ],
)
def test_a_wrong_argument_is_refused(bot: Session, arguments: Any, message: str) -> None:
    with pytest.raises(ActionError, match=message):
        bot.next_message(**arguments)


def test_a_closed_session_returns_what_arrived_and_then_ends_the_wait(hub: Hub, bot: Session) -> None:
    record(bot, says("the last words"))
    threading.Timer(0.2, bot.close).start()
    assert bot.next_message(timeout=10).text == "the last words"
    started = time.monotonic()
    with pytest.raises(SessionError, match="session 'bot' is closed: no more messages arrive"):
        bot.next_message(timeout=60)
    assert time.monotonic() - started < 10


def test_a_keyboard_interrupt_ends_the_wait(bot: Session) -> None:
    main = threading.main_thread().ident
    assert main
    threading.Timer(0.1, lambda: signal.pthread_kill(main, signal.SIGINT)).start()
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        bot.next_message(timeout=60)
    assert time.monotonic() - started < 5


def test_a_listener_cannot_wait_for_a_message(bot: Session) -> None:
    errors: list[str] = []

    def wait(trace: Any) -> None:
        try:
            bot.next_message()
        except SessionError as error:
            errors.append(str(error))

    bot.listen(wait)
    bot.say("hi")
    assert "a listener cannot wait for a message" in errors[0]


def test_several_threads_share_the_messages(bot: Session) -> None:
    got: list[str] = []
    threads = [threading.Thread(target=lambda: got.append(bot.next_message(timeout=10).text)) for _ in range(8)]
    for thread in threads:
        thread.start()
    record(bot, *(says(str(n)) for n in range(8)))
    for thread in threads:
        thread.join()
    assert sorted(got) == [str(n) for n in range(8)]


def test_messages_yields_what_arrived_and_then_what_arrives_until_the_session_closes(hub: Hub, bot: Session) -> None:
    record(bot, says("early"))

    async def read() -> list[str]:
        texts = []
        async for message in bot.messages():
            texts.append(message.text)
            if message.text == "early":
                threading.Timer(0.1, sim(hub).notify, ["late"]).start()
            else:
                threading.Timer(0.1, bot.close).start()
        return texts

    assert asyncio.run(asyncio.wait_for(read(), 20)) == ["early", "late"]


def test_messages_can_be_cancelled_and_used_again(bot: Session) -> None:
    async def first(seconds: float) -> str:
        async with asyncio.timeout(seconds):
            async for message in bot.messages(sender="bot"):
                return message.text
        return ""

    for _ in range(2):
        with pytest.raises(TimeoutError):
            asyncio.run(first(0.1))
    record(bot, says("hello"))
    assert snb.run(first(10)) == "hello"
    assert not bot._events.unsolicited._waiters


def piece(state: str, words: str = "", turn: int = 0) -> Record:
    payload = {"trace": {"type": "completion", "payload": {"state": state, "content": words}}}
    return Record("action.trace", "delta", payload, sender="bot", turn=turn, text=words)


def test_a_streamed_unsolicited_message_arrives_whole(hub: Hub, flow: Flow) -> None:
    bot = hub.connect("voiceflow", simulate=True, flow=flow, completion_events=True)
    record(bot, piece("start"), piece("content", "Hel"))
    with pytest.raises(TurnTimeout):
        bot.next_message(timeout=0.1)
    record(bot, piece("content", "lo"), piece("end"))
    assert bot.next_message(timeout=5).text == "Hello"


def test_a_stream_that_begins_again_loses_nothing(hub: Hub, flow: Flow) -> None:
    bot = hub.connect("voiceflow", simulate=True, flow=flow, completion_events=True)
    record(bot, piece("start"), piece("content", "one"), piece("start"), piece("content", "two"), piece("end"))
    assert [bot.next_message(timeout=5).text for _ in range(2)] == ["one", "two"]


def test_pieces_that_arrive_after_the_end_of_their_turn_are_a_message(
    hub: Hub, flow: Flow, eventually: Eventually
) -> None:
    bot = hub.connect("voiceflow", simulate=True, flow=flow, completion_events=True)
    sim(hub).fault("silent")
    turn = bot.send("hi")
    record(bot, piece("start", turn=1), piece("content", "Hel", turn=1))
    eventually(lambda: {"Hel", "You said hi"} <= set(turn.text.splitlines()))
    turn.cancel()
    record(bot, piece("content", "lo", turn=1), piece("end", turn=1))
    assert bot.next_message(timeout=5).text == "lo"
    assert [message.text for message in turn.late_messages] == ["lo"]
    assert "Hel" in turn.text.splitlines()


def test_a_streamed_message_without_its_last_piece_is_returned_when_the_session_closes(hub: Hub, flow: Flow) -> None:
    bot = hub.connect("voiceflow", simulate=True, flow=flow, completion_events=True)
    record(bot, piece("start"), piece("content", "Hel"))
    bot.close()
    assert bot.next_message(timeout=5).text == "Hel"
    with pytest.raises(SessionError, match="is closed: no more messages arrive"):
        bot.next_message(timeout=5)

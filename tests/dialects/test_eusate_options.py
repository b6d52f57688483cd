"""The options and faults of the simulated helpdesk, and sessions that meet them."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from conftest import Eventually, sim
from test_eusate import NOW, Pair, client_settings, ids, options, say

from socketnb.conversation.session import Session
from socketnb.dialects import eusate
from socketnb.errors import ActionError, TurnFailed
from socketnb.flows.flow import Flow, FlowTurn
from socketnb.hub import Hub
from socketnb.model.content import AgentSays, Handover, Text
from socketnb.model.effects import Emit, RunFlow

FAST = {"reconnection_delay": 0.02, "reconnection_delay_max": 0.05}
PDF = {"url": "https://x.org/a.pdf", "name": "a.pdf", "size_kb": 20, "extension": "pdf"}


class Helpdesk:
    """A server machine with the events that each link has received."""

    def __init__(self, *links: str, **changed: Any) -> None:
        self.machine = eusate.DIALECT.server(client_settings(), ids(), options(**changed))
        self.received: dict[str, list[tuple[str, Any]]] = {link: [] for link in links}

    def send(self, link: str, event: str, now: float = NOW, **payload: Any) -> None:
        self.play(self.machine.received(link, event, payload, now), now)

    def say(self, link: str, text: str | None, conversation: str | None = None, now: float = NOW, **more: Any) -> None:
        chat = {"session_id": "c", "message": text, "ticket_chat_id": conversation}
        self.send(link, "support", now, **chat, **more)

    def play(self, effects: Sequence[Any], now: float = NOW) -> None:
        for effect in effects:
            match effect:
                case Emit(event, args, link) if link in self.received:
                    self.received[link].append((event, args[0]))
                case RunFlow(conversation, user_input):
                    self.play(self.machine.put(conversation, Text(f"You said {user_input.text}"), now), now)
                    self.play(self.machine.done(conversation, None, now), now)

    def events(self, link: str) -> list[str]:
        return [event for event, _ in self.received[link]]

    def last(self, link: str = "a") -> Any:
        return self.received[link][-1][1]

    @property
    def conversation(self) -> str:
        return self.machine.conversation(None)


def test_in_strict_mode_only_the_first_reply_reaches_a_link_that_has_not_entered_the_room() -> None:
    helpdesk = Helpdesk("a", strict=True)
    helpdesk.say("a", "one")
    helpdesk.say("a", "two", helpdesk.conversation)
    assert helpdesk.events("a") == ["support_echo", "support", "support_echo"]
    helpdesk.send("a", "enter_support", ticket_chat_id=helpdesk.conversation)
    helpdesk.say("a", "three", helpdesk.conversation)
    assert helpdesk.events("a")[3:] == ["enter_support", "support_echo", "support"]


@pytest.mark.parametrize("strict", [True, False])
def test_in_strict_mode_agents_reach_only_links_that_have_entered_the_personal_room(strict: Any) -> None:
    helpdesk = Helpdesk("a", strict=strict, keep_missed=False)
    helpdesk.say("a", "one")
    helpdesk.send("a", "enter_support", ticket_chat_id=helpdesk.conversation)
    helpdesk.play(helpdesk.machine.put(helpdesk.conversation, AgentSays("hi"), NOW))
    assert ("customer_support" in helpdesk.events("a")) is not strict
    helpdesk.send("a", "enter_customer_support", session_id="c")
    helpdesk.play(helpdesk.machine.put(helpdesk.conversation, AgentSays("hi again"), NOW))
    assert helpdesk.events("a")[-1] == "customer_support"


def test_two_links_of_one_customer_both_receive_the_events_of_their_rooms() -> None:
    helpdesk = Helpdesk("a", "b", strict=True)
    for link in ("a", "b"):
        helpdesk.send(link, "enter_customer_support", session_id="c")
    helpdesk.say("a", "one")
    for link in ("a", "b"):
        helpdesk.send(link, "enter_support", ticket_chat_id=helpdesk.conversation)
    helpdesk.say("a", "two", helpdesk.conversation)
    helpdesk.play(helpdesk.machine.put(helpdesk.conversation, Handover("Ada"), NOW))
    assert helpdesk.events("b") == [
        "enter_customer_support",
        "enter_support",
        "support",
        "support_handler_changed",
    ]
    assert helpdesk.events("a")[-2:] == ["support", "support_handler_changed"]


def test_an_idle_conversation_is_closed_after_the_time_of_the_option() -> None:
    helpdesk = Helpdesk("a", auto_close=60.0)
    assert helpdesk.machine.deadline is None
    helpdesk.say("a", "one", now=NOW)
    helpdesk.say("a", "two", helpdesk.conversation, now=NOW + 50)
    assert helpdesk.machine.deadline == NOW + 110
    helpdesk.play(helpdesk.machine.timer(NOW + 109))
    assert "customer_support_closed" not in helpdesk.events("a")
    helpdesk.play(helpdesk.machine.timer(NOW + 110))
    assert helpdesk.events("a")[-1] == "customer_support_closed"
    assert helpdesk.machine.deadline is None


def test_an_agent_answers_each_message_with_the_text_of_the_option() -> None:
    pair = Pair(agent_reply="I am looking into it.")
    pair.connect()
    pair.act(1, say("hi"))
    pair.agent(Handover("Ada"))
    pair.act(2, say("hello"))
    assert pair.texts()[-2:] == ["hello", "I am looking into it."]
    assert pair.ended()[-1] == (2, "completed", "support_echo")


@pytest.mark.parametrize(
    ("echo", "fault", "events"), [("never", "", ["support"]), ("before", "lose_echo", ["support"])]
)
def test_an_echo_can_be_missing(echo: str, fault: str, events: list[str]) -> None:
    helpdesk = Helpdesk("a", echo=echo)
    if fault:
        helpdesk.machine.fault(fault)
    helpdesk.say("a", "one")
    assert helpdesk.events("a") == events
    helpdesk.say("a", "two", helpdesk.conversation)
    assert ("support_echo" in helpdesk.events("a")) is (echo != "never"), "the fault is for one message"


def test_the_steps_of_a_turn_can_be_sent_as_messages_of_their_own() -> None:
    pair = Pair(lambda _: [Text("one"), Text(""), Text("two"), Text("three")], replies="each")
    pair.connect()
    pair.act(1, say("hi"))
    assert pair.texts() == ["hi", "one", "two", "three"]
    assert pair.ended() == [(1, "completed", "support")]


def test_times_can_be_whole_seconds() -> None:
    for whole, expected in ((True, "2023-11-14T22:13:20Z"), (False, "2023-11-14T22:13:20.250000Z")):
        helpdesk = Helpdesk("a", whole_seconds=whole)
        helpdesk.say("a", "one", now=NOW + 0.25)
        assert helpdesk.last()["data"]["date_created"] == expected


@pytest.mark.parametrize(
    ("changed", "file", "code"),
    [
        ({}, PDF, 200),
        ({"max_file_kb": 20.0}, PDF, 200),
        ({"max_file_kb": 19.5}, PDF, 413),
        ({"max_file_kb": 19.5}, [PDF | {"size_kb": 1}, PDF], 413),
        ({"file_types": "png, .PDF"}, PDF, 200),
        ({"file_types": "png"}, PDF, 400),
        ({"file_types": "png"}, {"url": "https://x.org/a", "name": "a.png"}, 200),
    ],
)
def test_files_are_refused_by_size_and_type(changed: dict[str, Any], file: Any, code: int) -> None:
    helpdesk = Helpdesk("a", **changed)
    helpdesk.say("a", "one")
    helpdesk.play(helpdesk.machine.put(helpdesk.conversation, Handover("Ada"), NOW))
    helpdesk.say("a", None, helpdesk.conversation, attachment=True, attachment_metadata=file)
    assert helpdesk.last()["status_code"] == code
    assert helpdesk.events("a")[-1] == ("support_echo" if code == 200 else "support")


def test_a_message_without_a_text_or_a_file_is_rejected() -> None:
    helpdesk = Helpdesk("a")
    helpdesk.say("a", None)
    assert helpdesk.last()["status_code"] == 400


# Sessions


@pytest.fixture
def desk(hub: Hub, flow: Flow) -> Callable[..., Session]:
    """A function that connects a session to a helpdesk with these options."""

    def connect(**changed: Any) -> Session:
        return hub.connect("eusate", **hub.simulate("eusate", flow, **changed).settings, **FAST)

    return connect


FILES = [
    "https://x.org/a.pdf",
    ["https://x.org/a.pdf"],
    {"url": "https://x.org/a.pdf"},
    [{"url": "https://x.org/a.pdf", "name": "a.pdf"}],
]


@pytest.mark.parametrize("files", FILES, ids=["URL", "URLs", "description", "descriptions"])
def test_a_file_is_attached_by_its_url_or_by_a_description(
    hub: Hub, desk: Any, eventually: Eventually, files: Any
) -> None:
    bot = desk()
    bot.say("hi")
    sim(hub).agent_joins("Ada")
    eventually(lambda: bot.conversations()[0].handler == "agent")
    assert bot.act("attach", files=files).status == "completed"
    with pytest.raises(TurnFailed, match="a local file must first be stored elsewhere"):
        bot.act("attach", files="notes.pdf")


def test_a_rating_is_a_number_or_its_digits(desk: Any) -> None:
    bot = desk()
    bot.say("hi")
    assert bot.act("review", rating="5").status == "completed"
    with pytest.raises(ActionError, match="rating must be of type int, got str"):
        bot.act("review", rating="five")


def test_replies_stay_in_their_turns_when_the_bot_sends_several_messages(
    hub: Hub, flow: Flow, eventually: Eventually
) -> None:
    @flow.on("two")
    def two(turn: FlowTurn) -> None:
        turn.say(f"first of {turn.text}")
        turn.say("second")

    bot = hub.connect("eusate", **hub.simulate("eusate", flow, replies="each").settings)
    turns = [bot.say("two") for _ in range(20)]
    assert {turn.text for turn in turns} == {"first of two"}
    eventually(lambda: list(bot.messages_df()["text"]).count("second") == 20)
    frame = bot.messages_df()
    assert list(frame[frame["text"] == "second"]["turn"]) == list(range(1, 21))


def test_the_client_enters_the_rooms_that_strict_mode_needs(hub: Hub, desk: Any, eventually: Eventually) -> None:
    bot = desk(strict=True)
    for n in range(3):
        assert bot.say(f"n{n}").text == f"You said n{n}"
    sim(hub).agent_says("Ada here")
    eventually(lambda: "Ada here" in list(bot.messages_df()["text"]))


def test_a_conversation_that_is_idle_is_closed_for_a_session(desk: Any, eventually: Eventually) -> None:
    bot = desk(auto_close=0.2)
    bot.say("hi")
    eventually(lambda: bot.conversations()[0].closed)
    assert bot.say("again").text == "You said again"
    assert len(bot.conversations()) == 2


def test_a_turn_whose_echo_is_lost_ends_with_its_reply(hub: Hub, desk: Any) -> None:
    bot = desk()
    bot.say("one")
    sim(hub).fault("lose_echo")
    assert bot.say("two").text == "You said two"
    assert bot.say("three").text == "You said three"

"""The buttons that can be pressed are those of the whole turn and of unsolicited messages since."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Eventually, sim

import socketnb as snb
from socketnb.conversation.buttons import OfferedButtons
from socketnb.conversation.session import Session
from socketnb.dialects import registry
from socketnb.errors import ActionError
from socketnb.flows.flow import Flow, FlowTurn
from socketnb.hub import Hub
from socketnb.model.content import Choice


def shop(*, again: bool = False) -> Flow:
    """A flow that offers buttons in several messages and on cards."""
    flow = Flow("shop")

    @flow.launch
    def offer(turn: FlowTurn) -> None:
        turn.choices("Search", "Cart", text="What next?")
        turn.carousel(
            snb.card("Blue shoes", choices=[Choice("Buy", {"type": "text", "payload": "buy blue"}), "Details"]),
            snb.card("Red shoes", choices=[Choice("Buy", {"type": "text", "payload": "buy red"})]),
        )
        turn.say("Or just ask.")
        if again:
            turn.choices("Cart")

    @flow.on("quiet")
    def quiet(turn: FlowTurn) -> None:
        turn.say("Nothing to press.")

    @flow.otherwise
    def echo(turn: FlowTurn) -> None:
        turn.say(f"You said {turn.text}")
        turn.choices("Back")

    return flow


@pytest.fixture
def bot(hub: Hub) -> Session:
    return hub.connect("voiceflow", name="bot", simulate=True, flow=shop())


LABELS = ["Search", "Cart", "Buy", "Details", "Buy"]


def test_the_buttons_are_those_of_the_whole_turn_in_order(bot: Session) -> None:
    turn = bot.launch()
    assert [choice.label for choice in turn.choices] == LABELS
    assert bot.choices == turn.choices
    assert bot.button_names == ["Search", "Cart", "Blue shoes / Buy", "Details", "Red shoes / Buy"]


@pytest.mark.parametrize(("position", "reply"), [(1, "Search"), (3, "buy blue"), (5, "buy red")])
def test_a_position_counts_the_buttons_of_the_whole_turn(bot: Session, position: int, reply: str) -> None:
    bot.launch()
    assert bot.press(position).text == f"You said {reply}"


def test_a_label_that_fits_several_buttons_is_refused_with_their_cards(bot: Session) -> None:
    bot.launch()
    words = r"2 buttons fit 'buy': press 'Blue shoes / Buy' \(3\) or 'Red shoes / Buy' \(5\), by name or position"
    with pytest.raises(ActionError, match=words):
        bot.press("buy")
    assert list(bot.turns_df()["action"]) == ["launch"], "something was sent"


def test_buttons_of_equal_name_are_told_apart_by_position_only(hub: Hub) -> None:
    flow = Flow("twins")

    @flow.launch
    def offer(turn: FlowTurn) -> None:
        buttons = [{"name": "Yes", "request": {"type": f"path-{n}", "payload": {"label": "Yes"}}} for n in (1, 2)]
        turn.raw("action.trace", {"trace": {"type": "choice", "payload": {"buttons": buttons}}})

    bot = hub.connect("voiceflow", simulate=True, flow=flow)
    bot.launch()
    with pytest.raises(ActionError, match=r"press 'Yes' \(1\) or 'Yes' \(2\), by position \(nothing was sent\)"):
        bot.press("Yes")


@pytest.mark.parametrize("name", ["Red shoes / Buy", "red shoes/BUY", " Red shoes  /  Buy "])
def test_a_button_is_pressed_by_its_card_and_label(bot: Session, name: str) -> None:
    bot.launch()
    assert bot.press(name).text == "You said buy red"


def test_an_unknown_card_is_refused_with_the_known_ones(bot: Session) -> None:
    bot.launch()
    with pytest.raises(ActionError, match=r"unknown button 'Rd shoes / Buy'; did you mean 'Red shoes / Buy'\?"):
        bot.press("Rd shoes / Buy")


def test_equal_buttons_of_two_messages_are_one(hub: Hub) -> None:
    bot = hub.connect("cognigy", simulate=True, flow=shop(again=True))
    bot.launch()
    assert bot.press("Cart").text == "You said Cart"


def test_buttons_of_an_older_turn_are_refused_unless_the_choice_is_given(bot: Session) -> None:
    turn = bot.launch()
    bot.say("quiet")
    assert bot.choices == []
    for name in ("Search", "Red shoes / Buy"):
        with pytest.raises(ActionError, match=f"'{name}' is from an older turn: pass the Choice itself"):
            bot.press(name)
    with pytest.raises(ActionError, match="bot: the last turn offered no button"):
        bot.press(1)
    with pytest.raises(ActionError, match="bot: the last turn offered no button"):
        bot.press("Nothing")
    assert bot.press(turn.choices[4]).text == "You said buy red"
    assert [choice.label for choice in bot.choices] == ["Back"]


def test_buttons_stay_while_the_next_turn_has_no_answer(bot: Session, hub: Hub) -> None:
    bot.launch()
    machine: Any = sim(hub)._machine
    act, machine._act = machine._act, lambda *_: []
    bot.send("hi").cancel()
    machine._act = act
    assert bot.press("Search").text == "You said Search"


def test_the_buttons_of_an_unsolicited_message_are_added(hub: Hub, eventually: Eventually) -> None:
    bot = hub.connect("cognigy", name="bot", simulate=True, flow=shop())
    sim(hub).notify("Rate us", {"_cognigy": {"_default": {"_quickReplies": quick_replies("Rate us", "Good", "Bad")}}})
    eventually(lambda: len(bot.choices) == 2)
    bot.launch()
    assert [choice.label for choice in bot.choices] == LABELS
    sim(hub).notify("Rate us", {"_cognigy": {"_default": {"_quickReplies": quick_replies("Rate us", "Good", "Bad")}}})
    eventually(lambda: len(bot.choices) == 7)
    assert [choice.label for choice in bot.choices] == [*LABELS, "Good", "Bad"]
    assert bot.press(6).text == "You said Good"


def quick_replies(text: str, *labels: str) -> Any:
    replies = [{"title": label, "contentType": "postback", "payload": label} for label in labels]
    return {"type": "quick_replies", "text": text, "quickReplies": replies}


@pytest.fixture
def later() -> Iterator[Hub]:
    """The hub of a later kernel."""
    hub = Hub()
    yield hub
    hub.close()


@pytest.mark.parametrize("platform", ["voiceflow", "cognigy"])
def test_buttons_can_be_pressed_after_a_resume(hub: Hub, later: Hub, platform: str) -> None:
    simulator = hub.simulate(platform, shop())
    bot = hub.connect(platform, name="shop", resume=True, **simulator.settings)
    bot.launch()
    choices = bot.choices
    bot.close()
    again = later.connect(platform, name="shop", resume=True, **simulator.settings)
    assert again.choices == choices
    assert again.press("Red shoes / Buy").text.startswith("You said ")


@pytest.mark.filterwarnings("ignore:shop")  # the platform may report it as a warning
def test_the_buttons_of_a_conversation_that_is_not_resumed_are_forgotten(hub: Hub, later: Hub) -> None:
    simulator = hub.simulate("voiceflow", shop())
    with hub.connect("voiceflow", name="shop", resume=True, **simulator.settings) as bot:
        bot.launch()
    simulator.fault("expire")
    assert later.connect("voiceflow", name="shop", resume=True, **simulator.settings).choices == []


def test_a_resumed_button_is_shown_masked_and_sent_as_the_bot_sent_it(hub: Hub, later: Hub, home: Path) -> None:
    flow = Flow("carrier")
    request = {"type": "text", "payload": "go", "authorization": "planted-in-a-button"}

    @flow.launch
    def offer(turn: FlowTurn) -> None:
        buttons = [{"name": "Go", "request": request}]
        turn.raw("action.trace", {"trace": {"type": "choice", "payload": {"buttons": buttons}}})

    simulator = hub.simulate("voiceflow", flow)
    machine: Any = simulator._machine
    actions: list[Any] = []
    act = machine._act
    machine._act = lambda session, payload, now: actions.append(payload["action"]) or act(session, payload, now)
    with hub.connect("voiceflow", name="shop", resume=True, **simulator.settings) as bot:
        bot.launch()
    again = later.connect("voiceflow", name="shop", resume=True, **simulator.settings)
    assert "planted" not in repr(again.choices)
    again.press("Go")
    assert actions[-1] == request
    assert "planted" not in "".join(file.read_text() for file in home.rglob("*.jsonl"))


def test_resuming_a_conversation_that_has_ended_warns(hub: Hub, later: Hub, eventually: Eventually) -> None:
    simulator = hub.simulate("voiceflow", shop())
    with hub.connect("voiceflow", name="shop", resume=True, **simulator.settings) as bot:
        bot.launch()
        bot.act("end")
        eventually(lambda: bot.state == "ended")
    with pytest.warns(RuntimeWarning, match="shop: a new conversation starts, because the saved one has ended"):
        again = later.connect("voiceflow", name="shop", resume=True, **simulator.settings)
    assert again.choices == []


@pytest.mark.parametrize("text", ["", "x", "{}", "[7]", '[["a"]]', '[[1, "b", {}, null]]'])
def test_saved_buttons_that_cannot_be_read_are_ignored(text: str) -> None:
    buttons = OfferedButtons("bot", registry.get("voiceflow").content)
    buttons.restore(text, lambda _: {})
    assert buttons.choices == []

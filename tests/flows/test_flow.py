"""Flows: how a bot written in Python behaves."""

import asyncio
import gc
import subprocess
import sys
from typing import Any

import pytest

from socketnb.errors import FlowError
from socketnb.flows.demo import demo_flow
from socketnb.flows.flow import Flow, FlowTurn
from socketnb.hub import Hub
from socketnb.model.content import UserInput


def test_a_handler_is_found_by_words_in_any_case_and_spacing() -> None:
    flow = Flow("words")

    @flow.on("Track my  order", "where")
    def track(turn: FlowTurn) -> None: ...

    assert flow.handler(UserInput("text", " track MY order")) is track
    assert flow.handler(UserInput("press", "Where")) is track


def test_what_nobody_answers_is_told_to_the_user(hub: Hub) -> None:
    turn = hub.connect("voiceflow", simulate=True, flow=Flow("empty")).say("hi")
    assert turn.text == "I have no answer to “hi”."


def test_running_a_cell_again_replaces_the_flow_for_the_next_turn(hub: Hub) -> None:
    def cell(answer: str) -> Flow:
        flow = Flow("rerun")

        @flow.otherwise
        def say(turn: FlowTurn) -> None:
            turn.say(answer)

        return flow

    first = cell("old")
    bot = hub.connect("voiceflow", simulate=True, flow=first)
    assert bot.say("hi").text == "old"
    second = cell("new")
    assert bot.say("hi").text == "new"
    del second
    gc.collect()
    assert bot.say("hi").text == "old", "a flow that nobody holds any more is forgotten"


def test_variables_last_from_turn_to_turn_and_are_each_conversations_own(hub: Hub) -> None:
    flow = Flow("counter")

    @flow.otherwise
    def count(turn: FlowTurn) -> None:
        turn.vars["n"] = turn.vars.get("n", 0) + 1
        turn.say(str(turn.vars["n"]))

    one, other = (hub.connect("voiceflow", simulate=True, flow=flow) for _ in range(2))
    assert [one.say("x").text, one.say("x").text, other.say("x").text] == ["1", "2", "1"]


def test_a_plain_handler_may_block_without_stopping_other_conversations(hub: Hub) -> None:
    import threading

    flow, go = Flow("blocking"), threading.Event()

    @flow.on("block")
    def block(turn: FlowTurn) -> None:
        go.wait(10)

    @flow.otherwise
    def echo(turn: FlowTurn) -> None:
        turn.say("here")

    simulator = hub.simulate("voiceflow", flow)
    one, other = (hub.connect("voiceflow", **simulator.settings) for _ in range(2))
    turn = one.send("block")
    assert other.say("hi").text == "here"
    go.set()
    assert turn.wait().status == "completed"


def test_a_launch_leaves_an_open_question(hub: Hub, flow: Flow) -> None:
    bot = hub.connect("voiceflow", simulate=True, flow=flow)
    bot.launch()
    bot.press("Order")
    assert bot.launch().text == "Hello!"
    assert bot.say("L").text == "You said L"


def test_asking_in_a_plain_function_says_what_to_write(hub: Hub) -> None:
    flow = Flow("plain")

    @flow.otherwise
    def ask(turn: FlowTurn) -> None:
        turn.ask("Which size?")

    error = hub.connect("voiceflow", simulate=True, flow=flow).say("hi").error
    assert "write the handler as `async def`" in (error or "")


@pytest.mark.parametrize("words", [(), (7,)])
def test_an_answer_to_nothing_is_refused(words: tuple[str, ...]) -> None:
    with pytest.raises(FlowError, match="needs the words it answers"):
        Flow("nothing").on(*words)


def test_a_decorator_without_a_function_is_refused() -> None:
    with pytest.raises(FlowError, match="above a function"):
        Flow("nothing").launch("hello")  # type: ignore[type-var]


def test_choices_without_labels_are_refused(hub: Hub) -> None:
    flow = Flow("no labels")

    @flow.otherwise
    def offer(turn: FlowTurn) -> None:
        turn.choices()

    assert "needs labels" in (hub.connect("voiceflow", simulate=True, flow=flow).say("hi").error or "")


def test_the_demo_shop_tracks_returns_and_says_goodbye(hub: Hub) -> None:
    bot = hub.connect("voiceflow", simulate=True, flow=demo_flow())
    assert "Trailhead" in bot.launch().text
    bot.press("Track order")
    assert "Tuesday" in bot.say("#4567").text
    bot.press("Return an item")
    assert "next size up" in bot.press("Too small").text
    assert "Saturday" in bot.say("hours").text
    assert "did not understand" in bot.say("xyzzy").text
    assert "trail" in bot.say("thanks").text


@pytest.mark.parametrize(
    ("mistake", "said"),
    [
        (lambda turn: turn.raw("x", {"when": object()}), "a flow shows what JSON can hold"),
        (lambda turn: sys.exit(), "raised SystemExit"),
        (lambda turn: turn.ask("Which?"), "write the handler as `async def`"),
    ],
)
def test_a_mistake_in_a_handler_is_told_and_harms_nobody_else(hub: Hub, mistake: Any, said: str) -> None:
    flow = Flow("mistaken")

    @flow.on("go")
    def go(turn: FlowTurn) -> None:
        mistake(turn)

    @flow.otherwise
    def echo(turn: FlowTurn) -> None:
        turn.say("here")

    simulator = hub.simulate("voiceflow", flow)
    one, other = (hub.connect("voiceflow", **simulator.settings) for _ in range(2))
    assert said in (one.say("go").error or "")
    assert one.say("hi").text == other.say("hi").text == "here"
    assert hub.connect("voiceflow", **simulator.settings).say("hi").text == "here"


def test_a_coroutine_that_cancels_itself_ends_only_its_turn(hub: Hub) -> None:
    flow = Flow("cancelled")

    @flow.on("go")
    async def go(turn: FlowTurn) -> None:
        raise asyncio.CancelledError

    bot = hub.connect("voiceflow", simulate=True, flow=flow)
    assert "CancelledError" in (bot.say("go").error or "")
    assert bot.say("hi").status == "completed"


def test_calling_the_simulator_from_a_coroutine_on_it_is_refused_not_hung(hub: Hub) -> None:
    flow = Flow("inward")

    @flow.otherwise
    async def inward(turn: FlowTurn) -> None:
        simulator.fault("drop")

    simulator = hub.simulate("voiceflow", flow)
    turn = hub.connect("voiceflow", **simulator.settings).say("hi")
    assert "cannot be called from a coroutine on it" in (turn.error or "")


def test_a_handler_that_never_ends_does_not_keep_the_process() -> None:
    code = (
        "import threading, socketnb as snb\n"
        "flow = snb.Flow('stuck')\n"
        "@flow.otherwise\n"
        "def stuck(turn): threading.Event().wait()\n"
        "bot = snb.connect('voiceflow', simulate=True, flow=flow)\n"
        "try: bot.say('hi', timeout=0.2)\n"
        "except snb.TurnTimeout: print('gave up')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout == "gave up\n"


def test_a_handler_that_yields_is_refused() -> None:
    with pytest.raises(FlowError, match="a handler does not yield"):

        @Flow("generator").otherwise
        def generator(turn: FlowTurn) -> Any:
            yield turn


def test_an_object_that_is_a_coroutine_when_called_is_a_handler(hub: Hub) -> None:
    class Greeter:
        async def __call__(self, turn: FlowTurn) -> None:
            turn.say("hello")

    flow = Flow("object")
    flow.otherwise(Greeter())
    assert hub.connect("voiceflow", simulate=True, flow=flow).say("hi").text == "hello"


def test_choices_may_come_as_a_list(hub: Hub) -> None:
    flow = Flow("list")

    @flow.otherwise
    def offer(turn: FlowTurn) -> None:
        turn.choices(["A", "B"])

    turn = hub.connect("voiceflow", simulate=True, flow=flow).say("hi")
    assert [choice.label for choice in turn.choices] == ["A", "B"]


@pytest.mark.parametrize("name", [None, "", 7])
def test_a_flow_without_a_name_is_refused(name: Any) -> None:
    with pytest.raises(FlowError, match="a flow has a name"):
        Flow(name)


def test_the_demo_shop_shows_every_kind_of_content_that_voiceflow_has(hub: Hub) -> None:
    bot = hub.connect("voiceflow", simulate=True, completion_events=True, audio_events=True)
    bot.say("tour")
    kinds = set(bot.messages_df()["kind"])
    assert kinds == {"action", "text", "card", "carousel", "list", "visual", "speak", "audio", "custom", "choices"}
    html = bot._repr_mimebundle_()["text/html"]
    for tag in ("<img", "<audio", "<details"):
        assert tag in html


def test_what_is_no_card_is_told_in_one_sentence(hub: Hub) -> None:
    flow = Flow("cards")

    @flow.otherwise
    def show(turn: FlowTurn) -> None:
        turn.carousel({"title": "One"})  # type: ignore[arg-type]

    turn = hub.connect("voiceflow", simulate=True, flow=flow).say("hi")
    assert "carousel shows cards, as socketnb.flow.card(title, text) makes them" in str(turn.error)

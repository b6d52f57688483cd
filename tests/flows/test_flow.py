"""Flows: how a bot written in Python behaves."""

import asyncio
import gc
import subprocess
import sys
from typing import Any

import pytest
from conftest import failed

from socketnb.errors import FlowError
from socketnb.flows.demo import demo_flow
from socketnb.flows.flow import Flow, FlowTurn
from socketnb.hub import Hub
from socketnb.model.content import UserInput


def test_case_and_spacing_do_not_matter_for_finding_a_handler() -> None:
    flow = Flow("words")

    @flow.on("Track my  order", "where")
    def track(turn: FlowTurn) -> None: ...

    assert flow.handler(UserInput("text", " track MY order")) is track
    assert flow.handler(UserInput("press", "Where")) is track


def test_a_flow_without_a_matching_handler_says_so(hub: Hub) -> None:
    turn = hub.connect("voiceflow", simulate=True, flow=Flow("empty")).say("hi")
    assert turn.text == "I have no answer to “hi”."


def test_a_new_flow_of_the_same_name_answers_the_next_turn(hub: Hub) -> None:
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
    assert bot.say("hi").text == "old", "a flow without references is not used any more"


def test_each_conversation_keeps_its_own_variables(hub: Hub) -> None:
    flow = Flow("counter")

    @flow.otherwise
    def count(turn: FlowTurn) -> None:
        turn.vars["n"] = turn.vars.get("n", 0) + 1
        turn.say(str(turn.vars["n"]))

    one, other = (hub.connect("voiceflow", simulate=True, flow=flow) for _ in range(2))
    assert [one.say("x").text, one.say("x").text, other.say("x").text] == ["1", "2", "1"]


def test_a_handler_that_blocks_does_not_block_other_conversations(hub: Hub) -> None:
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


def test_a_launch_cancels_an_open_question(hub: Hub, flow: Flow) -> None:
    bot = hub.connect("voiceflow", simulate=True, flow=flow)
    bot.launch()
    bot.press("Order")
    assert bot.launch().text == "Hello!"
    assert bot.say("L").text == "You said L"


def test_ask_in_a_plain_function_raises_an_error_that_names_the_fix(hub: Hub) -> None:
    flow = Flow("plain")

    @flow.otherwise
    def ask(turn: FlowTurn) -> None:
        turn.ask("Which size?")

    error = failed(hub.connect("voiceflow", simulate=True, flow=flow), "hi").error
    assert "write the handler as `async def`" in (error or "")


@pytest.mark.parametrize("words", [(), (7,)])
def test_on_without_texts_is_an_error(words: tuple[str, ...]) -> None:
    with pytest.raises(FlowError, match="needs the texts that it answers"):
        Flow("nothing").on(*words)


def test_launch_without_a_function_is_an_error() -> None:
    with pytest.raises(FlowError, match="above a function"):
        Flow("nothing").launch("hello")  # type: ignore[type-var]


def test_choices_without_labels_are_an_error(hub: Hub) -> None:
    flow = Flow("no labels")

    @flow.otherwise
    def offer(turn: FlowTurn) -> None:
        turn.choices()

    assert "needs labels" in (failed(hub.connect("voiceflow", simulate=True, flow=flow), "hi").error or "")


def test_the_demo_shop_tracks_orders_takes_returns_and_says_goodbye(hub: Hub) -> None:
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
    ("mistake", "message"),
    [
        (lambda turn: turn.raw("x", {"when": object()}), "a flow can send only JSON values"),
        (lambda turn: sys.exit(), "raised SystemExit"),
        (lambda turn: turn.ask("Which?"), "write the handler as `async def`"),
    ],
)
def test_an_error_in_a_handler_is_reported_and_does_not_affect_other_conversations(
    hub: Hub, mistake: Any, message: str
) -> None:
    flow = Flow("mistaken")

    @flow.on("go")
    def go(turn: FlowTurn) -> None:
        mistake(turn)

    @flow.otherwise
    def echo(turn: FlowTurn) -> None:
        turn.say("here")

    simulator = hub.simulate("voiceflow", flow)
    one, other = (hub.connect("voiceflow", **simulator.settings) for _ in range(2))
    assert message in (failed(one, "go").error or "")
    assert one.say("hi").text == other.say("hi").text == "here"
    assert hub.connect("voiceflow", **simulator.settings).say("hi").text == "here"


def test_a_handler_that_raises_cancelled_error_ends_only_its_turn(hub: Hub) -> None:
    flow = Flow("cancelled")

    @flow.on("go")
    async def go(turn: FlowTurn) -> None:
        raise asyncio.CancelledError

    bot = hub.connect("voiceflow", simulate=True, flow=flow)
    assert "CancelledError" in (failed(bot, "go").error or "")
    assert bot.say("hi").status == "completed"


def test_calling_the_simulator_from_a_coroutine_handler_is_an_error_and_does_not_hang(hub: Hub) -> None:
    flow = Flow("inward")

    @flow.otherwise
    async def inward(turn: FlowTurn) -> None:
        simulator.fault("drop")

    simulator = hub.simulate("voiceflow", flow)
    turn = failed(hub.connect("voiceflow", **simulator.settings), "hi")
    assert "a coroutine on the socketnb-simulator loop cannot wait for that loop" in (turn.error or "")


def test_a_handler_that_never_ends_does_not_keep_the_process_alive() -> None:
    code = (
        "import threading, socketnb as snb\n"
        "flow = snb.Flow('stuck')\n"
        "@flow.otherwise\n"
        "def stuck(turn): threading.Event().wait()\n"
        "bot = snb.connect('voiceflow', simulate=True, flow=flow)\n"
        "try: bot.say('hi', timeout=0.2)\n"
        "except snb.TurnTimeout: print('timed out')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout == "timed out\n"


def test_a_generator_is_not_a_handler() -> None:
    with pytest.raises(FlowError, match="a handler must not yield"):

        @Flow("generator").otherwise
        def generator(turn: FlowTurn) -> Any:
            yield turn


def test_an_object_with_an_async_call_method_is_a_handler(hub: Hub) -> None:
    class Greeter:
        async def __call__(self, turn: FlowTurn) -> None:
            turn.say("hello")

    flow = Flow("object")
    flow.otherwise(Greeter())
    assert hub.connect("voiceflow", simulate=True, flow=flow).say("hi").text == "hello"


def test_choices_accept_a_list_of_labels(hub: Hub) -> None:
    flow = Flow("list")

    @flow.otherwise
    def offer(turn: FlowTurn) -> None:
        turn.choices(["A", "B"])

    turn = hub.connect("voiceflow", simulate=True, flow=flow).say("hi")
    assert [choice.label for choice in turn.choices] == ["A", "B"]


@pytest.mark.parametrize("name", [None, "", 7])
def test_a_flow_needs_a_name(name: Any) -> None:
    with pytest.raises(FlowError, match="a flow needs a name"):
        Flow(name)


def test_the_demo_shop_shows_every_kind_of_voiceflow_content(hub: Hub) -> None:
    bot = hub.connect("voiceflow", simulate=True, completion_events=True, audio_events=True)
    bot.say("tour")
    kinds = set(bot.messages_df()["kind"])
    assert kinds == {"action", "text", "card", "carousel", "list", "visual", "speak", "audio", "custom", "choices"}
    html = bot._repr_mimebundle_()["text/html"]
    for tag in ("<img", "<audio", "<details"):
        assert tag in html


def test_a_carousel_of_other_objects_than_cards_is_an_error(hub: Hub) -> None:
    flow = Flow("cards")

    @flow.otherwise
    def show(turn: FlowTurn) -> None:
        turn.carousel({"title": "One"})  # type: ignore[arg-type]

    turn = failed(hub.connect("voiceflow", simulate=True, flow=flow), "hi")
    assert "turn.carousel takes cards made with socketnb.card(title, text)" in str(turn.error)

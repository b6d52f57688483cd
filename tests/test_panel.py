"""The panel's kernel side: what travels, without a browser."""

import base64
import threading
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import pytest

from socketnb.faces.panel import Panel
from socketnb.flow import Flow, FlowTurn, card
from socketnb.hub import Hub
from socketnb.session import Session

Eventually = Callable[[Callable[[], bool]], None]


class Page:
    """A page at the other end of a panel: it hears what is sent and answers."""

    def __init__(self, panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
        self.panel = panel
        self.heard: list[dict[str, Any]] = []
        monkeypatch.setattr(panel, "send", self.heard.append)

    def says(self, message: object) -> None:
        self.panel._hear(self.panel, message, [])

    @property
    def rows(self) -> list[dict[str, Any]]:
        return [row for message in self.heard for row in message.get("rows", [])]


@pytest.fixture
def bot(hub: Hub, flow: Flow) -> Session:
    return hub.connect("voiceflow", name="bot", simulate=True, flow=flow)


@pytest.fixture
def page(bot: Session, monkeypatch: pytest.MonkeyPatch) -> Iterator[Page]:
    panel = bot.panel()
    yield Page(panel, monkeypatch)
    panel.close()


def test_a_page_that_asks_is_told_the_whole_conversation(bot: Session, page: Page) -> None:
    bot.launch()
    page.heard.clear()
    page.says({"ask": 0})
    (answer,) = page.heard
    assert (answer["from"], answer["to"]) == (0, len(bot.traces()))
    assert [row.get("html") or row.get("choices") or row.get("text") for row in answer["rows"]] == [
        "(launch)",
        "<p>Hello!</p>\n",
        ["Order", "Track"],
        None,
    ]
    assert answer["facts"] == {"name": "bot", "platform": "Voiceflow", "state": "ready", "restart": "launch"}


def test_what_travels_lies_end_to_end_and_goes_up_to_the_last_trace(bot: Session, page: Page) -> None:
    page.says({"ask": 0})
    bot.launch()
    bot.say("hi")
    ends = [(message["from"], message["to"]) for message in page.heard]
    assert all(start == before for (_, before), (start, _) in pairwise(ends))
    assert ends[-1][1] == len(bot.traces())


def test_a_panel_of_a_conversation_that_has_begun_claims_no_more_than_it_sends(
    bot: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    bot.launch()
    begun = len(bot.traces())
    page = Page(bot.panel(), monkeypatch)
    bot.say("hi")
    assert page.heard[0]["from"] == begun
    page.panel.close()


def test_a_page_speaks_and_presses(bot: Session, page: Page, eventually: Eventually) -> None:
    page.says({"say": "hi"})
    eventually(lambda: any(row.get("html") == "<p>You said hi</p>\n" for row in page.rows))
    bot.launch()
    offer = next(row for row in page.rows if "choices" in row)
    page.says({"press": offer["seq"], "option": 0})
    eventually(lambda: any(row.get("html") == "<p>Which size?</p>\n" for row in page.rows))


def test_the_last_row_of_a_turn_says_how_long_it_took(bot: Session, page: Page) -> None:
    turn = bot.say("hi")
    assert page.rows[-1]["done"] == round(turn.done_ms, 1)


@pytest.mark.parametrize("nonsense", [{}, {"say": ""}, {"say": 7}, {"ask": "x"}, {"press": 0}, 7, None, []])
def test_a_page_that_talks_nonsense_is_not_heard(bot: Session, page: Page, nonsense: Any) -> None:
    page.says(nonsense)
    assert bot.turns_df().empty
    assert not [message for message in page.heard if "problem" in message]


@pytest.mark.parametrize(
    "press", [{"press": 0, "option": 0}, {"press": 10**6, "option": 0}, {"press": -1, "option": 9}]
)
def test_a_button_that_is_not_there_is_a_problem_in_words(bot: Session, page: Page, press: dict[str, int]) -> None:
    page.says(press)
    (problem,) = [message["problem"] for message in page.heard if "problem" in message]
    assert "no button" in problem


def test_a_page_is_told_which_turn_its_words_became_and_which_button_was_pressed(bot: Session, page: Page) -> None:
    page.says({"say": "hi", "id": "a-0"})
    assert {"said": "a-0", "turn": 1} in page.heard
    bot.launch()
    offer = next(row for row in page.rows if "choices" in row)
    page.says({"press": offer["seq"], "option": 1})
    assert {"pressed": offer["seq"], "option": 1} in page.heard
    bot.close()
    page.says({"press": offer["seq"], "option": 1})
    assert page.heard[-1]["press"] == offer["seq"], "so that its buttons are not spent"


def test_what_cannot_be_sent_comes_back_with_its_words(bot: Session, page: Page) -> None:
    bot.close()
    page.says({"say": "hi"})
    assert page.heard[-1]["text"] == "hi"
    assert "closed" in page.heard[-1]["problem"]


def test_cards_travel_one_by_one_each_with_its_buttons(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    flow = Flow("cards")

    @flow.otherwise
    def cards(turn: FlowTurn) -> None:
        turn.carousel(
            card("One", "**first**", image="https://x/1.png", choices=["A", "B"]),
            card("<b>Two</b>", choices=["C"], image="javascript:x"),
        )

    bot = hub.connect("voiceflow", simulate=True, flow=flow)
    page = Page(bot.panel(), monkeypatch)
    bot.say("hi")
    (row,) = [row for row in page.rows if "cards" in row]
    assert (row["layout"], row["choices"]) == ("carousel", ["A", "B", "C"])
    assert [card["options"] for card in row["cards"]] == [[0, 1], [2]]
    assert '<img src="https://x/1.png"' in row["cards"][0]["html"]
    assert "<strong>first</strong>" in row["cards"][0]["html"]
    assert row["cards"][1]["html"] == '<div class="snb-title">&lt;b&gt;Two&lt;/b&gt;</div>'
    page.panel.close()


def test_what_comes_together_travels_together(bot: Session, page: Page) -> None:
    bot.launch()
    assert len(page.heard) < len(bot.traces())
    assert len(page.rows) == len([row for message in page.heard for row in message["rows"]])


def test_a_page_stops_waiting_and_starts_over(hub: Hub, bot: Session, page: Page, eventually: Eventually) -> None:
    hub._simulators[-1].fault("silent")
    turn = bot.send("hi")
    assert bot.running == [turn]
    page.says({"stop": True})
    assert turn.status == "cancelled"
    assert bot.running == []
    page.says({"do": "launch"})
    eventually(lambda: any(row.get("html") == "<p>Hello!</p>\n" for row in page.rows))


@pytest.mark.parametrize(
    ("form", "ending", "has"),
    [("markdown", "md", "**bot:** Hello!"), ("html", "html", '<meta charset="utf-8">'), ("jsonl", "jsonl", '"seq":0')],
)
def test_a_page_is_handed_the_conversation_to_keep(bot: Session, page: Page, form: str, ending: str, has: str) -> None:
    bot.launch()
    page.says({"export": form})
    assert page.heard[-1]["file"] == f"bot.{ending}"
    assert has in page.heard[-1]["content"]


def test_a_page_that_inspects_is_told_of_the_session_and_the_traces_of_a_turn(bot: Session, page: Page) -> None:
    bot.launch()
    begun = next(row["seq"] for row in page.rows if "text" in row)
    page.says({"inspect": begun})
    told = page.heard[-1]["inspected"]
    assert dict(told["session"])["turns"] == "1"
    assert dict(told["session"])["traces"] == str(len(bot.traces()))
    assert [trace["kind"] for trace in told["traces"]] == [trace.kind for trace in bot.traces(begun)]
    assert told["traces"][0]["direction"] == "out"
    assert [trace["label"] for trace in told["traces"] if trace["shown"]] == ["Hello!", "[Order] [Track]"]
    page.says({"inspect": 10**9})
    assert page.heard[-1]["inspected"] == {"session": [], "traces": []}


def test_a_session_has_one_panel_however_often_it_is_shown(bot: Session, page: Page) -> None:
    assert len({id(bot.panel()) for _ in range(50)}) == 1
    assert len(bot._listeners) == 1


def test_a_panel_that_was_closed_is_made_again_and_hears_no_more(bot: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    panel = bot.panel()
    panel.close()
    assert not bot._listeners
    again = bot.panel()
    assert again is not panel
    again.close()


def test_hostile_words_travel_as_text_or_sanitised(bot: Session, page: Page) -> None:
    bot.say("<img src=x onerror=alert(1)>")
    mine, its = [row for row in page.rows if "text" in row or "html" in row]
    assert mine["text"] == "<img src=x onerror=alert(1)>", "the page inserts it as text"
    assert "<img" not in its["html"]


def test_no_state_is_saved_but_the_code(page: Page) -> None:
    state = page.panel.get_state()
    assert {name for name, value in state.items() if value and not name.startswith("_")} <= {"layout", "tabbable"}


def test_a_panel_opened_in_mid_stream_shows_the_whole_of_it(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    flow, go = Flow("model"), threading.Event()

    def pieces() -> Iterator[str]:
        yield "first half "
        go.wait(10)
        yield "second half"

    @flow.otherwise
    def answer(turn: FlowTurn) -> None:
        turn.stream(pieces())

    bot = hub.connect("voiceflow", simulate=True, flow=flow, completion_events=True)
    story = bot.stream("hi")
    assert next(story).text == "first half "
    page = Page(bot.panel(), monkeypatch)
    half = len(bot.traces())
    go.set()
    assert [message.text for message in story] == ["second half"]
    page.says({"ask": half})
    whole = [row["html"] for row in page.rows if "html" in row]
    assert whole == ["<p>first half second half</p>\n"] * 2, "live, and asked for again from the middle on"
    page.panel.close()


@pytest.mark.parametrize("encoding", ["audio/x-mulaw", "audio/pcm"])
def test_speech_sounds_the_same_wherever_it_is_shown(
    hub: Hub, flow: Flow, monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    bot = hub.connect("voiceflow", simulate=True, flow=flow, audio_events=True, audio_encoding=encoding)
    page = Page(bot.panel(), monkeypatch)
    turn = bot.say("hi there")
    (sound,) = [message.audio for message in turn.messages if message.audio]
    address = base64.b64encode(sound).decode()
    shown = [turn._repr_mimebundle_()["text/html"], bot._repr_mimebundle_()["text/html"]]
    shown += [row["html"] for row in page.rows if "<audio" in row.get("html", "")]
    assert len(shown) == 3
    assert all(address in html for html in shown)
    page.panel.close()

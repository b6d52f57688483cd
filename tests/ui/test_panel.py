"""The panel's kernel side: what travels, without a browser."""

import base64
import contextlib
import json
import queue
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ipywidgets import widget

import socketnb.ui.panel as panel_module
import socketnb.ui.panel.pane as pane_module
import socketnb.ui.panel.rows as rows_module
from socketnb.conversation.session import Session
from socketnb.errors import SessionError, SettingsError, TurnError
from socketnb.flows.flow import Flow, FlowTurn, card
from socketnb.hub import Hub
from socketnb.ui.panel import Panel
from socketnb.ui.panel.pane import STATIC, Pane
from socketnb.ui.panel.rows import PAGE

Eventually = Callable[[Callable[[], bool]], None]


class Page:
    """A page at the other end of a panel: it hears what is sent and answers."""

    def __init__(self, panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
        self.panel = panel
        self._heard: list[dict[str, Any]] = []
        monkeypatch.setattr(panel, "send", self._heard.append)
        self.says({"ask": "last", "seq": 0, "view": "v"})
        self.heard.clear()

    @property
    def heard(self) -> list[dict[str, Any]]:
        """What was sent, when all that came is handed out."""
        due = time.monotonic() + 10
        while any(map(self._is_pausing, self.panel._panes)) and time.monotonic() < due:
            time.sleep(0.005)
        return self._heard

    def _is_pausing(self, pane: Pane) -> bool:
        with pane._lock:
            return pane._pausing

    def says(self, message: object, *buffers: bytes) -> None:
        self.panel._hear(self.panel, message, list(buffers))

    def asks(self, where: str, seq: int = 0, talk: str | None = None) -> dict[str, Any]:
        """Ask for rows, and return the page of them that comes."""
        self.heard.clear()
        self.says({"ask": where, "seq": seq, "view": "v", **({"talk": talk} if talk else {})})
        (answer,) = [message for message in self.heard if "page" in message]
        assert (answer["view"], answer["where"]) == ("v", where)
        self.heard.clear()
        return {"facts": answer["facts"], "about": answer["about"], **answer["page"]}

    def told(self, what: str) -> dict[str, Any]:
        """Return the last message about this."""
        return [message for message in self.heard if what in message][-1]

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


def shown(rows: list[dict[str, Any]]) -> list[Any]:
    return [row.get("html") or row.get("choices") or row.get("text") for row in rows]


def test_a_page_that_asks_is_told_the_whole_conversation(bot: Session, page: Page) -> None:
    bot.launch()
    answer = page.asks("last")
    assert answer["at"] == (0, len(bot.traces()))
    assert shown(answer["rows"]) == ["(launch)", "<p>Hello!</p>\n", ["Order", "Track"], None]
    assert (answer["older"], answer["newer"], answer["running"]) == (False, False, [])
    assert answer["facts"] == {"state": "ready"}
    about = answer["about"]
    assert (about["name"], about["platform"], about["restart"], about["talks"]) == ("bot", "Voiceflow", "launch", 1)


def test_what_travels_lies_end_to_end_and_goes_up_to_the_last_trace(bot: Session, page: Page) -> None:
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


@pytest.fixture
def long(bot: Session, page: Page) -> list[dict[str, Any]]:
    """A conversation of more rows than a page is handed at once, and all of its rows."""
    for n in range(PAGE):
        bot.say(f"number {n}")
    return page.rows


def test_a_long_conversation_comes_in_pages_that_lie_side_by_side(page: Page, long: list[dict[str, Any]]) -> None:
    found = page.asks("last")
    rows = found["rows"]
    assert len(rows) == PAGE
    while found["older"]:
        found = page.asks("before", rows[0]["seq"])
        assert found["rows"][-1]["seq"] < rows[0]["seq"] == found["at"][1]
        rows = found["rows"] + rows
    assert rows == long
    assert found["at"][0] == 0
    after = page.asks("after", 0)
    assert (after["rows"], after["newer"]) == (long[:PAGE], True)
    assert after["at"] == (0, long[PAGE]["seq"])


def test_a_page_that_missed_much_is_handed_the_last_rows_instead(page: Page, long: list[dict[str, Any]]) -> None:
    little = page.asks("since", long[-3]["seq"])
    assert (little["rows"], little["at"][0]) == (long[-3:], long[-3]["seq"])
    much = page.asks("since", 0)
    assert (much["rows"], much["older"]) == (long[-PAGE:], True)


def test_what_is_looked_for_is_found_by_number_and_shown_with_what_is_around_it(
    page: Page, long: list[dict[str, Any]]
) -> None:
    page.says({"find": "NUMBER 7", "view": "v"})
    (answer,) = [message for message in page.heard if "found" in message]
    said = [row["seq"] for row in long if "number 7" in (row.get("text") or row.get("html", ""))]
    assert answer["found"] == said
    around = page.asks("around", said[0])
    assert said[0] in [row["seq"] for row in around["rows"]]
    assert around["newer"]


def test_a_message_costs_the_same_however_long_the_conversation_is(page: Page, long: list[dict[str, Any]]) -> None:
    sizes = [len(json.dumps(row)) for row in long if "html" in row]
    early, late = statistics.mean(sizes[:20]), statistics.mean(sizes[-20:])
    assert late <= 1.1 * early


def test_facts_travel_only_when_they_change(bot: Session, page: Page) -> None:
    bot.say("hi")
    assert not [message for message in page.heard if "facts" in message]
    bot.close()
    assert page.told("facts")["facts"] == {"state": "closed"}


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


@pytest.mark.parametrize(
    "nonsense",
    [{}, {"say": ""}, {"say": 7}, {"ask": "x", "view": "v"}, {"say": "hi", "of": 7}, {"press": 0}, 7, None, []],
)
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
    assert {"of": 0, "said": "a-0", "turn": 1} in page.heard
    bot.launch()
    offer = next(row for row in page.rows if "choices" in row)
    page.says({"press": offer["seq"], "option": 1})
    assert {"of": 0, "pressed": offer["seq"], "option": 1} in page.heard
    page.says({"press": offer["seq"], "option": 1})
    for turn in bot.running:
        turn.wait()
    assert bot.turns_df()["action"].tolist().count("press") == 1, "two views, one press"
    bot.launch()
    later = [row for row in page.rows if "choices" in row][-1]
    bot.close()
    page.says({"press": later["seq"], "option": 1})
    assert page.told("asked")["asked"]["press"] == later["seq"], "so that its buttons are not spent"


def test_what_cannot_be_sent_comes_back_with_its_words(bot: Session, page: Page) -> None:
    bot.close()
    page.says({"say": "hi"})
    assert page.told("asked")["asked"]["say"] == "hi"
    assert "closed" in page.told("problem")["problem"]


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
    page.says({"export": form, "view": "v"})
    assert page.told("file")["file"] == f"bot.{ending}"
    assert has in page.told("content")["content"]


def test_a_page_that_inspects_is_told_of_the_session_and_the_traces_of_a_turn(bot: Session, page: Page) -> None:
    bot.launch()
    begun = next(row["seq"] for row in page.rows if "text" in row)
    page.says({"inspect": 0, "had": [0, -1], "view": "v"})
    told = page.told("inspected")["inspected"]
    assert dict(told["session"])["turns"].startswith("1 · p50")
    assert dict(told["session"])["reconnects"] == "0"
    assert dict(told["session"])["traces"] == str(len(bot.traces()))
    assert [trace["kind"] for trace in told["traces"]] == [trace.kind for trace in bot.traces(begun)]
    assert told["traces"][0]["direction"] == "out"
    assert [trace["label"] for trace in told["traces"] if trace["shown"]] == ["Hello!", "[Order] [Track]"]
    bot.say("hi")
    page.says({"inspect": 1, "had": [2, 5], "view": "v"})
    assert {trace["seq"] for trace in page.told("inspected")["inspected"]["traces"]} == {
        t.seq for t in bot.traces() if t.turn == 1
    }
    page.says({"inspect": 10**9, "had": [0, -1], "view": "v"})
    assert page.told("inspected")["inspected"]["traces"] == []


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


def test_running_a_cell_again_and_again_leaks_no_widget_thread_or_listener(hub: Hub) -> None:
    def cell() -> Session:
        bot = hub.connect("voiceflow", name="bot", simulate=True)
        bot.panel()
        bot.panel(ui="core")
        hub.panels(bot)
        return bot

    def there() -> tuple[int, int]:
        return len(widget._instances), threading.active_count()

    cell()
    before = there()
    for _ in range(50):
        bot = cell()
    assert there() == before
    assert len(bot._listeners) == 2


def test_a_session_opened_again_takes_its_panel_over(hub: Hub, flow: Flow, monkeypatch: pytest.MonkeyPatch) -> None:
    first = hub.connect("voiceflow", name="bot", simulate=True, flow=flow)
    page = Page(first.panel(), monkeypatch)
    first.say("before")
    second = hub.connect("voiceflow", name="bot", simulate=True, flow=flow)
    assert {"of": 0, "turned": True} in page.heard
    assert second.panel() is page.panel
    second.say("after")
    assert shown(page.asks("last")["rows"])[0] == "after"
    page.says({"say": "hi"})
    assert [turn.number for turn in second.running] or len(second.turns_df()) > 2


def test_several_sessions_share_a_panel_each_in_its_place(
    hub: Hub, flow: Flow, monkeypatch: pytest.MonkeyPatch, eventually: Eventually
) -> None:
    one, two = (hub.connect("voiceflow", simulate=True, flow=flow) for _ in range(2))
    page = Page(hub.panels(one, two.name), monkeypatch)
    assert page.panel._sessions == 2
    page.says({"say": "only to the second", "of": 1})
    eventually(lambda: not two.running and len(two.turns_df()) == 1)
    assert one.turns_df().empty
    assert {message["of"] for message in page.heard} == {1}


@pytest.mark.parametrize(
    ("names", "sentence"), [((), "shows sessions"), (("bot", "bot"), "once"), (("no",), "unknown session")]
)
def test_panels_that_cannot_be_are_refused_in_words(
    hub: Hub, bot: Session, names: tuple[str, ...], sentence: str
) -> None:
    with pytest.raises(SessionError, match=sentence):
        hub.panels(*names)


def test_an_unknown_ui_is_refused_in_words(bot: Session) -> None:
    with pytest.raises(SettingsError, match="core, rich"):
        bot.panel(ui="corr")  # type: ignore[call-overload]


def test_the_transcript_beside_a_panel_is_brought_up_to_date_once_it_is_quiet(
    bot: Session, page: Page, monkeypatch: pytest.MonkeyPatch, eventually: Eventually
) -> None:
    published: list[dict[str, str]] = []
    monkeypatch.setattr(panel_module, "publish_display_data", lambda *_: None)
    monkeypatch.setattr(panel_module, "display", lambda data, **_: published.append(data))
    monkeypatch.setattr(panel_module, "update_display", lambda data, **_: published.append(data))
    monkeypatch.setattr(panel_module, "SOON", 0.05)
    bot.say("before it is shown")
    shell = SimpleNamespace(kernel=True, events=SimpleNamespace(register=lambda *_: None, unregister=lambda *_: None))
    monkeypatch.setattr(panel_module, "get_ipython", lambda: shell)
    page.panel._ipython_display_()
    for n in range(3):
        bot.say(f"number {n}")
    eventually(lambda: len(published) > 1 and "You said number 2" in published[-1]["text/plain"])
    assert len(published) < 5
    assert "<p>You said number 2</p>" in published[-1]["text/html"]


def test_the_transcript_beside_a_panel_is_bounded(bot: Session, page: Page) -> None:
    for n in range(STATIC):
        bot.say(f"number {n}")
    text = page.panel._static()["text/plain"]
    assert "earlier traces" in text
    assert text.count("\n") <= STATIC + 2


def test_a_file_that_a_page_hands_over_is_sent_and_then_forgotten(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, eventually: Eventually
) -> None:
    bot = hub.connect("cognigy", name="bot", simulate=True)
    page = Page(bot.panel(), monkeypatch)
    page.says({"act": "upload", "fields": {"file": "../../secret.txt", "text": "look"}, "id": "a"}, b"what it says")
    eventually(lambda: any("Got it" in row.get("html", "") for row in page.rows))
    assert any(row.get("text") == "look (secret.txt)" for row in page.rows)
    assert page.told("acted")["acted"] == "a"
    (pane,) = page.panel._panes
    assert pane._files
    folder = Path(pane._files.name)
    assert [file.name for file in folder.rglob("*.txt")] == ["secret.txt"]
    page.panel.close()
    assert not folder.exists()


@pytest.mark.parametrize(
    ("verb", "fields", "sentence"),
    [
        ("dance", {}, "dance"),
        ("data", {"data": "{broken"}, "data is no JSON"),
        ("rate", {}, "rate needs rating"),
        ("upload", {"text": "no file"}, "upload needs file"),
    ],
)
def test_a_verb_that_cannot_be_done_is_a_problem_in_words(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, verb: str, fields: dict[str, Any], sentence: str
) -> None:
    bot = hub.connect("cognigy", simulate=True)
    page = Page(bot.panel(), monkeypatch)
    page.says({"act": verb, "fields": fields, "id": "a"})
    assert sentence in page.told("problem")["problem"]
    assert page.told("asked")["asked"]["id"] == "a"


def test_a_form_is_submitted_with_what_was_filled_in(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, eventually: Eventually
) -> None:
    bot = hub.connect("cognigy", simulate=True)
    page = Page(bot.panel(), monkeypatch)
    bot.say("tour")
    (form,) = [row for row in page.rows if "adaptive" in row.get("form", {})]
    page.says({"submit": form["seq"], "option": 0, "values": {"name": "Grace"}})
    eventually(lambda: any("on our list" in row.get("html", "") for row in page.rows))
    (sent,) = [trace for trace in bot.traces() if "adaptivecards" in trace.payload and trace.direction == "out"]
    assert json.loads(sent.payload)["data"]["adaptivecards"] == {"list": "news", "name": "Grace"}
    page.says({"submit": form["seq"], "option": 7, "values": {}})
    assert "no button" in page.told("problem")["problem"]


def test_rows_of_several_conversations_are_asked_for_one_by_one(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, eventually: Eventually
) -> None:
    bot = hub.connect("eusate", simulate=True)
    page = Page(bot.panel(), monkeypatch)
    bot.say("hours")
    bot.new_conversation().say("Talk to a person")
    eventually(lambda: any(talk.agent for talk in bot.conversations()))
    first, second = (talk.id for talk in sorted(bot.conversations(), key=lambda talk: bool(talk.agent)))
    eventually(lambda: any(row.get("sender") == "agent" for row in page.rows))
    told = [message["facts"]["talks"] for message in page.heard if "facts" in message][-1]
    assert [talk["agent"] for talk in told if talk["id"] == second] == ["Ada"]
    words = {talk: " ".join(map(str, shown(page.asks("last", talk=talk)["rows"]))) for talk in (first, second)}
    assert ["Saturday" in words[talk] for talk in (first, second)] == [True, False]
    assert ["Ada" in words[talk] for talk in (first, second)] == [False, True]
    assert "hours" in words[first], "what began it belongs to it"
    page.says({"say": "hours", "talk": second})
    assert bot.running[-1].action.conversation == second


def test_a_lost_session_is_reconnected_from_its_panel(hub: Hub, flow: Flow, monkeypatch: pytest.MonkeyPatch) -> None:
    simulator = hub.simulate("voiceflow", flow)
    bot = hub.connect("voiceflow", name="bot", **simulator.settings, reconnection=False)
    page = Page(bot.panel(), monkeypatch)
    states: queue.Queue[str] = queue.Queue()
    bot.follow(lambda _: states.put(bot.state))
    simulator.fault("drop")
    while states.get(timeout=10) != "lost":
        pass
    page.says({"do": "reconnect"})
    while states.get(timeout=10) != "ready":
        pass
    assert bot.say("hi").status == "completed"


def test_what_was_pressed_and_never_sent_can_be_pressed_again(
    hub: Hub, flow: Flow, monkeypatch: pytest.MonkeyPatch, eventually: Eventually
) -> None:
    simulator = hub.simulate("voiceflow", flow)
    bot = hub.connect("voiceflow", name="bot", **simulator.settings, reconnection=False)
    page = Page(bot.panel(), monkeypatch)
    bot.launch()
    offer = next(row for row in page.rows if "choices" in row)
    simulator.stop()
    eventually(lambda: bot.state == "lost")
    page.says({"press": offer["seq"], "option": 0})
    eventually(lambda: {"of": 0, "restored": offer["seq"]} in page.heard)


def test_two_views_that_press_at_once_press_once(bot: Session, page: Page) -> None:
    bot.launch()
    offer = next(row for row in page.rows if "choices" in row)
    presses = [{"press": offer["seq"], "option": option} for option in (0, 1)]
    views = [threading.Thread(target=page.says, args=(press,)) for press in presses]
    for view in views:
        view.start()
    for view in views:
        view.join()
    for turn in bot.running:
        turn.wait()
    assert bot.turns_df()["action"].tolist().count("press") == 1


def test_the_last_word_is_told_when_the_kernel_closes_all(
    hub: Hub, flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    bot = hub.connect("voiceflow", name="bot", simulate=True, flow=flow)
    page = Page(bot.panel(), monkeypatch)
    bot.say("hi")
    hub.close()
    assert page.told("facts")["facts"]["state"] == "closed"


def test_too_much_at_once_is_not_told_row_by_row(bot: Session, page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pane_module, "MOST", 0)
    bot.say("hi")
    assert page.rows == []
    assert page.told("many")["to"] == len(bot.traces())
    assert len(page.asks("since", 0)["rows"]) == 3


def test_a_row_that_cannot_be_made_is_a_notice_and_loses_no_other(
    bot: Session, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> str:
        raise RuntimeError("no way")

    monkeypatch.setattr(rows_module.render, "message_html", fails)
    bot.say("hi")
    assert [row.get("notice") for row in page.asks("last")["rows"]] == [
        None,
        "this cannot be shown: RuntimeError",
        None,
    ]


@pytest.mark.parametrize(
    ("what", "most"),
    [
        (lambda turn: turn.choices(*["x" * 10_000] * 1_000), 50_000),
        (lambda turn: turn.carousel(*[card("t" * 9_000, "*a " * 6_000)] * 200), 900_000),
        (lambda turn: turn.say("**a " * 20_000), 200_000),
        (lambda turn: turn.image("data:image/png;base64," + "A" * 9_000_000), 1_000),
    ],
    ids=["buttons", "cards", "words", "pictures"],
)
def test_how_heavy_a_row_is_is_not_the_bots_to_choose(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, what: Callable[[FlowTurn], None], most: int
) -> None:
    flow = Flow("heavy")
    flow.otherwise(what)
    bot = hub.connect("voiceflow", simulate=True, flow=flow, turn_timeout=60)
    page = Page(bot.panel(), monkeypatch)
    with contextlib.suppress(TurnError):  # more than a link takes
        bot.say("hi", timeout=20)
    assert max(len(json.dumps(row)) for row in page.rows) < most


def test_a_typing_agent_is_told_of_and_is_no_row(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    bot = hub.connect("cognigy", simulate=True)
    page = Page(bot.panel(), monkeypatch)
    bot.say("hours")
    assert [row["typing"] for row in page.rows if "typing" in row] == [True, False]
    assert not [row for row in page.asks("last")["rows"] if "typing" in row]


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
    (begun,) = [row for row in page.asks("last")["rows"] if "stream" in row]
    assert begun["delta"] == "first half "
    go.set()
    assert [message.text for message in story] == ["second half"]
    whole = [row["html"] for row in page.rows if "html" in row]
    (again,) = [row["html"] for row in page.asks("since", half - 1)["grown"]]
    assert whole == [again] == ["<p>first half second half</p>\n"]
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

"""The panel of core widgets, at its kernel side: what its widgets show, and what pages make of them."""

import re
import threading
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from ipywidgets.widgets.widget import _instances

from socketnb.conversation.session import Session
from socketnb.errors import SocketnbError
from socketnb.flows.flow import Flow, FlowTurn
from socketnb.hub import Hub
from socketnb.ui import core_panel
from socketnb.ui.comms import answer_at_once
from socketnb.ui.core_panel import CorePanel

Eventually = Callable[[Callable[[], bool]], None]


def widgets() -> set[str]:
    return set(_instances)


class Page:
    """A page that shows a panel: a person reads, types, leaves the box, presses Enter and clicks."""

    def __init__(self, panel: CorePanel) -> None:
        self.panel = panel
        self._head, self._story, self._choices, bar = panel.children
        self.box, self.send, self._stop = bar.children
        self._words = ""

    def _drawn(self, widget: Any) -> Any:
        """Return a widget when all that came is drawn."""
        due = time.monotonic() + 10
        while self._is_pausing() and time.monotonic() < due:
            time.sleep(0.005)
        return widget

    def _is_pausing(self) -> bool:
        with self.panel._lock:
            return self.panel._pausing

    @property
    def head(self) -> Any:
        return self._drawn(self._head)

    @property
    def story(self) -> Any:
        return self._drawn(self._story)

    @property
    def choices(self) -> Any:
        return self._drawn(self._choices)

    @property
    def stop(self) -> Any:
        return self._drawn(self._stop)

    def types(self, words: str) -> None:
        self._words = words

    def leaves(self) -> None:
        """The box tells its words if they are not what the kernel knows."""
        if self._words != self.box.value:
            self.box.set_state({"value": self._words})

    def enters(self, words: str) -> None:
        """Enter is told first, and the words after it."""
        self.types(words)
        self.box._handle_custom_msg({"event": "submit"}, [])
        self.leaves()

    def clicks(self, button: Any) -> None:
        button._handle_custom_msg({"event": "click"}, [])

    @property
    def labels(self) -> list[str]:
        return [button.description for button in self.choices.children]

    def can_stop(self) -> bool:
        return bool(self.stop.layout.display != "none")

    def shows(self, words: str) -> Callable[[], bool]:
        return lambda: words in self.story.value


@pytest.fixture
def page(bot: Session) -> Iterator[Page]:
    panel = CorePanel(bot)
    yield Page(panel)
    panel.close()


@pytest.fixture
def held(hub: Hub) -> Iterator[tuple[Session, threading.Event]]:
    """A conversation with a bot that waits before the second half of its answer."""
    flow, go = Flow("held"), threading.Event()

    def pieces() -> Iterator[str]:
        yield "first **ha"
        go.wait(10)
        yield "lf** & second"

    @flow.otherwise
    def answer(turn: FlowTurn) -> None:
        turn.stream(pieces())

    yield hub.connect("voiceflow", name="held", simulate=True, flow=flow, completion_events=True), go
    go.set()


def said(bot: Session) -> list[str | None]:
    return [trace.text for trace in bot.traces() if trace.kind == "action"]


def test_what_python_says_appears_with_the_answer(bot: Session, page: Page) -> None:
    bot.say("hi there")
    assert ">user</small> hi there</div>" in page.story.value
    assert ">bot</small> <p>You said hi there</p>" in page.story.value


def test_a_panel_opened_in_the_middle_of_a_conversation_shows_all_of_it(bot: Session) -> None:
    bot.launch()
    bot.say("hi")
    page = Page(CorePanel(bot))
    assert re.findall(r"Hello!|You said hi", page.story.value) == ["Hello!", "You said hi"]
    page.panel.close()


def test_the_head_tells_name_platform_and_state(bot: Session, page: Page) -> None:
    assert page.head.value == "<strong>bot</strong> · Voiceflow · ready"
    bot.close()
    assert page.head.value == "<strong>bot</strong> · Voiceflow · closed"


def test_enter_says_the_words_and_empties_the_box(page: Page, eventually: Eventually) -> None:
    page.enters("hi")
    assert page.box.value == ""
    eventually(page.shows("You said hi"))


def test_two_equal_texts_in_a_row_are_both_sent(bot: Session, page: Page, eventually: Eventually) -> None:
    page.enters("hi")
    page.enters("hi")
    eventually(lambda: page.story.value.count("You said hi") == 2)
    assert said(bot) == ["hi", "hi"]


@pytest.mark.parametrize("nothing", ["", "   "])
def test_enter_with_nothing_in_the_box_sends_nothing(
    bot: Session, page: Page, eventually: Eventually, nothing: str
) -> None:
    page.enters(nothing)
    eventually(lambda: page.panel._entered is None)
    assert bot.turns_df().empty


def test_words_that_come_long_after_enter_wait_for_another(
    bot: Session, page: Page, eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(core_panel, "SOON", 0)
    page.enters("")
    eventually(lambda: page.panel._entered is None)
    page.types("half a sen")
    page.leaves()
    assert not bot.running


def test_words_wait_in_a_box_that_is_left(bot: Session, page: Page) -> None:
    page.types("half a sen")
    page.leaves()
    assert not bot.running
    assert page.box.value == "half a sen"


def test_words_that_were_left_in_the_box_are_said_as_they_are_at_enter(
    bot: Session, page: Page, eventually: Eventually
) -> None:
    page.types("half a sen")
    page.leaves()
    page.enters("half a sentence")
    eventually(page.shows("You said half a sentence"))
    assert said(bot) == ["half a sentence"]


def test_enter_says_words_that_the_page_has_told_before(bot: Session, page: Page, eventually: Eventually) -> None:
    page.types("a sentence")
    page.leaves()
    page.enters("a sentence")
    eventually(page.shows("You said a sentence"))
    assert page.box.value == ""


def test_send_says_what_is_in_the_box(page: Page, eventually: Eventually) -> None:
    page.types("hi")
    page.leaves()
    page.clicks(page.send)
    eventually(page.shows("You said hi"))


def test_send_waits_for_words_that_come_after_the_click(page: Page, eventually: Eventually) -> None:
    page.clicks(page.send)
    page.types("hi")
    page.leaves()
    eventually(page.shows("You said hi"))


def test_a_button_that_is_pressed_answers_and_all_are_spent(bot: Session, page: Page, eventually: Eventually) -> None:
    bot.launch()
    assert page.labels == ["Order", "Track"]
    page.clicks(page.choices.children[0])
    eventually(lambda: page.labels == ["S", "L"])
    page.clicks(page.choices.children[1])
    eventually(page.shows("One L pizza."))
    assert page.labels == []


def test_saying_something_else_spends_the_buttons(bot: Session, page: Page) -> None:
    bot.launch()
    bot.say("hi")
    assert page.labels == []


def test_buttons_that_were_not_passed_over_are_there_in_a_panel_opened_later(bot: Session) -> None:
    bot.launch()
    page = Page(CorePanel(bot))
    assert page.labels == ["Order", "Track"]
    page.panel.close()


def test_spent_buttons_leave_no_widget(bot: Session, page: Page) -> None:
    bot.say("hi")
    assert page.labels == []
    before = widgets()
    bot.launch()
    assert page.labels == ["Order", "Track"]
    assert widgets() > before
    bot.say("hi")
    assert page.labels == []
    assert widgets() == before


def test_many_buttons_are_not_all_shown(hub: Hub) -> None:
    flow = Flow("many")

    @flow.otherwise
    def many(turn: FlowTurn) -> None:
        turn.choices(*(f"{n} " + "long " * 100 for n in range(500)))

    bot = hub.connect("voiceflow", simulate=True, flow=flow)
    page = Page(CorePanel(bot))
    bot.say("hi")
    assert len(page.labels) == core_panel.BUTTONS
    assert max(map(len, page.labels)) == core_panel.LABEL
    page.panel.close()


def test_a_closed_session_is_a_line_in_the_panel_and_the_words_stay(bot: Session, page: Page) -> None:
    bot.close()
    page.enters("hi")
    assert "session &#x27;bot&#x27; is closed" in page.story.value
    assert page.box.value == "hi"


def test_a_button_that_could_not_be_pressed_is_not_spent(
    bot: Session, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise SocketnbError("not now")

    bot.launch()
    monkeypatch.setattr(bot, "start", fails)
    page.clicks(page.choices.children[0])
    assert page.labels == ["Order", "Track"]


def test_a_problem_goes_away_when_something_is_sent(bot: Session, page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as broken:
        broken.setattr(bot, "send", fails)
        page.enters("hi")
        assert "this failed: ZeroDivisionError" in page.story.value
    page.clicks(page.send)
    assert "ZeroDivisionError" not in page.story.value


def test_five_hundred_messages_keep_the_html_bounded(bot: Session, page: Page) -> None:
    for n in range(250):
        bot.say(f"message {n}")
    assert page.story.value.count(">user</small>") + page.story.value.count(">bot</small>") <= core_panel.SHOWN
    assert "You said message 249" in page.story.value
    assert "earlier ones are in the transcript" in page.story.value


def test_heavy_messages_keep_the_html_bounded_too(bot: Session, page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core_panel, "HEAVIEST", 20_000)
    for n in range(8):
        bot.say(f"{n} " + "x" * 5_000)
    assert len(page.story.value) < 21_000
    assert "You said 7 x" in page.story.value
    assert "earlier message" in page.story.value


def test_what_comes_in_quick_succession_is_drawn_together(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    flow = Flow("talkative")

    @flow.otherwise
    def talk(turn: FlowTurn) -> None:
        for n in range(200):
            turn.say(f"number {n}")

    monkeypatch.setattr(core_panel, "PAUSE", 0.5)
    bot = hub.connect("voiceflow", simulate=True, flow=flow)
    page = Page(CorePanel(bot))
    updates: list[object] = []
    page.story.observe(updates.append, "value")
    bot.say("hi")
    assert "number 199" in page.story.value
    assert len(updates) < 20
    page.panel.close()


def test_a_streamed_answer_grows_in_its_place(held: tuple[Session, threading.Event], eventually: Eventually) -> None:
    bot, go = held
    page = Page(CorePanel(bot))
    page.enters("tell me")
    eventually(page.shows("first **ha"))
    go.set()
    eventually(page.shows(">bot</small> <p>first <strong>half</strong> &amp; second</p>"))
    assert page.story.value.count(">bot</small>") == 1
    page.panel.close()


def test_a_running_turn_can_be_stopped(held: tuple[Session, threading.Event], eventually: Eventually) -> None:
    bot, _ = held
    page = Page(CorePanel(bot))
    assert not page.can_stop()
    page.enters("tell me")
    eventually(page.can_stop)
    eventually(page.shows("first **ha"))
    page.clicks(page.stop)
    eventually(lambda: not page.can_stop())
    assert not bot.running
    page.panel.close()


def test_stop_goes_away_with_the_last_trace_of_a_turn(bot: Session, page: Page) -> None:
    bot.say("hi")
    assert not page.can_stop()


def test_closing_leaves_no_listener_and_no_widget(bot: Session) -> None:
    before = widgets()
    bot.launch()
    page = Page(CorePanel(bot))
    page.types("half a sen")
    page.leaves()
    page.panel.close()
    page.panel.close()
    assert not bot._events.listeners
    assert widgets() == before


def test_a_closed_panel_says_nothing_more(bot: Session) -> None:
    page = Page(CorePanel(bot))
    page.panel.close()
    page.enters("hi")
    assert not bot.running
    assert bot.turns_df().empty


def test_hostile_words_are_escaped_on_both_sides(bot: Session, page: Page) -> None:
    bot.say("<img src=x onerror=alert(1)>")
    assert "<img" not in page.story.value
    assert page.story.value.count("&lt;img src=x onerror=alert(1)&gt;") == 2


def test_beside_the_widget_stands_a_transcript(bot: Session, page: Page) -> None:
    bot.say("hi")
    bundle = page.panel._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert bundle["text/plain"] == "user:  hi\nbot:   You said hi"
    assert "<p>You said hi</p>" in bundle["text/html"]


def test_clicks_are_answered_on_the_shell_that_they_came_to() -> None:
    def another(_: object, default: str) -> str:
        return f"another than {default}"

    widget = SimpleNamespace(comm=SimpleNamespace(_reply_subshell_for=another))
    answer_at_once(widget)
    assert widget.comm._reply_subshell_for({}, "its own") == "its own"


def test_people_and_python_speak_at_once(bot: Session, page: Page, eventually: Eventually) -> None:
    def person() -> None:
        for n in range(25):
            page.enters(f"person {n}")

    def python() -> None:
        for n in range(25):
            bot.send(f"python {n}")

    speakers = [threading.Thread(target=person), threading.Thread(target=python)]
    for speaker in speakers:
        speaker.start()
    for speaker in speakers:
        speaker.join()
    eventually(lambda: len(said(bot)) == 50 and not bot.running and not page.can_stop())
    expected = {f"{who} {n}" for who in ("person", "python") for n in range(25)}
    assert set(said(bot)) == expected

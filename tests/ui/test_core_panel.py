"""The kernel side of the panel of core widgets: what its widgets show, and how it handles messages of a page."""

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
    """A page that shows a panel. Its methods send the messages that JupyterLab sends for an action of the user."""

    def __init__(self, panel: CorePanel) -> None:
        self.panel = panel
        self._head, self._messages, self._buttons, bar = panel.children
        self.box, self.send, self._stop = bar.children
        self._typed = ""

    def _drawn(self, widget: Any) -> Any:
        """Return a widget when the panel has drawn every trace."""
        deadline = time.monotonic() + 10
        while self._is_draw_pending() and time.monotonic() < deadline:
            time.sleep(0.005)
        return widget

    def _is_draw_pending(self) -> bool:
        with self.panel._lock:
            return self.panel._draw_pending

    @property
    def head(self) -> Any:
        return self._drawn(self._head)

    @property
    def messages(self) -> Any:
        return self._drawn(self._messages)

    @property
    def buttons(self) -> Any:
        return self._drawn(self._buttons)

    @property
    def stop(self) -> Any:
        return self._drawn(self._stop)

    def type_text(self, text: str) -> None:
        self._typed = text

    def leave_box(self) -> None:
        """Send the value of the box if it changed."""
        if self._typed != self.box.value:
            self.box.set_state({"value": self._typed})

    def press_enter(self, text: str) -> None:
        """Type a text and press Enter: the submit event is sent before the value."""
        self.type_text(text)
        self.box._handle_custom_msg({"event": "submit"}, [])
        self.leave_box()

    def click(self, button: Any) -> None:
        button._handle_custom_msg({"event": "click"}, [])

    @property
    def labels(self) -> list[str]:
        return [button.description for button in self.buttons.children]

    def can_stop(self) -> bool:
        return bool(self.stop.layout.display != "none")

    def shows(self, text: str) -> Callable[[], bool]:
        return lambda: text in self.messages.value


@pytest.fixture
def page(bot: Session) -> Iterator[Page]:
    panel = CorePanel(bot)
    yield Page(panel)
    panel.close()


@pytest.fixture
def paused(hub: Hub) -> Iterator[tuple[Session, threading.Event]]:
    """A conversation with a bot that waits for an event before the second half of its answer."""
    flow, resume = Flow("paused"), threading.Event()

    def pieces() -> Iterator[str]:
        yield "first **ha"
        resume.wait(10)
        yield "lf** & second"

    @flow.otherwise
    def answer(turn: FlowTurn) -> None:
        turn.stream(pieces())

    yield hub.connect("voiceflow", name="paused", simulate=True, flow=flow, completion_events=True), resume
    resume.set()


def sent_texts(bot: Session) -> list[str | None]:
    return [trace.text for trace in bot.traces() if trace.kind == "action"]


def test_a_message_sent_from_python_appears_with_its_reply(bot: Session, page: Page) -> None:
    bot.say("hi there")
    assert ">user</small> hi there</div>" in page.messages.value
    assert ">bot</small> <p>You said hi there</p>" in page.messages.value


def test_a_panel_opened_later_shows_the_whole_conversation(bot: Session) -> None:
    bot.launch()
    bot.say("hi")
    page = Page(CorePanel(bot))
    assert re.findall(r"Hello!|You said hi", page.messages.value) == ["Hello!", "You said hi"]
    page.panel.close()


def test_the_head_shows_name_platform_and_state(bot: Session, page: Page) -> None:
    assert page.head.value == "<strong>bot</strong> · Voiceflow · ready"
    bot.close()
    assert page.head.value == "<strong>bot</strong> · Voiceflow · closed"


def test_enter_sends_the_text_and_empties_the_box(page: Page, eventually: Eventually) -> None:
    page.press_enter("hi")
    assert page.box.value == ""
    eventually(page.shows("You said hi"))


def test_two_equal_texts_in_a_row_are_both_sent(bot: Session, page: Page, eventually: Eventually) -> None:
    page.press_enter("hi")
    page.press_enter("hi")
    eventually(lambda: page.messages.value.count("You said hi") == 2)
    assert sent_texts(bot) == ["hi", "hi"]


@pytest.mark.parametrize("nothing", ["", "   "])
def test_enter_with_nothing_in_the_box_sends_nothing(
    bot: Session, page: Page, eventually: Eventually, nothing: str
) -> None:
    page.press_enter(nothing)
    eventually(lambda: page.panel._submit_timer is None)
    assert bot.turns_df().empty


def test_a_text_that_arrives_too_late_after_enter_is_not_sent(
    bot: Session, page: Page, eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(core_panel, "VALUE_TIMEOUT_S", 0)
    page.press_enter("")
    eventually(lambda: page.panel._submit_timer is None)
    page.type_text("half a sen")
    page.leave_box()
    assert not bot.running


def test_a_text_stays_in_the_box_that_loses_focus(bot: Session, page: Page) -> None:
    page.type_text("half a sen")
    page.leave_box()
    assert not bot.running
    assert page.box.value == "half a sen"


def test_enter_sends_the_text_as_it_is_then(bot: Session, page: Page, eventually: Eventually) -> None:
    page.type_text("half a sen")
    page.leave_box()
    page.press_enter("half a sentence")
    eventually(page.shows("You said half a sentence"))
    assert sent_texts(bot) == ["half a sentence"]


def test_enter_sends_an_unchanged_text(bot: Session, page: Page, eventually: Eventually) -> None:
    page.type_text("a sentence")
    page.leave_box()
    page.press_enter("a sentence")
    eventually(page.shows("You said a sentence"))
    assert page.box.value == ""


def test_send_sends_the_text(page: Page, eventually: Eventually) -> None:
    page.type_text("hi")
    page.leave_box()
    page.click(page.send)
    eventually(page.shows("You said hi"))


def test_send_waits_for_a_text_that_arrives_after_the_click(page: Page, eventually: Eventually) -> None:
    page.click(page.send)
    page.type_text("hi")
    page.leave_box()
    eventually(page.shows("You said hi"))


def test_a_pressed_button_is_sent_and_the_buttons_disappear(bot: Session, page: Page, eventually: Eventually) -> None:
    bot.launch()
    assert page.labels == ["Order", "Track"]
    page.click(page.buttons.children[0])
    eventually(lambda: page.labels == ["S", "L"])
    page.click(page.buttons.children[1])
    eventually(page.shows("One L pizza."))
    assert page.labels == []


def test_buttons_disappear_after_another_message(bot: Session, page: Page) -> None:
    bot.launch()
    bot.say("hi")
    assert page.labels == []


def test_a_panel_opened_later_shows_the_current_buttons(bot: Session) -> None:
    bot.launch()
    page = Page(CorePanel(bot))
    assert page.labels == ["Order", "Track"]
    page.panel.close()


def test_buttons_that_disappear_leave_no_widget(bot: Session, page: Page) -> None:
    bot.say("hi")
    assert page.labels == []
    before = widgets()
    bot.launch()
    assert page.labels == ["Order", "Track"]
    assert widgets() > before
    bot.say("hi")
    assert page.labels == []
    assert widgets() == before


def test_the_number_and_length_of_buttons_is_limited(hub: Hub) -> None:
    flow = Flow("many")

    @flow.otherwise
    def many(turn: FlowTurn) -> None:
        turn.choices(*(f"{n} " + "long " * 100 for n in range(500)))

    bot = hub.connect("voiceflow", simulate=True, flow=flow)
    page = Page(CorePanel(bot))
    bot.say("hi")
    assert len(page.labels) == core_panel.MAX_BUTTONS
    assert max(map(len, page.labels)) == core_panel.MAX_LABEL_CHARS
    page.panel.close()


def test_a_closed_session_is_reported_and_the_text_stays_in_the_box(bot: Session, page: Page) -> None:
    bot.close()
    page.press_enter("hi")
    assert "session &#x27;bot&#x27; is closed" in page.messages.value
    assert page.box.value == "hi"


def test_buttons_stay_if_pressing_one_fails(bot: Session, page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> None:
        raise SocketnbError("not now")

    bot.launch()
    monkeypatch.setattr(bot, "start", fails)
    page.click(page.buttons.children[0])
    assert page.labels == ["Order", "Track"]


def test_a_problem_disappears_after_a_successful_action(
    bot: Session, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as broken:
        broken.setattr(bot, "send", fails)
        page.press_enter("hi")
        assert "the action failed: ZeroDivisionError" in page.messages.value
    page.click(page.send)
    assert "ZeroDivisionError" not in page.messages.value


def test_only_the_latest_messages_are_shown(bot: Session, page: Page) -> None:
    for n in range(250):
        bot.say(f"message {n}")
    assert (
        page.messages.value.count(">user</small>") + page.messages.value.count(">bot</small>") <= core_panel.MAX_TRACES
    )
    assert "You said message 249" in page.messages.value
    assert "earlier messages are in the transcript" in page.messages.value


def test_the_html_of_long_messages_is_limited(bot: Session, page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core_panel, "MAX_HTML_CHARS", 20_000)
    for n in range(8):
        bot.say(f"{n} " + "x" * 5_000)
    assert len(page.messages.value) < 21_000
    assert "You said 7 x" in page.messages.value
    assert "earlier message" in page.messages.value


def test_traces_in_quick_succession_are_drawn_together(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    flow = Flow("talkative")

    @flow.otherwise
    def talk(turn: FlowTurn) -> None:
        for n in range(200):
            turn.say(f"number {n}")

    monkeypatch.setattr(core_panel, "DRAW_INTERVAL_S", 0.5)
    bot = hub.connect("voiceflow", simulate=True, flow=flow)
    page = Page(CorePanel(bot))
    updates: list[object] = []
    page.messages.observe(updates.append, "value")
    bot.say("hi")
    assert "number 199" in page.messages.value
    assert len(updates) < 20
    page.panel.close()


def test_a_streamed_message_is_updated_in_place(
    paused: tuple[Session, threading.Event], eventually: Eventually
) -> None:
    bot, resume = paused
    page = Page(CorePanel(bot))
    page.press_enter("tell me")
    eventually(page.shows("first **ha"))
    resume.set()
    eventually(page.shows(">bot</small> <p>first <strong>half</strong> &amp; second</p>"))
    assert page.messages.value.count(">bot</small>") == 1
    page.panel.close()


def test_a_running_turn_can_be_stopped(paused: tuple[Session, threading.Event], eventually: Eventually) -> None:
    bot, _ = paused
    page = Page(CorePanel(bot))
    assert not page.can_stop()
    page.press_enter("tell me")
    eventually(page.can_stop)
    eventually(page.shows("first **ha"))
    page.click(page.stop)
    eventually(lambda: not page.can_stop())
    assert not bot.running
    page.panel.close()


def test_stop_disappears_when_the_turn_ends(bot: Session, page: Page) -> None:
    bot.say("hi")
    assert not page.can_stop()


def test_closing_leaves_no_listener_and_no_widget(bot: Session) -> None:
    before = widgets()
    bot.launch()
    page = Page(CorePanel(bot))
    page.type_text("half a sen")
    page.leave_box()
    page.panel.close()
    page.panel.close()
    assert not bot._listeners
    assert widgets() == before


def test_a_closed_panel_sends_nothing(bot: Session) -> None:
    page = Page(CorePanel(bot))
    page.panel.close()
    page.press_enter("hi")
    assert not bot.running
    assert bot.turns_df().empty


def test_markup_of_the_user_and_of_the_bot_is_escaped(bot: Session, page: Page) -> None:
    bot.say("<img src=x onerror=alert(1)>")
    assert "<img" not in page.messages.value
    assert page.messages.value.count("&lt;img src=x onerror=alert(1)&gt;") == 2


def test_the_widget_comes_with_a_static_transcript(bot: Session, page: Page) -> None:
    bot.say("hi")
    bundle = page.panel._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert bundle["text/plain"] == "user:  hi\nbot:   You said hi"
    assert "<p>You said hi</p>" in bundle["text/html"]


def test_clicks_are_handled_on_the_shell_that_received_them() -> None:
    def other_shell(_: object, default: str) -> str:
        return f"not {default}"

    widget = SimpleNamespace(comm=SimpleNamespace(_reply_subshell_for=other_shell))
    answer_at_once(widget)
    assert widget.comm._reply_subshell_for({}, "receiver") == "receiver"


def test_the_user_and_python_can_send_at_the_same_time(bot: Session, page: Page, eventually: Eventually) -> None:
    def person() -> None:
        for n in range(25):
            page.press_enter(f"person {n}")

    def python() -> None:
        for n in range(25):
            bot.send(f"python {n}")

    threads = [threading.Thread(target=person), threading.Thread(target=python)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    eventually(lambda: len(sent_texts(bot)) == 50 and not bot.running and not page.can_stop())
    expected = {f"{sender} {n}" for sender in ("person", "python") for n in range(25)}
    assert set(sent_texts(bot)) == expected

"""The core chat panel of text and buttons. It uses only core ipywidgets, for environments without anywidget.

When Enter is pressed, the page sends a submit event and then, if the text has changed, the new value. When the text box
loses focus, for example after a click on a button, the page sends only the new value. The text then stays in the box
until Enter or Send.
"""

from __future__ import annotations

import html
import logging
import threading
from functools import partial
from typing import TYPE_CHECKING

from ipywidgets import HTML, Button, HBox, Layout, Text, VBox

from socketnb import render
from socketnb.dialects import registry
from socketnb.dialects.messages import OFFERS, message
from socketnb.errors import SocketnbError
from socketnb.ui.comms import answer_at_once

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipywidgets import Widget

    from socketnb.conversation.session import Session
    from socketnb.model.content import Choice
    from socketnb.model.trace import Trace

log = logging.getLogger(__name__)
MAX_TRACES = 500
"""The number of latest traces whose messages are shown."""
MAX_HTML_CHARS = 100_000
"""The maximum length of the HTML of the messages."""
MAX_BUTTONS = 40
"""The maximum number of buttons shown. Other buttons can be pressed from Python."""
MAX_LABEL_CHARS = 120
"""Characters of a button's label that are shown."""
DRAW_INTERVAL_S = 0.1
"""The interval between updates of the panel while traces arrive, in seconds."""
VALUE_TIMEOUT_S = 0.3
"""How long to wait for the new value of the text box after Enter, in seconds."""
SCROLL_LAYOUT = {"display": "flex", "flex_flow": "column-reverse nowrap", "max_height": "420px", "overflow": "auto"}
"""A layout that keeps the end of the conversation visible without a script."""
STYLE = (
    "<style>.snb-core{line-height:1.45;overflow-wrap:anywhere} .snb-core p{margin:0 0 4px} .snb-core small+p"
    "{display:inline} .snb-core a{color:var(--jp-content-link-color,#1f6feb);text-decoration:underline}</style>"
)


def close_with_parts(widget: Widget) -> None:
    """Close a widget and its style and layout, which are also widgets."""
    for part in (getattr(widget, "style", None), widget.layout, widget):
        if part is not None:
            part.close()


class CorePanel(VBox):
    """A chat panel of text and buttons. All displays of a panel show the same conversation."""

    def __init__(self, session: Session) -> None:
        self._lock = threading.RLock()  # callbacks run on the main, subshell, timer and background threads
        self._submit_timer: threading.Timer | None = None  # runs after Enter, until the new value arrives
        self._shown_choices: list[Choice] = []
        super().__init__()
        self._build()
        self._attach(session)

    def _attach(self, session: Session) -> None:
        """Show a session."""
        with self._lock:
            self._session = session
            self._running_turns: set[int] = set()
            self._choices_used = False  # a button was pressed, or the conversation continued without one
            self._problem = ""
            self._draw_pending = False  # whether the next draw is scheduled
            self._is_stale = False  # whether traces have arrived since the last draw
            self._stop_following = session.follow(self._on_traces)
            self._track(session.traces(session.seq - MAX_TRACES))
            self._draw()

    def turn_to(self, session: Session) -> None:
        """Show another session that was opened under the name of the current one."""
        if session is not self._session:
            self._stop_following()
            self._attach(session)

    def close(self) -> None:
        """Stop following the session, and remove the panel from every page."""
        if self.comm is None:
            return
        self._stop_following()
        with self._lock:
            self._cancel_submit()
            inner = (*self._button_box.children, *self._bar.children)
            super().close()
            self.layout.close()
            for part in (*inner, *self.children):
                close_with_parts(part)

    def _repr_mimebundle_(self, **options: object) -> dict[str, object]:
        """Return the widget, and the transcript for places without a kernel such as GitHub and nbviewer."""
        text = render.cut(render.transcript_text(self._traces()), MAX_HTML_CHARS)
        return {**super()._repr_mimebundle_(**options), "text/html": self._messages_html(), "text/plain": text}

    def _build(self) -> None:
        """Create the widgets."""
        self._head, self._messages = HTML(), HTML(layout=Layout(**SCROLL_LAYOUT))
        self._button_box = HBox(layout=Layout(flex_flow="row wrap"))
        self._text = Text(placeholder="Say something", continuous_update=False, layout=Layout(flex="1 1 auto"))
        self._send_button = Button(description="Send", button_style="primary", layout=Layout(width="auto"))
        self._stop_button = Button(description="Stop", layout=Layout(width="auto", display="none"))
        self._bar = HBox([self._text, self._send_button, self._stop_button])
        self._text.on_msg(self._on_text_message)
        self._text.observe(self._on_value, "value")
        self._send_button.on_click(self._on_send)
        self._stop_button.on_click(self._on_stop)
        for widget in (self._text, self._send_button, self._stop_button):
            answer_at_once(widget)
        self.children = (self._head, self._messages, self._button_box, self._bar)

    # User actions

    def _on_text_message(self, _: object, content: object, __: object) -> None:
        """Handle Enter. The new value has already arrived, or it follows."""
        if isinstance(content, dict) and content.get("event") == "submit":
            self._await_value()

    def _on_value(self, _: object) -> None:
        """Send the new value of the text box if Enter was pressed before."""
        if self._submit_timer:
            self._submit()

    def _on_send(self, _: object) -> None:
        """Send the text. On a slow connection, the click can arrive before the text."""
        if self._text.value.strip():
            self._submit()
        else:
            self._await_value()

    def _await_value(self) -> None:
        """Send the text when its new value arrives, or after a short time if it did not change."""
        with self._lock:
            self._cancel_submit()
            self._submit_timer = threading.Timer(VALUE_TIMEOUT_S, self._submit)
            self._submit_timer.daemon = True
            self._submit_timer.start()

    def _cancel_submit(self) -> None:
        if self._submit_timer:
            self._submit_timer.cancel()
            self._submit_timer = None

    def _submit(self) -> None:
        with self._lock:
            self._cancel_submit()
            text = self._text.value
            if text.strip() and self._try(lambda: self._session.send(text)):
                self._text.value = ""

    def _press(self, choice: Choice, _: object) -> None:
        self._try(lambda: self._session.start("press", choice=choice))

    def _on_stop(self, _: object) -> None:
        """Cancel the running turns. Do not take the lock: cancelling waits for the background thread."""
        for turn in reversed(self._session.running):
            turn.cancel()

    def _try(self, action: Callable[[], object]) -> bool:
        """Run an action of the user, and return whether it succeeded. Remove the buttons, or show the error."""
        with self._lock:
            if self.comm is None:
                return False
            try:
                action()
                self._problem, self._choices_used = "", True
            except SocketnbError as error:
                self._problem = str(error)
            except Exception as error:
                log.exception("the panel of %r failed", self._session.name)
                self._problem = f"the action failed: {type(error).__name__}"
            self._draw()
            return not self._problem

    # Events of the session

    def _on_traces(self, batch: list[Trace]) -> None:
        """Show new traces now or after the update interval. Runs on the background thread."""
        with self._lock:
            self._track(batch)
            self._is_stale = True
            if not self._draw_pending:
                self._draw_if_stale()

    def _draw_if_stale(self) -> None:
        """Draw if traces have arrived since the last draw, and schedule the next check."""
        with self._lock:
            self._draw_pending = self._is_stale
            if self._is_stale:
                self._is_stale = False
                self._draw()
                self._draw_pending = self._session.later(DRAW_INTERVAL_S, self._draw_if_stale)

    def _track(self, traces: list[Trace]) -> None:
        """Track which turns are running, and whether buttons are offered."""
        for trace in traces:
            if trace.final:
                self._running_turns.discard(trace.turn)
            if trace.kind in ("action", "queued"):
                self._choices_used = True
                self._running_turns.add(trace.turn)
            elif trace.kind in OFFERS and (received := message(trace)) and received.choices:
                self._choices_used = False

    # Drawing

    def _draw(self) -> None:
        """Show the current state."""
        with self._lock:
            if self.comm is None:
                return
            session, state = self._session, self._session.state
            title = html.escape(f"{registry.get(session.platform).title} · {state}")
            self._head.value = f"<strong>{html.escape(session.name)}</strong> · {title}"
            self._messages.value = self._messages_html()
            self._show_buttons([] if self._choices_used or state == "closed" else session.choices[:MAX_BUTTONS])
            self._stop_button.layout.display = None if self._running_turns and state != "closed" else "none"

    def _traces(self) -> list[Trace]:
        return self._session.traces(self._session.seq - MAX_TRACES)

    def _messages_html(self) -> str:
        """Return the latest messages as HTML, and below them the problem, if there is one."""
        messages = render.transcript_tail(self._traces(), self._session.encoding, MAX_HTML_CHARS)
        is_cut = self._session.seq - self._session.first > MAX_TRACES
        hint = "<em>… earlier messages are in the transcript</em>" if is_cut else ""
        problem = f'<div role="alert">⚠ {html.escape(render.cut(self._problem))}</div>' if self._problem else ""
        return f'{STYLE}<div class="snb-core">{hint}{messages}{problem}</div>'

    def _show_buttons(self, choices: list[Choice]) -> None:
        """Create a new button widget for each choice, so that a late click on an old button presses the old choice."""
        if choices == self._shown_choices:
            return
        old, self._shown_choices = self._button_box.children, choices
        self._button_box.children = tuple(map(self._new_button, choices))
        for button in old:
            close_with_parts(button)

    def _new_button(self, choice: Choice) -> Button:
        button = Button(description=choice.label[:MAX_LABEL_CHARS], layout=Layout(width="auto"))
        button.on_click(partial(self._press, choice))
        answer_at_once(button)
        return button

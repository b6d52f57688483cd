"""The chat panel of text and buttons: core ipywidgets only, for places where anywidget does not run.

The page tells of the text box in two messages: on Enter that it was pressed, then (if they changed) the words. When
the box is merely left, by a click on a button say, the words come alone: those wait in the box for Enter or Send.
"""

from __future__ import annotations

import html
import logging
import threading
from functools import partial
from typing import TYPE_CHECKING, Any

from ipywidgets import HTML, Button, HBox, Layout, Text, VBox

from socketnb import render
from socketnb.dialects import registry
from socketnb.dialects.messages import OFFERS, message
from socketnb.errors import SocketnbError
from socketnb.ui.comms import answer_at_once

if TYPE_CHECKING:
    from collections.abc import Callable

    from socketnb.conversation.session import Session
    from socketnb.model.content import Choice
    from socketnb.model.trace import Trace

log = logging.getLogger(__name__)
SHOWN = 500
"""Traces of which the messages are shown: the latest."""
HEAVIEST = 100_000
"""Characters of HTML that are shown, of the latest messages."""
BUTTONS, LABEL = 40, 120
"""Buttons that are shown, and characters of a label; what a message offers beyond is pressed from Python."""
PAUSE = 0.1
"""Seconds between two drawings of what comes."""
SOON = 0.3
"""Seconds after Enter within which the words come, if the page has not told them before."""
SCROLLED = {"display": "flex", "flex_flow": "column-reverse nowrap", "max_height": "420px", "overflow": "auto"}
"""The latest is in sight, and stays there, without a script."""
STYLE = (
    "<style>.snb-core{line-height:1.45;overflow-wrap:anywhere} .snb-core p{margin:0 0 4px} .snb-core small+p"
    "{display:inline} .snb-core a{color:var(--jp-content-link-color,#1f6feb);text-decoration:underline}</style>"
)


def discard(widget: Any) -> None:
    """Close a widget together with its style and its layout, which are widgets too."""
    for part in (getattr(widget, "style", None), widget.layout, widget):
        if part is not None:
            part.close()


class CorePanel(VBox):
    """A chat panel of text and buttons. Show it in several places and each is a view of the same conversation."""

    def __init__(self, session: Session) -> None:
        self._lock = threading.RLock()  # callbacks come on the main thread, a subshell's, a timer's, the background's
        self._entered: threading.Timer | None = None  # runs while Enter was pressed and the words are expected
        self._offered: list[Choice] = []
        super().__init__()
        self._build()
        self._begin(session)

    def _begin(self, session: Session) -> None:
        """Show a session."""
        with self._lock:
            self._session = session
            self._running: set[int] = set()
            self._spent = False  # the buttons were pressed, or passed over
            self._problem = ""
            self._pausing = self._stale = False  # it was drawn a moment ago; what came since
            self._stop_following = session.follow(self._tell)
            self._see(session.traces(session.seq - SHOWN))
            self._draw()

    def turn_to(self, session: Session) -> None:
        """Show this session instead: it was opened again under its name."""
        if session is not self._session:
            self._stop_following()
            self._begin(session)

    def close(self) -> None:
        """Stop following the session, and remove the panel from every page."""
        if self.comm is None:
            return
        self._stop_following()
        with self._lock:
            self._expect_no_more()
            inner = (*self._choices.children, *self._bar.children)
            super().close()
            self.layout.close()
            for part in (*inner, *self.children):
                discard(part)

    def _repr_mimebundle_(self, **how: object) -> Any:
        """Beside the widget, a transcript: what GitHub, nbviewer and mail show."""
        words = render.cut(render.transcript_text(self._traces()), HEAVIEST)
        return {**super()._repr_mimebundle_(**how), "text/html": self._drawn(), "text/plain": words}

    def _build(self) -> None:
        """Make the widgets."""
        self._head, self._story = HTML(), HTML(layout=Layout(**SCROLLED))
        self._choices = HBox(layout=Layout(flex_flow="row wrap"))
        self._text = Text(placeholder="Say something", continuous_update=False, layout=Layout(flex="1 1 auto"))
        self._sender = Button(description="Send", button_style="primary", layout=Layout(width="auto"))
        self._stopper = Button(description="Stop", layout=Layout(width="auto", display="none"))
        self._bar = HBox([self._text, self._sender, self._stopper])
        self._text.on_msg(self._hear)
        self._text.observe(self._told, "value")
        self._sender.on_click(self._clicked)
        self._stopper.on_click(self._cancel)
        for widget in (self._text, self._sender, self._stopper):
            answer_at_once(widget)
        self.children = (self._head, self._story, self._choices, self._bar)

    # What the user does

    def _hear(self, _: object, content: Any, __: object) -> None:
        """Enter was pressed: the words are here, or come within moments."""
        if isinstance(content, dict) and content.get("event") == "submit":
            self._expect()

    def _told(self, _: object) -> None:
        """The page has told the words in the box: say them if Enter was pressed."""
        if self._entered:
            self._say()

    def _clicked(self, _: object) -> None:
        """Send: say what is in the box; on a slow link the click may be ahead of the words."""
        if self._text.value.strip():
            self._say()
        else:
            self._expect()

    def _expect(self) -> None:
        with self._lock:
            self._expect_no_more()
            self._entered = threading.Timer(SOON, self._say)
            self._entered.daemon = True
            self._entered.start()

    def _expect_no_more(self) -> None:
        if self._entered:
            self._entered.cancel()
            self._entered = None

    def _say(self) -> None:
        with self._lock:
            self._expect_no_more()
            words = self._text.value
            if words.strip() and self._try(lambda: self._session.send(words)):
                self._text.value = ""

    def _press(self, choice: Choice, _: object) -> None:
        self._try(lambda: self._session.start("press", choice=choice))

    def _cancel(self, _: object) -> None:
        """Wait no longer for what is running. Without the lock: this waits for the background thread."""
        for turn in reversed(self._session.running):
            turn.cancel()

    def _try(self, act: Callable[[], object]) -> bool:
        """Do what the user asks, which spends the buttons; what is wrong with it is a line in the panel."""
        with self._lock:
            if self.comm is None:
                return False
            try:
                act()
                self._problem, self._spent = "", True
            except SocketnbError as error:
                self._problem = str(error)
            except Exception as error:
                log.exception("the panel of %r failed", self._session.name)
                self._problem = f"this failed: {type(error).__name__}"
            self._draw()
            return not self._problem

    # What the session tells

    def _tell(self, burst: list[Trace]) -> None:
        """Show what came, at once or after a pause; on the background thread."""
        with self._lock:
            self._see(burst)
            self._stale = True
            if not self._pausing:
                self._go_on()

    def _go_on(self) -> None:
        with self._lock:
            self._pausing = self._stale
            if self._stale:
                self._stale = False
                self._draw()
                self._pausing = self._session.later(PAUSE, self._go_on)

    def _see(self, traces: list[Trace]) -> None:
        """Take note of what begins, ends, and offers buttons."""
        for trace in traces:
            if trace.final:
                self._running.discard(trace.turn)
            if trace.kind == "action":
                self._spent = True
                self._running.add(trace.turn)
            elif trace.kind in OFFERS and (shown := message(trace)) and shown.choices:
                self._spent = False

    # What is shown

    def _draw(self) -> None:
        """Show how things are now."""
        with self._lock:
            if self.comm is None:
                return
            session, state = self._session, self._session.state
            title = html.escape(f"{registry.get(session.platform).title} · {state}")
            self._head.value = f"<strong>{html.escape(session.name)}</strong> · {title}"
            self._story.value = self._drawn()
            self._offer([] if self._spent or state == "closed" else session.choices[:BUTTONS])
            self._stopper.layout.display = None if self._running and state != "closed" else "none"

    def _traces(self) -> list[Trace]:
        return self._session.traces(self._session.seq - SHOWN)

    def _drawn(self) -> str:
        """Return the latest messages as HTML, and the problem below them, if there is one."""
        said = render.transcript_tail(self._traces(), self._session.encoding, HEAVIEST)
        above = (
            "<em>… earlier ones are in the transcript</em>" if self._session.seq - self._session.first > SHOWN else ""
        )
        problem = f'<div role="alert">⚠ {html.escape(render.cut(self._problem))}</div>' if self._problem else ""
        return f'{STYLE}<div class="snb-core">{above}{said}{problem}</div>'

    def _offer(self, choices: list[Choice]) -> None:
        """Show a new button for each choice: one that is used again might be clicked for what it was before."""
        if choices == self._offered:
            return
        before, self._offered = self._choices.children, choices
        self._choices.children = tuple(map(self._button, choices))
        for button in before:
            discard(button)

    def _button(self, choice: Choice) -> Any:
        button = Button(description=choice.label[:LABEL], layout=Layout(width="auto"))
        button.on_click(partial(self._press, choice))
        answer_at_once(button)
        return button

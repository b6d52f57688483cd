"""The chat panel of text and buttons: core ipywidgets only, for places where anywidget does not run.

The page tells of the text box in two messages: on Enter that it was pressed, then (if they changed) the words. When
the box is merely left, by a click on a button say, the words come alone: those wait in the box for Enter or Send.
"""

from __future__ import annotations

import html
import logging
import threading
from collections import deque
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from ipywidgets import HTML, Button, HBox, Layout, Text, VBox

from socketnb import dialects, render
from socketnb.dialects import Message, Streams, message
from socketnb.errors import SocketnbError
from socketnb.records import Delta

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from socketnb.records import Choice, Trace
    from socketnb.session import Session

log = logging.getLogger(__name__)
SHOWN = 50
"""Messages that are shown, the latest."""
HEAVIEST = 1_000_000
"""Characters of HTML above which fewer are shown: sound and pictures may be heavy."""
BUTTONS = 40
"""Buttons that are shown; what a message offers beyond is pressed from Python."""
LABEL = 120
"""Characters of a button's label."""
SOON = 0.3
"""Seconds after Enter within which the words come, if the page has not told them before."""
SCROLLED = {"display": "flex", "flex_flow": "column-reverse nowrap", "max_height": "420px", "overflow": "auto"}
"""The latest is in sight, and stays there, without a script."""
STYLE = (
    "<style>.snb-core{line-height:1.45} .snb-core p{margin:0 0 4px} .snb-core small+p{display:inline}"
    ".snb-core a{color:var(--jp-content-link-color,#1f6feb);text-decoration:underline}</style>"
)


def answer_at_once(widget: Any) -> None:
    """Let what the page sends to a widget be heard while a cell runs.

    ipykernel 7.4 answers a comm on the shell that last published on it; ours publish from a thread, so clicks would
    wait for the running cell. Other versions have no such name and need nothing.
    """
    if hasattr(widget.comm, "_reply_subshell_for"):
        widget.comm._reply_subshell_for = lambda _data, default: default  # noqa: SLF001


def discard(widget: Any) -> None:
    """Close a widget together with its style and its layout, which are widgets too."""
    for part in (getattr(widget, "style", None), widget.layout, widget):
        if part is not None:
            part.close()


@dataclass(slots=True)
class Row:
    """One message, or (without) a notice; its HTML is made when it is first shown."""

    trace: Trace
    shown: Message | None
    html: str = ""

    def draw(self) -> str:
        """Return the row as safe HTML."""
        if not self.html and self.shown is None:
            self.html = render.transcript_html([self.trace])
        elif not self.html and self.shown:
            colour = "#1f6feb" if self.trace.sender == "user" else "#8884"
            who = f'<small style="opacity:.65">{html.escape(self.trace.sender)}</small>'
            style = f"margin:4px 0;padding:2px 10px;border-left:3px solid {colour};overflow-wrap:anywhere"
            self.html = f'<div style="{style}">{who} {render.message_html(self.shown)}</div>'
        return self.html


class CorePanel(VBox):
    """A chat panel of text and buttons. Show it in several places and each is a view of the same conversation."""

    def __init__(self, session: Session) -> None:
        self._lock = threading.RLock()  # callbacks come on the main thread, a subshell's, a timer's, the background's
        self._entered: threading.Timer | None = None  # runs while Enter was pressed and the words are expected
        super().__init__()
        self._build()
        self._begin(session)

    def _begin(self, session: Session) -> None:
        """Show a session from its first trace on."""
        self._session = session
        self._next = self._count = 0  # the trace that comes next; how many rows there were
        self._rows: deque[Row] = deque(maxlen=SHOWN)
        self._streams = Streams(session.encoding)
        self._growing: dict[str, Row] = {}
        self._over: set[int] = set()  # turns whose end was seen, while the session still has them
        self._spent = True  # the buttons were pressed, or passed over
        self._offered: list[Choice] = []
        self._problem = ""
        self._take(session.traces())  # may be many: nobody is kept waiting meanwhile
        with self._lock:
            self._stop_following = session.follow(self._tell)
            self._take(session.traces(self._next))
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
        static = self._session._repr_mimebundle_()
        return {**super()._repr_mimebundle_(**how), **static, "text/plain": self._session.transcript()}

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
                self._problem = f"{type(error).__name__}: {error}"
            self._draw()
            return not self._problem

    # What the session tells

    def _tell(self, burst: list[Trace]) -> None:
        """Show what came; on the background thread."""
        with self._lock:
            self._take(burst)
            self._draw()

    def _take(self, traces: Iterable[Trace]) -> None:
        """Take in what was not seen yet."""
        for trace in traces:
            if trace.seq >= self._next:
                self._next = trace.seq + 1
                self._see(trace, message(trace))

    def _see(self, trace: Trace, shown: Message | None) -> None:
        if trace.final:
            self._over.add(trace.turn)
        if trace.kind == "action":
            self._spent = True
        elif shown and shown.choices:
            self._spent = False
        if shown and isinstance(shown.content, Delta):
            self._grow(shown, shown.content)
        elif shown or render.notice(trace):
            self._add(Row(trace, shown))

    def _add(self, row: Row) -> Row:
        self._rows.append(row)
        self._count += 1
        return row

    def _grow(self, shown: Message, piece: Delta) -> None:
        """Let a streamed message grow in its place, until it is whole."""
        whole = self._streams.add(shown)
        row = None if piece.first else self._growing.get(piece.stream)
        if whole or piece.text:
            before = row.shown.text if row and row.shown else ""
            row = row or self._add(Row(shown.trace, None))
            row.shown, row.html = whole or Message(Delta(piece.stream, before + piece.text), shown.trace), ""
        if piece.last or row is None:
            self._growing.pop(piece.stream, None)
        else:
            self._growing[piece.stream] = row

    # What is shown

    def _draw(self) -> None:
        """Show how things are now."""
        if self.comm is None:
            return
        session = self._session
        title, state = dialects.get(session.platform).TITLE, session.state
        self._head.value = f"<strong>{html.escape(session.name)}</strong> · {html.escape(title)} · {html.escape(state)}"
        self._story.value = self._drawn()
        self._offer([] if self._spent or state == "closed" else session.choices[:BUTTONS])
        self._stopper.layout.display = None if self._is_running() and state != "closed" else "none"

    def _drawn(self) -> str:
        """Return the latest rows as HTML, and the problem below them, if there is one."""
        found: list[str] = []
        weight = 0
        for row in reversed(self._rows):
            found.append(row.draw())
            weight += len(found[-1])
            if weight > HEAVIEST and len(found) > 1:
                found.pop()
                break
        earlier = self._count - len(found)
        what = "message" if earlier == 1 else "messages"
        above = f"<div><em>… {earlier:,} earlier {what}: bot.transcript() has them all</em></div>" if earlier else ""
        problem = f'<div role="alert">⚠ {html.escape(render.cut(self._problem))}</div>' if self._problem else ""
        return f'{STYLE}<div class="snb-core">{above}{"".join(reversed(found))}{problem}</div>'

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

    def _is_running(self) -> bool:
        """Return whether a turn runs; the session lets go of one only after it has told of its end."""
        running = {turn.number for turn in self._session.running}
        self._over &= running
        return bool(running - self._over)

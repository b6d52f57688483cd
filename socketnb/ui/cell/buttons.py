"""The bot's buttons under a `%%chat` cell. The reply to a click appears in the cell's output above the buttons.

Custom messages between the page and the kernel:

    page → kernel   {"type": "ready"}                                     the page asks for the buttons
                    {"type": "press", "index": 0, "offer": 1}             a click on a button of an offer
    kernel → page   {"type": "offer", "offer": 1, "labels": […], "pressed": 0}
                    {"type": "problem", "text": sentence}

`offer` is the number of the set of buttons. `pressed` is the index of the pressed button, null if no button was
pressed, or -1 if the conversation continued elsewhere.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

import anywidget

from socketnb.errors import SocketnbError
from socketnb.render import cut
from socketnb.ui.cell.live_output import UPDATE_INTERVAL_S, LiveOutput
from socketnb.ui.cell.results import SessionFeed, TurnResult
from socketnb.ui.comms import answer_at_once

if TYPE_CHECKING:
    from socketnb.conversation.session import Session
    from socketnb.conversation.turn import Turn
    from socketnb.model.content import Choice
    from socketnb.model.trace import Trace
    from socketnb.ui.cell.notebook_view import NotebookView

FOLDER = Path(__file__).parent
PRESSED_ELSEWHERE = -1
"""The index of the pressed button if the conversation continued without one."""
MAX_BUTTONS = 40
"""The maximum number of buttons shown. Other buttons can be pressed with /press."""
MAX_LABEL_CHARS = 120
"""Characters of a button's label that are shown."""


def named_buttons(session: Session) -> list[tuple[str, Choice]]:
    """Return the buttons that can be pressed, each with a name that tells it from the others."""
    return list(zip(session.button_names, session.choices, strict=False))  # a message may arrive meanwhile


class CellButtons(anywidget.AnyWidget):
    """The buttons that a session offers, below the view of the step that offered them.

    They are disabled when the conversation continues elsewhere, and removed when the session closes.
    """

    _esm = (FOLDER / "buttons.js").read_text(encoding="utf-8")
    _css = (FOLDER / "buttons.css").read_text(encoding="utf-8")

    def __init__(self, session: Session, view: NotebookView, turn: Turn) -> None:
        super().__init__()
        answer_at_once(self)
        self._session, self._view = session, view
        self._lock = (
            threading.RLock()
        )  # clicks arrive on the main or a subshell thread, traces on the background thread
        self._offer = 0
        self._turn = turn.number
        self._buttons = named_buttons(session)
        self._pressed: int | None = None
        self._continued_elsewhere = False
        self._output = LiveOutput()
        self._stop_following = session.follow(self._on_traces)
        self.on_msg(self._on_message)

    def show(self) -> None:
        """Show the buttons under the running cell."""
        data, metadata = self._repr_mimebundle_() or ({}, {})
        self._output.show({**data, "text/plain": ""}, metadata)

    def close(self) -> None:
        """Remove the buttons. They are not saved with the notebook."""
        self._stop_following()
        with self._lock:
            if self.comm is None:
                return
            self._output.show({"text/plain": ""})
            self.layout.close()
            super().close()

    def _on_message(self, _: object, message: object, __: object) -> None:
        match message:
            case {"type": "ready"}:
                self._send_offer()
            case {"type": "press", "index": int(index), "offer": int(offer)}:
                self._press(index, offer)

    def _on_traces(self, batch: list[Trace]) -> None:
        """Check whether the session has closed or the conversation has continued elsewhere."""
        if self._session.state == "closed":
            self.close()
            return
        with self._lock:
            if any(trace.kind == "action" and trace.direction == "out" and trace.turn > self._turn for trace in batch):
                self._continued_elsewhere = True
                if self._pressed is None:
                    self._pressed = PRESSED_ELSEWHERE
                    self._send_offer()

    def _send_offer(self) -> None:
        labels = [cut(name, MAX_LABEL_CHARS) for name, _ in self._buttons[:MAX_BUTTONS]]
        with self._lock:
            if self.comm is not None:
                self.send({"type": "offer", "offer": self._offer, "labels": labels, "pressed": self._pressed})

    def _press(self, index: int, offer: int) -> None:
        """Press a button of the current set. If two pages press a button, only the first press counts."""
        with self._lock:
            if offer != self._offer or self._pressed is not None or not 0 <= index < len(self._buttons):
                return
            self._pressed = index
            turn, feed = None, SessionFeed(self._session)
            try:
                turn = self._session.start("press", choice=self._buttons[index][1])
                self._turn = turn.number
            except SocketnbError as error:
                feed.stop()
                self._pressed = None
                self.send({"type": "problem", "text": str(error)})
            self._send_offer()
        if turn:
            threading.Thread(target=self._show_turn, args=(turn, feed), name="socketnb-cell", daemon=True).start()

    def _show_turn(self, turn: Turn, feed: SessionFeed) -> None:
        """Show a turn in the view until it ends, then show its buttons."""
        result = TurnResult(feed, 0, turn)
        self._view.add([result])
        while not turn.over(UPDATE_INTERVAL_S):
            self._view.refresh()
        result.finish()
        feed.stop()
        self._view.refresh(final=True)
        with self._lock:
            self._offer += 1
            self._buttons = named_buttons(self._session)
            self._pressed = PRESSED_ELSEWHERE if self._continued_elsewhere else None
            self._send_offer()

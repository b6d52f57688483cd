"""The buttons under a `%%chat` cell, to be pressed with a click; what they bring is shown above them.

What travels, as custom messages:

    page → kernel   {"ask": true}                 which buttons there are
                    {"press": n, "of": offer}     press button n (from 0) of that offer
    kernel → page   {"offer": n, "labels": […], "pressed": n}   -1: none of them, elsewhere; null: none yet
                    {"problem": sentence}
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget

from socketnb.errors import SocketnbError
from socketnb.render import cut
from socketnb.ui.cell.output import OFTEN, Output
from socketnb.ui.comms import answer_at_once

if TYPE_CHECKING:
    from socketnb.conversation.session import Session
    from socketnb.conversation.turn import Turn
    from socketnb.model.trace import Trace
    from socketnb.ui.cell.row import Row

HERE = Path(__file__).parent
ELSEWHERE = -1
"""What is told as pressed when the conversation went on elsewhere."""
BUTTONS, LABEL = 40, 120
"""Buttons that are shown, and characters of a label; what a message offers beyond is pressed with /press."""


class Pills(anywidget.AnyWidget):
    """The buttons that a session offers, below the row in which they were offered.

    They go when the session closes, and are spent once the conversation goes on elsewhere.
    """

    _esm = (HERE / "pills.js").read_text(encoding="utf-8")
    _css = (HERE / "pills.css").read_text(encoding="utf-8")

    def __init__(self, session: Session, row: Row, turn: Turn) -> None:
        super().__init__()
        answer_at_once(self)
        self._session, self._row = session, row
        self._lock = threading.RLock()  # pages press on the main thread or a subshell's, news come on the background's
        self._offer = 0
        self._turn, self._choices = turn.number, turn.choices
        self._pressed: int | None = None
        self._passed = False  # somebody went on with the conversation elsewhere
        self._output = Output()
        self._stop = session.follow(self._heard)
        self.on_msg(self._hear)

    def show(self) -> None:
        """Show them under the running cell."""
        data, metadata = self._repr_mimebundle_() or ({}, {})
        self._output.show({**data, "text/plain": ""}, metadata)

    def close(self) -> None:
        """Remove them: newer ones stand elsewhere. A saved notebook has nothing left of them."""
        self._stop()
        with self._lock:
            if self.comm is None:
                return
            self._output.show({"text/plain": ""})
            self.layout.close()
            super().close()

    def _hear(self, _: object, said: Any, __: object) -> None:
        """Tell a page what there is, or press what it pressed."""
        match said:
            case {"ask": True}:
                self._tell()
            case {"press": int(n), "of": int(offer)}:
                self._press(n, offer)

    def _heard(self, burst: list[Trace]) -> None:
        """Follow the session: it closes, or somebody goes on with the conversation elsewhere."""
        if self._session.state == "closed":
            self.close()
            return
        with self._lock:
            if any(trace.kind == "action" and trace.direction == "out" and trace.turn > self._turn for trace in burst):
                self._passed = True
                if self._pressed is None:
                    self._pressed = ELSEWHERE
                    self._tell()

    def _tell(self) -> None:
        labels = [cut(choice.label, LABEL) for choice in self._choices[:BUTTONS]]
        with self._lock:
            if self.comm is None:
                return
            self.send({"offer": self._offer, "labels": labels, "pressed": self._pressed})

    def _press(self, n: int, offer: int) -> None:
        with self._lock:  # once, also if two views press
            if offer != self._offer or self._pressed is not None or not 0 <= n < len(self._choices):
                return
            self._pressed = n
            try:
                turn = self._session.start("press", choice=self._choices[n])
                self._turn = turn.number
            except SocketnbError as error:
                self._pressed = None
                self.send({"problem": str(error)})
                turn = None
            self._tell()
        if turn:
            threading.Thread(target=self._follow, args=(turn,), name="socketnb-cell", daemon=True).start()

    def _follow(self, turn: Turn) -> None:
        self._row.add([turn])
        while not turn.over(OFTEN):
            self._row.refresh()
        self._row.refresh(end=True)
        with self._lock:
            self._offer += 1
            self._choices, self._pressed = turn.choices, ELSEWHERE if self._passed else None
            self._tell()

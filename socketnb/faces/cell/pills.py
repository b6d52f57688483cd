"""The buttons under a `%%chat` cell, to be pressed with a click; what they bring is shown above them.

What travels, as custom messages:

    page → kernel   {"ask": true}                 which buttons there are
                    {"press": n, "of": offer}     press button n (from 0) of that offer
    kernel → page   {"offer": n, "labels": […], "pressed": n or null}
                    {"problem": sentence}
"""

from __future__ import annotations

import threading
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget
from IPython.core.getipython import get_ipython

from socketnb.errors import SocketnbError
from socketnb.faces.cell.row import OFTEN
from socketnb.faces.comms import answer_at_once
from socketnb.render import cut

if TYPE_CHECKING:
    from socketnb.faces.cell.row import Row
    from socketnb.records import Choice
    from socketnb.session import Session

HERE = Path(__file__).parent
BUTTONS, LABEL = 40, 120
"""Buttons that are shown, and characters of a label; what a message offers beyond is pressed with /press."""


class Pills(anywidget.AnyWidget):
    """The buttons that a session offers, below the row in which they were offered."""

    _esm = (HERE / "pills.js").read_text(encoding="utf-8")
    _css = (HERE / "pills.css").read_text(encoding="utf-8")

    def __init__(self, session: Session, row: Row, choices: list[Choice]) -> None:
        super().__init__()
        answer_at_once(self)
        self._session, self._row = session, row
        self._lock = threading.Lock()
        self._offer = 0
        self._choices = choices
        self._pressed: int | None = None
        self._id = f"socketnb-{uuid.uuid4().hex[:12]}"
        shell = get_ipython()
        self._publish = shell.display_pub.publish if shell else None
        self.on_msg(self._hear)

    def show(self) -> None:
        """Show them under the running cell."""
        data, metadata = self._repr_mimebundle_() or ({}, {})
        self._show({**data, "text/plain": ""}, metadata, update=False)

    def close(self) -> None:
        """Remove them: newer ones stand elsewhere. A saved notebook has nothing left of them."""
        if self.comm is not None:
            self._show({"text/plain": ""}, {}, update=True)
        super().close()

    def _show(self, data: dict[str, Any], metadata: dict[str, Any], *, update: bool) -> None:
        if self._publish:
            self._publish(data=data, metadata=metadata, transient={"display_id": self._id}, update=update)

    def _hear(self, _: object, said: Any, __: object) -> None:
        """Tell a page what there is, or press what it pressed; on the main thread or on a subshell's."""
        match said:
            case {"ask": True}:
                self._tell()
            case {"press": int(n), "of": int(offer)}:
                self._press(n, offer)

    def _tell(self) -> None:
        labels = [cut(choice.label, LABEL) for choice in self._choices[:BUTTONS]]
        self.send({"offer": self._offer, "labels": labels, "pressed": self._pressed})

    def _press(self, n: int, offer: int) -> None:
        with self._lock:  # once, also if two views press
            if offer != self._offer or self._pressed is not None or not 0 <= n < len(self._choices):
                return
            self._pressed = n
        try:
            turn = self._session.start("press", choice=self._choices[n])
        except SocketnbError as error:
            self._pressed = None
            self.send({"problem": str(error)})
            self._tell()
            return
        self._tell()
        threading.Thread(target=self._follow, args=(turn,), name="socketnb-cell", daemon=True).start()

    def _follow(self, turn: Any) -> None:
        self._row.add([turn])
        while not turn.over(OFTEN):
            self._row.refresh()
        self._row.refresh(end=True)
        with self._lock:
            self._offer += 1
            self._choices, self._pressed = turn.choices, None
        if self.comm is not None:
            self._tell()

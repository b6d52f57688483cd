"""The chat panel: an anywidget that shows one session, or several side by side.

`protocol.py` describes the messages between the kernel and the pages.
"""

from __future__ import annotations

import logging
import re
import threading
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import anywidget
import traitlets
from IPython.core.getipython import get_ipython
from IPython.display import display, publish_display_data, update_display

from socketnb.ui.comms import answer_at_once
from socketnb.ui.panel.session_view import SessionView

if TYPE_CHECKING:
    from collections.abc import Sequence

    from IPython.core.interactiveshell import InteractiveShell

    from socketnb.conversation.session import Session
    from socketnb.ui.panel.protocol import PageMessage

log = logging.getLogger(__name__)
PAGE_FOLDER = Path(__file__).parent / "page"
MODULES = """
    dom.js menu.js inputs.js forms.js items.js highlights.js tools.js log.js finder.js composer.js inspector.js
    requests.js activity.js banner.js conversations.js header.js verb_sheet.js session_view.js panel.js
""".split()
"""The modules of the page. Each imports only from modules before it."""
SAVE_DELAY_S = 1.0
"""How long after a change the saved transcript is updated, in seconds."""


def bundle() -> str:
    """Return all modules of the page as one module for anywidget, without imports and with one export."""
    texts = [(PAGE_FOLDER / name).read_text(encoding="utf-8") for name in MODULES]
    joined = "".join(re.sub(r"^import [^;]+;\n", "", text, flags=re.MULTILINE) for text in texts)
    return re.sub(r"^export (?!default)", "", joined, flags=re.MULTILINE)


class Panel(anywidget.AnyWidget):
    """A chat panel. If it is displayed several times, each display is a view of the same conversation."""

    # Pass the text, because anywidget would watch a path in a thread that never ends.
    _esm = bundle()
    _sessions = traitlets.Int(1).tag(sync=True)
    _css = (PAGE_FOLDER / "panel.css").read_text(encoding="utf-8")

    def __init__(self, *sessions: Session) -> None:
        super().__init__(_sessions=len(sessions))
        answer_at_once(self)
        self._shell: InteractiveShell | None = None  # the notebook's shell, once the panel is displayed
        self._timer: threading.Timer | None = None  # for the next update of the transcript
        self._lock = threading.Lock()
        self._display_id = f"socketnb-{self.model_id}"
        self._views = [self._make_view(index, session) for index, session in enumerate(sessions)]
        self.on_msg(self._receive)

    def _make_view(self, index: int, session: Session) -> SessionView:
        return SessionView(session, partial(self._send_from, index), self._save_later)

    def turn_to(self, session: Session) -> None:
        """Show this session instead of the earlier session with the same name."""
        for index, view in enumerate(self._views):
            if view.session.name == session.name and view.session is not session:
                view.close()
                self._views[index] = self._make_view(index, session)
                self._send_from(index, {"type": "replaced"})

    def close(self) -> None:
        """Remove the panel from every page."""
        for view in self._views:
            view.close()
        if self._shell:
            self._shell.events.unregister("post_run_cell", self._save_now)
        with self._lock:
            self._shell = None
            if self._timer:
                self._timer.cancel()
        super().close()

    def _send_from(self, index: int, message: PageMessage) -> None:
        self.send({"session": index, **message})

    def _receive(self, _: object, request: object, buffers: Sequence[bytes | memoryview]) -> None:
        """Pass a request of a page to its session. Called on the main or a subshell thread."""
        if isinstance(request, dict):
            index = request.get("session", 0)
            if isinstance(index, int) and 0 <= index < len(self._views):
                self._views[index].receive(request, buffers)

    # A transcript follows each display of the widget. Pages with a panel hide it; GitHub, nbviewer, mail and notebooks
    # without a kernel show it. It is a separate output, so that updating it does not affect the panel.

    def _ipython_display_(self) -> None:
        data, metadata = self._repr_mimebundle_() or ({}, {})
        names = " and ".join(view.session.name for view in self._views)
        publish_display_data({**data, "text/plain": f"Chat with {names}"}, metadata)
        display(self._static(), raw=True, display_id=self._display_id)
        shell = get_ipython()
        if shell and self._shell is None and getattr(shell, "kernel", None):  # a terminal would print it again
            self._shell = shell
            shell.events.register("post_run_cell", self._save_now)

    def _static(self) -> dict[str, str]:
        transcripts = [view.static() for view in self._views]
        html = "".join(html for html, _ in transcripts)
        return {
            "text/html": f'<div class="snb-static">{html}</div>',
            "text/plain": "\n\n".join(text for _, text in transcripts),
        }

    def _save_later(self) -> None:
        """Update the transcript soon."""
        with self._lock:
            if self._shell and not self._timer:
                self._timer = threading.Timer(SAVE_DELAY_S, self._save)
                self._timer.daemon = True
                self._timer.start()

    def _save_now(self, *_: object) -> None:
        """Update the transcript at the end of a cell, because the notebook may be saved next."""
        with self._lock:
            timer, self._timer = self._timer, None
        if timer:
            timer.cancel()
            self._save()

    def _save(self) -> None:
        with self._lock:
            self._timer = None
        if self._shell:
            try:
                update_display(self._static(), raw=True, display_id=self._display_id)
            except Exception:  # the kernel may be shutting down
                log.exception("the transcript of a panel could not be updated")

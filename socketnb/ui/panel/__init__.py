"""The chat panel: one anywidget that shows a session, or several side by side.

What travels, as custom messages (never as synced state, which would be saved in the notebook). Each names its session
as `of`, by its place in the panel; `view` is the view of the panel that asked, and is answered.

    page → kernel   {"ask": where, "seq": n, "talk": id, "id": x}  rows: last, before, after, around, since
                    {"say": text, "id": x, "talk": id}       say something; the page's own number of it comes back
                    {"press": seq, "option": n}              press button n (from 0) of that trace
                    {"submit": seq, "option": n, "values"}   the same button of a form
                    {"date": seq, "values": […]}             answer a date picker, in ISO form
                    {"act": verb, "fields": {…}, "id": x}    any other verb; files travel as buffers; `seq`: of a form
                    {"do": verb}                             launch, reset: start over; reconnect
                    {"stop": true}                           wait no longer for what is running
                    {"inspect": turn, "had": [turn, seq]}    tell of the session, and of a turn (0: the latest), but
                                                             for what the page has
                    {"find": words}                          which rows have these words
                    {"export": form}                         hand over the conversation: markdown, html or jsonl
    kernel → page   {"from": a, "to": b, "rows": […], "facts"}   what happened: the rows of traces a to b-1
                    {…, "rows": [], "many": true}                too much at once: ask for the last rows
                    {"page": {"at", "rows", "grown", "older", "newer", "running"}, "where", "id", "facts", "about"}
                    {"turned": true}                             the session is another: ask anew
                    {"said": x, "turn": number}                  the turn of what a page has said
                    {"pressed": seq, "option": n}                which button it was; -1: the form itself
                    {"acted": x}                                 what was asked for is under way
                    {"restored": seq}                            what was pressed was never sent: it can be again
                    {"inspected": {"turn", "session", "traces"}} what the inspector shows
                    {"found": [seq, …], "words"}                 what was looked for
                    {"file": name, "content": text}              what was to be exported
                    {"problem": sentence, "asked": {…}}          something was not done: for all views, their buttons

The live ranges [a, b) lie end to end, so a page that misses one sees it and asks; one that comes twice does no harm.
"""

from __future__ import annotations

import logging
import re
import threading
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets
from IPython.core.getipython import get_ipython
from IPython.display import display, publish_display_data, update_display

from socketnb.ui.comms import answer_at_once
from socketnb.ui.panel.pane import Pane

if TYPE_CHECKING:
    from collections.abc import Sequence

    from socketnb.conversation.session import Session

log = logging.getLogger(__name__)
HERE = Path(__file__).parent / "page"
MODULES = """
    dom.js menu.js forms.js items.js log.js finder.js composer.js inspector.js pane.js panel.js
""".split()
"""The page's modules, each importing only from those before it."""
SOON = 1.0
"""Seconds within which the transcript for saved notebooks is brought up to date."""


def bundle() -> str:
    """Return the page's modules as the one that anywidget takes: without their imports, and one export, the last."""
    texts = [(HERE / name).read_text(encoding="utf-8") for name in MODULES]
    joined = "".join(re.sub(r"^import [^;]+;\n", "", text, flags=re.MULTILINE) for text in texts)
    return re.sub(r"^export (?!default)", "", joined, flags=re.MULTILINE)


class Panel(anywidget.AnyWidget):
    """A chat panel. Show it in several places and each is a view of the same conversation."""

    # The text, not the path: anywidget would watch a path in a thread that it never ends.
    _esm = bundle()
    _sessions = traitlets.Int(1).tag(sync=True)
    _css = (HERE / "panel.css").read_text(encoding="utf-8")

    def __init__(self, *sessions: Session) -> None:
        super().__init__(_sessions=len(sessions))
        answer_at_once(self)
        self._shell: Any = None  # where it is shown, if that can show the transcript anew
        self._saving: threading.Timer | None = None
        self._lock = threading.Lock()
        self._display_id = f"socketnb-{self.model_id}"
        self._panes = [self._pane(place, session) for place, session in enumerate(sessions)]
        self.on_msg(self._hear)

    def _pane(self, place: int, session: Session) -> Pane:
        return Pane(session, partial(self._send_of, place), self._changed)

    def turn_to(self, session: Session) -> None:
        """Show this session where the one of its name was shown."""
        for place, pane in enumerate(self._panes):
            if pane.session.name == session.name and pane.session is not session:
                pane.close()
                self._panes[place] = self._pane(place, session)
                self._send_of(place, {"turned": True})

    def close(self) -> None:
        """Remove the panel from every page."""
        for pane in self._panes:
            pane.close()
        if self._shell:
            self._shell.events.unregister("post_run_cell", self._save_now)
        with self._lock:
            self._shell = None
            if self._saving:
                self._saving.cancel()
        super().close()

    def _send_of(self, place: int, message: dict[str, Any]) -> None:
        self.send({"of": place, **message})

    def _hear(self, _: object, said: Any, buffers: Sequence[Any]) -> None:
        """Hand what a page asks to its session; on the main thread or on a subshell's."""
        if isinstance(said, dict) and isinstance(of := said.get("of", 0), int) and 0 <= of < len(self._panes):
            self._panes[of].hear(said, buffers)

    # Beside the widget stands a transcript, which pages with a panel hide: what GitHub, nbviewer and mail show, and
    # what is there when the kernel is not. It is an output of its own, so that bringing it up to date leaves the
    # panel alone.

    def _ipython_display_(self) -> None:
        data, metadata = self._repr_mimebundle_() or ({}, {})
        names = " and ".join(pane.session.name for pane in self._panes)
        publish_display_data({**data, "text/plain": f"Chat with {names}"}, metadata)
        display(self._static(), raw=True, display_id=self._display_id)
        shell = get_ipython()
        if shell and self._shell is None and getattr(shell, "kernel", None):  # a terminal would print it anew
            self._shell = shell
            shell.events.register("post_run_cell", self._save_now)

    def _static(self) -> dict[str, str]:
        both = [pane.static() for pane in self._panes]
        html = "".join(html for html, _ in both)
        return {
            "text/html": f'<div class="snb-static">{html}</div>',
            "text/plain": "\n\n".join(words for _, words in both),
        }

    def _changed(self) -> None:
        """Bring the transcript up to date, within moments."""
        with self._lock:
            if self._shell and not self._saving:
                self._saving = threading.Timer(SOON, self._save)
                self._saving.daemon = True
                self._saving.start()

    def _save_now(self, *_: object) -> None:
        """Do so at the end of a cell: it may be the last."""
        with self._lock:
            waiting, self._saving = self._saving, None
        if waiting:
            waiting.cancel()
            self._save()

    def _save(self) -> None:
        with self._lock:
            self._saving = None
        if self._shell:
            try:
                update_display(self._static(), raw=True, display_id=self._display_id)
            except Exception:  # a kernel that is going away
                log.exception("the transcript beside a panel could not be brought up to date")

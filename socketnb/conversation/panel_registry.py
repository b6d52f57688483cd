"""The open panels of a kernel: each set of sessions has one panel per user interface."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from socketnb.errors import SettingsError, unknown

if TYPE_CHECKING:
    from collections.abc import Callable

    from socketnb.conversation.session import Session, View

log = logging.getLogger(__name__)
UI_NAMES = ("rich", "core")
"""The panels that exist: the widget with its own page, and the one built from ipywidgets only."""


class PanelRegistry:
    """Finds the panel of some sessions, or creates it.

    Args:
        make: Creates a panel from the name of a user interface and the sessions.
    """

    def __init__(self, make: Callable[..., View]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._panels: dict[tuple[str, ...], View] = {}  # by user interface and session names

    def get(self, ui: str, *sessions: Session) -> View:
        """Return the panel of these sessions. Repeated calls return the same panel until it is closed.

        Raises:
            SettingsError: The user interface is unknown.
        """
        if ui not in UI_NAMES:
            raise SettingsError(unknown("ui", ui, UI_NAMES))
        key = (ui, *(session.name for session in sessions))
        panel = self._panels.get(key)
        if panel is None or panel.comm is None:
            new = self._make(ui, *sessions)  # without the lock, because a long conversation takes time to render
            with self._lock:
                panel = self._panels.get(key)
                if panel is None or panel.comm is None:
                    panel = self._panels[key] = new
            if panel is not new:
                new.close()
        return panel

    def show(self, session: Session) -> None:
        """Show a new session in the panels of the earlier session with the same name."""
        with self._lock:
            self._panels = {key: panel for key, panel in self._panels.items() if panel.comm is not None}
            panels = [panel for (_, *names), panel in self._panels.items() if session.name in names]
        for panel in panels:
            try:
                panel.turn_to(session)
            except Exception:
                log.exception("a panel of %r failed", session.name)

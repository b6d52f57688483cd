"""The open sessions of a kernel, by name, and the panels that show them."""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING

from socketnb.conversation.panel_registry import PanelRegistry
from socketnb.conversation.session import Session
from socketnb.errors import SessionError, SettingsError, unknown

if TYPE_CHECKING:
    from collections.abc import Callable

    from socketnb.conversation.session import View

SESSION_NAME = re.compile(r"\w[\w.@+:-]*")


class OpenSessions:
    """The open sessions of a kernel.

    Attributes:
        make_panel: Creates a panel for sessions. The package root sets it, so that no lower layer imports `ui`.
    """

    def __init__(self) -> None:
        self.make_panel: Callable[..., View] = _no_panel
        self._forget_sessions()

    def _forget_sessions(self) -> None:
        self._lock = threading.RLock()
        self._sessions: dict[str, Session] = {}
        self._used: str | None = None  # the name of the session that was opened or used last
        self._panels = PanelRegistry(lambda ui, *sessions: self.make_panel(ui, *sessions))  # noqa: PLW0108 (set later)

    def session(self, name: str | None = None) -> Session:
        """Return an open session.

        Args:
            name: The name of the session; by default the session that was opened or used last.

        Raises:
            SessionError: No session has this name, or no session is open.

        Example:
            >>> import socketnb as snb
            >>> bot = snb.connect("voiceflow", name="shop", simulate=True)
            >>> snb.session("shop") is bot
            True
            >>> bot.close()
        """
        with self._lock:
            sessions = dict(self._sessions)
        if not sessions:
            raise SessionError("no session is open: open one, for example with snb.connect('voiceflow', simulate=True)")
        if name is None:
            if len(sessions) > 1 and self._used not in sessions:
                raise SessionError(f"several sessions are open: pass the name of one; available: {', '.join(sessions)}")
            return sessions[self._used] if self._used in sessions else next(iter(sessions.values()))
        if name not in list(sessions):  # a list, because the name may not be hashable
            raise SessionError(unknown("session", name, sessions))
        return sessions[name]

    def sessions(self) -> list[Session]:
        """Return the open sessions, oldest first.

        Example:
            >>> import socketnb as snb
            >>> with snb.connect("voiceflow", name="shop", simulate=True):
            ...     [session.name for session in snb.sessions()]
            ['shop']
        """
        with self._lock:
            return list(self._sessions.values())

    @property
    def used(self) -> str | None:
        """The name of the session that was opened or used last."""
        return self._used

    def use(self, name: str | None = None) -> Session:
        """Return a session as `session` does, and remember it as the session used last."""
        session = self.session(name)
        self._used = session.name
        return session

    def panels(self, *sessions: Session | str) -> View:
        """Return one panel that shows several sessions side by side, with one input for all of them.

        Args:
            *sessions: The sessions, or their names.

        Raises:
            SessionError: A session does not exist or is given twice.
        """
        shown = [self.session(session) if isinstance(session, str) else session for session in sessions]
        if not shown or any(not isinstance(session, Session) for session in shown):
            raise SessionError("panels takes sessions or names of sessions: snb.panels(a, b)")
        if len({session.name for session in shown}) < len(shown):
            raise SessionError(f"each session must be passed once, got {', '.join(session.name for session in shown)}")
        return self._panel("rich", *shown)

    def _panel(self, ui: str, *sessions: Session) -> View:
        panel = self._panels.get(ui, *sessions)
        for session in sessions:
            if self._sessions.get(session.name, session) is session:  # no newer session has its name
                panel.turn_to(session)
        return panel

    def _conflict(self, session: Session) -> str | None:
        """Return a warning if another open session has the same ids on the same server; None if there is none."""
        for other in self.sessions():
            if other is not session and (ids := session.common_ids(other)):
                names = f"session {other.name!r} is open with the same {' and '.join(ids)}"
                return f"{names}, so the two may receive each other's messages: close one, or use other ids"
        return None

    def _free_name(self, prefix: str, name: str | None) -> str:
        """Return the name of a new session: the given name, or the prefix, with a number if the prefix is taken."""
        if name is not None:
            if not isinstance(name, str) or not SESSION_NAME.fullmatch(name):
                raise SettingsError(f"name must be one word of letters, digits and .-_@+:, got {name!r}")
            return name
        number = 1
        while (free := prefix if number == 1 else f"{prefix}-{number}") in self._sessions:
            number += 1
        return free

    def _remove(self, session: Session) -> None:
        with self._lock:
            if self._sessions.get(session.name) is session:
                del self._sessions[session.name]


def _no_panel(ui: str, *_: Session) -> View:
    raise SettingsError(f"this hub has no {ui} panel: use socketnb.connect and bot.panel()")

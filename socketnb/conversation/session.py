"""The class `Session`: one user's conversation with one bot.

One class serves all platforms, because the verbs of a platform are data of its dialect. A session can be used from
any thread. Events arrive on the thread of the background loop and are recorded before listeners are called.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Literal, Protocol, Self

from socketnb.conversation.actions import SessionActions
from socketnb.conversation.call import Calls
from socketnb.conversation.events import EventIntake
from socketnb.errors import SessionError

if TYPE_CHECKING:
    from socketnb.conversation.saved import SavedSession
    from socketnb.dialects.base import Dialect
    from socketnb.engine.driver import Driver
    from socketnb.engine.events import SessionEvent
    from socketnb.engine.loop import Loop
    from socketnb.recording.recorder import Log


class View(Protocol):
    """A widget that shows one or more sessions."""

    @property
    def comm(self) -> object:
        """The connection to the pages; None after the widget has been closed."""

    def turn_to(self, session: Session) -> None:
        """Show this session instead of the earlier session with the same name."""

    def close(self) -> None:
        """Remove the widget from every page."""


class Session(SessionActions):
    """One user's conversation with one bot. It runs in the background of the kernel; `connect` opens it.

    Attributes:
        name: The name of the session in the kernel.
        platform: The name of the platform.
        timeout: Seconds after which a turn times out.
        first: The `seq` of the first trace. It is not 0 if an earlier session had the same name.

    Example:
        >>> with snb.connect("voiceflow", name="shop", simulate=True) as bot:
        ...     bot.say("track").text
        ...     bot
        'Gladly. What is your order number? (Try `4567`.)'
        <session 'shop': voiceflow, ready, 1 turns>
    """

    def __init__(
        self,
        name: str,
        dialect: Dialect,
        *,
        loop: Loop,
        make_driver: Callable[[Callable[[list[SessionEvent]], None]], Driver],
        log: Log,
        settings: Mapping[str, object],
        timeout: float,
        saved: SavedSession | None,
        panel: Callable[[Session, str], View],
        on_close: Callable[[Session], None],
    ) -> None:
        events = EventIntake(name, dialect, log, saved, Calls(self._hang_up, loop))
        super().__init__(name, dialect, settings=settings, rows=log, events=events)
        self.timeout = timeout
        self._loop = loop
        self._lock = threading.Lock()
        self._closing = False
        self._make_panel = panel
        self._on_close = on_close
        self._driver = make_driver(events.take)

    def panel(self, ui: Literal["rich", "core"] = "rich") -> View:
        """Return the chat panel of this session, to be displayed in a notebook.

        There is one panel per session name. It can be displayed several times, and a new session of the same name
        continues in it.

        Args:
            ui: `rich` for the full panel, or `core` for a panel of core ipywidgets where anywidget is not available.

        Raises:
            SettingsError: The value of `ui` is unknown.
        """
        return self._make_panel(self, ui)

    # Opening and closing

    def open(self) -> None:
        """Open the first link and wait until the session is ready. `connect` calls this.

        Raises:
            ConnectError: The session cannot become ready.
            SessionError: A listener called this. A listener cannot wait.
        """
        if self._loop.is_current_thread:
            raise SessionError("a listener cannot call connect, because connect waits")
        self._driver.start()
        self._events.wait_until_ready()

    def close(self) -> None:
        """Close the link and cancel the running turns. The traces can still be read.

        Closing again does nothing.
        """
        with self._lock:
            closing, self._closing = self._closing, True
        if not closing:
            try:
                self._driver.close()
            finally:
                self._events.state = "closed"
                for turn in self.running:  # turns that the driver did not end
                    turn.finish("cancelled", "the session was closed")
                self._events.calls.end_all("the session was closed")
                self._on_close(self)
                self._events.notify([])

    def disown(self) -> None:
        """Mark the session as closed in a forked child process, where its conversation belongs to the parent."""
        self._lock = threading.Lock()
        self._closing, self._events.state = True, "closed"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

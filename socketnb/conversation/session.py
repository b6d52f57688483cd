"""A `Session`: what a user of this library holds of one user's conversation with one bot.

One class serves all platforms, because the verbs of a platform are data of its dialect. A session can be used from
any thread. Events arrive on the background loop's thread and are recorded before anybody is notified of them.
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
    """A widget that shows one session or several."""

    @property
    def comm(self) -> object:
        """The connection to the pages; None after the widget was closed."""

    def turn_to(self, session: Session) -> None:
        """Show this session in the place of the earlier one of its name."""

    def close(self) -> None:
        """Remove the widget from every page."""


class Session(SessionActions):
    """One user's conversation with one bot. It runs in the background of the kernel; `connect` opens it.

    Attributes:
        name: Its name in the kernel.
        platform: The name of the platform.
        timeout: Seconds after which a turn times out.
        first: The `seq` of its first trace. It is not 0 if an earlier session had the same name.

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

        There is one panel per name of a session, and it can be displayed several times. A new session of the same
        name takes it over.

        Args:
            ui: `rich`, or `core` for text and buttons of core ipywidgets, where anywidget is not available.

        Raises:
            SettingsError: There is no such ui.
        """
        return self._make_panel(self, ui)

    # Opening and closing

    def open(self) -> None:
        """Open the first link and wait until the session is ready. `connect` has done this.

        Raises:
            ConnectError: The session cannot be made ready.
            SessionError: A listener called this. A listener cannot wait.
        """
        if self._loop.is_current_thread:
            raise SessionError("a listener cannot call connect, because connect waits")
        self._driver.start()
        self._events.wait_until_ready()

    def close(self) -> None:
        """Close the session: its link is closed and its open turns are cancelled. Its traces can still be read.

        Closing again does nothing.
        """
        with self._lock:
            closing, self._closing = self._closing, True
        if not closing:
            try:
                self._driver.close()
            finally:
                self._events.state = "closed"
                for turn in self.running:  # turns that the driver has not ended
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

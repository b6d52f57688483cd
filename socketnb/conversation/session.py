"""The class `Session`: one user's conversation with one bot.

One class serves all platforms, because the verbs of a platform are data of its dialect. A session can be used from
any thread. Events arrive on the thread of the background loop and are recorded before listeners are called.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, Protocol, Self

from socketnb.conversation.actions import SessionActions
from socketnb.conversation.call import Calls
from socketnb.conversation.events import EventIntake
from socketnb.conversation.variables import read_variables
from socketnb.errors import SessionError, TurnFailed
from socketnb.model.actions import Action, Conversation

if TYPE_CHECKING:
    from socketnb.conversation.call import Call
    from socketnb.conversation.saved import SavedSession
    from socketnb.dialects.base import Dialect
    from socketnb.engine.driver import Driver
    from socketnb.engine.events import SessionEvent
    from socketnb.engine.loop import Loop
    from socketnb.model.effects import Record
    from socketnb.model.json import Json
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
        driver = make_driver(events.take)
        super().__init__(
            name, dialect, settings=settings, rows=log, events=events, driver=driver, loop=loop, timeout=timeout
        )
        self._make_panel = panel
        self._on_close = on_close

    def later(self, seconds: float, do: Callable[[], None]) -> bool:
        """Call a function on the background thread after a delay in seconds. Return whether that thread is running."""
        return self._loop.later(seconds, do)

    def reconnect(self) -> None:
        """Reconnect a lost link now, without waiting for the next attempt. If no link is lost, do nothing.

        Raises:
            SessionError: The session is closed.
        """
        self._check_open()
        self._driver.reconnect()

    # Conversations and calls

    def conversation(self, conversation: str | Conversation) -> Self:
        """Choose the conversation for the next turn of this thread.

        Args:
            conversation: One of `conversations`, or its id.

        Returns:
            This session, so that calls can be chained: `bot.conversation(id).say("hello")`.

        Raises:
            ActionError: There is no such conversation.
        """
        self._events.conversations.choose(conversation.id if isinstance(conversation, Conversation) else conversation)
        return self

    def new_conversation(self) -> Self:
        """Start a new conversation with the next turn of this thread.

        Returns:
            This session, so that calls can be chained: `bot.new_conversation().say("hello")`.

        Raises:
            ActionError: The platform has one conversation per session.

        Example:
            >>> with snb.connect("eusate", simulate=True) as bot:
            ...     turn = bot.say("track")
            ...     turn = bot.new_conversation().say("hours")
            ...     len(bot.conversations())
            2
        """
        self._events.conversations.choose("")
        return self

    def call(self) -> Call:
        """Start a voice call.

        Returns:
            The call, with its room and the token to join it.

        Raises:
            ActionError: The platform has no calls.
            TurnFailed: No call was started: an agent has taken over, another call is running, or the platform refused.
        """
        turn = self.start("call").wait()
        if call := self._events.calls.of_turn(turn.number):
            return call
        raise TurnFailed(f"{self.name}: no call was started ({turn.reason or turn.status})", turn)

    def _hang_up(self, conversation: str) -> None:
        turn = self._start(Action("hang_up", conversation=conversation))
        if not self._loop.is_current_thread:  # a listener cannot wait
            turn.wait()

    def variables(self) -> dict[str, Json]:
        """Return the variables of the bot in this conversation.

        Raises:
            ActionError: The platform does not offer this, or its address is not known. Nothing was sent.
            ConnectError: The platform cannot be reached or refuses the request.

        Example:
            >>> with snb.connect("voiceflow", simulate=True, variables={"name": "Ana"}) as bot:
            ...     bot.variables()
            {'name': 'Ana'}
        """
        return read_variables(self._dialect, self._settings, self._loop)

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

    def open(self, notes: Sequence[Record] = ()) -> list[str]:
        """Open the first link and wait until the session is ready. `connect` calls this.

        Args:
            notes: What to record before the link is opened.

        Returns:
            The warnings about the session so far.

        Raises:
            ConnectError: The session cannot become ready.
            SessionError: A listener called this. A listener cannot wait.
        """
        if self._loop.is_current_thread:
            raise SessionError("a listener cannot call connect, because connect waits")
        self._driver.start(notes)
        return self._events.wait_until_ready()

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
                self._events.unsolicited.close()
                self._events.calls.end_all("the session was closed")
                self._on_close(self)
                self._events.notify([])

    def disown(self) -> None:
        """Mark the session as closed in a forked child process, where its conversation belongs to the parent."""
        self._lock = threading.Lock()
        self._closing, self._events.state = True, "closed"
        self._events.unsolicited.closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

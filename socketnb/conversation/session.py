"""The class `Session`: one user's conversation with one bot.

One class serves all platforms, because the verbs of a platform are data of its dialect. A session can be used from
any thread. Events arrive on the thread of the background loop and are recorded before listeners are called.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, Protocol, Self

from socketnb.conversation.call import Calls
from socketnb.conversation.events import EventIntake
from socketnb.conversation.reading import SessionReader
from socketnb.conversation.turn import Turn
from socketnb.conversation.variables import read_variables
from socketnb.conversation.verbs import check_fields, check_timeout
from socketnb.errors import SessionError, TurnFailed
from socketnb.model.actions import Action, Conversation, FieldValue
from socketnb.model.content import Choice

if TYPE_CHECKING:
    from socketnb.conversation.call import Call
    from socketnb.conversation.saved import SavedSession
    from socketnb.dialects.base import Dialect
    from socketnb.dialects.messages import Message
    from socketnb.engine.driver import Driver
    from socketnb.engine.events import SessionEvent
    from socketnb.engine.loop import Loop
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


class Session(SessionReader):
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

    # Actions

    def say(self, text: str, timeout: float | None = None) -> Turn:
        """Send a text and wait until the bot is done.

        Args:
            text: What the user says.
            timeout: Seconds after which the turn times out (default: the session's timeout).

        Returns:
            The turn, with the bot's messages.

        Raises:
            TurnTimeout: The bot was not done in time. The attribute `turn` of the error is the unfinished turn.
            TurnFailed: The session failed during the turn.
            SessionError: The session is closed.

        Example:
            >>> with snb.connect("voiceflow", simulate=True) as bot:
            ...     bot.say("track", timeout=10).text
            'Gladly. What is your order number? (Try `4567`.)'
        """
        check_timeout(timeout)
        return self.send(text).wait(timeout)

    def send(self, text: str, *, at_once: bool = False, conversation: str | None = None) -> Turn:
        """Send a text and return immediately. Use `await turn` or `turn.wait()` to wait for the bot.

        Args:
            text: What the user says.
            at_once: Whether to send the text immediately instead of after the previous turn has ended.
            conversation: The id of a conversation, or "" for a new one, on platforms that allow several per session
                (default: the conversation used last).

        Returns:
            The turn, which is still running.

        Raises:
            ActionError: There is no such conversation.
            SessionError: The session is closed.

        Example:
            >>> with snb.connect("voiceflow", simulate=True) as bot:
            ...     turns = [bot.send(text) for text in ("track", "4567")]
            ...     [turn.wait().status for turn in turns]
            ['completed', 'completed']
        """
        fields = check_fields(self._dialect, "text", {"text": text})
        return self._start(Action("text", fields, at_once, self._events.conversations.check(conversation)))

    def stream(self, text: str, timeout: float | None = None) -> Iterator[Message]:
        """Send a text and yield the bot's messages as they arrive. A streamed message is yielded piece by piece.

        Args:
            text: What the user says.
            timeout: Seconds after which the turn times out (default: the session's timeout).

        Yields:
            The messages of the bot. For a streamed message, one `Message` per piece.

        Raises:
            TurnTimeout: The bot was not done in time.
            TurnFailed: The session failed during the turn.
            SessionError: The session is closed.

        Example:
            >>> with snb.connect("voiceflow", simulate=True) as bot:
            ...     for message in bot.stream("track"):
            ...         print(message.text)
            Gladly. What is your order number? (Try `4567`.)
        """
        check_timeout(timeout)
        return self.send(text).stream(timeout)

    def press(self, choice: str | int | Choice, timeout: float | None = None) -> Turn:
        """Press a button of the last message that has buttons, and wait until the bot is done.

        Args:
            choice: The label of the button, its position (from 1), or the `Choice` itself.
            timeout: Seconds after which the turn times out (default: the session's timeout).

        Returns:
            The turn, with the bot's messages.

        Raises:
            ActionError: There is no such button. Nothing was sent.
            TurnTimeout: The bot was not done in time.
            TurnFailed: The session failed during the turn.

        Example:
            >>> with snb.connect("voiceflow", simulate=True) as bot:
            ...     turn = bot.launch()
            ...     print([choice.label for choice in turn.choices][:2])
            ...     bot.press("Track order").text
            ['Track order', 'Return an item']
            'Gladly. What is your order number? (Try `4567`.)'
        """
        check_timeout(timeout)
        return self.start("press", choice=choice).wait(timeout)

    def launch(self, timeout: float | None = None) -> Turn:
        """Start the conversation from the beginning, and wait until the bot is done.

        Args:
            timeout: Seconds after which the turn times out (default: the session's timeout).

        Returns:
            The turn, with the bot's messages.

        Raises:
            TurnTimeout: The bot was not done in time.
            TurnFailed: The session failed during the turn.
            SessionError: The session is closed.

        Example:
            >>> with snb.connect("voiceflow", simulate=True) as bot:
            ...     bot.launch().text
            'Welcome to **Trailhead**, your outdoor shop. What can I do for you?'
        """
        check_timeout(timeout)
        return self.start("launch").wait(timeout)

    def event(self, name: str, timeout: float | None = None) -> Turn:
        """Trigger an event of the bot by its name, and wait until the bot is done.

        Args:
            name: The name of the event, as defined in the bot.
            timeout: Seconds after which the turn times out (default: the session's timeout).

        Returns:
            The turn, with the bot's messages.

        Raises:
            ActionError: The platform has no events. Nothing was sent.
            TurnTimeout: The bot was not done in time.
            TurnFailed: The session failed during the turn.

        Example:
            >>> with snb.connect("voiceflow", simulate=True) as bot:
            ...     bot.event("cart_abandoned").status
            'completed'
        """
        check_timeout(timeout)
        return self.start("event", name=name).wait(timeout)

    def reset(self, timeout: float | None = None) -> Turn:
        """Restart the conversation without its earlier state, and wait until the bot is done.

        Args:
            timeout: Seconds after which the turn times out (default: the session's timeout).

        Returns:
            The turn, with the bot's messages.

        Raises:
            ActionError: The platform has no verb `reset`. Nothing was sent.
            TurnTimeout: The bot was not done in time.
            TurnFailed: The session failed during the turn.
        """
        check_timeout(timeout)
        return self.start("reset").wait(timeout)

    def act(self, verb: str, *, conversation: str | None = None, **fields: FieldValue) -> Turn:
        """Perform any action of the platform, and wait until the bot is done.

        Args:
            verb: The name of a verb in `verbs`.
            conversation: As in `send`.
            **fields: The fields of the verb.

        Returns:
            The turn, with the bot's messages.

        Raises:
            ActionError: There is no such verb or field. Nothing was sent.
            TurnTimeout: The bot was not done in time.
            TurnFailed: The session failed during the turn.

        Example:
            >>> with snb.connect("voiceflow", simulate=True) as bot:
            ...     bot.act("text", text="track").status
            'completed'
        """
        return self.start(verb, conversation=conversation, **fields).wait()

    def start(self, verb: str, /, *, conversation: str | None = None, **fields: FieldValue) -> Turn:
        """Perform any action of the platform and return immediately.

        Args:
            verb: The name of a verb in `verbs`.
            conversation: As in `send`.
            **fields: The fields of the verb.

        Returns:
            The turn, which is still running.

        Raises:
            ActionError: There is no such verb, field or conversation. Nothing was sent.
            SessionError: The session is closed.

        Example:
            >>> with snb.connect("voiceflow", simulate=True) as bot:
            ...     bot.start("text", text="track").wait().status
            'completed'
        """
        if verb == "press" and "choice" in fields:
            fields = {**fields, "choice": self._events.buttons.find(fields["choice"])}
        checked = check_fields(self._dialect, verb, fields)
        return self._start(Action(verb, checked, conversation=self._events.conversations.check(conversation)))

    def _start(self, action: Action) -> Turn:
        self._log.recorder.warn()
        action = self._dialect.prepare(action, self._events.buttons.of_turn(self._log.turn), self._settings)
        if action.choice:
            action = replace(action, fields={**action.fields, "choice": self._events.buttons.unmask(action.choice)})
        with self._lock:
            self._check_open()
            if action.conversation is None:
                action = replace(action, conversation=self._events.conversations.take_chosen())
            self._log.turn += 1
            turn = self._events.turns[self._log.turn] = Turn(
                self._log.turn,
                action,
                name=self.name,
                driver=self._driver,
                loop=self._loop,
                timeout=self.timeout,
                encoding=self.encoding,
            )
            self._driver.act(turn.number, action, self.timeout)
        return turn

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

    def _check_open(self) -> None:
        if self._closing:
            raise SessionError(f"session {self.name!r} is closed: open a new one with connect()")

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

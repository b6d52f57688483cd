"""The methods of `Session` that perform actions of the user."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from socketnb.conversation.reading import SessionReader
from socketnb.conversation.turn import Turn
from socketnb.conversation.verbs import check_fields, check_timeout, text_fields
from socketnb.errors import SessionError
from socketnb.model.actions import Action, FieldValue
from socketnb.model.content import Choice

if TYPE_CHECKING:
    from socketnb.conversation.events import EventIntake
    from socketnb.dialects.base import Dialect
    from socketnb.dialects.messages import Message
    from socketnb.engine.driver import Driver
    from socketnb.engine.loop import Loop
    from socketnb.model.json import JsonOut
    from socketnb.recording.recorder import Log


class SessionActions(SessionReader):
    """The methods of `Session` that perform actions of the user.

    Args:
        name: The name of the session in the kernel.
        dialect: The dialect of the platform.
        settings: The settings of the session.
        rows: The log of the session.
        events: The processor of session events.
        driver: The driver of the session.
        loop: The background loop.
        timeout: Seconds after which a turn times out.
    """

    def __init__(
        self,
        name: str,
        dialect: Dialect,
        *,
        settings: Mapping[str, object],
        rows: Log,
        events: EventIntake,
        driver: Driver,
        loop: Loop,
        timeout: float,
    ) -> None:
        super().__init__(name, dialect, settings=settings, rows=rows, events=events, loop=loop, timeout=timeout)
        self._driver = driver
        self._lock = threading.Lock()
        self._closing = False

    def say(self, text: str, timeout: float | None = None, *, data: JsonOut = None, check: bool = True) -> Turn:
        """Send a text and wait until the bot is done.

        Args:
            text: What the user says.
            timeout: Seconds after which the turn times out, from its sending (default: the session's timeout).
            data: JSON data to send with the text, on platforms that have it.
            check: Whether to raise `TurnFailed` if the turn fails.

        Returns:
            The turn, with the bot's messages.

        Raises:
            ActionError: The platform sends no data with a text. Nothing was sent.
            TurnTimeout: The bot was not done in time. The attribute `turn` of the error is the unfinished turn.
            TurnFailed: The bot reported an error or the session failed, and `check` is True.
            SessionError: The session is closed.

        Example:
            >>> with snb.connect("voiceflow", simulate=True) as bot:
            ...     bot.say("track", timeout=10).text
            'Gladly. What is your order number? (Try `4567`.)'
        """
        check_timeout(timeout)
        return self.send(text, data=data).wait(timeout, check=check)

    def send(self, text: str, *, at_once: bool = False, conversation: str | None = None, data: JsonOut = None) -> Turn:
        """Send a text and return immediately. Use `await turn` or `turn.wait()` to wait for the bot.

        Args:
            text: What the user says.
            at_once: Whether to send the text immediately instead of after the previous turn has ended.
            conversation: The id of a conversation, or "" for a new one, on platforms that allow several per session
                (default: the conversation used last).
            data: JSON data to send with the text, on platforms that have it.

        Returns:
            The turn, which is still running.

        Raises:
            ActionError: There is no such conversation, or the platform sends no data with a text. Nothing was sent.
            SessionError: The session is closed.

        Example:
            >>> with snb.connect("voiceflow", simulate=True) as bot:
            ...     turns = [bot.send(text) for text in ("track", "4567")]
            ...     [turn.wait().status for turn in turns]
            ['completed', 'completed']
        """
        fields = text_fields(self._dialect, text, data)
        return self._start(Action("text", fields, at_once, self._events.conversations.check(conversation)))

    def stream(
        self, text: str, timeout: float | None = None, *, data: JsonOut = None, check: bool = True
    ) -> Iterator[Message]:
        """Send a text and yield the bot's messages as they arrive. A streamed message is yielded piece by piece.

        Args:
            text: What the user says.
            timeout: Seconds after which the turn times out, from its sending (default: the session's timeout).
            data: JSON data to send with the text, on platforms that have it.
            check: Whether to raise `TurnFailed` if the turn fails.

        Yields:
            The messages of the bot. For a streamed message, one `Message` per piece.

        Raises:
            ActionError: The platform sends no data with a text. Nothing was sent.
            TurnTimeout: The bot was not done in time.
            TurnFailed: The bot reported an error or the session failed, and `check` is True.
            SessionError: The session is closed.

        Example:
            >>> with snb.connect("voiceflow", simulate=True) as bot:
            ...     for message in bot.stream("track"):
            ...         print(message.text)
            Gladly. What is your order number? (Try `4567`.)
        """
        check_timeout(timeout)
        return self.send(text, data=data).stream(timeout, check=check)

    def press(self, choice: str | int | Choice, timeout: float | None = None, *, check: bool = True) -> Turn:
        """Press a button of the last turn or of an unsolicited message since, and wait until the bot is done.

        Args:
            choice: The label of the button, the title of its card and its label as in `"Blue shoes / Buy"`, its
                position (from 1) in `choices`, or the `Choice` itself, which may be from an older turn.
            timeout: Seconds after which the turn times out, from its sending (default: the session's timeout).
            check: Whether to raise `TurnFailed` if the turn fails.

        Returns:
            The turn, with the bot's messages.

        Raises:
            ActionError: There is no such button, or several buttons fit. Nothing was sent.
            TurnTimeout: The bot was not done in time.
            TurnFailed: The bot reported an error or the session failed, and `check` is True.

        Example:
            >>> with snb.connect("voiceflow", simulate=True) as bot:
            ...     turn = bot.launch()
            ...     print([choice.label for choice in turn.choices][:2])
            ...     bot.press("Track order").text
            ['Track order', 'Return an item']
            'Gladly. What is your order number? (Try `4567`.)'
        """
        check_timeout(timeout)
        return self.start("press", choice=choice).wait(timeout, check=check)

    def launch(self, timeout: float | None = None, *, check: bool = True) -> Turn:
        """Start the conversation from the beginning, and wait until the bot is done.

        Args:
            timeout: Seconds after which the turn times out, from its sending (default: the session's timeout).
            check: Whether to raise `TurnFailed` if the turn fails.

        Returns:
            The turn, with the bot's messages.

        Raises:
            TurnTimeout: The bot was not done in time.
            TurnFailed: The bot reported an error or the session failed, and `check` is True.
            SessionError: The session is closed.

        Example:
            >>> with snb.connect("voiceflow", simulate=True) as bot:
            ...     bot.launch().text
            'Welcome to **Trailhead**, your outdoor shop. What can I do for you?'
        """
        check_timeout(timeout)
        return self.start("launch").wait(timeout, check=check)

    def event(self, name: str, timeout: float | None = None, *, check: bool = True) -> Turn:
        """Trigger an event of the bot by its name, and wait until the bot is done.

        Args:
            name: The name of the event, as defined in the bot.
            timeout: Seconds after which the turn times out, from its sending (default: the session's timeout).
            check: Whether to raise `TurnFailed` if the turn fails.

        Returns:
            The turn, with the bot's messages.

        Raises:
            ActionError: The platform has no events. Nothing was sent.
            TurnTimeout: The bot was not done in time.
            TurnFailed: The bot reported an error or the session failed, and `check` is True.

        Example:
            >>> with snb.connect("voiceflow", simulate=True) as bot:
            ...     bot.event("cart_abandoned").status
            'completed'
        """
        check_timeout(timeout)
        return self.start("event", name=name).wait(timeout, check=check)

    def reset(self, timeout: float | None = None, *, check: bool = True) -> Turn:
        """Restart the conversation without its earlier state, and wait until the bot is done.

        Args:
            timeout: Seconds after which the turn times out, from its sending (default: the session's timeout).
            check: Whether to raise `TurnFailed` if the turn fails.

        Returns:
            The turn, with the bot's messages.

        Raises:
            ActionError: The platform has no verb `reset`. Nothing was sent.
            TurnTimeout: The bot was not done in time.
            TurnFailed: The bot reported an error or the session failed, and `check` is True.
        """
        check_timeout(timeout)
        return self.start("reset").wait(timeout, check=check)

    def act(self, verb: str, *, conversation: str | None = None, check: bool = True, **fields: FieldValue) -> Turn:
        """Perform any action of the platform, and wait until the bot is done.

        Args:
            verb: The name of a verb in `verbs`.
            conversation: As in `send`.
            check: Whether to raise `TurnFailed` if the turn fails.
            **fields: The fields of the verb.

        Returns:
            The turn, with the bot's messages.

        Raises:
            ActionError: There is no such verb or field. Nothing was sent.
            TurnTimeout: The bot was not done in time.
            TurnFailed: The bot reported an error or the session failed, and `check` is True.

        Example:
            >>> with snb.connect("voiceflow", simulate=True) as bot:
            ...     bot.act("text", text="track").status
            'completed'
        """
        return self.start(verb, conversation=conversation, **fields).wait(check=check)

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
        offered = [] if self._events.turns else self._events.buttons.choices
        action = self._dialect.prepare(action, offered, self._settings)
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

    def _check_open(self) -> None:
        if self._closing:
            raise SessionError(f"session {self.name!r} is closed: open a new one with connect()")

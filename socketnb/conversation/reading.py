"""The readable parts of a session: its state, its traces, and its DataFrames."""

from __future__ import annotations

import html
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from socketnb import render
from socketnb.conversation.verbs import check_timeout
from socketnb.dialects.entries import in_conversation
from socketnb.engine.loop import until_done
from socketnb.errors import ActionError, SessionError, SettingsError, TurnTimeout, unknown
from socketnb.frames import query
from socketnb.frames.columns import (
    CONVERSATION_COLUMNS,
    MESSAGE_COLUMNS,
    TRACE_COLUMNS,
    TURN_COLUMNS,
    document_columns,
)
from socketnb.model.content import Choice
from socketnb.model.trace import Sender, Trace

if TYPE_CHECKING:
    import pandas as pd

    from socketnb.conversation.events import EventIntake, Listener
    from socketnb.conversation.turn import Turn
    from socketnb.dialects.base import Dialect
    from socketnb.dialects.messages import Message
    from socketnb.engine.events import State
    from socketnb.engine.loop import Loop
    from socketnb.model.actions import Conversation, Verb
    from socketnb.recording.recorder import Log

log = logging.getLogger(__name__)
SENDERS: tuple[Sender, ...] = ("bot", "agent", "system")
"""The senders of unsolicited messages."""


class SessionReader:
    """The methods of `Session` that read its state and its traces.

    Args:
        name: The name of the session in the kernel.
        dialect: The dialect of the platform.
        settings: The settings of the session.
        rows: The log of the session, which holds its traces.
        events: The processor of session events, which holds the state of the session.
        loop: The background loop.
        timeout: Seconds to wait by default.
    """

    def __init__(
        self,
        name: str,
        dialect: Dialect,
        *,
        settings: Mapping[str, object],
        rows: Log,
        events: EventIntake,
        loop: Loop,
        timeout: float,
    ) -> None:
        self.name = name
        self.timeout = timeout
        self.platform = dialect.name
        self.first = rows.seq
        self._dialect = dialect
        self._settings = settings
        self._log = rows
        self._events = events
        self._loop = loop

    @property
    def state(self) -> State:
        """The state: `connecting`, `ready`, `reconnecting`, `ended`, `lost` or `closed`."""
        return self._events.state

    @property
    def verbs(self) -> Mapping[str, Verb]:
        """The verbs of the platform by name, each with its help and its fields."""
        return self._dialect.verbs

    @property
    def running(self) -> list[Turn]:
        """The turns that have not ended, oldest first."""
        return list(self._events.turns.values())

    @property
    def encoding(self) -> str:
        """The encoding of streamed sound in this session."""
        return self._dialect.sound_encoding(self._settings)

    @property
    def choices(self) -> list[Choice]:
        """The buttons of the last answered turn, and of the unsolicited messages since, in order."""
        return self._events.buttons.choices

    @property
    def button_names(self) -> list[str]:
        """The text that presses each of `choices`: its label, or `card / label` if several have this label."""
        return self._events.buttons.names

    def button(self, choice: str | int | Choice) -> Choice:
        """Return a button without pressing it.

        The argument and the errors are those of `press`.
        """
        return self._events.buttons.find(choice)

    def traces(self, since: int = 0, count: int | None = None, *, payloads: bool = True) -> list[Trace]:
        """Return recorded traces.

        Args:
            since: The `seq` of the first trace.
            count: The maximum number of traces (default: all).
            payloads: Whether to read payloads. Reading is faster without them.
        """
        return self._log.traces(max(since, self.first), count, payloads=payloads)

    @property
    def seq(self) -> int:
        """The `seq` of the next trace."""
        return self._log.seq

    def conversations(self) -> list[Conversation]:
        """Return the conversations of this session, each with its handler, unread count and state.

        The list is empty on platforms where a session is one conversation.
        """
        return list(self._events.conversations.current)

    def transcript(self, conversation: str | None = None) -> str:
        """Return the conversation as plain text.

        Args:
            conversation: The id of a conversation, on platforms with several per session (default: all of them).

        Raises:
            SettingsError: There is no such conversation.

        Example:
            >>> with snb.connect("voiceflow", simulate=True) as bot:
            ...     turn = bot.say("track")
            ...     print(bot.transcript())
            user:  track
            bot:   Gladly. What is your order number? (Try `4567`.)
        """
        traces = self.traces()
        if conversation is None:
            return render.transcript_text(traces)
        known = dict.fromkeys(trace.conversation for trace in traces if trace.conversation)
        if conversation not in known:
            raise SettingsError(unknown("conversation", conversation, known))
        return render.transcript_text(in_conversation(traces, conversation))

    @document_columns(TRACE_COLUMNS)
    def traces_df(
        self, *, since: Mapping[str, int] | pd.DataFrame | None = None, columns: Sequence[str] | None = None
    ) -> pd.DataFrame:
        """Return the traces of this session.

        Args:
            since: An earlier frame or its `df.attrs["cursor"]`; only newer traces are returned (default: all).
            columns: The names of the columns to return, in order (default: all columns).

        Returns:
            A frame with one row per trace and the columns listed below. `df.attrs["cursor"]` is the next cursor.

        Raises:
            SettingsError: A column is unknown, or `since` is not a cursor.
            RecordingError: Older traces cannot be read from disk.

        Example:
            >>> with snb.connect("voiceflow", simulate=True) as bot:
            ...     earlier = bot.traces_df()
            ...     turn = bot.say("track")
            ...     newer = bot.traces_df(since=earlier, columns=["kind", "text"])
            >>> newer["text"].dropna().iloc[0]
            'track'
        """
        return query.traces_df([self._store], session=self.name, since=since, columns=columns)

    @document_columns(TURN_COLUMNS)
    def turns_df(
        self, *, since: Mapping[str, int] | pd.DataFrame | None = None, columns: Sequence[str] | None = None
    ) -> pd.DataFrame:
        """Return the turns of this session.

        Args:
            since: As in `traces_df`.
            columns: As in `traces_df`.

        Returns:
            A frame with one row per turn and the columns listed below. `df.attrs["cursor"]` is the next cursor.

        Raises:
            SettingsError: A column is unknown, or `since` is not a cursor.
            RecordingError: Older traces cannot be read from disk.

        Example:
            >>> with snb.connect("voiceflow", simulate=True) as bot:
            ...     turn = bot.say("track")
            ...     bot.turns_df(columns=["turn", "status"]).values.tolist()
            [[1, 'completed']]
        """
        return query.turns_df([self._store], session=self.name, since=since, columns=columns)

    @document_columns(MESSAGE_COLUMNS)
    def messages_df(
        self, *, since: Mapping[str, int] | pd.DataFrame | None = None, columns: Sequence[str] | None = None
    ) -> pd.DataFrame:
        """Return the messages of this session, including those of the user.

        Args:
            since: As in `traces_df`.
            columns: As in `traces_df`.

        Returns:
            A frame with one row per message and the columns listed below. `df.attrs["cursor"]` is the next cursor.

        Raises:
            SettingsError: A column is unknown, or `since` is not a cursor.
            RecordingError: Older traces cannot be read from disk.

        Example:
            >>> with snb.connect("voiceflow", simulate=True) as bot:
            ...     turn = bot.say("track")
            ...     bot.messages_df(columns=["sender", "text"]).values.tolist()
            [['user', 'track'], ['bot', 'Gladly. What is your order number? (Try `4567`.)']]
        """
        return query.messages_df([self._store], session=self.name, since=since, columns=columns)

    @document_columns(CONVERSATION_COLUMNS)
    def conversations_df(
        self, *, since: Mapping[str, int] | pd.DataFrame | None = None, columns: Sequence[str] | None = None
    ) -> pd.DataFrame:
        """Return the conversations of this session, with their handlers and first replies.

        Args:
            since: As in `traces_df`.
            columns: As in `traces_df`.

        Returns:
            A frame with one row per conversation and the columns listed below. `df.attrs["cursor"]` is the next cursor.

        Raises:
            SettingsError: A column is unknown, or `since` is not a cursor.
            RecordingError: Older traces cannot be read from disk.

        Example:
            >>> with snb.connect("eusate", simulate=True) as bot:
            ...     turn = bot.say("track")
            ...     bot.conversations_df(columns=["handler", "turns"]).values.tolist()
            [['bot', 1]]
        """
        return query.conversations_df([self._store], session=self.name, since=since, columns=columns)

    @property
    def ids(self) -> dict[str, str]:
        """The ids in the settings, for example of the user and the session, without credentials."""
        secret = [name for name, setting in self._dialect.settings.items() if setting.secret]
        return {n: str(v) for n, v in self._settings.items() if n.endswith("_id") and v and n not in secret}

    def common_ids(self, other: SessionReader) -> list[str]:
        """Return the names of the ids of the conversation if both sessions have the same; otherwise an empty list."""
        names, settings = self._dialect.resume_settings, self._dialect.settings
        same = self.platform == other.platform and all(
            self._settings[name] == other._settings[name] and (self._settings[name] or not settings[name].secret)
            for name in ("url", *names)
        )
        return [name for name in names if self._settings[name]] if same else []

    @property
    def _store(self) -> query.Store:
        return self._log.recorder.store

    # Unsolicited messages

    def next_message(self, timeout: float | None = None, *, sender: Sender | None = None) -> Message:
        """Return the oldest unsolicited message that was not returned yet, or wait for one.

        A message is unsolicited if no running turn waits for it: what the bot or an agent sends on its own, and what
        arrives after the end of its turn. A streamed message is returned when it is complete, or when the session
        closes. Each message is returned once, by this method or by `messages`. A keyboard interrupt ends the wait.

        Args:
            timeout: Seconds to wait at most (default: the session's timeout).
            sender: `bot`, `agent` or `system`: other messages stay for later calls (default: any sender).

        Returns:
            The message.

        Raises:
            ActionError: `timeout` is not a number of seconds above 0, or there is no such sender.
            TurnTimeout: No message arrived in time. The attribute `turn` of the error is None.
            SessionError: The session is closed, or a listener called this. A listener cannot wait.

        Example:
            >>> with snb.simulate("cognigy") as simulator:
            ...     bot = snb.connect("cognigy", **simulator.settings)
            ...     simulator.notify("Your parcel has arrived.")
            ...     message = bot.next_message(timeout=5)
            ...     bot.close()
            >>> message.text
            'Your parcel has arrived.'
        """
        check_timeout(timeout)
        if sender not in (None, *SENDERS):
            raise ActionError(unknown("sender", sender, SENDERS))
        if self._loop.is_current_thread:
            raise SessionError("a listener cannot wait for a message: its argument is the trace of the message")
        seconds = self.timeout if timeout is None else timeout
        unsolicited = self._events.unsolicited
        if found := unsolicited.wait(sender, self.encoding, seconds):
            return found
        if unsolicited.closed:
            raise SessionError(f"session {self.name!r} is closed: no more messages arrive")
        state = "" if self.state == "ready" else f" (the session is {self.state})"
        of = f" of the {sender}" if sender else ""
        raise TurnTimeout(f"{self.name}: no unsolicited message{of} arrived within {seconds:g} s{state}", None)

    async def messages(self, *, sender: Sender | None = None) -> AsyncIterator[Message]:
        """Yield the unsolicited messages that were not returned yet, then new ones, until the session is closed.

        Args:
            sender: As in `next_message`.

        Yields:
            The messages, as `next_message` returns them.

        Raises:
            ActionError: There is no such sender.

        Example:
            >>> async def first(bot):
            ...     async for message in bot.messages():
            ...         return message.text
            >>> with snb.simulate("cognigy") as simulator:
            ...     bot = snb.connect("cognigy", **simulator.settings)
            ...     simulator.notify("Your parcel has arrived.")
            ...     text = snb.run(first(bot))
            ...     bot.close()
            >>> text
            'Your parcel has arrived.'
        """
        if sender not in (None, *SENDERS):
            raise ActionError(unknown("sender", sender, SENDERS))
        unsolicited = self._events.unsolicited
        while True:
            waiter = unsolicited.waiter()
            found = unsolicited.take(sender, self.encoding)
            try:
                if not found and waiter:
                    await until_done(waiter)
            finally:
                unsolicited.drop(waiter)
            if found:
                yield found
            elif waiter is None:
                return

    # Listening

    def listen(self, listener: Callable[[Trace], None]) -> Callable[[], None]:
        """Call a function with every trace after it is recorded, on the background thread.

        Args:
            listener: The function. It must not wait for a turn. Exceptions that it raises are logged.

        Returns:
            A function that stops the calls.

        Example:
            >>> with snb.connect("voiceflow", simulate=True) as bot:
            ...     kinds = []
            ...     stop = bot.listen(lambda trace: kinds.append(trace.kind))
            ...     turn = bot.say("track")
            ...     stop()
            >>> kinds[0], "text" in kinds
            ('action', True)
        """

        def call_each(traces: list[Trace]) -> None:
            for trace in traces:
                try:
                    listener(trace)
                except BaseException:  # the listener still gets the next trace
                    log.exception("a listener of session %r failed", self.name)

        return self.follow(call_each)

    def follow(self, listener: Listener) -> Callable[[], None]:
        """Call a function with each batch of traces, as `listen` does with each trace.

        Args:
            listener: The function. Its argument is an empty list if only the state of the session has changed.

        Returns:
            A function that stops the calls.
        """
        listeners = self._events.listeners
        listeners.append(listener)
        return lambda: listeners.remove(listener) if listener in listeners else None

    # Representations

    def __repr__(self) -> str:
        return f"<session {self.name!r}: {self.platform}, {self.state}, {self._log.turn} turns>"

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        facts = html.escape(f"{self.platform} · {self.state} · {self._log.turn} turns · {self._log.seq} traces")
        head = f"<strong>{html.escape(self.name)}</strong> <small style='opacity:.65'>{facts}</small>"
        return {"text/plain": repr(self), "text/html": head + render.transcript_html(self.traces(), self.encoding)}

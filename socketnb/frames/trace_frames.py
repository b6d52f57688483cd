"""The frames of all sessions in a kernel."""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING

from socketnb.frames import query
from socketnb.frames.columns import (
    CONVERSATION_COLUMNS,
    MESSAGE_COLUMNS,
    SESSION_COLUMNS,
    TRACE_COLUMNS,
    TURN_COLUMNS,
    document_columns,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from socketnb.frames.query import Store


class TraceFrames(abc.ABC):
    """The methods `traces_df`, `messages_df`, `turns_df`, `conversations_df` and `sessions_df` of the hub."""

    @abc.abstractmethod
    def _stores(self) -> Sequence[Store]:
        """Return the stores that hold the traces, one per recording."""

    def traces_df(
        self,
        *,
        session: str | None = None,
        platform: str | None = None,
        recording: str | None = None,
        since: Mapping[str, int] | pd.DataFrame | None = None,
        columns: Sequence[str] | None = None,
    ) -> pd.DataFrame:
        """Return the traces of all sessions in this kernel: every event that was sent, received or recorded locally.

        Args:
            session: The name of a session (default: all sessions).
            platform: The name of a platform (default: all platforms).
            recording: The id of a recording (default: all recordings of this kernel).
            since: A cursor, which is an earlier frame or its `df.attrs["cursor"]`. Only newer rows are returned.
            columns: The names of the columns to return, in order (default: all columns).

        Returns:
            A frame with one row per trace in the order observed, and the columns listed below. The columns and dtypes
            are the same on every platform and in an empty frame. `df.attrs["cursor"]` is the next cursor.

        Raises:
            SettingsError: An argument is malformed, or a column is unknown.
            RecordingError: Traces on disk cannot be read: a file is missing, damaged or of a newer version.

        Example:
            >>> import socketnb as snb
            >>> with snb.connect("voiceflow", simulate=True) as bot:
            ...     turn = bot.say("hours")
            ...     traces = snb.traces_df(session=bot.name, columns=["seq", "direction", "event"])
            >>> list(traces.columns)
            ['seq', 'direction', 'event']
            >>> len(snb.traces_df(since=traces)) < len(snb.traces_df())
            True
        """
        return query.traces_df(
            self._stores(), session=session, platform=platform, recording=recording, since=since, columns=columns
        )

    def messages_df(
        self,
        *,
        session: str | None = None,
        platform: str | None = None,
        recording: str | None = None,
        since: Mapping[str, int] | pd.DataFrame | None = None,
        columns: Sequence[str] | None = None,
    ) -> pd.DataFrame:
        """Return the messages of all sessions in this kernel, from users and bots. Streamed pieces are merged.

        Args:
            session: The name of a session (default: all sessions).
            platform: The name of a platform (default: all platforms).
            recording: The id of a recording (default: all recordings of this kernel).
            since: A cursor, which is an earlier frame or its `df.attrs["cursor"]`. Only newer rows are returned.
            columns: The names of the columns to return, in order (default: all columns).

        Returns:
            A frame with one row per message and the columns listed below. `df.attrs["cursor"]` is the next cursor.

        Raises:
            SettingsError: An argument is malformed, or a column is unknown.
            RecordingError: Traces on disk cannot be read: a file is missing, damaged or of a newer version.

        Example:
            >>> import socketnb as snb
            >>> with snb.connect("voiceflow", simulate=True) as bot:
            ...     turn = bot.say("hours")
            ...     messages = snb.messages_df(session=bot.name)
            >>> messages["text"].iloc[0]
            'hours'
        """
        return query.messages_df(
            self._stores(), session=session, platform=platform, recording=recording, since=since, columns=columns
        )

    def turns_df(
        self,
        *,
        session: str | None = None,
        platform: str | None = None,
        recording: str | None = None,
        since: Mapping[str, int] | pd.DataFrame | None = None,
        columns: Sequence[str] | None = None,
    ) -> pd.DataFrame:
        """Return the turns of all sessions in this kernel, with their actions, replies, statuses and latencies.

        Args:
            session: The name of a session (default: all sessions).
            platform: The name of a platform (default: all platforms).
            recording: The id of a recording (default: all recordings of this kernel).
            since: A cursor, which is an earlier frame or its `df.attrs["cursor"]`. Only newer rows are returned.
            columns: The names of the columns to return, in order (default: all columns).

        Returns:
            A frame with one row per turn and the columns listed below. `df.attrs["cursor"]` is the next cursor.

        Raises:
            SettingsError: An argument is malformed, or a column is unknown.
            RecordingError: Traces on disk cannot be read: a file is missing, damaged or of a newer version.

        Example:
            >>> import socketnb as snb
            >>> with snb.connect("voiceflow", simulate=True) as bot:
            ...     turn = bot.say("hours")
            ...     turns = snb.turns_df(session=bot.name, columns=["user_text", "status"])
            >>> turns.iloc[-1].tolist()
            ['hours', 'completed']
        """
        return query.turns_df(
            self._stores(), session=session, platform=platform, recording=recording, since=since, columns=columns
        )

    def conversations_df(
        self,
        *,
        session: str | None = None,
        platform: str | None = None,
        recording: str | None = None,
        since: Mapping[str, int] | pd.DataFrame | None = None,
        columns: Sequence[str] | None = None,
    ) -> pd.DataFrame:
        """Return the conversations of all sessions in this kernel, with their handlers and first replies.

        Args:
            session: The name of a session (default: all sessions).
            platform: The name of a platform (default: all platforms).
            recording: The id of a recording (default: all recordings of this kernel).
            since: A cursor, which is an earlier frame or its `df.attrs["cursor"]`. Only newer rows are returned.
            columns: The names of the columns to return, in order (default: all columns).

        Returns:
            A frame with one row per conversation and the columns listed below. `df.attrs["cursor"]` is the next cursor.

        Raises:
            SettingsError: An argument is malformed, or a column is unknown.
            RecordingError: Traces on disk cannot be read: a file is missing, damaged or of a newer version.

        Example:
            >>> import socketnb as snb
            >>> with snb.connect("eusate", name="help", simulate=True) as bot:
            ...     turn = bot.say("hours")
            >>> snb.conversations_df(session="help", columns=["handler", "turns"]).values.tolist()
            [['bot', 1]]
        """
        return query.conversations_df(
            self._stores(), session=session, platform=platform, recording=recording, since=since, columns=columns
        )

    def sessions_df(
        self,
        *,
        session: str | None = None,
        platform: str | None = None,
        recording: str | None = None,
        since: Mapping[str, int] | pd.DataFrame | None = None,
        columns: Sequence[str] | None = None,
    ) -> pd.DataFrame:
        """Return the open and closed sessions of this kernel.

        Args:
            session: The name of a session (default: all sessions).
            platform: The name of a platform (default: all platforms).
            recording: The id of a recording (default: all recordings of this kernel).
            since: A cursor, which is an earlier frame or its `df.attrs["cursor"]`. Only newer rows are returned.
            columns: The names of the columns to return, in order (default: all columns).

        Returns:
            A frame with one row per session and the columns listed below. `df.attrs["cursor"]` is the next cursor.

        Raises:
            SettingsError: An argument is malformed, or a column is unknown.
            RecordingError: Traces on disk cannot be read: a file is missing, damaged or of a newer version.

        Example:
            >>> import socketnb as snb
            >>> with snb.connect("voiceflow", name="shop", simulate=True) as bot:
            ...     turn = bot.say("hours")
            >>> snb.sessions_df(session="shop", columns=["platform"])["platform"].tolist()
            ['voiceflow']
        """
        return query.sessions_df(
            self._stores(), session=session, platform=platform, recording=recording, since=since, columns=columns
        )


for _method, _columns in (
    (TraceFrames.traces_df, TRACE_COLUMNS),
    (TraceFrames.messages_df, MESSAGE_COLUMNS),
    (TraceFrames.turns_df, TURN_COLUMNS),
    (TraceFrames.conversations_df, CONVERSATION_COLUMNS),
    (TraceFrames.sessions_df, SESSION_COLUMNS),
):
    document_columns(_columns)(_method)  # not used as decorators, because mypy would lose the types of the package root

"""The methods that return frames, as the hub and a recording on disk have them."""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING

from socketnb.frames import query
from socketnb.frames.columns import MESSAGE_COLUMNS, SESSION_COLUMNS, TRACE_COLUMNS, TURN_COLUMNS, document_columns

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from socketnb.frames.query import Store


class TraceFrames(abc.ABC):
    """The methods `traces_df`, `messages_df`, `turns_df` and `sessions_df` of a kernel or a recording."""

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
        """Return the traces: every event that was sent, received or noted locally.

        Args:
            session: Only the session with this name.
            platform: Only sessions of this platform.
            recording: Only the recording with this id.
            since: Only what is newer than an earlier frame, or than its `df.attrs["cursor"]`.
            columns: Only these columns, in this order.

        Returns:
            One row per trace, one recording after the other, each in the order observed. The columns and dtypes are
            the same for every platform and for an empty frame. `df.attrs["cursor"]` is a value for `since`.

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
        """Return the messages: what the user and the bot said. Streamed pieces are merged.

        Args:
            session: Only the session with this name.
            platform: Only sessions of this platform.
            recording: Only the recording with this id.
            since: Only what is newer than an earlier frame, or than its `df.attrs["cursor"]`.
            columns: Only these columns, in this order.

        Returns:
            One row per message. `df.attrs["cursor"]` is a value for `since`.

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
        """Return the turns: what the user did, what the bot replied, how long it took, how it ended.

        Args:
            session: Only the session with this name.
            platform: Only sessions of this platform.
            recording: Only the recording with this id.
            since: Only what is newer than an earlier frame, or than its `df.attrs["cursor"]`.
            columns: Only these columns, in this order.

        Returns:
            One row per turn. `df.attrs["cursor"]` is a value for `since`.

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

    def sessions_df(
        self,
        *,
        session: str | None = None,
        platform: str | None = None,
        recording: str | None = None,
        since: Mapping[str, int] | pd.DataFrame | None = None,
        columns: Sequence[str] | None = None,
    ) -> pd.DataFrame:
        """Return the sessions, open or closed.

        Args:
            session: Only the session with this name.
            platform: Only sessions of this platform.
            recording: Only the recording with this id.
            since: Only what is newer than an earlier frame, or than its `df.attrs["cursor"]`.
            columns: Only these columns, in this order.

        Returns:
            One row per session. `df.attrs["cursor"]` is a value for `since`.

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
    (TraceFrames.sessions_df, SESSION_COLUMNS),
):
    document_columns(_columns)(_method)  # not as decorators, with which mypy loses the types of the package root

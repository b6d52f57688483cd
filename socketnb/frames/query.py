"""Frames of recorded traces. The columns and dtypes are the same on every platform and in an empty frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from socketnb.errors import SettingsError, unknown
from socketnb.frames.columns import (
    CONVERSATION_COLUMNS,
    MESSAGE_COLUMNS,
    SESSION_COLUMNS,
    TRACE_COLUMNS,
    TURN_COLUMNS,
    document_columns,
)
from socketnb.frames.conversations import conversations
from socketnb.frames.derived import messages, sessions, turns
from socketnb.frames.table import frame_of
from socketnb.recording.schema import TRACES

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd
    import pyarrow as pa

    from socketnb.model.trace import Column


class Store(Protocol):
    """The rows of a recording, in this kernel or on disk, in the order observed."""

    @property
    def name(self) -> str:
        """The name of the store in a cursor."""

    def table(self, since: int = 0, columns: Sequence[str] | None = None) -> pa.Table:
        """Return the rows from number `since` on, with all or the given columns of a trace."""


@document_columns(TRACE_COLUMNS)
def traces_df(
    stores: Sequence[Store],
    *,
    session: str | None = None,
    platform: str | None = None,
    recording: str | None = None,
    since: Mapping[str, int] | pd.DataFrame | None = None,
    columns: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Return one row per trace, one recording after the other, each in the order observed.

    Args:
        stores: The traces.
        session: The name of a session (default: all sessions).
        platform: The name of a platform (default: all platforms).
        recording: The id of a recording (default: all recordings).
        since: A cursor, which is an earlier frame or its `df.attrs["cursor"]`. Only newer traces are returned.
        columns: The names of the columns to return, in order (default: all columns).

    Returns:
        A frame with one row per trace and the columns listed below. `df.attrs["cursor"]` is the next cursor.

    Raises:
        SettingsError: A column is unknown, or an argument has the wrong type.
        RecordingError: Traces that are no longer in memory cannot be read.

    Example:
        >>> traces_df([]).columns[:3].tolist()
        ['recording', 'platform', 'session']
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    import socketnb.frames.accessor  # noqa: F401 (registers df.chat)

    cursor = _cursor(since)
    filters = {"session": session, "platform": platform, "recording": recording}
    filters = {name: value for name, value in filters.items() if value is not None}
    for name, value in filters.items():
        if not isinstance(value, str):
            raise SettingsError(f"{name} must be a name, got {value!r}")
    names = list(TRACE_COLUMNS) if columns is None else _known(columns, TRACE_COLUMNS)
    read = None if columns is None else list(dict.fromkeys([*names, *filters, "seq"]))
    tables = []
    for store in stores:
        table = store.table(cursor.get(store.name, 0), read)
        cursor[store.name] = cursor.get(store.name, 0) + table.num_rows
        for name, value in filters.items():
            table = table.filter(pc.equal(table[name], value))
        tables.append(table)
    table = pa.concat_tables(tables) if tables else TRACES.arrow.empty_table()
    frame = frame_of(table.select(names))
    frame.attrs["cursor"] = cursor
    return frame


def _cursor(since: Mapping[str, int] | pd.DataFrame | None) -> dict[str, int]:
    """Return the number of known rows of each store."""
    given: object = {} if since is None else since
    given = given.attrs.get("cursor") if hasattr(given, "attrs") else given
    counts = list(given.values()) if isinstance(given, Mapping) else [None]
    if any(not isinstance(count, int) or isinstance(count, bool) or count < 0 for count in counts):
        raise SettingsError('since must be an earlier frame of the same kind, or its df.attrs["cursor"]')
    return dict(given) if isinstance(given, Mapping) else {}


@document_columns(MESSAGE_COLUMNS)
def messages_df(
    stores: Sequence[Store],
    *,
    session: str | None = None,
    platform: str | None = None,
    recording: str | None = None,
    since: Mapping[str, int] | pd.DataFrame | None = None,
    columns: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Return one row per displayed message, including those of the user. Streamed pieces are merged.

    Args:
        stores: The traces.
        session: The name of a session (default: all sessions).
        platform: The name of a platform (default: all platforms).
        recording: The id of a recording (default: all recordings).
        since: A cursor, which is an earlier frame or its `df.attrs["cursor"]`. Only newer traces are considered.
        columns: The names of the columns to return, in order (default: all columns).

    Returns:
        A frame with one row per message and the columns listed below. `df.attrs["cursor"]` is the next cursor.

    Raises:
        SettingsError: A column is unknown, or an argument has the wrong type.
        RecordingError: Traces that are no longer in memory cannot be read.

    Example:
        >>> messages_df([], columns=["sender", "text"]).columns.tolist()
        ['sender', 'text']
    """
    names = list(MESSAGE_COLUMNS) if columns is None else _known(columns, MESSAGE_COLUMNS)
    traces = traces_df(stores, session=session, platform=platform, recording=recording, since=since)
    return _selected(messages, traces, names)


@document_columns(TURN_COLUMNS)
def turns_df(
    stores: Sequence[Store],
    *,
    session: str | None = None,
    platform: str | None = None,
    recording: str | None = None,
    since: Mapping[str, int] | pd.DataFrame | None = None,
    columns: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Return one row per turn, with the action, the reply, the status and the latencies.

    Args:
        stores: The traces.
        session: The name of a session (default: all sessions).
        platform: The name of a platform (default: all platforms).
        recording: The id of a recording (default: all recordings).
        since: A cursor, which is an earlier frame or its `df.attrs["cursor"]`. Only newer traces are considered.
        columns: The names of the columns to return, in order (default: all columns).

    Returns:
        A frame with one row per turn and the columns listed below. `df.attrs["cursor"]` is the next cursor.

    Raises:
        SettingsError: A column is unknown, or an argument has the wrong type.
        RecordingError: Traces that are no longer in memory cannot be read.

    Example:
        >>> turns_df([], columns=["user_text", "status"]).columns.tolist()
        ['user_text', 'status']
    """
    names = list(TURN_COLUMNS) if columns is None else _known(columns, TURN_COLUMNS)
    traces = traces_df(stores, session=session, platform=platform, recording=recording, since=since)
    return _selected(turns, traces, names)


@document_columns(CONVERSATION_COLUMNS)
def conversations_df(
    stores: Sequence[Store],
    *,
    session: str | None = None,
    platform: str | None = None,
    recording: str | None = None,
    since: Mapping[str, int] | pd.DataFrame | None = None,
    columns: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Return one row per conversation of a session.

    Args:
        stores: The traces.
        session: The name of a session (default: all sessions).
        platform: The name of a platform (default: all platforms).
        recording: The id of a recording (default: all recordings).
        since: A cursor, which is an earlier frame or its `df.attrs["cursor"]`. Only newer traces are considered.
        columns: The names of the columns to return, in order (default: all columns).

    Returns:
        A frame with one row per conversation and the columns listed below. `df.attrs["cursor"]` is the next cursor.

    Raises:
        SettingsError: A column is unknown, or an argument has the wrong type.
        RecordingError: Traces that are no longer in memory cannot be read.

    Example:
        >>> conversations_df([], columns=["conversation", "opened"]).columns.tolist()
        ['conversation', 'opened']
    """
    names = list(CONVERSATION_COLUMNS) if columns is None else _known(columns, CONVERSATION_COLUMNS)
    traces = traces_df(stores, session=session, platform=platform, recording=recording, since=since)
    return _selected(conversations, traces, names)


@document_columns(SESSION_COLUMNS)
def sessions_df(
    stores: Sequence[Store],
    *,
    session: str | None = None,
    platform: str | None = None,
    recording: str | None = None,
    since: Mapping[str, int] | pd.DataFrame | None = None,
    columns: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Return one row per session.

    Args:
        stores: The traces.
        session: The name of a session (default: all sessions).
        platform: The name of a platform (default: all platforms).
        recording: The id of a recording (default: all recordings).
        since: A cursor, which is an earlier frame or its `df.attrs["cursor"]`. Only newer traces are considered.
        columns: The names of the columns to return, in order (default: all columns).

    Returns:
        A frame with one row per session and the columns listed below. `df.attrs["cursor"]` is the next cursor.

    Raises:
        SettingsError: A column is unknown, or an argument has the wrong type.
        RecordingError: Traces that are no longer in memory cannot be read.

    Example:
        >>> sessions_df([], columns=["session", "turns"]).columns.tolist()
        ['session', 'turns']
    """
    names = list(SESSION_COLUMNS) if columns is None else _known(columns, SESSION_COLUMNS)
    traces = traces_df(stores, session=session, platform=platform, recording=recording, since=since)
    return _selected(sessions, traces, names)


def _known(names: Sequence[str], columns: Mapping[str, Column]) -> list[str]:
    """Return the names of columns after checking that all of them exist."""
    if isinstance(names, str) or not isinstance(names, Sequence):
        raise SettingsError(f"columns must be a list of names, got {names!r}")
    for name in names:
        if name not in list(columns):
            raise SettingsError(unknown("column", name, columns))
    return list(names)


def _selected(
    compute: Callable[[pd.DataFrame, Sequence[str]], pd.DataFrame], traces: pd.DataFrame, names: list[str]
) -> pd.DataFrame:
    """Return the selected columns of a computed frame, with the cursor of its traces."""
    frame = compute(traces, names)
    frame.attrs["cursor"] = traces.attrs["cursor"]
    return frame

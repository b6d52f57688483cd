"""Frames of recorded traces. The same columns and dtypes for every platform, and for an empty frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from socketnb.errors import SettingsError, unknown
from socketnb.frames.derived import (
    MESSAGE_COLUMNS,
    SESSION_COLUMNS,
    TURN_COLUMNS,
    messages,
    sessions,
    turns,
)
from socketnb.frames.table import frame_of
from socketnb.model.trace import COLUMNS
from socketnb.recording.parts import arrow_schema

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd
    import pyarrow as pa


class Store(Protocol):
    """Rows in the order observed: of a recording in this kernel, or on disk."""

    @property
    def name(self) -> str:
        """What a cursor calls it."""

    def table(self, since: int = 0, columns: Sequence[str] | None = None) -> pa.Table:
        """Return the rows from number `since` on, with all columns of a trace or with these."""


def traces_df(
    stores: Sequence[Store],
    *,
    session: str | None = None,
    platform: str | None = None,
    recording: str | None = None,
    since: Mapping[str, int] | pd.DataFrame | None = None,
    columns: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Return one row per trace: one recording after the other, each in the order observed.

    Args:
        stores: where the traces are.
        session: only the session of this name.
        platform: only sessions of this platform.
        recording: only the recording of this id.
        since: only what is newer than this cursor: an earlier frame, or its `df.attrs["cursor"]`.
        columns: only these columns.

    Returns:
        A frame with the columns and dtypes of schema version 1; `df.attrs["cursor"]` is the cursor for `since=`.

    Raises:
        SettingsError: there is no such column.
        RecordingError: traces that are no longer in memory cannot be read.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    import socketnb.frames.accessor  # noqa: F401 (registers df.chat)

    cursor = _cursor(since)
    wanted = {"session": session, "platform": platform, "recording": recording}
    wanted = {name: value for name, value in wanted.items() if value is not None}
    for name, value in wanted.items():
        if not isinstance(value, str):
            raise SettingsError(f"{name} is a name, not {value!r}")
    shown = list(COLUMNS) if columns is None else _known(columns, COLUMNS)
    read = None if columns is None else list(dict.fromkeys([*shown, *wanted, "seq"]))
    tables = []
    for store in stores:
        table = store.table(cursor.get(store.name, 0), read)
        cursor[store.name] = cursor.get(store.name, 0) + table.num_rows
        for name, value in wanted.items():
            table = table.filter(pc.equal(table[name], value))
        tables.append(table)
    table = pa.concat_tables(tables) if tables else arrow_schema().empty_table()
    frame = frame_of(table.select(shown))
    frame.attrs["cursor"] = cursor
    return frame


def _cursor(since: Mapping[str, int] | pd.DataFrame | None) -> dict[str, int]:
    """Return how many rows of each store are known."""
    found = getattr(since, "attrs", {"cursor": {} if since is None else since}).get("cursor")
    cursor: dict[str, Any] = dict(found) if isinstance(found, Mapping) else {"": None}
    if any(not isinstance(count, int) or isinstance(count, bool) or count < 0 for count in cursor.values()):
        raise SettingsError('since is an earlier frame as it came, or its df.attrs["cursor"]')
    return cursor


def messages_df(stores: Sequence[Store], *, columns: Sequence[str] | None = None, **which: Any) -> pd.DataFrame:
    """Return one row per message that a person sees, the user's own among them; options as `traces_df`."""
    return _pick(messages, traces_df(stores, **which), columns, MESSAGE_COLUMNS)


def turns_df(stores: Sequence[Store], *, columns: Sequence[str] | None = None, **which: Any) -> pd.DataFrame:
    """Return one row per turn: what the user did, what the bot said, how it ended; options as `traces_df`.

    `first_ms`, `last_ms` and `done_ms` are milliseconds from sending to the first message, the last, and the end.
    """
    return _pick(turns, traces_df(stores, **which), columns, TURN_COLUMNS)


def sessions_df(stores: Sequence[Store], *, columns: Sequence[str] | None = None, **which: Any) -> pd.DataFrame:
    """Return one row per session; options as `traces_df`."""
    return _pick(sessions, traces_df(stores, **which), columns, SESSION_COLUMNS)


def _known(columns: Sequence[str], there: dict[str, str]) -> list[str]:
    if isinstance(columns, str) or not isinstance(columns, Sequence):
        raise SettingsError(f"columns is a list of names, not {columns!r}")
    for name in columns:
        if name not in list(there):
            raise SettingsError(unknown("column", name, there))
    return list(columns)


def _pick(
    make: Callable[[pd.DataFrame], pd.DataFrame],
    traces: pd.DataFrame,
    columns: Sequence[str] | None,
    there: dict[str, str],
) -> pd.DataFrame:
    """Return a frame made of traces, with these columns, and with the traces' cursor."""
    wanted = list(there) if columns is None else _known(columns, there)
    frame = make(traces)[wanted]
    frame.attrs["cursor"] = traces.attrs["cursor"]
    return frame

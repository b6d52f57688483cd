"""DataFrames of what was observed. The same columns and dtypes for every platform, and for an empty frame.

`traces_df` is the table itself; messages, turns and sessions are computed from such a frame, so they work on any
part of one. Times are UTC; durations are milliseconds on the monotonic clock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from socketnb import dialects
from socketnb.errors import SettingsError, unknown
from socketnb.recording.parts import arrow_schema
from socketnb.records import COLUMNS, CONTENT_KINDS, Choices, Delta, Did

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import pandas as pd
    import pyarrow as pa

ENDINGS = ("timeout", "cancelled", "error")
"""Kinds of a final trace that name how its turn ended; another final trace says it in its text."""
SESSION = ["recording", "platform", "session"]
TURN = [*SESSION, "turn"]
MESSAGE_COLUMNS = {
    name: COLUMNS[name]
    for name in (
        "recording platform session conversation seq turn at server_at elapsed_ms sender kind text node intent"
    ).split()
}
TURN_COLUMNS = {
    **{name: COLUMNS[name] for name in [*SESSION, "conversation", "turn", "at"]},
    "action": "category",
    "user_text": "string",
    "reply_text": "string",
    "status": "category",
    "first_ms": "float64",
    "last_ms": "float64",
    "done_ms": "float64",
    "messages": "int32",
    "choices": "string",
    "error": "string",
}
SESSION_COLUMNS = {
    **{name: COLUMNS[name] for name in [*SESSION, "conversation"]},
    "start": COLUMNS["at"],
    "end": COLUMNS["at"],
    "reason": "string",
    "turns": "int32",
    "links": "int32",
    "gaps": "int32",
    "errors": "int32",
    "traces": "int64",
}


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

    from socketnb.frames.files import frame_of

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


def messages(traces: pd.DataFrame) -> pd.DataFrame:
    """Return the messages of a frame of traces."""
    traces = _whole(traces)
    shown = traces["kind"].isin([*CONTENT_KINDS, "action"])
    return _typed(traces[shown], MESSAGE_COLUMNS)


def turns(traces: pd.DataFrame) -> pd.DataFrame:
    """Return the turns of a frame of traces."""
    import pandas as pd

    rows = traces[traces["turn"] > 0].sort_values([*SESSION, "seq"], kind="stable")
    pieces = rows[(rows["kind"] == "delta") & rows["text"].ne("")].set_index(TURN)
    rows = _whole(rows).set_index(TURN, drop=False)
    actions = rows[rows["kind"] == "action"]
    actions = actions[~actions.index.duplicated()]
    shown = rows[(rows["direction"] == "in") & rows["kind"].isin(CONTENT_KINDS) & rows["elapsed_ms"].notna()]
    offering = _content(shown[shown["kind"].isin(dialects.OFFERS)])
    offers = offering.map(lambda content: " | ".join(option.label for option in dialects.buttons(content)) or None)
    offers = offers[offers.notna()]
    final = rows[rows["final"]]
    final = final[~final.index.duplicated()]
    did = _content(actions)
    words = shown["text"].astype(object).to_numpy(copy=True)
    there = shown["kind"].isin(dialects.OFFERS).to_numpy()
    pairs = zip(offering, words[there], strict=True)
    words[there] = [c.text or None if isinstance(c, Choices) else said for c, said in pairs]
    when = pd.concat([shown[["elapsed_ms"]], pieces[["elapsed_ms"]]]) if len(pieces) else shown
    times = when.groupby(level=TURN, observed=True)["elapsed_ms"]
    failed = rows[rows["error"].notna()]
    result = rows[~rows.index.duplicated()][[*TURN, "conversation", "at"]].assign(
        action=did.map(lambda d: d.verb if isinstance(d, Did) else None),
        user_text=actions["text"].where(did.map(lambda d: isinstance(d, Did) and bool(d.text)).astype(bool)),
        reply_text=_lines(shown.index, words),
        status=final["kind"].astype(object).where(final["kind"].isin(ENDINGS), final["text"]),
        first_ms=times.min(),
        last_ms=times.max(),
        done_ms=final["elapsed_ms"],
        messages=shown.groupby(level=TURN, observed=True).size(),
        choices=offers[~offers.index.duplicated(keep="last")],
        error=failed[~failed.index.duplicated()]["error"],
    )
    named = {"error": "failed"}
    result["status"] = [named.get(s, s) if isinstance(s, str) else "running" for s in result["status"]]
    result["messages"] = result["messages"].fillna(0)
    return _typed(result.sort_values("at", kind="stable"), TURN_COLUMNS)


def _lines(index: pd.Index, words: Iterable[Any]) -> pd.Series:
    """Return the words of each turn, a line a message. A loop: pandas would make a series for every turn."""
    import pandas as pd

    lines: dict[Any, list[str]] = {}
    for turn, said in zip(index, words, strict=True):
        lines.setdefault(turn, []).extend([said] if isinstance(said, str) and said else [])
    return pd.Series(["\n".join(said) for said in lines.values()], index=index[~index.duplicated()], dtype=object)


def sessions(traces: pd.DataFrame) -> pd.DataFrame:
    """Return the sessions of a frame of traces."""

    def count(rows: pd.Series) -> pd.Series:
        return rows.groupby([traces[name] for name in SESSION], observed=True).sum()

    groups = traces.groupby(SESSION, observed=True)
    ended = traces[traces["kind"] == "ended"].groupby(SESSION, observed=True)
    result = groups[["conversation"]].last()
    result = result.assign(
        start=groups["at"].min(),
        end=groups["at"].max(),
        reason=ended["text"].last(),
        turns=groups["turn"].nunique() - count(traces["turn"] == 0).gt(0),
        links=groups["link"].nunique(),
        gaps=count(traces["kind"] == "gap"),
        errors=count(traces["kind"] == "error"),
        traces=groups.size(),
    )
    return _typed(result.reset_index(), SESSION_COLUMNS)


def _whole(traces: pd.DataFrame) -> pd.DataFrame:
    """Return the traces with one row for each streamed message, in its first piece's place."""
    import pandas as pd

    traces = traces.reset_index(drop=True)
    pieces = traces[traces["kind"] == "delta"]
    if pieces.empty:
        return traces
    found: dict[int, tuple[str, str]] = {}  # row of the first piece → kind, text
    begun: dict[tuple[Any, ...], int] = {}
    keys = zip(pieces.index, pieces["recording"], pieces["session"], _content(pieces), strict=True)
    for place, recording, session, delta in keys:
        if not isinstance(delta, Delta):
            continue
        stream = (recording, session, delta.stream)
        if delta.first or stream not in begun:
            begun[stream] = place
        first = begun[stream]
        kind, text = found.get(first, ("text", ""))
        found[first] = ("audio" if delta.sound else kind, text + delta.text or delta.whole)
        if delta.last:
            del begun[stream]
    found = {place: whole for place, whole in found.items() if whole != ("text", "")}
    rest = traces[traces["kind"] != "delta"].astype({"kind": object, "text": object})
    whole = pieces.loc[list(found)].astype({"kind": object, "text": object})
    for n, name in enumerate(("kind", "text")):
        whole[name] = pd.Series([each[n] for each in found.values()], index=whole.index, dtype=object)
    return pd.concat([rest, whole]).sort_index()


def _content(rows: pd.DataFrame) -> pd.Series:
    """Return what a person sees of each row, read from its payload by its platform's dialect."""
    import pandas as pd

    cells = zip(rows["platform"], rows["event"], rows["payload"], strict=True)
    found = [dialects.get(platform).content(event, dialects.parse(payload)) for platform, event, payload in cells]
    return pd.Series(found, index=rows.index, dtype=object)


def _typed(frame: pd.DataFrame, dtypes: dict[str, str]) -> pd.DataFrame:
    """Return these columns of a frame in these dtypes, numbered from 0; a frame without rows has them too."""
    typed = {name: frame[name].astype(_pandas(dtype)) for name, dtype in dtypes.items()}
    import pandas as pd

    return pd.DataFrame(typed).reset_index(drop=True)


def _pandas(dtype: str) -> Any:
    import pandas as pd

    return pd.StringDtype("pyarrow") if dtype == "string" else dtype


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

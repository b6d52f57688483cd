"""Rows of traces as messages: the pieces of streams merged, the content and the conversation of each row."""

from __future__ import annotations

from typing import TYPE_CHECKING

from socketnb.dialects import registry
from socketnb.dialects.messages import StreamPieces, joined, merged_data, parse, queued_input, spoken
from socketnb.frames.table import SESSION_KEYS, TURN_KEYS
from socketnb.model.content import Delta, Media, Text
from socketnb.model.trace import CONTENT_KINDS

if TYPE_CHECKING:
    import pandas as pd

    from socketnb.model.content import Content
    from socketnb.model.json import Json


def merged(traces: pd.DataFrame) -> pd.DataFrame:
    """Return the traces with one row per streamed message, at the position of its first piece.

    The index is new. There are two more columns: `content` has the content of a streamed message, and `data` its data.
    Both are None in other rows. A stream that has neither text nor sound nor data is no message.
    """
    import pandas as pd

    traces = traces.reset_index(drop=True).assign(content=None, data=None)
    is_piece = traces["kind"] == "delta"
    pieces = traces[is_piece]
    if pieces.empty:
        return traces
    contents = {
        group[0][0]: (content, found)
        for group in _streams(pieces)
        for content, found in [(joined([delta for _, delta, _ in group]), merged_data(value for _, _, value in group))]
        if content or found is not None
    }
    streamed = pieces.loc[list(contents)]
    values = [(content or Text(""), found) for content, found in contents.values()]
    columns = {
        "kind": ["audio" if isinstance(content, Media) else "text" for content, _ in values],
        "text": [spoken(content) for content, _ in values],
        "content": [content for content, _ in values],
        "data": [found for _, found in values],
    }
    objects = {name: pd.Series(column, index=streamed.index, dtype=object) for name, column in columns.items()}
    others = traces[~is_piece].astype({"kind": object, "text": object})
    return pd.concat([others, streamed.assign(**objects)]).sort_index()


def _streams(pieces: pd.DataFrame) -> list[list[tuple[int, Delta, Json]]]:
    """Return the pieces of each streamed message: the row, the content and the data of each piece."""
    streams: StreamPieces[tuple[int, Delta, Json]] = StreamPieces()
    groups = []
    late = pieces["elapsed_ms"].isna()
    keys = zip(pieces["recording"], pieces["session"], pieces["turn"], late, strict=True)
    cells = zip(pieces.index, keys, pieces["platform"], pieces["event"], pieces["payload"], strict=True)
    for row, key, platform, event, payload in cells:
        dialect, value = registry.get(platform), parse(payload)
        delta = dialect.content(event, value)
        if isinstance(delta, Delta):
            groups += streams.add((*key, delta.stream), delta, (row, delta, dialect.data(event, value)))
    return groups + streams.rest()


def contents_of(rows: pd.DataFrame) -> pd.Series:
    """Return the content of each merged row, which the dialect of the platform parses from the payload."""
    import pandas as pd

    cells = zip(rows["content"], rows["kind"], rows["platform"], rows["event"], rows["payload"], strict=True)
    return pd.Series([_content(*cell) for cell in cells], index=rows.index, dtype=object)


def _content(known: Content | None, kind: str, platform: str, event: str, payload: str) -> Content | None:
    if known is not None:
        return known
    return queued_input(parse(payload)) if kind == "queued" else registry.get(platform).content(event, parse(payload))


def shown(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the merged rows that are messages. An action that was queued and then sent is one message."""
    import pandas as pd

    kinds = rows["kind"]
    visible = kinds.isin([*CONTENT_KINDS, "action"])
    if (unknown := rows[kinds == "custom"]).size:  # events that have no content to display
        visible.loc[unknown.index[contents_of(unknown).isna()]] = False
    queued = rows[kinds == "queued"]
    if queued.size:
        actions = pd.concat([rows[kinds == "action"], queued])
        visible.loc[queued.index] = ~actions.duplicated(TURN_KEYS).loc[queued.index]
    return rows[visible]


def is_received(rows: pd.DataFrame) -> pd.Series:
    """Return which rows were sent by the bot, an agent or the platform."""
    return (rows["direction"] == "in") & (rows["sender"] != "user")


def with_conversations(traces: pd.DataFrame) -> pd.DataFrame:
    """Return the traces with the missing conversations that other rows of the same turn name.

    The trace of the action that starts a conversation has no conversation, because its id is not known yet.
    """
    missing = traces["conversation"].isna() & (traces["turn"] > 0)
    if not missing.any() or traces["conversation"].isna().all():
        return traces
    traces = traces.reset_index(drop=True)
    rows = traces.loc[traces["turn"] > 0, [*TURN_KEYS, "seq", "conversation"]].sort_values([*SESSION_KEYS, "seq"])
    names = rows["conversation"].astype("category").cat
    codes = names.codes.where(names.codes >= 0).groupby([rows[key] for key in TURN_KEYS], observed=True, sort=False)
    filled = codes.bfill()
    filled = filled.fillna(codes.ffill()).fillna(-1).astype(int)
    conversations = traces["conversation"].astype(object)
    conversations.loc[filled.index] = [names.categories[code] if code >= 0 else None for code in filled]
    return traces.assign(conversation=conversations.astype(traces["conversation"].dtype))

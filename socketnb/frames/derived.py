"""Frames computed from a frame of traces: messages, turns and sessions. The traces may be any subset of rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from socketnb.dialects import registry
from socketnb.dialects.messages import OFFERS, buttons, parse
from socketnb.frames.columns import MESSAGE_COLUMNS, SESSION_COLUMNS, TURN_COLUMNS
from socketnb.frames.table import SESSION_KEYS, TURN_KEYS, typed
from socketnb.model.content import Choices, Delta, UserInput
from socketnb.model.trace import CONTENT_KINDS

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

    import pandas as pd

ENDING_KINDS = ("timeout", "cancelled", "error")
"""The kinds of final traces that determine the status of the turn. The text of other final traces is the status."""


def messages(traces: pd.DataFrame) -> pd.DataFrame:
    """Return the messages of a frame of traces."""
    traces = _merged(traces)
    visible = traces["kind"].isin([*CONTENT_KINDS, "action"])
    return typed(traces[visible], MESSAGE_COLUMNS)


def turns(traces: pd.DataFrame) -> pd.DataFrame:
    """Return the turns of a frame of traces."""
    import pandas as pd

    rows = traces[traces["turn"] > 0].sort_values([*SESSION_KEYS, "seq"], kind="stable")
    pieces = rows[(rows["kind"] == "delta") & rows["text"].ne("")].set_index(TURN_KEYS)
    rows = _merged(rows).set_index(TURN_KEYS, drop=False)
    actions = _first_of_each(rows[rows["kind"] == "action"])
    user_input = _content(actions)
    replies = rows[(rows["direction"] == "in") & rows["kind"].isin(CONTENT_KINDS) & rows["elapsed_ms"].notna()]
    offers = _content(replies[replies["kind"].isin(OFFERS)])
    labels = offers.map(lambda content: " | ".join(option.label for option in buttons(content)) or None)
    labels = labels[labels.notna()]
    final = _first_of_each(rows[rows["final"]])
    timed = pd.concat([replies[["elapsed_ms"]], pieces[["elapsed_ms"]]]) if len(pieces) else replies
    times = timed.groupby(level=TURN_KEYS, observed=True)["elapsed_ms"]
    result = _first_of_each(rows)[[*TURN_KEYS, "conversation", "observed_at"]].assign(
        action=user_input.map(lambda content: content.verb if isinstance(content, UserInput) else None),
        user_text=actions["text"].where(
            user_input.map(lambda content: isinstance(content, UserInput) and bool(content.text)).astype(bool)
        ),
        reply_text=_joined(replies.index, _texts(replies, offers)),
        status=final["kind"].astype(object).where(final["kind"].isin(ENDING_KINDS), final["text"]),
        first_ms=times.min(),
        last_ms=times.max(),
        done_ms=final["elapsed_ms"],
        messages=replies.groupby(level=TURN_KEYS, observed=True).size(),
        choices=labels[~labels.index.duplicated(keep="last")],
        error=_first_of_each(rows[rows["error"].notna()])["error"],
    )
    names = {"error": "failed"}
    result["status"] = [names.get(s, s) if isinstance(s, str) else "running" for s in result["status"]]
    result["messages"] = result["messages"].fillna(0)
    return typed(result.sort_values("observed_at", kind="stable"), TURN_COLUMNS)


def _first_of_each(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the first row of each turn. The turn is the index."""
    return rows[~rows.index.duplicated()]


def _texts(replies: pd.DataFrame, offers: pd.Series) -> list[str | None]:
    """Return the text of each reply. The text of a reply with buttons does not include their labels."""
    texts = replies["text"].astype(object).to_numpy(copy=True)
    is_offer = replies["kind"].isin(OFFERS).to_numpy()
    pairs = zip(offers, texts[is_offer], strict=True)
    texts[is_offer] = [content.text or None if isinstance(content, Choices) else text for content, text in pairs]
    return list(texts)


def _joined(index: pd.Index, texts: Iterable[str | None]) -> pd.Series:
    """Return the texts of each turn, one line per message. This loop is faster than a series per turn."""
    import pandas as pd

    lines: dict[Hashable, list[str]] = {}
    for turn, text in zip(index, texts, strict=True):
        lines.setdefault(turn, []).extend([text] if isinstance(text, str) and text else [])
    joined = ["\n".join(texts) for texts in lines.values()]
    return pd.Series(joined, index=index[~index.duplicated()], dtype=object)


def sessions(traces: pd.DataFrame) -> pd.DataFrame:
    """Return the sessions of a frame of traces."""

    def count(rows: pd.Series) -> pd.Series:
        return rows.groupby([traces[name] for name in SESSION_KEYS], observed=True).sum()

    groups = traces.groupby(SESSION_KEYS, observed=True)
    ended = traces[traces["kind"].isin(["flow_ended", "ended"])].groupby(SESSION_KEYS, observed=True)
    result = groups[["conversation"]].last()
    result = result.assign(
        start=groups["observed_at"].min(),
        end=groups["observed_at"].max(),
        reason=ended["text"].last(),
        turns=groups["turn"].nunique() - count(traces["turn"] == 0).gt(0),
        links=groups["link"].nunique(),
        gaps=count(traces["kind"] == "gap"),
        errors=count(traces["kind"] == "error"),
        traces=groups.size(),
    )
    return typed(result.reset_index(), SESSION_COLUMNS)


def _merged(traces: pd.DataFrame) -> pd.DataFrame:
    """Return the traces with one row per streamed message, at the position of its first piece."""
    import pandas as pd

    traces = traces.reset_index(drop=True)
    pieces = traces[traces["kind"] == "delta"]
    if pieces.empty:
        return traces
    merged: dict[int, tuple[str, str]] = {}  # row of the first piece → kind and text
    open_streams: dict[tuple[Hashable, ...], int] = {}  # stream → row of its first piece
    for row, recording, session, delta in zip(
        pieces.index, pieces["recording"], pieces["session"], _content(pieces), strict=True
    ):
        if not isinstance(delta, Delta):
            continue
        stream = (recording, session, delta.stream)
        if delta.first or stream not in open_streams:
            open_streams[stream] = row
        first = open_streams[stream]
        kind, text = merged.get(first, ("text", ""))
        merged[first] = ("audio" if delta.sound else kind, text + delta.text or delta.whole)
        if delta.last:
            del open_streams[stream]
    merged = {row: message for row, message in merged.items() if message != ("text", "")}
    others = traces[traces["kind"] != "delta"].astype({"kind": object, "text": object})
    streamed = pieces.loc[list(merged)].astype({"kind": object, "text": object})
    for n, name in enumerate(("kind", "text")):
        streamed[name] = pd.Series([message[n] for message in merged.values()], index=streamed.index, dtype=object)
    return pd.concat([others, streamed]).sort_index()


def _content(rows: pd.DataFrame) -> pd.Series:
    """Return the content of each row, which the dialect of the platform parses from the payload."""
    import pandas as pd

    cells = zip(rows["platform"], rows["event"], rows["payload"], strict=True)
    contents = [registry.get(platform).content(event, parse(payload)) for platform, event, payload in cells]
    return pd.Series(contents, index=rows.index, dtype=object)

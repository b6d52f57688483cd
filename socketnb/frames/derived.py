"""Frames computed from a frame of traces: messages, turns and sessions. The traces may be any subset of rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from socketnb.dialects import registry
from socketnb.dialects.base import no_data
from socketnb.dialects.messages import PLAIN_KINDS, buttons, parse, spoken
from socketnb.frames.columns import MESSAGE_COLUMNS, SESSION_COLUMNS, TURN_COLUMNS
from socketnb.frames.facts import TURN_FACTS, turn_facts
from socketnb.frames.rows import contents_of, is_received, merged, shown, with_conversations
from socketnb.frames.table import SESSION_KEYS, TURN_KEYS, json_text, selected
from socketnb.model.content import UserInput
from socketnb.model.trace import CONTENT_KINDS

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, Iterable

    import pandas as pd

ENDING_KINDS = ("timeout", "cancelled", "error")
"""The kinds of final traces that determine the status of the turn. The text of other final traces is the status."""


def messages(traces: pd.DataFrame, names: Collection[str] = tuple(MESSAGE_COLUMNS)) -> pd.DataFrame:
    """Return the messages of a frame of traces, with these columns."""
    rows = shown(merged(with_conversations(traces)))
    rows = rows.assign(unsolicited=is_received(rows) & rows["elapsed_ms"].isna())
    if "data" in names:
        rows["data"] = _data_of(rows)
    return selected(rows, MESSAGE_COLUMNS, names)


def _data_of(rows: pd.DataFrame) -> pd.Series:
    """Return the data of each merged row as JSON text, or None."""
    found = rows["data"].where(rows["content"].notna(), None)
    for platform in rows["platform"].unique():
        dialect = registry.get(platform)
        read = dialect.data
        if read is not no_data:
            whole = (rows["platform"] == platform) & rows["content"].isna()
            if dialect.data_kinds is not None:
                whole &= rows["kind"].isin(dialect.data_kinds)
            cells = zip(rows.loc[whole, "event"], rows.loc[whole, "payload"], strict=True)
            found[whole] = [read(event, parse(payload)) for event, payload in cells]
    return found.map(json_text, na_action="ignore")


def turns(traces: pd.DataFrame, names: Collection[str] = tuple(TURN_COLUMNS)) -> pd.DataFrame:
    """Return the turns of a frame of traces, with these columns."""
    import pandas as pd

    traces = with_conversations(traces[traces["turn"] > 0].sort_values([*SESSION_KEYS, "seq"], kind="stable"))
    traces = traces.set_index(traces.groupby(TURN_KEYS, observed=True, sort=False).ngroup().to_numpy())
    rows = merged(traces.assign(id=traces.index)).set_index("id")
    actions = _first_of_each(pd.concat([rows[rows["kind"] == "action"], rows[rows["kind"] == "queued"]]))
    inputs = contents_of(actions)
    received, contents = _received(rows)
    is_reply = received["elapsed_ms"].notna()
    replies, reply_contents = received[is_reply], contents[is_reply]
    labels = [" | ".join(option.label for option in buttons(content)) for content in reply_contents]
    final = _first_of_each(rows[rows["final"]])
    pieces = traces[(traces["kind"] == "delta") & traces["text"].ne("")]
    times = pd.concat([replies["elapsed_ms"], pieces["elapsed_ms"]]).groupby(level=0)
    is_warning = rows["kind"] == "warning"
    first = _first_of_each(rows)
    result = first[[*TURN_KEYS, "conversation", "observed_at"]].assign(
        action=inputs.map(lambda content: content.verb if isinstance(content, UserInput) else None),
        user_text=actions["text"].where(
            inputs.map(lambda content: isinstance(content, UserInput) and bool(content.text)).astype(bool)
        ),
        reply_text=_joined(replies.index, _words(replies, reply_contents), "\n"),
        sender=replies.loc[replies["sender"].isin(["bot", "agent"]), "sender"].groupby(level=0).last(),
        status=final["kind"].astype(object).where(final["kind"].isin(ENDING_KINDS), final["text"]),
        first_ms=times.min(),
        last_ms=times.max(),
        done_ms=final["elapsed_ms"],
        messages=replies.groupby(level=0).size(),
        late_messages=received[~is_reply].groupby(level=0).size(),
        choices=_joined(replies.index, labels, " | ").replace("", None),
        error=_first_of_each(rows[rows["error"].notna()])["error"],
        warnings=_joined(rows.index[is_warning], rows.loc[is_warning, "text"], " | "),
    )
    if not set(TURN_FACTS).isdisjoint(names):
        result = result.join(turn_facts(traces))
    result["status"] = [{"error": "failed"}.get(s, s) if isinstance(s, str) else "running" for s in result["status"]]
    for name in ("messages", "late_messages"):
        result[name] = result[name].fillna(0)
    return selected(result.sort_values("observed_at", kind="stable"), TURN_COLUMNS, names)


def _first_of_each(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the first row of each turn. The turn is the index."""
    return rows[~rows.index.duplicated()]


def _received(rows: pd.DataFrame) -> tuple[pd.DataFrame, pd.Series]:
    """Return the received messages, and the content of each one whose text is not exactly what it says."""
    import pandas as pd

    received = rows[rows["kind"].isin(CONTENT_KINDS) & is_received(rows)]
    rich = ~received["kind"].isin(PLAIN_KINDS).to_numpy()
    contents = pd.Series([None] * len(received), index=received.index, dtype=object)
    contents[rich] = contents_of(received[rich]).to_numpy()
    is_message = ~rich | contents.notna().to_numpy()
    return received[is_message], contents[is_message]


def _words(replies: pd.DataFrame, contents: pd.Series) -> Iterable[str | None]:
    """Return what each reply says."""
    for text, content in zip(replies["text"], contents, strict=True):
        yield text if content is None else spoken(content)


def _joined(index: pd.Index, texts: Iterable[str | None], separator: str) -> pd.Series:
    """Return the texts of each turn in one text, which may be empty. This loop is faster than a series per turn."""
    import pandas as pd

    parts: dict[Hashable, list[str]] = {}
    for turn, text in zip(index, texts, strict=True):
        parts.setdefault(turn, []).extend([text] if isinstance(text, str) and text else [])
    return pd.Series(map(separator.join, parts.values()), index=list(parts), dtype=object)


def sessions(traces: pd.DataFrame, names: Collection[str] = tuple(SESSION_COLUMNS)) -> pd.DataFrame:
    """Return the sessions of a frame of traces, with these columns."""

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
    return selected(result.reset_index(), SESSION_COLUMNS, names)

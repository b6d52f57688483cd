"""The frame of conversations: one row per conversation of a session, computed from a frame of traces."""

from __future__ import annotations

from typing import TYPE_CHECKING

from socketnb.frames.columns import CONVERSATION_COLUMNS
from socketnb.frames.facts import conversation_facts
from socketnb.frames.rows import is_received, merged, shown, with_conversations
from socketnb.frames.table import SESSION_KEYS, selected

if TYPE_CHECKING:
    from collections.abc import Collection

    import pandas as pd

KEYS = [*SESSION_KEYS, "conversation"]
"""The columns that identify a conversation in a frame."""


def conversations(traces: pd.DataFrame, names: Collection[str] = tuple(CONVERSATION_COLUMNS)) -> pd.DataFrame:
    """Return the conversations of a frame of traces, with these columns. Traces of no conversation are ignored."""
    rows = with_conversations(traces)
    rows = rows[rows["conversation"].notna()].sort_values([*SESSION_KEYS, "seq"], kind="stable")
    rows = rows.set_index(rows.groupby(KEYS, observed=True, sort=False).ngroup().to_numpy())
    messages = shown(merged(rows.assign(id=rows.index))).set_index("id")
    received = messages[is_received(messages)]
    began = messages.loc[messages["sender"] == "user", "observed_at"].groupby(level=0).first()
    ended = rows.loc[rows["kind"].isin(["flow_ended", "ended"]), "observed_at"].groupby(level=0).first()
    facts = conversation_facts(rows).reindex(rows.index.unique())
    result = rows.loc[~rows.index.duplicated(), KEYS].assign(
        opened=rows["observed_at"].groupby(level=0).first(),
        handler=facts["handler"].fillna("bot"),
        agent=facts["agent"],
        first_bot_ms=_first_ms(received[received["sender"] == "bot"], began),
        first_human_ms=_first_ms(received[received["sender"] == "agent"], began),
        suggested=facts["suggested"].eq(True),  # noqa: FBT003 (missing values are not True)
        closed_at=facts["closed_at"].astype(ended.dtype).fillna(ended),
        closed_by=facts["closed_by"],
        rating=facts["rating"],
        turns=rows.loc[rows["turn"] > 0, "turn"].groupby(level=0).nunique(),
        messages=received.groupby(level=0).size(),
    )
    for name in ("turns", "messages"):
        result[name] = result[name].fillna(0)
    return selected(result.sort_values("opened", kind="stable"), CONVERSATION_COLUMNS, names)


def _first_ms(messages: pd.DataFrame, began: pd.Series) -> pd.Series:
    """Return the milliseconds from the first action of the user to the first of the messages after it."""
    waited = messages["observed_at"] - began.reindex(messages.index)
    ms: pd.Series = waited.dt.total_seconds() * 1000
    return ms[ms >= 0].groupby(level=0).first()

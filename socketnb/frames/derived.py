"""Frames computed from a frame of traces: messages, turns and sessions. They work on any part of one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from socketnb.dialects import registry
from socketnb.dialects.messages import OFFERS, buttons, parse
from socketnb.model.content import Choices, Delta, UserInput
from socketnb.model.trace import COLUMNS, CONTENT_KINDS

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

ENDINGS = ("timeout", "cancelled", "error")
"""Kinds of a final trace that name how its turn ended; another final trace says it in its text."""
SESSION = ["recording", "platform", "session"]
TURN = [*SESSION, "turn"]
MESSAGE_COLUMNS = {
    name: COLUMNS[name]
    for name in (
        "recording platform session conversation seq turn observed_at server_at elapsed_ms sender kind text node intent"
    ).split()
}
TURN_COLUMNS = {
    **{name: COLUMNS[name] for name in [*SESSION, "conversation", "turn", "observed_at"]},
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
    "start": COLUMNS["observed_at"],
    "end": COLUMNS["observed_at"],
    "reason": "string",
    "turns": "int32",
    "links": "int32",
    "gaps": "int32",
    "errors": "int32",
    "traces": "int64",
}


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
    offering = _content(shown[shown["kind"].isin(OFFERS)])
    offers = offering.map(lambda content: " | ".join(option.label for option in buttons(content)) or None)
    offers = offers[offers.notna()]
    final = rows[rows["final"]]
    final = final[~final.index.duplicated()]
    user_input = _content(actions)
    words = shown["text"].astype(object).to_numpy(copy=True)
    there = shown["kind"].isin(OFFERS).to_numpy()
    pairs = zip(offering, words[there], strict=True)
    words[there] = [c.text or None if isinstance(c, Choices) else said for c, said in pairs]
    when = pd.concat([shown[["elapsed_ms"]], pieces[["elapsed_ms"]]]) if len(pieces) else shown
    times = when.groupby(level=TURN, observed=True)["elapsed_ms"]
    failed = rows[rows["error"].notna()]
    result = rows[~rows.index.duplicated()][[*TURN, "conversation", "observed_at"]].assign(
        action=user_input.map(lambda d: d.verb if isinstance(d, UserInput) else None),
        user_text=actions["text"].where(
            user_input.map(lambda d: isinstance(d, UserInput) and bool(d.text)).astype(bool)
        ),
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
    return _typed(result.sort_values("observed_at", kind="stable"), TURN_COLUMNS)


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
        start=groups["observed_at"].min(),
        end=groups["observed_at"].max(),
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
    found = [registry.get(platform).content(event, parse(payload)) for platform, event, payload in cells]
    return pd.Series(found, index=rows.index, dtype=object)


def _typed(frame: pd.DataFrame, dtypes: dict[str, str]) -> pd.DataFrame:
    """Return these columns of a frame in these dtypes, numbered from 0; a frame without rows has them too."""
    typed = {name: frame[name].astype(_pandas(dtype)) for name, dtype in dtypes.items()}
    import pandas as pd

    return pd.DataFrame(typed).reset_index(drop=True)


def _pandas(dtype: str) -> Any:
    import pandas as pd

    return pd.StringDtype("pyarrow") if dtype == "string" else dtype

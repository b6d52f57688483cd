"""The accessor `df.chat`: what a frame of traces says of its conversations. Stateless: any part of a frame will do."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING, Any, Literal

import orjson
import pandas as pd

from socketnb import render
from socketnb.errors import SettingsError
from socketnb.frames import exports
from socketnb.frames.derived import TURN_COLUMNS, turns
from socketnb.model.trace import COLUMNS, NO_TIME, Trace

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99}
STEP = re.compile(r"[^.\[\]]+")
SESSION = ["recording", "platform", "session"]
DEFAULTS: dict[str, Any] = {"elapsed_ms": NO_TIME, "final": False, "link": 0, "turn": 0, "bytes": 0, "observed_at": 0}


@pd.api.extensions.register_dataframe_accessor("chat")
class Chat:
    """What a frame of traces says about its conversations."""

    def __init__(self, frame: pd.DataFrame) -> None:
        self._frame = frame

    def payload(self, path: str) -> pd.Series:
        """Return what stands at a path of each payload, such as `trace.payload.buttons[0].name`.

        Returns:
            A series of objects beside the frame's index; missing is NA.

        Raises:
            SettingsError: there is no column `payload`, or the path is empty.
        """
        self._need("payload")
        steps = STEP.findall(path) if isinstance(path, str) else []
        if not steps:
            raise SettingsError("payload needs a path, such as 'trace.payload.message'")
        texts = self._frame["payload"]
        found = {text: _follow(text, steps) for text in texts.dropna().unique()}
        return pd.Series([found.get(text, pd.NA) for text in texts], index=texts.index, dtype=object, name=path)

    def transcript(self, form: Literal["text", "markdown", "html"] = "text") -> str:
        """Return the conversation as a person reads it; several sessions one after the other, each with its name.

        Raises:
            SettingsError: a column is missing, or there is no such form.
        """
        if form not in ("text", "markdown", "html"):
            raise SettingsError(f"form is text, markdown or html, not {form!r}")
        self._need("platform", "session", "seq", "event", "kind", "sender", "text", "payload")
        groups = [part for _, part in self._frame.groupby(self._by(SESSION), observed=True, sort=False)]
        parts = []
        for group in groups:
            traces = _traces(group.sort_values("seq"))
            name = str(group["session"].iloc[0])
            head = {"text": f"{name}\n", "markdown": f"**{name}**\n\n", "html": f"<h4>{html.escape(name)}</h4>"}[form]
            if form == "html":
                said = render.transcript_html(traces)
            elif form == "text":
                said = render.transcript_text(traces)
            else:
                said = render.transcript_markdown(traces)
            parts.append(head + said if len(groups) > 1 else said)
        return ("" if form == "html" else "\n\n").join(parts)

    def turns(self) -> pd.DataFrame:
        """Return one row per turn, with the columns of `turns_df`.

        Raises:
            SettingsError: a column is missing.
        """
        self._need(*SESSION, "conversation", "turn", "seq", "observed_at", "elapsed_ms", "direction", "event", "kind")
        self._need("sender", "text", "final", "error", "payload")
        return turns(self._frame)[list(TURN_COLUMNS)]

    def latency(self, by: str | Sequence[str] = ()) -> pd.DataFrame:
        """Return p50, p90 and p99 of `first_ms` and `done_ms`, in milliseconds, and how many turns there are.

        Args:
            by: columns of the turns, or of the frame, to group by.

        Raises:
            SettingsError: a column is missing.
        """
        if not isinstance(by, str | list | tuple):
            raise SettingsError(f"by is a column or a list of columns, not {by!r}")
        turns, by = self.turns(), [by] if isinstance(by, str) else list(by)
        keys = [*SESSION, "turn"]
        for name in by:
            if name not in turns:
                self._need(name)
                told = self._frame.dropna(subset=[name]).groupby(keys, observed=True)[name].last()
                turns = turns.join(told, on=keys)
        groups = turns.groupby(by, observed=True, dropna=False) if by else turns.assign(all="").groupby("all")
        table = {
            (measure, name): groups[measure].quantile(share)
            for measure in ("first_ms", "done_ms")
            for name, share in QUANTILES.items()
        }
        result = pd.DataFrame(table)
        result["turns", ""] = groups.size()
        return result if by else result.reset_index(drop=True)

    def transitions(self) -> pd.DataFrame:
        """Return how often one node followed another in a session: `from`, `to`, `count`, and `share` of all from it.

        Raises:
            SettingsError: a column is missing.
        """
        self._need("session", "seq", "node")
        rows = self._frame.dropna(subset=["node"]).sort_values("seq", kind="stable")
        keys = self._by(SESSION)
        nodes = rows["node"].astype(object)
        after = nodes.groupby([rows[key] for key in keys], observed=True).shift(-1)
        pairs = pd.DataFrame({"from": nodes, "to": after}).dropna()
        counted = pairs.groupby(["from", "to"]).size().rename("count").reset_index()
        counted["share"] = counted["count"] / counted.groupby("from")["count"].transform("sum")
        return counted.sort_values(["count", "from", "to"], ascending=[False, True, True], ignore_index=True)

    def to_parquet(self, path: str | Path) -> None:
        """Write the traces as one Parquet file, as a recording's parts are: `open_recording(path)` reads it.

        Raises:
            SettingsError: the frame has not just the columns of a trace.
            RecordingError: it cannot be written.
        """
        exports.to_parquet(self._frame, path)

    def to_jsonl(self, path: str | Path) -> None:
        """Write the traces as JSON lines, one a trace: `from_jsonl(path)` reads it; errors as `to_parquet`."""
        exports.to_jsonl(self._frame, path)

    def to_duckdb(self, path: str | Path, table: str = "traces") -> None:
        """Write the traces as a new table of a DuckDB file; errors as `to_parquet`, or it has this table."""
        exports.to_duckdb(self._frame, path, table)

    def _need(self, *columns: str) -> None:
        if missing := [name for name in columns if name not in self._frame]:
            raise SettingsError(f"df.chat misses the columns {', '.join(missing)}: take them from traces_df()")

    def _by(self, columns: list[str]) -> list[str]:
        return [name for name in columns if name in self._frame]


def _follow(text: str, steps: list[str]) -> Any:
    """Return what stands at a path of a JSON text, or NA."""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return pd.NA
    for step in steps:
        if isinstance(value, dict) and step in value:
            value = value[step]
        elif isinstance(value, list) and step.isdecimal() and int(step) < len(value):
            value = value[int(step)]
        else:
            return pd.NA
    return pd.NA if value is None else value


def _traces(rows: pd.DataFrame) -> list[Trace]:
    """Return rows as traces; a column that is missing has its default."""
    there = {name: rows[name] for name in COLUMNS if name in rows and name not in ("observed_at", "server_at")}
    columns = {name: series.astype(object).where(series.notna(), None) for name, series in there.items()}
    filled = [columns.get(name, [DEFAULTS.get(name)] * len(rows)) for name in COLUMNS]
    return [Trace(*values) for values in zip(*filled, strict=True)]

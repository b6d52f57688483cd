"""The accessor `df.chat` of a frame of traces. It is stateless and works on any subset of rows."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import orjson
import pandas as pd

from socketnb.errors import SettingsError
from socketnb.frames import exports
from socketnb.frames.columns import CONVERSATION_COLUMNS, TURN_COLUMNS, document_columns
from socketnb.frames.conversations import conversations
from socketnb.frames.derived import turns
from socketnb.frames.rows import with_conversations
from socketnb.frames.table import SESSION_KEYS, TURN_KEYS, require
from socketnb.settings import to_path

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99}
"""The latency quantiles, by name."""
PATH_STEP = re.compile(r"[^.\[\]]+")
"""An element of a path into a payload: a key or an index."""


@pd.api.extensions.register_dataframe_accessor("chat")
class Chat:
    """The accessor `df.chat`: conversations, turns and latencies of a frame of traces."""

    def __init__(self, frame: pd.DataFrame) -> None:
        self._frame = frame

    def payload(self, path: str) -> pd.Series:
        """Return the value at a path in each payload.

        Args:
            path: Keys and indices, such as `trace.payload.buttons[0].name`.

        Returns:
            A series of objects with the index of the frame. A missing value is NA.

        Raises:
            SettingsError: The frame has no column `payload`, or the path is empty.

        Example:
            >>> import socketnb as snb
            >>> with snb.connect("voiceflow", simulate=True, record=False) as bot:
            ...     _ = bot.say("hello")
            ...     kinds = bot.traces_df().chat.payload("trace.type").dropna()
            >>> "text" in set(kinds)
            True
        """
        require(self._frame, "payload")
        steps = PATH_STEP.findall(path) if isinstance(path, str) else []
        if not steps:
            raise SettingsError(f"path must be a path such as 'trace.payload.message', got {path!r}")
        texts = self._frame["payload"]
        values = {text: _value_at(text, steps) for text in texts.dropna().unique()}
        return pd.Series([values.get(text, pd.NA) for text in texts], index=texts.index, dtype=object, name=path)

    def transcript(self, format: str = "text", conversation: str | None = None) -> str:  # noqa: A002 (as in pandas)
        """Return the conversations as text, one session after another.

        Args:
            format: The text format: `text`, `markdown`, `html`, `jsonl` or `csv`.
            conversation: The id of a conversation, on platforms with several per session (default: all of them).

        Raises:
            SettingsError: A column is missing, or the format is unknown.

        Example:
            >>> import socketnb as snb
            >>> with snb.connect("voiceflow", simulate=True, record=False) as bot:
            ...     _ = bot.say("hello")
            ...     transcript = bot.traces_df().chat.transcript()
            >>> "user:  hello" in transcript
            True
        """
        if conversation is None:
            return exports.text(self._frame, format)
        require(self._frame, *SESSION_KEYS, "conversation", "turn", "seq")
        rows = with_conversations(self._frame.reset_index(drop=True))
        return exports.text(self._frame[rows["conversation"].eq(conversation).to_numpy()], format)

    @document_columns(TURN_COLUMNS)
    def turns(self) -> pd.DataFrame:
        """Return the turns of the traces.

        Raises:
            SettingsError: A column is missing.
        """
        require(self._frame, *SESSION_KEYS, "conversation", "turn", "seq", "observed_at", "elapsed_ms", "direction")
        require(self._frame, "event", "kind", "sender", "text", "final", "error", "payload")
        return turns(self._frame)

    @document_columns(CONVERSATION_COLUMNS)
    def conversations(self) -> pd.DataFrame:
        """Return the conversations of the traces.

        Raises:
            SettingsError: A column is missing.
        """
        require(self._frame, *SESSION_KEYS, "conversation", "turn", "seq", "observed_at", "elapsed_ms", "direction")
        require(self._frame, "event", "kind", "sender", "payload")
        return conversations(self._frame)

    def latency(self, by: str | Sequence[str] = ()) -> pd.DataFrame:
        """Return quantiles of the latencies of turns.

        Args:
            by: Columns of the turns or of the frame to group by. By default all turns are one group.

        Returns:
            One row per group. The columns are p50, p90 and p99 (float64, milliseconds) of `first_ms` and of `done_ms`,
            and `turns` (int64), the number of turns.

        Raises:
            SettingsError: A column is missing.

        Example:
            >>> import socketnb as snb
            >>> with snb.connect("voiceflow", simulate=True, record=False) as bot:
            ...     _ = bot.say("hello")
            ...     table = bot.traces_df().chat.latency(by="action")
            >>> table.columns.get_level_values(0).unique().tolist()
            ['first_ms', 'done_ms', 'turns']
        """
        if not isinstance(by, str | list | tuple):
            raise SettingsError(f"by must be a column or a list of columns, got {by!r}")
        turns, by = self.turns(), [by] if isinstance(by, str) else list(by)
        for name in by:
            if name not in turns:
                require(self._frame, name)
                values = self._frame.dropna(subset=[name]).groupby(TURN_KEYS, observed=True)[name].last()
                turns = turns.join(values, on=TURN_KEYS)
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
        """Return how often each node of the flow followed another node in a session.

        Returns:
            One row per pair of nodes, the most frequent first: `from` and `to` (object), `count` (int64), and `share`
            (float64), the fraction of all transitions from this node.

        Raises:
            SettingsError: A column is missing.
        """
        require(self._frame, "session", "seq", "node")
        rows = self._frame.dropna(subset=["node"]).sort_values("seq", kind="stable")
        keys = [name for name in SESSION_KEYS if name in rows]
        nodes = rows["node"].astype(object)
        after = nodes.groupby([rows[key] for key in keys], observed=True).shift(-1)
        pairs = pd.DataFrame({"from": nodes, "to": after}).dropna()
        counted = pairs.groupby(["from", "to"]).size().rename("count").reset_index()
        counted["share"] = counted["count"] / counted.groupby("from")["count"].transform("sum")
        return counted.sort_values(["count", "from", "to"], ascending=[False, True, True], ignore_index=True)

    def export(self, path: str | Path, format: str | None = None) -> None:  # noqa: A002 (as in pandas)
        """Write the traces to a file in any export format.

        Args:
            path: The file. An existing file is replaced. To a DuckDB file, the table `traces` is added.
            format: `text`, `markdown`, `html`, `jsonl`, `csv`, `parquet` or `duckdb` (default: by the suffix of the
                file).

        Raises:
            SettingsError: There is no such format, or a column is missing.
            RecordingError: The file cannot be written.

        Example:
            >>> import pathlib, tempfile
            >>> import socketnb as snb
            >>> path = pathlib.Path(tempfile.mkdtemp(), "conversation.md")
            >>> with snb.connect("voiceflow", simulate=True, record=False) as bot:
            ...     _ = bot.say("hello")
            ...     bot.traces_df().chat.export(path)
            >>> "**user:** hello" in path.read_text()
            True
        """
        exports.write(self._frame, path, format)

    def to_parquet(self, path: str | Path) -> None:
        """Write the traces as one Parquet file, which `open_recording` reads.

        Args:
            path: The file. An existing one is replaced.

        Raises:
            SettingsError: The columns are not those of a trace.
            RecordingError: The file cannot be written.
        """
        exports.write(self._frame, path, "parquet")

    def to_jsonl(self, path: str | Path) -> None:
        """Write the traces as JSON lines, one per trace, which `from_jsonl` reads.

        Args:
            path: The file. An existing one is replaced.

        Raises:
            SettingsError: The columns are not those of a trace.
            RecordingError: The file cannot be written.
        """
        exports.write(self._frame, path, "jsonl")

    def to_duckdb(self, path: str | Path, table: str = "traces") -> None:
        """Write the traces as a new table of a DuckDB file.

        Args:
            path: The file. It is created if it does not exist.
            table: The name of the new table.

        Raises:
            SettingsError: The columns are not those of a trace, or DuckDB is not installed.
            RecordingError: The file already has this table, or cannot be written.
        """
        exports.write_duckdb(self._frame, to_path(path, "path must be a path"), table)


def _value_at(text: str, steps: list[str]) -> object:
    """Return the value at a path in a JSON text, or NA."""
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

"""The columns of every frame, and a decorator that appends a table of columns to a docstring.

Later versions may add columns to a frame, but the name and meaning of a column never change.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Final, TypeVar

from socketnb.model.trace import SCHEMA, Column

Function = TypeVar("Function", bound=Callable[..., object])


def _of_traces(names: Iterable[str]) -> dict[str, Column]:
    return {name: SCHEMA[name] for name in names}


TIME: Final = SCHEMA["observed_at"].dtype
TRACE_COLUMNS: Final[dict[str, Column]] = SCHEMA
"""The columns of `traces_df`."""
MESSAGE_COLUMNS: Final[dict[str, Column]] = {
    **_of_traces(
        "recording platform session conversation seq turn observed_at server_at elapsed_ms "
        "sender kind text node intent".split()
    ),
    "data": Column("string", "The data that the message carries besides its content, as JSON.", nullable=True),
    "unsolicited": Column(
        "bool", "Whether the message arrived while its turn was not running: in no turn, or after the end of its turn."
    ),
}
"""The columns of `messages_df`."""
TURN_COLUMNS: Final[dict[str, Column]] = {
    **_of_traces("recording platform session conversation turn observed_at".split()),
    "action": Column("category", "The action of the user: text, press, launch …", nullable=True),
    "user_text": Column("string", "The text of the user.", nullable=True),
    "reply_text": Column("string", "The text of the bot's reply, one line per message.", nullable=True),
    "status": Column("category", "running, completed, rejected, failed, timeout or cancelled."),
    "first_ms": Column("float64", "Milliseconds from sending the action to the first message.", nullable=True),
    "last_ms": Column("float64", "Milliseconds from sending the action to the last message.", nullable=True),
    "done_ms": Column("float64", "Milliseconds from sending the action to the end of the turn.", nullable=True),
    "messages": Column("int32", "The number of messages received."),
    "choices": Column("string", "The labels of the buttons offered, separated by ' | '.", nullable=True),
    "error": Column("string", "The first error of the turn.", nullable=True),
    "sender": Column("category", "Who answered: bot, or agent if an agent sent the last message.", nullable=True),
    "late_messages": Column("int32", "The number of messages received after the end of the turn."),
    "warnings": Column("string", "The warnings about the turn, separated by ' | '.", nullable=True),
    "intent": Column("string", "The last intent that the platform reported.", nullable=True),
    "confidence": Column("float64", "The confidence of this intent, from 0 to 1.", nullable=True),
    "variables": Column("string", "The variables that changed, with their new values, as JSON.", nullable=True),
    "knowledge": Column("string", "The sources of knowledge that were used, separated by ' | '.", nullable=True),
    "tokens": Column("float64", "The number of tokens that language models used.", nullable=True),
    "path": Column("string", "The nodes of the flow in the order visited, separated by ' > '.", nullable=True),
}
"""The columns of `turns_df`."""
CONVERSATION_COLUMNS: Final[dict[str, Column]] = {
    **_of_traces("recording platform session".split()),
    "conversation": Column("category", "The platform's id of the conversation."),
    "opened": Column(TIME, "When the first event was observed."),
    "handler": Column("category", "Who handles the conversation: bot or agent."),
    "agent": Column("string", "The name of the last agent.", nullable=True),
    "first_bot_ms": Column("float64", "Milliseconds from the user's first action to the bot's reply.", nullable=True),
    "first_human_ms": Column(
        "float64", "Milliseconds from the user's first action to the first message of an agent.", nullable=True
    ),
    "suggested": Column("bool", "Whether closing the conversation is suggested."),
    "closed_at": Column(TIME, "When the conversation was closed. Missing if it is open.", nullable=True),
    "closed_by": Column("category", "Who closed it: customer, agent, bot or system.", nullable=True),
    "rating": Column("float64", "The rating that the user gave.", nullable=True),
    "turns": Column("int32", "The number of turns."),
    "messages": Column("int32", "The number of messages received."),
}
"""The columns of `conversations_df`."""
SESSION_COLUMNS: Final[dict[str, Column]] = {
    **_of_traces("recording platform session".split()),
    "conversation": Column("category", "The platform's id of the last conversation.", nullable=True),
    "start": Column(TIME, "When the first event was observed."),
    "end": Column(TIME, "When the last event was observed."),
    "reason": Column("string", "Why the conversation ended. Missing if it has not ended.", nullable=True),
    "turns": Column("int32", "The number of turns."),
    "links": Column("int32", "The number of connections."),
    "gaps": Column("int32", "The number of interruptions during which events may have been missed."),
    "errors": Column("int32", "The number of errors."),
    "traces": Column("int64", "The number of traces."),
}
"""The columns of `sessions_df`."""
RECORDING_COLUMNS: Final[dict[str, Column]] = {
    "recording": Column("string", "The name of the recording."),
    "when": Column(TIME, "When the first event was observed.", nullable=True),
    "platforms": Column("string", "The platforms, separated by commas."),
    "sessions": Column("int32", "The number of sessions."),
    "rows": Column("int64", "The number of traces."),
    "bytes": Column("int64", "The size of the files in bytes."),
    "state": Column("string", "recording, closed, cut short, or the problem with the recording."),
}
"""The columns of `recordings` and `prune`."""


def document_columns(columns: Mapping[str, Column]) -> Callable[[Function], Function]:
    """Return a decorator that appends a table of columns to a docstring: name, dtype and description of each.

    Args:
        columns: The columns by name.

    Example:
        >>> @document_columns({"seq": Column("int64", "The number of the event.")})
        ... def frame():
        ...     "Return a frame."
        >>> print(frame.__doc__)
        Return a frame.
        <BLANKLINE>
        Columns:
            seq  int64  The number of the event.
    """

    def decorate(function: Function) -> Function:
        if function.__doc__:  # docstrings are stripped under -OO
            function.__doc__ = f"{inspect.cleandoc(function.__doc__)}\n\n{column_table(columns)}"
        return function

    return decorate


def column_table(columns: Mapping[str, Column]) -> str:
    """Return the section `Columns` of a docstring."""
    names, dtypes = max(map(len, columns)), max(len(column.dtype) for column in columns.values())
    rows = (
        f"    {name:<{names}}  {column.dtype:<{dtypes}}  {column.description}{' May be missing.' * column.nullable}"
        for name, column in columns.items()
    )
    return "\n".join(["Columns:", *rows])

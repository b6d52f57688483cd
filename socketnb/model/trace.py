"""The trace, which is one recorded event, and the definition of its columns.

Each field of `Trace` defines one column: its Python type, dtype, description and version. `SCHEMA` is derived from
these fields. The Arrow schema, the lines of the journal, the frames, the documentation and the migration of older
recordings are derived from `SCHEMA`.

To add a column, add a line to `Trace` before `payload`, with the next version as `since`, and a field of the same name
to `effects.Record` if a dialect fills it. Older recordings are read with its default.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Final, Literal, NamedTuple, get_args, get_type_hints

NO_TIME: Final = math.nan
"""The value of `elapsed_ms` outside a turn, and of other missing numbers."""
CONTENT_KINDS: Final = frozenset(
    "text speak choices card carousel list image audio video file visual adaptive date_picker custom".split()
)
"""The kinds of traces that are displayed as messages."""

Direction = Literal["in", "out", "local"]
Sender = Literal["user", "bot", "agent", "system"]
Status = Literal["running", "completed", "rejected", "timeout", "cancelled", "failed"]
Dtype = Literal["category", "string", "int64", "int32", "float64", "bool", "datetime64[ns, UTC]"]
Masking = Literal["none", "name", "text"]
Scalar = str | int | float | bool | None

EMPTY: Final[dict[Dtype, Scalar]] = {
    "category": "",
    "string": "",
    "int64": 0,
    "int32": 0,
    "float64": 0.0,
    "bool": False,
    "datetime64[ns, UTC]": 0,
}
"""The default value of a column that is not nullable, by dtype."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the trace table, or of a frame computed from it.

    Attributes:
        dtype: The pandas dtype of the column in every frame.
        description: The description of the column, for the documentation.
        nullable: Whether a value may be missing.
        mask: How credentials are masked: `name` for a column with few different short texts, `text` for longer texts.
        since: The version of the schema that introduced or renamed the column.
        default: The value in recordings written before that version (default: missing if the column is nullable,
            otherwise 0, False or "").
        formerly: The name of the column before that version, if it was renamed.
    """

    dtype: Dtype
    description: str
    nullable: bool = False
    mask: Masking = "none"
    since: int = 1
    default: Scalar = None
    formerly: str | None = None

    @property
    def blank(self) -> Scalar:
        """The value where no other value is known: the default, or a missing or empty value."""
        if self.default is not None:
            return self.default
        if self.nullable:
            return NO_TIME if self.dtype == "float64" else None
        return EMPTY[self.dtype]


class Trace(NamedTuple):
    """One recorded event: one row of the trace table.

    Times are in nanoseconds since 1970 in UTC. A missing `elapsed_ms` is NaN. Credentials are masked.
    """

    recording: Annotated[str, Column("category", "The id of the recording, one per kernel run.")]
    platform: Annotated[str, Column("category", "The platform: cognigy, eusate or voiceflow.")]
    session: Annotated[str, Column("category", "The name of the session in the kernel.")]
    conversation: Annotated[
        str | None, Column("category", "The platform's id of the conversation.", nullable=True, mask="name")
    ]
    seq: Annotated[int, Column("int64", "The number of the event in its session: 0, 1, 2 … without gaps.")]
    link: Annotated[int, Column("int32", "The number of the connection: 1, 2 … It increases with each reconnect.")]
    turn: Annotated[int, Column("int32", "The number of the turn; 0 outside any turn.")]
    observed_at: Annotated[
        int, Column("datetime64[ns, UTC]", "When socketnb observed the event.", since=2, formerly="at")
    ]
    server_at: Annotated[
        int | None, Column("datetime64[ns, UTC]", "When the event happened, according to the server.", nullable=True)
    ]
    elapsed_ms: Annotated[
        float,
        Column("float64", "Milliseconds since the action of the turn was sent. Empty outside a turn.", nullable=True),
    ]
    direction: Annotated[Direction, Column("category", "in, out, or local for an event that socketnb itself recorded.")]
    event: Annotated[str, Column("category", "The name of the event on the wire.", mask="name")]
    kind: Annotated[
        str, Column("category", "The type of the event, the same on every platform: text, choices, action, error …")
    ]
    sender: Annotated[Sender, Column("category", "user, bot, agent or system.")]
    text: Annotated[str | None, Column("string", "The text of the event, if any.", nullable=True, mask="text")]
    node: Annotated[
        str | None, Column("category", "The node of the flow, if the platform reports it.", nullable=True, mask="name")
    ]
    intent: Annotated[
        str | None, Column("category", "The intent, if the platform reports it.", nullable=True, mask="name")
    ]
    final: Annotated[bool, Column("bool", "Whether the event ends its turn.")]
    error: Annotated[
        str | None, Column("string", "The error message, if the event is an error.", nullable=True, mask="text")
    ]
    bytes: Annotated[int, Column("int32", "The size of the payload as JSON, in bytes.")]
    payload: Annotated[str, Column("string", "The complete payload of the event, as JSON.")]

    @property
    def is_received(self) -> bool:
        """Whether the bot, an agent or the platform sent it."""
        return self.direction == "in" and self.sender != "user"

    @property
    def is_reply(self) -> bool:
        """Whether it was received while its turn was running."""
        return self.is_received and not math.isnan(self.elapsed_ms)

    @property
    def is_unsolicited(self) -> bool:
        """Whether it was received while no turn that it belongs to was running."""
        return self.is_received and math.isnan(self.elapsed_ms)


SCHEMA: Final[dict[str, Column]] = {
    name: get_args(hint)[1] for name, hint in get_type_hints(Trace, include_extras=True).items()
}
"""The columns of the trace table by name, in order."""
VERSION: Final = max(column.since for column in SCHEMA.values())
"""The version of the schema. Each recording contains the version it was written with."""
COLUMNS: Final[dict[str, str]] = {name: column.dtype for name, column in SCHEMA.items()}
"""The dtype of every column by name, in order."""

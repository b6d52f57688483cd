"""The trace: one recorded event, and the one table of its columns.

Each field of `Trace` is one column: its Python type, dtype, description and version stand in one line. `SCHEMA` is
read from these lines, and everything else follows from `SCHEMA`: the Arrow schema, the lines of the journal, the
frames, the documentation, and how older recordings are migrated.

To add a column, add a line to `Trace` before `payload`, with the next version as `since`, and a field of the same name
to `effects.Record` if a dialect fills it. Older recordings are read with its default.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Final, Literal, NamedTuple, get_args, get_type_hints

NO_TIME: Final = math.nan
"""The value of `elapsed_ms` outside a turn, and of any other number that is missing."""
CONTENT_KINDS: Final = frozenset(
    "text speak choices card carousel list image audio video file visual adaptive date_picker custom".split()
)
"""The kinds of traces that a person sees as a message."""

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
"""The value of a column that is not nullable, by dtype, where none is known."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the trace table, or of a frame computed from it.

    Attributes:
        dtype: The pandas dtype of the column in every frame.
        description: What the column holds, for the documentation.
        nullable: Whether a value may be missing.
        mask: How credentials are masked in it: `name` for a short text out of few, `text` for a longer one.
        since: The version of the schema that introduced it, or gave it its name.
        default: Its value in recordings written before that version. By default it is missing if the column is
            nullable, and otherwise empty: 0, False or "".
        formerly: Its name before that version, if it had another one.
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
        """The value where none is known: the default, or else missing or empty."""
        if self.default is not None:
            return self.default
        if self.nullable:
            return NO_TIME if self.dtype == "float64" else None
        return EMPTY[self.dtype]


class Trace(NamedTuple):
    """One recorded event: one row of the trace table.

    Times are nanoseconds since 1970 in UTC, and `elapsed_ms` is NaN where it is missing. Credentials are masked.
    """

    recording: Annotated[str, Column("category", "The id of the recording, one per kernel run.")]
    platform: Annotated[str, Column("category", "The platform: cognigy, eusate or voiceflow.")]
    session: Annotated[str, Column("category", "The name of the session in the kernel.")]
    conversation: Annotated[
        str | None, Column("category", "The platform's id of the conversation.", nullable=True, mask="name")
    ]
    seq: Annotated[int, Column("int64", "The number of the event in its session: 0, 1, 2 … without gaps.")]
    link: Annotated[int, Column("int32", "The number of the connection: 1, and one more after each reconnect.")]
    turn: Annotated[int, Column("int32", "The number of the turn; 0 outside any turn.")]
    observed_at: Annotated[
        int, Column("datetime64[ns, UTC]", "When socketnb observed the event.", since=2, formerly="at")
    ]
    server_at: Annotated[
        int | None, Column("datetime64[ns, UTC]", "When the event happened, as the server says.", nullable=True)
    ]
    elapsed_ms: Annotated[
        float,
        Column("float64", "Milliseconds since the turn's action was sent; missing outside a turn.", nullable=True),
    ]
    direction: Annotated[Direction, Column("category", "in, out, or local for an event of socketnb's own.")]
    event: Annotated[str, Column("category", "The name of the event on the wire.", mask="name")]
    kind: Annotated[str, Column("category", "What the event is on any platform: text, choices, action, error …")]
    sender: Annotated[Sender, Column("category", "user, bot, agent or system.")]
    text: Annotated[str | None, Column("string", "The words of the event, if it has any.", nullable=True, mask="text")]
    node: Annotated[
        str | None, Column("category", "The node of the flow, where the platform tells it.", nullable=True, mask="name")
    ]
    intent: Annotated[
        str | None, Column("category", "The intent, where the platform tells it.", nullable=True, mask="name")
    ]
    final: Annotated[bool, Column("bool", "Whether the event ends its turn.")]
    error: Annotated[str | None, Column("string", "What went wrong, if anything.", nullable=True, mask="text")]
    bytes: Annotated[int, Column("int32", "The size of the payload as JSON, in bytes.")]
    payload: Annotated[str, Column("string", "The payload of the event as JSON text, complete.")]


SCHEMA: Final[dict[str, Column]] = {
    name: get_args(hint)[1] for name, hint in get_type_hints(Trace, include_extras=True).items()
}
"""Every column of the trace table by name, in order."""
VERSION: Final = max(column.since for column in SCHEMA.values())
"""The version of the schema. A recording says with which version it was written."""

"""The messages between the kernel and a page that shows a panel.

They are custom messages of the widget, never synced state, because state would be saved in the notebook. Each has a
`type`, and `session`: the index of the session in the panel. A message from a page also has `view`, the id of the view
that sends it. Answers to one view carry that id, and other views ignore them.

    page → kernel
        fetch       anchor, seq, conversation, id       ask for rows; see `Anchor`
        say         text, conversation, id              send a text; `id` is the page's own, and comes back with `sent`
        press       seq, option, conversation           press button `option` (from 0) of the row `seq`
        submit      seq, option, conversation, values   press a button of a form, with the values of its inputs
        date        seq, conversation, values           answer a date picker, with values in ISO form
        act         verb, fields, conversation, id, seq any other verb; files travel as buffers; `seq` is set if a form
                                                        of that row is answered
        restart                                         start over: reset or launch
        reconnect                                       try a lost link again
        stop                                            cancel the running turns
        inspect     turn, known                         ask for a turn (0: the latest); `known` is the turn and the
                                                        last seq that the page already has
        find        text, conversation                  ask which rows contain a text
        export      format                              ask for the conversation as a file
    kernel → page
        rows        from, to, rows, status, overflow    new rows, of the traces `from` to `to` - 1; with `overflow` they
                                                        were too many and are left out
        page        anchor, id, page, status, info      the answer to `fetch`
        replaced                                        another session has taken the place of this one: fetch again
        sent        id, turn                            the number of the turn that a text started
        pressed     seq, option                         a button was pressed; option -1: the form itself
        accepted    id                                  an `act` has started
        restored    seq                                 what was pressed was never sent, and can be pressed again
        inspected   turn, facts, traces                 the answer to `inspect`
        found       seqs, text                          the answer to `find`
        file        name, content                       the answer to `export`
        error       error, request                      a request failed: for all views, so that they enable its buttons

The ranges of `rows` messages follow each other without gaps, so a page that misses one notices it and fetches the rows.
A message that arrives twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NotRequired, TypeAlias, TypedDict

PageMessage: TypeAlias = Mapping[str, object]
"""A message to a page. Its values are JSON, and often one of the dictionaries below."""

Anchor = Literal["last", "before", "after", "around", "since"]
"""Which rows a page asks for: the last ones, or those before, from or around a trace. `since` is like `after`, but
returns the last rows if there are more than one page."""


class CardRow(TypedDict):
    """A card of a row."""

    html: str  # sanitised
    options: list[int]  # its buttons, as indices into the row's choices


class DateForm(TypedDict):
    """A date picker."""

    label: str
    input: str  # the type of the HTML input: date, datetime-local or time
    mode: str  # single, range or multiple
    min: str
    max: str
    value: str
    submit: str


class CardPart(TypedDict, total=False):
    """A part of an adaptive card: HTML, an input, columns, or parts that a click unfolds."""

    html: str  # sanitised
    input: str  # the type of the input: text, number, date, time, toggle, choice …
    id: str
    label: str
    value: str
    placeholder: str
    multiline: bool
    required: bool
    error: str  # shown if the value is missing or wrong
    max_length: int
    min: str
    max: str
    on: str  # the value of a toggle that is on
    off: str
    options: list[list[str]]  # title and value
    multiple: bool
    expanded: bool  # whether all options of a choice are visible
    columns: list[list[CardPart]]
    summary: str  # the label of parts that a click unfolds
    parts: list[CardPart]


class FormRow(TypedDict, total=False):
    """The form of a row: exactly one of these."""

    card: list[CardPart]
    date: DateForm
    rating: str  # the verb that answers it


class PanelRow(TypedDict, total=False):
    """What a page shows of a trace."""

    seq: int
    turn: int
    time: int  # milliseconds since 1970
    sender: str
    conversation: str  # if a session holds several
    html: str  # sanitised; the page inserts it as HTML
    text: str  # what the user sent; the page inserts it as text
    verb: str  # the verb of what the user sent
    queued: str  # why it is not sent yet; empty if it was never sent
    unsolicited: bool  # a message that no turn waited for; with a turn, it arrived after the end of that turn
    data: str  # the data of the message, as JSON; the page inserts it as text
    delta: str  # the next piece of a streamed message; the row of the last piece has the whole message as `html`
    stream: int  # the seq of the stream's first piece
    choices: list[str]  # the labels of the buttons
    expired: bool  # the buttons can no longer be pressed
    cards: list[CardRow]
    layout: str  # how the cards are placed: carousel, list or single
    form: FormRow
    notice: str
    kind: str  # the kind of the trace that a notice is about
    typing: bool  # the other side has started or stopped typing; such a row is not kept
    first_ms: float  # milliseconds from the turn's action to its first message, in the row that ends the turn
    done_ms: float | None  # milliseconds to the end of the turn; None if the turn was never sent


RowPage = TypedDict(
    "RowPage",
    {
        "from": int,
        "to": int,
        "rows": list[PanelRow],
        "continued": list[PanelRow],  # streamed messages that began before `from` and went on after it
        "older": bool,  # whether there are rows before these
        "newer": bool,
    },
)
"""All rows of the traces `from` to `to` - 1."""


class ConversationTab(TypedDict):
    """One of the conversations of a session."""

    id: str
    agent: str
    unread: int
    closed: bool


class SessionStatus(TypedDict):
    """What may change about a session."""

    state: str
    conversations: NotRequired[list[ConversationTab]]  # if the platform allows several


class FieldForm(TypedDict):
    """A field of a verb."""

    name: str
    type: str  # the name of its Python type
    required: bool
    long: bool  # whether it has several lines
    stars: bool  # whether it is a rating of 1 to 5 stars
    placeholder: str


class VerbForm(TypedDict):
    """A verb that the menu offers."""

    verb: str
    help: str
    after_close: bool  # whether it is offered once a conversation is closed
    fields: list[FieldForm]


class SessionInfo(TypedDict):
    """What does not change about a session."""

    name: str
    platform: str
    can_restart: bool
    max_conversations: int
    verbs: list[VerbForm]
    exports: list[list[str]]  # the name and the description of each text format


class InspectedTrace(TypedDict):
    """A trace as the inspector lists it. The page inserts all of it as text."""

    seq: int
    ms: float | None
    direction: str
    kind: str
    event: str
    label: str
    content: bool  # whether the trace is a message
    payload: str

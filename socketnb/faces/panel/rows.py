"""The view model: a conversation as rows for a page, in pages of them. No widget and no browser.

A `Story` knows by number which traces are shown. It holds a few bytes a row, so that what a page asks for costs what
it shows, however long the conversation is; the rows themselves are made from the recorded traces.
"""

from __future__ import annotations

import datetime as dt
import itertools
import math
import statistics
from array import array
from bisect import bisect_left
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from socketnb import dialects, render
from socketnb.dialects import Message, Streams, as_dict, buttons, message
from socketnb.faces.panel import forms
from socketnb.records import CONTENT_KINDS, NO_TIME, Card, Cards, Custom, Delta, Did

if TYPE_CHECKING:
    from collections.abc import Iterable
    from collections.abc import Set as AbstractSet

    from socketnb.records import Trace
    from socketnb.session import Session

PAGE = 80
"""Rows that a page is handed at once."""
Where = Literal["last", "before", "after", "around", "since"]


class CardRow(TypedDict):
    """What the page is told of a card."""

    html: str  # sanitised
    options: list[int]  # its buttons, by their place in the row's choices


class Row(TypedDict, total=False):
    """What the page is told of a trace."""

    seq: int
    turn: int
    at: int  # milliseconds since 1970
    sender: str
    talk: str  # the conversation, where a session holds several
    html: str  # sanitised; the page inserts it as it is
    text: str  # the user's own words; the page inserts them as text
    verb: str  # what the user did
    delta: str  # the next piece of a streamed message; its last row has the whole as html
    stream: int  # the number of its first piece
    choices: list[str]  # the buttons' labels, in order
    cards: list[CardRow]  # beside each other, or in a list; those of the buttons that are a card's stand in it
    layout: str  # carousel, list or single
    form: dict[str, Any]  # adaptive, date or rating: see forms.py
    notice: str
    kind: str  # of what a notice is about
    typing: bool  # the other side types, or has stopped; not a row to keep
    first: float  # milliseconds from the turn's action to its first message, in the row that ended the turn
    done: float | None  # the same, to its end; None of a turn that was never sent


class Page(TypedDict):
    """Rows that lie side by side: all that is shown of the traces from `from` to `to` - 1."""

    at: tuple[int, int]
    rows: list[Row]
    grown: list[Row]  # `since`: streamed messages that began before and went on
    older: bool  # there are some before them
    newer: bool


def _shown(trace: Trace) -> bool:
    """Tell whether a page shows something of a trace, other than a piece of a stream, without reading its payload."""
    return trace.kind in CONTENT_KINDS or trace.kind == "action" or trace.final or bool(render.notice(trace))


def _row(trace: Trace) -> Row:
    return {"seq": trace.seq, "turn": trace.turn, "at": trace.at // 1_000_000, "sender": trace.sender}


def row(trace: Trace, verbs: AbstractSet[str], first: float = NO_TIME) -> Row:
    """Return what a page shows of a trace that is no piece of a stream. `first`: its turn's first message came then."""
    about = _row(trace)
    shown = message(trace)
    if shown and isinstance(shown.content, Did):
        about["text"], about["verb"] = render.cut(render.message_text(shown)), shown.content.verb
    elif shown:
        about.update(_content_row(shown, verbs))
    elif said := render.notice(trace):
        about["notice"], about["kind"] = render.cut(said), trace.kind
    if trace.final:
        about["done"] = None if math.isnan(trace.elapsed_ms) else round(trace.elapsed_ms, 1)
        if not math.isnan(first):
            about["first"] = round(first, 1)
    return about


def _content_row(shown: Message, verbs: AbstractSet[str]) -> Row:
    """Return what the page shows of a message: cards and forms part by part, all else as one piece of HTML."""
    about: Row = {"choices": [option.label for option in shown.choices]} if shown.choices else {}
    html = ""
    match shown.content:
        case Cards(cards, layout, text, options):
            html = (render.markdown(text) if text else "") + render.links(options)
            about["layout"], about["cards"] = layout if len(cards) > 1 else "single", _cards(cards)
        case Card():
            about["layout"], about["cards"] = "single", _cards((shown.content,))
        case Custom(payload=dict(data), options=options) if shown.trace.kind == "adaptive" and "submit" in verbs:
            about["form"] = {"adaptive": forms.adaptive(data)}
            html = render.links(options)
        case Custom(payload=dict(data)) if shown.trace.kind == "date_picker" and "date" in verbs:
            about["form"] = {"date": forms.date_form(data, dt.datetime.now(dt.UTC).astimezone().date())}
        case Custom("request-rating", text=text) if "rate" in verbs:
            about["form"] = {"rating": "rate"}
            html = render.markdown(text) if text else ""
        case _:
            html = render.message_html(shown, buttons=False)
    if html:
        about["html"] = html
    return about


def _cards(cards: tuple[Card, ...]) -> list[CardRow]:
    places = itertools.count()
    return [{"html": render.card_html(card), "options": [next(places) for _ in buttons(card)]} for card in cards]


class Story:
    """The rows of one session's conversation, from its first trace on.

    Attributes:
        end: the traces before this number are in it.
        running: the turns that have begun and are not over, each with the number of its action.
        turn: the latest turn's number.
    """

    def __init__(self, session: Session) -> None:
        self.end = session.first
        self.running: dict[int, int] = {}
        self.turn = 0
        self._begun = self.end
        self._session = session
        dialect = dialects.get(session.platform)
        self._verbs, self._talks_apart = dialect.VERBS.keys(), dialect.TALKS > 1
        self._streams = Streams(session.encoding)
        self._seqs, self._turns, self._talks = array("q"), array("i"), array("h")  # of each row
        self._firsts = array("f")
        self._names: list[str] = []  # of the conversations
        self._talk_of: dict[int, int] = {}  # turn → its conversation's number
        self._first: dict[int, float] = {}  # running turn → ms to its first message
        self._open: dict[str, int] = {}  # stream → the number of its first piece
        self._ends: dict[int, int] = {}  # a stream's first piece → its last
        self.take(session.traces(), render_rows=False)

    def take(self, traces: Iterable[Trace], *, render_rows: bool = True) -> list[Row]:
        """Add the traces that come next; return their rows, unless these are only to be counted."""
        rows = []
        for trace in traces:
            self.end = trace.seq + 1
            if trace.kind == "delta":
                if (piece := self._piece(trace)) and render_rows:
                    rows.append(piece)
            elif trace.kind == "typing" and trace.direction == "in":
                rows.append({**_row(trace), "typing": trace.text != "typingOff"})
            elif _shown(trace):
                first = self._note(trace)
                if render_rows:
                    rows.append(self._told(trace, first))
        return rows

    def _told(self, trace: Trace, first: float) -> Row:
        about = row(trace, self._verbs, first)
        if self._talks_apart and trace.conversation:
            about["talk"] = trace.conversation
        return about

    def _note(self, trace: Trace) -> float:
        """Count a trace as a row; return when its turn's first message came, if this is the turn's end."""
        first = NO_TIME
        if trace.kind == "action" and trace.direction == "out":
            self.running[trace.turn] = trace.seq
            self.turn, self._begun = trace.turn, trace.seq
        elif trace.kind in CONTENT_KINDS or trace.kind == "delta":
            self._first.setdefault(trace.turn, trace.elapsed_ms)
        if trace.final:
            first = self._first.pop(trace.turn, NO_TIME)
            self.running.pop(trace.turn, None)
        self._seqs.append(trace.seq)
        self._turns.append(trace.turn)
        self._talks.append(self._talk(trace))
        self._firsts.append(first)
        return first

    def _talk(self, trace: Trace) -> int:
        if not trace.conversation:
            return -1
        if trace.conversation not in self._names:
            self._names.append(trace.conversation)
        number = self._names.index(trace.conversation)
        if trace.turn:
            self._talk_of.setdefault(trace.turn, number)
        return number

    def _piece(self, trace: Trace) -> Row | None:
        shown = message(trace)
        if not shown or not isinstance(piece := shown.content, Delta):
            return None
        if piece.first or piece.stream not in self._open:
            self._open[piece.stream] = trace.seq
            self._note(trace)
        about = _row(trace)
        about["delta"], about["stream"] = piece.text, self._open[piece.stream]
        if whole := self._streams.add(shown):
            about["html"] = render.message_html(whole)
        if piece.last:
            self._ends[self._open.pop(piece.stream)] = trace.seq
        return about

    # Pages

    def page(self, where: Where, seq: int = 0, talk: str | None = None, count: int = PAGE) -> Page:
        """Return rows: the last ones, those before or from a trace on, or around one; of one conversation or of all.

        `since` is like `after`, but gives the last ones where there are more than a page can take at once.
        """
        to = self.end
        places = [n for n in range(bisect_left(self._seqs, to)) if self._is_in(n, talk)] if talk else None
        total = bisect_left(self._seqs, to) if places is None else len(places)

        def number(n: int) -> int:
            return self._seqs[n if places is None else places[n]]

        here = bisect_left(range(total), seq, key=number)
        match where:
            case "before":
                begin, end = max(0, here - count), here
            case "after":
                begin, end = here, min(total, here + count)
            case "around":
                begin, end = max(0, here - count // 2), min(total, here + count // 2)
            case "since" if total - here <= count:
                begin, end = here, total
            case _:
                begin, end = max(0, total - count), total
        since = number(begin) if begin and begin < total else self._session.first
        if where in ("after", "since") and begin == here:
            since = seq
        until = number(end) if end < total else to
        if where == "before":
            until = seq
        chosen = [n if places is None else places[n] for n in range(begin, end)]
        rows = self._rows(chosen, to)
        grown = self._grown(since, to) if where == "since" else []
        return {"at": (since, until), "rows": rows, "grown": grown, "older": begin > 0, "newer": end < total}

    def _is_in(self, place: int, talk: str) -> bool:
        """Tell whether a row belongs to a conversation; what belongs to none belongs to each."""
        number = self._talks[place]
        number = self._talk_of.get(self._turns[place], -1) if number < 0 else number
        return number < 0 or self._names[number] == talk

    def _rows(self, places: list[int], to: int) -> list[Row]:
        if not places:
            return []
        first, last = self._seqs[places[0]], self._seqs[places[-1]]
        traces = {trace.seq: trace for trace in self._session.traces(first, last + 1 - first)}
        return [
            self._stream(trace, to) if trace.kind == "delta" else self._told(trace, self._firsts[place])
            for place in places
            if (trace := traces.get(self._seqs[place]))
        ]

    def _grown(self, since: int, to: int) -> list[Row]:
        begun = [*self._open.values(), *(seq for seq, end in self._ends.items() if end >= since)]
        traces = [self._session.traces(seq, 1)[0] for seq in sorted(begun) if seq < min(since, to)]
        return [self._stream(trace, to) for trace in traces]

    def _stream(self, trace: Trace, to: int) -> Row:
        """Return a streamed message, whole or as far as it has come, in the place of its first piece."""
        begun = trace.seq
        last = self._ends.get(begun, to)
        found = map(message, self._session.traces(begun, min(last + 1, to) - begun))
        deltas = [(shown, shown.content) for shown in found if shown and isinstance(shown.content, Delta)]
        pieces = [(shown, piece) for shown, piece in deltas if piece.stream == deltas[0][1].stream]
        about = _row(trace)
        streams = Streams(self._session.encoding)
        wholes = [whole for shown, _ in pieces if (whole := streams.add(shown))]
        if wholes:
            about["html"] = render.message_html(wholes[0])
        elif last >= to:
            about["delta"], about["stream"] = "".join(piece.text for _, piece in pieces), begun
        return about

    # Looking around

    def find(self, words: str) -> list[int]:
        """Return the numbers of the rows whose words have these, in any case, in order."""
        said = self._session.messages_df(columns=["seq", "text"])
        said = said[said["seq"] >= self._session.first]
        return [int(seq) for seq in said["seq"][said["text"].str.contains(words, case=False, regex=False, na=False)]]

    def latest(self, count: int) -> int:
        """Return the number of the trace at which the last rows begin."""
        return self._seqs[-count] if len(self._seqs) > count else self._session.first

    def span(self, turn: int) -> tuple[int, int]:
        """Return the numbers of a turn's first trace and of the one after its last row; the latest's go to the end."""
        if turn == self.turn:
            return self._begun, self.end
        seqs = [seq for seq, of in zip(self._seqs, self._turns, strict=False) if of == turn]
        return (seqs[0], seqs[-1] + 1) if seqs else (self.end, self.end)

    @property
    def first_ms(self) -> float:
        """The median of the turns' first messages, in milliseconds; NaN while there is none."""
        known = [first for first in self._firsts if not math.isnan(first)]
        return statistics.median(known) if known else NO_TIME


def payload_of(session: Session, seq: int) -> tuple[Message | None, dict[str, Any]]:
    """Return the message of a trace by its number, and what it carries."""
    trace = next(iter(session.traces(seq, 1)), None)
    shown = message(trace) if trace and trace.seq == seq else None
    return shown, as_dict(shown.content.payload) if shown and isinstance(shown.content, Custom) else {}

"""The view model: a conversation as rows for a page, in pages of them. No widget and no browser.

`PanelRows` knows by number which traces are shown. It holds a few bytes a row, so that what a page asks for costs what
it shows, however long the conversation is; the rows themselves are made from the recorded traces.
"""

from __future__ import annotations

import datetime as dt
import itertools
import logging
import math
import statistics
import threading
from array import array
from bisect import bisect_left
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypedDict

from socketnb import render
from socketnb.dialects import registry
from socketnb.dialects.messages import Streams, buttons, message
from socketnb.model.content import Card, Cards, Custom, Delta, UserInput
from socketnb.model.trace import CONTENT_KINDS, NO_TIME
from socketnb.ui.panel import forms

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from collections.abc import Set as AbstractSet

    from socketnb.conversation.session import Session
    from socketnb.model.trace import Trace

log = logging.getLogger(__name__)
PAGE = 80
"""Rows that a page is handed at once."""
HEAVIEST = 2_000_000
"""Characters of HTML in a message to a page, above which it has fewer rows."""
BUTTONS, LABEL = 100, 200
"""Buttons of one message that a page shows, and characters of a label."""
CHUNK = 8192
"""Traces that are read at once."""
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
    spent: bool  # something was done since: they can be pressed no more
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
    grown: list[Row]  # of `after` and `since`: streamed messages that began before and went on
    older: bool  # there are some before them
    newer: bool


class Seen(NamedTuple):
    """A trace that is in the story: its turn's first message's ms if it ended the turn; its stream's first piece."""

    trace: Trace
    first: float
    stream: int | None


def _shown(trace: Trace) -> bool:
    """Tell whether a page shows something of a trace, other than a piece of a stream, without reading its payload."""
    return trace.kind in CONTENT_KINDS or trace.kind == "action" or trace.final or bool(render.notice(trace))


def _row(trace: Trace) -> Row:
    return {"seq": trace.seq, "turn": trace.turn, "at": trace.observed_at // 1_000_000, "sender": trace.sender}


def _content_row(trace: Trace, verbs: AbstractSet[str]) -> Row:
    """Return what a page shows of a trace: cards and forms part by part, all else as one piece of HTML, or a notice."""
    shown = message(trace)
    if not shown:
        said = render.notice(trace)
        return {"notice": render.cut(said), "kind": trace.kind} if said else {}
    if isinstance(shown.content, UserInput):
        return {"text": render.cut(render.message_text(shown)), "verb": shown.content.verb}
    about: Row = {"choices": [render.cut(o.label, LABEL) for o in shown.choices[:BUTTONS]]} if shown.choices else {}
    html = ""
    match shown.content:
        case Cards(cards, layout, text, options):
            html = (render.markdown(text) if text else "") + render.links(options)
            about["layout"], about["cards"] = layout if len(cards) > 1 else "single", _cards(cards)
        case Card():
            about["layout"], about["cards"] = "single", _cards((shown.content,))
        case Custom(payload=dict(data), options=options) if trace.kind == "adaptive" and "submit" in verbs:
            about["form"] = {"adaptive": forms.adaptive(data)}
            html = render.links(options)
        case Custom(payload=dict(data)) if trace.kind == "date_picker" and "date" in verbs:
            about["form"] = {"date": forms.date_form(data, dt.datetime.now(dt.UTC).astimezone().date())}
        case Custom("request-rating", text=text) if "rate" in verbs:
            about["form"] = {"rating": "rate"}
            html = render.markdown(text) if text else ""
        case _:
            html = render.message_html(shown, buttons=False)
    if left := len(shown.choices) - BUTTONS:
        html += f"<p><em>… and {left:,} more buttons</em></p>" if left > 0 else ""
    if html:
        about["html"] = html
    return about


def _cards(cards: tuple[Card, ...]) -> list[CardRow]:
    places = itertools.count()
    rows: list[CardRow] = []
    for card in cards:
        options = [place for _ in buttons(card) if (place := next(places)) < BUTTONS]
        if len(rows) < render.CARDS:
            rows.append({"html": render.card_html(card), "options": options})
    return rows


class PanelRows:
    """The rows of one session's conversation, from its first trace on. Any thread reads it, while one adds to it.

    Attributes:
        end: the traces before this number are in it.
        running: the turns that have begun and are not over, each with the number of its action.
        turn: the latest turn's number.
        turns, reconnects: how many there were.
    """

    def __init__(self, session: Session) -> None:
        self.end = self._begun = session.first
        self.running: dict[int, int] = {}
        self.turn = self.turns = 0
        self._links = 0
        self._session = session
        dialect = registry.get(session.platform)
        self._verbs, self._talks_apart = dialect.verbs.keys(), dialect.max_conversations > 1
        self._lock = threading.RLock()
        self._streams = Streams(session.encoding)
        self._seqs, self._turns, self._talks = array("q"), array("i"), array("i")  # of each row
        self._firsts = array("f")
        self._names: dict[str, int] = {}  # of the conversations
        self._talk_of: dict[int, int] = {}  # turn → its conversation's number
        self._acted: dict[int, int] = {}  # conversation → the number of its last action
        self._first: dict[int, float] = {}  # running turn → ms to its first message
        self._open: dict[str, int] = {}  # stream → the number of its first piece
        self._pieces: dict[int, array[int]] = {}  # a stream's first piece → the numbers of all
        for since in range(session.first, session.seq, CHUNK):
            traces = session.traces(since, CHUNK, payloads=False)
            if any(trace.kind == "delta" for trace in traces):  # these are told apart by what they carry
                traces = session.traces(since, CHUNK)
            self.pass_over(self.take(traces))

    @property
    def reconnects(self) -> int:
        """How often another link took the place of one that was lost."""
        return max(0, self._links - 1)

    def take(self, traces: Iterable[Trace]) -> list[Seen]:
        """Add the traces that come next."""
        with self._lock:
            seen = [self._count(trace) for trace in traces]
            if seen:
                self.end = seen[-1].trace.seq + 1
        return seen

    def live(self, seen: Iterable[Seen]) -> list[Row]:
        """Return the rows of what has just been taken, all of it and in order."""
        rows: list[Row | None] = []
        for each in seen:
            trace = each.trace
            if trace.kind == "delta":
                rows.append(self._piece(each))
            elif trace.kind == "typing" and trace.direction == "in":
                rows.append({**_row(trace), "typing": trace.text != "typingOff"})
            elif _shown(trace):
                rows.append(self._told(trace, each.first))
        return [row for row in rows if row]

    def pass_over(self, seen: Iterable[Seen]) -> None:
        """Take note of pieces of streams that no page is told of as they come."""
        for each in seen:
            if each.trace.kind == "delta" and (shown := message(each.trace)):
                self._streams.add(shown)

    def _count(self, trace: Trace) -> Seen:
        first, stream = NO_TIME, None
        if trace.kind == "action" and trace.direction == "out":
            self.running[trace.turn] = self._begun = trace.seq
            self._acted[self._talk(trace)] = trace.seq
            self.turn = trace.turn
            self.turns += 1
        elif trace.kind in CONTENT_KINDS or trace.kind == "delta":
            self._first.setdefault(trace.turn, trace.elapsed_ms)
        elif trace.kind == "connected":
            self._links += 1
        if trace.kind == "delta":
            stream = self._count_piece(trace)
        if trace.final:
            first = self._first.pop(trace.turn, NO_TIME)
            self.running.pop(trace.turn, None)
            for name in [name for name, seq in self._open.items() if self._turn_at(seq) == trace.turn]:
                del self._open[name]  # it was never ended, and will not be
        if stream == trace.seq or (trace.kind != "delta" and _shown(trace)):
            self._seqs.append(trace.seq)
            self._turns.append(trace.turn)
            self._talks.append(self._talk(trace))
            self._firsts.append(first)
        return Seen(trace, first, stream)

    def _turn_at(self, seq: int) -> int:
        return self._turns[bisect_left(self._seqs, seq)]

    def _count_piece(self, trace: Trace) -> int | None:
        """Add a piece to its stream; return the number of the stream's first."""
        shown = message(trace)
        if not shown or not isinstance(piece := shown.content, Delta):
            return None
        if piece.first or piece.stream not in self._open:
            self._open[piece.stream] = trace.seq
            self._pieces[trace.seq] = array("q")
        begun = self._open[piece.stream]
        self._pieces[begun].append(trace.seq)
        if piece.last:
            del self._open[piece.stream]
        return begun

    def _talk(self, trace: Trace) -> int:
        if not trace.conversation:
            return -1
        number = self._names.setdefault(trace.conversation, len(self._names))
        if trace.turn:
            self._talk_of.setdefault(trace.turn, number)
        return number

    # Rows

    def _told(self, trace: Trace, first: float) -> Row:
        """Return what a page shows of a trace that is no piece of a stream; nothing that a bot sends makes it fail."""
        about = _row(trace)
        try:
            about.update(_content_row(trace, self._verbs))
        except Exception as error:
            log.exception("%s %d could not be shown", trace.event, trace.seq)
            about["notice"], about["kind"] = f"this cannot be shown: {type(error).__name__}", "error"
        if self._talks_apart and trace.conversation:
            about["talk"] = trace.conversation
        if trace.final:
            about["done"] = None if math.isnan(trace.elapsed_ms) else round(trace.elapsed_ms, 1)
            if not math.isnan(first):
                about["first"] = round(first, 1)
        return about

    def _piece(self, seen: Seen) -> Row | None:
        """Return a piece of a stream that has just come; with the last one, the whole."""
        shown = message(seen.trace)
        if seen.stream is None or not shown or not isinstance(piece := shown.content, Delta):
            return None
        about = _row(seen.trace)
        about["delta"], about["stream"] = piece.text, seen.stream
        if whole := self._streams.add(shown):
            about["html"] = render.message_html(whole)
        return about

    def _stream(self, trace: Trace, to: int) -> Row:
        """Return a streamed message, whole or as far as it has come, in the place of its first piece."""
        seqs = self._pieces.get(trace.seq, array("q", [trace.seq]))
        seqs = seqs[: bisect_left(seqs, to)]
        pieces = [shown for piece in self._read(seqs) if (shown := message(piece))]
        about = _row(trace)
        streams = Streams(self._session.encoding)
        wholes = [whole for shown in pieces if (whole := streams.add(shown))] or streams.rest()
        if trace.seq in self._open.values():
            about["delta"] = "".join(shown.content.text for shown in pieces if isinstance(shown.content, Delta))
            about["stream"] = trace.seq
        elif wholes:
            about["html"] = render.message_html(wholes[0])
        return about

    def _read(self, seqs: array[int]) -> list[Trace]:
        """Return the traces of these numbers, those side by side read at once."""
        found: list[Trace] = []
        while seqs:
            run = next((n for n, seq in enumerate(seqs) if seq != seqs[0] + n), len(seqs))
            found += self._session.traces(seqs[0], run)
            seqs = seqs[run:]
        return found

    # Pages

    def page(self, where: Where, seq: int = 0, talk: str | None = None, count: int = PAGE) -> Page:
        """Return rows: the last ones, those before or from a trace on, or around one; of one conversation or of all.

        `since` is like `after`, but gives the last ones where there are more than a page can take at once. A page holds
        fewer rows where they are heavy.
        """
        with self._lock:
            to, total = self.end, len(self._seqs)
            seq = min(max(seq, self._session.first), to)
            places: Sequence[int] = [n for n in range(total) if self._is_in(n, talk)] if talk else range(total)
            here = bisect_left(places, seq, key=self._seqs.__getitem__)
            total = len(places)
            if where == "since" and total - here > count:
                where = "last"
            begin, end = {
                "before": (max(0, here - count), here),
                "around": (max(0, here - count // 2), min(total, here + count // 2)),
                "after": (here, min(total, here + count)),
                "since": (here, total),
                "last": (max(0, total - count), total),
            }[where]
            chosen = [(self._seqs[n], self._firsts[n]) for n in places[begin:end]]
            grown = self._grown_before(seq) if where in ("after", "since") else []
        rows = self._rows(chosen, to)
        backwards = where in ("before", "last", "since")
        if (kept := _light(rows, backwards=backwards)) < len(rows):
            rows = rows[-kept:] if backwards else rows[:kept]
            begin, end = (end - kept, end) if backwards else (begin, begin + kept)
        since = (
            seq
            if where in ("after", "since") and begin == here
            else self._seqs[places[begin]]
            if begin
            else self._session.first
        )
        until = seq if where == "before" else self._seqs[places[end]] if end < total else to
        streams = [self._stream(trace, to) for first in grown for trace in self._session.traces(first, 1)]
        return {"at": (since, until), "rows": rows, "grown": streams, "older": begin > 0, "newer": end < total}

    def _grown_before(self, seq: int) -> list[int]:
        """Return the streams that began before a trace and went on after it."""
        return [first for first, pieces in self._pieces.items() if first < seq <= pieces[-1]]

    def _is_in(self, place: int, talk: str) -> bool:
        """Tell whether a row belongs to a conversation; what belongs to none belongs to each."""
        number = self._talks[place]
        number = self._talk_of.get(self._turns[place], -1) if number < 0 else number
        return number < 0 or number == self._names.get(talk)

    def _rows(self, chosen: list[tuple[int, float]], to: int) -> list[Row]:
        if not chosen:
            return []
        first, last = chosen[0][0], chosen[-1][0]
        traces = {trace.seq: trace for trace in self._session.traces(first, last + 1 - first)}
        rows = [
            self._stream(trace, to) if trace.kind == "delta" else self._told(trace, ms)
            for seq, ms in chosen
            if (trace := traces.get(seq))
        ]
        for row in rows:
            if "choices" in row or "form" in row:
                number = self._names.get(row.get("talk", ""), -1)
                row["spent"] = row["seq"] < (self._begun if number < 0 else self._acted.get(number, -1))
        return rows

    def running_in(self, talk: str | None) -> list[int]:
        """Return the turns that are not over, of one conversation or of all."""
        with self._lock:
            number = self._names.get(talk or "")
            return [turn for turn in self.running if not talk or self._talk_of.get(turn, number) == number]

    # Looking around

    def find(self, words: str, talk: str | None = None) -> list[int]:
        """Return the numbers of the rows whose words have these, in any case; of one conversation or of all."""
        import pandas as pd

        said = self._session.messages_df(columns=["seq", "text"])
        traces = self._session.traces_df(columns=["seq", "kind", "text", "error"])
        with self._lock:
            shown = traces["seq"].isin(self._seqs) & ~traces["kind"].isin([*CONTENT_KINDS, "action", "delta"])
        noted = traces[shown].assign(text=traces["error"].fillna(traces["text"]))[["seq", "text"]]
        both = pd.concat([said, noted]).sort_values("seq")
        both = both[both["seq"] >= self._session.first]
        found = both["seq"][both["text"].str.contains(words, case=False, regex=False, na=False)].tolist()
        with self._lock:
            return [seq for seq in found if not talk or self._is_in(bisect_left(self._seqs, seq), talk)]

    def latest(self, count: int) -> int:
        """Return the number of the trace at which the last rows begin."""
        with self._lock:
            return self._seqs[-count] if len(self._seqs) > count else self._session.first

    def span(self, turn: int) -> tuple[int, int]:
        """Return the numbers of a turn's first trace and of the one after its last row; the latest's go to the end."""
        with self._lock:
            if turn == self.turn:
                return self._begun, self.end
            seqs = [seq for seq, of in zip(self._seqs, self._turns, strict=True) if of == turn]
        return (seqs[0], seqs[-1] + 1) if seqs else (self.end, self.end)

    @property
    def first_ms(self) -> float:
        """The median of the turns' first messages, in milliseconds; NaN while there is none."""
        with self._lock:
            known = [first for first in self._firsts if not math.isnan(first)]
        return statistics.median(known) if known else NO_TIME


def _light(rows: list[Row], *, backwards: bool) -> int:
    """Return how many rows, from one end, are together as heavy as a message to a page may be; at least one."""
    weight = 0
    for n, row in enumerate(reversed(rows) if backwards else rows):
        weight += len(row.get("html", "")) + sum(len(card["html"]) for card in row.get("cards", []))
        if weight > HEAVIEST and n:
            return n
    return len(rows)

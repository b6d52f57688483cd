"""Forms as plain data for the page: adaptive cards, date pickers, ratings, and the platform's verbs.

What a bot sends is hostile: its words become sanitised HTML here, everything else travels as text that the page never
reads as HTML, and neither depth nor length is the bot's to choose.
"""

from __future__ import annotations

import datetime as dt
import html
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from socketnb import render
from socketnb.errors import ActionError, unknown
from socketnb.model.json import as_dict, as_list, as_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from socketnb.model.actions import Verb

DEEPEST, MOST = 8, 200
"""Levels of a card that are drawn, and parts, or options of one input."""
LONG, SHORT = 2_000, 200
"""Characters of one of its texts, and of a label or a name."""
SHOWN = frozenset({"text", "press", "launch", "reset", "submit", "date"})
"""Verbs that the panel has its own place for."""


class Part(TypedDict, total=False):
    """A part of a card: HTML, an input, columns beside each other, or more parts that a click unfolds."""

    html: str  # sanitised
    input: str  # text, number, date, time, toggle or choice; the rest describes it
    id: str
    label: str
    value: str
    placeholder: str
    lines: bool  # of a text: several
    required: bool
    error: str
    longest: int  # characters of a text
    min: str
    max: str
    on: str  # what a toggle sends
    off: str
    options: list[list[str]]  # title and value
    several: bool
    unfolded: bool  # of a choice: all options in sight
    columns: list[list[Part]]
    more: str
    parts: list[Part]


def adaptive(card: Mapping[str, Any]) -> list[Part]:
    """Return the body of an adaptive card; its buttons are the message's choices. Schema: adaptivecards.io, 1.5."""
    left = Left()
    return list(_parts([*as_list(card.get("body")), *as_list(card.get("actions"))], left, DEEPEST))


class Left:
    """What one card may still show: parts, and characters."""

    def __init__(self) -> None:
        self._parts, self._characters = iter(range(MOST)), render.LONGEST

    def __next__(self) -> int:
        return next(self._parts)

    def cut(self, text: str, longest: int = LONG) -> str:
        """Return a text at a length that is left."""
        text = render.cut(text, min(longest, self._characters))
        self._characters = max(0, self._characters - len(text))
        return text


def _parts(items: list[Any], left: Left, depth: int) -> Iterator[Part]:
    for item in map(as_dict, items):
        if item.get("isVisible") is False or next(left, None) is None or not depth:
            continue
        kind = as_text(item.get("type"))
        if kind.startswith("Input."):
            if len(as_text(item.get("id"))) <= SHORT:  # a longer one would be another when it is cut
                yield _input(kind.removeprefix("Input."), item, left)
        elif kind in ("ColumnSet", "TableRow"):
            beside = as_list(item.get("columns")) + as_list(item.get("cells"))
            yield {"columns": [list(_parts(_below(as_dict(each)), left, depth - 1)) for each in beside[:6]]}
        elif kind == "Action.ShowCard":
            below = list(_parts(_below(as_dict(item.get("card"))), left, depth - 1))
            yield {"more": left.cut(as_text(item.get("title")) or "More", SHORT), "parts": below}
        elif words := _words(kind, item, left):
            yield {"html": words}
        else:
            yield from _parts(_below(item), left, depth - 1)


def _below(item: dict[str, Any]) -> list[Any]:
    return [part for name in ("body", "items", "images", "rows", "actions") for part in as_list(item.get(name))]


def _words(kind: str, item: dict[str, Any], left: Left) -> str:
    """Return a part that is only to be read."""
    match kind:
        case "TextBlock":
            looks = (as_text(item.get("size")), as_text(item.get("weight")), item.get("isSubtle") is True and "subtle")
            known = {"large": "large", "extralarge": "large", "bolder": "bolder", "subtle": "subtle"}
            marks = " ".join(f"snb-{known[look.lower()]}" for look in looks if look and look.lower() in known)
            return f'<div class="{marks}">{render.markdown(left.cut(as_text(item.get("text"))))}</div>'
        case "RichTextBlock":
            runs = [as_text(run) or as_text(as_dict(run).get("text")) for run in as_list(item.get("inlines"))]
            return f"<p>{html.escape(left.cut(''.join(runs)))}</p>"
        case "FactSet":
            rows = []
            for fact in map(as_dict, as_list(item.get("facts"))[:MOST]):
                title, value = (html.escape(left.cut(as_text(fact.get(name)))) for name in ("title", "value"))
                rows.append(f"<dt>{title}</dt><dd>{value}</dd>")
            return f'<dl class="snb-facts">{"".join(rows)}</dl>'
        case "Image" if source := render.safe_url(as_text(item.get("url")), "image"):
            alt = html.escape(left.cut(as_text(item.get("altText")), SHORT), quote=True)
            return f'<img src="{html.escape(source, quote=True)}" alt="{alt}" referrerpolicy="no-referrer">'
        case _:
            return ""


def _input(kind: str, item: dict[str, Any], left: Left) -> Part:
    known = {"Number": "number", "Date": "date", "Time": "time", "Toggle": "toggle", "ChoiceSet": "choice"}
    part: Part = {"input": known.get(kind, "text"), "id": as_text(item.get("id"))}
    part["label"] = left.cut(
        as_text(item.get("label")) or (as_text(item.get("title")) if kind == "Toggle" else ""), SHORT
    )
    for name in ("value", "placeholder", "min", "max"):
        if isinstance(item.get(name), str | int | float) and not isinstance(item[name], bool):
            part[name] = left.cut(str(item[name]))
    part["required"], part["error"] = item.get("isRequired") is True, left.cut(as_text(item.get("errorMessage")), SHORT)
    if kind == "Text":
        part["lines"] = item.get("isMultiline") is True
        style = as_text(item.get("style")).lower()
        if style in ("email", "tel", "url", "password") and not part["lines"]:
            part["input"] = style
        if isinstance(item.get("maxLength"), int) and 0 < item["maxLength"] <= LONG:
            part["longest"] = item["maxLength"]
    elif kind == "Toggle":
        on, off = as_text(item.get("valueOn")) or "true", as_text(item.get("valueOff")) or "false"
        part["on"], part["off"] = (on, off) if max(len(on), len(off)) <= SHORT else ("true", "false")
    elif kind == "ChoiceSet":
        offered = [as_dict(choice) for choice in as_list(item.get("choices"))[:MOST]]
        named = [(as_text(choice.get("title")), as_text(choice.get("value"))) for choice in offered]
        part["options"] = [[left.cut(title, SHORT), value] for title, value in named if len(value) <= LONG]
        part["several"], part["unfolded"] = item.get("isMultiSelect") is True, item.get("style") == "expanded"
    return part


# Dates

FORMATS = {"us": "m/d/Y", "gb": "d/m/Y", "au": "d/m/Y", "de": "d.m.Y"}
TOKENS = {sign: f"%{python}" for sign, python in zip("dDlmMFYyHhiSK", "daAmbBYyHIMSp", strict=True)}


def date_form(data: Mapping[str, Any], today: dt.date) -> dict[str, Any]:
    """Return a date picker for the page: its settings as Cognigy's plugin `date-picker` names them."""
    with_time = _yes(data.get("enableTime"))
    kind = "time" if _yes(data.get("noCalendar")) else "datetime-local" if with_time else "date"
    named = {word: str(today + dt.timedelta(days)) for word, days in (("yesterday", -1), ("today", 0), ("tomorrow", 1))}
    days = {}
    for name, of in (("min", "minDate"), ("max", "maxDate"), ("value", "defaultDate")):
        text = as_text(data.get(of))
        day = _moment(named.get(text, text))
        days[name] = day.isoformat(timespec="minutes")[: 16 if with_time else 10] if day and kind != "time" else ""
    mode = as_text(data.get("mode"))
    return {
        "label": render.cut(as_text(data.get("eventName")) or as_text(data.get("openPickerButtonText")), SHORT),
        "kind": kind,
        "mode": mode if mode in ("range", "multiple") else "single",
        "submit": render.cut(as_text(data.get("submitButtonText")) or "Submit", SHORT),
        **days,
    }


def date_words(data: Mapping[str, Any], values: list[str]) -> str:
    """Return dates as the picker shows them: by its `dateFormat`, or as its `locale` writes them.

    Raises:
        ActionError: one is no date.
    """
    read = [_moment(value[:SHORT]) for value in values if value]
    moments = [moment for moment in read if moment]
    if not moments or len(moments) < len(read) or (data.get("mode") == "range" and len(moments) < 2):  # noqa: PLR2004 (from, to)
        raise ActionError("choose a date first; nothing was sent")
    if data.get("mode") == "range":
        moments.sort()
    form = as_text(data.get("dateFormat"))[:SHORT]
    if not form:
        form = "" if _yes(data.get("noCalendar")) else FORMATS.get(as_text(data.get("locale")), "Y-m-d")
        form = f"{form} H:i".strip() if _yes(data.get("enableTime")) or not form else form
    signs = re.findall(r"\\?.", form, re.DOTALL)  # a backslash makes a letter a letter
    shown = ["".join(_sign(sign, moment) for sign in signs) for moment in moments]
    return (" to " if data.get("mode") == "range" else ", ").join(shown)


def _sign(sign: str, moment: dt.datetime) -> str:
    """Return what a sign of flatpickr's formats stands for."""
    plain = {"j": moment.day, "n": moment.month, "G": moment.hour % 12 or 12, "w": moment.isoweekday() % 7}
    if sign in plain:
        return str(plain[sign])
    return moment.strftime(TOKENS[sign]) if sign in TOKENS else sign.removeprefix("\\")


def _yes(value: Any) -> bool:
    return value is True or value == "true"


def _moment(text: str) -> dt.datetime | None:
    """Read an ISO date, with a time or without, or a time alone."""
    try:
        return dt.datetime.fromisoformat(text if "-" in text else f"2000-01-01T{text}")
    except ValueError:
        return None


# Verbs

PLACEHOLDERS = {dict: '{"key": "value"}', list: "one address a line", object: "JSON"}


def verb_forms(verbs: Mapping[str, Verb]) -> list[dict[str, Any]]:
    """Return what else the platform can do: each verb with its help and its fields."""
    return [
        {
            "verb": name,
            "help": verb.help,
            "fields": [
                {
                    "name": field.name,
                    "type": field.type.__name__,
                    "required": field.required,
                    "placeholder": PLACEHOLDERS.get(field.type, ""),
                }
                for field in verb.fields
            ],
        }
        for name, verb in verbs.items()
        if name not in SHOWN
    ]


def field_values(verb: str, how: Verb, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a form's texts are as values of a verb's fields; an empty one was not filled in.

    Raises:
        ActionError: there is no such field, or a text is not of its field's type.
    """
    values = {}
    types = {field.name: field.type for field in how.fields}
    for name, text in given.items():
        if name not in types:
            raise ActionError(unknown(f"{verb} field", name, types))
        kind = types[name]
        if not isinstance(text, str) or kind in (str, Path) or not text.strip():
            if text not in ("", None):
                values[name] = text
        elif kind is list and not text.lstrip().startswith("["):
            values[name] = [line.strip() for line in text.splitlines() if line.strip()]
        else:
            values[name] = _json(name, text)
    return values


def _json(name: str, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ActionError(f"{name} is no JSON: {error}; nothing was sent") from None

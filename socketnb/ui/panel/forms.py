"""Forms as JSON data for the page: adaptive cards, date pickers, and the platform's verbs.

All data from a bot is untrusted. Formatted text is converted to sanitised HTML. All other text is plain text, which the
page never inserts as HTML. Depth and length are limited.
"""

from __future__ import annotations

import datetime as dt
import html
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

from socketnb import render
from socketnb.errors import ActionError, unknown
from socketnb.model.content import AdaptiveCard, DatePicker
from socketnb.model.json import Json, JsonObject, as_dict, as_list, as_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from socketnb.model.actions import Field, Verb
    from socketnb.ui.panel.protocol import CardPart, DateForm, FieldForm, VerbForm

MAX_DEPTH = 8
"""The maximum depth of a card."""
MAX_PARTS = 200
"""The maximum number of parts of a card, facts in a list, and options of an input."""
MAX_COLUMNS = 6
"""The maximum number of columns side by side."""
MAX_TEXT_CHARS = 2_000
"""The maximum length of a text in a card."""
MAX_LABEL_CHARS = 200
"""The maximum length of a label, a name or a date."""
OWN_CONTROLS = frozenset({"text", "press", "launch", "reset", AdaptiveCard({}).verb, DatePicker().verb})
"""The verbs that the menu omits, because the panel has other controls for them."""


# Adaptive cards


def card_parts(card: JsonObject) -> list[CardPart]:
    """Return the body of an adaptive card (schema 1.5). Its submit buttons are choices of the message."""
    return list(_parts([*as_list(card.get("body")), *as_list(card.get("actions"))], CardBudget(), MAX_DEPTH))


class CardBudget:
    """The remaining number of parts and characters of a card."""

    def __init__(self) -> None:
        self._parts, self._chars = MAX_PARTS, render.MAX_MESSAGE_CHARS

    def take_part(self) -> bool:
        """Take one part from the budget, and return False if none is left."""
        self._parts -= 1
        return self._parts >= 0

    def cut(self, text: str, limit: int = MAX_TEXT_CHARS) -> str:
        """Return a text, cut to the limit and to the remaining characters."""
        text = render.cut(text, min(limit, self._chars))
        self._chars = max(0, self._chars - len(text))
        return text


def _parts(items: list[Json], budget: CardBudget, depth: int) -> Iterator[CardPart]:
    for item in map(as_dict, items):
        if item.get("isVisible") is False or not depth or not budget.take_part():
            continue
        kind = as_text(item.get("type"))
        if kind.startswith("Input."):
            if (
                len(as_text(item.get("id"))) <= MAX_LABEL_CHARS
            ):  # an id must not be cut, because it would become another id
                yield _input(kind.removeprefix("Input."), item, budget)
        elif kind in ("ColumnSet", "TableRow"):
            columns = as_list(item.get("columns")) + as_list(item.get("cells"))
            inner = [list(_parts(_children(as_dict(column)), budget, depth - 1)) for column in columns[:MAX_COLUMNS]]
            yield {"columns": inner}
        elif kind == "Action.ShowCard":
            parts = list(_parts(_children(as_dict(item.get("card"))), budget, depth - 1))
            yield {"summary": budget.cut(as_text(item.get("title")) or "More", MAX_LABEL_CHARS), "parts": parts}
        elif text := _static_html(kind, item, budget):
            yield {"html": text}
        else:
            yield from _parts(_children(item), budget, depth - 1)


def _children(item: JsonObject) -> list[Json]:
    return [part for name in ("body", "items", "images", "rows", "actions") for part in as_list(item.get(name))]


def _static_html(kind: str, item: JsonObject, budget: CardBudget) -> str:
    """Return a part without inputs as HTML, or an empty string for a part of another type."""
    match kind:
        case "TextBlock":
            styles = (as_text(item.get("size")), as_text(item.get("weight")), item.get("isSubtle") is True and "subtle")
            known = {"large": "large", "extralarge": "large", "bolder": "bolder", "subtle": "subtle"}
            classes = " ".join(f"snb-{known[style.lower()]}" for style in styles if style and style.lower() in known)
            return f'<div class="{classes}">{render.markdown(budget.cut(as_text(item.get("text"))))}</div>'
        case "RichTextBlock":
            runs = [as_text(run) or as_text(as_dict(run).get("text")) for run in as_list(item.get("inlines"))]
            return f"<p>{html.escape(budget.cut(''.join(runs)))}</p>"
        case "FactSet":
            rows = []
            for fact in map(as_dict, as_list(item.get("facts"))[:MAX_PARTS]):
                title, value = (html.escape(budget.cut(as_text(fact.get(name)))) for name in ("title", "value"))
                rows.append(f"<dt>{title}</dt><dd>{value}</dd>")
            return f'<dl class="snb-facts">{"".join(rows)}</dl>'
        case "Image" if source := render.safe_url(as_text(item.get("url")), "image"):
            alt = html.escape(budget.cut(as_text(item.get("altText")), MAX_LABEL_CHARS), quote=True)
            return f'<img src="{html.escape(source, quote=True)}" alt="{alt}" referrerpolicy="no-referrer">'
        case _:
            return ""


def _input(kind: str, item: JsonObject, budget: CardBudget) -> CardPart:
    types = {"Number": "number", "Date": "date", "Time": "time", "Toggle": "toggle", "ChoiceSet": "choice"}
    part: CardPart = {"input": types.get(kind, "text"), "id": as_text(item.get("id"))}
    label = as_text(item.get("label")) or (as_text(item.get("title")) if kind == "Toggle" else "")
    part["label"] = budget.cut(label, MAX_LABEL_CHARS)
    for name in ("value", "placeholder", "min", "max"):
        if isinstance(item.get(name), str | int | float) and not isinstance(item[name], bool):
            part[name] = budget.cut(str(item[name]))
    part["required"] = item.get("isRequired") is True
    part["error"] = budget.cut(as_text(item.get("errorMessage")), MAX_LABEL_CHARS)
    if kind == "Text":
        part["multiline"] = item.get("isMultiline") is True
        style = as_text(item.get("style")).lower()
        if style in ("email", "tel", "url", "password") and not part["multiline"]:
            part["input"] = style
        limit = item.get("maxLength")
        if isinstance(limit, int) and 0 < limit <= MAX_TEXT_CHARS:
            part["max_length"] = limit
    elif kind == "Toggle":
        on, off = as_text(item.get("valueOn")) or "true", as_text(item.get("valueOff")) or "false"
        part["on"], part["off"] = (on, off) if max(len(on), len(off)) <= MAX_LABEL_CHARS else ("true", "false")
    elif kind == "ChoiceSet":
        choices = [as_dict(choice) for choice in as_list(item.get("choices"))[:MAX_PARTS]]
        options = [(as_text(choice.get("title")), as_text(choice.get("value"))) for choice in choices]
        part["options"] = [
            [budget.cut(title, MAX_LABEL_CHARS), value] for title, value in options if len(value) <= MAX_TEXT_CHARS
        ]
        part["multiple"], part["expanded"] = item.get("isMultiSelect") is True, item.get("style") == "expanded"
    return part


# Date pickers

INPUT_TYPES = {"date": "date", "datetime": "datetime-local", "time": "time"}
"""The type of the HTML input for each unit of a date picker."""
ISO_LENGTH = {"date": 10, "datetime": 16, "time": 0}
"""The number of characters of an ISO limit that the HTML input accepts, by unit. A time has no limits."""
STRFTIME = {char: f"%{code}" for char, code in zip("dDlmMFYyHhiSK", "daAmbBYyHIMSp", strict=True)}
"""Format characters of flatpickr (flatpickr.js.org/formatting), with the code of `strftime` for each."""


def date_form(picker: DatePicker, today: dt.date) -> DateForm:
    """Return a date picker for the page."""
    return {
        "label": render.cut(picker.label, MAX_LABEL_CHARS),
        "input": INPUT_TYPES[picker.unit],
        "mode": picker.mode,
        "min": _limit(picker, picker.earliest, today),
        "max": _limit(picker, picker.latest, today),
        "value": _limit(picker, picker.value, today),
        "submit": render.cut(picker.submit, MAX_LABEL_CHARS),
    }


def _limit(picker: DatePicker, text: str, today: dt.date) -> str:
    """Return a date in the format of the HTML input; empty if the text is not a date."""
    days = {"yesterday": -1, "today": 0, "tomorrow": 1}
    moment = _moment(str(today + dt.timedelta(days[text])) if text in days else text)
    return moment.isoformat(timespec="minutes")[: ISO_LENGTH[picker.unit]] if moment else ""


def date_text(picker: DatePicker, values: list[str]) -> str:
    """Return the answer to a date picker, in the picker's format.

    Args:
        picker: The date picker.
        values: Dates or times in ISO form. Empty ones are left out.

    Raises:
        ActionError: A value is not a date, or one is missing.
    """
    given = [_moment(value[:MAX_LABEL_CHARS]) for value in values if value]
    moments = [moment for moment in given if moment]
    is_range = picker.mode == "range"
    if len(moments) < len(given) or len(moments) < (2 if is_range else 1):
        raise ActionError("choose a date first (nothing was sent)")
    if is_range:
        moments.sort()
    chars = re.findall(r"\\?.", picker.pattern[:MAX_LABEL_CHARS], re.DOTALL)  # a backslash escapes a letter
    texts = ["".join(_formatted(char, moment) for char in chars) for moment in moments]
    return (" to " if is_range else ", ").join(texts)


def _formatted(char: str, moment: dt.datetime) -> str:
    """Return the part of a date that a format character of flatpickr represents."""
    numbers = {"j": moment.day, "n": moment.month, "G": moment.hour % 12 or 12, "w": moment.isoweekday() % 7}
    if char in numbers:
        return str(numbers[char])
    return moment.strftime(STRFTIME[char]) if char in STRFTIME else char.removeprefix("\\")


def _moment(text: str) -> dt.datetime | None:
    """Parse an ISO date, an ISO date with a time, or a time."""
    try:
        return dt.datetime.fromisoformat(text if "-" in text else f"2000-01-01T{text}")
    except ValueError:
        return None


# Verbs

PLACEHOLDERS = {dict: '{"key": "value"}', list: "one address per line", object: "JSON"}
"""The placeholder of a field, by its type."""
LONG_TYPES = (dict, list, object)
"""The types whose values need several lines."""


def verb_forms(verbs: Mapping[str, Verb]) -> list[VerbForm]:
    """Return the verbs that the menu offers, each with its help and fields."""
    return [
        {
            "verb": name,
            "help": verb.help,
            "after_close": verb.after_close,
            "fields": [_field_form(field) for field in verb.fields],
        }
        for name, verb in verbs.items()
        if name not in OWN_CONTROLS
    ]


def _field_form(field: Field) -> FieldForm:
    return {
        "name": field.name,
        "type": field.type.__name__,
        "required": field.required,
        "long": field.long or field.type in LONG_TYPES,
        "stars": field.stars,
        "placeholder": PLACEHOLDERS.get(field.type, ""),
    }


def field_values(name: str, verb: Verb, texts: JsonObject) -> JsonObject:
    """Return the values of a verb's fields from the texts of a form. Empty fields are omitted.

    Args:
        name: The name of the verb.
        verb: The verb.
        texts: The entered texts, by field.

    Raises:
        ActionError: A field is unknown, or a text cannot be converted to the type of its field.
    """
    types = {field.name: field.type for field in verb.fields}
    values: JsonObject = {}
    for field, text in texts.items():
        if field not in types:
            raise ActionError(unknown(f"{name} field", field, types))
        kind = types[field]
        if not isinstance(text, str) or kind in (str, Path) or not text.strip():
            if text not in ("", None):
                values[field] = text
        elif kind is list and not text.lstrip().startswith("["):
            values[field] = [line.strip() for line in text.splitlines() if line.strip()]
        else:
            values[field] = _json(field, text)
    return values


def _json(field: str, text: str) -> Json:
    try:
        value: Json = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ActionError(f"{field} is not valid JSON: {error} (nothing was sent)") from None
    return value

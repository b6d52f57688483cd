"""Forms that a bot sends: adaptive cards (schema: adaptivecards.io, 1.5) and the plugin `date-picker`."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Literal

from socketnb.dialects.cognigy.parsed import ParsedOutput, address, field_text, lines, parsed
from socketnb.model.content import AdaptiveCard, Choice, DatePicker
from socketnb.model.json import Json, JsonObject, JsonObjectOut, as_dict, as_list, as_text

if TYPE_CHECKING:
    from collections.abc import Iterator

SUBMIT_ACTIONS = ("Action.Submit", "Action.Execute")
NESTED = ("body", "items", "columns", "rows", "cells", "actions", "card", "inlines", "selectAction")
"""The fields of a card element that contain further elements."""
RELATIVE_DAYS = ("yesterday", "today", "tomorrow")
PATTERNS = {"us": "m/d/Y", "gb": "d/m/Y", "au": "d/m/Y", "de": "d.m.Y"}
"""Locale → date format in flatpickr's format characters. Other locales use ISO dates."""


# Adaptive cards


def adaptive(value: Json) -> ParsedOutput | None:
    """Parse an adaptive card: its text, and its actions as buttons."""
    if not (card := as_dict(value)):
        return None
    text = lines(*_card_words(card)) or field_text(card, "fallbackText", "speak")
    options = []
    for action in _parts(card, "actions"):
        title = _title(action)
        if action.get("type") == "Action.OpenUrl":
            options.append(Choice(title, url=address(action.get("url"))))
        elif action.get("type") in SUBMIT_ACTIONS:
            options.append(Choice(title, submission(card, {}, title)))
    return parsed("adaptive", AdaptiveCard(card, tuple(options), text))


def submit_titles(card: JsonObject) -> list[str]:
    """Return the titles of the buttons that submit a card."""
    return list(map(_title, _submit_actions(card)))


def submission(card: JsonObject, values: JsonObjectOut, title: str | None = None) -> JsonObjectOut:
    """Return the data that submitting a card sends.

    The given values override the values in the card's inputs, which override the data of the action.

    Args:
        card: The card.
        values: The values of the inputs by id.
        title: The title of the action; None means the first one.
    """
    action = next((a for a in _submit_actions(card) if title in (None, _title(a))), {})
    inputs = {
        name: item["value"]
        for item in _parts(card, "body")
        if as_text(item.get("type")).startswith("Input.") and (name := as_text(item.get("id"))) and item.get("value")
    }
    processed = {**as_dict(action.get("data")), **inputs, **values}
    return {"text": "", "data": {"adaptivecards": processed, "request": {"value": processed}}}


def _title(action: JsonObject) -> str:
    return as_text(action.get("title")) or "Submit"


def _submit_actions(card: JsonObject) -> list[JsonObject]:
    return [action for action in _parts(card, "actions") if action.get("type") in SUBMIT_ACTIONS]


def _parts(item: JsonObject, *names: str) -> Iterator[JsonObject]:
    """Yield the elements of a card, including nested ones, in reading order."""
    for name in names:
        value = item.get(name)
        for part in value if isinstance(value, list) else [value]:
            if isinstance(part, dict):
                yield part
                yield from _parts(part, *NESTED)


def _card_words(card: JsonObject) -> Iterator[str]:
    for part in _parts(card, "body"):
        kind = as_text(part.get("type"))
        if kind in ("TextBlock", "TextRun") or kind.startswith("Input."):
            yield field_text(part, "text", "label", "title", "placeholder")
        for fact in map(as_dict, as_list(part.get("facts"))):
            yield f"{as_text(fact.get('title'))} {as_text(fact.get('value'))}".strip()


# Date pickers


def date_picker(data: JsonObject, text: str) -> DatePicker:
    """Parse the settings of the plugin `date-picker`, which uses flatpickr's settings."""
    unit: Literal["date", "datetime", "time"] = "datetime" if _is_on(data.get("enableTime")) else "date"
    unit = "time" if _is_on(data.get("noCalendar")) else unit
    mode: Literal["single", "range", "multiple"] = "range" if data.get("mode") == "range" else "single"
    mode = "multiple" if data.get("mode") == "multiple" else mode
    return DatePicker(
        label=as_text(data.get("eventName")) or as_text(data.get("openPickerButtonText")),
        unit=unit,
        mode=mode,
        earliest=_day(data.get("minDate"), unit),
        latest=_day(data.get("maxDate"), unit),
        value=_day(data.get("defaultDate"), unit),
        submit=as_text(data.get("submitButtonText")) or "Submit",
        pattern=_pattern(data),
        text=text,
    )


def _is_on(value: Json) -> bool:
    return value in (True, "true")


def _day(value: Json, unit: str) -> str:
    """Return a limit or an initial value in ISO format with the precision of the unit, or an empty string."""
    text = as_text(value)
    if unit == "time" or text in RELATIVE_DAYS:
        return "" if unit == "time" else text
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        return ""
    return moment.isoformat(timespec="minutes")[: len("2026-01-01T12:00") if unit == "datetime" else len("2026-01-01")]


def _pattern(data: JsonObject) -> str:
    """Return the date format of the answer: `dateFormat`, or the format of the locale."""
    if pattern := as_text(data.get("dateFormat")):
        return pattern
    if _is_on(data.get("noCalendar")):
        return "H:i"
    date = PATTERNS.get(as_text(data.get("locale")), "Y-m-d")
    return f"{date} H:i" if _is_on(data.get("enableTime")) else date

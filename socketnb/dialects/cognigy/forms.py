"""Forms that a bot sends: adaptive cards (schema: adaptivecards.io, 1.5) and the plugin `date-picker`."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Literal

from socketnb.dialects.cognigy.card_inputs import SUBMIT_ACTIONS, card_actions, elements, input_ids, submit_actions
from socketnb.dialects.cognigy.parsed import ParsedOutput, address, field_text, lines, parsed
from socketnb.model.content import AdaptiveCard, Choice, DatePicker
from socketnb.model.json import Json, JsonObject, JsonObjectOut, JsonOut, as_dict, as_list, as_text

if TYPE_CHECKING:
    from collections.abc import Iterator

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
    for each in card_actions(card):
        if each.action.get("type") == "Action.OpenUrl":
            options.append(Choice(each.title, url=address(each.action.get("url"))))
        elif each.action.get("type") in SUBMIT_ACTIONS:
            options.append(Choice(each.title, _input(each.data({}))))
    return parsed("adaptive", AdaptiveCard(card, tuple(options), text))


def submission(card: JsonObject, values: JsonObject, title: str | None = None) -> JsonObjectOut:
    """Return the `text` and `data` that submitting a card sends.

    Args:
        card: The card.
        values: The values of the inputs by id. The other inputs have the values that the card gives them.
        title: The title of the button; None means the first one.
    """
    action = next((each for each in submit_actions(card) if title in (None, each.title)), None)
    return _input(action.data(values) if action else {})


def submit_problem(card: JsonObject, values: JsonObject, title: str | None = None) -> str | None:
    """Return why Webchat would not submit a card with these values, or None. It has the arguments of `submission`."""
    if not (actions := submit_actions(card)):
        return "no adaptive card with a submit button has arrived yet"
    action = next((each for each in actions if title in (None, each.title)), None)
    if action is None:
        return f"the card has no button {title!r}; available: {', '.join(each.title for each in actions)}"
    if unknown_ids := [name for name in values if name not in (ids := input_ids(card))]:
        return f"the card has no input {unknown_ids[0]!r}; available: {', '.join(sorted(ids)) or 'none'}"
    return action.problem(values)


def press_problem(card: JsonObject, choice: Choice) -> str | None:
    """Return why Webchat would not submit a card if a button is pressed without filling in anything, or None."""
    for each in submit_actions(card):
        if (each.title, _input(each.data({}))) == (choice.label, choice.request) and (problem := each.problem({})):
            return f"{problem}: use `submit` with its values"
    return None


def _input(submitted: JsonOut) -> JsonObjectOut:
    return {"text": "", "data": {"adaptivecards": submitted, "request": {"value": submitted}}}


def _card_words(card: JsonObject) -> Iterator[str]:
    for part in elements({"body": card.get("body")}):
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

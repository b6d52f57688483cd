"""The data that submitting an adaptive card sends, as Microsoft's library `adaptivecards` computes it for Webchat.

The library refuses to submit a value that does not match the `regex` of its input. This module does not check it,
because matching an expression from a bot can take forever.
"""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from socketnb.model.json import Json, JsonObject, JsonObjectOut, JsonOut, as_dict, as_list, as_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SUBMIT_ACTIONS = ("Action.Submit", "Action.Execute")
NEEDS = {
    "Input.Text": "a text",
    "Input.Toggle": "true or false",
    "Input.ChoiceSet": "one of its choices",
    "Input.Number": "a number",
    "Input.Date": "a date such as 2026-01-31",
    "Input.Time": "a time such as 14:30",
}
"""The types of inputs, and what each one accepts."""
NESTED = ("body", "items", "columns", "rows", "cells", "inlines", "inlineAction", "actions", "selectAction")
"""The fields of a card or element that contain elements and actions of the same card."""
NUMBER = re.compile(r"-?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
TIME = re.compile(r"([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d{1,3})?)?", re.ASCII)
PLAIN_NUMBERS = (Decimal("1e-6"), Decimal("1e21"))
"""JavaScript writes smaller and larger numbers with an exponent."""


class CardAction(NamedTuple):
    """An action of a card, and the inputs that it submits, by id."""

    action: JsonObject
    inputs: dict[str, JsonObject]

    @property
    def title(self) -> str:
        """The label of the action's button."""
        default = "Open" if self.action.get("type") == "Action.OpenUrl" else "Submit"
        return as_text(self.action.get("title")) or as_text(self.action.get("tooltip")) or default

    def data(self, values: JsonObject) -> JsonOut:
        """Return what the action sends: its own data, and the text of each input that is filled in.

        Args:
            values: The values of the inputs by id. The other inputs have the values that the card gives them.
        """
        own = self.action.get("data")
        filled: JsonObjectOut = {name: text for name in self.inputs if (text := self._text(name, values))}
        return {**own, **filled} if isinstance(own, dict) else own or filled  # a list takes no names

    def problem(self, values: JsonObject) -> str | None:
        """Return why the library does not submit these values, or None."""
        for name, item in self.inputs.items():
            if reason := _problem(item, values.get(name), self._text(name, values)):
                return f"the input {name!r} {reason}"
        own = self.action.get("data")
        if own and not isinstance(own, dict | list) and any(self._text(name, values) for name in self.inputs):
            return f"the data of the button {self.title!r} is not an object, so that no inputs can be added to it"
        return None

    def _text(self, name: str, values: JsonObject) -> str:
        item = self.inputs[name]
        return _text(item, values[name] if name in values else _default(item))


def elements(card: JsonObject) -> Iterator[JsonObject]:
    """Yield the elements and actions of a card in reading order, without those of the cards that its actions show."""
    for name in NESTED:
        value = card.get(name)
        for part in map(as_dict, value if isinstance(value, list) else [value]):
            if part:
                yield part
                yield from elements(part)


def card_actions(card: JsonObject, outer: dict[str, JsonObject] | None = None) -> Iterator[CardAction]:
    """Yield the actions of a card and of the cards that its actions show.

    Args:
        card: The card.
        outer: The inputs of the cards around this one, by id. The actions of this card submit them too.
    """
    found = list(elements(card))
    inputs = {**_inputs(found), **(outer or {})}
    for each in found:
        if as_text(each.get("type")).startswith("Action."):
            yield CardAction(each, {} if as_text(each.get("associatedInputs")).lower() == "none" else inputs)
        if each.get("type") == "Action.ShowCard":
            yield from card_actions(as_dict(each.get("card")), inputs)


def submit_actions(card: JsonObject) -> list[CardAction]:
    """Return the actions that submit a card."""
    return [each for each in card_actions(card) if each.action.get("type") in SUBMIT_ACTIONS]


def input_ids(card: JsonObject) -> set[str]:
    """Return the ids of all inputs of a card and of the cards that its actions show."""
    return {name for each in card_actions(card) for name in each.inputs} | _inputs(elements(card)).keys()


def _inputs(found: Iterable[JsonObject]) -> dict[str, JsonObject]:
    return {name: each for each in found if as_text(each.get("type")) in NEEDS and (name := as_text(each.get("id")))}


# The text that an input sends


def _default(item: JsonObject) -> Json:
    """Return the value that the card gives an input. A value of another type is ignored."""
    value = item.get("value")
    if item.get("type") == "Input.Number":
        return None if isinstance(value, str) else value
    if item.get("type") == "Input.Toggle":
        return value == _on_off(item)[0]
    is_time = item.get("type") == "Input.Time"
    return "" if is_time and len(as_text(value)) > len("14:30") else as_text(value)


def _text(item: JsonObject, value: Json) -> str:
    """Return the text that an input sends, or an empty one if the input is not filled in."""
    text = _plain(value)
    match item.get("type"):
        case "Input.Toggle":
            on, off = _on_off(item)
            return on if value is True or text == on or (text == "true" and off != "true") else off
        case "Input.ChoiceSet":
            return _chosen(item, value)
        case "Input.Number":
            return _number(text) if NUMBER.fullmatch(text) else ""
        case "Input.Date" | "Input.Time" as kind:
            return "" if _rank(kind, text) is None else text
        case _:
            return _line_or_lines(item, text)


def _plain(value: Json) -> str:
    """Return a value as JavaScript converts it to a text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return ",".join(map(_plain, value))
    return _number(value) if isinstance(value, int | float) else as_text(value)


def _number(value: str | float) -> str:
    """Return a number as JavaScript writes it, or an empty text if JavaScript cannot represent it."""
    try:
        number = Decimal(repr(float(value))).normalize()
    except OverflowError:
        return ""
    if not number or not number.is_finite():
        return "" if number else "0"
    low, high = PLAIN_NUMBERS
    return format(number, "f" if low <= abs(number) < high else "e")


def _rank(kind: str, text: str) -> float | None:
    """Return a number, date or time as a number that can be compared, or None if the text is malformed."""
    try:
        if kind == "Input.Number":
            return float(text)
        if kind == "Input.Date" and DATE.fullmatch(text):
            return dt.date.fromisoformat(text).toordinal()
        if kind == "Input.Time" and TIME.fullmatch(text):
            return float(text[:2]) * 60 + float(text[3:5])
    except ValueError:
        pass
    return None


def _line_or_lines(item: JsonObject, text: str) -> str:
    """Return a text as the input field of a page holds it."""
    style = as_text(item.get("style")).lower()
    if _is_true(item.get("isMultiline")) and style != "password":
        return text.replace("\r\n", "\n").replace("\r", "\n")
    line = re.sub(r"[\r\n]", "", text)
    return line.strip(" \t\f") if style in ("email", "url") else line


def _on_off(item: JsonObject) -> tuple[str, str]:
    on, off = item.get("valueOn"), item.get("valueOff")
    return on if isinstance(on, str) else "true", off if isinstance(off, str) else "false"


def _choices(item: JsonObject) -> dict[str, str]:
    """Return the choices of an input: value → title."""
    choices = map(as_dict, as_list(item.get("choices")))
    return {value: as_text(each.get("title")) for each in choices if (value := as_text(each.get("value")))}


def _chosen(item: JsonObject, value: Json) -> str:
    choices, text = _choices(item), _plain(value)
    if _is_true(item.get("isMultiSelect")):
        return ",".join(each for each in choices if each in _selection(value))
    if as_text(item.get("style")).lower() == "filtered":  # a text box that suggests titles
        return next((each for each, title in choices.items() if title == text), text)
    return text if text in choices else ""


def _selection(value: Json) -> list[str]:
    """Return the values that are selected: a list, or a text with commas."""
    return [_plain(each) for each in value] if isinstance(value, list) else _plain(value).split(",")


def _is_true(value: Json) -> bool:
    return value is True or as_text(value).lower() == "true"


# What the library refuses to submit


def _problem(item: JsonObject, given: Json, text: str) -> str:
    """Return why an input cannot be submitted, or an empty text. `given` is None for an input that is not changed."""
    kind, required = as_text(item.get("type")), _is_true(item.get("isRequired"))
    if kind == "Input.Toggle":
        on, off = _on_off(item)
        if given is not None and _plain(given) not in (on, off, "true", "false"):
            return f"needs {NEEDS[kind]}"
        return "must be switched on" if required and text != on else ""
    if kind == "Input.ChoiceSet" and (wrong := _not_offered(item, given, text)):
        return f"has no choice {wrong!r}; available: {', '.join(_choices(item))}"
    if not text and given not in (None, "", []):
        return f"needs {NEEDS[kind]}"
    if not text and required:
        return "is required"
    return _limit_problem(item, kind, text)


def _not_offered(item: JsonObject, given: Json, text: str) -> str:
    """Return a selected value that an input does not offer, or an empty text."""
    selected = _selection(given) if _is_true(item.get("isMultiSelect")) else [text or _plain(given)]
    return next((each for each in selected if each and each not in _choices(item)), "")


def _limit_problem(item: JsonObject, kind: str, text: str) -> str:
    """Return the limits that a value exceeds. The library also refuses an empty number that has limits."""
    limits = (item.get("min"), item.get("max"))
    low, high = ("" if isinstance(each, str) == (kind == "Input.Number") else _plain(each) for each in limits)
    at_least, at_most, value = (_rank(kind, each) for each in (low, high, text))
    if (at_least is None and at_most is None) or (value is None and kind != "Input.Number"):
        return ""
    if value is not None and (at_least is None or value >= at_least) and (at_most is None or value <= at_most):
        return ""
    if at_least is None or at_most is None:
        return f"needs a value of at {'most' if at_least is None else 'least'} {low or high}"
    return f"needs a value from {low} to {high}"

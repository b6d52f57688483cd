"""Adaptive cards: what socketnb submits is what Microsoft's library `adaptivecards` submits in Webchat."""

from typing import Any

import pytest
from test_interop import node, pytestmark  # noqa: F401 (the mark skips the tests without Node.js)

from socketnb.dialects.cognigy.forms import submission, submit_problem


def card(*body: Any, actions: Any = None, **more: Any) -> dict[str, Any]:
    """Return a card with one button, unless `actions` are given."""
    buttons = [{"type": "Action.Submit", "title": "Send"}] if actions is None else actions
    return {"type": "AdaptiveCard", "version": "1.5", "body": list(body), "actions": buttons, **more}


def put(kind: str, name: str, **more: Any) -> dict[str, Any]:
    """Return an input."""
    return {"type": f"Input.{kind}", "id": name, **more}


def choices(*values: str) -> list[dict[str, str]]:
    return [{"title": value.upper(), "value": value} for value in values]


def submit(title: str, **more: Any) -> dict[str, Any]:
    return {"type": "Action.Submit", "title": title, **more}


SIZE = put("ChoiceSet", "size", choices=choices("s", "m", "l"))
EXTRAS = put("ChoiceSet", "extras", choices=choices("ham", "olives", "egg"), isMultiSelect=True)
EVERYTHING = card(
    put("Text", "name"),
    put("Text", "note", isMultiline=True),
    put("Toggle", "news", title="News"),
    SIZE,
    {**SIZE, "id": "shape", "style": "expanded"},
    EXTRAS,
    put("Number", "count"),
    put("Date", "day"),
    put("Time", "hour"),
)
FILLED = card(
    put("Text", "name", value="Ana"),
    put("Text", "note", isMultiline=True, value="one\ntwo"),
    put("Toggle", "news", title="News", value="true"),
    {**SIZE, "value": "m"},
    {**SIZE, "id": "shape", "style": "expanded", "value": "l"},
    {**EXTRAS, "value": "egg,ham"},
    put("Number", "count", value=2.5),
    put("Date", "day", value="2026-02-28"),
    put("Time", "hour", value="09:05"),
)
NESTED = card(
    {
        "type": "Container",
        "items": [
            put("Text", "outer", value="a"),
            {
                "type": "ColumnSet",
                "columns": [
                    {"type": "Column", "items": [put("Number", "left", value=1)]},
                    {"type": "Column", "items": [{"type": "Container", "items": [put("Toggle", "right", title="R")]}]},
                ],
            },
        ],
    },
    {
        "type": "Table",
        "columns": [{"width": 1}],
        "rows": [{"type": "TableRow", "cells": [{"type": "TableCell", "items": [put("Text", "cell", value="c")]}]}],
    },
    {"type": "ActionSet", "actions": [submit("In the body", data={"from": "body"})]},
)
SHOWN = card(
    put("Text", "name", value="Ana"),
    put("Text", "same", value="outer"),
    actions=[
        submit("Outer"),
        {
            "type": "Action.ShowCard",
            "title": "More",
            "card": {
                "type": "AdaptiveCard",
                "body": [put("Text", "comment", value="good"), put("Text", "same", value="inner")],
                "actions": [
                    submit("Inner", data={"level": 1}),
                    {
                        "type": "Action.ShowCard",
                        "title": "Most",
                        "card": {
                            "type": "AdaptiveCard",
                            "body": [put("Toggle", "deep", title="Deep", value="true")],
                            "actions": [submit("Innermost")],
                        },
                    },
                ],
            },
        },
    ],
)
BUTTONS = card(
    put("Text", "name", value="Ana"),
    actions=[
        submit("Merge", data={"name": "hidden", "nested": {"a": [1]}}),
        submit("Cancel", data={"cancelled": True}, associatedInputs="none"),
        submit("Auto", associatedInputs="Auto"),
        submit("A text", data="just text", associatedInputs="NONE"),
        submit("A text and inputs", data="just text"),
        submit("A list", data=[1]),
        submit("Nothing", data=None),
        {"type": "Action.Execute", "title": "Run", "verb": "go", "data": {"v": 1}},
    ],
)
ON_OFF = card(
    put("Toggle", "plain", title="A"),
    put("Toggle", "named", title="B", valueOn="yes", valueOff="no"),
    put("Toggle", "on", title="C", valueOn="1", valueOff="0", value="1"),
    put("Toggle", "untyped", title="D", value=True),
    put("Toggle", "empty", title="E", valueOff=""),
    put("Toggle", "other", title="F", valueOn="1", value="true"),
)
NUMBERS = card(*(put("Number", name) for name in "abcdefghij"), put("Number", "text", value="7"))
LIMITS = card(
    put("Number", "count", min=1, max=5, value=3),
    put("Date", "day", min="2026-01-01", max="2026-12-31"),
    put("Time", "hour", min="08:00", max="18:00"),
)
REQUIRED = card(
    put("Text", "name", isRequired=True, label="Name", errorMessage="Name?"),
    put("Toggle", "terms", title="Terms", isRequired=True),
    actions=[submit("Send"), submit("Skip", associatedInputs="none")],
)
FILTERED = card({**SIZE, "style": "filtered"})
ODD = card(
    put("Text", "hidden", isVisible=False, value="there"),
    put("Rating", "stars", value=3),
    {"type": "Input.Text", "value": "no id"},
    put("Text", "number", value=5),
    put("Text", "mail", style="Email", value=" ana@example.org "),
    put("Text", "lines", value="one\r\ntwo"),
    put("Text", "twice", value="first"),
    put("Text", "twice", value="second"),
    {**SIZE, "value": "xl"},
    {**EXTRAS, "value": "egg,none"},
    put("Date", "day", value="28.02.2026"),
    put("Time", "hour", value="9:05"),
    put("Time", "seconds", value="09:05:30"),
)
CASES: dict[str, tuple[dict[str, Any], dict[str, Any], str | None]] = {
    "nothing is filled in": (EVERYTHING, {}, None),
    "everything is filled in": (
        EVERYTHING,
        {
            "name": "Bo",
            "note": "a\r\nb",
            "news": True,
            "size": "l",
            "shape": "s",
            "extras": ["egg", "ham"],
            "count": 3,
            "day": "2026-01-31",
            "hour": "14:30",
        },
        None,
    ),
    "the card's own values": (FILLED, {}, None),
    "changed values": (
        FILLED,
        {"name": "Bo", "news": False, "size": "s", "shape": "m", "extras": "olives", "count": "07"},
        None,
    ),
    "emptied inputs": (
        FILLED,
        {"name": "", "note": "", "extras": [], "count": "", "day": "", "hour": ""},
        None,
    ),
    "values and data of the same name": (BUTTONS, {}, "Merge"),
    "a button without inputs": (BUTTONS, {"name": "Bo"}, "Cancel"),
    "a button with all inputs": (BUTTONS, {"name": "Bo"}, "Auto"),
    "data that is a text": (BUTTONS, {}, "A text"),
    "data that is a text, with inputs": (BUTTONS, {}, "A text and inputs"),
    "data that is a list": (BUTTONS, {}, "A list"),
    "data that is null": (BUTTONS, {}, "Nothing"),
    "a universal action": (BUTTONS, {}, "Run"),
    "inputs in containers": (NESTED, {"right": True, "cell": "d"}, "Send"),
    "a button in the body": (NESTED, {"left": 7}, "In the body"),
    "a card with hidden cards": (SHOWN, {}, "Outer"),
    "a card that an action shows": (SHOWN, {"comment": "bad"}, "Inner"),
    "a card in a card in a card": (SHOWN, {"deep": False, "name": "Bo"}, "Innermost"),
    "untouched toggles": (ON_OFF, {}, None),
    "changed toggles": (ON_OFF, {"plain": "true", "named": "yes", "on": "0", "empty": True}, None),
    "numbers": (
        NUMBERS,
        dict(
            zip(
                "abcdefghij",
                (5, 5.0, "5.50", 1e21, 0.000001, 1.5e-7, -0.0, 12345678901234567890, 0.1, "-2"),
                strict=True,
            )
        ),
        None,
    ),
    "values within the limits": (LIMITS, {"count": 5, "day": "2026-01-01", "hour": "18:00"}, None),
    "limits without values": (LIMITS, {}, None),
    "a number above its limit": (LIMITS, {"count": 6}, None),
    "an empty number with limits": (LIMITS, {"count": ""}, None),
    "a date before its limit": (LIMITS, {"day": "2025-12-31"}, None),
    "a time after its limit": (LIMITS, {"hour": "18:01"}, None),
    "required inputs": (REQUIRED, {"name": "Ana", "terms": True}, "Send"),
    "an empty required input": (REQUIRED, {"terms": True}, "Send"),
    "a required toggle that is off": (REQUIRED, {"name": "Ana"}, "Send"),
    "a button without required inputs": (REQUIRED, {}, "Skip"),
    "the title of a suggestion": (FILTERED, {"size": "M"}, None),
    "the value of a suggestion": (FILTERED, {"size": "m"}, None),
    "a text that is not suggested": (FILTERED, {"size": "xl"}, None),
    "inputs that are hidden, unknown, doubled or malformed": (ODD, {}, None),
}


@pytest.fixture(scope="module")
def submitted() -> dict[str, Any]:
    """What the library submits in each case; None if it refuses."""
    cases = [{"card": card, "values": values, "title": title} for card, values, title in CASES.values()]
    return dict(zip(CASES, node("cards.mjs", cases)["submitted"], strict=True))


@pytest.mark.parametrize("name", CASES)
def test_a_card_is_submitted_as_the_library_of_webchat_submits_it(submitted: dict[str, Any], name: str) -> None:
    case = CASES[name]
    problem = submit_problem(*case)
    if submitted[name] is None:
        assert problem, "the library refuses to submit this"
    else:
        assert (problem, submission(*case)["data"]) == (
            None,
            {"adaptivecards": submitted[name], "request": {"value": submitted[name]}},
        )

"""Adaptive cards: their buttons, and the values that are refused. `test_interop_cards.py` checks what is sent."""

from typing import Any

import pytest
from test_cognigy import ready

from socketnb.dialects.cognigy.forms import adaptive, submission, submit_problem
from socketnb.dialects.messages import buttons
from socketnb.model.actions import Action
from socketnb.model.content import AdaptiveCard
from socketnb.model.effects import Emit, TurnDone

SEND = {"type": "Action.Submit", "title": "Send"}


def card(*body: Any, actions: Any = (SEND,)) -> dict[str, Any]:
    return {"type": "AdaptiveCard", "body": list(body), "actions": list(actions)}


def options(shown: dict[str, Any]) -> list[tuple[str, Any]]:
    """Return the label of each button, with its URL or the data that it sends."""
    parsed = adaptive(shown)
    assert parsed
    assert isinstance(parsed.content, AdaptiveCard)
    return [(each.label, each.url or (each.request or {})["data"]["adaptivecards"]) for each in parsed.content.options]


def test_the_buttons_of_a_card_include_those_in_its_body_and_on_its_elements() -> None:
    shown = card(
        {"type": "ActionSet", "actions": [{"type": "Action.Submit", "title": "Yes", "data": {"a": 1}}]},
        {"type": "Input.Text", "id": "q", "inlineAction": {"type": "Action.Submit", "title": "Find", "data": {"b": 2}}},
        {"type": "Image", "selectAction": {"type": "Action.OpenUrl", "url": "https://example.org/"}},
    )
    expected = [("Yes", {"a": 1}), ("Find", {"b": 2}), ("Open", "https://example.org/"), ("Send", {})]
    assert options(shown) == expected


def test_each_of_several_buttons_with_the_same_title_sends_its_own_data() -> None:
    actions = [{**SEND, "data": {"row": row}} for row in (1, 2)]
    assert options(card(actions=actions)) == [("Send", {"row": 1}), ("Send", {"row": 2})]


def test_a_card_that_an_action_shows_is_not_part_of_the_text() -> None:
    hidden = {"type": "Action.ShowCard", "title": "More", "card": card({"type": "TextBlock", "text": "hidden"})}
    parsed = adaptive(card({"type": "TextBlock", "text": "shown"}, {"type": "ActionSet", "actions": [hidden]}))
    assert parsed
    assert isinstance(parsed.content, AdaptiveCard)
    assert parsed.content.text == "shown"


NAME = {"type": "Input.Text", "id": "name", "isRequired": True}
SIZE = {"type": "Input.ChoiceSet", "id": "size", "choices": [{"title": "Small", "value": "s"}]}
EXTRAS = {**SIZE, "id": "extras", "isMultiSelect": "true"}
FORM = card(
    NAME,
    SIZE,
    EXTRAS,
    {"type": "Input.Toggle", "id": "news"},
    {"type": "Input.Number", "id": "count", "min": 1, "max": 5, "value": 1},
    {"type": "Input.Number", "id": "more", "min": 2, "value": 2},
    {"type": "Input.Date", "id": "day", "max": "2026-12-31"},
    {"type": "Input.Time", "id": "hour"},
)


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"name": "Ana"}, None),
        ({}, "the input 'name' is required"),
        (
            {"name": "Ana", "nmae": "Ana"},
            "the card has no input 'nmae'; available: count, day, extras, hour, more, name, news, size",
        ),
        ({"name": "Ana", "size": "xl"}, "the input 'size' has no choice 'xl'; available: s"),
        ({"name": "Ana", "extras": ["s", "xl"]}, "the input 'extras' has no choice 'xl'; available: s"),
        ({"name": "Ana", "news": "yes"}, "the input 'news' needs true or false"),
        ({"name": "Ana", "count": "two"}, "the input 'count' needs a number"),
        ({"name": "Ana", "count": 10**400}, "the input 'count' needs a number"),
        ({"name": "Ana", "count": 9}, "the input 'count' needs a value from 1 to 5"),
        ({"name": "Ana", "more": 1}, "the input 'more' needs a value of at least 2"),
        ({"name": "Ana", "day": "31.01.2026"}, "the input 'day' needs a date such as 2026-01-31"),
        ({"name": "Ana", "day": "2026-02-30"}, "the input 'day' needs a date such as 2026-01-31"),
        ({"name": "Ana", "day": "2027-01-01"}, "the input 'day' needs a value of at most 2026-12-31"),
        ({"name": "Ana", "hour": "25:00"}, "the input 'hour' needs a time such as 14:30"),
    ],
)
def test_a_value_that_webchat_does_not_submit_is_named(values: dict[str, Any], problem: str | None) -> None:
    assert submit_problem(FORM, values) == problem


def test_a_button_that_submits_no_inputs_ignores_their_values() -> None:
    shown = card(NAME, actions=[{**SEND, "associatedInputs": "none"}])
    assert submit_problem(shown, {"name": ""}) is None
    assert submission(shown, {"name": "Ana"})["data"] == {"adaptivecards": {}, "request": {"value": {}}}


def test_pressing_the_button_of_a_card_whose_required_input_is_empty_is_refused() -> None:
    client = ready()
    message = {"text": "", "data": {"_cognigy": {"_webchat": {"adaptiveCard": FORM}}}}
    client.received("output", {"type": "output", "data": message}, 0.0)
    parsed = adaptive(FORM)
    assert parsed
    (send,) = buttons(parsed.content)
    effects = client.act(1, Action("press", {"choice": send}), 0.0)
    reasons = [effect.reason for effect in effects if isinstance(effect, TurnDone)]
    assert reasons == ["the input 'name' is required: use `submit` with its values (nothing was sent)"]
    assert not [effect for effect in effects if isinstance(effect, Emit)]

"""Forms as the page is told of them: adaptive cards, date pickers, verbs. What a bot sends in them is hostile."""

import datetime as dt
import json
import re
from typing import Any

import pytest
from hostile import HOSTILE
from hypothesis import given
from hypothesis import strategies as st

from socketnb import render
from socketnb.dialects.registry import get
from socketnb.errors import ActionError
from socketnb.ui.panel import HERE, MODULES, bundle
from socketnb.ui.panel.forms import DEEPEST, MOST, adaptive, date_form, date_words, field_values, verb_forms

TODAY = dt.date(2026, 11, 20)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def test_a_card_is_told_part_by_part() -> None:
    card = {
        "body": [
            {"type": "TextBlock", "text": "**Sign** up", "size": "Large", "weight": "Bolder"},
            {"type": "ColumnSet", "columns": [{"items": [{"type": "Input.Text", "id": "a"}]}, {"items": []}]},
            {"type": "Container", "items": [{"type": "FactSet", "facts": [{"title": "From", "value": "<b>"}]}]},
            {"type": "Input.ChoiceSet", "id": "b", "choices": [{"title": "One", "value": "1"}], "isRequired": True},
            {"type": "Input.Toggle", "id": "c", "title": "Yes?", "valueOff": "no"},
            {"type": "TextBlock", "text": "hidden", "isVisible": False},
        ],
        "actions": [
            {"type": "Action.Submit", "title": "Send"},
            {
                "type": "Action.ShowCard",
                "title": "More",
                "card": {"body": [{"type": "Input.Number", "id": "d", "min": 1}]},
            },
        ],
    }
    words, columns, facts, choice, toggle, more = adaptive(card)
    assert words == {"html": '<div class="snb-large snb-bolder"><p><strong>Sign</strong> up</p>\n</div>'}
    assert [[part["id"] for part in column] for column in columns["columns"]] == [["a"], []]
    assert facts["html"] == '<dl class="snb-facts"><dt>From</dt><dd>&lt;b&gt;</dd></dl>'
    assert (choice["options"], choice["required"], choice["several"]) == ([["One", "1"]], True, False)
    assert (toggle["label"], toggle["on"], toggle["off"]) == ("Yes?", "true", "no")
    assert (more["more"], more["parts"][0]["input"], more["parts"][0]["min"]) == ("More", "number", "1")


@given(st.dictionaries(st.sampled_from(["body", "actions"]), ANYTHING))
def test_no_card_is_too_strange_to_be_told(card: dict[str, Any]) -> None:
    json.dumps(adaptive(card))


@given(
    st.dictionaries(st.sampled_from("eventName locale mode minDate enableTime noCalendar dateFormat".split()), ANYTHING)
)
def test_no_date_picker_is_too_strange_to_be_told(data: dict[str, Any]) -> None:
    json.dumps(date_form(data, TODAY))


def test_how_deep_and_how_long_a_card_is_told_is_not_the_bots_to_choose() -> None:
    deep: dict[str, Any] = {"type": "TextBlock", "text": "deepest"}
    for _ in range(DEEPEST + 1):
        deep = {"type": "Container", "items": [deep]}
    assert adaptive({"body": [deep]}) == []
    assert len(adaptive({"body": [{"type": "TextBlock", "text": "x"}] * 10_000})) == MOST


@pytest.mark.parametrize("bad", HOSTILE)
def test_hostile_words_in_a_card_become_words(bad: str) -> None:
    parts = adaptive(
        {"body": [{"type": "TextBlock", "text": bad, "size": bad}, {"type": "Image", "url": bad, "altText": bad}]}
    )
    html = "".join(part.get("html", "") for part in parts)
    assert not re.search(r"<(?!/?(a|b|blockquote|br|code|del|div|em|h[1-4]|hr|i|img|li|ol|p|pre|s|strong|ul)\b)", html)
    assert not re.search(r"<[^>]*\son\w+=", html)
    assert "javascript:" not in "".join(re.findall(r'(?:href|src)="([^"]*)"', html))


@pytest.mark.parametrize(
    ("data", "kind", "limits"),
    [
        ({"minDate": "today", "maxDate": "tomorrow"}, "date", ("2026-11-20", "2026-11-21")),
        ({"enableTime": "true", "minDate": "2026-12-24T18:30"}, "datetime-local", ("2026-12-24T18:30", "")),
        ({"noCalendar": True, "enableTime": True, "minDate": "today"}, "time", ("", "")),
        ({"minDate": "soon"}, "date", ("", "")),
    ],
)
def test_a_date_picker_has_its_kind_and_its_limits(data: dict[str, Any], kind: str, limits: tuple[str, str]) -> None:
    form = date_form(data, TODAY)
    assert (form["kind"], (form["min"], form["max"])) == (kind, limits)


@pytest.mark.parametrize(
    ("data", "values", "words"),
    [
        ({}, ["2026-11-20"], "2026-11-20"),
        ({"locale": "de"}, ["2026-11-20"], "20.11.2026"),
        ({"locale": "us", "enableTime": True}, ["2026-11-20T09:05"], "11/20/2026 09:05"),
        ({"mode": "range", "locale": "gb"}, ["2026-11-20", "2026-11-22"], "20/11/2026 to 22/11/2026"),
        ({"mode": "multiple"}, ["2026-11-20", "2026-11-22"], "2026-11-20, 2026-11-22"),
        ({"dateFormat": "D, d M y"}, ["2026-11-20"], "Fri, 20 Nov 26"),
        ({"noCalendar": True, "enableTime": True}, ["09:05"], "09:05"),
    ],
)
def test_dates_are_answered_as_the_picker_shows_them(data: dict[str, Any], values: list[str], words: str) -> None:
    assert date_words(data, values) == words


@pytest.mark.parametrize("values", [[], [""], ["2026-11-20", "never"]])
def test_no_date_is_no_answer(values: list[str]) -> None:
    with pytest.raises(ActionError, match="choose a date"):
        date_words({}, values)


def test_a_verb_is_told_with_its_fields_and_its_texts_become_values() -> None:
    verbs = get("cognigy").verbs
    forms = {form["verb"]: form for form in verb_forms(verbs)}
    assert "press" not in forms
    assert forms["data"]["fields"][0] == {
        "name": "data",
        "type": "dict",
        "required": True,
        "placeholder": '{"key": "value"}',
    }
    assert field_values("data", verbs["data"], {"data": '{"a": 1}', "text": ""}) == {"data": {"a": 1}}
    assert field_values("attach", get("eusate").verbs["attach"], {"files": "https://x/a.pdf\n"}) == {
        "files": ["https://x/a.pdf"]
    }


@given(st.from_regex(render.PLAIN, fullmatch=True))
def test_plain_words_are_shown_as_markdown_would_show_them(words: str) -> None:
    plain, render.PLAIN = render.PLAIN, re.compile("(?!)")
    try:
        slow = render.markdown(words)
    finally:
        render.PLAIN = plain
    assert render.markdown(words) == slow


def test_the_page_is_one_text_without_imports_and_with_one_export() -> None:
    text = bundle()
    assert not re.search(r"^import ", text, re.MULTILINE)
    assert re.findall(r"^export .*", text, re.MULTILINE) == ["export default { render };"]
    names = re.findall(r"^(?:async )?(?:function|class|const|let) (\w+)", text, re.MULTILINE)
    assert sorted(names) == sorted(set(names)), "one name, one meaning, in all modules"
    assert set(MODULES) == {file.name for file in HERE.glob("*.js")}

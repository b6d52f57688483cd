"""Forms as data for the page: adaptive cards, date pickers and verbs. Everything a bot sends in them is untrusted."""

import datetime as dt
import json
import re
from typing import Any

import pytest
from hostile import HOSTILE
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from socketnb import render
from socketnb.dialects.registry import get
from socketnb.errors import ActionError
from socketnb.model.actions import Field, Verb
from socketnb.model.content import DatePicker
from socketnb.ui.panel import MODULES, PAGE_FOLDER, bundle
from socketnb.ui.panel.forms import MAX_DEPTH, MAX_PARTS, card_parts, date_form, date_text, field_values, verb_forms

TODAY = dt.date(2026, 11, 20)
ON_A_BUSY_MACHINE = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def test_a_card_becomes_a_list_of_parts() -> None:
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
    text, columns, facts, choice, toggle, more = card_parts(card)
    assert text == {"html": '<div class="snb-large snb-bolder"><p><strong>Sign</strong> up</p>\n</div>'}
    assert [[part["id"] for part in column] for column in columns["columns"]] == [["a"], []]
    assert facts["html"] == '<dl class="snb-facts"><dt>From</dt><dd>&lt;b&gt;</dd></dl>'
    assert (choice["options"], choice["required"], choice["multiple"]) == ([["One", "1"]], True, False)
    assert (toggle["label"], toggle["on"], toggle["off"]) == ("Yes?", "true", "no")
    assert (more["summary"], more["parts"][0]["input"], more["parts"][0]["min"]) == ("More", "number", "1")


@ON_A_BUSY_MACHINE
@given(st.dictionaries(st.sampled_from(["body", "actions"]), ANY_JSON))
def test_a_malformed_card_is_no_error(card: dict[str, Any]) -> None:
    json.dumps(card_parts(card))


@ON_A_BUSY_MACHINE
@given(st.builds(DatePicker, st.text(), st.sampled_from(["date", "datetime", "time"]), value=st.text()), st.text())
def test_a_date_picker_with_malformed_limits_is_no_error(picker: DatePicker, limit: str) -> None:
    json.dumps(date_form(picker, TODAY))
    json.dumps(date_form(DatePicker(earliest=limit, latest=limit), TODAY))


def test_a_bot_cannot_make_a_card_deeper_or_longer_than_the_limits() -> None:
    deep: dict[str, Any] = {"type": "TextBlock", "text": "deepest"}
    for _ in range(MAX_DEPTH + 1):
        deep = {"type": "Container", "items": [deep]}
    assert card_parts({"body": [deep]}) == []
    assert len(card_parts({"body": [{"type": "TextBlock", "text": "x"}] * 10_000})) == MAX_PARTS
    long = json.dumps(card_parts({"body": [{"type": "TextBlock", "text": "x" * 9_000}] * 100}))
    assert len(long) < 2 * render.MAX_MESSAGE_CHARS


@pytest.mark.parametrize("bad", HOSTILE)
def test_untrusted_text_in_a_card_is_sanitised(bad: str) -> None:
    parts = card_parts(
        {"body": [{"type": "TextBlock", "text": bad, "size": bad}, {"type": "Image", "url": bad, "altText": bad}]}
    )
    html = "".join(part.get("html", "") for part in parts)
    assert not re.search(r"<(?!/?(a|b|blockquote|br|code|del|div|em|h[1-4]|hr|i|img|li|ol|p|pre|s|strong|ul)\b)", html)
    assert not re.search(r"<[^>]*\son\w+=", html)
    assert "javascript:" not in "".join(re.findall(r'(?:href|src)="([^"]*)"', html))


@pytest.mark.parametrize(
    ("picker", "input_type", "limits"),
    [
        (DatePicker(earliest="today", latest="tomorrow"), "date", ("2026-11-20", "2026-11-21")),
        (DatePicker(earliest="yesterday", latest="2026-12-24T18:30"), "date", ("2026-11-19", "2026-12-24")),
        (DatePicker(unit="datetime", earliest="2026-12-24T18:30"), "datetime-local", ("2026-12-24T18:30", "")),
        (DatePicker(unit="time", earliest="today"), "time", ("", "")),
        (DatePicker(earliest="soon"), "date", ("", "")),
    ],
)
def test_a_date_picker_has_an_input_type_and_limits(
    picker: DatePicker, input_type: str, limits: tuple[str, str]
) -> None:
    form = date_form(picker, TODAY)
    assert (form["input"], (form["min"], form["max"])) == (input_type, limits)


@pytest.mark.parametrize(
    ("picker", "values", "text"),
    [
        (DatePicker(), ["2026-11-20"], "2026-11-20"),
        (DatePicker(pattern="d.m.Y"), ["2026-11-20"], "20.11.2026"),
        (DatePicker(unit="datetime", pattern="m/d/Y H:i"), ["2026-11-20T09:05"], "11/20/2026 09:05"),
        (DatePicker(mode="range", pattern="d/m/Y"), ["2026-11-22", "2026-11-20"], "20/11/2026 to 22/11/2026"),
        (DatePicker(mode="multiple"), ["2026-11-20", "", "2026-11-22"], "2026-11-20, 2026-11-22"),
        (DatePicker(pattern="D, d M y"), ["2026-11-20"], "Fri, 20 Nov 26"),
        (DatePicker(pattern=r"\d j.n."), ["2026-11-02"], "d 2.11."),
        (DatePicker(unit="time", pattern="H:i"), ["09:05"], "09:05"),
    ],
)
def test_a_date_is_written_in_the_pattern_of_its_picker(picker: DatePicker, values: list[str], text: str) -> None:
    assert date_text(picker, values) == text


@pytest.mark.parametrize("values", [[], [""], ["2026-11-20", "never"]])
def test_a_missing_or_malformed_date_is_an_error(values: list[str]) -> None:
    with pytest.raises(ActionError, match="choose a date"):
        date_text(DatePicker(), values)


def test_a_range_needs_two_dates() -> None:
    with pytest.raises(ActionError, match="choose a date"):
        date_text(DatePicker(mode="range"), ["2026-11-20"])


def test_a_verb_becomes_a_form_and_its_texts_become_values() -> None:
    verbs = get("cognigy").verbs
    forms = {form["verb"]: form for form in verb_forms(verbs)}
    assert not {"press", "submit", "date"} & forms.keys(), "the panel has other controls for them"
    assert forms["data"]["fields"][0] == {
        "name": "data",
        "type": "dict",
        "required": True,
        "long": True,
        "stars": False,
        "placeholder": '{"key": "value"}',
    }
    assert field_values("data", verbs["data"], {"data": '{"a": 1}', "text": ""}) == {"data": {"a": 1}}
    assert field_values("attach", get("eusate").verbs["attach"], {"files": "https://x/a.pdf\n"}) == {
        "files": ["https://x/a.pdf"]
    }


def test_the_inputs_of_a_field_follow_from_its_description() -> None:
    verb = Verb("rate it", (Field("score", int, stars=True), Field("why", str, long=True)), after_close=True)
    (form,) = verb_forms({"judge": verb})
    assert form["after_close"]
    assert [(field["stars"], field["long"]) for field in form["fields"]] == [(True, False), (False, True)]


@ON_A_BUSY_MACHINE
@given(st.from_regex(render.PLAIN, fullmatch=True))
def test_plain_text_needs_no_markdown_parser(text: str) -> None:
    plain, render.PLAIN = render.PLAIN, re.compile("(?!)")
    try:
        parsed = render.markdown(text)
    finally:
        render.PLAIN = plain
    assert render.markdown(text) == parsed


def test_the_page_is_one_module_without_imports_and_with_one_export() -> None:
    text = bundle()
    assert not re.search(r"^import ", text, re.MULTILINE)
    assert re.findall(r"^export .*", text, re.MULTILINE) == ["export default { render };"]
    names = re.findall(r"^(?:async )?(?:function|class|const|let) (\w+)", text, re.MULTILINE)
    assert sorted(names) == sorted(set(names)), "the modules share one namespace"
    assert set(MODULES) == {file.name for file in PAGE_FOLDER.glob("*.js")}

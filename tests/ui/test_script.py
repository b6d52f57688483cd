"""The parser of cells and terminal lines, without a session."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from socketnb.errors import ActionError
from socketnb.model.actions import Field, Verb
from socketnb.model.content import Choice
from socketnb.model.secret import Secret
from socketnb.ui import script
from socketnb.ui.expectation import Reply, got, is_met
from socketnb.ui.script import Act, Expect, Say, Wait

VERBS = {
    "launch": Verb("start"),
    "press": Verb("press a button", (Field("choice", Choice),)),
    "event": Verb("an event", (Field("name", str),)),
    "data": Verb("send data", (Field("data", object), Field("text", str, required=False))),
    "intent": Verb("an intent", (Field("name", str), Field("entities", list, required=False))),
    "review": Verb("rate", (Field("rating", int), Field("review", str, required=False))),
    "upload": Verb("send a file", (Field("file", Path), Field("text", str, required=False))),
    "typing": Verb("show that you type", (Field("on", bool, required=False),)),
}


def test_each_line_that_is_not_empty_is_a_message() -> None:
    assert script.parse_steps("one\n\n  two \n \nthree\n") == [Say(1, "one"), Say(3, "  two "), Say(5, "three")]


def test_a_backslash_at_the_end_continues_the_message_in_the_next_line() -> None:
    assert script.parse_steps("one \\\ntwo\\\nthree\nfour") == [Say(1, "one twothree"), Say(4, "four")]


def test_a_backslash_at_the_end_of_the_cell_is_sent() -> None:
    assert script.parse_steps("one\\\n") == [Say(1, "one\\")]


def test_lines_between_fences_are_one_unchanged_message() -> None:
    body = 'before\n"""\n/launch\n\n  ?? two \\\n# three\n"""\nafter'
    assert script.parse_steps(body, comments=True) == [
        Say(1, "before"),
        Say(2, "/launch\n\n  ?? two \\\n# three"),
        Say(8, "after"),
    ]


@given(st.text(alphabet="{}$%'\"`\\#/?!\n 😀a", min_size=1))
def test_a_whole_body_is_one_message_unchanged(body: str) -> None:
    assert script.parse_steps(body, whole=True) == [Say(1, body.removesuffix("\n"))]


@given(st.text(alphabet="{}$%'\"\\😀 a", min_size=1).filter(lambda line: line.strip() not in ("", '"""')))
def test_a_line_is_one_unchanged_message(line: str) -> None:
    assert script.parse_steps(f"{line}\n") == [Say(1, line)]


def test_verbs_waits_expectations_and_literal_slashes_are_recognised() -> None:
    body = "/launch\n/press Track order\n/wait 0.5\n//launch\n???\n?? Saturday\n??Sunday\n?? /Mon.ay/"
    assert script.parse_steps(body) == [
        Act(1, "", "launch"),
        Act(2, "Track order", "press"),
        Wait(3, "0.5"),
        Say(4, "/launch"),
        Say(5, "???"),
        Expect(6, "Saturday"),
        Expect(7, "Sunday"),
        Expect(8, "/Mon.ay/"),
    ]


def test_lines_can_end_as_on_windows() -> None:
    assert script.parse_steps("one \\\r\ntwo\r\n/launch\r\n") == [Say(1, "one two"), Act(3, "", "launch")]


def test_a_regular_expression_that_takes_too_long_is_abandoned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socketnb.ui.expectation.REGEX_TIMEOUT_S", 0.05)
    with pytest.raises(ActionError, match=r"took more than 0.05 s; use a simpler regular expression"):
        is_met("/^(a|aa)+$/", Reply("a" * 80 + "b", []))


def test_comments_are_ignored_only_if_enabled() -> None:
    assert script.parse_steps("# hi\nyou") == [Say(1, "# hi"), Say(2, "you")]
    assert script.parse_steps("# hi\nyou", comments=True) == [Say(2, "you")]


def test_placeholders_are_replaced_only_if_enabled() -> None:
    assert script.parse_steps("{{n}}") == [Say(1, "{{n}}")]
    filled = script.parse_steps("{{n}} and {{ n }}, {n}\n/event {{n}}\n?? {{n}}", variables={"n": 7})
    assert filled == [Say(1, "7 and 7, {n}"), Act(2, "7", "event"), Expect(3, "7")]


def test_the_value_of_a_variable_is_never_parsed() -> None:
    assert script.parse_steps("{{x}}", variables={"x": "/launch\n?? no"}) == [Say(1, "/launch\n?? no")]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ('hi\n"""\nopen', 'line 2: no line with """ ends the message that begins here (nothing was sent)'),
        (
            "hi\n/ launch",
            "line 2: a verb must follow /; to send a message that begins with /, type // (nothing was sent)",
        ),
        (
            "?? first",
            "line 1: ?? checks the reply to the step before it, and no step comes before it (nothing was sent)",
        ),
        ("hi\n?? /(/", "line 2: /(/ is not a valid regular expression (missing )"),
        ("/wait", "line 1: /wait needs a number of seconds, as in /wait 2, got '' (nothing was sent)"),
        ("/wait nan", "line 1: /wait needs a number of seconds, as in /wait 2, got 'nan'"),
        ("/wait 1e9", "line 1: /wait needs a number of seconds"),
        ("hi {{key}}", "line 1: variable 'key' contains a credential, which must not be sent (nothing was sent)"),
        ("hi {{config}}", "line 1: variable 'config' contains a credential, which must not be sent"),
        ("hi {{key.reveal()}}", "line 1: {{key.reveal()}} must contain only the name of a variable (nothing was sent)"),
        ("hi\n?? ", 'line 2: ?? needs the expected words; to send ?? itself, put it between """'),
        ("hi\n?? /a{99999999999999999999}/", "line 2: /a{99999999999999999999}/ is not a valid regular expression"),
        ("hi\n{{nobody}}", "line 2: the notebook has no variable 'nobody' for {{nobody}} (nothing was sent)"),
    ],
)
def test_an_invalid_line_is_one_sentence_with_its_number(body: str, message: str) -> None:
    variables = {"key": Secret("hush-hush"), "config": {"key": "hush-hush"}}
    with pytest.raises(ActionError) as caught:
        script.parse_steps(body, variables=variables, has_credential=lambda text: "hush" in text)
    assert str(caught.value).startswith(message)
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    ("pattern", "reply", "matches"),
    [
        ("Saturday", "Monday to Saturday", True),
        ("saturday", "Monday to Saturday", False),
        ("/^Mon.*day$/", "Monday to Saturday", True),
        ("/saturday/i", "Monday to Saturday", True),
        ("/^bye$/", "hello\nbye", True),
        ("/", "1/2", True),
        ("//", "a // b", True),
        ("a.c", "abc", False),
    ],
)
def test_an_expectation_matches_a_reply_or_not(pattern: str, reply: str, matches: bool) -> None:  # noqa: FBT001
    assert is_met(pattern, Reply(reply, [])) is matches


@pytest.mark.parametrize(
    ("verb", "text", "values"),
    [
        ("launch", "", {}),
        ("press", "Track order", {"choice": "Track order"}),
        ("press", "a=b c", {"choice": "a=b c"}),
        ("press", "choice=Track order", {"choice": "Track order"}),
        ("event", "checkout", {"name": "checkout"}),
        ("event", '"two words"', {"name": "two words"}),
        ("event", 'the "big" one', {"name": 'the "big" one'}),
        ("data", '{"a": 1}', {"data": {"a": 1}}),
        ("data", '{"a": "} x"} and words', {"data": {"a": "} x"}, "text": "and words"}),
        ("data", 'text=some words data={"a": 1}', {"text": "some words", "data": {"a": 1}}),
        ("data", "[1, 2]", {"data": [1, 2]}),
        ("intent", "track", {"name": "track"}),
        (
            "intent",
            'name=track my order entities=[{"name": "n"}]',
            {"name": "track my order", "entities": [{"name": "n"}]},
        ),
        ("review", "5 quick and friendly", {"rating": 5, "review": "quick and friendly"}),
        ("review", "rating=5 review=quick and friendly", {"rating": 5, "review": "quick and friendly"}),
        ("review", "5", {"rating": 5}),
        ("upload", '"my file.txt" look', {"file": "my file.txt", "text": "look"}),
        ("upload", "a.txt look here", {"file": "a.txt", "text": "look here"}),
        ("typing", "no", {"on": False}),
        ("typing", "", {}),
    ],
)
def test_fields_are_typed_in_order_or_by_name(verb: str, text: str, values: dict[str, Any]) -> None:
    assert script.parse_fields(verb, VERBS, text) == values


@given(
    st.dictionaries(st.text(), st.integers() | st.text() | st.lists(st.booleans())),
    st.text(alphabet="{}= ab", min_size=1),
)
def test_json_is_parsed_completely_and_the_next_field_follows_it(data: dict[str, Any], text: str) -> None:
    values = script.parse_fields("data", VERBS, f"{json.dumps(data)} text={text}")
    assert values == {"data": data, **({"text": text.strip()} if text.strip() else {"text": ""})}


@pytest.mark.parametrize(
    ("verb", "text", "message"),
    [
        ("lunch", "", "unknown verb 'lunch'; did you mean 'launch'?"),
        ("launch", "now", "launch takes no fields, got 'now'"),
        ("press", "", "press needs choice; usage: /press choice"),
        ("review", "five", "review: rating must be a whole number of at least 0, got 'five'"),
        ("review", "5 reviw=nice", "unknown review field 'reviw'; did you mean 'review'?"),
        ("review", "rating=5 rating=4", "review: rating is given twice"),
        ("review", "review=nice", "review needs rating; usage: /review rating [review]"),
        ("data", "{'a': 1}", "data: data must be JSON: Expecting property name"),
        ("data", "hello", "data: data must be JSON"),
        ("data", '{"a": NaN}', "data: data must be JSON: NaN is not valid JSON"),
        ("typing", "perhaps", "typing: on must be True or False, got 'perhaps'"),
        ("typing", "yes on=no", "typing: on must be True or False, got 'yes on=no'"),
    ],
)
def test_an_invalid_field_is_one_sentence(verb: str, text: str, message: str) -> None:
    with pytest.raises(ActionError) as caught:
        script.parse_fields(verb, VERBS, text)
    assert str(caught.value).startswith(message)


DATA: Any = [{"total": 3}, {"order": {"id": 4567, "open": True, "note": "a = b", "items": [{"name": "boots"}, "1"]}}]


@pytest.mark.parametrize(
    ("expected", "met"),
    [
        ("data.order.id = 4567", True),
        ("data.order.id=4567", True),
        ("data.order.id == 4567", True),
        ("data.order.id = 4568", False),
        ("data.order.id = true", False),
        ("data.order.open = true", True),
        ("data.order.open = 1", False),
        ("data.order.items.0.name = boots", True),
        ('data.order.items.0.name = "boots"', True),
        ('data.order.items.0 = {"name": "boots"}', True),
        ("data.order.items.1 = 1", True),
        ("data.order.items.2 = 1", False),
        ("data.order.note = a = b", True),
        ("data.total = 3.0", True),
        ("data.order.nothing = null", False),
        ("data", False),
        ("data.order.id", False),
    ],
)
def test_an_expectation_checks_a_value_in_the_data_of_a_reply(expected: str, *, met: bool) -> None:
    assert is_met(expected, Reply("", DATA)) is met


@pytest.mark.parametrize(
    ("data", "actual"),
    [
        (DATA, "data.order.id = 4567"),
        ([{"order": {}}], 'data = {"order": {}}'),
        ([], "no data"),
    ],
)
def test_a_failed_expectation_of_data_shows_the_actual_value(data: Any, actual: str) -> None:
    assert got("data.order.id = 1", Reply("some words", data)) == actual
    assert got("words", Reply("some words", data)) == "some words"

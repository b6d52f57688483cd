"""What is typed in a cell, as steps: pure, without a session."""

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


def test_each_line_that_is_not_empty_is_said() -> None:
    assert script.steps("one\n\n  two \n \nthree\n") == [Say(1, "one"), Say(3, "  two "), Say(5, "three")]


def test_a_backslash_at_the_end_goes_on_in_the_next_line() -> None:
    assert script.steps("one \\\ntwo\\\nthree\nfour") == [Say(1, "one twothree"), Say(4, "four")]


def test_a_backslash_at_the_end_of_the_cell_is_a_backslash() -> None:
    assert script.steps("one\\\n") == [Say(1, "one\\")]


def test_lines_between_fences_are_one_message_as_they_stand() -> None:
    body = 'before\n"""\n/launch\n\n  ?? two \\\n# three\n"""\nafter'
    assert script.steps(body, comments=True) == [
        Say(1, "before"),
        Say(2, "/launch\n\n  ?? two \\\n# three"),
        Say(8, "after"),
    ]


@given(st.text(alphabet="{}$%'\"`\\#/?!\n 😀a", min_size=1))
def test_a_whole_body_is_one_message_unchanged(body: str) -> None:
    assert script.steps(body, whole=True) == [Say(1, body.removesuffix("\n"))]


@given(st.text(alphabet="{}$%'\"\\😀 a", min_size=1).filter(lambda line: line.strip() not in ("", '"""')))
def test_a_line_is_said_unchanged(line: str) -> None:
    assert script.steps(f"{line}\n") == [Say(1, line)]


def test_verbs_waits_expectations_and_literal_slashes_are_told_apart() -> None:
    body = "/launch\n/press Track order\n/wait 0.5\n//launch\n???\n?? Saturday\n??Sunday\n?? /Mon.ay/"
    assert script.steps(body) == [
        Act(1, "", "launch"),
        Act(2, "Track order", "press"),
        Wait(3, "0.5"),
        Say(4, "/launch"),
        Say(5, "???"),
        Expect(6, "Saturday"),
        Expect(7, "Sunday"),
        Expect(8, "/Mon.ay/"),
    ]


def test_a_line_may_end_as_on_windows() -> None:
    assert script.steps("one \\\r\ntwo\r\n/launch\r\n") == [Say(1, "one two"), Act(3, "", "launch")]


def test_a_regular_expression_that_takes_for_ever_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(script, "PATIENCE", 0.05)
    with pytest.raises(ActionError, match="takes more than 0.05 s to look for"):
        Expect(1, "/^(a|aa)+$/").met("a" * 80 + "b")


def test_comments_are_left_out_only_when_asked_for() -> None:
    assert script.steps("# hi\nyou") == [Say(1, "# hi"), Say(2, "you")]
    assert script.steps("# hi\nyou", comments=True) == [Say(2, "you")]


def test_names_are_filled_in_only_when_asked_for() -> None:
    assert script.steps("{{n}}") == [Say(1, "{{n}}")]
    filled = script.steps("{{n}} and {{ n }}, {n}\n/event {{n}}\n?? {{n}}", names={"n": 7})
    assert filled == [Say(1, "7 and 7, {n}"), Act(2, "7", "event"), Expect(3, "7")]


def test_what_is_filled_in_is_never_read_as_a_verb_or_as_more_lines() -> None:
    assert script.steps("{{x}}", names={"x": "/launch\n?? no"}) == [Say(1, "/launch\n?? no")]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ('hi\n"""\nopen', 'line 2: """ begins a message that no later """ ends; nothing was sent'),
        ("hi\n/ launch", "line 2: /verb does something, and // says a line that begins with /; nothing was sent"),
        ("?? first", "line 1: ?? checks the reply of a turn, and there is none before it; nothing was sent"),
        ("hi\n?? /(/", "line 2: /(/ is no regular expression"),
        ("/wait", "line 1: /wait takes seconds, as in /wait 2, not ''"),
        ("/wait nan", "line 1: /wait takes seconds, as in /wait 2, not 'nan'"),
        ("/wait 1e9", "line 1: /wait takes seconds"),
        ("hi {{key}}", "line 1: 'key' has a credential in it, which is not said; nothing was sent"),
        ("hi {{config}}", "line 1: 'config' has a credential in it, which is not said; nothing was sent"),
        ("hi {{key.reveal()}}", "line 1: {{key.reveal()}} is no name: give what it stands for one; nothing was sent"),
        ("hi\n?? ", "line 2: ?? is followed by what is expected"),
        ("hi\n?? /a{99999999999999999999}/", "line 2: /a{99999999999999999999}/ is no regular expression"),
        ("hi\n{{nobody}}", "line 2: the notebook has no 'nobody' for {{nobody}}; nothing was sent"),
    ],
)
def test_what_cannot_be_read_is_one_sentence_with_its_line(body: str, said: str) -> None:
    names = {"key": Secret("hush-hush"), "config": {"key": "hush-hush"}}
    with pytest.raises(ActionError) as caught:
        script.steps(body, names=names, secret=lambda said: "hush" in said)
    assert str(caught.value).startswith(said)
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    ("pattern", "reply", "met"),
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
def test_a_reply_is_as_expected_or_not(pattern: str, reply: str, met: bool) -> None:  # noqa: FBT001
    assert Expect(1, pattern).met(reply) is met


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
def test_a_verbs_fields_are_typed_in_order_or_by_name(verb: str, text: str, values: dict[str, Any]) -> None:
    assert script.fields(verb, VERBS, text) == values


@given(
    st.dictionaries(st.text(), st.integers() | st.text() | st.lists(st.booleans())),
    st.text(alphabet="{}= ab", min_size=1),
)
def test_any_json_is_read_whole_and_what_follows_it_is_the_next_field(data: dict[str, Any], text: str) -> None:
    values = script.fields("data", VERBS, f"{json.dumps(data)} text={text}")
    assert values == {"data": data, **({"text": text.strip()} if text.strip() else {"text": ""})}


@pytest.mark.parametrize(
    ("verb", "text", "said"),
    [
        ("lunch", "", "unknown verb 'lunch'; did you mean 'launch'?"),
        ("launch", "now", "launch takes nothing, and this is left over: 'now'"),
        ("press", "", "press needs choice: /press choice"),
        ("review", "five", "review: rating must be a whole number of at least 0, got 'five'"),
        ("review", "5 reviw=nice", "unknown review field 'reviw'; did you mean 'review'?"),
        ("review", "rating=5 rating=4", "review: rating is given twice"),
        ("review", "review=nice", "review needs rating: /review rating [review]"),
        ("data", "{'a': 1}", "data: data is JSON, and this is not: Expecting property name"),
        ("data", "hello", "data: data is JSON, and this is not"),
        ("data", '{"a": NaN}', "data: data is JSON, and this is not: NaN is no JSON"),
        ("typing", "perhaps", "typing: on must be True or False, got 'perhaps'"),
        ("typing", "yes on=no", "typing: on must be True or False, got 'yes on=no'"),
    ],
)
def test_a_wrong_field_is_one_sentence(verb: str, text: str, said: str) -> None:
    with pytest.raises(ActionError) as caught:
        script.fields(verb, VERBS, text)
    assert str(caught.value).startswith(said)

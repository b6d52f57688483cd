"""Entries of a transcript: the numbers of buttons, the names of agents, and the traces of a conversation."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from socketnb.dialects import registry
from socketnb.dialects.base import Facts
from socketnb.dialects.entries import entries, in_conversation
from socketnb.model.json import as_dict
from socketnb.model.trace import SCHEMA, Trace
from socketnb.render import transcript_html, transcript_markdown, transcript_text


def traces(*rows: dict[str, Any]) -> list[Trace]:
    """Return traces. Each row gives what differs from a bot's text in turn 1."""
    common: dict[str, Any] = {name: column.blank for name, column in SCHEMA.items()}
    common |= {"platform": "voiceflow", "turn": 1, "direction": "in", "sender": "bot", "kind": "text", "payload": "{}"}
    common |= {"event": "action.trace", "elapsed_ms": 1.0}
    return [Trace(**{**common, "seq": n, **row}) for n, row in enumerate(rows)]


def content(kind: str, name: str, **payload: Any) -> dict[str, Any]:
    return {"kind": kind, "payload": json.dumps({"trace": {"type": name, "payload": payload}})}


def text(words: str, **fields: Any) -> dict[str, Any]:
    return content("text", "text", message=words) | {"text": words} | fields


def buttons(*labels: str) -> list[dict[str, Any]]:
    return [{"name": label, "request": {"type": f"path-{label}"}} for label in labels]


def choices(*labels: str, **fields: Any) -> dict[str, Any]:
    return content("choices", "choice", buttons=buttons(*labels)) | fields


def card(title: str, *labels: str) -> dict[str, Any]:
    return {"title": title, "description": {"text": "nice"}, "buttons": buttons(*labels)}


def action(words: str, kind: str = "text", **fields: Any) -> dict[str, Any]:
    request: dict[str, Any] = {"type": kind}
    request |= {"payload": words} if kind == "text" else {}
    request |= {"payload": {kind: {"name": words}}} if kind in ("event", "intent") else {}
    sent = {"kind": "action", "event": "action.send", "direction": "out", "sender": "user", "text": words or None}
    return sent | {"payload": json.dumps({"action": request})} | fields


def test_buttons_are_numbered_over_the_whole_turn_and_cards_count() -> None:
    carousel = content("carousel", "carousel", cards=[card("Shoes", "Buy", "More"), card("Hat", "Buy")])
    rows = traces(action("hi"), choices("A", "B"), carousel, choices("C"))
    assert transcript_text(rows).splitlines() == [
        "user:  hi",
        "bot:   [1] A  [2] B",
        "bot:   Shoes",
        "       nice  [3] Buy  [4] More",
        "       Hat",
        "       nice  [5] Buy",
        "bot:   [6] C",
    ]
    assert "[6] C" in transcript_markdown(rows)


def test_the_reply_to_the_next_turn_starts_the_numbers_again_and_unsolicited_messages_do_not() -> None:
    late = {"elapsed_ms": float("nan")}
    rows = traces(
        choices("A"),
        choices("B", **late),
        choices("C", turn=0, **late),
        action("again", turn=2),
        choices("D", turn=1, **late),
        text("hi", turn=2),
        choices("E", turn=2),
        choices("F", turn=1),
    )
    assert [entry.first for entry in entries(rows) if entry.message and entry.message.choices] == [1, 2, 3, 4, 1, 2]


def test_actions_other_than_texts_and_presses_are_marked_with_their_verb() -> None:
    rows = traces(
        action("", "launch"),
        action("order_placed", "event"),
        action("track", "intent"),
        action("hi"),
        action("", "end"),
    )
    assert transcript_text(rows).splitlines() == [
        "user:  (launch)",
        "user:  (event) order_placed",
        "user:  (intent) track",
        "user:  hi",
        "user:  (end)",
    ]
    assert "<em>event</em> order_placed" in transcript_html(rows)


def test_a_review_is_marked() -> None:
    review = {"ticket_chat_id": "c1", "rating": "5", "review": "very kind"}
    fields = {"kind": "action", "direction": "out", "sender": "user", "text": "5 very kind"}
    row = {"platform": "eusate", "event": "review_support", "payload": json.dumps(review), **fields}
    assert transcript_text(traces(row)) == "user:  (review) 5 very kind"


@pytest.fixture
def telling(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the field `agent` of a payload be the name of the agent, and the field `data` the data of a message."""

    def facts(_event: str, payload: Any) -> Facts | None:
        name = as_dict(payload).get("agent")
        return Facts(agent=name) if isinstance(name, str) else None

    dialect = replace(registry.get("voiceflow"), facts=facts, data=lambda _, payload: as_dict(payload).get("data"))
    monkeypatch.setattr("socketnb.dialects.registry.get", lambda _name: dialect)


@pytest.mark.usefixtures("telling")
def test_agents_are_shown_with_their_names() -> None:
    handler = {"kind": "handler", "sender": "system", "text": "you are now chatting with Ada", "conversation": "c1"}
    rows = traces(
        text("who?", sender="agent", conversation="c1"),
        handler | {"payload": '{"agent": "Ada"}'},
        text("hello", sender="agent", conversation="c1"),
        text("hi", sender="agent", conversation="c2"),
        text("bye", conversation="c1"),
    )
    assert transcript_text(rows).splitlines() == [
        "agent: who?",
        "--     you are now chatting with Ada",
        "agent Ada: hello",
        "agent: hi",
        "bot:   bye",
    ]
    assert "**agent Ada:** hello" in transcript_markdown(rows)
    assert "agent Ada</small>" in transcript_html(rows)


@pytest.mark.usefixtures("telling")
def test_a_message_is_followed_by_its_data() -> None:
    payload = {"trace": {"type": "text", "payload": {"message": "hi"}}, "data": {"id": "<b>" + "x" * 1_000}}
    rows = traces(text("hi") | {"payload": json.dumps(payload)})
    first, second = transcript_text(rows).splitlines()
    assert first == "bot:   hi"
    assert second.startswith('       data: {"id": "<b>xxx')
    assert len(second) < 300
    assert transcript_markdown(rows).startswith('**bot:** hi\n\ndata: {"id": "&lt;b>xxx')
    assert "<details><summary>data</summary><pre>{\n &quot;id&quot;: &quot;&lt;b&gt;xxx" in transcript_html(rows)


@pytest.mark.usefixtures("telling")
def test_data_that_is_the_content_is_shown_once() -> None:
    payload = {"trace": {"type": "order", "payload": {"id": 1}}, "data": {"id": 1}}
    rows = traces({"kind": "custom", "payload": json.dumps(payload)})
    assert transcript_text(rows).splitlines() == ["bot:   (order)", '       data: {"id": 1}']
    assert transcript_html(rows).count("<details>") == 1
    data = {**payload, "trace": {"type": "data", "payload": {"id": 1}}}
    assert transcript_text(traces({"kind": "custom", "payload": json.dumps(data)})) == 'bot:   data: {"id": 1}'


def test_warnings_and_words_that_were_not_sent_are_shown() -> None:
    words = json.dumps({"verb": "text", "text": "hi", "reason": "not sent: the link is down"})
    queued = {
        "kind": "queued",
        "event": "queued",
        "direction": "local",
        "sender": "user",
        "text": "hi",
        "payload": words,
    }
    warning = {"kind": "warning", "event": "warning", "direction": "local", "text": "this may belong to turn 2"}
    assert transcript_text(traces(queued, warning)) == "user:  hi\n--     Turn 1: this may belong to turn 2"
    assert transcript_text(traces(queued, action("hi"))) == "user:  hi"


def test_the_traces_of_a_conversation_include_the_action_that_starts_it() -> None:
    rows = traces(
        action("hi", turn=1),
        text("hello", turn=1, conversation="c1"),
        text("other", turn=2, conversation="c2"),
        {"kind": "connected", "turn": 0},
        text("again", turn=3, conversation="c1"),
        {"kind": "status", "turn": 3},
    )
    assert [trace.seq for trace in in_conversation(rows, "c1")] == [0, 1, 4, 5]
    assert [trace.seq for trace in in_conversation(rows, "c2")] == [2]


def test_unsolicited_messages_are_marked_in_every_form_of_a_transcript() -> None:
    late = {"elapsed_ms": float("nan")}
    rows = traces(text("now"), text("later", **late), text("news", turn=0, **late))
    lines = ["bot:   now", "bot (late message of turn 1): later", "bot (unsolicited): news"]
    assert transcript_text(rows).splitlines() == lines
    assert "**bot (late message of turn 1):** later" in transcript_markdown(rows)
    assert ">bot (unsolicited)</small>" in transcript_html(rows)

"""Messages of Eusate: how they are read, and malformed ones."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_cognigy import JUNK, spoiled
from test_eusate import (
    ended_turns,
    lines,
    list_conversations,
    ready_client,
    reply,
    say,
)

from socketnb.dialects import eusate
from socketnb.dialects.eusate.actions import user_input
from socketnb.dialects.eusate.history import Query
from socketnb.dialects.eusate.messages import CLOSE, read_message
from socketnb.dialects.eusate.requests import RequestId
from socketnb.model.content import Card, Cards, Choice, Choices, Media, Text, UserInput
from socketnb.model.effects import (
    HttpResponse,
)

PDF = {"url": "https://x.org/a.pdf", "name": "a.pdf", "size_kb": 3, "extension": "pdf"}
PNG = {"url": "https://x.org/b", "name": "b", "extension": ".PNG"}
MP4 = {"url": "https://x.org/c.mp4", "name": "c.mp4"}


@pytest.mark.parametrize(
    ("data", "kind", "text", "content"),
    [
        ({"message": "hi"}, "text", "hi", Text("hi")),
        (
            {"message": "all?", "ticket_chat_id": "c", "close_support": True},
            "choices",
            f"all?\n[{CLOSE}]",
            Choices((Choice(CLOSE, {"close": "c"}),), "all?"),
        ),
        ({"message": "bye", "close_support": True, "closed_support": True}, "text", "bye", Text("bye")),
        ({"attachment": True, "attachment_metadata": PDF}, "file", "a.pdf", Media("file", PDF["url"], "a.pdf")),  # type: ignore[arg-type]
        ({"is_attachment": True, "attachment_metadata": [PNG]}, "image", "b", Media("image", PNG["url"], "b")),
        (
            {"message": "see", "attachment": True, "attachment_metadata": [PDF, PNG]},
            "file",
            "see\na.pdf\nb",
            Cards((Card("a.pdf", url=PDF["url"]), Card("b", image=PNG["url"], url=PNG["url"])), "list", "see"),  # type: ignore[arg-type]
        ),
        (
            {"attachment": True, "attachment_metadata": [MP4, PDF]},
            "file",
            "c.mp4\na.pdf",
            Cards((Card("c.mp4", url=MP4["url"]), Card("a.pdf", url=PDF["url"])), "list"),  # type: ignore[arg-type]
        ),
        ({"attachment": True, "attachment_metadata": None, "message": "lost"}, "text", "lost", Text("lost")),
    ],
)
def test_messages_are_read(data: dict[str, Any], kind: str, text: str, content: Any) -> None:
    assert read_message(data) == (kind, text, content)


@pytest.mark.parametrize(
    ("event", "payload", "expected"),
    [
        ("support", {"message": "hi"}, UserInput("text", "hi")),
        (
            "support",
            {"message": "see", "attachment": True, "attachment_metadata": PDF},
            UserInput("attach", "see (a.pdf)", PDF),
        ),
        ("review_support", {"rating": "5", "review": "nice"}, UserInput("review", "5 nice")),
        ("close_support", {"ticket_chat_id": "c"}, UserInput("close", CLOSE)),
        ("call_support", {"ticket_chat_id": None}, UserInput("call")),
    ],
)
def test_the_customers_input_is_read_back_from_events(event: str, payload: dict[str, Any], expected: UserInput) -> None:
    assert user_input(event, payload) == expected
    assert eusate.DIALECT.content(event, payload) == expected


@pytest.mark.parametrize("event", ["error", "connect_response", "support_echo"])
def test_the_words_of_an_event_that_is_no_message_are_not_content(event: str) -> None:
    assert eusate.DIALECT.content(event, {"message": "not for people"}) is None


# Malformed events

WIRE = [(line["event"], line["payload"]) for line in lines() if line["from"] == "server"]
WIRE += [
    (
        "customer_support_closed",
        {"status_code": 200, "data": {"ticket_id": "t", "ticket_chat_id": "conv-1", "status": "closed"}},
    ),
    ("sate_left_call", {"status_code": 200, "data": {"ticket_chat_id": "conv-1", "ticket_call_id": "call-1"}}),
    ("connect_response", {"status_code": 200, "sid": "s", "message": "Connected", "data": {}}),
    ("support", {"status_code": 400, "message": "no", "data": {}}),
    ("error", {"status_code": 500}),
]
EVENT = st.tuples(st.integers(0, len(WIRE) - 1), st.integers(0, 20), st.integers(0, len(JUNK) - 1))


@pytest.mark.slow
@settings(max_examples=1000, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(st.lists(EVENT, min_size=100, max_size=100))
def test_a_hundred_thousand_malformed_events_leave_the_session_usable(events: list[tuple[int, int, int]]) -> None:
    client = ready_client()
    for n, (which, place, junk) in enumerate(events, 1):
        event, payload = WIRE[which]
        payload = spoiled(payload, place, JUNK[junk])
        assert client.received(event, payload, 0.0)
        eusate.DIALECT.content(event, payload)
        if n % 7 == 0:
            client.act(n, say("hi"), 0.0)
        if n % 11 == 0:
            client.acked(RequestId("support", 7), [payload], 0.0)
            body = json.dumps({"messages": [payload, junk]}).encode()
            client.http_response(HttpResponse(Query("messages", "conv-1"), 200, body), 0.0)
            list_conversations(client, payload, {"id": payload})
    for turn in range(101):
        client.abandon(turn, 0.0)
    client.timer(100.0)
    (conversation, *_) = [*client._state.open_conversations, ""]
    client.act(1000, say("hi", conversation), 100.0)
    effects = [
        *client.acked(RequestId("support", 1000), [], 100.0),
        *client.received("support_echo", {"data": {}}, 100.0),
    ]
    effects += client.received("support", reply(conversation or "new", "usable"), 100.0)
    assert (1000, "completed") in ended_turns([*effects, *client.timer(110.0)])

"""Eusate's server machine: requests, agents, the HTTP interface and the text of steps."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_cognigy import JUNK, spoiled
from test_eusate import NOW, Pair, client_settings, ids, lines, options, say

from socketnb.dialects import eusate
from socketnb.model.content import Card, Cards, Choice, Choices, Custom, Delta, Media, Node, Queue, Step, Text, Typing
from socketnb.model.effects import (
    Emit,
    HttpCall,
    HttpReply,
    RunFlow,
)


def test_an_agent_can_connect_as_a_second_client() -> None:
    pair = Pair()
    pair.connect()
    pair.act(1, say("hi"))
    conversation = pair.conversations()[0].id
    pair.server.opened("agent", {"token_source": "inapp", "token": "planted-eusate-key"}, NOW)
    pair.server.received("agent", "enter_support", {"ticket_chat_id": conversation}, NOW)
    message = {
        "ticket_chat_id": conversation,
        "message": "see",
        "attachment": True,
        "attachment_meta": {"url": "u", "name": "n.pdf"},
    }
    effects = pair.server.received("agent", "agent_support", message, NOW + 50)
    assert [e.event for e in effects if isinstance(e, Emit) and e.link == "agent"] == ["agent_support"]
    pair.to_server(effects)
    assert pair.texts()[-1] == "see\nn.pdf"
    assert pair.conversations()[0].handler == "agent"
    effects = pair.server.received(
        pair.link, "support", {"session_id": "customer-1", "message": "hi", "ticket_chat_id": conversation}, NOW
    )
    assert [e.event for e in effects if isinstance(e, Emit) and e.link == "agent"] == ["support"]
    (read,) = pair.server.received(
        "agent", "mark_conversation_read", {"ticket_chat_id": conversation, "entity": "agent"}, NOW
    )
    assert isinstance(read, Emit)
    (rejected,) = pair.server.received(pair.link, "agent_support", message, NOW)
    assert isinstance(rejected, Emit)
    assert rejected.args[0]["status_code"] == 403


@pytest.mark.parametrize(
    ("event", "payload", "code"),
    [
        ("enter_customer_support", {}, 400),
        ("enter_support", {}, 404),
        ("support", {}, 400),
        ("support", {"session_id": "c"}, 400),
        ("support", {"session_id": "c", "message": "m", "attachment": True}, 400),
        ("support", {"session_id": "c", "message": "m", "ticket_chat_id": "none"}, 404),
        ("support", {"session_id": "c", "message": "m", "attachment": True, "attachment_metadata": {"url": "u"}}, 400),
        ("call_support", {}, 400),
        ("review_support", {"ticket_chat_id": "x"}, 404),
    ],
)
def test_an_invalid_request_is_answered_with_an_event_of_the_same_name(event: str, payload: Any, code: int) -> None:
    server = eusate.DIALECT.server(client_settings(), ids(), options())
    (answer,) = server.received("link", event, payload, NOW)
    assert isinstance(answer, Emit)
    assert (answer.event, answer.args[0]["status_code"]) == (event, code)


def test_the_http_interface_returns_the_documented_fields() -> None:
    pair = Pair()
    pair.connect()
    pair.act(1, say("hi"))
    key = {"authorization": "Bearer planted-eusate-key"}
    path = "/api/v1/helpdesk/customer/customer-1/conversations/"
    (listed,) = pair.server.request(HttpCall("GET", path, "", key), NOW)
    assert isinstance(listed, HttpReply)
    (conversation,) = listed.body
    assert set(conversation) == set(
        "id date_created date_updated closed close_support read_by_customer read_by_agent responder ticket ticket_slug "
        "latest_message".split()
    )
    assert set(conversation["latest_message"]) == set(
        "id date_created date_updated message sender is_attachment attachment_metadata ticket_chat".split()
    )
    (whole,) = pair.server.request(HttpCall("GET", f"{path}{conversation['id']}/messages/", "", key), NOW)
    assert isinstance(whole, HttpReply)
    assert [message["sender"] for message in whole.body["messages"]] == ["customer", "sate"]
    taken_over, *_ = pair.server.request(
        HttpCall("POST", f"/api/v1/helpdesk/org/tickets/{conversation['ticket']}/take-over/", "", key), NOW
    )
    assert taken_over == HttpReply(200, {"success": True})
    for refused in (HttpCall("GET", path, "", {}), HttpCall("GET", "/elsewhere", "", key)):
        (answer,) = pair.server.request(refused, NOW)
        assert isinstance(answer, HttpReply)
        assert answer.status in (401, 404)


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(
    st.lists(st.tuples(st.integers(0, 10), st.integers(0, 8), st.integers(0, len(JUNK) - 1)), min_size=50, max_size=50)
)
@pytest.mark.slow
def test_malformed_requests_leave_the_helpdesk_usable(requests: list[tuple[int, int, int]]) -> None:
    server = eusate.DIALECT.server(client_settings(), ids(), options())
    asked = [(line["event"], line["payload"]) for line in lines() if line["from"] == "client"]
    for which, place, junk in requests:
        event, payload = asked[which]
        for effect in server.received("link", event, spoiled(payload, place, JUNK[junk]), NOW):
            if isinstance(effect, RunFlow):
                server.done(effect.conversation, None, NOW)
    effects = server.received("link", "support", {"session_id": "usable", "message": "m", "ticket_chat_id": None}, NOW)
    assert [e for e in effects if isinstance(e, RunFlow)]


@pytest.mark.parametrize("entity", [[], {}, None, "nobody"])
def test_an_invalid_reader_is_rejected(entity: Any) -> None:
    pair = Pair()
    pair.connect()
    pair.act(1, say("hi"))
    request = {"ticket_chat_id": pair.conversations()[0].id, "entity": entity}
    (answer,) = pair.server.received(pair.link, "mark_conversation_read", request, NOW)
    assert isinstance(answer, Emit)
    assert answer.args[0]["status_code"] == 400


CARD = Card("Shoes", "blue", options=(Choice("Buy"),))


@pytest.mark.parametrize(
    ("step", "text"),
    [
        (Text("hi"), "hi"),
        (
            Choices((Choice("Yes"), Choice("More", url="https://x.org")), "Sure?"),
            "Sure?\n• Yes\n• [More](https://x.org)",
        ),
        (CARD, "**Shoes**\nblue\n• Buy"),
        (Cards((CARD, Card(text="plain")), text="see"), "see\n\n**Shoes**\nblue\n• Buy\n\nplain"),
        (Cards((CARD,), options=(Choice("Back"),)), "**Shoes**\nblue\n• Buy\n\n• Back"),
        (Media("image", "https://x.org/a.png", "A"), "[A](https://x.org/a.png)"),
        (Media("image", "data:image/png;base64,AA", "A"), "A"),
        (Custom("map"), "(map)"),
        (Custom("map", text="here"), "here"),
        (Queue(2, 90.4), "You are number 2 in the queue. The estimated wait is 90 s."),
    ],
)
def test_a_step_of_the_flow_is_sent_as_text(step: Step, text: str) -> None:
    pair = Pair(lambda _: [step])
    pair.connect()
    pair.act(1, say("hi"))
    assert pair.texts() == ["hi", text]


def test_steps_of_one_turn_are_sent_as_one_message() -> None:
    pair = Pair(lambda _: [Typing(), Text("one"), Node("n"), Delta("s", "tw", first=True), Delta("s", "o"), Text("")])
    pair.connect()
    pair.act(1, say("hi"))
    assert pair.texts() == ["hi", "one\n\ntwo"]


def test_an_agent_gets_the_message_back_as_the_customer_gets_it() -> None:
    pair = Pair()
    pair.connect()
    pair.act(1, say("hi"))
    pair.server.opened("agent", {"token_source": "inapp", "token": "planted-eusate-key"}, NOW)
    message = {"ticket_chat_id": pair.conversations()[0].id, "message": "see", "attachment_metadata": {"url": "u"}}
    effects = pair.server.received("agent", "agent_support", message, NOW)
    sent = {e.event: e.args[0]["data"] for e in effects if isinstance(e, Emit)}
    assert sent["agent_support"] == sent["customer_support"]


def test_the_error_of_a_flow_has_the_code_of_a_server_error() -> None:
    server = eusate.DIALECT.server(client_settings(), ids(), options())
    asked = server.received("link", "support", {"session_id": "c", "message": "m"}, NOW)
    (run,) = [e for e in asked if isinstance(e, RunFlow)]
    (failure,) = server.done(run.conversation, "ZeroDivisionError", NOW)
    assert isinstance(failure, Emit)
    assert (failure.args[0]["status_code"], failure.args[0]["message"]) == (500, "ZeroDivisionError")


def test_a_customer_may_not_have_four_open_conversations() -> None:
    server = eusate.DIALECT.server(client_settings(), ids(), options())
    codes = []
    for request in [json.loads('{"session_id": "customer", "message": "m"}') for _ in range(4)]:
        effects = server.received("link", "support", request, NOW)
        codes.append([e.args[0]["status_code"] for e in effects if isinstance(e, Emit) and e.event == "support"])
    assert codes == [[], [], [], [400]]

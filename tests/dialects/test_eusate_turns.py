"""Eusate's client machine: the turn of an answer, repeated messages, and lost links."""

from collections.abc import Sequence
from typing import Any

import pytest
from test_eusate import (
    LIST,
    act,
    ended_turns,
    http_message,
    list_conversations,
    list_messages,
    open_client,
    ready_client,
    reply,
    say,
    sent_messages,
    texts,
)

from socketnb.dialects.eusate.history import Query
from socketnb.dialects.eusate.messages import CLOSE
from socketnb.dialects.eusate.requests import RequestId
from socketnb.model.actions import Action
from socketnb.model.content import Choice
from socketnb.model.effects import (
    CallEnded,
    Conversations,
    Emit,
    HttpRequest,
    Record,
)


def test_a_reply_in_a_known_conversation_does_not_end_the_turn_that_starts_a_new_one() -> None:
    client = ready_client("a")
    client.act(1, say("new", ""), 0.0)
    assert not ended_turns(client.received("support", reply("a"), 0.0))
    changed = {"data": {"ticket_chat_id": "a", "handler": "agent", "agent": {"username": "Ada"}}}
    client.received("support_echo", {"data": {}}, 0.0)
    assert not ended_turns(client.received("support_handler_changed", changed, 0.0))
    assert ended_turns(client.received("support", reply("b"), 0.0)) == [(1, "completed")]
    assert sent_messages(client.act(2, say("more"), 0.0))[0]["ticket_chat_id"] == "b"


def test_the_late_reply_of_a_new_conversation_does_not_answer_the_next_new_one() -> None:
    client = ready_client()
    client.act(1, say("slow", ""), 0.0)
    client.abandon(1, 0.5)
    assert not client.act(2, say("another", ""), 1.0), "the next turn is blocked"
    effects = client.received("support", reply("a", "late"), 2.0)
    assert not ended_turns(effects)
    assert sent_messages(effects)[0]["ticket_chat_id"] is None
    assert ended_turns(client.received("support", reply("b"), 3.0)) == [(2, "completed")]


def test_a_rejection_without_an_id_is_for_the_turn_without_an_echo_or_of_the_acknowledgement() -> None:
    refused = {"status_code": 400, "message": "closed", "data": {}}
    client = ready_client("a", "b")
    client.act(1, say("slow", "a"), 0.0)
    client.received("support_echo", {"data": {}}, 0.0)
    client.act(2, say("no", "b"), 0.0)
    assert ended_turns(client.received("support", refused, 0.0)) == [(2, "rejected")]
    client.act(3, say("no", "b"), 0.0)
    assert ended_turns(client.acked(RequestId("support", 3), [refused], 0.0)) == [(3, "rejected")]
    (record,) = client.acked(RequestId("support", 3), [refused], 0.0)
    assert record.kind == "status", "the event has rejected it before"


def test_an_echo_is_for_the_oldest_turn_without_one() -> None:
    client = ready_client("a", "b")
    client.received("support_handler_changed", {"data": {"ticket_chat_id": "b", "handler": "agent"}}, 0.0)
    client.act(1, say("slow", "a"), 0.0)
    client.received("support_echo", {"data": {}}, 0.0)
    client.act(2, say("to the agent", "b"), 0.0)
    assert ended_turns(client.received("support_echo", {"data": {}}, 0.0)) == [(2, "completed")]


def reconnect_with_messages(client: Any, *messages: dict[str, Any], **fields: Any) -> list[Any]:
    """Lose the link, open the next one, and return what its events and the messages of conversation a cause."""
    client.closed(1.0)
    client.dial(1.0)
    effects = client.opened(1.0)
    assert [e.purpose for e in effects if isinstance(e, HttpRequest)] == [LIST, Query("messages", "a")]
    live = client.received("customer_support", reply("a", "live", "agent", date_created="2026-01-01T10:00:09Z"), 1.0)
    listed = list_conversations(client, *([] if fields else [{"id": "a"}]), now=1.0)
    return [*live, *listed, *list_messages(client, *messages, now=1.0, **fields)]


def reconnect(client: Any, *listed: dict[str, Any]) -> list[Any]:
    """Lose the link, open the next one, and return the effects of the loss and of the list of conversations."""
    lost = client.closed(10.0)
    client.dial(10.0)
    client.opened(10.0)
    return [*lost, *list_conversations(client, *listed, now=10.0)]


def test_missed_messages_are_recorded_after_a_newer_one_has_come() -> None:
    client = ready_client("a")
    client.received("support", reply("a", "known", date_created="2026-01-01T10:00:00Z"), 0.0)
    effects = reconnect_with_messages(
        client,
        http_message("old", "2026-01-01T09:00:00Z"),
        http_message("known", "2026-01-01T10:00:00+00:00", "sate"),
        http_message("missed", "2026-01-01T10:00:05Z"),
        http_message("live", "2026-01-01T10:00:09.000000Z"),
    )
    assert texts(effects) == ["live", "missed"]


def test_messages_from_before_the_session_are_not_missed_messages() -> None:
    client = open_client()
    latest = http_message("before", "2026-01-01T08:00:00Z")
    list_conversations(client, {"id": "a", "latest_message": latest})
    older, newer = http_message("older", "2026-01-01T07:00:00Z"), http_message("newer", "2026-01-01T08:00:01Z")
    assert texts(reconnect_with_messages(client, older, latest, newer)) == ["live", "newer"]


def test_a_conversation_closed_while_there_was_no_link_is_closed_after_its_last_message() -> None:
    client = ready_client("a")
    effects = reconnect_with_messages(client, http_message("goodbye", "2026-01-01T10:00:01Z"), closed=True)
    assert "goodbye" in texts(effects)
    assert [e.kind for e in effects if isinstance(e, Record)].count("ended") == 1
    assert [e for e in effects if isinstance(e, Conversations)][-1].conversations[0].closed
    assert sent_messages(client.act(1, say("hi"), 2.0))[0]["ticket_chat_id"] is None


def test_a_conversation_being_started_when_the_link_was_lost_is_found_in_the_list() -> None:
    client = ready_client()
    client.act(1, say("slow"), 0.0)
    client.acked(RequestId("support", 1), [], 0.0)
    client.closed(1.0)
    client.dial(1.0)
    client.opened(1.0)
    latest = http_message("answer", "2026-01-01T10:00:00Z", "sate")
    effects = list_conversations(client, {"id": "a", "latest_message": latest}, now=1.0)
    assert ended_turns(effects) == [(1, "completed")]
    assert sent_messages(client.act(2, say("more"), 2.0))[0]["ticket_chat_id"] == "a"


def test_a_saved_conversation_is_continued_only_while_it_is_open() -> None:
    assert sent_messages(ready_client("b", conversation_id="a").act(1, say("hi"), 0.0))[0]["ticket_chat_id"] is None
    assert sent_messages(ready_client("a", conversation_id="a").act(1, say("hi"), 0.0))[0]["ticket_chat_id"] == "a"


SECOND = "2026-01-01T10:00:00Z"
FRACTION = "2026-01-01T10:00:00.250000Z"


def confirm(client: Any, turn: int, how: str) -> None:
    """Confirm a message by its echo or by its acknowledgement."""
    if how == "echo":
        client.received("support_echo", {"data": {}}, 0.0)
    else:
        client.acked(RequestId("support", turn), [], 0.0)


def is_repeated(effects: Sequence[Any]) -> bool:
    """Tell whether a message was recorded as a repetition and had no other effect."""
    return [isinstance(e, Record) and (e.kind, e.text) for e in effects] == [("status", "repeated")]


@pytest.mark.parametrize("how", ["echo", "ack"])
def test_equal_replies_to_two_turns_in_the_same_second_are_two_messages(how: str) -> None:
    client, message = ready_client("a"), reply("a", "Sorry?", date_created=SECOND)
    for turn in (1, 2, 3):
        client.act(turn, say("?", "a"), 0.0)
        confirm(client, turn, how)
        effects = client.received("support", message, 0.0)
        assert ended_turns(effects) == [(turn, "completed")]
        assert texts(effects) == ["Sorry?"]
        assert is_repeated(client.received("support", message, 0.0)), "no turn waits for it"


def test_a_repeated_reply_does_not_answer_a_turn_that_is_not_confirmed() -> None:
    client, message = ready_client("a"), reply("a", "Sorry?", date_created=SECOND)
    client.act(1, say("?", "a"), 0.0)
    confirm(client, 1, "echo")
    client.received("support", message, 0.0)
    client.act(2, say("?", "a"), 0.0)
    assert is_repeated(client.received("support", message, 0.0))
    confirm(client, 2, "echo")
    assert ended_turns(client.received("support", message, 0.0)) == [(2, "completed")]


def test_an_equal_reply_with_a_fraction_of_a_second_is_a_repetition() -> None:
    client, message = ready_client("a"), reply("a", "Sorry?", date_created=FRACTION)
    client.act(1, say("?", "a"), 0.0)
    confirm(client, 1, "echo")
    assert ended_turns(client.received("support", message, 0.0)) == [(1, "completed")]
    client.act(2, say("?", "a"), 0.0)
    confirm(client, 2, "echo")
    assert is_repeated(client.received("support", message, 0.0))


@pytest.mark.parametrize(("event", "sender"), [("customer_support", "agent"), ("support", "customer")])
def test_an_equal_message_that_is_no_reply_is_a_repetition(event: str, sender: str) -> None:
    client, message = ready_client("a"), reply("a", "hello", sender, date_created=SECOND)
    client.act(1, say("hi", "a"), 0.0)
    confirm(client, 1, "echo")
    assert texts(client.received(event, message, 0.0)) == ["hello"]
    assert is_repeated(client.received(event, message, 0.0))


@pytest.mark.parametrize(
    "changed", [{"conversation": "b"}, {"sender": "sate"}, {"message": "hello!"}, {"date_created": FRACTION}]
)
def test_messages_that_differ_in_conversation_sender_text_or_time_are_two_messages(changed: dict[str, str]) -> None:
    client = ready_client("a", "b")
    fields = {"conversation": "a", "message": "hello", "sender": "agent", "date_created": SECOND}
    client.received("customer_support", reply(**fields), 0.0)
    assert is_repeated(client.received("customer_support", reply(**fields), 0.0))
    assert texts(client.received("customer_support", reply(**{**fields, **changed}), 0.0))


def test_a_message_without_a_time_is_never_a_repetition() -> None:
    client = ready_client("a")
    for _ in range(2):
        assert texts(client.received("customer_support", reply("a", "hello", "agent"), 0.0)) == ["hello"]


def test_the_last_thousand_messages_are_remembered() -> None:
    client = ready_client("a")
    messages = [reply("a", f"message {n}", "agent", date_created=SECOND) for n in range(1001)]
    for message in messages:
        client.received("customer_support", message, 0.0)
    assert is_repeated(client.received("customer_support", messages[1], 0.0))
    assert texts(client.received("customer_support", messages[0], 0.0)) == ["message 0"], "it was forgotten"


def test_hanging_up_ends_the_call_in_its_conversation() -> None:
    client = ready_client("a", "b")
    started = {"token": "t", "room": "a", "ticket_chat_id": "a", "ticket_call_id": "c1"}
    client.act(1, act("call", "a"), 0.0)
    assert not [e for e in client.act(2, act("call", "b"), 0.0) if isinstance(e, Emit)], "one call at a time"
    client.received("call_support", {"data": started}, 0.0)
    assert "the call is in conversation 'a'" in str(client.act(3, act("hang_up", "b"), 0.0)[-1].reason)
    assert not [
        e
        for e in client.received("close_call_support", {"data": {"ticket_chat_id": "b"}}, 0.0)
        if isinstance(e, CallEnded)
    ]
    (hung,) = [e for e in client.act(4, act("hang_up"), 0.0) if isinstance(e, Emit)]
    assert hung.args[0]["ticket_chat_id"] == "a"
    gone = {"data": {"ticket_chat_id": "a", "ticket_call_id": None}}
    assert [e.id for e in client.received("close_call_support", gone, 0.0) if isinstance(e, CallEnded)] == ["c1"]


@pytest.mark.parametrize(("conversation", "code"), [("", 400), ("typo", 404)], ids=["a fourth", "unknown"])
def test_after_a_rejected_conversation_the_previous_one_is_current_again(conversation: str, code: int) -> None:
    client = ready_client("a")
    client.act(1, say("hi", "a"), 0.0)
    client.received("support", reply("a"), 0.0)
    client.act(2, say("hi", conversation), 0.0)
    client.received("support", {"status_code": code, "message": "no", "data": {}}, 0.0)
    assert sent_messages(client.act(3, say("hi"), 0.0))[0]["ticket_chat_id"] == "a"


def test_two_new_conversations_are_started_one_after_the_other() -> None:
    client = ready_client()
    for turn in (1, 2):
        client.act(turn, Action("text", {"text": "hi"}, at_once=True, conversation=""), 0.0)
    assert ended_turns(client.received("support", reply("a"), 0.0)) == [(1, "completed")]
    assert ended_turns(client.received("support", reply("b"), 0.0)) == [(2, "completed")]


@pytest.mark.parametrize("request_", [{"close": 5}, {"a": 1}, 7])
def test_a_button_of_another_platform_fails(request_: Any) -> None:
    effects = ready_client("a").act(1, Action("press", {"choice": Choice("x", request_)}), 0.0)
    assert not [e for e in effects if isinstance(e, Emit)]
    assert "not from this helpdesk" in str(effects[-1].reason)


def test_a_closed_conversation_stays_closed() -> None:
    client = ready_client("a")
    client.received("customer_support_closed", {"data": {"ticket_chat_id": "a"}}, 0.0)
    list_conversations(client, {"id": "a", "closed": False})
    client.received("customer_support", reply("a", closed_support=False, close_support=False, sender="agent"), 0.0)
    assert client._state.conversations["a"].closed
    effects = client.act(1, act("close", "a"), 0.0)
    assert not [e for e in effects if isinstance(e, Emit)]


def test_a_close_turn_ends_although_the_helpdesk_closed_the_conversation_first() -> None:
    client = ready_client("a")
    client.act(1, act("close", "a"), 0.0)
    client.received("customer_support_closed", {"data": {"ticket_chat_id": "a"}}, 0.0)
    assert ended_turns(client.received("close_support", reply("a", "bye", closed_support=True), 0.0)) == [
        (1, "completed")
    ]


def test_a_room_that_the_customer_left_is_not_entered_after_a_reconnect() -> None:
    client = ready_client("a")
    client.act(1, act("leave", "a"), 0.0)
    client.received("leave_support", {"status_code": 200, "data": {}}, 0.0)
    client.closed(1.0)
    client.dial(1.0)
    assert "enter_support" not in [e.event for e in client.opened(1.0) if isinstance(e, Emit)]


def test_an_acknowledgement_without_data_confirms_a_message() -> None:
    client = ready_client("a")
    client.act(1, say("hi", "a"), 0.0)
    assert not client.acked(RequestId("support", 1), [{"status_code": 200, "data": {}}], 0.0)
    assert not client.closed(0.0), "the message was confirmed"


def test_all_queued_turns_of_a_closed_conversation_end() -> None:
    client = ready_client("a")
    for turn in range(1, 900):
        client.act(turn, say("hi", "a"), 0.0)
    effects = client.received("customer_support_closed", {"data": {"ticket_chat_id": "a"}}, 0.0)
    assert [turn for turn, _ in ended_turns(effects)] == list(range(1, 900))


def test_the_conversation_of_an_abandoned_first_turn_is_continued() -> None:
    client = ready_client()
    client.act(1, say("a"), 0.0)
    client.abandon(1, 0.0)
    client.timer(5.0)
    client.received("support", reply("c1", "late"), 6.0)
    assert sent_messages(client.act(2, say("b"), 7.0))[0]["ticket_chat_id"] == "c1"


def test_turns_queued_behind_a_rejected_first_turn_start_one_conversation() -> None:
    client = ready_client()
    client.act(1, say("a"), 0.0)
    client.act(2, say("b"), 0.0)
    effects = client.received("support", {"status_code": 400, "message": "no", "data": {}}, 0.0)
    assert [payload["message"] for payload in sent_messages(effects)] == ["b"]
    assert not sent_messages(client.act(3, say("c"), 0.0))
    assert sent_messages(client.received("support", reply("c1"), 0.0))[0]["ticket_chat_id"] == "c1"


def test_a_missed_message_does_not_end_a_turn_sent_after_the_reconnect() -> None:
    client = ready_client("a")
    client.act(1, say("one", "a"), 0.0)
    client.received("support", reply("a", "first", date_created="2026-01-01T10:00:00Z"), 0.0)
    client.act(2, say("two", "a"), 0.0)
    effects = reconnect(client, {"id": "a"})
    assert ended_turns(effects) == [(2, "failed")]
    client.act(3, say("three", "a"), 10.0)
    effects = client.timer(15.0)
    assert [payload["message"] for payload in sent_messages(effects)] == ["three"], "turn 2 has blocked it"
    assert not ended_turns(list_messages(client, http_message("to two", "2026-01-01T10:00:05Z", "sate"), now=16.0))


@pytest.mark.parametrize(("verb", "event"), [("read", "mark_conversation_read"), ("leave", "leave_support")])
def test_an_acknowledgement_without_data_ends_a_read_or_leave_turn(verb: str, event: str) -> None:
    client = ready_client("a")
    client.act(1, act(verb, "a"), 0.0)
    assert ended_turns(client.acked(RequestId(event, 1), [{"status_code": 200, "data": {}}], 0.0)) == [(1, "completed")]


def test_a_turn_ends_if_an_agent_took_over_while_there_was_no_link() -> None:
    client = ready_client("a")
    client.act(1, say("hi", "a"), 0.0)
    client.received("support_echo", {"data": {}}, 0.0)
    assert ended_turns(reconnect(client, {"id": "a", "responder": "agent"})) == [(1, "completed")]
    assert sent_messages(client.act(2, say("hello Ada", "a"), 10.0))


def test_a_call_ends_when_its_conversation_is_closed_or_hanging_up_is_rejected() -> None:
    for end in ("closed", "rejected"):
        client = ready_client("a", "b")
        client.act(1, act("call", "a"), 0.0)
        client.received("call_support", {"data": {"token": "t", "ticket_chat_id": "a", "ticket_call_id": "c"}}, 0.0)
        if end == "closed":
            effects = client.received("customer_support_closed", {"data": {"ticket_chat_id": "a"}}, 0.0)
        else:
            client.act(2, act("hang_up"), 0.0)
            effects = client.received("close_call_support", {"status_code": 404, "message": "none"}, 0.0)
        assert [e.id for e in effects if isinstance(e, CallEnded)] == ["c"]
        assert [e for e in client.act(3, act("call", "b"), 0.0) if isinstance(e, Emit)]


def test_a_message_that_closes_a_conversation_ends_its_turns() -> None:
    client = ready_client("a")
    client.act(1, say("hi", "a"), 0.0)
    effects = client.received(
        "customer_support", reply("a", "bye", "agent", close_support=True, closed_support=True), 0.0
    )
    assert ended_turns(effects) == [(1, "completed")]
    assert sent_messages(client.act(2, say("again"), 0.0))[0]["ticket_chat_id"] is None


def test_messages_missed_over_two_lost_links_are_recorded() -> None:
    client = ready_client("a")
    client.received("support", reply("a", "known", date_created="2026-01-01T10:00:00Z"), 0.0)
    reconnect(client, {"id": "a"})
    client.received("customer_support", reply("a", "live", "agent", date_created="2026-01-01T10:00:09Z"), 10.0)
    reconnect(client, {"id": "a"})
    effects = list_messages(client, http_message("between", "2026-01-01T10:00:05Z"), now=10.0)
    assert texts(effects) == ["between"]


def test_a_message_in_a_known_conversation_does_not_belong_to_the_turn_that_starts_another() -> None:
    client = ready_client("a")
    client.act(1, say("hi", "a"), 0.0)
    client.received("support", reply("a"), 0.0)
    client.act(2, say("new", ""), 0.0)
    effects = client.received("customer_support", reply("a", "Ada", "agent"), 0.0)
    assert [(e.turn, e.conversation) for e in effects if isinstance(e, Record) and e.kind == "text"] == [(1, "a")]


def test_a_late_list_does_not_change_the_current_conversation() -> None:
    client = open_client()
    client.timer(2.0)
    client.act(1, say("hi"), 2.0)
    client.received("support", reply("c1"), 2.0)
    list_conversations(client, now=3.0)
    assert sent_messages(client.act(2, say("more"), 3.0))[0]["ticket_chat_id"] == "c1"


def test_a_link_lost_before_the_list_came_does_not_make_older_messages_missed() -> None:
    client = open_client(conversation_id="gone")
    client.closed(1.0)
    client.dial(1.0)
    client.opened(1.0)
    latest = http_message("last week", "2026-01-01T10:00:00Z")
    effects = list_conversations(client, {"id": "a", "latest_message": latest}, now=1.0)
    assert texts(effects) == []
    assert [e.kind for e in effects if isinstance(e, Record)][-1] == "ready"
    assert sent_messages(client.act(1, say("hi"), 1.0))[0]["ticket_chat_id"] is None


def test_pressing_a_button_of_another_conversation_does_not_make_it_current() -> None:
    client = ready_client("a", "b")
    client.act(1, say("hi", "a"), 0.0)
    client.received("support", reply("a"), 0.0)
    client.act(2, Action("press", {"choice": Choice(CLOSE, {"close": "b"})}), 0.0)
    client.received("close_support", reply("b", "bye", close_support=True, closed_support=True), 0.0)
    assert sent_messages(client.act(3, say("more"), 0.0))[0]["ticket_chat_id"] == "a"


def test_an_echo_after_its_reply_does_not_confirm_another_turn() -> None:
    client = ready_client("a", "b")
    client.received("support_handler_changed", {"data": {"ticket_chat_id": "b", "handler": "agent"}}, 0.0)
    client.act(1, say("hi", "a"), 0.0)
    client.act(2, say("to the agent", "b"), 0.0)
    client.received("support", reply("a"), 0.0)
    assert not ended_turns(client.received("support_echo", {"data": {}}, 0.0))
    assert ended_turns(client.received("support_echo", {"data": {}}, 0.0)) == [(2, "completed")]


def test_a_missed_message_may_have_the_time_of_the_latest_one() -> None:
    client = ready_client("a")
    client.received("support", reply("a", "first", date_created=SECOND), 0.0)
    assert texts(reconnect_with_messages(client, http_message("second", SECOND))) == ["live", "second"]


def test_an_older_message_that_comes_late_does_not_make_older_ones_missed() -> None:
    client = ready_client("a")
    client.received("support", reply("a", "new", date_created="2026-01-01T10:00:05Z"), 0.0)
    client.received("customer_support", reply("a", "late", "agent", date_created=SECOND), 0.0)
    assert texts(reconnect_with_messages(client, http_message("between", "2026-01-01T10:00:03Z"))) == ["live"]


def test_a_conversation_of_a_late_list_is_not_the_one_that_is_being_started() -> None:
    client = open_client()
    client.timer(2.0)
    client.act(1, say("hi", ""), 2.0)
    list_conversations(client, {"id": "older"}, now=3.0)
    assert ended_turns(client.received("support", reply("new"), 3.0)) == [(1, "completed")]


def test_the_end_of_a_rejected_turn_is_not_a_second_error() -> None:
    client = ready_client("a")
    client.act(1, say("hi"), 0.0)
    effects = client.received("support", {"status_code": 400, "message": "no", "data": {}}, 0.0)
    records = [(e.event, e.kind, e.error) for e in effects if isinstance(e, Record)]
    assert records == [("support", "error", "no"), ("turn", "status", None)]


def test_an_answer_to_hanging_up_without_ids_ends_the_call() -> None:
    client = ready_client("a")
    client.act(1, act("call", "a"), 0.0)
    client.received("call_support", {"data": {"token": "t", "ticket_chat_id": "a", "ticket_call_id": "c"}}, 0.0)
    client.act(2, act("hang_up"), 0.0)
    effects = client.received("close_call_support", {"status_code": 200, "data": {}}, 0.0)
    assert [e.id for e in effects if isinstance(e, CallEnded)] == ["c"]


def test_a_file_given_by_its_url_has_the_name_in_the_path_of_the_url() -> None:
    client = ready_client("a")
    client.received("support_handler_changed", {"data": {"ticket_chat_id": "a", "handler": "agent"}}, 0.0)
    (sent,) = sent_messages(client.act(1, act("attach", "a", files=["https://x.org/a.pdf?of=b/c.png"]), 0.0))
    file = sent["attachment_metadata"]
    assert (file["name"], file["extension"]) == ("a.pdf", "pdf")


@pytest.mark.parametrize("repetition", ["error", "support_error"])
def test_an_error_that_is_repeated_under_another_name_does_not_reject_the_next_turn(repetition: str) -> None:
    refused = {"status_code": 400, "message": "too long", "data": {}}
    client = ready_client("a")
    client.act(1, say("bad"), 0.0)
    client.act(2, say("good"), 0.0)
    for turn in (1, 2):
        assert ended_turns(client.received("support", refused, 0.0)) == [(turn, "rejected")]
        client.act(turn + 2, say("more"), 0.0)
        (record,) = client.received(repetition, refused, 0.1)
        assert isinstance(record, Record)
        assert (record.turn, record.kind, record.text) == (turn, "status", "repeated")
    assert ended_turns(client.received(repetition, refused | {"message": "closed"}, 0.1)) == [(3, "rejected")]
    assert ended_turns(client.received("support", refused | {"message": "closed"}, 9.0)) == [(4, "rejected")]


def test_an_error_that_repeats_an_acknowledgement_does_not_reject_the_next_turn() -> None:
    refused = {"status_code": 400, "message": "too long", "data": {}}
    client = ready_client("a")
    for turn in (1, 2, 3):
        client.act(turn, say("hi"), 0.0)
    for turn in (1, 2):
        assert ended_turns(client.acked(RequestId("support", turn), [refused], 0.0)) == [(turn, "rejected")]
        assert not ended_turns(client.received("support", refused, 0.1))
    assert ended_turns(client.received("support", reply("a"), 0.1)) == [(3, "completed")]


def test_the_error_of_another_request_with_the_same_words_rejects_that_request() -> None:
    refused = {"status_code": 400, "message": "bad request", "data": {}}
    client = ready_client("a")
    client.act(1, say("hi"), 0.0)
    assert ended_turns(client.received("support", refused, 0.0)) == [(1, "rejected")]
    client.act(2, Action("read"), 0.0)
    assert ended_turns(client.received("mark_conversation_read", refused, 0.1)) == [(2, "rejected")]

"""Eusate's client machine: the turn of a message that comes late, twice, unasked, or from an agent."""

from collections.abc import Sequence
from typing import Any

import pytest
from test_eusate import (
    Pair,
    act,
    client_settings,
    ended_turns,
    ids,
    list_conversations,
    list_messages,
    open_client,
    ready_client,
    reply,
    say,
    sent_messages,
)

from socketnb.dialects import eusate
from socketnb.dialects.base import Facts
from socketnb.dialects.eusate.requests import RequestId
from socketnb.model.effects import Conversations, Record, TurnDone

ECHO = {"status_code": 200, "message": "support_echo", "data": {}}
KINDS = ("text", "file")


def places(effects: Sequence[Any]) -> list[tuple[str | None, int]]:
    """Return the texts of the messages, and the turns that they were recorded in."""
    return [(e.text, e.turn) for e in effects if isinstance(e, Record) and e.kind in KINDS and e.direction == "in"]


def warned_turns(effects: Sequence[Any]) -> list[int]:
    return [e.turn for e in effects if isinstance(e, Record) and e.kind == "warning"]


def handlers(effects: Sequence[Any]) -> list[str]:
    """Return who handles the only conversation, after each change of it."""
    return [conversation.handler for e in effects if isinstance(e, Conversations) for conversation in e.conversations]


def answered_client(*conversations: str) -> Any:
    """Return a client whose turn 1 was confirmed and answered."""
    client = ready_client(*conversations or ("a",))
    client.act(1, say("one", "a"), 0.0)
    client.received("support_echo", ECHO, 0.0)
    client.received("support", reply("a", "first"), 0.0)
    return client


def agent_client() -> Any:
    """Return a client whose conversation an agent handles after turn 1."""
    client = answered_client()
    changed = {"data": {"ticket_chat_id": "a", "handler": "agent", "agent": {"username": "Ada"}}}
    client.received("support_handler_changed", changed, 0.0)
    return client


# Further messages of the bot


def test_a_second_message_that_comes_before_the_next_echo_belongs_to_the_turn_before() -> None:
    client = answered_client()
    client.act(2, say("two", "a"), 0.1)
    effects = client.received("support", reply("a", "second to one"), 0.2)
    assert (places(effects), ended_turns(effects)) == ([("second to one", 1)], [])
    client.received("support_echo", ECHO, 0.3)
    effects = client.received("support", reply("a", "to two"), 0.4)
    assert (places(effects), ended_turns(effects)) == ([("to two", 2)], [(2, "completed")])
    assert warned_turns(effects) == []


def test_the_acknowledgement_of_a_message_confirms_it_like_its_echo() -> None:
    client = ready_client("a")
    for turn in (1, 2):
        client.act(turn, say("?", "a"), 0.0)
        if turn == 2:
            assert places(client.received("support", reply("a", "second to one"), 0.0)) == [("second to one", 1)]
        client.acked(RequestId("support", turn), [], 0.0)
        assert ended_turns(client.received("support", reply("a", f"to {turn}"), 0.0)) == [(turn, "completed")]


def test_a_second_message_after_the_next_echo_is_a_warning_on_the_turn_when_the_surplus_comes() -> None:
    client = answered_client()
    client.act(2, say("two", "a"), 0.1)
    client.received("support_echo", ECHO, 0.2)
    assert ended_turns(client.received("support", reply("a", "second to one"), 0.3)) == [(2, "completed")]
    effects = client.received("support", reply("a", "to two"), 0.4)
    assert places(effects) == [("to two", 2)]
    assert warned_turns(effects) == [2]


def test_a_quiet_time_ends_the_doubt_about_earlier_turns() -> None:
    client = answered_client()
    for turn, now in ((2, 1.0), (3, 2.0), (4, 60.0)):
        client.act(turn, say("?", "a"), now)
        client.received("support_echo", ECHO, now)
        client.received("support", reply("a", f"to {turn}"), now)
    assert warned_turns(client.received("support", reply("a", "surplus"), 60.5)) == [4]


def test_a_second_message_to_the_first_turn_of_a_conversation_is_no_reason_for_a_warning() -> None:
    client = ready_client()
    client.act(1, say("one"), 0.0)
    client.received("support", reply("a", "first"), 0.0)
    effects = client.received("support", reply("a", "second"), 0.1)
    assert (places(effects), warned_turns(effects)) == ([("second", 1)], [])


def test_an_unasked_message_before_the_first_turn_belongs_to_no_turn() -> None:
    assert places(ready_client("a").received("support", reply("a", "Are you there?"), 0.0)) == [("Are you there?", 0)]


def test_a_message_in_the_conversation_of_another_client_belongs_to_no_turn() -> None:
    client = answered_client()
    client.act(2, say("new", ""), 0.0)
    effects = client.received("support", reply("elsewhere", "not for us"), 0.0)
    assert (places(effects), ended_turns(effects)) == ([("not for us", 0)], [])
    client.received("support_echo", ECHO, 0.0)
    effects = client.received("support", reply("b", "for us"), 0.0)
    assert (places(effects), ended_turns(effects)) == ([("for us", 2)], [(2, "completed")])


def test_the_reply_after_an_unanswered_turn_has_a_warning() -> None:
    client = answered_client()
    client.act(2, say("slow", "a"), 1.0)
    client.received("support_echo", ECHO, 1.0)
    client.abandon(2, 2.0)
    client.act(3, say("next", "a"), 3.0)
    assert sent_messages(client.timer(7.0))
    client.received("support_echo", ECHO, 7.1)
    effects = client.received("support", reply("a", "to whom?"), 8.0)
    assert (places(effects), ended_turns(effects)) == ([("to whom?", 3)], [(3, "completed")])
    assert [e.text for e in effects if isinstance(e, Record) and e.kind == "warning"] == [
        "the reply may be the late answer to turn 2"
    ]


def test_replies_without_any_confirmation_have_a_warning_after_the_first() -> None:
    client = ready_client()
    warned = []
    for turn in (1, 2):
        client.act(turn, say("?"), 0.0)
        warned.append(warned_turns(client.received("support", reply("a", f"to {turn}"), 0.0)))
    assert warned == [[], [2]]


def test_a_repetition_that_may_be_the_reply_is_a_warning() -> None:
    client, same = ready_client("a"), reply("a", "Sorry?", date_created="2026-01-01T10:00:00Z")
    for turn in (1, 2):
        client.act(turn, say("?", "a"), 0.0)
        client.received("support_echo", ECHO, 0.0)
        effects = client.received("support", same, 0.0)
        assert ended_turns(effects) == [(turn, "completed")]
    assert warned_turns(effects) == [2]


def test_a_copy_of_our_own_message_is_not_a_message_of_the_bot() -> None:
    client = answered_client()
    client.act(2, say("two", "a"), 0.0)
    effects = client.received("support", reply("a", "two", "customer"), 0.0)
    assert [(e.kind, e.text) for e in effects] == [("status", "repeated")]
    assert places(client.received("support", reply("a", "from my phone", "customer"), 0.0)) == [("from my phone", 0)]


# Missing echoes


def test_a_missing_echo_ends_its_turn_with_a_warning_and_the_next_turn_is_sent() -> None:
    client = answered_client()
    client.act(2, say("two", "a"), 10.0)
    client.act(3, say("three", "a"), 10.0)
    assert places(client.received("support", reply("a", "to two"), 11.0)) == [("to two", 1)]
    effects = client.timer(client.deadline)
    assert ended_turns(effects) == [(2, "completed")]
    assert warned_turns(effects) == [2, 2, 1]
    assert [payload["message"] for payload in sent_messages(effects)] == ["three"]
    client.received("support_echo", ECHO, 14.0)
    assert ended_turns(client.received("support", reply("a", "to three"), 14.0)) == [(3, "completed")]


def test_the_missing_echo_of_a_new_conversation_does_not_lose_its_id() -> None:
    client = answered_client()
    client.act(2, say("new", ""), 10.0)
    client.received("support", reply("b", "welcome"), 10.0)
    effects = client.timer(client.deadline)
    assert ended_turns(effects) == [(2, "completed")]
    assert [e.conversation for e in effects if isinstance(e, Record) and e.event == "turn"] == ["b"]
    assert sent_messages(client.act(3, say("more"), 20.0))[0]["ticket_chat_id"] == "b"


def test_a_missing_echo_of_an_answered_turn_does_not_time_out_a_turn_for_an_agent() -> None:
    client = ready_client("a")
    client.act(1, say("one", "a"), 0.0)
    client.received("support", reply("a", "first"), 0.0)
    changed = {"data": {"ticket_chat_id": "a", "handler": "agent", "agent": {"username": "Ada"}}}
    client.received("support_handler_changed", changed, 0.0)
    client.act(2, say("hello Ada", "a"), 0.0)
    client.received("support_echo", ECHO, 0.1)
    assert ended_turns(client.timer(10.0)) == [(2, "completed")]
    client.act(3, say("and", "a"), 20.0)
    assert ended_turns(client.received("support_echo", ECHO, 20.1)) == [(3, "completed")]


def test_echoes_that_come_after_their_replies_do_not_hold_back_later_replies() -> None:
    client = ready_client("a")
    for turn in range(1, 5):
        client.act(turn, say("?", "a"), 0.0)
        assert ended_turns(client.received("support", reply("a", f"to {turn}"), 0.0)) == [(turn, "completed")]
        client.received("support_echo", ECHO, 0.0)


def test_an_unordered_echo_times_out_one_turn_at_most() -> None:
    client = answered_client()
    client.act(2, say("two", "a"), 10.0)
    client.received("support", reply("a", "to two"), 10.0)
    client.received("support_echo", ECHO, 10.0)
    assert warned_turns(client.abandon(2, 40.0)) == [2, 1]
    client.timer(45.0)
    client.act(3, say("three", "a"), 50.0)
    assert ended_turns(client.received("support", reply("a", "to three"), 50.0)) == [(3, "completed")]


# Agents


def test_an_agent_who_replies_instead_of_the_bot_ends_the_turn() -> None:
    client = answered_client()
    client.act(2, say("two", "a"), 0.0)
    client.received("support_echo", ECHO, 0.0)
    effects = client.received("customer_support", reply("a", "Ada here", "agent"), 0.0)
    assert (places(effects), ended_turns(effects)) == ([("Ada here", 2)], [(2, "completed")])
    (record,) = [e for e in effects if isinstance(e, Record) and e.text == "Ada here"]
    assert record.sender == "agent"
    assert [e.reason for e in effects if isinstance(e, TurnDone)] == ["customer_support"]
    late = client.received("support", reply("a", "the bot too"), 0.0)
    assert (places(late), warned_turns(late)) == ([("the bot too", 2)], [2])


def test_while_an_agent_answers_a_turn_ends_at_its_echo_and_messages_belong_to_the_last_turn() -> None:
    client = agent_client()
    client.act(2, say("hello", "a"), 0.0)
    assert places(client.received("customer_support", reply("a", "wait", "agent"), 0.0)) == [("wait", 1)]
    assert ended_turns(client.received("support_echo", ECHO, 0.0)) == [(2, "completed")]
    assert places(client.received("customer_support", reply("a", "yes?", "agent"), 1.0)) == [("yes?", 2)]


def test_the_bots_answer_after_the_handover_belongs_to_the_turn_that_it_was_asked_in() -> None:
    client = answered_client()
    client.act(2, say("agent please", "a"), 0.0)
    client.received("support_echo", ECHO, 0.0)
    changed = {"data": {"ticket_chat_id": "a", "handler": "agent", "agent": {"username": "Ada"}}}
    assert ended_turns(client.received("support_handler_changed", changed, 0.0)) == [(2, "completed")]
    client.act(3, say("hello Ada", "a"), 0.0)
    client.received("support_echo", ECHO, 0.0)
    effects = client.received("support", reply("a", "One moment."), 0.0)
    assert (places(effects), warned_turns(effects)) == ([("One moment.", 2)], [])


def test_a_bot_that_answers_again_without_an_announcement_is_the_handler_with_a_warning() -> None:
    client = agent_client()
    client.act(2, say("hello", "a"), 0.0)
    client.received("support_echo", ECHO, 0.0)
    effects = client.received("support", reply("a", "the bot again"), 0.0)
    assert (places(effects), warned_turns(effects)) == ([("the bot again", 2)], [2])
    assert handlers(effects)[-1] == "bot"


def test_a_late_message_of_an_agent_does_not_undo_the_announced_end_of_the_handover() -> None:
    client = agent_client()
    effects = client.received("support_handler_changed", {"data": {"ticket_chat_id": "a", "handler": "sate"}}, 0.0)
    effects += client.received("customer_support", reply("a", "bye", "agent"), 0.0)
    assert set(handlers(effects)) == {"bot"}


def test_a_turn_for_an_agent_ends_with_a_warning_if_the_helpdesk_sends_no_echoes() -> None:
    client = open_client()
    list_conversations(client, {"id": "a", "responder": "agent"})
    client.act(1, say("hello", "a"), 0.0)
    effects = client.timer(client.deadline)
    assert (ended_turns(effects), warned_turns(effects)) == ([(1, "completed")], [1])


# Lost links


def missed(text: str, second: int, sender: str) -> dict[str, Any]:
    return {"message": text, "sender": sender, "date_created": f"2026-01-01T10:00:{second:02}Z", "ticket_chat": "a"}


def test_missed_messages_belong_to_the_turns_that_the_list_of_messages_shows() -> None:
    client = answered_client()
    client.act(2, say("two", "a"), 0.0)
    client.received("support_echo", ECHO, 0.0)
    client.closed(1.0)
    client.dial(1.0)
    client.opened(1.0)
    list_conversations(client, {"id": "a"}, now=1.0)
    messages = [missed("second to one", 1, "sate"), missed("two", 2, "customer"), missed("to two", 3, "sate")]
    effects = list_messages(client, *messages, now=1.0)
    assert (places(effects), ended_turns(effects)) == ([("second to one", 1), ("to two", 2)], [(2, "completed")])


def test_a_reply_that_the_list_of_messages_brings_first_ends_its_turn() -> None:
    client = answered_client()
    client.closed(1.0)
    client.dial(1.0)
    client.opened(1.0)
    list_conversations(client, {"id": "a"}, now=1.0)
    client.act(2, say("two", "a"), 1.0)
    client.received("support_echo", ECHO, 1.0)
    effects = list_messages(client, missed("two", 2, "customer"), missed("to two", 3, "sate"), now=1.0)
    assert ended_turns(effects) == [(2, "completed")]


def test_all_messages_of_a_conversation_that_began_while_the_link_was_lost_are_requested() -> None:
    client = ready_client()
    client.act(1, say("one"), 0.0)
    client.acked(RequestId("support", 1), [], 0.0)
    client.closed(1.0)
    client.dial(1.0)
    client.opened(1.0)
    effects = list_conversations(client, {"id": "a", "latest_message": missed("second", 3, "sate")}, now=1.0)
    effects += list_messages(client, missed("one", 1, "customer"), missed("first", 2, "sate"), now=1.0)
    assert sorted(places(effects)) == [("first", 1), ("second", 1)]
    assert "messages" in [effect.purpose.subject for effect in effects if hasattr(effect, "purpose")]


def test_a_turn_for_an_agent_that_was_acknowledged_ends_with_its_link() -> None:
    client = agent_client()
    client.act(2, say("hello", "a"), 0.0)
    client.acked(RequestId("support", 2), [], 0.0)
    effects = client.closed(0.1)
    assert (ended_turns(effects), warned_turns(effects)) == ([(2, "completed")], [2])


# Errors


@pytest.mark.parametrize("event", ["error", "support_error", "connect_response", "support_echo"])
def test_an_error_code_under_any_name_ends_the_turn(event: str) -> None:
    client = answered_client()
    client.act(2, say("two", "a"), 0.0)
    effects = client.received(event, {"status_code": 400, "message": "no", "data": {}}, 0.0)
    assert ended_turns(effects) == [(2, "rejected")]


def test_an_error_about_a_room_does_not_end_a_turn() -> None:
    client = answered_client()
    client.act(2, say("two", "a"), 0.0)
    assert not ended_turns(client.received("enter_support", {"status_code": 404, "message": "no", "data": {}}, 0.0))


def test_an_error_of_the_helpdesk_itself_fails_the_turn() -> None:
    client = answered_client()
    client.act(2, say("two", "a"), 0.0)
    effects = client.received("support", {"status_code": 500, "message": "broken", "data": {}}, 0.0)
    assert [(e.status, e.reason) for e in effects if isinstance(e, TurnDone)] == [("failed", "broken")]


def test_a_message_to_a_conversation_that_was_closed_meanwhile_is_rejected_and_no_other() -> None:
    client = answered_client("a", "b")
    client.act(2, say("to a", "a"), 0.0)
    client.act(3, say("to b", "b"), 0.0)
    client.received("customer_support_closed", {"data": {"ticket_chat_id": "b"}}, 0.0)
    effects = client.received("support", {"status_code": 400, "message": "closed", "data": {}}, 0.0)
    assert ended_turns(effects) == [(3, "rejected")]


# Explanations


def test_an_open_turn_explains_what_it_waits_for() -> None:
    client = eusate_client(late_answer_timeout=3.0)
    client.act(1, say("early", "a"), 0.0)
    assert client.explain(1) == "not sent: the link is down"
    client.dial(0.0)
    client.opened(0.0)
    assert client.explain(1) == "not sent: waiting for the list of conversations"
    list_conversations(client, {"id": "a"})
    assert client.explain(1) == "Eusate has not confirmed that it received this"
    client.act(2, say("two", "a"), 0.0)
    assert client.explain(2) == "not sent: waiting for the end of turn 1"
    client.received("support_echo", ECHO, 0.0)
    assert client.explain(1) is None
    client.abandon(1, 0.0)
    assert client.explain(2) == "not sent: waiting up to 3 s for the late answer of turn 1"
    assert client.deadline == 3.0
    assert [payload["message"] for payload in sent_messages(client.timer(3.0))] == ["two"]
    client.received("support_echo", ECHO, 3.0)
    client.closed(4.0)
    assert client.explain(2) == "the link was lost after this was sent"
    assert client.explain(99) is None


def eusate_client(**changed: Any) -> Any:
    return eusate.DIALECT.client(client_settings(**changed), ids())


# Messages without a text, and facts


def test_a_file_without_a_text_is_a_message() -> None:
    client = agent_client()
    file = {"attachment": True, "attachment_metadata": {"url": "https://x.org/a.pdf", "name": "a.pdf"}}
    payload = reply("a", sender="agent", **file)
    payload["data"]["message"] = None
    assert places(client.received("customer_support", payload, 0.0)) == [("a.pdf", 1)]


def test_the_rows_of_a_turn_name_at_most_one_conversation() -> None:
    pair = Pair()
    pair.connect()
    pair.act(1, say("one"))
    pair.act(2, say("new", ""))
    pair.act(3, act("close"))
    records = [r for r in pair.of(Record) if r.turn]
    names = {turn: {r.conversation for r in records if r.turn == turn} - {None} for turn in (1, 2, 3)}
    assert [len(each) for each in names.values()] == [1, 1, 1]
    assert next(r.conversation for r in records if r.turn == 1) is None, "the id is not known yet"


@pytest.mark.parametrize(
    ("event", "payload", "expected"),
    [
        (
            "support_handler_changed",
            {"data": {"handler": "agent", "agent": {"username": "Ada"}}},
            Facts(handler="agent", agent="Ada"),
        ),
        ("support_handler_changed", {"data": {"handler": "sate", "agent": None}}, Facts(handler="bot")),
        ("customer_support", reply("a", "hi", "agent"), Facts(handler="agent")),
        ("support", reply("a", close_support=True, closed_support=False), Facts(suggested=True)),
        ("support", reply("a", close_support=False), Facts(suggested=False)),
        ("support", reply("a", close_support=True, closed_support=True), Facts(suggested=False, closed_by="bot")),
        (
            "customer_support",
            reply("a", "bye", "agent", closed_support=True),
            Facts(handler="agent", closed_by="agent"),
        ),
        ("customer_support_closed", {"data": {"ticket_chat_id": "a"}}, Facts(closed_by="bot")),
        ("close_support", reply("a", closed_support=True), Facts(closed_by="customer")),
        ("messages", {"ticket_chat_id": "a", "closed": True}, Facts(closed_by="system")),
        ("messages", {"sender": "agent", "message": "hi"}, Facts(handler="agent")),
        ("review_support", {"status_code": 200, "data": {"rating": "4"}}, Facts(rating=4.0)),
        ("review_support", {"status_code": 400, "data": {"rating": "4"}}, None),
        ("review_support", {"ticket_chat_id": "a", "rating": "4"}, None),
        ("support", {"session_id": "c", "message": "hi"}, None),
        ("support_echo", ECHO, None),
        ("support", None, None),
    ],
)
def test_events_report_facts_about_their_conversation(event: str, payload: Any, expected: Facts | None) -> None:
    assert eusate.DIALECT.facts(event, payload) == expected

"""Turns, messages and sessions of hand-written traces, so that every rule is checked exactly."""

import json
from dataclasses import replace
from typing import Any

import pandas as pd
import pytest

from socketnb.dialects import registry
from socketnb.dialects.base import Facts, no_facts
from socketnb.frames import derived
from socketnb.frames.columns import CONVERSATION_COLUMNS, MESSAGE_COLUMNS, SESSION_COLUMNS, TURN_COLUMNS
from socketnb.frames.conversations import conversations
from socketnb.frames.imports import from_voiceflow
from socketnb.frames.table import frame_of
from socketnb.model.content import Delta
from socketnb.model.json import as_dict
from socketnb.model.trace import SCHEMA
from socketnb.recording.schema import TRACES

SECOND = 1_000_000_000


def frame(*rows: dict[str, Any]) -> pd.DataFrame:
    """Return a frame of traces. Each row gives what differs from a bot's text in turn 1."""
    common = {name: column.blank for name, column in SCHEMA.items()}
    common |= {"recording": "r", "platform": "voiceflow", "session": "bot", "link": 1, "turn": 1, "direction": "in"}
    common |= {"event": "action.trace", "kind": "text", "sender": "bot", "payload": "{}"}
    traces = [
        common | {"seq": n, "observed_at": n * SECOND, "elapsed_ms": 10.0 * n} | row for n, row in enumerate(rows)
    ]
    return frame_of(TRACES.table([tuple(trace.values()) for trace in traces]))


def action(text: str = "hi", **differences: Any) -> dict[str, Any]:
    payload = '{"action": {"type": "text", "payload": "hi"}}'
    action = {"event": "action.send", "kind": "action", "direction": "out", "sender": "user", "text": text}
    return action | {"payload": payload, "elapsed_ms": 0.0} | differences


def end(text: str | None = "completed", **differences: Any) -> dict[str, Any]:
    return {"kind": "status", "event": "action.status", "text": text, "final": True} | differences


def turn(*rows: dict[str, Any]) -> dict[str, Any]:
    """Return the only turn of some traces."""
    (found,) = derived.turns(frame(*rows)).to_dict("records")
    return found


def test_a_turn_shows_its_first_error() -> None:
    found = turn(action(), {"kind": "error", "error": "first"}, {"kind": "error", "error": "second"}, end())
    assert found["error"] == "first"
    reversed_rows = frame(action(), {"error": "first"}, {"error": "second"}, end()).iloc[::-1]
    assert derived.turns(reversed_rows)["error"].tolist() == ["first"], "the order of the rows does not matter"
    assert pd.isna(turn(action(), end())["error"])


@pytest.mark.parametrize(
    ("last", "status"),
    [
        (end("completed"), "completed"),
        (end("rejected"), "rejected"),
        (end("anything", kind="timeout"), "timeout"),
        (end("anything", kind="cancelled"), "cancelled"),
        (end("anything", kind="error"), "failed"),
        ({"text": "not final"}, "running"),
    ],
)
def test_the_status_of_a_turn_follows_from_its_final_trace(last: dict[str, Any], status: str) -> None:
    assert turn(action(), {"text": "hello"}, last)["status"] == status


def test_the_columns_that_may_be_missing_are_those_that_an_empty_turn_lacks() -> None:
    found = turn({"kind": "status"})
    assert {name for name, value in found.items() if pd.isna(value)} == {
        name for name, column in TURN_COLUMNS.items() if column.nullable
    }


def test_only_the_first_final_trace_of_a_turn_counts() -> None:
    found = turn(action(), end("completed", elapsed_ms=5.0), end("rejected", elapsed_ms=9.0))
    assert (found["status"], found["done_ms"]) == ("completed", 5.0)


def test_only_the_first_action_of_a_turn_counts() -> None:
    found = turn(action("hi"), action("again"), end())
    assert found["user_text"] == "hi"


def test_latencies_are_those_of_the_first_and_the_last_message() -> None:
    rows = [{"text": "a", "elapsed_ms": 30.0}, {"text": "b", "elapsed_ms": 70.0}, {"kind": "block", "elapsed_ms": 5.0}]
    found = turn(action(), *rows, end(elapsed_ms=90.0))
    assert (found["first_ms"], found["last_ms"], found["done_ms"]) == (30.0, 70.0, 90.0)
    assert (found["messages"], found["reply_text"]) == (2, "a\nb")


def test_an_unsolicited_message_has_no_latency_and_is_not_counted() -> None:
    late = {"text": "by the way", "elapsed_ms": None}
    found = turn(action(), {"text": "a", "elapsed_ms": 30.0}, late, end())
    assert (found["messages"], found["reply_text"], found["last_ms"]) == (1, "a", 30.0)


def test_late_messages_are_counted_apart() -> None:
    late = {"text": "by the way", "elapsed_ms": None}
    found = turn(action(), {"text": "a"}, end(), late, late | {"sender": "agent"}, late | {"kind": "block"})
    assert (found["messages"], found["late_messages"], found["sender"]) == (1, 2, "bot")


def test_the_sender_of_a_turn_is_who_answered_last() -> None:
    assert turn(action(), {"text": "a"}, {"text": "b", "sender": "agent"}, end())["sender"] == "agent"
    assert pd.isna(turn(action(), {"text": "a", "sender": "system"}, end())["sender"])


def test_the_warnings_of_a_turn_include_those_after_its_end() -> None:
    warning = {"event": "warning", "kind": "warning", "direction": "local", "sender": "system", "payload": "null"}
    found = turn(action(), warning | {"text": "one"}, end(), warning | {"text": "two", "elapsed_ms": None})
    assert (found["warnings"], found["messages"], found["late_messages"]) == ("one | two", 0, 0)


def queued(text: str = "hi", **differences: Any) -> dict[str, Any]:
    payload = json.dumps({"verb": "text", "text": text, "reason": "not sent: waiting for the end of turn 2"})
    queued = {"event": "queued", "kind": "queued", "direction": "local", "sender": "user", "text": text}
    return queued | {"payload": payload, "elapsed_ms": None} | differences


def test_a_turn_that_was_never_sent_has_its_words() -> None:
    assert (turn(queued())["action"], turn(queued())["user_text"], turn(queued())["status"]) == (
        "text",
        "hi",
        "running",
    )
    refused = turn(queued(), end("failed", kind="error", error="not sent"))
    assert (refused["user_text"], refused["status"], refused["error"]) == ("hi", "failed", "not sent")
    assert derived.messages(frame(queued()))[["sender", "kind", "text"]].to_numpy().tolist() == [
        ["user", "queued", "hi"]
    ]


def test_an_action_that_was_queued_and_then_sent_is_one_message() -> None:
    traces = frame(queued("hi"), queued("other", turn=2), action("hi"), {"text": "a"}, end())
    assert derived.messages(traces)["text"].tolist() == ["other", "hi", "a"]
    assert derived.turns(traces)["user_text"].tolist() == ["hi", "other"]
    assert derived.turns(traces)["turn"].tolist() == [1, 2]


def test_messages_say_whether_they_were_unsolicited() -> None:
    late = {"text": "late", "elapsed_ms": None}
    traces = frame(queued(), action(), {"text": "a"}, end(), late, late | {"turn": 0, "sender": "agent"})
    assert derived.messages(traces)["unsolicited"].tolist() == [False, False, True, True]


def test_an_event_that_has_no_content_is_no_message() -> None:
    unknown = {"kind": "custom", "event": "weather.report", "text": "weather.report", "payload": '{"sun": true}'}
    assert derived.messages(frame(action(), unknown))["kind"].tolist() == ["action"]
    found = turn(action(), unknown, {"text": "a"}, end())
    assert (found["reply_text"], found["messages"]) == ("a", 1)


def shown(kind: str, name: str, **payload: Any) -> dict[str, Any]:
    return {"kind": kind, "text": "[labels]", "payload": json.dumps({"trace": {"type": name, "payload": payload}})}


def test_the_reply_has_the_words_of_cards_but_no_labels_and_no_names_of_types() -> None:
    buttons = [{"name": "Buy", "request": {"type": "path-1"}}]
    card = {"title": "Shoes", "description": {"text": "blue"}, "buttons": buttons}
    rows = [shown("card", "cardV2", **card), shown("carousel", "carousel", cards=[card, {"title": "Hat"}])]
    found = turn(action(), *rows, shown("custom", "fireworks", colour="red"), end())
    assert (found["reply_text"], found["choices"], found["messages"]) == (
        "Shoes\nblue\nShoes\nblue\nHat",
        "Buy | Buy",
        3,
    )


# Facts, data and conversations


@pytest.fixture
def telling(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the field `facts` of a payload give facts, and the field `data` the data of a message."""

    def facts(_event: str, payload: Any) -> Facts | None:
        fields = as_dict(as_dict(payload).get("facts"))
        return Facts(**fields) if fields else None

    dialect = replace(
        registry.get("voiceflow"),
        facts=facts,
        data=lambda _, payload: as_dict(payload).get("data"),
        data_kinds=None,
        fact_kinds=None,
    )
    monkeypatch.setattr("socketnb.dialects.registry.get", lambda _name: dialect)


def telling_row(**facts: Any) -> dict[str, Any]:
    return {"kind": "debug", "text": None, "payload": json.dumps({"facts": facts})}


@pytest.mark.usefixtures("telling")
def test_a_turn_has_the_facts_that_its_traces_report() -> None:
    found = turn(
        action(),
        telling_row(intent="greet", confidence=0.5, path=["start", "menu"], tokens=10, variables={"a": 1}),
        telling_row(intent="track", knowledge=["a.pdf", "b.pdf"], path=["menu", "track"], tokens=5),
        telling_row(confidence=0.9, knowledge=["a.pdf"], variables={"a": 2, "b": "ö"}),
        end(),
    )
    assert (found["intent"], found["confidence"], found["tokens"]) == ("track", 0.9, 15)
    assert (found["knowledge"], found["path"]) == ("a.pdf | b.pdf", "start > menu > track")
    assert json.loads(found["variables"]) == {"a": 2, "b": "ö"}


@pytest.mark.usefixtures("telling")
def test_facts_are_read_only_for_their_columns() -> None:
    traces = frame(action(), telling_row(unknown="this raises an error"), end())
    assert derived.turns(traces, ["turn", "status"]).to_numpy().tolist() == [[1, "completed"]]
    with pytest.raises(TypeError):
        derived.turns(traces, ["turn", "intent"])


@pytest.mark.usefixtures("telling")
def test_messages_have_their_data_as_json() -> None:
    rows = [{"payload": json.dumps({"data": data})} for data in ({"id": 4567}, None, "ö", 0)]
    found = derived.messages(frame(*rows))["data"]
    assert found.fillna("").tolist() == ['{"id": 4567}', "", '"ö"', "0"]


def test_a_conversation_begins_with_the_action_that_starts_it() -> None:
    traces = frame(
        action(conversation=None),
        {"text": "a", "conversation": "c1"},
        end(conversation=None),
        action(turn=2, conversation=None),
        end(turn=2, conversation=None),
        {"turn": 0, "conversation": None},
    )
    assert derived.turns(traces)["conversation"].astype(object).fillna("").tolist() == ["c1", ""]
    assert derived.messages(traces)["conversation"].astype(object).fillna("").tolist() == ["c1", "c1", "", ""]
    assert traces["conversation"].isna().sum() == 5, "the traces stay as recorded"
    reversed_rows = derived.turns(traces.iloc[::-1])
    assert reversed_rows["conversation"].astype(object).fillna("").tolist() == ["c1", ""]


@pytest.mark.usefixtures("telling")
def test_a_conversation_is_summed_up() -> None:
    c1, c2 = {"conversation": "c1"}, {"conversation": "c2"}
    traces = frame(
        action(conversation=None),
        {"text": "a"} | c1,
        end() | c1,
        telling_row(handler="agent", agent="Ada", suggested=True) | c1,
        {"text": "b", "sender": "agent", "turn": 1, "elapsed_ms": None} | c1,
        action(turn=2) | c2,
        {"text": "c", "sender": "agent", "turn": 2} | c2,
        telling_row(closed_by="agent", suggested=False) | c1,
        telling_row(closed_by="system", handler="bot") | c1,
        telling_row(rating=4) | c1 | {"direction": "out", "turn": 3},
        {"kind": "connected", "turn": 0, "conversation": None},
    )
    first, second = conversations(traces).to_dict("records")
    assert (first["conversation"], first["opened"]) == ("c1", pd.Timestamp(0, tz="UTC"))
    assert (first["handler"], first["agent"], first["suggested"], first["rating"]) == ("bot", "Ada", False, 4)
    assert (first["first_bot_ms"], first["first_human_ms"]) == (1000, 4000)
    assert (first["closed_at"], first["closed_by"]) == (pd.Timestamp(7, unit="s", tz="UTC"), "agent")
    assert (first["turns"], first["messages"]) == (2, 2)
    assert (second["conversation"], second["handler"], second["first_human_ms"]) == ("c2", "bot", 1000)
    assert pd.isna(second["closed_at"])
    assert pd.isna(second["first_bot_ms"])


def test_a_conversation_that_ended_is_closed() -> None:
    ended = {"kind": "flow_ended", "conversation": "c", "text": "the bot ended the conversation"}
    (found,) = conversations(frame(action(conversation="c"), ended)).to_dict("records")
    assert found["closed_at"] == pd.Timestamp(1, unit="s", tz="UTC")
    assert pd.isna(found["closed_by"])


def test_messages_of_a_saved_transcript_are_not_unsolicited() -> None:
    logs = [
        {"type": "action", "data": {"type": "launch"}},
        {"type": "trace", "data": {"type": "text", "payload": {"message": "Hello!"}}},
        {"type": "action", "data": {"type": "text", "payload": "hi"}},
        {"type": "trace", "data": {"type": "text", "payload": {"message": "Bye!"}}},
    ]
    traces = from_voiceflow({"id": "t1", "logs": logs})
    assert not derived.messages(traces)["unsolicited"].any()
    assert derived.turns(traces)["late_messages"].tolist() == [0, 0]


def test_traces_outside_any_turn_are_not_turns() -> None:
    assert derived.turns(frame({"turn": 0, "text": "Welcome!"})).empty
    assert derived.turns(frame({"turn": 0}, action(turn=1), action(turn=2)))["turn"].tolist() == [1, 2]


def test_what_was_sent_is_not_a_reply() -> None:
    found = turn(action(), {"text": "an echo", "direction": "out"}, end())
    assert (found["messages"], found["first_ms"] != found["first_ms"]) == (0, True)


def choice(*names: str) -> dict[str, Any]:
    buttons = ", ".join(f'{{"name": "{name}", "request": {{"type": "text"}}}}' for name in names)
    return {"kind": "choices", "payload": f'{{"trace": {{"type": "choice", "payload": {{"buttons": [{buttons}]}}}}}}'}


def test_the_choices_of_a_turn_are_all_that_were_offered_in_order() -> None:
    found = turn(
        action(), choice("a", "b") | {"text": "[a] [b]"}, {"text": "then"}, choice("c") | {"text": "[c]"}, end()
    )
    assert found["choices"] == "a | b | c"
    assert found["reply_text"] == "then", "the labels of buttons are not text of the bot"
    assert found["messages"] == 3


def test_turns_are_in_the_order_in_which_they_began() -> None:
    traces = frame(action(turn=2, observed_at=5 * SECOND), action(turn=1, observed_at=9 * SECOND))
    assert derived.turns(traces)["turn"].tolist() == [2, 1]


def test_turns_with_the_same_number_in_different_sessions_are_different_turns() -> None:
    traces = frame(action(), end(), action(session="other"), {"session": "other", "error": "no"})
    found = derived.turns(traces)
    assert found["session"].tolist() == ["bot", "other"]
    assert found["status"].tolist() == ["completed", "running"]
    assert found["error"].isna().tolist() == [True, False]


def test_messages_are_contents_and_actions() -> None:
    traces = frame(action(), {"text": "a"}, {"kind": "block"}, choice("x"), end())
    assert derived.messages(traces)["kind"].tolist() == ["action", "text", "choices"]


def test_a_session_is_summed_up() -> None:
    rows = [{"turn": 0, "conversation": "c1"}, action(turn=1), action(turn=2, link=2, conversation="c2")]
    rows += [{"kind": "gap", "turn": 0}, {"kind": "error"}, {"kind": "error"}]
    rows += [{"kind": "ended", "text": "first"}, {"kind": "ended", "text": "last"}, {"session": "other", "turn": 3}]
    first, other = derived.sessions(frame(*rows)).to_dict("records")
    assert (first["turns"], first["links"], first["gaps"], first["errors"], first["traces"]) == (2, 2, 1, 2, 8)
    assert (first["conversation"], first["reason"]) == ("c2", "last")
    assert (first["start"], first["end"]) == (pd.Timestamp(0, tz="UTC"), pd.Timestamp(7 * SECOND, tz="UTC"))
    assert (other["turns"], other["traces"], pd.isna(other["reason"])) == (1, 1, True)


@pytest.mark.parametrize(("numbers", "turns"), [((0, 1), 1), ((1,), 1), ((0,), 0)])
def test_traces_outside_any_turn_do_not_count_as_a_turn_of_the_session(numbers: tuple[int, ...], turns: int) -> None:
    (found,) = derived.sessions(frame(*({"turn": number} for number in numbers))).to_dict("records")
    assert found["turns"] == turns


def test_empty_frames_have_all_columns() -> None:
    empty = frame()
    for compute, columns in (
        (derived.messages, MESSAGE_COLUMNS),
        (derived.turns, TURN_COLUMNS),
        (conversations, CONVERSATION_COLUMNS),
        (derived.sessions, SESSION_COLUMNS),
    ):
        dtypes = {name: column.dtype for name, column in columns.items()}
        assert {name: str(dtype) for name, dtype in compute(empty).dtypes.items()} == dtypes


# Streamed messages


@pytest.fixture
def pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a payload give the fields of a Delta, so that every combination can be written."""

    class Pieces:
        facts = staticmethod(no_facts)
        data_kinds = None

        @staticmethod
        def content(_event: str, payload: dict[str, Any]) -> Delta | None:
            fields = dict(payload)
            sound, _ = fields.pop("sound", "").encode(), fields.pop("data", None)
            return Delta("stream", **fields, sound=sound) if fields or sound else None

        @staticmethod
        def data(_event: str, payload: dict[str, Any]) -> Any:
            return payload.get("data")

    monkeypatch.setattr("socketnb.dialects.registry.get", lambda _name: Pieces)


def piece(text: str = "", **fields: Any) -> dict[str, Any]:
    payload = fields | ({"text": text} if text else {})
    return {"kind": "delta", "text": text, "payload": json.dumps(payload)}


def streamed(*rows: dict[str, Any]) -> list[tuple[str, str]]:
    """Return kind and text of the messages of some traces."""
    found = derived.messages(frame(*rows))
    return list(zip(found["kind"], found["text"], strict=True))


@pytest.mark.usefixtures("pieces")
def test_the_pieces_of_a_stream_are_one_message_in_place_of_the_first() -> None:
    rows = [piece("Hel", first=True), {"text": "meanwhile"}, piece("lo", last=True)]
    assert streamed(*rows) == [("text", "Hello"), ("text", "meanwhile")]


@pytest.mark.usefixtures("pieces")
def test_a_first_piece_begins_a_new_message_although_the_last_one_is_missing() -> None:
    assert streamed(piece("one", first=True), piece("two", first=True)) == [("text", "one"), ("text", "two")]


@pytest.mark.usefixtures("pieces")
def test_a_piece_after_the_last_begins_a_new_message() -> None:
    assert streamed(piece("one", last=True), piece("two")) == [("text", "one"), ("text", "two")]


@pytest.mark.usefixtures("pieces")
def test_a_stream_with_sound_is_audio_and_an_empty_one_is_no_message() -> None:
    assert streamed(piece(sound="x", first=True), piece("words", last=True)) == [("audio", "words")]
    assert streamed(piece(first=True), piece(last=True)) == []


@pytest.mark.usefixtures("pieces")
def test_streams_of_different_sessions_are_not_mixed() -> None:
    rows = [piece("a", first=True), piece("b", first=True) | {"session": "other"}, piece("c", last=True)]
    assert streamed(*rows) == [("text", "ac"), ("text", "b")]


@pytest.mark.usefixtures("pieces")
def test_a_piece_after_the_end_of_its_turn_is_a_late_message() -> None:
    rows = [piece("Hel", first=True), end("too late", kind="timeout"), piece("lo", last=True) | {"elapsed_ms": None}]
    assert streamed(*rows) == [("text", "Hel"), ("text", "lo")]
    assert derived.messages(frame(*rows))["unsolicited"].tolist() == [False, True]
    found = turn(*rows)
    assert (found["reply_text"], found["messages"], found["late_messages"]) == ("Hel", 1, 1)


@pytest.mark.usefixtures("pieces")
def test_the_data_of_all_pieces_is_the_data_of_the_message() -> None:
    rows = [piece("Hel", first=True, data={"a": 1}), piece("lo", last=True, data={"b": 2})]
    assert derived.messages(frame(*rows))["data"].tolist() == ['{"a": 1, "b": 2}']


@pytest.mark.usefixtures("pieces")
def test_an_empty_piece_does_not_count_for_latencies() -> None:
    rows = [piece("x", first=True) | {"elapsed_ms": 30.0}, piece(last=True, data="y") | {"elapsed_ms": 80.0}]
    found = turn(action(payload="{}"), piece(first=True) | {"elapsed_ms": 10.0}, *rows)
    assert (found["first_ms"], found["last_ms"], found["messages"]) == (30.0, 30.0, 1)


def test_the_reason_of_a_session_is_that_of_its_flow_unless_the_session_ended_itself() -> None:
    logs = [
        {"type": "trace", "data": {"type": "text", "payload": {"message": "Bye!"}}},
        {"type": "trace", "data": {"type": "end"}},
    ]
    frame = from_voiceflow({"id": "t1", "logs": logs})
    assert derived.sessions(frame)["reason"].tolist() == ["the bot ended the conversation"]

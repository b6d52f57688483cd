"""Cognigy's client and server machine: as a pair, and each one against a transcript of the vendor's page."""

import copy
import json
import re
import sys
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_cognigy_outputs import READ

from socketnb.dialects import cognigy
from socketnb.dialects.cognigy.received import Moment, Ping, ReceivedLog, Sign
from socketnb.errors import SettingsError
from socketnb.model.actions import Action
from socketnb.model.content import AgentSays, Choice, End, Handover, Step, Text, UserInput
from socketnb.model.effects import (
    Close,
    Emit,
    Ended,
    EndFlow,
    Failed,
    HttpCall,
    HttpReply,
    HttpRequest,
    HttpResponse,
    Persist,
    Ready,
    Reconnect,
    Record,
    Refuse,
    RunFlow,
    TurnDone,
)
from socketnb.model.secret import Secret

TRANSCRIPT = Path(__file__).parent / "transcripts" / "cognigy.jsonl"
GIVEN = {
    "url": "http://127.0.0.1:1",
    "token": Secret("planted-token"),
    "user_id": "ana@example.org",
    "session_id": "session-1",
    "passthrough_ip": "127.0.0.1",
}
LAUNCH = Action("launch")
REGULAR = {"type": "regular"}
PING = ("finalPing", REGULAR)
TYPING = ("typingStatus", {"status": "typingOn"})


def given_(**changed: Any) -> dict[str, Any]:
    defaults = {name: setting.default for name, setting in cognigy.DIALECT.settings.items()}
    return cognigy.DIALECT.settle({**defaults, **GIVEN, **changed})


def options(**changed: Any) -> dict[str, Any]:
    return {**{name: option.default for name, option in cognigy.DIALECT.options.items()}, **changed}


def say(text: str) -> Action:
    return Action("text", {"text": text})


def ids() -> Callable[[], str]:
    numbers = count(1)
    return lambda: f"id{next(numbers)}"


def output(text: str, **more: Any) -> dict[str, Any]:
    return {"type": "output", "data": {"text": text, "data": {}, **more}}


class Pair:
    """A client and a server machine with a list as the network between them."""

    def __init__(
        self,
        answer: Callable[[UserInput], Sequence[Step]] = lambda user_input: [Text(f"You said {user_input.text}")],
        *,
        client: dict[str, Any] | None = None,
        **server: Any,
    ) -> None:
        self.client = cognigy.DIALECT.client(given_(**(client or {})), ids())
        self.server = cognigy.DIALECT.server(given_(), ids(), options(**server))
        self.answer = answer
        self.links = 0
        self.now = 0.0
        self.seen: list[Any] = []  # the client's effects
        self.inputs: list[Any] = []  # what the client sent
        self.ran: list[UserInput] = []
        self.refused: list[str] = []
        self.deaf = False  # the network loses what the server sends
        self.dumb = False  # the network loses acknowledgements

    def connect(self) -> None:
        self.links += 1
        self.address = self.client.dial(self.now)
        effects = self.server.opened(f"link{self.links}", self.address.query, self.now)
        self.to_client(self.client.opened(self.now))
        self.to_server(effects)

    def disconnect(self) -> None:
        self.server.closed(f"link{self.links}", self.now)
        self.to_client(self.client.closed(self.now))

    def act(self, turn: int, action: Action) -> None:
        self.to_client(self.client.act(turn, action, self.now))

    def to_client(self, effects: Sequence[Any]) -> None:
        for effect in effects:
            self.seen.append(effect)
            if isinstance(effect, Emit):
                self.inputs.append(effect.args[0])
                self.to_server(self.server.received(f"link{self.links}", effect.event, effect.args[0], self.now))

    def to_server(self, effects: Sequence[Any]) -> None:
        for effect in effects:
            match effect:
                case Emit(event, args, link, ack) if link == f"link{self.links}" and not self.deaf:
                    payload = args[0] if args else None
                    if ack is not None and not self.dumb:
                        answer = self.address.acks.get(event)
                        self.to_server(self.server.acked(link, ack, [] if answer is None else [answer], self.now))
                    self.to_client(self.client.received(event, payload, self.now))
                case RunFlow(conversation, user_input):
                    self.ran.append(user_input)
                    for step in self.answer(user_input):
                        self.to_server(self.server.put(conversation, step, self.now))
                    self.to_server(self.server.done(conversation, None, self.now))
                case Refuse(reason):
                    self.refused.append(reason)

    def of(self, kind: type) -> list[Any]:
        return [effect for effect in self.seen if isinstance(effect, kind)]

    def texts(self) -> list[str | None]:
        """Return the texts that a person sees."""
        return [record.text for record in self.of(Record) if record.kind in ("action", "text")]


def ready(**changed: Any) -> Any:
    """Return a client that is ready."""
    client = cognigy.DIALECT.client(given_(**changed), ids())
    client.dial(0.0)
    client.opened(0.0)
    client.received("endpoint-ready", None, 0.0)
    return client


def kinds(effects: Sequence[Any]) -> list[str]:
    return [effect.kind for effect in effects if isinstance(effect, Record)]


# Connecting


@pytest.mark.parametrize(
    ("url", "token", "server"),
    [
        ("https://endpoint.cognigy.ai/abc123", None, "https://endpoint.cognigy.ai"),
        ("https://endpoint.cognigy.ai/abc123/", None, "https://endpoint.cognigy.ai"),
        ("https://endpoint.cognigy.ai", "abc123", "https://endpoint.cognigy.ai"),
        ("https://endpoint.cognigy.ai/abc123", "abc123", "https://endpoint.cognigy.ai"),
        ("https://host/bots/eu/abc123", None, "https://host/bots/eu"),
        ("https://host/bots/eu", "abc123", "https://host/bots/eu"),
    ],
)
def test_the_token_is_the_last_part_of_the_url_or_a_setting(url: str, token: str | None, server: str) -> None:
    settled = given_(url=url, token=token and Secret(token))
    assert (settled["url"], settled["token"].reveal()) == (server, "abc123")


def test_a_url_without_a_token_is_refused_with_the_fix() -> None:
    with pytest.raises(SettingsError, match="pass the whole Endpoint URL as url, or add token="):
        given_(url="https://endpoint.cognigy.ai", token=None)


def test_the_query_has_the_keys_of_the_vendor_s_client() -> None:
    pair = Pair(client={"test_mode": True})
    pair.connect()
    assert pair.address.query == {
        "sessionId": "session-1",
        "urlToken": "planted-token",
        "userId": "ana%40example.org",
        "testMode": "true",
        "emitWithAck": "true",
    }
    assert (pair.address.url, pair.address.path) == ("http://127.0.0.1:1", "socket.io")


def test_a_path_in_the_url_becomes_a_prefix_of_the_socket_io_path() -> None:
    client = cognigy.DIALECT.client(given_(url="https://host/bots/eu", token=Secret("t")), ids())
    address = client.dial(0.0)
    assert (address.url, address.path) == ("https://host", "bots/eu/socket.io")


@pytest.mark.parametrize(
    ("transport", "tried"),
    [("websocket", ("websocket",)), ("polling", ("polling",)), ("auto", ("websocket", "polling"))],
)
def test_the_transport_setting_selects_the_transports(transport: str, tried: tuple[str, ...]) -> None:
    assert cognigy.DIALECT.client(given_(transport=transport), ids()).dial(0.0).transports == tried


def test_a_lost_link_is_reconnected_at_every_interval_up_to_the_limit() -> None:
    address = cognigy.DIALECT.client(given_(interval=3.0, reconnection_limit=7), ids()).dial(0.0)
    assert (address.attempts, address.delay, address.delay_max) == (7, 3.0, 3.0)
    assert cognigy.DIALECT.client(given_(reconnection_limit=0), ids()).dial(0.0).attempts > 10**6, "0 means no limit"
    assert cognigy.DIALECT.client(given_(reconnection=False), ids()).dial(0.0).attempts == 0


@pytest.mark.parametrize("inner", [False, True])
def test_a_link_is_ready_after_endpoint_ready(inner: Any) -> None:
    pair = Pair(client={"inner_handshake": inner})
    pair.connect()
    (ready_effect,) = pair.of(Ready)
    assert ready_effect.conversation == "session-1"
    assert pair.address.query == {"handshake": "true"} if inner else pair.address.query
    pair.act(1, say("hi"))
    assert pair.texts() == ["hi", "You said hi"]
    assert pair.client.deadline is None


def test_a_link_without_endpoint_ready_is_used_after_the_timeout_and_recorded() -> None:
    client = cognigy.DIALECT.client(given_(), ids())
    client.dial(0.0)
    client.opened(0.0)
    assert not [e for e in client.act(1, say("early"), 0.5) if isinstance(e, Emit)]
    assert not [e for e in client.act(2, say("second"), 0.6) if isinstance(e, Emit)]
    assert client.deadline == 2.0
    effects = client.timer(2.0)
    warning, record = [e for e in effects if isinstance(e, Record) and e.kind != "action"]
    assert (warning.kind, warning.turn, warning.text and warning.text[:53]) == (
        "warning",
        0,
        "connected, but the endpoint never said it is ready: a",
    )
    assert (record.kind, record.text and record.text[:25]) == ("ready", "no endpoint-ready arrived")
    assert [e.args[0]["text"] for e in effects if isinstance(e, Emit)] == ["early"], "in order, one at a time"
    client.received(*TYPING, 2.5)
    late = client.received("endpoint-ready", None, 3.0)
    assert kinds(late) == ["session"]


def test_the_queue_of_waiting_turns_is_limited() -> None:
    client = cognigy.DIALECT.client(given_(), ids())
    client.dial(0.0)
    client.opened(0.0)
    for turn in range(1, 1001):
        client.act(turn, say("hi"), 0.0)
    (failed,) = [e for e in client.act(1001, say("too many"), 0.0) if isinstance(e, TurnDone)]
    assert (failed.turn, failed.status) == (1001, "failed")


@pytest.mark.parametrize("refusal", ["output", "exception"])
def test_an_endpoint_can_refuse_a_token_with_an_event(refusal: str) -> None:
    pair = Pair(client={"token": Secret("wrong")}, refusal=refusal)
    pair.connect()
    (failed,) = pair.of(Failed)
    assert failed.how == "refused"
    assert "unknown URL token" in failed.reason


def test_an_endpoint_refuses_the_connection_for_an_unknown_token() -> None:
    pair = Pair(client={"token": Secret("wrong")})
    pair.connect()
    assert pair.refused == ["unknown URL token: check the Endpoint URL"]
    assert not pair.of(Ready)


def test_ids_that_a_client_encoded_twice_are_decoded_twice() -> None:
    server = cognigy.DIALECT.server(given_(), ids(), options())
    query = {"sessionId": "session%201", "urlToken": "planted-token", "userId": "user%40x.org", "emitWithAck": "true"}
    server.opened("link", query, 0.0)
    assert server.conversation("session 1") == server.conversation("user@x.org")


def test_the_ids_of_an_input_override_those_of_the_query() -> None:
    server = cognigy.DIALECT.server(given_(), ids(), options())
    server.opened("link", {"sessionId": "x", "urlToken": "planted-token", "userId": "y"}, 0.0)
    fields = {"URLToken": "planted-token", "sessionId": "100%20", "userId": "z", "text": "hi"}
    run = [e for e in server.received("link", "processInput", fields, 0.0) if isinstance(e, RunFlow)]
    assert run[0].conversation == server.conversation("100%20")


# Turns


def test_an_input_has_the_keys_of_the_vendor_s_client_in_their_order() -> None:
    pair = Pair()
    pair.connect()
    pair.act(1, say("hi"))
    wanted = {
        "URLToken": "planted-token",
        "userId": "ana@example.org",
        "sessionId": "session-1",
        "channel": "socket-client",
        "source": "device",
        "passthroughIP": "127.0.0.1",
        "resetFlow": False,
        "text": "hi",
    }
    assert pair.inputs == [wanted]
    assert list(pair.inputs[0]) == list(wanted)


def test_a_reset_is_sent_once() -> None:
    pair = Pair()
    pair.connect()
    pair.act(1, Action("reset"))
    pair.act(2, say("hi"))
    assert [fields["resetFlow"] for fields in pair.inputs] == [True, False]
    assert "text" not in pair.inputs[0]
    assert pair.ran == [UserInput("launch"), UserInput("text", "hi")]


def test_a_reset_restarts_the_flow_with_its_text() -> None:
    server = cognigy.DIALECT.server(given_(), ids(), options())
    server.opened("link", {"urlToken": "planted-token", "userId": "u", "sessionId": "s"}, 0.0)
    fields = {"URLToken": "planted-token", "userId": "u", "sessionId": "s", "resetFlow": True, "text": "again"}
    effects = server.received("link", "processInput", fields, 0.0)
    assert [type(e) for e in effects if isinstance(e, EndFlow | RunFlow)] == [EndFlow, RunFlow]
    assert next(e for e in effects if isinstance(e, RunFlow)).user_input == UserInput("text", "again")


@pytest.mark.parametrize("encoding", cognigy.DIALECT.options["final_ping"].among)
def test_a_turn_ends_once_with_any_encoding_of_the_final_ping(encoding: str) -> None:
    pair = Pair(final_ping=encoding)
    pair.connect()
    for turn in (1, 2, 3):
        pair.act(turn, say("hi"))
    pair.act(4, say("waits"))
    assert [(done.turn, done.status) for done in pair.of(TurnDone)] == [(n, "completed") for n in (1, 2, 3, 4)]


def test_the_second_encoding_of_a_final_ping_does_not_end_another_turn() -> None:
    client = ready()
    client.act(1, say("one"), 0.0)
    client.act(2, say("two"), 0.0)
    assert [
        e.turn
        for e in client.received("output", {"type": "finalPing", "data": REGULAR}, 0.0)
        if isinstance(e, TurnDone)
    ]
    assert not [e for e in client.received("finalPing", REGULAR, 0.0) if isinstance(e, TurnDone)]
    client.received("output", output("answer to two"), 0.0)
    (done,) = [
        e for e in client.received("output", {"type": "finalPing", "data": REGULAR}, 0.0) if isinstance(e, TurnDone)
    ]
    assert done.turn == 2


def test_a_stopped_flow_is_the_reason_of_the_turn() -> None:
    pair = Pair(lambda _: [Text("bye"), End()])
    pair.connect()
    pair.act(1, say("stop"))
    (done,) = pair.of(TurnDone)
    assert (done.status, done.reason) == ("completed", "cognigyStopFlow")


def test_a_second_turn_waits_in_line_unless_it_is_sent_at_once() -> None:
    client = ready()
    first = client.act(1, say("one"), 0.0)
    second = client.act(2, say("two"), 0.0)
    third = client.act(3, Action("text", {"text": "three"}, at_once=True), 0.0)
    assert [len([e for e in effects if isinstance(e, Emit)]) for effects in (first, second, third)] == [1, 0, 1]
    events = [PING, TYPING, PING]
    assert [e.turn for event in events for e in client.received(*event, 0.0) if isinstance(e, TurnDone)] == [1, 3]


def test_a_press_records_the_label_and_sends_the_payload() -> None:
    client = ready()
    effects = client.act(1, Action("press", {"choice": Choice("Yes", {"text": "yes-payload", "data": None})}), 0.0)
    (record,) = [e for e in effects if isinstance(e, Record)]
    (sent,) = [e for e in effects if isinstance(e, Emit)]
    assert (record.text, sent.args[0]["text"], sent.args[0]["data"]) == ("Yes", "yes-payload", None)


def test_a_typing_status_completes_at_once() -> None:
    client = ready()
    effects = client.act(1, Action("typing"), 0.0)
    assert [e.args[0] for e in effects if isinstance(e, Emit)] == [{"status": "typingOn"}]
    assert [e.status for e in effects if isinstance(e, TurnDone)] == ["completed"]
    off = client.act(2, Action("typing", {"on": False}), 0.0)
    assert [e.args[0] for e in off if isinstance(e, Emit)] == [{"status": "typingOff"}]


# Errors


@pytest.mark.parametrize(
    ("event", "payload", "text"),
    [
        ("output", {"type": "error", "data": {"error": {"message": "too many"}}}, "too many"),
        ("output", {"type": "error"}, '{"type": "error"}'),
        ("output", {"type": "error", "data": {"error": "plain"}}, "plain"),
        ("exception", {"message": "broken", "type": "CognigyError", "code": 1}, "broken"),
        ("exception", None, "null"),
        ("error", "gone", "gone"),
    ],
)
def test_an_error_fails_its_turn_if_no_final_ping_comes(event: str, payload: Any, text: str) -> None:
    client = ready()
    client.act(1, say("hi"), 0.0)
    (record,) = client.received(event, payload, 1.0)
    assert (record.kind, record.error, record.turn) == ("error", text, 1)
    assert client.deadline == 6.0
    (done,) = [e for e in client.timer(6.0) if isinstance(e, TurnDone)]
    assert (done.turn, done.status, done.reason) == (1, "failed", text)
    assert [e for e in client.act(2, say("again"), 7.0) if isinstance(e, Emit)], "the session stays usable"


def test_an_error_fails_a_turn_that_continues_and_ends_with_a_final_ping() -> None:
    client = ready()
    client.act(1, say("hi"), 0.0)
    client.received("exception", {"message": "oops"}, 1.0)
    client.received("output", output("more"), 2.5)
    assert client.deadline == 7.5
    (done,) = [e for e in client.received("finalPing", REGULAR, 4.0) if isinstance(e, TurnDone)]
    assert (done.status, done.reason) == ("failed", "oops")
    assert client.deadline is None


def test_an_unknown_event_or_output_type_is_a_custom_trace() -> None:
    client = ready()
    assert kinds(client.received("output", {"type": "new", "data": 1}, 0.0)) == ["custom"]
    assert kinds(client.received("unheard-of", [1, 2], 0.0)) == ["custom"]


@pytest.mark.parametrize(
    ("event", "payload"),
    [("output", None), ("output", {}), ("output", {"type": "output"}), ("output", {"type": 3}), ("typingStatus", "on")],
)
def test_a_malformed_event_is_an_error_that_names_the_event(event: str, payload: Any) -> None:
    (record,) = ready().received(event, payload, 0.0)
    assert (record.kind, record.error.split(":")[0]) == ("error", f"malformed {event}")


@pytest.mark.parametrize("fields", [{}, {"text": ""}, {"text": None, "data": None}])
def test_an_input_needs_a_text_or_data(fields: dict[str, Any]) -> None:
    server = cognigy.DIALECT.server(given_(), ids(), options())
    identity = {"URLToken": "planted-token", "userId": "u", "sessionId": "s"}
    (error,) = server.received("link", "processInput", {**identity, **fields}, 0.0)
    assert isinstance(error, Emit)
    assert "needs a text or data" in error.args[0]["data"]["error"]["message"]


def test_an_input_with_a_wrong_token_is_refused() -> None:
    server = cognigy.DIALECT.server(given_(), ids(), options())
    (error,) = server.received("link", "processInput", {"URLToken": "x", "userId": "u", "sessionId": "s"}, 0.0)
    assert isinstance(error, Emit)
    assert "unknown URL token" in error.args[0]["data"]["error"]["message"]


# Unsolicited messages


def test_unsolicited_messages_are_recorded_under_the_last_turn() -> None:
    pair = Pair()
    pair.connect()
    pair.act(1, say("hi"))
    conversation = pair.server.conversation(None)
    pair.to_server(pair.server.notify(conversation, "by the way", {"key": 1}, 0.0))
    pair.to_server(pair.server.inject(conversation, "as if", None, 0.0))
    pair.to_server(pair.server.put(conversation, AgentSays("I am Ada"), 0.0))
    last = pair.of(Record)[-1]
    assert pair.texts() == ["hi", "You said hi", "by the way", "You said as if", "I am Ada"]
    assert (last.sender, last.turn) == ("agent", 1)
    assert len(pair.of(TurnDone)) == 1, "the finalPing of an injected input ends no turn"


def test_a_message_to_an_agent_does_not_run_the_flow() -> None:
    pair = Pair(lambda user_input: [Handover("Ada")] if user_input.text == "help" else [Text("flow")])
    pair.connect()
    pair.act(1, say("help"))
    pair.act(2, say("hello Ada"))
    assert [user_input.text for user_input in pair.ran] == ["help"]
    assert [done.status for done in pair.of(TurnDone)] == ["completed", "completed"]
    pair.to_server(pair.server.put(pair.server.conversation(None), Handover(), 0.0))
    pair.act(3, say("back?"))
    assert pair.texts()[-1] == "flow"
    assert [r.text for r in pair.of(Record) if r.kind == "handler"] == ["Ada has joined", "the agent has left"]


def test_inputs_and_outputs_pass_through_the_transformers() -> None:
    pair = Pair(
        input_transformer=lambda fields: {**fields, "text": fields["text"].upper()},
        output_transformer=lambda data: {**data, "text": data["text"] + "!"} if "SECRET" not in data["text"] else None,
    )
    pair.connect()
    pair.act(1, say("hi"))
    pair.act(2, say("secret"))
    assert pair.texts() == ["hi", "You said HI!", "secret"]


def test_an_exception_in_a_transformer_is_an_error_of_its_turn() -> None:
    def broken(_: dict[str, Any]) -> dict[str, Any]:
        raise KeyError("text")

    pair = Pair(input_transformer=broken)
    pair.connect()
    pair.act(1, say("hi"))
    assert "the input transformer raised KeyError: 'text'" in [r.error for r in pair.of(Record)]


# Lost links


def test_unacknowledged_events_are_sent_again_and_shown_once() -> None:
    pair = Pair(lambda user_input: [Text(f"{user_input.text} {n}") for n in range(3)])
    pair.connect()
    pair.act(1, say("a"))
    pair.dumb = True
    pair.act(2, say("b"))
    pair.disconnect()
    pair.dumb = False
    pair.connect()
    pair.act(3, say("c"))
    assert pair.texts() == [x for word in "abc" for x in (word, f"{word} 0", f"{word} 1", f"{word} 2")]
    assert [done.turn for done in pair.of(TurnDone)] == [1, 2, 3]
    assert [r.text for r in pair.of(Record)].count("sent again after the lost link") == 4
    pair.disconnect()
    pair.connect()
    assert [r.text for r in pair.of(Record)].count("sent again after the lost link") == 4, (
        "everything is acknowledged by now"
    )


def test_undelivered_events_come_over_the_next_link() -> None:
    pair = Pair(lambda user_input: [Text(f"{user_input.text} {n}") for n in range(3)])
    pair.connect()
    pair.deaf = True
    pair.act(1, say("a"))
    pair.disconnect()
    pair.deaf = False
    pair.connect()
    assert pair.texts() == ["a", "a 0", "a 1", "a 2"]
    assert [done.turn for done in pair.of(TurnDone)] == [1]


def test_without_acknowledgements_undelivered_events_are_lost() -> None:
    pair = Pair(client={"emit_with_ack": False})
    pair.connect()
    pair.deaf = True
    pair.act(1, say("a"))
    pair.disconnect()
    pair.deaf = False
    pair.connect()
    assert pair.texts() == ["a"]


def test_two_equal_answers_without_a_trace_id_are_two_answers() -> None:
    client = ready()
    client.act(1, say("hi"), 0.0)
    client.received("output", output("Hello"), 0.0)
    client.received("finalPing", REGULAR, 0.0)
    client.closed(1.0)
    client.dial(1.0)
    client.opened(1.0)
    client.received("endpoint-ready", None, 1.0)
    client.act(2, say("hi"), 1.0)
    assert kinds(client.received("output", output("Hello"), 1.0)) == ["text", "warning"]
    assert [e.turn for e in client.received("finalPing", REGULAR, 1.0) if isinstance(e, TurnDone)] == [2]


def test_the_next_message_after_the_idle_time_starts_a_new_conversation() -> None:
    client = ready(expires_in=60.0)
    assert client.deadline == 60.0
    client.act(1, say("hi"), 30.0)
    assert client.deadline is None, "the idle time does not run during a turn"
    client.received("finalPing", REGULAR, 31.0)
    effects = client.timer(91.0)
    assert [e for e in effects if isinstance(e, Ended)]
    assert kinds(effects) == ["ended"]
    assert [type(e) for e in client.act(2, say("still there?"), 100.0)] == [Reconnect]
    client.closed(100.0)
    assert client.dial(100.0).query["sessionId"] != "session-1"
    effects = [*client.opened(100.0), *client.received("endpoint-ready", None, 100.0)]
    (sent,) = [e for e in effects if isinstance(e, Emit)]
    assert sent.args[0]["text"] == "still there?"
    assert [e.value for e in effects if isinstance(e, Persist)] == [sent.args[0]["sessionId"]]
    assert kinds(effects)[1] == "ready", "a new conversation is not resumed"


# Files


def upload(*answers: tuple[int, bytes]) -> tuple[Any, list[Any]]:
    client = ready()
    effects = client.act(1, Action("upload", {"file": "/a.pdf", "text": "look"}), 0.0)
    for status, body in answers:
        (request_,) = [e for e in effects if isinstance(e, HttpRequest)]
        effects = client.http_response(HttpResponse(request_.purpose, status, body), 0.0)
    return client, effects


def test_a_file_is_uploaded_with_a_token_and_sent_as_an_attachment() -> None:
    token = json.dumps({"fileUploadUrl": "https://files", "token": "t"}).encode()
    _, effects = upload((200, token))
    (request_,) = [e for e in effects if isinstance(e, HttpRequest)]
    assert (request_.method, request_.url, request_.file) == ("POST", "https://files", "/a.pdf")
    assert request_.headers == {"Authorization": "Bearer t"}
    _, effects = upload((200, token), (200, b'{"runtimeFileId": "f"}'))
    (sent,) = [e for e in effects if isinstance(e, Emit)]
    assert (sent.args[0]["text"], sent.args[0]["data"]) == ("look", {"attachments": [{"runtimeFileId": "f"}]})


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ([(404, b"")], r"did not return an upload token \(HTTP 404\)"),
        ([(0, b"refused")], r"did not return an upload token \(refused\)"),
        ([(200, b"<html>")], "did not return an upload token"),
        ([(200, b'{"fileUploadUrl": "u", "token": "t"}'), (413, b"")], r"did not accept the file \(HTTP 413\)"),
    ],
)
def test_a_failed_upload_fails_its_turn_and_does_not_block_the_next(answers: list[Any], reason: str) -> None:
    client, effects = upload(*answers)
    (done,) = [e for e in effects if isinstance(e, TurnDone)]
    assert done.status == "failed"
    assert re.search(reason, done.reason)
    assert [e for e in client.act(2, say("hi"), 0.0) if isinstance(e, Emit)]


def request(method: str, path: str, **more: Any) -> HttpCall:
    return HttpCall(method, path, "http://127.0.0.1:1", more.pop("headers", {}), **more)


def answer(effects: Sequence[Any]) -> HttpReply:
    return next(effect for effect in effects if isinstance(effect, HttpReply))


@pytest.mark.parametrize("path", ["/v2.0/endpoint/notify", "/notify/planted-token"])
def test_notify_over_http_reaches_the_user_s_links(path: str) -> None:
    server = cognigy.DIALECT.server(given_(), ids(), options())
    server.opened("link", {"urlToken": "planted-token", "userId": "u", "sessionId": "s"}, 0.0)
    body = {"URLToken": "planted-token", "userId": "u", "sessionId": "s", "text": "news", "data": {"k": 1}}
    effects = server.request(request("POST", path, body=body), 0.0)
    assert answer(effects).status == 200
    (sent,) = [e for e in effects if isinstance(e, Emit)]
    assert (sent.args[0]["data"]["text"], sent.args[0]["data"]["data"]) == ("news", {"k": 1})


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/inject/planted-token", {}, 405),
        ("POST", "/inject/other", {}, 401),
        ("POST", "/v2.0/endpoint/inject", {}, 401),
        ("POST", "/inject/planted-token", {"userId": "nobody", "sessionId": "s"}, 404),
        ("POST", "/inject/planted-token", None, 404),
        ("GET", "/elsewhere", None, 404),
        ("GET", "/other/fileuploadtoken", None, 404),
        ("POST", "/fileupload", None, 401),
        ("GET", "/files/none", None, 404),
    ],
)
def test_a_wrong_http_call_is_refused(method: str, path: str, body: Any, status: int) -> None:
    server = cognigy.DIALECT.server(given_(), ids(), options())
    assert answer(server.request(request(method, path, body=body), 0.0)).status == status


# The vendor's page


def transcript_lines() -> list[dict[str, Any]]:
    return [json.loads(line) for line in TRANSCRIPT.read_text().splitlines()]


def test_the_client_follows_the_vendor_s_transcript() -> None:
    sent_line, *answers = transcript_lines()
    client = ready()
    action = Action("data", {"text": sent_line["payload"]["text"], "data": sent_line["payload"]["data"]})
    (sent,) = [e for e in client.act(1, action, 0.0) if isinstance(e, Emit)]
    assert (sent.event, sent.args[0]) == (sent_line["event"], sent_line["payload"])
    effects = [e for line in answers for e in client.received(line["event"], line["payload"], 0.0)]
    assert next((e.kind, e.text) for e in effects if isinstance(e, Record)) == ("text", "What is its number?")
    assert [e.status for e in effects if isinstance(e, TurnDone)] == ["completed"]


@pytest.mark.parametrize("reset", [False, "false", "False"])
def test_the_server_follows_the_vendor_s_transcript_also_with_a_text_as_the_reset_flag(reset: Any) -> None:
    sent_line, answered, final = transcript_lines()
    server = cognigy.DIALECT.server(
        given_(), ids(), options(output_transformer=lambda data: {**data, "data": {"key": "value"}})
    )
    fields = {name: value for name, value in sent_line["payload"].items() if name not in ("channel", "source")}
    effects = server.received("link", "processInput", {**fields, "resetFlow": reset}, 0.0)
    assert not [e for e in effects if isinstance(e, EndFlow)]
    (run,) = [e for e in effects if isinstance(e, RunFlow)]
    assert (run.user_input.text, run.user_input.data) == (sent_line["payload"]["text"], {"key": "value"})
    effects = [
        *server.put(run.conversation, Text("What is its number?"), 0.0),
        *server.done(run.conversation, None, 0.0),
    ]
    sent = [e for e in effects if isinstance(e, Emit) and e.event in ("output", "finalPing")]
    assert (sent[0].event, sent[0].args[0]["type"]) == (answered["event"], "output")
    assert answered["payload"]["data"].items() <= sent[0].args[0]["data"].items()
    assert (sent[1].event, sent[1].args[0]) == (final["event"], final["payload"])


@pytest.mark.parametrize("reset", [True, "true"])
def test_the_reset_flag_may_be_a_text(reset: Any) -> None:
    server = cognigy.DIALECT.server(given_(), ids(), options())
    fields = {**transcript_lines()[0]["payload"], "resetFlow": reset}
    assert [e for e in server.received("link", "processInput", fields, 0.0) if isinstance(e, EndFlow)]


# Malformed events

WIRE: list[tuple[str, Any]] = [
    *(("output", {"type": "output", "data": message}) for message, *_ in READ.values()),
    ("output", {"type": "finalPing", "data": REGULAR}),
    ("output", {"type": "error", "data": {"error": {"message": "m"}}}),
    ("finalPing", REGULAR),
    ("typingStatus", {"status": "typingOn"}),
    ("endpoint-ready", None),
    ("handshake", None),
    ("exception", {"message": "m"}),
    ("error", "e"),
]
JUNK: list[Any] = [
    None,
    True,
    0,
    -1,
    1e308,
    "",
    "null",
    "\ud800",
    "x" * 999,
    [],
    [None],
    {},
    {"": 0},
    [[]],
    {"text": []},
]
JUNK += [{"type": {}}, {"_cognigy": []}, [{"title": 7, "buttons": {}}], {"payload": [0]}]


def spoiled(payload: Any, place: int, junk: Any) -> Any:
    """Return a payload with one of its parts replaced by junk. Parts are counted in reading order."""
    if place == 0:
        return junk
    payload = copy.deepcopy(payload)
    parts: list[tuple[Any, Any]] = []

    def walk(value: Any) -> None:
        for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
            parts.append((value, key))
            walk(value[key])

    walk(payload)
    if parts:
        holder, key = parts[(place - 1) % len(parts)]
        holder[key] = junk
    return payload


EVENT = st.tuples(st.integers(0, len(WIRE) - 1), st.integers(0, 24), st.integers(0, len(JUNK) - 1))


@pytest.mark.slow
@settings(max_examples=1000, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(st.lists(EVENT, min_size=100, max_size=100))
def test_a_session_survives_a_hundred_thousand_malformed_events(events: list[tuple[int, int, int]]) -> None:
    client = ready()
    for n, (index, place, junk) in enumerate(events, 1):
        event, payload = WIRE[index]
        payload = spoiled(payload, place, JUNK[junk])
        assert client.received(event, payload, 0.0)
        cognigy.DIALECT.content(event, payload)
        if n % 7 == 0:
            client.act(n, say("hi"), 0.0)
    for turn in range(101):
        client.abandon(turn, 0.0)
    client.timer(100.0)
    client.act(1000, say("hi"), 0.0)
    client.received("output", output("Hello"), 0.0)
    assert [e.turn for e in client.received("finalPing", REGULAR, 0.0) if isinstance(e, TurnDone)] == [1000]


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, len(JUNK) - 1)), min_size=50, max_size=50))
def test_an_endpoint_survives_malformed_inputs(inputs: list[tuple[int, int]]) -> None:
    server = cognigy.DIALECT.server(given_(), ids(), options())
    good = transcript_lines()[0]["payload"]
    for place, junk in inputs:
        for effect in server.received("link", "processInput", spoiled(good, place, JUNK[junk]), 0.0):
            if isinstance(effect, RunFlow):
                server.done(effect.conversation, None, 0.0)
    effects = server.received("link", "processInput", good, 0.0)
    assert [e for e in effects if isinstance(e, RunFlow)]
    assert not [e for e in effects if isinstance(e, Close)]


# Repeated events, late answers and abandoned turns


def lose_link(client: Any, now: float = 1.0) -> None:
    """Lose the link and open the next one."""
    client.closed(now)
    client.dial(now)
    client.opened(now)


def test_the_final_ping_of_the_current_turn_is_not_mistaken_for_an_earlier_one() -> None:
    client = ready()
    client.act(1, say("a"), 0.0)
    client.received("output", output("re a", traceId="t1"), 0.0)
    client.received(*PING, 0.0)
    client.act(2, say("b"), 0.0)
    client.received("typingStatus", {"status": "typingOn"}, 0.0)
    lose_link(client)
    effects = [*client.received(*PING, 1.0), *client.received("endpoint-ready", None, 1.0), *client.timer(2.0)]
    assert [e.turn for e in effects if isinstance(e, TurnDone)] == [2]
    assert not [e for e in effects if isinstance(e, Emit)], "the input is not sent again"


def test_an_answer_without_a_trace_id_is_shown_and_proves_nothing() -> None:
    client = ready()
    for turn in (1, 2):
        client.act(turn, say("?"), 0.0)
        client.received("typingStatus", {"status": "typingOn"}, 0.0)
        if turn == 2:
            lose_link(client)
        effects = [*client.received("output", output("Sorry?"), 1.0), *client.received("endpoint-ready", None, 1.0)]
        assert kinds(effects)[0] == "text"
        assert ("warning" in kinds(effects)) is (turn == 2)
        assert not [e for e in effects if isinstance(e, Emit)]
        client.received(*PING, 1.0)


def test_an_input_that_the_endpoint_did_not_receive_is_sent_again_once() -> None:
    client = ready()
    client.act(1, say("a"), 0.0)
    client.received("output", output("re a", traceId="t1"), 0.0)
    client.received(*PING, 0.0)
    (lost,) = [e for e in client.act(2, say("b"), 0.0) if isinstance(e, Emit)]
    lose_link(client)
    effects = [
        *client.received("output", output("re a", traceId="t1"), 1.0),
        *client.received(*PING, 1.0),
        *client.received("endpoint-ready", None, 1.0),
    ]
    assert [e.args for e in effects if isinstance(e, Emit)] == [lost.args]
    assert not [e for e in effects if isinstance(e, TurnDone)]
    lose_link(client, 2.0)
    assert not [e for e in client.received("endpoint-ready", None, 2.0) if isinstance(e, Emit)]


def test_an_input_that_the_endpoint_did_not_receive_is_not_sent_again_after_its_time_out() -> None:
    client = ready()
    client.act(1, say("a"), 0.0)
    client.received("output", output("re a", traceId="t1"), 0.0)
    client.received(*PING, 0.0)
    client.act(2, say("b"), 0.0)
    client.act(3, say("c"), 0.0)
    lose_link(client)
    client.abandon(2, 1.0)
    effects = [
        *client.received("output", output("re a", traceId="t1"), 1.0),
        *client.received(*PING, 1.0),
        *client.received("endpoint-ready", None, 1.0),
    ]
    assert [e.args[0]["text"] for e in effects if isinstance(e, Emit)] == ["c"]


def test_an_error_that_is_sent_again_while_the_next_link_opens_is_not_a_refusal() -> None:
    client = ready()
    lose_link(client)
    effects = client.received("output", {"type": "error", "data": {"error": {"message": "kept"}}}, 1.0)
    assert kinds(effects) == ["error"]
    assert not [e for e in effects if isinstance(e, Failed)]


def test_an_abandoned_turn_keeps_its_late_answer() -> None:
    client = ready()
    client.act(1, say("slow"), 0.0)
    assert not client.abandon(1, 0.5)
    assert not [e for e in client.act(2, say("one"), 1.0) if isinstance(e, Emit)], "blocked"
    late = client.received("output", output("answer to slow"), 2.0)
    assert [e.turn for e in late if isinstance(e, Record)] == [1]
    sent = [e for e in client.received(*PING, 2.0) if isinstance(e, Emit)]
    assert [e.args[0]["text"] for e in sent] == ["one"]
    client.received(*TYPING, 3.0)
    assert [e.turn for e in client.received(*PING, 3.0) if isinstance(e, TurnDone)] == [2]


def test_an_abandoned_turn_blocks_the_next_one_only_briefly() -> None:
    client = ready()
    client.act(1, say("never"), 0.0)
    client.abandon(1, 1.0)
    client.act(2, say("one"), 1.0)
    assert client.deadline == 6.0
    assert [e.args[0]["text"] for e in client.timer(6.0) if isinstance(e, Emit)] == ["one"]


def test_a_typing_status_delays_the_end_of_a_turn_with_an_error() -> None:
    client = ready()
    client.act(1, say("hi"), 0.0)
    client.received("exception", {"message": "soft"}, 1.0)
    client.received("typingStatus", {"status": "typingOn"}, 4.0)
    assert client.deadline == 9.0


def test_the_idle_time_does_not_run_during_an_upload() -> None:
    client = ready(expires_in=1.0)
    client.act(1, Action("upload", {"file": "/a.pdf"}), 0.5)
    assert client.deadline is None


@pytest.mark.parametrize(
    ("title", "reason"),
    [("nope", "has no button 'nope'; available: Send (nothing was sent)"), (None, "no adaptive card")],
)
def test_a_card_without_the_submit_button_is_refused(title: str | None, reason: str) -> None:
    client = ready()
    if title:
        card = {"actions": [{"type": "Action.Submit", "title": "Send"}]}
        data = {"text": "", "data": {"_cognigy": {"_webchat": {"adaptiveCard": card}}}}
        client.received("output", {"type": "output", "data": data}, 0.0)
    (done,) = [
        e for e in client.act(1, Action("submit", {"values": {}, "title": title}), 0.0) if isinstance(e, TurnDone)
    ]
    assert reason in str(done.reason)


def test_a_payload_with_bytes_is_recorded() -> None:
    client = ready()
    assert kinds(client.received("output", {"type": "output", "data": {"text": "hi", "data": {"b": b"x"}}}, 0.0)) == [
        "text"
    ]
    assert kinds(client.received("exception", b"x", 0.0)) == ["error"]


async def _coroutine(fields: dict[str, Any]) -> dict[str, Any]:
    return fields


@pytest.mark.parametrize(
    ("returns", "message"),
    [
        (lambda _: [1], "it returned a list: return the payload, a dict, or None"),
        (lambda _: {"text": {1}}, "set is not JSON serializable"),
        (_coroutine, "define it with def, not async def"),
        (lambda _: sys.exit(3), "SystemExit: 3"),
    ],
)
@pytest.mark.parametrize("which", ["input", "output"])
def test_a_wrong_result_of_a_transformer_is_an_error(which: str, returns: Any, message: str) -> None:
    pair = Pair(**{f"{which}_transformer": returns})
    pair.connect()
    pair.act(1, say("hi"))
    (error,) = {r.error for r in pair.of(Record) if r.error}
    assert f"the {which} transformer raised" in error
    assert message in error
    assert [done.turn for done in pair.of(TurnDone)] == [1]


def test_users_are_told_apart_even_if_their_joined_ids_are_equal() -> None:
    server = cognigy.DIALECT.server(given_(), ids(), options())
    server.opened("one", {"urlToken": "planted-token", "userId": "a b", "sessionId": "c"}, 0.0)
    server.opened("two", {"urlToken": "planted-token", "userId": "a", "sessionId": "b c"}, 0.0)
    assert server.conversation("a b") != server.conversation("a")


@pytest.mark.parametrize("user", ["u%41", "ä b/c?d=e&f", "100%"])
def test_an_id_with_any_characters_arrives_unchanged(user: str) -> None:
    pair = Pair(client={"user_id": user})
    pair.connect()
    assert pair.server.conversation(user)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"url": "https://h/" + "0a" * 32, "token": Secret("f" * 64)}, "give only one of them"),
        ({"interval": 0.0}, "interval must be a number of seconds above 0, got 0.0"),
        ({"expires_in": 0.0}, "expires_in must be a number of seconds above 0, got 0.0"),
    ],
)
def test_wrong_settings_are_refused(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        given_(**changed)


@pytest.mark.parametrize("prefix", ["/x/../y", "a%20b", "a b", ".."])
def test_a_prefix_that_is_not_a_url_path_is_refused(prefix: str) -> None:
    with pytest.raises(SettingsError, match="prefix must be a path"):
        cognigy.DIALECT.server(given_(), ids(), options(prefix=prefix))


def test_a_long_queue_of_turns_that_cannot_be_sent_fails_turn_by_turn() -> None:
    client = ready()
    client.act(1, say("hi"), 0.0)
    for turn in range(2, 900):
        client.act(turn, Action("submit", {"values": {}}), 0.0)
    effects = client.received(*PING, 0.0)
    assert [e.turn for e in effects if isinstance(e, TurnDone)] == list(range(1, 900))


def test_an_error_fails_only_its_own_turn() -> None:
    client = ready()
    client.act(1, say("a"), 0.0)
    client.received("exception", {"message": "boom"}, 0.0)
    client.act(2, Action("text", {"text": "b"}, at_once=True), 1.0)
    assert [e.reason for e in client.timer(5.0) if isinstance(e, TurnDone)] == ["boom"]
    client.received("output", output("by the way"), 6.0)
    assert client.deadline is None
    assert [(e.turn, e.status) for e in client.received(*PING, 7.0) if isinstance(e, TurnDone)] == [(2, "completed")]


def test_abandoning_a_turn_does_not_clear_the_error_of_another() -> None:
    client = ready()
    client.act(1, say("a"), 0.0)
    client.act(2, Action("text", {"text": "b"}, at_once=True), 0.0)
    client.received("exception", {"message": "boom"}, 0.0)
    client.abandon(2, 1.0)
    assert [(e.turn, e.reason) for e in client.timer(5.0) if isinstance(e, TurnDone)] == [(1, "boom")]


def test_each_abandoned_turn_consumes_one_final_ping() -> None:
    client = ready()
    client.act(1, say("a"), 0.0)
    client.act(2, Action("text", {"text": "b"}, at_once=True), 0.0)
    client.act(3, say("c"), 0.0)
    client.abandon(2, 0.0)
    client.abandon(1, 0.0)
    pings = []
    for _ in range(3):
        client.received(*TYPING, 1.0)
        pings.append(client.received(*PING, 1.0))
    first, second, third = pings
    assert not [e for e in first if isinstance(e, Emit)]
    assert [e.args[0]["text"] for e in second if isinstance(e, Emit)] == ["c"]
    assert [e.turn for e in [*first, *second, *third] if isinstance(e, TurnDone)] == [3]


def test_an_event_without_a_trace_id_does_not_hide_later_repetitions() -> None:
    client = ready()
    client.act(1, say("a"), 0.0)
    error = {"type": "error", "data": {"error": {"message": "oops"}}}
    for event in (error, output("A", traceId="t1")):
        client.received("output", event, 0.0)
    client.received(*PING, 0.0)
    client.act(2, say("b"), 0.0)
    lose_link(client)
    effects = [e for event in (error, output("A", traceId="t1")) for e in client.received("output", event, 1.0)]
    effects += [*client.received(*PING, 1.0), *client.received("endpoint-ready", None, 1.0)]
    assert "text" not in kinds(effects)
    assert not [e for e in effects if isinstance(e, TurnDone)]


def test_a_repeated_final_ping_in_both_encodings_ends_no_later_turn() -> None:
    wrapped = ("output", {"type": "finalPing", "data": REGULAR})
    client = ready()
    client.act(1, say("a"), 0.0)
    client.received("output", output("A", traceId="t1"), 0.0)
    client.received(*wrapped, 0.0)
    client.received(*PING, 0.0)
    client.act(2, say("b"), 0.0)
    lose_link(client)
    effects = [
        *client.received(*wrapped, 1.0),
        *client.received(*PING, 1.0),
        *client.received("endpoint-ready", None, 1.0),
    ]
    assert not [e for e in effects if isinstance(e, TurnDone | Emit)]


@pytest.mark.parametrize("typing", [True, False])
def test_a_lone_final_ping_ends_the_turn_only_if_something_else_came_for_it(typing: Any) -> None:
    client = ready()
    client.act(1, say("a"), 0.0)
    client.received(*PING, 0.0)
    client.act(2, say("b"), 0.0)
    if typing:
        client.received("typingStatus", {"status": "typingOn"}, 0.0)
    lose_link(client)
    effects = [*client.received(*PING, 1.0), *client.received("endpoint-ready", None, 1.0), *client.timer(2.0)]
    assert [e.turn for e in effects if isinstance(e, TurnDone)] == ([2] if typing else [])
    assert not [e for e in effects if isinstance(e, Emit)]


# Remembered events


def logged(turn: int) -> dict[str, Any]:
    return output("A", traceId=f"t{turn}")


def add(log: ReceivedLog, payload: Any, turn: int, ping: Ping | None = None) -> int | None:
    return log.add(payload, Moment(turn), Sign.OUTPUT, ping).before


@pytest.mark.parametrize(("forgotten", "before"), [(0, 0), (1, None)])
def test_only_the_last_five_thousand_events_are_remembered(forgotten: int, before: int | None) -> None:
    log = ReceivedLog()
    for turn in range(5000 + forgotten):
        assert add(log, logged(turn), turn) is None
    log.link_lost()
    assert add(log, logged(0), 9999) == before


def test_every_remembered_event_is_recognised_over_the_next_link() -> None:
    log = ReceivedLog()
    for turn in range(3):
        add(log, logged(turn), turn)
        add(log, REGULAR, turn, ping=Ping("finalPing"))
    assert add(log, logged(0), 3) is None, "nothing is sent again over the same link"
    log.link_lost()
    for turn in range(3):
        assert add(log, logged(turn), 3) == turn
        assert add(log, REGULAR, 3, ping=Ping("finalPing")) == turn


def test_an_unreceived_input_is_sent_again_even_if_something_new_came_before_the_link_was_ready() -> None:
    client = ready()
    client.act(1, say("a"), 0.0)
    client.received("output", output("A", traceId="t1"), 0.0)
    client.received(*PING, 0.0)
    client.act(2, say("b"), 0.0)
    lose_link(client)
    client.received("output", output("A", traceId="t1"), 1.0)
    client.received("output", output("news", traceId="t2"), 1.0)  # new: it says nothing about the input
    effects = client.received("endpoint-ready", None, 1.0)
    assert [e.args[0]["text"] for e in effects if isinstance(e, Emit)] == ["b"]


# Platform facts that other layers ask for


@pytest.mark.parametrize(
    ("url", "secret"),
    [
        ("https://endpoint.cognigy.ai", False),
        ("https://endpoint.cognigy.ai/bots/eu", False),
        ("https://endpoint.cognigy.ai/" + "0a" * 16, True),
        ("https://endpoint.cognigy.ai/" + "0A" * 32 + "/", True),
        ("endpoint/" + "0a" * 32 + "?x=1", True),
    ],
)
def test_a_url_with_a_token_is_a_secret(url: str, secret: Any) -> None:
    assert cognigy.DIALECT.secret_in_url(url) is secret


def test_the_ids_of_user_and_session_are_generated_and_a_rating_is_given_in_stars() -> None:
    words = {name: setting.generate for name, setting in cognigy.DIALECT.settings.items() if setting.generate}
    assert words == {"user_id": "user", "session_id": "session"}
    rating, comment = cognigy.DIALECT.verbs["rate"].fields
    assert (rating.stars, comment.long) == (True, True)

"""Cognigy's dialect: its two machines as a pair, and each against a transcript of the vendor's page."""

import copy
import json
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
from socketnb.errors import SettingsError
from socketnb.model.actions import Action
from socketnb.model.content import AgentSays, End, Handover, Step, Text, UserInput
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
                    if ack and not self.dumb:
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

    def said(self) -> list[str | None]:
        """What a person sees."""
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
def test_the_token_is_the_last_part_of_the_url_or_stands_beside_it(url: str, token: str | None, server: str) -> None:
    settled = given_(url=url, token=token and Secret(token))
    assert (settled["url"], settled["token"].reveal()) == (server, "abc123")


def test_a_url_without_a_token_is_refused_with_the_fix() -> None:
    with pytest.raises(SettingsError, match="give its whole Endpoint URL, or token="):
        given_(url="https://endpoint.cognigy.ai", token=None)


def test_the_query_is_the_reference_s_key_for_key() -> None:
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


def test_a_path_in_the_url_is_the_prefix_of_socket_io() -> None:
    client = cognigy.DIALECT.client(given_(url="https://host/bots/eu", token=Secret("t")), ids())
    address = client.dial(0.0)
    assert (address.url, address.path) == ("https://host", "bots/eu/socket.io")


@pytest.mark.parametrize(
    ("transport", "tried"),
    [("websocket", ("websocket",)), ("polling", ("polling",)), ("auto", ("websocket", "polling"))],
)
def test_transports(transport: str, tried: tuple[str, ...]) -> None:
    assert cognigy.DIALECT.client(given_(transport=transport), ids()).dial(0.0).transports == tried


def test_lost_links_are_tried_again_every_interval_up_to_the_limit() -> None:
    address = cognigy.DIALECT.client(given_(interval=3.0, reconnection_limit=7), ids()).dial(0.0)
    assert (address.attempts, address.delay, address.delay_max) == (7, 3.0, 3.0)
    assert cognigy.DIALECT.client(given_(reconnection_limit=0), ids()).dial(0.0).attempts > 10**6, "0 is for ever"
    assert cognigy.DIALECT.client(given_(reconnection=False), ids()).dial(0.0).attempts == 0


@pytest.mark.parametrize("inner", [False, True])
def test_a_link_is_ready_when_the_endpoint_says_so(inner: Any) -> None:
    pair = Pair(client={"inner_handshake": inner})
    pair.connect()
    (now_ready,) = pair.of(Ready)
    assert now_ready.conversation == "session-1"
    assert pair.address.query == {"handshake": "true"} if inner else pair.address.query
    pair.act(1, say("hi"))
    assert pair.said() == ["hi", "You said hi"]
    assert pair.client.deadline is None


def test_an_endpoint_that_is_never_ready_is_used_after_a_while_and_that_is_recorded() -> None:
    client = cognigy.DIALECT.client(given_(), ids())
    client.dial(0.0)
    client.opened(0.0)
    assert not [e for e in client.act(1, say("early"), 0.5) if isinstance(e, Emit)]
    assert not [e for e in client.act(2, say("second"), 0.6) if isinstance(e, Emit)]
    assert client.deadline == 2.0
    effects = client.timer(2.0)
    record = next(e for e in effects if isinstance(e, Record))
    assert (record.kind, record.text and record.text[:26]) == ("ready", "no endpoint-ready has come")
    assert [e.args[0]["text"] for e in effects if isinstance(e, Emit)] == ["early"], "in order, one at a time"
    late = client.received("endpoint-ready", None, 3.0)
    assert kinds(late) == ["session"]


def test_the_line_of_what_waits_is_bounded() -> None:
    client = cognigy.DIALECT.client(given_(), ids())
    client.dial(0.0)
    client.opened(0.0)
    for turn in range(1, 1001):
        client.act(turn, say("hi"), 0.0)
    (failed,) = [e for e in client.act(1001, say("too many"), 0.0) if isinstance(e, TurnDone)]
    assert (failed.turn, failed.status) == (1001, "failed")


@pytest.mark.parametrize("how", ["output", "exception"])
def test_an_endpoint_that_refuses_with_an_event_has_refused(how: str) -> None:
    pair = Pair(client={"token": Secret("wrong")}, refusal=how)
    pair.connect()
    (failed,) = pair.of(Failed)
    assert failed.how == "refused"
    assert "unknown URL token" in failed.reason


def test_an_endpoint_refuses_an_unknown_token_at_the_door() -> None:
    pair = Pair(client={"token": Secret("wrong")})
    pair.connect()
    assert pair.refused == ["unknown URL token: check the Endpoint URL"]
    assert not pair.of(Ready)


def test_values_that_a_client_encoded_twice_are_decoded_twice() -> None:
    server = cognigy.DIALECT.server(given_(), ids(), options())
    query = {"sessionId": "session%201", "urlToken": "planted-token", "userId": "user%40x.org", "emitWithAck": "true"}
    server.opened("link", query, 0.0)
    assert server.conversation("session 1") == server.conversation("user@x.org")


def test_what_an_input_says_counts_for_more_than_the_query() -> None:
    server = cognigy.DIALECT.server(given_(), ids(), options())
    server.opened("link", {"sessionId": "x", "urlToken": "planted-token", "userId": "y"}, 0.0)
    about = {"URLToken": "planted-token", "sessionId": "100%20", "userId": "z", "text": "hi"}
    run = [e for e in server.received("link", "processInput", about, 0.0) if isinstance(e, RunFlow)]
    assert run[0].conversation == server.conversation("100%20")


# Turns


def test_an_input_is_the_reference_s_key_for_key_and_in_its_order() -> None:
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
    assert [about["resetFlow"] for about in pair.inputs] == [True, False]
    assert "text" not in pair.inputs[0]
    assert pair.ran == [UserInput("launch"), UserInput("text", "hi")]


def test_a_reset_drops_the_flow_and_its_text_is_the_first() -> None:
    server = cognigy.DIALECT.server(given_(), ids(), options())
    server.opened("link", {"urlToken": "planted-token", "userId": "u", "sessionId": "s"}, 0.0)
    about = {"URLToken": "planted-token", "userId": "u", "sessionId": "s", "resetFlow": True, "text": "again"}
    effects = server.received("link", "processInput", about, 0.0)
    assert [type(e) for e in effects if isinstance(e, EndFlow | RunFlow)] == [EndFlow, RunFlow]
    assert next(e for e in effects if isinstance(e, RunFlow)).user_input == UserInput("text", "again")


@pytest.mark.parametrize("how", cognigy.DIALECT.options["final_ping"].among)
def test_a_turn_ends_once_in_any_encoding_of_the_final_ping(how: str) -> None:
    pair = Pair(final_ping=how)
    pair.connect()
    for turn in (1, 2, 3):
        pair.act(turn, say("hi"))
    pair.act(4, say("waits"))
    assert [(done.turn, done.status) for done in pair.of(TurnDone)] == [(n, "completed") for n in (1, 2, 3, 4)]


def test_the_second_encoding_of_one_final_ping_ends_no_other_turn() -> None:
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


def test_a_stop_shows_in_the_reason_of_the_turn() -> None:
    pair = Pair(lambda _: [Text("bye"), End()])
    pair.connect()
    pair.act(1, say("stop"))
    (done,) = pair.of(TurnDone)
    assert (done.status, done.reason) == ("completed", "cognigyStopFlow")


def test_the_second_of_two_waits_in_line_unless_it_is_sent_at_once() -> None:
    client = ready()
    first = client.act(1, say("one"), 0.0)
    second = client.act(2, say("two"), 0.0)
    third = client.act(3, Action("text", {"text": "three"}, at_once=True), 0.0)
    assert [len([e for e in effects if isinstance(e, Emit)]) for effects in (first, second, third)] == [1, 0, 1]
    ended = [e.turn for _ in range(2) for e in client.received("finalPing", REGULAR, 0.0) if isinstance(e, TurnDone)]
    assert ended == [1, 3]


def test_a_press_is_recorded_by_its_label_and_sent_by_its_payload() -> None:
    from socketnb.model.content import Choice

    client = ready()
    effects = client.act(1, Action("press", {"choice": Choice("Yes", {"text": "yes-payload", "data": None})}), 0.0)
    (record,) = [e for e in effects if isinstance(e, Record)]
    (sent,) = [e for e in effects if isinstance(e, Emit)]
    assert (record.text, sent.args[0]["text"], sent.args[0]["data"]) == ("Yes", "yes-payload", None)


def test_typing_is_no_turn_that_anybody_waits_for() -> None:
    client = ready()
    effects = client.act(1, Action("typing"), 0.0)
    assert [e.args[0] for e in effects if isinstance(e, Emit)] == [{"status": "typingOn"}]
    assert [e.status for e in effects if isinstance(e, TurnDone)] == ["completed"]
    off = client.act(2, Action("typing", {"on": False}), 0.0)
    assert [e.args[0] for e in off if isinstance(e, Emit)] == [{"status": "typingOff"}]


# Errors


@pytest.mark.parametrize(
    ("event", "payload", "said"),
    [
        ("output", {"type": "error", "data": {"error": {"message": "too many"}}}, "too many"),
        ("output", {"type": "error"}, '{"type": "error"}'),
        ("output", {"type": "error", "data": {"error": "plain"}}, "plain"),
        ("exception", {"message": "broken", "type": "CognigyError", "code": 1}, "broken"),
        ("exception", None, "null"),
        ("error", "gone", "gone"),
    ],
)
def test_an_error_is_recorded_and_fails_its_turn_if_no_final_ping_comes(event: str, payload: Any, said: str) -> None:
    client = ready()
    client.act(1, say("hi"), 0.0)
    (record,) = client.received(event, payload, 1.0)
    assert (record.kind, record.error, record.turn) == ("error", said, 1)
    assert client.deadline == 6.0
    (done,) = [e for e in client.timer(6.0) if isinstance(e, TurnDone)]
    assert (done.turn, done.status, done.reason) == (1, "failed", said)
    assert [e for e in client.act(2, say("again"), 7.0) if isinstance(e, Emit)], "the session stays usable"


def test_a_turn_that_goes_on_after_an_error_is_completed() -> None:
    client = ready()
    client.act(1, say("hi"), 0.0)
    client.received("exception", {"message": "oops"}, 1.0)
    client.received("output", output("going on"), 2.5)
    assert client.deadline == 7.5
    (done,) = [e for e in client.received("finalPing", REGULAR, 4.0) if isinstance(e, TurnDone)]
    assert done.status == "completed"
    assert client.deadline is None


def test_an_output_of_an_unknown_type_is_a_custom_event() -> None:
    client = ready()
    assert kinds(client.received("output", {"type": "new", "data": 1}, 0.0)) == ["custom"]
    assert kinds(client.received("unheard-of", [1, 2], 0.0)) == ["custom"]


@pytest.mark.parametrize(
    ("event", "payload"),
    [("output", None), ("output", {}), ("output", {"type": "output"}), ("output", {"type": 3}), ("typingStatus", "on")],
)
def test_a_malformed_event_is_an_error_that_names_it(event: str, payload: Any) -> None:
    (record,) = ready().received(event, payload, 0.0)
    assert (record.kind, record.error.split(":")[0]) == ("error", f"malformed {event}")


@pytest.mark.parametrize("about", [{}, {"text": ""}, {"text": None, "data": None}])
def test_an_input_needs_a_text_or_data(about: dict[str, Any]) -> None:
    server = cognigy.DIALECT.server(given_(), ids(), options())
    who = {"URLToken": "planted-token", "userId": "u", "sessionId": "s"}
    (error,) = server.received("link", "processInput", {**who, **about}, 0.0)
    assert isinstance(error, Emit)
    assert "needs a text or data" in error.args[0]["data"]["error"]["message"]


def test_an_input_with_another_token_is_refused() -> None:
    server = cognigy.DIALECT.server(given_(), ids(), options())
    (error,) = server.received("link", "processInput", {"URLToken": "x", "userId": "u", "sessionId": "s"}, 0.0)
    assert isinstance(error, Emit)
    assert "unknown URL token" in error.args[0]["data"]["error"]["message"]


# What comes by itself


def test_what_nobody_asked_for_is_recorded_under_the_last_turn() -> None:
    pair = Pair()
    pair.connect()
    pair.act(1, say("hi"))
    here = pair.server.conversation(None)
    pair.to_server(pair.server.notify(here, "by the way", {"key": 1}, 0.0))
    pair.to_server(pair.server.inject(here, "as if", None, 0.0))
    pair.to_server(pair.server.put(here, AgentSays("I am Ada"), 0.0))
    last = pair.of(Record)[-1]
    assert pair.said() == ["hi", "You said hi", "by the way", "You said as if", "I am Ada"]
    assert (last.sender, last.turn) == ("agent", 1)
    assert len(pair.of(TurnDone)) == 1, "an injected finalPing ends nothing that is over"


def test_what_the_user_says_to_an_agent_does_not_run_the_flow() -> None:
    pair = Pair(lambda user_input: [Handover("Ada")] if user_input.text == "help" else [Text("flow")])
    pair.connect()
    pair.act(1, say("help"))
    pair.act(2, say("hello Ada"))
    assert [user_input.text for user_input in pair.ran] == ["help"]
    assert [done.status for done in pair.of(TurnDone)] == ["completed", "completed"]
    pair.to_server(pair.server.put(pair.server.conversation(None), Handover(), 0.0))
    pair.act(3, say("back?"))
    assert pair.said()[-1] == "flow"
    assert [r.text for r in pair.of(Record) if r.kind == "handler"] == ["Ada has joined", "the agent has left"]


def test_an_input_and_an_output_pass_the_transformers() -> None:
    pair = Pair(
        input_transformer=lambda about: {**about, "text": about["text"].upper()},
        output_transformer=lambda data: {**data, "text": data["text"] + "!"} if "SECRET" not in data["text"] else None,
    )
    pair.connect()
    pair.act(1, say("hi"))
    pair.act(2, say("secret"))
    assert pair.said() == ["hi", "You said HI!", "secret"]


def test_a_transformer_that_breaks_is_an_error_of_its_turn() -> None:
    def broken(_: dict[str, Any]) -> dict[str, Any]:
        raise KeyError("text")

    pair = Pair(input_transformer=broken)
    pair.connect()
    pair.act(1, say("hi"))
    assert "the input transformer raised KeyError: 'text'" in [r.error for r in pair.of(Record)]


# Lost links


def test_what_is_not_acknowledged_comes_again_and_is_shown_once() -> None:
    pair = Pair(lambda user_input: [Text(f"{user_input.text} {n}") for n in range(3)])
    pair.connect()
    pair.act(1, say("a"))
    pair.dumb = True
    pair.act(2, say("b"))
    pair.disconnect()
    pair.dumb = False
    pair.connect()
    pair.act(3, say("c"))
    assert pair.said() == [x for word in "abc" for x in (word, f"{word} 0", f"{word} 1", f"{word} 2")]
    assert [done.turn for done in pair.of(TurnDone)] == [1, 2, 3]
    assert [r.text for r in pair.of(Record)].count("again, after the lost link") == 4
    pair.disconnect()
    pair.connect()
    assert [r.text for r in pair.of(Record)].count("again, after the lost link") == 4, "all is acknowledged by now"


def test_what_was_never_delivered_comes_after_the_lost_link() -> None:
    pair = Pair(lambda user_input: [Text(f"{user_input.text} {n}") for n in range(3)])
    pair.connect()
    pair.deaf = True
    pair.act(1, say("a"))
    pair.disconnect()
    pair.deaf = False
    pair.connect()
    assert pair.said() == ["a", "a 0", "a 1", "a 2"]
    assert [done.turn for done in pair.of(TurnDone)] == [1]


def test_without_acknowledgements_what_is_lost_is_lost() -> None:
    pair = Pair(client={"emit_with_ack": False})
    pair.connect()
    pair.deaf = True
    pair.act(1, say("a"))
    pair.disconnect()
    pair.deaf = False
    pair.connect()
    assert pair.said() == ["a"]


def test_the_same_answer_twice_is_two_answers_also_without_a_trace_id() -> None:
    client = ready()
    client.act(1, say("hi"), 0.0)
    client.received("output", output("Hello"), 0.0)
    client.received("finalPing", REGULAR, 0.0)
    client.closed(1.0)
    client.dial(1.0)
    client.opened(1.0)
    client.received("endpoint-ready", None, 1.0)
    client.act(2, say("hi"), 1.0)
    assert kinds(client.received("output", output("Hello"), 1.0)) == ["text"]
    assert [e.turn for e in client.received("finalPing", REGULAR, 1.0) if isinstance(e, TurnDone)] == [2]


def test_a_conversation_that_was_idle_too_long_says_so_and_the_next_message_starts_another() -> None:
    client = ready(expires_in=60.0)
    assert client.deadline == 60.0
    client.act(1, say("hi"), 30.0)
    assert client.deadline is None, "nothing is idle while a turn runs"
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


def uploaded(*answers: tuple[int, bytes]) -> tuple[Any, list[Any]]:
    client = ready()
    effects = client.act(1, Action("upload", {"file": "/a.pdf", "text": "look"}), 0.0)
    for status, body in answers:
        (fetch,) = [e for e in effects if isinstance(e, HttpRequest)]
        effects = client.http_response(HttpResponse(fetch.purpose, status, body), 0.0)
    return client, effects


def test_a_file_goes_by_token_and_form_and_then_as_an_attachment() -> None:
    where = json.dumps({"fileUploadUrl": "https://files", "token": "t"}).encode()
    _, effects = uploaded((200, where))
    (fetch,) = [e for e in effects if isinstance(e, HttpRequest)]
    assert (fetch.method, fetch.url, fetch.file) == ("POST", "https://files", "/a.pdf")
    assert fetch.headers == {"Authorization": "Bearer t"}
    _, effects = uploaded((200, where), (200, b'{"runtimeFileId": "f"}'))
    (sent,) = [e for e in effects if isinstance(e, Emit)]
    assert (sent.args[0]["text"], sent.args[0]["data"]) == ("look", {"attachments": [{"runtimeFileId": "f"}]})


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ([(404, b"")], r"gave no upload token \(HTTP 404\)"),
        ([(0, b"refused")], r"gave no upload token \(refused\)"),
        ([(200, b"<html>")], "gave no upload token"),
        ([(200, b'{"fileUploadUrl": "u", "token": "t"}'), (413, b"")], r"did not take the file \(HTTP 413\)"),
    ],
)
def test_a_file_that_cannot_be_sent_fails_its_turn_and_the_next_goes_on(answers: list[Any], said: str) -> None:
    import re

    client, effects = uploaded(*answers)
    (done,) = [e for e in effects if isinstance(e, TurnDone)]
    assert done.status == "failed"
    assert re.search(said, done.reason)
    assert [e for e in client.act(2, say("hi"), 0.0) if isinstance(e, Emit)]


def request(method: str, path: str, **more: Any) -> HttpCall:
    return HttpCall(method, path, "http://127.0.0.1:1", more.pop("headers", {}), **more)


def answer(effects: Sequence[Any]) -> HttpReply:
    return next(effect for effect in effects if isinstance(effect, HttpReply))


@pytest.mark.parametrize("path", ["/v2.0/endpoint/notify", "/notify/planted-token"])
def test_http_notify_reaches_the_user_s_links(path: str) -> None:
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
def test_http_refusals(method: str, path: str, body: Any, status: int) -> None:
    server = cognigy.DIALECT.server(given_(), ids(), options())
    assert answer(server.request(request(method, path, body=body), 0.0)).status == status


# The vendor's page


def lines() -> list[dict[str, Any]]:
    return [json.loads(line) for line in TRANSCRIPT.read_text().splitlines()]


def test_the_client_speaks_as_the_page_says() -> None:
    asked, *answers = lines()
    client = ready()
    action = Action("data", {"text": asked["payload"]["text"], "data": asked["payload"]["data"]})
    (sent,) = [e for e in client.act(1, action, 0.0) if isinstance(e, Emit)]
    assert (sent.event, sent.args[0]) == (asked["event"], asked["payload"])
    effects = [e for line in answers for e in client.received(line["event"], line["payload"], 0.0)]
    assert next((e.kind, e.text) for e in effects if isinstance(e, Record)) == ("text", "What is its number?")
    assert [e.status for e in effects if isinstance(e, TurnDone)] == ["completed"]


@pytest.mark.parametrize("reset", [False, "false", "False"])
def test_the_server_answers_as_the_page_says_with_the_flag_as_a_text_too(reset: Any) -> None:
    asked, answered, final = lines()
    server = cognigy.DIALECT.server(
        given_(), ids(), options(output_transformer=lambda data: {**data, "data": {"key": "value"}})
    )
    about = {name: value for name, value in asked["payload"].items() if name not in ("channel", "source")}
    effects = server.received("link", "processInput", {**about, "resetFlow": reset}, 0.0)
    assert not [e for e in effects if isinstance(e, EndFlow)]
    (run,) = [e for e in effects if isinstance(e, RunFlow)]
    assert (run.user_input.text, run.user_input.data) == (asked["payload"]["text"], {"key": "value"})
    effects = [
        *server.put(run.conversation, Text("What is its number?"), 0.0),
        *server.done(run.conversation, None, 0.0),
    ]
    said = [e for e in effects if isinstance(e, Emit) and e.event in ("output", "finalPing")]
    assert (said[0].event, said[0].args[0]["type"]) == (answered["event"], "output")
    assert answered["payload"]["data"].items() <= said[0].args[0]["data"].items()
    assert (said[1].event, said[1].args[0]) == (final["event"], final["payload"])


@pytest.mark.parametrize("reset", [True, "true"])
def test_a_reset_may_be_a_text_too(reset: Any) -> None:
    server = cognigy.DIALECT.server(given_(), ids(), options())
    about = {**lines()[0]["payload"], "resetFlow": reset}
    assert [e for e in server.received("link", "processInput", about, 0.0) if isinstance(e, EndFlow)]


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
    """Return a payload with one of its parts, counted in the order of reading, replaced."""
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


@settings(max_examples=1000, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(st.lists(EVENT, min_size=100, max_size=100))
def test_a_hundred_thousand_malformed_events_leave_the_session_usable(events: list[tuple[int, int, int]]) -> None:
    client = ready()
    for n, (which, place, junk) in enumerate(events, 1):
        event, payload = WIRE[which]
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
def test_malformed_inputs_leave_the_endpoint_usable(inputs: list[tuple[int, int]]) -> None:
    server = cognigy.DIALECT.server(given_(), ids(), options())
    good = lines()[0]["payload"]
    for place, junk in inputs:
        for effect in server.received("link", "processInput", spoiled(good, place, JUNK[junk]), 0.0):
            if isinstance(effect, RunFlow):
                server.done(effect.conversation, None, 0.0)
    effects = server.received("link", "processInput", good, 0.0)
    assert [e for e in effects if isinstance(e, RunFlow)]
    assert not [e for e in effects if isinstance(e, Close)]


# What is hard to tell apart, and what must not go wrong


def again(client: Any, now: float = 1.0) -> None:
    """Lose the link and open the next."""
    client.closed(now)
    client.dial(now)
    client.opened(now)


PING = ("finalPing", REGULAR)


def test_the_final_ping_of_a_turn_under_way_is_not_taken_for_the_one_before() -> None:
    client = ready()
    client.act(1, say("a"), 0.0)
    client.received("output", output("re a", traceId="t1"), 0.0)
    client.received(*PING, 0.0)
    client.act(2, say("b"), 0.0)
    client.received("typingStatus", {"status": "typingOn"}, 0.0)
    again(client)
    effects = [*client.received(*PING, 1.0), *client.received("endpoint-ready", None, 1.0)]
    assert [e.turn for e in effects if isinstance(e, TurnDone)] == [2]
    assert not [e for e in effects if isinstance(e, Emit)], "the input is not sent again"


def test_answers_without_a_trace_id_are_neither_swallowed_nor_a_proof() -> None:
    client = ready()
    for turn in (1, 2):
        client.act(turn, say("?"), 0.0)
        client.received("typingStatus", {"status": "typingOn"}, 0.0)
        if turn == 2:
            again(client)
        effects = [*client.received("output", output("Sorry?"), 1.0), *client.received("endpoint-ready", None, 1.0)]
        assert kinds(effects)[0] == "text"
        assert not [e for e in effects if isinstance(e, Emit)]
        client.received(*PING, 1.0)


def test_an_input_that_was_not_heard_is_sent_again_once() -> None:
    client = ready()
    client.act(1, say("a"), 0.0)
    client.received("output", output("re a", traceId="t1"), 0.0)
    client.received(*PING, 0.0)
    (lost,) = [e for e in client.act(2, say("b"), 0.0) if isinstance(e, Emit)]
    again(client)
    effects = [
        *client.received("output", output("re a", traceId="t1"), 1.0),
        *client.received(*PING, 1.0),
        *client.received("endpoint-ready", None, 1.0),
    ]
    assert [e.args for e in effects if isinstance(e, Emit)] == [lost.args]
    assert not [e for e in effects if isinstance(e, TurnDone)]
    again(client, 2.0)
    assert not [e for e in client.received("endpoint-ready", None, 2.0) if isinstance(e, Emit)]


def test_an_error_that_comes_again_while_the_next_link_opens_is_no_refusal() -> None:
    client = ready()
    again(client)
    effects = client.received("output", {"type": "error", "data": {"error": {"message": "kept"}}}, 1.0)
    assert kinds(effects) == ["error"]
    assert not [e for e in effects if isinstance(e, Failed)]


def test_a_turn_that_was_given_up_keeps_its_answer() -> None:
    client = ready()
    client.act(1, say("slow"), 0.0)
    assert not client.abandon(1, 0.5)
    assert not [e for e in client.act(2, say("one"), 1.0) if isinstance(e, Emit)], "held"
    late = client.received("output", output("answer to slow"), 2.0)
    assert [e.turn for e in late if isinstance(e, Record)] == [1]
    sent = [e for e in client.received(*PING, 2.0) if isinstance(e, Emit)]
    assert [e.args[0]["text"] for e in sent] == ["one"]
    assert [e.turn for e in client.received(*PING, 3.0) if isinstance(e, TurnDone)] == [2]


def test_a_turn_that_was_given_up_holds_the_next_for_a_while_only() -> None:
    client = ready()
    client.act(1, say("never"), 0.0)
    client.abandon(1, 1.0)
    client.act(2, say("one"), 1.0)
    assert client.deadline == 6.0
    assert [e.args[0]["text"] for e in client.timer(6.0) if isinstance(e, Emit)] == ["one"]


def test_typing_puts_off_the_end_of_a_turn_with_an_error() -> None:
    client = ready()
    client.act(1, say("hi"), 0.0)
    client.received("exception", {"message": "soft"}, 1.0)
    client.received("typingStatus", {"status": "typingOn"}, 4.0)
    assert client.deadline == 9.0


def test_an_idle_time_does_not_run_while_a_file_is_under_way() -> None:
    client = ready(expires_in=1.0)
    client.act(1, Action("upload", {"file": "/a.pdf"}), 0.5)
    assert client.deadline is None


@pytest.mark.parametrize(("title", "said"), [("nope", "has no button 'nope': Send"), (None, "no adaptive card")])
def test_a_card_that_cannot_be_submitted_is_refused(title: str | None, said: str) -> None:
    client = ready()
    if title:
        card = {"actions": [{"type": "Action.Submit", "title": "Send"}]}
        data = {"text": "", "data": {"_cognigy": {"_webchat": {"adaptiveCard": card}}}}
        client.received("output", {"type": "output", "data": data}, 0.0)
    (done,) = [
        e for e in client.act(1, Action("submit", {"values": {}, "title": title}), 0.0) if isinstance(e, TurnDone)
    ]
    assert said in str(done.reason)


def test_bytes_are_recorded_like_anything_else() -> None:
    client = ready()
    assert kinds(client.received("output", {"type": "output", "data": {"text": "hi", "data": {"b": b"x"}}}, 0.0)) == [
        "text"
    ]
    assert kinds(client.received("exception", b"x", 0.0)) == ["error"]


async def _coroutine(about: dict[str, Any]) -> dict[str, Any]:
    return about


@pytest.mark.parametrize(
    ("returns", "said"),
    [
        (lambda _: [1], "it returned a list: return the payload, a dict, or None"),
        (lambda _: {"text": {1}}, "set is not JSON serializable"),
        (_coroutine, "write it with def, not async def"),
        (lambda _: sys.exit(3), "SystemExit: 3"),
    ],
)
@pytest.mark.parametrize("which", ["input", "output"])
def test_a_transformer_that_returns_what_it_should_not_is_one_sentence(which: str, returns: Any, said: str) -> None:
    pair = Pair(**{f"{which}_transformer": returns})
    pair.connect()
    pair.act(1, say("hi"))
    (error,) = [r.error for r in pair.of(Record) if r.error]
    assert f"the {which} transformer raised" in error
    assert said in error
    assert [done.turn for done in pair.of(TurnDone)] == [1]


def test_users_whose_ids_run_together_are_two() -> None:
    server = cognigy.DIALECT.server(given_(), ids(), options())
    server.opened("one", {"urlToken": "planted-token", "userId": "a b", "sessionId": "c"}, 0.0)
    server.opened("two", {"urlToken": "planted-token", "userId": "a", "sessionId": "b c"}, 0.0)
    assert server.conversation("a b") != server.conversation("a")


@pytest.mark.parametrize("user", ["u%41", "ä b/c?d=e&f", "100%"])
def test_any_id_arrives_as_it_is(user: str) -> None:
    pair = Pair(client={"user_id": user})
    pair.connect()
    assert pair.server.conversation(user)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"url": "https://h/" + "0a" * 32, "token": Secret("f" * 64)}, "give one of them"),
        ({"interval": 0.0}, "interval is a number of seconds above 0"),
        ({"expires_in": 0.0}, "expires_in is a number of seconds above 0"),
    ],
)
def test_settings_that_cannot_be_are_refused(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        given_(**changed)


@pytest.mark.parametrize("prefix", ["/x/../y", "a%20b", "a b", ".."])
def test_a_prefix_that_no_url_has_is_refused(prefix: str) -> None:
    with pytest.raises(SettingsError, match="prefix is a path"):
        cognigy.DIALECT.server(given_(), ids(), options(prefix=prefix))


def test_a_long_line_that_cannot_be_sent_is_refused_turn_by_turn() -> None:
    client = ready()
    client.act(1, say("hi"), 0.0)
    for turn in range(2, 900):
        client.act(turn, Action("submit", {"values": {}}), 0.0)
    effects = client.received(*PING, 0.0)
    assert [e.turn for e in effects if isinstance(e, TurnDone)] == list(range(1, 900))


def test_an_error_belongs_to_its_turn() -> None:
    client = ready()
    client.act(1, say("a"), 0.0)
    client.received("exception", {"message": "boom"}, 0.0)
    client.act(2, Action("text", {"text": "b"}, at_once=True), 1.0)
    assert [e.reason for e in client.timer(5.0) if isinstance(e, TurnDone)] == ["boom"]
    client.received("output", output("by the way"), 6.0)
    assert client.deadline is None
    assert [e.turn for e in client.received(*PING, 7.0) if isinstance(e, TurnDone)] == [2]


def test_giving_up_one_turn_leaves_the_error_of_another_its_time() -> None:
    client = ready()
    client.act(1, say("a"), 0.0)
    client.act(2, Action("text", {"text": "b"}, at_once=True), 0.0)
    client.received("exception", {"message": "boom"}, 0.0)
    client.abandon(2, 1.0)
    assert [(e.turn, e.reason) for e in client.timer(5.0) if isinstance(e, TurnDone)] == [(1, "boom")]


def test_several_turns_that_were_given_up_owe_a_final_ping_each() -> None:
    client = ready()
    client.act(1, say("a"), 0.0)
    client.act(2, Action("text", {"text": "b"}, at_once=True), 0.0)
    client.act(3, say("c"), 0.0)
    client.abandon(2, 0.0)
    client.abandon(1, 0.0)
    first, second, third = (client.received(*PING, 1.0) for _ in range(3))
    assert not [e for e in first if isinstance(e, Emit)]
    assert [e.args[0]["text"] for e in second if isinstance(e, Emit)] == ["c"]
    assert [e.turn for e in [*first, *second, *third] if isinstance(e, TurnDone)] == [3]


def test_what_has_no_trace_id_does_not_hide_what_comes_again_after_it() -> None:
    client = ready()
    client.act(1, say("a"), 0.0)
    error = {"type": "error", "data": {"error": {"message": "oops"}}}
    for event in (error, output("A", traceId="t1")):
        client.received("output", event, 0.0)
    client.received(*PING, 0.0)
    client.act(2, say("b"), 0.0)
    again(client)
    effects = [e for event in (error, output("A", traceId="t1")) for e in client.received("output", event, 1.0)]
    effects += [*client.received(*PING, 1.0), *client.received("endpoint-ready", None, 1.0)]
    assert "text" not in kinds(effects)
    assert not [e for e in effects if isinstance(e, TurnDone)]


def test_both_encodings_of_a_final_ping_that_come_again_end_no_turn_that_was_not_heard() -> None:
    wrapped = ("output", {"type": "finalPing", "data": REGULAR})
    client = ready()
    client.act(1, say("a"), 0.0)
    client.received("output", output("A", traceId="t1"), 0.0)
    client.received(*wrapped, 0.0)
    client.received(*PING, 0.0)
    client.act(2, say("b"), 0.0)
    again(client)
    effects = [
        *client.received(*wrapped, 1.0),
        *client.received(*PING, 1.0),
        *client.received("endpoint-ready", None, 1.0),
    ]
    assert not [e for e in effects if isinstance(e, TurnDone | Emit)]


@pytest.mark.parametrize("typing", [True, False])
def test_a_final_ping_alone_is_the_turn_s_own_if_anything_shows_that_its_input_was_heard(typing: Any) -> None:
    client = ready()
    client.act(1, say("a"), 0.0)
    client.received(*PING, 0.0)
    client.act(2, say("b"), 0.0)
    if typing:
        client.received("typingStatus", {"status": "typingOn"}, 0.0)
    again(client)
    effects = [*client.received(*PING, 1.0), *client.received("endpoint-ready", None, 1.0)]
    assert [e.turn for e in effects if isinstance(e, TurnDone)] == ([2] if typing else [])
    assert not [e for e in effects if isinstance(e, Emit)]

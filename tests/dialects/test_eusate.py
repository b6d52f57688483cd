"""Eusate's dialect: its two machines as a pair, and each against a transcript of the vendor's page."""

import json
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_cognigy import JUNK, spoiled

from socketnb.dialects import eusate
from socketnb.dialects.eusate.actions import user_input
from socketnb.dialects.eusate.messages import CLOSE, read_message as said
from socketnb.dialects.eusate.history import Query
from socketnb.dialects.eusate.requests import RequestId
from socketnb.errors import SettingsError
from socketnb.model.actions import Action
from socketnb.model.content import AgentSays, Card, Cards, Choice, Choices, End, Handover, Media, Step, Text, UserInput
from socketnb.model.effects import (
    Acknowledge,
    CallEnded,
    CallStarted,
    Conversations,
    Credential,
    Emit,
    HttpCall,
    HttpReply,
    HttpRequest,
    HttpResponse,
    Ready,
    Record,
    Refuse,
    RunFlow,
    TurnDone,
)
from socketnb.model.secret import Secret

TRANSCRIPT = Path(__file__).parent / "transcripts" / "eusate.jsonl"
CONVERSATIONS = Query("conversations")
GIVEN = {"url": "http://127.0.0.1:1", "api_key": Secret("planted-eusate-key"), "session_id": "customer-1"}
NOW = 1.7e9


def given_(**changed: Any) -> dict[str, Any]:
    return {**{name: setting.default for name, setting in eusate.DIALECT.settings.items()}, **GIVEN, **changed}


def options(**changed: Any) -> dict[str, Any]:
    return {**{name: option.default for name, option in eusate.DIALECT.options.items()}, **changed}


def say(text: str, conversation: str | None = None) -> Action:
    return Action("text", {"text": text}, conversation=conversation)


def act(verb: str, conversation: str | None = None, **fields: Any) -> Action:
    return Action(verb, fields, conversation=conversation)


def ids() -> Callable[[], str]:
    numbers = count(1)
    return lambda: f"id{next(numbers)}"


class Pair:
    """A client and a server machine with a list as the network between them, HTTP included."""

    def __init__(
        self,
        answer: Callable[[UserInput], Sequence[Step]] = lambda user_input: [Text(f"You said {user_input.text}")],
        *,
        client: dict[str, Any] | None = None,
        **server: Any,
    ) -> None:
        self.client = eusate.DIALECT.client(given_(**(client or {})), ids())
        self.server = eusate.DIALECT.server(given_(), ids(), options(**server))
        self.answer = answer
        self.links = 0
        self.now = NOW
        self.seen: list[Any] = []  # the client's effects
        self.sent: list[tuple[str, Any]] = []  # what the client sent
        self.refused: list[str] = []
        self.deaf = False  # the network loses what the server sends

    @property
    def link(self) -> str:
        return f"link{self.links}"

    def connect(self) -> None:
        self.links += 1
        address = self.client.dial(self.now)
        effects = self.server.opened(self.link, address.query, self.now)
        self.to_client(self.client.opened(self.now))
        self.to_server(effects)

    def disconnect(self) -> None:
        self.server.closed(self.link, self.now)
        self.to_client(self.client.closed(self.now))

    def act(self, turn: int, action: Action) -> None:
        self.now += 1
        self.to_client(self.client.act(turn, action, self.now))

    def agent(self, step: Step) -> None:
        self.now += 1
        self.to_server(self.server.put(self.server.conversation(None), step, self.now))

    def to_client(self, effects: Sequence[Any]) -> None:
        for effect in effects:
            self.seen.append(effect)
            match effect:
                case Emit(event, args, ack=ack):
                    self.sent.append((event, args[0]))
                    answers = self.server.received(self.link, event, args[0], self.now)
                    self.to_server(answers)
                    for reply in answers:
                        if isinstance(reply, Acknowledge):
                            self.to_client(self.client.acked(ack, [reply.payload], self.now))
                case HttpRequest(name, method, url, headers):
                    path, _, query = url.removeprefix("http://127.0.0.1:1").partition("?")
                    headers = {key.casefold(): value for key, value in headers.items()}
                    queries = dict([query.split("=")]) if query else {}
                    asked = HttpCall(method, path, "", headers, query=queries)
                    (got,) = [e for e in self.server.request(asked, self.now) if isinstance(e, HttpReply)]
                    body = json.dumps(got.body).encode()
                    self.to_client(self.client.http_response(HttpResponse(name, got.status, body), self.now))

    def to_server(self, effects: Sequence[Any]) -> None:
        for effect in effects:
            match effect:
                case Emit(event, args, link) if link == self.link and not self.deaf:
                    self.to_client(self.client.received(event, args[0], self.now))
                case RunFlow(conversation, user_input):
                    self.now += 1
                    for step in self.answer(user_input):
                        self.to_server(self.server.put(conversation, step, self.now))
                    self.to_server(self.server.done(conversation, None, self.now))
                case Refuse(reason):
                    self.refused.append(reason)

    def of(self, kind: type) -> list[Any]:
        return [effect for effect in self.seen if isinstance(effect, kind)]

    def ended(self) -> list[tuple[int, str, str | None]]:
        return [(done.turn, done.status, done.reason) for done in self.of(TurnDone)]

    def said(self) -> list[str | None]:
        """What a person sees."""
        shown = ("action", "text", "choices", "file", "image", "list")
        return [record.text for record in self.of(Record) if record.kind in shown]

    def talks(self) -> Any:
        return self.of(Conversations)[-1].conversations


# Connecting


def test_the_key_travels_in_the_query_and_the_namespace_is_the_helpdesk_s() -> None:
    address = eusate.DIALECT.client(given_(), ids()).dial(0.0)
    assert address.query == {"token_source": "api", "token": "planted-eusate-key"}
    assert (address.namespace, address.path, address.advice) == ("/helpdesk", "socket.io", "check api_key")


def test_the_personal_room_is_entered_at_once_and_the_conversations_are_asked_for() -> None:
    pair = Pair()
    pair.connect()
    assert pair.sent == [("enter_customer_support", {"session_id": "customer-1"})]
    assert len(pair.of(Ready)) == 1
    assert pair.client.deadline is None


@pytest.mark.parametrize("status", [0, 404, 200])
def test_a_helpdesk_without_the_list_of_conversations_is_used_all_the_same(status: int) -> None:
    client = eusate.DIALECT.client(given_(), ids())
    client.dial(0.0)
    client.opened(0.0)
    effects = client.http_response(HttpResponse(CONVERSATIONS, status, b"<html>"), 0.0)
    assert [e for e in effects if isinstance(e, Ready)]
    assert [e.kind for e in effects if isinstance(e, Record)] == ["log", "ready"]


def test_a_list_that_does_not_come_is_not_waited_for_for_ever() -> None:
    client = eusate.DIALECT.client(given_(), ids())
    client.dial(0.0)
    client.opened(0.0)
    assert not [e for e in client.act(1, say("early"), 0.0) if isinstance(e, Emit)]
    assert client.deadline == 2.0
    effects = client.timer(2.0)
    assert [e.event for e in effects if isinstance(e, Emit)] == ["support"]
    assert not client.http_response(HttpResponse(CONVERSATIONS, 200, b"[]"), 3.0)


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({}, 400),
        ({"token_source": "x"}, 400),
        ({"token_source": "api"}, 401),
        ({"token_source": "api", "token": "x"}, 401),
    ],
)
def test_a_refusal_is_json_in_a_text(query: dict[str, str], code: int) -> None:
    (refused,) = eusate.DIALECT.server(given_(), ids(), options()).opened("link", query, NOW)
    assert isinstance(refused, Refuse)
    assert json.loads(refused.reason)["status_code"] == code


@pytest.mark.parametrize("name", ["connect_response", "connected", ""])
def test_the_envelope_of_the_connection_is_a_note_under_any_name(name: str) -> None:
    pair = Pair(envelope=name)
    pair.connect()
    notes = [r for r in pair.of(Record) if r.event == name]
    assert [note.kind for note in notes] == (["session"] if name else [])


# The story


@pytest.mark.parametrize("answers", eusate.DIALECT.options["answers"].among)
@pytest.mark.parametrize("echo", eusate.DIALECT.options["echo"].among)
def test_the_whole_story(answers: str, echo: str) -> None:
    def answer(user_input: UserInput) -> list[Step]:
        match user_input.text:
            case "agent please":
                return [Text("One moment."), Handover("Ada")]
            case "thanks":
                return [Text("Was that all?"), End()]
            case _:
                return [Text("Which number?")]

    pair = Pair(answer, answers=answers, echo=echo)
    pair.connect()
    pair.act(1, say("I need help"))
    pair.act(2, say("agent please"))
    pair.agent(AgentSays("Ada here", {"url": "https://x.org/a.pdf", "name": "a.pdf"}))
    pair.act(3, say("hello Ada"))
    pair.act(4, act("attach", files=[{"url": "https://x.org/b.png", "name": "b.png"}]))
    pair.agent(Handover())
    pair.act(5, act("call"))
    pair.act(6, act("hang_up"))
    pair.act(7, say("thanks"))
    (suggested,) = pair.talks()
    assert suggested.suggested
    pair.act(8, Action("press", {"choice": Choice(CLOSE, {"close": suggested.id})}))
    pair.act(9, act("review", rating=5, review="nice"))
    events = "support support support_echo support_echo call_support close_call_support support close_support".split()
    assert pair.ended() == [(n, "completed", rule) for n, rule in enumerate([*events, "review_support"], 1)]
    assert pair.said() == [
        "I need help",
        "Which number?",
        "agent please",
        "One moment.",
        "Ada here\na.pdf",
        "hello Ada",
        "b.png",
        "call",
        "hang_up",
        "thanks",
        f"Was that all?\n[{CLOSE}]",
        CLOSE,
        "Thank you for writing to us. Your conversation is closed.",
        "5 nice",
    ]
    (talk,) = pair.talks()
    assert (talk.closed, talk.suggested, talk.handler, talk.unread) == (True, False, "bot", 0)
    (begun,), (ended,) = pair.of(CallStarted), pair.of(CallEnded)
    assert begun.room == begun.conversation == talk.id
    assert ended.id == begun.id
    assert begun.token.reveal() in [credential.value for credential in pair.of(Credential)]
    shown = [record for record in pair.of(Record) if record.turn > 1 and record.kind not in ("read", "session", "ack")]
    assert {record.conversation for record in shown} == {talk.id}
    assert not [record for record in pair.of(Record) if record.kind in ("error", "custom")]


def lines() -> list[dict[str, Any]]:
    return [json.loads(line) for line in TRANSCRIPT.read_text().splitlines()]


def test_the_client_speaks_as_the_page_says() -> None:
    actions = iter(
        [
            say("I need help with an order"),
            say("It is 4567"),
            act("call"),
            act("hang_up"),
            say("thanks"),
            Action("press", {"choice": Choice(CLOSE, {"close": "conv-1"})}),
            act("review", rating=5, review="Very helpful"),
        ]
    )
    client = eusate.DIALECT.client(given_(), ids())
    client.dial(0.0)
    effects = [*client.opened(0.0), *client.http_response(HttpResponse(CONVERSATIONS, 404, b""), 0.0)]
    turns = count(1)
    for line in lines():
        out = [e for e in effects if isinstance(e, Emit)]
        if line["from"] == "server":
            effects = [*out, *client.received(line["event"], line["payload"], 0.0)]
            continue
        if not out:
            effects = [*client.act(next(turns), next(actions), 0.0)]
            out = [e for e in effects if isinstance(e, Emit)]
        sent = out.pop(0)
        assert (sent.event, sent.args[0]) == (line["event"], line["payload"])
        effects = [*out]
    assert not [e for e in effects if isinstance(e, Emit)]


def test_the_server_answers_as_the_page_says() -> None:
    class Ids:
        """The transcript's ids."""

        names = iter(["sign", "1", "x"])

        def __call__(self) -> str:
            return next(self.names, "1")

    server = eusate.DIALECT.server(given_(), Ids(), options(envelope=""))
    server.opened("sid-1", {"token_source": "api", "token": "planted-eusate-key"}, NOW)
    replies = {"I need help with an order": [Text("Gladly. Which number?")], "thanks": [Text("Was that all?"), End()]}
    got: list[Emit] = []

    def play(effects: Sequence[Any]) -> None:
        for effect in effects:
            if isinstance(effect, Emit):
                got.append(effect)
            elif isinstance(effect, RunFlow):
                for step in replies[effect.user_input.text]:
                    play(server.put(effect.conversation, step, NOW))
                play(server.done(effect.conversation, None, NOW))

    by_agent = {
        "support_handler_changed": lambda data: Handover(data["agent"]["username"] if data["agent"] else ""),
        "customer_support": lambda data: AgentSays(data["message"]),
    }
    loose = (
        "date_created",
        "date_updated",
        "call_start_time",
        "call_end_time",
        "token",
        "ticket_call_id",
        "message",
        "id",
    )
    for line in lines():
        payload = json.loads(json.dumps(line["payload"]).replace("conv-1", "conv_1"))
        if line["from"] == "client":
            play(server.received("sid-1", line["event"], payload, NOW))
            continue
        if line["event"] in by_agent:
            play(server.put(server.conversation(None), by_agent[line["event"]](payload["data"]), NOW))
        came = got.pop(0)
        assert came.event == line["event"]
        envelope = came.args[0]
        assert list(envelope) == ["status_code", "sid", "message", "data"]
        assert (envelope["status_code"], envelope["sid"]) == (200, "sid-1")
        assert set(envelope["data"]) == set(payload["data"])
        for name, value in payload["data"].items():
            if name not in loose and not isinstance(value, dict):
                assert envelope["data"][name] == value, (line["event"], name)
    assert not got


# Turns


def test_a_new_conversation_has_no_id_and_what_follows_has_it() -> None:
    pair = Pair()
    pair.connect()
    pair.act(1, say("one"))
    pair.act(2, say("two"))
    (talk,) = pair.talks()
    supports = [payload for event, payload in pair.sent if event == "support"]
    assert [about["ticket_chat_id"] for about in supports] == [None, talk.id]
    assert list(supports[0]) == ["session_id", "message", "attachment", "ticket_chat_id"]
    assert [payload for event, payload in pair.sent if event == "enter_support"] == [{"ticket_chat_id": talk.id}]


def test_what_waits_behind_a_new_conversation_belongs_to_it() -> None:
    client = eusate.DIALECT.client(given_(), ids())
    client.dial(0.0)
    client.opened(0.0)
    client.http_response(HttpResponse(CONVERSATIONS, 200, b"[]"), 0.0)
    client.act(1, say("one"), 0.0)
    assert not client.act(2, say("two"), 0.0)
    reply = {"status_code": 200, "data": {"message": "hi", "ticket_chat_id": "c1", "sender": "sate"}}
    sent = [e for e in client.received("support", reply, 0.0) if isinstance(e, Emit) and e.event == "support"]
    assert [e.args[0]["ticket_chat_id"] for e in sent] == ["c1"]


def test_three_conversations_are_held_and_a_fourth_is_refused_before_anything_is_sent() -> None:
    pair = Pair()
    pair.connect()
    for turn in (1, 2, 3):
        pair.act(turn, say(f"new {turn}", ""))
    before = len(pair.sent)
    pair.act(4, say("new 4", ""))
    assert len(pair.sent) == before
    assert pair.ended()[-1][:2] == (4, "failed")
    assert "3 conversations are open" in str(pair.ended()[-1][2])
    first = pair.talks()[0].id
    pair.act(5, say("back to the first", first))
    assert pair.sent[-2][1]["ticket_chat_id"] == first
    pair.act(6, say("still there"))
    assert pair.sent[-2][1]["ticket_chat_id"] == first, "the one that was spoken in last"
    pair.act(7, act("close", first))
    pair.act(8, say("a third again", ""))
    assert pair.ended()[-1][1] == "completed"


def test_turns_in_different_conversations_do_not_wait_for_each_other() -> None:
    client = eusate.DIALECT.client(given_(), ids())
    client.dial(0.0)
    client.opened(0.0)
    client.http_response(HttpResponse(CONVERSATIONS, 200, b'[{"id": "a"}, {"id": "b"}]'), 0.0)
    assert [e for e in client.act(1, say("to a", "a"), 0.0) if isinstance(e, Emit)]
    assert [e for e in client.act(2, say("to b", "b"), 0.0) if isinstance(e, Emit)]
    reply = {"status_code": 200, "data": {"message": "hi", "ticket_chat_id": "b", "sender": "sate"}}
    assert [e.turn for e in client.received("support", reply, 0.0) if isinstance(e, TurnDone)] == [2]


def test_after_a_closed_conversation_the_next_message_begins_another() -> None:
    pair = Pair()
    pair.connect()
    pair.act(1, say("one"))
    pair.to_server(pair.server.close(pair.server.conversation(None), pair.now))
    (record,) = [r for r in pair.of(Record) if r.event == "customer_support_closed"]
    assert (record.kind, record.text) == ("ended", "the helpdesk has closed it")
    pair.act(2, say("two"))
    assert [talk.closed for talk in pair.talks()] == [True, False]


def test_a_message_whose_handler_changes_under_way_ends_with_that() -> None:
    pair = Pair(lambda _: [Handover("Ada")])
    pair.connect()
    pair.act(1, say("agent please"))
    assert pair.ended() == [(1, "completed", "support_handler_changed")]


@pytest.mark.parametrize(
    ("action", "said"),
    [
        (act("attach", files=[{"url": "x"}]), "only while an agent answers"),
        (act("review", rating=6), "from 1 to 5, not 6"),
        (act("review", rating=0), "from 1 to 5, not 0"),
        (say("hi", "closed"), "conversation closed is closed: new_conversation"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_sent(action: Action, said: str) -> None:
    client = eusate.DIALECT.client(given_(), ids())
    client.dial(0.0)
    client.opened(0.0)
    client.http_response(HttpResponse(CONVERSATIONS, 200, b'[{"id": "a"}, {"id": "closed", "closed": true}]'), 0.0)
    client.act(1, say("to a", "a"), 0.0)
    client.received("support", {"data": {"message": "hi", "ticket_chat_id": "a", "sender": "sate"}}, 0.0)
    effects = client.act(2, action, 0.0)
    assert not [e for e in effects if isinstance(e, Emit)]
    (done,) = [e for e in effects if isinstance(e, TurnDone)]
    assert done.status == "failed"
    assert said in str(done.reason)


@pytest.mark.parametrize("verb", ["read", "leave", "close", "review", "hang_up"])
def test_without_a_conversation_there_is_nothing_to_do_this_to(verb: str) -> None:
    pair = Pair()
    pair.connect()
    fields = {"rating": 3} if verb == "review" else {}
    pair.act(1, act(verb, **fields))
    assert "there is no conversation to" in str(pair.ended()[0][2])


@pytest.mark.parametrize("files", [[], [{}], ["a.pdf"], [{"name": "a.pdf"}]])
def test_a_file_without_its_description_is_refused(files: list[Any]) -> None:
    pair = Pair(lambda _: [Handover("Ada")])
    pair.connect()
    pair.act(1, say("agent please"))
    pair.act(2, act("attach", files=files))
    assert "needs a description with its url" in str(pair.ended()[-1][2])


def test_a_call_is_refused_while_an_agent_answers_or_another_runs() -> None:
    pair = Pair()
    pair.connect()
    pair.act(1, say("hi"))
    pair.act(2, act("call"))
    pair.act(3, act("call"))
    assert "a call is running already" in str(pair.ended()[-1][2])
    pair.to_server(pair.server.leave_call(pair.server.conversation(None), pair.now))
    (ended,) = pair.of(CallEnded)
    assert ended.reason == "the bot has left the call"
    with pytest.raises(SettingsError, match="no call to leave"):
        pair.server.leave_call(pair.server.conversation(None), pair.now)
    pair.agent(Handover("Ada"))
    pair.act(4, act("call"))
    assert "an agent answers here" in str(pair.ended()[-1][2])


def test_a_call_can_begin_a_conversation() -> None:
    pair = Pair()
    pair.connect()
    pair.act(1, act("call"))
    (talk,) = pair.talks()
    assert pair.ended() == [(1, "completed", "call_support")]
    assert ("enter_support", {"ticket_chat_id": talk.id}) in pair.sent


def test_messages_are_marked_as_read_unless_that_is_off() -> None:
    on, off = Pair(), Pair(client={"mark_read": False})
    for pair in (on, off):
        pair.connect()
        pair.act(1, say("hi"))
        pair.agent(AgentSays("Ada here"))
    assert [event for event, _ in on.sent].count("mark_conversation_read") == 2
    assert [event for event, _ in off.sent].count("mark_conversation_read") == 0
    assert (on.talks()[0].unread, off.talks()[0].unread) == (0, 2)
    off.act(2, act("read"))
    assert off.talks()[0].unread == 0


@pytest.mark.parametrize("event", ["support", "call_support", "close_support", "review_support"])
def test_an_error_in_the_envelope_rejects_its_turn(event: str) -> None:
    client = eusate.DIALECT.client(given_(), ids())
    client.dial(0.0)
    client.opened(0.0)
    client.http_response(HttpResponse(CONVERSATIONS, 200, b'[{"id": "a"}]'), 0.0)
    verb = {"support": say("hi", "a"), "review_support": act("review", "a", rating=1)}
    client.act(1, verb.get(event, act({"call_support": "call"}.get(event, "close"), "a")), 0.0)
    refused = {"status_code": 400, "sid": "s", "message": "not today", "data": {}}
    (done,) = [e for e in client.received(event, refused, 0.0) if isinstance(e, TurnDone)]
    assert (done.status, done.reason) == ("rejected", "not today")


def test_a_turn_that_was_given_up_keeps_its_answer() -> None:
    client = eusate.DIALECT.client(given_(), ids())
    client.dial(0.0)
    client.opened(0.0)
    client.http_response(HttpResponse(CONVERSATIONS, 200, b'[{"id": "a"}]'), 0.0)
    client.act(1, say("slow", "a"), 0.0)
    client.abandon(1, 1.0)
    assert not client.act(2, say("one", "a"), 1.0), "held"
    reply = {"data": {"message": "answer to slow", "ticket_chat_id": "a", "sender": "sate"}}
    effects = client.received("support", reply, 2.0)
    assert not [e for e in effects if isinstance(e, TurnDone)]
    assert [e.args[0]["message"] for e in effects if isinstance(e, Emit) and e.event == "support"] == ["one"]
    assert [e.turn for e in effects if isinstance(e, Record) and e.kind == "text"] == [1]


def test_a_turn_that_was_given_up_holds_the_next_for_a_while_only() -> None:
    client = eusate.DIALECT.client(given_(), ids())
    client.dial(0.0)
    client.opened(0.0)
    client.http_response(HttpResponse(CONVERSATIONS, 200, b'[{"id": "a"}]'), 0.0)
    client.act(1, say("never", "a"), 0.0)
    client.abandon(1, 1.0)
    client.act(2, say("one", "a"), 1.0)
    assert client.deadline == 6.0
    assert [e.args[0]["message"] for e in client.timer(6.0) if isinstance(e, Emit)] == ["one"]


def test_what_names_no_conversation_follows_the_one_before() -> None:
    client = eusate.DIALECT.client(given_(), ids())
    client.dial(0.0)
    client.opened(0.0)
    client.http_response(HttpResponse(CONVERSATIONS, 200, b'[{"id": "a"}, {"id": "b"}]'), 0.0)
    client.act(1, say("to a", "a"), 0.0)
    client.act(2, say("to b", "b"), 0.0)
    assert not client.act(3, say("to a again", "a"), 0.0)
    assert not client.act(4, say("and again"), 0.0)
    reply = {"data": {"message": "hi", "ticket_chat_id": "b", "sender": "sate"}}
    assert not [e for e in client.received("support", reply, 0.0) if isinstance(e, Emit) and e.event == "support"]
    sent = []
    for _ in range(2):
        reply = {"data": {"message": "hi", "ticket_chat_id": "a", "sender": "sate"}}
        sent += [e for e in client.received("support", reply, 0.0) if isinstance(e, Emit) and e.event == "support"]
    assert [(e.args[0]["message"], e.args[0]["ticket_chat_id"]) for e in sent] == [
        ("to a again", "a"),
        ("and again", "a"),
    ]


# Lost links


def test_every_room_is_entered_again_after_a_lost_link() -> None:
    pair = Pair()
    pair.connect()
    pair.act(1, say("one", ""))
    pair.act(2, say("two", ""))
    pair.act(3, act("close"))
    pair.disconnect()
    pair.sent.clear()
    pair.connect()
    first = pair.talks()[0].id
    assert pair.sent == [
        ("enter_customer_support", {"session_id": "customer-1"}),
        ("enter_support", {"ticket_chat_id": first}),
    ]


@pytest.mark.parametrize("keeps", [True, False])
def test_what_an_agent_said_meanwhile_is_neither_missed_nor_doubled(keeps: bool) -> None:  # noqa: FBT001
    pair = Pair(keep_missed=keeps)
    pair.connect()
    pair.act(1, say("hi"))
    pair.agent(AgentSays("before"))
    pair.disconnect()
    pair.agent(AgentSays("meanwhile"))
    pair.agent(AgentSays("and again"))
    pair.connect()
    pair.agent(AgentSays("after"))
    assert pair.said() == ["hi", "You said hi", "before", "meanwhile", "and again", "after"]


def test_a_message_that_was_heard_is_waited_for_and_one_that_was_not_has_failed() -> None:
    pair = Pair(lambda _: [])
    pair.connect()
    client = pair.client
    client.act(1, say("hi"), 0.0)
    effects = client.closed(0.0)
    assert [(e.turn, e.status) for e in effects if isinstance(e, TurnDone)] == [(1, "failed")]
    client.dial(0.0)
    client.opened(0.0)
    client.http_response(HttpResponse(CONVERSATIONS, 200, b"[]"), 0.0)
    client.act(2, say("hi"), 0.0)
    client.received("support_echo", {"status_code": 200, "data": {}}, 0.0)
    assert not client.closed(0.0)


def test_a_reply_that_was_missed_is_found_by_http_and_ends_its_turn() -> None:
    pair = Pair(keep_missed=False)
    pair.connect()
    pair.act(1, say("one"))
    pair.act(2, say("two"))
    pair.deaf = True
    pair.now += 1
    client = pair.client
    (sent,) = [e for e in client.act(3, say("three"), pair.now) if isinstance(e, Emit)]
    client.acked(sent.ack, [], pair.now)
    pair.to_server(pair.server.received(pair.link, sent.event, sent.args[0], pair.now))
    pair.disconnect()
    pair.deaf = False
    pair.connect()
    assert pair.ended()[-1] == (3, "completed", "support")
    assert pair.said()[-1] == "You said three"


def test_an_event_that_comes_twice_is_shown_once() -> None:
    pair = Pair()
    pair.connect()
    pair.server.fault("duplicate")
    pair.act(1, say("hi"))
    pair.act(2, act("call"))
    pair.act(3, act("hang_up"))
    pair.act(4, act("close"))
    assert pair.said().count("You said hi") == 1
    assert len(pair.of(CallStarted)) == len(pair.of(CallEnded)) == 1
    assert [done[:2] for done in pair.ended()] == [(n, "completed") for n in (1, 2, 3, 4)]


# Agents, and the rest of the helpdesk


def test_an_agent_is_a_second_client() -> None:
    pair = Pair()
    pair.connect()
    pair.act(1, say("hi"))
    talk = pair.talks()[0].id
    pair.server.opened("agent", {"token_source": "inapp", "token": "planted-eusate-key"}, NOW)
    pair.server.received("agent", "enter_support", {"ticket_chat_id": talk}, NOW)
    about = {
        "ticket_chat_id": talk,
        "message": "see",
        "attachment": True,
        "attachment_meta": {"url": "u", "name": "n.pdf"},
    }
    effects = pair.server.received("agent", "agent_support", about, NOW + 50)
    assert [e.event for e in effects if isinstance(e, Emit) and e.link == "agent"] == ["agent_support"]
    pair.to_server(effects)
    assert pair.said()[-1] == "see\nn.pdf"
    assert pair.talks()[0].handler == "agent"
    heard = pair.server.received(
        pair.link, "support", {"session_id": "customer-1", "message": "hi", "ticket_chat_id": talk}, NOW
    )
    assert [e.event for e in heard if isinstance(e, Emit) and e.link == "agent"] == ["support"]
    (read,) = pair.server.received("agent", "mark_conversation_read", {"ticket_chat_id": talk, "entity": "agent"}, NOW)
    assert isinstance(read, Emit)
    (no,) = pair.server.received(pair.link, "agent_support", about, NOW)
    assert isinstance(no, Emit)
    assert no.args[0]["status_code"] == 403


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
def test_a_request_that_is_wrong_is_answered_under_its_own_name(event: str, payload: Any, code: int) -> None:
    server = eusate.DIALECT.server(given_(), ids(), options())
    (answer,) = server.received("link", event, payload, NOW)
    assert isinstance(answer, Emit)
    assert (answer.event, answer.args[0]["status_code"]) == (event, code)


def test_the_http_interface_has_the_vendor_s_fields() -> None:
    pair = Pair()
    pair.connect()
    pair.act(1, say("hi"))
    key = {"authorization": "Bearer planted-eusate-key"}
    path = "/api/v1/helpdesk/customer/customer-1/conversations/"
    (listed,) = pair.server.request(HttpCall("GET", path, "", key), NOW)
    assert isinstance(listed, HttpReply)
    (talk,) = listed.body
    assert set(talk) == set(
        "id date_created date_updated closed close_support read_by_customer read_by_agent responder ticket ticket_slug "
        "latest_message".split()
    )
    assert set(talk["latest_message"]) == set(
        "id date_created date_updated message sender is_attachment attachment_metadata ticket_chat".split()
    )
    (whole,) = pair.server.request(HttpCall("GET", f"{path}{talk['id']}/messages/", "", key), NOW)
    assert isinstance(whole, HttpReply)
    assert [message["sender"] for message in whole.body["messages"]] == ["customer", "sate"]
    took, *_ = pair.server.request(
        HttpCall("POST", f"/api/v1/helpdesk/org/tickets/{talk['ticket']}/take-over/", "", key), NOW
    )
    assert took == HttpReply(200, {"success": True})
    for refused in (HttpCall("GET", path, "", {}), HttpCall("GET", "/elsewhere", "", key)):
        (answer,) = pair.server.request(refused, NOW)
        assert isinstance(answer, HttpReply)
        assert answer.status in (401, 404)


PDF = {"url": "https://x.org/a.pdf", "name": "a.pdf", "size_kb": 3, "extension": "pdf"}
PNG = {"url": "https://x.org/b", "name": "b", "extension": ".PNG"}


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
        ({"attachment": True, "attachment_metadata": None, "message": "lost"}, "text", "lost", Text("lost")),
    ],
)
def test_what_is_said_is_read(data: dict[str, Any], kind: str, text: str, content: Any) -> None:
    assert said(data) == (kind, text, content)


@pytest.mark.parametrize(
    ("event", "payload", "wanted"),
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
def test_what_the_customer_did_is_read_back(event: str, payload: dict[str, Any], wanted: UserInput) -> None:
    assert user_input(event, payload) == wanted
    assert eusate.DIALECT.content(event, payload) == wanted


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


@settings(max_examples=1000, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(st.lists(EVENT, min_size=100, max_size=100))
def test_a_hundred_thousand_malformed_events_leave_the_session_usable(events: list[tuple[int, int, int]]) -> None:
    client = eusate.DIALECT.client(given_(), ids())
    client.dial(0.0)
    client.opened(0.0)
    client.http_response(HttpResponse(CONVERSATIONS, 200, b"[]"), 0.0)
    for n, (which, place, junk) in enumerate(events, 1):
        event, payload = WIRE[which]
        payload = spoiled(payload, place, JUNK[junk])
        assert client.received(event, payload, 0.0)
        eusate.DIALECT.content(event, payload)
        if n % 7 == 0:
            client.act(n, say("hi"), 0.0)
        if n % 11 == 0:
            client.acked(RequestId("support", 7), [payload], 0.0)
            client.http_response(
                HttpResponse(Query("messages", "conv-1"), 200, json.dumps({"messages": [payload, junk]}).encode()), 0.0
            )
            client.http_response(HttpResponse(CONVERSATIONS, 200, json.dumps([payload, {"id": payload}]).encode()), 0.0)
    for turn in range(101):
        client.abandon(turn, 0.0)
    client.timer(100.0)
    (talk, *_) = [talk.id for talk in client._state.conversations.values() if not talk.closed] or [""]
    client.act(1000, say("hi", talk), 0.0)
    answer = {"status_code": 200, "data": {"message": "usable", "ticket_chat_id": talk or "new", "sender": "sate"}}
    over = [e.turn for e in client.received("support", answer, 0.0) if isinstance(e, TurnDone)]
    assert over == [1000]


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(
    st.lists(st.tuples(st.integers(0, 10), st.integers(0, 8), st.integers(0, len(JUNK) - 1)), min_size=50, max_size=50)
)
def test_malformed_requests_leave_the_helpdesk_usable(requests: list[tuple[int, int, int]]) -> None:
    server = eusate.DIALECT.server(given_(), ids(), options())
    asked = [(line["event"], line["payload"]) for line in lines() if line["from"] == "client"]
    for which, place, junk in requests:
        event, payload = asked[which]
        for effect in server.received("link", event, spoiled(payload, place, JUNK[junk]), NOW):
            if isinstance(effect, RunFlow):
                server.done(effect.conversation, None, NOW)
    effects = server.received("link", "support", {"session_id": "usable", "message": "m", "ticket_chat_id": None}, NOW)
    assert [e for e in effects if isinstance(e, RunFlow)]


# What is hard to tell apart, and what must not go wrong


def desk(*talks: str, **changed: Any) -> Any:
    """Return a client that is ready, and knows of these conversations."""
    client = eusate.DIALECT.client(given_(**changed), ids())
    client.dial(0.0)
    client.opened(0.0)
    client.http_response(HttpResponse(CONVERSATIONS, 200, json.dumps([{"id": talk} for talk in talks]).encode()), 0.0)
    return client


def reply(talk: str, message: str = "hi", sender: str = "sate", **more: Any) -> dict[str, Any]:
    return {"status_code": 200, "data": {"message": message, "ticket_chat_id": talk, "sender": sender, **more}}


def over(effects: Sequence[Any]) -> list[tuple[int, str]]:
    return [(e.turn, e.status) for e in effects if isinstance(e, TurnDone)]


def sent(effects: Sequence[Any]) -> list[Any]:
    return [e.args[0] for e in effects if isinstance(e, Emit) and e.event == "support"]


def test_a_reply_in_one_conversation_ends_no_turn_of_one_that_is_being_begun() -> None:
    client = desk("a")
    client.act(1, say("new", ""), 0.0)
    assert not over(client.received("support", reply("a"), 0.0))
    changed = {"data": {"ticket_chat_id": "a", "handler": "agent", "agent": {"username": "Ada"}}}
    client.received("support_echo", {"data": {}}, 0.0)
    assert not over(client.received("support_handler_changed", changed, 0.0))
    assert over(client.received("support", reply("b"), 0.0)) == [(1, "completed")]
    assert sent(client.act(2, say("more"), 0.0))[0]["ticket_chat_id"] == "b"


def test_a_late_reply_of_a_new_conversation_is_not_taken_for_the_next() -> None:
    client = desk()
    client.act(1, say("slow", ""), 0.0)
    client.abandon(1, 0.5)
    assert not client.act(2, say("another", ""), 1.0), "held"
    effects = client.received("support", reply("a", "late"), 2.0)
    assert not over(effects)
    assert sent(effects)[0]["ticket_chat_id"] is None
    assert over(client.received("support", reply("b"), 3.0)) == [(2, "completed")]


def test_a_refusal_without_an_id_is_for_what_was_not_echoed_or_what_the_acknowledgement_names() -> None:
    refused = {"status_code": 400, "message": "closed", "data": {}}
    client = desk("a", "b")
    client.act(1, say("slow", "a"), 0.0)
    client.received("support_echo", {"data": {}}, 0.0)
    client.act(2, say("no", "b"), 0.0)
    assert over(client.received("support", refused, 0.0)) == [(2, "rejected")]
    client.act(3, say("no", "b"), 0.0)
    assert over(client.acked(RequestId("support", 3), [refused], 0.0)) == [(3, "rejected")]
    (record,) = client.acked(RequestId("support", 3), [refused], 0.0)
    assert record.kind == "status", "the event has said so before"


def test_an_echo_is_for_the_oldest_that_has_none() -> None:
    client = desk("a", "b")
    client.received("support_handler_changed", {"data": {"ticket_chat_id": "b", "handler": "agent"}}, 0.0)
    client.act(1, say("slow", "a"), 0.0)
    client.received("support_echo", {"data": {}}, 0.0)
    client.act(2, say("to the agent", "b"), 0.0)
    assert over(client.received("support_echo", {"data": {}}, 0.0)) == [(2, "completed")]


def back(client: Any, messages: list[dict[str, Any]], **about: Any) -> list[Any]:
    """Lose the link, come back, and be told of the messages of conversation a."""
    client.closed(1.0)
    client.dial(1.0)
    effects = client.opened(1.0)
    assert [e.purpose for e in effects if isinstance(e, HttpRequest)] == [CONVERSATIONS, Query("messages", "a")]
    live = client.received("customer_support", reply("a", "LIVE", "agent", date_created="2026-01-01T10:00:09Z"), 1.0)
    listed = client.http_response(
        HttpResponse(CONVERSATIONS, 200, json.dumps([{"id": "a"}] if not about else []).encode()), 1.0
    )
    return [
        *live,
        *listed,
        *client.http_response(
            HttpResponse(Query("messages", "a"), 200, json.dumps({"messages": messages, **about}).encode()), 1.0
        ),
    ]


def missed(text: str, at: str) -> dict[str, Any]:
    return {"message": text, "sender": "agent", "date_created": at, "ticket_chat": "a"}


def texts(effects: Sequence[Any]) -> list[str | None]:
    return [e.text for e in effects if isinstance(e, Record) and e.kind == "text"]


def test_what_was_missed_is_shown_though_something_newer_has_come_before_it() -> None:
    client = desk("a")
    client.received("support", reply("a", "known", date_created="2026-01-01T10:00:00Z"), 0.0)
    told = [missed("old", "2026-01-01T09:00:00Z"), {**missed("known", "2026-01-01T10:00:00+00:00"), "sender": "sate"}]
    told += [missed("again", "2026-01-01T10:00:05Z"), missed("LIVE", "2026-01-01T10:00:09.000000Z")]
    assert texts(back(client, told)) == ["LIVE", "again"]


def test_what_was_said_in_a_conversation_that_was_only_listed_is_not_missed() -> None:
    client = eusate.DIALECT.client(given_(), ids())
    client.dial(0.0)
    client.opened(0.0)
    latest = missed("before", "2026-01-01T08:00:00Z")
    client.http_response(
        HttpResponse(CONVERSATIONS, 200, json.dumps([{"id": "a", "latest_message": latest}]).encode()), 0.0
    )
    told = [missed("older", "2026-01-01T07:00:00Z"), latest, missed("meanwhile", "2026-01-01T08:00:01Z")]
    assert texts(back(client, told)) == ["LIVE", "meanwhile"]


def test_a_conversation_that_was_closed_meanwhile_is_closed_and_its_last_words_are_shown() -> None:
    client = desk("a")
    effects = back(client, [missed("last words", "2026-01-01T10:00:01Z")], closed=True)
    assert "last words" in texts(effects)
    assert [e.kind for e in effects if isinstance(e, Record)].count("ended") == 1
    assert [e for e in effects if isinstance(e, Conversations)][-1].conversations[0].closed
    assert sent(client.act(1, say("hi"), 2.0))[0]["ticket_chat_id"] is None


def test_a_conversation_that_was_begun_when_the_link_was_lost_is_found_again() -> None:
    client = desk()
    client.act(1, say("slow"), 0.0)
    client.acked(RequestId("support", 1), [], 0.0)
    client.closed(1.0)
    client.dial(1.0)
    client.opened(1.0)
    latest = {**missed("answer", "2026-01-01T10:00:00Z"), "sender": "sate"}
    effects = client.http_response(
        HttpResponse(CONVERSATIONS, 200, json.dumps([{"id": "a", "latest_message": latest}]).encode()), 1.0
    )
    assert over(effects) == [(1, "completed")]
    assert sent(client.act(2, say("more"), 2.0))[0]["ticket_chat_id"] == "a"


def test_a_kept_conversation_that_is_over_is_not_gone_on_with() -> None:
    assert sent(desk("b", conversation_id="a").act(1, say("hi"), 0.0))[0]["ticket_chat_id"] is None
    assert sent(desk("a", conversation_id="a").act(1, say("hi"), 0.0))[0]["ticket_chat_id"] == "a"


def test_two_equal_replies_of_one_second_are_two() -> None:
    client = desk("a")
    for turn in (1, 2):
        client.act(turn, say("?", "a"), 0.0)
        client.received("support_echo", {"data": {}}, 0.0)
        again = reply("a", "Sorry?", date_created="2026-01-01T10:00:00Z")
        assert over(client.received("support", again, 0.0)) == [(turn, "completed")]


def test_a_call_ends_in_its_own_conversation() -> None:
    client = desk("a", "b")
    begun = {"token": "t", "room": "a", "ticket_chat_id": "a", "ticket_call_id": "c1"}
    client.act(1, act("call", "a"), 0.0)
    assert not [e for e in client.act(2, act("call", "b"), 0.0) if isinstance(e, Emit)], "one at a time"
    client.received("call_support", {"data": begun}, 0.0)
    assert "the call is in conversation a" in str(client.act(3, act("hang_up", "b"), 0.0)[-1].reason)
    assert not [
        e
        for e in client.received("close_call_support", {"data": {"ticket_chat_id": "b"}}, 0.0)
        if isinstance(e, CallEnded)
    ]
    (hung,) = [e for e in client.act(4, act("hang_up"), 0.0) if isinstance(e, Emit)]
    assert hung.args[0]["ticket_chat_id"] == "a"
    gone = {"data": {"ticket_chat_id": "a", "ticket_call_id": None}}
    assert [e.id for e in client.received("close_call_support", gone, 0.0) if isinstance(e, CallEnded)] == ["c1"]


@pytest.mark.parametrize(("talk", "code"), [("", 400), ("typo", 404)], ids=["a fourth", "unknown"])
def test_after_a_refused_conversation_the_next_is_for_the_one_before(talk: str, code: int) -> None:
    client = desk("a")
    client.act(1, say("hi", "a"), 0.0)
    client.received("support", reply("a"), 0.0)
    client.act(2, say("hi", talk), 0.0)
    client.received("support", {"status_code": code, "message": "no", "data": {}}, 0.0)
    assert sent(client.act(3, say("hi"), 0.0))[0]["ticket_chat_id"] == "a"


def test_two_new_conversations_at_once_are_two() -> None:
    client = desk()
    for turn in (1, 2):
        client.act(turn, Action("text", {"text": "hi"}, at_once=True, conversation=""), 0.0)
    assert over(client.received("support", reply("a"), 0.0)) == [(1, "completed")]
    assert over(client.received("support", reply("b"), 0.0)) == [(2, "completed")]


@pytest.mark.parametrize("request_", [{"close": 5}, {"a": 1}, 7])
def test_a_button_of_somebody_else_s_is_refused(request_: Any) -> None:
    effects = desk("a").act(1, Action("press", {"choice": Choice("x", request_)}), 0.0)
    assert not [e for e in effects if isinstance(e, Emit)]
    assert "none of this helpdesk's" in str(effects[-1].reason)


def test_a_closed_conversation_stays_closed() -> None:
    client = desk("a")
    client.received("customer_support_closed", {"data": {"ticket_chat_id": "a"}}, 0.0)
    client.http_response(HttpResponse(CONVERSATIONS, 200, b'[{"id": "a", "closed": false}]'), 0.0)
    client.received("customer_support", reply("a", closed_support=False, close_support=False, sender="agent"), 0.0)
    assert client._state.conversations["a"].closed
    effects = client.act(1, act("close", "a"), 0.0)
    assert not [e for e in effects if isinstance(e, Emit)]


def test_closing_what_the_helpdesk_has_closed_ends_the_turn() -> None:
    client = desk("a")
    client.act(1, act("close", "a"), 0.0)
    client.received("customer_support_closed", {"data": {"ticket_chat_id": "a"}}, 0.0)
    assert over(client.received("close_support", reply("a", "bye", closed_support=True), 0.0)) == [(1, "completed")]


def test_a_room_that_was_left_is_not_entered_again() -> None:
    client = desk("a")
    client.act(1, act("leave", "a"), 0.0)
    client.received("leave_support", {"status_code": 200, "data": {}}, 0.0)
    client.closed(1.0)
    client.dial(1.0)
    assert "enter_support" not in [e.event for e in client.opened(1.0) if isinstance(e, Emit)]


def test_an_acknowledgement_with_nothing_in_it_is_a_receipt() -> None:
    client = desk("a")
    client.act(1, say("hi", "a"), 0.0)
    assert not client.acked(RequestId("support", 1), [{"status_code": 200, "data": {}}], 0.0)
    assert not client.closed(0.0), "it was heard"


def relink(client: Any, *listed: dict[str, Any]) -> list[Any]:
    """Lose the link, open the next, and be told the conversations."""
    lost = client.closed(10.0)
    client.dial(10.0)
    client.opened(10.0)
    return [*lost, *client.http_response(HttpResponse(CONVERSATIONS, 200, json.dumps(listed).encode()), 10.0)]


def test_a_long_line_in_a_conversation_that_is_closed_is_refused_turn_by_turn() -> None:
    client = desk("a")
    for turn in range(1, 900):
        client.act(turn, say("hi", "a"), 0.0)
    effects = client.received("customer_support_closed", {"data": {"ticket_chat_id": "a"}}, 0.0)
    assert [turn for turn, _ in over(effects)] == list(range(1, 900))


def test_after_a_first_turn_that_was_given_up_its_conversation_is_gone_on_with() -> None:
    client = desk()
    client.act(1, say("a"), 0.0)
    client.abandon(1, 0.0)
    client.timer(5.0)
    client.received("support", reply("c1", "late"), 6.0)
    assert sent(client.act(2, say("b"), 7.0))[0]["ticket_chat_id"] == "c1"


def test_what_waited_behind_a_refused_beginning_begins_one_conversation() -> None:
    client = desk()
    client.act(1, say("a"), 0.0)
    client.act(2, say("b"), 0.0)
    effects = client.received("support", {"status_code": 400, "message": "no", "data": {}}, 0.0)
    assert [about["message"] for about in sent(effects)] == ["b"]
    assert not sent(client.act(3, say("c"), 0.0))
    assert sent(client.received("support", reply("c1"), 0.0))[0]["ticket_chat_id"] == "c1"


def test_what_was_missed_ends_no_turn_that_was_sent_since() -> None:
    client = desk("a")
    client.act(1, say("one", "a"), 0.0)
    client.received("support", reply("a", "first", date_created="2026-01-01T10:00:00Z"), 0.0)
    client.act(2, say("two", "a"), 0.0)
    effects = relink(client, {"id": "a"})
    assert over(effects) == [(2, "failed")]
    client.act(3, say("three", "a"), 10.0)
    effects = client.timer(15.0)
    assert [about["message"] for about in sent(effects)] == ["three"], "the lost one holds it for a while"
    told = {"messages": [{**missed("to two", "2026-01-01T10:00:05Z"), "sender": "sate"}]}
    assert not over(client.http_response(HttpResponse(Query("messages", "a"), 200, json.dumps(told).encode()), 16.0))


@pytest.mark.parametrize(("verb", "event"), [("read", "mark_conversation_read"), ("leave", "leave_support")])
def test_an_acknowledgement_alone_ends_what_has_no_more_to_say(verb: str, event: str) -> None:
    client = desk("a")
    client.act(1, act(verb, "a"), 0.0)
    assert over(client.acked(RequestId(event, 1), [{"status_code": 200, "data": {}}], 0.0)) == [(1, "completed")]


def test_a_turn_that_an_agent_took_over_meanwhile_is_over() -> None:
    client = desk("a")
    client.act(1, say("hi", "a"), 0.0)
    client.received("support_echo", {"data": {}}, 0.0)
    assert over(relink(client, {"id": "a", "responder": "agent"})) == [(1, "completed")]
    assert sent(client.act(2, say("hello Ada", "a"), 10.0))


def test_a_call_ends_with_its_conversation_or_when_the_helpdesk_knows_none() -> None:
    for end in ("closed", "rejected"):
        client = desk("a", "b")
        client.act(1, act("call", "a"), 0.0)
        client.received("call_support", {"data": {"token": "t", "ticket_chat_id": "a", "ticket_call_id": "c"}}, 0.0)
        if end == "closed":
            effects = client.received("customer_support_closed", {"data": {"ticket_chat_id": "a"}}, 0.0)
        else:
            client.act(2, act("hang_up"), 0.0)
            effects = client.received("close_call_support", {"status_code": 404, "message": "none"}, 0.0)
        assert [e.id for e in effects if isinstance(e, CallEnded)] == ["c"]
        assert [e for e in client.act(3, act("call", "b"), 0.0) if isinstance(e, Emit)]


def test_a_message_that_closes_a_conversation_ends_what_waits_in_it() -> None:
    client = desk("a")
    client.act(1, say("hi", "a"), 0.0)
    effects = client.received(
        "customer_support", reply("a", "bye", "agent", close_support=True, closed_support=True), 0.0
    )
    assert over(effects) == [(1, "completed")]
    assert sent(client.act(2, say("again"), 0.0))[0]["ticket_chat_id"] is None


def test_what_was_missed_over_two_lost_links_is_shown() -> None:
    client = desk("a")
    client.received("support", reply("a", "known", date_created="2026-01-01T10:00:00Z"), 0.0)
    relink(client, {"id": "a"})
    client.received("customer_support", reply("a", "live", "agent", date_created="2026-01-01T10:00:09Z"), 10.0)
    relink(client, {"id": "a"})
    told = json.dumps({"messages": [missed("between", "2026-01-01T10:00:05Z")]}).encode()
    assert texts(client.http_response(HttpResponse(Query("messages", "a"), 200, told), 10.0)) == ["between"]


def test_a_message_in_a_known_conversation_is_not_of_the_turn_that_begins_another() -> None:
    client = desk("a")
    client.act(1, say("hi", "a"), 0.0)
    client.received("support", reply("a"), 0.0)
    client.act(2, say("new", ""), 0.0)
    effects = client.received("customer_support", reply("a", "Ada", "agent"), 0.0)
    assert [(e.turn, e.conversation) for e in effects if isinstance(e, Record) and e.kind == "text"] == [(1, "a")]


def test_a_list_that_comes_late_unsets_nothing() -> None:
    client = eusate.DIALECT.client(given_(), ids())
    client.dial(0.0)
    client.opened(0.0)
    client.timer(2.0)
    client.act(1, say("hi"), 2.0)
    client.received("support", reply("c1"), 2.0)
    client.http_response(HttpResponse(CONVERSATIONS, 200, b"[]"), 3.0)
    assert sent(client.act(2, say("more"), 3.0))[0]["ticket_chat_id"] == "c1"


def test_a_first_link_that_is_lost_before_the_list_came_is_no_first_link_yet() -> None:
    client = eusate.DIALECT.client(given_(conversation_id="gone"), ids())
    client.dial(0.0)
    client.opened(0.0)
    client.closed(1.0)
    client.dial(1.0)
    client.opened(1.0)
    latest = missed("last week", "2026-01-01T10:00:00Z")
    effects = client.http_response(
        HttpResponse(CONVERSATIONS, 200, json.dumps([{"id": "a", "latest_message": latest}]).encode()), 1.0
    )
    assert texts(effects) == []
    assert [e.kind for e in effects if isinstance(e, Record)][-1] == "ready"
    assert sent(client.act(1, say("hi"), 1.0))[0]["ticket_chat_id"] is None


def test_pressing_a_button_of_another_conversation_is_not_speaking_in_it() -> None:
    client = desk("a", "b")
    client.act(1, say("hi", "a"), 0.0)
    client.received("support", reply("a"), 0.0)
    client.act(2, Action("press", {"choice": Choice(CLOSE, {"close": "b"})}), 0.0)
    client.received("close_support", reply("b", "bye", close_support=True, closed_support=True), 0.0)
    assert sent(client.act(3, say("more"), 0.0))[0]["ticket_chat_id"] == "a"


def test_an_echo_that_comes_after_the_reply_marks_no_other_turn() -> None:
    client = desk("a", "b")
    client.received("support_handler_changed", {"data": {"ticket_chat_id": "b", "handler": "agent"}}, 0.0)
    client.act(1, say("hi", "a"), 0.0)
    client.act(2, say("to the agent", "b"), 0.0)
    client.received("support", reply("a"), 0.0)
    assert not over(client.received("support_echo", {"data": {}}, 0.0))
    assert over(client.received("support_echo", {"data": {}}, 0.0)) == [(2, "completed")]

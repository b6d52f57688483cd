"""Eusate's machines: connected to each other, and each compared with a transcript of the vendor's page."""

import json
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from socketnb.dialects import eusate
from socketnb.dialects.eusate.history import Query
from socketnb.dialects.eusate.messages import CLOSE
from socketnb.errors import SettingsError
from socketnb.model.actions import Action, Conversation
from socketnb.model.content import AgentSays, Choice, End, Handover, Step, Text, UserInput
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
LIST = Query("conversations")
SETTINGS = {"url": "http://127.0.0.1:1", "api_key": Secret("planted-eusate-key"), "session_id": "customer-1"}
NOW = 1.7e9


def client_settings(**changed: Any) -> dict[str, Any]:
    return {**{name: setting.default for name, setting in eusate.DIALECT.settings.items()}, **SETTINGS, **changed}


def options(**changed: Any) -> dict[str, Any]:
    return {**{name: option.default for name, option in eusate.DIALECT.options.items()}, **changed}


def say(text: str, conversation: str | None = None) -> Action:
    return Action("text", {"text": text}, conversation=conversation)


def act(verb: str, conversation: str | None = None, **fields: Any) -> Action:
    return Action(verb, fields, conversation=conversation)


def ids() -> Callable[[], str]:
    numbers = count(1)
    return lambda: f"id{next(numbers)}"


def open_client(**changed: Any) -> Any:
    """Return a client whose link is open. It waits for the list of conversations."""
    client = eusate.DIALECT.client(client_settings(**changed), ids())
    client.dial(0.0)
    client.opened(0.0)
    return client


def ready_client(*conversations: str, **changed: Any) -> Any:
    """Return a client that is ready and knows these conversations."""
    client = open_client(**changed)
    list_conversations(client, *({"id": conversation} for conversation in conversations))
    return client


def list_conversations(client: Any, *items: Any, now: float = 0.0) -> list[Any]:
    """Return the effects of the list of conversations."""
    return [*client.http_response(HttpResponse(LIST, 200, json.dumps(items).encode()), now)]


def list_messages(client: Any, *messages: Any, now: float = 0.0, **fields: Any) -> list[Any]:
    """Return the effects of the messages of conversation a."""
    body = json.dumps({"messages": messages, **fields}).encode()
    return [*client.http_response(HttpResponse(Query("messages", "a"), 200, body), now)]


def reply(conversation: str, message: str = "hi", sender: str = "sate", **fields: Any) -> dict[str, Any]:
    data = {"message": message, "ticket_chat_id": conversation, "sender": sender, **fields}
    return {"status_code": 200, "data": data}


def http_message(text: str, date_created: str, sender: str = "agent") -> dict[str, Any]:
    return {"message": text, "sender": sender, "date_created": date_created, "ticket_chat": "a"}


def ended_turns(effects: Sequence[Any]) -> list[tuple[int, str]]:
    return [(e.turn, e.status) for e in effects if isinstance(e, TurnDone)]


def sent_messages(effects: Sequence[Any]) -> list[Any]:
    return [e.args[0] for e in effects if isinstance(e, Emit) and e.event == "support"]


def texts(effects: Sequence[Any]) -> list[str | None]:
    return [e.text for e in effects if isinstance(e, Record) and e.kind == "text"]


class Pair:
    """A client machine and a server machine that pass their effects to each other, HTTP calls included."""

    def __init__(
        self,
        answer: Callable[[UserInput], Sequence[Step]] = lambda user_input: [Text(f"You said {user_input.text}")],
        *,
        client: dict[str, Any] | None = None,
        **server: Any,
    ) -> None:
        self.client = eusate.DIALECT.client(client_settings(**(client or {})), ids())
        self.server = eusate.DIALECT.server(client_settings(), ids(), options(**server))
        self.answer = answer
        self.links = 0
        self.now = NOW
        self.effects: list[Any] = []  # of the client
        self.sent: list[tuple[str, Any]] = []  # events of the client and their payloads
        self.refused: list[str] = []
        self.loses_events = False  # whether the events of the server are lost

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
            self.effects.append(effect)
            match effect:
                case Emit(event, args, ack=ack):
                    self.sent.append((event, args[0]))
                    answers = self.server.received(self.link, event, args[0], self.now)
                    self.to_server(answers)
                    for answer in answers:
                        if isinstance(answer, Acknowledge):
                            self.to_client(self.client.acked(ack, [answer.payload], self.now))
                case HttpRequest(name, method, url, headers):
                    path, _, query = url.removeprefix("http://127.0.0.1:1").partition("?")
                    headers = {key.casefold(): value for key, value in headers.items()}
                    queries = dict([query.split("=")]) if query else {}
                    call = HttpCall(method, path, "", headers, query=queries)
                    (answer,) = [e for e in self.server.request(call, self.now) if isinstance(e, HttpReply)]
                    body = json.dumps(answer.body).encode()
                    self.to_client(self.client.http_response(HttpResponse(name, answer.status, body), self.now))

    def to_server(self, effects: Sequence[Any]) -> None:
        for effect in effects:
            match effect:
                case Emit(event, args, link) if link == self.link and not self.loses_events:
                    self.to_client(self.client.received(event, args[0], self.now))
                case RunFlow(conversation, user_input):
                    self.now += 1
                    for step in self.answer(user_input):
                        self.to_server(self.server.put(conversation, step, self.now))
                    self.to_server(self.server.done(conversation, None, self.now))
                case Refuse(reason):
                    self.refused.append(reason)

    def of(self, kind: type) -> list[Any]:
        return [effect for effect in self.effects if isinstance(effect, kind)]

    def ended(self) -> list[tuple[int, str, str | None]]:
        return [(done.turn, done.status, done.reason) for done in self.of(TurnDone)]

    def texts(self) -> list[str | None]:
        """Return the texts of the messages that a person sees, those of the customer included."""
        kinds = ("action", "text", "choices", "file", "image", "list")
        return [record.text for record in self.of(Record) if record.kind in kinds]

    def conversations(self) -> Any:
        return self.of(Conversations)[-1].conversations


# Connecting


def test_the_address_has_the_key_in_its_query_and_the_namespace_of_the_helpdesk() -> None:
    address = eusate.DIALECT.client(client_settings(), ids()).dial(0.0)
    assert address.query == {"token_source": "api", "token": "planted-eusate-key"}
    assert (address.namespace, address.path, address.advice) == ("/helpdesk", "socket.io", "check api_key")


def test_an_open_link_enters_the_personal_room_and_requests_the_conversations() -> None:
    pair = Pair()
    pair.connect()
    assert pair.sent == [("enter_customer_support", {"session_id": "customer-1"})]
    assert len(pair.of(Ready)) == 1
    assert pair.client.deadline is None


@pytest.mark.parametrize("status", [0, 404, 200])
def test_a_helpdesk_that_does_not_list_its_conversations_can_be_used(status: int) -> None:
    client = open_client()
    effects = client.http_response(HttpResponse(LIST, status, b"<html>"), 0.0)
    assert [e for e in effects if isinstance(e, Ready)]
    assert [e.kind for e in effects if isinstance(e, Record)] == ["log", "ready"]


def test_a_list_of_conversations_with_an_error_code_is_not_read() -> None:
    client = open_client()
    effects = client.http_response(HttpResponse(LIST, 500, b'[{"id": "a"}]'), 0.0)
    assert not [e for e in effects if isinstance(e, Conversations)]


def test_turns_are_sent_without_the_list_of_conversations_after_a_timeout() -> None:
    client = open_client()
    assert not [e for e in client.act(1, say("early"), 0.0) if isinstance(e, Emit)]
    assert client.deadline == 2.0
    effects = client.timer(2.0)
    assert [e.event for e in effects if isinstance(e, Emit)] == ["support"]
    assert not list_conversations(client, now=3.0)


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({}, 400),
        ({"token_source": "x"}, 400),
        ({"token_source": "api"}, 401),
        ({"token_source": "api", "token": "x"}, 401),
    ],
)
def test_a_connection_is_refused_with_a_json_string(query: dict[str, str], code: int) -> None:
    (refused,) = eusate.DIALECT.server(client_settings(), ids(), options()).opened("link", query, NOW)
    assert isinstance(refused, Refuse)
    assert json.loads(refused.reason)["status_code"] == code


@pytest.mark.parametrize("name", ["connect_response", "connected", ""])
def test_the_envelope_of_the_connection_is_recorded_whatever_its_event_is_called(name: str) -> None:
    pair = Pair(envelope=name)
    pair.connect()
    notes = [r for r in pair.of(Record) if r.event == name]
    assert [note.kind for note in notes] == (["session"] if name else [])


# A whole conversation


@pytest.mark.parametrize("answers", eusate.DIALECT.options["answers"].among)
@pytest.mark.parametrize("echo", ["before", "after"])
def test_a_conversation_from_the_first_message_to_the_review(answers: str, echo: str) -> None:
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
    (suggested,) = pair.conversations()
    assert suggested.suggested
    pair.act(8, Action("press", {"choice": Choice(CLOSE, {"close": suggested.id})}))
    pair.act(9, act("review", rating=5, review="nice"))
    events = "support support support_echo support_echo call_support close_call_support support close_support".split()
    assert pair.ended() == [(n, "completed", rule) for n, rule in enumerate([*events, "review_support"], 1)]
    assert pair.texts() == [
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
    (conversation,) = pair.conversations()
    assert conversation == Conversation(conversation.id, handler="bot", unread=0, suggested=False, closed=True)
    (started,), (ended,) = pair.of(CallStarted), pair.of(CallEnded)
    assert started.room == started.conversation == conversation.id
    assert ended.id == started.id
    assert started.token.reveal() in [credential.value for credential in pair.of(Credential)]
    shown = [record for record in pair.of(Record) if record.turn > 1 and record.kind not in ("read", "session", "ack")]
    assert {record.conversation for record in shown} == {conversation.id}
    assert not [record for record in pair.of(Record) if record.kind in ("error", "custom")]


def lines() -> list[dict[str, Any]]:
    return [json.loads(line) for line in TRANSCRIPT.read_text().splitlines()]


def test_the_client_sends_what_the_vendors_page_documents() -> None:
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
    client = eusate.DIALECT.client(client_settings(), ids())
    client.dial(0.0)
    effects = [*client.opened(0.0), *client.http_response(HttpResponse(LIST, 404, b""), 0.0)]
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


def test_the_server_answers_as_the_vendors_page_documents() -> None:
    class Ids:
        """The ids of the transcript."""

        names = iter(["sign", "1", "x"])

        def __call__(self) -> str:
            return next(self.names, "1")

    server = eusate.DIALECT.server(client_settings(), Ids(), options(envelope=""))
    server.opened("sid-1", {"token_source": "api", "token": "planted-eusate-key"}, NOW)
    replies = {"I need help with an order": [Text("Gladly. Which number?")], "thanks": [Text("Was that all?"), End()]}
    emitted: list[Emit] = []

    def play(effects: Sequence[Any]) -> None:
        for effect in effects:
            if isinstance(effect, Emit):
                emitted.append(effect)
            elif isinstance(effect, RunFlow):
                for step in replies[effect.user_input.text]:
                    play(server.put(effect.conversation, step, NOW))
                play(server.done(effect.conversation, None, NOW))

    by_agent = {
        "support_handler_changed": lambda data: Handover(data["agent"]["username"] if data["agent"] else ""),
        "customer_support": lambda data: AgentSays(data["message"]),
    }
    varying = (
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
        actual = emitted.pop(0)
        assert actual.event == line["event"]
        envelope = actual.args[0]
        assert list(envelope) == ["status_code", "sid", "message", "data"]
        assert (envelope["status_code"], envelope["sid"]) == (200, "sid-1")
        assert set(envelope["data"]) == set(payload["data"])
        for name, value in payload["data"].items():
            if name not in varying and not isinstance(value, dict):
                assert envelope["data"][name] == value, (line["event"], name)
    assert not emitted


# Turns


def test_the_first_message_has_no_conversation_id_and_the_next_one_has() -> None:
    pair = Pair()
    pair.connect()
    pair.act(1, say("one"))
    pair.act(2, say("two"))
    (conversation,) = pair.conversations()
    supports = [payload for event, payload in pair.sent if event == "support"]
    assert [payload["ticket_chat_id"] for payload in supports] == [None, conversation.id]
    assert list(supports[0]) == ["session_id", "message", "attachment", "ticket_chat_id"]
    assert [payload for event, payload in pair.sent if event == "enter_support"] == [
        {"ticket_chat_id": conversation.id}
    ]


def test_a_turn_queued_behind_a_new_conversation_is_sent_in_it() -> None:
    client = ready_client()
    client.act(1, say("one"), 0.0)
    assert not client.act(2, say("two"), 0.0)
    sent = sent_messages(client.received("support", reply("c1"), 0.0))
    assert [payload["ticket_chat_id"] for payload in sent] == ["c1"]


def test_a_fourth_open_conversation_fails_before_anything_is_sent() -> None:
    pair = Pair()
    pair.connect()
    for turn in (1, 2, 3):
        pair.act(turn, say(f"new {turn}", ""))
    before = len(pair.sent)
    pair.act(4, say("new 4", ""))
    assert len(pair.sent) == before
    assert pair.ended()[-1][:2] == (4, "failed")
    assert "3 conversations are open" in str(pair.ended()[-1][2])
    first = pair.conversations()[0].id
    pair.act(5, say("back to the first", first))
    assert pair.sent[-2][1]["ticket_chat_id"] == first
    pair.act(6, say("still there"))
    assert pair.sent[-2][1]["ticket_chat_id"] == first, "the conversation used last"
    pair.act(7, act("close", first))
    pair.act(8, say("a third again", ""))
    assert pair.ended()[-1][1] == "completed"


def test_turns_in_different_conversations_do_not_wait_for_each_other() -> None:
    client = ready_client("a", "b")
    assert [e for e in client.act(1, say("to a", "a"), 0.0) if isinstance(e, Emit)]
    assert [e for e in client.act(2, say("to b", "b"), 0.0) if isinstance(e, Emit)]
    assert ended_turns(client.received("support", reply("b"), 0.0)) == [(2, "completed")]


def test_the_message_after_a_closed_conversation_starts_a_new_one() -> None:
    pair = Pair()
    pair.connect()
    pair.act(1, say("one"))
    pair.to_server(pair.server.close(pair.server.conversation(None), pair.now))
    (record,) = [r for r in pair.of(Record) if r.event == "customer_support_closed"]
    assert (record.kind, record.text) == ("ended", "the helpdesk has closed the conversation")
    pair.act(2, say("two"))
    assert [conversation.closed for conversation in pair.conversations()] == [True, False]


def test_a_turn_ends_when_an_agent_takes_over() -> None:
    pair = Pair(lambda _: [Handover("Ada")])
    pair.connect()
    pair.act(1, say("agent please"))
    assert pair.ended() == [(1, "completed", "support_handler_changed")]


@pytest.mark.parametrize(
    ("action", "reason"),
    [
        (act("attach", files=[{"url": "x"}]), "only while an agent answers"),
        (act("review", rating=6), "from 1 to 5, got 6"),
        (act("review", rating=0), "from 1 to 5, got 0"),
        (say("hi", "closed"), "conversation 'closed' is closed; start another one with new_conversation()"),
    ],
)
def test_an_impossible_action_fails_and_nothing_is_sent(action: Action, reason: str) -> None:
    client = open_client()
    list_conversations(client, {"id": "a"}, {"id": "closed", "closed": True})
    client.act(1, say("to a", "a"), 0.0)
    client.received("support", reply("a"), 0.0)
    effects = client.act(2, action, 0.0)
    assert not [e for e in effects if isinstance(e, Emit)]
    (done,) = [e for e in effects if isinstance(e, TurnDone)]
    assert done.status == "failed"
    assert reason in str(done.reason)


@pytest.mark.parametrize("verb", ["read", "leave", "close", "review", "hang_up"])
def test_an_action_that_needs_a_conversation_fails_without_one(verb: str) -> None:
    pair = Pair()
    pair.connect()
    fields = {"rating": 3} if verb == "review" else {}
    pair.act(1, act(verb, **fields))
    assert "there is no conversation to" in str(pair.ended()[0][2])


@pytest.mark.parametrize("files", [[], [{}], ["a.pdf"], [{"name": "a.pdf"}]])
def test_a_file_that_is_neither_a_url_nor_a_description_fails(files: list[Any]) -> None:
    pair = Pair(lambda _: [Handover("Ada")])
    pair.connect()
    pair.act(1, say("agent please"))
    pair.act(2, act("attach", files=files))
    assert "must be a URL or a description with a url" in str(pair.ended()[-1][2])


def test_a_call_fails_while_an_agent_answers_or_another_call_is_running() -> None:
    pair = Pair()
    pair.connect()
    pair.act(1, say("hi"))
    pair.act(2, act("call"))
    pair.act(3, act("call"))
    assert "another call is running" in str(pair.ended()[-1][2])
    pair.to_server(pair.server.leave_call(pair.server.conversation(None), pair.now))
    (ended,) = pair.of(CallEnded)
    assert ended.reason == "the bot has left the call"
    with pytest.raises(SettingsError, match="no call is running"):
        pair.server.leave_call(pair.server.conversation(None), pair.now)
    pair.agent(Handover("Ada"))
    pair.act(4, act("call"))
    assert "an agent answers in this conversation" in str(pair.ended()[-1][2])


def test_a_call_can_start_a_conversation() -> None:
    pair = Pair()
    pair.connect()
    pair.act(1, act("call"))
    (conversation,) = pair.conversations()
    assert pair.ended() == [(1, "completed", "call_support")]
    assert ("enter_support", {"ticket_chat_id": conversation.id}) in pair.sent


def test_messages_are_marked_as_read_unless_the_setting_is_off() -> None:
    on, off = Pair(), Pair(client={"mark_read": False})
    for pair in (on, off):
        pair.connect()
        pair.act(1, say("hi"))
        pair.agent(AgentSays("Ada here"))
    assert [event for event, _ in on.sent].count("mark_conversation_read") == 2
    assert [event for event, _ in off.sent].count("mark_conversation_read") == 0
    assert (on.conversations()[0].unread, off.conversations()[0].unread) == (0, 2)
    off.act(2, act("read"))
    assert off.conversations()[0].unread == 0


@pytest.mark.parametrize("event", ["support", "call_support", "close_support", "review_support"])
def test_an_error_code_rejects_the_turn(event: str) -> None:
    client = ready_client("a")
    verb = {"support": say("hi", "a"), "review_support": act("review", "a", rating=1)}
    client.act(1, verb.get(event, act({"call_support": "call"}.get(event, "close"), "a")), 0.0)
    refused = {"status_code": 400, "sid": "s", "message": "not today", "data": {}}
    (done,) = [e for e in client.received(event, refused, 0.0) if isinstance(e, TurnDone)]
    assert (done.status, done.reason) == ("rejected", "not today")


def test_a_late_answer_belongs_to_the_abandoned_turn() -> None:
    client = ready_client("a")
    client.act(1, say("slow", "a"), 0.0)
    client.abandon(1, 1.0)
    assert not client.act(2, say("one", "a"), 1.0), "the next turn is blocked"
    effects = client.received("support", reply("a", "answer to slow"), 2.0)
    assert not ended_turns(effects)
    assert [payload["message"] for payload in sent_messages(effects)] == ["one"]
    assert [e.turn for e in effects if isinstance(e, Record) and e.kind == "text"] == [1]


def test_an_abandoned_turn_blocks_the_next_one_for_five_seconds() -> None:
    client = ready_client("a")
    client.act(1, say("never", "a"), 0.0)
    client.abandon(1, 1.0)
    client.act(2, say("one", "a"), 1.0)
    assert client.deadline == 6.0
    assert [e.args[0]["message"] for e in client.timer(6.0) if isinstance(e, Emit)] == ["one"]


def test_an_action_without_a_conversation_is_for_the_conversation_used_last() -> None:
    client = ready_client("a", "b")
    client.act(1, say("to a", "a"), 0.0)
    client.act(2, say("to b", "b"), 0.0)
    assert not client.act(3, say("to a again", "a"), 0.0)
    assert not client.act(4, say("and again"), 0.0)
    assert not sent_messages(client.received("support", reply("b"), 0.0))
    sent = [*sent_messages(client.received("support", reply("a"), 0.0))]
    sent += sent_messages(client.received("support", reply("a"), 0.0))
    assert [(payload["message"], payload["ticket_chat_id"]) for payload in sent] == [
        ("to a again", "a"),
        ("and again", "a"),
    ]


# Lost links


def test_the_rooms_of_open_conversations_are_entered_again_after_a_lost_link() -> None:
    pair = Pair()
    pair.connect()
    pair.act(1, say("one", ""))
    pair.act(2, say("two", ""))
    pair.act(3, act("close"))
    pair.disconnect()
    pair.sent.clear()
    pair.connect()
    first = pair.conversations()[0].id
    assert pair.sent == [
        ("enter_customer_support", {"session_id": "customer-1"}),
        ("enter_support", {"ticket_chat_id": first}),
    ]


@pytest.mark.parametrize("keep_missed", [True, False])
def test_messages_sent_while_there_was_no_link_are_recorded_once(keep_missed: bool) -> None:  # noqa: FBT001
    pair = Pair(keep_missed=keep_missed)
    pair.connect()
    pair.act(1, say("hi"))
    pair.agent(AgentSays("before"))
    pair.disconnect()
    pair.agent(AgentSays("meanwhile"))
    pair.agent(AgentSays("and again"))
    pair.connect()
    pair.agent(AgentSays("after"))
    assert pair.texts() == ["hi", "You said hi", "before", "meanwhile", "and again", "after"]


def test_a_lost_link_fails_an_unconfirmed_message_and_keeps_a_confirmed_one() -> None:
    pair = Pair(lambda _: [])
    pair.connect()
    client = pair.client
    client.act(1, say("hi"), 0.0)
    effects = client.closed(0.0)
    assert ended_turns(effects) == [(1, "failed")]
    client.dial(0.0)
    client.opened(0.0)
    list_conversations(client)
    client.act(2, say("hi"), 0.0)
    client.received("support_echo", {"status_code": 200, "data": {}}, 0.0)
    assert not client.closed(0.0)


def test_a_missed_reply_comes_by_http_and_ends_its_turn() -> None:
    pair = Pair(keep_missed=False)
    pair.connect()
    pair.act(1, say("one"))
    pair.act(2, say("two"))
    pair.loses_events = True
    pair.now += 1
    client = pair.client
    (sent,) = [e for e in client.act(3, say("three"), pair.now) if isinstance(e, Emit)]
    client.acked(sent.ack, [], pair.now)
    pair.to_server(pair.server.received(pair.link, sent.event, sent.args[0], pair.now))
    pair.disconnect()
    pair.loses_events = False
    pair.connect()
    assert pair.ended()[-1] == (3, "completed", "support")
    assert pair.texts()[-1] == "You said three"


def test_a_repeated_event_is_shown_once() -> None:
    pair = Pair()
    pair.connect()
    pair.server.fault("duplicate")
    pair.act(1, say("hi"))
    pair.act(2, act("call"))
    pair.act(3, act("hang_up"))
    pair.act(4, act("close"))
    assert pair.texts().count("You said hi") == 1
    assert len(pair.of(CallStarted)) == len(pair.of(CallEnded)) == 1
    assert [done[:2] for done in pair.ended()] == [(n, "completed") for n in (1, 2, 3, 4)]

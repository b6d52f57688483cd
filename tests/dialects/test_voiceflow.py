"""Voiceflow's client and server machine: as a pair, and each one against a transcript of the vendor's page."""

import json
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from socketnb.dialects import voiceflow
from socketnb.dialects.voiceflow.traces import parse_trace
from socketnb.model.actions import Action
from socketnb.model.content import Choice, Choices, Custom, End, Media, Step, Text, UserInput
from socketnb.model.effects import Credential, Emit, Ended, EndFlow, Failed, Ready, Reconnect, Record, RunFlow, TurnDone
from socketnb.model.secret import Secret, fingerprint

TRANSCRIPT = Path(__file__).parent / "transcripts" / "voiceflow.jsonl"
GIVEN = {
    "url": "http://127.0.0.1:1",
    "project_id": "project-1",
    "api_key": Secret("VF.DM.planted-key"),
    "user_id": "ana@example.org",
}
SETTINGS = {name: GIVEN.get(name, setting.default) for name, setting in voiceflow.DIALECT.settings.items()}
OPTIONS = {name: option.default for name, option in voiceflow.DIALECT.options.items()}
LAUNCH = Action("launch")


def say(text: str) -> Action:
    return Action("text", {"text": text})


def ids() -> Callable[[], str]:
    numbers = count(1)
    return lambda: f"id{next(numbers)}"


class Pair:
    """A client and a server machine with a list as the network between them."""

    def __init__(
        self,
        answer: Callable[[UserInput], Sequence[Step]] = lambda user_input: [Text(f"You said {user_input.text}")],
        **settings: Any,
    ) -> None:
        self.client = voiceflow.DIALECT.client({**SETTINGS, **settings}, ids())
        self.server = voiceflow.DIALECT.server(SETTINGS, ids(), OPTIONS)
        self.answer = answer
        self.links = 0
        self.seen: list[Any] = []  # the client's effects
        self.events: list[str] = []  # what the client sent
        self.deaf = False  # the network loses what the server sends

    def connect(self) -> None:
        self.links += 1
        self.client.dial(0.0)
        self.server.opened(f"link{self.links}", {}, 0.0)
        self.to_client(self.client.opened(0.0))

    def disconnect(self, *, goodbye: bool = False) -> None:
        self.to_client(self.client.closed(0.0))
        self.server.closed(f"link{self.links}", 1.7e9, goodbye=goodbye)

    def act(self, turn: int, action: Action) -> None:
        self.to_client(self.client.act(turn, action, 0.0))

    def to_client(self, effects: Sequence[Any]) -> None:
        for effect in effects:
            self.seen.append(effect)
            if isinstance(effect, Emit):
                self.events.append(effect.event)
                link = f"link{self.links}"
                self.to_server(self.server.received(link, effect.event, *effect.args, now=1.7e9))

    def to_server(self, effects: Sequence[Any]) -> None:
        for effect in effects:
            if isinstance(effect, Emit) and not self.deaf:
                self.to_client(self.client.received(effect.event, *effect.args, now=0.0))
            elif isinstance(effect, RunFlow):
                for step in self.answer(effect.user_input):
                    self.to_server(self.server.put(effect.conversation, step, 1.7e9))
                self.to_server(self.server.done(effect.conversation, None, 1.7e9))

    def of(self, kind: type) -> list[Any]:
        return [effect for effect in self.seen if isinstance(effect, kind)]

    def kinds(self) -> list[str]:
        return [record.kind for record in self.of(Record)]


def test_the_first_link_creates_a_session_and_its_key_is_a_credential() -> None:
    pair = Pair()
    pair.connect()
    assert pair.events == ["client.start", "session.create"]
    (credential,), (ready,) = pair.of(Credential), pair.of(Ready)
    assert ready.conversation == fingerprint(credential.value)
    assert pair.kinds()[-1] == "ready"
    assert pair.client.deadline is None


def test_the_events_of_the_handshake_belong_to_no_turn() -> None:
    pair = Pair()
    pair.connect()
    assert {record.turn for record in pair.of(Record)} == {0}


@pytest.mark.parametrize(("try_all", "transports"), [(True, ("polling", "websocket")), (False, ("polling",))])
def test_only_the_first_transport_is_tried_unless_try_all_is_set(try_all: Any, transports: tuple[str, ...]) -> None:
    given = SETTINGS | {"transports": ("polling", "websocket"), "try_all": try_all}
    assert voiceflow.DIALECT.client(given, ids()).dial(0.0).transports == transports


def test_a_video_without_a_url_is_sent_as_its_text() -> None:
    pair = Pair(
        lambda _: [Media("video", "data:video/webm;base64,AAAA", "Sunrise"), Media("file", "https://x.org/a", "A")]
    )
    pair.connect()
    pair.act(1, say("hi"))
    assert [r.text for r in pair.of(Record) if r.kind == "text"] == ["Sunrise", "[A](https://x.org/a)"]


def test_the_key_of_a_session_is_a_signed_token() -> None:
    pair = Pair()
    pair.connect()
    assert len(pair.of(Credential)[0].value.split(".")) == 3


def test_a_turn_is_accepted_answered_and_completed() -> None:
    pair = Pair()
    pair.connect()
    pair.act(1, say("hi"))
    (done,) = pair.of(TurnDone)
    assert (done.turn, done.status) == (1, "completed")
    text = next(r for r in pair.of(Record) if r.kind == "text")
    assert (text.text, text.turn, text.sender, text.server_at) == (
        "You said hi",
        1,
        "bot",
        1_700_000_000_000_000_000,
    )
    assert [r.final for r in pair.of(Record)][-1] is True


def test_a_press_sends_the_request_of_the_button_unchanged() -> None:
    inputs: list[UserInput] = []

    def answer(user_input: UserInput) -> list[Step]:
        inputs.append(user_input)
        return [Choices((Choice("Order"), Choice("Track")))]

    pair = Pair(answer)
    pair.connect()
    pair.act(1, LAUNCH)
    choices = next(r for r in pair.of(Record) if r.kind == "choices")
    content = voiceflow.DIALECT.content(choices.event, choices.payload)
    assert isinstance(content, Choices)
    pair.act(2, Action("press", {"choice": content.options[1]}))
    assert inputs == [UserInput("launch"), UserInput("press", "Track")]
    sent = next(e for e in reversed(pair.of(Emit)) if e.event == "action.send")
    assert sent.args[0]["action"] == content.options[1].request


def test_a_second_action_waits_until_the_first_is_completed() -> None:
    pair = Pair()
    pair.connect()
    pair.deaf = True
    pair.act(1, say("one"))
    pair.act(2, say("two"))
    assert pair.events.count("action.send") == 1
    pair.to_client(pair.client.received("action.status", {"status": "completed", "messageID": "m"}, now=0.0))
    assert pair.events.count("action.send") == 2


def test_actions_before_the_session_is_ready_are_sent_later_in_order() -> None:
    pair = Pair()
    pair.act(1, say("one"))
    pair.act(2, say("two"))
    assert not pair.events
    pair.connect()
    texts = [r.text for r in pair.of(Record) if r.kind == "text"]
    assert texts == ["You said one", "You said two"]


def test_a_rejected_action_ends_its_turn_with_the_reason() -> None:
    pair = Pair()
    pair.connect()
    pair.server.fault("reject")
    pair.act(1, say("hi"))
    (done,) = pair.of(TurnDone)
    assert (done.status, done.reason) == ("rejected", "rejected on request")


def test_a_stored_session_is_resumed_on_the_next_link() -> None:
    pair = Pair()
    pair.connect()
    pair.disconnect()
    pair.connect()
    assert pair.events == ["client.start", "session.create", "client.start"]
    assert pair.kinds()[-1] == "resumed"
    pair.act(1, say("still there?"))
    assert pair.of(TurnDone)[0].status == "completed"


def test_an_expired_session_is_replaced_and_its_running_turn_fails() -> None:
    pair = Pair()
    pair.connect()
    pair.server.fault("silent")
    pair.act(1, say("hi"))
    pair.disconnect()
    pair.server.fault("expire")
    pair.connect()
    assert any("stored session no longer exists" in (r.text or "") for r in pair.of(Record))
    assert [(d.turn, d.status) for d in pair.of(TurnDone)] == [(1, "failed")]
    assert len(pair.of(Credential)) == 2


@pytest.mark.parametrize("lost", ["action", "answer"])
def test_an_action_without_a_status_is_sent_again_and_run_once(lost: str) -> None:
    inputs: list[str] = []

    def answer(user_input: UserInput) -> list[Step]:
        inputs.append(user_input.text)
        return [Text(f"You said {user_input.text}")]

    pair = Pair(answer)
    pair.connect()
    pair.act(1, say("one"))
    pair.deaf = True
    if lost == "action":
        pair.server.fault("mute")
    pair.act(2, say("two"))
    pair.server._faults.clear()
    pair.disconnect()
    pair.deaf = False
    pair.connect()
    pair.act(3, say("three"))
    assert inputs == ["one", "two", "three"]
    assert [(d.turn, d.status) for d in pair.of(TurnDone)] == [(n, "completed") for n in (1, 2, 3)]
    texts = [(r.turn, r.text) for r in pair.of(Record) if r.kind == "text"]
    assert texts == [(1, "You said one"), (2, "You said two"), (3, "You said three")]
    assert pair.kinds().count("action") == 3, "an action is recorded once"


def test_an_action_is_not_sent_again_to_a_server_with_its_own_message_ids() -> None:
    client = voiceflow.DIALECT.client(SETTINGS, ids())
    client.dial(0.0)
    client.opened(0.0)
    client.received("client.started", {"newSessionRequired": False}, 0.0)
    client.act(1, say("one"), 0.0)
    for status in ("accepted", "completed"):
        client.received("action.status", {"status": status, "messageID": "its own"}, 0.0)
    client.act(2, say("two"), 0.0)
    record, done = client.closed(0.0)
    assert isinstance(record, Record)
    assert isinstance(done, TurnDone)
    assert (record.final, done.status) == (True, "failed")
    assert "may or may not have received it" in str(done.reason), "the answer may have been lost, not the action"
    client.dial(0.0)
    client.opened(0.0)
    effects = client.received("client.started", {"newSessionRequired": False}, 0.0)
    assert not [e for e in effects if isinstance(e, Emit)]


def test_a_repeated_status_does_not_end_another_turn() -> None:
    pair = Pair()
    pair.connect()
    pair.act(1, say("one"))
    again = next(r.payload for r in pair.of(Record) if r.text == "completed")
    pair.deaf = True
    pair.act(2, say("two"))
    pair.to_client(pair.client.received("action.status", again, 0.0))
    assert [d.turn for d in pair.of(TurnDone)] == [1]


def test_an_abandoned_action_without_a_status_does_not_affect_the_next_one() -> None:
    pair = Pair()
    pair.connect()
    pair.server.fault("mute")
    pair.act(1, say("one"))
    pair.to_client(pair.client.abandon(1, 0.0))
    pair.server._faults.clear()
    pair.act(2, say("two"))
    assert not pair.of(TurnDone), "the late answer of turn 1 could not be recognised later"
    pair.to_client(pair.client.timer(5.0))
    assert [(d.turn, d.status) for d in pair.of(TurnDone)] == [(2, "completed")]
    assert [r.turn for r in pair.of(Record) if r.kind == "text"] == [2]


def test_an_action_can_be_sent_at_once_while_another_runs() -> None:
    pair = Pair()
    pair.connect()
    pair.deaf = True
    pair.act(1, say("one"))
    pair.act(2, Action("text", {"text": "two"}, at_once=True))
    sent = [e.args[0]["messageID"] for e in pair.of(Emit) if e.event == "action.send"]
    assert len(sent) == 2
    for turn, message_id in ((2, sent[1]), (1, sent[0])):
        trace = {"trace": {"type": "text", "payload": {"message": "x"}}, "messageID": message_id}
        pair.to_client(pair.client.received("action.trace", trace, 0.0))
        assert pair.of(Record)[-1].turn == turn
        pair.to_client(pair.client.received("action.status", {"status": "completed", "messageID": message_id}, 0.0))
    assert [d.turn for d in pair.of(TurnDone)] == [2, 1]


@pytest.mark.parametrize("running", [False, True])
def test_the_client_reconnects_to_a_restarting_server_and_repeats_its_action(running: Any) -> None:
    pair = Pair()
    pair.connect()
    pair.act(1, say("one"))
    if running:
        pair.answer = lambda user_input: []
        pair.server.fault("silent")
        pair.act(2, say("two"))
    pair.to_server(pair.server.fault("restart"))
    assert isinstance(pair.seen[-1], Reconnect)
    pair.disconnect()
    pair.connect()
    assert pair.kinds().count("resumed") == 1
    assert pair.events.count("session.create") == 1
    assert [r.text for r in pair.of(Record) if r.kind == "text"] == ["You said one"]


def test_a_running_action_that_a_restarting_server_asks_for_keeps_its_message_id() -> None:
    pair = Pair()
    pair.connect()
    pair.server.fault("silent")
    pair.act(1, say("one"))
    pair.to_client(pair.client.received("server.restart", {"action": {"type": "text", "payload": "one"}}, 0.0))
    pair.disconnect()
    pair.connect()
    first, again = [e.args[0] for e in pair.of(Emit) if e.event == "action.send"]
    assert first == again


def test_an_action_that_is_sent_again_after_a_restart_runs_once() -> None:
    server = voiceflow.DIALECT.server(SETTINGS, ids(), OPTIONS)
    start = {"userID": "a", "projectID": "project-1", "authorization": "VF.DM.planted-key"}
    server.received("one", "client.start", start, 0.0)
    (created,) = server.received("one", "session.create", {}, 0.0)
    assert isinstance(created, Emit)
    action = {"action": {"type": "text", "payload": "hi"}}
    assert any(isinstance(e, RunFlow) for e in server.received("one", "action.send", action, 0.0))
    (restart,) = server.fault("restart")
    assert isinstance(restart, Emit)
    (payload,) = restart.args
    assert isinstance(payload, dict)
    assert payload == {"action": {**action["action"], "diagramID": "diagram-1", "time": 0}}
    server.closed("one", 0.0)
    server.received("two", "client.start", {**start, **created.args[0]}, 0.0)
    again = server.received("two", "action.send", payload, 0.0)
    assert not [e for e in again if isinstance(e, RunFlow)]


def test_an_idle_session_is_ended_by_the_server() -> None:
    server = voiceflow.DIALECT.server(SETTINGS, ids(), {**OPTIONS, "idle_timeout": 60})
    start = {"userID": "a", "projectID": "project-1", "authorization": "VF.DM.planted-key"}
    server.received("link", "client.start", start, 1000.0)
    server.received("link", "session.create", {}, 1000.0)
    assert server.deadline == 1060.0
    assert server.timer(1059.0) == []
    ended, end_flow = server.timer(1060.0)
    assert isinstance(end_flow, EndFlow)
    assert isinstance(ended, Emit)
    assert ended.args == ({"reason": "inactivity_timeout"},)
    assert server.deadline is None


def test_silence_of_the_user_is_reported_with_the_setting_no_reply() -> None:
    client = voiceflow.DIALECT.client({**SETTINGS, "no_reply": True}, ids())
    client.dial(0.0)
    client.opened(0.0)
    client.received("client.started", {"newSessionRequired": False}, 0.0)
    client.act(1, say("hi"), 0.0)
    client.received("action.trace", {"trace": {"type": "no-reply", "payload": {"timeout": 7}}}, 0.0)
    client.received("action.status", {"status": "completed"}, 3.0)
    assert client.deadline == 10.0
    record, emit = client.timer(10.0)
    assert isinstance(record, Record)
    assert isinstance(emit, Emit)
    assert (record.kind, emit.args[0]["action"]) == ("no_reply", {"type": "no-reply"})


@pytest.mark.parametrize(
    ("action", "request_"),
    [
        (LAUNCH, {"type": "launch", "payload": {}}),
        (say("hi"), {"type": "text", "payload": "hi"}),
        (
            Action("intent", {"name": "order", "entities": {"size": "L"}}),
            {
                "type": "intent",
                "payload": {"intent": {"name": "order"}, "query": "", "entities": [{"name": "size", "value": "L"}]},
            },
        ),
        (Action("event", {"name": "checkout"}), {"type": "event", "payload": {"event": {"name": "checkout"}}}),
        (Action("no_reply"), {"type": "no-reply"}),
        (Action("custom", {"type": "done"}), {"type": "done"}),
        (Action("custom", {"type": "paid", "payload": {"eur": 3}}), {"type": "paid", "payload": {"eur": 3}}),
        (Action("end"), {"type": "end"}),
    ],
)
def test_each_verb_sends_the_request_of_the_reference(action: Action, request_: dict[str, Any]) -> None:
    pair = Pair()
    pair.connect()
    pair.act(1, action)
    sent = next(e for e in pair.of(Emit) if e.event == "action.send").args[0]
    assert sent["action"] == request_
    content = voiceflow.DIALECT.content("action.send", sent)
    assert isinstance(content, UserInput)
    assert content.verb == action.verb


def test_the_server_understands_the_web_widget() -> None:
    server = voiceflow.DIALECT.server(SETTINGS, ids(), OPTIONS)
    start = {"userID": "a", "projectID": "project-1", "authorization": "VF.DM.planted-key"}
    sent: list[Emit] = []

    def take(effects: Sequence[Any]) -> None:
        for effect in effects:
            if isinstance(effect, RunFlow):
                take(server.put(effect.conversation, Text("Hello"), 1.0))
                take(server.put(effect.conversation, End(), 1.0))
                take(server.done(effect.conversation, None, 1.0))
            elif isinstance(effect, Emit):
                sent.append(effect)

    take(server.received("link", "start", start, 0.0))
    take(server.received("link", "session-key-update", None, 0.0))
    take(server.received("link", "keep-alive", None, 0.0))
    take(server.received("link", "action", {"action": {"type": "launch"}, "config": {}}, 0.0))
    assert [e.event for e in sent] == [
        "start",
        "session-key-update",
        "action",
        "trace",
        "trace",
        "action",
        "session-ended",
    ]
    assert sent[0].args[0]["newSessionRequired"] is True
    assert sent[2].args == ({"status": "accepted"},)
    assert set(sent[3].args[0]) == {"trace"}


def test_the_older_name_of_client_started_is_understood() -> None:
    client = voiceflow.DIALECT.client(SETTINGS, ids())
    client.dial(0.0)
    client.opened(0.0)
    assert any(isinstance(e, Ready) for e in client.received("client.created", {"newSessionRequired": False}, 0.0))


def test_messages_during_a_lost_link_come_over_the_next_one() -> None:
    pair = Pair()
    pair.connect()
    pair.answer = lambda user_input: []
    pair.server.fault("silent")
    pair.act(1, say("hi"))
    conversation = next(iter(pair.server._sessions))
    pair.disconnect()
    assert pair.server.put(conversation, Text("late"), 1.7e9) == []
    pair.connect()
    assert [r.text for r in pair.of(Record) if r.kind == "text"] == ["late"]


def test_the_next_action_after_the_end_of_a_session_starts_a_new_one() -> None:
    pair = Pair(lambda user_input: [Text("Bye."), End()])
    pair.connect()
    pair.act(1, say("bye"))
    assert [e.reason for e in pair.of(Ended)] == ["end_of_diagram"]
    pair.act(2, say("again"))
    assert isinstance(pair.seen[-1], Reconnect)
    pair.disconnect()
    pair.connect()
    assert [d.status for d in pair.of(TurnDone)] == ["completed", "completed"]
    assert len({r.conversation for r in pair.of(Ready)}) == 2


def test_the_status_of_a_turn_may_come_after_the_end_of_the_session() -> None:
    pair = Pair()
    pair.connect()
    pair.deaf = True
    pair.act(1, say("bye"))
    received = pair.client.received
    pair.to_client(received("action.status", {"status": "accepted", "messageID": "m"}, 0.0))
    pair.to_client(received("session.ended", {"reason": "inactivity_timeout"}, 0.0))
    assert not pair.of(TurnDone)
    pair.to_client(received("action.status", {"status": "completed", "messageID": "m"}, 0.0))
    assert pair.of(TurnDone)[0].status == "completed"


def test_a_turn_without_a_status_ends_soon_after_its_session() -> None:
    pair = Pair()
    pair.connect()
    pair.deaf = True
    pair.act(1, say("bye"))
    pair.to_client(pair.client.received("action.status", {"status": "accepted", "messageID": "m"}, 0.0))
    pair.to_client(pair.client.received("session.ended", {}, 0.0))
    assert pair.client.deadline == 2.0
    pair.to_client(pair.client.timer(2.0))
    assert pair.of(TurnDone)[0].reason == "the session ended"


def test_an_action_that_crosses_the_end_of_the_session_starts_the_next_one() -> None:
    pair = Pair()
    pair.connect()
    pair.deaf = True
    pair.act(1, say("hours"))
    pair.to_client(pair.client.received("session.ended", {"reason": "end_of_diagram"}, 0.0))
    assert isinstance(pair.seen[-1], Reconnect)
    pair.deaf = False
    pair.disconnect()
    pair.connect()
    assert pair.of(TurnDone)[0].status == "completed"


@pytest.mark.parametrize(
    ("wrong", "advice"),
    [({"project_id": "other"}, "check project_id"), ({"api_key": Secret("wrong")}, "check api_key")],
)
def test_wrong_credentials_are_refused_with_advice(wrong: dict[str, Any], advice: str) -> None:
    pair = Pair()
    pair.client = voiceflow.DIALECT.client({**SETTINGS, **wrong}, ids())
    pair.connect()
    (failed,) = pair.of(Failed)
    assert failed.how == "refused"
    assert advice in failed.reason


@pytest.mark.parametrize(
    ("state", "step"), [(0, "Socket.IO connection"), (1, "client.started"), (2, "session.created")]
)
def test_a_timeout_names_the_missing_step_of_the_handshake(state: int, step: str) -> None:
    client = voiceflow.DIALECT.client(SETTINGS, ids())
    client.dial(5.0)
    if state:
        client.opened(5.0)
    if state > 1:
        client.received("client.started", {"newSessionRequired": True}, 5.0)
    assert client.deadline == 15.0
    (failed,) = client.timer(15.0)
    assert isinstance(failed, Failed)
    assert f"no {step} arrived within 10 s" in failed.reason


def test_an_error_after_the_handshake_is_recorded_and_the_session_stays_usable() -> None:
    pair = Pair()
    pair.connect()
    (record,) = pair.client.received("error", {"code": "quota", "error": "too many tokens"}, 0.0)
    assert isinstance(record, Record)
    assert record.error == "too many tokens (quota)"
    pair.act(1, say("hi"))
    assert pair.of(TurnDone)[0].status == "completed"


def test_unknown_traces_and_events_are_recorded_unchanged() -> None:
    client = voiceflow.DIALECT.client(SETTINGS, ids())
    payload = {"trace": {"type": "fireworks", "payload": {"colour": "red"}}, "messageID": "m"}
    for event, sent in (("action.trace", payload), ("weather.report", [1, 2])):
        (record,) = client.received(event, sent, 0.0)
        assert isinstance(record, Record)
        assert (record.kind, record.payload) == ("custom", sent)
    assert voiceflow.DIALECT.content("action.trace", payload) == Custom("fireworks", {"colour": "red"})


def test_an_abandoned_turn_frees_the_queue_and_keeps_its_late_traces() -> None:
    pair = Pair()
    pair.connect()
    pair.deaf = True
    pair.act(1, say("one"))
    pair.act(2, say("two"))
    pair.to_client(pair.client.received("action.status", {"status": "accepted", "messageID": "m1"}, 0.0))
    pair.to_client(pair.client.abandon(1, 0.0))
    assert pair.events.count("action.send") == 2
    late = {"trace": {"type": "text", "payload": {"message": "late"}}, "messageID": "m1"}
    pair.to_client(pair.client.received("action.trace", late, 0.0))
    pair.to_client(pair.client.received("action.status", {"status": "completed", "messageID": "m1"}, 0.0))
    assert [(r.turn, r.final) for r in pair.of(Record)[-2:]] == [(1, False), (1, False)]
    assert not pair.of(TurnDone)


@pytest.mark.parametrize("time", [1720552033, 1720552033000, 1720552033.0])
def test_a_time_may_be_in_seconds_or_milliseconds(time: float) -> None:
    client = voiceflow.DIALECT.client(SETTINGS, ids())
    (record,) = client.received("action.trace", {"trace": {"type": "end", "time": time}}, 0.0)
    assert isinstance(record, Record)
    assert record.server_at == 1_720_552_033 * 10**9


def test_a_text_without_a_message_is_read_from_its_slate() -> None:
    slate = {"id": "s", "content": [{"children": [{"text": "Hello "}, {"children": [{"text": "you"}]}]}, {}]}
    assert parse_trace({"type": "text", "payload": {"slate": slate}}).content == Text("Hello you")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
TRACE = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["text", "choice", "block", "end", "x"]) | JSON,
        "payload": st.fixed_dictionaries({}, optional={"message": JSON, "slate": JSON, "buttons": JSON}) | JSON,
        "time": JSON,
    },
)
FIELDS = {"trace": TRACE | JSON, "status": JSON, "messageID": JSON, "sessionKey": JSON, "newSessionRequired": JSON}
EVENTS = st.sampled_from(["client.started", "session.created", "action.trace", "action.status", "error", "x"])


@given(st.lists(st.tuples(EVENTS, st.fixed_dictionaries({}, optional=FIELDS) | JSON), max_size=8))
def test_the_client_survives_any_event(events: list[tuple[str, Any]]) -> None:
    client = voiceflow.DIALECT.client(SETTINGS, ids())
    client.dial(0.0)
    client.opened(0.0)
    client.act(1, say("hi"), 0.0)
    for event, payload in events:
        assert client.received(event, payload, 0.0), "every event leaves a record"
        voiceflow.DIALECT.content(event, payload)


@given(st.lists(st.tuples(st.sampled_from(["client.start", "session.create", "action.send", "x"]), JSON), max_size=8))
def test_the_server_survives_any_event(events: list[tuple[str, Any]]) -> None:
    server = voiceflow.DIALECT.server(SETTINGS, ids(), OPTIONS)
    server.received("link", "client.start", {"userID": "a", "projectID": "project-1"}, 0.0)
    for event, payload in events:
        server.received("link", event, payload, 0.0)


# The vendor's page


def transcript_lines() -> list[dict[str, Any]]:
    return [json.loads(line) for line in TRANSCRIPT.read_text().splitlines()]


def matches(wanted: Any, got: Any, names: dict[str, Any]) -> bool:
    """Compare with a transcript, in which `<name>` stands for a value that the other side generates."""
    if isinstance(wanted, str) and wanted.startswith("<"):
        return names.setdefault(wanted, got) == got or wanted in ("<slate>", "<time>")
    if isinstance(wanted, dict) and isinstance(got, dict):
        return list(wanted) == list(got) and all(matches(wanted[k], got[k], names) for k in wanted)
    if isinstance(wanted, list) and isinstance(got, list):
        return len(wanted) == len(got) and all(map(matches, wanted, got, [names] * len(got)))
    return bool(wanted == got)


def test_the_client_follows_the_vendor_s_transcript() -> None:
    client = voiceflow.DIALECT.client(SETTINGS, ids())
    client.dial(0.0)
    actions = iter(
        [LAUNCH, Action("press", {"choice": Choice("Track", transcript_lines()[9]["payload"]["action"])}), say("4567")]
    )
    out = [e for e in client.opened(0.0) if isinstance(e, Emit)]
    turn = count(1)
    for line in transcript_lines():
        if line["from"] == "server":
            out += [e for e in client.received(line["event"], line["payload"], 0.0) if isinstance(e, Emit)]
        else:
            if not out:
                out += [e for e in client.act(next(turn), next(actions), 0.0) if isinstance(e, Emit)]
            sent = out.pop(0)
            payload = {name: value for name, value in sent.args[0].items() if name != "messageID"}
            assert (sent.event, payload) == (line["event"], line["payload"]), (
                "the page mentions the messageID, but not the name of its field"
            )
    assert not out


def test_the_server_follows_the_vendor_s_transcript() -> None:
    server = voiceflow.DIALECT.server(SETTINGS, ids(), OPTIONS)
    answers = {
        "launch": [Text("What may I do?"), Choices((Choice("Track"),))],
        "press": [Text("Which number?")],
        "text": [End()],
    }
    names: dict[str, Any] = {}
    out: list[Any] = []

    def take(effects: Sequence[Any]) -> None:
        for effect in effects:
            if isinstance(effect, RunFlow):
                for step in answers[effect.user_input.verb]:
                    take(server.put(effect.conversation, step, 1.7e9))
                take(server.done(effect.conversation, None, 1.7e9))
            elif isinstance(effect, Emit):
                out.append(effect)

    for line in transcript_lines():
        if line["from"] == "client":
            payload = json.loads(json.dumps(line["payload"]).replace("<path>", str(names.get("<path>"))))
            take(server.received("link", line["event"], payload, 1.7e9))
        else:
            sent = out.pop(0)
            assert sent.event == line["event"]
            assert matches(line["payload"], *sent.args, names), (line, sent)
    assert not out


def reporting_silence(**settings: Any) -> Any:
    """Return a ready client that reports when the user says nothing."""
    client = voiceflow.DIALECT.client({**SETTINGS, "no_reply": True, **settings}, ids())
    client.dial(0.0)
    client.opened(0.0)
    client.received("client.started", {"newSessionRequired": False}, 0.0)
    return client


SILENCE = {"trace": {"type": "no-reply", "payload": {"timeout": 7}}}


def test_silence_is_not_reported_while_another_turn_runs() -> None:
    client = reporting_silence()
    sent = [e.args[0]["messageID"] for e in client.act(1, say("one"), 0.0) if isinstance(e, Emit)]
    two = Action("text", {"text": "two"}, at_once=True)
    sent += [e.args[0]["messageID"] for e in client.act(2, two, 0.0) if isinstance(e, Emit)]
    client.received("action.trace", {**SILENCE, "messageID": sent[0]}, 0.0)
    client.received("action.status", {"status": "completed", "messageID": sent[0]}, 0.0)
    assert client.timer(7.0) == []
    done = client.received("action.status", {"status": "completed", "messageID": sent[1]}, 8.0)
    assert [e.turn for e in done if isinstance(e, TurnDone)] == [2]


@pytest.mark.parametrize("end", ["link", "session"])
def test_a_running_no_reply_does_not_end_its_turn_again(end: str) -> None:
    client = reporting_silence()
    client.act(1, say("one"), 0.0)
    client.received("action.trace", SILENCE, 0.0)
    client.received("action.status", {"status": "completed"}, 0.0)
    assert client.timer(7.0)
    if end == "link":
        effects = client.closed(8.0)
    else:
        effects = [*client.received("session.ended", {"reason": "x"}, 8.0), *client.timer(10.0)]
    assert not [e for e in effects if isinstance(e, TurnDone) or (isinstance(e, Record) and e.final)]


# Repeated events


START = {"userID": "a", "projectID": "project-1", "authorization": "VF.DM.planted-key"}


@pytest.mark.parametrize(("goodbye", "repeated"), [(False, ["one", "two"]), (True, ["two"])])
def test_a_goodbye_confirms_the_completed_turns(goodbye: Any, repeated: list[str]) -> None:
    server = voiceflow.DIALECT.server(SETTINGS, ids(), OPTIONS)
    server.received("a", "client.start", START, 0.0)
    (created,) = server.received("a", "session.create", {}, 0.0)
    assert isinstance(created, Emit)
    (conversation,) = server._sessions  # type: ignore[attr-defined] # the pair's own server
    for text in ("one", "two"):
        server.received("a", "action.send", {"action": {"type": "text", "payload": text}, "messageID": text}, 0.0)
        server.put(conversation, Text(f"re {text}"), 0.0)
        if text == "one":
            server.done(conversation, None, 0.0)
    server.closed("a", 0.0, goodbye=goodbye)
    started, *again = server.received("b", "client.start", {**START, **created.args[0]}, 0.0)
    assert isinstance(started, Emit)
    payloads = [effect.args[0] for effect in again if isinstance(effect, Emit)]
    events = {"one": ["accepted", "trace", "completed"], "two": ["accepted", "trace"]}
    expected = [(text, event) for text in repeated for event in events[text]]
    assert [(payload["messageID"], payload.get("status", "trace")) for payload in payloads] == expected


@pytest.mark.parametrize("goodbye", [False, True])
def test_repeated_events_of_a_completed_turn_are_recorded_as_statuses(goodbye: Any) -> None:
    pair = Pair()
    pair.connect()
    pair.act(1, say("one"))
    pair.disconnect(goodbye=goodbye)
    seen = len(pair.of(Record))
    pair.connect()
    later = pair.of(Record)[seen:]
    assert [r.text for r in pair.of(Record) if r.kind == "text"] == ["You said one"], "shown once"
    assert [d.turn for d in pair.of(TurnDone)] == [1], "ended once"
    again = [r.text for r in later if r.direction == "in" and r.kind == "status"]
    assert again == ([] if goodbye else ["accepted", "received again: You said one", "completed"])


def test_an_event_after_the_repeated_ones_is_new() -> None:
    pair = Pair()
    pair.connect()
    pair.act(1, say("one"))
    trace = next(r.payload for r in pair.of(Record) if r.kind == "text")
    pair.disconnect()
    pair.connect()
    pair.to_client(pair.client.received("action.trace", trace, 0.0))
    assert [r.text for r in pair.of(Record) if r.kind == "text"] == ["You said one"] * 2


@pytest.mark.parametrize(("turns", "kind"), [(8, "status"), (9, "text")])
def test_repetitions_are_recognised_for_the_last_eight_turns(turns: int, kind: str) -> None:
    pair = Pair()
    pair.connect()
    for turn in range(1, turns + 1):
        pair.act(turn, say(f"n{turn}"))
    first = [r.payload for r in pair.of(Record) if r.turn == 1 and r.direction == "in"]
    pair.disconnect(goodbye=True)  # the server sends nothing again by itself
    pair.connect()
    for payload in first:
        event = "action.trace" if "trace" in payload else "action.status"
        pair.to_client(pair.client.received(event, payload, 0.0))
    assert next(r for r in reversed(pair.of(Record)) if r.event == "action.trace").kind == kind


@pytest.mark.parametrize(("turns", "turn"), [(1000, 1), (1001, 0)])
def test_the_turns_of_the_last_thousand_message_ids_are_remembered(turns: int, turn: int) -> None:
    client = reporting_silence()
    sent: list[str] = []
    for number in range(1, turns + 1):
        sent += [e.args[0]["messageID"] for e in client.act(number, say("hi"), 0.0) if isinstance(e, Emit)]
        client.received("action.status", {"status": "completed", "messageID": sent[-1]}, 0.0)
    trace = {"trace": {"type": "text", "payload": {"message": "late"}}, "messageID": sent[0]}
    (record,) = client.received("action.trace", trace, 0.0)
    assert (len(sent), record.turn) == (turns, turn)


# Platform facts that other layers ask for


@pytest.mark.parametrize(
    ("text", "press_typed", "pressed"),
    [
        ("track", True, "Track"),
        (" TRACK ", True, "Track"),
        ("track it", True, None),
        ("track", False, None),
    ],
)
def test_a_typed_label_presses_its_button_with_the_setting_press_typed(
    text: str, press_typed: Any, pressed: str | None
) -> None:
    offered = [Choice("Order", {"type": "a"}), Choice("Track", {"type": "b"}), Choice("track", {"type": "c"})]
    action = Action("text", {"text": text}, at_once=True, conversation="c")
    prepared = voiceflow.DIALECT.prepare(action, offered, {**SETTINGS, "press_typed": press_typed})
    if pressed:
        assert prepared == Action("press", {"choice": offered[1]}, at_once=True, conversation="c")
    else:
        assert prepared is action


def test_only_a_text_can_press_a_button() -> None:
    settings = {**SETTINGS, "press_typed": True}
    assert voiceflow.DIALECT.prepare(LAUNCH, [Choice("launch", {"type": "a"})], settings) is LAUNCH


def test_streamed_sound_is_encoded_as_the_setting_says() -> None:
    settings = {**SETTINGS, "audio_encoding": "audio/pcm"}
    assert voiceflow.DIALECT.sound_encoding(settings) == "audio/pcm"
    assert voiceflow.DIALECT.settings["user_id"].generate == "user"


def test_the_end_of_the_flow_is_not_the_end_of_the_session() -> None:
    pair = Pair(lambda _: [End()])
    pair.connect()
    pair.act(1, say("bye"))
    assert [kind for kind in pair.kinds() if "ended" in kind] == ["flow_ended", "ended"]

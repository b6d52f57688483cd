"""Which turn an event of a Voiceflow server belongs to, how a turn ends, and why it has not ended."""

from collections.abc import Sequence
from itertools import count
from typing import Any

import pytest
from test_voiceflow import OPTIONS, SETTINGS, START, Pair, ids, say

from socketnb.dialects import voiceflow
from socketnb.dialects.base import warn
from socketnb.dialects.turns import MAX_QUEUED_TURNS, QUEUE_FULL
from socketnb.dialects.voiceflow.endings import RESTARTED
from socketnb.errors import TurnFailed
from socketnb.flows.flow import Flow, FlowTurn
from socketnb.hub import Hub
from socketnb.model.actions import Action
from socketnb.model.content import AgentSays, Cards, Choice, Delta, End, Media, Text
from socketnb.model.effects import Close, Emit, EndFlow, Failed, Reconnect, Record, RunFlow, TurnDone

AUDIO = {"audioEvents": True, "audioEncoding": "audio/opus"}


class Script:
    """A client machine, and a server that the test plays: `server` sends events with messageIDs of its choice."""

    def __init__(self, **settings: Any) -> None:
        self.client = voiceflow.DIALECT.client({**SETTINGS, **settings}, ids())
        self.now = 0.0
        self.seen: list[Any] = []
        self.connect(new=True)

    def connect(self, *, new: bool = False) -> None:
        self.client.dial(self.now)
        self.take(self.client.opened(self.now))
        self.server("client.started", newSessionRequired=new)
        if new:
            self.server("session.created", sessionKey="key")

    def take(self, effects: Sequence[Any]) -> None:
        self.seen += effects

    def act(self, turn: int, text: str = "hi", *, at_once: bool = False) -> None:
        self.take(self.client.act(turn, Action("text", {"text": text}, at_once), self.now))

    def abandon(self, turn: int) -> None:
        self.take(self.client.abandon(turn, self.now))

    def wait(self, seconds: float) -> None:
        self.now += seconds
        if self.client.deadline is not None and self.client.deadline <= self.now:
            self.take(self.client.timer(self.now))

    def cut(self) -> None:
        self.take(self.client.closed(self.now))

    def server(self, event: str, **payload: Any) -> None:
        self.take(self.client.received(event, payload, self.now))

    def status(self, status: str, message_id: str | None = None) -> None:
        self.server("action.status", status=status, **({"messageID": message_id} if message_id else {}))

    def text(self, text: str, message_id: str | None = None) -> None:
        trace = {"type": "text", "payload": {"message": text}}
        self.server("action.trace", trace=trace, **({"messageID": message_id} if message_id else {}))

    def answer(self, text: str, message_id: str | None = None) -> None:
        self.status("accepted", message_id)
        self.text(text, message_id)
        self.status("completed", message_id)

    @property
    def sent(self) -> list[Any]:
        """The payloads of `action.send`, in order."""
        return [e.args[0] for e in self.seen if isinstance(e, Emit) and e.event == "action.send"]

    @property
    def texts(self) -> list[tuple[int, str | None]]:
        return [(r.turn, r.text) for r in self.seen if isinstance(r, Record) and r.kind == "text"]

    @property
    def done(self) -> list[tuple[int, str]]:
        return [(e.turn, e.status) for e in self.seen if isinstance(e, TurnDone)]

    @property
    def warned(self) -> list[int]:
        """The turns that a warning is about."""
        return [r.turn for r in self.seen if isinstance(r, Record) and r.kind == "warning"]


# Whose answer it is


def test_a_late_answer_with_an_id_of_the_server_is_not_taken_for_that_of_the_next_turn() -> None:
    script = Script()
    script.act(1, "one")
    script.abandon(1)
    script.act(2, "two")
    assert len(script.sent) == 1
    script.answer("re one", "a")
    assert len(script.sent) == 2, "the pause ends with the late answer"
    script.answer("re two", "b")
    assert script.texts == [(1, "re one"), (2, "re two")]
    assert script.done == [(2, "completed")]
    assert not script.warned


def test_an_answer_after_the_pause_carries_a_warning_and_the_surplus_answer_is_late() -> None:
    script = Script()
    script.act(1, "one")
    script.abandon(1)
    script.act(2, "two")
    script.wait(5.0)
    script.answer("re one", "a")
    assert script.warned == [1, 2], "either turn may be meant"
    script.answer("re two", "b")
    assert script.texts == [(2, "re one"), (2, "re two")]
    assert set(script.warned) == {1, 2}


def test_a_shift_does_not_outlive_the_next_quiet_moment() -> None:
    script = Script()
    script.act(1, "one")
    script.abandon(1)
    script.act(2, "two")
    script.wait(5.0)
    script.answer("re two", "b")
    script.wait(5.0)
    seen = len(script.seen)
    script.act(3, "three")
    script.answer("re three", "c")
    assert script.texts[-1] == (3, "re three")
    assert not [r for r in script.seen[seen:] if isinstance(r, Record) and r.kind == "warning"]


def test_an_answer_that_no_action_is_owed_warns_about_the_last_turn() -> None:
    script = Script()
    script.act(1, "one")
    script.answer("re one", "a")
    script.answer("a surplus answer", "b")
    assert script.texts == [(1, "re one"), (0, "a surplus answer")]
    assert script.warned == [1]


def test_the_next_turn_does_not_wait_if_the_server_repeats_the_ids_of_the_client() -> None:
    script = Script()
    script.act(1, "one")
    script.answer("re one", script.sent[0]["messageID"])
    script.act(2, "two")
    script.abandon(2)
    script.act(3, "three")
    assert len(script.sent) == 3
    script.answer("re two", script.sent[1]["messageID"])
    assert script.texts[-1] == (2, "re two")
    assert script.done == [(1, "completed")]


@pytest.mark.parametrize("message_id", ["m", None])
def test_a_doubled_status_ends_nothing(message_id: str | None) -> None:
    script = Script()
    script.act(1, "one")
    script.answer("re one", message_id)
    script.act(2, "two")
    script.status("completed", message_id)
    script.status("accepted", "n" if message_id else None)
    script.status("accepted", "n" if message_id else None)
    assert script.done == [(1, "completed")]
    script.text("re two", "n" if message_id else None)
    script.status("completed", "n" if message_id else None)
    assert script.done == [(1, "completed"), (2, "completed")]
    assert script.texts[-1] == (2, "re two")


@pytest.mark.parametrize("echo", [True, False])
def test_a_trace_with_an_id_of_no_action_belongs_to_no_turn(echo: Any) -> None:
    script = Script()
    script.act(1, "one")
    script.answer("re one", script.sent[0]["messageID"] if echo else "a")
    script.act(2, "two")
    script.text("news", "x")
    assert script.texts[-1] == (0, "news")
    assert not script.warned


def test_a_trace_before_the_first_status_is_corrected_with_a_warning() -> None:
    script = Script()
    script.act(1, "one")
    script.text("news", "x")
    script.answer("re one", "a")
    assert script.texts == [(1, "news"), (1, "re one")]
    assert (script.done, script.warned) == ([(1, "completed")], [1])


def test_the_late_answer_of_a_turn_that_was_lost_with_its_link_does_not_end_the_next_turn() -> None:
    script = Script()
    script.act(1, "one")
    script.answer("re one", "a")
    script.act(2, "two")
    script.cut()
    assert script.done[-1] == (2, "failed")
    script.act(3, "three")
    script.connect()
    assert len(script.sent) == 2, "turn 3 waits for the late answer of turn 2"
    script.answer("re two", "b")
    script.answer("re three", "c")
    assert script.texts[1:] == [(2, "re two"), (3, "re three")]
    assert script.done == [(1, "completed"), (2, "failed"), (3, "completed")]


def test_a_message_of_a_live_agent_has_the_sender_agent_and_no_turn() -> None:
    script = Script()
    script.act(1, "one")
    script.server("live-agent-message", message="Hello, this is Ada")
    record = script.seen[-1]
    assert (record.kind, record.sender, record.turn, record.text) == ("text", "agent", 0, "Hello, this is Ada")
    assert voiceflow.DIALECT.content(record.event, record.payload) == Text("Hello, this is Ada")


# Errors


def test_an_error_during_a_turn_ends_it_as_failed_with_its_status() -> None:
    script = Script()
    script.act(1)
    script.status("accepted", "a")
    script.server("error", code="quota", error="too many tokens")
    script.text("half", "a")
    assert not script.done
    script.status("completed", "a")
    assert script.seen[-1] == TurnDone(1, "failed", "too many tokens (quota)")
    assert script.texts == [(1, "half")]


def test_an_error_without_a_status_ends_its_turn_shortly_after_its_last_event() -> None:
    script = Script()
    script.act(1)
    script.status("accepted", "a")
    script.server("error", error="broken")
    script.wait(1.5)
    script.text("half", "a")
    script.wait(1.5)
    assert not script.done
    script.wait(0.5)
    assert script.done == [(1, "failed")]


def test_an_error_between_two_turns_belongs_to_no_turn() -> None:
    script = Script()
    script.act(1)
    script.answer("re", "a")
    script.server("error", error="maintenance at noon")
    assert (script.seen[-1].turn, script.seen[-1].error) == (0, "maintenance at noon")
    script.act(2)
    script.answer("re", "b")
    assert script.done == [(1, "completed"), (2, "completed")]


@pytest.mark.parametrize("text", ["An internal error occurred.", "ERROR: turn timeout - check for infinite loops"])
def test_a_reported_failure_of_the_runtime_ends_the_turn_as_failed(text: str) -> None:
    script = Script()
    script.act(1)
    script.status("accepted", "a")
    script.server("action.trace", trace={"type": "debug", "payload": {"message": text}}, messageID="a")
    script.server("action.trace", trace={"type": "end"}, messageID="a")
    script.status("completed", "a")
    assert script.seen[-1] == TurnDone(1, "failed", text)


def test_a_flow_that_raises_ends_its_turn_as_failed(hub: Hub) -> None:
    flow = Flow("raises on Voiceflow")

    @flow.otherwise
    def broken(turn: FlowTurn) -> None:
        turn.say("One moment")
        raise ZeroDivisionError(turn.text)

    bot = hub.connect("voiceflow", simulate=True, flow=flow)
    with pytest.raises(TurnFailed, match="ZeroDivisionError: hi") as failed:
        bot.say("hi")
    assert failed.value.turn
    assert (failed.value.turn.status, failed.value.turn.text) == ("failed", "One moment")


def test_an_audio_chunk_that_cannot_be_read_is_an_error_row_and_the_turn_goes_on() -> None:
    script = Script()
    script.act(1)
    script.status("accepted", "a")
    chunk = {"type": "audio", "payload": {"state": "content", "content": "not base64!"}}
    script.server("action.trace", trace=chunk, messageID="a")
    assert (script.seen[-1].kind, script.seen[-1].error) == ("error", "audio chunk: the sound is not base64")
    script.status("completed", "a")
    assert script.done == [(1, "completed")]


# Restarts

ACTION = {"type": "text", "payload": "one"}
REPLAY = {**ACTION, "diagramID": "d1", "time": 1720552033}


@pytest.mark.parametrize("accepted", [False, True])
@pytest.mark.parametrize("echo", [True, False])
def test_a_restarting_server_receives_its_action_as_it_came_and_ends_the_turn(accepted: Any, echo: Any) -> None:
    script = Script()
    script.act(1, "one")
    own = script.sent[0]["messageID"]
    if accepted:
        script.status("accepted", own if echo else "a")
        script.text("first half", own if echo else "a")
    script.server("server.restart", action=REPLAY)
    assert isinstance(script.seen[-1], Reconnect)
    script.cut()
    script.connect()
    assert script.sent[1:] == [{"action": REPLAY, "messageID": own}]
    for step in ("first half", "second half"):
        if step == "first half":
            script.status("accepted", own if echo else "b")
        script.text(step, own if echo else "b")
    script.status("completed", own if echo else "b")
    assert script.texts == [(1, "first half"), (1, "second half")], "nothing is shown twice"
    assert (script.done, script.warned) == ([(1, "completed")], [])


def test_a_restart_without_an_action_sends_an_unconfirmed_action_again() -> None:
    script = Script()
    script.act(1, "one")
    script.server("server.restart")
    script.cut()
    script.connect()
    assert [sent["action"] for sent in script.sent] == [ACTION] * 2
    script.answer("re one", "a")
    assert script.done == [(1, "completed")]


@pytest.mark.parametrize("continues", [True, False])
def test_a_restart_without_an_action_does_not_leave_an_accepted_turn_hanging(continues: Any) -> None:
    script = Script()
    script.act(1, "one")
    script.status("accepted", "a")
    script.server("server.restart")
    script.cut()
    script.connect()
    if continues:
        script.text("re one", "a")
    script.wait(5.0)
    assert script.seen[-1] == TurnDone(1, "failed", RESTARTED) or continues
    if continues:
        script.status("completed", "a")
        assert script.done == [(1, "completed")]


@pytest.mark.parametrize("fault", ["restart_before", "restart_after"])
@pytest.mark.parametrize("options", [{}, {"message_ids": "server"}, {"restart_action": False}])
def test_the_simulator_restarts_around_an_action_which_then_runs_once(
    hub: Hub, fault: str, options: dict[str, Any]
) -> None:
    flow, inputs = Flow("restart"), count(1)

    @flow.otherwise
    def answer(turn: FlowTurn) -> None:
        turn.say(f"{turn.text} {next(inputs)}")

    simulator = hub.simulate("voiceflow", flow, **options)
    bot = hub.connect("voiceflow", **simulator.settings, late_answer_timeout=0.5)
    assert bot.say("hello").text == "hello 1"
    simulator.fault(fault)
    assert bot.say("again", timeout=8).text == "again 2"
    assert bot.say("third").text == "third 3"


def test_a_restarting_server_closes_the_old_link_after_a_while() -> None:
    server = voiceflow.DIALECT.server(SETTINGS, ids(), OPTIONS)
    server.received("a", "client.start", START, 0.0)
    server.received("a", "session.create", {}, 0.0)
    (restart,) = server.fault("restart")
    assert isinstance(restart, Emit)
    assert server.timer(100.0) == []
    assert server.deadline == 105.0
    assert server.timer(105.0) == [Close("a")]
    assert server.deadline is None


# Explanations


def test_a_queued_turn_says_what_it_waits_for() -> None:
    script = Script()
    script.act(1)
    script.act(2)
    script.act(3)
    explain = script.client.explain
    assert explain(1) == "the server did not answer it: no action.status arrived"
    assert explain(2) == "not sent: waiting for the end of turn 1"
    assert explain(3) == "not sent: waiting for the end of turn 2"
    script.abandon(1)
    assert explain(2) == "not sent: waiting up to 5 s for the late answer of turn 1"
    script.answer("re", "a")
    script.status("accepted", "b")
    assert explain(2) == "the server accepted it, but did not report its end: no action.status completed arrived"
    script.server("error", error="broken")
    assert explain(2) == "the bot reported an error: broken"
    script.cut()
    assert explain(3) == "not sent: the link is down"
    assert explain(1) is None


def test_a_turn_whose_link_was_lost_says_so() -> None:
    script = Script()
    script.act(1)
    script.status("accepted", script.sent[0]["messageID"])
    script.cut()
    script.connect()
    assert script.client.explain(1) == "the link was lost after this was sent, and the server did not continue it"


def test_the_pause_after_a_time_out_is_a_setting() -> None:
    script = Script(late_answer_timeout=1.5)
    script.act(1)
    script.abandon(1)
    script.act(2)
    assert script.client.explain(2) == "not sent: waiting up to 1.5 s for the late answer of turn 1"
    script.wait(1.5)
    assert len(script.sent) == 2


def test_an_action_is_not_queued_if_the_queue_is_full() -> None:
    script = Script()
    script.cut()
    for turn in range(1, MAX_QUEUED_TURNS + 2):
        script.act(turn)
    assert script.done == [(MAX_QUEUED_TURNS + 1, "failed")]
    assert script.seen[-1].reason == QUEUE_FULL


# The handshake


@pytest.mark.parametrize(
    ("event", "payload", "reason"),
    [
        (
            "client.started",
            {"newSessionRequired": "yes"},
            "malformed client.started: newSessionRequired is neither true nor false",
        ),
        ("session.created", {}, "malformed session.created: sessionKey is missing"),
    ],
)
def test_a_malformed_handshake_fails_with_that_reason(event: str, payload: Any, reason: str) -> None:
    client = voiceflow.DIALECT.client(SETTINGS, ids())
    client.dial(0.0)
    client.opened(0.0)
    if event == "session.created":
        client.received("client.started", {"newSessionRequired": True}, 0.0)
    record, failed = client.received(event, payload, 0.0)
    assert isinstance(record, Record)
    assert (record.error, failed) == (reason, Failed(reason, "lost"))


def test_a_session_that_starts_anew_instead_of_resuming_has_a_warning() -> None:
    script = Script()
    script.cut()
    script.connect(new=True)
    assert warn(0, "the stored session no longer exists, so a new one begins") in script.seen


def test_the_session_of_another_user_is_not_resumed() -> None:
    server = voiceflow.DIALECT.server(SETTINGS, ids(), OPTIONS)
    server.received("a", "client.start", START, 0.0)
    (created,) = server.received("a", "session.create", {}, 0.0)
    assert isinstance(created, Emit)
    for user, required in (("a", False), ("b", True)):
        (started,) = server.received(user, "client.start", {**START, **created.args[0], "userID": user}, 0.0)
        assert isinstance(started, Emit)
        assert started.args == ({"newSessionRequired": required},)


def test_an_unknown_audio_encoding_is_refused() -> None:
    server = voiceflow.DIALECT.server(SETTINGS, ids(), OPTIONS)
    error, close = server.received("a", "client.start", {**START, "config": AUDIO}, 0.0)
    assert isinstance(error, Emit)
    text = "unknown audioEncoding 'audio/opus': choose audio/x-mulaw or audio/pcm"
    assert error.args == ({"code": "bad_request", "error": text},)
    assert close == Close("a")


@pytest.mark.parametrize(("both", "links"), [(True, ["a", "b"]), (False, ["b"])])
def test_two_links_of_one_session_both_receive_its_events_with_the_option_both_links(
    both: Any, links: list[str]
) -> None:
    server = voiceflow.DIALECT.server(SETTINGS, ids(), {**OPTIONS, "both_links": both})
    server.received("a", "client.start", START, 0.0)
    (created,) = server.received("a", "session.create", {}, 0.0)
    assert isinstance(created, Emit)
    server.received("b", "client.start", {**START, **created.args[0]}, 0.0)
    effects = server.received("a", "action.send", {"action": ACTION}, 0.0)
    assert [effect.link for effect in effects if isinstance(effect, Emit)] == links


def test_a_delayed_answer_with_ids_of_the_server_is_late_and_belongs_to_its_own_turn() -> None:
    server = voiceflow.DIALECT.server(SETTINGS, ids(), {**OPTIONS, "message_ids": "server", "late_by": 3.0})
    server.received("a", "client.start", START, 0.0)
    server.received("a", "session.create", {}, 0.0)
    server.fault("late")
    effects = server.received("a", "action.send", {"action": ACTION, "messageID": "mine"}, 10.0)
    (run,) = effects
    assert isinstance(run, RunFlow)
    server.put(run.conversation, Text("re"), 10.0)
    server.done(run.conversation, None, 10.0)
    assert server.deadline == 13.0
    sent: list[Any] = [effect.args[0] for effect in server.timer(13.0) if isinstance(effect, Emit)]
    assert [payload.get("status", "trace") for payload in sent] == ["accepted", "trace", "completed"]
    assert "mine" not in {payload["messageID"] for payload in sent}


def test_a_delayed_answer_that_ends_the_session_is_sent_with_the_end() -> None:
    server = voiceflow.DIALECT.server(SETTINGS, ids(), {**OPTIONS, "late_by": 3.0})
    server.received("a", "client.start", START, 0.0)
    server.received("a", "session.create", {}, 0.0)
    server.fault("late")
    (run,) = server.received("a", "action.send", {"action": ACTION, "messageID": "mine"}, 10.0)
    assert isinstance(run, RunFlow)
    server.put(run.conversation, Text("bye"), 10.0)
    server.put(run.conversation, End(), 10.0)
    assert server.done(run.conversation, None, 10.0) == [EndFlow(run.conversation)]
    sent = [effect.event for effect in server.timer(13.0) if isinstance(effect, Emit)]
    assert sent == ["action.status", "action.trace", "action.trace", "action.status", "session.ended"]
    assert server.deadline is None


# Nothing is lost on the way


@pytest.mark.parametrize("pieces", [True, False])
def test_a_stream_loses_no_text(pieces: Any) -> None:
    steps = [Delta("s", "One ", first=True), Delta("s", "two.", last=True), Delta("s", "Three.", first=True, last=True)]
    pair = Pair(lambda _: steps, completion_events=pieces)
    pair.connect()
    pair.act(1, say("go"))
    texts = "".join(r.text or "" for r in pair.of(Record) if r.kind in ("text", "delta"))
    assert texts == "One two.Three."


def test_a_stream_that_begins_again_keeps_its_first_text() -> None:
    steps = [Delta("s", "Half", first=True), Delta("s", "Whole", first=True), Delta("s", ".", last=True)]
    pair = Pair(lambda _: steps)
    pair.connect()
    pair.act(1, say("go"))
    assert [r.text for r in pair.of(Record) if r.kind == "text"] == ["Half", "Whole."]


def test_texts_and_buttons_beside_pictures_and_cards_are_sent() -> None:
    steps = [
        Media("image", "https://x/a.png", "Our shop", options=(Choice("Visit"),)),
        Cards((), text="Our shoes", options=(Choice("More"),)),
        AgentSays("Look", {"name": "map.pdf", "url": "https://x/map.pdf"}),
    ]
    pair = Pair(lambda _: steps)
    pair.connect()
    pair.act(1, say("go"))
    shown = [r.text for r in pair.of(Record) if r.kind in ("text", "choices")]
    assert shown == ["Our shop", "[Visit]", "Our shoes", "[More]", "Look", "[map.pdf](https://x/map.pdf)"]


def test_a_trace_that_is_received_again_adds_no_fact_to_its_turn() -> None:
    script = Script()
    script.act(1)
    step = {"type": "block", "payload": {"blockID": "b1"}}
    for again in (False, True):
        if again:
            script.cut()
            script.connect()
        script.status("accepted", "a")
        script.server("action.trace", trace=step, messageID="a")
    found = [(r.kind, r.node) for r in script.seen if isinstance(r, Record) and r.event == "action.trace"]
    assert found == [("block", "b1"), ("status", None)]
    assert "status" not in (voiceflow.DIALECT.fact_kinds or ())


def test_the_last_trace_of_a_turn_with_an_error_says_that_it_failed() -> None:
    script = Script()
    script.act(1)
    script.status("accepted", "a")
    script.server("error", error="boom")
    script.status("completed", "a")
    records = [r for r in script.seen if isinstance(r, Record)]
    assert [r.text for r in records if r.final] == ["failed"]
    assert [r.error for r in records if r.error] == ["boom"]
    assert script.done == [(1, "failed")]


def test_an_error_before_accepted_may_belong_to_the_turn_before() -> None:
    script = Script()
    script.act(1)
    script.answer("one", "a")
    assert not script.warned
    script.act(2)
    script.server("error", error="boom")
    script.answer("two", "b")
    assert script.done == [(1, "completed"), (2, "failed")]
    assert script.warned == [2]


def test_a_turn_is_warned_once_about_one_doubt() -> None:
    script = Script()
    script.act(1)
    script.abandon(1)
    script.wait(5)
    for turn in (2, 3):
        script.act(turn)
        script.answer("hi", f"id {turn}")
    assert sorted(script.warned) == [1, 2, 3]

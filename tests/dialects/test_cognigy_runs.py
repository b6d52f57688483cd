"""Which turn an event belongs to, when a turn ends, and what prevents it: Cognigy's client against lists of events."""

from typing import Any

import pytest
from test_cognigy import LAUNCH, PING, TYPING, lose_link, output, ready

from socketnb.dialects import cognigy
from socketnb.model.actions import Action
from socketnb.model.effects import Emit, Record, TurnDone

LEFT_OVER = "a run that this session did not ask for took place near this turn"
JOINED = {"_cognigy": {"_webchat3": {"type": "liveAgentEvent", "payload": {"action": "joined", "agentName": "Ada"}}}}
LEFT = {"_cognigy": {"_webchat3": {"type": "liveAgentEvent", "payload": {"action": "left"}}}}


def bot(text: str, trace: str | None = None) -> tuple[str, Any]:
    return "output", output(text, **({"traceId": trace} if trace else {}))


def agent(text: str) -> tuple[str, Any]:
    return "output", output(text, source="agent")


class Talk:
    """A client, and everything that it did."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.now = 0.0
        self.effects: list[Any] = []

    def act(self, turn: int, text: str = "hi", **more: Any) -> None:
        self.effects += self.client.act(turn, Action("text", {"text": text}, **more), self.now)

    def hear(self, *events: tuple[str, Any], seconds: float = 0.01) -> None:
        for event in events:
            self.now += seconds
            self.effects += self.client.received(*event, self.now)

    def wait(self, seconds: float) -> None:
        until = self.now + seconds
        while self.client.deadline is not None and self.client.deadline <= until:
            self.now = max(self.now, self.client.deadline)
            self.effects += self.client.timer(self.now)
        self.now = until

    @property
    def messages(self) -> list[tuple[int, str | None]]:
        return [(e.turn, e.text) for e in self.effects if isinstance(e, Record) and e.kind in ("text", "delta")]

    @property
    def ends(self) -> list[tuple[int, str]]:
        return [(e.turn, e.status) for e in self.effects if isinstance(e, TurnDone)]

    @property
    def warnings(self) -> dict[int, str]:
        return {e.turn: e.text or "" for e in self.effects if isinstance(e, Record) and e.kind == "warning"}

    @property
    def sent(self) -> list[str]:
        return [e.args[0]["text"] for e in self.effects if isinstance(e, Emit)]


@pytest.fixture
def talk() -> Talk:
    return Talk(ready())


def answered(talk: Talk, turns: int, *, typing: bool = True) -> None:
    """Let the bot answer some turns, with two outputs and one trace id each."""
    for turn in range(1, turns + 1):
        talk.act(turn)
        events = [bot("a", f"run {turn}"), bot("b", f"run {turn}"), PING]
        talk.hear(*([TYPING, *events] if typing else events))


# Runs that nobody asked for


def test_an_unasked_run_belongs_to_no_turn_and_its_final_ping_ends_nothing(talk: Talk) -> None:
    talk.act(1)
    talk.hear(TYPING, bot("one"), PING)
    talk.wait(60)
    talk.hear(TYPING, bot("news"))
    talk.act(2)
    talk.hear(bot("more news"), PING, TYPING, bot("two"), PING)
    assert talk.messages == [(1, "one"), (0, "news"), (0, "more news"), (2, "two")]
    assert talk.ends == [(1, "completed"), (2, "completed")]
    assert talk.warnings == {}


def test_a_final_ping_that_no_input_is_owed_ends_nothing(talk: Talk) -> None:
    talk.hear(PING)
    talk.act(1)
    assert talk.ends == []
    talk.hear(TYPING, bot("one"), PING)
    assert talk.ends == [(1, "completed")]


def test_turns_that_an_unasked_run_shifted_get_a_warning_when_a_run_is_left_over(talk: Talk) -> None:
    talk.act(1)
    talk.hear(TYPING, bot("before"), PING)
    talk.wait(60)
    for turn in (2, 3):
        talk.act(turn)
        talk.hear(TYPING, bot("injected" if turn == 2 else "two"), PING)
    assert talk.warnings == {}
    talk.hear(TYPING, bot("three"), PING)
    assert {turn: text[: len(LEFT_OVER)] for turn, text in talk.warnings.items()} == {2: LEFT_OVER, 3: LEFT_OVER}
    talk.wait(60)
    talk.act(4)
    talk.hear(TYPING, bot("four"), PING)
    assert talk.messages[-1] == (4, "four"), "no shift outlives a quiet moment"
    assert set(talk.warnings) == {2, 3}


@pytest.mark.parametrize("first", [(), (TYPING,)])
def test_a_left_over_run_whose_typing_was_lost_with_the_link_is_a_warning(talk: Talk, first: Any) -> None:
    answered(talk, 3)
    talk.act(4, "question")
    talk.hear(TYPING, bot("injected", "other"))
    lose_link(talk.client, talk.now)
    talk.hear(*first, PING, ("endpoint-ready", None), bot("answer", "own"), PING)
    assert talk.messages[-2:] == [(4, "injected"), (0, "answer")]
    assert talk.warnings[4].startswith(LEFT_OVER)
    talk.act(5)
    talk.hear(TYPING, bot("five", "run 5"), PING)
    assert (talk.messages[-1], talk.ends[-1]) == ((5, "five"), (5, "completed"))
    assert 5 not in talk.warnings


def test_the_final_ping_of_an_unasked_run_that_was_cut_is_not_a_repetition(talk: Talk) -> None:
    for turn in (1, 2, 3):
        talk.act(turn)
        talk.hear(TYPING, bot(f"re {turn}", "always"), PING)
    talk.hear(TYPING)
    talk.act(4)
    lose_link(talk.client, talk.now)
    talk.hear(bot("injected", "always"), PING, ("endpoint-ready", None), bot("answer", "always"), PING)
    assert talk.messages[-2:] == [(0, "injected"), (4, "answer")]
    assert talk.ends[-1] == (4, "completed")


def test_a_notification_while_no_turn_runs_belongs_to_no_turn_and_does_not_delay_the_next(talk: Talk) -> None:
    answered(talk, 2)
    talk.wait(1)
    talk.hear(bot("by the way", "other"))
    talk.act(3)
    talk.hear(TYPING, bot("three", "run 3"), PING)
    assert talk.messages[-2:] == [(0, "by the way"), (3, "three")]
    assert talk.ends[-1] == (3, "completed")
    assert talk.warnings == {}


def test_a_notification_just_before_an_input_to_an_endpoint_that_does_not_type_is_a_warning(talk: Talk) -> None:
    talk.hear(bot("by the way"))
    talk.act(1)
    talk.hear(bot("one"), PING)
    assert talk.messages == [(0, "by the way"), (1, "one")]
    assert talk.ends == [(1, "completed")]
    assert "was not asked for" in talk.warnings[1]


def test_an_output_with_the_id_of_an_earlier_run_belongs_to_that_run(talk: Talk) -> None:
    answered(talk, 2)
    talk.act(3)
    talk.hear(TYPING, bot("late", "run 1"), bot("three", "run 3"), PING)
    assert talk.messages[-2:] == [(1, "late"), (3, "three")]


def test_an_output_with_another_id_than_the_run_belongs_to_no_turn(talk: Talk) -> None:
    answered(talk, 2)
    talk.act(3)
    talk.hear(TYPING, bot("a", "run 3"), bot("b", "run 3"), bot("by the way", "other"), PING)
    assert talk.messages[-1] == (0, "by the way")


def test_an_output_with_another_id_is_a_warning_if_the_run_is_not_known_by_its_id_yet(talk: Talk) -> None:
    answered(talk, 2)
    talk.act(3)
    talk.hear(TYPING, bot("by the way", "other"), bot("a", "run 3"), PING)
    assert talk.messages[-2:] == [(3, "by the way"), (3, "a")]
    assert "different trace ids" in talk.warnings[3]


@pytest.mark.parametrize("ids", ["ab", "aa", ""])
def test_ids_that_identify_no_run_decide_nothing(talk: Talk, ids: str) -> None:
    for turn in range(1, 9):
        talk.act(turn)
        talk.hear(*(bot("hi", f"{each}{turn}" if ids == "ab" else each) for each in ids or [""]), PING)
    assert {turn for turn, _ in talk.messages} == set(range(1, 9))
    assert talk.warnings == {}


# finalPing


def test_a_repeated_final_ping_does_not_end_the_next_turn(talk: Talk) -> None:
    talk.act(1)
    talk.hear(TYPING, bot("one"), PING)
    talk.act(2)
    talk.hear(PING)
    assert talk.ends == [(1, "completed")]
    talk.hear(TYPING, bot("two"), PING)
    assert talk.ends == [(1, "completed"), (2, "completed")]
    assert talk.messages == [(1, "one"), (2, "two")]


def test_a_final_ping_that_comes_first_ends_its_turn_if_nothing_follows(talk: Talk) -> None:
    talk.act(1)
    talk.hear(TYPING, bot("one"), PING)
    talk.act(2)
    talk.hear(("finalPing", {"type": "cognigyStopFlow"}))
    talk.wait(1)
    assert talk.ends == [(1, "completed"), (2, "completed")]
    assert [e.reason for e in talk.effects if isinstance(e, TurnDone)] == [None, "cognigyStopFlow"]


def test_a_final_ping_that_comes_first_ends_its_turn_at_once_if_the_last_one_came_long_ago(talk: Talk) -> None:
    answered(talk, 3, typing=False)
    talk.wait(6)
    talk.act(4)
    talk.hear(PING)
    assert talk.ends[-1] == (4, "completed")
    talk.act(5)
    talk.hear(PING, bot("five"), PING)
    assert talk.ends[-1] == (5, "completed")
    assert (5, "five") in talk.messages


def test_a_final_ping_without_a_type_ends_its_turn_without_a_reason(talk: Talk) -> None:
    talk.act(1)
    talk.hear(TYPING, ("finalPing", None))
    assert [e.reason for e in talk.effects if isinstance(e, TurnDone)] == [None]


def test_the_late_final_ping_of_a_turn_that_timed_out_ends_no_other_turn(talk: Talk) -> None:
    talk.act(1)
    talk.hear(TYPING, bot("one"))
    talk.client.abandon(1, talk.now)
    talk.act(2)
    talk.wait(5)
    talk.hear(PING, TYPING, bot("two"))
    assert talk.ends == []
    talk.hear(PING)
    assert talk.ends == [(2, "completed")]


# Turns that are not answered


def test_a_silent_answer_delays_the_next_turn_by_the_setting_and_no_further() -> None:
    talk = Talk(ready(late_answer_timeout=2.0))
    talk.act(1, "silent")
    talk.client.abandon(1, talk.now)
    for turn in (2, 3):
        talk.act(turn, f"t{turn}")
    assert talk.client.explain(2) == "not sent: waiting up to 2 s for the late answer of turn 1"
    talk.wait(2)
    assert talk.sent == ["silent", "t2"]
    assert talk.client.explain(3) == "not sent: waiting for the end of turn 2"
    talk.hear(TYPING, bot("two"), PING)
    assert talk.sent == ["silent", "t2", "t3"]
    assert "turn 1 was not answered in time" in talk.warnings[2]


def test_a_late_answer_while_nothing_runs_belongs_to_its_turn(talk: Talk) -> None:
    talk.act(1)
    talk.client.abandon(1, talk.now)
    talk.wait(20)
    talk.hear(TYPING, bot("one"), PING)
    assert talk.messages == [(1, "one")]
    assert set(talk.warnings) == {1}


def test_a_turn_that_is_not_sent_says_why() -> None:
    client = cognigy.DIALECT.client(ready()._settings, lambda: "id")
    client.act(1, LAUNCH, 0.0)
    assert client.explain(1) == "not sent: the link is down"
    client.dial(0.0)
    client.opened(0.0)
    assert client.explain(1) == "not sent: waiting up to 2 s for endpoint-ready"
    assert client.explain(2) is None
    client = ready(expires_in=1.0)
    client.timer(1.0)
    client.act(1, LAUNCH, 2.0)
    assert client.explain(1) == "not sent: a new conversation is being opened"
    client = ready()
    client.act(1, Action("upload", {"file": "/a.pdf"}), 0.0)
    client.act(2, LAUNCH, 0.0)
    assert client.explain(1) == "the endpoint has not answered the upload"
    assert client.explain(2) == "not sent: waiting for the end of turn 1"


def test_a_turn_that_was_sent_says_what_prevented_its_answer(talk: Talk) -> None:
    talk.act(1)
    assert talk.client.explain(1) is None
    lose_link(talk.client, 1.0)
    assert talk.client.explain(1) == "the link was lost after this was sent"
    talk = Talk(ready())
    talk.hear(TYPING)
    talk.act(1)
    assert talk.client.explain(1) == "a run that this session did not ask for has not ended"


# Readiness


def unready(**changed: Any) -> Talk:
    """Return a client whose endpoint has not said that it is ready."""
    talk = Talk(cognigy.DIALECT.client({**ready()._settings, **changed}, lambda: "id"))
    talk.client.dial(0.0)
    talk.effects += talk.client.opened(0.0)
    return talk


def test_an_input_that_was_sent_before_the_endpoint_was_ready_is_sent_again_with_a_warning() -> None:
    talk = unready(ready_timeout=3.0)
    talk.act(1, "early")
    talk.act(2, "second")
    talk.wait(2.9)
    assert talk.sent == []
    talk.wait(0.1)
    assert talk.sent == ["early"]
    assert talk.warnings[0].startswith(
        "connected, but the endpoint never said it is ready: an old endpoint, or a wrong"
    )
    assert talk.client.explain(1) == "the endpoint never said it is ready"
    talk.hear(("endpoint-ready", None))
    assert talk.sent == ["early", "early"]
    assert "sent again" in talk.warnings[1]
    assert talk.client.explain(1) is None


def test_the_input_of_a_turn_that_timed_out_is_not_sent_again_when_the_endpoint_is_ready_late() -> None:
    talk = unready(ready_timeout=1.0)
    talk.act(1, "order")
    talk.wait(1.0)
    talk.act(2, "order once more")
    talk.effects += talk.client.abandon(1, talk.now)
    talk.hear(("endpoint-ready", None))
    assert talk.sent == ["order", "order once more"], "the next turn is sent at once"
    assert 1 not in talk.warnings
    talk.hear(TYPING, bot("ordered"), PING)
    assert (talk.messages, talk.ends) == ([(2, "ordered")], [(2, "completed")])


@pytest.mark.parametrize("first", [TYPING, bot("one")])
def test_an_input_that_was_answered_before_the_endpoint_was_ready_is_not_sent_again(first: tuple[str, Any]) -> None:
    talk = unready()
    talk.act(1, "early")
    talk.wait(2)
    talk.hear(first, ("endpoint-ready", None))
    assert talk.sent == ["early"]
    assert set(talk.warnings) == {0}


def test_a_session_that_does_not_wait_until_the_endpoint_is_ready_gets_no_warning() -> None:
    talk = unready(ready_timeout=0.0)
    talk.act(1, "early")
    assert talk.sent == ["early"]
    talk.hear(TYPING, bot("one"), PING, ("endpoint-ready", None))
    assert (talk.sent, talk.warnings) == (["early"], {})


# Agents


def handed_over() -> Talk:
    """Return a conversation that an agent has taken over in turn 1."""
    talk = Talk(ready())
    talk.act(1, "agent please")
    talk.hear(TYPING, ("output", output("", data=JOINED)), PING)
    return talk


def test_a_final_ping_ends_a_turn_at_once_while_an_agent_handles_the_conversation() -> None:
    talk = handed_over()
    talk.act(2)
    talk.hear(PING)
    assert talk.ends == [(1, "completed"), (2, "completed")]
    talk.hear(agent("hello"), seconds=60)
    assert talk.messages == [(2, "hello")]


def test_an_agents_answer_ends_a_turn_and_a_later_final_ping_ends_nothing() -> None:
    talk = handed_over()
    talk.act(2)
    talk.hear(agent("hello"))
    assert talk.ends[-1] == (2, "completed")
    talk.act(3)
    talk.hear(PING)
    assert talk.ends[-1] == (2, "completed")
    talk.hear(agent("how are you?"))
    assert (talk.messages, talk.ends[-1]) == ([(2, "hello"), (3, "how are you?")], (3, "completed"))
    assert talk.warnings == {}


def test_a_turn_that_an_agent_does_not_answer_does_not_time_out() -> None:
    talk = handed_over()
    talk.act(2)
    talk.wait(5)
    assert talk.ends[-1] == (2, "completed")
    talk.hear(agent("sorry, I was away"), seconds=100)
    assert talk.messages == [(2, "sorry, I was away")]


def test_a_handover_without_a_final_ping_ends_after_the_agents_words(talk: Talk) -> None:
    talk.act(1)
    talk.hear(TYPING, bot("One moment."), agent("I am Ada"))
    assert talk.ends == []
    talk.wait(5)
    assert talk.ends == [(1, "completed")]
    assert talk.messages == [(1, "One moment."), (1, "I am Ada")]


def test_the_bot_handles_the_conversation_again_after_the_agent_has_left() -> None:
    talk = handed_over()
    talk.hear(("output", output("", data=LEFT)))
    talk.act(2)
    talk.wait(9)
    assert talk.ends == [(1, "completed")], "the bot may take its time"


# Errors


@pytest.mark.parametrize("event", [("output", {"type": "error", "data": {"error": "boom"}}), ("exception", "boom")])
def test_a_turn_with_an_error_fails_at_its_final_ping(talk: Talk, event: tuple[str, Any]) -> None:
    talk.act(1)
    talk.hear(TYPING, event, bot("sorry"), PING)
    (done,) = [e for e in talk.effects if isinstance(e, TurnDone)]
    assert (done.turn, done.status, done.reason) == (1, "failed", "boom")
    talk.act(2)
    talk.hear(TYPING, PING)
    assert talk.ends[-1] == (2, "completed")


def test_an_error_while_no_turn_runs_belongs_to_no_turn(talk: Talk) -> None:
    answered(talk, 1)
    talk.hear(("exception", "boom"))
    assert [(e.turn, e.error) for e in talk.effects if isinstance(e, Record) and e.kind == "error"] == [(0, "boom")]


# Equal outputs after a lost link


def reconnect(talk: Talk, *before: tuple[str, Any]) -> None:
    lose_link(talk.client, talk.now)
    talk.hear(*before, ("endpoint-ready", None))


@pytest.mark.parametrize("trace", ["run 3", None])
def test_an_equal_output_after_the_endpoint_is_ready_again_is_a_new_message(talk: Talk, trace: str | None) -> None:
    answered(talk, 2)
    talk.act(3)
    talk.hear(TYPING, bot("ok", trace))
    reconnect(talk)
    talk.hear(bot("ok", trace), PING)
    assert talk.messages[-2:] == [(3, "ok"), (3, "ok")]
    assert "may be a repetition" in talk.warnings[3]
    assert talk.ends[-1] == (3, "completed")


def test_an_output_that_is_repeated_before_the_endpoint_is_ready_is_shown_once_with_a_warning(talk: Talk) -> None:
    answered(talk, 2)
    talk.act(3)
    talk.hear(TYPING, bot("ok", "run 3"))
    reconnect(talk, bot("ok", "run 3"))
    talk.hear(PING)
    assert talk.messages[-1] == (3, "ok")
    assert len(talk.messages) == 5
    assert "may be a repetition" in talk.warnings[3]


def test_a_second_equal_output_after_a_repetition_is_a_new_message(talk: Talk) -> None:
    answered(talk, 2)
    talk.act(3)
    talk.hear(TYPING, bot("ok", "run 3"))
    reconnect(talk, bot("ok", "run 3"), bot("ok", "run 3"))
    assert talk.messages[-2:] == [(3, "ok"), (3, "ok")]


def test_the_repeated_answer_of_an_earlier_turn_is_recognised_by_its_id(talk: Talk) -> None:
    answered(talk, 2)
    talk.act(3)
    talk.hear(TYPING)
    reconnect(talk, bot("a", "run 2"), bot("b", "run 2"), PING)
    talk.hear(bot("three", "run 3"), PING)
    assert talk.messages[-1] == (3, "three")
    assert len(talk.messages) == 5
    assert talk.warnings == {}


def test_a_text_can_carry_data(talk: Talk) -> None:
    talk.effects += talk.client.act(1, Action("text", {"text": "hi", "data": {"k": 1}}), 0.0)
    (sent,) = [e for e in talk.effects if isinstance(e, Emit)]
    assert (sent.args[0]["text"], sent.args[0]["data"]) == ("hi", {"k": 1})

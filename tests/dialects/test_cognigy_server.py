"""Cognigy's server machine without a client: the order of events, traceIds, faults and options."""

from typing import Any

import pytest
from test_cognigy import given_, ids, options, request

from socketnb.dialects import cognigy
from socketnb.model.content import AgentSays, End, Handover, Queue, Step, Text
from socketnb.model.effects import Close, Emit, EndFlow, HttpReply, RunFlow

Event = tuple[str, Any]


class Endpoint:
    """A server machine with one conversation. It keeps what each link receives. The flow answers when told to."""

    def __init__(self, *links: str, **changed: Any) -> None:
        self.machine: Any = cognigy.DIALECT.server(given_(), ids(), options(**changed))
        self.sent: dict[str, list[Event]] = {}
        self.effects: list[Any] = []
        self.acks: list[Any] = []
        for link in links or ("link",):
            self.open(link)
        self.sent = {link: [] for link in links or ("link",)}

    def open(self, link: str, now: float = 0.0, **query: str) -> None:
        fields = {"urlToken": "planted-token", "userId": "u", "sessionId": "s", "emitWithAck": "true", **query}
        self.take(self.machine.opened(link, fields, now))

    def take(self, effects: Any) -> None:
        for effect in effects:
            self.effects.append(effect)
            if isinstance(effect, Emit):
                self.acks.append((effect.link, effect.ack))
                name, payload = effect.event, effect.args[0] if effect.args else None
                self.sent.setdefault(effect.link, []).append((name, payload))

    def say(self, text: str, link: str = "link", now: float = 0.0, **more: Any) -> None:
        fields = {"URLToken": "planted-token", "userId": "u", "sessionId": "s", "text": text, **more}
        self.take(self.machine.received(link, "processInput", fields, now))

    @property
    def name(self) -> str:
        return str(self.machine.conversation(None))

    def put(self, *steps: Step) -> None:
        for step in steps:
            self.take(self.machine.put(self.name, step, 0.0))

    def done(self, error: str | None = None) -> None:
        self.take(self.machine.done(self.name, error, 0.0))

    def answer(self, *steps: Step, error: str | None = None) -> None:
        """Let the flow end its turn with these steps."""
        self.put(*steps)
        self.done(error)

    def fault(self, name: str) -> None:
        self.take(self.machine.fault(name))

    @property
    def ran(self) -> list[str]:
        """The texts that the flow was run for."""
        return [effect.user_input.text for effect in self.effects if isinstance(effect, RunFlow)]

    def words(self, link: str = "link") -> list[str]:
        """Return what a link has received, in words."""
        return [words(*event) for event in self.sent[link]]

    def traces(self, link: str = "link") -> list[Any]:
        """Return the traceId of each output."""
        outputs = [payload for event, payload in self.sent[link] if event == "output"]
        return [payload["data"].get("traceId") for payload in outputs if payload["type"] == "output"]


def words(event: str, payload: Any) -> str:
    if event == "typingStatus":
        return str(payload["status"])
    if event == "finalPing":
        return f"ping {payload['type']}" if payload["type"] != "regular" else "ping"
    if event == "output":
        return str(payload["data"].get("text") or payload["data"].get("error", {}).get("message") or payload["type"])
    return event


# Runs


def test_inputs_of_a_user_and_injected_ones_run_one_after_another() -> None:
    end = Endpoint()
    end.say("one")
    end.put(Text("1a"))
    end.take(end.machine.inject(end.name, "two", None, 0.0))
    end.say("three")
    assert end.ran == ["one"], "the others wait"
    end.answer(Text("1b"))
    end.answer(Text("2"))
    end.answer(Text("3"))
    assert end.ran == ["one", "two", "three"]
    run = ["typingOn", "{}", "typingOff", "ping"]
    first = ["typingOn", "1a", "1b", "typingOff", "ping"]
    assert end.words() == first + [each.format(n) for n in (2, 3) for each in run]


def test_the_outputs_of_an_input_share_a_trace_id_and_other_messages_have_their_own() -> None:
    end = Endpoint()
    end.say("one")
    end.put(Text("a"), Queue(1, 5))
    end.take(end.machine.notify(end.name, "news", None, 0.0))
    end.put(AgentSays("I am Ada"))
    end.take(end.machine.inject(end.name, "two", None, 0.0))
    end.answer(Text("b"))
    end.answer(Text("c"), Text("d"))
    end.put(Text("after the end"))
    a, queue, news, agent, b, c, d, after = end.traces()
    assert a == queue == b
    assert c == d
    assert len({a, news, agent, c, after}) == 5
    assert a.startswith("endpoint-realtimeClient-")


@pytest.mark.parametrize(("trace_id", "different"), [("input", 2), ("output", 4), ("constant", 1), ("none", 1)])
def test_an_option_selects_which_outputs_share_a_trace_id(trace_id: str, different: int) -> None:
    end = Endpoint(trace_id=trace_id)
    for text in ("one", "two"):
        end.say(text)
        end.answer(Text("a"), Text("b"))
    assert len(set(end.traces())) == different
    assert (None in end.traces()) is (trace_id == "none")


def test_a_flow_that_raises_sends_an_error_then_ends_its_turn() -> None:
    end = Endpoint()
    end.say("one")
    end.answer(Text("begun"), error="it broke")
    assert end.words() == ["typingOn", "begun", "it broke", "typingOff", "ping"]
    assert end.sent["link"][2][1] == {"type": "error", "data": {"error": {"message": "it broke"}}}


def test_only_the_input_that_stops_the_flow_ends_with_another_ping() -> None:
    end = Endpoint()
    end.say("one")
    end.say("two")
    end.answer(End())
    end.answer()
    assert [each for each in end.words() if each.startswith("ping")] == ["ping cognigyStopFlow", "ping"]


def test_starting_over_ends_every_input_with_its_ping_before_the_flow_runs_again() -> None:
    end = Endpoint()
    end.say("one")
    end.say("two")
    end.say("three", resetFlow=True)
    assert end.words() == ["typingOn", "typingOff", "ping", "ping", "typingOn"]
    assert end.ran == ["one", "three"]
    assert [effect for effect in end.effects if isinstance(effect, EndFlow)]
    end.answer(Text("fresh"))
    assert end.words()[-3:] == ["fresh", "typingOff", "ping"]


def test_an_input_that_a_transformer_drops_is_answered_after_the_input_before_it() -> None:
    end = Endpoint(input_transformer=lambda fields: None if fields["text"] == "drop" else fields)
    end.say("one")
    end.say("drop")
    end.say("two")
    assert end.words() == ["typingOn"]
    end.answer(Text("1"))
    end.answer(Text("2"))
    assert end.words() == ["typingOn", "1", "typingOff", "ping", "ping", "typingOn", "2", "typingOff", "ping"]


# Agents


def test_a_message_to_an_agent_is_answered_after_the_input_before_it() -> None:
    end = Endpoint()
    end.say("help")
    end.say("hello Ada")
    end.put(Handover("Ada"))
    assert end.ran == ["help"], "the second message waits"
    end.done()
    assert end.ran == ["help"], "the second message is for the agent"
    assert end.words() == ["typingOn", "output", "typingOff", "ping", "ping"]


def test_a_message_to_an_agent_may_be_left_without_a_ping() -> None:
    end = Endpoint(handover_ping=False)
    end.say("help")
    end.answer(Handover("Ada"))
    assert end.words()[-1] == "ping", "the flow answers with a ping"
    end.sent["link"].clear()
    end.say("hello Ada")
    end.put(AgentSays("Hi"))
    assert end.words() == ["Hi"]
    end.put(Handover())
    end.say("back")
    end.answer(Text("flow"))
    assert end.words()[1:] == ["output", "typingOn", "flow", "typingOff", "ping"]


def test_an_agent_answers_while_the_flow_is_answering() -> None:
    end = Endpoint()
    end.say("one")
    end.put(Text("a"), AgentSays("I am Ada"), Text("b"))
    end.done()
    assert end.words() == ["typingOn", "a", "I am Ada", "b", "typingOff", "ping"]
    assert [payload["data"]["source"] for event, payload in end.sent["link"] if event == "output"] == [
        "bot",
        "agent",
        "bot",
    ]


# Final pings


@pytest.mark.parametrize(
    ("name", "first", "second"),
    [
        ("silent", [], ["typingOn", "2", "typingOff", "ping"]),
        ("double_ping", ["ping", "ping"], ["typingOn", "2", "typingOff", "ping"]),
        ("late_ping", [], ["ping", "typingOn", "2", "typingOff", "ping"]),
    ],
)
def test_a_fault_changes_the_ping_of_the_next_input_only(name: str, first: list[str], second: list[str]) -> None:
    end = Endpoint()
    end.say("zero")
    end.fault(name)
    end.answer(Text("0"))
    assert end.words() == ["typingOn", "0", "typingOff", "ping"], "the fault is for the next input"
    end.sent["link"].clear()
    end.say("one")
    end.answer(Text("1"))
    assert end.words() == ["typingOn", "1", "typingOff", *first]
    end.sent["link"].clear()
    end.say("two")
    end.answer(Text("2"))
    assert end.words() == second


def test_a_fault_for_the_next_input_does_not_change_the_one_that_is_running() -> None:
    end = Endpoint()
    end.say("one")
    end.fault("silent")
    end.say("two")
    end.answer(Text("1"))
    end.answer(Text("2"))
    assert end.words() == ["typingOn", "1", "typingOff", "ping", "typingOn", "2", "typingOff"]


def test_a_late_ping_is_sent_before_the_input_that_waits_already() -> None:
    end = Endpoint()
    end.fault("late_ping")
    end.say("one")
    end.say("two")
    end.answer(Text("1"))
    assert end.words() == ["typingOn", "1", "typingOff", "ping", "typingOn"]


# Links


def test_endpoint_ready_is_sent_after_its_time_and_inputs_before_it_are_lost() -> None:
    end = Endpoint(ready_after=4.0)
    assert end.words() == []
    assert end.machine.deadline == 4.0
    end.say("early", now=1.0)
    end.open("other", now=2.0)
    end.take(end.machine.timer(4.0))
    assert (end.words(), end.machine.deadline) == (["endpoint-ready"], 6.0)
    end.take(end.machine.closed("other", 5.0))
    assert end.machine.deadline is None
    end.say("in time", now=5.0)
    assert end.ran == ["in time"]


def test_endpoint_ready_is_sent_at_once_without_the_option() -> None:
    end = Endpoint()
    end.open("other")
    assert end.words("other") == ["endpoint-ready"]
    assert end.machine.deadline is None


def test_an_unknown_token_may_close_the_link_without_a_reason() -> None:
    end = Endpoint(refusal="close")
    end.open("other", urlToken="wrong")
    assert isinstance(end.effects[-1], Close)
    assert "other" not in end.sent


def test_two_links_of_a_session_receive_the_same_events() -> None:
    end = Endpoint("one", "two")
    end.say("from one", "one")
    end.answer(Text("1"))
    end.say("from two", "two")
    end.answer(Text("2"))
    run = ["typingOn", "{}", "typingOff", "ping"]
    assert end.words("one") == [each.format(n) for n in (1, 2) for each in run]
    assert end.sent["one"] == end.sent["two"], "with the same traceIds"


def test_an_event_that_one_of_two_links_acknowledges_is_not_sent_again() -> None:
    end = Endpoint("one", "two")
    end.say("hi", "one")
    end.answer(Text("1"))
    for link, key in end.acks:
        if link == "one" and key:
            end.take(end.machine.acked("one", key, [], 0.0))
    end.open("three")
    assert end.words("three") == ["endpoint-ready"]


# Files


def upload(end: Endpoint, name: str, media_type: str, content: bytes) -> HttpReply:
    token = next(e for e in end.machine.request(request("GET", "/planted-token/fileuploadtoken"), 0.0)).body["token"]
    headers = {"authorization": f"Bearer {token}"}
    call = request("POST", "/fileupload", headers=headers, file=(name, media_type, content))
    reply = next(effect for effect in end.machine.request(call, 0.0))
    assert isinstance(reply, HttpReply)
    return reply


def test_a_file_that_is_too_large_is_refused() -> None:
    end = Endpoint(max_file_size=4)
    assert upload(end, "a.txt", "text/plain", b"1234").status == 200
    refused = upload(end, "a.txt", "text/plain", b"12345")
    assert (refused.status, refused.body) == (413, {"error": "the file is larger than 4 bytes"})


def test_a_file_of_another_type_is_refused() -> None:
    end = Endpoint(file_types=("image/*", "application/pdf"))
    assert upload(end, "a.png", "IMAGE/png", b"1").status == 200
    assert upload(end, "a.pdf", "application/pdf", b"1").status == 200
    refused = upload(end, "a.txt", "text/plain", b"1")
    assert (refused.status, refused.body) == (415, {"error": "files of the type text/plain are not accepted"})

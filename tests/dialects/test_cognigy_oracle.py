"""Random conversations between the client machine and a model of an endpoint that knows where each message belongs."""

import heapq
import random
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import pytest
from test_cognigy import REGULAR, given_, ids, say

from socketnb.dialects import cognigy
from socketnb.model.effects import Emit, Record, TurnDone
from socketnb.model.trace import CONTENT_KINDS

TIMEOUT_S = 10.0
WARM_UP = 3
"""The number of turns before the first disturbance, in which the client learns the form of the trace ids."""
FORMS = ("input", "output", "constant", "missing")
DISTURBANCES = ("inject", "notify", "double", "late ping", "silent", "slow", "cut", "agent", "handover")

ANSWERED = {"inject", "notify", "double", "agent", "handover"}
"""The disturbances with which the endpoint ends every turn in time."""


@dataclass
class Run:
    turn: int  # 0: injected
    trace: str
    outputs: list[tuple[float, str]] = field(default_factory=list)  # the pause before each one, and its text
    pings: int = 1
    is_late: bool = False  # its ping comes when the next input arrives


class World:
    """One conversation in simulated time: the user, the client machine, the network and the endpoint."""

    def __init__(self, seed: str, disturbances: Sequence[str], form: str) -> None:
        self.random = random.Random(seed)  # noqa: S311 (not for cryptography)
        self.disturbances, self.form = disturbances, form
        self.types = self.random.random() < 0.6
        self.encoding = self.random.choice(["direct", "wrapped", "both"])
        self.hurry = self.random.random() < 0.5  # each input follows the end of the turn before at once
        self.streams = self.random.random() < 0.3
        self.now = 0.0
        self.heap: list[tuple[float, int, Callable[[], None]]] = []
        self.numbers = count(1)
        # the user
        self.turns = self.sent = 0
        self.last = WARM_UP + self.random.randint(3, 6)
        self.status: dict[int, str] = {}
        self.open: dict[int, float] = {}
        self.recorded: list[tuple[str, int]] = []
        self.warned: set[int] = set()
        # the endpoint
        self.link = 0
        self.is_up = False
        self.runs: deque[Run] = deque()
        self.unacked: dict[int, tuple[str, Any]] = {}
        self.late_pings = 0
        self.agent = False
        self.truth: dict[str, int] = {}
        self.expected: Counter[str] = Counter()
        self.unsigned: set[str] = set()  # messages whose place has no sign on the wire
        self.last_arrival = 0.0
        self.client = cognigy.DIALECT.client(given_(), ids())
        self.connect()
        self.later(0.5, self.next_turn)

    def later(self, seconds: float, step: Callable[[], None]) -> None:
        heapq.heappush(self.heap, (self.now + seconds, next(self.numbers), step))

    def play(self) -> None:
        while self.heap or self.client.deadline is not None:
            deadline = self.client.deadline
            if deadline is not None and not (self.heap and self.heap[0][0] <= deadline):
                self.now = max(self.now, deadline)
                self.perform(self.client.timer(self.now))
                continue
            self.now, _, step = heapq.heappop(self.heap)
            step()

    def chance(self, name: str, probability: float = 0.5) -> bool:
        return name in self.disturbances and self.turns > WARM_UP and self.random.random() < probability

    # The user and the client

    def next_turn(self) -> None:
        if self.turns == self.last:
            return
        self.turns += 1
        turn = self.turns
        self.open[turn] = self.now
        if self.chance("cut"):
            self.later(self.random.uniform(0, 1.5), self.cut)
        if self.chance("inject"):
            self.later(self.random.uniform(0, 2), self.inject)
        if self.chance("notify"):
            self.later(self.random.uniform(0, 2), self.notify)
        if self.chance("agent") or self.agent:
            self.later(self.random.uniform(0, 4), self.agent_says)
        if self.chance("handover") and not self.agent:
            self.agent = True
            self.emit_message("Ada is here", {"_cognigy": {"_webchat3": {"type": "liveAgentEvent", "payload": {}}}})
        self.perform(self.client.act(turn, say(f"t{turn}"), self.now))

    def perform(self, effects: Sequence[Any]) -> None:
        for effect in effects:
            match effect:
                case Record(kind="action", turn=turn):
                    self.sent = turn
                    self.later(TIMEOUT_S, lambda turn=turn: self.time_out(turn))  # type: ignore[misc]
                case Record(kind="warning", turn=turn):
                    self.warned.add(turn)
                case Record(event="output", direction="in", kind=kind, turn=turn, text=text) if (
                    kind in CONTENT_KINDS or kind == "delta"
                ):
                    self.recorded.append((text or "", turn))
                case Emit("processInput", (fields,)):
                    link, text = self.link, str(fields["text"])
                    self.later(self.latency, lambda link=link, text=text: self.receive(link, text))  # type: ignore[misc]
                case TurnDone(turn, status):
                    self.done(turn, status)

    def time_out(self, turn: int) -> None:
        if turn in self.open:
            effects = self.client.abandon(turn, self.now)
            self.done(turn, "timeout")
            self.perform(effects)

    def done(self, turn: int, status: str) -> None:
        assert turn not in self.status, f"turn {turn} ended twice"
        self.status[turn] = status
        self.open.pop(turn)
        pause = 0.0 if self.hurry or self.turns < WARM_UP else self.random.choice([0.0, 0.02, 0.5, 3.0, 8.0])
        self.later(pause, self.next_turn)

    # The network

    @property
    def latency(self) -> float:
        return self.random.uniform(0.005, 0.06)

    def connect(self) -> None:
        self.link += 1
        self.is_up = True
        self.client.dial(self.now)
        self.perform(self.client.opened(self.now))
        for key, (event, payload) in self.unacked.items():
            self.transmit(event, payload, key)
        self.transmit("endpoint-ready", None)

    def cut(self) -> None:
        if self.is_up:
            self.is_up = False
            self.link += 1
            self.perform(self.client.closed(self.now))
            self.later(self.random.uniform(0.05, 1), self.connect)

    def emit(self, event: str, payload: Any) -> None:
        key = next(self.numbers)
        self.unacked[key] = (event, payload)
        self.transmit(event, payload, key)

    def transmit(self, event: str, payload: Any, key: int = 0) -> None:
        if not self.is_up:
            return
        link = self.link
        self.last_arrival = max(self.last_arrival, self.now + self.latency)

        def arrive() -> None:
            if link != self.link:
                return
            if key:
                self.later(self.latency, lambda: self.acknowledge(link, key))
            self.note_place(payload)
            self.perform(self.client.received(event, payload, self.now))

        heapq.heappush(self.heap, (self.last_arrival, next(self.numbers), arrive))

    def acknowledge(self, link: int, key: int) -> None:
        if link == self.link:
            self.unacked.pop(key, None)

    # The endpoint

    def receive(self, link: int, text: str) -> None:
        if link != self.link or not self.is_up:
            return
        for _ in range(self.late_pings):
            self.ping()
        self.late_pings = 0
        if self.agent:
            if self.form in ("input", "output"):  # these endpoints send a finalPing during a handover
                self.ping()
            return
        self.begin(Run(int(text[1:]), self.new_trace()))

    def new_trace(self) -> str:
        return "always" if self.form == "constant" else f"trace-{next(self.numbers)}"

    def begin(self, run: Run) -> None:
        number = next(self.numbers)
        sizes = [2, 3] if run.turn <= WARM_UP and run.turn else [0, 1, 1, 2, 3]
        run.outputs = [(self.random.uniform(0, 0.8), f"m{number}.{n} ") for n in range(self.random.choice(sizes))]
        if len(run.outputs) > 1 and self.random.random() < 0.2:
            run.outputs[1] = (run.outputs[1][0], run.outputs[0][1])  # the bot says the same twice
        if run.turn and self.chance("slow", 0.3):
            pause = self.random.choice([4.0, 11.0, 14.0, 17.0])
            run.outputs.append((pause, f"m{number}.slow "))
        run.pings = 2 if self.chance("double") else 0 if self.chance("silent", 0.3) else 1
        run.is_late = bool(run.turn) and self.chance("late ping", 0.3)
        self.runs.append(run)
        if len(self.runs) == 1:
            self.start()

    def start(self) -> None:
        if self.runs:
            self.type("typingOn")
            self.step(0)

    def step(self, n: int) -> None:
        run = self.runs[0]
        if n < len(run.outputs):
            pause, text = run.outputs[n]
            self.later(pause, lambda: (self.say(run, text), self.step(n + 1))[0])  # type: ignore[func-returns-value]
        else:
            self.later(self.random.uniform(0, 0.3), self.end)

    def say(self, run: Run, text: str) -> None:
        data = {"_cognigy": {"_messageId": f"stream of {run.turn} {run.trace}"}} if self.streams else {}
        self.truth[text] = run.turn
        self.expected[text] += 1
        self.emit_message(text, data, run.trace if self.form == "input" else self.new_trace())

    def emit_message(self, text: str, data: Any, trace: str = "", source: str = "bot") -> None:
        message = {"text": text, "data": data, "source": source, "traceId": trace or self.new_trace()}
        if self.form == "missing":
            del message["traceId"]
        self.emit("output", {"type": "output", "data": message})

    def type(self, status: str) -> None:
        if self.types:
            self.transmit("typingStatus", {"status": status})

    def end(self) -> None:
        run = self.runs.popleft()
        self.type("typingOff")
        if run.is_late:
            self.late_pings += 1
        else:
            for _ in range(run.pings):
                self.ping()
        self.start()

    def ping(self) -> None:
        if self.encoding != "direct":
            self.emit("output", {"type": "finalPing", "data": REGULAR})
        if self.encoding != "wrapped":
            self.emit("finalPing", REGULAR)

    def inject(self) -> None:
        if self.agent:  # the flow does not run
            return
        self.begin(Run(0, self.new_trace()))

    def notify(self) -> None:
        text = f"notification {next(self.numbers)}"
        self.truth[text], self.expected[text] = 0, 1
        self.emit_message(text, {})

    def agent_says(self) -> None:
        text = f"agent {next(self.numbers)}"
        self.expected[text] = 1
        self.emit_message(text, {}, source="agent")

    def note_place(self, payload: Any) -> None:
        """Note where a message belongs that is placed by the moment of its arrival."""
        text = str(((payload or {}).get("data") or {}).get("text"))
        if text.startswith("agent"):
            self.truth.setdefault(text, self.sent)
        if text.startswith("notification") and self.open and self.form != "input":
            self.unsigned.add(text)

    # The verdict

    def mistakes(self) -> list[str]:
        found = []
        seen = Counter(text for text, _ in self.recorded)
        for text, number in self.expected.items():
            where = {turn for each, turn in self.recorded if each == text}
            places = {self.truth.get(text, 0), *where}
            wrong = places - ({self.truth.get(text)} & where)
            affected = {turn for turn in wrong if self.status.get(turn) == "completed"}
            silent = where - set(self.truth.values())  # turns to which the bot says nothing
            if text in self.unsigned or (text.startswith("notification") and silent):
                continue
            if seen[text] != number and not places & self.warned:
                found.append(f"{text!r} of turn {self.truth.get(text)} came {seen[text]} instead of {number} times")
            elif where - {self.truth.get(text)} and not affected <= self.warned:
                found.append(f"{text!r} of turn {self.truth.get(text)} is in {where}")
        return found + [f"turn {turn} never ended" for turn in range(1, self.turns + 1) if turn not in self.status]


def hide_each_other(pair: set[str]) -> bool:
    """Return whether a surplus run of one disturbance takes the place of a run or finalPing that the other lacks."""
    lacking = {"late ping", "silent", "slow"}
    return bool(pair & lacking and pair <= lacking | {"inject", "agent", "handover"}) or pair == {"inject", "handover"}


def played(n: int, disturbances: Sequence[str]) -> World:
    world = World(f"{n} {disturbances}", disturbances, FORMS[n % len(FORMS)])
    world.play()
    return world


@pytest.mark.parametrize("form", FORMS)
def test_conversations_without_a_disturbance_have_no_mistake_and_no_warning(form: str) -> None:
    for n in range(FORMS.index(form), 800, len(FORMS)):
        world = played(n, ())
        assert (world.mistakes(), world.warned) == ([], set()), n
        assert set(world.status.values()) == {"completed"}, n


@pytest.mark.parametrize("disturbance", DISTURBANCES)
def test_no_message_of_a_disturbed_conversation_is_in_the_wrong_turn_without_a_warning(disturbance: str) -> None:
    for n in range(100):
        world = played(n, (disturbance,))
        assert world.mistakes() == [], (n, world.form)
        if disturbance in ANSWERED:
            failed = {turn for turn, status in world.status.items() if status != "completed"}
            assert failed <= world.warned, (n, world.form)


def test_no_message_is_in_the_wrong_turn_without_a_warning_if_disturbances_meet() -> None:
    for n in range(300):
        pair = random.Random(n).sample(DISTURBANCES, 2)  # noqa: S311 (not for cryptography)
        if hide_each_other(set(pair)):
            continue
        world = played(n, pair)
        assert world.mistakes() == [], (n, pair, world.form)

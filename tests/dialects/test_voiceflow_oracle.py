"""Random conversations with a model of a Voiceflow server that knows to which turn each message belongs.

The model is written from the vendor's page and independent of the simulator. Time is simulated. For each conversation,
the messages that the client recorded are compared with those that the server sent. A message in the wrong turn, a lost
or a doubled one is allowed only if a warning on the turn says so.
"""

import heapq
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from test_voiceflow import SETTINGS, ids

from socketnb.dialects import voiceflow
from socketnb.model.actions import Action
from socketnb.model.effects import Emit, Failed, Reconnect, Record, TurnDone

CONVERSATIONS = 2000
TIMEOUT_S = 20.0
KINDS = ("late", "mute", "double", "unasked", "agent", "cut", "restart", "error", "at_once")
"""The disturbances of a conversation."""
HARMLESS = {"double", "unasked", "agent", "restart"}
"""The disturbances that prevent no turn from being completed."""


@dataclass
class Run:
    """What the server does for one action. Each element of `script` is an event and its delay."""

    turn: int
    action: dict[str, Any]
    own_id: str
    id: str
    delay: float
    script: list[tuple[float, str, dict[str, Any]]]
    sent: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    is_over: bool = False
    generation: int = 0  # a restart begins the run again


class Talk:
    """One conversation: the client machine, its engine, the user, the network and the server, on one clock."""

    def __init__(self, seed: int, kinds: Sequence[str], make: Callable[..., Any] = voiceflow.DIALECT.client) -> None:
        self.chance = random.Random(seed)  # noqa: S311 (the same conversation every time)
        self.echoes, self.named = self.chance.choice([(True, True), (False, True), (False, True), (False, False)])
        self.kinds = self.decidable(kinds)
        self.client = make(SETTINGS, ids())
        self.now = 0.0
        self.events: list[tuple[float, int, Callable[[], None]]] = []
        self.order = count()
        self.link = 0
        self.link_at_server = 0
        self.last_arrival = 0.0
        self.runs: list[Run] = []
        self.unsent: list[tuple[str, dict[str, Any]]] = []
        self.delivered: dict[str, int] = {}  # text → the turn that it belongs to
        self.finals: set[int] = set()  # turns whose last status was delivered
        self.errors: set[int] = set()
        self.recorded: list[tuple[int, str]] = []
        self.warned: set[int] = set()
        self.done: dict[int, str] = {}
        self.wrong_ends: list[int] = []
        self.is_busy_until = 0.0
        self.turns = self.chance.randint(3, 7)
        self.words = count(1)
        self.dial()
        self.at(0.5, lambda: self.say(1))
        self.disturb()
        while self.events or (self.client.deadline is not None and len(self.done) < self.turns):
            due = self.events[0][0] if self.events else float("inf")
            if self.client.deadline is not None and self.client.deadline <= due:
                self.now = max(self.now, self.client.deadline)
                self.take(self.client.timer(self.now))
            else:
                self.now, _, step = heapq.heappop(self.events)
                step()

    def decidable(self, kinds: Sequence[str]) -> list[str]:
        """Omit what breaks the protocol in a way that nobody could notice.

        Without messageIDs, a doubled status cannot be recognised among the answers of several actions. A restarting
        server names only one action.
        """
        several = {"at_once", "late", "restart"} & set(kinds)
        omitted = {"double"} if several and not self.named else set()
        return [kind for kind in kinds if kind not in omitted | ({"at_once"} if "restart" in kinds else set())]

    def at(self, delay: float, step: Callable[[], None]) -> None:
        heapq.heappush(self.events, (self.now + delay, next(self.order), step))

    # The user and the engine

    def say(self, turn: int) -> None:
        at_once = "at_once" in self.kinds and self.chance.random() < 0.3
        if turn < self.turns and (at_once or self.chance.random() < 0.2):  # the next turn is queued, or sent at once
            self.at(0.1, lambda: self.say(turn + 1))
            self.queued = turn + 1
        if "unasked" in self.kinds and turn > 1 and self.chance.random() < 0.4:  # it arrives before `accepted`
            self.at(0.01, lambda: self.unexpected("unasked"))
        self.take(self.client.act(turn, Action("text", {"text": f"say {turn}"}, at_once), self.now))

    def take(self, effects: Sequence[Any]) -> None:
        for effect in effects:
            match effect:
                case Emit(event, args):
                    link, payload = self.link, args[0]
                    self.at(0.02, lambda e=event, p=payload, n=link: self.serve(e, p) if n == self.link else None)
                case Record(kind="warning"):
                    self.warned.add(effect.turn)
                case Record(kind="action"):
                    self.at(TIMEOUT_S, lambda n=effect.turn: self.time_out(n))
                case Record(kind="text" | "delta") if effect.direction == "in" and effect.text:
                    self.recorded.append((effect.turn, effect.text))
                case TurnDone(turn, status):
                    self.end(turn, status)
                case Reconnect():
                    self.cut(0.01)
                case Failed():
                    raise AssertionError(effect)

    def end(self, turn: int, status: str) -> None:
        assert turn not in self.done
        self.done[turn] = status
        if (status == "completed" and turn not in self.finals) or (status == "completed" and turn in self.errors):
            self.wrong_ends.append(turn)
        if turn < self.turns and getattr(self, "queued", 0) <= turn:
            self.queued = turn + 1
            self.at(self.chance.choice([0.0, 0.5, 2.0, 8.0]), lambda: self.say(turn + 1))

    def time_out(self, turn: int) -> None:
        if turn not in self.done:
            self.end(turn, "timeout")
            self.take(self.client.abandon(turn, self.now))

    # The network

    def dial(self) -> None:
        self.link += 1
        self.client.dial(self.now)
        self.take(self.client.opened(self.now))

    def cut(self, pause: float = 0.5) -> None:
        """Lose the link, and what is on its way."""
        self.link += 1
        self.link_at_server = 0
        self.take(self.client.closed(self.now))
        link = self.link
        self.at(pause, lambda: self.dial() if link == self.link else None)

    def send(self, event: str, payload: dict[str, Any], turn: int | None = None, text: str = "") -> None:
        """Send an event, or keep it until the client has reconnected. It arrives unless the link is lost before."""
        if not self.link_at_server:
            self.unsent.append((event, {**payload, "": (turn, text)}))
            return
        if "double" in self.kinds and event == "action.status" and self.chance.random() < 0.4:
            self.at(0.0, lambda: self.transmit(event, payload, turn, text))
        self.transmit(event, payload, turn, text)

    def transmit(self, event: str, payload: dict[str, Any], turn: int | None, text: str) -> None:
        link = self.link

        def arrive() -> None:
            if link != self.link:
                return
            if turn is not None and text:
                self.delivered[text] = turn
            if event == "error" and turn and turn not in self.done:
                self.errors.add(turn)
            if payload.get("status") in ("completed", "rejected") and turn:
                self.finals.add(turn)
            self.take(self.client.received(event, payload, self.now))

        self.last_arrival = max(self.last_arrival, self.now + self.chance.choice([0.01, 0.03]))
        self.at(self.last_arrival - self.now, arrive)

    # The server

    def serve(self, event: str, payload: dict[str, Any]) -> None:
        match event:
            case "client.start":
                self.link_at_server = self.link
                self.send("client.started", {"newSessionRequired": "sessionKey" not in payload})
                if "sessionKey" in payload:
                    self.resume()
            case "session.create":
                self.send("session.created", {"sessionKey": "key"})
            case "action.send":
                self.run(payload)

    def resume(self) -> None:
        """Send what the client missed. A server that repeats the client's ids also repeats the events of its runs."""
        unsent, self.unsent = self.unsent, []
        repeated = [event for run in self.runs[-2:] for event in run.sent] if self.echoes else []
        known = [(event, payload[""]) for event, payload in repeated]
        for event, payload in repeated + [each for each in unsent if (each[0], each[1][""]) not in known]:
            turn, text = payload[""]
            self.send(event, {name: value for name, value in payload.items() if name}, turn, text)

    def run(self, payload: dict[str, Any]) -> None:
        action, own_id = payload["action"], payload["messageID"]
        turn = int(action["payload"].split()[1])
        again = next((run for run in self.runs if run.turn == turn), None)
        if again and not again.generation:
            if self.echoes:  # a repeated action is recognised by its id
                return
            raise AssertionError("an action ran twice")
        if again:  # after a restart
            again.generation, again.sent, again.is_over = 0, [], False
            again.id = own_id if self.echoes else f"s{next(self.words)}"
            self.begin(again)
            return
        if "mute" in self.kinds and self.chance.random() < 0.2:
            return
        late = "late" in self.kinds and self.chance.random() < 0.3
        delay = self.chance.uniform(TIMEOUT_S, TIMEOUT_S + 12) if late else self.chance.choice([0.0, 0.05])
        run = Run(turn, action, own_id, own_id if self.echoes else f"s{next(self.words)}", delay, self.script(turn))
        self.runs.append(run)
        if "restart" in self.kinds and self.chance.random() < 0.3:
            self.restart(run)
        else:
            self.begin(run)

    def script(self, turn: int) -> list[tuple[float, str, dict[str, Any]]]:
        """Return the events of a run: accepted, texts and streams, and the last status; or rejected."""
        if self.chance.random() < 0.1:
            return [(0.0, "action.status", {"status": "rejected"})]
        events: list[tuple[float, str, dict[str, Any]]] = [(0.0, "action.status", {"status": "accepted"})]
        for _ in range(self.chance.randint(1, 3)):
            delay = self.chance.choice([0.0, 0.1, 1.0])
            if self.chance.random() < 0.3:
                for state in ("start", "content", "end"):
                    piece = {"state": state, "content": f"piece {turn} {next(self.words)}"}
                    events.append((delay, "action.trace", {"trace": {"type": "completion", "payload": piece}}))
            else:
                text = {"message": f"text {turn} {next(self.words)}"}
                events.append((delay, "action.trace", {"trace": {"type": "text", "payload": text}}))
        if "error" in self.kinds and self.chance.random() < 0.3:
            events.append((0.0, "error", {"code": "test", "error": "broken"}))
        return [*events, (self.chance.choice([0.0, 0.2]), "action.status", {"status": "completed"})]

    def begin(self, run: Run, start: int = 0, stop: int | None = None) -> None:
        """Send the events of a run one after another. A server answers its actions in order."""
        self.is_busy_until = max(self.is_busy_until, self.now + run.delay)
        at = self.is_busy_until
        for delay, event, payload in run.script[start:stop]:
            at += delay
            self.at(at - self.now, lambda e=event, p=payload, n=run.generation: self.step(run, n, e, p))
        self.is_busy_until = at

    def step(self, run: Run, generation: int, event: str, payload: dict[str, Any]) -> None:
        if generation != run.generation:
            return
        content = payload.get("trace", {}).get("payload", {})
        text = content.get("message") or content.get("content") or ""
        if event == "error":
            self.send(event, payload, run.turn)
            return
        full = {**payload, "messageID": run.id} if self.named else payload
        run.sent.append((event, {**full, "": (run.turn, text)}))
        self.send(event, full, run.turn, text)

    def restart(self, run: Run) -> None:
        """Restart before `accepted`, or after a part of the run. The new instance runs the action from its start."""
        begun = self.chance.randint(0, len(run.script) - 1)
        if begun:
            self.begin(run, 0, begun)

        def order() -> None:
            if not self.link_at_server:  # a server without the client restarts unnoticed
                self.begin(run, begun)
                return
            with_action = begun == 0 or self.chance.random() < 0.8
            if with_action:
                run.generation += 1
                run.sent = []
            action = {**run.action, "diagramID": "d", "time": int(self.now)}
            self.send("server.restart", {"action": action} if with_action else {})
            self.link_at_server = 0  # later events wait for the next link
            if not with_action:  # the new instance continues the run
                self.begin(run, begun)

        self.at(self.is_busy_until - self.now + 0.05 if begun else 0.0, order)

    def disturb(self) -> None:
        """Plan the disturbances that do not depend on an action."""
        for kind in ("unasked", "agent", "cut"):
            if kind in self.kinds:
                for _ in range(self.chance.randint(1, 3)):
                    self.at(self.chance.uniform(1, 20), lambda k=kind: self.unexpected(k))

    def unexpected(self, kind: str) -> None:
        text = f"{kind} 0 {next(self.words)}"
        if kind == "cut":
            if self.link_at_server:
                self.cut()
        elif kind == "agent":
            self.send("live-agent-message", {"message": text}, 0, text)
        else:
            trace = {"type": "text", "payload": {"message": text}}
            self.send("action.trace", {"trace": trace, "messageID": f"x{text}"}, 0, text)

    # The verdict

    def mistakes(self) -> list[str]:
        """Return what is wrong in the record and not covered by a warning."""
        seen = Counter(text for _, text in self.recorded)
        found = [f"lost: {text}" for text, turn in self.delivered.items() if not seen[text] and not self.excused(turn)]
        for turn, text in self.recorded:
            truth = self.delivered[text]
            if turn != truth and not self.excused(turn, truth):
                found.append(f"wrong: {text} in turn {turn}")
            if seen[text] > 1 and not self.excused(turn, truth):
                found.append(f"doubled: {text}")
        found += [f"ended without its status: turn {turn}" for turn in self.wrong_ends if not self.excused(turn)]
        if set(self.kinds) <= HARMLESS:
            found += [f"{status}: turn {n}" for n, status in self.done.items() if status in ("failed", "timeout")]
        found += [f"never ended: turn {turn}" for turn in range(1, self.turns + 1) if turn not in self.done]
        return found

    def excused(self, *turns: int) -> bool:
        return any(turn in self.warned for turn in turns if turn)


def disturbances(seed: int) -> list[str]:
    """Return the disturbances of a conversation: none in every fourth one, and otherwise up to three."""
    chance = random.Random(seed)  # noqa: S311
    return chance.sample(KINDS, chance.randint(1, 3)) if seed % 4 else []


def test_every_message_is_recorded_once_in_its_turn_or_with_a_warning() -> None:
    mistakes: list[str] = []
    turns: Counter[str] = Counter()
    warnings: Counter[str] = Counter()
    for seed in range(CONVERSATIONS):
        kinds = disturbances(seed)
        talk = Talk(seed, kinds)
        mistakes += [f"seed {seed} {kinds}: {mistake}" for mistake in talk.mistakes()]
        group = "undisturbed" if not kinds else "harmless" if set(kinds) <= HARMLESS and talk.named else "other"
        turns[group] += talk.turns
        warnings[group] += len(talk.warned)
    assert not mistakes, f"{len(mistakes)} mistakes, among them: {mistakes[:10]}"
    assert warnings["undisturbed"] <= turns["undisturbed"] / 100
    assert warnings["harmless"] <= turns["harmless"] / 50, "events with a messageID of no action are told apart"

"""Random conversations with a model of a helpdesk that knows which turn each of its messages belongs to."""

import dataclasses
import datetime as dt
import heapq
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from itertools import count
from random import Random
from typing import Any

import pytest
from test_eusate import act, client_settings, ids, say

from socketnb.dialects import eusate
from socketnb.dialects.eusate.history import Query
from socketnb.model.effects import Emit, HttpRequest, HttpResponse, Record, TurnDone

DELAY_S = 0.05  # from one end of the link to the other
TIMEOUT_S = 8.0  # of a turn
EPOCH = 1.7e9
DISTURBANCES = "late silent second double no_echo unasked unannounced cut".split()


@dataclasses.dataclass
class Conversation:
    """A conversation of the helpdesk."""

    id: str
    handler: str = "sate"
    closed: bool = False
    turn: int = 0  # the last turn that the helpdesk has received
    messages: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    pending: list[int] = dataclasses.field(default_factory=list)  # turns that the bot is going to answer


class World:
    """A client machine, a link, a clock, and a helpdesk that knows to which turn each message belongs."""

    def __init__(self, seed: int, disturbances: Sequence[str]) -> None:
        self.random = Random(seed)  # noqa: S311 (a test)
        self.disturbances = disturbances
        self.echo = self.random.choice(["first"] * 6 + ["after", "never"])
        if self.echo == "never":
            self.disturbances = [*disturbances, "no_echo"]
        self.acks = self.random.random() < 0.5
        self.whole_seconds = self.random.random() < 0.3
        self.now = 0.0
        self.numbers = count()
        self.agenda: list[tuple[float, int, Callable[[], Any]]] = []
        self.link = 0
        self.up = False
        self.conversations: dict[str, Conversation] = {}
        self.owner: dict[str, int] = {}  # text of a message → its turn, or 0 if nobody asked for it
        self.answered: dict[int, float] = {}
        self.rejected: set[int] = set()
        self.done_twice: set[int] = set()  # both sides may have closed a conversation at once
        self.sent: dict[int, float] = {}
        self.done: dict[int, str] = {}
        self.records: list[Record] = []
        self.placed = defaultdict[str, list[tuple[int, bool]]](list)  # text → turns, and whether each was running
        self.client = eusate.DIALECT.client(client_settings(), ids())
        self.connect()

    # The clock and the link

    def at(self, delay: float, do: Callable[[], Any]) -> None:
        heapq.heappush(self.agenda, (self.now + delay, next(self.numbers), do))

    def run(self, until: float) -> None:
        while True:
            deadline = self.client.deadline
            due = min(self.agenda[0][0] if self.agenda else until, until)
            if deadline is not None and deadline <= due:
                self.now = max(self.now, deadline)
                self.perform(self.client.timer(self.now))
            elif self.agenda and self.agenda[0][0] <= until:
                self.now, _, do = heapq.heappop(self.agenda)
                do()
            else:
                self.now = until
                return

    def over_link(self, do: Callable[[], Any]) -> None:
        """Do something at the other end, unless the link is lost before."""
        link = self.link
        if self.up:
            self.at(DELAY_S, lambda: do() if self.up and self.link == link else None)

    def connect(self) -> None:
        self.link += 1
        self.up = True
        self.client.dial(self.now)
        self.perform(self.client.opened(self.now))

    def cut(self) -> None:
        if self.up:
            self.up = False
            self.perform(self.client.closed(self.now))
            self.at(self.random.uniform(0.1, 2.0), self.connect)

    # The client

    def perform(self, effects: Sequence[Any]) -> None:
        for effect in effects:
            match effect:
                case Emit("support", args, ack=ack):
                    self.over_link(lambda args=args, ack=ack: self.receive(args[0], ack))
                case Emit("close_support", args):
                    self.over_link(lambda args=args: self.close(args[0]["ticket_chat_id"], by_customer=True))
                case Record():
                    self.record(effect)
                case TurnDone(turn, status):
                    assert turn not in self.done, "a turn ends once"
                    self.done[turn] = status
                case HttpRequest(purpose):
                    self.at(2 * DELAY_S, lambda purpose=purpose: self.answer_http(purpose))

    def record(self, record: Record) -> None:
        self.records.append(record)
        if record.kind == "action":
            self.sent[record.turn] = self.now
            self.at(TIMEOUT_S, lambda: self.time_out(record.turn))
        if record.direction == "in" and record.kind == "text" and record.text in self.owner:
            self.placed[record.text].append((record.turn, record.turn in self.sent and record.turn not in self.done))

    def time_out(self, turn: int) -> None:
        if turn not in self.done:
            self.done[turn] = "timeout"
            self.perform(self.client.abandon(turn, self.now))

    def act(self, turn: int, action: Any) -> None:
        self.perform(self.client.act(turn, action, self.now))

    # The helpdesk

    def happens(self, disturbance: str, probability: float) -> bool:
        return disturbance in self.disturbances and self.random.random() < probability

    def receive(self, payload: dict[str, Any], ack: Any) -> None:
        """Receive a message of the customer."""
        turn, id_ = ack.turn, payload["ticket_chat_id"] or f"conv{next(self.numbers)}"
        conversation = self.conversations.setdefault(id_, Conversation(id_))
        if self.acks:
            self.over_link(lambda: self.perform(self.client.acked(ack, [], self.now)))
        if conversation.closed:
            self.rejected.add(turn)
            self.emit("support", {"status_code": 400, "message": "closed", "data": {}})
            return
        self.add(conversation, "customer", payload["message"])
        conversation.turn = turn
        by_agent = conversation.handler == "agent"
        if self.echo == "first" or (self.echo == "after" and by_agent):
            self.send_echo()
        if by_agent:
            for _ in range(self.random.randint(0, 2)):
                self.at(self.random.uniform(0.1, 6), lambda: self.agent_says(conversation))
        elif {"second", "unasked"} & {*self.disturbances} or not self.happens("silent", 0.05):
            conversation.pending.append(turn)
            delay = self.random.uniform(9, 14) if self.happens("late", 0.1) else self.random.choice([0.01, 0.5, 3.0])
            self.at(delay, lambda: self.reply(conversation, turn))

    def send_echo(self) -> None:
        if not self.happens("no_echo", 0.1):
            self.emit("support_echo", {"status_code": 200, "data": {}})

    def reply(self, conversation: Conversation, turn: int) -> None:
        if turn not in conversation.pending:
            return
        conversation.pending.remove(turn)
        self.message(conversation, "support", "sate", turn)
        self.answered[turn] = self.now
        if self.echo == "after":
            self.send_echo()
        if self.happens("second", 0.15):
            delay = self.random.choice([0.0, 0.03, 0.3, 3.0])
            self.at(delay, lambda: self.message(conversation, "support", "sate", turn))

    def agent_says(self, conversation: Conversation) -> None:
        if conversation.handler == "agent":
            self.message(conversation, "customer_support", "agent", conversation.turn)

    def message(self, conversation: Conversation, event: str, sender: str, owner: int) -> None:
        if conversation.closed:
            return
        text = f"{sender} {next(self.numbers)} to {owner}"
        self.owner[text] = owner
        payload = {"status_code": 200, "data": self.add(conversation, sender, text)}
        self.emit(event, payload)
        if self.happens("double", 0.1):
            self.at(self.random.choice([0.0, 0.2, 1.5]), lambda: self.emit(event, payload))

    def drop(self, conversation: Conversation) -> None:
        """Leave messages unanswered, unless this would hide that a message came that nobody asked for."""
        while conversation.pending and {"second", "unasked"} & {*self.disturbances}:
            self.reply(conversation, conversation.pending[0])
        conversation.pending.clear()

    def hand_over(self, conversation: Conversation) -> None:
        """Let an agent take over, or hand the conversation back to the bot."""
        if conversation.closed:
            return
        conversation.handler = "sate" if conversation.handler == "agent" else "agent"
        if not self.happens("late", 0.3):
            self.drop(conversation)
        if not self.happens("unannounced", 0.3):
            data = {"ticket_chat_id": conversation.id, "handler": conversation.handler, "agent": {"username": "Ada"}}
            self.emit("support_handler_changed", {"status_code": 200, "data": data})

    def close(self, id_: str, *, by_customer: bool) -> None:
        conversation = self.conversations[id_]
        if conversation.closed:
            self.done_twice |= {turn for turn in self.sent if turn not in self.done}
            self.emit("close_support", {"status_code": 400, "message": "closed", "data": {}})
            return
        self.drop(conversation)
        conversation.closed = True
        if by_customer:
            data = {"message": "bye", "ticket_chat_id": id_, "sender": "sate", "closed_support": True}
            self.emit("close_support", {"status_code": 200, "data": data | {"close_support": True}})
        else:
            self.emit("customer_support_closed", {"status_code": 200, "data": {"ticket_chat_id": id_}})

    def add(self, conversation: Conversation, sender: str, text: str) -> dict[str, Any]:
        time = EPOCH + (int(self.now) if self.whole_seconds else self.now)
        date = dt.datetime.fromtimestamp(time, dt.UTC).isoformat()
        data = {"message": text, "ticket_chat_id": conversation.id, "sender": sender, "date_created": date}
        conversation.messages.append(data)
        return data

    def emit(self, event: str, payload: dict[str, Any]) -> None:
        self.over_link(lambda: self.perform(self.client.received(event, payload, self.now)))

    def answer_http(self, query: Query) -> None:
        body: Any
        if query.subject == "conversations":
            open_ = [each for each in self.conversations.values() if not each.closed]
            body = [self.listed(each) | {"latest_message": each.messages[-1]} for each in open_]
        else:
            found = self.conversations[query.conversation]
            body = self.listed(found) | {"messages": found.messages}
        response = HttpResponse(query, 200, json.dumps(body).encode())
        if self.up:
            self.perform(self.client.http_response(response, self.now))

    @staticmethod
    def listed(conversation: Conversation) -> dict[str, Any]:
        return {"id": conversation.id, "closed": conversation.closed, "responder": conversation.handler}


def play(seed: int, disturbances: Sequence[str]) -> World:
    """Play one session with up to three conversations."""
    world = World(seed, disturbances)
    random, turns = world.random, count(1)
    world.run(0.5)
    names: list[str] = []  # of the conversations that the client knows
    for _ in range(random.randint(4, 10)):
        names = [each.id for each in world.client._state.conversations.values() if not each.closed]
        choice = random.random()
        conversation = world.conversations[random.choice(names)] if names else None
        if conversation is None or (choice < 0.1 and len(names) < 3):
            turn = next(turns)
            world.act(turn, say(f"message {turn}", ""))
        elif choice < 0.18:
            world.hand_over(conversation)
        elif choice < 0.23:
            by_customer = random.random() < 0.5
            if by_customer:
                world.act(next(turns), act("close", conversation.id))
            else:
                world.close(conversation.id, by_customer=False)
        elif world.happens("unasked", 0.1):
            world.message(conversation, "support", "sate", 0)
        elif world.happens("cut", 0.3):
            world.at(random.choice([0.0, 0.07, 0.3, 1.0]), world.cut)
            continue
        else:
            turn = next(turns)
            world.act(turn, say(random.choice([f"message {turn}", "again"]), conversation.id))
            if random.random() < 0.8:  # wait for the end of the turn before anything else happens
                while turn not in world.done and world.now < 500:
                    world.run(world.now + 0.05)
        world.run(world.now + random.choice([0.0, 0.05, 0.2, 1.0, 6.0]))
    world.run(world.now + 60)
    return world


def problems(world: World) -> list[str]:
    """Return what is wrong in a session, without a warning."""
    warned = {record.turn for record in world.records if record.kind == "warning"}
    found = []
    for text, owner in world.owner.items():
        places = world.placed[text]
        if not places:
            found.append(f"{text!r} is lost")
        if len(places) > 1 and not any(turn in warned for turn, _ in places[1:]):
            found.append(f"{text!r} is in the turns {places}")
        for turn, was_running in places:
            if owner == 0:  # an unasked message is one of no turn, or a late message of the turn before
                found += [f"{text!r} is the reply of turn {turn}"] if was_running and turn not in warned else []
            elif turn != owner and (turn or owner) not in warned:
                found.append(f"{text!r} belongs to turn {owner} and is in turn {turn}")
    names = defaultdict(set)
    for record in world.records:
        if record.turn and record.conversation:
            names[record.turn].add(record.conversation)
    found += [f"turn {turn} names the conversations {each}" for turn, each in names.items() if len(each) > 1]
    found += [f"turn {turn} has not ended" for turn in world.sent if turn not in world.done]
    if "cut" not in world.disturbances:
        prompt = {turn for turn, time in world.answered.items() if time - world.sent[turn] < TIMEOUT_S - 3}
        found += [f"turn {turn} has timed out" for turn in prompt if world.done[turn] == "timeout"]
    if not world.disturbances:
        expected = {turn: "rejected" if turn in world.rejected else "completed" for turn in world.sent}
        wrong = {turn for turn, status in expected.items() if world.done[turn] != status} - warned - world.done_twice
        found += [f"turn {turn} has the status {world.done[turn]}" for turn in wrong]
    return found


@pytest.mark.parametrize("group", range(4))
def test_every_message_is_in_its_turn_or_the_turn_has_a_warning(group: int) -> None:
    bad, warned, turns = [], Counter[str](), 0
    for seed in range(500 * group, 500 * (group + 1)):
        choose = Random(-seed - 1)  # noqa: S311 (a test)
        disturbances = choose.sample(DISTURBANCES, choose.randint(1, 4)) if seed % 2 else []
        world = play(seed, disturbances)
        bad += [f"seed {seed} {world.disturbances} echo {world.echo}: {problem}" for problem in problems(world)]
        if not world.disturbances:
            turns += len(world.sent)
            warned.update(record.text for record in world.records if record.kind == "warning")
    assert not bad, f"{len(bad)} problems: " + "\n".join(bad[:20])
    assert warned.total() <= turns / 100, warned

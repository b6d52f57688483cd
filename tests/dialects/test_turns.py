"""Deadlines and the queue of turns, which all client machines use."""

from __future__ import annotations

from socketnb.dialects.eusate.state import Unconfirmed
from socketnb.dialects.turns import LATE_ANSWER_S, MAX_QUEUED_TURNS, Deadlines, Owed, TurnQueue
from socketnb.dialects.voiceflow.endings import Ending


def test_the_next_deadline_is_the_earliest_one() -> None:
    deadlines = Deadlines()
    assert deadlines.next is None
    deadlines.set("ready", 3.0)
    deadlines.set(Owed(7), 2.0)
    assert deadlines.next == 2.0
    deadlines.set(Owed(7), 4.0)  # moved
    assert deadlines.next == 3.0
    deadlines.clear("ready", "never set")
    assert deadlines.next == 4.0


def test_an_expired_deadline_is_returned_once() -> None:
    deadlines = Deadlines()
    deadlines.set(Owed(2), 2.0)
    deadlines.set(Owed(1), 1.0)
    deadlines.set("ready", 3.0)
    assert deadlines.expired(0.5) == []
    assert deadlines.expired(2.0) == [Owed(2), Owed(1)]
    assert deadlines.expired(2.0) == []
    assert deadlines.next == 3.0


def test_a_deadline_of_one_kind_is_not_that_of_another_kind_for_the_same_turn() -> None:
    keys = [Owed(1), Ending(1), Unconfirmed(1)]
    deadlines = Deadlines()
    for due, key in enumerate(keys):
        deadlines.set(key, float(due))
    deadlines.clear(Ending(1))
    assert deadlines.expired(2.0) == [Owed(1), Unconfirmed(1)]


def queue() -> tuple[Deadlines, TurnQueue[str]]:
    deadlines = Deadlines()
    return deadlines, TurnQueue(deadlines)


def test_turns_are_sent_one_after_another() -> None:
    _, turns = queue()
    assert turns.current == turns.last == 0
    turns.add(1, "a")
    turns.add(2, "b")
    assert turns.next() == 1
    turns.start(1, "a")
    assert turns.next() is None
    assert (turns.current, turns.waiting, turns.running) == (1, {2: "b"}, {1: "a"})
    assert turns.end(1) == "a"
    assert turns.end(1) is None
    assert (turns.current, turns.next()) == (1, 2)


def test_a_turn_that_did_not_wait_can_be_sent_and_the_oldest_is_the_current_one() -> None:
    _, turns = queue()
    turns.start(3, "a")
    turns.start(2, "b")
    assert (turns.current, turns.last) == (3, 2)
    turns.end(3)
    assert turns.current == 2
    turns.end(2)
    assert turns.current == 2


def test_turns_of_different_lanes_do_not_wait_for_each_other() -> None:
    turns: TurnQueue[str] = TurnQueue(Deadlines(), lane=lambda state: state[0])
    turns.start(1, "a1")
    turns.add(2, "a2")
    turns.add(3, "b1")
    assert turns.next() == 3
    turns.start(3, "b1")
    assert turns.next() is None
    turns.end(1)
    assert turns.next() == 2


def test_an_abandoned_turn_blocks_the_next_one_until_its_late_answer() -> None:
    deadlines, turns = queue()
    turns.start(1, "a")
    turns.add(2, "b")
    turns.abandon(1, 10.0)
    assert turns.is_abandoned(1)
    assert turns.next() is None
    assert deadlines.next == 10.0 + LATE_ANSWER_S
    assert turns.end(1) == "a"  # its late answer came
    assert not turns.is_abandoned(1)
    assert deadlines.next is None
    assert turns.next() == 2


def test_an_abandoned_turn_that_gets_no_answer_blocks_only_briefly() -> None:
    deadlines, turns = queue()
    turns.start(1, "a")
    turns.abandon(1, 10.0)
    assert deadlines.expired(10.0 + LATE_ANSWER_S) == [Owed(1)]


def test_an_abandoned_turn_that_waits_is_never_sent() -> None:
    deadlines, turns = queue()
    turns.add(1, "a")
    turns.abandon(1, 10.0)
    turns.abandon(2, 10.0)  # unknown
    assert not turns.is_abandoned(1)
    assert (turns.next(), deadlines.next) == (None, None)


def test_turns_that_are_put_back_are_first_in_line() -> None:
    _, turns = queue()
    turns.start(1, "a")
    turns.start(2, "b")
    turns.add(3, "c")
    turns.put_back({1: "a", 2: "b"})
    assert not turns.running
    assert list(turns.waiting) == [1, 2, 3]


def test_the_queue_is_full_at_its_limit() -> None:
    _, turns = queue()
    for turn in range(MAX_QUEUED_TURNS):
        assert not turns.full
        turns.add(turn, "")
    assert turns.full
    turns.start(0, "")
    assert not turns.full

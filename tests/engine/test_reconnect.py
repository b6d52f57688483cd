"""The reconnect policy: delays, jitter, the number of attempts, and servers that order too many reconnects."""

import math
from collections.abc import Iterator
from functools import partial
from itertools import islice

import pytest
from conftest import Eventually, sim

from socketnb import hub as hub_module
from socketnb.engine.driver import Driver
from socketnb.engine.reconnect import JITTER, RECONNECT_INTERVAL_S, Reconnects, backoff
from socketnb.flows.flow import Flow
from socketnb.hub import Hub
from socketnb.model.effects import Address

ADDRESS = Address("http://x", "p")
FOREVER = Address("http://x", "p", attempts=math.inf, delay=1, delay_max=30)
without_jitter = partial(backoff, jitter=0)


def test_the_delay_doubles_from_one_second_to_five_in_five_attempts() -> None:
    assert list(without_jitter(ADDRESS)) == [1, 2, 4, 5, 5]


def test_the_number_of_attempts_can_be_infinite() -> None:
    delays = list(islice(without_jitter(FOREVER), 2000))
    assert delays[:6] == [1, 2, 4, 8, 16, 30]
    assert delays[-1] == 30


def test_no_delay_exceeds_the_longest_one() -> None:
    assert list(without_jitter(Address("http://x", "p", attempts=2, delay=9, delay_max=3))) == [3, 3]


def test_jitter_shortens_each_delay_by_a_random_part() -> None:
    delays = list(islice(backoff(FOREVER), 5, 205))
    assert all(30 * (1 - JITTER) <= delay <= 30 for delay in delays)
    assert len(set(delays)) > 100


def test_attempts_are_counted_until_a_reset() -> None:
    reconnects = Reconnects(without_jitter)
    delays = [reconnects.next_delay(ADDRESS) for _ in range(6)]
    assert delays == [1, 2, 4, 5, 5, None]
    assert reconnects.attempt == 5
    reconnects.reset()
    assert (reconnects.next_delay(ADDRESS), reconnects.attempt) == (1, 1)


def test_the_second_order_within_the_interval_is_too_often() -> None:
    reconnects = Reconnects()
    times = [0, RECONNECT_INTERVAL_S - 1, 2 * RECONNECT_INTERVAL_S]
    assert [reconnects.is_ordered_too_often(now) for now in times] == [False, True, False]


def test_a_driver_waits_as_its_policy_says(
    hub: Hub, flow: Flow, monkeypatch: pytest.MonkeyPatch, eventually: Eventually
) -> None:
    addresses: list[Address] = []

    def policy(address: Address) -> Iterator[float]:
        addresses.append(address)
        yield 0.01

    monkeypatch.setattr(hub_module, "Driver", partial(Driver, policy=policy))
    bot = hub.connect("voiceflow", simulate=True, flow=flow)
    sim(hub).fault("drop")
    eventually(lambda: bot.traces_df()["kind"].isin(["resumed"]).any())
    assert "attempt 1 of 5 in 0.01 s" in set(bot.traces_df()["text"].dropna())
    assert len(addresses) == 1
    assert bot.say("hi").text == "You said hi"

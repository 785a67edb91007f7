"""For how long a follower may use its near cache, and when an invalidation is over."""

import asyncio

import pytest

from proxy.fleet.barrier import Barrier, BarrierStats
from proxy.fleet.timing import ACKNOWLEDGE_S, TRUST_S, at_least, at_most
from proxy.fleet.trust import Holder, Holders, PriorTrust, Trust
from proxy.runtime.clock import FakeClock

OVER = 0.0


@pytest.fixture
def holders() -> Holders:
    return Holders(PriorTrust(until=-1.0))


def joined(holders: Holders, instance: str = "b1", now: float = 10.0) -> Holder:
    holder = holders.join("b:1", instance)
    assert holders.pinged(holder, now)
    return holder


def test_trust_counts_from_the_sending_of_the_ping() -> None:
    trust = Trust()
    trust.pinged(1, now=10.0)
    assert trust.confirmed(1) == 10.0
    assert trust.until == 10.0 + at_most(TRUST_S)


def test_a_reply_counts_once_and_an_unknown_one_never() -> None:
    trust = Trust()
    trust.pinged(1, now=10.0)
    trust.confirmed(1)
    trust.end()
    assert trust.confirmed(1) is None
    assert trust.confirmed(2) is None
    assert trust.until == 0.0


def test_an_invalidation_without_followers_is_over_at_once(holders: Holders) -> None:
    assert holders.waits_until(holders.publish(10.0), 10.0) == OVER


def test_an_invalidation_is_over_when_each_follower_has_acknowledged_it(holders: Holders) -> None:
    one, other = joined(holders, "b1"), joined(holders, "c1")
    number = holders.publish(11.0)
    holders.acknowledge(one, number, 11.1)
    assert holders.waits_until(number, 11.1) > 11.1
    holders.acknowledge(other, number, 11.2)
    assert holders.waits_until(number, 11.2) == OVER


def test_a_follower_that_is_silent_is_waited_for_until_its_trust_is_over(holders: Holders) -> None:
    joined(holders, now=10.0)
    number = holders.publish(11.0)
    assert holders.waits_until(number, 11.0) == 10.0 + at_least(TRUST_S)
    assert holders.waits_until(number, 10.1 + at_least(TRUST_S)) == OVER


def test_a_follower_that_joins_anew_has_dropped_what_it_kept(holders: Holders) -> None:
    joined(holders, "b1")
    number = holders.publish(11.0)
    again = holders.join("b:1", "b1")
    assert holders.waits_until(number, 11.0) > 11.0
    holders.pinged(again, 11.1)
    assert holders.waits_until(number, 11.1) == OVER


def test_another_process_at_the_same_address_is_no_proof(holders: Holders) -> None:
    joined(holders, "b1")
    number = holders.publish(11.0)
    joined(holders, "b2", now=11.1)
    assert holders.waits_until(number, 11.1) == 10.0 + at_least(TRUST_S)


def test_a_follower_that_has_ended_for_certain_is_not_waited_for(holders: Holders) -> None:
    holder = joined(holders)
    number = holders.publish(11.0)
    holders.gone(holder)
    assert holders.waits_until(number, 11.0) == OVER


def test_a_ping_that_arrives_after_the_end_of_its_sender_gives_no_trust(holders: Holders) -> None:
    holder = joined(holders)
    holders.gone(holder)
    assert holders.pinged(holder, 10.5)
    number = holders.publish(11.0)
    assert holders.waits_until(number, 11.0) == OVER


async def test_a_process_that_has_ended_is_waited_for_no_longer_whatever_it_has_sent() -> None:
    clock = FakeClock()
    barrier = Barrier(clock, PriorTrust(until=-1.0, addresses=set()), BarrierStats(), term=1)
    ended, other = barrier.join("worker-1", "a"), barrier.join("worker-2", "b")
    assert ended.pinged()
    assert other.pinged()
    number = barrier.publish(())
    other.acknowledged(number)
    waiting = asyncio.ensure_future(barrier.passed(number))
    await asyncio.sleep(0)
    assert not waiting.done()
    barrier.ended("worker-1")
    assert ended.pinged()  # sent before, read afterwards
    await asyncio.wait_for(waiting, 1.0)
    again = barrier.join("worker-1", "c")
    assert again.pinged()
    number = barrier.publish(())
    other.acknowledged(number)
    with pytest.raises(TimeoutError):
        await barrier.passed(number, at_most_s=0.01)


def test_a_follower_that_only_pings_is_trusted_no_longer(holders: Holders) -> None:
    holder = joined(holders)
    number = holders.publish(11.0)
    assert holders.pinged(holder, 11.0 + ACKNOWLEDGE_S / 2)
    assert not holders.pinged(holder, 11.1 + ACKNOWLEDGE_S)
    holders.acknowledge(holder, number, 13.0)
    assert holders.pinged(holder, 13.0)


def test_a_follower_whose_trust_was_over_is_waited_for_again_when_it_pings(
    holders: Holders,
) -> None:
    holder = joined(holders)
    joined(holders, "c1", now=20.0)
    holders.pinged(holder, 21.0)
    number = holders.publish(21.1)
    assert holders.waits_until(number, 21.1) > 21.1


def test_after_a_take_over_followers_of_the_last_leader_are_waited_for() -> None:
    holders = Holders(PriorTrust(until=13.0))
    assert holders.waits_until(0, 10.0) == 13.0
    holders.expect({"b:1"})
    assert holders.waits_until(0, 10.0) == 13.0
    joined(holders)
    assert holders.waits_until(0, 10.0) == OVER


def test_if_those_followers_are_not_known_the_time_is_waited_for() -> None:
    holders = Holders(PriorTrust(until=13.0))
    holders.expect(None)
    joined(holders)
    assert holders.waits_until(0, 12.0) == 13.0
    assert holders.waits_until(0, 13.1) == OVER

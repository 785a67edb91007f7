"""Scenarios of near caches: a follower has a card in its near cache when they begin."""

from collections.abc import Callable

from proxy.fleet.protocol import Invalidation
from proxy.model import CacheKey
from tests.fleet.simulation.fleet import Fleet
from tests.fleet.simulation.scenarios import CARD, followers_of, leader_of, write

OTHER_CARD = "two"
NEAR_SCENARIOS: dict[str, Callable[[Fleet], None]] = {}


def scenario(work: Callable[[Fleet], None]) -> Callable[[Fleet], None]:
    NEAR_SCENARIOS[work.__name__] = work
    return work


def keep_everywhere(fleet: Fleet) -> None:
    """Have each follower keep the card."""
    for name in followers_of(fleet):
        fleet.request(name, CARD, is_write=False)
    fleet.run(0.5)
    for name in followers_of(fleet):
        assert fleet.apps[name].near.find(CacheKey(CARD)) is not None


def write_then_read(fleet: Fleet, writer: str, reader: str) -> None:
    """A write, and a read elsewhere as soon as it is acknowledged."""
    before, ends_at = fleet.findings.writes, fleet.world.now + 10.0
    fleet.request(writer, CARD, is_write=True)
    while fleet.findings.writes == before and fleet.world.now < ends_at:
        fleet.run(0.001)
    assert fleet.findings.writes > before
    fleet.request(reader, CARD, is_write=False)
    fleet.run(3.0)


@scenario
def follower_that_keeps_a_card_is_cut_off(fleet: Fleet) -> None:
    keep_everywhere(fleet)
    follower = followers_of(fleet)[0]
    fleet.isolate(follower, 10.0, redis=False, nodes=True)
    write_then_read(fleet, fleet.leader, follower)
    fleet.run(8.0)


@scenario
def leader_alone_sees_a_connection_end(fleet: Fleet) -> None:
    keep_everywhere(fleet)
    follower = followers_of(fleet)[0]
    fleet.isolate(follower, 10.0, redis=False, nodes=True)
    for end in leader_of(fleet).machine.ends:
        if end.other.machine.name == follower:
            end.ended()
    write_then_read(fleet, fleet.leader, follower)
    fleet.run(8.0)


@scenario
def invalidation_is_late(fleet: Fleet) -> None:
    keep_everywhere(fleet)
    follower = followers_of(fleet)[0]
    fleet.world.late_s[fleet.leader, follower] = 0.3
    write_then_read(fleet, fleet.leader, follower)


@scenario
def response_is_overtaken_by_its_invalidation(fleet: Fleet) -> None:
    leader, follower = fleet.leader, followers_of(fleet)[0]
    _delay_response(fleet, leader, follower, 2.0)
    write_then_read(fleet, leader, leader)
    fleet.request(follower, CARD, is_write=False)
    fleet.run(3.0)


@scenario
def response_of_an_earlier_session_arrives(fleet: Fleet) -> None:
    """The leader does not know any more what it has invalidated in between."""
    leader, follower = fleet.leader, followers_of(fleet)[0]
    _delay_response(fleet, leader, follower, 2.0)
    fleet.isolate(follower, 1.2, redis=False, nodes=True)
    fleet.disconnect(follower)
    write(fleet, leader, 0.0)
    leader_of(fleet).invalidate_copies()
    fleet.run(3.0)
    fleet.request(follower, CARD, is_write=False)
    fleet.run(3.0)


@scenario
def follower_joins_again_after_a_write(fleet: Fleet) -> None:
    _keep_another_card(fleet)
    follower = followers_of(fleet)[0]
    fleet.isolate(follower, 0.5, redis=False, nodes=True)
    fleet.disconnect(follower)
    write_then_read(fleet, fleet.leader, follower)
    assert fleet.apps[follower].near.find(CacheKey(OTHER_CARD)) is not None


@scenario
def what_was_missed_is_late(fleet: Fleet) -> None:
    """It follows the welcome, but arrives when the leader already has the first ping."""
    _keep_another_card(fleet)
    follower = followers_of(fleet)[0]
    fleet.isolate(follower, 0.5, redis=False, nodes=True)
    fleet.disconnect(follower)
    fleet.world.late_kinds_s[Invalidation] = 0.5
    write_then_read(fleet, fleet.leader, follower)


def _keep_another_card(fleet: Fleet) -> None:
    """What each follower keeps then is CARD and OTHER_CARD."""
    for name in followers_of(fleet):
        for card in (CARD, OTHER_CARD):
            fleet.request(name, card, is_write=False)
    fleet.run(3.0)


def _delay_response(fleet: Fleet, leader: str, follower: str, late_s: float) -> None:
    """A read at the follower, whose response from the leader is late."""
    keep_everywhere(fleet)
    fleet.apps[follower].near.store.drop(CacheKey(CARD))
    fleet.request(follower, CARD, is_write=False)
    fleet.world.late_s[leader, follower] = late_s
    fleet.run(0.006)
    fleet.world.late_s[leader, follower] = 0.0


@scenario
def leader_killed_and_a_follower_cut_off(fleet: Fleet) -> None:
    keep_everywhere(fleet)
    leader, (_, other) = fleet.leader, followers_of(fleet)
    fleet.isolate(other, 12.0, redis=True, nodes=True)
    fleet.kill(leader)
    _write_at_the_next(fleet, other)


@scenario
def redis_flushed_and_leader_killed_and_a_follower_cut_off(fleet: Fleet) -> None:
    keep_everywhere(fleet)
    leader, (_, other) = fleet.leader, followers_of(fleet)
    fleet.isolate(other, 12.0, redis=True, nodes=True)
    fleet.redis.flush()
    fleet.kill(leader)
    _write_at_the_next(fleet, other)


def _write_at_the_next(fleet: Fleet, reader: str) -> None:
    while not fleet.leader:
        fleet.run(0.01)
    write_then_read(fleet, fleet.leader, reader)
    fleet.run(12.0)


@scenario
def follower_that_keeps_a_card_becomes_the_leader(fleet: Fleet) -> None:
    keep_everywhere(fleet)
    fleet.kill(fleet.leader)
    while not fleet.leader:
        fleet.run(0.01)
    write_then_read(fleet, fleet.leader, fleet.leader)

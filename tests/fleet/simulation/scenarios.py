"""Scenarios: for each guard of the protocol the faults against which it is needed.

The nodes are A, B and C; `one` is a card that was read, so Redis has its response.
"""

from collections.abc import Callable
from dataclasses import replace

from tests.fleet.simulation.app import App
from tests.fleet.simulation.fleet import Findings, Fleet
from tests.fleet.simulation.redis import NAME as REDIS

CARD = "one"
SCENARIOS: dict[str, Callable[[Fleet], None]] = {}


def scenario(work: Callable[[Fleet], None]) -> Callable[[Fleet], None]:
    SCENARIOS[work.__name__] = work
    return work


def play(work: Callable[[Fleet], None], seed: int = 0) -> Findings:
    """Run a scenario; afterwards every node is read."""
    with Fleet(seed) as fleet:
        fleet.world.slow_share = 0.0
        fleet.run(15.0)  # after the first leader's repeated invalidations
        fleet.request("A", CARD, is_write=False)
        fleet.run(3.0)
        work(fleet)
        read_everywhere(fleet)
        return fleet.findings


def leader_of(fleet: Fleet) -> App:
    return fleet.apps[fleet.leader]


def followers_of(fleet: Fleet) -> list[str]:
    return [name for name in fleet.apps if name != fleet.leader]


def write(fleet: Fleet, name: str, wait_s: float = 3.0) -> None:
    """A write, and time for it."""
    fleet.request(name, CARD, is_write=True)
    fleet.run(wait_s)


def read_everywhere(fleet: Fleet) -> None:
    for name in fleet.apps:
        fleet.request(name, CARD, is_write=False)
    fleet.run(4.0)


@scenario
def leader_loses_its_connections(fleet: Fleet) -> None:
    leader = leader_of(fleet)
    for end in leader.machine.ends:
        end.other.ended()
    fleet.isolate(fleet.leader, 5.0, redis=True, nodes=True)
    fleet.run(6.0)


@scenario
def leader_cut_off_from_everything(fleet: Fleet) -> None:
    fleet.isolate(fleet.leader, 20.0, redis=True, nodes=True)
    fleet.run(10.0)


@scenario
def follower_that_promised_is_cut_off(fleet: Fleet) -> None:
    leader, follower = fleet.leader, followers_of(fleet)[0]
    fleet.isolate(leader, 12.0, redis=True, nodes=False)
    fleet.run(1.6)
    fleet.world.cut(leader, follower, 10.0)
    fleet.run(8.0)


@scenario
def follower_that_promised_restarts_and_is_cut_off(fleet: Fleet) -> None:
    leader, (follower, other) = fleet.leader, followers_of(fleet)
    fleet.isolate(leader, 12.0, redis=True, nodes=False)
    fleet.run(2.0)
    for each in (leader, other):
        fleet.world.cut(follower, each, 10.0)
    fleet.kill(follower)
    fleet.start(follower)
    fleet.run(8.0)


@scenario
def newcomer_finds_a_leader_without_redis(fleet: Fleet) -> None:
    fleet.isolate(fleet.leader, 20.0, redis=True, nodes=False)
    fleet.world.cut(fleet.leader, "D", 20.0)
    fleet.start("D")
    fleet.run(10.0)


@scenario
def leader_killed_after_writes_that_redis_lacks(fleet: Fleet) -> None:
    leader = fleet.leader
    fleet.isolate(leader, 10.0, redis=True, nodes=False)
    fleet.run(2.0)
    write(fleet, leader)
    fleet.kill(leader)
    fleet.run(4.0)


@scenario
def redis_loses_writes_and_later_the_leader_is_killed(fleet: Fleet) -> None:
    write(fleet, fleet.leader, wait_s=1.0)
    fleet.redis.restart(0.0, lost_s=1.5)
    fleet.run(1.0)
    fleet.request(fleet.leader, "two", is_write=True)
    fleet.run(3.0)
    fleet.kill(fleet.leader)
    fleet.run(4.0)


@scenario
def redis_loses_writes_and_the_leader_is_killed_at_once(fleet: Fleet) -> None:
    write(fleet, fleet.leader, wait_s=1.0)
    fleet.redis.restart(0.0, lost_s=1.5)
    fleet.kill(fleet.leader)
    fleet.run(5.0)


@scenario
def leader_killed_after_it_sent_a_write(fleet: Fleet) -> None:
    fleet.trello.write_s = 0.5
    write(fleet, fleet.leader, wait_s=0.2)
    fleet.kill(fleet.leader)
    fleet.run(10.0)


@scenario
def write_arrives_after_the_next_leader_has_read(fleet: Fleet) -> None:
    fleet.trello.write_s = 4.0
    write(fleet, fleet.leader, wait_s=0.2)
    fleet.kill(fleet.leader)
    fleet.run(3.0)
    fleet.request(fleet.leader, CARD, is_write=False)
    fleet.run(12.0)


@scenario
def leaders_killed_after_redis_lost_the_intent_of_a_write(fleet: Fleet) -> None:
    fleet.trello.write_s = 10.0
    write(fleet, fleet.leader, wait_s=0.2)
    fleet.redis.restart(0.0, lost_s=None)
    for _ in range(3):
        killed = fleet.leader
        fleet.kill(killed)
        fleet.run(3.0)
        fleet.start(killed)
    fleet.request(fleet.leader, CARD, is_write=False)
    fleet.run(14.0)


@scenario
def redis_loses_the_intent_of_a_write_and_later_the_leader_is_killed(fleet: Fleet) -> None:
    fleet.trello.write_s = 7.0
    write(fleet, fleet.leader, wait_s=0.2)
    fleet.redis.restart(0.0, lost_s=None)
    fleet.request(fleet.leader, "two", is_write=False)
    fleet.run(3.0)
    fleet.kill(fleet.leader)
    fleet.run(3.0)
    fleet.request(fleet.leader, CARD, is_write=False)
    fleet.run(14.0)


@scenario
def redis_loses_only_the_intent_of_a_write_and_later_the_leader_is_killed(fleet: Fleet) -> None:
    fleet.trello.write_s = 7.0
    write(fleet, fleet.leader, wait_s=0.2)
    fleet.redis.restart(0.0, lost_s=0.3)
    fleet.request(fleet.leader, "two", is_write=False)
    fleet.run(3.0)
    fleet.kill(fleet.leader)
    fleet.run(3.0)
    fleet.request(fleet.leader, CARD, is_write=False)
    fleet.run(14.0)


@scenario
def leader_paused_before_it_sends_a_write(fleet: Fleet) -> None:
    paused = leader_of(fleet)
    paused.queue_s = 10.0
    write(fleet, fleet.leader, wait_s=0.1)
    paused.machine.pause(14.0)
    fleet.run(12.0)
    read_everywhere(fleet)
    fleet.run(9.0)


@scenario
def batch_arrives_after_the_next_leader_wrote(fleet: Fleet) -> None:
    first = leader_of(fleet)
    fleet.send_requests(fleet.world.now + 30, per_s=200, write_share=0.5)
    assert first.store is not None
    while CARD not in first.store.unsaved:
        fleet.run(0.0002)
    fleet.world.late_s[fleet.leader, REDIS] = 25.0
    while CARD in first.store.unsaved:
        fleet.run(0.0002)
    fleet.stop_requests()
    first.machine.pause(40.0)
    fleet.run(20.0)  # after the next leader's repeated invalidations
    second = fleet.leader
    fleet.request(second, CARD, is_write=False)
    fleet.run(1.0)
    write(fleet, second, wait_s=5.0)
    fleet.kill(second)
    fleet.run(5.0)


@scenario
def paused_leader_goes_on(fleet: Fleet) -> None:
    paused = fleet.leader
    fleet.apps[paused].machine.pause(8.0)
    fleet.run(4.0)
    write(fleet, followers_of(fleet)[0], wait_s=1.0)
    fleet.request(paused, CARD, is_write=False)
    fleet.run(6.0)


@scenario
def redis_cut_off_from_all_and_a_member_rejoins(fleet: Fleet) -> None:
    leader, follower = fleet.leader, followers_of(fleet)[0]
    for name in fleet.apps:
        fleet.world.cut(name, REDIS, 8.0)
    fleet.run(1.5)
    fleet.kill(follower)
    fleet.start(follower)
    fleet.run(2.0)
    write(fleet, leader, wait_s=1.0)
    fleet.run(6.0)


@scenario
def redis_loses_the_lease_twice(fleet: Fleet) -> None:
    fleet.kill(fleet.leader)
    fleet.redis.flush()
    fleet.run(1.3)
    second, third = (name for name, app in fleet.apps.items() if app.machine.is_alive)
    fleet.world.cut(second, third, 3.0)
    fleet.apps[third].machine.pause(1.0)
    while not fleet.leader:
        fleet.run(0.01)
    fleet.world.late_s[second, REDIS] = 2.0
    fleet.run(0.1)
    fleet.redis.flush()
    fleet.apps[third].machine.loop.paused_until = 0.0
    fleet.run(5.0)


@scenario
def redis_goes_back_to_a_released_lease(fleet: Fleet) -> None:
    released = replace(fleet.redis.data, free=fleet.redis.run_id)
    fleet.stop(fleet.leader)
    fleet.run(1.0)
    second = leader_of(fleet)
    for end in second.machine.ends:
        end.other.ended()
    fleet.isolate(fleet.leader, 5.0, redis=True, nodes=True)
    fleet.redis.restart(0.0, lost_s=0.0)
    fleet.redis.data = released
    fleet.run(6.0)


@scenario
def leader_stays_with_a_former_master(fleet: Fleet) -> None:
    leader, follower = fleet.leader, followers_of(fleet)[0]
    fleet.redis.fail_over(leader, 20.0)
    fleet.isolate(leader, 20.0, redis=False, nodes=True)
    fleet.run(6.0)
    write(fleet, follower)
    fleet.run(16.0)

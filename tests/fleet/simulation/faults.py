"""Faults: what may happen to nodes, network and Redis, chosen by the world's random numbers."""

from collections.abc import Callable
from itertools import combinations

from tests.fleet.simulation.fleet import Fleet
from tests.fleet.simulation.redis import NAME as REDIS

EVERY_S = 3.0


def kill(fleet: Fleet, name: str) -> None:
    fleet.kill(name)
    fleet.world.at(
        fleet.world.now + fleet.world.random.choice((0.1, 0.5, 2.0, 6.0)), lambda: fleet.start(name)
    )


def stop(fleet: Fleet, name: str) -> None:
    if fleet.apps[name].machine.is_alive:
        fleet.stop(name)
    fleet.world.at(fleet.world.now + 4.0, lambda: fleet.kill(name))
    fleet.world.at(fleet.world.now + 4.5, lambda: fleet.start(name))


def pause(fleet: Fleet, name: str) -> None:
    fleet.apps[name].machine.pause(fleet.world.random.choice((0.5, 1.2, 2.0, 4.0, 10.0)))


def cut_from_node(fleet: Fleet, name: str) -> None:
    others = sorted(each for each in fleet.apps if each != name)
    fleet.world.cut(name, fleet.world.random.choice(others), _duration_s(fleet))


def cut_from_redis(fleet: Fleet, name: str) -> None:
    fleet.isolate(name, _duration_s(fleet), redis=True, nodes=False)


def cut_from_nodes(fleet: Fleet, name: str) -> None:
    fleet.isolate(name, _duration_s(fleet), redis=False, nodes=True)


def cut_from_all(fleet: Fleet, name: str) -> None:
    fleet.isolate(name, _duration_s(fleet), redis=True, nodes=True)


def stop_redis(fleet: Fleet, name: str) -> None:
    fleet.redis.stop(_duration_s(fleet))


def flush_redis(fleet: Fleet, name: str) -> None:
    fleet.redis.flush()


def empty_redis(fleet: Fleet, name: str) -> None:
    fleet.redis.restart(fleet.world.random.choice((0.0, 0.3, 3.0)), lost_s=None)


def roll_redis_back(fleet: Fleet, name: str) -> None:
    random = fleet.world.random
    fleet.redis.restart(random.choice((0.0, 0.3, 3.0)), lost_s=random.uniform(0, 2))


def step_redis_clock(fleet: Fleet, name: str) -> None:
    fleet.redis.clock_offset_s += fleet.world.random.choice((-3600, -10, 10, 3600))


def fail_redis_over(fleet: Fleet, name: str) -> None:
    fleet.redis.fail_over(name, _duration_s(fleet))


def slow_network(fleet: Fleet, name: str) -> None:
    fleet.world.slow_share = 0.3

    def heal() -> None:
        fleet.world.slow_share = 0.02

    fleet.world.at(fleet.world.now + 2.0, heal)


FAULTS: tuple[Callable[[Fleet, str], None], ...] = (
    kill,
    kill,
    stop,
    pause,
    cut_from_node,
    cut_from_redis,
    cut_from_nodes,
    cut_from_all,
    stop_redis,
    flush_redis,
    empty_redis,
    roll_redis_back,
    fail_redis_over,
    step_redis_clock,
    slow_network,
)


def storm(fleet: Fleet, until: float) -> None:
    """Cause faults at random, mostly to the leader; sometimes several at once."""
    random = fleet.world.random

    def one() -> None:
        if fleet.world.now < until:
            for _ in range(random.choice((1, 1, 1, 2, 3))):
                name = random.choice([*fleet.apps])
                if random.random() < 0.6 and fleet.leader:
                    name = fleet.leader
                random.choice(FAULTS)(fleet, name)
            fleet.world.at(fleet.world.now + random.expovariate(1 / EVERY_S), one)

    one()


def storm_of_cuts(fleet: Fleet, until: float) -> None:
    """Cut single pairs at random, of nodes or of a node and Redis, several at a time."""
    random, pairs = fleet.world.random, [*combinations([*sorted(fleet.apps), REDIS], 2)]

    def one() -> None:
        if fleet.world.now < until:
            fleet.world.cut(*random.choice(pairs), _duration_s(fleet))
            fleet.world.at(fleet.world.now + random.expovariate(2 / EVERY_S), one)

    one()


def storm_of_disconnects(fleet: Fleet, until: float) -> None:
    """Break the connections of nodes at random, every second and over a slow network."""
    random, fleet.world.slow_share = fleet.world.random, 0.2

    def one() -> None:
        if fleet.world.now < until:
            fleet.disconnect(random.choice([*fleet.apps]))
            fleet.world.at(fleet.world.now + random.expovariate(1), one)
        else:
            fleet.world.slow_share = 0.02

    one()


def _duration_s(fleet: Fleet) -> float:
    return fleet.world.random.choice((0.3, 1.0, 2.0, 5.0, 8.0))

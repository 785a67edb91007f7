"""Faults of a campaign: what may happen to nodes and Redis; each returns when it is over."""

import asyncio
import signal
from collections.abc import Callable, Coroutine
from functools import partial
from math import inf
from typing import Any

import redis

from tests.fleet.campaign.stage import Stage
from tests.fleet.nodes import NodeProcess, now

AWAY_S = (0.0, 0.1, 0.5, 2.0, 6.0)
STOPPED_S = (0.3, 0.8, 1.2, 2.0, 4.0, 8.0)
REDIS_AWAY_S = (0.0, 0.3, 1.0, 3.0, 7.0)
LEADER_SHARE, REDIS_SHARE = 0.6, 0.45
POLL_S = 0.05
LATE_S = 1.0
"""A process that wakes closes connections that were idle for long, as a client may notice late."""

NodeFault = Callable[[Stage, NodeProcess], Coroutine[Any, Any, None]]
RedisFault = Callable[[Stage], Coroutine[Any, Any, None]]


async def kill(stage: Stage, node: NodeProcess) -> None:
    await node.kill()
    await asyncio.sleep(stage.chance.choice(AWAY_S))
    await node.start()


async def end(stage: Stage, node: NodeProcess) -> None:
    """SIGTERM, and a new process."""
    node.send_signal(signal.SIGTERM)
    code = await node.ended()
    if code:
        stage.findings.accuse(stage.findings.wrong, f"{node.address} ended with {code}")
    await asyncio.sleep(stage.chance.choice(AWAY_S))
    await node.start()


async def stop(stage: Stage, node: NodeProcess) -> None:
    node.send_signal(signal.SIGSTOP)
    await asyncio.sleep(stage.chance.choice(STOPPED_S))
    node.send_signal(signal.SIGCONT)


async def redis_killed(stage: Stage) -> None:
    """It comes back empty."""
    stage.redis.kill()
    (stage.redis.directory / "dump.rdb").unlink(missing_ok=True)
    await asyncio.sleep(stage.chance.choice(REDIS_AWAY_S))
    await asyncio.to_thread(stage.redis.start)


async def redis_rolled_back(stage: Stage) -> None:
    """It comes back without its last writes."""
    await _command(stage, "SAVE")
    await asyncio.sleep(stage.chance.uniform(0, 2))
    stage.redis.kill()
    await asyncio.sleep(stage.chance.choice(REDIS_AWAY_S))
    await asyncio.to_thread(stage.redis.start)
    (stage.redis.directory / "dump.rdb").unlink(missing_ok=True)


async def redis_stopped(stage: Stage) -> None:
    stage.redis.pause()
    await asyncio.sleep(stage.chance.choice(REDIS_AWAY_S))
    stage.redis.resume()


async def redis_flushed(stage: Stage) -> None:
    await _command(stage, "FLUSHALL")


async def redis_paused(stage: Stage) -> None:
    pause_s = stage.chance.choice(REDIS_AWAY_S)
    await _command(stage, "CLIENT", "PAUSE", str(int(pause_s * 1e3)), "ALL")
    await asyncio.sleep(pause_s)


async def redis_full(stage: Stage) -> None:
    """No memory: it refuses to store."""
    await _command(stage, "CONFIG", "SET", "maxmemory", "1mb")
    await asyncio.sleep(stage.chance.choice(REDIS_AWAY_S))
    await _command(stage, "CONFIG", "SET", "maxmemory", "0")


async def redis_cut(stage: Stage) -> None:
    """All its connections end."""
    await _command(stage, "CLIENT", "KILL", "TYPE", "normal")


async def _command(stage: Stage, *words: str) -> None:
    """While it is being restarted, nothing."""

    def run() -> None:
        with stage.redis.client() as client:
            client.execute_command(*words)

    try:
        await asyncio.to_thread(run)
    except redis.RedisError as error:
        stage.findings.event(f"{words}: {error!r}")


NODE_FAULTS: tuple[NodeFault, ...] = (kill, end, stop, stop, stop)
REDIS_FAULTS: tuple[RedisFault, ...] = (
    redis_killed,
    redis_rolled_back,
    redis_stopped,
    redis_flushed,
    redis_paused,
    redis_full,
    redis_cut,
)


class Choice:
    """Draws faults; a node, or Redis, has one at a time."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._redis_has_one = False
        self.ended_at = 0.0
        """When the last fault ended: the process listens, or goes on."""

    async def draw(self) -> Callable[[], Coroutine[Any, Any, None]] | None:
        """A fault that may begin now."""
        stage = self._stage
        if stage.chance.random() < REDIS_SHARE:
            if self._redis_has_one:
                return None
            self._redis_has_one = True
            return partial(self._of_redis, stage.chance.choice(REDIS_FAULTS))
        well = [each for each in stage.group.nodes if stage.impaired.get(each) != inf]
        if not well:
            return None
        node = stage.chance.choice(well)
        if stage.chance.random() < LEADER_SHARE:
            states = {each: await each.state() for each in well}
            leaders = [each for each, state in states.items() if state.get("role") == "leader"]
            node = leaders[0] if leaders else node
        stage.impaired[node] = inf
        return partial(self._of_node, stage.chance.choice(NODE_FAULTS), node)

    async def _of_node(self, fault: NodeFault, node: NodeProcess) -> None:
        stage = self._stage
        stage.findings.begin(fault.__name__, f"{fault.__name__} {node.address}")
        await fault(stage, node)
        while not await node.state():  # noqa: ASYNC110 - its process starts
            await asyncio.sleep(POLL_S)
        stage.findings.event(f"{fault.__name__} {node.address} over")
        self.ended_at = now()
        stage.impaired[node] = now() + LATE_S

    async def _of_redis(self, fault: RedisFault) -> None:
        stage = self._stage
        stage.findings.begin(fault.__name__, fault.__name__)
        await fault(stage)
        stage.findings.event(f"{fault.__name__} over")
        self.ended_at = now()
        self._redis_has_one = False

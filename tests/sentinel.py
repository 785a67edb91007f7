"""A Redis with a replica, and Sentinels that watch both; all of the tests' own."""

import asyncio
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.redis_server import REDIS_SERVER, RedisServer, free_port

DOWN_AFTER_MS = 500
_PERIODS = ["ping-period", "100", "info-period", "200", "publish-period", "200"]
"""A former master is made a replica after four publish periods, of 2 s as they come."""
_CONFIG = f"""\
sentinel monitor main 127.0.0.1 {{master}} {{quorum}}
sentinel down-after-milliseconds main {DOWN_AFTER_MS}
sentinel failover-timeout main 2000
"""


class Sentinel:
    """Watches a master under the name `main`."""

    def __init__(self, directory: Path, master: RedisServer, quorum: int) -> None:
        self.port = free_port()
        directory.mkdir()
        config = directory / "sentinel.conf"
        watched = _CONFIG.format(master=master.port, quorum=quorum)
        config.write_text(f"port {self.port}\nbind 127.0.0.1\n{watched}")
        self._process = subprocess.Popen(
            [str(REDIS_SERVER), str(config), "--sentinel"], stdout=subprocess.DEVNULL
        )

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def ask(self, *command: str) -> Any:
        """The reply; empty while it does not respond."""
        with suppress(redis.RedisError), redis.Redis(port=self.port) as client:
            return client.execute_command("SENTINEL", *command) or []
        return []

    def is_ready(self, others: int) -> bool:
        """Whether it knows the replica and the other Sentinels."""
        self.ask("DEBUG", *_PERIODS)
        known = self.ask("REPLICAS", "main"), self.ask("SENTINELS", "main")
        return [len(each) for each in known] == [1, others]

    def master(self) -> int:
        """The port of whom it calls the master; 0 while it cannot say."""
        found = self.ask("GET-MASTER-ADDR-BY-NAME", "main")
        return int(found[1]) if found else 0


class WatchedRedis:
    """Two servers and their Sentinels; `start` it, and `kill` it whatever happens."""

    def __init__(self, directory: Path, sentinels: int = 1) -> None:
        self.first = RedisServer(directory / "first", "--repl-diskless-sync-delay", "0")
        self.second = RedisServer(directory / "second", "--repl-diskless-sync-delay", "0")
        self.sentinels: list[Sentinel] = []
        self._directory = directory
        self._count = sentinels

    @property
    def url(self) -> str:
        addresses = ",".join(f"127.0.0.1:{each.port}" for each in self.sentinels)
        return f"redis+sentinel://{addresses}/main/0"

    async def start(self) -> None:
        """Return when all of them know each other."""
        self.first.start()
        self.second.start("--replicaof", "127.0.0.1", str(self.first.port))
        for number in range(self._count):
            directory, quorum = self._directory / f"sentinel-{number}", self._count // 2 + 1
            self.sentinels.append(Sentinel(directory, self.first, quorum))
        await is_so(lambda: set(map(self._is_ready, self.sentinels)) == {True})
        await is_so(lambda: self.replicas() == 1)

    def _is_ready(self, sentinel: Sentinel) -> bool:
        return sentinel.is_ready(self._count - 1)

    async def failed_over(self) -> None:
        """Return when the second server is the master for every Sentinel."""
        await is_so(lambda: {each.master() for each in self.sentinels} == {self.second.port})

    def replicas(self) -> int:
        """How many replicas confirm what the Sentinels' master writes.

        It counts one as connected that loads a first copy yet, and confirms nothing.
        """
        servers = {each.port: each for each in (self.first, self.second)}
        with servers[self.sentinels[0].master()].client() as client:
            client.set("confirmed", "")
            return int(client.wait(1, 1000))

    def kill(self) -> None:
        for each in self.sentinels:
            each.kill()
        self.first.kill()
        self.second.kill()


async def is_so(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not await asyncio.to_thread(condition):  # noqa: ASYNC110 - other processes
            await asyncio.sleep(0.02)


@pytest.fixture
async def watched_redis(tmp_path: Path) -> AsyncIterator[WatchedRedis]:
    """With one Sentinel."""
    made = WatchedRedis(tmp_path)
    try:
        await made.start()
        yield made
    finally:
        made.kill()

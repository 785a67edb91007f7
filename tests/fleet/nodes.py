"""Nodes of a fleet as processes of their own, above a real Redis and one fake Trello."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
from yarl import URL

from tests.redis_server import free_port
from tests.scenarios.conftest import KEY, TOKEN, Heard
from tests.serve_process import READY_S, ServeProcess

ROOT = Path(__file__).parents[2]
FLEET_KEY = "a-key-for-the-tests-of-the-fleet"


def now() -> float:
    """Seconds; processes share no clock of ours."""
    return time.monotonic()  # noqa: TID251 - other processes


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Return when something holds, of a process whose events are not known here."""
    ends = now() + READY_S
    while not await holds():
        assert now() < ends
        await asyncio.sleep(0.02)


class NodeProcess(ServeProcess):
    """One node: `start` it, and `kill` it whatever happens."""

    def __init__(
        self,
        directory: Path,
        redis_url: str,
        settings: str,
        session: aiohttp.ClientSession,
        name: str = "",
    ) -> None:
        super().__init__(directory)
        self.name = name
        self.port, self.fleet_port = free_port(), free_port()
        self.program = ROOT
        """Directory of the program: another one has another version."""
        self.address, self.redis_url = f"127.0.0.1:{self.fleet_port}", redis_url
        """Where the others reach it, and where it reaches Redis: by links, if there are any."""
        self.settings = settings
        self._session = session

    def configuration(self) -> str:
        """As `proxy.yaml` has it, without what `start` adds."""
        cache = self.directory / "cache"
        return (
            f"listen: 127.0.0.1:{self.port}\n"
            "public_url: http://trello.internal\n"
            f"{self.settings}"
            f"cache: {{backend: redis, redis: '{self.redis_url}', directory: {cache}}}\n"
            f"fleet: {{listen: 127.0.0.1:{self.fleet_port}, address: {self.address}, "
            f"key: {FLEET_KEY}}}\n"
        )

    async def start(self, settings: str = "") -> None:
        """Start it; it may not serve yet."""
        self.directory.mkdir(parents=True, exist_ok=True)
        file = self.directory / "proxy.yaml"
        file.write_text(self.configuration() + settings)
        environ = {"TRELLO_KEY": KEY, "TRELLO_TOKEN": TOKEN}
        self._process = await self.launch(file, self.program, environ)

    async def __call__(self, method: str, target: str, **options: Any) -> Heard:
        url = URL(f"http://127.0.0.1:{self.port}{target}", encoded=True)
        async with self._session.request(method, url, **options) as response:
            return Heard(response.status, response.headers, await response.read())

    async def get(self, target: str, **options: Any) -> Heard:
        return await self("GET", target, **options)

    async def state(self) -> dict[str, Any]:
        """What it says of the fleet; empty while it does not respond."""
        try:
            async with asyncio.timeout(1.0):
                heard = await self.get("/-/fleet", headers={"Accept": "application/json"})
        except (aiohttp.ClientError, TimeoutError):
            return {}
        return dict(heard.json)

    async def metric(self, sample: str) -> float:
        """A sample of /metrics by its name; it must be there."""
        lines = (await self.get("/metrics")).body.decode().splitlines()
        return next(float(each.split()[-1]) for each in lines if each.startswith(f"{sample} "))


class NodeGroup:
    """Nodes of one fleet."""

    def __init__(self, nodes: list[NodeProcess]) -> None:
        self.nodes = nodes
        self.settings = ""

    async def start(self, settings: str = "") -> None:
        """Return when one leads and the others follow it."""
        self.settings = settings
        for node in self.nodes:
            await node.start(settings)
        await self.settled()

    async def settled(self, nodes: list[NodeProcess] | None = None) -> NodeProcess:
        """The leader, when all of `nodes`, or all that run, agree on it, and it is one of them."""
        ends = now() + READY_S
        while True:
            running = [node for node in nodes or self.nodes if node.is_running]
            states = [await node.state() for node in running]
            leaders = {state.get("leader") for state in states}
            roles = sorted(str(state.get("role")) for state in states)
            if len(leaders) == 1 and roles == ["follower"] * (len(running) - 1) + ["leader"]:
                return next(node for node in running if node.address in leaders)
            assert now() < ends, (states, [node.log_file.read_text()[-500:] for node in running])
            await asyncio.sleep(0.05)

    async def followers(self) -> list[NodeProcess]:
        leader = await self.settled()
        return [node for node in self.nodes if node is not leader and node.is_running]

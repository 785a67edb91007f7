"""Fleet: some nodes, clients that compare what they read, and what must hold."""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Self

from proxy.errors import ProxyError
from tests.fleet.simulation.app import ALL_KEYS, App, Trello
from tests.fleet.simulation.redis import NAME as REDIS
from tests.fleet.simulation.redis import Redis
from tests.fleet.simulation.world import Machine, World, call

VISIBLE_S = 7.5
"""A write that was made is shown after so long, acknowledged or not: two invalidations and a read
later."""
HEALED_S = 10.0
_CHECK_S = 0.01


@dataclass
class Findings:
    """What happened."""

    reads: int = 0
    writes: int = 0
    near_hits: int = 0
    """Reads served from the near caches of the nodes that run at the end."""
    failed_reads: int = 0
    failed_writes: int = 0
    wrong: list[str] = field(default_factory=list)
    """Reads that did not show a write acknowledged before they began."""
    hidden: list[str] = field(default_factory=list)
    """Reads that did not show a write made VISIBLE_S before they began."""
    two_leaders: list[str] = field(default_factory=list)
    not_healed: list[str] = field(default_factory=list)
    longest_read_s: float = 0.0
    longest_write_s: float = 0.0

    @property
    def violations(self) -> list[str]:
        return [*self.wrong, *self.hidden, *self.two_leaders, *self.not_healed]


class Fleet:
    """One episode."""

    def __init__(self, seed: int, names: str = "ABC") -> None:
        self.world = World(seed)
        self.redis = Redis(self.world)
        self.trello = Trello(self.world)
        self.clients = Machine(self.world, "clients")
        self.apps: dict[str, App] = {}
        self.findings = Findings()
        self._requests_until = 0.0
        self._acknowledged: dict[str, int] = defaultdict(int)
        for name in names:
            self.start(name)
        self._watch_leaders()

    def start(self, name: str) -> None:
        """Start a node, unless it runs."""
        app = self.apps.get(name)
        if app is None or not app.machine.is_alive:
            rate = 1 + self.world.random.uniform(-0.009, 0.009)
            machine = Machine(self.world, name, rate)
            self.apps[name] = App(machine, self.apps, self.redis, self.trello)

    def kill(self, name: str) -> None:
        """As SIGKILL: its connections break."""
        machine = self.apps[name].machine
        if machine.is_alive:
            machine.kill()

    def stop(self, name: str) -> None:
        """As SIGTERM: it hands over, and ends."""
        app = self.apps[name]

        async def stop() -> None:
            await app.stop()
            self.world.at(self.world.now, lambda: self.kill(name) if is_same() else None)

        def is_same() -> bool:
            return self.apps[name] is app

        app.machine.spawn(stop())

    def isolate(self, name: str, duration_s: float, *, redis: bool, nodes: bool) -> None:
        """Cut a node off from Redis, from the other nodes, or from both."""
        others = [each for each in self.apps if each != name] if nodes else []
        for other in [*others, *([REDIS] if redis else [])]:
            self.world.cut(name, other, duration_s)

    def disconnect(self, name: str) -> None:
        """Break its connections to the other nodes; it may open others at once."""
        for end in self.apps[name].machine.ends:
            end.ended()
            end.other.ended()

    @property
    def leader(self) -> str:
        """A node that acts now; empty without one."""
        return next((name for name, app in self.apps.items() if self._acts(app)), "")

    def run(self, duration_s: float) -> None:
        """Let time pass."""
        self.world.run(self.world.now + duration_s)
        assert not self.world.failures, self.world.failures[:3]

    def send_requests(self, until: float, per_s: float = 30.0, write_share: float = 0.15) -> None:
        """Clients send requests to random nodes."""

        self._requests_until = until

        def one() -> None:
            if self.world.now < self._requests_until:
                random = self.world.random
                alive = [name for name, app in self.apps.items() if app.takes_clients]
                name, key = random.choice(alive or [*self.apps]), random.choice(ALL_KEYS)
                self.request(name, key, is_write=random.random() < write_share)
                self.world.at(self.world.now + random.expovariate(per_s), one)

        one()

    def stop_requests(self) -> None:
        """Send no more."""
        self._requests_until = 0.0

    def request(self, name: str, key: str, *, is_write: bool) -> None:
        """One request, whose response is compared."""
        self.clients.spawn(self._request(name, key, is_write=is_write))

    async def _request(self, name: str, key: str, *, is_write: bool) -> bool:
        app, findings, began = self.apps[name], self.findings, self.world.now
        least = self._acknowledged[key]
        made = [v for at, k, v in self.trello.made if k == key and at < began - VISIBLE_S]
        try:
            version = await call(
                self.clients, app.machine, lambda: app.serve(is_write=is_write, key=key)
            )
        except (ProxyError, ConnectionError):
            findings.failed_writes += is_write
            findings.failed_reads += not is_write
            return False
        took_s = self.world.now - began
        if is_write:
            self._acknowledged[key] = max(self._acknowledged[key], version)
            findings.writes += 1
            findings.longest_write_s = max(findings.longest_write_s, took_s)
            return True
        findings.reads += 1
        findings.longest_read_s = max(findings.longest_read_s, took_s)
        where = f"{began:.2f} {name} {key}: {version}"
        if version < least:
            findings.wrong.append(f"{where} < {least}, acknowledged")
        elif made and version < made[-1]:
            findings.hidden.append(f"{where} < {made[-1]}, made")
        return True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """End everything."""
        for machine in [*self.world.machines]:
            machine.kill()

    def check_healed(self) -> None:
        """Every node serves a read and a write now."""
        for name in self.apps:
            for is_write in (False, True):
                self.clients.spawn(self._check_healed(name, is_write=is_write))

    async def _check_healed(self, name: str, *, is_write: bool) -> None:
        if not await self._request(name, ALL_KEYS[0], is_write=is_write):
            self.findings.not_healed.append(f"{name}: {'write' if is_write else 'read'}")

    def _watch_leaders(self) -> None:
        acting = [name for name, app in self.apps.items() if self._acts(app)]
        if len(acting) > 1:
            self.findings.two_leaders.append(f"{self.world.now:.2f} {acting}")
        self.world.at(self.world.now + _CHECK_S, self._watch_leaders)

    @staticmethod
    def _acts(app: App) -> bool:
        return app.machine.is_alive and app.node.acts()

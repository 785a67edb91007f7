"""Redis as the fleet uses it: its data, its faults, and the scripts in Python."""

import asyncio
from collections.abc import Callable, Collection, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, TypeVar

from proxy.errors import StoreError
from proxy.fleet.lease import Record, Renewal, Sighting
from proxy.fleet.timing import TIMEOUT_S
from tests.fleet.simulation.world import Machine, Reply, World

T = TypeVar("T")
NAME = "redis"
NEEDS_REPLICAS = True
"""A switch for the tests: whether a lease counts only once a replica has it."""


@dataclass
class Meta:
    """The chain of the store."""

    term: int = 0
    gen: str = ""
    n: int = 0
    run_id: str = ""
    is_closed: bool = False
    """Whether the leader of `term` handed over."""


@dataclass
class Data:
    """Everything that a restart may lose."""

    term: int = 0
    beat: int = 0
    holder: str = ""
    address: str = ""
    free: str = ""
    members: dict[str, str] = field(default_factory=dict)
    meta: Meta = field(default_factory=Meta)
    epochs: dict[str, int] = field(default_factory=dict)
    rows: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Version and `requested_seq` by generation and key."""
    intents: dict[str, tuple[str, ...]] = field(default_factory=dict)


class Redis:
    """The server."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.data = Data()
        self.run_id = "run-1"
        self.clock_offset_s = 1_800_000_000.0
        self._runs = 1
        self._former: tuple[str, Data] | None = None
        """Run id and data of a master that was replaced and does not know it."""
        self._staying = ""
        """The machine that is still connected to it."""
        self._stopped_until = 0.0
        self._down_until = 0.0
        self._waiting: list[Callable[[], None]] = []
        self._copies: list[tuple[float, Data]] = []
        self._keep_copy()

    @property
    def time_ms(self) -> int:
        return int((self.world.now + self.clock_offset_s) * 1000)

    def new_beat(self) -> int:
        """Number of a lease that no node holds."""
        return int((self.world.now + self.clock_offset_s) * 1_000_000)

    def submit(self, command: Callable[[], None], refuse: Callable[[], None]) -> None:
        """Run a command now, or when the server goes on."""
        if self.world.now < self._down_until:
            refuse()
        elif self.world.now < self._stopped_until:
            self._waiting.append(command)
        else:
            command()

    def stop(self, duration_s: float) -> None:
        """As SIGSTOP: commands wait, and are run afterwards."""
        self._stopped_until = max(self._stopped_until, self.world.now + duration_s)
        self.world.at(self._stopped_until, self._go_on)

    def restart(self, down_s: float, lost_s: float | None) -> None:
        """End, and come back without the newest writes, or (None) empty; another run."""
        self._down_until = self.world.now + down_s
        self._waiting.clear()
        self._stopped_until = 0.0
        self._runs += 1
        self.run_id = f"run-{self._runs}"
        if lost_s is None:
            self.data = Data()
        elif lost_s:
            past = [copy for at, copy in self._copies if at <= self.world.now - lost_s]
            self.data = deepcopy(past[-1]) if past else Data()

    def fail_over(self, staying: str, duration_s: float) -> None:
        """A replica becomes the master; one machine stays with the former one, which has none."""
        self._former, self._staying = (self.run_id, self.data), staying
        self.data = deepcopy(self.data)
        self._is_down = False
        self._runs += 1
        self.run_id = f"run-{self._runs}"
        former = self._former

        def demote() -> None:
            if self._former is former:
                self._former = None

        self.world.at(self.world.now + duration_s, demote)

    def server_of(self, machine: str) -> tuple[str, Data]:
        """Run id and data of the server that a machine is connected to."""
        if self._former is not None and machine == self._staying:
            return self._former
        return self.run_id, self.data

    def flush(self) -> None:
        """FLUSHALL: empty, and the same run."""
        self.data = Data()

    def _go_on(self) -> None:
        if self.world.now >= self._stopped_until:
            waiting, self._waiting = self._waiting, []
            for command in waiting:
                command()

    def _keep_copy(self) -> None:
        now = self.world.now
        self._copies = [(at, copy) for at, copy in self._copies if at > now - 3]
        self._copies.append((now, deepcopy(self.data)))
        self.world.at(now + 0.25, self._keep_copy)


class Client:
    """One machine's connection, to one run of the server."""

    def __init__(self, machine: Machine, redis: Redis) -> None:
        self._machine, self._redis = machine, redis
        self.machine = machine.name
        self.run_id = ""

    async def run(self, command: Callable[[Data], T]) -> T:
        """The reply within TIMEOUT_S; a command without one may still be run."""
        redis, machine, expected = self._redis, self._machine, self.run_id
        if not machine.is_alive:
            raise StoreError("ended")
        reply = Reply[tuple[Any, str]](machine, NAME)

        def execute() -> None:
            run_id, data = redis.server_of(machine.name)
            if expected in ("", run_id):
                reply.send((command(data), run_id))
            else:
                reply.send((None, ""))

        def refuse() -> None:
            reply.send((None, ""))

        redis.world.send(machine.name, NAME, lambda: redis.submit(execute, refuse))
        try:
            async with asyncio.timeout(TIMEOUT_S):
                value, self.run_id = await reply.future
        except TimeoutError:
            self.run_id = ""
            raise StoreError("no reply") from None
        if not self.run_id:
            raise StoreError("refused")
        return value  # type: ignore[no-any-return]

    async def run_replicated(self, command: Callable[[Data], T | None]) -> T | None:
        """The reply, if it is none or a replica has what was written."""
        value = await self.run(command)
        if NEEDS_REPLICAS and value is not None and self.run_id != self._redis.run_id:
            self.run_id = ""
            raise StoreError("too few replicas")
        return value


class SimulatedLease:
    """A LeaseStore; the scripts of `proxy/fleet/redis_lease.py` in Python."""

    def __init__(self, client: Client, redis: Redis, address: str, instance: str) -> None:
        self._client, self._redis = client, redis
        self._address, self._instance = address, instance

    @property
    def _run_id(self) -> str:
        return self._redis.server_of(self._client.machine)[0]

    async def look(self) -> Record:
        def script(data: Data) -> Record:
            data.members[self._address] = self._instance
            if not data.term and not data.beat:
                data.beat = self._redis.new_beat()
            return Record(
                run_id=self._run_id,
                term=data.term,
                beat=data.beat,
                address=data.address,
                free_on=data.free,
                members=frozenset(data.members),
            )

        return await self._client.run(script)

    async def acquire(self, seen: Sighting, known_term: int) -> int | None:
        if seen.run_id != self._client.run_id:
            return None

        def script(data: Data) -> int | None:
            if (data.term, data.beat) != (seen.term, seen.beat):
                return None
            data.term = max(data.term, known_term, self._redis.time_ms) + 1
            data.beat, data.free = 0, ""
            data.holder, data.address = self._instance, self._address
            return data.term

        return await self._client.run_replicated(script)

    async def renew(
        self, term: int, beat: int, members: Collection[str], forgotten: Collection[str]
    ) -> Renewal | None:
        others = tuple(members)

        def script(data: Data) -> Renewal | None:
            is_taken = data.term == term and (data.holder != self._instance or data.free)
            if data.term > term or is_taken:
                return None
            if data.term < term or data.beat < beat:
                data.term, data.beat, data.free = term, beat, ""
                data.holder, data.address = self._instance, self._address
            for address in forgotten:
                data.members.pop(address, None)
            for address in others:
                data.members.setdefault(address, "")
            data.members[self._address] = self._instance
            return Renewal(self._run_id, frozenset(data.members))

        return await self._client.run_replicated(script)

    async def release(self, term: int, *, leaves: bool = False) -> None:
        run_id = self._client.run_id

        def script(data: Data) -> None:
            if data.term == term and data.holder == self._instance:
                data.free = run_id
                if leaves:
                    data.members.pop(self._address, None)

        await self._client.run(script)

    async def close(self) -> None:
        def script(data: Data) -> None:
            if data.members.get(self._address) == self._instance:
                del data.members[self._address]

        await self._client.run(script)


class SimulatedIntents:
    """An IntentStore."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def put(self, intents: Mapping[str, Collection[str]]) -> None:
        kept = {name: tuple(tags) for name, tags in intents.items()}
        await self._client.run(lambda data: data.intents.update(kept))

    async def remove(self, names: Collection[str]) -> None:
        def script(data: Data) -> None:
            for name in names:
                data.intents.pop(name, None)

        await self._client.run(script)

    async def all(self) -> dict[str, tuple[Any, ...]]:
        return await self._client.run(lambda data: dict(data.intents))

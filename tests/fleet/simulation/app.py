"""App: one node's process around the real fleet; cards are at a simulated Trello."""

import asyncio
from collections import defaultdict
from collections.abc import Collection
from contextlib import suppress
from functools import partial

from proxy.cache.read_through import BARRIER_S
from proxy.cache.store.succession import Succession
from proxy.errors import StoreError
from proxy.fleet.barrier import Barrier
from proxy.fleet.channel import ChannelClosed
from proxy.fleet.errors import LeaderLost, NoLeader
from proxy.fleet.leadership import Leadership
from proxy.fleet.local import Local
from proxy.fleet.near import Given, Near
from proxy.fleet.node import Leader, Node, Role
from proxy.fleet.protocol import Hello
from proxy.fleet.timing import TIMEOUT_S
from proxy.fleet.write_intents import WriteIntents
from proxy.model import CacheKey, StoredResponse, Tag
from proxy.observability.log import Log
from tests.fleet.simulation.channel import End
from tests.fleet.simulation.redis import Client, Redis, SimulatedIntents, SimulatedLease
from tests.fleet.simulation.store import SimulatedStore
from tests.fleet.simulation.world import Machine, World, call

READ_TIMEOUT_S = 1.0
"""Of the simulated Trello: a write is made within it, or not at all."""
WAIT_S = 2.6
"""How long a request waits for a leader."""


class Trello:
    """A version number for each card."""

    def __init__(self, world: World) -> None:
        self.machine = Machine(world, "trello")
        self.versions: dict[str, int] = defaultdict(int)
        self.made: list[tuple[float, str, int]] = []
        """When each write was made, in order."""
        self.write_s = 0.0
        """How much longer each write takes on its way."""

    async def read(self, key: str) -> int:
        await self._work()
        version = self.versions[key]
        await self._work()
        return version

    async def write(self, key: str) -> int:
        await self.machine.sleep(self.write_s)
        await self._work()
        self.versions[key] += 1
        self.made.append((self.machine.world.now, key, self.versions[key]))
        version = self.versions[key]
        await self._work()
        return version

    async def _work(self) -> None:
        random = self.machine.world.random
        await self.machine.sleep(random.choice((0.01, 0.03, 0.05, 0.4)))


class App:
    """A process: the node, and the leader's duties."""

    def __init__(
        self, machine: Machine, apps: "dict[str, App]", redis: Redis, trello: Trello
    ) -> None:
        self.machine, self.address, self.trello = machine, machine.name, trello
        self._apps = apps
        self._redis = redis
        instance = f"{machine.name}-{machine.world.now}"
        lease = SimulatedLease(Client(machine, redis), redis, self.address, instance)
        self.near = Near(machine, limit_bytes=1_000_000)
        local = Local(
            hello=Hello(self.address, instance, keeps=True),
            store=lease,
            connector=self,
            duties=self,
            clock=machine,
            log=Log(lambda lines: None, machine),
            near=self.near,
        )
        self.node = Node(local)
        self._client = Client(machine, redis)
        self.writes = WriteIntents(SimulatedIntents(self._client), machine, instance)
        self.store: SimulatedStore | None = None
        self.near_hits = 0
        self.is_draining = False
        """Whether its listener is closed to new clients."""
        self.queue_s = 0.05
        """How long a write waits for its turn at most."""
        self.passed_on = 0
        """Requests of nodes that could not reach the leader."""
        self._clients = self._in_progress = 0
        self._reads: dict[str, tuple[int, asyncio.Task[int]]] = {}
        machine.loop.call_soon(self.node.start)

    @property
    def takes_clients(self) -> bool:
        """Whether a load balancer sends requests here."""
        return self.machine.is_alive and not self.is_draining

    async def stop(self) -> None:
        """Serve the clients that are connected, and hand over."""
        self.is_draining = True
        while self._clients:
            await self.machine.sleep(0.01)
        await self.node.stop()

    # Connector

    async def connect(self, address: str) -> End:
        app = self._apps.get(address)
        if app is None:
            raise ChannelClosed
        here, there = End(self.machine), End(app.machine)

        async def accept() -> None:
            here.other, there.other = there, here
            app.machine.spawn(app.node.serve(there))

        try:
            async with asyncio.timeout(TIMEOUT_S):
                await call(self.machine, app.machine, accept)
        except (TimeoutError, ConnectionError):
            raise ChannelClosed from None
        app.machine.ends.append(there)
        self.machine.ends.append(here)
        return here

    # Duties

    @property
    def is_behind(self) -> bool:
        return self.store is not None and self.store.is_behind

    watched_s, wants_sample = 0.0, False

    def note_uses(self, keys: Collection[CacheKey]) -> None:
        pass

    async def take_over(self, succession: Succession, barrier: Barrier) -> bool:
        store = SimulatedStore(self._client, self.machine, barrier, self.writes.restore)
        self._reads.clear()
        is_trusted = await store.open(succession)
        left = await self.writes.take_over(() if is_trusted else [Tag(key) for key in ALL_KEYS])
        keys = tuple({tag for tags in left.values() for tag in tags})

        def invalidate() -> None:
            store.invalidate(keys)

        invalidate()
        self.store = store
        if left:
            self.machine.tasks.spawn(self.writes.repeat(tuple(left), invalidate, READ_TIMEOUT_S))
        return is_trusted

    def step_down(self) -> None:
        if self.store is not None:
            self.machine.tasks.spawn(self.store.stop())
            self.store = None

    async def hand_over(self) -> None:
        while self._in_progress:
            await self.machine.sleep(0.01)
        if self.store is not None:
            with suppress(StoreError):
                await self.store.close()

    def invalidate_copies(self) -> None:
        """At the leader: have the followers drop everything that they keep."""
        assert self.store is not None
        self.store.barrier.publish((), is_of_all=True)

    # Requests

    async def serve(self, *, is_write: bool, key: str) -> int:
        """A client's request, at this node."""
        kept = None if is_write else self.near.find(CacheKey(key))
        if kept is not None:
            self.near_hits += 1
            return int(kept.body)
        self._clients += 1
        try:
            return await self._serve(is_write=is_write, key=key)
        finally:
            self._clients -= 1

    async def _serve(self, *, is_write: bool, key: str) -> int:
        deadline = self.machine.boottime() + WAIT_S
        while True:
            try:
                leader = await self.node.wait_for_leader(deadline)
                if leader.is_self:
                    return await self._decide(is_write=is_write, key=key)
                return await self._relay(leader, is_write=is_write, key=key)
            except NoLeader:
                if self.node.role is Role.APART and not is_write:
                    return await self._fetch(key)
                if self.machine.boottime() >= deadline or self.node.role is Role.APART:
                    raise
            except (ConnectionError, TimeoutError):
                if is_write:
                    raise LeaderLost from None
            await self.machine.sleep(0.02)

    async def _relay(self, leader: Leader, *, is_write: bool, key: str) -> int:
        app = self._apps[leader.through or leader.address]
        async with asyncio.timeout(READ_TIMEOUT_S + 2):
            if leader.through:
                passed = partial(app._pass_on, is_write=is_write, key=key)
                return await call(self.machine, app.machine, passed)
            began = self.machine.boottime()
            work = call(self.machine, app.machine, lambda: app._give(is_write=is_write, key=key))
            version, given = await work
            if given is not None:
                took_s = self.machine.boottime() - began
                self.near.keep(CacheKey(key), stored_form(key, version), given, took_s)
            return version

    async def _give(self, *, is_write: bool, key: str) -> tuple[int, Given | None]:
        """The response, and what lets the other node keep it."""
        leadership = self.node.leadership
        version = await self._decide(is_write=is_write, key=key)
        store = self.store
        if is_write or store is None or leadership is None or store.peek(key) != version:
            return version, None
        term, number = leadership.term.number, store.barrier.number
        given = Given(term, number, CacheKey(key), LIFETIME_S, is_watched=False, age_s=0.0)
        return version, given

    async def _pass_on(self, *, is_write: bool, key: str) -> int:
        """As the relay does it for a node that cannot reach the leader."""
        leader = self.node.leader
        if leader is None or leader.is_self or leader.through:
            return await self._decide(is_write=is_write, key=key)
        self.passed_on += 1
        try:
            return await self._relay(leader, is_write=is_write, key=key)
        except (ConnectionError, TimeoutError):
            raise (LeaderLost if is_write else NoLeader) from None

    async def _decide(self, *, is_write: bool, key: str) -> int:
        self._in_progress += 1
        try:
            return await self._decide_now(is_write=is_write, key=key)
        finally:
            self._in_progress -= 1

    async def _decide_now(self, *, is_write: bool, key: str) -> int:
        leadership, store = self.node.leadership, self.store
        if leadership is None or store is None:
            raise NoLeader
        if is_write:
            return await self._write(leadership, store, key)
        return await self._read(store, key)

    async def _read(self, store: SimulatedStore, key: str) -> int:
        version = await store.get(key)
        if version is not None:
            return version
        seq, read = self._reads.get(key, (0, None))
        if read is None or read.done() or not store.epochs.is_current([Tag(key)], seq):
            seq = store.epochs.seq
            read = self.machine.tasks.spawn(self._fill(store, key, seq))
            self._reads[key] = seq, read
        return await asyncio.shield(read)

    async def _fill(self, store: SimulatedStore, key: str, seq: int) -> int:
        number = store.barrier.number
        version = await self._fetch(key)
        with suppress(TimeoutError):
            await store.barrier.passed(number, BARRIER_S)
        store.put(key, version, seq)
        return version

    async def _write(self, leadership: Leadership, store: SimulatedStore, key: str) -> int:
        intent = await self.writes.begin(leadership, [Tag(key)])
        await self.machine.sleep(self.queue_s * self.machine.world.random.random())
        self.writes.check(intent)
        version = await call(self.machine, self.trello.machine, lambda: self.trello.write(key))
        store.invalidate((key,))
        await store.barrier.confirmed()
        await self.writes.finish(intent, store.flush)
        return version

    async def _fetch(self, key: str) -> int:
        return await call(self.machine, self.trello.machine, lambda: self.trello.read(key))


ALL_KEYS = ("one", "two", "three")
LIFETIME_S = 60.0


def stored_form(key: str, version: int) -> StoredResponse:
    """A response that shows this version of a card."""
    return StoredResponse(
        key=CacheKey(key),
        status=200,
        head=b"",
        body=b"%d" % version,
        gzip=False,
        etag=str(version),
        requested_at=0.0,
        requested_seq=0,
        tags=(Tag(key),),
    )

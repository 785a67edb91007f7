"""Leader's duties: the components that decide, built for one term and thrown away with it (D65).

So whatever a term had in memory is gone when the next begins; what must outlive it is in Redis.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, replace
from functools import partial

from proxy.app.components import Components, Environment, LeaderHooks
from proxy.app.factory import ComponentFactory
from proxy.app.node_files import NodeFiles
from proxy.app.readings import component_readings
from proxy.app.routes import RouteBuilder
from proxy.cache.store.redis_behind import BehindFlag
from proxy.cache.store.redis_connection import RedisConnection
from proxy.cache.store.succession import Succession
from proxy.cache.write_through import AnnouncedWrite
from proxy.errors import StoreError
from proxy.fleet.barrier import Barrier
from proxy.fleet.errors import NoLeader
from proxy.fleet.node import Node
from proxy.fleet.redis_lease import RedisIntents
from proxy.fleet.redis_sends import RedisSends
from proxy.fleet.write_intents import Intent, WriteIntents
from proxy.model import CacheKey, Credential, Tag
from proxy.runtime.tasks import TaskSet
from proxy.server.credential_usage import CredentialUsage
from proxy.server.fleet.leader_service import LeaderService
from proxy.trello.tags import EVERYTHING

FINISH_S = 3.0
"""For requests in progress when the leader hands over."""


@dataclass(frozen=True, slots=True)
class _Term:
    """The components of one term, and what ends them."""

    components: Components
    environment: Environment
    behind: BehindFlag
    sends: RedisSends


@dataclass(frozen=True, slots=True)
class _Announced:
    """An AnnouncedWrite."""

    intents: WriteIntents
    intent: Intent

    async def acknowledge(self, save: Callable[[], Awaitable[bool]]) -> None:
        await self.intents.finish(self.intent, save)

    def cancel(self) -> None:
        self.intents.cancel(self.intent)


class LeaderDuties:
    """The duties of a node while it leads; also its WriteFence."""

    def __init__(
        self,
        environment: Environment,
        public_url: str,
        credential: Credential,
        credential_usage: CredentialUsage,
        *,
        files: NodeFiles,
        learns: bool,
    ) -> None:
        """`learns`: whether the token is inspected, as CredentialManager.start has it."""
        self.environment = environment
        """Of the next term: with the configuration that was loaded last."""
        self.credential = credential
        """Of the next term."""
        self.takeovers = 0
        """Terms that have begun."""
        self.on_change: Callable[[], None] = _nothing
        """Called when a term has begun or ended."""
        self._public_url = public_url
        self._usage = credential_usage
        self._files = files
        self._learns = learns
        self._node: Node | None = None
        self._service: LeaderService | None = None
        self._term: _Term | None = None
        name = environment.config.redis.name
        store = RedisIntents(self._redis, name=name)
        self._intents = WriteIntents(store, environment.clock, environment.instance)
        self._closing = TaskSet()

    def attach(self, node: Node, service: LeaderService) -> None:
        """Lead as `node`, and serve by `service`; to be called once, before the node starts."""
        self._node, self._service = node, service

    async def stop(self) -> None:
        """Wait until the last term has ended."""
        await self._wait_closed()
        await self._intents.stop()

    @property
    def components(self) -> Components | None:
        """Those of the term, while there is one."""
        return self._term.components if self._term is not None else None

    @property
    def is_behind(self) -> bool:
        """As Duties.is_behind."""
        return self._term is not None and self._term.behind.is_set

    def tick(self) -> None:
        """To be called a few times a minute."""
        if self._term is not None:
            self._term.components.services.cache.clock_monitor.tick()
            self._term.components.dashboard.tick()

    @property
    def watched_s(self) -> float:
        """As Duties.watched_s."""
        if self._term is None:
            return 0.0
        watched = self._term.components.services.cache.watched
        return max(0.0, watched.current_until - self.environment.clock.now())

    @property
    def wants_sample(self) -> bool:
        """As Duties.wants_sample."""
        term = self._term
        return term is not None and term.components.services.verifier.wants_sample

    def note_uses(self, keys: Collection[CacheKey]) -> None:
        """As Duties.note_uses."""
        if self._term is not None and keys:
            cache = self._term.components.services.cache
            cache.watched.note_read()
            cache.recent_reads.note_uses(keys)

    def invalidate_copies(self) -> None:
        """Have the followers drop everything that they keep."""
        if self._term is not None and self._term.environment.leader is not None:
            self._term.environment.leader.barrier.publish((), is_of_all=True)

    async def take_over(self, succession: Succession, barrier: Barrier) -> bool:
        """As Duties.take_over."""
        await self._wait_closed()
        await self._files.store.end_downloads()  # from the last leader
        behind, shutdown = BehindFlag(), AsyncExitStack()
        hooks = LeaderHooks(
            succession=succession,
            behind=behind,
            may_send=self._check_may_send,
            fence=self,
            restore=self._intents.restore,
            barrier=barrier,
            files=self._files.store,
        )
        environment = replace(self.environment, shutdown=shutdown, leader=hooks)
        try:
            factory = ComponentFactory(environment, self._public_url)
            components = await factory.build(self.credential)
            shutdown.push_async_callback(self._files.store.end_downloads)
            self._term = _Term(
                replace(components, credential_usage=self._usage),
                environment,
                behind,
                self._sends(environment, components, succession.term),
            )
            await self._invalidate_left(self._term)
            await self._succeed_limits(self._term)
        except BaseException:
            self._term = None
            await shutdown.aclose()
            raise
        self._begin(self._term)
        backend = components.stores.backend
        return backend is not None and not backend.is_new

    def step_down(self) -> None:
        """As Duties.step_down."""
        term, self._term = self._term, None
        if term is None:
            return
        if self._service is not None:
            self._service.close()
        for name in component_readings(term.components, term.environment):
            term.environment.metrics.readings.pop(name, None)
        self._closing.spawn(term.environment.shutdown.aclose())
        self.on_change()

    async def hand_over(self) -> None:
        """As Duties.hand_over."""
        term = self._term
        if term is None or self._service is None:
            return
        term.components.upstream.limiter.reject_queued(NoLeader())
        with suppress(TimeoutError):
            async with asyncio.timeout(FINISH_S):
                await self._service.wait_idle()
        await term.sends.flush()
        backend = term.components.stores.backend
        if await term.components.services.invalidator.flush() and backend is not None:
            with suppress(StoreError):
                await backend.hand_over()

    async def begin(self, tags: Collection[Tag]) -> AnnouncedWrite:
        """As WriteFence.begin."""
        leadership = self._node.leadership if self._node is not None else None
        return _Announced(self._intents, await self._intents.begin(leadership, tags))

    def _check_may_send(self) -> None:
        leader = self._node.leader if self._node is not None else None
        if leader is None or not leader.is_self:
            raise NoLeader

    def _redis(self) -> RedisConnection:
        backend = self._term.components.stores.backend if self._term is not None else None
        if backend is None:
            raise StoreError("not open")
        return backend.connection

    def _sends(self, environment: Environment, components: Components, term: int) -> RedisSends:
        return environment.own(
            RedisSends(
                self._redis,
                environment.clock,
                name=environment.config.redis.name,
                term=term,
                digest=components.upstream.stored.partitions.digest,
            )
        )

    async def _succeed_limits(self, term: _Term) -> None:
        """Count what earlier leaders sent; what is not known of it is doubted."""
        backend, limits = term.components.stores.backend, term.environment.config.limits
        is_trusted = backend is not None and not backend.is_new
        found = await term.sends.open(limits, is_trusted=is_trusted)
        term.components.upstream.limiter.succeed(*found)

    async def _invalidate_left(self, term: _Term) -> None:
        """Invalidate what writes of earlier leaders may have changed, or may yet change.

        Where Redis may have lost some, their intents may be lost too: that is everything.
        """
        backend = term.components.stores.backend
        is_lost = backend is not None and backend.is_new
        left = await self._intents.take_over({EVERYTHING} if is_lost else ())
        tags = {tag for each in left.values() for tag in each}
        if not tags:
            return
        invalidator = term.components.services.invalidator
        purge = partial(invalidator.purge, tags, "write")
        purge()
        if not await invalidator.flush():
            raise StoreError("Redis failed while it was opened")
        timeout_s = term.environment.config.upstream.read_timeout_s
        repeating = TaskSet()
        term.environment.shutdown.push_async_callback(repeating.stop)
        repeating.spawn(self._intents.repeat([*left], purge, timeout_s))

    def _begin(self, term: _Term) -> None:
        components, environment = term.components, term.environment
        self.takeovers += 1
        routes = RouteBuilder(environment, components).build()
        if self._service is not None:
            self._service.open(routes.clients, routes.admin)
        environment.metrics.provide(component_readings(components, environment))
        manager = components.changes.webhook_manager
        if manager is not None:
            environment.own(manager).start()
        environment.own(components.credential_manager).start(learns=self._learns)
        self.on_change()

    async def _wait_closed(self) -> None:
        closing = [*self._closing]
        if closing:
            await asyncio.wait(closing)


def _nothing() -> None:
    return None

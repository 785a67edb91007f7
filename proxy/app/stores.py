"""Store factory: opens what is stored, by `cache.backend`, and has it monitored.

Redis is imported only where it is configured: it is an extra, and importing it delays the start.
"""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from proxy.app.components import Environment, Stores
from proxy.app.storage_monitor import LOOK_S, MonitoredStorage, StorageMonitor
from proxy.attachments.store.store import AttachmentStore
from proxy.cache.store.backend import StorageBackend
from proxy.cache.store.disk_tier import PENDING_BYTES, WriteBehindTier
from proxy.cache.store.redis_behind import BehindMarker
from proxy.cache.store.redis_stats import RedisStats
from proxy.cache.store.sqlite_backend import SQLiteStorage
from proxy.cache.store.store import MemoryTier, ResponseStore
from proxy.cache.store.tag_epochs import TagEpochs
from proxy.credentials.identity import KEY_BYTES, IdentityFile, IdentityState
from proxy.errors import StoreError
from proxy.runtime.directory import DirectoryLock

if TYPE_CHECKING:
    from proxy.cache.store.redis_backend import RedisBackend

RENEW_S = 1.0
"""From one renewal of the lease in Redis to the next."""


class StoreFactory:
    """Opens the stores of one proxy, in a directory that this process owns.

    While another process owns it nothing is stored on disk; the monitor opens them once it is free.
    """

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._cache = environment.config.cache
        leader = environment.leader
        self._files = leader.files if leader else attachment_store(environment)
        self._directory = self._files.directory
        self._redis: RedisStats | None = None
        self._redis_backend: RedisBackend | None = None

    async def open(self) -> Stores:
        """All stores; StoreError if those of a fleet's leader cannot be opened."""
        is_node, attachments = self._environment.leader is not None, self._files
        if not is_node:
            self._environment.shutdown.callback(self._directory.release)
        responses = await self._responses()
        if not is_node:
            await self._environment.own(attachments).start()
        identity = self._identity_file(responses.disk)
        own = (identity,) if is_node else (attachments, identity)
        if responses.disk is not None and self._redis is not None:
            self._monitor(RENEW_S, responses.disk)
            self._monitor(LOOK_S, *own)
        elif responses.disk is not None:
            self._monitor(LOOK_S, responses.disk, *own)
        return Stores(
            responses=responses,
            attachments=attachments,
            identity=identity,
            redis=self._redis,
            backend=self._redis_backend,
        )

    async def identity(self, stores: Stores) -> IdentityState:
        """The identity of the cache partitions: an earlier process's, else a new one."""
        new_key = self._environment.random(KEY_BYTES)
        copy = stores.responses.disk.identity if stores.responses.disk else ""
        return await asyncio.to_thread(stores.identity.open, new_key, copy)

    def _monitor(self, every_s: float, *storages: MonitoredStorage) -> None:
        monitor = StorageMonitor(storages, self._environment.clock, every_s)
        self._environment.own(monitor).start()

    async def _responses(self) -> ResponseStore:
        environment, clock = self._environment, self._environment.clock
        leader = environment.leader
        epochs = TagEpochs(leader.succession.first_seq if leader else int(clock.now() * 1000))
        disk = None
        if self._cache.backend != "memory":
            backend, limit_bytes = self._backend()
            pending_bytes = min(PENDING_BYTES, limit_bytes // 8)
            disk = WriteBehindTier(backend, epochs, clock, environment.log, pending_bytes)
            await environment.own(disk).start()  # owned first: a start may be cancelled
            if leader is not None and not disk.is_working:
                raise StoreError("Redis failed while it was opened")
        return ResponseStore(MemoryTier(self._cache.memory_bytes), disk, epochs)

    def _backend(self) -> tuple[StorageBackend, int]:
        """The backend, and its bound in bytes."""
        if not self._cache.redis_url:
            return SQLiteStorage(self._directory, self._cache.disk_bytes), self._cache.disk_bytes
        from proxy.cache.store.redis_backend import RedisBackend  # noqa: PLC0415 — an extra
        from proxy.cache.store.redis_connection import RedisConnection  # noqa: PLC0415 — as above

        environment, settings = self._environment, self._environment.config.redis
        connection = RedisConnection(self._cache.redis_url, environment.clock)
        self._redis = connection.stats
        leader = environment.leader
        backend = self._redis_backend = RedisBackend(
            connection,
            name=settings.name,
            limit_bytes=settings.memory_bytes,
            clock=environment.clock,
            log=environment.log,
            random=environment.random,
            behind=leader.behind if leader else BehindMarker(self._directory.path),
            succession=leader.succession if leader else None,
        )
        backend.restore = leader.restore if leader else None
        return backend, settings.memory_bytes

    def _identity_file(self, disk: WriteBehindTier | None) -> IdentityFile:
        """The identity file; saving calls from a thread, Redis is written by the event loop."""
        if self._redis is None or disk is None:
            return IdentityFile(self._directory if disk is not None else None)
        loop, save = asyncio.get_running_loop(), disk.save_identity
        return IdentityFile(self._directory, lambda text: loop.call_soon_threadsafe(save, text))


def attachment_store(environment: Environment) -> AttachmentStore:
    """The attachment store; of no size where nothing may be written to the disk."""
    cache, settings = environment.config.cache, environment.config.attachments
    return AttachmentStore(
        DirectoryLock(Path(cache.directory)),
        0 if cache.backend == "memory" else settings.disk_bytes,
        settings.max_file_bytes,
        environment.clock,
        environment.log,
    )

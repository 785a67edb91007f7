"""Stores: opened in the cache directory, which one process owns at a time."""

from proxy.app.components import Environment, Stores
from proxy.app.storage_monitor import StorageMonitor
from proxy.attachments.store.store import AttachmentStore
from proxy.cache.store.disk_tier import PENDING_BYTES, WriteBehindTier
from proxy.cache.store.sqlite_backend import SQLiteStorage
from proxy.cache.store.store import MemoryTier, ResponseStore
from proxy.cache.store.tag_epochs import TagEpochs
from proxy.credentials.identity import IdentityFile
from proxy.runtime.directory import DirectoryLock


async def open_stores(
    environment: Environment, directory: DirectoryLock, identity_file: IdentityFile
) -> Stores:
    """The stores, and a monitor of their files.

    While another process owns the directory nothing is stored on disk; the monitor opens the stores
    once it is free.
    """
    environment.shutdown.callback(directory.release)
    responses = await _open_responses(environment, directory)
    attachments = await _open_attachments(environment, directory)
    if responses.disk is not None:
        storages = responses.disk, attachments, identity_file
        environment.own(StorageMonitor(storages, environment.clock)).start()
    return Stores(responses=responses, attachments=attachments)


async def _open_responses(environment: Environment, directory: DirectoryLock) -> ResponseStore:
    cache, clock = environment.config.cache, environment.clock
    epochs = TagEpochs(seq=int(clock.now() * 1000))
    disk = None
    if cache.backend == "sqlite":
        storage = SQLiteStorage(directory, cache.disk_bytes)
        pending_bytes = min(PENDING_BYTES, cache.disk_bytes // 8)
        disk = WriteBehindTier(storage, epochs, clock, environment.log, pending_bytes)
        await disk.start()
        environment.own(disk)
    return ResponseStore(MemoryTier(cache.memory_bytes), disk, epochs)


async def _open_attachments(environment: Environment, directory: DirectoryLock) -> AttachmentStore:
    """The attachment store; of size 0 if nothing may be written to the disk."""
    cache, attachments = environment.config.cache, environment.config.attachments
    store = AttachmentStore(
        directory,
        0 if cache.backend == "memory" else attachments.disk_bytes,
        attachments.max_file_bytes,
        environment.clock,
        environment.log,
    )
    await store.start()
    return environment.own(store)

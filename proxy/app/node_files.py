"""Node files: the attachment store of a fleet's node, and what connects it to those of others."""

from collections.abc import Callable

from proxy.app.components import Environment
from proxy.app.storage_monitor import StorageMonitor
from proxy.app.stores import attachment_store
from proxy.attachments.store.catalog import AttachmentRow
from proxy.cache.store.redis_connection import RedisConnection
from proxy.fleet.node import Node
from proxy.fleet.redis_holders import RedisHolders
from proxy.server.fleet.file_copies import FileCopies
from proxy.server.fleet.file_endpoint import FileEndpoint
from proxy.server.fleet.held_copies import HeldCopies
from proxy.server.fleet.peer_client import PeerClient
from proxy.server.fleet.session_bound import SessionBound
from proxy.status.readings import attachment_readings


class NodeFiles:
    """The store belongs to the node, whether it leads or not (D82); `start` it once."""

    def __init__(
        self,
        environment: Environment,
        client: PeerClient,
        connect: Callable[[], RedisConnection],
        address: str,
        node: Callable[[], Node],
    ) -> None:
        """`address`: of this node."""
        self._environment, self._client = environment, client
        self.store = attachment_store(environment)
        self.store.on_stored = self._note
        self._holders = RedisHolders(connect, name=environment.config.redis.name, address=address)
        held = HeldCopies(self._holders, client, lambda: node().members, environment.metrics)
        self.store.copies_of = held.of
        self.endpoint = FileEndpoint(self.store, lambda: node().acts())

    async def start(self) -> None:
        """Open the store."""
        environment = self._environment
        environment.shutdown.callback(self.store.directory.release)
        environment.own(self._holders)
        await environment.own(self.store).start()
        environment.own(StorageMonitor([self.store], environment.clock)).start()
        environment.metrics.provide(attachment_readings(self.store, environment.metrics))

    def copies(self, bound: SessionBound) -> FileCopies:
        """Those of the leader's files."""
        return FileCopies(self.store, self._client, bound, self._environment.metrics)

    def _note(self, row: AttachmentRow, length: int) -> None:
        self._holders.note(row.id, row.digest, length, row.content_type)

"""Components: the parts of a running proxy, grouped by purpose, and their environment."""

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

from proxy.access.authentication import Authentication
from proxy.attachments.board_export import BoardExport
from proxy.attachments.service import AttachmentService
from proxy.attachments.store.store import AttachmentStore
from proxy.cache.aliases import AliasResolver
from proxy.cache.batch import BatchService
from proxy.cache.boards import ActiveBoards, WatchedBoards
from proxy.cache.clock_monitor import ClockMonitor
from proxy.cache.invalidation import Invalidator
from proxy.cache.lookup import StoredLookup
from proxy.cache.projection.projector import Projector
from proxy.cache.read_through import ReadThrough
from proxy.cache.recent_reads import RecentReads
from proxy.cache.response_storing import ResponseStorer
from proxy.cache.scoping.scoping import Scoping
from proxy.cache.store.redis_behind import BehindFlag
from proxy.cache.store.redis_stats import RedisStats
from proxy.cache.store.store import ResponseStore
from proxy.cache.store.succession import Succession
from proxy.cache.verification import HitVerifier
from proxy.cache.write_through import EchoFilter, WriteFence, WriteThrough
from proxy.changes.board_poller import BoardPoller
from proxy.changes.webhook_manager import WebhookManager
from proxy.changes.webhook_receiver import WebhookReceiver
from proxy.config.schema import Config
from proxy.credentials.identity import IdentityFile, StoredCredential
from proxy.credentials.redaction import Redactor
from proxy.fleet.barrier import Barrier
from proxy.links.rewrite import LinkRewriter
from proxy.observability.log import Log
from proxy.observability.metrics import Metrics
from proxy.ratelimit.limiter import RateLimiter
from proxy.runtime.clock import BootClock
from proxy.runtime.memory_budget import MemoryBudget
from proxy.server.audit_log import AuditLog
from proxy.server.credential_usage import CredentialUsage
from proxy.server.request_parser import RequestParser
from proxy.status.history import Dashboard
from proxy.trello.routes import RouteTable
from proxy.upstream.availability import CircuitBreakers
from proxy.upstream.credential_manager import CredentialManager
from proxy.upstream.exchange import UpstreamExchange

if TYPE_CHECKING:
    from proxy.cache.store.redis_backend import RedisBackend


class Stoppable(Protocol):
    """A component that runs in the background."""

    def stop(self) -> Awaitable[None]:
        """Stop its tasks, and wait for them."""


_T = TypeVar("_T", bound=Stoppable)


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaderHooks:
    """What ties the components of a leader to its term (D65)."""

    succession: Succession
    behind: BehindFlag
    """Set while Redis may lack something that was acknowledged."""
    may_send: Callable[[], None]
    """NoLeader while this node must send nothing."""
    fence: WriteFence
    restore: Callable[[], Awaitable[None]]
    """Puts into Redis, which may have lost some, what the next leader needs of writes in progress;
    StoreError."""
    barrier: Barrier
    files: AttachmentStore
    """Of the node, whether it leads or not (D82)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """Environment shared by all components."""

    config: Config
    clock: BootClock
    log: Log
    random: Callable[[int], bytes]
    """Returns as many random bytes."""
    metrics: Metrics
    memory: MemoryBudget
    redactor: Redactor
    authentication: Authentication
    audit: AuditLog
    shutdown: AsyncExitStack
    """Callbacks of the shutdown, the last one first."""
    leader: LeaderHooks | None = None
    """None without a fleet."""
    instance: str
    """Random; names this run of the proxy in Via fields and request ids."""

    @property
    def via(self) -> str:
        """The proxy's name in the Via field of requests to Trello (RFC 9110 §7.6.3)."""
        return f"trello-proxy-{self.instance}"

    def own(self, component: _T) -> _T:
        """The same component; stopped at shutdown."""
        self.shutdown.push_async_callback(component.stop)
        return component


@dataclass(frozen=True, slots=True, kw_only=True)
class Stores:
    """The stores."""

    responses: ResponseStore
    attachments: AttachmentStore
    identity: IdentityFile
    redis: RedisStats | None
    """Of the connections to Redis; None with another backend."""
    backend: "RedisBackend | None"
    """None with another one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamComponents:
    """Components for requests to Trello."""

    stored: StoredCredential
    routes: RouteTable
    links: LinkRewriter
    limiter: RateLimiter
    availability: CircuitBreakers
    exchange: UpstreamExchange


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheComponents:
    """What services and change detection share."""

    lookup: StoredLookup
    aliases: AliasResolver
    projector: Projector
    storer: ResponseStorer
    watched: WatchedBoards
    clock_monitor: ClockMonitor
    active_boards: ActiveBoards
    recent_reads: RecentReads


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Components that serve requests."""

    parser: RequestParser
    cache: CacheComponents
    reads: ReadThrough
    writes: WriteThrough
    batches: BatchService
    attachments: AttachmentService
    exports: BoardExport
    scoping: Scoping
    verifier: HitVerifier
    invalidator: Invalidator
    echo_filter: EchoFilter


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """Components that detect changes made elsewhere."""

    poller: BoardPoller
    webhook_receiver: WebhookReceiver | None
    """None, as the manager, without `freshness.webhook_url`."""
    webhook_manager: WebhookManager | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Components:
    """Every component of a running proxy."""

    stores: Stores
    upstream: UpstreamComponents
    services: Services
    changes: Changes
    credential_manager: CredentialManager
    credential_usage: CredentialUsage
    dashboard: Dashboard

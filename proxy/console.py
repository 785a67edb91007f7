"""What the operator looks into: pages, metrics, the census, and how things are."""

from collections.abc import Callable
from dataclasses import dataclass, field

from aiohttp import web

from proxy.clock import Clock
from proxy.config import Config
from proxy.edge.admin import AdminAccess
from proxy.edge.census import CredentialUsage
from proxy.edge.door import Handler
from proxy.edge.handlers.explain import EXPLAIN, explain_handler
from proxy.edge.handlers.legacy import CLIENT_CREDENTIALS, credential_usage_handler
from proxy.edge.handlers.ops import METRICS, PURGE, AdminHandler
from proxy.edge.intake import RequestParser
from proxy.equipment import build_registry
from proxy.flow.custodian import CredentialManager
from proxy.flow.explain import Explainer
from proxy.flow.health import Health
from proxy.flow.identity import StoredCredential
from proxy.flow.outlook import CircuitBreakers
from proxy.flow.overview import Dashboard
from proxy.flow.readings import availability_gauges, rate_limit_gauges
from proxy.flow.turns import RateLimiter
from proxy.flows import Services
from proxy.log import Log
from proxy.metrics import Metrics
from proxy.policy.pages.home import Offer
from proxy.store.files import AttachmentStore
from proxy.store.responses import ResponseStore


@dataclass(slots=True, eq=False)
class AdminPages:
    """Made of the parts of one proxy, once they are there."""

    config: Config
    ports: tuple[Clock, Log, Callable[[int], bytes]]
    """The clock, the log, randomness."""
    metrics: Metrics
    credentials: tuple[StoredCredential, CircuitBreakers, CredentialManager]
    """The stored credential, whether Trello may be asked with it, and who looks after it."""
    intake: RequestParser
    store: tuple[ResponseStore, AttachmentStore]
    services: Services
    limiter: RateLimiter
    admin: AdminAccess = field(init=False)
    credential_usage: CredentialUsage = field(init=False)
    dashboard: Dashboard = field(init=False)

    def __post_init__(self) -> None:
        (clock, log, random), stored = self.ports, self.credentials[0]
        token = self.config.admin.token
        self.admin = AdminAccess(token.reveal() if token else None)
        self.credential_usage = CredentialUsage(
            lambda: stored.credential,
            random(32),
            clock,
            log,
            deprecates=not self.config.clients.forwards_credentials,
        )
        self.dashboard = Dashboard(self.metrics, self.limiter, stored, clock)

    @property
    def operator(self) -> AdminAccess | None:
        """Who may use the operator's pages where clients connect; None: none are there."""
        return self.admin if self.config.admin.listen is None else None

    def offer(self, request: web.BaseRequest) -> Offer:
        """What the page at `/` tells of."""
        return Offer(
            operated=self.operator is not None and self.operator.admits(request),
            keyless=not self.config.clients.requires_credentials,
        )

    def pages(self) -> dict[str, Handler]:
        """By path. Where clients connect too, more of them are for the operator alone."""
        services, (responses, files), (stored, availability, credential_manager) = (
            self.services,
            self.store,
            self.credentials,
        )
        clock = self.ports[0]
        self.metrics.gauge_callbacks += rate_limit_gauges(self.limiter, stored)
        self.metrics.gauge_callbacks += availability_gauges(availability, credential_manager)
        health = Health(
            self.store, self.limiter, services.watch, availability, credential_manager, clock
        )
        registry = build_registry(self.metrics, responses, files, services.watch, self.config)
        registry.register(self.credential_usage)
        ops = AdminHandler(registry, health, services.invalidate)
        served = services.reads, services.batches, services.downloads
        explain = Explainer(served, self.limiter, responses, clock)
        kept = {PURGE: ops.purge, EXPLAIN: explain_handler(explain, self.intake)}
        shown = {
            METRICS: ops.metrics,
            CLIENT_CREDENTIALS: credential_usage_handler(self.credential_usage),
        }
        if self.operator:
            kept, shown = {**kept, **shown}, {}
        return {
            "/healthz": ops.healthz,
            "/readyz": ops.readyz,
            **shown,
            **{path: self.admin.only(path, handler) for path, handler in kept.items()},
        }

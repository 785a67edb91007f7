"""What the operator looks into: pages, metrics, the census, and how things are."""

from collections.abc import Callable
from dataclasses import dataclass, field

from aiohttp import web

from proxy.clock import Clock
from proxy.config import Config
from proxy.edge.admin import Admin
from proxy.edge.census import Census
from proxy.edge.door import Handler
from proxy.edge.handlers.explain import EXPLAIN, explain_handler
from proxy.edge.handlers.legacy import LEGACY, legacy_handler
from proxy.edge.handlers.ops import METRICS, PURGE, Ops
from proxy.edge.intake import Intake
from proxy.equipment import registry_of
from proxy.flow.custodian import Custodian
from proxy.flow.explain import Explain
from proxy.flow.health import Health
from proxy.flow.identity import StoredIdentity
from proxy.flow.outlook import Outlook
from proxy.flow.overview import Overview
from proxy.flow.readings import outlook_readings, turn_readings
from proxy.flow.turns import Turns
from proxy.flows import Flows
from proxy.log import Log
from proxy.metrics import Metrics
from proxy.policy.pages.home import Offer
from proxy.store.files import Files
from proxy.store.responses import Responses


@dataclass(slots=True, eq=False)
class Console:
    """Made of the parts of one proxy, once they are there."""

    config: Config
    tools: tuple[Clock, Log, Callable[[int], bytes]]
    """The clock, the log, randomness."""
    metrics: Metrics
    whose: tuple[StoredIdentity, Outlook, Custodian]
    """The stored credential, whether Trello may be asked with it, and who looks after it."""
    intake: Intake
    store: tuple[Responses, Files]
    flows: Flows
    turns: Turns
    admin: Admin = field(init=False)
    census: Census = field(init=False)
    overview: Overview = field(init=False)

    def __post_init__(self) -> None:
        (clock, log, random), stored = self.tools, self.whose[0]
        token = self.config.admin.token
        self.admin = Admin(token.reveal() if token else None)
        self.census = Census(
            lambda: stored.credential,
            random(32),
            clock,
            log,
            deprecates=not self.config.clients.forwards_credentials,
        )
        self.overview = Overview(self.metrics, self.turns, stored, clock)

    @property
    def operator(self) -> Admin | None:
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
        flows, (responses, files), (stored, outlook, custodian) = self.flows, self.store, self.whose
        clock = self.tools[0]
        self.metrics.readings += turn_readings(self.turns, stored)
        self.metrics.readings += outlook_readings(outlook, custodian)
        health = Health(self.store, self.turns, flows.watch, outlook, custodian, clock)
        registry = registry_of(self.metrics, responses, files, flows.watch, self.config)
        registry.register(self.census)
        ops = Ops(registry, health, flows.invalidate)
        served = flows.reads, flows.batches, flows.downloads
        explain = Explain(served, self.turns, responses, clock)
        kept = {PURGE: ops.purge, EXPLAIN: explain_handler(explain, self.intake)}
        shown = {METRICS: ops.metrics, LEGACY: legacy_handler(self.census)}
        if self.operator:
            kept, shown = {**kept, **shown}, {}
        return {
            "/healthz": ops.healthz,
            "/readyz": ops.readyz,
            **shown,
            **{path: self.admin.only(path, handler) for path, handler in kept.items()},
        }

"""The operator's pages, and what they are made of."""

from dataclasses import dataclass
from functools import partial

from proxy.clock import Clock
from proxy.config import Config
from proxy.edge.admin import Admin
from proxy.edge.census import Census
from proxy.edge.door import Handler
from proxy.edge.handlers.explain import EXPLAIN, explain_handler
from proxy.edge.handlers.legacy import LEGACY, legacy_handler
from proxy.edge.handlers.ops import Ops
from proxy.edge.intake import Intake
from proxy.equipment import registry_of
from proxy.flow.explain import Explain
from proxy.flow.overview import Overview
from proxy.flow.turns import Turns
from proxy.flows import Flows
from proxy.metrics import Metrics
from proxy.model import Credential
from proxy.store.files import Files
from proxy.store.responses import Responses


@dataclass(frozen=True, slots=True)
class Console:
    """Everything that the operator may look into."""

    config: Config
    clock: Clock
    metrics: Metrics
    census: Census
    intake: Intake
    store: tuple[Responses, Files]
    flows: Flows
    turns: Turns

    def overview(self, stored: Credential) -> Overview:
        """How things are; `stored`: whose budget it is."""
        remaining = partial(self.turns.remaining, stored)
        return Overview(self.metrics, self.config.limits, remaining, self.clock)

    def pages(self) -> dict[str, Handler]:
        """By path."""
        flows, (responses, files) = self.flows, self.store
        token = self.config.admin.token
        admin = Admin(token.reveal() if token else None)
        registry = registry_of(self.metrics, responses, files, flows.watch, self.config)
        registry.register(self.census)
        ops = Ops(registry, responses, flows.invalidate, flows.watch, admin)
        explain = Explain(
            (flows.reads, flows.batches, flows.downloads), self.turns, responses, self.clock
        )
        return {
            **ops.pages,
            EXPLAIN: explain_handler(explain, self.intake, admin),
            LEGACY: legacy_handler(self.census),
        }

"""The stored credential with all that looks after it, and what may change without a restart."""

from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace

from proxy.clock import Clock
from proxy.config import Config
from proxy.edge.connection import Plans
from proxy.equipment import Keep
from proxy.flow.custodian import Custodian
from proxy.flow.deliveries import Deliveries
from proxy.flow.hooks import Hooks
from proxy.flow.identity import StoredIdentity
from proxy.flow.inquiry import Inquiry
from proxy.flow.outlook import Outlook
from proxy.flow.turns import Turns
from proxy.log import Log
from proxy.memory_budget import MemoryBudget
from proxy.policy.routes import RouteTable
from proxy.policy.scrub import Scrubber
from proxy.reload import Reload, Source
from proxy.rules import callback_of, overrides_of


@dataclass(frozen=True, slots=True)
class Changeable:
    """What another configuration changes while the proxy runs."""

    table: RouteTable
    turns: Turns
    scrubber: Scrubber
    deliveries: Deliveries | None
    plans: list[Plans]
    memory: MemoryBudget

    def take(self, config: Config) -> None:
        """Its routes, limits and webhook secret, from here on; ValueError for a short secret."""
        callback, deliveries = callback_of(config), self.deliveries
        if deliveries is not None and callback is not None:
            self.scrubber.learn([callback.secret])
            deliveries.callback = replace(deliveries.callback, secret=callback.secret)
        self.table.override(overrides_of(config.routes))
        self.turns.keep_to(config.limits)
        self.memory.limit_bytes = config.limits.memory_bytes
        for plans in self.plans:
            plans.clear()


class Custody:
    """Whose credential it is, whether Trello may be asked with it, and who takes another one."""

    def __init__(
        self,
        stored: StoredIdentity,
        config: Config,
        tools: tuple[Clock, Log, Callable[[int], bytes]],
        closing: AsyncExitStack,
    ) -> None:
        """`tools`: the clock, the log, randomness; `closing` ends what is begun here."""
        self.stored = stored
        self.outlook = Outlook(stored, *tools)
        self._config = config
        self._clock, self._log, _ = tools
        self._closing = closing

    def custodian(self, inquiry: Inquiry, keep: Keep) -> Custodian:
        """Who looks after it; not begun."""
        return Custodian(self.stored, inquiry, self.outlook, self._clock, self._log, keep)

    def start(
        self,
        source: Source | None,
        custodian: Custodian,
        changeable: Changeable,
        hooks: Hooks | None,
    ) -> Reload | None:
        """Begin to notice what becomes of the credential, and of the configuration's `source`."""
        self._closing.push_async_callback(custodian.stop)
        custodian.start(learns=source is not None)
        if hooks is not None:
            custodian.on_use.append(hooks.look_again)
        if source is None:
            return None
        take = changeable.take
        reload = Reload(source, self._config, custodian, take, self._clock, self._log)
        self._closing.push_async_callback(reload.stop)
        reload.start()
        return reload

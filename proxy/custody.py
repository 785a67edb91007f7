"""The stored credential with all that looks after it, and what may change without a restart."""

from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace

from proxy.clock import Clock
from proxy.config import Config
from proxy.edge.connection import FastPathCache
from proxy.equipment import RememberCredential
from proxy.flow.custodian import CredentialManager
from proxy.flow.deliveries import WebhookReceiver
from proxy.flow.hooks import WebhookManager
from proxy.flow.identity import StoredCredential
from proxy.flow.inquiry import TokenInspector
from proxy.flow.outlook import CircuitBreakers
from proxy.flow.turns import RateLimiter
from proxy.log import Log
from proxy.memory_budget import MemoryBudget
from proxy.policy.routes import RouteTable
from proxy.policy.scrub import Redactor
from proxy.reload import ConfigSource, Reloader
from proxy.rules import route_overrides, webhook_callback


@dataclass(frozen=True, slots=True)
class ReloadableState:
    """What another configuration changes while the proxy runs."""

    routes: RouteTable
    limiter: RateLimiter
    redactor: Redactor
    webhook_receiver: WebhookReceiver | None
    fast_paths: list[FastPathCache]
    memory: MemoryBudget

    def apply(self, config: Config) -> None:
        """Its routes, limits and webhook secret, from here on; ValueError for a short secret."""
        callback, webhook_receiver = webhook_callback(config), self.webhook_receiver
        if webhook_receiver is not None and callback is not None:
            self.redactor.add_secret([callback.secret])
            webhook_receiver.callback = replace(webhook_receiver.callback, secret=callback.secret)
        self.routes.override(route_overrides(config.routes))
        self.limiter.reconfigure(config.limits)
        self.memory.limit_bytes = config.limits.memory_bytes
        for fast_path in self.fast_paths:
            fast_path.clear()


class CredentialServices:
    """Whose credential it is, whether Trello may be asked with it, and who takes another one."""

    def __init__(
        self,
        stored: StoredCredential,
        config: Config,
        tools: tuple[Clock, Log, Callable[[int], bytes]],
        closing: AsyncExitStack,
    ) -> None:
        """`tools`: the clock, the log, randomness; `closing` ends what is begun here."""
        self.stored = stored
        self.availability = CircuitBreakers(stored, *tools)
        self._config = config
        self._clock, self._log, _ = tools
        self._closing = closing

    def credential_manager(
        self, inquiry: TokenInspector, keep: RememberCredential
    ) -> CredentialManager:
        """Who looks after it; not begun."""
        return CredentialManager(
            self.stored, inquiry, self.availability, self._clock, self._log, keep
        )

    def start(
        self,
        source: ConfigSource | None,
        credential_manager: CredentialManager,
        changeable: ReloadableState,
        webhook_manager: WebhookManager | None,
    ) -> Reloader | None:
        """Begin to notice what becomes of the credential, and of the configuration's `source`."""
        self._closing.push_async_callback(credential_manager.stop)
        credential_manager.start(learns=source is not None)
        if webhook_manager is not None:
            credential_manager.on_switch.append(webhook_manager.resync)
        if source is None:
            return None
        take = changeable.apply
        reload = Reloader(source, self._config, credential_manager, take, self._clock, self._log)
        self._closing.push_async_callback(reload.stop)
        reload.start()
        return reload

"""What changes without a restart: credentials, when their files do; routes and limits, on request.

A configuration with a fault changes nothing, and the log says where the fault is.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, is_dataclass, replace
from typing import Protocol

from proxy.app.factory import (
    RememberCredential,
)
from proxy.app.from_config import (
    route_overrides,
    webhook_callback,
)
from proxy.changes.webhook_manager import WebhookManager
from proxy.changes.webhook_receiver import WebhookReceiver
from proxy.config.fields import settings_of
from proxy.config.schema import Config, ConfigError
from proxy.credentials.identity import StoredCredential
from proxy.credentials.redaction import Redactor
from proxy.model import Credential
from proxy.observability.log import Log
from proxy.ratelimit.limiter import RateLimiter
from proxy.runtime.clock import Clock
from proxy.runtime.memory_budget import MemoryBudget
from proxy.server.fast_path import FastPath
from proxy.trello.routes import RouteTable
from proxy.upstream.availability import CircuitBreakers
from proxy.upstream.credential_manager import CredentialManager, TokenInspector

POLL_S = 3.0
LONGEST_WAIT_S = 300.0
"""Before credentials that Trello could not be asked about are offered again."""
_RELOADABLE = frozenset({"routes", "limits", "credentials"})
"""Sections that need no restart."""


class ConfigSource(Protocol):
    """Where the configuration comes from; both block."""

    def load(self) -> Config:
        """As it is now; ConfigError."""

    def secrets_changed(self) -> bool:
        """Whether a file of credentials is another than when they were read last."""


class Reloader:
    """Owns the task that looks for other credentials."""

    def __init__(
        self,
        source: ConfigSource,
        config: Config,
        credential_manager: CredentialManager,
        apply: Callable[[Config], None],
        clock: Clock,
        log: Log,
    ) -> None:
        """`apply` has everybody use the routes, limits and secrets of another configuration."""
        self._source = source
        self._config = config
        self._credential_manager = credential_manager
        self._apply = apply
        self._clock = clock
        self._log = log
        self._tried: Credential | None = None
        """What Trello could not yet be asked about."""
        self._wait_s = self._try_at = 0.0
        self._lock = asyncio.Lock()
        self._requested = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Look every POLL_S, and when it is requested."""
        for work in (self._poll_secret_files(), self._on_signal()):
            self._tasks.append(asyncio.create_task(work))  # noqa: TID251 — owned here, see stop

    async def stop(self) -> None:
        """Look no more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def request(self) -> None:
        """Have everything read again that needs no restart."""
        self._requested.set()

    async def _on_signal(self) -> None:
        while True:
            await self._requested.wait()
            self._requested.clear()
            async with self._lock:
                await self._reload_all()

    async def _reload_all(self) -> None:
        config = await self._load()
        if config is None:
            return
        try:
            self._apply(config)
        except ValueError as error:
            self._log.event("error", "configuration rejected", fault=str(error))
            return
        names = restart_required(self._config, config)
        waiting = [name for name in names if name.partition(".")[0] not in _RELOADABLE]
        self._log.event("info", "configuration reloaded", restart_for=", ".join(waiting))
        await self._try_credential(credential_of(config))

    async def _poll_secret_files(self) -> None:
        while True:
            await self._clock.sleep(POLL_S)
            async with self._lock:
                if await asyncio.to_thread(self._source.secrets_changed):
                    config = await self._load()
                    await self._try_credential(credential_of(config) if config else None)
                elif self._tried is not None and self._clock.monotonic() >= self._try_at:
                    await self._try_credential(self._tried)

    async def _load(self) -> Config | None:
        try:
            return await asyncio.to_thread(self._source.load)
        except ConfigError as error:
            for fault in error.faults:
                self._log.event("error", "configuration rejected", fault=fault)
            return None

    async def _try_credential(self, credential: Credential | None) -> None:
        if credential is None or await self._credential_manager.replace(credential):
            self._tried = None
            return
        is_again = credential == self._tried
        self._tried = credential
        self._wait_s = min(LONGEST_WAIT_S, self._wait_s * 2) if is_again else POLL_S
        self._try_at = self._clock.monotonic() + self._wait_s


def restart_required(old: object, new: object, prefix: str = "") -> Iterator[str]:
    """The names of the settings that differ, as proxy.yaml has them: `cache.memory`."""
    for name, each in settings_of(type(old)).items():
        before, after = getattr(old, each.name), getattr(new, each.name)
        if is_dataclass(before) and type(before) is type(after):
            yield from restart_required(before, after, f"{prefix}{name}.")
        elif before != after:
            yield f"{prefix}{name}"


def credential_of(config: Config) -> Credential | None:
    """The stored one; None where the key or the token is not there."""
    key, token = config.credentials.key, config.credentials.token
    return Credential(key.reveal(), token.reveal()) if key and token else None


@dataclass(frozen=True, slots=True)
class ReloadableState:
    """What another configuration changes while the proxy runs."""

    routes: RouteTable
    limiter: RateLimiter
    redactor: Redactor
    webhook_receiver: WebhookReceiver | None
    fast_paths: list[FastPath]
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

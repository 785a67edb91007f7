"""Reloader: applies new credentials when their files change, other settings on SIGHUP.

An invalid configuration changes nothing, and the log names its faults.
"""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, is_dataclass, replace
from typing import Protocol

from proxy.access.authentication import Authentication
from proxy.app.certificate_reloader import CertificateReloader
from proxy.app.components import Components
from proxy.app.from_config import credential_of, webhook_callback
from proxy.config.fields import fields_by_key
from proxy.config.schema import Config, ConfigError
from proxy.credentials.redaction import Redactor
from proxy.model import Credential
from proxy.observability.log import Log
from proxy.runtime.clock import Clock
from proxy.runtime.memory_budget import MemoryBudget
from proxy.runtime.tasks import TaskSet
from proxy.server.audit_log import AuditLog
from proxy.server.fast_path import FastPath

POLL_S = 3.0
"""Seconds between checks of the files of credentials."""
MAX_RETRY_S = 300.0
"""Longest delay, in seconds, before a credential that could not be verified is tried again."""
_RELOADABLE = frozenset(
    {
        "routes",
        "limits",
        "credentials",
        "clients.access",
        "clients.boards",
        "clients.keys",
        "clients.workspaces",
        "clients.writes",
    }
)
"""Settings, and sections of them, that need no restart."""


class ConfigSource(Protocol):
    """Source of the configuration; both methods block."""

    def load(self) -> Config:
        """The current configuration; ConfigError."""

    def secrets_changed(self) -> bool:
        """Whether a file of credentials changed since they were last read."""


class ReplacesCredential(Protocol):
    """What uses the stored credential."""

    async def replace(self, credential: Credential) -> bool:
        """As CredentialManager.replace."""


class Reloader:
    """Applies a changed configuration in background tasks."""

    def __init__(
        self,
        *,
        source: ConfigSource,
        config: Config,
        credential_manager: ReplacesCredential,
        apply: Callable[[Config], None],
        audit: AuditLog,
        clock: Clock,
        log: Log,
    ) -> None:
        """`apply` applies everything but the credential; ValueError rejects the configuration."""
        self._source = source
        self._config = config
        self._credential_manager = credential_manager
        self._apply = apply
        self._audit = audit
        self._clock = clock
        self._log = log
        self._unverified: Credential | None = None
        """A credential that could not be verified yet."""
        self._retry_s = self._retry_at = 0.0
        self._lock = asyncio.Lock()
        self._requested = asyncio.Event()
        self._tasks = TaskSet()

    def start(self) -> None:
        """Check the files of credentials every POLL_S seconds, and reload on request."""
        self._tasks.spawn(self._poll_secret_files())
        self._tasks.spawn(self._on_signal())

    async def stop(self) -> None:
        """Stop both tasks."""
        await self._tasks.stop()

    def request(self) -> None:
        """Reload every setting that needs no restart, and reopen the audit file."""
        self._audit.reopen()
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
        self._audit.record_reload()
        names = changed_settings(self._config, config)
        waiting = [name for name in names if not _RELOADABLE & {name, name.partition(".")[0]}]
        self._log.event("info", "configuration reloaded", restart_for=", ".join(waiting))
        await self._try_credential(credential_of(config))

    async def _poll_secret_files(self) -> None:
        while True:
            await self._clock.sleep(POLL_S)
            async with self._lock:
                if await asyncio.to_thread(self._source.secrets_changed):
                    config = await self._load()
                    await self._try_credential(credential_of(config) if config else None)
                elif self._unverified is not None and self._clock.monotonic() >= self._retry_at:
                    await self._try_credential(self._unverified)

    async def _load(self) -> Config | None:
        try:
            return await asyncio.to_thread(self._source.load)
        except ConfigError as error:
            for fault in error.faults:
                self._log.event("error", "configuration rejected", fault=fault)
            return None

    async def _try_credential(self, credential: Credential | None) -> None:
        if credential is None or await self._credential_manager.replace(credential):
            self._unverified = None
            return
        is_retry = credential == self._unverified
        self._unverified = credential
        self._retry_s = min(MAX_RETRY_S, self._retry_s * 2) if is_retry else POLL_S
        self._retry_at = self._clock.monotonic() + self._retry_s


def changed_settings(old: object, new: object, prefix: str = "") -> Iterator[str]:
    """Names of the settings that differ, as in proxy.yaml: `cache.memory`."""
    for name, each in fields_by_key(type(old)).items():
        before, after = getattr(old, each.name), getattr(new, each.name)
        if is_dataclass(before) and type(before) is type(after):
            yield from changed_settings(before, after, f"{prefix}{name}.")
        elif before != after:
            yield f"{prefix}{name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReloadableState:
    """The parts of a running proxy that a new configuration changes."""

    components: Callable[[], Components | None]
    """None at a node of a fleet that does not lead."""
    redactor: Redactor
    authentication: Authentication
    fast_paths: list[FastPath]
    memory: MemoryBudget
    certificates: CertificateReloader | None

    def apply(self, config: Config) -> None:
        """Apply its routes, limits, clients and webhook secret; ValueError for a short secret."""
        components = self.components()
        if components is not None:
            callback = webhook_callback(config)
            webhook_receiver = components.changes.webhook_receiver
            if webhook_receiver is not None and callback is not None:
                self.redactor.add_secret([callback.secret])
                webhook_receiver.callback = replace(
                    webhook_receiver.callback, secret=callback.secret
                )
            components.upstream.routes.override(config.routes)
            components.upstream.limiter.reconfigure(config.limits)
        self.authentication.reconfigure(config.clients)
        if self.certificates is not None:
            self.certificates.request()
        self.memory.limit_bytes = config.limits.memory_bytes
        for fast_path in self.fast_paths:
            fast_path.clear()

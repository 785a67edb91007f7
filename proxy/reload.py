"""What changes without a restart: credentials, when their files do; routes and limits, on request.

A configuration with a fault changes nothing, and the log says where the fault is.
"""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import is_dataclass
from typing import Protocol

from proxy.clock import Clock
from proxy.config import Config, ConfigError
from proxy.flow.custodian import CredentialManager
from proxy.log import Log
from proxy.model import Credential
from proxy.settings import settings_of

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
            self._log.event("error", "configuration refused", fault=str(error))
            return
        names = restart_required(self._config, config)
        waiting = [name for name in names if name.partition(".")[0] not in _RELOADABLE]
        self._log.event("info", "configuration read again", restart_for=", ".join(waiting))
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
                self._log.event("error", "configuration refused", fault=fault)
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

"""Certificate reloader: a changed certificate is used by new connections, without a restart."""

import asyncio
from collections.abc import Callable

from proxy.config.certificates import Certificate, CertificateFiles, Stamps, UnusableFile
from proxy.observability.log import Log
from proxy.runtime.clock import Clock
from proxy.runtime.tasks import TaskSet

POLL_S = 3.0
"""From one look at the files to the next; they must be the same twice, as one of a pair may be
replaced before the other."""
WARN_DAYS = 14
_DAY_S = 86_400.0


class CertificateReloader:
    """Loads the certificate when its files change, or when requested; a broken one is ignored."""

    def __init__(self, files: CertificateFiles, clock: Clock, log: Log) -> None:
        self._files = files
        self._clock = clock
        self._log = log
        self._loaded: Stamps = ()
        self._use: Callable[[Certificate], None]
        self._lock = asyncio.Lock()
        self._tasks = TaskSet()

    async def load(self) -> Certificate:
        """The certificate as it is now; UnusableFile."""
        self._loaded = await asyncio.to_thread(self._files.stamps)
        certificate = await asyncio.to_thread(self._files.load)
        if (days := self._days_left(certificate)) < WARN_DAYS:
            self._log.event("warning", "certificate expires soon", days=days)
        return certificate

    def start(self, use: Callable[[Certificate], None]) -> None:
        """Look at the files every POLL_S seconds; `use` is called with another certificate."""
        self._use = use
        self._tasks.spawn(self._poll())

    async def stop(self) -> None:
        """Load no more."""
        await self._tasks.stop()

    def request(self) -> None:
        """Load the files now, if they have changed."""
        self._tasks.spawn(self._reload())

    async def _poll(self) -> None:
        last = self._loaded
        while True:
            await self._clock.sleep(POLL_S)
            last, before = await asyncio.to_thread(self._files.stamps), last
            if last == before:
                await self._reload()

    async def _reload(self) -> None:
        async with self._lock:
            if self._loaded == await asyncio.to_thread(self._files.stamps):
                return
            try:
                certificate = await self.load()
            except UnusableFile as fault:
                text = f"{fault.setting}: {fault}"
                self._log.event("error", "certificate rejected", fault=text)
                return
            self._use(certificate)
            days = self._days_left(certificate)
            self._log.event("info", "certificate replaced", days=days)

    def _days_left(self, certificate: Certificate) -> int:
        return int((certificate.expires_at - self._clock.now()) // _DAY_S)

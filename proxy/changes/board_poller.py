"""Board poller: one request about every board, repeated by one task.

Between two good polls no change is missed: what the later one shows as changed is marked stale the
moment it arrives, and a response requested before that is not stored. Without a recent good poll
nothing counts as watched, and the ordinary lifetimes hold (D28).
"""

from asyncio import FIRST_COMPLETED, wait
from collections.abc import Callable, Mapping, Set

from proxy.cache.boards import WatchedBoards
from proxy.cache.invalidation import Invalidator
from proxy.changes.poll_diff import (
    IDLE_AFTER_S,
    VALID_INTERVALS,
    BoardVersion,
    Polled,
    diff,
    parse_versions,
    pause_s,
    watched_since,
    with_list,
)
from proxy.errors import ProxyError
from proxy.model import Tag
from proxy.observability.log import Log
from proxy.observability.metrics import count
from proxy.runtime.clock import Clock
from proxy.runtime.tasks import TaskSet
from proxy.trello.message import ApiRequest
from proxy.upstream.exchange import StreamedResponse, UpstreamExchange

MIN_PAUSE_S = 1.0
"""Least seconds between two polls, whatever the rate of writes."""


class BoardPoller:
    """Polls the boards of the stored member while clients read; off until it is started."""

    def __init__(
        self,
        *,
        exchange: UpstreamExchange,
        invalidator: Invalidator,
        watched: WatchedBoards,
        interval_s: float | None,
        on_change: Callable[[Set[str], float], None],
        refresh: Callable[[Set[Tag]], None],
        clock: Clock,
        log: Log,
    ) -> None:
        """`interval_s`: seconds between polls; None: polling is off.

        `on_change` is called with the ids of boards that changed, after the responses that show
        them were marked stale, and with the time of the previous poll (POSIX seconds); then
        `refresh`, with the tags that it and writes since then invalidated.
        """
        self.changes = 0
        self.polls = dict.fromkeys(("good", "failed", "refused", "unusable"), 0)
        """Number of polls by result."""
        self.is_on = False
        self._exchange = exchange
        self._invalidator = invalidator
        self._watched = watched
        self._interval_s = interval_s or 0.0
        self._on_change = on_change
        self._refresh = refresh
        self._clock = clock
        self._log = log
        self._versions: Mapping[str, BoardVersion] | None = None
        self._since: dict[str, int] = {}
        self._lag_logged = False
        self._tasks = TaskSet()

    @property
    def is_idle(self) -> bool:
        """Whether polling is suspended until the next lookup."""
        return self.is_on and not self._watched.is_read

    @property
    def boards(self) -> int:
        """Number of boards watched now."""
        return len(self._watched)

    @property
    def lag_s(self) -> float:
        """Seconds since the last good poll was sent; 0 while off or suspended."""
        if not self.is_on or self.is_idle:
            return 0.0
        watched = self._watched
        return max(0.0, self._clock.now() - max(watched.polled_at, watched.needed_since))

    @property
    def is_late(self) -> bool:
        """Whether it is on, not suspended, and has had no good poll for VALID_INTERVALS."""
        return self.lag_s > VALID_INTERVALS * self._interval_s

    def start(self, request: ApiRequest) -> None:
        """Start polling, unless it is off; `request` is for `poll_diff.TARGET`."""
        if self._interval_s:
            self.is_on = True
            self._tasks.spawn(self._run(request))

    async def stop(self) -> None:
        """Stop polling."""
        await self._tasks.stop()

    async def _run(self, request: ApiRequest) -> None:
        failures = 0
        while True:
            await self._watched.wait_for_reader(IDLE_AFTER_S)
            written = self._watched.take_written()
            requested_at, began = self._clock.now(), self._clock.monotonic()
            result, polled = await self._poll(request)
            count(self.polls, result)
            failures = failures + 1 if polled is None else 0
            if polled is not None:
                self._update(polled, requested_at, written)
            self._log_lag()
            await self._pause(began, pause_s(self._interval_s, failures), failures)

    async def _pause(self, began: float, pause_s: float, failures: int) -> None:
        """Wait until `pause_s` after the last poll began; a write ends it, unless polls fail."""
        await self._clock.sleep(self._remaining(began, min(MIN_PAUSE_S, pause_s)))
        waits = TaskSet()
        pause = waits.spawn(self._clock.sleep(self._remaining(began, pause_s)))
        written = waits.spawn(self._watched.written.wait())
        try:
            await wait([pause] if failures else [pause, written], return_when=FIRST_COMPLETED)
        finally:
            await waits.stop()

    def _remaining(self, began: float, pause_s: float) -> float:
        return max(0.0, pause_s - (self._clock.monotonic() - began))

    async def _poll(self, request: ApiRequest) -> tuple[str, Polled | None]:
        """The result, as in `polls`, and the boards after a good one."""
        try:
            fetched = await self._exchange.fetch(request, gzip=True)
        except ProxyError:
            return "failed", None
        if isinstance(fetched, StreamedResponse):
            await fetched.body.aclose()
            return "unusable", None
        if fetched.status != 200:
            return "refused", None
        polled = parse_versions(fetched.plain)
        return ("unusable" if polled is None else "good"), polled

    def _log_lag(self) -> None:
        """Log when polls become late, and when they have recovered."""
        if self.is_late != self._lag_logged:
            self._lag_logged = self.is_late
            if self.is_late:
                self._log.event("warning", "board poll late")
            else:
                self._log.event("info", "board poll recovered")

    def _update(self, polled: Polled, requested_at: float, written: Set[Tag]) -> None:
        """Mark changed boards stale; new ones are watched from here on. Synchronous."""
        versions = polled.versions
        difference = diff(self._versions or {}, versions)
        stale = difference.changed_tags if self._versions is not None else frozenset()
        if stale:
            self._invalidator.mark_stale(stale, "poll")
            self.changes += len(difference.changed)
            self._on_change(difference.changed, self._watched.polled_at)
        self._refresh(stale | written)
        if difference.appeared or difference.vanished:
            self._since = watched_since(self._since, versions, self._invalidator.checkpoint())
        self._versions = versions
        is_counted = all(version.sequence for version in versions.values())
        since = with_list(self._since, is_complete=polled.is_complete)
        self._watched.update(since, requested_at, count=len(versions), is_counted=is_counted)

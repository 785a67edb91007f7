"""Board poller: one request about every board, repeated by one task.

Between two good polls no change is missed: what the later one shows as changed is marked stale the
moment it arrives, and a response requested before that is not stored. Without a recent good poll
nothing counts as watched, and the ordinary lifetimes hold (D28). While webhooks deliver the changes
of every board in use, polls only bound what a lost delivery can cost (D76).
"""

from asyncio import FIRST_COMPLETED, wait
from collections.abc import Callable, Collection, Mapping, Set

from proxy.cache.boards import WatchedBoards
from proxy.cache.invalidation import Invalidator
from proxy.changes.poll_diff import (
    IDLE_AFTER_S,
    VALID_INTERVALS,
    BoardVersion,
    PollDiff,
    Polled,
    diff,
    parse_versions,
    pause_s,
    watched_since,
    with_list,
)
from proxy.changes.webhook_manager import WebhookManager
from proxy.errors import ProxyError
from proxy.model import Tag
from proxy.observability.log import Log
from proxy.observability.metrics import count
from proxy.runtime.clock import Clock
from proxy.runtime.tasks import TaskSet
from proxy.trello.message import ApiRequest
from proxy.upstream.exchange import StreamedResponse, UpstreamExchange

MIN_PAUSE_S = 1.0
"""Least seconds between two polls or refreshes, whatever the rate of changes."""
COVERED_INTERVAL_S = 120.0
"""Seconds between polls while webhooks deliver the changes of every board in use."""


class BoardPoller:
    """Polls the boards of the stored member while clients read; off until it is started."""

    def __init__(
        self,
        *,
        exchange: UpstreamExchange,
        invalidator: Invalidator,
        watched: WatchedBoards,
        interval_s: float | None,
        refresh: Callable[[Set[Tag]], None],
        webhooks: WebhookManager | None,
        clock: Clock,
        log: Log,
    ) -> None:
        """`interval_s`: seconds between polls; None: polling is off.

        `refresh` is called after each good poll, with the tags that it and noted changes
        invalidated, and for these alone while webhooks cover the boards in use.
        """
        self.changes = 0
        self.polls = dict.fromkeys(("good", "failed", "refused", "unusable"), 0)
        """Number of polls by result."""
        self.is_on = False
        self._exchange = exchange
        self._invalidator = invalidator
        self._watched = watched
        self._interval_s = interval_s or 0.0
        self._rare_s = max(COVERED_INTERVAL_S, self._interval_s)
        self._refresh = refresh
        self._webhooks = webhooks
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
        """Whether it is on, not suspended, and its last good poll is too old to rely on."""
        return self.lag_s > max(self._watched.usable_s, VALID_INTERVALS * self._interval_s)

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
            known = self._watched.take_changed()
            requested_at, began = self._clock.now(), self._clock.monotonic()
            result, polled = await self._poll(request)
            count(self.polls, result)
            failures = failures + 1 if polled is None else 0
            is_covered = polled is not None and self._is_covered()
            if polled is not None:
                self._update(polled, requested_at, known, is_covered=is_covered)
            self._log_lag()
            await self._pause(began, pause_s(self._interval_s, failures), failures)
            if is_covered:
                await self._pause_covered(began)

    def _is_covered(self, boards: Collection[str] = ()) -> bool:
        """Whether webhooks deliver the changes of all boards in use, and of `boards`."""
        return self._webhooks is not None and self._webhooks.covers(boards)

    async def _pause_covered(self, began: float) -> None:
        """Wait until the next of the rare polls; meanwhile refresh what changed.

        Returns within an interval after boards in use are covered no longer.
        """
        while (left_s := self._remaining(began, self._rare_s)) and self._is_covered():
            self._refresh(self._watched.take_changed())
            await self._pause(self._clock.monotonic(), min(self._interval_s, left_s), 0)

    async def _pause(self, began: float, pause_s: float, failures: int) -> None:
        """Wait until `pause_s` after `began`; a known change ends it, unless polls fail."""
        await self._clock.sleep(self._remaining(began, min(MIN_PAUSE_S, pause_s)))
        waits = TaskSet()
        pause = waits.spawn(self._clock.sleep(self._remaining(began, pause_s)))
        changed = waits.spawn(self._watched.changed.wait())
        try:
            await wait([pause] if failures else [pause, changed], return_when=FIRST_COMPLETED)
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

    def _update(
        self, polled: Polled, requested_at: float, known: Set[Tag], *, is_covered: bool
    ) -> None:
        """Mark changed boards stale; new ones are watched from here on. Synchronous."""
        versions = polled.versions
        difference = diff(self._versions or {}, versions)
        stale = self._mark_stale(difference, versions, is_covered=is_covered)
        self._refresh(stale | known)
        if difference.appeared or difference.vanished:
            self._since = watched_since(self._since, versions, self._invalidator.checkpoint())
        self._versions = versions
        is_listed = polled.is_complete and (not is_covered or self._is_covered(versions))
        next_s = self._rare_s if is_covered else self._interval_s
        self._watched.update(
            with_list(self._since, is_complete=is_listed),
            requested_at,
            usable_s=next_s + (VALID_INTERVALS - 1.0) * self._interval_s,
            count=len(versions),
            is_counted=all(version.sequence for version in versions.values()),
        )

    def _mark_stale(
        self, difference: PollDiff, versions: Mapping[str, BoardVersion], *, is_covered: bool
    ) -> Set[Tag]:
        """The tags marked stale: of each board that changed, unless deliveries explain it (D76)."""
        if self._versions is None:
            return frozenset()
        self.changes += len(difference.changed)
        since, webhooks = self._watched.polled_at, self._webhooks
        if webhooks is not None:
            webhooks.on_board_change(difference.changed, since)
        if webhooks is not None and is_covered:
            difference = difference.without(
                each
                for each in difference.changed
                if webhooks.explains(each, versions[each].active, since)
            )
        if difference.changed_tags:
            self._invalidator.mark_stale(difference.changed_tags, "poll")
        return difference.changed_tags

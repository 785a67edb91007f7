"""The watcher: one question about every board, again and again, by one owned task.

Between two good answers nothing slips through: what the later one shows as moved is outdated the
moment it arrives, and what was on its way meanwhile is not stored. While no good answer is young
nothing counts as watched, and the ordinary lifetimes hold.
"""

import asyncio
from asyncio import FIRST_COMPLETED
from collections.abc import Callable, Mapping, Set

from proxy.cache.invalidation import Invalidator
from proxy.cache.watched_boards import WatchedBoards
from proxy.changes.poll_diff import (
    IDLE_AFTER_S,
    VALID_INTERVALS,
    BoardVersion,
    diff,
    parse_versions,
    pause_s,
    watched_since,
)
from proxy.errors import ProxyError
from proxy.observability.log import Log
from proxy.observability.metrics import count
from proxy.runtime.clock import Clock
from proxy.trello.message import ApiRequest
from proxy.upstream.exchange import StreamedResponse, UpstreamExchange

SHORTEST_PAUSE_S = 1.0
"""From one question to the next, however much is written."""


class BoardPoller:
    """What is known of the boards' changes; nothing while it is not started."""

    def __init__(
        self,
        exchange: UpstreamExchange,
        invalidator: Invalidator,
        clock: Clock,
        log: Log,
        interval_s: float | None,
        watched: WatchedBoards,
    ) -> None:
        """`interval_s`: from one poll to the next; None: polling is off."""
        self.changes = 0
        self.polls = dict.fromkeys(("good", "failed", "refused", "unusable"), 0)
        """Questions asked, by what came of them."""
        self._exchange = exchange
        self._invalidate = invalidator
        self._clock = clock
        self._log = log
        self._interval_s = interval_s or 0.0
        self._versions: Mapping[str, BoardVersion] | None = None
        self._since: dict[str, int] = {}
        self.watched = watched
        self._started_at = clock.now()
        self._read_at = clock.monotonic()
        self._readers = asyncio.Event()
        self._write_seen = asyncio.Event()
        self._lag_logged = False
        self.on_change: list[Callable[[Set[str]], None]] = []
        """Told of the ids of boards that moved, once what shows them is outdated."""
        self._task: asyncio.Task[None] | None = None

    @property
    def is_on(self) -> bool:
        return self._task is not None

    @property
    def is_idle(self) -> bool:
        """Whether it waits for somebody to read."""
        return self.is_on and not self._readers.is_set()

    @property
    def lag_s(self) -> float:
        """Seconds since what is known was asked for; 0 while nobody reads."""
        if not self.is_on or self.is_idle:
            return 0.0
        return max(0.0, self._clock.now() - max(self.watched.polled_at, self._started_at))

    @property
    def is_late(self) -> bool:
        """Whether it is on and knows nothing recent, though somebody reads."""
        return self.is_on and not self.is_idle and self.lag_s > VALID_INTERVALS * self._interval_s

    def start(self, request: ApiRequest) -> None:
        """Begin, unless it is off, to ask in the stored identity; `ask`: policy's question."""
        if not self._interval_s:
            return
        self._readers.set()
        self._task = asyncio.create_task(self._run(request))  # noqa: TID251 — owned here, see stop

    async def stop(self) -> None:
        """Ask no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def note_read(self) -> None:
        """Somebody reads: worth asking for."""
        self._read_at = self._clock.monotonic()
        if self.is_idle:
            self._started_at = self._clock.now()
            self._readers.set()

    def clock_set_back(self) -> None:
        """Count from now on: what was noted of the clock is in the future."""
        self.watched.distrust()
        self._started_at = self._clock.now()

    def note_write(self) -> None:
        """A write of ours moved a board: look at once, and what is asked after that stays watched.

        The next regular look would call the board moved, and with it all that was asked since.
        """
        self._write_seen.set()

    async def _run(self, request: ApiRequest) -> None:
        failures = 0
        while True:
            await self._has_readers()
            self._write_seen.clear()
            requested_at, began = self._clock.now(), self._clock.monotonic()
            marks = await self._poll(request)
            failures = failures + 1 if marks is None else 0
            if marks is not None:
                self._update(marks, requested_at)
            self._log_lag()
            await self._pause(began, pause_s(self._interval_s, failures), failures)

    async def _pause(self, began: float, pause_s: float, failures: int) -> None:
        """Until so long after the last question; while all is well, a write of ours ends it."""
        await self._clock.sleep(self._left(began, min(SHORTEST_PAUSE_S, pause_s)))
        rest = asyncio.create_task(  # noqa: TID251 — ended below
            self._clock.sleep(self._left(began, pause_s))
        )
        written = asyncio.create_task(self._write_seen.wait())  # noqa: TID251 — ended below
        try:
            await asyncio.wait([rest] if failures else [rest, written], return_when=FIRST_COMPLETED)
        finally:
            rest.cancel()
            written.cancel()

    def _left(self, began: float, pause_s: float) -> float:
        return max(0.0, pause_s - (self._clock.monotonic() - began))

    async def _has_readers(self) -> None:
        if self._clock.monotonic() - self._read_at >= IDLE_AFTER_S:
            self._readers.clear()
            await self._readers.wait()

    async def _poll(self, request: ApiRequest) -> dict[str, BoardVersion] | None:
        """The boards' marks; None when there is no good answer."""
        result, marks = await self._answer(request)
        count(self.polls, result)
        return marks

    async def _answer(self, request: ApiRequest) -> tuple[str, dict[str, BoardVersion] | None]:
        """What came of the question, and the marks if that is good."""
        try:
            fetched = await self._exchange.fetch(request, gzip=True)
        except ProxyError:
            return "failed", None
        if isinstance(fetched, StreamedResponse):
            await fetched.body.aclose()
            return "unusable", None
        if fetched.status != 200:
            return "refused", None
        marks = parse_versions(fetched.plain)
        return ("unusable" if marks is None else "good"), marks

    def _log_lag(self) -> None:
        """One line when it becomes late, and one when it is back."""
        if self.is_late != self._lag_logged:
            self._lag_logged = self.is_late
            late = self._lag_logged
            self._log.event(
                "warning" if late else "info", "board poll late" if late else "board poll recovered"
            )

    def _update(self, marks: Mapping[str, BoardVersion], requested_at: float) -> None:
        """Outdate what moved; what appeared is watched from this moment on. Synchronous."""
        told = diff(self._versions or {}, marks)
        if self._versions is not None and told.changed_tags:
            self._invalidate.mark_stale(told.changed_tags, "poll")
            self.changes += len(told.changed)
            for tell in self.on_change:
                tell(told.changed)
        if told.appeared or told.vanished:
            self._since = watched_since(self._since, marks, self._invalidate.checkpoint())
        self._versions = marks
        is_counted = all(mark.sequence for mark in marks.values())
        self.watched.update(self._since, requested_at, count=len(marks), is_counted=is_counted)

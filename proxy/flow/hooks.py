"""Our webhooks at Trello: one for each board served, looked after by one owned task.

It knows its own by their callback, to the letter, and touches no other. At stop they stay: the
next start takes them over. What Trello delivers meanwhile is lost, which lifetimes have to bear.
"""

import asyncio
from collections.abc import Collection
from typing import assert_never

from proxy.clock import Clock
from proxy.errors import UpstreamError
from proxy.flow.deliveries import Deliveries
from proxy.flow.read_through import ReadThrough
from proxy.flow.registrar import Registrar
from proxy.flow.served_boards import ServedBoards
from proxy.flow.watch import Watch
from proxy.log import Log
from proxy.metrics import Metrics
from proxy.policy.registration import Create, Step, Verdict, Webhook, after, next_step, verdict_of

PACE_S = 15.0
"""From one call to the next: four a minute, and as long to notice a new board."""
MOST_DOUBLINGS = 8
"""A failure doubles that, so often at most: to somewhat more than an hour."""
REVIEW_S = 3600.0
"""So often Trello is asked which webhooks there are."""
MISSED_REVIEW_S = 600.0
"""The same, while one of them is silent."""
ASIDE_S = 3600.0
"""A board whose webhook was refused is left alone for so long."""
HEARD_S = 60.0
"""How late a delivery may be."""


class Hooks:
    """Owns the task, and what is known of the webhooks; bounded by the boards served."""

    def __init__(
        self,
        registrar: Registrar,
        reads: ReadThrough,
        deliveries: Deliveries,
        metrics: Metrics,
        clock: Clock,
        log: Log,
    ) -> None:
        self._registrar = registrar
        self._boards = ServedBoards(clock)
        reads.keep.on_stored.append(self._boards.note)
        self._deliveries = deliveries
        self._metrics = metrics
        self._clock = clock
        self._log = log
        self._webhooks: tuple[Webhook, ...] = ()
        self._reviewed_at: float | None = None
        self._review_at = 0.0
        self._aside: dict[str, float] = {}
        """Boards whose webhook was refused, and until when they are left alone."""
        self._moved: dict[str, tuple[float, float]] = {}
        """Boards of the watcher's that moved: since when, and when that has to be heard of."""
        self._failures = 0
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look after the webhooks: Trello probes the callback, so listen first."""
        self._task = asyncio.create_task(self._run())  # noqa: TID251 — owned here, see stop

    def look_again(self) -> None:
        """Another token is in use, which has webhooks of its own: ask for them soon."""
        self._review_at, self._failures = 0.0, 0

    async def stop(self) -> None:
        """Leave them as they are."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def heed(self, watch: Watch) -> None:
        """Learn from the watcher which boards moved: their webhooks have to say so too."""
        watch.on_moved.append(lambda boards: self.moved(boards, watch.good_at))

    def moved(self, boards: Collection[str], since: float) -> None:
        """These have changed at some time after `since`, in POSIX seconds."""
        due = self._clock.monotonic() + HEARD_S
        for board in boards:
            self._moved.setdefault(board, (since, due))

    def _look_for_missed(self) -> None:
        """Count the webhooks of boards that moved a while ago and of which nothing was heard.

        Trello is soon asked then whether they are still there.
        """
        now = self._clock.monotonic()
        has_one = {each.model for each in self._webhooks if each.active}
        for board, (since, due) in list(self._moved.items()):
            if now < due:
                continue
            del self._moved[board]
            if board in has_one and not self._deliveries.heard_since(board, since):
                self._metrics.webhooks_missed += 1
                self._review_at = min(self._review_at, (self._reviewed_at or now) + MISSED_REVIEW_S)

    async def _run(self) -> None:
        while True:
            try:
                await self._turn()
            except UpstreamError as error:
                self._failures += 1
                self._review_at = 0.0  # a step without an answer may have been taken
                self._log.event("warning", "webhooks not looked after", error=error.slug)
            pace_s = PACE_S * 2 ** min(self._failures, MOST_DOUBLINGS)
            await self._clock.sleep(pace_s)

    async def _turn(self) -> None:
        """One call at most; a look at what there is leaves the pace as it is."""
        self._look_for_missed()
        if self._clock.monotonic() >= self._review_at:
            await self._review()
            return
        step = next_step(self._webhooks, self._wanted())
        is_well = step is None or await self._take(step)
        self._failures = 0 if is_well else self._failures + 1

    async def _review(self) -> None:
        webhooks = await self._registrar.webhooks()
        if self._reviewed_at is None:
            for each in webhooks:
                self._boards.see(each.model)
        for each in webhooks:
            self._aside.pop(each.model, None)  # it was refused because it is there
        self._know(webhooks)
        self._reviewed_at = self._clock.monotonic()
        self._review_at = self._reviewed_at + REVIEW_S

    def _wanted(self) -> list[str]:
        now = self._clock.monotonic()
        self._aside = {board: until for board, until in self._aside.items() if until > now}
        return [board for board in self._boards.lately() if board not in self._aside]

    async def _take(self, step: Step) -> bool:
        """Whether the next call may come at the usual pace."""
        status, body = await self._registrar.take(step)
        verdict = verdict_of(status, body)
        match verdict:
            case Verdict.DONE:
                return self._taken(step, body)
            case Verdict.UNREACHABLE:
                self._log.event(
                    "warning",
                    "Trello cannot reach freshness.webhook_url",
                    advice="it must answer from the internet, and lead to /-/webhook here",
                )
                return False
            case Verdict.REFUSED if isinstance(step, Create):
                self._aside[step.model] = self._clock.monotonic() + ASIDE_S
            case Verdict.REFUSED | Verdict.TROUBLE:
                self._review_at = 0.0
            case never:
                assert_never(never)
        self._log.event("warning", "webhook refused", step=_name(step), status=status)
        return isinstance(step, Create) and verdict is Verdict.REFUSED

    def _taken(self, step: Step, body: bytes) -> bool:
        webhooks = after(self._webhooks, step, body)
        if webhooks is None:
            self._review_at = 0.0
            return True
        self._know(webhooks)
        self._log.event("info", "webhook changed", step=_name(step), webhooks=len(webhooks))
        return True

    def _know(self, webhooks: tuple[Webhook, ...]) -> None:
        self._webhooks = webhooks
        self._metrics.webhooks = sum(each.active for each in webhooks)


def _name(step: Step) -> str:
    return type(step).__name__.lower()

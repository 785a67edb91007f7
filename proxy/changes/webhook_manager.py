"""Our webhooks at Trello: one for each board served, looked after by one owned task.

It knows its own by their callback, to the letter, and touches no other. At stop they stay: the
next start takes them over. What Trello delivers meanwhile is lost, which lifetimes have to bear.
"""

import asyncio
from collections.abc import Collection
from typing import assert_never

from proxy.cache.read_through import ReadThrough
from proxy.changes.board_poller import BoardPoller
from proxy.changes.webhook_client import WebhookClient
from proxy.changes.webhook_receiver import WebhookReceiver
from proxy.errors import UpstreamError
from proxy.model import StoredResponse
from proxy.observability.log import Log
from proxy.observability.metrics import Metrics
from proxy.runtime.clock import Clock
from proxy.trello.message import ApiRequest
from proxy.trello.object_ids import is_id
from proxy.trello.webhook_api import (
    Create,
    Step,
    Webhook,
    WebhookResult,
    apply_result,
    classify_result,
    reconcile,
)

MAX_BOARDS = 200
"""A newcomer waits until another one has been idle: webhooks are not made and removed in turns."""
IDLE_S = 86_400.0
_KINDS = frozenset({"board", "cards-of"})


class ActiveBoards:
    """Full ids of boards, and when each was seen last; bounded."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seen_at: dict[str, float] = {}

    def note(self, request: ApiRequest, stored: StoredResponse) -> None:
        """An answer was stored; what was asked in a client's own name may not be ours to see."""
        if not request.uses_stored_credential:
            return
        for kind, _, name in (tag.partition(":") for tag in stored.tags):
            if kind in _KINDS and is_id(name):
                self.see(name)

    def see(self, board: str) -> None:
        """The board is of use just now."""
        if board in self._seen_at or len(self._seen_at) < MAX_BOARDS:
            self._seen_at[board] = self._clock.monotonic()

    def recent(self) -> list[str]:
        """Those seen within a day."""
        idle_since = self._clock.monotonic() - IDLE_S
        self._seen_at = {board: at for board, at in self._seen_at.items() if at > idle_since}
        return list(self._seen_at)


STEP_INTERVAL_S = 15.0
"""From one call to the next: four a minute, and as long to notice a new board."""
MAX_BACKOFF_DOUBLINGS = 8
"""A failure doubles that, so often at most: to somewhat more than an hour."""
REVIEW_S = 3600.0
"""So often Trello is asked which webhooks there are."""
MISSED_REVIEW_S = 600.0
"""The same, while one of them is silent."""
SKIP_S = 3600.0
"""A board whose webhook was refused is left alone for so long."""
DELIVERY_WAIT_S = 60.0
"""How late a delivery may be."""


class WebhookManager:
    """Owns the task, and what is known of the webhooks; bounded by the boards served."""

    def __init__(
        self,
        webhook_client: WebhookClient,
        reads: ReadThrough,
        webhook_receiver: WebhookReceiver,
        metrics: Metrics,
        clock: Clock,
        log: Log,
    ) -> None:
        self._client = webhook_client
        self._active_boards = ActiveBoards(clock)
        reads.storer.on_stored.append(self._active_boards.note)
        self._receiver = webhook_receiver
        self._metrics = metrics
        self._clock = clock
        self._log = log
        self._webhooks: tuple[Webhook, ...] = ()
        self._reviewed_at: float | None = None
        self._review_at = 0.0
        self._skipped: dict[str, float] = {}
        """Boards whose webhook was refused, and until when they are left alone."""
        self._changed_at: dict[str, tuple[float, float]] = {}
        """Boards of the watcher's that moved: since when, and when that has to be heard of."""
        self._failures = 0
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look after the webhooks: Trello probes the callback, so listen first."""
        self._task = asyncio.create_task(self._run())  # noqa: TID251 — owned here, see stop

    def resync(self) -> None:
        """Another token is in use, which has webhooks of its own: ask for them soon."""
        self._review_at, self._failures = 0.0, 0

    async def stop(self) -> None:
        """Leave them as they are."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def subscribe_to(self, watch: BoardPoller) -> None:
        """Learn from the watcher which boards moved: their webhooks have to say so too."""
        watch.on_change.append(
            lambda boards: self.on_board_changed(boards, watch.watched.polled_at)
        )

    def on_board_changed(self, boards: Collection[str], since: float) -> None:
        """These have changed at some time after `since`, in POSIX seconds."""
        due = self._clock.monotonic() + DELIVERY_WAIT_S
        for board in boards:
            self._changed_at.setdefault(board, (since, due))

    def _check_for_missed(self) -> None:
        """Count the webhooks of boards that moved a while ago and of which nothing was heard.

        Trello is soon asked then whether they are still there.
        """
        now = self._clock.monotonic()
        has_one = {each.model for each in self._webhooks if each.active}
        for board, (since, due) in list(self._changed_at.items()):
            if now < due:
                continue
            del self._changed_at[board]
            if board in has_one and not self._receiver.delivered_since(board, since):
                self._metrics.webhooks_missed += 1
                self._review_at = min(self._review_at, (self._reviewed_at or now) + MISSED_REVIEW_S)

    async def _run(self) -> None:
        while True:
            try:
                await self._step()
            except UpstreamError as error:
                self._failures += 1
                self._review_at = 0.0  # a step without an answer may have been taken
                self._log.event("warning", "webhook sync failed", error=error.slug)
            pace_s = STEP_INTERVAL_S * 2 ** min(self._failures, MAX_BACKOFF_DOUBLINGS)
            await self._clock.sleep(pace_s)

    async def _step(self) -> None:
        """One call at most; a look at what there is leaves the pace as it is."""
        self._check_for_missed()
        if self._clock.monotonic() >= self._review_at:
            await self._review()
            return
        step = reconcile(self._webhooks, self._wanted())
        is_well = step is None or await self._apply(step)
        self._failures = 0 if is_well else self._failures + 1

    async def _review(self) -> None:
        webhooks = await self._client.webhooks()
        if self._reviewed_at is None:
            for each in webhooks:
                self._active_boards.see(each.model)
        for each in webhooks:
            self._skipped.pop(each.model, None)  # it was refused because it is there
        self._set_webhooks(webhooks)
        self._reviewed_at = self._clock.monotonic()
        self._review_at = self._reviewed_at + REVIEW_S

    def _wanted(self) -> list[str]:
        now = self._clock.monotonic()
        self._skipped = {board: until for board, until in self._skipped.items() if until > now}
        return [board for board in self._active_boards.recent() if board not in self._skipped]

    async def _apply(self, step: Step) -> bool:
        """Whether the next call may come at the usual pace."""
        status, body = await self._client.apply(step)
        verdict = classify_result(status, body)
        match verdict:
            case WebhookResult.DONE:
                return self._applied(step, body)
            case WebhookResult.UNREACHABLE:
                self._log.event(
                    "warning",
                    "Trello cannot reach freshness.webhook_url",
                    advice="it must answer from the internet, and lead to /-/webhook here",
                )
                return False
            case WebhookResult.REFUSED if isinstance(step, Create):
                self._skipped[step.model] = self._clock.monotonic() + SKIP_S
            case WebhookResult.REFUSED | WebhookResult.FAILURE:
                self._review_at = 0.0
            case never:
                assert_never(never)
        self._log.event("warning", "webhook rejected", step=_name(step), status=status)
        return isinstance(step, Create) and verdict is WebhookResult.REFUSED

    def _applied(self, step: Step, body: bytes) -> bool:
        webhooks = apply_result(self._webhooks, step, body)
        if webhooks is None:
            self._review_at = 0.0
            return True
        self._set_webhooks(webhooks)
        self._log.event("info", "webhook changed", step=_name(step), webhooks=len(webhooks))
        return True

    def _set_webhooks(self, webhooks: tuple[Webhook, ...]) -> None:
        self._webhooks = webhooks
        self._metrics.webhooks = sum(each.active for each in webhooks)


def _name(step: Step) -> str:
    return type(step).__name__.lower()

"""Webhook manager: keeps one webhook at Trello for each board in use, in one task.

A webhook is ours if its callback URL equals ours exactly; no other is touched. They remain at stop,
and the next start adopts them. Deliveries in between are lost; lifetimes bound the effect.
"""

import math
from collections.abc import Callable, Collection
from typing import assert_never

from proxy.cache.boards import MAX_ACTIVE_BOARDS, ActiveBoards
from proxy.changes.webhook_client import WebhookClient
from proxy.changes.webhook_receiver import WebhookReceiver
from proxy.errors import UpstreamError
from proxy.observability.log import Log
from proxy.observability.metrics import Metrics
from proxy.runtime.clock import Clock
from proxy.runtime.tasks import TaskSet
from proxy.trello.webhook_api import (
    Create,
    Step,
    Webhook,
    WebhookResult,
    apply_result,
    classify_result,
    reconcile,
)

STEP_INTERVAL_S = 15.0
"""Seconds between calls (four a minute), and until a new board is noticed."""
MAX_BACKOFF_DOUBLINGS = 8
"""Each consecutive failure doubles the pause, up to somewhat more than an hour."""
REVIEW_S = 3600.0
"""Seconds between reviews of the webhooks that exist at Trello."""
MISSED_REVIEW_S = 600.0
"""The same after a missed delivery."""
SKIP_S = 3600.0
"""Seconds for which a board whose webhook was refused is skipped."""
DELIVERY_WAIT_S = 60.0
"""Seconds after which a delivery counts as missed."""
DISTRUST_S = 600.0
"""Seconds after a missed delivery during which no board counts as covered."""


class WebhookManager:
    """Reconciles the webhooks at Trello with the boards in use, one call at a time."""

    def __init__(
        self,
        *,
        client: WebhookClient,
        boards: ActiveBoards,
        is_exposed: Callable[[str], bool],
        receiver: WebhookReceiver,
        metrics: Metrics,
        clock: Clock,
        log: Log,
    ) -> None:
        self._client = client
        self._boards = boards
        self._is_exposed = is_exposed
        self._receiver = receiver
        self._metrics = metrics
        self._clock = clock
        self._log = log
        self._webhooks: tuple[Webhook, ...] = ()
        self._reviewed_at: float | None = None
        self._review_at = 0.0
        self._skipped: dict[str, float] = {}
        """Boards whose webhook was refused, and until when they are skipped."""
        self._changed_at: dict[str, tuple[float, float]] = {}
        """Boards that changed according to polls: earliest time, and deadline of the delivery."""
        self._missed_at = -math.inf
        """Monotonic seconds of the last missed delivery."""
        self._failures = 0
        self._tasks = TaskSet()

    def start(self) -> None:
        """Start to reconcile; the proxy must listen already, since Trello probes the callback."""
        self._tasks.spawn(self._run())

    def resync(self) -> None:
        """Review soon: the stored token was replaced, and webhooks belong to a token."""
        self._review_at, self._failures = 0.0, 0
        self._missed_at = self._clock.monotonic()

    async def stop(self) -> None:
        """Stop; the webhooks remain."""
        await self._tasks.stop()

    def on_board_change(self, boards: Collection[str], since: float) -> None:
        """Expect deliveries for boards that changed at some time after `since`, POSIX seconds."""
        due = self._clock.monotonic() + DELIVERY_WAIT_S
        for board in boards:
            self._changed_at.setdefault(board, (since, due))

    def covers(self, boards: Collection[str]) -> bool:
        """Whether deliveries can be relied on for every board in use, and for `boards` (D76).

        Each has an active webhook, and since the last missed delivery others came. Not if there are
        more boards than are noted.
        """
        recent, now = self._boards.recent(), self._clock.monotonic()
        is_proven = self._receiver.delivered_at > self._missed_at
        if not is_proven or now < self._missed_at + DISTRUST_S or len(recent) >= MAX_ACTIVE_BOARDS:
            return False
        active = {each.model for each in self._webhooks if each.active}
        return active.issuperset(recent) and active.issuperset(boards)

    def explains(self, board: str, active: str, since: float) -> bool:
        """Whether deliveries account for a change of a board that they cover.

        It changed after `since` (POSIX seconds), and was last active at `active`, an ISO 8601 time.
        """
        return self._receiver.is_up_to_date(board, active, since)

    def _check_for_missed(self) -> None:
        """Count webhooks of boards that changed a while ago and had no delivery since.

        A review follows soon.
        """
        now = self._clock.monotonic()
        has_webhook = {each.model for each in self._webhooks if each.active}
        for board, (since, due) in list(self._changed_at.items()):
            if now < due:
                continue
            del self._changed_at[board]
            if board in has_webhook and not self._receiver.delivered_since(board, since):
                self._metrics.webhooks_missed += 1
                self._missed_at = now
                self._review_at = min(self._review_at, (self._reviewed_at or now) + MISSED_REVIEW_S)

    async def _run(self) -> None:
        while True:
            try:
                await self._step()
            except UpstreamError as error:
                self._failures += 1
                self._review_at = 0.0  # a step without a response may have been taken
                self._log.event("warning", "webhook sync failed", error=error.slug)
            pause_s = STEP_INTERVAL_S * 2 ** min(self._failures, MAX_BACKOFF_DOUBLINGS)
            await self._clock.sleep(pause_s)

    async def _step(self) -> None:
        """One call at most; a review does not reset the pause after failures."""
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
                self._boards.see(each.model)
        for each in webhooks:
            self._skipped.pop(each.model, None)  # refused because it exists
        self._set_webhooks(webhooks)
        self._reviewed_at = self._clock.monotonic()
        self._review_at = self._reviewed_at + REVIEW_S

    def _wanted(self) -> list[str]:
        now = self._clock.monotonic()
        self._skipped = {board: until for board, until in self._skipped.items() if until > now}
        boards = filter(self._is_exposed, self._boards.recent())
        return [board for board in boards if board not in self._skipped]

    async def _apply(self, step: Step) -> bool:
        """Whether the next call may follow at the usual pace."""
        status, body = await self._client.apply(step)
        result = classify_result(status, body)
        match result:
            case WebhookResult.DONE:
                self._applied(step, body)
                return True
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
        return isinstance(step, Create) and result is WebhookResult.REFUSED

    def _applied(self, step: Step, body: bytes) -> None:
        webhooks = apply_result(self._webhooks, step, body)
        if webhooks is None:
            self._review_at = 0.0
            return
        self._set_webhooks(webhooks)
        self._log.event("info", "webhook changed", step=_name(step), webhooks=len(webhooks))

    def _set_webhooks(self, webhooks: tuple[Webhook, ...]) -> None:
        self._webhooks = webhooks
        self._metrics.webhooks = sum(each.active for each in webhooks)


def _name(step: Step) -> str:
    return type(step).__name__.lower()

"""Webhook receiver: verifies Trello's deliveries, and marks stale what they announce.

Duplicates and reordering are harmless: an invalidation only ever advances the store. Dropping
duplicates saves requests, and makes replayed deliveries useless to an attacker (D32).
"""

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass
from enum import StrEnum

from proxy.cache.invalidation import Invalidator
from proxy.cache.write_through import EchoFilter
from proxy.model import Tag
from proxy.observability.metrics import Metrics, count
from proxy.runtime.clock import Clock
from proxy.runtime.lru import LruDict
from proxy.trello.tags import EVERYTHING
from proxy.trello.webhook_payload import (
    Callback,
    WebhookEvent,
    not_covered_by,
    parse_delivery,
    posix_time,
    verify,
)

MAX_REMEMBERED_DELIVERIES = 10_000
"""Remembered deliveries, for recognising duplicates."""
MAX_REMEMBERED_MODELS = 1000
"""Models whose last delivery is remembered."""


ACTIVITY_TOLERANCE_S = 1.0
"""Seconds by which a board's last activity may be later than the date of its action."""


@dataclass(frozen=True, slots=True)
class _Delivered:
    """What was delivered of one model."""

    at: float
    """POSIX seconds of the last delivery."""
    acted_at: float
    """The latest date of an action, in POSIX seconds."""


_NOTHING = _Delivered(-math.inf, -math.inf)


class DeliveryResult(StrEnum):
    """Result of a delivery."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    ECHO = "echo"
    """It announces a write made through this proxy, which has invalidated all of it."""
    INVALID_SIGNATURE = "invalid-signature"
    MALFORMED = "malformed"
    """Signed by Trello, but not parseable: everything becomes stale."""


class WebhookReceiver:
    """Applies deliveries one at a time; bounded."""

    def __init__(
        self,
        *,
        callback: Callback,
        echoes: EchoFilter,
        invalidator: Invalidator,
        on_change: Callable[[Collection[Tag]], None],
        metrics: Metrics,
        clock: Clock,
    ) -> None:
        """`on_change` is called with the tags that a delivery has just marked stale."""
        self.callback = callback
        self.delivered_at = -math.inf
        """Monotonic seconds of the last delivery that was no duplicate."""
        self._echoes = echoes
        self._invalidator = invalidator
        self._on_change = on_change
        self._metrics = metrics
        self._clock = clock
        self._seen: LruDict[str, None] = LruDict(MAX_REMEMBERED_DELIVERIES)
        self._delivered: LruDict[str, _Delivered] = LruDict(MAX_REMEMBERED_MODELS)

    async def receive(self, body: bytes, signature: str, identifier: str) -> DeliveryResult:
        """The result; what changed is marked stale before this returns, durably.

        `identifier` is the one that the write it announces was sent with.
        """
        result = self._classify(body, signature, identifier)
        count(self._metrics.webhook_deliveries, result.value)
        if result in {DeliveryResult.ACCEPTED, DeliveryResult.MALFORMED}:
            await self._invalidator.settle()
        return result

    def delivered_since(self, model: str, since: float) -> bool:
        """Whether a delivery came for this model at or after `since`, in POSIX seconds."""
        return self._delivered.get(model, _NOTHING).at >= since

    def is_up_to_date(self, model: str, active: str, since: float) -> bool:
        """Whether besides the action delivered last was no earlier than `active`, ISO 8601."""
        last, active_at = self._delivered.get(model, _NOTHING), posix_time(active)
        return last.at >= since and -math.inf < active_at <= last.acted_at + ACTIVITY_TOLERANCE_S

    def _classify(self, body: bytes, signature: str, identifier: str) -> DeliveryResult:
        callback = self.callback
        if not verify(body, callback.url, callback.secret, signature):
            return DeliveryResult.INVALID_SIGNATURE
        delivery = parse_delivery(body)
        # The same action is delivered to the webhook of each of its models, and an unknown action
        # stands for all of the model.
        name = signature if delivery is None else f"{delivery.action} {delivery.model}"
        if name in self._seen:
            return DeliveryResult.DUPLICATE
        self._seen[name] = None
        self.delivered_at = self._clock.monotonic()
        if delivery is not None:
            before = self._delivered.get(delivery.model, _NOTHING)
            acted_at = max(before.acted_at, posix_time(delivery.date))
            self._delivered[delivery.model] = _Delivered(self._clock.now(), acted_at)
        return self._apply(delivery, identifier)

    def _apply(self, delivery: WebhookEvent | None, identifier: str) -> DeliveryResult:
        if delivery is None:
            self._mark_stale({EVERYTHING})
            return DeliveryResult.MALFORMED
        tags = not_covered_by(delivery.tags, self._echoes.tags_of(identifier))
        if not tags:
            return DeliveryResult.ECHO
        self._mark_stale(tags)
        return DeliveryResult.ACCEPTED

    def _mark_stale(self, tags: Collection[Tag]) -> None:
        self._invalidator.mark_stale(tags, "webhook")
        self._on_change(tags)

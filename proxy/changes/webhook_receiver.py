"""Webhook receiver: verifies Trello's deliveries, and marks stale what they announce.

Duplicates and reordering are harmless: an invalidation only ever advances the store. Dropping
duplicates saves requests, and makes replayed deliveries useless to an attacker (D32).
"""

from enum import StrEnum

from proxy.cache.invalidation import Invalidator
from proxy.cache.write_through import EchoFilter
from proxy.observability.metrics import Metrics, count
from proxy.runtime.clock import Clock
from proxy.runtime.lru import LruDict
from proxy.trello.tags import EVERYTHING
from proxy.trello.webhook_payload import (
    Callback,
    WebhookEvent,
    not_covered_by,
    parse_delivery,
    verify,
)

MAX_REMEMBERED_DELIVERIES = 10_000
"""Remembered deliveries, for recognising duplicates."""
MAX_REMEMBERED_MODELS = 1000
"""Models whose last delivery is remembered."""


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
        metrics: Metrics,
        clock: Clock,
    ) -> None:
        self.callback = callback
        self._echoes = echoes
        self._invalidator = invalidator
        self._metrics = metrics
        self._clock = clock
        self._seen: LruDict[str, None] = LruDict(MAX_REMEMBERED_DELIVERIES)
        self._delivered_at: LruDict[str, float] = LruDict(MAX_REMEMBERED_MODELS)

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
        return self._delivered_at.get(model, since - 1) >= since

    def _classify(self, body: bytes, signature: str, identifier: str) -> DeliveryResult:
        callback = self.callback
        if not verify(body, callback.url, callback.secret, signature):
            return DeliveryResult.INVALID_SIGNATURE
        delivery = parse_delivery(body)
        if delivery is not None:
            self._delivered_at[delivery.model] = self._clock.now()
        # The same action is delivered to the webhook of each of its models, and an unknown action
        # stands for all of the model.
        name = signature if delivery is None else f"{delivery.action} {delivery.model}"
        if name in self._seen:
            return DeliveryResult.DUPLICATE
        self._seen[name] = None
        return self._apply(delivery, identifier)

    def _apply(self, delivery: WebhookEvent | None, identifier: str) -> DeliveryResult:
        if delivery is None:
            self._invalidator.mark_stale({EVERYTHING}, "webhook")
            return DeliveryResult.MALFORMED
        tags = not_covered_by(delivery.tags, self._echoes.tags_of(identifier))
        if not tags:
            return DeliveryResult.ECHO
        self._invalidator.mark_stale(tags, "webhook")
        return DeliveryResult.ACCEPTED

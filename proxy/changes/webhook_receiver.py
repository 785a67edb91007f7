"""What Trello's webhooks deliver: checked, told apart, and turned into what is stale from here on.

Repeats and reordering are harmless: an invalidation only ever advances the store. Dropping repeats
saves questions, and keeps a delivery that somebody recorded from being of use.
"""

from collections import OrderedDict
from enum import StrEnum

from proxy.cache.invalidation import Invalidator
from proxy.cache.write_through import EchoFilter
from proxy.observability.metrics import Metrics, count
from proxy.runtime.clock import Clock
from proxy.trello.tags import EVERYTHING
from proxy.trello.webhook_payload import (
    Callback,
    WebhookEvent,
    not_covered_by,
    parse_delivery,
    verify,
)

MAX_REMEMBERED_ACTIONS = 10_000
"""So many deliveries are known when they come again."""
MAX_REMEMBERED_BOARDS = 1000
"""So many models are remembered as having been heard of."""


class DeliveryResult(StrEnum):
    """What became of a delivery."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    ECHO = "echo"
    """It tells of a write that went through this proxy, and of nothing more."""
    INVALID_SIGNATURE = "invalid-signature"
    MALFORMED = "malformed"
    """Trello's, and not to be understood: anything may have changed."""


class WebhookReceiver:
    """Takes deliveries in, one at a time; bounded."""

    def __init__(
        self,
        callback: Callback,
        own: EchoFilter,
        invalidator: Invalidator,
        metrics: Metrics,
        clock: Clock,
    ) -> None:
        self.callback = callback
        self._echoes = own
        self._invalidator = invalidator
        self._metrics = metrics
        self._clock = clock
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._delivered_at: OrderedDict[str, float] = OrderedDict()

    async def receive(self, body: bytes, signature: str, identifier: str) -> DeliveryResult:
        """What became of it; what it changed is stale before this returns, and would stay so.

        `identifier` is what the write that it tells of was marked with.
        """
        result = self._classify(body, signature, identifier)
        count(self._metrics.webhook_deliveries, result.value)
        if result in {DeliveryResult.ACCEPTED, DeliveryResult.MALFORMED}:
            await self._invalidator.flush()
        return result

    def delivered_since(self, model: str, since: float) -> bool:
        """Whether anything came for the webhook of this model at or after `since`."""
        return self._delivered_at.get(model, since - 1) >= since

    def _classify(self, body: bytes, signature: str, identifier: str) -> DeliveryResult:
        callback = self.callback
        if not verify(body, callback.url, callback.secret, signature):
            return DeliveryResult.INVALID_SIGNATURE
        delivery = parse_delivery(body)
        if delivery is not None:
            self._note_delivery(delivery)
        # The same action is told to the webhook of each of its models; an unknown one touches
        # all of the model.
        name = signature if delivery is None else f"{delivery.action} {delivery.model}"
        if name in self._seen:
            return DeliveryResult.DUPLICATE
        self._seen[name] = None
        if len(self._seen) > MAX_REMEMBERED_ACTIONS:
            self._seen.popitem(last=False)
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

    def _note_delivery(self, delivery: WebhookEvent) -> None:
        self._delivered_at.pop(delivery.model, None)
        self._delivered_at[delivery.model] = self._clock.now()
        if len(self._delivered_at) > MAX_REMEMBERED_BOARDS:
            self._delivered_at.popitem(last=False)

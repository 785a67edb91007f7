"""What Trello's webhooks deliver: checked, told apart, and turned into what is stale from here on.

Repeats and reordering are harmless: an invalidation only ever advances the store. Dropping repeats
saves questions, and keeps a delivery that somebody recorded from being of use.
"""

from collections import OrderedDict
from enum import StrEnum

from proxy.clock import Clock
from proxy.flow.invalidate import Invalidate
from proxy.flow.own_writes import OwnWrites
from proxy.metrics import Metrics, count
from proxy.policy.tags import EVERYTHING
from proxy.policy.webhooks import Callback, Delivery, read, uncovered, verify

MOST_SEEN = 10_000
"""So many deliveries are known when they come again."""
MOST_HEARD = 1000
"""So many models are remembered as having been heard of."""


class Result(StrEnum):
    """What became of a delivery."""

    ACCEPTED = "accepted"
    REPEAT = "repeat"
    OWN = "own"
    """It tells of a write that went through this proxy, and of nothing more."""
    FORGED = "forged"
    MALFORMED = "malformed"
    """Trello's, and not to be understood: anything may have changed."""


class Deliveries:
    """Takes deliveries in, one at a time; bounded."""

    def __init__(
        self,
        callback: Callback,
        own: OwnWrites,
        invalidate: Invalidate,
        metrics: Metrics,
        clock: Clock,
    ) -> None:
        self.callback = callback
        self._own = own
        self._invalidate = invalidate
        self._metrics = metrics
        self._clock = clock
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._heard: OrderedDict[str, float] = OrderedDict()

    async def receive(self, body: bytes, signature: str, identifier: str) -> Result:
        """What became of it; what it changed is stale before this returns, and would stay so.

        `identifier` is what the write that it tells of was marked with.
        """
        result = self._judge(body, signature, identifier)
        count(self._metrics.webhook_deliveries, result.value)
        if result in {Result.ACCEPTED, Result.MALFORMED}:
            await self._invalidate.settled()
        return result

    def heard_since(self, model: str, since: float) -> bool:
        """Whether anything came for the webhook of this model at or after `since`."""
        return self._heard.get(model, since - 1) >= since

    def _judge(self, body: bytes, signature: str, identifier: str) -> Result:
        callback = self.callback
        if not verify(body, callback.url, callback.secret, signature):
            return Result.FORGED
        delivery = read(body)
        if delivery is not None:
            self._hear(delivery)
        # The same action is told to the webhook of each of its models; an unknown one touches
        # all of the model.
        name = signature if delivery is None else f"{delivery.action} {delivery.model}"
        if name in self._seen:
            return Result.REPEAT
        self._seen[name] = None
        if len(self._seen) > MOST_SEEN:
            self._seen.popitem(last=False)
        return self._apply(delivery, identifier)

    def _apply(self, delivery: Delivery | None, identifier: str) -> Result:
        if delivery is None:
            self._invalidate.outdate({EVERYTHING}, "webhook")
            return Result.MALFORMED
        tags = uncovered(delivery.tags, self._own.named(identifier))
        if not tags:
            return Result.OWN
        self._invalidate.outdate(tags, "webhook")
        return Result.ACCEPTED

    def _hear(self, delivery: Delivery) -> None:
        self._heard.pop(delivery.model, None)
        self._heard[delivery.model] = self._clock.now()
        if len(self._heard) > MOST_HEARD:
            self._heard.popitem(last=False)

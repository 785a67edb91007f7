"""Were our hits true? One in a while is asked again, beside the client, and compared.

The sample is the first hit after a moment that chance picks. Whoever got it does not wait; what
was found is counted. An answer that was not true any more is replaced, and what shows the same
objects is outdated: whatever should have told of the change did not.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace

from proxy.clock import Clock
from proxy.errors import ProxyError
from proxy.flow.ask import ApiRequest
from proxy.flow.invalidate import Invalidator
from proxy.flow.read_through import ReadThrough
from proxy.log import Log
from proxy.model import StoredResponse
from proxy.policy.directives import Directives
from proxy.policy.proving import kinds_of, tags_to_invalidate
from proxy.store.responses import ResponseStore
from proxy.tally import OWN

_REVALIDATE = Directives(no_cache=True)


class HitVerifier:
    """Owns the one task that asks again; there is never more than one sample."""

    def __init__(
        self,
        reads: ReadThrough,
        store: tuple[ResponseStore, Invalidator],
        pause_s: Callable[[], float],
        clock: Clock,
        log: Log,
    ) -> None:
        """`pause_s` draws the seconds from one question to the next."""
        self._reads = reads
        self._responses, self._invalidate = store
        self._pause_s = pause_s
        self._clock = clock
        self._log = log
        self._sample: asyncio.Future[tuple[ApiRequest, StoredResponse]] | None = None
        self._task: asyncio.Task[None] | None = None
        self.wants_sample = False
        """Whether the next hit that may be asked again is wanted."""
        self.results = {"true": 0, "stale": 0, "overtaken": 0, "unanswered": 0}
        """`overtaken`: something was invalidated meanwhile, which may be the difference."""
        self.stale_s = 0.0
        """Of the stale ones, how long they had been stored: none was stale for longer."""

    @property
    def stale_ratio(self) -> float:
        """Of the samples that tell, how many were stale; not a number while none does."""
        told = self.results["true"] + self.results["stale"]
        return self.results["stale"] / told if told else float("nan")

    def start(self) -> None:
        """Begin to ask, the first pause from now."""
        self._task = asyncio.create_task(self._run())  # noqa: TID251 — owned here, see stop

    async def stop(self) -> None:
        """Ask no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def offer_sample(self, request: ApiRequest, served: StoredResponse) -> None:
        """A hit that may be asked again; taken when one is wanted."""
        if self.wants_sample and self._sample is not None:
            self.wants_sample = False
            self._sample.set_result((request, served))

    async def _run(self) -> None:
        while True:
            await self._clock.sleep(self._pause_s())
            self._sample = asyncio.get_running_loop().create_future()
            self.wants_sample = True
            request, served = await self._sample
            self.results[await self._verify(request, served)] += 1

    async def _verify(self, request: ApiRequest, served: StoredResponse) -> str:
        """What became of the question, as `results` has it."""
        seq, offered_at = self._responses.seq, self._clock.now()
        try:
            anew = replace(request.in_background(), directives=_REVALIDATE, client_name=OWN)
            response = await self._reads.serve(anew)
        except ProxyError:
            return "unanswered"
        if self._responses.seq != seq:
            return "overtaken"
        found = response.stored
        if found is None or not response.outcome.stored:
            return "unanswered"
        if found.etag == served.etag:
            return "true"
        self._on_mismatch(request, served, found, offered_at)
        return "stale"

    def _on_mismatch(
        self, request: ApiRequest, served: StoredResponse, found: StoredResponse, offered_at: float
    ) -> None:
        at_most_s = max(0.0, offered_at - served.requested_at)
        self.stale_s += at_most_s
        touched = tags_to_invalidate({*served.tags, *found.tags})
        self._invalidate.mark_stale(touched, "proof")
        # What has just been found is what all the others are outdated for.
        self._responses.put(replace(found, requested_seq=self._responses.seq))
        self._log.event(
            "info",
            "a hit was stale",
            route=request.match.route.template,
            kinds=kinds_of(touched),
            at_most_s=round(at_most_s, 1),
        )

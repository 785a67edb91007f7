"""Hit verification: sampled hits are requested again in the background, and compared (D33).

The sample is the first hit after a random moment. Its client does not wait; the result is counted.
A response that had changed is replaced, and responses that show the same objects are marked stale:
the change had not been detected.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Protocol

from proxy.cache.invalidation import Invalidator
from proxy.cache.read_through import ReadThrough
from proxy.cache.store.store import ResponseStore
from proxy.errors import ProxyError
from proxy.http_semantics.cache_control import Directives
from proxy.model import StoredResponse, Tag
from proxy.observability.log import Log
from proxy.observability.metrics import OWN
from proxy.runtime.clock import Clock
from proxy.runtime.tasks import TaskSet
from proxy.trello.message import ApiRequest
from proxy.trello.tags import ALL_OF_KIND, SPANNING, UNKNOWN_ID, tags_for
from proxy.trello.write_effects import board_tags

MIN_PAUSE_S = 60.0
MATCHES_PER_STEP = 8
"""Samples in a row that matched, after which pauses are twice as long."""
MAX_STEPS = 3
LIMIT_SHARE = 100
"""Share of a token's limit used by verification, at most."""

_OF_BOARDS = ("board:", "cards-of:")
_REVALIDATE = Directives(no_cache=True)


def pause_s(count: int, window_s: float, draw: float) -> float:
    """Seconds between two samples where the limit is `count` requests in any `window_s` seconds.

    `draw`, from 0 to below 1, makes it up to twice as long: no client polls in that rhythm.
    """
    return max(MIN_PAUSE_S, LIMIT_SHARE * window_s / count) * (1.0 + draw)


def slowdown(matches: int) -> int:
    """Factor of the pause after this number of matches in a row: from 1 to 8."""
    return int(2 ** min(matches // MATCHES_PER_STEP, MAX_STEPS))


def tags_to_invalidate(tags: Iterable[Tag]) -> frozenset[Tag]:
    """Tags to mark stale when a response with these tags had changed.

    It is not known which of its objects changed, so the tags of each are included: for objects on a
    board those of the whole board, and if no board is known, of every board.
    """
    shown = set(tags)
    boards = {tag.partition(":")[2] for tag in shown if tag.startswith(_OF_BOARDS)}
    named = boards - {ALL_OF_KIND, UNKNOWN_ID}
    changed = {tag for board in named for tag in board_tags(board)}
    if boards and not named:
        changed = {SPANNING, *tags_for("board", ()), *tags_for("cards-of", ())}
    return frozenset(changed.union(*map(_tags_of_object, shown)))


def kinds_of(tags: Iterable[Tag]) -> str:
    """The kinds of the tags, without ids, as a sorted list of words."""
    return " ".join(sorted({tag.partition(":")[0] for tag in tags}))


def _tags_of_object(tag: Tag) -> Iterator[Tag]:
    kind, _, name = tag.partition(":")
    if tag == SPANNING or name == UNKNOWN_ID:
        yield tag
    elif name not in {"", ALL_OF_KIND} and not tag.startswith(_OF_BOARDS):
        yield from tags_for(kind, (name,))


class Sampler(Protocol):
    """Takes samples of hits."""

    wants_sample: bool
    """Whether one is due: the fast path leaves the next hit to the ordinary path."""


class HitVerifier:
    """Verifies one sample at a time, in one task."""

    def __init__(
        self,
        *,
        reads: ReadThrough,
        responses: ResponseStore,
        invalidator: Invalidator,
        pause_s: Callable[[], float],
        clock: Clock,
        log: Log,
    ) -> None:
        """`pause_s` draws the seconds from one sample to the next."""
        self._reads = reads
        self._responses = responses
        self._invalidator = invalidator
        self._pause_s = pause_s
        self._clock = clock
        self._log = log
        self._sample: asyncio.Future[tuple[ApiRequest, StoredResponse]] | None = None
        self.wants_sample = False
        """Whether a sample is due; the next hit that may be verified becomes it."""
        self.results = {"match": 0, "mismatch": 0, "raced": 0, "failed": 0}
        """By result; `raced`: an invalidation came in between, and may explain a difference."""
        self._matches = 0
        """Since the last mismatch."""
        self.stale_s = 0.0
        """Sum of the ages of the mismatches, an upper bound of how long they had been stale."""
        self._tasks = TaskSet()

    @property
    def stale_ratio(self) -> float:
        """Mismatches divided by compared samples; NaN before the first."""
        compared = self.results["match"] + self.results["mismatch"]
        return self.results["mismatch"] / compared if compared else float("nan")

    def start(self) -> None:
        """Start; the first sample is taken after one pause."""
        self._tasks.spawn(self._run())

    async def stop(self) -> None:
        """Stop sampling."""
        self.wants_sample = False
        await self._tasks.stop()

    def offer_sample(self, request: ApiRequest, served: StoredResponse) -> None:
        """Offer a hit for which `may_verify` is true; it is taken if a sample is due."""
        if self.wants_sample and self._sample is not None:
            self.wants_sample = False
            self._sample.set_result((request, served))

    async def _run(self) -> None:
        while True:
            await self._clock.sleep(self._pause_s() * slowdown(self._matches))
            self._sample = asyncio.get_running_loop().create_future()
            self.wants_sample = True
            request, served = await self._sample
            result = await self._verify(request, served)
            self.results[result] += 1
            self._matches = {"match": self._matches + 1, "mismatch": 0}.get(result, self._matches)

    async def _verify(self, request: ApiRequest, served: StoredResponse) -> str:
        """The result, as `results` names it."""
        seq, served_at = self._responses.seq, self._clock.now()
        try:
            again = replace(request.in_background(), directives=_REVALIDATE, client_name=OWN)
            response = await self._reads.serve(again)
        except ProxyError:
            return "failed"
        if self._responses.seq != seq:
            return "raced"
        current = response.stored
        if current is None or not response.outcome.stored:
            return "failed"
        if current.etag == served.etag:
            return "match"
        self._on_mismatch(request, served, current, served_at)
        return "mismatch"

    def _on_mismatch(
        self, request: ApiRequest, served: StoredResponse, current: StoredResponse, served_at: float
    ) -> None:
        at_most_s = max(0.0, served_at - served.requested_at)
        self.stale_s += at_most_s
        changed = tags_to_invalidate({*served.tags, *current.tags})
        self._invalidator.mark_stale(changed, "verification")
        # The current response is newer than the change: it stays fresh.
        self._responses.put(replace(current, requested_seq=self._responses.seq))
        self._log.event(
            "info",
            "stale hit detected",
            route=request.match.route.template,
            kinds=kinds_of(changed),
            at_most_s=round(at_most_s, 1),
        )

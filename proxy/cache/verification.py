"""Were our hits true? One in a while is asked again, beside the client, and compared.

The sample is the first hit after a moment that chance picks. Whoever got it does not wait; what
was found is counted. An answer that was not true any more is replaced, and what shows the same
objects is outdated: whatever should have told of the change did not.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from proxy.cache.invalidation import Invalidator
from proxy.cache.read_through import ReadThrough
from proxy.cache.store.store import ResponseStore
from proxy.errors import ProxyError
from proxy.http_semantics.cache_control import Directives
from proxy.model import (
    Kind,
    StoredResponse,
    Tag,
)
from proxy.observability.client_stats import OWN
from proxy.observability.log import Log
from proxy.runtime.clock import Clock
from proxy.trello.message import ApiRequest
from proxy.trello.routes import Match
from proxy.trello.tags import (
    ALL_OF_KIND,
    SPANNING,
    UNKNOWN_ID,
    tags_for,
)
from proxy.trello.write_effects import board_tags

LEAST_PAUSE_S = 60.0
SHARE = 100
"""At most a hundredth of what a token may ask is spent on this."""
MOST_BYTES = 64 * 1024
"""A longer answer is not asked again: the samples are to cost next to nothing."""

_OF_BOARDS = ("board:", "cards-of:")


def pause_s(count: int, window_s: float, draw: float) -> float:
    """Seconds between two questions where a token may ask `count` in any `window_s` seconds.

    `draw`, from 0 to below 1, makes it up to twice as long: no tool polls in that rhythm.
    """
    return max(LEAST_PAUSE_S, SHARE * window_s / count) * (1.0 + draw)


def may_verify(match: Match, stored: StoredResponse, *, own: bool) -> bool:
    """Whether a hit may be asked again: JSON of the stored identity's, small, its path no secret.

    A 404 says too little, and lives for seconds only.
    """
    return (
        own
        and match.route.kind is Kind.READ
        and not match.secret_positions
        and stored.status == 200
        and len(stored.body) <= MOST_BYTES
    )


def tags_to_invalidate(tags: Iterable[Tag]) -> frozenset[Tag]:
    """What is outdated when an answer with these tags was not true any more.

    Which of the objects it shows has changed is not known: everything that shows one of them. What
    is on a board makes that the whole board, and where no board is named, every one.
    """
    shown = set(tags)
    boards = {tag.partition(":")[2] for tag in shown if tag.startswith(_OF_BOARDS)}
    named = boards - {ALL_OF_KIND, UNKNOWN_ID}
    touched = {tag for each in named for tag in board_tags(each)}
    if boards and not named:
        touched = {SPANNING, *tags_for("board", ()), *tags_for("cards-of", ())}
    return frozenset(touched.union(*map(_shown_by, shown)))


def kinds_of(tags: Iterable[Tag]) -> str:
    """The kinds that tags are of, and no id."""
    return " ".join(sorted({tag.partition(":")[0] for tag in tags}))


def _shown_by(tag: Tag) -> Iterator[Tag]:
    kind, _, name = tag.partition(":")
    if tag == SPANNING or name == UNKNOWN_ID:
        yield tag
    elif name not in {"", ALL_OF_KIND} and not tag.startswith(_OF_BOARDS):
        yield from tags_for(kind, (name,))


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
        self.results = {"match": 0, "mismatch": 0, "raced": 0, "failed": 0}
        """`overtaken`: something was invalidated meanwhile, which may be the difference."""
        self.stale_s = 0.0
        """Of the stale ones, how long they had been stored: none was stale for longer."""

    @property
    def stale_ratio(self) -> float:
        """Of the samples that tell, how many were stale; not a number while none does."""
        told = self.results["match"] + self.results["mismatch"]
        return self.results["mismatch"] / told if told else float("nan")

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
            return "failed"
        if self._responses.seq != seq:
            return "raced"
        found = response.stored
        if found is None or not response.outcome.stored:
            return "failed"
        if found.etag == served.etag:
            return "match"
        self._on_mismatch(request, served, found, offered_at)
        return "mismatch"

    def _on_mismatch(
        self, request: ApiRequest, served: StoredResponse, found: StoredResponse, offered_at: float
    ) -> None:
        at_most_s = max(0.0, offered_at - served.requested_at)
        self.stale_s += at_most_s
        touched = tags_to_invalidate({*served.tags, *found.tags})
        self._invalidate.mark_stale(touched, "verification")
        # What has just been found is what all the others are outdated for.
        self._responses.put(replace(found, requested_seq=self._responses.seq))
        self._log.event(
            "info",
            "stale hit detected",
            route=request.match.route.template,
            kinds=kinds_of(touched),
            at_most_s=round(at_most_s, 1),
        )

"""Recent reads: what clients read repeatedly, so that it can be refetched when it has changed."""

from collections.abc import Hashable, Iterable, Set
from dataclasses import dataclass
from heapq import nsmallest

from proxy.cache.boards import boards_of
from proxy.cache.policy import age_of
from proxy.model import CacheKey, Priority, StoredResponse, Tag
from proxy.runtime.clock import Clock
from proxy.runtime.lru import LruDict
from proxy.trello.batch_codec import is_cacheable_part
from proxy.trello.message import ApiRequest

MAX_READS = 4_000
"""Requests remembered: those made last."""
IN_USE_S = 900.0
"""Seconds after its last lookup for which a read counts as in use.

Longer than a watched lifetime and its revalidation: fast-path hits are no lookups, and a response
that is read on and on expires within that time, so that the next request is one.
"""
BOARD_LISTS = frozenset(
    f"/{owners}/{{id}}/boards{selected}"
    for owners in ("members", "organizations")
    for selected in ("", "/{filter}")
)
"""Routes whose responses list boards, and are stale when any of them changed."""
CRAWL_LENGTH = 4
"""Reads of one object of a collection after the other that make a crawl."""
CRAWL_PAUSE_S = 30.0
"""Seconds without such a read after which a crawl is over."""
MAX_CRAWLS = 1_000
MAX_UNREAD = 4
"""Refreshes in a row without a read; after one more, a response is refreshed no longer."""


@dataclass(slots=True)
class RecentRead:
    """A request that found its response stored, and what became of it."""

    request: ApiRequest
    tags: tuple[Tag, ...]
    """Those of the response that it found last."""
    read_at: float
    """Monotonic seconds of the last lookup."""
    fresh_until: float
    """Monotonic seconds until which that response was fresh."""
    ages_at: float
    """Half of its lifetime earlier: from then on it shares requests that are sent anyway."""
    unread: int = 0
    """Refreshes since the last lookup."""
    is_pending: bool = False
    """Whether a refresh is in progress."""

    def found(self, stored: StoredResponse, age_s: float, ttl_s: float, now: float) -> None:
        """Note the response that a lookup found at `now`, `age_s` old, fresh for `ttl_s`."""
        self.tags = stored.tags
        self.fresh_until = now + ttl_s
        self.ages_at = self.fresh_until - (age_s + ttl_s) / 2


@dataclass(slots=True)
class _Crawl:
    """Reads of the objects of one collection, with equal routes and queries."""

    objects: set[str]
    read_at: float


class RecentReads:
    """Reads of the stored credential that found something stored, fresh or not; bounded."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._reads: LruDict[CacheKey, RecentRead] = LruDict(MAX_READS)
        self._crawls: LruDict[Hashable, _Crawl] = LruDict(MAX_CRAWLS)

    def __len__(self) -> int:
        return len(self._reads)

    def note(self, request: ApiRequest, stored: StoredResponse | None, ttl_s: float = 0.0) -> None:
        """Note a client's lookup, and what it found; a first read without a response is none.

        `ttl_s`: for how many more seconds what it found is fresh; negative when it is stale.
        """
        if request.priority >= Priority.BACKGROUND:
            return
        now, known = self._clock.monotonic(), self._reads.use(request.key)
        if known is not None:
            known.read_at, known.unread = now, 0
        elif stored is not None and _is_refreshable(request, stored):
            self._reads[request.key] = known = RecentRead(request, stored.tags, now, now, now)
        if known is not None and stored is not None:
            known.found(stored, age_of(stored.requested_at, self._clock.now()), ttl_s, now)

    def note_fetched(self, request: ApiRequest, stored: StoredResponse) -> None:
        """Note what was stored for a client; until it is read again, it fills one refresh."""
        is_known = request.key in self._reads
        self.note(request, stored)
        if request.key in self._reads and not is_known:
            self._reads[request.key].unread = MAX_UNREAD

    def note_uses(self, keys: Iterable[CacheKey]) -> None:
        """Note that other nodes of a fleet served these responses by themselves."""
        now = self._clock.monotonic()
        for key in keys:
            known = self._reads.use(key)
            if known is not None:
                known.read_at, known.unread = now, 0

    def is_crawl(self, request: ApiRequest, collection: Hashable) -> bool:
        """Note a read that found nothing; whether it continues a crawl through the collection."""
        now, query = self._clock.monotonic(), request.target.partition("?")[2]
        kind = collection, request.match.route.template, query
        crawl = self._crawls.get(kind)
        if crawl is None or now - crawl.read_at > CRAWL_PAUSE_S:
            crawl = _Crawl(set(), now)
        self._crawls[kind] = crawl
        crawl.read_at = now
        if len(crawl.objects) < CRAWL_LENGTH:
            crawl.objects.add(request.match.segments[1])
        return len(crawl.objects) >= CRAWL_LENGTH

    def end_crawls(self) -> None:
        """Forget crawls: a batch for one has failed."""
        self._crawls.clear()

    def with_tags(self, tags: Set[Tag]) -> list[RecentRead]:
        """The reads in use whose responses carry one of these tags.

        Those read since their last refresh come first, then the most recent.
        """
        in_use_since = self._clock.monotonic() - IN_USE_S
        found = [
            each
            for each in self._reads.values()
            if each.read_at > in_use_since
            and each.unread <= MAX_UNREAD
            and not tags.isdisjoint(each.tags)
        ]
        return sorted(found, key=lambda each: (each.unread, -each.read_at))

    def find(self, key: CacheKey) -> RecentRead | None:
        """The read with this key, if it is noted."""
        return self._reads.get(key)

    def ageing(self, count: int) -> list[RecentRead]:
        """At most `count` reads whose responses are past half of their lifetime, not past its end.

        Only those that were read since they were fetched; the ones that expire first.
        """
        now = self._clock.monotonic()
        found = (
            each
            for each in self._reads.values()
            if not (each.unread or each.is_pending) and each.ages_at <= now < each.fresh_until
        )
        return nsmallest(count, found, key=lambda each: each.fresh_until)


def _is_refreshable(request: ApiRequest, stored: StoredResponse) -> bool:
    """Whether a board's change makes it stale, and a batch can fetch it."""
    return (
        request.uses_stored_credential
        and stored.status == 200
        and (bool(boards_of(stored.tags)) or request.match.route.template in BOARD_LISTS)
        and is_cacheable_part(request.match, request.query_names)
    )

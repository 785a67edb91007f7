"""Giver of stored responses: what a leader lets a follower serve again by itself (D72)."""

from proxy.cache.lookup import StoredLookup
from proxy.cache.policy import Fresh, age_of
from proxy.cache.store.store import ResponseStore
from proxy.fleet.near import Given
from proxy.model import StoredResponse
from proxy.runtime.clock import Clock
from proxy.trello.message import ApiRequest, ApiResponse

MAX_GIVEN_BYTES = 1024 * 1024
"""A longer body is streamed to the client, and not kept by the follower."""


class Giver:
    """Decides by the leader's store."""

    def __init__(self, responses: ResponseStore, lookup: StoredLookup, clock: Clock) -> None:
        self._responses = responses
        self._lookup = lookup
        self._clock = clock

    def give(self, request: ApiRequest, served: ApiResponse) -> tuple[StoredResponse, Given] | None:
        """What may be kept of a response; None if it may not be served to any other client.

        It must be the fresh response in the store, whole, to a client without a scope. Synchronous:
        an invalidation has a larger number, or has been noticed.
        """
        stored, barrier = served.stored, self._responses.barrier
        if stored is None or barrier is None:
            return None
        if served.whole is not None or not request.uses_stored_credential:
            return None
        is_in_store = self._responses.peek(stored.key) is stored
        if stored.status != 200 or not is_in_store or len(stored.body) > MAX_GIVEN_BYTES:
            return None
        if not isinstance(self._lookup.judge(request, stored), Fresh):
            return None
        lifetime_s = self._lookup.lifetimes(request, stored).lifetime_s
        given = Given(
            term=barrier.term,
            number=barrier.number,
            key=stored.key,
            lifetime_s=lifetime_s,
            is_watched=lifetime_s > request.match.route.lifetimes.lifetime_s,
            age_s=age_of(stored.requested_at, self._clock.now()),
        )
        return stored, given

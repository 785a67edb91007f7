"""One object, however it is named: what answers teach, and what is known when one is asked for.

Two spellings share one stored response and one flight as soon as it is known that they are one.
What a spelling alone was told, that there is no such thing, stays its own.
"""

import asyncio
from dataclasses import replace

from proxy.cache.store.store import ResponseStore
from proxy.http_semantics.target import target_of
from proxy.model import (
    NEVER_EXPIRES,
    AliasEntry,
    CacheKey,
)
from proxy.runtime.clock import Clock
from proxy.trello.alias_learning import (
    OWNERS,
    alias_name,
    alias_tags,
    extract_aliases,
    is_mutable,
)
from proxy.trello.message import ApiRequest, key_of
from proxy.trello.object_ids import NOTHING, ObjectInfo, is_id
from proxy.trello.tags import ROOTS

_OFFLOAD_BYTES = 64 * 1024
"""A longer answer is read beside the loop: it takes milliseconds."""


class AliasResolver:
    """Asks the store what is known; tells it what was learned."""

    def __init__(self, responses: ResponseStore, clock: Clock) -> None:
        self._responses = responses
        self._clock = clock

    def canonicalize(self, request: ApiRequest) -> ApiRequest:
        """The Ask under the key of the object's id, where its spelling is known to mean that."""
        spelled = (
            replace(request, key=request.spelled_key, spelled_key=None)
            if request.spelled_key
            else request
        )
        known_id = self._id_of(request)
        if known_id is None or is_id(request.match.segments[1]):
            return spelled
        root, _, *rest = request.match.segments
        target = target_of((root, known_id, *rest), request.target.partition("?")[2])
        key = key_of(request.partition, target)
        return replace(spelled, key=key, spelled_key=spelled.key)

    def storage_keys(self, request: ApiRequest) -> tuple[CacheKey, ...]:
        """Where a 200 is kept.

        A username is kept by itself too: when it is no longer known whose it is, its last answer
        still is.
        """
        request = self.canonicalize(request)
        if request.spelled_key is None:
            return (request.key,)
        root, name = request.match.segments[:2]
        return (
            (request.key, request.spelled_key) if is_mutable(ROOTS[root], name) else (request.key,)
        )

    def lookup(self, request: ApiRequest) -> ObjectInfo:
        """What is known of the object in the path, and has not been invalidated since."""
        if len(request.match.segments) < 2 or request.match.segments[0] not in ROOTS:
            return NOTHING
        kind, name = ROOTS[request.match.segments[0]], request.match.segments[1]
        known_id = self._id_of(request)
        entry = self._valid_alias(f"{kind}:{known_id}") if kind in OWNERS and known_id else None
        owners = dict(zip(OWNERS[kind], entry.target_ids, strict=True)) if entry else {}
        return ObjectInfo(known_id, not is_id(name) and is_mutable(kind, name), owners)

    async def learn(self, request: ApiRequest, plain: bytes, requested_at: float, seq: int) -> None:
        """Remember what the answer shows."""
        own_id = self._id_of(request)
        asked = (requested_at, seq)
        if len(plain) <= _OFFLOAD_BYTES:
            entries = extract_aliases(request.match, own_id, request.partition, plain, asked)
        else:
            entries = await asyncio.to_thread(
                extract_aliases, request.match, own_id, request.partition, plain, asked
            )
        self._responses.add_aliases(entries)

    def _id_of(self, request: ApiRequest) -> str | None:
        """The id of the object that the path names; None where it is not known."""
        root, *rest = request.match.segments
        if root not in ROOTS or not rest:
            return None
        if is_id(rest[0]):
            return rest[0]
        about = alias_name(ROOTS[root], rest[0], request.partition)
        entry = self._valid_alias(about) if about is not None else None
        return entry.target_ids[0] if entry else None

    def _valid_alias(self, about: str) -> AliasEntry | None:
        entry = self._responses.aliases.get(about)
        if entry is None or entry.expires_at == NEVER_EXPIRES:
            return entry
        if not entry.requested_at <= self._clock.now() < entry.expires_at:
            return None
        return (
            entry
            if self._responses.is_valid_since(alias_tags(entry), entry.requested_seq)
            else None
        )

"""Alias resolution: one cache key for an object, whichever of its names a request uses (D29).

Two spellings share one stored response and one upstream request as soon as they are known to mean
the same object. A 404 for a spelling stays that spelling's own.
"""

from dataclasses import replace

from proxy.cache.store.store import ResponseStore
from proxy.http_semantics.target import target_of
from proxy.model import NEVER_EXPIRES, AliasEntry, CacheKey, RequestTime, is_id
from proxy.runtime.clock import Clock
from proxy.runtime.tasks import run_if_large
from proxy.trello.alias_learning import OWNERS, alias_name, alias_tags, extract_aliases, is_mutable
from proxy.trello.message import ApiRequest, key_of
from proxy.trello.object_ids import NOTHING, ObjectInfo
from proxy.trello.tags import ROOTS


class AliasResolver:
    """Resolves names by the store's alias table, and fills it from responses."""

    def __init__(self, responses: ResponseStore, clock: Clock) -> None:
        self._responses = responses
        self._clock = clock

    def canonicalize(self, request: ApiRequest) -> ApiRequest:
        """The request under the key of the object's id, if its spelling is known to mean that."""
        spelled = replace(request, key=request.spelling_key, spelled_key=None)
        own_id = self._id_of(request)
        if own_id is None or is_id(request.match.segments[1]):
            return spelled
        root, _, *rest = request.match.segments
        target = target_of((root, own_id, *rest), request.target.partition("?")[2])
        return replace(spelled, key=key_of(request.partition, target), spelled_key=spelled.key)

    def storage_keys(self, request: ApiRequest) -> tuple[CacheKey, ...]:
        """The keys under which a 200 is stored.

        For a username also its own: when its alias has expired, its last response is still found.
        """
        request = self.canonicalize(request)
        if request.spelled_key is None:
            return (request.key,)
        root, name = request.match.segments[:2]
        return (
            (request.key, request.spelled_key) if is_mutable(ROOTS[root], name) else (request.key,)
        )

    def lookup(self, request: ApiRequest) -> ObjectInfo:
        """What is known of the object in the path, and was not invalidated since."""
        if len(request.match.segments) < 2 or request.match.segments[0] not in ROOTS:
            return NOTHING
        kind, name = ROOTS[request.match.segments[0]], request.match.segments[1]
        own_id = self._id_of(request)
        entry = self._valid_entry(f"{kind}:{own_id}") if kind in OWNERS and own_id else None
        owners = dict(zip(OWNERS[kind], entry.target_ids, strict=True)) if entry else {}
        return ObjectInfo(own_id, not is_id(name) and is_mutable(kind, name), owners)

    def owner(self, kind: str, name: str) -> AliasEntry | None:
        """What shows the owners of an object; None if that is not known, or was invalidated."""
        if kind not in OWNERS:
            return None
        named = name if is_id(name) else None
        if named is None and (alias := alias_name(kind, name, "")) is not None:
            entry = self._valid_entry(alias)
            named = entry.target_ids[0] if entry is not None else None
        return self._valid_entry(f"{kind}:{named}") if named is not None else None

    async def learn(self, request: ApiRequest, plain: bytes, requested: RequestTime) -> None:
        """Add the aliases that a response shows."""
        entries = await run_if_large(
            len(plain),
            extract_aliases,
            request.match,
            self._id_of(request),
            request.partition,
            plain,
            requested,
        )
        self._responses.add_aliases(entries)

    def _id_of(self, request: ApiRequest) -> str | None:
        """The id of the object that the path names; None where it is not known."""
        root, *rest = request.match.segments
        if root not in ROOTS or not rest:
            return None
        if is_id(rest[0]):
            return rest[0]
        name = alias_name(ROOTS[root], rest[0], request.partition)
        entry = self._valid_entry(name) if name is not None else None
        return entry.target_ids[0] if entry else None

    def _valid_entry(self, name: str) -> AliasEntry | None:
        entry = self._responses.aliases.get(name)
        if entry is None or entry.expires_at == NEVER_EXPIRES:
            return entry
        if not entry.requested_at <= self._clock.now() < entry.expires_at:
            return None
        is_valid = self._responses.is_valid_since(alias_tags(entry), entry.requested_seq)
        return entry if is_valid else None

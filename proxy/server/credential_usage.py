"""Credential usage: which clients still send a key or a token, where, and which.

The value is never stored or shown. A response to such a request is marked as a use of a deprecated
feature (RFC 9745, D40).
"""

import hmac
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Literal

from proxy.credentials.extraction import ExtractedCredential, Location
from proxy.model import Credential
from proxy.observability.log import Log
from proxy.runtime.clock import Clock
from proxy.runtime.lru import NameTable
from proxy.server.request_context import RequestContext

UsageLocation = Literal["query", "body", "header", "path"]
Owner = Literal["own", "foreign", "unknown"]
"""`own`: its key or token is the stored one; `unknown`: it has neither."""

MAX_CLIENTS = 50
"""Counted by name; further ones count as `other`."""
DEPRECATION_HEADERS = (
    b'Deprecation: @1795219200\r\nLink: </>; rel="deprecation"; type="text/html"\r\n'
)
"""Deprecated since 21 November 2026; `/` shows what to do instead."""

_LOCATIONS: dict[Location, UsageLocation] = {
    "query": "query",
    "batch": "query",
    "form": "body",
    "json": "body",
    "multipart": "body",
    "header": "header",
    "path": "path",
}


@dataclass(slots=True, eq=False)
class UsageEntry:
    """Requests of one client with a credential of one owner in one location."""

    client: str
    location: UsageLocation
    owner: Owner
    first_seen_at: float
    """POSIX seconds, as `last_seen_at`."""
    last_seen_at: float
    count: int = 0

    def use(self, now: float, times: int = 1) -> None:
        """Count requests."""
        self.count += times
        self.last_seen_at = now


@dataclass(slots=True)
class ClientUsages:
    """The usages of one client, by location and owner: twelve at most."""

    client: str
    usages: dict[tuple[UsageLocation, Owner], UsageEntry] = field(default_factory=dict)

    @property
    def last_used_at(self) -> float:
        return max((usage.last_seen_at for usage in self.usages.values()), default=0.0)


class CredentialUsage:
    """Counts requests that carry a credential: at most 612 combinations of labels."""

    def __init__(
        self,
        stored: Callable[[], Credential],
        digest_key: bytes,
        clock: Clock,
        log: Log,
        *,
        deprecates: bool,
    ) -> None:
        """`deprecates`: log it and mark responses; False where clients' credentials are used."""
        self._stored = stored
        self._digest_key = digest_key
        self._clock = clock
        self._log = log
        self._deprecates = deprecates
        self._clients = NameTable(MAX_CLIENTS, lambda client, _: ClientUsages(client))

    @property
    def usages(self) -> list[UsageEntry]:
        """All usages, last seen first; may be read in another thread."""
        clients = self._clients.entries.copy().values()
        usages = [usage for client in clients for usage in client.usages.copy().values()]
        return sorted(usages, key=lambda usage: -usage.last_seen_at)

    def counts(self) -> dict[tuple[str, str, str], int]:
        """Requests by client, location and owner; may be called in another thread."""
        return {(each.client, each.location, each.owner): each.count for each in self.usages}

    def record(self, context: RequestContext) -> bytes:
        """Count the credentials of a request; header fields to add to its response."""
        if not any(credential.locations for credential in context.credentials_sent):
            return b""
        now = self._clock.now()
        client = self._clients.entry(context.client_name, now)
        context.credential_counters = tuple(
            self._usage(client, location, self._owner_of(credential), now)
            for location, credential in _by_location(context.credentials_sent)
        )
        for usage in context.credential_counters:
            usage.use(now)
        return DEPRECATION_HEADERS if self._deprecates else b""

    def _usage(
        self, client: ClientUsages, location: UsageLocation, owner: Owner, now: float
    ) -> UsageEntry:
        usage = client.usages.get((location, owner))
        if usage is None:
            is_new_location = all(known != location for known, _ in client.usages)
            usage = UsageEntry(client.client, location, owner, now, now)
            client.usages[location, owner] = usage
            if is_new_location and self._deprecates:
                labels = {"client": client.client, "location": location, "owner": owner}
                self._log.event("warning", "client sent credential", **labels)
        return usage

    def _owner_of(self, credential: ExtractedCredential) -> Owner:
        """The owner, by keyed digests in constant time: timing reveals nothing of a secret."""
        parts = [part for part in (credential.key, credential.token) if part]
        if not parts:
            return "unknown"
        stored = self._stored()
        own = [self._digest(part) for part in (stored.key, stored.token)]
        is_own = [hmac.compare_digest(self._digest(part), each) for part in parts for each in own]
        return "own" if any(is_own) else "foreign"

    def _digest(self, part: str) -> bytes:
        data = part.encode("utf-8", "surrogateescape")
        return blake2b(data, digest_size=16, key=self._digest_key).digest()


def _by_location(
    credentials: tuple[ExtractedCredential, ...],
) -> Iterator[tuple[UsageLocation, ExtractedCredential]]:
    """Each location once, with everything found there."""
    merged: dict[UsageLocation, ExtractedCredential] = {}
    for credential in credentials:
        for location in map(_LOCATIONS.__getitem__, credential.locations):
            merged[location] = merged.get(location, ExtractedCredential()).merge(credential)
    yield from merged.items()

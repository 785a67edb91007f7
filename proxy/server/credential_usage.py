"""Which tools still send a key or a token, where, and whose it is; never the value itself."""

import hmac
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from typing import Literal

from proxy.credentials.extraction import ExtractedCredential, Location
from proxy.http_semantics.user_agent import client_name
from proxy.model import Credential
from proxy.observability.log import Log
from proxy.runtime.clock import Clock
from proxy.server.request_context import RequestContext

UsageLocation = Literal["query", "body", "header", "path"]

_WHERE: dict[Location, UsageLocation] = {
    "query": "query",
    "batch": "query",
    "form": "body",
    "json": "body",
    "multipart": "body",
    "header": "header",
    "path": "path",
}

DEPRECATION_HEADERS = (
    b'Deprecation: @1795219200\r\nLink: </>; rel="deprecation"; type="text/html"\r\n'
)
"""Since 21 November 2026 nobody needs to send one; `/` says what to do instead."""


def locations_of(
    carried: tuple[ExtractedCredential, ...],
) -> Iterator[tuple[UsageLocation, ExtractedCredential]]:
    """Each place where a request carried a credential, once, with what was found there."""
    merged: dict[UsageLocation, ExtractedCredential] = {}
    for found in carried:
        for place in found.locations:
            where = _WHERE[place]
            merged[where] = merged.get(where, ExtractedCredential()).merge(found)
    yield from merged.items()


MAX_CLIENTS = 50
"""Further ones count as OTHER."""
REST_S = 3600.0
"""A tool that was not seen for so long leaves its place to another."""
OTHER = "other"

Owner = Literal["own", "foreign", "unknown"]
"""`ours`: a part of it is the stored key or token; `unknown`: nothing that could be compared."""


@dataclass(slots=True)
class Usage:
    """One tool that sends a credential in one place."""

    client: str
    location: UsageLocation
    owner: Owner
    first_seen_at: float
    """POSIX seconds, as `last_at`."""
    last_seen_at: float
    count: int = 0

    def count_one(self, now: float) -> None:
        """It was seen again."""
        self.count += 1
        self.last_seen_at = now


class CredentialUsage:
    """Counts requests by tool, place and whose credential it was: 612 rows at most."""

    def __init__(
        self,
        stored: Callable[[], Credential],
        digest_key: bytes,
        clock: Clock,
        log: Log,
        *,
        deprecates: bool,
    ) -> None:
        """`deprecates`: tools are told to leave it out; not where it is used."""
        self._stored = stored
        self._digest_key = digest_key
        self._clock = clock
        self._log = log
        self._deprecates = deprecates
        self._clients: set[str] = set()
        self._usages: dict[tuple[str, UsageLocation, Owner], Usage] = {}

    @property
    def usages(self) -> list[Usage]:
        """The one seen last comes first."""
        return sorted(self._usages.copy().values(), key=lambda each: -each.last_seen_at)

    def record(self, record: RequestContext) -> bytes:
        """Count what a request carried; the fields of its answer that say so."""
        if not any(found.locations for found in record.credentials_sent):
            return b""
        now = self._clock.now()
        tool = self._client_label(client_name(record.user_agent), now)
        record.credential_counters = tuple(
            self._usage(tool, place, self._owner_of(found), now)
            for place, found in locations_of(record.credentials_sent)
        )
        for usage in record.credential_counters:
            usage.count_one(now)
        return DEPRECATION_HEADERS if self._deprecates else b""

    def counts(self) -> dict[tuple[str, str, str], int]:
        """Requests by client, location and owner; may be called from another thread."""
        return {labels: usage.count for labels, usage in self._usages.copy().items()}

    def _client_label(self, tool: str, now: float) -> str:
        """The tool; OTHER where there are enough, and each was seen of late."""
        if (
            tool not in self._clients
            and len(self._clients) >= MAX_CLIENTS
            and not self._makes_room(now)
        ):
            return OTHER
        self._clients.add(tool)
        return tool

    def _makes_room(self, now: float) -> bool:
        """Whether the tool that was seen longest ago could be forgotten."""
        last_at = dict.fromkeys(self._clients, 0.0)
        for usage in self._usages.values():
            if usage.client in last_at:
                last_at[usage.client] = max(last_at[usage.client], usage.last_seen_at)
        oldest = min(last_at, key=last_at.__getitem__)
        if now - last_at[oldest] < REST_S:
            return False
        self._clients.discard(oldest)
        for labels in [labels for labels in self._usages if labels[0] == oldest]:
            del self._usages[labels]
        return True

    def _usage(self, tool: str, place: UsageLocation, whose: Owner, now: float) -> Usage:
        found = self._usages.get((tool, place, whose))
        if found is None:
            is_new = not any(each[:2] == (tool, place) for each in self._usages)
            found = self._usages[tool, place, whose] = Usage(tool, place, whose, now, now)
            if is_new and self._deprecates:
                self._log.event(
                    "warning", "client sent credential", client=tool, location=place, owner=whose
                )
        return found

    def _owner_of(self, found: ExtractedCredential) -> Owner:
        parts = [part for part in (found.key, found.token) if part]
        if not parts:
            return "unknown"
        stored = self._stored()
        own = [self._digest(part) for part in (stored.key, stored.token)]
        is_own = [hmac.compare_digest(self._digest(part), each) for part in parts for each in own]
        return "own" if any(is_own) else "foreign"

    def _digest(self, part: str) -> bytes:
        data = part.encode("utf-8", "surrogateescape")
        return blake2b(data, digest_size=16, key=self._digest_key).digest()

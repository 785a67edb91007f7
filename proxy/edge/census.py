"""Which tools still send a key or a token, where, and whose it is; never the value itself."""

import hmac
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from typing import Literal

from prometheus_client.core import CounterMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from proxy.clock import Clock
from proxy.edge.record import Record
from proxy.log import Log
from proxy.model import Credential
from proxy.policy.credentials import Found
from proxy.policy.legacy import DEPRECATED, Where, places_of
from proxy.policy.tool import tool_name

MOST_TOOLS = 50
"""Further ones count as OTHER."""
REST_S = 3600.0
"""A tool that was not seen for so long leaves its place to another."""
OTHER = "other"

Whose = Literal["ours", "strangers", "unknown"]
"""`ours`: a part of it is the stored key or token; `unknown`: nothing that could be compared."""


@dataclass(slots=True)
class Sighting:
    """One tool that sends a credential in one place."""

    tool: str
    place: Where
    whose: Whose
    first_at: float
    """POSIX seconds, as `last_at`."""
    last_at: float
    count: int = 0

    def add(self, now: float) -> None:
        """It was seen again."""
        self.count += 1
        self.last_at = now


class Census(Collector):
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
        self._tools: set[str] = set()
        self._sightings: dict[tuple[str, Where, Whose], Sighting] = {}

    @property
    def sightings(self) -> list[Sighting]:
        """The one seen last comes first."""
        return sorted(self._sightings.copy().values(), key=lambda each: -each.last_at)

    def note(self, record: Record) -> bytes:
        """Count what a request carried; the fields of its answer that say so."""
        if not any(found.places for found in record.carried):
            return b""
        now = self._clock.now()
        tool = self._known(tool_name(record.tool), now)
        record.sightings = tuple(
            self._sighting(tool, place, self._whose(found), now)
            for place, found in places_of(record.carried)
        )
        for sighting in record.sightings:
            sighting.add(now)
        return DEPRECATED if self._deprecates else b""

    def collect(self) -> Iterator[Metric]:
        family = CounterMetricFamily(
            "trello_proxy_legacy_credentials",
            "Requests that carried a key or a token, by tool, place and whose it was.",
            labels=("tool", "place", "whose"),
        )
        for labels, sighting in self._sightings.copy().items():
            family.add_metric(labels, sighting.count)
        yield family

    def _known(self, tool: str, now: float) -> str:
        """The tool; OTHER where there are enough, and each was seen of late."""
        if tool not in self._tools and len(self._tools) >= MOST_TOOLS and not self._makes_room(now):
            return OTHER
        self._tools.add(tool)
        return tool

    def _makes_room(self, now: float) -> bool:
        """Whether the tool that was seen longest ago could be forgotten."""
        last_at = dict.fromkeys(self._tools, 0.0)
        for sighting in self._sightings.values():
            if sighting.tool in last_at:
                last_at[sighting.tool] = max(last_at[sighting.tool], sighting.last_at)
        oldest = min(last_at, key=last_at.__getitem__)
        if now - last_at[oldest] < REST_S:
            return False
        self._tools.discard(oldest)
        for labels in [labels for labels in self._sightings if labels[0] == oldest]:
            del self._sightings[labels]
        return True

    def _sighting(self, tool: str, place: Where, whose: Whose, now: float) -> Sighting:
        found = self._sightings.get((tool, place, whose))
        if found is None:
            is_new = not any(each[:2] == (tool, place) for each in self._sightings)
            found = self._sightings[tool, place, whose] = Sighting(tool, place, whose, now, now)
            if is_new and self._deprecates:
                self._log.event(
                    "warning", "a tool sends a credential", tool=tool, place=place, whose=whose
                )
        return found

    def _whose(self, found: Found) -> Whose:
        parts = [part for part in (found.key, found.token) if part]
        if not parts:
            return "unknown"
        stored = self._stored()
        own = [self._digest(part) for part in (stored.key, stored.token)]
        is_ours = [hmac.compare_digest(self._digest(part), each) for part in parts for each in own]
        return "ours" if any(is_ours) else "strangers"

    def _digest(self, part: str) -> bytes:
        data = part.encode("utf-8", "surrogateescape")
        return blake2b(data, digest_size=16, key=self._digest_key).digest()

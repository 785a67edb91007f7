"""Metrics: the table of all of them, and the counters to which requests add.

Counting is plain arithmetic on plain integers: a request costs well under a microsecond. A figure
that a part of the proxy keeps itself is read from there at each scrape (`Metrics.provide`).
Requests are also counted by client (D43): received, sent upstream, and throttled without a proxy.
"""

import re
from bisect import bisect_left
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, TypeVar

from proxy.errors import InternalError
from proxy.model import Priority
from proxy.observability.metric_table import TABLE
from proxy.runtime.lru import NameTable

MAX_CLIENTS = 248
"""Names besides OTHER and OWN."""
OWN = "trello-proxy"
"""The name of the proxy's own requests."""
WINDOW_S = 10
WINDOW_REQUESTS = 100
"""Trello's limit for one token, which all clients would share without the proxy."""


@dataclass(slots=True)
class ClientCounts:
    """Counts of one client since it was admitted to the table."""

    requests: int = 0
    upstream: int = 0
    last_used_at: float = 0.0
    """POSIX seconds of its last request."""


class ClientStats:
    """Counts by client, named as `http_semantics.user_agent.client_name` does."""

    def __init__(self) -> None:
        self._clients = NameTable(
            MAX_CLIENTS, lambda _, now: ClientCounts(last_used_at=now), permanent=(OWN,)
        )
        self.requests = 0
        """API requests of all clients, evicted ones included."""
        self.would_be_throttled = 0
        """API requests that Trello would have answered with 429 without the proxy."""
        self._window = 0.0
        """Number of the current window."""
        self._in_window = 0

    @property
    def requests_by_client(self) -> dict[str, int]:
        """API requests received."""
        return {name: counts.requests for name, counts in self._clients.entries.copy().items()}

    @property
    def upstream_by_client(self) -> dict[str, int]:
        """Upstream requests sent for a client."""
        return {name: counts.upstream for name, counts in self._clients.entries.copy().items()}

    def count_request(self, client: str, now: float, amount: int = 1) -> None:
        """Count API requests of one client in one window; `now` in POSIX seconds."""
        window = now // WINDOW_S
        if window != self._window:
            self._window, self._in_window = window, 0
        self._in_window += amount
        if self._in_window > WINDOW_REQUESTS:
            self.would_be_throttled += min(amount, self._in_window - WINDOW_REQUESTS)
        counts = self._clients.entry(client, now)
        counts.requests += amount
        counts.last_used_at = now
        self.requests += amount

    def count_upstream(self, client: str) -> None:
        """Count an upstream request sent for a client."""
        self._clients.entry(client, self._window * WINDOW_S).upstream += 1


_ROW = re.compile(r"^(counter|gauge|histogram) (\w+)(?:\{(.*)\})?\n((?: {4}.*\n)+)", re.M)


class Metric(NamedTuple):
    """One metric; `name` as queries write it."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    labels: tuple[str, ...]
    help: str
    """Sentences, with literal values in backticks."""


def describe() -> list[Metric]:
    """Every metric, in the order of the documentation."""
    return [
        Metric(f"trello_proxy_{name}", kind, tuple(filter(None, labels.split(","))), _joined(text))
        for kind, name, labels, text in _ROW.findall(TABLE)
    ]


def _joined(text: str) -> str:
    return " ".join(text.split())


BUCKETS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_CAUSES = ("write", "purge", "poll", "webhook", "verification", "clock")
_LIMITS = ("key", "token", "member", "members", "search", "db-query-time")
_PRIORITIES = tuple(each.label for each in Priority)
_DELIVERIES = ("accepted", "duplicate", "echo", "invalid-signature", "malformed")

Observation = tuple[str, float, float]
"""A request's id, its duration in seconds, and when it ended, in POSIX seconds."""


class Histogram:
    """A histogram of durations in seconds."""

    __slots__ = ("counts", "last", "sum_s")

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS_S) + 1)
        self.last: list[Observation | None] = [None] * len(self.counts)
        """The last request counted in each bucket: its exemplar (OpenMetrics 1.0)."""
        self.sum_s = 0.0

    def observe(self, duration_s: float, exemplar: Observation | None = None) -> None:
        bucket = bisect_left(BUCKETS_S, duration_s)
        self.counts[bucket] += 1
        self.last[bucket] = exemplar
        self.sum_s += duration_s


class RequestCounter:
    """One combination of labels: how many requests, and how long they took."""

    __slots__ = ("count", "durations")

    def __init__(self, durations: Histogram) -> None:
        self.count = 0
        self.durations = durations

    def add(self, duration_s: float, request_id: str, now: float) -> None:
        """Count one request; `request_id` is empty where it may not be shown."""
        self.count += 1
        self.durations.observe(duration_s, (request_id, duration_s, now) if request_id else None)

    def add_all(self, observations: Collection[Observation]) -> None:
        """Count several requests, in their order."""
        self.count += len(observations)
        for each in observations:
            self.durations.observe(each[1], each)


Reading = float | Histogram | None | dict[Any, Any]
"""A figure, or figures by label value (a tuple for several labels); None: absent."""
Readings = Mapping[str, Callable[[], Reading]]
"""Functions that return a metric's reading, by its name without `trello_proxy_`."""


@dataclass(slots=True, eq=False)
class Metrics:
    """All counters; label values are route templates, statuses and literals, never ids."""

    requests: dict[tuple[str, str, int, str], RequestCounter] = field(default_factory=dict)
    durations: dict[str, Histogram] = field(default_factory=dict)
    upstream_requests: dict[tuple[str, str, str], int] = field(default_factory=dict)
    upstream_durations: Histogram = field(default_factory=Histogram)
    upstream_bytes: dict[str, int] = field(default_factory=lambda: {"received": 0, "sent": 0})
    retries: int = 0
    rate_limit_waits: dict[str, Histogram] = field(default_factory=dict)
    rate_limit_rejected: dict[str, int] = field(default_factory=dict)
    upstream_throttled: dict[str, int] = field(default_factory=dict)
    not_stored: dict[str, int] = field(default_factory=dict)
    invalidations: dict[str, int] = field(default_factory=dict)
    downloaded_bytes: int = 0
    copied_bytes: int = 0
    webhook_deliveries: dict[str, int] = field(default_factory=dict)
    webhooks: int = 0
    webhooks_missed: int = 0
    errors: dict[str, int] = field(default_factory=dict)
    redacted: int = 0
    client_stats: ClientStats = field(default_factory=ClientStats)
    recent_failures: deque[tuple[float, str, str]] = field(default_factory=lambda: deque(maxlen=8))
    """The last errors not caused by a client: POSIX seconds, route template, title."""
    readings: dict[str, Callable[[], Reading]] = field(init=False)
    refresh: Callable[[], Awaitable[None]] | None = None
    """To be awaited before a scrape: what other processes have counted is added."""

    def __post_init__(self) -> None:
        stats = self.client_stats
        self.readings = {
            "requests_total": lambda: {
                (route, method, str(status), result): cell.count
                for (route, method, status, result), cell in self.requests.copy().items()
            },
            "request_duration_seconds": lambda: self.durations,
            "upstream_requests_total": lambda: self.upstream_requests,
            "upstream_duration_seconds": lambda: self.upstream_durations,
            "upstream_bytes_total": lambda: self.upstream_bytes,
            "retries_total": lambda: self.retries,
            "rate_limit_wait_seconds": lambda: self.rate_limit_waits,
            "rate_limit_rejected_total": lambda: _zeros(_PRIORITIES) | self.rate_limit_rejected,
            "upstream_throttled_total": lambda: _zeros(_LIMITS) | self.upstream_throttled,
            "not_stored_total": lambda: self.not_stored,
            "invalidations_total": lambda: _zeros(_CAUSES) | self.invalidations,
            "webhook_deliveries_total": lambda: _zeros(_DELIVERIES) | self.webhook_deliveries,
            "webhooks": lambda: self.webhooks,
            "webhooks_missed_total": lambda: self.webhooks_missed,
            "errors_total": lambda: _zeros((InternalError.slug,)) | self.errors,
            "responses_redacted_total": lambda: self.redacted,
            "client_requests_total": lambda: stats.requests_by_client,
            "client_upstream_requests_total": lambda: stats.upstream_by_client,
            "client_api_requests_total": lambda: stats.requests,
            "client_api_requests_throttled_without_proxy_total": lambda: stats.would_be_throttled,
        }

    def provide(self, readings: Readings) -> None:
        """Have further metrics of the table read at each scrape, in a thread."""
        self.readings.update(readings)

    def render(self, accept: str) -> tuple[str, bytes]:
        """Media type and text for a scrape with this Accept field; to be called in a thread."""
        from proxy.observability.exposition import render  # noqa: PLC0415 — delays the start

        return render(self, accept)

    def request_counter(self, route: str, method: str, status: int, result: str) -> RequestCounter:
        """The counter of these labels; hold on to it where the same request is counted often."""
        labels = (route, method, status, result)
        found = self.requests.get(labels)
        if found is None:
            durations = self.durations.setdefault(result, Histogram())
            found = self.requests[labels] = RequestCounter(durations)
        return found

    def count_upstream(self, route: str, method: str, status: str, duration_s: float) -> None:
        """Count one request to Trello; `status` is a number or the slug of our error."""
        count(self.upstream_requests, (route, method, status))
        self.upstream_durations.observe(duration_s)


Label = TypeVar("Label")


def count(counters: dict[Label, int], label: Label, amount: int = 1) -> None:
    """Add to one counter; the caller bounds the labels."""
    counters[label] = counters.get(label, 0) + amount


def _zeros(labels: tuple[str, ...]) -> dict[str, int]:
    """Counters at 0 from the start: Prometheus sees no increase from absent to 1."""
    return dict.fromkeys(labels, 0)

"""Every metric, named and explained in one place.

Counting is plain arithmetic on plain integers: a request costs well under a microsecond. The
Prometheus objects exist only while a scrape is answered, in a thread of its own: what grows
meanwhile is copied in one step of the interpreter, which iterating, even into a list, is not.
"""

from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar

from proxy.errors import InternalError
from proxy.model import Priority
from proxy.observability.client_stats import ClientStats

BUCKETS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_CAUSES = ("write", "purge", "poll", "webhook", "verification", "clock")
_LIMITS = ("key", "token", "member", "members", "search", "db-query-time")
_PRIORITIES = tuple(each.label for each in Priority)
_DELIVERIES = ("accepted", "duplicate", "echo", "invalid-signature", "malformed")
_BOUNDS = (*map(str, BUCKETS_S), "+Inf")

Seen = tuple[str, float, float]
"""A request's id, its duration in seconds, and when, in POSIX seconds."""
Bucket = tuple[str, float] | tuple[str, float, Exemplar]
"""Its bound, how many are within it, and one of them (OpenMetrics 1.0, Exemplars)."""


class Histogram:
    """A histogram in seconds."""

    __slots__ = ("counts", "last", "sum_s")

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS_S) + 1)
        self.last: list[Seen | None] = [None] * len(self.counts)
        """Of each bucket, the request that was counted there last."""
        self.sum_s = 0.0

    def observe(self, duration_s: float, seen: Seen | None = None) -> None:
        bucket = bisect_left(BUCKETS_S, duration_s)
        self.counts[bucket] += 1
        self.last[bucket] = seen
        self.sum_s += duration_s

    def buckets(self) -> list[Bucket]:
        """Cumulative, as Prometheus wants them."""
        total, out = 0, list[Bucket]()
        for bound, number, seen in zip(_BOUNDS, self.counts, self.last, strict=True):
            total += number
            if seen is None:
                out.append((bound, float(total)))
            else:
                exemplar = Exemplar({"request_id": seen[0]}, *seen[1:])
                out.append((bound, float(total), exemplar))
        return out


class RequestCounter:
    """One combination of labels: how many requests, and how long they took."""

    __slots__ = ("count", "durations")

    def __init__(self, durations: Histogram) -> None:
        self.count = 0
        self.durations = durations

    def add(self, duration_s: float, request_id: str, now: float) -> None:
        """One more; `request_id` is empty where it may not be shown."""
        self.count += 1
        self.durations.observe(duration_s, (request_id, duration_s, now) if request_id else None)


@dataclass(frozen=True, slots=True)
class GaugeCallback:
    """A figure read at the scrape from the part that owns it."""

    name: str
    help: str
    read: Callable[[], dict[str, float]]
    """Label value → figure; one entry under "" for a metric without a label."""
    label: str = ""
    counter: bool = False


@dataclass(slots=True, eq=False)
class Metrics(Collector):
    """All counters; label values are route templates, statuses and words of ours, never ids."""

    requests: dict[tuple[str, str, int, str], RequestCounter] = field(default_factory=dict)
    durations: dict[str, Histogram] = field(default_factory=dict)
    upstream_requests: dict[tuple[str, str, str], int] = field(default_factory=dict)
    upstream_durations: Histogram = field(default_factory=Histogram)
    upstream_bytes: dict[str, int] = field(default_factory=lambda: {"received": 0, "sent": 0})
    invalidations: dict[str, int] = field(default_factory=dict)
    not_stored: dict[str, int] = field(default_factory=dict)
    errors: dict[str, int] = field(default_factory=dict)
    webhook_deliveries: dict[str, int] = field(default_factory=dict)
    webhooks: int = 0
    """Of ours at Trello, as far as is known."""
    webhooks_missed: int = 0
    client_stats: ClientStats = field(default_factory=ClientStats)
    redacted: int = 0
    retries: int = 0
    rate_limit_waits: dict[str, Histogram] = field(default_factory=dict)
    rate_limit_rejected: dict[str, int] = field(default_factory=dict)
    upstream_throttled: dict[str, int] = field(default_factory=dict)
    downloaded_bytes: int = 0
    recent_failures: deque[tuple[float, str, str]] = field(default_factory=lambda: deque(maxlen=8))
    """The last errors that no client made: when (POSIX seconds), on which route, and what."""
    gauge_callbacks: list[GaugeCallback] = field(default_factory=list)

    def request_counter(self, route: str, method: str, status: int, result: str) -> RequestCounter:
        """The cell of these labels; keep it where the same request is counted often."""
        labels = (route, method, status, result)
        found = self.requests.get(labels)
        if found is None:
            durations = self.durations.setdefault(result, Histogram())
            found = self.requests[labels] = RequestCounter(durations)
        return found

    def count_upstream(self, route: str, method: str, status: str, duration_s: float) -> None:
        """One request to Trello: `status` is a number or the `type` of our error."""
        count(self.upstream_requests, (route, method, status))
        self.upstream_durations.observe(duration_s)

    def collect(self) -> Iterator[Metric]:
        yield from self._requests()
        yield from self._upstream()
        yield from self._rate_limit()
        causes = _zeros(_CAUSES) | self.invalidations
        yield _counter("invalidations", "Invalidations by cause.", "cause", causes)
        yield _counter(
            "not_stored", "Answers that were not stored, by reason.", "reason", self.not_stored
        )
        errors = _zeros((InternalError.slug,)) | self.errors
        yield _counter("errors", "Errors of the proxy's own, by type.", "type", errors)
        yield _counter(
            "responses_redacted",
            "Answers from Trello that contained a stored credential, now masked.",
            "",
            {"": self.redacted},
        )
        yield from self._webhooks()
        yield _counter(
            "retries", "Requests to Trello that were sent again.", "", {"": self.retries}
        )
        yield from self._client_stats()
        for reading in self.gauge_callbacks:
            make = _counter if reading.counter else _gauge
            yield make(reading.name, reading.help, reading.label, reading.read())

    def _requests(self) -> Iterator[Metric]:
        requests = CounterMetricFamily(
            "trello_proxy_requests",
            "Requests answered, by route template, method, status and cache result.",
            labels=("route", "method", "status", "cache"),
        )
        for (route, method, status, result), cell in self.requests.copy().items():
            requests.add_metric((route, method, str(status), result), cell.count)
        yield requests
        durations = HistogramMetricFamily(
            "trello_proxy_request_duration_seconds",
            "From a request's last header byte to its answer, by cache result.",
            labels=("cache",),
        )
        for result, histogram in self.durations.copy().items():
            durations.add_metric((result,), histogram.buckets(), histogram.sum_s)
        yield durations

    def _webhooks(self) -> Iterator[Metric]:
        yield _counter(
            "webhook_deliveries",
            "Deliveries to the webhook callback, by what became of them.",
            "result",
            _zeros(_DELIVERIES) | self.webhook_deliveries,
        )
        yield _gauge("webhooks", "Our webhooks at Trello that deliver.", "", {"": self.webhooks})
        yield _counter(
            "webhooks_missed",
            "Changes of boards with a webhook of which nothing was delivered.",
            "",
            {"": self.webhooks_missed},
        )

    def _client_stats(self) -> Iterator[Metric]:
        client_stats = self.client_stats
        yield _counter(
            "client_requests",
            "Requests for Trello's API, by client.",
            "client",
            client_stats.requests_by_client,
        )
        yield _counter(
            "client_upstream_requests",
            "Requests to Trello, by the client for which they were made.",
            "client",
            client_stats.upstream_by_client,
        )
        yield _counter(
            "client_api_requests",
            "Requests that Trello would have got without the proxy.",
            "",
            {"": client_stats.requests},
        )
        yield _counter(
            "client_api_requests_throttled_without_proxy",
            "Those of them that Trello would have refused with a 429.",
            "",
            {"": client_stats.would_be_throttled},
        )

    def _upstream(self) -> Iterator[Metric]:
        requests = CounterMetricFamily(
            "trello_proxy_upstream_requests",
            "Requests to Trello, by route template, method, and status or error type.",
            labels=("route", "method", "status"),
        )
        for labels, number in self.upstream_requests.copy().items():
            requests.add_metric(labels, number)
        yield requests
        durations = HistogramMetricFamily(
            "trello_proxy_upstream_duration_seconds",
            "From asking Trello to the header of its answer.",
        )
        histogram = self.upstream_durations
        durations.add_metric((), histogram.buckets(), histogram.sum_s)
        yield durations
        yield _counter(
            "upstream_bytes", "Body bytes exchanged with Trello.", "direction", self.upstream_bytes
        )

    def _rate_limit(self) -> Iterator[Metric]:
        waits = HistogramMetricFamily(
            "trello_proxy_rate_limit_wait_seconds",
            "Until a request could be sent within Trello's limits, by priority.",
            labels=("priority",),
        )
        for priority, histogram in self.rate_limit_waits.copy().items():
            waits.add_metric((priority,), histogram.buckets(), histogram.sum_s)
        yield waits
        yield _counter(
            "rate_limit_rejected",
            "Requests answered 429 by us, their turn being too far, by priority.",
            "priority",
            _zeros(_PRIORITIES) | self.rate_limit_rejected,
        )
        throttled = _zeros(_LIMITS) | self.upstream_throttled
        yield _counter("upstream_throttled", "429s that Trello sent, by limit.", "limit", throttled)


Label = TypeVar("Label")


def _zeros(labels: tuple[str, ...]) -> dict[str, int]:
    """Counters that are there before they count: Prometheus sees no rise from nothing to one."""
    return dict.fromkeys(labels, 0)


def count(counters: dict[Label, int], label: Label, amount: int = 1) -> None:
    """Add to one counter; the caller's labels are bounded."""
    counters[label] = counters.get(label, 0) + amount


def _counter(name: str, text: str, label: str, values: dict[str, int] | dict[str, float]) -> Metric:
    family = CounterMetricFamily(f"trello_proxy_{name}", text, labels=(label,) if label else ())
    return _filled(family, label, values)


def _gauge(name: str, text: str, label: str, values: dict[str, int] | dict[str, float]) -> Metric:
    family = GaugeMetricFamily(f"trello_proxy_{name}", text, labels=(label,) if label else ())
    return _filled(family, label, values)


def _filled(
    family: CounterMetricFamily | GaugeMetricFamily,
    label: str,
    values: dict[str, int] | dict[str, float],
) -> Metric:
    for value, number in values.copy().items():
        family.add_metric((value,) if label else (), number)
    return family

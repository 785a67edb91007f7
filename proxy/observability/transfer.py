"""Transfer of metrics: what a worker process has counted since it last said, added up elsewhere.

Increments are added once, so that no total falls when a worker ends; what it counted in its last
second may be missing. Exemplars stay behind.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from proxy.observability.metrics import BUCKETS_S, Histogram, Metrics, Reading, count, describe

_KINDS = {each.name.removeprefix("trello_proxy_"): each.kind for each in describe()}
_IMPLIED = {"client_api_requests_total", "client_api_requests_throttled_without_proxy_total"}
"""Follow from `client_requests_total`."""

Labels = tuple[str, ...]
Values = list[float]
"""One figure; of a histogram its counts, and last the sum of seconds."""


class Figures(msgspec.Struct, frozen=True):
    """Figures of one worker by metric: label values, and the values."""

    increments: dict[str, list[tuple[Labels, Values]]]
    """Of counters and histograms; those that grew."""
    gauges: dict[str, list[tuple[Labels, float]]]


class FigureSource:
    """A worker's side."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._sent: dict[tuple[str, Labels], Values] = {}

    def take(self) -> Figures:
        """What was counted since the last call, and the gauges as they are."""
        figures = Figures({}, {})
        for name, read in self._metrics.readings.items():
            values = _values(read())
            if _KINDS[name] == "gauge":
                figures.gauges[name] = [(labels, value[0]) for labels, value in values]
            elif name not in _IMPLIED and (grown := self._grown(name, values)):
                figures.increments[name] = grown
        return figures

    def _grown(
        self, name: str, values: Iterable[tuple[Labels, Values]]
    ) -> list[tuple[Labels, Values]]:
        grown = []
        for labels, value in values:
            sent = self._sent.get((name, labels))
            more = value if sent is None else [a - b for a, b in zip(value, sent, strict=True)]
            if any(more):
                self._sent[name, labels] = value
                grown.append((labels, more))
        return grown


class FigureSum:
    """The parent's side: the figures of all workers, in its own metrics."""

    def __init__(self, metrics: Metrics, now: Callable[[], float]) -> None:
        """`now`: POSIX seconds."""
        self._metrics = metrics
        self._now = now
        self._totals: dict[str, dict[Labels, float | Histogram]] = {}
        """Of metrics that the parent does not count itself."""
        self._gauges: dict[int, Figures] = {}
        """By worker, while it runs."""

    def add(self, worker: int, figures: Figures) -> None:
        """Add the increments; its gauges replace those from before."""
        self._gauges[worker] = figures
        for name in figures.gauges.keys() | figures.increments.keys():
            self._provide(name)
        for name, grown in figures.increments.items():
            for labels, more in grown:
                self._add(name, labels, more)

    def forget(self, worker: int) -> None:
        """A worker has ended: its gauges count no more."""
        self._gauges.pop(worker, None)

    def _add(self, name: str, labels: Labels, more: Values) -> None:
        metrics = self._metrics
        match name, labels:
            case "requests_total", (route, method, status, result):
                counter = metrics.request_counter(route, method, int(status), result)
                counter.count += int(more[0])
            case "request_duration_seconds", (result,):
                _observe(metrics.durations.setdefault(result, Histogram()), more)
            case "errors_total", (slug,):
                count(metrics.errors, slug, int(more[0]))
            case "client_requests_total", (client,):
                metrics.client_stats.count_request(client, self._now(), int(more[0]))
            case _ if _KINDS.get(name) == "histogram":
                total = self._totals.setdefault(name, {}).setdefault(labels, Histogram())
                if isinstance(total, Histogram):
                    _observe(total, more)
            case _:
                totals = self._totals.setdefault(name, {})
                before = totals.get(labels, 0.0)
                totals[labels] = more[0] + (before if isinstance(before, float) else 0.0)

    def _provide(self, name: str) -> None:
        """Have the metric read with what the workers add to it."""
        own = self._metrics.readings.get(name)
        if name not in _KINDS or isinstance(own, _SummedReading) or name in _COUNTED_HERE:
            return
        self._metrics.provide({name: _SummedReading(name, own, lambda: self._of_workers(name))})

    def _of_workers(self, name: str) -> dict[Labels, Any]:
        if _KINDS[name] != "gauge":
            return self._totals.get(name, {}).copy()
        sums: dict[Labels, float] = {}
        for figures in self._gauges.copy().values():
            for labels, value in figures.gauges.get(name, ()):
                sums[labels] = _total(name, value, sums.get(labels))
        return sums


_COUNTED_HERE = {
    "requests_total",
    "request_duration_seconds",
    "errors_total",
    "client_requests_total",
}
"""What the parent adds to its own counters."""


class _SummedReading:
    """A reading of the parent's, and what the workers add to it."""

    def __init__(
        self,
        name: str,
        own: Callable[[], Reading] | None,
        others: Callable[[], Mapping[Labels, Any]],
    ) -> None:
        self._name = name
        self._own = own
        self._others = others

    def __call__(self) -> dict[Labels, Any]:
        own = self._own() if self._own is not None else None
        figures = _by_labels(own)
        for labels, other in self._others().items():
            before = figures.get(labels)
            if isinstance(other, Histogram):
                figures[labels] = _joined(other, before)
            else:
                figures[labels] = _total(self._name, other, before)
        return figures


def _total(name: str, one: float, other: float | None) -> float:
    """The sum, or of two points in time the later one."""
    return max(one, other or 0.0) if name.endswith("_timestamp_seconds") else one + (other or 0.0)


def _joined(one: Histogram, other: Histogram | None) -> Histogram:
    if other is None:
        return one
    joined = Histogram()
    joined.counts = [a + b for a, b in zip(one.counts, other.counts, strict=True)]
    joined.sum_s = one.sum_s + other.sum_s
    return joined


def _observe(histogram: Histogram, more: Values) -> None:
    """Add the counts of a histogram in `_values`' form; one of other buckets is not added."""
    if len(more) != len(BUCKETS_S) + 2:
        return
    *counts, sum_s = more
    histogram.counts = [a + int(b) for a, b in zip(histogram.counts, counts, strict=True)]
    histogram.sum_s += sum_s


def _by_labels(reading: Reading) -> dict[Labels, Any]:
    """The figures of a reading that are present, by label values."""
    values: dict[Any, Any] = reading.copy() if isinstance(reading, dict) else {(): reading}
    return {
        (labels,) if isinstance(labels, str) else labels: value
        for labels, value in values.items()
        if value is not None
    }


def _values(reading: Reading) -> list[tuple[Labels, Values]]:
    return [
        (labels, [*value.counts, value.sum_s] if isinstance(value, Histogram) else [float(value)])
        for labels, value in _by_labels(reading).items()
    ]

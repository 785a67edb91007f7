"""Exposition of the metrics to Prometheus (text format 0.0.4, OpenMetrics 1.0).

Runs in a thread. What grows meanwhile is copied in one step of the interpreter (`dict.copy`);
iterating, even into a list, is not one.
"""

from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import Any

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar

from proxy.observability.metrics import BUCKETS_S, Histogram, Metric, Metrics, Reading, describe

_METRICS = describe()
_BOUNDS = (*map(str, BUCKETS_S), "+Inf")

Bucket = tuple[str, float] | tuple[str, float, Exemplar]
"""Upper bound, cumulative count, and one of the observations."""


def render(metrics: Metrics, accept: str) -> tuple[str, bytes]:
    """Media type and text of all metrics, in the format that the Accept field prefers."""
    encode, media_type = choose_encoder(accept)
    return media_type, encode(registry(metrics))


def registry(metrics: Metrics) -> CollectorRegistry:
    """The proxy's metrics, and those of the process and of Python."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    registry.register(MetricsCollector(metrics))
    return registry


class MetricsCollector(Collector):
    """Prometheus collector of all metrics that have a reading."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Family]:
        for metric in _METRICS:
            read = self._metrics.readings.get(metric.name.removeprefix("trello_proxy_"))
            if read is not None:
                yield _family(metric, read())


class ReadingsCollector(Collector):
    """Prometheus collector of readings that were taken before."""

    def __init__(self, readings: Iterable[tuple[Metric, Reading]]) -> None:
        self._readings = readings

    def collect(self) -> Iterator[Family]:
        return (_family(metric, reading) for metric, reading in self._readings)


def render_readings(readings: Iterable[tuple[Metric, Reading]], accept: str) -> tuple[str, bytes]:
    """Media type and text of these metrics alone."""
    registry = CollectorRegistry()
    registry.register(ReadingsCollector(readings))
    encode, media_type = choose_encoder(accept)
    return media_type, encode(registry)


def _family(metric: Metric, reading: Reading) -> Family:
    values: dict[Any, Any] = reading.copy() if isinstance(reading, dict) else {(): reading}
    figures = {
        (labels,) if isinstance(labels, str) else labels: value
        for labels, value in values.items()
        if value is not None
    }
    if metric.kind == "histogram":
        histogram = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
        for labels, value in figures.items():
            histogram.add_metric(labels, buckets(value), value.sum_s)
        return histogram
    make = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
    family = make(metric.name, metric.help, labels=metric.labels)
    for labels, value in figures.items():
        family.add_metric(labels, value)
    return family


def buckets(histogram: Histogram) -> list[Bucket]:
    """Cumulative counts by upper bound, with exemplars."""
    totals = accumulate(histogram.counts.copy())
    return [
        (bound, float(total), Exemplar({"request_id": last[0]}, *last[1:]))
        if last
        else (bound, float(total))
        for bound, total, last in zip(_BOUNDS, totals, histogram.last, strict=True)
    ]

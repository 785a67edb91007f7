"""The metrics: their names and labels, which are a contract, and their values."""

import os
import sys
import threading
import urllib.request
from asyncio import to_thread
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.parser import text_string_to_metric_families

from proxy.app.app import App, SystemPorts
from proxy.config.schema import load
from proxy.model import Credential
from proxy.observability.metrics import BUCKETS_S, Metrics, count, describe
from proxy.runtime.clock import FakeClock

LABELS: dict[str, tuple[str, ...]] = {
    "trello_proxy_upstream_circuit_open": (),
    "trello_proxy_circuit_breakers": ("state",),
    "trello_proxy_client_memory_bytes": ("use",),
    "trello_proxy_client_memory_limit_bytes": (),
    "trello_proxy_connections": (),
    "trello_proxy_connections_closed_total": ("reason",),
    "trello_proxy_tls_certificate_expires_seconds": (),
    "trello_proxy_connections_limit": (),
    "trello_proxy_client_api_requests_total": (),
    "trello_proxy_client_key_last_used_timestamp_seconds": ("client", "key"),
    "trello_proxy_client_api_requests_throttled_without_proxy_total": (),
    "trello_proxy_errors_total": ("type",),
    "trello_proxy_attachment_bytes_total": ("source",),
    "trello_proxy_attachment_downloads_total": ("result",),
    "trello_proxy_attachments": (),
    "trello_proxy_attachment_checksum_failures_total": (),
    "trello_proxy_attachment_evictions_total": (),
    "trello_proxy_attachment_store_bytes": (),
    "trello_proxy_attachment_store_limit_bytes": (),
    "trello_proxy_attachment_store_up": (),
    "trello_proxy_info": ("version",),
    "trello_proxy_invalidations_total": ("cause",),
    "trello_proxy_upstream_last_success_age_seconds": (),
    "trello_proxy_client_credentials_total": ("client", "location", "owner"),
    "trello_proxy_rate_limit_remaining": ("limit",),
    "trello_proxy_not_stored_total": ("reason",),
    "trello_proxy_hit_verifications_total": ("result",),
    "trello_proxy_request_duration_seconds": ("cache",),
    "trello_proxy_workers": (),
    "trello_proxy_worker_restarts_total": (),
    "trello_proxy_worker_cpu_seconds_total": ("worker",),
    "trello_proxy_worker_resident_bytes": ("worker",),
    "trello_proxy_fleet_leader": (),
    "trello_proxy_fleet_members": (),
    "trello_proxy_fleet_sessions": (),
    "trello_proxy_fleet_apart": (),
    "trello_proxy_fleet_behind": (),
    "trello_proxy_fleet_takeovers_total": (),
    "trello_proxy_fleet_relays_total": ("result",),
    "trello_proxy_fleet_relay_seconds": (),
    "trello_proxy_fleet_barrier_seconds": (),
    "trello_proxy_fleet_expired_total": (),
    "trello_proxy_fleet_trust_seconds": (),
    "trello_proxy_near_bytes": (),
    "trello_proxy_near_responses": (),
    "trello_proxy_near_evictions_total": (),
    "trello_proxy_redis_up": (),
    "trello_proxy_redis_seconds": (),
    "trello_proxy_redis_errors_total": (),
    "trello_proxy_redis_reasserts_total": (),
    "trello_proxy_requests_total": ("route", "method", "status", "cache"),
    "trello_proxy_retries_total": (),
    "trello_proxy_responses_redacted_total": (),
    "trello_proxy_stale_served_ratio": (),
    "trello_proxy_stale_served_seconds_total": (),
    "trello_proxy_store_bytes": ("tier",),
    "trello_proxy_store_dropped_total": (),
    "trello_proxy_store_errors_total": (),
    "trello_proxy_store_evictions_total": ("tier",),
    "trello_proxy_aliases": (),
    "trello_proxy_store_limit_bytes": ("tier",),
    "trello_proxy_store_responses": ("tier",),
    "trello_proxy_store_up": (),
    "trello_proxy_upstream_throttled_total": ("limit",),
    "trello_proxy_token_expires_seconds": (),
    "trello_proxy_token_refused": (),
    "trello_proxy_client_requests_total": ("client",),
    "trello_proxy_client_upstream_requests_total": ("client",),
    "trello_proxy_rate_limit_wait_seconds": ("priority",),
    "trello_proxy_rate_limit_queue_oldest_seconds": (),
    "trello_proxy_rate_limit_rejected_total": ("priority",),
    "trello_proxy_rate_limit_queue_length": ("priority",),
    "trello_proxy_upstream_bytes_total": ("direction",),
    "trello_proxy_upstream_duration_seconds": (),
    "trello_proxy_upstream_requests_total": ("route", "method", "status"),
    "trello_proxy_boards_watched": (),
    "trello_proxy_board_poll_lag_seconds": (),
    "trello_proxy_board_changes_total": (),
    "trello_proxy_board_polls_total": ("result",),
    "trello_proxy_webhook_deliveries_total": ("result",),
    "trello_proxy_webhooks": (),
    "trello_proxy_webhooks_missed_total": (),
}
"""Dashboards are built on these: one that changes is a change that users notice."""
NAMES = frozenset(
    name
    for name in LABELS
    if not name.startswith(("trello_proxy_fleet_", "trello_proxy_near_", "trello_proxy_worker"))
)
"""Of a process on its own; tests/fleet and tests/app have the others."""


def families(text: str) -> dict[str, Family]:
    """By the name a query uses, ours only."""
    return {
        family.name + ("_total" if family.type == "counter" else ""): family
        for family in text_string_to_metric_families(text)
        if family.name.startswith("trello_proxy_")
    }


class Scrape:
    """The samples of one scrape, by name and labels."""

    def __init__(self, metrics: Metrics) -> None:
        self._figures = {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in families(metrics.render("")[1].decode()).values()
            for sample in family.samples
        }

    def __call__(self, name: str, **labels: str) -> float:
        return self._figures[f"trello_proxy_{name}", frozenset(labels.items())]


def openmetrics(metrics: Metrics) -> list[str]:
    """The lines of the OpenMetrics format."""
    return metrics.render("application/openmetrics-text")[1].decode().splitlines()


@pytest.fixture
async def exposed(tmp_path: Path) -> AsyncIterator[str]:
    """The metrics of a running proxy, whose Redis is down."""
    cache = f"{{directory: {tmp_path}, backend: redis, redis: 'redis://127.0.0.1:1'}}"
    text = f"{{listen: '127.0.0.1:0', cache: {cache}, freshness: {{watch: off}}}}"
    app = App(
        load(text, "test", {}, str),
        Credential("dummykey" * 4, "dummytoken" * 4),
        SystemPorts(clock=FakeClock(), write_log=lambda _: None, random=os.urandom),
    )
    await app.start()
    try:
        url = f"http://127.0.0.1:{app.port}/metrics"

        def read() -> str:
            with urllib.request.urlopen(url, timeout=5) as response:
                return str(response.read().decode())

        await to_thread(read)
        yield await to_thread(read)
    finally:
        await app.stop()


async def test_the_names_are_these(exposed: str) -> None:
    assert set(families(exposed)) == NAMES


def test_the_labels_are_these() -> None:
    assert {metric.name: metric.labels for metric in describe()} == LABELS


async def test_samples_have_the_labels_of_the_table(exposed: str) -> None:
    for name, family in families(exposed).items():
        for sample in family.samples:
            assert set(sample.labels) - {"le"} == set(LABELS[name]), name


async def test_every_metric_says_what_it_is(exposed: str) -> None:
    for name, family in families(exposed).items():
        assert family.documentation.endswith("."), name
        assert family.type in {"counter", "gauge", "histogram"}, name
        assert name.endswith(("_total", "_seconds", "_bytes")) or family.type == "gauge", name


async def test_the_process_has_metrics_too(exposed: str) -> None:
    assert "process_resident_memory_bytes" in exposed
    assert "python_info" in exposed


def test_a_request_is_counted_under_its_labels() -> None:
    metrics = Metrics()
    cell = metrics.request_counter("/boards/{id}", "GET", 200, "hit")
    cell.add(0.002, "", 0.0)
    cell.add(0.3, "", 0.0)
    metrics.request_counter("/boards/{id}", "GET", 404, "miss").add(99.0, "", 0.0)
    seen = Scrape(metrics)
    labels = {"route": "/boards/{id}", "method": "GET", "status": "200", "cache": "hit"}
    assert seen("requests_total", **labels) == 2
    assert seen("request_duration_seconds_count", cache="hit") == 2
    assert seen("request_duration_seconds_sum", cache="hit") == pytest.approx(0.302)
    assert seen("request_duration_seconds_bucket", cache="hit", le="0.001") == 0
    assert seen("request_duration_seconds_bucket", cache="hit", le="0.0025") == 1
    assert seen("request_duration_seconds_bucket", cache="hit", le="+Inf") == 2
    assert seen("request_duration_seconds_bucket", cache="miss", le="10.0") == 0
    assert seen("request_duration_seconds_bucket", cache="miss", le="+Inf") == 1


def test_a_bucket_shows_the_request_that_was_counted_there_last() -> None:
    metrics = Metrics()
    cell = metrics.request_counter("/boards/{id}", "GET", 200, "hit")
    cell.add(0.002, "ab-1", 1_800_000_000.5)
    cell.add(0.0021, "ab-2", 1_800_000_001.5)
    cell.add(0.3, "", 1_800_000_002.5)
    lines = openmetrics(metrics)
    bucket = 'trello_proxy_request_duration_seconds_bucket{cache="hit",le="%s"} %s'
    assert bucket % ("0.0025", '2.0 # {request_id="ab-2"} 0.0021 1800000001.5') in lines
    assert bucket % ("0.5", "3.0") in lines
    assert not [line for line in lines if "ab-1" in line]


def test_a_duration_on_a_bound_is_within_it() -> None:
    metrics = Metrics()
    for bound in BUCKETS_S:
        metrics.upstream_durations.observe(bound)
    seen = Scrape(metrics)
    for number, bound in enumerate(BUCKETS_S, start=1):
        assert seen("upstream_duration_seconds_bucket", le=str(bound)) == number


def test_the_same_labels_are_the_same_cell() -> None:
    metrics = Metrics()
    assert metrics.request_counter("r", "GET", 200, "hit") is metrics.request_counter(
        "r", "GET", 200, "hit"
    )


def test_a_request_to_trello_is_counted_with_its_status_or_error() -> None:
    metrics = Metrics()
    metrics.count_upstream("/boards/{id}", "GET", "200", 0.1)
    metrics.count_upstream("/boards/{id}", "GET", "upstream-timeout", 30.0)
    seen = Scrape(metrics)
    for status in ("200", "upstream-timeout"):
        labels = {"route": "/boards/{id}", "method": "GET", "status": status}
        assert seen("upstream_requests_total", **labels) == 1
    assert seen("upstream_duration_seconds_count") == 2


def test_plain_counters_add_up() -> None:
    metrics = Metrics()
    count(metrics.invalidations, "write")
    count(metrics.invalidations, "write", 2)
    count(metrics.errors, "invalid-target")
    metrics.redacted += 1
    seen = Scrape(metrics)
    assert seen("invalidations_total", cause="write") == 3
    assert seen("errors_total", type="invalid-target") == 1
    assert seen("responses_redacted_total") == 1


def test_a_counter_is_there_before_it_counts() -> None:
    seen = Scrape(Metrics())
    for cause in ("write", "purge", "poll", "webhook", "verification", "clock"):
        assert seen("invalidations_total", cause=cause) == 0
    for result in ("accepted", "duplicate", "echo", "invalid-signature", "malformed"):
        assert seen("webhook_deliveries_total", result=result) == 0
    assert seen("errors_total", type="internal-error") == 0


def test_a_reading_is_read_at_the_scrape() -> None:
    metrics, figures = Metrics(), {"memory": 1.0}
    metrics.provide({"store_bytes": lambda: figures})
    assert Scrape(metrics)("store_bytes", tier="memory") == 1
    figures["memory"] = 2.0
    assert Scrape(metrics)("store_bytes", tier="memory") == 2


def test_a_reading_of_nothing_is_no_sample() -> None:
    metrics = Metrics()
    metrics.provide({"token_expires_seconds": lambda: None})
    with pytest.raises(KeyError):
        Scrape(metrics)("token_expires_seconds")


async def test_every_reading_is_of_a_metric_in_the_table(exposed: str) -> None:
    names = {f"trello_proxy_{name}" for name in Metrics().readings}
    assert names < NAMES == set(families(exposed))


@pytest.fixture
def _hasty_threads() -> Iterator[None]:
    """Threads switch after a few instructions."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


@pytest.mark.usefixtures("_hasty_threads")
def test_a_scrape_may_happen_while_new_labels_appear() -> None:
    metrics = Metrics()
    stop, failures = threading.Event(), list[BaseException]()

    def request(number: int) -> None:
        metrics.request_counter(f"/{number}", "GET", 200, f"{number % 50}").add(
            0.001, f"id-{number}", float(number)
        )
        metrics.count_upstream(f"/{number}", "GET", "200", 0.001)
        count(metrics.errors, str(number))

    def scrape() -> None:
        try:
            while not stop.is_set():
                metrics.render("")
        except RuntimeError as error:
            failures.append(error)

    for number in range(1_000):
        request(number)
    thread = threading.Thread(target=scrape)
    thread.start()
    for number in range(1_000, 1_300):
        request(number)
    stop.set()
    thread.join()
    assert not failures

"""Figures of workers in the metrics of their parent: summed, and never falling."""

from proxy.observability.metrics import Histogram, Metrics
from proxy.observability.transfer import FigureSource, FigureSum

NOW = 1_800_000_000.0


def counted(metrics: Metrics, requests: int) -> None:
    for _ in range(requests):
        counter = metrics.request_counter("/cards/{id}", "GET", 200, "hit")
        counter.add(0.002, "id-1", NOW)
        metrics.client_stats.count_request("curl", NOW)


def requests_of(metrics: Metrics) -> object:
    return metrics.readings["requests_total"]()


LABELS = ("/cards/{id}", "GET", "200", "hit")


def test_increments_are_added_once_to_what_the_parent_has() -> None:
    worker, parent = Metrics(), Metrics()
    source, total = FigureSource(worker), FigureSum(parent, lambda: NOW)
    counted(parent, 1)
    counted(worker, 3)
    total.add(1, source.take())
    total.add(1, source.take())
    assert requests_of(parent) == {LABELS: 4}
    counted(worker, 2)
    total.add(1, source.take())
    assert requests_of(parent) == {LABELS: 6}
    assert sum(parent.durations["hit"].counts) == 6
    assert round(parent.durations["hit"].sum_s, 6) == 0.012
    assert parent.client_stats.requests == 6
    assert parent.client_stats.requests_by_client["curl"] == 6


def test_no_total_falls_when_a_worker_is_replaced() -> None:
    parent = Metrics()
    total = FigureSum(parent, lambda: NOW)
    for process in range(2):
        worker = Metrics()
        worker.provide(
            {
                "connections": lambda: 5,
                "worker_cpu_seconds_total": lambda: {"1": 1.5},
                "fleet_relay_seconds": histogram,
            }
        )
        counted(worker, 3)
        worker.errors["busy"] = 1
        total.add(1, FigureSource(worker).take())
        assert parent.readings["connections"]() == {(): 5.0}
        total.forget(1)
        assert parent.readings["connections"]() == {}
        assert requests_of(parent) == {LABELS: 3 * (process + 1)}
        assert parent.readings["worker_cpu_seconds_total"]() == {("1",): 1.5 * (process + 1)}
        assert parent.errors["busy"] == process + 1
    relays = parent.readings["fleet_relay_seconds"]()
    assert isinstance(relays, dict)
    assert sum(relays[()].counts) == 2


def histogram() -> Histogram:
    made = Histogram()
    made.observe(0.1)
    return made


def test_gauges_of_all_workers_and_of_the_parent_are_summed() -> None:
    parent = Metrics()
    parent.provide({"connections": lambda: 1, "client_memory_bytes": lambda: {"buffers": 7}})
    total = FigureSum(parent, lambda: NOW)
    for number in (1, 2):
        worker = Metrics()
        worker.provide({"connections": lambda: 4, "client_memory_bytes": lambda: {"buffers": 1}})
        total.add(number, FigureSource(worker).take())
        total.add(number, FigureSource(worker).take())
    assert parent.readings["connections"]() == {(): 9.0}
    assert parent.readings["client_memory_bytes"]() == {("buffers",): 9.0}


def test_the_parents_own_readings_may_be_provided_again() -> None:
    worker, parent = Metrics(), Metrics()
    worker.provide({"connections": lambda: 4})
    source, total = FigureSource(worker), FigureSum(parent, lambda: NOW)
    total.add(1, source.take())
    parent.provide({"connections": lambda: 1})
    total.add(1, source.take())
    assert parent.readings["connections"]() == {(): 5.0}


def test_what_is_rendered_is_the_sum() -> None:
    worker, parent = Metrics(), Metrics()
    counted(worker, 3)
    worker.provide({"connections": lambda: 4, "fleet_relay_seconds": histogram})
    FigureSum(parent, lambda: NOW).add(1, FigureSource(worker).take())
    text = parent.render("")[1].decode()
    assert "trello_proxy_connections 4.0" in text
    assert "trello_proxy_fleet_relay_seconds_count 1.0" in text
    assert 'route="/cards/{id}",status="200"} 3.0' in text

"""The benchmarks run from end to end; what they measure is not asserted here."""

import re

import pytest

from tests.bench import (
    boards,
    cutting,
    economy,
    fleet,
    hits,
    misses,
    overload,
    workers,
)
from tests.bench.figures import Ratio
from tests.redis_server import needs_redis


def test_the_benchmark_of_hits_measures_every_server(capsys: pytest.CaptureFixture[str]) -> None:
    hits.main(["--smoke"])
    told = capsys.readouterr().out
    assert re.search(r"proxy +[\d,]+ hits/s", told)
    assert re.search(r"naive +[\d,]+ hits/s", told)
    assert re.search(r"nginx +[\d,]+ hits/s|nginx is not installed", told)


@pytest.mark.slow
def test_the_benchmark_of_workers_measures_them_beside_one_process(
    capsys: pytest.CaptureFixture[str],
) -> None:
    workers.main(["--smoke"])
    told = capsys.readouterr().out
    assert re.search(r"one +[\d,]+ hits/s", told)
    assert re.search(r"workers +[\d,]+ hits/s", told)
    assert "CPU time to one process's" in told


def test_the_benchmark_of_misses_measures_latency_rate_rush_and_memory(
    capsys: pytest.CaptureFixture[str],
) -> None:
    misses.main(["--smoke"])
    told = capsys.readouterr().out
    assert re.search(r"proxy +-?\d+ µs more", told)
    assert re.search(r"proxy +[\d,]+ misses/s", told)
    assert ": proxy\n  upstream requests 1," in told
    assert re.search(r"resident: \d+ MiB at the start", told)


def test_the_benchmark_of_economy_plays_the_same_day_in_every_way(
    capsys: pytest.CaptureFixture[str],
) -> None:
    economy.main(["--smoke"])
    told = capsys.readouterr().out
    for way, tables in (("direct", 2), ("TTL cache", 2), ("proxy", 2), ("webhooks", 1)):
        assert len(re.findall(rf"^  {way} +\d+ ", told, re.M)) == tables
    assert told.count("reached  answers stale after one's own write: 0.00") == 3
    assert told.count("reached  answers that never were true: 0.00") == 3


def test_the_benchmark_of_overload_plays_all_three_and_measures_hits(
    capsys: pytest.CaptureFixture[str],
) -> None:
    overload.main(["--smoke"])
    told = capsys.readouterr().out
    assert "reached  429s from Trello: 0.00" in told
    assert re.search(r"limit_req +\d+ answered", told)
    assert re.search(r"no limiter +\d+ answered, +0 refused by it, [1-9]\d* by Trello", told)
    assert re.search(r"hits +[\d,]+/s alone", told)


def test_the_benchmark_of_cutting_measures_all_that_is_cut(
    capsys: pytest.CaptureFixture[str],
) -> None:
    cutting.main(["--smoke"])
    assert len(re.findall(r"\d ms, .* of json.loads", capsys.readouterr().out)) == 3


def test_the_benchmark_of_large_boards_measures_every_kind_of_read(
    capsys: pytest.CaptureFixture[str],
) -> None:
    boards.main(["--smoke"])
    told = capsys.readouterr().out
    assert len(re.findall(r"CPU +[\d.]+ ms, +[\d.]+ a MB; first byte", told)) == 7
    assert told.count("longest wait of another client in ms") == 7


@needs_redis
def test_the_benchmark_of_a_fleet_ends_its_nodes_and_redis_and_fails_no_read(
    capsys: pytest.CaptureFixture[str],
) -> None:
    fleet.main(["--smoke"])
    told = capsys.readouterr().out
    assert "reached  upstream requests: 1.00, at most 1" in told
    assert "reached  downloads of each file: 1.00, at most 1" in told
    assert "reached  readers without the whole file: 0.00, at most 0" in told
    assert "reached  reads failed: 0.00" in told
    assert told.count("reached  failed: 0.00") == 3
    assert told.count("from Trello") == 2


def test_a_ratio_is_the_median_of_neighbouring_slices() -> None:
    assert Ratio([10.0, 30.0, 2.0], [10.0, 10.0, 1.0]).median == 2.0

"""Settings of all tests: hypothesis without deadlines, which files are `slow`, and their order."""

import gc
import os
import sys
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.redis_server import own_redis, redis_server, shared_redis
from tests.sentinel import watched_redis

__all__ = ["own_redis", "redis_server", "shared_redis", "watched_redis"]

# What has been compiled is kept for the next run and for the processes that tests start, also where
# that is switched off: to compile everything anew costs each process seconds.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # noqa: TID251

SLOW = (
    "tests/bench/",
    "tests/cache/projection/test_projections_match_trello.py",
    "tests/cli/leak_check/",
    "tests/cli/test_main.py",
    "tests/cli/test_startup.py",
    "tests/deploy/test_prometheus.py",
    "tests/deploy/test_rules.py",
    "tests/fake_trello/test_robust.py",
    "tests/fleet/test_simulation.py",
    "tests/scenarios/test_a_killed_proxy.py",
    "tests/scenarios/test_board_poller.py",
    "tests/scenarios/test_cache_directory.py",
    "tests/scenarios/test_damaged_store.py",
    "tests/scenarios/test_egress.py",
    "tests/scenarios/test_explain.py",
    "tests/scenarios/test_fault_matrix.py",
    "tests/scenarios/test_file_fields.py",
    "tests/scenarios/test_files.py",
    "tests/scenarios/test_foreign_pages_in_chromium.py",
    "tests/scenarios/test_large_responses.py",
    "tests/scenarios/test_pages_in_chromium.py",
    "tests/scenarios/test_projected_responses.py",
    "tests/scenarios/test_random_walk.py",
    "tests/scenarios/test_read_your_writes.py",
    "tests/scenarios/test_restart_and_broken_store.py",
    "tests/scenarios/test_scopes_differential.py",
    "tests/scenarios/test_scopes_of_writes.py",
    "tests/scenarios/test_scopes_random_walk.py",
    "tests/scenarios/test_uploads.py",
    "tests/scenarios/test_webhook_deliveries.py",
    "tests/server/test_client_memory.py",
    "tests/server/test_clients_credentials.py",
    "tests/server/test_echoed_credentials.py",
    "tests/server/test_event_loop_blocking.py",
    "tests/server/test_hostile_downloads.py",
    "tests/server/test_listening_and_shutdown.py",
    "tests/server/test_no_credential_leaks.py",
    "tests/server/test_real_clients.py",
    "tests/test_gate.py::test_mypy",
    "tests/test_wheel.py",
)
"""Files, folders or tests that take seconds: other processes, a browser, long random walks."""

FIRST = (
    "tests/test_gate.py",
    "tests/deploy/test_prometheus.py",
    "tests/fleet/test_processes.py",
    "tests/app/test_workers.py",
    "tests/scenarios/test_pages_in_chromium.py",
    "tests/scenarios/test_foreign_pages_in_chromium.py",
    "tests/fleet/test_links.py",
    "tests/fleet/test_sentinel.py",
    "tests/bench/",
    "tests/cli/",
    "tests/server/test_listening_and_shutdown.py",
    "tests/server/test_workers.py",
    "tests/server/test_fixed_address_clients.py",
    "tests/server/test_real_clients.py",
    "tests/fleet/",
)
"""Files and folders that wait for other processes most: they are started first, in this order."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--walks", type=int, default=1, help="times as many seeds and examples")
    parser.addoption("--screenshots", metavar="DIR", help="keep pictures of the pages in here")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """`@pytest.mark.seeds(3)`: the test is a random walk with so many seeds, times `--walks`."""
    if (seeds := metafunc.definition.get_closest_marker("seeds")) is not None:
        metafunc.parametrize("seed", range(seeds.args[0] * metafunc.config.option.walks))


def pytest_configure(config: pytest.Config) -> None:
    """Fifty examples of each property, times `--walks`.

    How long one takes says something about the machine, not about what is tested.
    """
    settings.register_profile(
        "here",
        deadline=None,
        max_examples=50 * config.option.walks,
        suppress_health_check=[HealthCheck.too_slow],
    )
    settings.load_profile("here")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """`-m "not slow"` leaves the slow out; what takes longest is first."""
    for item in items:
        if item.nodeid.startswith(SLOW):
            item.add_marker(pytest.mark.slow)
    items.sort(key=_turn)


def _turn(item: pytest.Item) -> int:
    found = (turn for turn, name in enumerate(FIRST) if item.nodeid.startswith(name))
    return next(found, len(FIRST))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """An equal part of the tests for each process; one that is done takes from the others.

    The first has those that wait for others most, the rest use the processor meanwhile; and what
    tests of a file share is made once.
    """
    from xdist.scheduler import (  # type: ignore[import-untyped]  # noqa: PLC0415 - a plugin
        WorkStealingScheduling,
    )

    return WorkStealingScheduling(config, log)


def pytest_collection_finish() -> None:
    """What was collected stays until the end: the garbage collector need not look at it."""
    gc.collect()
    gc.freeze()

"""With a real Prometheus: every panel has data, every alert fires under its fault and no other."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from proxy.runtime.clock import SystemClock
from tests.deploy.faults import CASES, FLEET
from tests.deploy.fleet import (
    Instance,
    ordinary,
    repeated,
    varied,
)
from tests.deploy.prometheus import (
    DEPLOY,
    MISSING,
    PROMETHEUS,
    Prometheus,
)
from tests.deploy.test_rules import BY_NAME
from tests.redis_server import RedisServer, needs_redis

pytestmark = [
    pytest.mark.skipif(PROMETHEUS is None, reason=MISSING),
    needs_redis,
    pytest.mark.timeout(400),
]

RESTING_S = 10
AT_MOST_S = 120
AT_REST = "at rest"
RESTING = FLEET + "freshness: {watch: 5s}\n"
"""On our own clock, by which no hitch of a busy machine takes a leader's lease away."""
DUE = {(alert, name) for name, case in CASES.items() for alert in {name, *case.also}}
"""Alerts that each fault may set off, by alert and instance."""
DURATIONS = "trello_proxy_request_duration_seconds_bucket"


def questions() -> dict[str, str]:
    """What each panel asks, by its title and where in it, as Grafana would send it."""
    values = {"$__rate_interval": "5s", "$__range": "60s"}
    values |= dict.fromkeys(("$job", "$instance", "$board"), ".*")
    asked = {}
    for name in ("dashboard.json", "boards.json"):
        rows = json.loads((DEPLOY / "grafana" / name).read_text())["panels"]
        for panel in (each for row in rows for each in (row, *row.get("panels", ()))):
            for target in panel.get("targets", ()):
                expression = target["expr"]
                for variable, value in values.items():
                    expression = expression.replace(variable, value)
                asked[f"{panel['title']}, {target['refId']}"] = expression
    return asked


class Fleet:
    """All instances, and the Prometheus that watches them."""

    def __init__(self, directory: Path, instances: dict[str, Instance]) -> None:
        self.instances = instances
        targets = {name: f"127.0.0.1:{each.port}" for name, each in instances.items()}
        self.prometheus = Prometheus(directory, targets, boards=AT_REST)
        self.fired: set[tuple[str, str]] = set()
        """Alerts by name and instance, ever."""

    async def look(self) -> set[tuple[str, str]]:
        """What fires after half a second."""
        await asyncio.sleep(0.5)
        firing = await self.prometheus.firing()
        self.fired |= firing
        return firing

    async def rest(self) -> None:
        """Return when nothing has fired for RESTING_S: not while a busy machine starts it all."""
        clock = SystemClock()
        ends = clock.monotonic() + AT_MOST_S
        since = clock.monotonic()
        while clock.monotonic() < since + RESTING_S:
            if firing := await self.look():
                since = clock.monotonic()
                assert since < ends, firing

    async def fail(self) -> None:
        """Return when every alert has fired, and none fires whose fault is another one."""
        clock = SystemClock()
        ends, missing = clock.monotonic() + AT_MOST_S, {(name, name) for name in CASES}
        unexpected = set[tuple[str, str]]()
        while missing or unexpected:
            assert clock.monotonic() < ends, (missing, unexpected)
            unexpected = await self.look() - DUE
            missing -= self.fired

    async def empty_panels(self) -> set[str]:
        """Those that would show nothing: asked again when a scrape of a busy machine was late."""
        clock, asked = SystemClock(), questions()
        ends, empty = clock.monotonic() + AT_MOST_S, set[str]()
        while clock.monotonic() < ends:
            empty = {each for each in asked if not await self.prometheus.finite(asked[each])}
            if empty == UNCONFIGURED:
                break
            await asyncio.sleep(0.5)
        return empty


UNCONFIGURED = {
    "Client keys, time since last use, A",
    "Token and certificate expire in, B",
}
"""Panels of settings that no instance has: `clients.keys`, `tls`."""


def test_every_alert_has_a_fault() -> None:
    assert set(CASES) == set(BY_NAME)


@pytest.fixture
async def fleet(tmp_path: Path) -> AsyncIterator[Fleet]:
    """Everything started and busy; nothing is wrong yet."""
    rest = RedisServer(tmp_path / "rest-redis")
    instances = {AT_REST: Instance(AT_REST, tmp_path / "rest", RESTING, speed=1, redis=rest)}
    instances[AT_REST].yaml += f"metrics: {{boards: [{instances[AT_REST].board}]}}\n"
    for name, case in CASES.items():
        made = instances[name] = Instance(name, tmp_path / name, speed=case.speed)
        made.redis = RedisServer(tmp_path / f"{name}-redis") if case.has_redis else None
        made.yaml = case.yaml.replace("{port}", str(made.port))
    async with AsyncExitStack() as stack:
        for instance in instances.values():
            stack.push_async_callback(instance.stop)
        for instance in instances.values():
            await instance.start()
        made_fleet = Fleet(tmp_path, instances)
        stack.push_async_callback(made_fleet.prometheus.stop)
        await made_fleet.prometheus.start()
        yield made_fleet


async def test_panels_have_data_and_alerts_fire_under_their_faults_only(fleet: Fleet) -> None:
    async with asyncio.TaskGroup() as group:
        busy = {AT_REST: group.create_task(repeated(fleet.instances[AT_REST], varied, 1.0))}
        for name, case in CASES.items():
            often_s = min(1.0, 10 / case.speed)  # on a fast clock what is stored is soon stale
            busy[name] = group.create_task(repeated(fleet.instances[name], ordinary, often_s))
        await fleet.rest()
        fleet.fired.clear()
        for name, case in CASES.items():
            busy[name].cancel()
            await case.fault(fleet.instances[name])
            load = repeated(fleet.instances[name], case.load, case.pause_s)
            busy[name] = group.create_task(load)
        await fleet.fail()
        empty = await fleet.empty_panels()
        exemplars = await fleet.prometheus.exemplars(DURATIONS)
        for task in busy.values():
            task.cancel()
    assert empty == UNCONFIGURED
    assert {"request_id"} in [set(labels) for labels in exemplars]

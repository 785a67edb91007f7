"""With a real Prometheus: every panel has data, every alert fires under its fault and no other."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import pytest

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
FIRING_S = 120
"""At most."""
AT_REST = "at rest"
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

    async def look(self, seconds: float, until: set[tuple[str, str]] | None = None) -> None:
        """Note what fires, for so long, or until all of that has."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while until is None or not until <= self.fired:
                    self.fired |= await self.prometheus.firing()
                    await asyncio.sleep(0.5)

    async def empty_panels(self) -> list[str]:
        """Those that would show nothing."""
        asked = questions()
        return [each for each in asked if not await self.prometheus.finite(asked[each])]

    def unexpected(self) -> set[tuple[str, str]]:
        """What fired and is not of that instance's fault."""
        due = {(alert, name) for name, case in CASES.items() for alert in {name, *case.also}}
        return self.fired - due


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
    instances = {AT_REST: Instance(AT_REST, tmp_path / "rest", FLEET, redis=rest)}
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
        await fleet.look(RESTING_S)
        early, fleet.fired = fleet.fired, set()
        for name, case in CASES.items():
            busy[name].cancel()
            await case.fault(fleet.instances[name])
            load = repeated(fleet.instances[name], case.load, case.pause_s)
            busy[name] = group.create_task(load)
        await fleet.look(FIRING_S, {(name, name) for name in CASES})
        empty = await fleet.empty_panels()
        exemplars = await fleet.prometheus.exemplars(DURATIONS)
        for task in busy.values():
            task.cancel()
    assert not early
    assert not {name for name in CASES if (name, name) not in fleet.fired}
    assert not fleet.unexpected()
    assert set(empty) == UNCONFIGURED
    assert {"request_id"} in [set(labels) for labels in exemplars]

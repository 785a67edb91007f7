"""A fleet in virtual time: random faults, and each guard of the protocol against what needs it."""

from collections.abc import Callable

import pytest

from proxy.fleet.node import Role
from proxy.fleet.timing import DIRECT_S
from tests.fleet.simulation.faults import storm, storm_of_cuts, storm_of_disconnects
from tests.fleet.simulation.fleet import HEALED_S, Findings, Fleet
from tests.fleet.simulation.guards import GUARDS
from tests.fleet.simulation.near_scenarios import NEAR_SCENARIOS
from tests.fleet.simulation.scenarios import SCENARIOS, play

ALL_SCENARIOS = SCENARIOS | NEAR_SCENARIOS
STORM_S = 40.0


def episode(seed: int, cause: Callable[[Fleet, float], None] = storm) -> Findings:
    """Faults and requests for STORM_S; the longest fault takes 10 s; then all must be well."""
    with Fleet(seed) as fleet:
        fleet.run(6.0)
        ends_at = fleet.world.now + STORM_S
        fleet.send_requests(ends_at + 10.0)
        cause(fleet, ends_at)
        fleet.run(STORM_S + 10.0 + HEALED_S)
        fleet.check_healed()
        fleet.run(4.0)
        fleet.findings.near_hits = sum(app.near_hits for app in fleet.apps.values())
        return fleet.findings


@pytest.mark.seeds(6)
def test_random_faults_show_no_client_an_older_state_and_never_two_leaders(seed: int) -> None:
    findings = episode(seed)
    assert not findings.violations
    assert findings.reads > 300
    assert findings.writes > 20
    assert findings.near_hits > 20


@pytest.mark.seeds(2)
def test_cuts_between_single_pairs_show_no_client_an_older_state(seed: int) -> None:
    findings = episode(seed, storm_of_cuts)
    assert not findings.violations
    assert findings.reads > 300
    assert findings.writes > 20


@pytest.mark.seeds(2)
def test_connections_that_break_show_no_client_an_older_state(seed: int) -> None:
    findings = episode(seed, storm_of_disconnects)
    assert not findings.violations
    assert findings.writes > 100
    assert findings.near_hits > 100


@pytest.mark.parametrize("has_redis", [True, False])
def test_a_follower_without_a_way_to_the_leader_is_served_through_another(
    has_redis: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    with Fleet(seed=1) as fleet:
        fleet.world.slow_share = 0.0
        fleet.run(6.0)
        leader = fleet.leader
        follower, fellow = (fleet.apps[name] for name in fleet.apps if name != leader)
        fleet.world.cut(leader, follower.address, 12.0)
        fleet.run(3.0)
        if not has_redis:
            fleet.redis.stop(8.0)  # that node's promise is needed now
        roles = []
        for _ in range(60):
            for is_write in (False, False, True):
                fleet.request(follower.address, "one", is_write=is_write)
            fleet.run(0.1)
            roles.append(follower.node.role)
        assert set(roles) == {Role.FOLLOWER}
        assert fleet.leader == leader
        through = follower.node.leader.through if follower.node.leader else None
        assert through == fellow.address
        fleet.run(3.0 + DIRECT_S + 3.0)
        assert follower.node.leader is not None
        assert not follower.node.leader.through
        assert fellow.passed_on > 100
        findings = fleet.findings
        assert (findings.failed_reads, findings.failed_writes) == (0, 0)
        assert not findings.violations


@pytest.mark.parametrize("name", ALL_SCENARIOS)
def test_each_scenario_ends_well(name: str) -> None:
    assert not play(ALL_SCENARIOS[name]).violations


@pytest.mark.parametrize("name", GUARDS)
def test_without_a_guard_its_scenario_fails(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    switch_off, scenario = GUARDS[name]
    switch_off(monkeypatch)
    assert play(ALL_SCENARIOS[scenario]).violations

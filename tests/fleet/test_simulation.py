"""A fleet in virtual time: random faults, and each guard of the protocol against what needs it."""

import pytest

from tests.fleet.simulation.faults import storm
from tests.fleet.simulation.fleet import HEALED_S, Findings, Fleet
from tests.fleet.simulation.guards import GUARDS
from tests.fleet.simulation.near_scenarios import NEAR_SCENARIOS
from tests.fleet.simulation.scenarios import SCENARIOS, play

ALL_SCENARIOS = SCENARIOS | NEAR_SCENARIOS
EPISODES = 24
STORM_S = 40.0


def episode(seed: int) -> Findings:
    """Faults and requests for STORM_S; the longest fault takes 10 s; then all must be well."""
    with Fleet(seed) as fleet:
        fleet.run(6.0)
        ends_at = fleet.world.now + STORM_S
        fleet.send_requests(ends_at + 10.0)
        storm(fleet, ends_at)
        fleet.run(STORM_S + 10.0 + HEALED_S)
        fleet.check_healed()
        fleet.run(4.0)
        fleet.findings.near_hits = sum(app.near_hits for app in fleet.apps.values())
        return fleet.findings


@pytest.mark.parametrize("seed", range(EPISODES))
def test_random_faults_show_no_client_an_older_state_and_never_two_leaders(seed: int) -> None:
    findings = episode(seed)
    assert not findings.violations
    assert findings.reads > 300
    assert findings.writes > 20
    assert findings.near_hits > 20


@pytest.mark.parametrize("name", ALL_SCENARIOS)
def test_each_scenario_ends_well(name: str) -> None:
    assert not play(ALL_SCENARIOS[name]).violations


@pytest.mark.parametrize("name", GUARDS)
def test_without_a_guard_its_scenario_fails(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    switch_off, scenario = GUARDS[name]
    switch_off(monkeypatch)
    assert play(ALL_SCENARIOS[scenario]).violations

"""Episodes of random faults in virtual time, by their seeds; a test plays some of them.

Run as `python -m tests.fleet.simulation SEEDS [--first SEED]`: some five seconds each.
"""

import argparse
from collections.abc import Callable

from tests.fleet.simulation.faults import storm, storm_of_cuts, storm_of_disconnects
from tests.fleet.simulation.fleet import HEALED_S, Findings, Fleet

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


def main() -> None:
    """Play and print; 1 if a client saw anything wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.fleet.simulation")
    parser.add_argument("seeds", type=int)
    parser.add_argument("--first", type=int, default=0, metavar="SEED")
    given = parser.parse_args()
    violations = 0
    for seed in range(given.first, given.first + given.seeds):
        for cause in (storm, storm_of_cuts, storm_of_disconnects):
            findings = episode(seed, cause)
            violations += len(findings.violations)
            for violation in findings.violations:
                print(f"seed {seed}, {cause.__name__}: {violation}")
    print(f"{given.seeds} seeds: {violations} violations")
    raise SystemExit(violations > 0)


if __name__ == "__main__":
    main()

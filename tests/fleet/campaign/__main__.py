"""Run as `python -m tests.fleet.campaign --faults N --seed S`: two to four seconds for each fault.

It prints how many responses were compared and how many were wrong, moments with two leaders, how
long the fleet needed to heal, and what failed. With `--directory` the logs of the nodes remain.
"""

import argparse
import asyncio
import logging
from pathlib import Path
from typing import Any

from proxy.runtime.tasks import TaskSet
from tests.fleet.campaign.clients import Clients
from tests.fleet.campaign.faults import Choice
from tests.fleet.campaign.findings import Findings
from tests.fleet.campaign.stage import Stage, staged
from tests.fleet.nodes import NodeProcess, now
from tests.redis_server import MISSING, REDIS_SERVER

EVERY_S = 1.0
"""Between two faults, on average, unless all has to heal first."""
HEAL_SHARE = 0.3
UNHEALED_S = 40.0
POLL_S = 0.1
REPORT_EACH = 100
"""Faults."""


async def run(faults: int, seed: int, directory: Path | None, older: Path | None) -> Findings:
    """So many faults of a fleet of its own."""
    async with staged(seed, directory, older) as stage:
        return await play(stage, faults)


async def play(stage: Stage, faults: int) -> Findings:
    """So many faults, while clients are busy; the fleet heals of the last one."""
    clients, tasks = Clients(stage), TaskSet()
    for node in stage.group.nodes:
        tasks.spawn(_watch(stage, node))
    try:
        async with clients.busy():
            await _storm(stage, clients, faults)
    finally:
        await tasks.stop()
    return stage.findings


async def _storm(stage: Stage, clients: Clients, faults: int) -> None:
    choice, tasks, begun, told = Choice(stage), TaskSet(), 0, 0
    while begun < faults:
        for _ in range(stage.chance.choice((1, 1, 1, 2, 3))):
            fault = await choice.draw()
            if fault is not None:
                tasks.spawn(fault())
                begun += 1
        if begun >= told + REPORT_EACH:
            told = begun
            print(stage.findings.report(), flush=True)
        if begun >= faults or stage.chance.random() < HEAL_SHARE:
            await asyncio.gather(*tasks)
            await _heal(stage, clients, choice.ended_at)
        await asyncio.sleep(stage.chance.expovariate(1 / EVERY_S))


async def _heal(stage: Stage, clients: Clients, since: float) -> None:
    """Return when every node serves a read and a write, and all name one leader.

    That takes up to some seconds of the fake Trello's own, of which the figure has all.
    """
    nodes, findings, states = stage.group.nodes, stage.findings, list[dict[str, Any]]()
    while now() < since + UNHEALED_S:
        is_well = all(await asyncio.gather(*(clients.probe(each) for each in nodes)))
        states = await asyncio.gather(*(each.state() for each in nodes))
        roles = sorted(str(state.get("role")) for state in states)
        leaders = {state.get("leader") for state in states}
        if is_well and roles == ["follower", "follower", "leader"] and len(leaders) == 1:
            findings.healed_s.append(now() - since)
            findings.event(f"healed after {now() - since:.1f} s")
            return
        await asyncio.sleep(POLL_S)
    findings.accuse(findings.unhealed, f"not healed: {states}")


async def _watch(stage: Stage, node: NodeProcess) -> None:
    """Ask a node again and again whether it leads."""
    while True:
        sent_at = now()
        state = await node.state()
        if state.get("role") == "leader":
            stage.findings.leads(node.address, state["term"], sent_at)
        await asyncio.sleep(POLL_S)


def main() -> None:
    """Run and print; nothing is left running."""
    parser = argparse.ArgumentParser(prog="python -m tests.fleet.campaign")
    parser.add_argument("--faults", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--directory", type=Path, help="for logs and events, which remain")
    help_ = "where another version of the program is, for one of the nodes"
    parser.add_argument("--older", type=Path, help=help_)
    arguments = parser.parse_args()
    if REDIS_SERVER is None:
        print(MISSING)
        return
    logging.disable()  # aiohttp's, of each request that a killed node leaves
    findings = asyncio.run(run(**vars(arguments)))
    print(findings.report())
    if arguments.directory is not None:
        (arguments.directory / "events").write_text("\n".join(findings.events))


if __name__ == "__main__":
    main()

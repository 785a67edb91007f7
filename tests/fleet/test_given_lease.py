"""A node whose leader is given looks for no other one, however long it is away."""

import asyncio

from proxy.app.workers.duties import StandingDuties
from proxy.fleet.channel import Channel, ChannelClosed
from proxy.fleet.given_lease import PARENT, GivenLease, worker_address
from proxy.fleet.local import Local
from proxy.fleet.near import Near
from proxy.fleet.node import Node, Role
from proxy.fleet.protocol import Hello
from proxy.observability.log import Log
from proxy.runtime.clock import FakeClock


class _Away:
    """Connector to a leader that takes no connection; counts the attempts."""

    def __init__(self) -> None:
        self.attempts = 0

    async def connect(self, address: str) -> Channel:
        assert address == PARENT
        self.attempts += 1
        raise ChannelClosed


async def test_a_leader_that_was_away_for_long_is_still_tried() -> None:
    clock, away = FakeClock(), _Away()
    local = Local(
        Hello(worker_address(1), "instance", "1", "digest"),
        GivenLease(is_own=False),
        away,
        StandingDuties(clock),
        clock,
        Log(lambda _: None, clock),
        Near(clock, 0),
        is_given=True,
    )
    node = Node(local)
    node.start()
    for _ in range(200):
        clock.advance(0.1)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    before, deadline = away.attempts, clock.boottime() + 10.0
    waiting = asyncio.ensure_future(node.wait_for_leader(deadline))
    for _ in range(50):
        clock.advance(0.1)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert away.attempts > before + 5
    assert not waiting.done()
    assert node.role is Role.SEEKING
    waiting.cancel()
    await node.stop()

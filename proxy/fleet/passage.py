"""Passage of a session: its messages, carried by a follower between the leader and another node.

What the two ends may conclude from a message does not depend on how long it was on its way, so a
session through a follower is one like any other: the leader needs that node's promise, and has it.
"""

import asyncio

from proxy.fleet.channel import Channel, ChannelClosed
from proxy.fleet.timing import PROMISE_S
from proxy.runtime.tasks import TaskSet


async def carry(one: Channel, other: Channel) -> None:
    """Carry messages both ways, in order, until an end closes or is silent for PROMISE_S."""
    tasks = TaskSet()
    try:
        ways = {tasks.spawn(_carry(one, other)), tasks.spawn(_carry(other, one))}
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await tasks.stop()


async def _carry(source: Channel, target: Channel) -> None:
    try:
        while True:
            async with asyncio.timeout(PROMISE_S):
                message = await source.receive()
                await target.send(message)
    except (ChannelClosed, TimeoutError):
        return

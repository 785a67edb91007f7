"""Sessions at a leader that is given, as workers have with their parent: what their end proves."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from proxy.app.workers.duties import StandingDuties
from proxy.fleet.channel import ChannelClosed
from proxy.fleet.given_lease import PARENT, GivenLease, worker_address
from proxy.fleet.local import Local
from proxy.fleet.near import Near
from proxy.fleet.node import Node
from proxy.fleet.protocol import Acknowledgement, Hello, Invalidation, Message, Ping, Pong, Welcome
from proxy.fleet.timing import HEARTBEAT_S, TIMEOUT_S, TRUST_S
from proxy.observability.log import Log
from proxy.runtime.clock import SystemClock
from proxy.runtime.tasks import TaskSet
from proxy.server.fleet.peer_client import PeerClient


class Worker:
    """A channel as the leader has it, and the worker at its other end."""

    def __init__(self, instance: str) -> None:
        self.hello = Hello(worker_address(1), instance, keeps=True)
        self.received = asyncio.Queue[Message]()
        self.reads = asyncio.Event()
        """Set while it takes what it is sent: one that is stopped does not."""
        self.reads.set()
        self.is_closed = asyncio.Event()
        self._sent = asyncio.Queue[Message | None]()

    async def send(self, message: Message) -> None:
        await self.reads.wait()
        self.received.put_nowait(message)

    async def receive(self) -> Message:
        message = await self._sent.get()
        if message is None:
            raise ChannelClosed
        return message

    async def close(self) -> None:
        self.is_closed.set()
        self.end()

    def end(self) -> None:
        """Close this end."""
        self._sent.put_nowait(None)

    def says(self, *messages: Message) -> None:
        for each in messages:
            self._sent.put_nowait(each)

    async def hears(self, kind: type[Message]) -> Message:
        async with asyncio.timeout(5.0):
            while not isinstance(message := await self.received.get(), kind):
                pass
        return message

    async def joins(self, node: Node, tasks: TaskSet) -> "asyncio.Task[None]":
        session = tasks.spawn(node.serve(self))
        self.says(self.hello, Ping(1))
        await self.hears(Welcome)
        await self.hears(Pong)
        return session


@pytest.fixture
def duties() -> StandingDuties:
    return StandingDuties(SystemClock())


@pytest_asyncio.fixture
async def node(duties: StandingDuties) -> AsyncIterator[Node]:
    clock = SystemClock()
    local = Local(
        Hello(PARENT, "parent"),
        GivenLease(is_own=True),
        PeerClient(lambda: b"", bytes),
        duties,
        clock,
        Log(lambda lines: None, clock),
        Near(clock, limit_bytes=0),
        is_given=True,
    )
    made = Node(local)
    made.start()
    await made.wait_for_leader(clock.boottime() + 5.0)
    yield made
    await made.stop()


@pytest_asyncio.fixture
async def tasks() -> AsyncIterator[TaskSet]:
    made = TaskSet()
    yield made
    await made.stop()


async def passes(duties: StandingDuties, number: int, within_s: float = 0.01) -> bool:
    assert duties.barrier is not None
    try:
        await duties.barrier.passed(number, within_s)
    except TimeoutError:
        return False
    return True


def publish(duties: StandingDuties) -> int:
    assert duties.barrier is not None
    return duties.barrier.publish(())


async def test_a_worker_that_has_closed_its_session_is_not_waited_for(
    node: Node, duties: StandingDuties, tasks: TaskSet
) -> None:
    worker = Worker("one")
    session = await worker.joins(node, tasks)
    number = publish(duties)
    assert not await passes(duties, number)
    worker.end()
    await session
    assert await passes(duties, number)


async def test_a_session_that_the_leader_closed_is_no_proof_that_the_worker_uses_nothing(
    node: Node, duties: StandingDuties, tasks: TaskSet
) -> None:
    """One that is stopped takes nothing, and may go on with what it keeps."""
    worker = Worker("one")
    session = await worker.joins(node, tasks)
    worker.reads.clear()
    async with asyncio.timeout(HEARTBEAT_S + TIMEOUT_S + 2.0):
        await worker.is_closed.wait()
    await session
    number = publish(duties)
    assert not await passes(duties, number)
    again = Worker("one")
    await again.joins(node, tasks)
    assert await passes(duties, number)


async def test_a_session_in_place_of_another_is_no_proof_until_its_first_ping(
    node: Node, duties: StandingDuties, tasks: TaskSet
) -> None:
    worker, again = Worker("one"), Worker("one")
    session = await worker.joins(node, tasks)
    other = tasks.spawn(node.serve(again))
    again.says(again.hello)
    await session
    await again.hears(Welcome)
    number = publish(duties)
    assert not await passes(duties, number)
    again.says(Ping(1))
    await again.hears(Invalidation)
    again.says(Acknowledgement(number))
    assert await passes(duties, number, TRUST_S / 2)
    again.end()
    await other

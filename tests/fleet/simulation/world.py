"""World: virtual time, one event loop per machine, and the network between them.

A machine's clock runs at a rate of its own. Only one loop runs at a time, at the moment when its
next callback is due, so that a run with one seed is always the same.
"""

import asyncio
import heapq
import random
from asyncio import events
from collections import defaultdict
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

from proxy.runtime.tasks import TaskSet

T = TypeVar("T")


class _NoSelector:
    """There are no sockets."""

    def select(self, timeout: float | None) -> list[Any]:
        return []

    def close(self) -> None:
        pass


class VirtualLoop(asyncio.BaseEventLoop):
    """An event loop whose time is the world's, at a rate and from a start of its own."""

    def __init__(self, world: "World", rate: float, start: float) -> None:
        super().__init__()
        self._selector = _NoSelector()
        self._world, self._rate, self._start = world, rate, start
        self._clock_resolution = 1e-9
        self.paused_until = 0.0
        self.set_exception_handler(lambda loop, context: world.failures.append(str(context)))

    def time(self) -> float:
        return self._start + self._world.now * self._rate

    def next_at(self) -> float:
        """World time at which something is due; infinity without anything."""
        soonest = max(self._world.now, self.paused_until)
        if self._ready:  # type: ignore[attr-defined]
            return soonest
        if not self._scheduled:  # type: ignore[attr-defined]
            return float("inf")
        at = (self._scheduled[0]._when - self._start) / self._rate  # type: ignore[attr-defined]
        return at if at > soonest else soonest

    def run_due(self) -> None:
        """Run what is due."""
        before = events._get_running_loop()
        events._set_running_loop(self)
        try:
            self._run_once()  # type: ignore[attr-defined]
        finally:
            events._set_running_loop(before)

    def _process_events(self, event_list: list[Any]) -> None:
        pass

    def _write_to_self(self) -> None:
        pass


class Machine:
    """A loop, a clock, and whether it is alive."""

    def __init__(self, world: "World", name: str, rate: float = 1.0) -> None:
        self.world, self.name = world, name
        self.loop = VirtualLoop(world, rate, start=world.random.uniform(1e3, 1e6))
        self.is_alive = True
        self.tasks = TaskSet()
        self.ends: list[Any] = []
        """Of connections; the other ends notice when the machine ends."""
        world.machines.append(self)

    # The clock of `proxy.runtime.clock`.
    def boottime(self) -> float:
        return self.loop.time()

    monotonic = boottime

    def now(self) -> float:
        return 1_800_000_000 + self.loop.time()

    async def sleep(self, delay_s: float) -> None:
        await asyncio.sleep(delay_s)

    def spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        """Start a task on this machine's loop."""
        if self.is_alive:
            self.loop.call_soon(self.tasks.spawn, work)
        else:
            work.close()

    def pause(self, duration_s: float) -> None:
        """Stop everything for a while; the clock goes on."""
        self.loop.paused_until = self.world.now + duration_s

    def kill(self) -> None:
        """End at once; what its tasks do while they unwind reaches nothing."""
        for end in self.ends:
            end.end()
        self.is_alive = False
        self.loop.paused_until = 0.0
        self.world.machines.remove(self)
        for _ in range(100):
            for task in sorted(asyncio.all_tasks(self.loop), key=_number):
                task.cancel()
            self.loop.run_due()
            if not asyncio.all_tasks(self.loop):
                break
        else:
            raise AssertionError("a killed machine's tasks go on")
        self.loop.close()


def _number(task: "asyncio.Task[Any]") -> int:
    """In the order in which they were started."""
    return int(task.get_name().rpartition("-")[2])


class World:
    """Time and network."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)  # noqa: S311 — to be repeated
        self.now = 0.0
        self.machines: list[Machine] = []
        self.failures: list[str] = []
        """Of callbacks and tasks without an owner."""
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0
        self._cuts: dict[frozenset[str], int] = defaultdict(int)
        self._held: list[tuple[str, str, Hashable, Callable[[], None]]] = []
        self._order: dict[Hashable, float] = {}
        self.slow_share = 0.02
        """Of messages that are late."""
        self.late_s: dict[tuple[str, str], float] = {}
        """How late messages from one to another are, in addition."""
        self.late_kinds_s: dict[type, float] = {}
        """The same of messages of the fleet, by their class."""

    def at(self, time: float, event: Callable[[], None]) -> None:
        """Run `event` at a time of the world."""
        self._count += 1
        heapq.heappush(self._events, (max(time, self.now), self._count, event))

    def run(self, until: float) -> None:
        """Let time pass."""
        while True:
            machine_at, machine = self._next()
            event_at = self._events[0][0] if self._events else float("inf")
            if min(machine_at, event_at) > until:
                self.now = until
                return
            if event_at <= machine_at:
                self.now = max(self.now, event_at)
                heapq.heappop(self._events)[2]()
            elif machine is not None:
                self.now = machine_at
                machine.loop.run_due()

    def _next(self) -> tuple[float, Machine | None]:
        """The first machine of those with something due soonest, and when that is."""
        soonest, found = float("inf"), None
        for machine in self.machines:
            at = machine.loop.next_at()
            if at < soonest:
                soonest, found = at, machine
                if at <= self.now:
                    break
        return soonest, found

    def cut(self, one: str, other: str, duration_s: float) -> None:
        """Let nothing pass between two; what is sent meanwhile is late, or lost."""
        pair = frozenset((one, other))
        self._cuts[pair] += 1

        def heal() -> None:
            self._cuts[pair] -= 1
            held, self._held = self._held, []
            for sender, receiver, stream, deliver in held:
                self.send(sender, receiver, deliver, stream)

        self.at(self.now + duration_s, heal)

    def is_cut(self, one: str, other: str) -> bool:
        return self._cuts[frozenset((one, other))] > 0

    def send(
        self,
        sender: str,
        receiver: str,
        deliver: Callable[[], None],
        stream: Hashable = None,
        late_s: float = 0.0,
    ) -> None:
        """Deliver later; messages of one `stream` in their order, and never lost."""
        if self.is_cut(sender, receiver):
            if stream is not None or self.random.random() < 0.5:
                self._held.append((sender, receiver, stream, deliver))
            return
        delay_s = self.random.uniform(0.0001, 0.002) + late_s
        delay_s += self.late_s.get((sender, receiver), 0.0)
        if self.random.random() < self.slow_share:
            delay_s += self.random.choice((0.02, 0.1, 0.3, 1.0))
        arrives_at = self.now + delay_s
        if stream is not None:
            arrives_at = max(arrives_at, self._order.get(stream, 0.0) + 1e-6)
            self._order[stream] = arrives_at
        self.at(arrives_at, deliver)


class Reply(Generic[T]):
    """What a machine waits for; sent from elsewhere."""

    def __init__(self, receiver: Machine, sender: str) -> None:
        self.future: asyncio.Future[T] = receiver.loop.create_future()
        self._receiver, self._sender = receiver, sender

    def send(self, result: T) -> None:
        self._transmit(lambda: self.future.set_result(result))

    def fail(self, error: Exception) -> None:
        self._transmit(lambda: self.future.set_exception(error))

    def _transmit(self, settle: Callable[[], None]) -> None:
        def settle_once() -> None:
            if not self.future.done():
                settle()

        def arrive() -> None:
            if self._receiver.is_alive:
                self._receiver.loop.call_soon(settle_once)

        self._receiver.world.send(self._sender, self._receiver.name, arrive)


async def call(source: Machine, target: Machine, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """The result of work on another machine; ConnectionError if that ends."""
    reply = Reply[T](source, target.name)

    async def serve() -> None:
        try:
            reply.send(await work())
        except asyncio.CancelledError:
            reply.fail(ConnectionError("ended"))
            raise
        except Exception as error:  # noqa: BLE001 — goes to the caller
            reply.fail(error)

    def arrive() -> None:
        if target.is_alive:
            target.spawn(serve())
        else:
            reply.fail(ConnectionRefusedError("not alive"))

    source.world.send(source.name, target.name, arrive)
    return await reply.future

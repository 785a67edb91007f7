"""Channels between simulated machines: in order, with a notice of the end unless it is cut off."""

import asyncio
from collections import deque
from collections.abc import Callable

from proxy.fleet.channel import ChannelClosed
from proxy.fleet.protocol import Message, decode, encode
from tests.fleet.simulation.world import Machine


class End:
    """One end of a connection."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.other: End | None = None
        self.is_closed = False
        self._messages: deque[bytes] = deque()
        self._changed = asyncio.Event()

    async def send(self, message: Message) -> None:
        other = self.other
        if self.is_closed or not self.machine.is_alive or other is None:
            raise ChannelClosed
        content = encode(message)
        late_s = self.machine.world.late_kinds_s.get(type(message), 0.0)
        self._transmit(lambda: other.arrive(content), late_s)

    async def receive(self) -> Message:
        while True:
            if not self.machine.is_alive:
                raise ChannelClosed
            if self._messages:
                message = decode(self._messages.popleft())
                assert message is not None
                return message
            if self.is_closed:
                raise ChannelClosed
            self._changed.clear()
            await self._changed.wait()

    async def close(self) -> None:
        self.end()

    def end(self) -> None:
        """Close this end, and let the other know."""
        if not self.is_closed:
            self.is_closed = True
            self._changed.set()
            if self.other is not None:
                self._transmit(self.other.ended)

    def arrive(self, content: bytes) -> None:
        if self.machine.is_alive and not self.is_closed:
            self._messages.append(content)
            self.machine.loop.call_soon(self._changed.set)

    def ended(self) -> None:
        if self.machine.is_alive and not self.is_closed:
            self.is_closed = True
            self.machine.loop.call_soon(self._changed.set)

    def _transmit(self, deliver: Callable[[], None], late_s: float = 0.0) -> None:
        assert self.other is not None
        here, there = self.machine, self.other.machine
        stream = (id(self), here.name, there.name)
        here.world.send(here.name, there.name, deliver, stream, late_s)

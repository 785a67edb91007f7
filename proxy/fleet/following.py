"""Following: this node's session with the leader, from the connection to its end."""

import asyncio
from collections.abc import Callable

from msgspec.structs import replace

from proxy.fleet.channel import Channel, ChannelClosed
from proxy.fleet.lease import Sighting
from proxy.fleet.local import Local
from proxy.fleet.protocol import (
    Acknowledgement,
    Invalidation,
    Leaving,
    Message,
    Ping,
    Pong,
    Promise,
    PromiseRequest,
    Renewed,
    Status,
    Welcome,
)
from proxy.fleet.timing import GIVEN_TIMEOUT_S, HEARTBEAT_S, SESSION_TIMEOUT_S, TIMEOUT_S
from proxy.runtime.tasks import TaskSet


class Following:
    """The follower's side of the protocol."""

    def __init__(
        self,
        local: Local,
        address: str,
        changed: "Callable[[Following], None]",
        through: str = "",
    ) -> None:
        """`changed` is called when the session begins, and when the leader begins to leave."""
        self.address = address
        """Of the leader."""
        self.through = through
        """Address of the follower that passes the session on; empty: none is needed."""
        self.term = 0
        """0 before the welcome."""
        self.is_leaving = False
        """Whether the leader hands over and takes nothing new."""
        self._ends = False
        """Whether the leader has said so; it is no member any more when the session is over."""
        self._silent_at = local.now + TIMEOUT_S + SESSION_TIMEOUT_S
        """When the session is over without a pong."""
        self._local = local
        self._changed = changed
        self._channel: Channel | None = None
        self._tasks = TaskSet()

    async def run(self) -> None:
        """Join, and return when the session is over, or at once if the node is no leader."""
        try:
            self._channel = await self._local.connector.connect(self.through or self.address)
            if await self._join(self._channel):
                self._tasks.spawn(self._keep_pinging(self._channel))
                await self._receive_until_over(self._channel)
        except (ChannelClosed, TimeoutError):
            pass
        finally:
            self.is_leaving = True
            if self._local.is_given:
                self._local.near.end()  # its end is what the leader sees
            await self._tasks.stop()
            if self._channel is not None:
                await self._channel.close()
            if self._ends:
                self._local.members.leave(self.address)

    async def leave(self) -> None:
        """Say that this node ends, uses nothing any more and does not run for leader."""
        self._local.near.end()
        if self._channel is not None:
            try:
                async with asyncio.timeout(TIMEOUT_S):
                    await self._channel.send(Leaving())
            except (ChannelClosed, TimeoutError):
                return

    async def _join(self, channel: Channel) -> bool:
        near, through = self._local.near, {"through": self.through} if self.through else {}
        hello = replace(self._local.hello, term=near.term, number=near.store.seq)
        if through:
            hello = replace(hello, leader=self.address, keeps=False)
        await channel.send(hello)
        while True:
            match await self._next(channel):
                case Welcome(term=term, is_behind=is_behind, number=number):
                    near.begin(term, None if through else number)
                    self.term = term
                    self._received(is_behind=is_behind)
                    self._local.event(
                        "info", "following", leader=self.address, term=term, **through
                    )
                    self._changed(self)
                    return True
                case Status():
                    return False
                case message:
                    await self._reply(channel, message)

    async def _receive_until_over(self, channel: Channel) -> None:
        while True:
            match await self._next(channel):
                case Pong(acts=False):
                    return
                case Renewed(run_id=run_id, beat=beat):
                    self._saw(run_id, beat)
                case Pong() as pong:
                    self._saw(pong.run_id, pong.beat)
                    self._local.near.confirmed(pong, self._local.hello.config)
                    self._received(is_behind=pong.is_behind)
                case Leaving():
                    self.is_leaving = self._ends = True
                    self._changed(self)
                case message:
                    await self._reply(channel, message)

    async def _reply(self, channel: Channel, message: Message) -> None:
        """Promise, or invalidate, first; then say so."""
        match message:
            case PromiseRequest(number=number):
                self._local.election.promise(self._local.now)
                self._local.witness.promised()
                await channel.send(Promise(number))
            case Invalidation(number=number):
                self._local.near.apply(message)
                await channel.send(Acknowledgement(number))

    def _saw(self, run_id: str, beat: int) -> None:
        self._local.election.saw(Sighting(run_id, self.term, beat), self._local.now)

    def _received(self, *, is_behind: bool) -> None:
        local = self._local
        timeout_s = GIVEN_TIMEOUT_S if local.is_given else SESSION_TIMEOUT_S
        self._silent_at = local.now + timeout_s
        local.known_term = max(local.known_term, self.term)
        local.witness.received(self.term, is_behind=is_behind, now=local.now)

    async def _next(self, channel: Channel) -> Message:
        async with asyncio.timeout(self._silent_at - self._local.now):
            return await channel.receive()

    async def _keep_pinging(self, channel: Channel) -> None:
        number = 0
        while True:
            number += 1
            near, config = self._local.near, self._local.hello.config
            near.pinged(number)
            try:
                await channel.send(Ping(number, near.take_used(), config, near.kept))
            except ChannelClosed:
                return
            await self._local.clock.sleep(HEARTBEAT_S)

"""Leadership: one term of this node, from taking the lease to its end.

It renews the lease each HEARTBEAT_S; while Redis does not respond it requests promises instead. It
serves the sessions of the followers, each with its share of the barrier. When the term is over its
owner must look for a leader.
"""

import asyncio
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, field

from msgspec.structs import replace

from proxy.cache.store.succession import Succession
from proxy.errors import StoreError
from proxy.fleet.barrier import Barrier, Subscription
from proxy.fleet.channel import Channel, ChannelClosed
from proxy.fleet.lease import Renewal, Sighting
from proxy.fleet.local import Local
from proxy.fleet.protocol import (
    Acknowledgement,
    Hello,
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
from proxy.fleet.term import Term
from proxy.fleet.timing import HEARTBEAT_S, PROMISE_S, TIMEOUT_S, TRUST_S, at_least
from proxy.fleet.trust import PriorTrust
from proxy.runtime.tasks import TaskSet


@dataclass(slots=True)
class Session:
    """One follower's connection, as the leader sees it."""

    channel: Channel
    hello: Hello
    is_member: bool = False
    """Whether it was welcomed."""
    pinged_at: float = 0.0
    """CLOCK_BOOTTIME; 0 before the first ping."""
    kept: int = 0
    """Responses in the follower's near cache, as of its last ping."""
    subscription: Subscription | None = None
    """To invalidations; None: it keeps nothing."""
    is_closed: bool = False
    """Whether this end closed the channel, which says nothing of what the follower uses."""
    tasks: TaskSet = field(default_factory=TaskSet)
    _sending: asyncio.Lock = field(default_factory=asyncio.Lock)

    def pinged(self, ping: Ping, now: float) -> None:
        """The follower is alive, with the settings that it names."""
        self.pinged_at, self.kept = now, ping.kept
        if ping.config and ping.config != self.hello.config:
            self.hello = replace(self.hello, config=ping.config)

    async def send_invalidations(self) -> None:
        """Send each when it is made, until the session ends."""
        if self.subscription is None:
            return
        with suppress(ChannelClosed):
            while True:
                await self.subscription.is_pending.wait()
                await self.send_pending()

    async def send_pending(self) -> None:
        """Send those that are made; a pong that follows them arrives after them."""
        async with self._sending:
            message = self.subscription.take() if self.subscription is not None else None
            if message is not None:
                await self.channel.send(message)

    async def close(self) -> None:
        """Close the channel: the follower is to join anew."""
        self.is_closed = True
        await self.channel.close()

    async def end(self, *, is_gone: bool) -> None:
        """Send nothing any more; `is_gone`: for certain the follower uses nothing any more."""
        await self.tasks.stop()
        if self.subscription is not None:
            self.subscription.leave(is_gone=is_gone)


class Leadership:
    """The leader's side of the protocol."""

    def __init__(
        self, local: Local, number: int, acquired_at: float, trusting: set[str] | None
    ) -> None:
        """`acquired_at`: when the command that took the lease was sent.

        `trusting`: the nodes that may use what the last leader gave them, if Redis knows all nodes.
        """
        self.term = Term(number, acquired_at)
        prior = PriorTrust(acquired_at + at_least(TRUST_S))
        self.barrier = Barrier(local.clock, prior, local.barriers, number)
        self.is_leaving = False
        """Whether it hands over: it finishes what it has, and takes nothing new."""
        self.sessions: dict[str, Session] = {}
        """By address of the follower."""
        self._local = local
        self._trusting = trusting
        self._is_established = False
        self._beat = 0
        self._confirmed = Sighting("", number, 0)
        self._releasing = asyncio.Lock()
        self._tasks = TaskSet()

    def acts(self) -> bool:
        """Whether this node decides now."""
        local = self._local
        return self._is_established and self.term.acts(local.now, local.members.others)

    def has_consent(self) -> bool:
        """Whether all other members know that Redis may lack what is acknowledged now."""
        local = self._local
        return self.acts() and self.term.consent.is_unanimous(local.now, local.members.others)

    def heard_s(self, session: Session) -> float | None:
        """Seconds since the follower's last ping; None before the first."""
        return self._local.now - session.pinged_at if session.pinged_at else None

    async def run(self, established: Callable[[], None]) -> None:
        """Take over, and return when the term is over; `established` is called in between."""
        local, number = self._local, self.term.number
        renewing = self._tasks.spawn(self._renew_until_over())
        witnessed = local.witness.term(local.now)
        taking = self._tasks.spawn(
            local.duties.take_over(Succession(number, witnessed), self.barrier)
        )
        try:
            await asyncio.wait({renewing, taking}, return_when=asyncio.FIRST_COMPLETED)
            if taking.done() and taking.exception() is None and self.term.has_lease(local.now):
                self.barrier.expect(self._trusting if taking.result() else None)
                local.near.end()
                self._is_established = True
                local.witness.received(number, is_behind=True, now=local.now)
                local.event("info", "leading", term=number)
                established()
                await asyncio.wait({renewing})
        finally:
            await self._end()

    async def serve(self, channel: Channel, hello: Hello) -> None:
        """A follower's session, until it ends; ChannelClosed, or TimeoutError without messages."""
        members, address = self._local.members, hello.address
        if not members.has_room_for(address):
            await channel.send(Status(acts=False, has_promised=False))
            return
        before = self.sessions.pop(address, None)
        if before is not None:
            await before.close()
        session = self.sessions[address] = Session(channel, hello)
        is_gone = False
        try:
            if self.term.consent.is_requested:
                await channel.send(PromiseRequest(self.term.consent.request(self._local.now)))
            else:
                await self._admit(session)
            while True:
                # A worker that hangs is ended, and then its channel: no silence means that.
                async with asyncio.timeout(None if self._local.is_given else PROMISE_S):
                    message = await channel.receive()
                await self._received(session, message)
        except ChannelClosed:
            # Over a network it proves nothing.
            is_gone = self._local.is_given and not session.is_closed
            raise
        finally:
            await session.end(is_gone=is_gone)
            if self.sessions.get(address) is session:
                del self.sessions[address]

    async def hand_over(self) -> None:
        """Finish, write everything, and release the lease; then no node acts."""
        self.is_leaving = True
        await self._broadcast(Leaving())
        await self._local.duties.hand_over()
        async with self._releasing:
            self.term.end()
            with suppress(StoreError):
                await self._local.store.release(self.term.number, leaves=True)

    async def _end(self) -> None:
        """Nothing is decided here any more."""
        local, was_established = self._local, self._is_established
        self.term.end()
        self._is_established = False
        async with self._releasing:
            self.barrier.close()
        await self._tasks.stop()
        if was_established:
            is_behind = local.duties.is_behind or self.term.consent.is_requested
            local.witness.received(self.term.number, is_behind=is_behind, now=local.now)
            local.event("warning", "leading ended", term=self.term.number)
        local.duties.step_down()
        for session in [*self.sessions.values()]:
            await session.close()
        if not was_established:
            with suppress(StoreError):
                await local.store.release(self.term.number)

    async def _renew_until_over(self) -> None:
        local = self._local
        while self.term.acts(local.now, local.members.others):
            sent_at = local.now
            self._beat += 1
            forgotten = local.members.forgotten
            try:
                renewal = await local.store.renew(
                    self.term.number, self._beat, local.members.others, forgotten
                )
            except StoreError:
                if self._is_established:
                    await self._request_promises()
            else:
                if renewal is None:
                    self.term.end()
                    return
                await self._renewed(renewal, sent_at, forgotten)
            await local.clock.sleep(max(0.0, sent_at + HEARTBEAT_S - local.now))

    async def _renewed(self, renewal: Renewal, sent_at: float, forgotten: Collection[str]) -> None:
        local = self._local
        self.term.renewed(sent_at, local.now, local.members.others)
        self._confirmed = Sighting(renewal.run_id, self.term.number, self._beat)
        self._tasks.spawn(self._broadcast(Renewed(renewal.run_id, self._beat)))
        local.members.registered(renewal.members, forgotten, local.now)
        local.members.forget_silent(local.now)
        if self._is_established and local.duties.is_behind:
            await self._request_promises()
            return
        self.term.consent.clear()
        for session in [*self.sessions.values()]:
            if not session.is_member:
                self._tasks.spawn(self._admit(session))

    async def _request_promises(self) -> None:
        await self._broadcast(PromiseRequest(self.term.consent.request(self._local.now)))

    async def _admit(self, session: Session) -> None:
        """Make the follower a member: from now on its promise is needed."""
        if session.is_member:
            return
        session.is_member = True
        hello = session.hello
        self._local.members.add([hello.address], self._local.now)
        number = self.barrier.number
        if hello.keeps:
            applied = hello.number if hello.term == self.term.number else None
            session.subscription = self.barrier.join(hello.address, hello.instance, applied)
            number = session.subscription.number
        with suppress(ChannelClosed):
            await session.channel.send(Welcome(self.term.number, self._is_behind(), number))
            session.tasks.spawn(session.send_invalidations())

    async def _received(self, session: Session, message: Message) -> None:
        local, address = self._local, session.hello.address
        local.members.contact(address, local.now)
        match message:
            case Ping(number=number, used=used):
                session.pinged(message, local.now)
                local.duties.note_uses(used)
                await self._trust(session)
                await session.channel.send(self._pong(number))
            case Acknowledgement(number=number) if session.subscription is not None:
                session.subscription.acknowledged(number)
            case Promise(number=number):
                if self.term.promised(address, number, local.now, local.members.others):
                    await self._admit(session)
            case Leaving():
                local.members.leave(address)
                if session.subscription is not None:
                    session.subscription.leave(is_gone=True)
            case _:
                pass

    async def _trust(self, session: Session) -> None:
        """Extend the trust in what the follower keeps; TimeoutError for one that is too slow."""
        if session.subscription is None:
            self.barrier.joined(session.hello.address)
        elif not session.subscription.pinged():
            raise TimeoutError
        await session.send_pending()

    def _pong(self, number: int) -> Pong:
        local, (run_id, _, beat) = self._local, self._confirmed
        return Pong(
            number,
            acts=self.acts(),
            is_behind=self._is_behind(),
            run_id=run_id,
            beat=beat,
            watched_s=local.duties.watched_s,
            config=local.hello.config,
            wants_sample=local.duties.wants_sample,
        )

    def _is_behind(self) -> bool:
        return self._local.duties.is_behind or self.term.consent.is_requested

    async def _broadcast(self, message: Message) -> None:
        """Send to all sessions; one that does not take it is closed."""

        async def send(session: Session) -> None:
            try:
                async with asyncio.timeout(TIMEOUT_S):
                    await session.channel.send(message)
            except (ChannelClosed, TimeoutError):
                await session.close()

        sends = [self._tasks.spawn(send(each)) for each in self.sessions.values()]
        if sends:
            await asyncio.wait(sends, timeout=TIMEOUT_S)

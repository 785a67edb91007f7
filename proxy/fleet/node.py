"""Node: this process as a member of the fleet; the interface for everything above.

    node = Node(local)
    node.start()                                    # looks for a leader, or becomes it
    leader = await node.wait_for_leader(deadline)   # Leader(address, term, is_self, through)
    leadership = node.leadership                    # if leader.is_self, at arrival of each request;
                                                    # None: it is not the leader after all
    await node.serve(channel)                       # each connection from another node
    await node.stop()                               # hands over; after its last client was served

Deadlines are of `local.clock.boottime()`. A request is relayed to `leader.address`, or to the
follower `leader.through`, which passes it on. If it fails before anything was sent, or is a read,
it may wait for the next leader and be relayed again; a write that was sent is `LeaderLost`.
`node.role` is APART when there has been no leader for APART_AFTER_S: then reads are requested from
Trello by the node itself, nothing stored is used, and writes fail.
"""

import asyncio
from collections.abc import Callable, Collection
from contextlib import suppress
from enum import StrEnum
from math import inf
from typing import NamedTuple

from msgspec.structs import replace

from proxy.errors import StoreError
from proxy.fleet.channel import Channel, ChannelClosed
from proxy.fleet.errors import NoLeader
from proxy.fleet.following import Following
from proxy.fleet.leadership import Leadership
from proxy.fleet.lease import Record, Sighting
from proxy.fleet.local import Local
from proxy.fleet.passage import carry
from proxy.fleet.protocol import PROTOCOL, Hello, Status, StatusRequest
from proxy.fleet.timing import DIRECT_S, LOOK_S, RETRY_S, SESSION_TIMEOUT_S, TIMEOUT_S
from proxy.runtime.tasks import TaskSet


class Role(StrEnum):
    """What a node does with a request."""

    LEADER = "leader"
    """Decides."""
    FOLLOWER = "follower"
    """Relays it to the leader."""
    SEEKING = "seeking"
    """Waits for a leader."""
    APART = "apart"
    """Has waited too long: requests reads from Trello by itself."""


class Leader(NamedTuple):
    """The leader of a term."""

    address: str
    term: int
    is_self: bool
    through: str = ""
    """Address of the follower through which it is reached; empty: none is needed."""


class Node:
    """Seeks, follows or leads."""

    def __init__(self, local: Local) -> None:
        self._local = local
        self._leadership: Leadership | None = None
        self._following: Following | None = None
        self._lost: Sighting | None = None
        """The lease, as it was when its holder was last tried."""
        self._changed = asyncio.Event()
        self._is_stopping = False
        self._tasks = TaskSet()

    @property
    def role(self) -> Role:
        """As of now."""
        if self.acts():
            return Role.LEADER
        if self._following is not None:
            return Role.FOLLOWER
        return Role.APART if self._local.apart_in_s() == 0 else Role.SEEKING

    @property
    def term(self) -> int:
        """The largest term of which this node knows; 0: none."""
        return self._local.known_term

    @property
    def members(self) -> frozenset[str]:
        """Addresses of all nodes, as far as known, with this one."""
        return frozenset(self._local.members.others) | {self._local.address}

    @property
    def leadership(self) -> Leadership | None:
        """This node's term as the leader; None unless it acts now.

        A read that finds it acting may be served to its end: it is concurrent with whatever a later
        leader does. A write checks it again, by `WriteIntents`.
        """
        return self._leadership if self.acts() else None

    @property
    def leader(self) -> Leader | None:
        """The leader that takes requests now."""
        leading, following = self._leadership, self._following
        if leading is not None and self.acts():
            here = Leader(self._local.address, leading.term.number, is_self=True)
            return None if leading.is_leaving else here
        if following is not None and not following.is_leaving:
            return _leader_of(following)
        return None

    @property
    def hello(self) -> Hello:
        """How this node introduces itself."""
        return self._local.hello

    @property
    def address(self) -> str:
        """Where other nodes reach this one."""
        return self._local.address

    def forget(self, address: str) -> None:
        """The node at `address` is gone for good: its promise is not needed any more."""
        self._local.members.leave(address)

    def acts(self) -> bool:
        """Whether this node is the leader and may decide now."""
        return self._leadership is not None and self._leadership.acts()

    async def wait_for_leader(self, deadline: float) -> Leader:
        """The leader; NoLeader if there is none at `deadline`, or at once while apart."""
        while True:
            changed, leader, now = self._changed, self.leader, self._local.now
            if leader is not None:
                return leader
            apart_in_s = self._local.apart_in_s()
            left_s = min(deadline - now, deadline - now if apart_in_s is None else apart_in_s)
            if left_s <= 0:
                raise NoLeader
            with suppress(TimeoutError):
                async with asyncio.timeout(left_s):
                    await changed.wait()

    def reaches(self, leader: Leader) -> bool:
        """Whether it is this node, or there is a session with it, be it leaving or not."""
        if leader.is_self:
            return self.acts() and leader.term == self.term
        return self._following is not None and _leader_of(self._following) == leader

    async def wait_for_change(self) -> None:
        """Return when the leader, or whether it can be reached, may have changed."""
        await self._changed.wait()

    def start(self) -> None:
        """Begin to seek a leader."""
        self._tasks.spawn(self._run())

    async def stop(self) -> None:
        """Hand over if this node leads, and leave the fleet."""
        self._is_stopping = True
        if self._leadership is not None:
            self._note_change()
            if self.acts():
                await self._leadership.hand_over()
        elif self._following is not None:
            await self._following.leave()
        await self._tasks.stop()
        with suppress(StoreError):
            await self._local.store.close()

    async def serve(self, channel: Channel) -> None:
        """Serve a connection that another node opened, until it ends."""
        try:
            async with asyncio.timeout(SESSION_TIMEOUT_S):
                first = await channel.receive()
            leader = self.leader
            if isinstance(first, Hello) and first.leader not in ("", self.address):
                await self._pass_on(channel, first)
            elif isinstance(first, Hello) and self._leadership and leader and leader.is_self:
                if first.protocol == PROTOCOL:
                    await self._leadership.serve(channel, first)
            elif isinstance(first, Hello | StatusRequest):
                await channel.send(self._status())
        except (ChannelClosed, TimeoutError):
            pass
        finally:
            await channel.close()

    async def _pass_on(self, channel: Channel, hello: Hello) -> None:
        """Carry the session of a node that cannot reach this one's leader.

        Not where this node needs another one itself, or the session came through one.
        """
        leader = self._own_leader
        if leader is None or leader.address != hello.leader or hello.through:
            await channel.send(self._status())
            return
        to_leader = await self._local.connector.connect(leader.address)
        try:
            await to_leader.send(replace(hello, through=self.address))
            await carry(channel, to_leader)
        finally:
            await to_leader.close()

    @property
    def _own_leader(self) -> Leader | None:
        """The leader, if this node needs no other to reach it."""
        leader = self.leader
        return None if leader is None or leader.through else leader

    def _status(self) -> Status:
        local, leader = self._local, self._own_leader
        return Status(
            acts=self.acts(),
            has_promised=local.election.has_promised(local.now),
            leader=leader.address if leader else "",
            term=local.known_term,
        )

    async def _run(self) -> None:
        """Rounds until the node stops; one that fails by a fault of the program is logged."""
        while not self._is_stopping:
            one = self._tasks.spawn(self._round())
            await asyncio.wait({one})
            wait_s = RETRY_S
            if one.cancelled() or one.exception() is not None:
                self._local.log.event("error", "fleet failed", error=repr(one.exception()))
            else:
                wait_s = one.result()
            await self._local.clock.sleep(wait_s)

    async def _round(self) -> float:
        """Look for a leader, and follow or lead once; seconds until the next round."""
        local = self._local
        local.election.seek(local.now)
        try:
            record = await local.store.look()
        except StoreError:
            await self._find_fellow()
            return RETRY_S
        if local.election.is_forgotten(record):
            local.log.event_once_a_minute("error", "redis forgets")
        local.election.looked(record, local.now)
        local.members.add(record.members, local.now)
        local.known_term = max(local.known_term, record.term)
        if await self._follow_holder(record):
            return 0
        wait_s = local.election.wait_s(local.now)
        if wait_s == 0 and await self._may_run(record):
            await self._lead(record)
        return min(wait_s, LOOK_S) or LOOK_S

    async def _follow_holder(self, record: Record) -> bool:
        """Follow the holder of the lease, if it is another node; whether there was a session.

        It is not tried again when the lease may be taken: that may need TIMEOUT_S. A leader that is
        given is: there is no other.
        """
        election, sighting = self._local.election, record.sighting
        if record.is_free or record.address in ("", self.address):
            return False
        may_take = not self._local.is_given and election.wait_s(self._local.now) == 0
        if sighting == self._lost and may_take:
            return False
        self._lost = sighting
        if await self._follow(record.address):
            return True
        return election.is_renewed and await self._find_fellow(record.address)

    async def _may_run(self, record: Record) -> bool:
        """Whether no leader acts with the consent of members but without this node's.

        A member of the last term knows it: it has not promised. Any other node has to ask.
        """
        if record.is_free or self._local.witness.is_member(record.term, self._local.now):
            return True
        return not await self._find_fellow()

    async def _find_fellow(self, unreachable: str = "") -> bool:
        """Follow the leader that another member is, or knows; whether one acts, or may be acting.

        `unreachable`: a member that was asked in vain.
        """
        statuses = await self._statuses_of({*self._local.members.others} - {unreachable})
        for address, status in statuses.items():
            if status.acts:
                await self._follow(address)
                return True
        for fellow, status in statuses.items():
            knows = status.leader not in ("", self.address)
            if knows and await self._follow_through(status.leader, fellow):
                return True
        return any(status.has_promised for status in statuses.values())

    async def _statuses_of(self, addresses: Collection[str]) -> dict[str, Status]:
        """The statuses of those that can be reached."""
        requests = {each: self._tasks.spawn(self._status_of(each)) for each in sorted(addresses)}
        if requests:
            await asyncio.wait(requests.values())
        found = {address: each.result() for address, each in requests.items()}
        return {address: status for address, status in found.items() if status is not None}

    async def _status_of(self, address: str) -> Status | None:
        try:
            async with asyncio.timeout(TIMEOUT_S):
                channel = await self._local.connector.connect(address)
                try:
                    await channel.send(StatusRequest())
                    message = await channel.receive()
                finally:
                    await channel.close()
        except (ChannelClosed, TimeoutError):
            return None
        return message if isinstance(message, Status) else None

    async def _follow(
        self, address: str, joined: Callable[[Following], None] | None = None
    ) -> bool:
        """Follow until the session is over; whether there was one."""
        following = Following(self._local, address, joined or self._note_following)
        try:
            await following.run()
        finally:
            self._end_following(following)
        return following.term > 0

    async def _follow_through(self, address: str, fellow: str) -> bool:
        """Follow through another follower until the session is over; whether there was one.

        Once the leader can be reached without it, a session of this node's own replaces it.
        """
        following = Following(self._local, address, self._note_following, fellow)
        session = self._tasks.spawn(following.run())

        def joined(direct: Following) -> None:
            session.cancel()  # nothing that it receives counts any more
            self._note_following(direct)

        try:
            while not session.done():
                await asyncio.wait({session}, timeout=DIRECT_S)
                status = None if session.done() else await self._status_of(address)
                if status is not None and status.acts:
                    await self._follow(address, joined)
        finally:
            session.cancel()
            await asyncio.wait({session})
            self._end_following(following)
        return following.term > 0

    async def _lead(self, record: Record) -> None:
        """Take the lease, and lead until the term is over."""
        local = self._local
        sent_at = inf if local.is_given else local.now
        with suppress(StoreError):
            term = await local.store.acquire(record.sighting, local.known_term)
            if term is not None:
                local.known_term = term
                trusting = set(local.members.others)
                if local.witness.is_member(record.term, sent_at):
                    trusting.discard(record.address)  # it has led, and kept nothing then
                leadership = self._leadership = Leadership(local, term, sent_at, trusting)
                try:
                    await leadership.run(self._settled)
                finally:
                    self._leadership = None
                    self._note_change()

    def _note_following(self, following: Following) -> None:
        """Its session began, or its leader begins to leave."""
        if not following.is_leaving:
            self._following = following
        self._settled()

    def _end_following(self, following: Following) -> None:
        if self._following is following:
            self._following = None
            self._note_change()

    def _settled(self) -> None:
        """There is a leader, or the leader begins to leave."""
        self._local.election.settle()
        self._note_change()

    def _note_change(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


def _leader_of(following: Following) -> Leader:
    return Leader(following.address, following.term, is_self=False, through=following.through)

"""A token's limits: which buckets a request of it draws from, and the lines that wait for them."""

import asyncio
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from math import inf

from proxy.config import Limits
from proxy.flow.line import Line
from proxy.model import CacheKey, Credential, Fields, Urgency
from proxy.policy.limits import Limit, RouteLimit
from proxy.policy.pace import SHARE
from proxy.units import Rate
from proxy.upstream.budget import Bucket, Sent
from proxy.upstream.statement import MOST_NAMES, statements
from proxy.upstream.told import Told

STORM = 50
"""So many 429s in one window of the key's stop it whole: at 200 Trello would lock it."""
MOST_ACCOUNTS = 1000
"""Tokens of clients' own; the one that was used longest ago is forgotten."""
_NAMES: dict[Limit, str] = {"key": "api-key", "token": "api-token"}
"""What Trello's answers call them; the routes' are never told of."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A request that was counted; `before` it, its token had sent so many."""

    sent: tuple[Sent, ...]
    before: int


@dataclass(slots=True, eq=False)
class Waiter:
    """A request that waits for its turn."""

    urgency: Urgency
    tool: str
    lane: "Lane"
    key: CacheKey
    since: float
    due: float
    """When it should have its turn, as foreseen when it came."""
    granted: "asyncio.Future[Taken]"
    task: "asyncio.Task[object] | None" = field(default_factory=asyncio.current_task)


@dataclass(slots=True)
class Key:
    """What all tokens of one key share."""

    bucket: Bucket
    refused: deque[float] = field(default_factory=lambda: deque(maxlen=STORM))
    """When the last 429s came."""


class Lane:
    """Requests that draw from the same buckets, and those of them that wait."""

    def __init__(
        self, account: "Account", buckets: tuple[tuple[Limit, Bucket], ...], share: Bucket | None
    ) -> None:
        """`share`: what they keep to besides, of their own accord."""
        self.account = account
        self.buckets = buckets
        self.line: Line[Waiter] = Line()
        self._all = tuple(bucket for _, bucket in buckets) + ((share,) if share else ())
        names = [_NAMES.get(limit, "") for limit, _ in buckets]
        self._names = (*names, "") if share else tuple(names)

    def earliest(self, now: float, urgency: Urgency, *, in_line: bool = True) -> float:
        """When one more may go; `inf` where only an answer can tell."""
        for_people = urgency is Urgency.PERSON
        at = now
        for bucket in self._all:
            at = max(at, bucket.earliest(now, for_people=for_people, in_line=in_line))
        for told in self.account.told.values():
            at = max(at, told.earliest(now, self.account.sent))
        return at

    def is_held_up(self, now: float, lane: "Lane") -> bool:
        """Whether who waits here waits for a bucket that `lane` does not draw from."""
        return any(
            bucket.earliest(now, for_people=False, in_line=True) > now
            for bucket in self._all
            if bucket not in lane._all
        )

    def take(self, now: float) -> Taken:
        """Count one that goes now, in every bucket."""
        before = self.account.sent
        self.account.sent += 1
        return Taken(tuple([bucket.take(now) for bucket in self._all]), before)

    def give_back(self) -> None:
        """One never left the machine."""
        for bucket in self._all:
            bucket.give_back()

    def end(self, taken: Taken, now: float, fields: Fields) -> None:
        """One was answered, with these fields; or will not be."""
        said = statements(fields)
        for bucket, name, sent in zip(self._all, self._names, taken.sent, strict=True):
            bucket.end(sent, now, said.pop(name, None))
        told = self.account.told
        for name, statement in said.items():
            if name in told or len(told) < MOST_NAMES:
                told.setdefault(name, Told()).hear(statement, taken.sent[0].at, taken.before)

    def due(self, now: float, urgency: Urgency, ahead: dict[Bucket, int]) -> tuple[Limit, float]:
        """When one with so many `ahead` of it may go, and which limit decides that."""
        for_people = urgency is Urgency.PERSON
        late: tuple[Limit, float] = ("token", now)
        for limit, bucket in self.buckets:
            at = bucket.due(now, ahead[bucket] + 1, for_people=for_people)
            late = max(late, (limit, at), key=lambda each: each[1])
        at = max(late[1], self.earliest(now, urgency))
        return (late[0], at) if at < inf else late


class Account:
    """One token's buckets; `sent` counts its requests, ever."""

    def __init__(self, limits: Limits, key: Key) -> None:
        self.key = key
        self.sent = 0
        self.told: dict[str, Told] = {}
        self.token = _bucket(limits.token)
        self._routes: dict[RouteLimit, Bucket] = {
            "members": _bucket(limits.members),
            "search": _bucket(limits.search),
        }
        self._share = _bucket(_share_of(limits))
        self._lanes: dict[tuple[RouteLimit | None, bool], Lane] = {}

    def lane(self, route: RouteLimit | None, *, is_watch: bool) -> Lane:
        """Where requests under this limit wait; the watcher keeps to a fifth of the token's."""
        found = self._lanes.get((route, is_watch))
        if found is None:
            buckets: tuple[tuple[Limit, Bucket], ...]
            buckets = (("key", self.key.bucket), ("token", self.token))
            if route is not None:
                buckets = (*buckets, (route, self._routes[route]))
            found = Lane(self, buckets, self._share if is_watch else None)
            self._lanes[route, is_watch] = found
        return found

    def buckets(self) -> dict[Limit, Bucket]:
        """All that Trello has for it, by name."""
        routes = self._routes
        return {
            "key": self.key.bucket,
            "token": self.token,
            "members": routes["members"],
            "search": routes["search"],
        }

    def keep_to(self, limits: Limits) -> None:
        """Other limits, from here on."""
        share = _share_of(limits)
        self._share.keep_to(share.count, share.window_s)
        for name, bucket in self.buckets().items():
            rate: Rate = getattr(limits, name)
            bucket.keep_to(rate.count, rate.window_s)

    def stop(self, name: str, now: float, jitter: float) -> None:
        """A bucket ran over; so many of them at once, and the key rests."""
        for limit, bucket in self.buckets().items():
            if limit == name:
                bucket.stop(now, jitter)
                break
        else:
            if name in self.told or len(self.told) < MOST_NAMES:
                self.told.setdefault(name, Told()).stop(now, jitter)
        refused = self.key.refused
        refused.append(now)
        if len(refused) == STORM and now - refused[0] < self.key.bucket.window_s:
            self.key.bucket.stop(now, jitter)


class Accounts:
    """The tokens that were used lately, MOST_ACCOUNTS of them."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._keys: OrderedDict[str, Key] = OrderedDict()
        self._accounts: OrderedDict[Credential, Account] = OrderedDict()

    def keep_to(self, limits: Limits) -> None:
        """Other limits, from here on."""
        self._limits = limits
        for account in self._accounts.values():
            account.keep_to(limits)

    def __len__(self) -> int:
        return len(self._accounts)

    def of(self, credential: Credential) -> Account:
        """A token's buckets, new where it was not seen lately."""
        found = self._accounts.get(credential)
        if found is None:
            key = self._keys.get(credential.key) or Key(_bucket(self._limits.key))
            self._keys[credential.key] = key
            found = self._accounts[credential] = Account(self._limits, key)
            for known in (self._accounts, self._keys):
                if len(known) > MOST_ACCOUNTS:
                    known.popitem(last=False)
        self._accounts.move_to_end(credential)
        if credential.key in self._keys:
            self._keys.move_to_end(credential.key)
        return found


def _share_of(limits: Limits) -> Rate:
    """The watcher's."""
    return Rate(max(1, limits.token.count // SHARE), limits.token.window_s)


def _bucket(rate: Rate) -> Bucket:
    return Bucket(rate.count, rate.window_s)

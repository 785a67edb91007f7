"""Boards: which are watched and since which `seq`, and which are in use.

The state that requests and change detection share. The board poller updates the watched boards
after every good poll, lookups read them. Without a recent poll no board counts as watched, and the
ordinary lifetimes hold. Lookups and changes are noted here too: the poller is suspended until a
lookup, and acts at once after a change.
"""

import asyncio
import math
from collections.abc import Collection, Iterable, Mapping, Set
from dataclasses import replace
from typing import Protocol

from proxy.model import Lifetimes, StoredResponse, Tag, is_id
from proxy.runtime.clock import Clock
from proxy.trello.message import ApiRequest
from proxy.trello.read_operations import PEOPLE
from proxy.trello.tags import ALL_OF_KIND, INFERRED, SPANNING

MAX_ACTIVE_BOARDS = 200
"""Webhooks; a further board waits until one is idle, so that boards do not alternate."""
IDLE_S = 86_400.0
"""Seconds without a stored response after which a board is idle."""
MAX_CHANGED_TAGS = 1_000
"""Tags of changes remembered for the poller; what further ones changed is not refetched."""
UNCOUNTED_S = 60.0
"""Lifetime of watched actions where boards show only when they were last active."""
OWN_MEMBER = Tag("member:me")
"""On what was requested of the account itself."""
_OF_BOARDS = frozenset({"board", "cards-of"})
"""Kinds of tags that name a board."""
_BESIDE_BOARDS = frozenset({"enterprise", "member", "organization", "plugin", "token", "webhook"})
"""Kinds of tags that change without any board's version."""


class ActiveBoards:
    """Ids of boards in use, with the time of the last stored response of each; bounded."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seen_at: dict[str, float] = {}

    def note(self, request: ApiRequest, stored: StoredResponse) -> None:
        """Note a stored response of the stored credential, which surely sees the board."""
        if request.uses_stored_credential:
            for board in boards_of(stored.tags):
                self.see(board)

    def see(self, board: str) -> None:
        """Note that the board is in use now."""
        if board in self._seen_at or len(self._seen_at) < MAX_ACTIVE_BOARDS:
            self._seen_at[board] = self._clock.monotonic()

    def recent(self) -> list[str]:
        """The boards seen within IDLE_S."""
        idle_since = self._clock.monotonic() - IDLE_S
        self._seen_at = {board: at for board, at in self._seen_at.items() if at > idle_since}
        return list(self._seen_at)


class Watch(Protocol):
    """Whether watched boards count as watched."""

    @property
    def current_until(self) -> float:
        """POSIX seconds up to which they do, without another poll."""

    def is_current(self, now: float) -> bool:
        """Whether they do."""


class WatchedBoards:
    """The boards of the last good poll, usable for some seconds; and the need for polls."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.usable_s = 0.0
        """Seconds after it was sent for which the last good poll is recent enough."""
        self._since: Mapping[str, int] = {}
        self._is_counted = False
        self._count = 0
        self.polled_at = -math.inf
        """POSIX seconds when the last good poll was sent: a clock set back and a machine that
        slept both make it look old, never recent."""
        self.needed_since = clock.now()
        """POSIX seconds since when polls are due: the start, or the first lookup when suspended."""
        self._read_at = clock.monotonic()
        self._read = asyncio.Event()
        self._read.set()
        self.changed = asyncio.Event()
        """Set by a change that is known without a poll, until the poller takes its tags."""
        self._changed_tags: set[Tag] = set()

    def __len__(self) -> int:
        """Number of boards watched now."""
        return self._count if self.is_current(self._clock.now()) else 0

    def update(
        self,
        since: Mapping[str, int],
        polled_at: float,
        *,
        usable_s: float,
        count: int,
        is_counted: bool,
    ) -> None:
        """Replace what is known by a good poll. `since`: the `seq` from which a board is watched,
        by id and by shortLink, and the list of all of them, by SPANNING; `is_counted`: every board
        shows a count of its updates."""
        self._since, self.polled_at, self.usable_s = since, polled_at, usable_s
        self._count, self._is_counted = count, is_counted

    def clock_set_back(self) -> None:
        """Watch nothing until the next good poll: the times noted here may be in the future."""
        self.polled_at = -math.inf
        self.needed_since = self._clock.now()

    def is_current(self, now: float) -> bool:
        """Whether the last good poll is recent enough to rely on."""
        return 0.0 <= now - self.polled_at <= self.usable_s

    @property
    def current_until(self) -> float:
        """POSIX seconds up to which the last good poll is recent enough."""
        return self.polled_at + self.usable_s

    def lifetimes(self, stored: StoredResponse, plain: Lifetimes) -> Lifetimes:
        """The longer lifetimes where every board of `stored` is watched, else `plain`."""
        if plain.lifetime_watched_s is None or not self.watches(stored):
            return plain
        return watched_lifetimes(plain, stored.tags, counted=self._is_counted)

    def watches(self, stored: StoredResponse) -> bool:
        """Whether a change of what `stored` shows would have been noticed."""
        is_current = self.is_current(self._clock.now())
        return is_current and is_watched(stored.tags, stored.requested_seq, self._since)

    @property
    def is_read(self) -> bool:
        """Whether anything was looked up since the poller was last suspended."""
        return self._read.is_set()

    def note_read(self) -> None:
        """Note a client's lookup; a suspended poller resumes."""
        self._read_at = self._clock.monotonic()
        if not self.is_read:
            self.needed_since = self._clock.now()
            self._read.set()

    async def wait_for_reader(self, idle_after_s: float) -> None:
        """Return at the next lookup, or at once if there was one within these seconds."""
        if self._clock.monotonic() - self._read_at >= idle_after_s:
            self._read.clear()
            await self._read.wait()

    def note_change(self, tags: Collection[Tag]) -> None:
        """Note a change that invalidated `tags`: by a write through the proxy, or delivered.

        What was in use is refetched; after a poll, unless webhooks report changes. What is
        requested after that poll stays watched. The next regular poll would call the board changed,
        and with it everything requested since the change.
        """
        if len(self._changed_tags) < MAX_CHANGED_TAGS:
            self._changed_tags.update(tags)
        self.changed.set()

    def take_changed(self) -> Set[Tag]:
        """The tags that were noted since the last call."""
        tags, self._changed_tags = self._changed_tags, set()
        self.changed.clear()
        return tags


def boards_of(tags: Iterable[Tag]) -> Set[str]:
    """The ids of the boards that a response with these tags shows, whole or in part."""
    pairs = (tag.partition(":") for tag in tags)
    return {name for kind, _, name in pairs if kind in _OF_BOARDS and is_id(name)}


def is_watched(tags: Iterable[Tag], requested_seq: int, since: Mapping[str, int]) -> bool:
    """Whether every board a response depends on was watched when the response was requested.

    A board that was inferred counts: it was learned while it was watched, and a card that leaves
    it changes its version. A list of boards is watched if it is the one that is polled.
    """
    of_boards = False
    shown = frozenset(tags)
    for tag in shown:
        kind, _, name = tag.partition(":")
        if kind == SPANNING:
            if OWN_MEMBER not in shown or requested_seq < since.get(SPANNING, math.inf):
                return False
            of_boards = True
        if kind in _OF_BOARDS and name not in (ALL_OF_KIND, INFERRED):
            if name not in since or requested_seq < since[name]:
                return False
            of_boards = True
    return of_boards


def watched_lifetimes(lifetimes: Lifetimes, tags: Iterable[Tag], *, counted: bool) -> Lifetimes:
    """The lifetimes of a watched response; one that shows people lives no longer than they do.

    `counted`: whether every board's updates are counted. A date of activity alone need not move
    when a comment is edited or deleted.
    """
    watched_s = lifetimes.lifetime_watched_s
    if watched_s is None:
        return lifetimes
    kinds = {tag.partition(":")[0] for tag in tags}
    if kinds & _BESIDE_BOARDS:
        watched_s = min(watched_s, PEOPLE.lifetime_s)
    if "action" in kinds and not counted:
        watched_s = min(watched_s, UNCOUNTED_S)
    return replace(lifetimes, lifetime_s=max(lifetimes.lifetime_s, watched_s))

"""Tag epochs: a response is valid if it was requested after the last invalidation of its tags.

One number, `seq`, advances with every invalidation; each tag has the `seq` of its last one. A
stored response has the `seq` at which it was requested, and is valid while none of its tags was
invalidated later. The same comparison decides whether a response that is being received may be
stored, and whether a request may be collapsed onto another one.

A soft purge is recorded in the same way, under the tag with STALE_PREFIX: responses requested
before it are stale, and may still be served for an upstream failure. Pure and in memory.
"""

from collections.abc import Iterable, Mapping
from itertools import takewhile

from proxy.model import Tag

MAX_TAGS = 100_000
"""Beyond it the older half is dropped, and responses requested before that become invalid."""
STALE_PREFIX = "outdated "
"""No tag begins with it; it is stored on disk."""


class TagEpochs:
    """The last invalidation of each tag; bounded."""

    def __init__(self, seq: int) -> None:
        self.seq = seq
        self.min_valid_seq = 0
        """A response requested below this `seq` is invalid, whatever its tags."""
        self._last: dict[Tag, int] = {}
        self._stale_tags = 0
        """The `seq` of the last soft purge: a response requested at or after it is not stale."""

    def __len__(self) -> int:
        return len(self._last)

    @property
    def last(self) -> Mapping[Tag, int]:
        """The `seq` of each tag's last invalidation, the earliest first."""
        return self._last

    def invalidate(self, tags: Iterable[Tag]) -> int:
        """Invalidate `tags` now; the new `seq`."""
        self.seq += 1
        for tag in tags:
            self._last.pop(tag, None)
            self._last[tag] = self.seq
        if len(self._last) > MAX_TAGS:
            self._forget()
        return self.seq

    def since(self, seq: int) -> list[Tag] | None:
        """The tags invalidated after `seq`; None if not all of them are known any more."""
        if seq < self.min_valid_seq:
            return None
        return [*takewhile(lambda tag: self._last[tag] > seq, reversed(self._last))]

    def mark_stale(self, tags: Iterable[Tag]) -> tuple[Tag, ...]:
        """Mark responses with `tags` requested until now stale; the names of the epochs."""
        names = tuple(Tag(STALE_PREFIX + tag) for tag in tags)
        self._stale_tags = self.invalidate(names)
        return names

    def again(self, names: Iterable[Tag]) -> int:
        """Repeat invalidations and soft purges, by the names of their epochs; the new `seq`."""
        self._stale_tags = self.invalidate(names)
        return self._stale_tags

    def restore(self, last: Mapping[Tag, int], floor: int) -> None:
        """Merge the epochs of an earlier process; the later of two counts."""
        self._last = {
            **last,
            **{tag: max(seq, last.get(tag, 0)) for tag, seq in self._last.items()},
        }
        self.min_valid_seq = max(self.min_valid_seq, floor)
        self.seq = max(self.seq, self.min_valid_seq, *last.values(), 0)
        self._stale_tags = self.seq

    def is_current(self, tags: Iterable[Tag], requested_seq: int) -> bool:
        """Whether none of `tags` was invalidated after `requested_seq`."""
        last = self._last
        return requested_seq >= self.min_valid_seq and all(
            last.get(tag, 0) <= requested_seq for tag in tags
        )

    def is_stale(self, tags: Iterable[Tag], requested_seq: int) -> bool:
        """Whether one of `tags` was marked stale after `requested_seq`."""
        if requested_seq >= self._stale_tags:
            return False
        last = self._last
        return any(last.get(Tag(STALE_PREFIX + tag), 0) > requested_seq for tag in tags)

    def _forget(self) -> None:
        # Insertion order is order of invalidation: `invalidate` inserts anew.
        for tag in list(self._last)[: -(MAX_TAGS // 2)]:
            self.min_valid_seq = max(self.min_valid_seq, self._last.pop(tag))

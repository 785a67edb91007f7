"""Which invalidation came after which question; pure and in memory.

One number, `seq`, advances with every invalidation; each tag remembers the `seq` of its last one.
A stored response knows the `seq` at which Trello was asked, and is usable while none of its tags
was invalidated later. That answers three questions at once: whether a stored response may be used,
whether an answer still in flight may be stored, and whether a flight may be joined.

An outdating is the weaker invalidation: what was asked for before it is stale, and may still serve
an error. It is remembered in the same way, under the tag's name with OUTDATED before it.
"""

from collections.abc import Iterable, Mapping

from proxy.model import Tag

MAX_TAGS = 100_000
"""Above it the older half is forgotten, and everything asked for before it counts as invalid."""
STALE_PREFIX = "outdated "
"""No tag begins with it."""


class TagEpochs:
    """The last invalidation of each tag; bounded."""

    def __init__(self, seq: int) -> None:
        self.seq = seq
        self.min_valid_seq = 0
        """Nothing asked for below this `seq` is usable, whatever its tags."""
        self._last: dict[Tag, int] = {}
        self._stale_tags = 0
        """The `seq` of the last outdating: nothing asked for at or after it is outdated."""

    def __len__(self) -> int:
        return len(self._last)

    def invalidate(self, tags: Iterable[Tag]) -> int:
        """Invalidate `tags` now; the new `seq`."""
        self.seq += 1
        for tag in tags:
            self._last.pop(tag, None)
            self._last[tag] = self.seq
        if len(self._last) > MAX_TAGS:
            self._forget()
        return self.seq

    def mark_stale(self, tags: Iterable[Tag]) -> tuple[Tag, ...]:
        """Make what was asked for under `tags` until now stale; the names it is remembered by."""
        names = tuple(Tag(STALE_PREFIX + tag) for tag in tags)
        self._stale_tags = self.invalidate(names)
        return names

    def again(self, names: Iterable[Tag]) -> int:
        """Have invalidations and outdatings, by what they are remembered by, count from now on."""
        self._stale_tags = self.invalidate(names)
        return self._stale_tags

    def restore(self, last: Mapping[Tag, int], floor: int) -> None:
        """Take in what an earlier process had invalidated; the later of two invalidations holds."""
        self._last = {
            **last,
            **{tag: max(seq, last.get(tag, 0)) for tag, seq in self._last.items()},
        }
        self.min_valid_seq = max(self.min_valid_seq, floor)
        self.seq = max(self.seq, self.min_valid_seq, *last.values(), 0)
        self._stale_tags = self.seq

    def is_current(self, tags: Iterable[Tag], requested_seq: int) -> bool:
        """Whether an answer asked for at `asked_seq` outlived every invalidation of its tags."""
        last = self._last
        return requested_seq >= self.min_valid_seq and all(
            last.get(tag, 0) <= requested_seq for tag in tags
        )

    def is_outdated(self, tags: Iterable[Tag], requested_seq: int) -> bool:
        """Whether one of `tags` was outdated after an answer had been asked for."""
        if requested_seq >= self._stale_tags:
            return False
        last = self._last
        return any(last.get(Tag(STALE_PREFIX + tag), 0) > requested_seq for tag in tags)

    def _forget(self) -> None:
        # Insertion order is order of invalidation: `advance` re-inserts what it touches.
        for tag in list(self._last)[: -(MAX_TAGS // 2)]:
            self.min_valid_seq = max(self.min_valid_seq, self._last.pop(tag))

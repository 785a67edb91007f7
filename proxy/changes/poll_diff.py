"""What one answer about every board says: which moved since the last, and what that leaves usable.

A board's mark is `ixUpdate`, Trello's count of its updates, where the answer has it, and
`dateLastActivity`. Two equal marks, however far apart, mean that nothing was counted in between;
any difference is a move. So what was asked for after the first mark of its boards had arrived is
as it was, as far as marks tell, until a later mark differs.
"""

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from itertools import islice

from proxy.cache.watched_boards import OF_BOARDS
from proxy.http_semantics.json_members import array_of
from proxy.model import Tag
from proxy.ratelimit.share import BACKGROUND_SHARE
from proxy.trello.object_ids import is_id
from proxy.trello.tags import SPANNING, tags_for
from proxy.trello.write_effects import board_tags

TARGET = "/1/members/me/boards?filter=all&fields=dateLastActivity,ixUpdate,shortLink"
"""The question: about every board of the stored member, the closed ones too."""
MAX_BOARDS = 10_000
"""More are not watched."""
VALID_INTERVALS = 2.5
"""After so many intervals without a good answer nothing counts as watched."""
IDLE_AFTER_S = 15 * 60.0
"""Nobody asks when nobody has read for so long. Longer than the built-in watched lifetimes: a hit
that was planned is not noticed, and within one of those the plan ends and its reader is."""
_LONGEST_PAUSE_S = 60.0


@dataclass(frozen=True, slots=True)
class BoardVersion:
    """A board as one answer shows it."""

    short_link: str
    sequence: str
    """`ixUpdate`; empty where the answer has none."""
    active: str
    """`dateLastActivity`."""


@dataclass(frozen=True, slots=True)
class PollDiff:
    """What differs from one answer to the next, by the boards' ids."""

    changed: Set[str]
    appeared: Set[str]
    vanished: Set[str]

    @property
    def changed_tags(self) -> frozenset[Tag]:
        """The tags of all that shows these boards; of lists of boards when there are others."""
        tags = {tag for each in self.changed | self.appeared | self.vanished
                for tag in board_tags(each)}  # fmt: skip
        if self.appeared or self.vanished:
            tags.update((SPANNING, *tags_for("member", ()), *tags_for("organization", ())))
        return frozenset(tags)


def parse_versions(body: bytes) -> dict[str, BoardVersion] | None:
    """The boards of an answer by id; None when it is no list of boards.

    A board that does not show when it was last active is left out: it is not watched.
    """
    listed = array_of(body)
    boards = [each for each in listed or () if isinstance(each, dict)]
    if listed is None or len(boards) < len(listed):
        return None
    shown = ((each.get("id"), each) for each in islice(boards, MAX_BOARDS))
    return {each: _mark(board) for each, board in shown if is_id(each) and _is_active(board)}


def diff(before: Mapping[str, BoardVersion], now: Mapping[str, BoardVersion]) -> PollDiff:
    """What came between two answers."""
    both = before.keys() & now.keys()
    return PollDiff(
        changed={each for each in both if before[each] != now[each]},
        appeared=now.keys() - before.keys(),
        vanished=before.keys() - now.keys(),
    )


def boards_of(tags: Iterable[Tag]) -> Set[str]:
    """The ids of the boards that an answer with these tags shows, or shows something of."""
    named = (tag.partition(":") for tag in tags)
    return {name for kind, _, name in named if kind in OF_BOARDS and is_id(name)}


def watched_since(
    before: Mapping[str, int], marks: Mapping[str, BoardVersion], seq: int
) -> dict[str, int]:
    """From which `seq` on each of these boards is watched: from `seq`, unless it was before."""
    names = (name for each, mark in marks.items() for name in (each, mark.short_link) if name)
    return {name: before.get(name, seq) for name in names}


def interval_s(wanted_s: float, count: int, window_s: float) -> float:
    """Seconds from one question to the next: a fifth of `count` in `window_s` at most."""
    return max(wanted_s, BACKGROUND_SHARE * window_s / count)


def pause_s(every_s: float, failures: int) -> float:
    """Seconds until the next question, after so many failures in a row; one is no reason yet."""
    longest_s = max(every_s, _LONGEST_PAUSE_S)
    return min(longest_s, every_s * 2.0 ** min(max(0, failures - 1), 16))


def _mark(board: Mapping[str, object]) -> BoardVersion:
    updates, link = board.get("ixUpdate"), board.get("shortLink")
    return BoardVersion(
        short_link=link if isinstance(link, str) else "",
        sequence="" if updates is None else str(updates),
        active=str(board["dateLastActivity"]),
    )


def _is_active(board: Mapping[str, object]) -> bool:
    active = board.get("dateLastActivity")
    return isinstance(active, str) and bool(active)

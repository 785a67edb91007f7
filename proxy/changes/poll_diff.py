"""Poll difference: boards that changed between two polls, and the tags of what shows them.

A board's version is `ixUpdate`, Trello's count of its updates, where the response has it, and
`dateLastActivity`. Two equal versions, however far apart, mean that nothing was counted in between;
any difference is a change. So a response requested after the first version of its boards had
arrived is unchanged, as far as versions show, until a later version differs.
"""

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, replace
from itertools import islice

from proxy.http_semantics.json_members import array_of
from proxy.model import Tag, is_id
from proxy.ratelimit.share import BACKGROUND_SHARE
from proxy.trello.tags import SPANNING, tags_for
from proxy.trello.write_effects import board_tags

TARGET = "/1/members/me/boards?filter=all&fields=dateLastActivity,ixUpdate,shortLink"
"""Target of a poll: all boards of the stored member, including closed ones."""
MAX_BOARDS = 10_000
"""Watched boards; further ones are not watched."""
VALID_INTERVALS = 2.5
"""Intervals without a good poll after which no board counts as watched."""
IDLE_AFTER_S = 15 * 60.0
"""Seconds without a lookup after which polling is suspended.

Longer than the built-in watched lifetimes: a fast-path hit is no lookup, and within one of those
lifetimes its stored response expires, and the next request is one.
"""
_MAX_PAUSE_S = 60.0


@dataclass(frozen=True, slots=True)
class BoardVersion:
    """Version of a board in one response."""

    short_link: str
    sequence: str
    """`ixUpdate`; empty if the response has none."""
    active: str
    """`dateLastActivity`."""


@dataclass(frozen=True, slots=True)
class Polled:
    """The boards of one response."""

    versions: dict[str, BoardVersion]
    """By id."""
    is_complete: bool
    """Whether these are all that the response lists."""


@dataclass(frozen=True, slots=True)
class PollDiff:
    """Ids of the boards that differ between two responses."""

    changed: Set[str]
    appeared: Set[str]
    vanished: Set[str]

    def without(self, boards: Iterable[str]) -> "PollDiff":
        """The same, but these did not change."""
        return replace(self, changed=self.changed - frozenset(boards))

    @property
    def changed_tags(self) -> frozenset[Tag]:
        """Tags of responses that show these boards, and of board lists whose members changed."""
        boards = self.changed | self.appeared | self.vanished
        tags = {tag for board in boards for tag in board_tags(board)}
        if self.appeared or self.vanished:
            tags.update((SPANNING, *tags_for("member", ()), *tags_for("organization", ())))
        return frozenset(tags)


def parse_versions(body: bytes) -> Polled | None:
    """The boards of a response; None if it is not a list of boards.

    A board without `dateLastActivity` is left out: it is not watched.
    """
    listed = array_of(body)
    boards = [each for each in listed or () if isinstance(each, dict)]
    if listed is None or len(boards) < len(listed):
        return None
    by_id = ((board.get("id"), board) for board in islice(boards, MAX_BOARDS))
    found = {own_id: _version(board) for own_id, board in by_id if is_id(own_id) and _active(board)}
    return Polled(found, len(found) == len(boards))


def diff(before: Mapping[str, BoardVersion], now: Mapping[str, BoardVersion]) -> PollDiff:
    """The difference between two responses."""
    in_both = before.keys() & now.keys()
    return PollDiff(
        changed={board for board in in_both if before[board] != now[board]},
        appeared=now.keys() - before.keys(),
        vanished=before.keys() - now.keys(),
    )


def watched_since(
    before: Mapping[str, int], versions: Mapping[str, BoardVersion], seq: int
) -> dict[str, int]:
    """The `seq` from which each board is watched, by id and shortLink: `seq` for a new one."""
    names = (name for board, at in versions.items() for name in (board, at.short_link) if name)
    return {name: before.get(name, seq) for name in names}


def with_list(since: Mapping[str, int], *, is_complete: bool) -> Mapping[str, int]:
    """The same, and under SPANNING the `seq` from which the list of all of them is watched."""
    return {**since, SPANNING: max(since.values())} if since and is_complete else since


def interval_s(wanted_s: float, count: int, window_s: float) -> float:
    """Seconds between polls; they use at most a fifth of `count` requests in `window_s`."""
    return max(wanted_s, BACKGROUND_SHARE * window_s / count)


def pause_s(interval_s: float, failures: int) -> float:
    """Seconds until the next poll, after this many failures in a row; the first delays nothing."""
    max_pause_s = max(interval_s, _MAX_PAUSE_S)
    return min(max_pause_s, interval_s * 2.0 ** min(max(0, failures - 1), 16))


def _version(board: Mapping[str, object]) -> BoardVersion:
    updates, link = board.get("ixUpdate"), board.get("shortLink")
    return BoardVersion(
        short_link=link if isinstance(link, str) else "",
        sequence="" if updates is None else str(updates),
        active=_active(board),
    )


def _active(board: Mapping[str, object]) -> str:
    active = board.get("dateLastActivity")
    return active if isinstance(active, str) else ""

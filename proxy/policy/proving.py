"""Which hits are asked again to see whether they were true, how often, and what follows. Pure."""

from collections.abc import Iterable, Iterator

from proxy.model import Kind, StoredResponse, Tag
from proxy.policy.invalidation import board_tags
from proxy.policy.routes import Match
from proxy.policy.tags import ALL_OF_KIND, SPANNING, UNKNOWN_ID, tags_for

LEAST_PAUSE_S = 60.0
SHARE = 100
"""At most a hundredth of what a token may ask is spent on this."""
MOST_BYTES = 64 * 1024
"""A longer answer is not asked again: the samples are to cost next to nothing."""

_OF_BOARDS = ("board:", "cards-of:")


def pause_s(count: int, window_s: float, draw: float) -> float:
    """Seconds between two questions where a token may ask `count` in any `window_s` seconds.

    `draw`, from 0 to below 1, makes it up to twice as long: no tool polls in that rhythm.
    """
    return max(LEAST_PAUSE_S, SHARE * window_s / count) * (1.0 + draw)


def may_verify(match: Match, stored: StoredResponse, *, own: bool) -> bool:
    """Whether a hit may be asked again: JSON of the stored identity's, small, its path no secret.

    A 404 says too little, and lives for seconds only.
    """
    return (
        own
        and match.route.kind is Kind.READ
        and not match.secret_positions
        and stored.status == 200
        and len(stored.body) <= MOST_BYTES
    )


def tags_to_invalidate(tags: Iterable[Tag]) -> frozenset[Tag]:
    """What is outdated when an answer with these tags was not true any more.

    Which of the objects it shows has changed is not known: everything that shows one of them. What
    is on a board makes that the whole board, and where no board is named, every one.
    """
    shown = set(tags)
    boards = {tag.partition(":")[2] for tag in shown if tag.startswith(_OF_BOARDS)}
    named = boards - {ALL_OF_KIND, UNKNOWN_ID}
    touched = {tag for each in named for tag in board_tags(each)}
    if boards and not named:
        touched = {SPANNING, *tags_for("board", ()), *tags_for("cards-of", ())}
    return frozenset(touched.union(*map(_shown_by, shown)))


def kinds_of(tags: Iterable[Tag]) -> str:
    """The kinds that tags are of, and no id."""
    return " ".join(sorted({tag.partition(":")[0] for tag in tags}))


def _shown_by(tag: Tag) -> Iterator[Tag]:
    kind, _, name = tag.partition(":")
    if tag == SPANNING or name == UNKNOWN_ID:
        yield tag
    elif name not in {"", ALL_OF_KIND} and not tag.startswith(_OF_BOARDS):
        yield from tags_for(kind, (name,))

"""Which hits are asked again, how often, and what a hit that was not true outdates."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.cache.policy import (
    MAX_SAMPLE_BYTES,
    may_verify,
)
from proxy.cache.verification import (
    MIN_PAUSE_S,
    kinds_of,
    pause_s,
    slowdown,
    tags_to_invalidate,
)
from proxy.model import CacheKey, StoredResponse, Tag
from proxy.trello.routes import RouteTable

_TABLE = RouteTable()
_BOARD = "5f1a5f1a5f1a5f1a5f1a5f1a"


def _stored(status: int = 200, size: int = 10, tags: tuple[Tag, ...] = ()) -> StoredResponse:
    return StoredResponse(
        CacheKey("k"), status, b"", b"x" * size, gzip=False, etag="e",
        requested_at=0.0, requested_seq=0,
        tags=tags,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("path", "stored", "own", "may"),
    [
        ("cards/c", _stored(), True, True),
        ("cards/c", _stored(size=MAX_SAMPLE_BYTES), True, True),
        ("cards/c", _stored(size=MAX_SAMPLE_BYTES + 1), True, False),
        ("cards/c", _stored(status=404), True, False),
        ("cards/c", _stored(), False, False),
        ("tokens/t/member", _stored(), True, False),
        ("client.js", _stored(), True, False),
        ("batch", _stored(), True, False),
        ("cards/c/attachments/a/download/f", _stored(), True, False),
    ],
)
def test_only_small_json_of_the_stored_identity_is_asked_again(
    path: str,
    stored: StoredResponse,
    own: bool,  # noqa: FBT001 — a table's column
    may: bool,  # noqa: FBT001 — likewise
) -> None:
    match = _TABLE.classify("GET", path.split("/"))
    assert may_verify(match, stored, own=own) is may


@given(
    count=st.integers(1, 1_000_000),
    window_s=st.floats(0.001, 86_400),
    draw=st.floats(0, 1, exclude_max=True),
)
def test_never_more_than_one_a_minute_nor_than_a_hundredth_of_the_limit(
    count: int, window_s: float, draw: float
) -> None:
    pause = pause_s(count, window_s, draw)
    assert pause >= MIN_PAUSE_S
    assert pause * count / window_s >= 99.99
    assert pause <= 2 * max(MIN_PAUSE_S, 100 * window_s / count)


@pytest.mark.parametrize(
    ("tags", "outdated"),
    [
        (["everything"], set()),
        (["card:*", "list:*", "everything"], set()),
        (["card:a", "card:*"], {"card:a", "card:?"}),
        (["member:?", "member:*"], {"member:?"}),
        (["spanning"], {"spanning"}),
        (["board:*", "board:?"], {"spanning", "board:?", "board:*", "cards-of:*"}),
        (
            ["card:a", "cards-of:?"],
            {
                "spanning",
                "card:a",
                "card:?",
                "cards-of:?",
                "board:*",
                "cards-of:*",
            },
        ),
        (
            ["everything", f"cards-of:{_BOARD}", "cards-of:*"],
            {"spanning", "board:?", "cards-of:?", f"board:{_BOARD}", f"cards-of:{_BOARD}"},
        ),
        (
            [f"board:{_BOARD}"],
            {"spanning", "board:?", "cards-of:?", f"board:{_BOARD}", f"cards-of:{_BOARD}"},
        ),
    ],
)
def test_what_was_not_true_outdates_everything_that_shows_one_of_its_objects(
    tags: list[str], outdated: set[str]
) -> None:
    assert tags_to_invalidate(map(Tag, tags)) == outdated


def test_kinds_tell_no_id() -> None:
    tags = [Tag(f"board:{_BOARD}"), Tag("card:?"), Tag("card:a"), Tag("spanning")]
    assert kinds_of(tags) == "board card spanning"


@pytest.mark.parametrize(
    ("matches", "factor"), [(0, 1), (7, 1), (8, 2), (16, 4), (24, 8), (999, 8)]
)
def test_samples_that_match_on_and_on_become_rarer(matches: int, factor: int) -> None:
    assert slowdown(matches) == factor

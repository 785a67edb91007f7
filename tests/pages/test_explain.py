"""What is explained: which target a URL means, and what is said of it."""

import json

import pytest

from proxy.model import Lifetimes, Tag
from proxy.pages.explain import (
    as_json,
    as_page,
    as_text,
    target_in,
    url_in,
)
from proxy.ratelimit.limiter import (
    WaitPrediction,
)
from proxy.status.explain import (
    Explanation,
    StoredInfo,
)
from proxy.trello.routes import Handling

TARGETS = {
    "Trello's own": ("https://api.trello.com/1/boards/x?fields=name", "/1/boards/x?fields=name"),
    "the proxy's": ("http://127.0.0.1:8080/1/boards/x", "/1/boards/x"),
    "a path": ("/1/boards/x?a=b&c=d", "/1/boards/x?a=b&c=d"),
    "a path without its slash": ("1/boards/x", "/1/boards/x"),
    "with space around it": (" /1/boards/x\n", "/1/boards/x"),
    "encoded parts stay": ("/1/search?query=a%20b%2Cc+d", "/1/search?query=a%20b%2Cc+d"),
    "a fragment is the browser's": ("https://api.trello.com/1/x#top", "/1/x"),
    "nothing": ("", "/"),
}


@pytest.mark.parametrize(("url", "target"), TARGETS.values(), ids=TARGETS.keys())
def test_target_in(url: str, target: str) -> None:
    assert target_in(url) == target


QUERIES = {
    "encoded": ("url=%2F1%2Fboards%2Fx%3Fa%3Db%26c%3Dd", "/1/boards/x?a=b&c=d"),
    "as somebody typed it": ("url=/1/boards/x?a=b&c=d", "/1/boards/x?a=b&c=d"),
    "typed, with encoded parts": ("url=/1/search?query=a%20b", "/1/search?query=a%20b"),
    "with another parameter": ("url=%2F1%2Fx&more=y", "/1/x"),
    "encoded twice is decoded once": ("url=%2F1%2Fx%3Fq%3Da%2520b", "/1/x?q=a%20b"),
    "another parameter": ("more=y", ""),
    "none": ("", ""),
}


@pytest.mark.parametrize(("query", "url"), QUERIES.values(), ids=QUERIES.keys())
def test_url_in(query: str, url: str) -> None:
    assert url_in(query) == url


KEPT = StoredInfo(
    status=200,
    since=1_800_000_000.0,
    age_s=40.0,
    size_bytes=1234,
    lifetimes=Lifetimes(30.0, 60.0, 86_400.0),
    remaining_s=-10.0,
    is_watched=False,
    is_outdated=True,
)
TOLD = Explanation(
    label="GET /1/boards/x",
    route="/boards/{id}",
    handling=Handling.CACHED_READ,
    key="abc",
    cache_status="trello-proxy; hit; ttl=-11",
    stored=KEPT,
    tags=tuple(
        Tag(each)
        for each in (
            "board:*",
            "board:x",
            "card:?",
            "cards-of:b",
            "cards-of:~",
            "everything",
            "spanning",
        )
    ),
    wait=WaitPrediction("token", 2.5, is_rejected=False),
)


def test_the_text_says_everything() -> None:
    assert as_text(TOLD).decode().splitlines() == [
        "GET /1/boards/x",
        "  route          /boards/{id} (a read that is stored)",
        "  next answer    trello-proxy; hit; ttl=-11",
        "  stored         since 15 Jan 2027, 08:00 UTC (40 s ago): status 200, 1,234 bytes",
        "  lifetime       30 s; over since 10 s",
        "                 stale all the same: what it shows was changed in Trello itself",
        "  after that     60 s while asking, 24 h while Trello fails",
        "  key            abc",
        "  limiter        waits 2.5 s for the token limit",
        "  invalidated by a change of board x",
        "                 a change of any card: the answer does not show which it depends on",
        "                 a change of what all cards show of board b",
        "                 a change of anything that lists over several boards show",
        "                 a purge, and what cannot be understood",
        "  tags           board:* board:x card:? cards-of:b cards-of:~ everything spanning",
    ]


TURNS = {
    "at once": (WaitPrediction("key", 0.0, is_rejected=False), "goes at once"),
    "refused": (
        WaitPrediction("members", 31.0, is_rejected=True),
        "429: the members limit has room in 31.0 s only",
    ),
}


@pytest.mark.parametrize(("turn", "told"), TURNS.values(), ids=TURNS.keys())
def test_the_limiter_is_told_of(turn: WaitPrediction, told: str) -> None:
    text = as_text(Explanation("GET /1/x", "/x", Handling.BYPASS, "", "", None, (), turn)).decode()
    assert f"  limiter        {told}\n" in text
    assert "has no Cache-Status" in text


def test_the_json_says_the_same() -> None:
    batch = Explanation("GET /1/batch", "/batch", Handling.BATCH, "", "x", None, (), None, (TOLD,))
    told = json.loads(as_json(batch))
    assert (told["key"], told["stored"], told["limiter"]) == (None, None, None)
    (part,) = told["parts"]
    assert part["cache_status"] == "trello-proxy; hit; ttl=-11"
    assert part["limiter"] == {"limit": "token", "wait_s": 2.5, "refused": False}
    assert part["stored"]["since"] == 1_800_000_000.0
    assert part["stored"]["remaining_s"] == -10.0
    assert (part["stored"]["outdated"], part["stored"]["watched"]) == (True, False)
    assert "a change of board x" in part["invalidated_by"]
    assert part["tags"] == list(TOLD.tags)


def test_the_page_escapes_what_was_asked() -> None:
    evil = Explanation("GET /1/<script>", "/x", Handling.BYPASS, "", "", None, ())
    assert b"<script>" not in as_page(evil).replace(b"<script src=", b"")
    assert b"GET /1/&lt;script&gt;" in as_page(evil)

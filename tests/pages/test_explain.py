"""Explanations: the target that a URL means, and the texts about it."""

import json
from dataclasses import replace

import pytest

from proxy.access.client import ANONYMOUS
from proxy.model import Lifetimes, Tag
from proxy.pages.explain import (
    explain_json,
    explain_page,
    explain_text,
    target_of_url,
    url_parameter,
)
from proxy.pages.identity import identity_text
from proxy.ratelimit.limiter import WaitPrediction
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
def test_target_of_url(url: str, target: str) -> None:
    assert target_of_url(url) == target


QUERIES = {
    "encoded": ("url=%2F1%2Fboards%2Fx%3Fa%3Db%26c%3Dd", "/1/boards/x?a=b&c=d"),
    "typed without encoding": ("url=/1/boards/x?a=b&c=d", "/1/boards/x?a=b&c=d"),
    "typed, with encoded parts": ("url=/1/search?query=a%20b", "/1/search?query=a%20b"),
    "with another parameter": ("url=%2F1%2Fx&more=y", "/1/x"),
    "encoded twice is decoded once": ("url=%2F1%2Fx%3Fq%3Da%2520b", "/1/x?q=a%20b"),
    "another parameter": ("more=y", ""),
    "none": ("", ""),
}


@pytest.mark.parametrize(("query", "url"), QUERIES.values(), ids=QUERIES.keys())
def test_url_parameter(query: str, url: str) -> None:
    assert url_parameter(query) == url


STORED = StoredInfo(
    status=200,
    requested_at=1_800_000_000.0,
    age_s=40.0,
    size_bytes=1234,
    lifetimes=Lifetimes(30.0, 60.0, 86_400.0),
    remaining_s=-10.0,
    is_watched=False,
    is_marked_stale=True,
)
EXPLANATION = Explanation(
    label="GET /1/boards/x",
    route="/boards/{id}",
    handling=Handling.CACHED_READ,
    key="abc",
    cache_status="trello-proxy; hit; ttl=-11",
    stored=STORED,
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
    assert explain_text(EXPLANATION).decode().splitlines() == [
        identity_text(ANONYMOUS),
        "GET /1/boards/x",
        "  route          /boards/{id} (a cacheable read)",
        "  next response  trello-proxy; hit; ttl=-11",
        "  stored         15 Jan 2027, 08:00 UTC (40 s ago): status 200, 1,234 bytes",
        "  lifetime       30 s; expired 10 s ago",
        "                 marked stale: something it shows was changed at Trello",
        "  stale for      60 s while revalidating, 24 h while Trello fails",
        "  key            abc",
        "  rate limit     waits 2.5 s for the token limit",
        "  invalidated by a change of board x",
        "                 a change of any card: the response does not show which it depends on",
        "                 a change of data shown on all cards of board b",
        "                 a change of anything shown by lists over several boards",
        "                 a purge, and any change whose effect is unknown",
        "  tags           board:* board:x card:? cards-of:b cards-of:~ everything spanning",
    ]


WAITS = {
    "at once": (WaitPrediction("key", 0.0, is_rejected=False), "sent at once"),
    "refused": (
        WaitPrediction("members", 31.0, is_rejected=True),
        "rejected with 429: the members limit has no room for 31.0 s",
    ),
}


@pytest.mark.parametrize(("wait", "line"), WAITS.values(), ids=WAITS.keys())
def test_the_text_predicts_the_rate_limiter(wait: WaitPrediction, line: str) -> None:
    text = explain_text(
        Explanation("GET /1/x", "/x", Handling.BYPASS, "", "", None, (), wait)
    ).decode()
    assert f"  rate limit     {line}\n" in text
    assert "has no Cache-Status" in text


def test_the_json_says_the_same() -> None:
    batch = Explanation(
        "GET /1/batch", "/batch", Handling.BATCH, "", "x", None, (), None, (EXPLANATION,)
    )
    explained = json.loads(explain_json(batch))
    assert (explained["key"], explained["stored"], explained["rate_limit"]) == (None, None, None)
    (part,) = explained["parts"]
    assert part["cache_status"] == "trello-proxy; hit; ttl=-11"
    assert part["rate_limit"] == {"limit": "token", "wait_s": 2.5, "rejected": False}
    assert part["stored"]["requested_at"] == 1_800_000_000.0
    assert part["stored"]["remaining_s"] == -10.0
    assert (part["stored"]["marked_stale"], part["stored"]["watched"]) == (True, False)
    assert "a change of board x" in part["invalidated_by"]
    assert part["tags"] == list(EXPLANATION.tags)


def test_the_page_escapes_the_target() -> None:
    evil = Explanation("GET /1/<script>", "/x", Handling.BYPASS, "", "", None, ())
    assert b"<script>" not in explain_page(evil).replace(b"<script src=", b"")
    assert b"GET /1/&lt;script&gt;" in explain_page(evil)


VERDICTS: dict[str, tuple[Explanation, str]] = {
    "a hit": (
        replace(EXPLANATION, cache_status="trello-proxy; hit; ttl=27"),
        "A hit, for 27 s more",
    ),
    "a stale hit": (EXPLANATION, "A hit, stale, while it is revalidated"),
    "a miss": (
        replace(EXPLANATION, cache_status="trello-proxy; fwd=uri-miss"),
        "Trello would be asked: nothing is stored",
    ),
    "expired": (
        replace(EXPLANATION, cache_status="trello-proxy; fwd=stale"),
        "Trello would be asked: what is stored has expired",
    ),
    "never stored": (
        replace(EXPLANATION, handling=Handling.BYPASS, cache_status="trello-proxy; fwd=bypass"),
        "Trello would be asked, each time",
    ),
    "a part of a batch": (
        replace(
            EXPLANATION,
            cache_status="trello-proxy; fwd=uri-miss",
            parts=(EXPLANATION, replace(EXPLANATION, cache_status="trello-proxy; fwd=stale")),
        ),
        "Trello would be asked for 1 of 2 parts",
    ),
    "a write": (
        replace(EXPLANATION, handling=Handling.WRITE, cache_status=""),
        "It would be sent to Trello, once",
    ),
    "not admitted": (
        replace(EXPLANATION, is_admitted=False),
        "A client without a key would be refused",
    ),
}


@pytest.mark.parametrize(("explanation", "verdict"), VERDICTS.values(), ids=VERDICTS.keys())
def test_the_headline_is_the_verdict(explanation: Explanation, verdict: str) -> None:
    page = explain_page(explanation, "/1/boards/x").decode()
    assert f"<h1>{verdict}</h1>" in page
    assert f"<title>{verdict}</title>" in page
    assert 'value="/1/boards/x"' in page


def test_without_a_request_there_is_the_form_alone() -> None:
    page = explain_page(None).decode()
    assert "<h1>Explain a request</h1>" in page
    assert 'action="/-/explain"' in page
    assert "<dl" not in page

"""What is fetched ahead, and how it is told."""

import json

import pytest

from proxy.cli.warm_report import (
    AttachmentToWarm,
    CacheResult,
    InvalidBoardName,
    WarmStats,
    parse_board_name,
    parse_cache_status,
    parse_cards,
    problem_detail,
    progress_line,
    summary,
)
from proxy.links.rewrite import LinkRewriter
from proxy.links.signing import FileIds

LINKS = LinkRewriter("http://trello.internal")
ID = "5f1a" * 6

BOARDS = {
    "an id": (ID, ID),
    "a shortLink": ("AbCd1234", "AbCd1234"),
    "a web address": ("https://trello.com/b/AbCd1234/office-move", "AbCd1234"),
    "without a scheme": ("trello.com/b/AbCd1234", "AbCd1234"),
    "of the API, a credential in it": (f"https://api.trello.com/1/boards/{ID}?key=k", ID),
    "the proxy's own": ("http://trello.internal/b/AbCd1234", "AbCd1234"),
}


@pytest.mark.parametrize(("text", "board"), BOARDS.values(), ids=BOARDS)
def test_a_board_by_any_of_its_names(text: str, board: str) -> None:
    assert parse_board_name(text, LINKS, 0.0) == board


@pytest.mark.parametrize(
    "text", ["", "https://trello.com/c/AbCd1234", "https://example.com/b/AbCd1234", "../x", "a b"]
)
def test_anything_else_is_no_board(text: str) -> None:
    with pytest.raises(InvalidBoardName, match="is no board"):
        parse_board_name(text, LINKS, 0.0)


def test_uploads_are_wanted_and_nothing_else() -> None:
    attachments = [
        {"id": "a1", "isUpload": True, "name": "plan\x1b[2J.png", "bytes": 12},
        {"id": "a2", "isUpload": True, "name": "", "bytes": None},
        {"id": "a3", "isUpload": False, "url": "https://example.com"},
        {"id": "../a4", "isUpload": True},
        "nonsense",
    ]
    cards = [{"id": "c1", "name": "Move", "attachments": attachments}, {"id": "c2"}]
    assert parse_cards(json.dumps(cards).encode()) == (
        2,
        [
            AttachmentToWarm(FileIds("c1", "a1"), "Move / plan[2J.png", 12),
            AttachmentToWarm(FileIds("c1", "a2"), "Move / a2", 0),
        ],
    )


@pytest.mark.parametrize("body", [b"{}", b"<html>", b"[" * 100_000])
def test_what_is_no_list_of_cards_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 — that it is one is all that is said
        parse_cards(body)


STANDINGS = {
    "kept": ("trello-proxy; hit", CacheResult.HIT),
    "kept, and Trello is down": (
        "trello-proxy; fwd=stale; fwd-status=503; detail=stale-if-error",
        CacheResult.HIT,
    ),
    "arriving": ("trello-proxy; fwd=uri-miss; fwd-status=200; stored", CacheResult.DOWNLOADED),
    "arriving for somebody else too": (
        "trello-proxy; fwd=uri-miss; fwd-status=200; collapsed",
        CacheResult.DOWNLOADED,
    ),
    "passing": ("trello-proxy; fwd=bypass; detail=too-large", CacheResult.BYPASS),
}


@pytest.mark.parametrize(("field", "standing"), STANDINGS.values(), ids=STANDINGS)
def test_standing(field: str, standing: CacheResult) -> None:
    assert parse_cache_status(field) is standing


REASONS = {
    "our problem": (410, b'{"title": "Gone", "detail": "Look."}', "410 Gone: Look."),
    "Trello's text": (401, b"unauthorized permission requested\n",
                      "401 unauthorized permission requested"),
    "nothing printable goes to the terminal": (500, b"\x1b[2Jx", "500 [2Jx"),
    "nothing said": (503, b"", "503"),
}  # fmt: skip


@pytest.mark.parametrize(("status", "body", "reason"), REASONS.values(), ids=REASONS)
def test_reason(status: int, body: bytes, reason: str) -> None:
    assert problem_detail(status, body) == reason


LINES = {
    "at the beginning": (
        WarmStats(files=4, total_bytes=40_000_000),
        0.0,
        "[....................] 0/4 files, 0 bytes of 40 MB, 0 bytes/s",
    ),
    "half of the bytes, most of the files": (
        WarmStats(files=4, total_bytes=40_000_000, downloaded=2, downloaded_bytes=10_000_000,
                  hits=1,
              hit_bytes=10_000_000),
        10.0,
        "[##########..........] 3/4 files, 20 MB of 40 MB, 1.0 MB/s, 10 s left",
    ),
    "at the end": (
        WarmStats(files=1, total_bytes=1000, downloaded=1, downloaded_bytes=1000),
        1.0,
        "[####################] 1/1 file, 1.0 KB of 1.0 KB, 1.0 KB/s, 0 s left",
    ),
    "no files at all": (
        WarmStats(), 1.0,
        "[####################] 0/0 files, 0 bytes of 0 bytes, 0 bytes/s, 0 s left",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("tally", "elapsed_s", "line"), LINES.values(), ids=LINES)
def test_progress_line(tally: WarmStats, elapsed_s: float, line: str) -> None:
    assert progress_line(tally, elapsed_s) == line


def test_the_summary_counts_everything_and_names_the_first_failures() -> None:
    stats = WarmStats(
        boards=1, cards=31, files=60, downloaded=5, downloaded_bytes=2_000_000, hits=3
    )
    for number in range(52):
        stats.add_failure(AttachmentToWarm(FileIds("c", "a"), f"Card / {number}.png", 1), "503")
    stats.failures.append("board b: 503")
    stats.is_interrupted = True
    lines = summary(stats, 130.0).splitlines()
    assert lines[:3] == [
        "1 board, 31 cards, 60 files",
        "downloaded 5 files, 2.0 MB, in 2 min; already stored 3; failed 53",
        "failed: Card / 0.png: 503",
    ]
    assert len(lines) == 2 + 50 + 2
    assert lines[-2] == "failed: 3 more"
    assert lines[-1].startswith("interrupted: stored files remain")

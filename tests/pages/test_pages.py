"""Pages are made of whatever Trello sends, and everything in them is escaped."""

from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.links.rewrite import LinkRewriter
from proxy.pages.board_data import (
    BoardReader,
    board_of,
    count_of,
    matching,
    members_of,
    sliced,
)
from proxy.pages.credential_usage import Row, credential_usage_page
from proxy.pages.error import (
    Failure,
    error_page,
    refusal_text,
)
from proxy.pages.format import (
    counted,
    day_text,
    moment_of,
    size_text,
    time_text,
)
from proxy.pages.home import (
    Offer,
    Pasted,
    home_page,
)
from proxy.pages.listing import (
    PageContext,
    board_page,
    card_page,
)
from proxy.status.history import (
    DashboardData,
    LimitUse,
    Minute,
    RecentFailure,
)

US = "http://trello.internal"
BARE = Offer(operated=True, keyless=True)
AROUND = PageContext(US)
READER = BoardReader(LinkRewriter(US), 0.0, {"m1": "Dana"})
ID = "6b2c" * 6


def upload(**changes: Any) -> dict[str, Any]:
    made = {
        "id": ID,
        "name": "x.png",
        "fileName": "x.png",
        "bytes": 1234,
        "date": "2026-11-21T19:58:00.000Z",
        "idMember": "m1",
        "isUpload": True,
        "url": "https://trello.com/x",
        "previews": [{"id": f"p{width}", "width": width} for width in (70, 150, 300, 600)],
    }
    return {**made, **changes}


def card(*attachments: object, **changes: Any) -> dict[str, Any]:
    made = {"id": "5f1a" * 6, "name": "A card", "shortLink": "AbCd1234", "url": "https://t/c/x"}
    return {**made, "attachments": list(attachments), **changes}


SIZES = {
    0: "0 bytes", 1: "1 byte", 999: "999 bytes", 1000: "1.0 KB", 9_949: "9.9 KB",
    9_951: "10 KB", 999_499: "999 KB", 999_999: "1.0 MB", 38_000_000: "38 MB",
    2_000_000_000: "2.0 GB", 10**16: "10000 TB",
}  # fmt: skip


@pytest.mark.parametrize(("count", "text"), SIZES.items())
def test_sizes_are_told_in_two_digits(count: int, text: str) -> None:
    assert size_text(count) == text


def test_times_are_told_in_utc() -> None:
    moment = moment_of("2026-11-21T19:58:00.000Z")
    assert moment is not None
    assert day_text(moment) == "21 Nov 2026"
    assert time_text(moment.timestamp()) == "21 Nov 2026, 19:58 UTC"
    assert moment_of("yesterday") is None
    assert counted(1_234, "file") == "1,234 files"


PREVIEWS = {
    "the smallest that is large enough": ((70, 150, 300, 600), "p300"),
    "else the largest": ((70, 150), "p150"),
    "none": ((), ""),
}


@pytest.mark.parametrize(("widths", "chosen"), PREVIEWS.values(), ids=PREVIEWS.keys())
def test_a_thumbnail_is_a_preview(widths: tuple[int, ...], chosen: str) -> None:
    previews = [{"id": f"p{width}", "width": width} for width in widths]
    thumb = READER.card(card(upload(previews=previews))).files[0].thumb
    assert (f"/previews/{chosen}/download/" in thumb) if chosen else thumb == ""


MISSING: dict[str, object] = {
    "nothing at all": {},
    "another type": [1, "x", None, {"id": 5}],
    "an attachment without an id": card({"name": "x"}),
    "an id that is a path": card(upload(id="../../x")),
    "a card id that is a path": card(upload(), id="../x"),
}


@pytest.mark.parametrize("value", MISSING.values(), ids=MISSING.keys())
def test_what_cannot_be_linked_is_left_out(value: Any) -> None:
    made = READER.card(value if isinstance(value, dict) else {"attachments": value})
    assert made.files == ()


def test_fields_of_other_types_are_left_out() -> None:
    odd = upload(name=None, fileName=3, bytes="12", date=7, idMember=[], previews={}, isMalicious=1)
    file = READER.card(card(odd)).files[0]
    assert (file.name, file.size_bytes, file.who, file.thumb) == ("Untitled file", None, "", "")
    assert board_of({}, "AbCd1234").short_link == "AbCd1234"
    assert members_of({"not": "a list"}) == {}


def test_slices_of_all_files_together_are_all_files() -> None:
    cards = [READER.card(card(*[upload(id=f"{n:024x}{i}") for i in range(n)])) for n in range(6)]
    assert count_of(cards) == 15
    parts = [sliced(cards, start, 4) for start in range(0, 15, 4)]
    assert [count_of(part) for part in parts] == [4, 4, 4, 3]
    hrefs = [file.href for part in parts for each in part for file in each.files]
    assert hrefs == [file.href for each in cards for file in each.files]


def test_a_search_keeps_cards_and_their_order() -> None:
    cards = [READER.card(card(upload(name=n), name=f"Card {n}")) for n in ("b", "a", "ab")]
    assert [each.title for each in matching(cards, "A")] == [f"Card {n}" for n in ("b", "a", "ab")]
    assert [each.title for each in matching(cards, "card ab")] == ["Card ab"]


class Tags(HTMLParser):
    """All tags and attribute names of a page."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.seen: list[tuple[str, ...]] = []
        self.feed(page.decode())
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, *(name for name, _ in attrs)))


hostile = st.one_of(
    st.text(max_size=20),
    st.lists(st.sampled_from([*"<>&\"'/= ", "script", "onload", "]]>", "-->"])).map("".join),
)


def figures(text: str) -> DashboardData:
    return DashboardData(
        minutes=[Minute(3, 1, 2, 2, 1)],
        budgets=[LimitUse(text, 3, 10, 10.0)],
        clients=[(text, 3)],
        failures=[RecentFailure(0.0, text, text)],
    )


@given(hostile, hostile)
def test_no_text_becomes_markup(text: str, other: str) -> None:
    pages: list[Callable[[str], bytes]] = [
        lambda t: card_page(READER.card(card(upload(name=t, fileName=t), name=t)), None, AROUND),
        lambda t: board_page(
            board_of({"name": t}, "AbCd1234"), [READER.card(card(upload(), name=t))], "", 1, AROUND
        ),
        lambda t: board_page(
            board_of({}, "AbCd1234"), [READER.card(card(upload()))], f"~{t}", 1, AROUND
        ),
        lambda t: home_page(US, Pasted(f"x{t}", f"{US}/{t}"), DashboardData([Minute()]), BARE),
        lambda t: home_page(US, Pasted(f"x{t}", fault=f"x{t}"), figures(t), BARE),
        lambda t: credential_usage_page([Row(t, "query", "own", 1, 0.0, 0.0)]),
        lambda t: error_page(Failure(404, t, t), f"/{t}", t),
    ]
    for page in pages:
        text_tags, other_tags = Tags(page(f"a{text}")).seen, Tags(page(f"a{other}")).seen
        assert text_tags == other_tags


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 413, 418, 429, 500, 503])
def test_every_refusal_says_what_happened_and_what_to_do(status: int) -> None:
    failure = refusal_text(status)
    assert failure.status == status
    assert failure.title
    assert failure.remedy.endswith(".")


def test_a_board_that_was_cut_says_so() -> None:
    cards = [READER.card(card(upload()))] * 1000
    page = board_page(board_of({}, "x"), cards, "", 1, AROUND)
    assert b"Trello lists 1,000 cards" in page

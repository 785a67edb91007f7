"""A card's page says what the card says."""

from typing import Any

import pytest

from proxy.links.rewrite import LinkRewriter
from proxy.pages.board_data import MAX_COMMENTS, CardParser, parse_board
from proxy.pages.card_details import parse_details
from proxy.pages.card_page import card_page
from proxy.pages.user_markdown import UserMarkdown
from tests.pages.objects import CONTEXT, NOW, URL, board, card, comment, upload

LINKS = LinkRewriter(URL)


def shown(value: Any, on: object = None) -> str:
    parsed = CardParser(LINKS, NOW, {"m1": "Dana"}).parse(value)
    where = None if on is None else parse_board(on, "x")
    markdown = UserMarkdown(LINKS, NOW)
    chunks = card_page(parsed, parse_details(value), where, markdown, CONTEXT)
    return b"".join(chunks).decode()


def test_it_has_everything_that_the_card_has() -> None:
    page = shown(
        card(
            upload(),
            idList="l1",
            desc="Some **bold** words",
            labels=[{"name": "Bug", "color": "red"}],
            members=[{"fullName": "Robin Reed"}, {"username": "dana"}],
            checklists=[
                {"name": "Later", "pos": 2, "checkItems": []},
                {
                    "name": "Steps",
                    "pos": 1,
                    "checkItems": [
                        {"name": "Second", "state": "incomplete", "pos": 2},
                        {"name": "First", "state": "complete", "pos": 1},
                    ],
                },
            ],
            actions=[
                comment("Newer"),
                {**comment("Older"), "type": "copyCommentCard"},
                {**comment("no comment"), "type": "updateCard"},
            ],
        ),
        board(),
    )
    in_order = ["To do", "Release", "Bug", "Robin Reed", "dana", "<strong>bold</strong>", "Steps"]
    in_order += ["1 of 2 done", "First", "Second", "Later", "x.png", "2 comments", "Newer", "Older"]
    places = [page.index(each, page.index("<main")) for each in in_order]
    assert places == sorted(places)
    assert page.count("<h1>") == 1
    assert "no comment" not in page
    assert 'content="To do · Release · 1 of 2 done · 1 file"' in page
    assert '<meta property="og:title" content="A card">' in page


DUE = {
    "later": ("2026-12-01T12:00:00Z", False, 'class="due open"'),
    "overdue": ("2026-11-01T12:00:00Z", False, ", overdue"),
    "done": ("2026-11-01T12:00:00Z", True, ", done"),
}


@pytest.mark.parametrize(("due", "done", "text"), DUE.values(), ids=DUE.keys())
def test_a_due_date_says_whether_it_is_met(due: str, done: bool, text: str) -> None:  # noqa: FBT001
    page = shown(card(due=due, dueComplete=done))
    assert text in page
    assert f'<time datetime="{due}"' in page


def test_it_says_how_old_it_is() -> None:
    assert 'as of <time datetime="2026-11-21T12:20:00Z" data-local="time">12:20 UTC' in shown(
        card()
    )


def test_without_its_details_it_says_that_they_were_not_read() -> None:
    parsed = CardParser(LINKS, NOW, {}).parse(card(upload(), idList="l1"))
    markdown, on = UserMarkdown(LINKS, NOW), parse_board(board(), "x")
    page = b"".join(card_page(parsed, None, on, markdown, CONTEXT)).decode()
    assert "comments and checklists were not read yet; Trello does not respond" in page
    assert "x.png" in page
    assert "To do" in page
    assert "were not read" not in shown(card())


def test_only_so_many_comments_are_shown_and_older_ones_are_named() -> None:
    page = shown(card(actions=[comment("x")] * (MAX_COMMENTS + 5)))
    assert page.count("<article") == MAX_COMMENTS
    assert "Older comments are in Trello" in page
    assert "Older comments" not in shown(card(actions=[comment("x")]))


ODD: dict[str, object] = {
    "no object": ["x"],
    "nothing": {},
    "other types": {"desc": 1, "labels": "x", "members": {}, "checklists": [3], "actions": "no"},
    "odd members of these": {
        "labels": [None],
        "checklists": [{"checkItems": "x", "name": 3, "pos": "top"}],
        "actions": [{"type": "commentCard", "data": "x"}, {"type": "commentCard", "data": {}}],
        "members": [{"fullName": 1}],
        "due": "32nd",
    },
}


@pytest.mark.parametrize("value", ODD.values(), ids=ODD.keys())
def test_fields_of_other_types_are_left_out(value: object) -> None:
    assert "Untitled card" in shown(value, {"lists": "x"})


HOSTILE = "<img src=x onerror=alert(1)>\u202e\u2066\x00</bdi><script>x</script>"


def test_nothing_hostile_gets_through_from_any_field() -> None:
    page = shown(
        card(
            upload(name=HOSTILE, fileName=HOSTILE),
            name=HOSTILE,
            desc=HOSTILE,
            labels=[{"name": HOSTILE, "color": HOSTILE}],
            members=[{"fullName": HOSTILE}],
            checklists=[{"name": HOSTILE, "checkItems": [{"name": HOSTILE, "state": HOSTILE}]}],
            actions=[comment(HOSTILE, HOSTILE)],
            url=f"javascript:{HOSTILE}",
            due=HOSTILE,
            shortLink=HOSTILE,
        ),
        {"name": HOSTILE, "lists": [{"id": "l1", "name": HOSTILE}], "url": HOSTILE},
    )
    assert page.count("<script") == 1  # the page's own
    assert "<img src=x" not in page
    assert "javascript:" not in page
    assert not set("\u202e\u2066\x00") & set(page)
    assert page.count("<bdi>") == page.count("</bdi>")


def test_a_name_of_16_kib_is_shown_whole_on_its_card_and_cut_in_titles() -> None:
    page = shown(card(name="x" * 16384))
    assert "x" * 16384 in page
    assert f"<title>{'x' * 119}…</title>" in page

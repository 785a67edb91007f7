"""What an answer teaches of names and owners: what is sure, and nothing else."""

import json
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.model import NEVER_EXPIRES, AliasEntry, RequestTime, is_id
from proxy.trello.alias_learning import (
    MAX_ALIASES,
    MAX_ARRAY_BYTES,
    alias_name,
    alias_tags,
    extract_aliases,
    is_mutable,
)
from proxy.trello.object_ids import MAX_PARSED_BYTES
from proxy.trello.routes import RouteTable
from proxy.trello.tags import OWNERS_KNOWN

CARD, CARD_2 = "c" * 24, "d" * 24
BOARD, BOARD_2 = "b" * 24, "e" * 24
LIST, CHECKLIST, LABEL = "1" * 24, "5" * 24, "3" * 24
MEMBER, ORGANIZATION, ACTION = "a" * 24, "9" * 24, "4" * 24
ASKED_AT, SEQ = 1000.0, 7
TABLE = RouteTable()

A_CARD = {"id": CARD, "idBoard": BOARD, "idList": LIST, "shortLink": "AbCdEf12"}
THE_CARD = f"card:AbCdEf12={CARD}"
OWNED = f"card:{CARD}={BOARD}"
AN_ACTION = {
    "id": ACTION,
    "idMemberCreator": MEMBER,
    "data": {
        "card": {"id": CARD, "shortLink": "AbCdEf12", "idBoard": BOARD_2},
        "board": {"id": BOARD, "shortLink": "XyZ01234"},
        "list": {"id": LIST, "idBoard": BOARD},
    },
    "memberCreator": {"id": MEMBER, "username": "dana"},
}

CASES: dict[str, tuple[str, object, str]] = {
    "a card": ("/cards/AbCdEf12", A_CARD, f"{THE_CARD} {OWNED}"),
    "a card whose id comes last": (
        f"/cards/{CARD}",
        {"shortLink": "AbCdEf12", "id": CARD},
        THE_CARD,
    ),
    "a card with other objects in between": (
        f"/cards/{CARD}",
        {"id": CARD, "attachments": [{"id": LABEL}], "badges": {}, "shortLink": "AbCdEf12"},
        THE_CARD,
    ),
    "a card that shows only its list": (f"/cards/{CARD}", {"id": CARD, "idList": LIST}, ""),
    "the answer to a name tells whose it is": (
        "/boards/XyZ01234?fields=name",
        {"id": BOARD},
        f"board:XyZ01234={BOARD}",
    ),
    "a part tells nothing of the name": ("/boards/XyZ01234/lists", [{"id": LIST}], ""),
    "the short address of a card": (
        f"/cards/{CARD}",
        {"id": CARD, "shortUrl": "https://trello.com/c/AbCdEf12"},
        THE_CARD,
    ),
    "an address that is another": (
        f"/cards/{CARD}",
        {"id": CARD, "shortUrl": "https://trello.com/b/AbCdEf12"},
        "",
    ),
    "one field": ("/cards/AbCdEf12/name", {"_value": "x"}, ""),
    "a part of a card": ("/cards/AbCdEf12/attachments", [A_CARD], ""),
    "a text that looks like a card": (
        f"/cards/{CARD}",
        {"id": CARD, "desc": json.dumps({"id": CARD_2, "shortLink": "AbCdEf12"})},
        "",
    ),
    "a shortLink that is none": (f"/cards/{CARD}", {"id": CARD, "shortLink": "a/b"}, ""),
    "an id that is none": ("/cards/AbCdEf12", {"id": "x", "shortLink": "AbCdEf12"}, ""),
    "the cards of a board": (f"/boards/{BOARD_2}/cards/open", [A_CARD], f"{THE_CARD} {OWNED}"),
    "cards that do not show the board they were asked of": (
        f"/boards/{BOARD}/cards",
        [{"id": CARD}, {"id": CARD_2}],
        f"{OWNED} card:{CARD_2}={BOARD}",
    ),
    "cards of a board whose id is not known": ("/boards/XyZ01234/cards", [{"id": CARD}], ""),
    "cards of a member on a board": (
        f"/boards/{BOARD}/members/{MEMBER}/cards",
        [{"id": CARD}],
        OWNED,
    ),
    "a board with what is on it": (
        "/boards/XyZ01234?lists=all",
        {
            "id": BOARD,
            "shortLink": "XyZ01234",
            "cards": [
                {"id": CARD, "idBoard": BOARD, "checklists": [{"id": CHECKLIST, "idCard": CARD}]}
            ],
            "lists": [{"id": LIST}],
            "labels": [{"id": LABEL}],
            "members": [{"id": MEMBER, "username": "dana"}],
        },
        (
            f"board:XyZ01234={BOARD} {OWNED} list:{LIST}={BOARD} member:dana={MEMBER} "
            f"checklist:{CHECKLIST}={CARD},{BOARD}"
        ),
    ),
    "the boards of a member": (
        "/members/me/boards",
        [{"id": BOARD, "shortLink": "XyZ01234"}],
        f"board:XyZ01234={BOARD}",
    ),
    "a checklist belongs to a card and a board": (
        f"/checklists/{CHECKLIST}",
        {"id": CHECKLIST, "idCard": CARD, "idBoard": BOARD},
        f"checklist:{CHECKLIST}={CARD},{BOARD}",
    ),
    "a checklist that shows half": (
        f"/checklists/{CHECKLIST}",
        {"id": CHECKLIST, "idBoard": BOARD},
        "",
    ),
    "an action tells names, not what belonged where": (
        f"/cards/{CARD}/actions",
        [AN_ACTION],
        f"{THE_CARD} board:XyZ01234={BOARD}",
    ),
    "the card of an action, of when it was": (f"/actions/{ACTION}/card", A_CARD, THE_CARD),
    "a search may lag": (
        "/search",
        {"cards": [A_CARD], "members": [{"id": MEMBER, "username": "dana"}]},
        THE_CARD,
    ),
    "a member": (
        f"/members/{MEMBER}",
        {"id": MEMBER, "username": "dana"},
        f"member:dana={MEMBER}",
    ),
    "me": (
        "/members/me",
        {"id": MEMBER, "username": "dana"},
        f"member:dana={MEMBER} member:me@p={MEMBER}",
    ),
    "me, spelled otherwise": ("/member/Me", {"id": MEMBER}, f"member:me@p={MEMBER}"),
    "a member who calls himself me": (f"/members/{MEMBER}", {"id": MEMBER, "username": "me"}, ""),
    "a username like an id": (f"/members/{MEMBER}", {"id": MEMBER, "username": "f" * 24}, ""),
    "an organization": (
        "/organizations/acme",
        {"id": ORGANIZATION, "name": "acme"},
        f"organization:acme={ORGANIZATION}",
    ),
    "a name of a list is no alias": (f"/lists/{LIST}", {"id": LIST, "name": "todo"}, ""),
    "an unknown path": ("/inventions/1", A_CARD, ""),
    "an object that was cut": (f"/boards/{BOARD}", b'{"id":"' + CARD.encode(), ""),
    "an array that was cut, and its first object whole": (
        f"/lists/{LIST}/cards",
        json.dumps([A_CARD]).encode()[:-1] + b',{"id":',
        "",
    ),
    "an array with half a surrogate pair": (
        f"/lists/{LIST}/cards",
        b'[{"id":"%b","name":"\\ud83d","shortLink":"AbCdEf12"}]' % CARD.encode(),
        THE_CARD,
    ),
    "no JSON": (f"/cards/{CARD}", b"not found", ""),
    "no text": (f"/cards/{CARD}", b"\xff", ""),
    "nesting without end": (f"/cards/{CARD}", b'{"board":' * 90_000, ""),
    "an empty array": (f"/lists/{LIST}/cards", b" [ ] ", ""),
}


def taught(target: str, body: object, own_id: str | None = None) -> list[AliasEntry]:
    match = TABLE.classify("GET", target.partition("?")[0].strip("/").split("/"))
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return extract_aliases(match, own_id, "p", raw, RequestTime(SEQ, ASKED_AT))


@pytest.mark.parametrize(("target", "body", "facts"), CASES.values(), ids=CASES)
def test_facts_in(target: str, body: object, facts: str) -> None:
    named = [*target.split("/"), ""][2]
    found = taught(target, body, named if len(named) == 24 else None)
    assert {f"{entry.name}={','.join(entry.target_ids)}" for entry in found} == set(facts.split())
    assert {(entry.requested_at, entry.requested_seq) for entry in found} <= {(ASKED_AT, SEQ)}


ENDS = {
    "a shortLink never": ("/cards/AbCdEf12", A_CARD, "card:AbCdEf12", NEVER_EXPIRES),
    "who I am never": ("/members/me", {"id": MEMBER}, "member:me@p", NEVER_EXPIRES),
    "a username with the answer that showed it": (
        f"/members/{MEMBER}",
        {"id": MEMBER, "username": "dana"},
        "member:dana",
        ASKED_AT + 300,
    ),
    "an owner with the answer, were it watched": (
        f"/cards/{CARD}",
        A_CARD,
        f"card:{CARD}",
        ASKED_AT + 600,
    ),
    "an owner with an answer that nobody watches": (
        "/members/me/cards",
        [A_CARD],
        f"card:{CARD}",
        ASKED_AT + 30,
    ),
}


@pytest.mark.parametrize(("target", "body", "about", "until"), ENDS.values(), ids=ENDS)
def test_a_fact_ends(target: str, body: object, about: str, until: float) -> None:
    assert [entry.expires_at for entry in taught(target, body) if entry.name == about] == [until]


def test_an_answer_too_large_teaches_nothing_and_no_answer_too_much() -> None:
    cards = [{"id": f"{number:024x}", "idBoard": BOARD} for number in range(MAX_ALIASES + 9)]
    assert len(taught(f"/lists/{LIST}/cards", cards)) == MAX_ALIASES
    long = {**A_CARD, "desc": "x" * MAX_PARSED_BYTES}
    assert taught(f"/cards/{CARD}", long) == []
    assert len(taught(f"/lists/{LIST}/cards", [long])) == 2
    assert taught(f"/lists/{LIST}/cards", [long] * (MAX_ARRAY_BYTES // MAX_PARSED_BYTES)) == []


ABOUT = {
    "a card": ("card", "AbCdEf12", "card:AbCdEf12"),
    "capitals matter in a shortLink": ("card", "abcdef12", "card:abcdef12"),
    "a board": ("board", "XyZ01234", "board:XyZ01234"),
    "a username, in lower case": ("member", "Dana_1", "member:dana_1"),
    "me, of this credential": ("member", "ME", "member:me@p"),
    "an organization": ("organization", "acme", "organization:acme"),
    "an id is no name": ("card", CARD, None),
    "too short": ("card", "abc", None),
    "encoded": ("card", "AbCdEf%31", None),
    "a list has no names": ("list", "AbCdEf12", None),
}


@pytest.mark.parametrize(("kind", "name", "about"), ABOUT.values(), ids=ABOUT)
def test_about_name(kind: str, name: str, about: str | None) -> None:
    assert alias_name(kind, name, "p") == about


def test_only_people_and_organizations_rename_themselves() -> None:
    changing = {("member", "dana"), ("organization", "acme")}
    names = {*changing, ("member", "me"), ("card", "AbCdEf12"), ("board", "XyZ01234")}
    assert {pair for pair in names if is_mutable(*pair)} == changing


HOLDING = {
    "a name": ("member:dana", (MEMBER,), f"member:{MEMBER}"),
    "the board of a card": (f"card:{CARD}", (BOARD,), f"card:{CARD} cards-of:{BOARD}"),
    "the board of a list": (f"list:{LIST}", (BOARD,), f"list:{LIST} board:{BOARD}"),
    "the card and board of a checklist": (
        f"checklist:{CHECKLIST}",
        (CARD, BOARD),
        f"checklist:{CHECKLIST} card:{CARD} cards-of:{BOARD}",
    ),
}


@pytest.mark.parametrize(("about", "ids", "tags"), HOLDING.values(), ids=HOLDING)
def test_a_fact_ends_with_what_it_is_about(about: str, ids: tuple[str, ...], tags: str) -> None:
    found = set(alias_tags(AliasEntry(about, ids, ASKED_AT, SEQ, 0.0)))
    wild = {f"{tag.partition(':')[0]}:*" for tag in tags.split()}
    owners = {OWNERS_KNOWN} if is_id(about.partition(":")[2]) else set()
    assert found == {"everything", *tags.split(), *wild, *owners}


IDS = st.sampled_from([CARD, CARD_2, BOARD, BOARD_2, LIST])
TEXTS = IDS | st.sampled_from(["AbCdEf12", "XyZ01234", "dana", "acme", '"id":"', "me"])
MEMBERS = st.sampled_from(
    ["id", "shortLink", "idBoard", "idCard", "username", "name", "data", "cards", "board", "desc"]
)
VALUES = st.recursive(
    TEXTS | st.none() | st.integers(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(MEMBERS, inner, max_size=6),
)
READS = st.sampled_from(
    ["/cards/AbCdEf12", "/boards/XyZ01234/cards", "/members/me", "/search", "/actions/x",
     "/lists/x/cards", "/organizations/acme", "/boards/XyZ01234", "/cards/AbCdEf12/checklists"]
)  # fmt: skip


def objects_in(value: object) -> Iterator[dict[str, object]]:
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    for each in value if isinstance(value, list) else ():
        yield from objects_in(each)


@given(READS, VALUES)
def test_nothing_is_learned_that_one_object_of_the_answer_does_not_show(
    target: str, body: object
) -> None:
    objects = list(objects_in(body))
    for entry in taught(target, body):
        name, own = entry.name.partition(":")[2], entry.target_ids[0]
        if name == "me@p" or target.endswith(f"/{name}"):
            assert own in [each.get("id") for each in objects]
        elif len(name) == 24:
            assert name in [each.get("id") for each in objects]
            shown = [each.get(key) for each in objects for key in ("id", "idBoard", "idCard")]
            assert set(entry.target_ids) <= set(filter(lambda each: isinstance(each, str), shown))
        else:
            keys = ("shortLink", "username", "name")
            assert any(each.get("id") == own and name in [each.get(k) for k in keys]
                       for each in objects)  # fmt: skip

"""A path is what it is, however it is spelled; what fits no row is never stored."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.schema import RouteRule
from proxy.model import Kind, Lifetimes
from proxy.trello.read_operations import (
    ACTIONS,
    CONTENT,
    LIBRARY,
    NEVER,
    PEOPLE,
    SEARCH,
)
from proxy.trello.routes import (
    RESOURCES,
    UNKNOWN,
    RouteTable,
)

OPERATIONS = Path(__file__).parents[2] / "../shared/trello/operations.txt"
CARD = "5e93ba665c58c44a46cb2ef9"
TABLE = RouteTable()


def segments_of(path: str) -> list[str]:
    return [segment for segment in path.split("/") if segment]


TEMPLATES = {
    "a board": ("GET /boards/x", Kind.READ, "/boards/{id}"),
    "a singular name": ("GET /member/me", Kind.READ, "/members/{id}"),
    "a capital name": ("GET /Board/x", Kind.READ, "/boards/{id}"),
    "a singular name in two words": ("GET /customfield/x", Kind.READ, "/customFields/{id}"),
    "HEAD is a read": ("HEAD /cards/x", Kind.READ, "/cards/{id}"),
    "what is encoded still is no literal": ("GET /c%61rds/x/members", Kind.READ, UNKNOWN),
    "a filter": ("GET /boards/x/cards/open", Kind.READ, "/boards/{id}/cards/{filter}"),
    "a filter as long as a shortLink": (
        "GET /boards/x/cards/complete",
        Kind.READ,
        "/boards/{id}/cards/{filter}",
    ),
    "a card below its board": (
        f"GET /boards/x/cards/{CARD}",
        Kind.READ,
        "/boards/{id}/cards/{idCard}",
    ),
    "a filter of lists": ("GET /boards/x/lists/all", Kind.READ, "/boards/{id}/lists/{filter}"),
    "a single field": ("GET /cards/x/idList", Kind.READ, "/cards/{id}/{field}"),
    "a field that is also the start of a longer path": (
        "GET /cards/x/checkItem",
        Kind.READ,
        "/cards/{id}/{field}",
    ),
    "a literal beats a field": ("GET /cards/x/checklists", Kind.READ, "/cards/{id}/checklists"),
    "any letter case": (
        "PUT /CARDS/x/CHECKITEM/y",
        Kind.WRITE,
        "/cards/{id}/checkItem/{idCheckItem}",
    ),
    "a single-field write": ("PUT /cards/x/idList", Kind.WRITE, "/cards/{id}/{field}"),
    "a preference": ("PUT /boards/x/prefs/voting", Kind.WRITE, "/boards/{id}/prefs/{field}"),
    "a move to another board": ("PUT /card/x/idBoard", Kind.WRITE, "/cards/{id}/idBoard"),
    "an upload": ("POST /cards/x/attachments", Kind.WRITE, "/cards/{id}/attachments"),
    "a file": (
        "GET /cards/x/attachments/y/download/a.pdf",
        Kind.FILE,
        "/cards/{id}/attachments/{idAttachment}/download/{name}",
    ),
    "a preview without a name": (
        "GET /cards/x/attachments/y/previews/preview2x/download",
        Kind.FILE,
        "/cards/{id}/attachments/{idAttachment}/previews/{idPreview}/download",
    ),
    "a preview": (
        "GET /cards/x/attachments/y/previews/z/download/a.webp",
        Kind.FILE,
        "/cards/{id}/attachments/{idAttachment}/previews/{idPreview}/download/{name}",
    ),
    "an export": (
        "GET /boards/x/exports/y/download",
        Kind.FILE,
        "/boards/{id}/exports/{idExport}/download",
    ),
    "a batch": ("GET /batch", Kind.BATCH, "/batch"),
    "a batch that is posted is a write like any other": ("POST /batch", Kind.WRITE, UNKNOWN),
    "the library": ("GET /client.js", Kind.SCRIPT, "/client.js"),
    "a grant": ("GET /authorize", Kind.AUTHORIZATION_PAGE, "/authorize"),
    "a grant that is posted": ("POST /token/approve", Kind.AUTHORIZATION_PAGE, "/tokens/approve"),
    "a step of OAuth 1": (
        "POST /OAuthGetAccessToken",
        Kind.AUTHORIZATION_PAGE,
        "/OAuthGetAccessToken",
    ),
    "an unknown read": ("GET /boards/x/no/such/thing", Kind.READ, UNKNOWN),
    "an unknown write": ("POST /inventions", Kind.WRITE, UNKNOWN),
    "an unknown method is a write": ("PATCH /cards/x", Kind.WRITE, UNKNOWN),
    "OPTIONS is safe": ("OPTIONS /cards/x", Kind.READ, UNKNOWN),
    "no path at all": ("GET /", Kind.READ, UNKNOWN),
}


@pytest.mark.parametrize(("request_line", "kind", "template"), TEMPLATES.values(), ids=TEMPLATES)
def test_classify(request_line: str, kind: Kind, template: str) -> None:
    method, path = request_line.split()
    route = TABLE.classify(method, segments_of(path)).route
    assert (route.kind, route.template) == (kind, template)


LIFETIMES = {
    "cards of a board": ("/boards/x/cards", CONTENT),
    "a member": ("/members/me", PEOPLE),
    "a feed": ("/boards/x/actions", ACTIONS),
    "a search": ("/search", SEARCH),
    "the library": ("/client.js", LIBRARY),
    "a cursor": ("/Board/x/deltas", NEVER),
    "what a token is": ("/tokens/x", NEVER),
    "what is unknown": ("/inventions", NEVER),
    "a file, kept elsewhere": ("/cards/x/attachments/y/download/z", NEVER),
}


@pytest.mark.parametrize(("path", "lifetimes"), LIFETIMES.values(), ids=LIFETIMES)
def test_lifetimes(path: str, lifetimes: Lifetimes) -> None:
    assert TABLE.classify("GET", segments_of(path)).route.lifetimes == lifetimes


CANONICAL = {
    "plural, in Trello's own case": (
        "/CARD/AbCdEf12/CUSTOMFIELDITEMS",
        ("cards", "AbCdEf12", "customFieldItems"),
    ),
    "a username in lower case": ("/Member/Demo/Boards", ("members", "demo", "boards")),
    "a username on a path no row fits": ("/member/ME/no/Such", ("members", "me", "no", "Such")),
    "an id keeps its spelling": ("/board/aBc/lists", ("boards", "aBc", "lists")),
    "an unknown path keeps all but its first": ("/Board/X/No/Such", ("boards", "X", "No", "Such")),
    "a segment that only looks like a resource": ("/boards/x/card", ("boards", "x", "card")),
}


@pytest.mark.parametrize(("path", "canonical"), CANONICAL.values(), ids=CANONICAL)
def test_segments_are_canonical(path: str, canonical: tuple[str, ...]) -> None:
    assert TABLE.classify("GET", segments_of(path)).segments == canonical


def test_params_name_the_ids_as_they_came() -> None:
    match = TABLE.classify("GET", ["card", "AbC", "Attachments", "dEf"])
    assert match.params == (("id", "AbC"), ("idAttachment", "dEf"))


SECRETS = {
    "a token": ("GET /tokens/s3cret", (1,)),
    "a token in the singular": ("DELETE /Token/s3cret", (1,)),
    "a token's webhook": ("PUT /tokens/s3cret/webhooks/x", (1,)),
    "a key": ("GET /applications/s3cret/compliance", (1,)),
    "a token on a path no row fits": ("PATCH /token/s3cret/no/such", (1,)),
    "nothing secret": ("GET /cards/x", ()),
    "approving is not a token": ("GET /token/approve", ()),
}


@pytest.mark.parametrize(("request_line", "positions"), SECRETS.values(), ids=SECRETS)
def test_secret_positions(request_line: str, positions: tuple[int, ...]) -> None:
    method, path = request_line.split()
    match = TABLE.classify(method, segments_of(path))
    assert match.secret_positions == positions
    assert "s3cret" not in repr(match)


OVERRIDES = {
    "a pattern of one board's cards": ("/boards/*/cards", "/boards/x/cards", True),
    "it sees through spelling": ("/boards/*/cards", "/Board/x/CARDS", True),
    "it is as long as the path": ("/boards/*", "/boards/x/cards", False),
    "one named board": ("/boards/abcdefgh/*", "/boards/AbCdEfGh/lists", True),
    "any rest": ("/boards/**", "/boards/x/lists/open", True),
    "any rest, an empty one included": ("/search/**", "/search", True),
    "any rest of another resource": ("/boards/**", "/cards/x", False),
    "everything": ("/**", "/cards/x", True),
    "an unknown path": ("/inventions", "/inventions", True),
    "a file is kept by other rules": ("/**", "/cards/x/attachments/y/download", False),
}


@pytest.mark.parametrize(("pattern", "path", "fits"), OVERRIDES.values(), ids=OVERRIDES)
def test_override(pattern: str, path: str, *, fits: bool) -> None:
    table = RouteTable([RouteRule(match=pattern, lifetime_s=7.0)])
    lifetimes = table.classify("GET", segments_of(path)).route.lifetimes
    assert (lifetimes.lifetime_s == 7.0) is fits


def test_the_first_override_wins_and_keeps_what_it_does_not_set() -> None:
    table = RouteTable(
        [
            RouteRule(match="/boards/*/cards", stale_if_error_s=1.0),
            RouteRule(match="/**", lifetime_s=9.0),
        ]
    )
    lifetimes = table.classify("GET", ["boards", "x", "cards"]).route.lifetimes
    assert lifetimes == Lifetimes(30.0, 60.0, 1.0, 600.0)


def test_every_operation_of_trello_has_a_row_of_its_own() -> None:
    if not OPERATIONS.exists():
        pytest.skip("the list of operations is not here")
    operations = re.findall(r"(GET|PUT|POST|DELETE) +(/\S*)", OPERATIONS.read_text())
    assert len(operations) == 261
    for method, template in operations:
        path = template.replace("${", "{").replace("{filter}", "open")
        match = TABLE.classify(method, segments_of(re.sub(r"\{\w+\}", "x", path)))
        own = re.sub(r"\{\w+\}", "{}", path.rstrip("/"))
        assert (
            re.sub(r"\{(?!filter)\w+\}", "{}", match.route.template).replace(
                "{filter}", "open" if own.endswith("/open") else "{}"
            )
            == own
        ), (method, template)
        assert (match.route.kind is Kind.WRITE) == (method != "GET"), (method, template)


@given(
    st.sampled_from(["GET", "PUT", "POST", "DELETE", "HEAD", "BREW"]),
    st.lists(st.one_of(st.sampled_from(RESOURCES), st.text(min_size=1)), max_size=8),
)
def test_any_path_is_something(method: str, segments: list[str]) -> None:
    match = TABLE.classify(method, segments)
    assert len(match.segments) == len(segments)
    assert (match.route.kind is Kind.WRITE) <= (method not in ("GET", "HEAD"))

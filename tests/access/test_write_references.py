"""Write references: everything that a write names, or its refusal."""

import pytest

from proxy.access.write_references import Reference, references_of, upload_parts
from proxy.errors import OutsideScope
from proxy.http_semantics.parameters import Parameter
from proxy.trello.routes import RouteTable

ROUTES = RouteTable()
ID = "5f0000000000000000000001"


def named(method: str, path: str, query: str = "", *body: Parameter) -> set[tuple[str, str]]:
    match = ROUTES.classify(method, path.split("/"))
    return {(each.kind, each.name) for each in references_of(method, match, query, body)}


@pytest.mark.parametrize(
    ("method", "path", "query", "expected"),
    [
        ("PUT", "cards/c", "name=x&idList=l", {("card", "c"), ("list", "l")}),
        ("POST", "cards", "idList=l&idLabels=a,b", {("list", "l"), ("label", "a"), ("label", "b")}),
        ("PUT", "cards/c/idBoard", "value=b", {("card", "c"), ("board", "b")}),
        ("PUT", "cards/c/idList", "value=l", {("card", "c"), ("list", "l")}),
        ("PUT", "cards/c/actions/a/comments", "text=x", {("card", "c"), ("action", "a")}),
        ("DELETE", "cards/c/checklists/k", "", {("card", "c"), ("checklist", "k")}),
        ("PUT", "boards/b", "prefs/background=blue", {("board", "b")}),
        ("POST", "boards", "name=x&idOrganization=w&idBoardSource=b",
         {("organization", "w"), ("board", "b")}),
        ("POST", "cards/c/attachments", f"url=https://proxy.example/c/{ID}/x",
         {("card", "c"), ("card", ID)}),
        ("POST", "cards/c/attachments", f"url=https://proxy.example/1/Boards/{ID}",
         {("card", "c"), ("board", ID)}),
        ("POST", "cards/c/attachments", "url=https://example.com/x", {("card", "c")}),
    ],
)  # fmt: skip
def test_all_that_a_write_names_is_found(
    method: str, path: str, query: str, expected: set[tuple[str, str]]
) -> None:
    assert named(method, path, query) == expected


def test_names_in_json_are_found_at_any_depth() -> None:
    body = ("customFieldItems[][idCustomField]", "f"), ("customFieldItems[][value][text]", "x")
    assert ("customField", "f") in named("PUT", "cards/c/customFields", "", *body)
    assert named("PUT", "boards/b", "", ("prefs[cardCovers]", "true")) == {("board", "b")}


@pytest.mark.parametrize(
    ("method", "path", "query"),
    [
        ("PUT", "cards/c", "idlist=l"),
        ("PUT", "cards/c", "unheardOf=1"),
        ("PUT", "cards/c", "prefs[idBoard]x=1&idUnheardOf=1"),
        ("PUT", "cards/c/IDLIST", "value=l"),
        ("PUT", "cards/c/unheardOf", "value=l"),
        ("POST", "cards", "name=x"),
        ("POST", "boards", "name=x"),
        ("POST", "cards/c/attachments", "url=https://trello.com/u/x"),
        ("POST", "cards/c/attachments", "url=http://[broken"),
        ("POST", "webhooks", "idModel=b"),
        ("PUT", "cards/c", "&".join(f"idLabels={n}" for n in range(30))),
    ],
)
def test_what_may_name_anything_else_is_refused(method: str, path: str, query: str) -> None:
    with pytest.raises(OutsideScope):
        named(method, path, query)


def test_only_an_upload_to_a_card_may_be_multipart() -> None:
    assert "file" in upload_parts(ROUTES.classify("POST", ("cards", "c", "attachments")))
    with pytest.raises(OutsideScope):
        upload_parts(ROUTES.classify("POST", ("cards",)))


def test_the_object_in_the_path_is_marked() -> None:
    match = ROUTES.classify("PUT", ("cards", "c"))
    assert references_of("PUT", match, "idList=l", ()) == [
        Reference("card", "c", in_path=True), Reference("list", "l"),
    ]  # fmt: skip

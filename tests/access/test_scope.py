"""Scope: what a configuration names."""

import pytest

from proxy.access.scope import Scope, board_name, scope_of, workspace_name
from proxy.access.visible import Workspace, intersection, make_visible


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("kpPww9qv", "kpPww9qv"),
        ("5f0000000000000000000001", "5f0000000000000000000001"),
        ("https://trello.com/b/kpPww9qv/title", "kpPww9qv"),
        ("trello.com/b/kpPww9qv?x#y", "kpPww9qv"),
    ],
)
def test_a_board_is_named_by_id_short_link_or_url(text: str, name: str) -> None:
    assert board_name(text) == name


def test_a_workspace_is_named_by_id_name_or_url() -> None:
    assert workspace_name("https://trello.com/w/acme/home") == workspace_name("acme") == "acme"


@pytest.mark.parametrize("text", ["", "*", "https://evil.example/b/kpPww9qv", "short", "a/b"])
def test_what_is_neither_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a board"):
        board_name(text)
    with pytest.raises(ValueError, match="not a workspace"):
        workspace_name(text.upper() or text)


def test_no_names_mean_the_wider_scope() -> None:
    wider = Scope(frozenset({"b"}), frozenset())
    assert scope_of((), (), within=wider) is wider
    assert scope_of((), ()) is None


def test_an_intersection_has_what_is_in_both() -> None:
    whole = make_visible({"1": "a", "2": "b"}, [Workspace("w", "acme", frozenset({"1", "2"}))])
    part = make_visible({"2": "b", "3": "c"}, [])
    both = intersection(whole, part)
    assert both.boards == {"2"}
    assert not both.workspaces
    assert both.board_names == {"2": "2", "b": "2"}
    assert both.version != whole.version

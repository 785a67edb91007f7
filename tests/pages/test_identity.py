"""A client is told who it is and what it may do, in words and as JSON."""

from proxy.access.client import ANONYMOUS, Client
from proxy.access.scope import Scope
from proxy.model import Rate
from proxy.pages.identity import identity_json, identity_text


def test_an_anonymous_client() -> None:
    assert identity_text(ANONYMOUS) == (
        "You are anonymous. You may read and work on boards: everything that the proxy's account "
        "sees."
    )


def test_a_client_with_a_key_a_scope_and_a_limit() -> None:
    scope = Scope(frozenset({"kpPww9qv"}), frozenset({"acme", "other"}))
    ci = Client(name="ci", writes="deny", scope=scope, limit=Rate(20, 10.0), source="key")
    assert identity_text(ci) == (
        "You are ci, by your client key. You may read: 1 board and all boards of 2 workspaces; "
        "20 requests to Trello in 10 s."
    )
    assert identity_json(ci) == {
        "name": "ci",
        "source": "key",
        "writes": "deny",
        "boards": ["kpPww9qv"],
        "workspaces": ["acme", "other"],
    }


def test_a_user_of_a_reverse_proxy() -> None:
    anna = Client(name="anna", writes="all", source="user")
    assert identity_text(anna).startswith("You are anna, by the login of the reverse proxy. You ")

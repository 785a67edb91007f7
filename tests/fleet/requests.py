"""Requests whose response does not depend on the node that is asked."""

from collections.abc import Awaitable
from typing import Any, Protocol

from multidict import CIMultiDictProxy

from proxy.fake_trello.server import FakeTrello
from tests.scenarios.conftest import Heard

VARIABLE = {"x-request-id", "age", "server-timing", "cache-status", "ratelimit"}


class _Node(Protocol):
    def __call__(self, method: str, target: str, **options: Any) -> Awaitable[Heard]: ...


REQUESTS = {
    "a card": ("GET", "/1/cards/{card}", {}),
    "its head": ("HEAD", "/1/cards/{card}", {}),
    "with gzip": ("GET", "/1/boards/{board}/cards", {"Accept-Encoding": "gzip"}),
    "a condition": ("GET", "/1/cards/{card}", {"If-None-Match": "*"}),
    "a fault": ("GET", "/1/cards/..%2f", {}),
    "nothing there": ("GET", "/1/cards/000000000000000000000000", {}),
    "a page": ("GET", "/", {"Accept": "text/html", "Sec-Fetch-Mode": "navigate"}),
    "documentation": ("GET", "/-/docs/fleet", {}),
    "a preflight": ("OPTIONS", "/1/cards/{card}", {"Access-Control-Request-Method": "PUT"}),
    "a batch": ("GET", "/1/batch?urls=/cards/{card},/boards/{board}", {}),
    "an explanation": ("GET", "/-/explain?url=/1/cards/{card}", {}),
    "a field that hides another": (
        "GET",
        "/-/explain?url=/1/cards/{card}",
        {"X-Forwarded-For": "192.0.2.1", "Connection": "X-Forwarded-For"},
    ),
    "the address of sessions": ("GET", "/-/fleet/session", {}),
    "another site": ("GET", "/1/cards/{card}", {"Origin": "https://elsewhere.example"}),
    "another host": ("GET", "/1/cards/{card}", {"Host": "elsewhere.example"}),
}


_NAME_THE_REQUEST = {
    "a page",
    "a fault",
    "another site",
    "another host",
    "a field that hides another",
    "the address of sessions",
}
"""Their responses hold its id."""


async def check_equal(
    name: str, trello: FakeTrello, leader: _Node, follower: _Node
) -> tuple[Heard, Heard]:
    """Both responses: the follower responds as the leader."""
    method, target, fields = REQUESTS[name]
    made = trello.trello
    target = target.format(card=made.example_card, board=made.example_board)
    await leader(method, target, headers=fields)
    at_leader = await leader(method, target, headers=fields)
    at_follower = await follower(method, target, headers=fields)
    assert at_follower.status == at_leader.status
    if name not in _NAME_THE_REQUEST:
        assert at_follower.body == at_leader.body
    assert shown(at_follower.fields) == shown(at_leader.fields)
    return at_leader, at_follower


def shown(fields: CIMultiDictProxy[str]) -> list[tuple[str, str]]:
    """The fields that two responses to one request have in common."""
    named = [(name.lower(), value) for name, value in fields.items()]
    return sorted(
        (name, value if name != "content-length" else "")
        for name, value in named
        if name not in VARIABLE and "rate-limit" not in name
    )

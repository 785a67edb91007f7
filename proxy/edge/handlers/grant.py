"""Trello's token-granting pages, asked of the proxy: where a token is needed, and where not."""

from proxy.edge.rendered import WireResponse
from proxy.errors import NoTokenGiven
from proxy.policy.wire import serialize

_KEYLESS = """\
No token is needed here: this proxy asks Trello in its own name.
Leave the key and token out, or send any; they are removed.
"""
_KEYED = """\
This proxy gives out no token, and needs yours: send your own key and token with each request.
"""
_WHERE = """
Trello's own page for a token is https://trello.com/1/authorize
(keys: https://trello.com/power-ups/admin).
"""


_TO_PROGRAMS = frozenset({"/OAuthGetAccessToken", "/OAuthGetRequestToken"})
"""Routes that OAuth libraries read, which stop at a status of 400 and more (RFC 5849 §2)."""


def authorize_notice(template: str, method: str, *, keyless: bool) -> WireResponse:
    """200, in plain words; NoTokenGiven for a program that asks for a token.

    `keyless`: whoever sends no key and token is answered.
    """
    if template in _TO_PROGRAMS or method != "GET":
        raise NoTokenGiven(
            "None is needed: call the API without OAuth, and without a key and token."
            if keyless
            else "Get one from https://trello.com/1/authorize, and send it with each request."
        )
    fields = (("Content-Type", "text/plain; charset=utf-8"), ("Cache-Control", "no-store"))
    return WireResponse(
        200, serialize(fields), ((_KEYLESS if keyless else _KEYED) + _WHERE).encode()
    )

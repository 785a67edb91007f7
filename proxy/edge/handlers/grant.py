"""Trello's token-granting pages, asked of the proxy: no token is needed here."""

from proxy.edge.rendered import Rendered
from proxy.policy.wire import head_of

_TEXT = """\
No token is needed here: this proxy asks Trello in its own name.
Leave the key and token out, or send any; they are removed.

Trello's own page for a token is https://trello.com/1/authorize
(keys: https://trello.com/power-ups/admin).
"""


def grant_page() -> Rendered:
    """200, in plain words."""
    fields = (("Content-Type", "text/plain; charset=utf-8"), ("Cache-Control", "no-store"))
    return Rendered(200, head_of(fields), _TEXT.encode())

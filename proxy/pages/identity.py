"""Identity in words: who a client is, and what it may do, for `/` and `/-/explain`."""

from proxy.access.client import Client
from proxy.access.scope import Scope
from proxy.pages.format import counted, duration_text

_SOURCES = {
    "key": "by your client key",
    "user": "by the login of the reverse proxy",
    "certificate": "by your certificate",
}
_WRITES = {
    "deny": "read",
    "allow": "read and work on boards",
    "all": "read, work on boards and administer the account",
}


_REFUSED = (
    "You are the operator, without a client key: a client gets 401 without one. This is for a key "
    "of no scope of its own."
)


def identity_text(client: Client, *, is_admitted: bool = True) -> str:
    """Two sentences without a line break: `You are ci, by your client key. You may read …`.

    `is_admitted`: the client may send requests; only an operator sees the text of one that may not.
    """
    if not is_admitted:
        return _REFUSED
    who = f"{client.name}, {_SOURCES[client.source]}" if client.name else "anonymous"
    limit = client.limit
    rate = ""
    if limit is not None:
        rate = f"; {limit.count} requests to Trello in {duration_text(int(limit.window_s))}"
    return f"You are {who}. You may {_WRITES[client.writes]}: {_scope_text(client.scope)}{rate}."


def identity_json(client: Client) -> dict[str, object]:
    """The same as JSON."""
    scope = client.scope
    return {
        "name": client.name,
        "source": client.source,
        "writes": client.writes,
        "boards": sorted(scope.boards) if scope else None,
        "workspaces": sorted(scope.workspaces) if scope else None,
    }


def _scope_text(scope: Scope | None) -> str:
    if scope is None:
        return "everything that the proxy's account sees"
    parts = (
        counted(len(scope.boards), "board") if scope.boards else "",
        f"all boards of {counted(len(scope.workspaces), 'workspace')}" if scope.workspaces else "",
    )
    return " and ".join(filter(None, parts))

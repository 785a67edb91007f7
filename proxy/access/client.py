"""Client: who sent a request, and what it may do."""

from dataclasses import dataclass
from typing import Literal

from proxy.access.scope import Scope
from proxy.model import Rate

Writes = Literal["deny", "allow", "all"]
"""`clients.writes`: no write, work on boards, or administration as well."""
Source = Literal["anonymous", "key", "user", "certificate"]
"""What names a client: nothing, its key, a trusted proxy, or its certificate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """A client as the proxy knows it; it holds no secret."""

    name: str = ""
    """In logs, metrics and the audit log; empty if anonymous."""
    writes: Writes = "allow"
    scope: Scope | None = None
    """None: everything that the proxy's account sees."""
    limit: Rate | None = None
    """The client's share of Trello's rate limit; None: as for anybody."""
    source: Source = "anonymous"


ANONYMOUS = Client()

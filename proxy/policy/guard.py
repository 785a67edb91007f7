"""Who may ask: a proxy without credentials is guarded against web pages (D6).

curl and servers send neither Origin nor Fetch Metadata and are unaffected. A browser always tells
the truth in Host, Origin and Sec-Fetch-Site; a page cannot forge them.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass

from proxy.errors import CrossSite, HostNotAllowed
from proxy.policy.webhooks import PATH

_HOST = re.compile(r"(?:\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::[0-9]{1,5})?\Z")
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class Guard:
    """The names answered to and the web origins whose pages may call."""

    hosts: frozenset[str]
    """Host names, lower case, without port or brackets."""
    origins: frozenset[str]
    callback_host: str = ""
    """The name that Trello delivers to: answered to where it does, and nowhere else."""

    def check_host(self, host: str, local_address: str, raw_path: str = "") -> None:
        """HostNotAllowed unless the name is ours: what DNS rebinding cannot pass.

        The address the client connected to is always ours.
        """
        name = host_name(host)
        if name is None or (
            name not in self.hosts
            and name != local_address
            and (name, raw_path.partition("?")[0]) != (self.callback_host, PATH)
        ):
            raise HostNotAllowed(
                "Use the proxy's own name, or add this one to clients.hosts in proxy.yaml."
            )

    def check_origin(self, origin: str, fetch_site: str, host: str, *, embeddable: bool) -> None:
        """CrossSite when a page of an origin that is not allowed asks.

        `embeddable`: a link or a script that any page may point at with a plain GET.
        """
        if origin and origin not in self.origins and origin.partition("://")[2] != host:
            raise CrossSite("Add this page's origin to clients.origins in proxy.yaml.")
        if not origin and fetch_site in {"cross-site", "same-site"} and not embeddable:
            raise CrossSite(
                "A page of another site asked without naming its origin; "
                "use fetch() from an origin listed in clients.origins."
            )

    def cors(self, origin: str) -> tuple[tuple[str, str], ...]:
        """The CORS fields for an allowed origin; none for any other (Fetch §3.2)."""
        if origin not in self.origins:
            return ()
        return (
            ("Access-Control-Allow-Origin", origin),
            ("Access-Control-Expose-Headers", EXPOSED),
            ("Vary", "Origin"),
        )


EXPOSED = (
    "Accept-Ranges, Age, Cache-Status, Content-Disposition, Content-Length, Content-Range, ETag, "
    "Retry-After, X-Rate-Limit-Api-Key-Interval-Ms, X-Rate-Limit-Api-Key-Max, "
    "X-Rate-Limit-Api-Key-Remaining, X-Rate-Limit-Api-Token-Interval-Ms, "
    "X-Rate-Limit-Api-Token-Max, X-Rate-Limit-Api-Token-Remaining, X-Request-Id"
)

PREFLIGHT = (
    ("Access-Control-Allow-Methods", "GET, HEAD, POST, PUT, DELETE"),
    (
        "Access-Control-Allow-Headers",
        (
            "Accept, Authorization, Cache-Control, Content-Type, If-None-Match, If-Range, Range, "
            "traceparent"
        ),
    ),
    ("Access-Control-Max-Age", "600"),
)


def host_name(host: str) -> str | None:
    """A Host field's name in lower case, without port or brackets; None when it is malformed."""
    lower = host.lower()
    if not _HOST.match(lower):
        return None
    if lower.startswith("["):
        return lower[1:].partition("]")[0]
    return lower.partition(":")[0]


def hosts_of(*names: str, extra: Collection[str] = ()) -> frozenset[str]:
    """The names a proxy answers to: where it listens, its public name, the loopback, and more."""
    return LOOPBACK_NAMES | {name.lower().strip("[]") for name in (*names, *extra) if name}

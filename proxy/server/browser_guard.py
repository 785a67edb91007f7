"""Who may send a request: a proxy without credentials is guarded against web pages (D6).

Programs send neither Origin, nor Referer, nor Fetch Metadata, and are unaffected.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass

from proxy.errors import CrossOriginDenied, HostNotAllowed
from proxy.http_semantics.fetch_metadata import FetchMetadata
from proxy.http_semantics.target import host_name
from proxy.model import Fields
from proxy.server.isolation import EMBEDDABLE, ISOLATED
from proxy.server.loopback import LOOPBACK_NAMES
from proxy.trello.tunnel import is_call_in
from proxy.trello.webhook_payload import PATH

_API = "/1/"
_CLIENT_JS = "/1/client.js"
_FILE = re.compile(r"/1/cards?/[^/?]+/attachments/[^?]*/download")
_SAFE = frozenset({"GET", "HEAD"})
_CODE = frozenset(
    {
        "audioworklet",
        "manifest",
        "paintworklet",
        "script",
        "serviceworker",
        "sharedworker",
        "style",
        "worker",
        "xslt",
    }
)
"""Destinations at which a browser runs or applies what it gets (Fetch §2.2.5)."""


@dataclass(frozen=True, slots=True)
class BrowserGuard:
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

    def check_sender(self, sender: FetchMetadata, method: str, raw_path: str) -> None:
        """CrossSite when a page of an origin that is not allowed asks, or would run the response.

        Any page may link to what is here, and embed files and client.js with a plain GET.
        """
        origin, is_read = sender.origin, method in _SAFE
        if origin and origin not in self.origins and _authority(origin) != sender.host:
            raise CrossOriginDenied("Add this page's origin to clients.origins in proxy.yaml.")
        if sender.destination in _CODE and not _may_run(raw_path):
            raise CrossOriginDenied(
                "What is here is shown or saved; none of it is a script or a style."
            )
        if origin or (is_read and (sender.is_navigation or _may_embed(raw_path))):
            return
        if self._is_elsewhere(sender) and not (is_read and sender.referrer in self.origins):
            raise CrossOriginDenied(
                "A page of another site asked without naming its origin; "
                "use fetch() from an origin listed in clients.origins."
            )

    def cors(self, origin: str) -> Fields:
        """The CORS fields for an allowed origin; none for any other (Fetch §3.2)."""
        if origin not in self.origins:
            return ()
        return (
            ("Access-Control-Allow-Origin", origin),
            ("Access-Control-Expose-Headers", EXPOSED),
            ("Vary", "Origin"),
        )

    def isolation(self, sender: FetchMetadata, raw_path: str) -> bytes:
        """The fields that say what a browser may do with the response.

        A script of ours is for any page; JSONP for pages of allowed origins, which say so in their
        Referer, for a script element sends no Origin.
        """
        path, _, query = raw_path.partition("?")
        is_listed_call = sender.referrer in self.origins and is_call_in(query)
        return EMBEDDABLE if path == _CLIENT_JS or is_listed_call else ISOLATED

    @staticmethod
    def _is_elsewhere(sender: FetchMetadata) -> bool:
        """Whether a page of another origin sends it, as far as the browser tells."""
        if sender.site:
            return sender.site in {"cross-site", "same-site"}
        return bool(sender.referrer) and _authority(sender.referrer) != sender.host


EXPOSED = (
    "Accept-Ranges, Age, Cache-Status, Content-Disposition, Content-Length, Content-Range, ETag, "
    "Retry-After, X-Rate-Limit-Api-Key-Interval-Ms, X-Rate-Limit-Api-Key-Max, "
    "X-Rate-Limit-Api-Key-Remaining, X-Rate-Limit-Api-Token-Interval-Ms, "
    "X-Rate-Limit-Api-Token-Max, X-Rate-Limit-Api-Token-Remaining, X-Request-Id"
)


def hosts_of(*names: str, extra: Collection[str] = ()) -> frozenset[str]:
    """The names a proxy answers to: where it listens, its public name, the loopback, and more."""
    return LOOPBACK_NAMES | {name.lower().strip("[]") for name in (*names, *extra) if name}


def _authority(origin: str) -> str:
    return origin.partition("://")[2]


def _may_embed(raw_path: str) -> bool:
    return raw_path.partition("?")[0] == _CLIENT_JS or bool(_FILE.match(raw_path))


def _may_run(raw_path: str) -> bool:
    path, _, query = raw_path.partition("?")
    return not path.startswith(_API) or path == _CLIENT_JS or is_call_in(query)

"""Browser guard: which host names and web origins are served, and what a browser may do (D6).

The proxy adds its own credential to requests, so no web page may use it but those of listed
origins. Programs send neither Origin, nor Referer, nor Fetch Metadata, and are unaffected.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass

from proxy.errors import CrossOriginDenied, HostNotAllowed
from proxy.http_semantics.fields import FetchMetadata, serialize
from proxy.http_semantics.target import host_name
from proxy.model import Fields
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
"""Destinations whose response a browser runs or applies (Fetch §2.2.5)."""

EXPOSED = (
    "Accept-Ranges, Age, Cache-Status, Content-Disposition, Content-Length, Content-Range, ETag, "
    "Retry-After, X-Rate-Limit-Api-Key-Interval-Ms, X-Rate-Limit-Api-Key-Max, "
    "X-Rate-Limit-Api-Key-Remaining, X-Rate-Limit-Api-Token-Interval-Ms, "
    "X-Rate-Limit-Api-Token-Max, X-Rate-Limit-Api-Token-Remaining, X-Request-Id"
)
MAX_PREFLIGHT_FIELDS = 32
"""Field names allowed by one preflight response; further ones are left out."""
_FIELD_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_CREDENTIAL_FIELDS = frozenset({"cookie", "cookie2", "proxy-authorization"})
"""Never allowed. Authorization is: it holds the page's own key and token, which are removed or,
with `clients.credentials: forward`, used."""

POLICY = b"\r\nContent-Security-Policy: "
"""Found in the header of a response that sets its own policy, which is never its first field."""
_SANDBOX = "default-src 'none'; frame-ancestors 'none'; sandbox"


def _isolation_fields(resource_policy: str) -> bytes:
    return serialize(
        (
            ("Content-Security-Policy", _SANDBOX),
            ("X-Content-Type-Options", "nosniff"),
            ("Cross-Origin-Resource-Policy", resource_policy),
        )
    )


ISOLATED = _isolation_fields("same-origin")
"""Fields of a response that is data, whatever its type: never sniffed or run, of no origin, and
readable by this origin only. Browsers apply them over plain http too."""
EMBEDDABLE = _isolation_fields("cross-origin")
"""The same for a script that any page may load."""


@dataclass(frozen=True, slots=True)
class BrowserGuard:
    """The host names that are served, and the web origins whose pages may send requests."""

    hosts: frozenset[str]
    """Host names, lower case, without port or brackets."""
    origins: frozenset[str]
    callback_host: str = ""
    """The host name of `freshness.webhook_url`: served at the webhook's path only."""

    def check_host(self, host: str, local_address: str, raw_path: str = "") -> None:
        """HostNotAllowed unless the Host field has one of our names; stops DNS rebinding.

        `local_address`, which the client connected to, is always one of them.
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
        """CrossOriginDenied for a page of an origin that is not listed, or one that runs data.

        Any page may link here, and embed attachments and client.js by a plain GET.
        """
        origin, is_read = sender.origin, method in _SAFE
        if origin and origin not in self.origins and _authority(origin) != sender.host:
            raise CrossOriginDenied("Add this page's origin to clients.origins in proxy.yaml.")
        if sender.destination in _CODE and not _may_run(raw_path):
            raise CrossOriginDenied(
                "Responses are shown or saved; none of them is a script or a style."
            )
        if origin or (is_read and (sender.is_navigation or _may_embed(raw_path))):
            return
        if self._is_elsewhere(sender) and not (is_read and sender.referrer in self.origins):
            raise CrossOriginDenied(
                "A page of another site sent this without naming its origin; "
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
        """The fields that limit what a browser may do with the response.

        client.js may be run by any page, JSONP by pages of listed origins: recognised by Referer,
        because a script element sends no Origin.
        """
        path, _, query = raw_path.partition("?")
        is_listed_call = sender.referrer in self.origins and is_call_in(query)
        return EMBEDDABLE if path == _CLIENT_JS or is_listed_call else ISOLATED

    @staticmethod
    def _is_elsewhere(sender: FetchMetadata) -> bool:
        """Whether a page of another origin sent it, as far as the browser says."""
        if sender.site:
            return sender.site in {"cross-site", "same-site"}
        return bool(sender.referrer) and _authority(sender.referrer) != sender.host


def preflight_fields(requested: str) -> Fields:
    """Fields of the response to a CORS preflight, by its Access-Control-Request-Headers.

    Names that are not allowed are left out; the browser then does not send the request
    (Fetch §3.2.3).
    """
    names = [
        name.strip() for name in requested.split(",", MAX_PREFLIGHT_FIELDS)[:MAX_PREFLIGHT_FIELDS]
    ]
    allowed = [
        name
        for name in names
        if _FIELD_NAME.fullmatch(name) and name.lower() not in _CREDENTIAL_FIELDS
    ]
    return (
        ("Access-Control-Allow-Methods", "GET, HEAD, POST, PUT, DELETE"),
        *((("Access-Control-Allow-Headers", ", ".join(allowed)),) if allowed else ()),
        ("Access-Control-Max-Age", "600"),
    )


def hosts_of(*names: str, extra: Collection[str] = ()) -> frozenset[str]:
    """Host names of a proxy: these, `extra` and loopback names; lower case, no brackets."""
    return LOOPBACK_NAMES | {name.lower().strip("[]") for name in (*names, *extra) if name}


def _authority(origin: str) -> str:
    return origin.partition("://")[2]


def _may_embed(raw_path: str) -> bool:
    return raw_path.partition("?")[0] == _CLIENT_JS or bool(_FILE.match(raw_path))


def _may_run(raw_path: str) -> bool:
    path, _, query = raw_path.partition("?")
    return not path.startswith(_API) or path == _CLIENT_JS or is_call_in(query)

"""Fetch metadata: fields by which a browser describes the page that sent a request (D6).

No page can forge them. Facts:
- Over https, and to the loopback, a browser sends Sec-Fetch-* with every request: site, use of the
  response, whether it navigates. Over plain http to a named host it sends none of them.
- Origin is sent with every request except a GET or HEAD whose response a script may not read: an
  image, a script element, `fetch` with `mode: no-cors` (Fetch §3.2).
- Referer is sent with all of them, unless the page forbids it.
- Programs send none of these.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from proxy.http_semantics.content import is_navigation

_ORIGIN = re.compile(r"(https?://[^/?#@]+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class FetchMetadata:
    """A request's fetch metadata; `fields` must ignore the case of names."""

    fields: Mapping[str, str]

    @property
    def host(self) -> str:
        """The host and port of the request, in lower case."""
        return self.fields.get("Host", "").lower()

    @property
    def origin(self) -> str:
        """The page's origin; `null` for an opaque one, empty if absent."""
        return self.fields.get("Origin", "")

    @property
    def referrer(self) -> str:
        """The origin in the Referer field (RFC 9110 §10.1.3); empty if absent."""
        found = _ORIGIN.match(self.fields.get("Referer", ""))
        return found[1].lower() if found else ""

    @property
    def site(self) -> str:
        """`cross-site`, `same-site`, `same-origin` or `none` (a person typed the URL)."""
        return self.fields.get("Sec-Fetch-Site", "")

    @property
    def destination(self) -> str:
        """The use of the response: `image`, `script`, …"""
        return self.fields.get("Sec-Fetch-Dest", "")

    @property
    def is_navigation(self) -> bool:
        """Whether a person opens the URL."""
        return is_navigation(self.fields.get("Sec-Fetch-Mode", ""), self.fields.get("Accept", ""))

    @property
    def is_preflighted(self) -> bool:
        """Whether a page would need a preflight to send this request (Fetch §4.8).

        Only certain values count: a browser adds Authorization itself for Basic, Digest and
        Negotiate, a login in front of the proxy adds Bearer, and Android's WebView adds
        X-Requested-With with the name of its app.
        """
        scheme = self.fields.get("Authorization", "").partition(" ")[0].lower()
        media_type = self.fields.get("Content-Type", "").partition(";")[0].strip().lower()
        requested_with = self.fields.get("X-Requested-With", "").lower()
        return (
            scheme == "oauth"
            or media_type == "application/json"
            or requested_with == "xmlhttprequest"
        )

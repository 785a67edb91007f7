"""What a request says of the page that sent it, in fields that no page can forge (D6).

Facts:
- Over https, and to the loopback, a browser sends Sec-Fetch-* with every request: from which site,
  for what, and whether a person navigates. Over plain http under a name it sends none of them.
- Origin goes with every request but a GET or HEAD of which a script may not read the response: an
  image, a script element, `fetch` with `mode: no-cors` (Fetch §3.2).
- Referer goes with all of them, unless the page forbids it.
- Programs send none of these.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from proxy.http_semantics.content import is_navigation

_ORIGIN = re.compile(r"(https?://[^/?#@]+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class FetchMetadata:
    """The fields of a request that tell; their names are found in any case."""

    fields: Mapping[str, str]

    @property
    def host(self) -> str:
        """Name and port that the request was sent to."""
        return self.fields.get("Host", "").lower()

    @property
    def origin(self) -> str:
        """The page's origin; `null` for an opaque one, empty where the browser does not say."""
        return self.fields.get("Origin", "")

    @property
    def referrer(self) -> str:
        """The origin in the Referer field (RFC 9110 §10.1.3); empty where there is none."""
        found = _ORIGIN.match(self.fields.get("Referer", ""))
        return found[1].lower() if found else ""

    @property
    def site(self) -> str:
        """`cross-site`, `same-site`, `same-origin` or `none` (a person typed the address)."""
        return self.fields.get("Sec-Fetch-Site", "")

    @property
    def destination(self) -> str:
        """What the response is for: `image`, `script`, …"""
        return self.fields.get("Sec-Fetch-Dest", "")

    @property
    def is_navigation(self) -> bool:
        """Whether a person opens the address."""
        return is_navigation(self.fields.get("Sec-Fetch-Mode", ""), self.fields.get("Accept", ""))

    @property
    def is_preflighted(self) -> bool:
        """Whether a page would have needed a preflight to send this (Fetch §4.8).

        Not any value will do: a browser adds Authorization by itself for Basic, Digest and
        Negotiate, a login in front of the proxy for Bearer, and Android's WebView adds
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

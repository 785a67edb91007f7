"""What a CORS preflight is granted: a page of an allowed origin may send what it asks to (D6)."""

import re

from proxy.model import Fields

MOST_FIELDS = 32
"""Names granted at once; further ones are left out."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_CREDENTIALS = frozenset({"cookie", "cookie2", "proxy-authorization"})
"""Never granted. Authorization is: a page's own key and token, which are removed or, with
`clients.credentials: forward`, used."""


def preflight(requested_fields: str) -> Fields:
    """The fields of the answer to Access-Control-Request-Headers (Fetch §3.2.3).

    A name that is not granted is left out, and the browser then sends nothing at all.
    """
    names = [name.strip() for name in requested_fields.split(",", MOST_FIELDS)[:MOST_FIELDS]]
    granted = [name for name in names if _NAME.fullmatch(name) and name.lower() not in _CREDENTIALS]
    return (
        ("Access-Control-Allow-Methods", "GET, HEAD, POST, PUT, DELETE"),
        *((("Access-Control-Allow-Headers", ", ".join(granted)),) if granted else ()),
        ("Access-Control-Max-Age", "600"),
    )

"""Responses: Trello's header fields, compression, JSONP."""

import gzip
import json
import re
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any

from multidict import CIMultiDict

from proxy.fake_trello.errors import JSON, Refusal

_EXPOSED = ", ".join(
    f"x-rate-limit-{bucket}-{figure}"
    for bucket in ("api-key", "api-token")
    for figure in ("interval-ms", "max", "remaining")
)
_ALWAYS = (
    ("X-Dns-Prefetch-Control", "off"),
    ("X-Frame-Options", "DENY"),
    ("X-Download-Options", "noopen"),
    ("X-Permitted-Cross-Domain-Policies", "none"),
    ("Referrer-Policy", "strict-origin-when-cross-origin"),
    ("X-Trello-Version", "1.242759.0"),
    ("X-Trello-Environment", "Production"),
    ("Server", "AtlassianEdge"),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Xss-Protection", "1; mode=block"),
    ("Strict-Transport-Security", "max-age=63072000; preload"),
)
_CORS = (
    ("Access-Control-Allow-Origin", "*"),
    ("Access-Control-Allow-Methods", "GET, PUT, POST, DELETE"),
    ("Access-Control-Allow-Headers", "Authorization, Accept, Content-Type"),
    ("Access-Control-Expose-Headers", _EXPOSED),
)
_API = (
    *_ALWAYS,
    *_CORS,
    ("Surrogate-Control", "no-store"),
    ("Pragma", "no-cache"),
)
_FOUND = (
    *_API,
    ("Cache-Control", "max-age=0, must-revalidate, no-cache, no-store"),
    ("Expires", "Thu, 01 Jan 1970 00:00:00"),
)
_NOT_FOUND = (
    *_API,
    ("Cache-Control", "no-store, no-cache, must-revalidate, proxy-revalidate"),
    ("Expires", "0"),
)
_DOWNLOAD = (
    *_ALWAYS,
    ("Cache-Control", "max-age=30, stale-while-revalidate=60, stale-if-error=600"),
    ("Vary", "authorization, X-Cookie-Token"),
)
_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
_COOKIE_S = 3 * 86400
_SMALL = 200
_MISSING = 404
_CALLBACK = re.compile(r"[\w.$\[\]]{1,100}\Z")


@dataclass(slots=True)
class Response:
    """A status, header fields and a body."""

    status: int
    body: bytes
    content_type: str = JSON
    fields: CIMultiDict[str] = field(default_factory=CIMultiDict)


def from_value(value: Any) -> Response:
    """200 with a value as JSON."""
    return Response(200, _encode(value).encode())


def from_refusal(refusal: Refusal) -> Response:
    """The response of a refusal."""
    return Response(refusal.status, refusal.text.encode(), refusal.content_type)


def add_fields(response: Response, now: float, *, download: bool = False) -> None:
    """Add the header fields of every response, or of a download."""
    if download:
        response.fields.extend(_DOWNLOAD)
    else:
        response.fields.extend(_NOT_FOUND if response.status == _MISSING else _FOUND)
        expires = formatdate(now + _COOKIE_S, usegmt=True)
        cookie = f"dsc=demo{int(now):x}; Path=/; Expires={expires}; Secure"
        response.fields.add("Set-Cookie", cookie)
    response.fields["X-Server-Time"] = str(int(now * 1000))
    response.fields["Date"] = formatdate(now, usegmt=True)
    response.fields["Content-Type"] = response.content_type


def compress(response: Response, accepted: str) -> None:
    """Gzip a body of more than 200 bytes if the client accepts it (RFC 9110 §12.5.3)."""
    if len(response.body) <= _SMALL or response.fields.get("Location"):
        return
    response.fields["Vary"] = "Accept-Encoding"
    if "gzip" in accepted.lower():
        response.body = gzip.compress(response.body, 1, mtime=0)
        response.fields["Content-Encoding"] = "gzip"


def wrap_in_callback(response: Response, callback: str) -> None:
    """Wrap JSON in a call of the client's function (JSONP)."""
    if _CALLBACK.match(callback) and response.content_type == JSON:
        response.body = b"/**/ " + callback.encode() + b"(" + response.body + b");"
        response.content_type = "application/javascript; charset=utf-8"

"""Parse errors: what aiohttp's HTTP parser raises, as errors of ours that say what to send instead.

aiohttp gives each of them status 400; ours have the statuses of RFC 9110 §15.5 and RFC 6585 §5, and
quote nothing that was received.
"""

from aiohttp.http_exceptions import BadHttpMethod, BadStatusLine, InvalidURLError, LineTooLong

from proxy.errors import (
    ClientError,
    HeaderFieldsTooLarge,
    InvalidTarget,
    MalformedRequest,
    UriTooLong,
)
from proxy.http_semantics.target import MAX_TARGET_BYTES

MAX_FIELD_BYTES = 32_000
"""Of one header field; not MAX_TARGET_BYTES, because a LineTooLong names nothing but its limit."""
MAX_FIELDS = 128

_BY_MESSAGE: dict[str, ClientError] = {
    "Too many headers received": HeaderFieldsTooLarge(f"Send {MAX_FIELDS} header fields at most."),
    "Missing 'Host' header in request.": MalformedRequest(
        "Send a Host field: HTTP/1.1 requires one (RFC 9112 §3.2)."
    ),
}
"""Errors that aiohttp distinguishes by their message only."""


def error_of(fault: BaseException | None) -> ClientError:
    """The error for a request that could not be parsed."""
    match fault:
        case LineTooLong(args=(_, limit, *_)) if limit == MAX_TARGET_BYTES:
            return UriTooLong(f"Send a target of {MAX_TARGET_BYTES // 1024} KiB at most.")
        case LineTooLong():
            return HeaderFieldsTooLarge(f"Send header fields of {MAX_FIELD_BYTES} bytes at most.")
        case InvalidURLError():
            return InvalidTarget(
                "Begin the target with '/', and percent-encode everything outside printable ASCII."
            )
        case BadHttpMethod():
            return MalformedRequest("Send HTTP/1.1, without TLS, and a method in capital letters.")
        case BadStatusLine():
            return MalformedRequest(
                "Send `GET /1/… HTTP/1.1`, spaces in the target percent-encoded (%20)."
            )
    return _BY_MESSAGE.get(
        str(getattr(fault, "message", "")), MalformedRequest("Send HTTP/1.1 as RFC 9112 has it.")
    )

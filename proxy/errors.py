"""Errors: one tree; each class knows whose fault it is, its status, and when a retry makes sense.

A ProxyError is the client's, Trello's (UpstreamError) or the proxy's; StoreError reaches no client.
"""

from collections.abc import Callable
from typing import ClassVar, Literal, TypeVar

Source = Literal["client", "proxy", "upstream"]


class ProxyError(Exception):
    """Base of what clients see; `str()` is the problem's detail and names no credential."""

    source: ClassVar[Source] = "proxy"
    status: ClassVar[int]
    slug: ClassVar[str]
    """Ends the problem's `type`; stable (RFC 9457 §3.1.1)."""
    title: ClassVar[str]
    proxy_error: ClassVar[str]
    """The error type of Proxy-Status (RFC 9209 §2.3)."""
    retry_after_s: int | None = None
    """The Retry-After field, where a retry makes sense (RFC 9110 §10.2.3)."""


PROBLEM_TYPES: list[type[ProxyError]] = []
"""Every error that a client may see; the first line of its docstring says when."""

E = TypeVar("E", bound=ProxyError)


def problem(
    status: int, slug: str, title: str, proxy_error: str = ""
) -> Callable[[type[E]], type[E]]:
    """Class decorator: one of PROBLEM_TYPES; `proxy_error` where it is not the base class's."""

    def register(error: type[E]) -> type[E]:
        error.status, error.slug, error.title = status, slug, title
        error.proxy_error = proxy_error or error.proxy_error
        PROBLEM_TYPES.append(error)
        return error

    return register


class ClientError(ProxyError):
    """The request cannot be served as it was sent."""

    source = "client"
    proxy_error = "http_request_denied"


class UnacceptableMessage(ClientError):
    """The message itself is not acceptable, whatever is requested."""

    proxy_error = "http_request_error"


@problem(400, "malformed-request", "Not an acceptable HTTP request")
class MalformedRequest(UnacceptableMessage):
    """Bytes that are not an HTTP request."""


@problem(400, "invalid-target", "The request target is not acceptable")
class InvalidTarget(UnacceptableMessage):
    """A request target that is malformed or ambiguous."""


@problem(400, "incomplete-body", "The request body ended early")
class IncompleteBody(UnacceptableMessage):
    """The client closed the connection before the end of the request body."""


@problem(400, "malformed-json", "The request body is not JSON")
class MalformedJson(UnacceptableMessage):
    """A JSON body that is not strictly RFC 8259's, so that two readers could differ about it."""


@problem(400, "credential-rejected", "Leave the key and token out")
class CredentialRejected(ClientError):
    """A request with a key or token, and `clients.credentials: reject`."""


@problem(401, "credential-required", "Send your own key and token")
class CredentialRequired(ClientError):
    """No key and token, and `clients.credentials: require`; a Bearer token alone, and `forward`."""


@problem(401, "client-key-required", "Send a valid client key")
class ClientKeyRequired(ClientError):
    """A request without a valid client key, and `clients.access: keys`; or with a revoked one."""


@problem(401, "invalid-webhook-signature", "This delivery is not signed by Trello")
class InvalidWebhookSignature(ClientError):
    """A webhook delivery without a valid signature of Trello's."""


@problem(403, "cross-origin-denied", "This web origin may not call the proxy")
class CrossOriginDenied(ClientError):
    """A request from a web page whose origin is not in `clients.origins`."""


@problem(403, "connect-denied", "No tunnel leads there")
class ConnectDenied(ClientError):
    """CONNECT to anything but `api.trello.com:443`, or without `tls`, or within TLS."""


@problem(403, "tunnel-denied", "A GET may not write here")
class TunnelDenied(ClientError):
    """A `_method` in a GET that any web page could have caused, a HEAD, a batch or multipart."""


@problem(403, "jsonp-denied", "JSONP is off here")
class JsonpDenied(ClientError):
    """A request with `callback`, and `clients.jsonp: deny`."""


@problem(403, "writes-denied", "You may not write here")
class WritesDenied(ClientError):
    """A write, and `clients.writes: deny`."""


@problem(403, "administrative", "The operator has not allowed this")
class Administrative(ClientError):
    """A request about the stored account rather than boards, without `clients.writes: all`."""

    def __init__(self, about: str) -> None:
        """`about`: a noun phrase."""
        super().__init__(f"{about} is not for every client; `writes: all` allows it (proxy.yaml).")


@problem(403, "outside-scope", "This is not attributable to a board that you may see")
class OutsideScope(ClientError):
    """A request of a client with a scope, or its response, that names no board for certain."""


@problem(403, "no-token-given", "This proxy gives out no token")
class NoTokenGiven(ClientError):
    """A program asks for a token (OAuth 1.0)."""


@problem(403, "token-protected", "The stored token cannot be changed from here")
class TokenProtected(ClientError):
    """An attempt to delete the stored token."""


@problem(403, "admin-only", "For the operator only")
class AdminOnly(ClientError):
    """An operator's page, requested without `admin.token` and not from the proxy's machine."""


@problem(403, "link-not-signed", "This link is not signed")
class LinkNotSigned(ClientError):
    """An attachment link without a valid signature, and `links.sign`."""


@problem(403, "link-revoked", "This link has been revoked")
class LinkRevoked(ClientError):
    """A link to an attachment in `links.revoked`."""


@problem(403, "malicious-file", "Trello calls this file malicious")
class MaliciousFile(ClientError):
    """An attachment that Trello calls malicious."""


@problem(404, "attachment-is-link", "This attachment is a link, not a file")
class AttachmentIsLink(ClientError):
    """An attachment that is a link to another site."""


@problem(404, "not-found", "Nothing is here")
class NotFound(ClientError):
    """A path that the proxy does not serve."""


@problem(404, "not-found-at-trello", "Trello shows no such card or board")
class NotFoundAtTrello(ClientError):
    """A page of a card or board that Trello does not show."""


@problem(405, "method-not-allowed", "This method is not allowed here")
class MethodNotAllowed(ClientError):
    """A method that the resource does not support (RFC 9110 §15.5.6)."""

    def __init__(self, detail: str, allowed: str) -> None:
        """`allowed`: the value of the Allow field (RFC 9110 §10.2.1)."""
        super().__init__(detail)
        self.allowed = allowed


@problem(408, "request-timeout", "The request did not arrive in time")
class RequestTimeout(ClientError):
    """The client stopped sending before the end of the request body."""


@problem(410, "link-expired", "This link has expired")
class LinkExpired(ClientError):
    """A signed link past its lifetime."""


@problem(410, "attachment-deleted", "This attachment was deleted")
class AttachmentDeleted(ClientError):
    """An attachment that this client's account has read here, and that was deleted."""


@problem(413, "body-too-large", "The request body is too large")
class BodyTooLarge(UnacceptableMessage):
    """A form or JSON body larger than the proxy buffers."""


@problem(414, "uri-too-long", "The request target is too long")
class UriTooLong(UnacceptableMessage):
    """A request target longer than the proxy accepts."""


@problem(415, "unsupported-content-encoding", "Send the request body as it is")
class UnsupportedContentEncoding(UnacceptableMessage):
    """A compressed request body, from which no credential can be removed."""


@problem(415, "charset-not-utf8", "Send the request body in UTF-8")
class CharsetNotUtf8(UnacceptableMessage):
    """A form or JSON body in a charset other than UTF-8."""


@problem(421, "host-not-allowed", "This proxy does not answer to that name")
class HostNotAllowed(ClientError):
    """A Host field with a name that is not the proxy's."""


@problem(431, "header-fields-too-large", "The header fields are too large")
class HeaderFieldsTooLarge(UnacceptableMessage):
    """A header field that is too long, or too many of them."""


@problem(504, "not-in-cache", "Nothing usable is stored")
class NotInCache(ClientError):
    """`only-if-cached`, and no usable response is stored (RFC 9111 §5.2.1.7)."""


@problem(508, "loop-detected", "The request passed through this proxy before")
class LoopDetected(ClientError):
    """A request that this proxy forwarded before (RFC 9110 §7.6.3)."""

    proxy_error = "proxy_loop_detected"


@problem(500, "internal-error", "The proxy failed", "proxy_internal_error")
class InternalError(ProxyError):
    """A fault of the program."""


@problem(503, "memory-full", "The proxy has no memory left for clients", "http_request_denied")
class MemoryFull(ProxyError):
    """`limits.memory` is used up: no body of this size can be held now."""

    retry_after_s = 5


@problem(503, "client-busy", "The client has too many open requests", "connection_limit_reached")
class ClientBusy(ProxyError):
    """A client has as many requests in progress as one client may have."""

    retry_after_s = 5


@problem(503, "audit-failed", "A write that cannot be logged is not sent", "proxy_internal_error")
class AuditFailed(ProxyError):
    """A write, with `audit.required`, whose entry cannot be written to `audit.file`."""


class UpstreamError(ProxyError):
    """Trello, or the connection to it, failed."""

    source: ClassVar[Source] = "upstream"
    sent: ClassVar[bool] = True
    """Whether the request may have reached Trello."""
    retry_after_s = 10
    reason: str = ""
    """Host and the message of the system or OpenSSL: for the operator's log, not for clients."""


@problem(502, "upstream-unreachable", "Trello cannot be reached", "destination_unavailable")
class Unreachable(UpstreamError):
    """No connection to Trello; nothing was sent."""

    sent = False


@problem(502, "upstream-dns", "Trello's host name has no address", "dns_error")
class NameNotResolved(Unreachable):
    """Trello's host name has no address; nothing was sent."""


@problem(502, "upstream-refused", "Trello's address refuses connections", "connection_refused")
class ConnectionRefused(Unreachable):
    """Nothing listens at Trello's address; nothing was sent."""


@problem(502, "upstream-certificate", "Trello's certificate is untrusted", "tls_certificate_error")
class UntrustedCertificate(Unreachable):
    """A certificate of Trello's host that cannot be verified; nothing was sent."""


@problem(502, "upstream-tls", "No TLS with Trello's address", "tls_protocol_error")
class TlsFailure(Unreachable):
    """A TLS handshake that failed; nothing was sent."""


@problem(502, "upstream-proxy", "The proxy to Trello fails or refuses")
class EgressProxyFailed(Unreachable):
    """No tunnel through `upstream.proxy`, which fails or refuses to connect; nothing was sent."""


@problem(504, "upstream-connect-timeout", "Trello cannot be reached in time", "connection_timeout")
class ConnectTimeout(UpstreamError):
    """No connection within `upstream.connect_timeout`; nothing was sent."""

    sent = False


@problem(504, "upstream-timeout", "Trello did not answer in time", "http_response_timeout")
class ResponseTimeout(UpstreamError):
    """No response within `upstream.read_timeout`."""


@problem(503, "circuit-open", "Trello fails; no request is sent for a while")
class CircuitOpen(UpstreamError):
    """The circuit breaker is open, because most requests failed; nothing was sent."""

    proxy_error = "destination_unavailable"
    sent = False

    def __init__(self, retry_after_s: int) -> None:
        super().__init__("Nothing was sent, because Trello fails most requests; try again later.")
        self.retry_after_s = retry_after_s


@problem(502, "token-refused", "Trello refuses the proxy's token", "proxy_configuration_error")
class TokenRefused(UpstreamError):
    """Trello does not accept the stored key and token; nothing was sent."""

    source = "proxy"
    sent = False

    def __init__(self, retry_after_s: int) -> None:
        super().__init__("Nothing was sent; ask the operator for a new key and token.")
        self.retry_after_s = retry_after_s


@problem(502, "connection-terminated", "Trello ended the connection", "connection_terminated")
class ConnectionTerminated(UpstreamError):
    """The connection ended before the response."""


@problem(502, "incomplete-response", "Trello's response is incomplete", "http_response_incomplete")
class IncompleteResponse(UpstreamError):
    """A response that is cut off, or whose length is wrong."""


@problem(502, "invalid-response", "Trello's response is not usable", "http_protocol_error")
class InvalidResponse(UpstreamError):
    """A response that is not what the route promises."""


@problem(429, "rate-limited", "Trello's rate limit is used up", "http_request_denied")
class RateLimited(UpstreamError):
    """Trello's limits would delay the request by more than `limits.wait`; nothing was sent."""

    source = "proxy"
    sent = False

    def __init__(self, code: str, sentence: str, retry_after_s: int) -> None:
        """`code` and `sentence` as in Trello's own 429 for the same limit."""
        super().__init__(sentence)
        self.code = code
        self.retry_after_s = retry_after_s


class StoreError(Exception):
    """A failure of a store: a miss, a metric and a log line, never a response to a client."""


class DirectoryTaken(StoreError):
    """Another process uses `cache.directory`."""


class InsufficientSpace(StoreError):
    """No space to store an attachment: it is passed through."""


class FileTooLarge(StoreError):
    """An attachment larger than `attachments.max_file`: it is passed through."""


class ChecksumMismatch(StoreError):
    """Bytes on disk that differ from those stored; some may have been sent."""

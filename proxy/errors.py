"""The error tree; each knows whose fault it is, its status and what to do about it.

ProxyError
├── ClientError            the request cannot be served as it was sent
│   ├── NotHttp            400  bytes that are no HTTP request
│   ├── BadTarget          400  the target is malformed or ambiguous
│   ├── BodyCut            400  the client left in mid-body
│   ├── CredentialRejected 400  `clients.credentials: reject` met a credential
│   ├── CredentialRequired 401  `clients.credentials: require`, and no key and token came
│   ├── NotTrello          401  a webhook's delivery that Trello did not sign
│   ├── CrossSite          403  a web page of an origin that is not allowed
│   ├── TunnelDenied       403  `_method` in a GET that any page could have sent
│   ├── JsonpDenied        403  `callback`, and `clients.jsonp: deny`
│   ├── WritesDenied       403  `clients.writes: deny`
│   ├── Administrative     403  without `clients.writes: all`
│   ├── NoTokenGiven       403  a program that asks for a token (OAuth 1.0)
│   ├── TokenKept          403  an attempt to delete the stored token
│   ├── NotAdmin           403  an operator's route, asked from elsewhere
│   ├── LinkNotSigned      403  `links.sign`, and no signature of ours on the link
│   ├── LinkRevoked        403  the file is in `links.revoked`
│   ├── MaliciousFile      403  an attachment that Trello calls malicious
│   ├── NotAFile           404  an attachment that is a link to somewhere else
│   ├── NoSuchPage         404  outside the proxy's URL space
│   ├── NotVisible         404  a card or board that Trello does not show
│   ├── MethodNotAllowed   405  a method that is not for this
│   ├── RequestTimeout     408  the client stopped sending in mid-body
│   ├── LinkExpired        410  the link's time is over
│   ├── FileGone           410  an attachment that was there and is no more
│   ├── BodyTooLarge       413  a form or JSON body that must be read whole
│   ├── UriTooLong         414  a request target longer than is taken
│   ├── CodedBody          415  a compressed body, in which nothing can be removed
│   ├── CharsetNotUtf8     415  a form or JSON body in another charset than UTF-8
│   ├── HostNotAllowed     421  a Host name this proxy does not answer to
│   ├── HeaderFieldsTooLarge 431  a header field that is too long, or too many of them
│   ├── NotStored          504  `only-if-cached` and nothing usable stored (RFC 9111 §5.2.1.7)
│   └── LoopDetected       508  the request has been here before (RFC 9110 §7.6.3)
├── Failed                 500  a fault of the program's own
├── MemoryFull             503  `limits.memory` is used up
└── UpstreamError          Trello, or the way to it, failed; never a 404
    ├── Unreachable        502  no connection: nothing was sent
    │   ├── NameNotResolved      502  the host name has no address
    │   ├── ConnectionRefused    502  nothing listens at the address
    │   ├── UntrustedCertificate 502  TLS: a certificate that cannot be verified
    │   └── TlsFailure           502  TLS: no handshake
    ├── ConnectTimeout     504  no connection in time: nothing was sent
    ├── Resting            503  it fails most requests: nothing was sent
    ├── TokenRefused       502  the stored credential is not accepted: nothing was sent
    ├── ResponseTimeout    504  sent, and no answer in time
    ├── Terminated         502  sent, and the connection ended without an answer
    ├── Incomplete         502  the answer was cut, or its length is wrong
    ├── TurnTooLate        429  `limits.wait` would pass before Trello may be asked
    └── Unusable           502  an answer that is not what the route gives
"""

from typing import ClassVar, Literal

Source = Literal["client", "proxy", "upstream"]


class ProxyError(Exception):
    """Base of all; `str()` is the sentence a client reads, and names no credential."""

    source: ClassVar[Source]
    status: ClassVar[int]
    slug: ClassVar[str]
    """Ends the problem's `type`; stable (RFC 9457 §3.1.1)."""
    title: ClassVar[str]
    proxy_error: ClassVar[str]
    """The error type of Proxy-Status (RFC 9209 §2.3)."""
    retry_after_s: int | None = None
    """The Retry-After field, where it makes sense to try again (RFC 9110 §10.2.3)."""


class ClientError(ProxyError):
    """The request cannot be served as it was sent."""

    source = "client"
    proxy_error = "http_request_denied"


class MalformedRequest(ClientError):
    status, slug, title = 400, "malformed-request", "Not an acceptable HTTP request"
    proxy_error = "http_request_error"


class InvalidTarget(ClientError):
    status, slug, title = 400, "invalid-target", "The request target is not acceptable"
    proxy_error = "http_request_error"


class IncompleteBody(ClientError):
    status, slug, title = 400, "incomplete-body", "The request body ended early"
    proxy_error = "http_request_error"


class CredentialRejected(ClientError):
    status, slug, title = 400, "credential-rejected", "Leave the key and token out"


class CredentialRequired(ClientError):
    """The request names no key and token of its own, and the stored ones are for nobody."""

    status, slug, title = 401, "credential-required", "Send your own key and token"


class InvalidWebhookSignature(ClientError):
    status, slug, title = 401, "invalid-webhook-signature", "This delivery is not signed by Trello"


class CrossOriginDenied(ClientError):
    status, slug, title = 403, "cross-origin-denied", "This web origin may not call the proxy"


class TunnelDenied(ClientError):
    status, slug, title = 403, "tunnel-denied", "A GET may not write here"


class JsonpDenied(ClientError):
    status, slug, title = 403, "jsonp-denied", "JSONP is off here"


class WritesDenied(ClientError):
    status, slug, title = 403, "writes-denied", "This proxy forwards reads only"


class Administrative(ClientError):
    """What is not work on boards, and asked in the stored account's name."""

    status, slug, title = 403, "administrative", "This is for the operator to allow"

    def __init__(self, about: str) -> None:
        """`about`: a noun phrase."""
        super().__init__(
            f"{about} is not for every client; "
            "the operator allows it with `clients.writes: all` in proxy.yaml."
        )


class NoTokenGiven(ClientError):
    status, slug, title = 403, "no-token-given", "This proxy gives out no token"


class TokenProtected(ClientError):
    status, slug, title = 403, "token-protected", "The stored token cannot be changed from here"


class AdminOnly(ClientError):
    status, slug, title = 403, "admin-only", "For the operator only"


class LinkNotSigned(ClientError):
    status, slug, title = 403, "link-not-signed", "This link is not signed"


class LinkRevoked(ClientError):
    status, slug, title = 403, "link-revoked", "This link has been revoked"


class MaliciousFile(ClientError):
    status, slug, title = 403, "malicious-file", "Trello calls this file malicious"


class AttachmentIsLink(ClientError):
    status, slug, title = 404, "attachment-is-link", "This attachment is a link, not a file"


class NotFound(ClientError):
    status, slug, title = 404, "not-found", "Nothing is here"


class NotFoundAtTrello(ClientError):
    status, slug, title = 404, "not-found-at-trello", "Trello shows no such card or board"


class MethodNotAllowed(ClientError):
    """`allowed`: the methods that are, as the Allow field names them (RFC 9110 §10.2.1)."""

    status, slug, title = 405, "method-not-allowed", "This method is not allowed here"

    def __init__(self, detail: str, allowed: str) -> None:
        super().__init__(detail)
        self.allowed = allowed


class RequestTimeout(ClientError):
    status, slug, title = 408, "request-timeout", "The request did not arrive in time"


class LinkExpired(ClientError):
    status, slug, title = 410, "link-expired", "This link has expired"


class AttachmentDeleted(ClientError):
    status, slug, title = 410, "attachment-deleted", "This attachment was deleted"


class BodyTooLarge(ClientError):
    status, slug, title = 413, "body-too-large", "The request body is too large"
    proxy_error = "http_request_error"


class UriTooLong(ClientError):
    status, slug, title = 414, "uri-too-long", "The request target is too long"
    proxy_error = "http_request_error"


class UnsupportedContentEncoding(ClientError):
    status, slug, title = 415, "unsupported-content-encoding", "Send the request body as it is"
    proxy_error = "http_request_error"


class CharsetNotUtf8(ClientError):
    status, slug, title = 415, "charset-not-utf8", "Send the request body in UTF-8"
    proxy_error = "http_request_error"


class HostNotAllowed(ClientError):
    status, slug, title = 421, "host-not-allowed", "This proxy does not answer to that name"


class HeaderFieldsTooLarge(ClientError):
    status, slug, title = 431, "header-fields-too-large", "The header fields are too large"
    proxy_error = "http_request_error"


class NotInCache(ClientError):
    status, slug, title = 504, "not-in-cache", "Nothing usable is stored"


class LoopDetected(ClientError):
    status, slug, title = 508, "loop-detected", "The request has been here before"
    proxy_error = "proxy_loop_detected"


class InternalError(ProxyError):
    source = "proxy"
    status, slug, title = 500, "internal-error", "The proxy failed"
    proxy_error = "proxy_internal_error"


class MemoryFull(ProxyError):
    """`limits.memory` is used up: no body of this size can be held now."""

    source = "proxy"
    status, slug, title = 503, "memory-full", "The proxy holds too much for clients"
    proxy_error = "http_request_denied"
    retry_after_s = 5


class UpstreamError(ProxyError):
    """Trello, or the way to it, failed."""

    source: ClassVar[Source] = "upstream"
    sent: ClassVar[bool] = True
    """Whether the request may have reached Trello."""
    retry_after_s = 10
    reason: str = ""
    """Host and what the system or OpenSSL said: for the operator's log, not for clients."""


class Unreachable(UpstreamError):
    status, slug, title = 502, "upstream-unreachable", "Trello cannot be reached"
    proxy_error = "destination_unavailable"
    sent = False


class NameNotResolved(Unreachable):
    slug, title = "upstream-dns", "Trello's host name has no address"
    proxy_error = "dns_error"


class ConnectionRefused(Unreachable):
    slug, title = "upstream-refused", "Trello's address refuses connections"
    proxy_error = "connection_refused"


class UntrustedCertificate(Unreachable):
    slug, title = "upstream-certificate", "Trello's certificate is not trusted"
    proxy_error = "tls_certificate_error"


class TlsFailure(Unreachable):
    slug, title = "upstream-tls", "No TLS with Trello's address"
    proxy_error = "tls_protocol_error"


class ConnectTimeout(UpstreamError):
    status, slug, title = 504, "upstream-connect-timeout", "Trello cannot be reached in time"
    proxy_error = "connection_timeout"
    sent = False


class ResponseTimeout(UpstreamError):
    status, slug, title = 504, "upstream-timeout", "Trello did not answer in time"
    proxy_error = "http_response_timeout"


class CircuitOpen(UpstreamError):
    """Trello fails so often that it is not asked for a while; nothing was sent."""

    status, slug, title = 503, "circuit-open", "Trello fails, and is left alone for a while"
    proxy_error = "destination_unavailable"
    sent = False

    def __init__(self, retry_after_s: int) -> None:
        super().__init__("Nothing was sent, because Trello fails most requests; try again later.")
        self.retry_after_s = retry_after_s


class TokenRefused(UpstreamError):
    """Trello does not accept the stored credential; nothing was sent."""

    source = "proxy"
    status, slug, title = 502, "token-refused", "Trello does not accept the proxy's token"
    proxy_error = "proxy_configuration_error"
    sent = False

    def __init__(self, retry_after_s: int) -> None:
        super().__init__("Nothing was sent; ask the operator for a new key and token.")
        self.retry_after_s = retry_after_s


class ConnectionTerminated(UpstreamError):
    status, slug, title = 502, "connection-terminated", "Trello ended the connection"
    proxy_error = "connection_terminated"


class IncompleteResponse(UpstreamError):
    status, slug, title = 502, "incomplete-response", "Trello's answer was cut short"
    proxy_error = "http_response_incomplete"


class InvalidResponse(UpstreamError):
    status, slug, title = 502, "invalid-response", "Trello's answer is not usable"
    proxy_error = "http_protocol_error"


class RateLimited(UpstreamError):
    """Trello's limits leave no room in time; nothing was sent."""

    source = "proxy"
    status, slug, title = 429, "rate-limited", "Too many ask Trello at once"
    proxy_error = "http_request_denied"
    sent = False

    def __init__(self, code: str, sentence: str, retry_after_s: int) -> None:
        """`code` and `sentence` as Trello has them for the same limit."""
        super().__init__(sentence)
        self.code = code
        self.retry_after_s = retry_after_s


class StoreError(Exception):
    """The store failed: a miss, a metric and a log line, never an answer to a client."""


class DirectoryTaken(StoreError):
    """Another process uses `cache.directory`."""


class InsufficientSpace(StoreError):
    """There is no room to keep a file: it passes through."""


class FileTooLarge(StoreError):
    """A file longer than `attachments.max_file`: it passes through."""


class ChecksumMismatch(StoreError):
    """Bytes on disk are not those that were put there; some may have been sent."""

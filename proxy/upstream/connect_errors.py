"""Why no connection came about, told apart: DNS, TCP, TLS, certificate (RFC 9209 §2.3).

A client hears what failed and who can help; host, OpenSSL's reason and the system's words are in
`reason`, for the operator. Neither holds a path, a query or a field.
"""

import errno
import ssl

import aiohttp

from proxy.errors import (
    ConnectionRefused,
    InvalidResponse,
    NameNotResolved,
    TlsFailure,
    Unreachable,
    UntrustedCertificate,
    UpstreamError,
)

_REASON_CHARS = 300


class ForbiddenAddress(OSError):
    """Nothing is connected to there."""


def connect_error(error: aiohttp.ClientConnectorError) -> UpstreamError:
    """The error of ours for a connection that did not come about."""
    found = _classified(error)
    found.reason = f"{error.host}:{error.port}: {_said(error.os_error)}"[:_REASON_CHARS]
    return found


def _classified(error: aiohttp.ClientConnectorError) -> UpstreamError:
    cause = error.os_error
    if isinstance(cause, ForbiddenAddress):
        return InvalidResponse(
            "Trello redirected a download to an address inside; "
            "the operator can list it in upstream.storage_hosts of proxy.yaml."
        )
    if isinstance(cause, ssl.SSLCertVerificationError):
        return UntrustedCertificate(
            "The certificate that Trello's address shows is not trusted here; ask the operator, "
            "whose log says why."
        )
    if isinstance(cause, ssl.SSLError):
        return TlsFailure(
            "The TLS handshake with Trello's address failed; ask the operator, whose log says why."
        )
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return NameNotResolved("DNS knows no address for Trello's name here; ask the operator.")
    if cause.errno == errno.ECONNREFUSED:
        return ConnectionRefused("Trello's address refuses connections; try again later.")
    return Unreachable("No connection to Trello; is the network up?")


def _said(cause: OSError) -> str:
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"{cause.reason}: {cause.verify_message}"
    if isinstance(cause, ssl.SSLError):
        return cause.reason or cause.strerror or type(cause).__name__
    name = errno.errorcode.get(cause.errno or 0, type(cause).__name__)
    return f"{name}: {cause.strerror}"

"""Certificates: the PEM files of `tls` and `upstream.ca`, checked and loaded. Everything blocks.

Nothing read from a key file appears in an error.
"""

import ssl
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from proxy.config.file_stamp import file_stamp
from proxy.config.schema import Tls

_NO_CHECK_TIME = 0x200000
"""OpenSSL's X509_V_FLAG_NO_CHECK_TIME: an expired certificate can be read, too."""
_ROUND_TRIPS = 3
"""Of a handshake, TLS 1.2 included."""


Stamps = tuple[tuple[int, ...], ...]
"""File stamps of several files."""


class UnusableFile(ValueError):
    """A PEM file that cannot be used; `str()` says why and what to do."""

    def __init__(self, setting: str, fault: str) -> None:
        super().__init__(fault)
        self.setting = setting
        """`tls.key`."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """The certificate of `tls`, ready for listeners."""

    context: ssl.SSLContext
    expires_at: float
    """POSIX seconds."""


class CertificateFiles:
    """The files of `tls`, which may change."""

    def __init__(self, tls: Tls) -> None:
        self._paths = tls.certificate or "", tls.key or ""
        self._client_ca = tls.client_ca

    def load(self) -> Certificate:
        """The certificate as it is now; UnusableFile."""
        context = server_context(*self._paths, self._client_ca)
        return Certificate(context, inspect_certificate(*self._paths))

    def stamps(self) -> Stamps:
        """They differ when a file has changed."""
        paths = (*self._paths, *filter(None, [self._client_ca]))
        return tuple(file_stamp(Path(path)) for path in paths)


def server_context(certificate: str, key: str, client_ca: str | None = None) -> ssl.SSLContext:
    """TLS 1.2 and later with this certificate (RFC 9325 §3.1.1); UnusableFile.

    With `client_ca` a client needs a certificate that one of these CAs has signed (D60).
    """
    _check_pem("tls.certificate", certificate, "CERTIFICATE", "certificate")
    _check_pem("tls.key", key, "PRIVATE KEY", "private key")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(certificate, key, password=_no_passphrase)
    except ssl.SSLError as error:
        raise _pair_fault(certificate, error) from None
    except OSError as error:
        raise UnusableFile("tls.certificate", f"cannot be read ({error.strerror})") from None
    if client_ca is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        _add_authorities(context, "tls.client_ca", client_ca)
    return context


def client_context(ca: str) -> ssl.SSLContext:
    """TLS to servers whose certificate one of the system's CAs has signed, or of `ca`."""
    context = ssl.create_default_context()
    _add_authorities(context, "upstream.ca", ca)
    return context


def pinned_context(certificate: str) -> ssl.SSLContext:
    """TLS to the server with this very certificate, by whatever address; OSError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_verify_locations(certificate)
    return context


def inspect_certificate(certificate: str, key: str) -> float:
    """When it expires, in POSIX seconds, as a client sees it; UnusableFile."""
    try:
        seen = _handshake(server_context(certificate, key), certificate)
    except ssl.SSLError as error:
        fault = f"no client would accept it ({_reason(error)})"
        raise UnusableFile("tls.certificate", fault) from None
    return ssl.cert_time_to_seconds(seen["notAfter"])


def name_mismatch(certificate: str, key: str, host: str) -> str:
    """Why a client of `host` would not accept the certificate; empty if it would."""
    try:
        _handshake(server_context(certificate, key), certificate, host)
    except ssl.SSLCertVerificationError as error:
        return str(error.verify_message).removesuffix(".")
    return ""


def _check_pem(setting: str, path: str, label: str, noun: str) -> None:
    """UnusableFile unless the file has a block with this label that is not encrypted."""
    try:
        text = Path(path).read_text("ascii", "replace")
    except OSError as error:
        cure = "check the path, and that the proxy's user may read it"
        raise UnusableFile(setting, f"cannot be read ({error.strerror}); {cure}") from None
    if f"{label}-----" not in text:
        raise UnusableFile(setting, f"has no {noun} in PEM form; write the path of a PEM file")
    if noun == "private key" and "ENCRYPTED" in text:
        raise UnusableFile(setting, "is encrypted; write the path of a key without a passphrase")


def _pair_fault(certificate: str, error: ssl.SSLError) -> UnusableFile:
    """Which of the two files OpenSSL did not accept."""
    if error.reason in {"KEY_VALUES_MISMATCH", "NO_CERTIFICATE_ASSIGNED"}:
        return UnusableFile(
            "tls.key", f"is not the key of {certificate}; write the two that belong"
        )
    cure = "write the path of a certificate and its key"
    return UnusableFile("tls.certificate", f"is not usable with its key ({_reason(error)}); {cure}")


def _add_authorities(context: ssl.SSLContext, setting: str, path: str) -> None:
    _check_pem(setting, path, "CERTIFICATE", "certificate")
    try:
        context.load_verify_locations(path)
    except OSError as error:
        fault = f"has a damaged certificate ({_reason(error)}); write the path of a PEM file"
        raise UnusableFile(setting, fault) from None


def _handshake(server: ssl.SSLContext, anchor: str, host: str = "") -> dict[str, Any]:
    """The server's certificate as a client that trusts `anchor` reads it; SSLError."""
    client = pinned_context(anchor)
    client.verify_flags |= _NO_CHECK_TIME
    client.check_hostname = bool(host)
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = (
        client.wrap_bio(down, up, server_hostname=host or None),
        server.wrap_bio(up, down, server_side=True),
    )
    for _ in range(_ROUND_TRIPS):
        for side in sides:
            with suppress(ssl.SSLWantReadError):
                side.do_handshake()
    return sides[0].getpeercert() or {}


def _no_passphrase() -> str:
    """Instead of OpenSSL's prompt on the terminal."""
    return ""


def _reason(error: OSError) -> str:
    """OpenSSL's reason; the library's name where it gives none."""
    reason = getattr(error, "reason", None) or getattr(error, "library", None)
    return str(getattr(error, "verify_message", None) or reason or error.strerror)

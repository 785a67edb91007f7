"""Connection to the running proxy: of the standard library, whose import costs little."""

import socket
from http.client import HTTPConnection, HTTPSConnection

from proxy.cli.console import CommandFailed
from proxy.config.schema import Config
from proxy.model import Listen

_NO_CERTIFICATE = (
    "trello-proxy: tls.client_ca admits clients with a certificate only, and commands have none; "
    "set admin.listen to a Unix socket"
)


def connection_to(config: Config, listen: Listen, timeout_s: float) -> HTTPConnection:
    """A connection to the proxy that listens there, not yet established; CommandFailed."""
    scheme, _, authority = config.origin_of(listen).partition("://")
    if listen.path:
        return _UnixConnection(listen.path, timeout_s)
    if scheme == "http":
        return HTTPConnection(authority, timeout=timeout_s)
    if config.tls.client_ca is not None:
        raise CommandFailed(_NO_CERTIFICATE, 2)
    from proxy.config.certificates import pinned_context  # noqa: PLC0415 — for TLS alone

    context = pinned_context(config.tls.certificate or "")
    return HTTPSConnection(authority, timeout=timeout_s, context=context)


class _UnixConnection(HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)

"""Connection to the running proxy: of the standard library, whose import costs little."""

import socket
from http.client import HTTPConnection

from proxy.model import Listen


def connection_to(listen: Listen, timeout_s: float) -> HTTPConnection:
    """A connection to what listens there, not yet established."""
    if listen.path:
        return _UnixConnection(listen, timeout_s)
    return HTTPConnection(listen.url.removeprefix("http://"), timeout=timeout_s)


class _UnixConnection(HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, listen: Listen, timeout_s: float) -> None:
        super().__init__(listen.host, timeout=timeout_s)
        self._path = listen.path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)

"""Service manager: systemd's sockets, readiness and watchdog, by sd_listen_fds(3), sd_notify(3)."""

import socket
from collections.abc import Mapping
from contextlib import suppress

_FIRST_FD = 3
_MAX_SOCKETS = 16


class ServiceManager:
    """The manager that started this process, if it says so in the environment."""

    def __init__(self, environ: Mapping[str, str], pid: int) -> None:
        self._address = environ.get("NOTIFY_SOCKET", "")
        self._fds = _number(environ, "LISTEN_FDS") if _is_own(environ, "LISTEN_PID", pid) else 0
        usec = _number(environ, "WATCHDOG_USEC")
        is_watched = _is_own(environ, "WATCHDOG_PID", pid)
        self.watchdog_s = usec / 1_000_000 if is_watched else 0.0
        """Seconds after which a silent process is ended; 0: never."""

    def take_sockets(self) -> list[socket.socket]:
        """The listening sockets that it holds open over restarts; to be called once."""
        taken = []
        for fd in range(_FIRST_FD, _FIRST_FD + min(self._fds, _MAX_SOCKETS)):
            with suppress(OSError):  # not a socket
                sock = socket.socket(fileno=fd)
                sock.set_inheritable(False)
                taken.append(sock)
        return taken

    def notify(self, state: str) -> None:
        """Send it a state, as `READY=1`; nothing happens without a manager."""
        if not self._address:
            return
        name = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.settimeout(0)
            sock.sendto(state.encode(), name)


def take_matching(sockets: list[socket.socket], host: str, port: int) -> list[socket.socket]:
    """Remove from `sockets` those that listen at a TCP address; all of them for it, or none.

    An IPv6 socket that takes IPv4 clients too does not match: their addresses would be IPv4-mapped.
    """
    wanted = {"::", "0.0.0.0"} if host == "::" else {host}  # noqa: S104 — of the configuration
    found = [each for each in sockets if _listens_at(each, wanted, port)]
    if {each.getsockname()[0] for each in found} != wanted:
        return []
    for each in found:
        sockets.remove(each)
    return found


def _listens_at(sock: socket.socket, hosts: set[str], port: int) -> bool:
    if sock.family not in {socket.AF_INET, socket.AF_INET6} or sock.type != socket.SOCK_STREAM:
        return False
    is_ipv6 = sock.family == socket.AF_INET6
    if is_ipv6 and not sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY):
        return False
    name = sock.getsockname()
    return name[0] in hosts and name[1] == port


def _number(environ: Mapping[str, str], name: str) -> int:
    text = environ.get(name, "")
    return int(text) if text.isascii() and text.isdigit() else 0


def _is_own(environ: Mapping[str, str], name: str, pid: int) -> bool:
    """Whether the variables are for this process; without a number they are."""
    return environ.get(name, str(pid)) == str(pid)

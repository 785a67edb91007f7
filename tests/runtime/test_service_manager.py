"""The service manager: its sockets are used where their addresses are, and it is told states."""

import socket
from pathlib import Path

import pytest

from proxy.runtime.service_manager import ServiceManager, take_matching


def test_it_is_told_a_state(tmp_path: Path) -> None:
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        manager.settimeout(1)
        ServiceManager({"NOTIFY_SOCKET": path}, 7).notify("READY=1")
        assert manager.recv(64) == b"READY=1"
    ServiceManager({"NOTIFY_SOCKET": path}, 7).notify("nobody is there")
    ServiceManager({}, 7).notify("READY=1")


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        ({}, 0.0),
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "7"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "8"}, 0.0),
        ({"WATCHDOG_USEC": "soon"}, 0.0),
    ],
)
def test_the_watchdog_is_for_this_process(environ: dict[str, str], seconds: float) -> None:
    assert ServiceManager(environ, 7).watchdog_s == seconds


def test_the_sockets_of_another_process_are_not_taken() -> None:
    assert ServiceManager({"LISTEN_FDS": "1", "LISTEN_PID": "8"}, 7).take_sockets() == []


def test_a_socket_is_used_at_its_own_address_only() -> None:
    with socket.create_server(("127.0.0.1", 0)) as one:
        port = one.getsockname()[1]
        sockets = [one]
        assert take_matching(sockets, "127.0.0.1", port + 1) == []
        assert take_matching(sockets, "0.0.0.0", port) == []  # noqa: S104
        assert take_matching(sockets, "::", port) == []
        assert take_matching(sockets, "127.0.0.1", port) == [one]
        assert sockets == []

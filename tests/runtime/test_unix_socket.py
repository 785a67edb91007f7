"""A Unix socket: whose file it is, who may connect, and what is left at the end."""

import socket
import stat
from contextlib import closing
from pathlib import Path

import pytest

from proxy.runtime.directory import inode_of
from proxy.runtime.unix_socket import listen_unix, remove_unix


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "s")


def _connects(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(path) == 0


def test_owner_and_group_may_connect_and_nobody_else(path: str) -> None:
    with closing(listen_unix(path, 1)):
        assert stat.S_IMODE(Path(path).stat().st_mode) == 0o660
        assert _connects(path)


def test_the_file_of_a_process_that_ended_is_replaced(path: str) -> None:
    listen_unix(path, 1).close()
    assert Path(path).is_socket()
    with closing(listen_unix(path, 1)):
        assert _connects(path)


def test_a_process_that_listens_is_left_alone(path: str) -> None:
    with closing(listen_unix(path, 1)):
        with pytest.raises(OSError, match=f"Address already in use: {path}"):
            listen_unix(path, 1)
        assert _connects(path)


def test_a_file_that_is_no_socket_is_left_alone(path: str) -> None:
    Path(path).write_text("mine")
    with pytest.raises(OSError, match="in use"):
        listen_unix(path, 1)
    assert Path(path).read_text() == "mine"


def test_a_directory_that_is_not_there_is_named(path: str) -> None:
    with pytest.raises(OSError, match=r"No such file or directory: .*/absent/s"):
        listen_unix(str(Path(path).parent / "absent" / "s"), 1)


def test_the_end_removes_the_own_file_and_not_that_of_a_successor(path: str) -> None:
    with closing(listen_unix(path, 1)):
        inode = inode_of(Path(path))
        Path(path).unlink()
        with closing(listen_unix(path, 1)):
            remove_unix(path, inode)
            assert _connects(path)
            remove_unix(path, inode_of(Path(path)))
            assert not Path(path).exists()
            remove_unix(path, inode)

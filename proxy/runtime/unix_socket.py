"""Unix socket: listens at a path, open to its owner and group, and is removed at the end."""

import errno
import os
import socket
import sys
from pathlib import Path

from proxy.runtime.directory import Inode, inode_of

MODE = 0o660
"""Of the file: connecting takes the permission to write (unix(7))."""


def listen_unix(path: str, backlog: int) -> socket.socket:
    """A listening socket at the path; OSError if a process listens there, or a file is there.

    The socket of a process that has ended is replaced. No client can connect before `listen`, so
    none before the permissions are set.
    """
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if _is_abandoned(path):
            Path(path).unlink()
        made.bind(path)
        Path(path).chmod(MODE)
        made.listen(backlog)
    except OSError as error:
        made.close()
        raise OSError(error.errno, f"{os.strerror(error.errno or 0)}: {path}") from None
    return made


def listen_abstract(backlog: int) -> socket.socket:
    """A listening socket with a free name and no file (unix(7), "autobind"); Linux only.

    OSError elsewhere. Each process of the machine can connect: who does, must show that it may.
    """
    if sys.platform != "linux":
        raise OSError(errno.ENOTSUP, "workers above 1 need Linux")
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        made.bind("")
        made.listen(backlog)
    except OSError:
        made.close()
        raise
    return made


def remove_unix(path: str, inode: Inode | None) -> None:
    """Remove the socket's file, unless another process has put its own there.

    Before the socket is closed: until then no other file has its inode.
    """
    if inode is not None and inode_of(Path(path)) == inode:
        Path(path).unlink(missing_ok=True)


def _is_abandoned(path: str) -> bool:
    """Whether a socket is there and no process listens."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(0)
        return Path(path).is_socket() and probe.connect_ex(path) == errno.ECONNREFUSED

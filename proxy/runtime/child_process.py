"""Child process: another run of this program, with a channel to this one and its log piped here.

It is a program of its own: after fork and exec it has nothing of this process's memory, and of its
files those that are passed.
"""

import asyncio
import fcntl
import socket
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

MAX_LINE_BYTES = 16 * 1024 * 1024
"""Of a message; the configuration is one."""
LOG_PIPE_BYTES = 1024 * 1024
"""What a child can log while this process is busy."""
_STDERR = 2
_F_SETPIPE_SZ = getattr(fcntl, "F_SETPIPE_SZ", None)


@dataclass(frozen=True, slots=True)
class ChildProcess:
    """A running child, and this process's end of its channel."""

    process: Process
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @property
    def log(self) -> asyncio.StreamReader:
        """What it writes to standard error."""
        if self.process.stderr is None:
            raise RuntimeError("started without a pipe")
        return self.process.stderr

    def kill(self) -> None:
        """End it at once, unless it has ended."""
        with suppress(ProcessLookupError):
            self.process.kill()


async def start_child(
    command: str, sockets: Sequence[socket.socket], environ: Mapping[str, str]
) -> ChildProcess:
    """Run a command of this program; its arguments are the descriptors of channel and sockets.

    It is in a process group of its own, so that a terminal's SIGINT does not reach it. OSError.
    """
    own, other = socket.socketpair()
    try:
        fds = [each.fileno() for each in (other, *sockets)]
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "proxy", command, *map(str, fds)),
            stdin=DEVNULL,
            stdout=DEVNULL,
            stderr=PIPE,
            pass_fds=fds,
            process_group=0,
            env=environ,
        )
        reader, writer = await asyncio.open_connection(sock=own, limit=MAX_LINE_BYTES)
    except BaseException:
        own.close()
        raise
    finally:
        other.close()
    return ChildProcess(process, reader, writer)


def widen_log_pipe() -> None:
    """In a child: have its standard error hold LOG_PIPE_BYTES, if the system allows it."""
    if _F_SETPIPE_SZ is not None:
        with suppress(OSError):
            fcntl.fcntl(_STDERR, _F_SETPIPE_SZ, LOG_PIPE_BYTES)

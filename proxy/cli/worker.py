"""`worker`: a process that `serve` starts for `workers`; not for people."""

import asyncio
import os
import secrets
import signal
import socket
import sys
from argparse import Namespace

from proxy.app.environment import build_environment
from proxy.app.workers.messages import Alive, Check, Ready, Reload, Setup, Stop, line, to_worker
from proxy.app.workers.settings import parse_settings
from proxy.app.workers.worker import Worker
from proxy.cli.console import CommandFailed, to_stderr
from proxy.runtime.child_process import MAX_LINE_BYTES, widen_log_pipe
from proxy.runtime.clock import SystemClock
from proxy.runtime.process import end_with_parent, raise_fd_limit, tune_gc, tune_thread_switching

_ORPHANED = 1


def run(options: Namespace) -> int:
    """The exit code, when the parent has said that it may end."""
    end_with_parent()  # a parent that ended before is seen by its channel
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # they are the parent's, which says what to do
    channel, *sockets = (socket.socket(fileno=fd) for fd in options.fds)
    widen_log_pipe()
    return asyncio.run(_serve(channel, sockets))


async def _serve(channel: socket.socket, sockets: list[socket.socket]) -> int:
    reader, writer = await asyncio.open_connection(sock=channel, limit=MAX_LINE_BYTES)
    setup = to_worker(await reader.readline())
    if not isinstance(setup, Setup):
        raise CommandFailed("trello-proxy: worker is started by serve", 2)
    environment = build_environment(
        parse_settings(setup.config),
        (),
        clock=SystemClock(),
        write_log=to_stderr,
        random=secrets.token_bytes,
    )
    worker = Worker(setup, environment, raise_fd_limit())
    await worker.start(sockets)
    tune_gc()
    tune_thread_switching()
    writer.write(line(Ready()))
    await _follow(worker, reader, writer)
    return 0


async def _follow(
    worker: Worker, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Do what the parent says; return when the worker has stopped, end at once with the parent."""
    while True:
        try:
            message = to_worker(await reader.readline())
        except (OSError, ValueError):
            sys.stderr.flush()
            os._exit(_ORPHANED)
        match message:
            case Check(number=number, wants_figures=wants_figures):
                figures = worker.figures() if wants_figures else None
                writer.write(line(Alive(number, figures)))
            case Reload(config=config):
                worker.reload(config)
            case Stop():
                await worker.stop()
                writer.write(line(Alive(0, worker.figures())))
                await writer.drain()
                return
            case _:
                pass

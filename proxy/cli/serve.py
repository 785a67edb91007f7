"""`serve`: runs the configured proxy until a signal ends it."""

import asyncio
import os
import secrets
import signal
from argparse import Namespace
from collections.abc import Callable
from dataclasses import replace

from proxy.app.app import App, SystemPorts
from proxy.cli.console import CommandFailed, to_stderr
from proxy.cli.options import config_loader, read_config, service_manager, worker_environ
from proxy.cli.required_credential import required_credential
from proxy.runtime.clock import SystemClock
from proxy.runtime.process import raise_fd_limit, tune_gc, tune_thread_switching
from proxy.runtime.service_manager import ServiceManager
from proxy.runtime.tasks import TaskSet
from proxy.server.listener import CannotListen


def run(options: Namespace) -> int:
    """The exit code, when a signal has ended the proxy."""
    source = config_loader(options)
    config = read_config(source, checks_files=True)
    credential = required_credential(config)
    manager = service_manager()
    sockets = tuple(manager.take_sockets())
    app = App(config, credential, replace(system_ports(), source=source, sockets=sockets))
    return asyncio.run(_serve(app, manager))


def system_ports() -> SystemPorts:
    """The clock, standard error, randomness and file descriptors of this process."""
    return SystemPorts(
        clock=SystemClock(),
        write_log=to_stderr,
        random=secrets.token_bytes,
        max_fds=raise_fd_limit(),
        cores=os.cpu_count() or 1,
        environ=worker_environ(),
    )


async def _serve(app: App, manager: ServiceManager) -> int:
    """Run the app; notify the service manager when it listens, and that it is alive."""
    tasks = TaskSet()

    def ready() -> None:
        manager.notify("READY=1")
        if manager.watchdog_s:
            tasks.spawn(_feed_watchdog(manager))

    try:
        return await until_stopped(app, ready)
    finally:
        await tasks.stop()


async def _feed_watchdog(manager: ServiceManager) -> None:
    """Notify the service manager twice in its interval: the event loop runs."""
    while True:
        manager.notify("WATCHDOG=1")
        await asyncio.sleep(manager.watchdog_s / 2)


async def until_stopped(app: App, ready: Callable[[], None] = lambda: None) -> int:
    """Run `app` until SIGTERM or SIGINT; the exit code. `ready` is called when it listens."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    try:
        await _start(app)
        if app.reloader is not None:
            loop.add_signal_handler(signal.SIGHUP, app.reloader.request)
        tune_gc()
        tune_thread_switching()
        ready()
        await stopped.wait()
    finally:
        await app.stop()
    return 0


async def _start(app: App) -> None:
    """Start the app; CommandFailed where it cannot listen."""
    try:
        await app.start()
    except CannotListen as fault:
        raise CommandFailed(f"trello-proxy: {fault}") from None

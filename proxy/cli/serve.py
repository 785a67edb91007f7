"""A proxy in this process until a signal ends it: the configured one, or the demo's."""

import asyncio
import gc
import resource
import secrets
import signal
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from proxy.app.app import App, SystemPorts
from proxy.app.reload import ConfigSource, credential_of
from proxy.config.schema import (
    Config,
    ConfigError,
    load,
)
from proxy.fake_trello.samples import fill
from proxy.fake_trello.server import FakeTrello
from proxy.model import Credential
from proxy.runtime.clock import SystemClock
from proxy.server.listener import listen_socket

MOST_FILES = 16_384
SECRET_LENGTH = 8
"""Trello's have 32 characters and more; what is shorter could not be told from other text."""

_NO_CREDENTIALS = """\
trello-proxy needs Trello's key and token; {missing} not there.

  1. Get a key:    https://trello.com/power-ups/admin  (New, then "API key")
  2. Get a token:  https://trello.com/1/authorize?expiration=never&scope=read,write&response_type=token&name=trello-proxy&key=YOUR_KEY
  3. Hand them over, one way or the other:
       TRELLO_KEY=… TRELLO_TOKEN=… trello-proxy serve
       proxy.yaml:  credentials: {{key: {{file: /path}}, token: {{file: /path}}}}

To look around without any: trello-proxy demo
"""

_DEMO = """\
trello-proxy demo: a stand-in for Trello with sample boards, and the proxy in front of it.

  Base URL   {url}/1/

Try, twice each; the second answer comes from the store:
  curl -i '{url}/1/boards/{board}?fields=name,url'
  curl -i '{url}/1/boards/{board}/cards?fields=name,due'
  curl -i -o /dev/null -D - '{url}{attachment}'

Open in a browser: {url}/b/{board}

Ctrl-C ends it; nothing is kept.
"""


def serve(source: ConfigSource) -> int:
    """The proxy on its configuration; the exit code, ConfigError for half a credential."""
    config = source.load()
    credential = credential_of(config)
    if credential is None:
        named = {"the key": config.credentials.key, "the token": config.credentials.token}
        absent = [what for what, secret in named.items() if secret is None]
        missing = f"{' and '.join(absent)} {'is' if len(absent) == 1 else 'are'}"
        print(_NO_CREDENTIALS.format(missing=missing), file=sys.stderr)
        return 2
    if min(len(credential.key), len(credential.token)) < SECRET_LENGTH:
        raise ConfigError(("credentials: the key or the token is not whole; copy all of it",))
    app = App(config, credential, replace(_system_ports(), source=source))
    return asyncio.run(_until_stopped(app))


def demo(port: int | None) -> int:
    """The proxy in front of a stand-in for Trello; the exit code."""
    return asyncio.run(_run_demo(_free_port() if port is None else port))


def to_stderr(lines: bytes) -> None:
    """Written and flushed."""
    sys.stderr.buffer.write(lines)
    sys.stderr.buffer.flush()


def _system_ports() -> SystemPorts:
    return SystemPorts(SystemClock(), to_stderr, secrets.token_bytes, max_files=_raise_fd_limit())


def _raise_fd_limit() -> int:
    """How many this process may have open: as many as the machine allows, up to MOST_FILES."""
    limit, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if most == resource.RLIM_INFINITY else min(most, MOST_FILES)
    if limit != resource.RLIM_INFINITY and limit < wanted:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
            limit = wanted
    return MOST_FILES if limit == resource.RLIM_INFINITY else limit


def _tune_gc() -> None:
    """What is there now stays, and what is stored is no garbage: look at both more seldom.

    Measured with 50,000 answers stored: the slowest hundredth of the misses took 0.4 of the time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)


def _tune_thread_switching() -> None:
    """A thread that computes leaves the interpreter to the loop after half a millisecond, not five.

    Measured while /metrics of 50 routes is rendered: the loop waits 0.6 ms at most, else 5.
    """
    sys.setswitchinterval(0.0005)


async def _until_stopped(app: App, ready: Callable[[], None] = lambda: None) -> int:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    try:
        await app.start()
        if app.reloader is not None:
            loop.add_signal_handler(signal.SIGHUP, app.reloader.request)
        _tune_gc()
        _tune_thread_switching()
        ready()
        await stopped.wait()
    finally:
        await app.stop()
    return 0


def _free_port() -> int:
    """8080, or 0 for any when something else has it."""
    try:
        for sock in listen_socket("127.0.0.1", 8080):
            sock.close()
    except OSError:
        return 0
    return 8080


async def _run_demo(port: int) -> int:
    credential = Credential(key=secrets.token_hex(16), token=secrets.token_hex(32))
    fake_trello = FakeTrello(SystemClock(), key=credential.key, token=credential.token)
    fill(fake_trello.trello)
    await fake_trello.start()
    with tempfile.TemporaryDirectory(prefix="trello-proxy-demo-") as directory:
        app = App(_demo_config(fake_trello, port, directory), credential, _system_ports())
        try:
            return await _until_stopped(app, lambda: _print_banner(app, fake_trello))
        finally:
            await fake_trello.stop()


def _demo_config(fake_trello: FakeTrello, port: int, directory: str) -> Config:
    config = load("log: {level: warning, format: text}", "demo", {}, str)
    return replace(
        config,
        listen=replace(config.listen, port=port),
        public_url=f"http://{config.listen.host}:{port}",
        upstream=replace(
            config.upstream, url=fake_trello.url, storage_hosts=(fake_trello.storage_host,)
        ),
        cache=replace(config.cache, directory=directory),
    )


def _print_banner(app: App, fake_trello: FakeTrello) -> None:
    trello = fake_trello.trello
    text = _DEMO.format(
        url=app.public_url, board=trello.example_board, attachment=trello.example_attachment_path
    )
    print(text, flush=True)

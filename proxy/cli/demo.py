"""`demo`: runs the proxy in front of a fake Trello with sample boards."""

import asyncio
import secrets
import tempfile
from argparse import Namespace
from dataclasses import replace

from proxy.app.app import App
from proxy.cli.serve import system_ports, until_stopped
from proxy.config.schema import Config, load
from proxy.fake_trello.samples import fill
from proxy.fake_trello.server import FakeTrello
from proxy.model import Credential
from proxy.runtime.clock import SystemClock
from proxy.server.listener import listen_socket

_BANNER = """\
trello-proxy demo: a fake Trello with sample boards, and the proxy in front of it.

  Base URL   {url}/1/

Try each twice; the second response comes from the cache:
  curl -i '{url}/1/boards/{board}?fields=name,url'
  curl -i '{url}/1/boards/{board}/cards?fields=name,due'
  curl -i -o /dev/null -D - '{url}{attachment}'

Open in a browser: {url}/b/{board}

Ctrl-C ends it; nothing is stored beyond that.
"""

_IDS_AT = 1_767_225_600.0
"""2026-01-01: the same ids at each start, so that a line kept from the last one works."""


def run(options: Namespace) -> int:
    """The exit code, when a signal has ended the proxy."""
    return asyncio.run(_run(_free_port() if options.port is None else options.port))


def _free_port() -> int:
    """8080, or 0 for any when that is taken."""
    try:
        for sock in listen_socket("127.0.0.1", 8080):
            sock.close()
    except OSError:
        return 0
    return 8080


async def _run(port: int) -> int:
    credential = Credential(key=secrets.token_hex(16), token=secrets.token_hex(32))
    fake_trello = FakeTrello(
        SystemClock(), key=credential.key, token=credential.token, ids_at=_IDS_AT
    )
    fill(fake_trello.trello)
    await fake_trello.start()
    with tempfile.TemporaryDirectory(prefix="trello-proxy-demo-") as directory:
        app = App(_config(fake_trello, port, directory), credential, system_ports())
        try:
            return await until_stopped(app, lambda: _print_banner(app, fake_trello))
        finally:
            await fake_trello.stop()


def _config(fake_trello: FakeTrello, port: int, directory: str) -> Config:
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
    text = _BANNER.format(
        url=app.public_url, board=trello.example_board, attachment=trello.example_attachment_path
    )
    print(text, flush=True)

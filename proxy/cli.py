"""The command line; the only reader of the arguments and of the environment.

Exit codes: 0 done, 1 failed, 2 wrong usage or configuration.
"""

import argparse
import asyncio
import gc
import json
import os
import secrets
import signal
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from proxy import __version__
from proxy.app import App, Surroundings
from proxy.clock import SystemClock
from proxy.config import Config, ConfigError, load, masked
from proxy.demo.samples import fill
from proxy.demo.standin import StandIn
from proxy.edge.listener import bound
from proxy.model import Credential
from proxy.policy.links import Links
from proxy.policy.pasted import NotALink, link_of
from proxy.policy.warming import NotABoard, board_named
from proxy.rules import signing_of
from proxy.warm import NoProxy, Told, Warm

CONFIG = "proxy.yaml"
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


def main() -> None:
    """Run one command and exit."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """The exit code of one command."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        command: Callable[[argparse.Namespace], int] = options.command
        return command(options)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        print(f"trello-proxy: {error.strerror or error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="trello-proxy", description="A caching proxy for Trello's API."
    )
    parser.add_argument("--version", action="version", version=f"trello-proxy {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, command, text in (
        ("serve", _serve, "run the proxy"),
        ("check", _check, "validate the configuration and print it, secrets masked"),
        ("purge", _purge, "have the running proxy forget everything stored"),
    ):
        _add(commands, name, command, text)
    text = "turn an address of Trello's into a link of the proxy's"
    link = _add(commands, "link", _link, text)
    link.add_argument("url", metavar="URL", help="of a card, a board or an attachment")
    text = "have the running proxy fetch boards, their cards and their files ahead"
    warm = _add(commands, "warm", _warm, text)
    warm.add_argument("boards", metavar="BOARD", nargs="+", help="id, shortLink or web address")
    warm.add_argument("--dry-run", action="store_true", help="say what it would take")
    demo = commands.add_parser("demo", help="the proxy in front of a stand-in; no account needed")
    demo.add_argument("--port", type=int, help="default: 8080, or any other when that is taken")
    demo.set_defaults(command=_demo)
    return parser


def _add(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    command: Callable[[argparse.Namespace], int],
    text: str,
) -> argparse.ArgumentParser:
    """A command that reads the configuration."""
    added = commands.add_parser(name, help=text, description=text)
    added.add_argument("--config", metavar="FILE", help=f"default: {CONFIG}, where there is one")
    added.set_defaults(command=command)
    return added


def _config(options: argparse.Namespace) -> Config:
    path = Path(options.config or CONFIG)
    if options.config is None and not path.exists():
        return load("", CONFIG, os.environ, _read)
    try:
        text = _read(str(path))
    except (OSError, UnicodeDecodeError) as error:
        reason = f"{path}: cannot be read as UTF-8 text: {type(error).__name__}"
        raise ConfigError((reason,)) from None
    config = load(text, str(path), os.environ, _read)
    if config.cache.backend == "redis":
        raise ConfigError((f"{path}: cache.backend: redis is not there yet; write sqlite",))
    return config


def _read(path: str) -> str:
    return Path(path).expanduser().read_text(encoding="utf-8")


def _credential(config: Config) -> Credential | None:
    key, token = config.credentials.key, config.credentials.token
    return Credential(key.reveal(), token.reveal()) if key and token else None


def _check(options: argparse.Namespace) -> int:
    print(masked(_config(options)), end="")
    return 0


def _serve(options: argparse.Namespace) -> int:
    config = _config(options)
    credential = _credential(config)
    if credential is None:
        named = {"the key is": config.credentials.key, "the token is": config.credentials.token}
        missing = " and ".join(what for what, secret in named.items() if secret is None)
        print(_NO_CREDENTIALS.format(missing=missing), file=sys.stderr)
        return 2
    if min(len(credential.key), len(credential.token)) < SECRET_LENGTH:
        raise ConfigError(("credentials: the key or the token is not whole; copy all of it",))
    return asyncio.run(_until_stopped(App(config, credential, _surroundings())))


def _surroundings() -> Surroundings:
    return Surroundings(SystemClock(), _to_stderr, secrets.token_bytes)


def _to_stderr(lines: bytes) -> None:
    sys.stderr.buffer.write(lines)
    sys.stderr.buffer.flush()


def _spare_the_collector() -> None:
    """What is there now stays, and what is stored is no garbage: look at both more seldom.

    Measured with 50,000 answers stored: the slowest hundredth of the misses took 0.4 of the time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)


async def _until_stopped(app: App, ready: Callable[[], None] = lambda: None) -> int:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    try:
        await app.start()
        _spare_the_collector()
        ready()
        await stopped.wait()
    finally:
        await app.stop()
    return 0


def _demo(options: argparse.Namespace) -> int:
    return asyncio.run(_run_demo(_free_port() if options.port is None else options.port))


def _free_port() -> int:
    """8080, or 0 for any when something else has it."""
    try:
        bound("127.0.0.1", 8080).close()
    except OSError:
        return 0
    return 8080


async def _run_demo(port: int) -> int:
    credential = Credential(key=secrets.token_hex(16), token=secrets.token_hex(32))
    standin = StandIn(SystemClock(), key=credential.key, token=credential.token)
    fill(standin.trello)
    await standin.start()
    with tempfile.TemporaryDirectory(prefix="trello-proxy-demo-") as directory:
        app = App(_demo_config(standin, port, directory), credential, _surroundings())
        try:
            return await _until_stopped(app, lambda: _greet(app, standin))
        finally:
            await standin.stop()


def _demo_config(standin: StandIn, port: int, directory: str) -> Config:
    config = load("log: {level: warning, format: text}", "demo", {}, _read)
    return replace(
        config,
        listen=replace(config.listen, port=port),
        public_url=f"http://{config.listen.host}:{port}",
        upstream=replace(config.upstream, url=standin.url, storage_hosts=(standin.storage_host,)),
        cache=replace(config.cache, directory=directory),
    )


def _greet(app: App, standin: StandIn) -> None:
    trello = standin.trello
    text = _DEMO.format(
        url=app.public_url, board=trello.example_board, attachment=trello.example_attachment_path
    )
    print(text, flush=True)


def _link(options: argparse.Namespace) -> int:
    config = _config(options)
    links = Links(config.public_url, signing_of(config.links))
    try:
        print(link_of(options.url, links, SystemClock().now()))
    except NotALink as error:
        print(f"trello-proxy: {error}", file=sys.stderr)
        return 2
    return 0


def _purge(options: argparse.Namespace) -> int:
    config = _config(options)
    listen = config.admin.listen or config.listen
    request = urllib.request.Request(f"http://{listen}/-/purge", method="POST")
    if config.admin.token is not None:
        request.add_header("Authorization", f"Bearer {config.admin.token.reveal()}")
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 — http
            print(answer.read().decode(), end="")
    except urllib.error.HTTPError as error:
        with error:
            detail = json.loads(error.read()).get("detail", error.reason)
        print(f"trello-proxy: {detail}", file=sys.stderr)
        return 1
    except urllib.error.URLError as error:
        print(f"trello-proxy: no proxy answers at {listen}: {error.reason}", file=sys.stderr)
        return 1
    return 0


def _warm(options: argparse.Namespace) -> int:
    config, clock = _config(options), SystemClock()
    links = Links(config.public_url, signing_of(config.links))
    told = Told(_to_stderr, is_terminal=sys.stderr.isatty())
    warm = Warm(f"http://{config.listen}", links, config.limits.token, clock, told)
    try:
        boards = [board_named(each, links, clock.now()) for each in options.boards]
        print(asyncio.run(_until_interrupted(warm, boards, dry=options.dry_run)))
    except NotABoard as error:
        print(f"trello-proxy: {error}", file=sys.stderr)
        return 2
    except NoProxy as error:
        print(f"trello-proxy: no proxy answers at {config.listen}: {error}", file=sys.stderr)
        return 1
    return 0 if warm.tally.is_whole else 1


async def _until_interrupted(warm: Warm, boards: list[str], *, dry: bool) -> str:
    task = asyncio.ensure_future(warm.run(boards, dry=dry))
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    return await task

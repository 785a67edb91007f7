"""The command line; the only reader of the arguments and of the environment.

Exit codes: 0 done, 1 failed, 2 wrong usage or configuration.
"""

import argparse
import asyncio
import json
import os
import secrets
import signal
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from proxy import __version__
from proxy.app.from_config import (
    links_of,
    warnings_of,
)
from proxy.app.reload import credential_of
from proxy.cli.check import check_credentials
from proxy.cli.leak_check.check import Inconclusive, search_for_leaks
from proxy.cli.serve import (
    demo,
    serve,
    to_stderr,
)
from proxy.cli.warm import (
    ProgressOutput,
    ProxyUnreachable,
    Warm,
)
from proxy.cli.warm_report import NotABoard, parse_board_name
from proxy.config.loader import DEFAULT, ConfigLoader
from proxy.config.schema import (
    Config,
    ConfigError,
    masked,
)
from proxy.links.paste import UnsupportedLink, to_proxy_link
from proxy.pages.docs import NAMES, docs_index_text, markdown
from proxy.runtime.clock import SystemClock
from proxy.runtime.directory import is_in_use

_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""Whatever the environment says of proxies: it is this machine that asks itself."""
_IN_USE = "a proxy uses cache.directory now; a second one there keeps answers in memory only"


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
        ("serve", lambda options: serve(_source(options)), "run the proxy"),
        ("purge", _purge, "have the running proxy forget everything stored"),
    ):
        _add(commands, name, command, text)
    text = "validate the configuration and print it, secrets masked"
    check = _add(commands, "check", _check, text)
    check.add_argument(
        "--leaks", action="store_true", help="search a proxy of this configuration for its secrets"
    )
    text = "say what would become of a read, asking the running proxy and not Trello"
    explain = _add(commands, "explain", _explain, text)
    explain.add_argument("url", metavar="URL", help="of Trello's API or the proxy's, or its path")
    check.add_argument("--online", action="store_true", help="ask Trello about the credentials too")
    text = "turn an address of Trello's into a link of the proxy's"
    link = _add(commands, "link", _link, text)
    link.add_argument("url", metavar="URL", help="of a card, a board or an attachment")
    text = "have the running proxy fetch boards, their cards and their files ahead"
    warm = _add(commands, "warm", _warm, text)
    warm.add_argument("boards", metavar="BOARD", nargs="+", help="id, shortLink or web address")
    warm.add_argument("--dry-run", action="store_true", help="say what it would take")
    text = "print a page of the documentation, or the list of pages"
    docs = commands.add_parser("docs", help=text, description=text)
    docs.add_argument("page", metavar="PAGE", nargs="?", choices=NAMES, help=", ".join(NAMES))
    docs.set_defaults(command=_docs)
    text = "the proxy in front of a stand-in; no account needed"
    sample = commands.add_parser("demo", help=text, description=text)
    sample.add_argument("--port", type=int, help="default: 8080, or any other when that is taken")
    sample.set_defaults(command=lambda options: demo(options.port))
    return parser


def _add(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    command: Callable[[argparse.Namespace], int],
    text: str,
) -> argparse.ArgumentParser:
    """A command that reads the configuration."""
    added = commands.add_parser(name, help=text, description=text)
    added.add_argument("--config", metavar="FILE", help=f"default: {DEFAULT}, where there is one")
    added.set_defaults(command=command)
    return added


def _source(options: argparse.Namespace) -> ConfigLoader:
    return ConfigLoader(options.config, os.environ)


def _config(options: argparse.Namespace) -> Config:
    return _source(options).load()


def _check(options: argparse.Namespace) -> int:
    config = _config(options)
    if options.leaks:
        return _check_leaks(config)
    print(masked(config), end="")
    for key, listen in (("listen", config.listen), ("admin.listen", config.admin.listen)):
        if listen is not None and listen.host == "::":
            print(f"trello-proxy: {key} {listen} is every address, of IPv4 too", file=sys.stderr)
    if config.cache.backend == "sqlite" and is_in_use(Path(config.cache.directory)):
        print(f"trello-proxy: {_IN_USE}", file=sys.stderr)
    for warning in warnings_of(config):
        print(f"trello-proxy: {warning}", file=sys.stderr)
    return _check_online(config) if options.online else 0


def _check_online(config: Config) -> int:
    credential = credential_of(config)
    if credential is None:
        print("trello-proxy: there is no key and token to ask about", file=sys.stderr)
        return 2
    findings = asyncio.run(
        check_credentials(config, credential, SystemClock(), secrets.token_bytes)
    )
    print("\n".join(findings.lines), file=sys.stdout if findings.is_usable else sys.stderr)
    return 0 if findings.is_usable else 1


def _check_leaks(config: Config) -> int:
    try:
        search = asyncio.run(search_for_leaks(config))
    except Inconclusive as error:
        print(f"trello-proxy: nothing is proven: {error}", file=sys.stderr)
        return 1
    for find in search.leaks:
        print(f"{find.canary}, {find.spelling}, in {find.where}", file=sys.stderr)
    if search.leaks:
        print(f"trello-proxy: {len(search.leaks)} leaks in {search.scope}", file=sys.stderr)
        return 1
    print(f"no leak in {search.scope}")
    return 0


def _link(options: argparse.Namespace) -> int:
    config = _config(options)
    links = links_of(config, config.origin)
    try:
        print(to_proxy_link(options.url, links, SystemClock().now()))
    except UnsupportedLink as error:
        print(f"trello-proxy: {error}", file=sys.stderr)
        return 2
    return 0


def _docs(options: argparse.Namespace) -> int:
    print(markdown(options.page) if options.page else docs_index_text(), end="")
    return 0


def _purge(options: argparse.Namespace) -> int:
    return _asked(_config(options), "POST", "/-/purge")


def _explain(options: argparse.Namespace) -> int:
    return _asked(_config(options), "GET", f"/-/explain?url={quote(options.url, safe='')}")


def _asked(config: Config, method: str, target: str) -> int:
    """Print what the running proxy answers to its operator; the exit code."""
    listen = config.admin.listen or config.listen
    request = urllib.request.Request(listen.url + target, method=method)  # noqa: S310 — http
    if config.admin.token is not None:
        request.add_header("Authorization", f"Bearer {config.admin.token.reveal()}")
    try:
        with _DIRECT.open(request, timeout=10) as response:
            print(response.read().decode(), end="")
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
    links = links_of(config, config.origin)
    told = ProgressOutput(to_stderr, is_terminal=sys.stderr.isatty())
    warm = Warm(config.listen.url, links, config.limits.token, clock, told)
    try:
        boards = [parse_board_name(each, links, clock.now()) for each in options.boards]
        print(asyncio.run(_until_interrupted(warm, boards, dry=options.dry_run)))
    except NotABoard as error:
        print(f"trello-proxy: {error}", file=sys.stderr)
        return 2
    except ProxyUnreachable as error:
        print(f"trello-proxy: no proxy answers at {config.listen}: {error}", file=sys.stderr)
        return 1
    return 0 if warm.stats.is_complete else 1


async def _until_interrupted(warm: Warm, boards: list[str], *, dry: bool) -> str:
    task = asyncio.ensure_future(warm.run(boards, dry=dry))
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    return await task

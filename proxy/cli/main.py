"""Command line: parses the arguments and runs one command.

Each command is a module with `run(options)`, imported when it is chosen: a short command must not
wait for the imports of the proxy. Exit codes: 0 done, 1 failed, 2 wrong usage or
configuration.
"""

import gc
import sys
from argparse import ArgumentParser, _SubParsersAction
from importlib import import_module

from proxy import __version__
from proxy.cli.console import CommandFailed


def main() -> None:
    """Run one command and exit."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """The exit code of one command."""
    options = _parser().parse_args(arguments)
    try:
        gc.disable()  # imports make no garbage; collecting takes a seventh of their time
        command = import_module(f"proxy.cli.{options.module}")
        gc.enable()
        exit_code: int = command.run(options)
    except CommandFailed as failure:
        print(failure, file=sys.stderr)
        return failure.exit_code
    except OSError as error:
        print(f"trello-proxy: {error.strerror or error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0
    return exit_code


def _parser() -> ArgumentParser:
    parser = ArgumentParser(prog="trello-proxy", description="A caching proxy for Trello's API.")
    parser.add_argument("--version", action="version", version=f"trello-proxy {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add(commands, "serve", "run the proxy")
    _add_purge(commands)
    check = _add(commands, "check", "validate the configuration and print it, secrets masked")
    for flag, module, text in (
        ("--leaks", "leak_check.check", "search a proxy of this configuration for its secrets"),
        ("--online", "credential_check", "also verify the key and token with Trello"),
    ):
        check.add_argument(flag, dest="module", action="store_const", const=module, help=text)
    text = "explain how the running proxy would serve a read; sends nothing to Trello"
    explain = _add(commands, "explain", text)
    explain.add_argument("url", metavar="URL", help="of Trello's API or the proxy's, or its path")
    link = _add(commands, "link", "turn a URL of Trello's into a link to the proxy")
    link.add_argument("url", metavar="URL", help="of a card, a board or an attachment")
    text = "make a client key, and print it with its entry in proxy.yaml"
    key = commands.add_parser("key", help=text, description=text)
    key.add_argument("name", metavar="NAME", help="of the client, in logs and metrics: ci")
    key.set_defaults(module="key")
    _add_fleet(commands)
    text = "have the running proxy download boards, their cards and their attachments"
    warm = _add(commands, "warm", text)
    warm.add_argument("boards", metavar="BOARD", nargs="+", help="id, shortLink or URL")
    warm.add_argument("--dry-run", action="store_true", help="only print the number and size")
    text = "print a page of the documentation, or the list of pages"
    docs = commands.add_parser("docs", help=text, description=text)
    docs.add_argument("page", metavar="PAGE", nargs="?", help="default: the list")
    docs.set_defaults(module="docs")
    text = "run the proxy in front of a fake Trello; no account needed"
    demo = commands.add_parser("demo", help=text, description=text)
    demo.add_argument("--port", type=int, help="default: 8080, or any other when that is taken")
    demo.set_defaults(module="demo")
    return parser


def _add_purge(commands: "_SubParsersAction[ArgumentParser]") -> None:
    text = "remove what is stored from the running proxy: everything, or what shows an object"
    purge = _add(commands, "purge", text)
    purge.add_argument("targets", metavar="URL|BOARD|TAG", nargs="*", help="default: everything")
    purge.add_argument("--json", action="store_true", help="print the response as JSON")


def _add_fleet(commands: "_SubParsersAction[ArgumentParser]") -> None:
    text = "show the leader and the members of the running proxy's fleet"
    fleet = _add(commands, "fleet", text)
    actions = fleet.add_subparsers(dest="action", metavar="ACTION")
    text = "forget a node that will not come back, so that its promise is not needed"
    forget = actions.add_parser("forget", help=text, description=text)
    forget.add_argument("node", metavar="NODE", help="its fleet.address")


def _add(commands: "_SubParsersAction[ArgumentParser]", name: str, text: str) -> ArgumentParser:
    """A command that reads the configuration."""
    added = commands.add_parser(name, help=text, description=text)
    added.add_argument("--config", metavar="FILE", help="default: proxy.yaml, if it exists")
    added.set_defaults(module=name)
    return added

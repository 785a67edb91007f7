"""Command line: parses the arguments and runs one command.

Each command is a module with `run(options)`, imported when it is chosen: a short command must not
wait for the imports of the proxy. Exit codes: 0 done, 1 failed, 2 wrong usage or configuration,
130 interrupted.
"""

import gc
import os
import sys
from argparse import Namespace
from importlib import import_module

from proxy.cli.console import INTERRUPTED, CommandFailed
from proxy.cli.parser import CommandLine


def main() -> None:
    """Run one command and exit."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """The exit code of one command."""
    line = CommandLine()
    if fault := line.fault_of(arguments):
        line.parser.error(fault)
    options = line.parser.parse_args(arguments)
    if options.command in {None, "help"}:
        topic = getattr(options, "topic", None)
        (line.commands[topic] if topic else line.parser).print_help()
        return 0
    try:
        return _run(options)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for the flush at exit
        return 1
    except CommandFailed as failure:
        print(failure, file=sys.stderr)
        return failure.exit_code
    except OSError as error:
        print(f"trello-proxy: {error.strerror or error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED


def _run(options: Namespace) -> int:
    gc.disable()  # imports make no garbage; collecting takes a seventh of their time
    command = import_module(f"proxy.cli.{options.module}")
    gc.enable()
    exit_code: int = command.run(options)
    sys.stdout.flush()
    return exit_code

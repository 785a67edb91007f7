"""`completion`: prints a script by which a shell completes commands and flags."""

from argparse import ArgumentParser, Namespace, _SubParsersAction
from collections.abc import Iterator
from typing import Any

import shtab

from proxy.cli.parser import CommandLine

_PATHS = {"config": shtab.FILE, "directory": shtab.DIRECTORY}
"""Completed as paths: the destinations of their flags."""


def run(options: Namespace) -> int:
    """The exit code."""
    parser = CommandLine().parser
    for action in _actions(parser):
        if action.dest in _PATHS:
            action.complete = _PATHS[action.dest]
    print(shtab.complete(parser, options.shell))
    return 0


def _actions(parser: ArgumentParser) -> Iterator[Any]:
    """The flags and arguments of all commands."""
    for action in parser._actions:
        yield action
        if isinstance(action, _SubParsersAction):
            for each in action.choices.values():
                yield from _actions(each)

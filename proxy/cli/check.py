"""`check`: validates the configuration and prints it, secrets masked."""

import sys
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

from proxy.app.from_config import configuration_warnings
from proxy.cli.options import config_loader, read_config
from proxy.config.schema import Config, masked
from proxy.runtime.directory import is_in_use

_IN_USE = "a proxy uses cache.directory now; a second one stores responses in memory only"


def run(options: Namespace) -> int:
    """The exit code."""
    print_config(read_config(config_loader(options)))
    return 0


def print_config(config: Config) -> None:
    """The effective configuration on standard output, warnings on standard error."""
    print(masked(config), end="")
    for warning in _warnings(config):
        print(f"trello-proxy: {warning}", file=sys.stderr)


def _warnings(config: Config) -> Iterator[str]:
    for key, listen in (("listen", config.listen), ("admin.listen", config.admin.listen)):
        if listen is not None and listen.host == "::":
            yield f"{key} {listen} is every address, of IPv4 too"
    if config.cache.backend == "sqlite" and is_in_use(Path(config.cache.directory)):
        yield _IN_USE
    yield from configuration_warnings(config)

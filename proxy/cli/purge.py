"""`purge`: removes everything stored from the running proxy."""

from argparse import Namespace

from proxy.cli.admin_request import admin_request
from proxy.cli.options import config_loader, read_config


def run(options: Namespace) -> int:
    """The exit code."""
    print(admin_request(read_config(config_loader(options)), "POST", "/-/purge"), end="")
    return 0

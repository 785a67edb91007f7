"""`explain`: prints what the running proxy would do with a read."""

from argparse import Namespace
from urllib.parse import quote

from proxy.cli.admin_request import admin_request
from proxy.cli.options import config_loader, read_config


def run(options: Namespace) -> int:
    """The exit code."""
    target = f"/-/explain?url={quote(options.url, safe='')}"
    print(admin_request(read_config(config_loader(options)), "GET", target), end="")
    return 0

"""`explain`: prints what the running proxy would do with a read."""

from argparse import Namespace
from urllib.parse import quote

from proxy.cli.admin_request import admin_request
from proxy.cli.options import config_loader, read_config


def run(options: Namespace) -> int:
    """The exit code."""
    target = f"/-/explain?url={quote(options.url, safe='')}"
    media_type = "application/json" if options.json else "text/plain"
    config = read_config(config_loader(options))
    print(admin_request(config, "GET", target, accept=media_type), end="")
    return 0

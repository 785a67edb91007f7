"""`fleet`: prints the nodes of the fleet as the running one knows them, or forgets one."""

from argparse import Namespace
from urllib.parse import quote

from proxy.cli.admin_request import admin_request
from proxy.cli.console import CommandFailed
from proxy.cli.options import config_loader, read_config


def run(options: Namespace) -> int:
    """The exit code."""
    config = read_config(config_loader(options))
    if config.fleet.listen is None:
        raise CommandFailed("trello-proxy: this proxy is on its own; fleet.listen is not set", 2)
    if options.action == "forget":
        target = f"/-/fleet/forget?node={quote(options.node, safe='')}"
        admin_request(config, "POST", target)
    media_type = "application/json" if options.json else "text/plain"
    print(admin_request(config, "GET", "/-/fleet", accept=media_type), end="")
    return 0

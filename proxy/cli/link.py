"""`link`: prints the proxy's link to what a URL of Trello's names."""

import json
from argparse import Namespace

from proxy.app.from_config import build_link_rewriter
from proxy.cli.console import CommandFailed
from proxy.cli.options import config_loader, read_config
from proxy.links.paste import UnsupportedLink, to_proxy_link
from proxy.runtime.clock import SystemClock


def run(options: Namespace) -> int:
    """The exit code."""
    config = read_config(config_loader(options))
    try:
        links = build_link_rewriter(config, config.origin)
        link = to_proxy_link(options.url, links, SystemClock().now())
    except UnsupportedLink as error:
        raise CommandFailed(f"trello-proxy: {error}", 2) from None
    print(json.dumps({"link": link}) if options.json else link)
    return 0

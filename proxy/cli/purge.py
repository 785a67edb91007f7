"""`purge`: removes what is stored from the running proxy, all of it or what shows an object."""

import json
import re
from argparse import Namespace
from urllib.parse import urlencode

from proxy.cli.admin_request import admin_request
from proxy.cli.console import CommandFailed
from proxy.cli.options import config_loader, read_config

_FORMS = {
    "board": re.compile(r"[0-9A-Za-z]{8}|[0-9a-f]{24}"),
    "tag": re.compile(r"[A-Za-z-]+:[^/]+|everything|spanning"),
    "url": re.compile(r"(https?:/)?/\S+"),
}
"""Of an argument, by the parameter that it becomes."""


def run(options: Namespace) -> int:
    """The exit code."""
    query = urlencode([(_parameter(each), each) for each in options.targets])
    target = f"/-/purge?{query}" if query else "/-/purge"
    response = admin_request(read_config(config_loader(options)), "POST", target)
    print(response if options.json else _text(response), end="")
    return 0


def _parameter(target: str) -> str:
    """The name of the parameter for an argument: an id or shortLink is a board's."""
    for name, form in _FORMS.items():
        if form.fullmatch(target):
            return name
    known = "an id, a shortLink, a URL, its path, or a tag that `explain` shows"
    raise CommandFailed(f"trello-proxy: {target!r} is no board, URL or tag; give {known}.", 2)


def _text(response: str) -> str:
    purged = json.loads(response)["purged"]
    if isinstance(purged, str):
        return f"purged {purged}\n"
    return f"purged what has one of the tags {' '.join(purged)}\n"

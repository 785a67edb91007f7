"""`docs`: prints a page of the documentation, or the list of pages."""

from argparse import Namespace
from pathlib import PurePath

from proxy.cli.console import CommandFailed
from proxy.pages.docs import NAMES, docs_index_text, markdown


def run(options: Namespace) -> int:
    """The exit code."""
    page = options.page and PurePath(options.page).name.removesuffix(".md")
    if page not in {None, *NAMES}:
        message = f"trello-proxy: there is no page {options.page}; choose from {', '.join(NAMES)}"
        raise CommandFailed(message, 2)
    print(markdown(page) if page else docs_index_text(), end="")
    return 0

"""`docs`: prints a page of the documentation, or the list of pages."""

from argparse import Namespace

from proxy.cli.console import CommandFailed
from proxy.pages.docs import NAMES, docs_index_text, markdown


def run(options: Namespace) -> int:
    """The exit code."""
    if options.page not in {None, *NAMES}:
        message = f"trello-proxy: there is no page {options.page}; choose from {', '.join(NAMES)}"
        raise CommandFailed(message, 2)
    print(markdown(options.page) if options.page else docs_index_text(), end="")
    return 0

"""`key`: makes a client key, and prints it with its entry in proxy.yaml."""

import secrets
from argparse import Namespace

from proxy.access.client_keys import digest_of, generate
from proxy.cli.console import CommandFailed
from proxy.config.clients import client_name

_TEXT = """\
Key of {name}, not stored anywhere and not shown again; the client sends it as its token:

{key}

Add this to clients.keys in proxy.yaml, and send the proxy SIGHUP:

  keys:
    - name: {name}
      digest: {digest}
"""


def run(options: Namespace) -> int:
    """The exit code."""
    try:
        name = client_name(options.name)
    except ValueError as fault:
        raise CommandFailed(f"{fault}", 2) from None
    key = generate(secrets.token_bytes)
    print(_TEXT.format(name=name, key=key, digest=digest_of(key)), end="")
    return 0

"""`key`: makes a client key, and prints it with its entry in proxy.yaml."""

import secrets
from argparse import Namespace

from proxy.access.client_keys import digest_of, generate
from proxy.cli.console import CommandFailed
from proxy.config.clients import client_name

_TEXT = """\
Key of {name}, not stored anywhere and not shown again; the client sends it as its token:

{key}

Add this entry to proxy.yaml, and send the proxy SIGHUP. To replace a key of {name}, add it beside
that one with the same boards, workspaces, writes and limit, and remove the old entry later.

clients:
  access: keys              # without it, requests without a key are served too
  keys:
    - name: {name}
      digest: {digest}
      # boards: [SHORTLINK] # the only boards that it may see
      # writes: deny        # it may only read
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

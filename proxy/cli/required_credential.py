"""Required credential: the stored key and token, without which `serve` does not start."""

from proxy.app.from_config import credential_of
from proxy.cli.console import CommandFailed
from proxy.config.schema import Config
from proxy.model import Credential

MIN_SECRET_CHARS = 8
"""Trello's have 32 or more; a shorter one also occurs in other text."""

_NO_CREDENTIALS = """\
trello-proxy needs Trello's key and token; {missing} not set.

  1. Get a key:    https://trello.com/power-ups/admin  (New, then "API key")
  2. Get a token:  https://trello.com/1/authorize?expiration=never&scope=read,write&response_type=token&name=trello-proxy&key=YOUR_KEY
  3. Configure them in one of two ways:
       TRELLO_KEY=… TRELLO_TOKEN=… trello-proxy serve
       proxy.yaml:  credentials: {{key: {{file: /path}}, token: {{file: /path}}}}

To look around without any: trello-proxy demo
"""


def required_credential(config: Config) -> Credential:
    """The stored credential; CommandFailed if it is not set or not whole."""
    credential = credential_of(config)
    if credential is None:
        secrets = {"the key": config.credentials.key, "the token": config.credentials.token}
        absent = [name for name, secret in secrets.items() if secret is None]
        missing = f"{' and '.join(absent)} {'is' if len(absent) == 1 else 'are'}"
        raise CommandFailed(_NO_CREDENTIALS.format(missing=missing), 2)
    if min(len(credential.key), len(credential.token)) < MIN_SECRET_CHARS:
        raise CommandFailed("credentials: the key or the token is not whole; copy all of it", 2)
    return credential

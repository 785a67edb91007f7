"""Admin request: sent to the running proxy directly, whatever HTTP_PROXY says."""

import json
from http.client import HTTPException

from proxy.cli.console import CommandFailed
from proxy.cli.proxy_connection import connection_to
from proxy.config.schema import Config

_TIMEOUT_S = 10


def admin_request(config: Config, method: str, target: str, *, accept: str = "*/*") -> str:
    """The body of a response of 200; CommandFailed otherwise."""
    listen, token = config.admin.listen or config.listen, config.admin.token
    fields = {"Accept": accept}
    if token is not None:
        fields["Authorization"] = f"Bearer {token.reveal()}"
    connection = connection_to(config, listen, _TIMEOUT_S)
    try:
        connection.request(method, target, headers=fields)
        response = connection.getresponse()
        body = response.read().decode()
    except (OSError, HTTPException) as error:
        raise CommandFailed(f"trello-proxy: no proxy responds at {listen}: {error}") from None
    finally:
        connection.close()
    if response.status != 200:
        raise CommandFailed(f"trello-proxy: {_problem_detail(body) or response.reason}")
    return body


def _problem_detail(body: str) -> str:
    """The detail of a problem document (RFC 9457 §3.1.4); empty for any other body."""
    try:
        return str(json.loads(body)["detail"])
    except (ValueError, KeyError, TypeError):
        return ""

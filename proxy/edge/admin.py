"""Who may ask what is the operator's alone."""

import hmac
from ipaddress import ip_address

from aiohttp import web

from proxy.errors import NotAdmin


class Admin:
    """The admin token where there is one, else the machine itself."""

    def __init__(self, token: str | None) -> None:
        self._token = token

    def check(self, request: web.BaseRequest) -> None:
        """NotAdmin for anybody else."""
        if self._token is not None:
            given = request.headers.get("Authorization", "")
            if hmac.compare_digest(
                given.encode("utf-8", "surrogateescape"), f"Bearer {self._token}".encode()
            ):
                return
            raise NotAdmin("Send admin.token of proxy.yaml as `Authorization: Bearer …`.")
        if not _is_loopback(request.remote):
            raise NotAdmin("Ask from the proxy's own machine, or set admin.token in proxy.yaml.")


def _is_loopback(address: str | None) -> bool:
    try:
        return ip_address(address or "").is_loopback
    except ValueError:
        return False

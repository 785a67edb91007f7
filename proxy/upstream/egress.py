"""Egress: the HTTP proxy that connections are tunnelled through, DNS servers, and trusted CAs."""

import ssl
from dataclasses import dataclass, field

from aiohttp import encode_basic_auth
from yarl import URL

from proxy.config.certificates import client_context
from proxy.config.schema import Upstream


@dataclass(frozen=True, slots=True)
class Egress:
    """How a host is reached; it cannot be printed with the proxy's credential."""

    context: ssl.SSLContext | None = None
    """None: the system's CAs."""
    proxy: URL | None = None
    """Without user and password."""
    authorization: str = field(default="", repr=False)
    """The Proxy-Authorization field (RFC 9110 §11.7.2); empty: none."""

    dns_servers: tuple[str, ...] = ()
    """In place of the system's names; empty: those."""

    @property
    def proxy_address(self) -> str:
        """Host and port of the proxy, for the operator."""
        return f"{self.proxy.host}:{self.proxy.port}" if self.proxy else ""


def egress_of(settings: Upstream) -> Egress:
    """The configured egress; UnusableFile if `upstream.ca` cannot be used. Blocks."""
    context = None if settings.ca is None else client_context(settings.ca)
    if settings.proxy is None:
        return Egress(context, dns_servers=settings.resolve)
    url = URL(settings.proxy.reveal())
    authorization = encode_basic_auth(url.user or "", url.password or "", "utf-8")
    return Egress(context, url.origin(), authorization if url.user else "")

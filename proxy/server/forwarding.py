"""Forwarding: address and user of the clients behind trusted reverse proxies (D57)."""

from multidict import CIMultiDictProxy

from proxy.access.authentication import Authentication
from proxy.access.client import Client
from proxy.config.clients import Clients
from proxy.http_semantics.forwarding import TrustedProxies, user_of


class Forwarding:
    """Reads the fields of trusted proxies; those of other peers are ignored."""

    def __init__(self, clients: Clients, authentication: Authentication) -> None:
        self._proxies = TrustedProxies(clients.trusted_proxies)
        self._user_header = clients.user_header
        self.authentication = authentication
        self.trusts = self._proxies.trusts
        """Whether a peer is a trusted proxy."""

    def address(self, peer: str, headers: CIMultiDictProxy[str]) -> str:
        """The address of the client of a request that `peer` sent."""
        if not self.trusts(peer):
            return peer
        return self._proxies.client_address(peer, lambda name: headers.getall(name, ()))

    def client(self, peer: str, headers: CIMultiDictProxy[str], certificate_name: str) -> Client:
        """The user that a trusted proxy names, or else the client that its certificate names.

        Otherwise the anonymous client.
        """
        user = ""
        if self._user_header is not None and self.trusts(peer):
            user = user_of(headers.getall(self._user_header, ()))
        if user:
            return self.authentication.user(user)
        return self.authentication.by_certificate(certificate_name)

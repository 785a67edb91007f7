"""Authentication: which client sent a request, by the secrets that it carries (D56). Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from proxy.access.client import Client
from proxy.access.client_keys import PREFIX, ClientKeyEntry, ClientKeys, digest_of
from proxy.access.scope import scope_of
from proxy.config.clients import ClientKey, Clients, client_name
from proxy.credentials.extraction import ExtractedCredential
from proxy.errors import ClientKeyRequired
from proxy.model import Secret

OPERATOR = "operator"
"""The client whose key is `admin.token`, as `trello-proxy warm` sends it."""
_UNKNOWN_KEY = "This client key is not valid here, or no more; ask the operator for a new one."
_TWO_CLIENTS = "These are the keys of two clients; send one of them."
_NO_KEY = (
    "Send your client key, as `Authorization: Bearer …`, as the password of Basic, or wherever "
    "Trello's clients send a token; the operator makes one by `trello-proxy key NAME`."
)


class Authentication:
    """Clients and their keys, for all listeners; replaced when the configuration changes."""

    def __init__(self, clients: Clients, operators_token: Secret | None = None) -> None:
        """`operators_token`: `admin.token`, which is a client key too."""
        self.keys = ClientKeys()
        self._operators_token = operators_token
        self.reconfigure(clients)

    def reconfigure(self, clients: Clients) -> None:
        """Use other keys and permissions from now on."""
        exposed = scope_of(clients.boards, clients.workspaces)
        self.anonymous = Client(writes=clients.writes, scope=exposed)
        """The client of a request that names none."""
        self.keys.reconfigure([*_clients_by_digest(clients), *self._operator()])
        self._by_name = {key.name: _client(key, clients) for key in clients.keys}
        self._needs_key = clients.access == "keys"

    def find(self, credentials: Iterable[ExtractedCredential]) -> ClientKeyEntry | None:
        """The first client key in the credentials of a request, if there is one.

        ClientKeyRequired if one of them was made as a client key and is none: it may be revoked;
        and if they are the keys of two clients.
        """
        found: ClientKeyEntry | None = None
        for candidate in _candidates(credentials):
            entry = self.keys.find(candidate)
            if entry is None and candidate.startswith(PREFIX):
                raise ClientKeyRequired(_UNKNOWN_KEY)
            if entry is not None and found is not None and entry.client != found.client:
                raise ClientKeyRequired(_TWO_CLIENTS)
            found = found or entry
        return found

    def _operator(self) -> Iterator[tuple[str, Client]]:
        if self._operators_token is not None:
            operator = replace(self.anonymous, name=OPERATOR, source="key")
            yield digest_of(self._operators_token.reveal()), operator

    def user(self, name: str) -> Client:
        """The client of a request that a trusted proxy sends for this user.

        A text with a client key in it is no name: names are in the log and in metrics.
        """
        if PREFIX in name:
            return self.anonymous
        return replace(self.anonymous, name=name, source="user")

    def by_certificate(self, name: str) -> Client:
        """The client of this name: as its keys, if it has any; anonymous without a name (D60)."""
        if not name:
            return self.anonymous
        return replace(self._by_name.get(name, self.anonymous), name=name, source="certificate")

    def admits(self, client: Client) -> bool:
        """Whether it may send requests: it has a name, or `clients.access` is `open`."""
        return bool(client.name) or not self._needs_key

    def check(self, client: Client) -> None:
        """ClientKeyRequired for a client without a name, if `clients.access` is `keys`."""
        if not self.admits(client):
            raise ClientKeyRequired(_NO_KEY)


def name_in_certificate(certificate: Mapping[str, Any] | None) -> str:
    """The common name of a verified certificate's subject (RFC 5280 §4.1.2.6).

    Empty without one, or if it could not be a client's name in proxy.yaml.
    """
    pairs = [pair for part in (certificate or {}).get("subject", ()) for pair in part]
    names = [value for kind, value in pairs if kind == "commonName"]
    try:
        return client_name(names[-1]) if names else ""
    except ValueError:
        return ""


def _candidates(credentials: Iterable[ExtractedCredential]) -> Iterator[str]:
    """What may be a client key: a token in any place, `Bearer`, or the password of `Basic`."""
    for credential in credentials:
        yield from filter(None, (credential.bearer, credential.token))


def _clients_by_digest(clients: Clients) -> Iterator[tuple[str, Client]]:
    for each in clients.keys:
        yield _digest(each), _client(each, clients)


def _digest(key: ClientKey) -> str:
    return key.digest or digest_of(key.key.reveal() if key.key is not None else "")


def _client(key: ClientKey, clients: Clients) -> Client:
    exposed = scope_of(clients.boards, clients.workspaces)
    return Client(
        name=key.name,
        writes=key.writes or clients.writes,
        scope=scope_of(key.boards, key.workspaces, within=exposed),
        limit=key.limit,
        source="key",
    )

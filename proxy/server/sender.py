"""Sender: in whose name a request is sent to Trello, by the credentials in it (D54, D56)."""

import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import partial

from proxy.access.authentication import Authentication
from proxy.access.client import Client
from proxy.access.client_keys import ClientKeyEntry
from proxy.config.clients import Clients
from proxy.credentials.extraction import (
    NOTHING,
    PATH_PLACEHOLDER,
    ExtractedCredential,
    StrippedRequest,
    is_bearer,
    strip_request,
)
from proxy.credentials.identity import RequestIdentity, StoredCredential
from proxy.errors import CredentialRejected, CredentialRequired, InvalidTarget
from proxy.model import Credential, Kind
from proxy.trello.routes import Match

_CREDENTIAL_CHARS = re.compile(r"[A-Za-z0-9_-]*\Z")


@dataclass(frozen=True, slots=True)
class Sender:
    """In whose name a request is sent to Trello, and the request without its credentials."""

    stripped: StrippedRequest
    identity: RequestIdentity
    client_key: ClientKeyEntry | None
    """The client key found in it: the stored credential is used then, in every mode (D56)."""


class Senders:
    """Finds senders, by `clients.credentials`, the stored credential and the client keys."""

    def __init__(
        self, stored: StoredCredential, clients: Clients, authentication: Authentication
    ) -> None:
        self._stored = stored
        self._authentication = authentication
        self._rejects = clients.credentials == "reject"
        self._forwards = clients.forwards_credentials
        self._requires = clients.requires_credentials

    def find(
        self,
        match: Match,
        query: str,
        authorization: str | None = None,
        in_body: ExtractedCredential = NOTHING,
    ) -> Sender:
        """The sender, by what stands in the query, path, header and body.

        ClientKeyRequired for an invalid client key; InvalidTarget.
        """
        strip = partial(
            strip_request,
            query,
            match.segments,
            match.secret_positions,
            is_batch=match.route.kind is Kind.BATCH,
            authorization=authorization,
            in_body=in_body,
        )
        stored = self._stored.identity
        stripped = strip(replacement=None if self._forwards else stored.credential)
        client_key = self._authentication.find(stripped.found)
        if client_key is None:
            return Sender(stripped, self._identity(stripped), None)
        if self._forwards and match.secret_positions:
            stripped = strip(replacement=stored.credential)
        return Sender(stripped, stored, client_key)

    def _identity(self, stripped: StrippedRequest) -> RequestIdentity:
        """The credential to send it with, by `clients.credentials`."""
        sender, in_path = stripped.sender, stripped.in_path
        if not (self._forwards and (sender.key or sender.token or in_path.token)):
            return self._stored.identity
        own = Credential(sender.key or "", sender.token or in_path.token or "")
        if not _CREDENTIAL_CHARS.match(own.key + own.token):
            raise InvalidTarget("A key and a token are made of letters and digits.")
        partition = self._stored.partitions.of_credential(own)
        return RequestIdentity(own, partition, uses_stored_credential=False)

    def check_rejected(self, sender: Sender) -> None:
        """CredentialRejected for a key and token that are no client key, if they are refused."""
        found = sender.stripped.found
        if self._rejects and found and sender.client_key is None:
            locations = dict.fromkeys(place for each in found for place in each.locations)
            raise CredentialRejected(
                f"Remove the key and token from the {' and the '.join(locations)} "
                f"(in a path, write {PATH_PLACEHOLDER} for it); the proxy adds its own."
            )

    def check_credential(
        self, identity: RequestIdentity, client: Client, authorization: Collection[str] = ()
    ) -> None:
        """CredentialRequired unless the client sent a key and a token, where it has to.

        That is also where credentials are forwarded, and it has one that cannot be. A client key
        is enough.
        """
        if client.source == "key":
            return
        if (
            self._forwards
            and identity.uses_stored_credential
            and any(map(is_bearer, authorization))
        ):
            raise CredentialRequired(
                "Send a key and a token of your own; a Bearer token is not forwarded."
            )
        own = identity.credential
        has_both = not identity.uses_stored_credential and own.key and own.token
        if self._requires and not has_both:
            raise CredentialRequired(
                "Send a key and a token of your own, best in an Authorization field; "
                "this proxy does not use its own for clients (clients.credentials is `require`)."
            )

    def redact_path(self, match: Match, sender: Sender) -> Match:
        """The match without a key or token: its segments are part of keys, tags and logs.

        A digest stands for a secret that Trello gets as the client wrote it.
        """
        if not match.secret_positions:
            return match
        keeps = self._forwards and sender.client_key is None
        digest = self._stored.partitions.digest
        redacted = {
            match.segments[position]: digest(match.segments[position])
            if keeps
            else PATH_PLACEHOLDER
            for position in match.secret_positions
        }
        return replace(
            match,
            segments=tuple(redacted.get(segment, segment) for segment in match.segments),
            params=tuple((name, redacted.get(value, value)) for name, value in match.params),
        )

"""Clients section of the configuration: who may send requests, and what each client may do."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

from proxy.access.client import Writes
from proxy.access.scope import board_name, workspace_name
from proxy.config import addresses, units
from proxy.model import Rate, Secret

ClientCredentials = Literal["replace", "forward", "require", "reject"]

_NAME = re.compile(r"[A-Za-z](?:[A-Za-z0-9._@-]{0,62}[A-Za-z0-9])?")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_KEY = re.compile(r"[A-Za-z0-9._~+/-]+")
_HEADER = re.compile(r"x-(?!forwarded-for$|real-ip$|request-id$)[a-z0-9-]{1,60}|remote-user")
_MIN_KEY_CHARS = 16


def client_name(text: str) -> str:
    """The name of a client as it is written; ValueError."""
    if not _NAME.fullmatch(text):
        raise ValueError("not a name; write letters, digits, . _ @ and -, as in ci or anna@home")
    return text


def _digest(text: str) -> str:
    if not _DIGEST.fullmatch(text):
        raise ValueError("not a digest; write sha256:… as `trello-proxy key NAME` prints it")
    return text


def _key(secret: Secret) -> Secret:
    text = secret.reveal()
    if not _KEY.fullmatch(text):
        raise ValueError("not a client key; `trello-proxy key NAME` makes one")
    if len(text) < _MIN_KEY_CHARS:
        raise ValueError(f"too short to be a secret; write {_MIN_KEY_CHARS} characters or more")
    return secret


def _user_header(text: str) -> str:
    if not _HEADER.fullmatch(text.lower()):
        raise ValueError("not a field of its own; write X-Forwarded-User or X-Auth-Request-User")
    return text


Boards = tuple[Annotated[str, board_name], ...]
"""Ids, shortLinks or URLs, each as its id or shortLink; empty: all."""
Workspaces = tuple[Annotated[str, workspace_name], ...]
"""Ids, short names or URLs, each as its id or short name; empty: those of `boards`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientKey:
    """One key of a client; a client may have several, which then differ in nothing else."""

    name: Annotated[str, client_name]
    digest: Annotated[str, _digest] | None = None
    key: Annotated[Secret, _key] | None = None
    boards: Boards = ()
    workspaces: Workspaces = ()
    writes: Writes | None = None
    """None: `clients.writes`."""
    limit: Annotated[Rate, units.rate] | None = None

    def __post_init__(self) -> None:
        if (self.digest is None) == (self.key is None):
            raise ValueError(
                "a key is missing, or there twice; write digest: sha256:… as `trello-proxy key "
                "NAME` prints it, or key: {file: PATH}"
            )

    @property
    def settings(self) -> tuple[object, ...]:
        """What must be the same in every key of one client."""
        return self.boards, self.workspaces, self.writes, self.limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Clients:
    access: Literal["open", "keys"] = "open"
    keys: tuple[ClientKey, ...] = ()
    boards: Boards = ()
    workspaces: Workspaces = ()
    credentials: ClientCredentials = "replace"
    hosts: tuple[Annotated[str, addresses.host], ...] = ()
    origins: tuple[Annotated[str, addresses.origin], ...] = ()
    writes: Writes = "allow"
    jsonp: Literal["deny", "allow"] = "deny"
    trusted_proxies: tuple[Annotated[str, addresses.network], ...] = ()
    user_header: Annotated[str, _user_header] | None = None

    def __post_init__(self) -> None:
        for fault in self._faults():
            raise ValueError(fault)

    def _faults(self) -> Iterator[str]:
        if len({(key.digest, key.key) for key in self.keys}) < len(self.keys):
            yield "a key is there twice; write another one for each client"
        if self.user_header is not None and not self.trusted_proxies:
            yield "user_header without trusted_proxies; write the address of the reverse proxy too"
        by_name = {key.name: key for key in self.keys}
        for key in self.keys:
            if key.settings != by_name[key.name].settings:
                yield f"the keys of {key.name} differ in what it may do; write the same for each"

    @property
    def forwards_credentials(self) -> bool:
        """Whether a client's own key and token are used where it sends them."""
        return self.credentials in ("forward", "require")

    @property
    def requires_credentials(self) -> bool:
        """Whether a client must send its own key and token."""
        return self.credentials == "require"

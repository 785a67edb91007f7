"""Authentication: key and token in header, query or body, and the 401s for wrong ones."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from proxy.fake_trello.errors import Refusal
from proxy.fake_trello.request import Obj, Requester
from proxy.fake_trello.state import State

_PAIR = re.compile(r'(\w+)\s*=\s*"?([^",\s]*)"?')
_NAMES = (("key", "token"), ("oauth_consumer_key", "oauth_token"))


@dataclass(frozen=True, slots=True)
class SentCredential:
    """The credential of a request and its location; the repr hides it."""

    key: str | None = None
    token: str | None = None
    location: str | None = None
    """header, query or body."""

    def __repr__(self) -> str:
        return f"SentCredential(***, location={self.location!r})"


def from_header(value: str | None) -> SentCredential:
    """The credential of `Authorization: OAuth …`; 401 for Bearer, none for other schemes."""
    scheme, _, rest = (value or "").strip().partition(" ")
    if scheme.lower() == "bearer":
        raise Refusal(401, "invalid token")
    if scheme.lower() != "oauth":
        return SentCredential()
    pairs = dict(_PAIR.findall(rest))
    key, token = pairs.get("oauth_consumer_key"), pairs.get("oauth_token")
    return SentCredential(key or None, token or None, "header" if key or token else None)


def from_params(params: Mapping[str, Any], location: str) -> SentCredential:
    """The credential among a query's or a body's parameters."""
    for key_name, token_name in _NAMES:
        key, token = params.get(key_name), params.get(token_name)
        if key or token:
            return SentCredential(_text(key), _text(token), location)
    return SentCredential()


def _text(value: Any) -> str | None:
    return str(value) if value else None


def without_credentials(params: dict[str, Any]) -> dict[str, Any]:
    """The parameters without credentials."""
    hidden = {name for pair in _NAMES for name in pair}
    return {name: value for name, value in params.items() if name not in hidden}


def identify(state: State, sent: SentCredential, keys: set[str]) -> Requester:
    """The requester that a credential belongs to; 401 when it is invalid."""
    if sent.key is None and sent.token is None:
        return Requester()
    if sent.key not in keys:
        raise Refusal(401, "invalid key")
    if sent.token is None:
        return Requester(key=sent.key)
    token = valid_token(state, sent.token)
    if token is None or token["key"] != sent.key:
        raise Refusal(401, "invalid token")
    return Requester(token["idMember"], sent.key, sent.token, token["write"])


def valid_token(state: State, token: str) -> Obj | None:
    """The record of a token that is neither revoked nor expired; None otherwise."""
    record = state.tokens.get(token)
    if record is None or (record["expires"] is not None and record["expires"] <= state.clock.now()):
        return None
    return record

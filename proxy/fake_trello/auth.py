"""Key and token: where they are looked for, and what is said when they are wrong."""

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
class Shown:
    """The credentials a request showed, and where; they cannot be printed."""

    key: str | None = None
    token: str | None = None
    place: str | None = None
    """header, query or body."""

    def __repr__(self) -> str:
        return f"Shown(***, place={self.place!r})"


def in_header(value: str | None) -> Shown:
    """Those of `Authorization: OAuth …`; 401 for Bearer, nothing for what is neither."""
    scheme, _, rest = (value or "").strip().partition(" ")
    if scheme.lower() == "bearer":
        raise Refusal(401, "invalid token")
    if scheme.lower() != "oauth":
        return Shown()
    pairs = dict(_PAIR.findall(rest))
    key, token = pairs.get("oauth_consumer_key"), pairs.get("oauth_token")
    return Shown(key or None, token or None, "header" if key or token else None)


def in_params(params: Mapping[str, Any], place: str) -> Shown:
    """Those among a query's or a body's parameters."""
    for key_name, token_name in _NAMES:
        key, token = params.get(key_name), params.get(token_name)
        if key or token:
            return Shown(_text(key), _text(token), place)
    return Shown()


def _text(value: Any) -> str | None:
    return str(value) if value else None


def without(params: dict[str, Any]) -> dict[str, Any]:
    """Parameters less the credentials."""
    hidden = {name for pair in _NAMES for name in pair}
    return {name: value for name, value in params.items() if name not in hidden}


def identify(state: State, shown: Shown, keys: set[str]) -> Requester:
    """Whose credentials these are; 401 in Trello's words when they are nobody's."""
    if shown.key is None and shown.token is None:
        return Requester()
    if shown.key not in keys:
        raise Refusal(401, "invalid key")
    if shown.token is None:
        return Requester(key=shown.key)
    token = valid(state, shown.token)
    if token is None or token["key"] != shown.key:
        raise Refusal(401, "invalid token")
    return Requester(token["idMember"], shown.key, shown.token, token["write"])


def valid(state: State, token: str) -> Obj | None:
    """The token's record while it is neither revoked nor expired."""
    found = state.tokens.get(token)
    if found is None or (found["expires"] is not None and found["expires"] <= state.clock.now()):
        return None
    return found

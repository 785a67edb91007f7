"""Scope: the boards and workspaces that a client may see."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scope:
    """Ids of boards and workspaces; what belongs to none of them does not exist for the client."""

    boards: frozenset[str]
    workspaces: frozenset[str]
    version: str
    """Digest of both, for cache keys: equal scopes share what was filtered for them."""

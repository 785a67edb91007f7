"""Client keys: the secrets by which the proxy knows its clients, as digests (D56). Pure.

A key is looked up by its digest: the time that takes depends on the digest, which a sender cannot
choose, and not on how much of a key was guessed.
"""

import hashlib
import hmac
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from proxy.access.client import Client

PREFIX = "tpk_"
"""Of generated keys: a text that begins so and is no key is refused, never sent to Trello."""
_KEY_BYTES = 32
_GENERATED = re.compile(rb"tpk_[0-9a-f]{%d}" % (2 * _KEY_BYTES))


def generate(random: Callable[[int], bytes]) -> str:
    """A new key of 256 random bits; `random` returns random bytes, as many as asked for."""
    return PREFIX + random(_KEY_BYTES).hex()


def holds_key(text: bytes) -> bool:
    """Whether a generated key stands in this text."""
    return PREFIX.encode() in text and _GENERATED.search(text) is not None


def digest_of(key: str) -> str:
    """The digest that proxy.yaml has: `sha256:` and 64 hexadecimal digits."""
    return f"sha256:{hashlib.sha256(key.encode('utf-8', 'surrogateescape')).hexdigest()}"


@dataclass(slots=True, eq=False)
class ClientKeyEntry:
    """One key in use."""

    digest: str
    client: Client
    last_used_at: float = 0.0
    """POSIX seconds; 0: not since the proxy started."""

    @property
    def label(self) -> str:
        """The digest's first digits, by which the keys of one client differ in metrics."""
        return self.digest.removeprefix("sha256:")[:8]

    def use(self, now: float, times: int = 1) -> None:  # noqa: ARG002 — only the last counts
        """Note that the key was used; `now` in POSIX seconds."""
        self.last_used_at = now


class ClientKeys:
    """The keys in use; replaced as a whole when the configuration changes."""

    def __init__(self) -> None:
        self._entries: dict[str, ClientKeyEntry] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def reconfigure(self, clients: Iterable[tuple[str, Client]]) -> None:
        """Admit these digests, each of a client, and no others; times of last use are kept."""
        known = self._entries
        entries = {digest: ClientKeyEntry(digest, client) for digest, client in clients}
        for digest in entries.keys() & known.keys():
            entries[digest].last_used_at = known[digest].last_used_at
        self._entries = entries

    def find(self, candidate: str) -> ClientKeyEntry | None:
        """The entry of this key; None if it is none."""
        digest = digest_of(candidate)
        entry = self._entries.get(digest)
        return entry if entry is not None and hmac.compare_digest(entry.digest, digest) else None

    def last_used(self) -> dict[tuple[str, str], float | None]:
        """When each key was last used, in POSIX seconds, by client and label; None: not yet."""
        return {
            (entry.client.name, entry.label): entry.last_used_at or None
            for entry in self._entries.values()
        }

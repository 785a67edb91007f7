"""Stored credential, cache partitions, and the file that keeps their identity across restarts.

The file is a small JSON object: the key of all digests, a digest of the credential used last, and
its member, which names the cache partition (D38). So a token that changed while the proxy was not
running is noticed; no token is stored.
"""

import hashlib
import hmac
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace

from proxy.model import Credential
from proxy.runtime.directory import DirectoryLock


@dataclass(frozen=True, slots=True)
class RequestIdentity:
    """The credential that a request is sent with, and its cache partition."""

    credential: Credential
    partition: str
    """A keyed digest: it reveals nothing of the credential."""
    uses_stored_credential: bool


class CachePartitions:
    """Names of cache partitions: HMAC-SHA-256 digests under the key of the identity file."""

    def __init__(self, key: bytes, variant: str) -> None:
        """`variant`: the settings that change response bodies, so also the partitions."""
        self._key = key
        self._variant = variant

    def of_credential(self, credential: Credential) -> str:
        """The partition of a client's credential, or of the stored one of an unknown member."""
        return self.digest(f"{credential.key}:{credential.token}:{self._variant}")

    def of_member(self, member: str) -> str:
        """The partition of the stored credential: a member sees the same with any token."""
        return self.digest(f"member:{member}:{self._variant}")

    def digest(self, text: str) -> str:
        """HMAC-SHA-256 digest used in place of a secret; 32 hexadecimal digits."""
        data = text.encode("utf-8", "surrogateescape")
        return hmac.new(self._key, data, hashlib.sha256).hexdigest()[:32]


class StoredCredential:
    """The proxy's own credential, which may be replaced while it runs; read it at each use."""

    def __init__(
        self, credential: Credential, partitions: CachePartitions, member: str = ""
    ) -> None:
        """`member`: the id of the token's member; empty while unknown."""
        self.partitions = partitions
        self.use(credential, member)

    def use(self, credential: Credential, member: str) -> None:
        """Replace the credential for all requests that follow."""
        self.member = member
        of_credential, of_member = self.partitions.of_credential, self.partitions.of_member
        partition = of_member(member) if member else of_credential(credential)
        self.identity = RequestIdentity(credential, partition, uses_stored_credential=True)

    @property
    def credential(self) -> Credential:
        return self.identity.credential


_NAME = "identity.json"
KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class IdentityState:
    """Content of the file: `key` in hexadecimal, a digest of the credential, a member's id."""

    key: str
    credential: str = ""
    member: str = ""


class IdentityFile:
    """The identity file; without a usable directory, nothing is kept across restarts.

    In a directory owned by another process it is read and not written.
    """

    def __init__(
        self, directory: DirectoryLock | None, on_save: Callable[[str], object] | None = None
    ) -> None:
        """`on_save` is given the content, for a copy elsewhere."""
        self._directory = directory
        self._on_save = on_save
        self._state: IdentityState | None = None

    def open(self, new_key: bytes, copy: str = "") -> IdentityState:
        """The state of the copy, of the file, else a new one with `new_key`; blocks."""
        copied, saved = _parsed(copy), self._read()
        state = copied or saved or IdentityState(new_key.hex())
        if state != saved or (self._on_save is not None and state != copied):
            self.save(state)
        self._state = state
        return state

    async def check_directory(self) -> None:
        """Write the file again if it was removed or replaced."""
        if self._state is not None and self._read() != self._state:
            self.save(self._state)

    def save(self, state: IdentityState) -> None:
        """Replace the file; blocks. After a disk error the next start asks Trello once more."""
        self._state = state
        content = json.dumps(asdict(state))
        if self._on_save is not None:
            self._on_save(content)
        if self._directory is None or not self._directory.is_owned:
            return
        partial = self._directory.path / f"{_NAME}.partial"
        try:
            partial.touch(mode=0o600)
            partial.write_text(content, encoding="ascii")
            partial.replace(self._directory.path / _NAME)
        except OSError:
            with suppress(OSError):
                partial.unlink()

    def _read(self) -> IdentityState | None:
        if self._directory is None:
            return None
        try:
            return _parsed((self._directory.path / _NAME).read_bytes())
        except OSError:
            return None


def _parsed(content: str | bytes) -> IdentityState | None:
    try:
        state = replace(IdentityState(""), **json.loads(content))
        return state if len(bytes.fromhex(state.key)) == KEY_BYTES else None
    except (ValueError, TypeError):
        return None

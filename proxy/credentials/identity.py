"""What is remembered of the stored identity from one start to the next: a small file of JSON.

It holds the key of all digests, a digest of the credential that was used last, and whose it is. So
a token that changed while the proxy was not running is noticed, and nothing here tells one.
"""

import hashlib
import hmac
import json
from contextlib import suppress
from dataclasses import asdict, dataclass, replace

from proxy.model import Credential
from proxy.runtime.directory import DirectoryLock


@dataclass(frozen=True, slots=True)
class RequestIdentity:
    """In whose name Trello is asked."""

    credential: Credential
    partition: str
    """Names a share of the cache; a keyed digest, so it tells nothing."""
    uses_stored_credential: bool


class CachePartitions:
    """Names shares of the cache, for as long as its key is kept."""

    def __init__(self, key: bytes, variant: str) -> None:
        """`variant` names how answers are changed: under another one they are other answers."""
        self._key = key
        self._variant = variant

    def of_credential(self, credential: Credential) -> str:
        """A client's own, and the proxy's while its member is not known."""
        return self.digest(f"{credential.key}:{credential.token}:{self._variant}")

    def of_member(self, member: str) -> str:
        """The proxy's own, whatever its token: what a member may see does not depend on that."""
        return self.digest(f"member:{member}:{self._variant}")

    def digest(self, text: str) -> str:
        """What may stand for a text that must not be told."""
        data = text.encode("utf-8", "surrogateescape")
        return hmac.new(self._key, data, hashlib.sha256).hexdigest()[:32]


class StoredCredential:
    """The proxy's own, as it is now: whoever needs it asks here each time."""

    def __init__(
        self, credential: Credential, partitions: CachePartitions, member: str = ""
    ) -> None:
        """`member`: the id of whose token it is; empty while that is not known."""
        self.partitions = partitions
        self.use(credential, member)

    def use(self, credential: Credential, member: str) -> None:
        """From here on Trello is asked with this one."""
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
    """`key` is hexadecimal; `credential` is a digest with it; `member` an id."""

    key: str
    credential: str = ""
    member: str = ""


class IdentityFile:
    """The file; where there is no directory, or it cannot be used, nothing is remembered.

    In a directory that another process owns it is read and not written.
    """

    def __init__(self, directory: DirectoryLock | None) -> None:
        self._directory = directory
        self._known: IdentityState | None = None

    def open(self, new_key: bytes) -> IdentityState:
        """What was kept, or a beginning with `new_key`, which is kept then; blocks."""
        known = self._read()
        if known is None:
            known = IdentityState(new_key.hex())
            self.save(known)
        self._known = known
        return known

    async def check_directory(self) -> None:
        """As Kept.look."""
        if self._known is not None and self._read() != self._known:
            self.save(self._known)

    def save(self, known: IdentityState) -> None:
        """In place of what was kept; blocks. A disk that fails costs one question at the start."""
        self._known = known
        if self._directory is None or not self._directory.is_owned:
            return
        partial = self._directory.path / f"{_NAME}.partial"
        try:
            partial.touch(mode=0o600)
            partial.write_text(json.dumps(asdict(known)), encoding="ascii")
            partial.replace(self._directory.path / _NAME)
        except OSError:
            with suppress(OSError):
                partial.unlink()

    def _read(self) -> IdentityState | None:
        if self._directory is None:
            return None
        try:
            read = json.loads((self._directory.path / _NAME).read_bytes())
            known = replace(IdentityState(""), **read)
            return known if len(bytes.fromhex(known.key)) == KEY_BYTES else None
        except (OSError, ValueError, TypeError):
            return None

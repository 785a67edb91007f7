"""In whose name Trello is asked, and whose share of the cache that is."""

import hashlib
import hmac
from dataclasses import dataclass

from proxy.model import Credential


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

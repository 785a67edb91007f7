"""What is remembered of the stored identity from one start to the next: a small file of JSON.

It holds the key of all digests, a digest of the credential that was used last, and whose it is. So
a token that changed while the proxy was not running is noticed, and nothing here tells one.
"""

import json
from contextlib import suppress
from dataclasses import asdict, dataclass, replace

from proxy.store.directory import DirectoryLock

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

    async def look(self) -> None:
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

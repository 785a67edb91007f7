"""Given lease: of a leader that is given, not elected, as the parent of worker processes is (D74).

The leader always gets it, the others never do. No node needs Redis for it.
"""

from collections.abc import Collection

from proxy.fleet.lease import Record, Renewal, Sighting

PARENT = "parent"
"""The leader's address, of which no port is needed: workers have one connection, to it."""


def worker_address(number: int) -> str:
    """The address of a worker, by which its parent knows the session."""
    return f"worker-{number}"


_SERVER = "given"
"""In place of the id of a Redis server."""
_TERM = 1


class GivenLease:
    """A LeaseStore."""

    def __init__(self, *, is_own: bool) -> None:
        """`is_own`: this process is the leader."""
        self._is_own = is_own

    async def look(self) -> Record:
        """As LeaseStore.look."""
        if self._is_own:
            return Record(_SERVER, free_on=_SERVER)
        return Record(_SERVER, _TERM, address=PARENT)

    async def acquire(self, seen: Sighting, known_term: int) -> int | None:  # noqa: ARG002
        """As LeaseStore.acquire."""
        return _TERM if self._is_own else None

    async def renew(
        self,
        term: int,  # noqa: ARG002 — as the next ones, for Redis
        beat: int,  # noqa: ARG002
        members: Collection[str],  # noqa: ARG002
        forgotten: Collection[str],  # noqa: ARG002
    ) -> Renewal | None:
        """As LeaseStore.renew."""
        return Renewal(_SERVER, frozenset()) if self._is_own else None

    async def release(self, term: int, *, leaves: bool = False) -> None:
        """As LeaseStore.release."""

    async def close(self) -> None:
        """As LeaseStore.close."""

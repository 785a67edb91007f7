"""A board's export: streamed to whoever asks, and never kept."""

from collections.abc import AsyncIterator

from proxy.flow.answers import from_whole
from proxy.flow.ask import Answer, Ask
from proxy.flow.fetch import Fetch, Origin, Refused
from proxy.model import Fwd, Outcome
from proxy.policy.files import disposition, safe_fields
from proxy.policy.wire import head_of
from proxy.store.held import Header


class Fetched:
    """A download's bytes; closing it lets go of the connection, begun or not."""

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch
        self._chunks = fetch.chunks()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._chunks

    async def aclose(self) -> None:
        await self._chunks.aclose()
        await self._fetch.aclose()


class Export:
    """Downloads that are made for one asker."""

    def __init__(self, origin: Origin) -> None:
        self._origin = origin

    async def serve(self, ask: Ask) -> Answer:
        """The file, or Trello's own refusal; UpstreamError when storage does not give it."""
        outcome = Outcome(fwd=Fwd.BYPASS)
        fetch = Fetch(self._origin, ask, Header(None, ""))
        try:
            header = await fetch.open()
        except Refused as refused:
            await fetch.aclose()
            return from_whole(refused.whole, outcome)
        except BaseException:
            await fetch.aclose()
            raise
        fields = (
            ("Content-Type", header.content_type),
            ("Content-Disposition", disposition(header.content_type, ask.match.segments[-1])),
            *safe_fields(header.content_type),
            ("Cache-Control", "private, no-cache"),
        )
        return Answer(200, head_of(fields), Fetched(fetch), outcome, length=header.length)

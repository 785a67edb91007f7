"""A file: asked of Trello with our credential, fetched from its storage without it.

Trello answers with the file, or with a redirect to a signed, short-lived address. That address is
followed by hand, once, to a listed host only; no credential, cookie or referrer goes along, and the
client never sees it.
"""

from contextlib import ExitStack

from yarl import URL

from proxy.errors import Unusable
from proxy.flow.answers import from_whole
from proxy.flow.ask import Answer, Ask
from proxy.flow.exchange import REDIRECTS, Exchange, Streamed
from proxy.model import Fields, Fwd, Outcome
from proxy.policy.files import SAFE_FIELDS, disposition, is_storage_host
from proxy.policy.wire import head_of
from proxy.upstream.client import Question, Reply, Upstream


class Download:
    """Streams files; nothing is held and nothing is kept."""

    def __init__(
        self, exchange: Exchange, upstream: Upstream, storage_hosts: tuple[str, ...]
    ) -> None:
        self._exchange = exchange
        self._upstream = upstream
        self._storage_hosts = storage_hosts

    async def serve(self, ask: Ask) -> Answer:
        """The file, or Trello's own refusal; UpstreamError when storage does not give it."""
        outcome = Outcome(fwd=Fwd.BYPASS)
        with ExitStack() as stack:
            reply = await self._exchange.open(stack, ask, "identity")
            if reply.status in REDIRECTS:
                reply = await self._upstream.send(Question("GET", self._followed(reply), _FETCH))
                stack.callback(reply.close)
                if reply.status != 200:
                    raise Unusable(f"Trello's storage answered {reply.status}; try again later.")
            if reply.status != 200:
                whole = await self._exchange.hold(reply)
                return from_whole(whole, outcome)
            streamed = await self._exchange.stream(reply, stack)
            head = head_of(_fields(ask, streamed))
            return Answer(200, head, streamed.chunks, outcome, length=streamed.length)

    def _followed(self, reply: Reply) -> str:
        """The redirect's target, which must be on the list."""
        try:
            url = URL(reply.location, encoded=True)
            listed = is_storage_host(url.host or "", url.port, self._storage_hosts)
        except ValueError as error:
            raise Unusable("Trello redirected a download to no address.") from error
        if url.scheme not in {"http", "https"} or not listed:
            raise Unusable(
                "Trello redirected a download to a host that is not in upstream.storage_hosts; "
                "the operator can add it to proxy.yaml."
            )
        if self._exchange.tells_secret(reply.location):
            raise Unusable("Trello redirected a download to an address that holds a credential.")
        return reply.location


_FETCH: Fields = (("Accept", "*/*"), ("Accept-Encoding", "identity"))


def _fields(ask: Ask, streamed: Streamed) -> Fields:
    told = {name.lower(): value for name, value in streamed.fields}
    content_type = told.get("content-type") or "application/octet-stream"
    name = ask.match.segments[-1]
    return (
        ("Content-Type", content_type),
        ("Content-Disposition", disposition(content_type, name)),
        *SAFE_FIELDS,
    )

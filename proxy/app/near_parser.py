"""Near parser: of requests that a follower, or a worker, may serve from its near cache (D72)."""

from proxy.app.components import Environment
from proxy.app.from_config import build_link_rewriter
from proxy.credentials.identity import KEY_BYTES, CachePartitions, StoredCredential
from proxy.model import Credential
from proxy.server.request_parser import RequestParser
from proxy.trello.routes import RouteTable


def build_near_parser(
    environment: Environment, public_url: str, operations: RouteTable
) -> RequestParser:
    """A parser without a credential, whose cache keys mean something in this process only."""
    config, key = environment.config, environment.random(KEY_BYTES)
    return RequestParser(
        table=operations,
        stored=StoredCredential(Credential("", ""), CachePartitions(key, "")),
        clients=config.clients,
        links=build_link_rewriter(config, public_url),
        authentication=environment.authentication,
    )

"""Guards, route tables and links made from the configuration. Pure.

Also imported by short commands: what it imports delays them.
"""

from collections.abc import Sequence
from urllib.parse import urlsplit

from proxy.config.schema import Config, RouteRule
from proxy.config.schema import Links as LinkSettings
from proxy.links.rewrite import LinkRewriter
from proxy.links.signing import LinkSigner
from proxy.server.browser_guard import BrowserGuard, hosts_of
from proxy.server.loopback import is_loopback
from proxy.trello.routes import RouteOverride, RouteTable
from proxy.trello.webhook_payload import Callback

_EXAMPLE_HOST = "trello.internal"
_PLAIN_HTTP = (
    "the proxy is reached by plain http: browsers do not say there which site asks, so a web page "
    "elsewhere can have the proxy ask Trello, though it sees no answer; put TLS in front, as "
    "deploy/README.md does"
)


def build_guard(config: Config) -> BrowserGuard:
    """The names answered to, and the origins whose pages may call."""
    admin = config.admin.listen
    hosts = hosts_of(
        config.listen.host,
        urlsplit(config.origin).hostname or "",
        admin.host if admin else "",
        extra=config.clients.hosts,
    )
    callback_host = urlsplit(config.freshness.webhook_url or "").hostname or ""
    return BrowserGuard(hosts, frozenset(config.clients.origins), callback_host)


def webhook_callback(config: Config) -> Callback | None:
    """Where Trello delivers; None where it cannot."""
    url, secret = config.freshness.webhook_url, config.credentials.secret
    return None if url is None or secret is None else Callback(url, secret.reveal())


def links_of(config: Config, public_url: str) -> LinkRewriter:
    """The link rewriter: to `public_url`, and back from every name the proxy answers to."""
    return LinkRewriter(public_url, build_signer(config.links), build_guard(config).hosts)


def build_signer(links: LinkSettings) -> LinkSigner | None:
    """What signs links and checks them; None where they are not to be signed."""
    keys = [key.reveal() for key in links.keys if key is not None]
    return LinkSigner(keys, links.lifetime_s, links.revoked) if links.sign else None


def build_route_table(rules: Sequence[RouteRule]) -> RouteTable:
    """The route table with the operator's lifetimes on top."""
    return RouteTable(route_overrides(rules))


def route_overrides(rules: Sequence[RouteRule]) -> list[RouteOverride]:
    """The operator's lifetimes, for the route table."""
    return [
        RouteOverride(
            rule.match,
            rule.lifetime_s,
            rule.stale_while_revalidate_s,
            rule.stale_if_error_s,
            rule.lifetime_watched_s,
        )
        for rule in rules
    ]


def cache_variant(config: Config) -> str:
    """Everything of the configuration that the bytes of an answer depend on."""
    links = config.links
    signer = links.keys[0] if links.sign else None
    signed = f"{links.lifetime_s} {signer.reveal()}" if signer else "unsigned"
    return f"{config.origin} {links.rewrite} {signed}"


def warnings_of(config: Config) -> tuple[str, ...]:
    """Warnings about valid settings that cost something; each says what to do instead."""
    if config.public_url is None and config.listen.is_wildcard:
        links = f"public_url is not set, so attachment links lead to {config.origin}"
        wanted = f"public_url: http://{_EXAMPLE_HOST}:{config.listen.port}"
        return (
            f"{links}, which opens on this machine alone; write the proxy's name, as in {wanted}",
        )
    public = urlsplit(config.origin)
    is_plain = public.scheme == "http" and not is_loopback(public.hostname or "")
    return (_PLAIN_HTTP,) if is_plain else ()

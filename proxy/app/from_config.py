"""Values derived from the configuration: credential, guard, links, warnings. Pure.

Short commands import it too: its imports delay them.
"""

from dataclasses import replace
from urllib.parse import urlsplit

from proxy.config.schema import Config
from proxy.config.schema import Links as LinkSettings
from proxy.links.rewrite import LinkRewriter
from proxy.links.signing import LinkSigner
from proxy.model import Credential
from proxy.server.browser_guard import BrowserGuard, hosts_of
from proxy.server.loopback import is_loopback
from proxy.trello.webhook_payload import Callback

_EXAMPLE_HOST = "trello.internal"
_PLAIN_HTTP = (
    "the proxy is reached by plain http: browsers do not name the requesting site there, so a page "
    "elsewhere can have the proxy send requests, though it sees no response; set tls, or put TLS "
    "in front, as deploy/README.md does"
)
_HTTP_AND_TLS = "public_url is plain http, and tls is set; write https://, or nobody reaches it"


def credential_of(config: Config) -> Credential | None:
    """The configured key and token; None if either is missing."""
    key, token = config.credentials.key, config.credentials.token
    return Credential(key.reveal(), token.reveal()) if key and token else None


def secrets_of(config: Config, credential: Credential) -> list[str]:
    """Secrets that must not leave the proxy: credentials, webhook secret, signing keys."""
    others = (config.credentials.secret, *config.links.keys)
    return [credential.key, credential.token, *(each.reveal() for each in others if each)]


def build_guard(config: Config) -> BrowserGuard:
    """The browser guard: the host names of the proxy, and the origins that may send requests."""
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
    """The URL that Trello delivers webhooks to, and their secret; None without either."""
    url, secret = config.freshness.webhook_url, config.credentials.secret
    return None if url is None or secret is None else Callback(url, secret.reveal())


def build_link_rewriter(config: Config, public_url: str) -> LinkRewriter:
    """The link rewriter: to `public_url`, and back from every host name of the proxy."""
    return LinkRewriter(public_url, build_signer(config.links), build_guard(config).hosts)


def build_signer(links: LinkSettings) -> LinkSigner | None:
    """The signer of attachment links; None if `links.sign` is off."""
    keys = [key.reveal() for key in links.keys if key is not None]
    return LinkSigner(keys, links.lifetime_s, links.revoked) if links.sign else None


def cache_variant(config: Config) -> str:
    """The settings that change the bytes of stored responses; part of the cache partition."""
    links = config.links
    signer = links.keys[0] if links.sign else None
    signed = f"{links.lifetime_s} {signer.reveal()}" if signer else "unsigned"
    return f"{config.origin} {links.rewrite} {signed}"


def configuration_warnings(config: Config, cores: int) -> tuple[str, ...]:
    """Warnings about valid settings that have a cost; each says what to do instead.

    `cores`: of this machine.
    """
    judges = (_open_access, _unusable_links, _own_links, _refused_commands)
    found = (_too_many_workers(config.workers, cores), *(judge(config) for judge in judges))
    return tuple(filter(None, found))


def _too_many_workers(workers: int, cores: int) -> str:
    if workers == 1 or workers < cores:
        return ""
    return f"workers {workers} on {cores} cores; write at most the cores less one"


def _open_access(config: Config) -> str:
    listen, clients = config.listen, config.clients
    is_lent = clients.access == "open" and not clients.requires_credentials
    if not is_lent or listen.path or is_loopback(listen.host) or config.tls.client_ca:
        return ""
    return (
        f"clients.access is open, so anyone who reaches {listen} acts with the proxy's account; "
        "write access: keys, and make keys by trello-proxy key NAME"
    )


def _own_links(config: Config) -> str:
    if config.fleet.listen is None or config.public_url is not None:
        return ""
    links = f"public_url is not set, so links of a fleet lead to its leader, as to {config.origin}"
    stored = "the next leader uses none of the stored responses, which have them"
    return f"{links}, and {stored}; write the load balancer's address, the same at each node"


def _refused_commands(config: Config) -> str:
    """Whether requests of the program's own commands come from no loopback address (D51)."""
    listen = config.admin.listen or config.listen
    if listen.path or listen.is_wildcard or is_loopback(listen.host) or config.admin.token:
        return ""
    return (
        "the operator's requests and commands, as purge, are refused from this machine too: they "
        f"reach {listen} by no loopback address; write admin.listen: 0.0.0.0:8081 behind a "
        "firewall, a loopback address or a Unix socket, or set admin.token"
    )


def _unusable_links(config: Config) -> str:
    listen = config.listen
    if config.public_url is None and (listen.is_wildcard or listen.path):
        links = f"public_url is not set, so attachment links lead to {config.origin}"
        cost = "where nothing listens" if listen.path else "which opens on this machine alone"
        wanted = f"public_url: {config.origin_of(replace(listen, host=_EXAMPLE_HOST))}"
        return f"{links}, {cost}; write the proxy's name, as in {wanted}"
    public = urlsplit(config.origin)
    if public.scheme == "https" or is_loopback(public.hostname or ""):
        return ""
    return _HTTP_AND_TLS if config.tls.certificate and not listen.path else _PLAIN_HTTP

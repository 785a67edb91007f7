"""Schema of the configuration: frozen dataclasses. `proxy.yaml` is the reference."""

import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import yaml

from proxy.config import addresses, units
from proxy.config.clients import Boards, Clients
from proxy.config.fields import MUST_BE_SET, Count, Reader, dump
from proxy.config.yaml_source import Document, Place
from proxy.model import Listen, Rate, Secret

_SINGULAR = re.compile(
    r"/(action|board|card|checklist|customfield|enterprise|label|list|member|notification"
    r"|organization|plugin|token|webhook)(?:/.*)?"
)
_PATTERN = re.compile(r"(?:/(?:\*|[a-z0-9._-]+))*(?:/\*\*)?")
_DAY_S, _MIB = 86_400.0, 1 << 20

Backend = Literal["sqlite", "redis", "memory"]
MAX_METRICS_BOARDS = 50
MAX_NODES, DEFAULT_NODES, NO_REPLICAS = 32, Count(4), Count(0)
"""Of one fleet."""
MAX_WORKERS, DEFAULT_WORKERS = 16, Count(1)


class ConfigError(Exception):
    """The configuration is invalid; `faults` has a line for each fault, in the file's order."""

    def __init__(self, *faults: str) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


def _path(text: str, *, fault: str) -> str:
    try:
        if text:
            return str(Path(text).expanduser())
    except RuntimeError:
        raise ValueError("~ of a user without a home; write an absolute path") from None
    raise ValueError(fault)


_directory = partial(_path, fault="not a directory; write a path, as in /var/cache/trello-proxy")
_file = partial(_path, fault="not a file; write a path, as in /etc/trello-proxy/tls.crt")


def _flag(text: str) -> bool:
    if text not in {"true", "false"}:
        raise ValueError("neither true nor false; write one of them")
    return text == "true"


def _interval(text: str) -> float | Literal["off"]:
    try:
        return "off" if text == "off" else units.duration(text, at_least_s=1.0)
    except ValueError as fault:
        raise ValueError(f"{fault}, or off") from None


def _pattern(text: str) -> str:
    """A path below /1: plural, lower case, `*` for a segment, a closing `**` for any rest."""
    singular = _SINGULAR.fullmatch(text)
    if text.startswith("/1/"):
        raise ValueError("begins with /1; write the path below it, as in /boards/*/cards")
    if singular:
        raise ValueError(f"a singular name; write /{singular[1]}s")
    if not text or not _PATTERN.fullmatch(text):
        raise ValueError("not a pattern; write /boards/*/cards: lower case, ** only at the end")
    return text


def _redis_name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", text):
        raise ValueError("not a name for keys; write 1 to 64 letters, digits, dots and hyphens")
    return text


def _fleet_address(text: str) -> str:
    address = addresses.listen(text)
    if address.path or address.is_wildcard or not address.port:
        raise ValueError("not where others reach this node; write host:port, as in 10.0.0.5:9080")
    return str(address)


def _nodes(text: str) -> Count:
    if not re.fullmatch(r"[0-9]{1,2}", text) or not 1 <= int(text) <= MAX_NODES:
        raise ValueError(f"not a number of nodes; write 1 to {MAX_NODES}")
    return Count(text)


def _replicas(text: str) -> Count:
    if not re.fullmatch(r"[0-9]", text):
        raise ValueError("not a number of replicas; write 0 to 9")
    return Count(text)


def _workers(text: str) -> Count:
    if not re.fullmatch(r"[0-9]{1,2}", text) or not 1 <= int(text) <= MAX_WORKERS:
        raise ValueError(f"not a number of processes; write 1 to {MAX_WORKERS}")
    return Count(text)


def _attachment_id(text: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{24}", text):
        raise ValueError("not an attachment's id; write its 24 characters, 0-9 and a-f")
    return text


def _signing_key(secret: Secret) -> Secret:
    if len(secret.reveal()) < 16:
        raise ValueError("too short to sign with; write 16 characters or more")
    return secret


def _default_directory(environ: Mapping[str, str]) -> yaml.ScalarNode:
    """Where a user's caches are: by the XDG Base Directory Specification, or Apple's."""
    base = environ.get("XDG_CACHE_HOME", "")
    if not base.startswith("/"):
        base = "~/Library/Caches" if sys.platform == "darwin" else "~/.cache"
    return yaml.ScalarNode("tag:yaml.org,2002:str", f"{base}/trello-proxy")


_yaml = partial(yaml.compose, Loader=yaml.BaseLoader)
Duration = Annotated[float, units.duration]
Timeout = Annotated[float, partial(units.duration, at_least_s=0.001)]
Size = Annotated[int, units.size]
Limit = Annotated[Rate, units.rate]
Flag = Annotated[bool, _flag]
StorageHost = Annotated[str, addresses.storage_host]
SecretValue = Annotated[Secret, lambda secret: secret] | None
"""None: not set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """Paths of PEM files; without a certificate listeners speak plain http."""

    certificate: Annotated[str, _file] | None = None
    key: Annotated[str, _file] | None = None
    client_ca: Annotated[str, _file] | None = None

    def __post_init__(self) -> None:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("a certificate needs its key, and a key its certificate; write both")
        if self.client_ca is not None and self.certificate is None:
            raise ValueError("client_ca without certificate and key; write them too")


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    url: Annotated[str, addresses.base_url] = "https://api.trello.com"
    storage_hosts: tuple[StorageHost, ...] = ("files.trello.com", "*.amazonaws.com")
    connect_timeout_s: Timeout = 5.0
    read_timeout_s: Timeout = 30.0
    proxy: Annotated[Secret, addresses.egress_proxy] | None = None
    """A URL, which may hold a password."""
    ca: Annotated[str, _file] | None = None
    resolve: tuple[Annotated[str, addresses.dns_server], ...] = ()
    """DNS servers; empty: the system's names."""

    def __post_init__(self) -> None:
        if self.proxy is not None and self.resolve:
            raise ValueError("resolve with a proxy, which resolves names itself; remove resolve")
        if self.proxy is not None and not self.url.startswith("https://"):
            fault = "proxy with an http url, which CONNECT would not encrypt"
            raise ValueError(f"{fault}; write url: https://… or leave proxy out")


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    key: SecretValue = field(default=None, metadata={"absent": _yaml("{env: TRELLO_KEY}")})
    token: SecretValue = field(default=None, metadata={"absent": _yaml("{env: TRELLO_TOKEN}")})
    secret: SecretValue = field(default=None, metadata={"absent": _yaml("{env: TRELLO_SECRET}")})


@dataclass(frozen=True, slots=True, kw_only=True)
class Cache:
    backend: Backend = "sqlite"
    directory: Annotated[str, _directory] = field(
        default_factory=lambda: _directory(_default_directory({}).value),
        metadata={"absent": _default_directory},
    )
    redis: Annotated[Secret, addresses.redis_url, MUST_BE_SET] | None = None
    """A URL, which may hold a password."""
    memory_bytes: Size = 256 * _MIB
    disk_bytes: Size = 2048 * _MIB

    def __post_init__(self) -> None:
        if self.backend == "redis" and self.redis is None:
            raise ValueError("backend redis without an address; add redis: redis://host:6379/0")

    @property
    def redis_url(self) -> str:
        """URL of Redis if responses are stored there, otherwise empty; it may hold a password."""
        return self.redis.reveal() if self.redis and self.backend == "redis" else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Redis:
    name: Annotated[str, _redis_name] = "trello-proxy"
    memory_bytes: Annotated[int, partial(units.size, at_least=8 * _MIB)] = 512 * _MIB
    replicas: Annotated[Count, _replicas] = NO_REPLICAS
    """How many must have a renewal of the leader's lease for it to count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """Several nodes, of which one leads (D65); without `listen` this process is on its own."""

    listen: Annotated[Listen, addresses.listen] | None = None
    address: Annotated[str, _fleet_address] | None = None
    """Where other nodes reach this one; None: at `listen`."""
    key: Annotated[Secret, _signing_key, MUST_BE_SET] | None = None
    """Shared by all nodes; None: one that the first of them leaves in Redis."""
    nodes: Annotated[Count, _nodes] = DEFAULT_NODES
    """How many share the limits while they cannot reach each other."""

    def __post_init__(self) -> None:
        if self.listen is None:
            if self.address is not None or self.key is not None:
                raise ValueError("address or key without listen; add listen: 10.0.0.5:9080")
        elif self.listen.path:
            raise ValueError("listen is a Unix socket; write host:port, which other nodes reach")
        elif self.listen.is_wildcard and self.address is None:
            raise ValueError("listen is every interface; add address: host:port of this node")


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteRule:
    """Lifetimes of the routes that a pattern matches; None: the built-in one."""

    match: Annotated[str, _pattern]
    lifetime_s: Duration | None = None
    lifetime_watched_s: Duration | None = None
    stale_while_revalidate_s: Duration | None = None
    stale_if_error_s: Duration | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachments:
    disk_bytes: Size = 10 * 1024 * _MIB
    max_file_bytes: Size = 1024 * _MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Links:
    rewrite: Flag = True
    sign: Flag = False
    keys: tuple[Annotated[Secret, _signing_key] | None, ...] = ()
    """The first signs, all are accepted; None: not set."""
    lifetime_s: Annotated[float, partial(units.duration, at_least_s=_DAY_S)] = 7 * _DAY_S
    revoked: tuple[Annotated[str, _attachment_id], ...] = ()

    def __post_init__(self) -> None:
        if self.sign and not self.keys:
            raise ValueError("sign without a key; write keys: [{env: LINK_KEY}]")
        if self.sign and None in self.keys:
            raise ValueError("sign with a key that is not set; set its variable, or remove it")


@dataclass(frozen=True, slots=True, kw_only=True)
class Freshness:
    watch_s: Annotated[float | Literal["off"], _interval] = 10.0
    webhook_url: Annotated[str, addresses.url] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    token: Limit = field(default=Rate(100, 10.0))
    key: Limit = field(default=Rate(300, 10.0))
    members: Limit = field(default=Rate(100, 900.0))
    search: Limit = field(default=Rate(30, 10.0))
    wait_s: Duration = 20.0
    memory_bytes: Annotated[int, partial(units.size, at_least=_MIB)] = 64 * _MIB
    """Held for clients, of all connections together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Admin:
    listen: Annotated[Listen, addresses.listen] | None = None
    token: Annotated[Secret, lambda secret: secret, MUST_BE_SET] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsSettings:
    boards: Boards = ()

    def __post_init__(self) -> None:
        if len(self.boards) > MAX_METRICS_BOARDS:
            raise ValueError(f"too many boards; write {MAX_METRICS_BOARDS} at most")


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    file: Annotated[str, _file] | None = None
    required: Flag = False

    def __post_init__(self) -> None:
        if self.required and self.file is None:
            raise ValueError("required, and no file; write file: /var/log/trello-proxy/audit.log")


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSettings:
    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["json", "text"] = "json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    listen: Annotated[Listen, addresses.listen] = field(default=Listen("127.0.0.1", 8080))
    public_url: Annotated[str, addresses.public_url] | None = None
    """Origin by which clients reach the proxy, if configured; see `origin`."""
    workers: Annotated[Count, _workers] = DEFAULT_WORKERS
    """Processes that accept connections of clients; above 1, besides the one that decides (D74)."""
    tls: Tls = field(default_factory=Tls)
    upstream: Upstream = field(default_factory=Upstream)
    credentials: Credentials = field(default_factory=Credentials)
    clients: Clients = field(default_factory=Clients)
    cache: Cache = field(default_factory=Cache)
    redis: Redis = field(default_factory=Redis)
    fleet: Fleet = field(default_factory=Fleet)
    routes: tuple[RouteRule, ...] = ()
    attachments: Attachments = field(default_factory=Attachments)
    links: Links = field(default_factory=Links)
    freshness: Freshness = field(default_factory=Freshness)
    limits: Limits = field(default_factory=Limits)
    admin: Admin = field(default_factory=Admin)
    metrics: MetricsSettings = field(default_factory=MetricsSettings)
    audit: Audit = field(default_factory=Audit)
    log: LogSettings = field(default_factory=LogSettings)

    def __post_init__(self) -> None:
        if self.freshness.webhook_url is not None and self.credentials.secret is None:
            fault = "freshness.webhook_url without credentials.secret, which verifies deliveries"
            raise ValueError(f"{fault}; set its variable, usually TRELLO_SECRET")
        if self.fleet.listen is not None and not self.cache.redis_url:
            raise ValueError("fleet.listen without cache.backend: redis, which the nodes share")
        if self.fleet.listen is not None and self.workers > 1:
            raise ValueError("workers above 1 with fleet.listen; write workers: 1 and start nodes")

    @property
    def origin(self) -> str:
        """Origin of links to the proxy: `public_url`, otherwise that of this machine."""
        return self.public_url or self.origin_of(self.listen)

    def origin_of(self, listen: Listen) -> str:
        """Origin by which this machine reaches an address; Unix sockets are without TLS."""
        return listen.origin("https" if self.tls.certificate and not listen.path else "http")


def load(
    text: str, source: str, environ: Mapping[str, str], read_file: Callable[[str], str]
) -> Config:
    """The configuration in `text`, the content of the file `source`.

    ConfigError names every fault, one line each, and repeats no value. `read_file` gives the text
    of a secret's file and may raise OSError.
    """
    document = Document(text)
    config: Config = Reader(document, environ, read_file).read(Config, document.root, Place())
    if document.faults:
        faults = sorted(document.faults, key=lambda fault: fault[0])
        raise ConfigError(*(f"{source}:{line}: {text}" for line, text in faults))
    return config


def with_origin(config: Config) -> Config:
    """The configuration with the `public_url` in force."""
    return replace(config, public_url=config.origin)


def masked(config: Config) -> str:
    """The configuration as YAML, every key of it, secrets as `***`.

    `load` reads it back, but for keys of links, of which a masked one must not sign, and the URLs
    of Redis and `upstream.proxy`.
    """
    return yaml.safe_dump(dump(with_origin(config)), sort_keys=False)

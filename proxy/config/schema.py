"""The configuration: one frozen value, read once, checked wholly. `proxy.yaml` is its reference."""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

import yaml

from proxy.config import addresses, units
from proxy.config.addresses import Listen
from proxy.config.fields import (
    ListOf,
    OptionalField,
    Parser,
    Scalar,
    SecretField,
    SectionOf,
    dump,
    frozen,
    one_of,
    required,
    section,
    setting,
)
from proxy.config.secret import Secret
from proxy.config.units import Rate
from proxy.config.yaml_source import parse

_SINGULAR = re.compile(
    r"/(action|board|card|checklist|customfield|enterprise|label|list|member|notification"
    r"|organization|plugin|token|webhook)(?:/.*)?"
)
_PATTERN = re.compile(r"(?:/(?:\*|[a-z0-9._-]+))*(?:/\*\*)?")
_ID = re.compile(r"[0-9a-f]{24}")
_DAY_S = 86_400
_LINK_KEY_CHARS = 16
_LEAST_MEMORY_BYTES = 1 << 20

ClientCredentials = Literal["replace", "forward", "require", "reject"]
Writes = Literal["deny", "allow", "all"]
Jsonp = Literal["deny", "allow"]
Backend = Literal["sqlite", "redis", "memory"]
Level = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["json", "text"]


class ConfigError(Exception):
    """The configuration cannot be used; `faults` holds one line each, in the file's order."""

    def __init__(self, faults: tuple[str, ...]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


def _directory(text: str) -> str:
    try:
        if text:
            return str(Path(text).expanduser())
    except RuntimeError:
        raise ValueError("~ means nothing without a home; write an absolute path") from None
    raise ValueError("not a directory; write a path, as in /var/cache/trello-proxy")


def _watch(text: str) -> float | None:
    if text == "off":
        return None
    try:
        seconds = units.duration(text)
    except ValueError:
        raise ValueError("not a duration; write 1s or more, or off") from None
    if seconds < 1:
        raise ValueError("more often than once a second; write 1s or more, or off")
    return seconds


def _watch_text(seconds: float | None) -> str:
    return "off" if seconds is None else units.duration_text(seconds)


def _memory(text: str) -> int:
    size_bytes = units.size(text)
    if size_bytes < _LEAST_MEMORY_BYTES:
        raise ValueError("too little for a few request bodies; write 1MiB or more")
    return size_bytes


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


def _truth(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError("neither true nor false; write one of them")
    return text == "true"


def _days(text: str) -> float:
    seconds = units.duration(text)
    if seconds < _DAY_S:
        raise ValueError("less than a stored answer may live with its links; write 1d or more")
    return seconds


def _attachment_id(text: str) -> str:
    if not _ID.fullmatch(text):
        raise ValueError("not an attachment's id; write its 24 characters, 0-9 and a-f")
    return text


def _link_key(text: str) -> None:
    if "*" in text:
        raise ValueError("has an asterisk, as a masked key would; write one without")
    if len(text) < _LINK_KEY_CHARS:
        raise ValueError(f"too short to sign with; write {_LINK_KEY_CHARS} characters or more")


DURATION = Scalar(units.duration, units.duration_text)
TIMEOUT = Scalar(units.positive_duration, units.duration_text)
SIZE = Scalar(units.size, units.size_text)
RATE = Scalar(units.rate)
LIFETIME = OptionalField(DURATION)
SECRET = SecretField()
LINK_KEY = SecretField(_link_key)


@frozen
class Upstream:
    url: str = setting(Scalar(addresses.base_url), "https://api.trello.com")
    storage_hosts: tuple[str, ...] = setting(
        ListOf(Scalar(addresses.storage_host)), ["files.trello.com", "*.amazonaws.com"]
    )
    connect_timeout_s: float = setting(TIMEOUT, "5s")
    read_timeout_s: float = setting(TIMEOUT, "30s")


@frozen
class Credentials:
    """None: nothing was found there, which `serve` explains and `demo` does not mind."""

    key: Secret | None = setting(SECRET, {"env": "TRELLO_KEY"})
    token: Secret | None = setting(SECRET, {"env": "TRELLO_TOKEN"})
    secret: Secret | None = setting(SECRET, {"env": "TRELLO_SECRET"})


@frozen
class Clients:
    credentials: ClientCredentials = setting(one_of(ClientCredentials), "replace")
    hosts: tuple[str, ...] = setting(ListOf(Scalar(addresses.host)), [])
    origins: tuple[str, ...] = setting(ListOf(Scalar(addresses.origin)), [])
    writes: Writes = setting(one_of(Writes), "allow")
    jsonp: Jsonp = setting(one_of(Jsonp), "deny")

    @property
    def forwards_credentials(self) -> bool:
        """Whether a client's own key and token are used where it sends them."""
        return self.credentials in ("forward", "require")

    @property
    def requires_credentials(self) -> bool:
        """Whether a client without a key and token of its own gets nothing."""
        return self.credentials == "require"


@frozen
class Cache:
    backend: Backend = setting(one_of(Backend), "sqlite")
    directory: str = setting(Scalar(_directory), "~/.cache/trello-proxy")
    redis: Secret | None = setting(
        SecretField(addresses.redis_url, addresses.without_userinfo), None
    )
    """A URL, which may hold a password."""
    memory_bytes: int = setting(SIZE, "256MiB")
    disk_bytes: int = setting(SIZE, "2GiB")

    def __post_init__(self) -> None:
        if self.backend == "redis" and self.redis is None:
            raise ValueError("backend redis has no address; write redis: redis://host:6379/0 too")


@frozen
class RouteRule:
    """None: the built-in lifetime."""

    match: str = required(Scalar(_pattern))
    lifetime_s: float | None = setting(LIFETIME, None)
    lifetime_watched_s: float | None = setting(LIFETIME, None)
    stale_while_revalidate_s: float | None = setting(LIFETIME, None)
    stale_if_error_s: float | None = setting(LIFETIME, None)


@frozen
class Attachments:
    disk_bytes: int = setting(SIZE, "10GiB")
    max_file_bytes: int = setting(SIZE, "1GiB")


@frozen
class Links:
    rewrite: bool = setting(Scalar(_truth, bool), "true")
    sign: bool = setting(Scalar(_truth, bool), "false")
    keys: tuple[Secret | None, ...] = setting(ListOf(LINK_KEY), [])
    """The first signs, all are accepted; None: nothing was found there."""
    lifetime_s: float = setting(Scalar(_days, units.duration_text), "7d")
    revoked: tuple[str, ...] = setting(ListOf(Scalar(_attachment_id)), [])

    def __post_init__(self) -> None:
        if self.sign and not self.keys:
            raise ValueError("sign without a key; write keys: [{env: LINK_KEY}]")
        if self.sign and None in self.keys:
            raise ValueError("sign, and a key that is not there; set its variable or leave it out")


@frozen
class Freshness:
    watch_s: float | None = setting(Scalar(_watch, _watch_text), "10s")
    """None: off."""
    webhook_url: str | None = setting(OptionalField(Scalar(addresses.url)), None)


@frozen
class Limits:
    token: Rate = setting(RATE, "100/10s")
    key: Rate = setting(RATE, "300/10s")
    members: Rate = setting(RATE, "100/900s")
    search: Rate = setting(RATE, "30/10s")
    wait_s: float = setting(DURATION, "20s")
    memory_bytes: int = setting(Scalar(_memory, units.size_text), "64MiB")
    """Held for clients, of all connections together."""


@frozen
class Admin:
    listen: Listen | None = setting(OptionalField(Scalar(addresses.listen)), None)
    token: Secret | None = setting(SECRET, None)


@frozen
class LogSettings:
    level: Level = setting(one_of(Level), "info")
    format: LogFormat = setting(one_of(LogFormat), "json")


@frozen
class Config:
    listen: Listen = setting(Scalar(addresses.listen), "127.0.0.1:8080")
    public_url: str | None = setting(OptionalField(Scalar(addresses.public_url)), None)
    """How others reach the proxy, as far as that is said; see `origin`."""
    upstream: Upstream = section(Upstream)
    credentials: Credentials = section(Credentials)
    clients: Clients = section(Clients)
    cache: Cache = section(Cache)
    routes: tuple[RouteRule, ...] = setting(ListOf(SectionOf(RouteRule)), [])
    attachments: Attachments = section(Attachments)
    links: Links = section(Links)
    freshness: Freshness = section(Freshness)
    limits: Limits = section(Limits)
    admin: Admin = section(Admin)
    log: LogSettings = section(LogSettings)

    def __post_init__(self) -> None:
        if self.freshness.webhook_url is not None and self.credentials.secret is None:
            raise ValueError(
                "freshness.webhook_url without credentials.secret, which proves that a delivery is "
                "Trello's; set its variable, TRELLO_SECRET as a rule"
            )

    @property
    def origin(self) -> str:
        """What links to the proxy begin with: `public_url`, else where this machine reaches it."""
        return self.public_url or self.listen.url


def load(
    text: str, source: str, environ: Mapping[str, str], read_file: Callable[[str], str]
) -> Config:
    """The configuration in `text`, which stands in the file `source`.

    ConfigError names every fault, one line each, and repeats no value. `read_file` gives the text
    of a secret's file and may raise OSError.
    """
    document = parse(text)
    reader = Parser(environ, read_file)
    config: Config = reader.read(SectionOf(Config), document.root, ())
    faults = [*document.faults, *(document.fault(place, text) for place, text in reader.faults)]
    if faults:
        faults.sort(key=lambda fault: fault.line)
        raise ConfigError(tuple(f"{source}:{fault}" for fault in faults))
    return config


def default() -> Config:
    """What an empty file means where no environment variable is set."""
    return load("", "proxy.yaml", {}, str)


def masked(config: Config) -> str:
    """The configuration as YAML, every key of it, secrets as `***`.

    `load` reads it back, but for keys of links: a masked one must not sign.
    """
    in_force = replace(config, public_url=config.origin)
    return yaml.safe_dump(dump(SectionOf(Config), in_force), sort_keys=False)

"""Settings of a worker: what it needs of the configuration, without any secret (D74).

A TLS key is not among them: the worker reads the file itself, as it makes the handshakes.
"""

from dataclasses import replace
from hashlib import sha256

from proxy.access.client_keys import digest_of
from proxy.config.clients import ClientKey
from proxy.config.fields import Count
from proxy.config.schema import (
    Admin,
    Audit,
    Cache,
    Config,
    Credentials,
    Links,
    Upstream,
    load,
    masked,
)
from proxy.model import Secret

_MIN_MEMORY_BYTES = 1024 * 1024
_NONE = Secret("none")
"""In place of a secret that another setting requires."""


def worker_settings(config: Config, public_url: str, port: int) -> str:
    """The configuration of a worker as YAML; `port` is the bound one."""
    limits, workers = config.limits, config.workers
    own = replace(
        config,
        listen=replace(config.listen, port=port),
        public_url=public_url,
        workers=Count(1),
        upstream=Upstream(),
        credentials=Credentials(secret=_NONE if config.freshness.webhook_url else None),
        clients=replace(config.clients, keys=tuple(map(_by_digest, config.clients.keys))),
        cache=Cache(
            backend="memory",
            directory=config.cache.directory,
            memory_bytes=config.cache.memory_bytes // workers,
        ),
        routes=(),
        links=Links(),
        limits=replace(limits, memory_bytes=max(_MIN_MEMORY_BYTES, limits.memory_bytes // workers)),
        admin=Admin(listen=config.admin.listen),
        audit=Audit(),
    )
    return masked(own)


def parse_settings(text: str) -> Config:
    """The configuration that a worker got; ConfigError."""
    return load(text, "settings", {}, _read_nothing)


def settings_digest(text: str) -> str:
    """Digest of a worker's settings: one that has others than its parent must keep nothing."""
    return sha256(text.encode()).hexdigest()


def _by_digest(key: ClientKey) -> ClientKey:
    if key.key is None:
        return key
    return replace(key, digest=digest_of(key.key.reveal()), key=None)


def _read_nothing(_: str) -> str:
    raise OSError("a worker reads no secrets")

"""`check`: validates the configuration and prints it, secrets masked."""

import json
import sys
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from proxy.app.from_config import configuration_warnings
from proxy.cli.options import config_loader, read_config
from proxy.cli.required_credential import required_credential
from proxy.config.fields import dump
from proxy.config.schema import Config, Tls, masked, with_origin
from proxy.model import Credential
from proxy.runtime.clock import SystemClock
from proxy.runtime.directory import is_in_use

WARN_DAYS = 14
_IN_USE = "a proxy uses cache.directory now; a second one stores responses in memory only"


def run(options: Namespace) -> int:
    """The exit code."""
    print_config(options)
    return 0


def print_config(options: Namespace) -> tuple[Config, Credential]:
    """The effective configuration on standard output, warnings on standard error.

    CommandFailed where `serve` would not start.
    """
    loader = config_loader(options)
    config = read_config(loader, checks_files=True)
    warnings = list(_warnings(config))
    if options.json:
        settings = dump(with_origin(config))
        print(json.dumps({"sources": loader.sources, "warnings": warnings, "config": settings}))
    else:
        print("".join(f"# {source}\n" for source in loader.sources) + masked(config), end="")
        for warning in warnings:
            print(f"trello-proxy: {warning}", file=sys.stderr)
    return config, required_credential(config)


def _warnings(config: Config) -> Iterator[str]:
    for key, listen in (("listen", config.listen), ("admin.listen", config.admin.listen)):
        if listen is not None and listen.host == "::":
            yield f"{key} {listen} is every address, of IPv4 too"
    if config.cache.backend == "sqlite" and is_in_use(Path(config.cache.directory)):
        yield _IN_USE
    yield from configuration_warnings(config)
    yield from _certificate_warnings(config.tls, urlsplit(config.public_url or "").hostname or "")


def _certificate_warnings(tls: Tls, host: str) -> Iterator[str]:
    """Whether the certificate of `tls` expires soon, or is not valid for the host."""
    if tls.certificate is None or tls.key is None:
        return
    from proxy.config.certificates import (  # noqa: PLC0415 — imports ssl
        inspect_certificate,
        name_mismatch,
    )

    days = int((inspect_certificate(tls.certificate, tls.key) - SystemClock().now()) // 86_400)
    if days < 0:
        yield "tls.certificate has expired; clients refuse it"
    elif days < WARN_DAYS:
        yield f"tls.certificate expires in {days} days; a replaced file is noticed by itself"
    if host and (reason := name_mismatch(tls.certificate, tls.key, host)):
        yield f"clients of public_url refuse tls.certificate: {reason}"

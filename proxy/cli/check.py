"""`check`: validates the configuration and prints it, secrets masked."""

import json
import os
import socket
import sys
from argparse import Namespace
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from proxy.app.from_config import configuration_warnings
from proxy.cli.options import config_loader, read_config
from proxy.cli.required_credential import required_credential
from proxy.config.fields import dump
from proxy.config.schema import Config, Tls, masked, with_origin
from proxy.model import TRELLO_API_HOST, Credential
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
    yield from configuration_warnings(config, cores=os.cpu_count() or 1)
    yield from _override_warnings(config)
    hosts = {"public_url": urlsplit(config.public_url or "").hostname or ""}
    if TRELLO_API_HOST in config.clients.hosts:
        hosts[TRELLO_API_HOST] = TRELLO_API_HOST
    yield from _certificate_warnings(config.tls, hosts)


def _override_warnings(config: Config) -> Iterator[str]:
    """Whether the name of Trello, under which clients reach the proxy, leads the proxy to itself.

    Looks it up if it is in `clients.hosts`.
    """
    upstream, host = config.upstream, urlsplit(config.upstream.url).hostname or ""
    if host not in config.clients.hosts or upstream.resolve or upstream.proxy:
        return
    try:
        found = socket.getaddrinfo(host, 443, type=socket.SOCK_STREAM)
    except OSError:
        return
    addresses = {str(address[0]) for *_, address in found}
    if own := sorted(filter(_is_inside, addresses)):
        cure = "set upstream.resolve: [9.9.9.9], or remove the override from this machine"
        yield f"{host} is {own[0]} here, so the proxy would send requests to itself; {cure}"


def _is_inside(address: str) -> bool:
    """Whether an address is private, or one of this machine, where a socket can be bound to it."""
    if not ip_address(address.partition("%")[0]).is_global:
        return True
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True


def _certificate_warnings(tls: Tls, hosts: dict[str, str]) -> Iterator[str]:
    """Whether the certificate of `tls` expires soon, or is not valid for a host.

    `hosts`: what clients of a host are clients of, and its name.
    """
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
    for name, host in hosts.items():
        if host and (reason := name_mismatch(tls.certificate, tls.key, host)):
            yield f"clients of {name} refuse tls.certificate: {reason}"

"""Hosts, origins and URLs of the configuration (RFC 3986 §3.2, RFC 6454)."""

import re
from functools import partial
from ipaddress import AddressValueError, IPv4Address, IPv6Address, ip_address, ip_network

from proxy.model import Listen, Secret

_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"(?=.{{1,253}}$){_LABEL}(?:\.{_LABEL})*")
_IPV6 = re.compile(r"\[([0-9a-f:.]+)\]")
_AUTHORITY = re.compile(r"(\[[0-9a-f:.]+\]|[^:\[\]]+)(?::([0-9]{1,5}))?")
_DEFAULT_PORTS = {"http": 80, "https": 443}
_MAX_SOCKET_PATH_BYTES = 107  # unix(7)


def listen(text: str) -> Listen:
    """`host:port`, or `unix:` and a path; ValueError."""
    if text.startswith("unix:"):
        path = text.removeprefix("unix:")
        if re.fullmatch(r"/.*[^/]", path) and len(path.encode()) <= _MAX_SOCKET_PATH_BYTES:
            return Listen("localhost", 0, path)
        cure = "write unix:/run/trello-proxy/http.sock: absolute, 107 bytes at most"
        raise ValueError(f"not the path of a Unix socket; {cure}")
    if re.fullmatch(r":?[0-9]+", text):
        raise ValueError("no host; write 127.0.0.1:8080, or 0.0.0.0:8080 for every interface")
    name, port = _authority(text)
    if port is None:
        raise ValueError("not an address; write host:port, as in 127.0.0.1:8080 or [::1]:8080")
    return Listen(name.strip("[]"), port)


def host(text: str) -> str:
    """A host name or IP address in lower case, IPv6 in brackets; ValueError."""
    name = _host(text.lower())
    if not name:
        raise ValueError("not a host name; write it alone, as in trello.internal or 192.0.2.7")
    return name


def storage_host(text: str) -> str:
    """`host`, `host:port` or `*.suffix` in lower case; ValueError."""
    wildcard = "*." if text.startswith("*.") else ""
    name, port = _authority(text.removeprefix(wildcard))
    if not name or (wildcard and (port is not None or name.startswith("["))):
        cure = "write files.trello.com, 127.0.0.1:9000 or *.example.com"
        raise ValueError(f"not a storage host; {cure}")
    return wildcard + name + ("" if port is None else f":{port}")


def _url(text: str, *, schemes: str, path: str = "", fault: str) -> str:
    """The URL with scheme and host in lower case, without the scheme's own port; ValueError."""
    match = re.fullmatch(rf"({schemes})://([^/?#@]+)({path})", text, re.IGNORECASE)
    scheme = match[1].lower() if match else ""
    name, port = _authority(match[2] if match else "")
    if match is None or not name:
        raise ValueError(fault)
    is_default = port in (None, _DEFAULT_PORTS.get(scheme))
    return f"{scheme}://{name}{'' if is_default else f':{port}'}{match[3]}"


origin = partial(
    _url,
    schemes=r"[a-z][a-z0-9+.-]*",
    fault="not an origin; write scheme://host or scheme://host:port and nothing after",
)
"""`scheme://host[:port]` as a browser sends it (RFC 6454 §6.2); ValueError."""
base_url = partial(
    _url,
    schemes="https?",
    fault="not an http origin; write http://host:port or https://host and nothing after",
)
url = partial(
    _url,
    schemes="https?",
    path=r"(?:/[!\"$-~]*)?",
    fault="not a web address; write https://host/path",
)


def network(text: str) -> str:
    """An IP address or network, or `unix` for the clients of a Unix socket; ValueError."""
    if text == "unix":
        return text
    try:
        return str(ip_network(text))
    except ValueError:
        cure = "write 192.0.2.7, 10.0.0.0/8 or unix"
        raise ValueError(f"not an address or network; {cure}") from None


def dns_server(text: str) -> str:
    """An IP address, with a port or without; ValueError."""
    name, port = _authority(text if text.count(":") < 2 or "[" in text else f"[{text}]")
    try:
        address = ip_address(name.strip("[]"))
    except ValueError:
        cure = "write 9.9.9.9, 192.0.2.53:5353 or [2620:fe::fe]:53"
        raise ValueError(f"not the address of a DNS server; {cure}") from None
    written = f"[{address}]" if address.version == 6 else str(address)
    return written if port is None else f"{written}:{port}"


_REDIS = re.compile(r"rediss?://(?:[^/?#@]*@)?([^/?#@,]+)(?:/[0-9]+)?")
_SENTINELS = re.compile(r"redis\+sentinel://(?:[^/?#@]*@)?([^/?#@]+)/[\w.-]+(?:/[0-9]+)?")


def redis_url(secret: Secret) -> Secret:
    """URL of a Redis or Valkey, or of its Sentinels and the master's name; ValueError."""
    match = _REDIS.fullmatch(secret.reveal()) or _SENTINELS.fullmatch(secret.reveal())
    if not match or not all(_authority(each)[0] for each in match[1].split(",")):
        servers = "write redis://host:6379/0, rediss://host:6379/0 for TLS"
        raise ValueError(f"not a Redis URL; {servers}, or redis+sentinel://h1:26379,h2:26379/name")
    return secret


def egress_proxy(url: Secret) -> Secret:
    """`http://[user:password@]host[:port]`; ValueError."""
    match = re.fullmatch(r"http://(?:[^/?#@]+@)?([^/?#@]+)/?", url.reveal(), re.IGNORECASE)
    if match is None or not _authority(match[1])[0]:
        cure = "write http://host:3128 or http://user:password@host:3128, both percent-encoded"
        raise ValueError(f"not an HTTP proxy; {cure}")
    return url


def public_url(text: str) -> str:
    """As `base_url`, of a host that clients can connect to; ValueError."""
    read = base_url(text)
    if Listen(_authority(read.partition("://")[2])[0].strip("[]"), 0).is_wildcard:
        raise ValueError("a wildcard address; write the name by which others reach the proxy")
    return read


def _authority(text: str) -> tuple[str, int | None]:
    """Host and port; empty and None: invalid."""
    match = _AUTHORITY.fullmatch(text.lower())
    name = _host(match[1]) if match else ""
    port = int(match[2]) if match and match[2] else None
    return (name, port) if name and (port or 0) <= 65_535 else ("", None)


def _host(text: str) -> str:
    """The host, normalised; empty: invalid."""
    bracketed = _IPV6.fullmatch(text)
    try:
        if bracketed:
            return f"[{IPv6Address(bracketed[1])}]"
        if text.rpartition(".")[2].isdecimal():
            return str(IPv4Address(text))
    except AddressValueError:
        return ""
    return text if _NAME.fullmatch(text) else ""

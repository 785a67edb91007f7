"""Hosts, origins and addresses as they may stand in the configuration (RFC 3986 §3.2, RFC 6454)."""

import re
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address, ip_address
from urllib.parse import urlsplit

_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"(?=.{{1,253}}$){_LABEL}(?:\.{_LABEL})*")
_IPV6 = re.compile(r"\[([0-9a-f:.]+)\]")
_AUTHORITY = re.compile(r"(\[[0-9a-f:.]+\]|[^:\[\]]+)(?::([0-9]{1,5}))?")
_ORIGIN = re.compile(r"([a-z][a-z0-9+.-]*)://([^/?#@]+)")
_URL = re.compile(r"(https?://[^/?#@]+)(/[!-~]*)?", re.IGNORECASE)
_REDIS = re.compile(r"rediss?://(?:[^/?#@]*@)?([^/?#@]+)(?:/[0-9]+)?")
_USERINFO = re.compile(r"(?<=://)[^/@]*(?=@)")
_DEFAULT_PORTS = {"http": 80, "https": 443}
_MAX_PORT = 65_535


@dataclass(frozen=True, slots=True)
class Listen:
    """Where to accept connections. An IPv6 host has no brackets; port 0 is any free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_wildcard(self) -> bool:
        """Whether it is every address of the machine, which is no address to connect to."""
        return _is_unspecified(self.host)

    @property
    def url(self) -> str:
        """The origin by which this machine reaches it."""
        return origin(f"http://localhost:{self.port}" if self.is_wildcard else f"http://{self}")


def listen(text: str) -> Listen:
    """ValueError unless host:port, both of them."""
    if re.fullmatch(r":?[0-9]+", text):
        raise ValueError("no host; write 127.0.0.1:8080, or 0.0.0.0:8080 for every interface")
    try:
        name, port = _authority(text)
    except ValueError:
        name, port = "", None
    if port is None:
        raise ValueError("not an address; write host:port, as in 127.0.0.1:8080 or [::1]:8080")
    return Listen(name.strip("[]"), port)


def host(text: str) -> str:
    """A host name or IP address in lower case, IPv6 in brackets; ValueError otherwise."""
    name = text.lower()
    bracketed = _IPV6.fullmatch(name)
    try:
        if bracketed:
            return f"[{IPv6Address(bracketed[1])}]"
        if name.rpartition(".")[2].isdecimal():
            return str(IPv4Address(name))
    except AddressValueError:
        name = ""
    if not _NAME.fullmatch(name):
        raise ValueError("not a host name; write it alone, as in trello.internal or 192.0.2.7")
    return name


def storage_host(text: str) -> str:
    """`host`, `host:port` or `*.suffix` in lower case; ValueError otherwise."""
    wild = text.startswith("*.")
    try:
        name, port = _authority(text.removeprefix("*."))
        if not wild:
            return _joined(name, port)
        if port is None and not name.startswith("["):
            return f"*.{name}"
    except ValueError:
        pass
    raise ValueError("not a storage host; write files.trello.com, 127.0.0.1:9000 or *.example.com")


def origin(text: str) -> str:
    """`scheme://host[:port]` as a browser sends it (RFC 6454 §6.2); ValueError otherwise."""
    written = _ORIGIN.fullmatch(text.lower())
    try:
        if written:
            name, port = _authority(written[2])
            is_default = port == _DEFAULT_PORTS.get(written[1])
            return f"{written[1]}://{_joined(name, None if is_default else port)}"
    except ValueError:
        pass
    raise ValueError("not an origin; write scheme://host or scheme://host:port and nothing after")


def base_url(text: str) -> str:
    """An http or https origin; ValueError otherwise."""
    if not text.lower().startswith(("http://", "https://")):
        raise ValueError("not an http address; write http://host:port or https://host")
    return origin(text)


def public_url(text: str) -> str:
    """As `base_url`, of a host that clients can connect to; ValueError otherwise."""
    read = base_url(text)
    if _is_unspecified(urlsplit(read).hostname or ""):
        raise ValueError("every address and so nobody's; write the name by which others reach it")
    return read


def url(text: str) -> str:
    """An http or https URL as written; ValueError when it names a user or a fragment."""
    written = _URL.fullmatch(text)
    if written is None or "#" in text:
        raise ValueError("not a web address; write https://host/path")
    base_url(written[1])
    return text


def redis_url(text: str) -> str:
    """`redis[s]://[user:password@]host[:port][/database]`; ValueError otherwise."""
    written = _REDIS.fullmatch(text)
    try:
        if written:
            _authority(written[1].lower())
            return text
    except ValueError:
        pass
    raise ValueError("not a Redis address; write redis://host:6379/0")


def without_userinfo(text: str) -> str:
    """The URL with `***` in the place of user and password (RFC 3986 §3.2.1)."""
    return _USERINFO.sub("***", text)


def _is_unspecified(host: str) -> bool:
    """Whether it is `0.0.0.0`, `::` or the first spelt as IPv6 (RFC 4291 §2.5.2, §2.5.5.2)."""
    try:
        address = ip_address(host)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_unspecified


def _authority(text: str) -> tuple[str, int | None]:
    """Host and port; ValueError with no word about the value."""
    written = _AUTHORITY.fullmatch(text.lower())
    port = int(written[2]) if written and written[2] else None
    if written is None or (port or 0) > _MAX_PORT:
        raise ValueError("not a host with a port")
    return host(written[1]), port


def _joined(name: str, port: int | None) -> str:
    return name if port is None else f"{name}:{port}"

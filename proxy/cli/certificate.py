"""`certificate`: makes a private CA, and a certificate of its for Trello's names (D68)."""

import os
from argparse import Namespace
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from pathlib import Path

from proxy.cli.console import CommandFailed
from proxy.config import addresses
from proxy.model import TRELLO_API_HOST
from proxy.runtime.clock import SystemClock

try:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
except ImportError:
    cure = "run pip install '.[certificate]' in the checkout"
    raise CommandFailed(f"a certificate needs the library cryptography; {cure}") from None

NAMES = (TRELLO_API_HOST, "trello.com")
CA_DAYS = 3650
LEAF_DAYS = 820
"""Apple's systems accept at most 825 from a private CA."""
_BACKDATED = timedelta(days=1)
"""For clients whose clock is behind."""
_SERVERS_ONLY = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
_EVERY_ADDRESS = IPv4Network("0.0.0.0/0"), IPv6Network("::/0")
_TEXT = """\
{files}

Add to proxy.yaml; clients of these names need port 443, or CONNECT as below:

tls: {{certificate: {leaf}.crt, key: {leaf}.key}}
clients:
  hosts: [{hosts}]

Keep {ca}.key offline: it signs nothing but these names, and only a new certificate needs it,
at the latest on {expiry:%Y-%m-%d}. Trust {ca}.crt in each client, and in nothing else:

  curl                      curl --cacert {ca}.crt, or CURL_CA_BUNDLE
  Node.js (n8n and others)  NODE_EXTRA_CA_CERTS={ca}.crt
  Python, requests          REQUESTS_CA_BUNDLE=bundle.crt, as for Home Assistant
  Python, ssl; Go; Ruby     SSL_CERT_FILE=bundle.crt
  Home Assistant            REQUESTS_CA_BUNDLE=bundle.crt in its container's environment
  Java (Jenkins)            keytool -importcert -noprompt -cacerts -storepass changeit \\
                              -alias trello-proxy -file {ca}.crt
  Debian, Ubuntu            cp {ca}.crt /usr/local/share/ca-certificates/trello-proxy.crt
                            update-ca-certificates

bundle.crt takes the place of the system's CAs, so it holds both:
  cat /etc/ssl/certs/ca-certificates.crt {ca}.crt > bundle.crt

Lead the client here: {api} in its own hosts file (extra_hosts, hostAliases), or
HTTPS_PROXY=http://PROXY:PORT if it sends https to nothing else. More: `trello-proxy docs clients`.
"""


@dataclass(frozen=True, slots=True)
class Signed:
    """A certificate and its private key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    def write(self, path: Path) -> None:
        """To `path` with `.crt` and `.key`; FileExistsError if one of them exists."""
        pem = serialization.Encoding.PEM
        key = self.key.private_bytes(
            pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        _create(Path(f"{path}.key"), key, 0o600)
        _create(Path(f"{path}.crt"), self.certificate.public_bytes(pem), 0o644)


def run(options: Namespace) -> int:
    """The exit code."""
    directory = Path(options.directory).expanduser().absolute()
    names = tuple(dict.fromkeys((*NAMES, *map(_name, options.names))))
    leaf, ca = directory / TRELLO_API_HOST, directory / "ca"
    _check_absent(leaf)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    now = datetime.fromtimestamp(SystemClock().now(), UTC)
    if is_new := not _exists(ca):
        authority = _authority(names, now)
    else:
        authority = _read(ca)
        _check_permitted(authority.certificate, names)
    signed = _leaf(authority, names, now)
    if is_new:
        authority.write(ca)
    signed.write(leaf)
    written = (ca, leaf) if is_new else (leaf,)
    print(
        _TEXT.format(
            files="\n".join(f"{path}.crt\n{path}.key" for path in written),
            leaf=leaf,
            ca=ca,
            hosts=", ".join(NAMES),
            expiry=signed.certificate.not_valid_after_utc,
            api=TRELLO_API_HOST,
        ),
        end="",
    )
    return 0


def _name(text: str) -> str:
    try:
        return addresses.host(text)
    except ValueError as fault:
        raise CommandFailed(f"{text}: {fault}", 2) from None


def _exists(path: Path) -> bool:
    """Whether there is a certificate, or its key."""
    return any(os.path.lexists(f"{path}.{kind}") for kind in ("crt", "key"))


def _check_absent(path: Path) -> None:
    if _exists(path):
        cure = "move both away, or choose another --directory; clients keep trusting ca.crt"
        raise CommandFailed(f"{path}.crt or .key exists, and nothing is overwritten; {cure}")


def _create(path: Path, content: bytes, mode: int) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(fd, "wb") as file:
        file.write(content)


def _read(path: Path) -> Signed:
    try:
        certificate = x509.load_pem_x509_certificate(Path(f"{path}.crt").read_bytes())
        key = serialization.load_pem_private_key(Path(f"{path}.key").read_bytes(), None)
    except (OSError, ValueError, TypeError):
        cure = "put both back, or choose another --directory"
        raise CommandFailed(f"{path}.crt and .key are not a CA of this command; {cure}") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise CommandFailed(f"{path}.key is not a key of this command")
    return Signed(certificate, key)


def _check_permitted(ca: x509.Certificate, names: Iterable[str]) -> None:
    """CommandFailed for a name that this CA may not sign."""
    constraints = ca.extensions.get_extension_for_class(x509.NameConstraints).value
    permitted = constraints.permitted_subtrees or ()
    if missing := [name for name in names if _constraint(name) not in permitted]:
        cure = "choose another --directory for a new CA"
        raise CommandFailed(f"this CA may not sign {', '.join(missing)}; {cure}")


def _authority(names: tuple[str, ...], now: datetime) -> Signed:
    """A CA that may sign servers' certificates of these names and those below them alone.

    RFC 5280 §4.2.1.10 and, as clients apply it to a CA, §4.2.1.12.
    """
    key, name = ec.generate_private_key(ec.SECP256R1()), _subject("trello-proxy private CA")
    permitted = [_constraint(each) for each in names]
    families = {each.value.version for each in permitted if isinstance(each, x509.IPAddress)}
    excluded = [x509.IPAddress(each) for each in _EVERY_ADDRESS if each.version not in families]
    builder = (
        _builder(name, key, now, CA_DAYS)
        .issuer_name(name)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.NameConstraints(permitted, excluded or None), critical=True)
        .add_extension(_SERVERS_ONLY, critical=False)  # no mail or program, which have other names
    )
    return Signed(builder.sign(key, hashes.SHA256()), key)


def _leaf(ca: Signed, names: tuple[str, ...], now: datetime) -> Signed:
    """A server's certificate for these names."""
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca.key.public_key())
    builder = (
        _builder(_subject(names[0]), key, now, LEAF_DAYS)
        .issuer_name(ca.certificate.subject)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(_SERVERS_ONLY, critical=False)
        .add_extension(issuer, critical=False)
        .add_extension(x509.SubjectAlternativeName(map(_general_name, names)), critical=False)
    )
    return Signed(builder.sign(ca.key, hashes.SHA256()), key)


def _builder(
    subject: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime, days: int
) -> x509.CertificateBuilder:
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(identifier, critical=False)
    )


def _subject(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])


def _address(name: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(name.strip("[]"))
    except ValueError:
        return None


def _general_name(name: str) -> x509.GeneralName:
    address = _address(name)
    return x509.DNSName(name) if address is None else x509.IPAddress(address)


def _constraint(name: str) -> x509.GeneralName:
    address = _address(name)
    return x509.DNSName(name) if address is None else x509.IPAddress(ip_network(address))


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )

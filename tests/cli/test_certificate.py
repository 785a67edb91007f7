"""`trello-proxy certificate`: a CA that signs Trello's names and no other, and files it owns."""

import ssl
from pathlib import Path

import pytest

from proxy.cli.main import run
from proxy.config.certificates import name_mismatch, server_context

x509 = pytest.importorskip("cryptography.x509")

FILES = {"ca.crt", "ca.key", "api.trello.com.crt", "api.trello.com.key"}


def make(directory: Path, *names: str) -> int:
    return run(["certificate", "--directory", str(directory), *names])


def refusal(directory: Path, host: str, leaf: str = "api.trello.com") -> str:
    """Why a client that trusts the CA does not accept the certificate for a host."""
    client = ssl.create_default_context(cafile=str(directory / "ca.crt"))
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    server = server_context(str(directory / f"{leaf}.crt"), str(directory / f"{leaf}.key"))
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = (
        client.wrap_bio(down, up, server_hostname=host),
        server.wrap_bio(up, down, server_side=True),
    )
    for _ in range(3):
        for side in sides:
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLCertVerificationError as error:
                return str(error.verify_message)
    return ""


def test_a_client_that_trusts_the_ca_accepts_the_certificate(tmp_path: Path) -> None:
    assert make(tmp_path / "tls", "trello.internal", "10.0.0.5") == 0
    assert {path.name for path in (tmp_path / "tls").iterdir()} == FILES
    for host in ("api.trello.com", "trello.com", "trello.internal", "10.0.0.5"):
        assert refusal(tmp_path / "tls", host) == ""
    assert "mismatch" in refusal(tmp_path / "tls", "example.com")


@pytest.mark.parametrize("name", ["example.com", "10.0.0.5"])
def test_another_name_that_its_key_signs_is_refused_by_clients(tmp_path: Path, name: str) -> None:
    from proxy.cli import certificate  # noqa: PLC0415 — needs cryptography

    assert make(tmp_path) == 0
    ca = certificate._read(tmp_path / "ca")
    issued_at = ca.certificate.not_valid_before_utc
    certificate._leaf(ca, (name,), issued_at).write(tmp_path / "other")
    assert "subtree" in refusal(tmp_path, name, "other")


def test_its_key_signs_for_servers_alone_not_mail_or_programs(tmp_path: Path) -> None:
    from proxy.cli import certificate  # noqa: PLC0415 — needs cryptography

    assert make(tmp_path) == 0
    usage = certificate._read(tmp_path / "ca").certificate.extensions.get_extension_for_class(
        x509.ExtendedKeyUsage
    )
    assert list(usage.value) == [x509.oid.ExtendedKeyUsageOID.SERVER_AUTH]


def test_key_files_are_the_owners_and_nothing_secret_is_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert make(tmp_path) == 0
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.glob("*.key")}
    assert set(modes.values()) == {0o600}
    assert len(modes) == 2
    said = capsys.readouterr().out
    assert "PRIVATE" not in said
    for client in ("NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "keytool"):
        assert client in said


def test_nothing_is_overwritten_and_a_renewal_keeps_the_ca(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert make(tmp_path) == 0
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert make(tmp_path) == 1
    assert "nothing is overwritten" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    (tmp_path / "api.trello.com.crt").unlink()
    assert make(tmp_path) == 1
    (tmp_path / "api.trello.com.key").unlink()
    assert make(tmp_path) == 0
    after = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert after["ca.crt"] == before["ca.crt"]
    assert after["api.trello.com.crt"] != before["api.trello.com.crt"]
    assert refusal(tmp_path, "api.trello.com") == ""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(("other.internal",), "may not sign other.internal"), (("a b",), "a b: not a host name")],
)
def test_a_name_that_cannot_be_certified_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], said: str
) -> None:
    assert make(tmp_path) == 0
    (tmp_path / "api.trello.com.crt").unlink()
    (tmp_path / "api.trello.com.key").unlink()
    assert make(tmp_path, *arguments) in {1, 2}
    assert said in capsys.readouterr().err
    assert not (tmp_path / "api.trello.com.crt").exists()


def test_half_a_ca_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "ca.crt").write_text("not a certificate")
    assert make(tmp_path) == 1
    assert "put both back" in capsys.readouterr().err


def test_the_proxy_takes_it(tmp_path: Path) -> None:
    assert make(tmp_path) == 0
    files = str(tmp_path / "api.trello.com.crt"), str(tmp_path / "api.trello.com.key")
    assert name_mismatch(*files, "api.trello.com") == ""

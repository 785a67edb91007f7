"""The files of `tls`: what is wrong with them is said with the setting, before they are used."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from proxy.cli.console import CommandFailed
from proxy.cli.main import run
from proxy.cli.options import ConfigLoader, read_config
from proxy.config.certificates import CertificateFiles, inspect_certificate, name_mismatch
from proxy.config.schema import ConfigError, Tls, load
from tests.authority import Authority, Pair
from tests.deploy.tools import told, tool


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate and its key, and what else such files may hold."""
    directory = tmp_path_factory.mktemp("tls")
    authority = Authority(directory)
    authority.issue("/CN=a", "trello.internal", file="a")
    authority.issue("/CN=b", file="b")
    authority.issue("/CN=old", "trello.internal", days=-1, file="old")
    (directory / "damaged.crt").write_text(
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    )
    (directory / "text").write_text("nothing")
    openssl, keys = tool("openssl", "apt-get install openssl"), ("a.key", "encrypted.key")
    source, target = (str(directory / each) for each in keys)
    options = ("-aes256", "-passout", "pass:secret", "-in", source, "-out", target)
    assert told(openssl, "ec", *options)[0] == 0
    return directory


FAULTS: dict[str, tuple[str, str, str, str]] = {
    "no file": ("none", "a.key", "", "tls.certificate: cannot be read (No such file or directory)"),
    "no key file": ("a.crt", "none", "", "tls.key: cannot be read (No such file or directory)"),
    "no certificate": ("text", "a.key", "", "tls.certificate: has no certificate in PEM form"),
    "the two confused": ("a.key", "a.crt", "", "tls.certificate: has no certificate in PEM form"),
    "no key": ("a.crt", "a.crt", "", "tls.key: has no private key in PEM form"),
    "a key with a passphrase": ("a.crt", "encrypted.key", "", "tls.key: is encrypted"),
    "another's key": ("a.crt", "b.key", "", "tls.key: is not the key of {}/a.crt"),
    "a damaged one": ("damaged.crt", "a.key", "", "tls.certificate: is not usable with its key"),
    "no CA": ("a.crt", "a.key", "text", "tls.client_ca: has no certificate in PEM form"),
    "a damaged CA": ("a.crt", "a.key", "damaged.crt", "tls.client_ca: has a damaged certificate"),
}


@pytest.mark.parametrize(("certificate", "key", "ca", "fault"), FAULTS.values(), ids=FAULTS.keys())
def test_a_fault_names_its_setting(
    directory: Path, tmp_path: Path, certificate: str, key: str, ca: str, fault: str
) -> None:
    file = tmp_path / "proxy.yaml"
    more = f"  client_ca: {directory / ca}\n" if ca else ""
    file.write_text(
        f"tls:\n  certificate: {directory / certificate}\n  key: {directory / key}\n{more}"
    )
    loader = ConfigLoader(str(file), {})
    with pytest.raises(CommandFailed) as raised:
        read_config(loader, checks_files=True)
    assert str(raised.value).startswith(f"{file}: {fault.format(directory)}")
    assert raised.value.exit_code == 2
    assert "PRIVATE" not in str(raised.value)
    assert loader.load().tls.certificate  # the other settings can be reloaded


def test_a_fault_of_upstream_ca_is_named_too(directory: Path, tmp_path: Path) -> None:
    file = tmp_path / "proxy.yaml"
    file.write_text(f"upstream: {{ca: '{directory / 'text'}'}}\n")
    with pytest.raises(CommandFailed, match=r"upstream\.ca: has no certificate in PEM form"):
        read_config(ConfigLoader(str(file), {}), checks_files=True)


@pytest.mark.parametrize(
    ("written", "fault"),
    [
        ("certificate: /a", "a certificate needs its key"),
        ("key: /a", "a certificate needs its key"),
        ("client_ca: /a", "client_ca without certificate and key"),
        ("{certificate: '', key: /a}", "not a file; write a path"),
    ],
)
def test_what_belongs_together_is_missed(written: str, fault: str) -> None:
    written = written if written.startswith("{") else f"{{{written}}}"
    with pytest.raises(ConfigError, match=fault):
        load(f"tls: {written}", "proxy.yaml", {}, str)


def test_links_lead_to_https_at_the_same_port() -> None:
    tls = "tls: {certificate: /c, key: /k}\n"
    origins = [
        load(f"{more}{tls}", "proxy.yaml", {}, str).origin
        for more in ("", "listen: 0.0.0.0:443\n", "listen: 127.0.0.1:80\n", "listen: unix:/run/s\n")
    ]
    assert origins == [
        "https://127.0.0.1:8080",
        "https://localhost",
        "https://127.0.0.1:80",
        "http://localhost",
    ]


def test_the_expiry_is_the_certificates_own(directory: Path) -> None:
    made = (directory / "a.crt").stat().st_mtime
    paths = str(directory / "a.crt"), str(directory / "a.key")
    old = str(directory / "old.crt"), str(directory / "old.key")
    left_days = [round((inspect_certificate(*pair) - made) / 86_400) for pair in (paths, old)]
    assert left_days == [2, -1]
    assert name_mismatch(*paths, "trello.internal") == ""
    assert "not valid for 'trello.example'" in name_mismatch(*old, "trello.example")


Said = Callable[[str, str], str]


@pytest.fixture
def check(directory: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Said:
    """What `check` warns of, by certificate and public URL."""

    def said(name: str, public_url: str) -> str:
        pair = Pair(directory / f"{name}.crt", directory / f"{name}.key")
        file = tmp_path / "proxy.yaml"
        file.write_text(
            f"public_url: {public_url}\ncache: {{backend: memory}}\n"
            "credentials: {key: dummy-key, token: dummy-token}\n"
            f"tls: {{certificate: {pair.certificate}, key: {pair.key}}}\n"
        )
        assert run(["check", "--config", str(file)]) == 0
        return capsys.readouterr().err

    return said


def test_check_warns_of_a_certificate_that_clients_refuse(check: Said) -> None:
    assert "tls.certificate expires in 1 days" in check("a", "https://trello.internal")
    assert "tls.certificate has expired" in check("old", "https://trello.internal")
    assert "refuse tls.certificate: Hostname mismatch" in check("a", "https://trello.example")


def test_check_warns_of_a_public_url_without_tls(check: Said) -> None:
    assert "public_url is plain http, and tls is set" in check("a", "http://trello.internal")
    assert "plain http" not in check("a", "https://trello.internal")


def test_stamps_show_each_file_that_changes(directory: Path, tmp_path: Path) -> None:
    pair = [str(shutil.copy(directory / name, tmp_path)) for name in ("a.crt", "a.key")]
    files = CertificateFiles(Tls(certificate=pair[0], key=pair[1], client_ca=pair[0]))
    before = files.stamps()
    shutil.copy(directory / "b.key", pair[1])
    assert [one == two for one, two in zip(before, files.stamps(), strict=True)] == [
        True,
        False,
        True,
    ]

"""A certificate authority for tests, made with the openssl command."""

import ssl
from dataclasses import dataclass
from pathlib import Path

from tests.deploy.tools import told, tool

_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


@dataclass(frozen=True)
class Pair:
    """A certificate and its key."""

    certificate: Path
    key: Path

    def server_context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        return context


class Authority:
    """Signs certificates; the test is skipped where there is no openssl."""

    def __init__(self, directory: Path, name: str = "Test CA") -> None:
        self._directory = directory
        self._openssl = tool("openssl", "apt-get install openssl")
        self.root = self._made("ca", "req", "-x509", *_KEY, "-subj", f"/CN={name}", "-days", "2")

    def issue(self, subject: str, *names: str, days: int = 2, file: str = "leaf") -> Pair:
        """A certificate for this subject and these host names or addresses."""
        extension = self._directory / f"{file}.ext"
        kinds = ("IP" if each.replace(".", "").isdigit() else "DNS" for each in names)
        listed = ",".join(f"{kind}:{each}" for kind, each in zip(kinds, names, strict=True))
        extension.write_text(
            f"subjectAltName={listed}\n" if names else "basicConstraints=CA:false\n"
        )
        request = self._directory / f"{file}.csr"
        key = self._directory / f"{file}.key"
        self._run("req", *_KEY, "-subj", subject, "-keyout", str(key), "-out", str(request))
        certificate = self._directory / f"{file}.crt"
        self._run(
            *("x509", "-req", "-in", str(request), "-out", str(certificate), "-days", str(days)),
            *("-CA", str(self.root.certificate), "-CAkey", str(self.root.key)),
            *("-CAcreateserial", "-extfile", str(extension)),
        )
        return Pair(certificate, key)

    def pair(self, file: str) -> Pair:
        """What `issue` made."""
        return Pair(self._directory / f"{file}.crt", self._directory / f"{file}.key")

    def client_context(self, own: Pair | None = None) -> ssl.SSLContext:
        """Of a client that trusts this authority, with a certificate of its own or without."""
        context = ssl.create_default_context(cafile=self.root.certificate)
        if own is not None:
            context.load_cert_chain(own.certificate, own.key)
        return context

    def _made(self, file: str, *arguments: str) -> Pair:
        made = Pair(self._directory / f"{file}.crt", self._directory / f"{file}.key")
        self._run(*arguments, "-keyout", str(made.key), "-out", str(made.certificate))
        return made

    def _run(self, *arguments: str) -> None:
        code, said = told(self._openssl, *arguments)
        assert code == 0, said

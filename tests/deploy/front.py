"""nginx with the example of deploy/, on loopback ports, in front of a proxy of ours."""

import asyncio
import getpass
import os
import re
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from yarl import URL

from tests.deploy.examples import DEPLOY
from tests.deploy.tools import told, tool
from tests.redis_server import free_port

FILE = DEPLOY / "nginx/trello-proxy.conf"
LOGINS = DEPLOY / "nginx/logins.conf"
FIXED = DEPLOY / "nginx/api.trello.com.conf"
NAMES = ("trello.internal", "hooks.example.com")
CURE = "apt-get install nginx openssl"
STARTED_S = 20.0
BREATH_S = 0.01
"""Between two looks at whether it listens."""

_AROUND = """\
daemon off;
{user}
pid {directory}/nginx.pid;
error_log {directory}/error.log warn;
events {{}}
http {{
  access_log off;
  client_body_temp_path {directory}/body; proxy_temp_path {directory}/temp;
  fastcgi_temp_path {directory}/fastcgi; uwsgi_temp_path {directory}/uwsgi;
  scgi_temp_path {directory}/scgi;
  include {directory}/trello-proxy.conf;
}}
"""


@dataclass(frozen=True, slots=True)
class Front:
    """Where it listens, and how to trust it."""

    plain_port: int
    tls_port: int
    trust: ssl.SSLContext
    session: aiohttp.ClientSession

    async def ask(
        self, method: str, target: str, name: str = NAMES[0], **options: Any
    ) -> tuple[aiohttp.ClientResponse, bytes]:
        """The answer to a request over TLS, the target as written."""
        url = URL(f"https://127.0.0.1:{self.tls_port}{target}", encoded=True)
        headers = {"Host": name, **options.pop("headers", {})}
        async with self.session.request(
            method, url, headers=headers, ssl=self.trust, server_hostname=name, **options
        ) as response:
            return response, await response.read()


def with_webhooks(text: str) -> str:
    """The example with its second server, which is commented out."""
    head, mark, rest = text.partition("# server {")
    return head + re.sub(r"(?m)^# ?", "", mark + rest)


def written(directory: Path, text: str, ports: tuple[int, int], proxy_port: int) -> Path:
    """The example with this machine's ports and a certificate of its own."""
    plain, tls = ports
    certificate, key = _certificate(directory)
    text = text.replace("listen 80;", f"listen 127.0.0.1:{plain};")
    text = text.replace("listen 443 ssl;", f"listen 127.0.0.1:{tls} ssl;")
    text = text.replace("server 127.0.0.1:8080;", f"server 127.0.0.1:{proxy_port};")
    text = re.sub(r"/etc/nginx/tls/[a-z.]+\.crt", str(certificate), text)
    text = re.sub(r"/etc/nginx/tls/[a-z.]+\.key", str(key), text)
    (directory / "trello-proxy.conf").write_text(text)
    user = f"user {getpass.getuser()};" if os.geteuid() == 0 else ""
    around = directory / "nginx.conf"
    around.write_text(_AROUND.format(directory=directory, user=user))
    return around


def judged(directory: Path, text: str) -> tuple[int, str]:
    """What nginx says to it."""
    around = written(directory, text, (free_port(), free_port()), 8080)
    return told(tool("nginx", CURE), "-t", "-q", "-e", "stderr", "-c", str(around))


@asynccontextmanager
async def front(directory: Path, proxy_port: int, text: str | None = None) -> AsyncIterator[Front]:
    """It runs, both its servers, until the context is left; `text`: another example's."""
    plain, tls = free_port(), free_port()
    text = with_webhooks(FILE.read_text()) if text is None else text
    around = written(directory, text, (plain, tls), proxy_port)
    log = directory / "error.log"
    process = _started(around, log)
    trust = ssl.create_default_context(cafile=str(directory / "tls.crt"))
    try:
        await _listening(tls, process, log)
        async with aiohttp.ClientSession(auto_decompress=False) as session:
            yield Front(plain, tls, trust, session)
    finally:
        process.terminate()
        process.wait(timeout=STARTED_S)


def _started(around: Path, log: Path) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([tool("nginx", CURE), "-e", str(log), "-c", str(around)])


async def _listening(port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    async with asyncio.timeout(STARTED_S):
        while process.poll() is None:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(BREATH_S)
                continue
            writer.close()
            await writer.wait_closed()
            return
    raise RuntimeError(f"nginx ended; {log} says why")


def _certificate(directory: Path) -> tuple[Path, Path]:
    certificate, key = directory / "tls.crt", directory / "tls.key"
    names = ",".join(f"DNS:{name}" for name in (*NAMES, "api.trello.com"))
    made = told(
        *(tool("openssl", CURE), "req", "-x509", "-newkey", "ec", "-nodes", "-days", "2"),
        *("-pkeyopt", "ec_paramgen_curve:prime256v1", "-subj", f"/CN={NAMES[0]}"),
        *("-addext", f"subjectAltName={names}", "-keyout", str(key), "-out", str(certificate)),
    )
    if made[0] != 0:
        raise RuntimeError(made[1])
    return certificate, key

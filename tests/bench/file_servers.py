"""The programs that serve files: this proxy; nginx, with its cache and with a static file."""

import getpass
import os
import sys
from pathlib import Path

from tests.bench.file_origin import BLOCK
from tests.bench.servers import (
    OTHER_CORE,
    Bench,
    Server,
    nginx_program,
)
from tests.redis_server import free_port

_PROXY = """\
listen: 127.0.0.1:{port}
upstream: {{url: "{origin}", storage_hosts: ["127.0.0.1:{origin_port}"]}}
cache: {{directory: {directory}}}
attachments: {{disk: 4GiB}}
routes: [{{match: /boards/*/cards, lifetime: 1h}}, {{match: /cards/*/attachments/*, lifetime: 1h}}]
freshness: {{watch: off}}
limits: {{token: 1000000/1s, key: 1000000/1s}}
"""

_NGINX = """\
daemon off;
worker_processes 1;
{user}
pid {directory}/nginx.pid;
error_log {directory}/error.log warn;
events {{ worker_connections 4096; }}
http {{
  access_log {directory}/access.log combined buffer=64k flush=1s;
  sendfile on; tcp_nopush on; tcp_nodelay on;
  keepalive_timeout 75s; keepalive_requests 100000000;
  default_type application/octet-stream;
  client_body_temp_path {directory}/body; proxy_temp_path {directory}/temp;
  fastcgi_temp_path {directory}/fastcgi; uwsgi_temp_path {directory}/uwsgi;
  scgi_temp_path {directory}/scgi;
  proxy_cache_path {directory}/cache levels=1:2 keys_zone=files:64m max_size=4g inactive=1h
    use_temp_path=off;
  server {{
    listen 127.0.0.1:{port} backlog=1024;
    location ~ ^/1/cards/[^/]+/attachments/([0-9a-f]+)/download {{
      proxy_pass http://127.0.0.1:{origin_port}/files/$1;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_cache files;
      proxy_cache_key $1;
      proxy_cache_lock on;
      proxy_cache_lock_timeout 60s;
      proxy_cache_lock_age 60s;
      proxy_cache_valid 200 1h;
    }}
    location /static/ {{ alias {files}/; }}
  }}
}}
"""


class FileBench(Bench):
    """Starts the servers of this benchmark."""

    def __enter__(self) -> "FileBench":
        super().__enter__()
        return self

    def origin(self) -> Server:
        """The stand-in for Trello and its storage."""
        port = free_port()
        command = [sys.executable, "-m", "tests.bench.file_origin", str(port)]
        return self._start("origin", port, command, OTHER_CORE)

    def file_proxy(self, origin: Server) -> Server:
        """This proxy, as an operator would start it."""
        port, directory = free_port(), self._new("proxy")
        config = directory / "proxy.yaml"
        config.write_text(
            _PROXY.format(
                port=port,
                origin=origin.url,
                origin_port=origin.port,
                directory=directory / "cache",
            )
        )
        command = [sys.executable, "-m", "proxy", "serve", "--config", str(config)]
        return self._start("proxy", port, command)

    def file_nginx(self, origin: Server) -> Server | None:
        """nginx, or None where there is none; `static` is where its files lie."""
        program = nginx_program()
        if program is None:
            return None
        port, directory = free_port(), self._new("nginx")
        directory.chmod(0o755)
        self.directory.chmod(0o755)
        config = directory / "nginx.conf"
        config.write_text(
            _NGINX.format(
                port=port,
                origin_port=origin.port,
                directory=directory,
                files=self.static,
                user=f"user {getpass.getuser()};" if os.geteuid() == 0 else "",
            )
        )
        return self._start(
            "nginx", port, [program, "-c", str(config), "-e", str(directory / "error.log")]
        )

    @property
    def static(self) -> Path:
        """Where static files are put."""
        path = self.directory / "static"
        path.mkdir(exist_ok=True)
        return path

    def put_static(self, name: str, length: int) -> None:
        """A file like the origin's."""
        with (self.static / name).open("wb") as file:
            for at in range(0, length, len(BLOCK)):
                file.write(BLOCK[: length - at])

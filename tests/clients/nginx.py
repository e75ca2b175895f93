"""A real nginx that fails in its own ways: its error pages, its limits, and upstreams of its own that break.

Owns the configuration and the process, nothing outside of `folder`: unprivileged, one process, on loopback. Knows no
case beyond the locations it names. Used by the fixtures in conftest.
"""

import contextlib
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.clients.stage import running, warm_up

# One process without a master: if the tests run as root, workers would become a user who cannot read `folder`.
# $http_x_call is the id of a call, so that the log tells how often each was made.
CONFIG = """
daemon off;
master_process off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 512; }}
http {{
    log_format calls '$http_x_call';
    access_log {folder}/calls.log calls;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;

    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_next_upstream off;
    limit_req_zone $server_name zone=few:64k rate=1r/m;

    server {{
        listen 127.0.0.1:{port};
        server_name few;

        location /engine/ {{ proxy_pass http://127.0.0.1:{engine}/; proxy_buffering off; }}
        location /zipped/ {{
            proxy_pass http://127.0.0.1:{engine}/;
            gzip on; gzip_proxied any; gzip_min_length 1; gzip_types application/json text/plain;
        }}
        location /slow/ {{ proxy_pass http://127.0.0.1:{engine}/; proxy_read_timeout 1s; }}
        location /dead/ {{ proxy_pass http://127.0.0.1:{dead}/; }}
        location /sorry/ {{
            proxy_pass http://127.0.0.1:{dead}/;
            error_page 502 =200 @sorry;
        }}
        location @sorry {{ default_type text/html; return 200 "<html><h1>Back soon</h1></html>"; }}
        location /small/ {{ proxy_pass http://127.0.0.1:{engine}/; client_max_body_size 1k; }}
        location /limited/ {{ limit_req zone=few; proxy_pass http://127.0.0.1:{engine}/; }}
        location /limited-429/ {{ limit_req zone=few; limit_req_status 429; proxy_pass http://127.0.0.1:{engine}/; }}
        location /private/ {{
            auth_basic "models";
            auth_basic_user_file {folder}/users;
            proxy_pass http://127.0.0.1:{engine}/;
        }}
        location /denied/ {{ deny all; proxy_pass http://127.0.0.1:{engine}/; }}
        location /static/ {{ alias {folder}/static/; }}
        location /missing/ {{ root {folder}/nothing; }}
        location /closed/ {{ return 503; }}
        location /broken/ {{ return 500; }}
        location /hung-up/ {{ return 444; }}
    }}
}}
"""


@dataclass(frozen=True, slots=True)
class Nginx:
    """A running nginx. `version` is like `nginx/1.22.1`."""

    port: int
    folder: Path
    version: str

    def spend(self) -> None:
        """Use up what `limit_req` allows for the next minute, so that every call is beyond it."""
        for _ in range(2):
            warm_up(f"http://127.0.0.1:{self.port}", "/limited/v1/models")

    def calls(self) -> Counter[str]:
        """How often each call came."""
        return Counter((self.folder / "calls.log").read_text("utf-8").split("\n"))


@dataclass(frozen=True, slots=True)
class Front:
    """A real nginx before the engine, and the URL of a Postel before that nginx."""

    nginx: Nginx
    url: str


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextlib.contextmanager
def nginx(program: str, folder: Path, engine: int, dead: int) -> Iterator[Nginx]:
    """Start it in front of the engine's port and of a port where nobody listens."""
    port = free_port()
    (folder / "static/v1/chat").mkdir(parents=True)
    (folder / "static/v1/chat/completions").write_text("a file")
    (folder / "users").write_text("")
    config = folder / "nginx.conf"
    config.write_text(CONFIG.format(folder=folder, port=port, engine=engine, dead=dead))
    version = subprocess.run([program, "-v"], capture_output=True, text=True, check=True).stderr.split()[-1]
    with running([program, "-p", folder, "-c", config], folder / "nginx.log") as process:
        deadline = time.monotonic() + 10
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            assert process.poll() is None, (folder / "nginx.log").read_text()
            assert time.monotonic() < deadline, "nginx does not listen"
            time.sleep(0.02)
        yield Nginx(port, folder, version)

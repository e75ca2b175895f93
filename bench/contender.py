"""The processes of a run: the engine, the proxies that are compared, and what each has used so far.

Knows how each is started, nothing of what is measured. Called by all that measures.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
POSTEL, BARE, STOCK, NGINX, DIRECT = "Postel", "bare mitmproxy", "stock mitmdump", "nginx", "direct"

# One process without a master: run by root, a worker would become a user who cannot read the folder.
NGINX_CONF = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    keepalive_requests 1000000;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    upstream engine {{ server 127.0.0.1:{engine}; keepalive 256; }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://engine;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_buffering off;
        }}
    }}
}}
"""


@dataclass(frozen=True, slots=True)
class Contender:
    """One way to the engine. `pid` is the proxy's."""

    name: str
    port: int
    pid: int

    def cpu(self) -> float:
        """CPU seconds used so far, in nanosecond steps where /proc has hundredths: `clock_getcpuclockid(3)` by hand."""
        return time.clock_gettime(~self.pid << 3 | 2)

    def rss(self) -> float:
        """Resident KiB."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0])


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@contextlib.contextmanager
def _listening(name: str, command: list[str], port: int) -> Iterator[Contender]:
    """Run `command` until it listens on `port`; end it afterwards."""
    child = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(300):
            with socket.socket() as sock:
                if sock.connect_ex(("127.0.0.1", port)) == 0:
                    break
            if child.poll() is not None:
                raise SystemExit(f"ended before it listened: {' '.join(command)}")
            time.sleep(0.1)
        yield Contender(name, port, child.pid)
    finally:
        child.terminate()
        child.wait()


@contextlib.contextmanager
def engine() -> Iterator[Contender]:
    """The engine itself, which is also the contender without a proxy."""
    port = free_port()
    with _listening(DIRECT, [sys.executable, "-m", "bench.upstream", str(port)], port) as direct:
        yield direct


@contextlib.contextmanager
def proxy(name: str, behind: Contender) -> Iterator[Contender]:
    """The proxy of that name in front of the engine."""
    port, upstream = free_port(), f"http://127.0.0.1:{behind.port}"
    with tempfile.TemporaryDirectory() as folder:
        commands = {
            POSTEL: [sys.executable, "-m", "postel", "run", "--upstream", upstream, "--listen", f"127.0.0.1:{port}"],
            BARE: [sys.executable, "-m", "bench.bare", str(behind.port), str(port), folder],
            STOCK: [
                *(sys.executable, "-c", "from mitmproxy.tools.main import mitmdump; mitmdump()"),
                *("--mode", f"reverse:{upstream}", "--listen-host", "127.0.0.1", "--listen-port", str(port)),
                *("--set", f"confdir={folder}", "--set", "connection_strategy=lazy"),
            ],
            NGINX: [nginx() or "nginx", "-p", folder, "-c", f"{folder}/nginx.conf"],
        }
        Path(folder, "nginx.conf").write_text(NGINX_CONF.format(folder=folder, port=port, engine=behind.port))
        with _listening(name, commands[name], port) as contender:
            yield contender


def nginx() -> str | None:
    """Where nginx is, if it is installed; servers live in sbin, which is not on every user's PATH."""
    return shutil.which(
        NGINX, path=os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin"])
    )


def client(module: str, *args: object) -> dict[str, float]:
    """Run a load client of this folder; gives what it has measured."""
    command = [sys.executable, "-m", f"bench.{module}", *map(str, args)]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stderr}")
    answer: dict[str, float] = json.loads(done.stdout)
    return answer

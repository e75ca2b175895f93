"""Postel beside a bare mitmproxy and stock mitmdump, in one run.

    make bench                    (or: python bench/compare.py --rounds 5 --seconds 2)

Machines are noisy, so nothing here is an absolute claim: rounds are interleaved, the figure is the median of the
rounds' ratios to bare mitmproxy, and CPU per answer (of the proxy's process, from /proc) stands beside answers per
second. Latency is measured at half of what the slowest proxy managed, paced, as what the proxy adds to a direct call.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
PATHS = {
    "healthy JSON": "/v1/json",
    "nginx 502 page": "/v1/html",
    "vLLM error": "/v1/overflow",
    "200 events": "/v1/events",
}
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(slots=True)
class Proxy:
    """One contender; `samples` has (answers a second, CPU milliseconds an answer) per path and round."""

    name: str
    port: int
    pid: int
    samples: dict[str, list[tuple[float, float]]] = field(default_factory=dict)

    def cpu(self) -> float:
        """CPU seconds used so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def rss(self) -> float:
        """Resident MiB."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) / 1024


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@contextlib.contextmanager
def process(command: list[str], port: int) -> Iterator[int]:
    """Run `command` until it listens on `port`; gives its pid and ends it afterwards."""
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(300):
            with socket.socket() as sock:
                if sock.connect_ex(("127.0.0.1", port)) == 0:
                    break
            if child.poll() is not None:
                raise SystemExit(f"ended before it listened: {' '.join(command)}")
            time.sleep(0.1)
        yield child.pid
    finally:
        child.terminate()
        child.wait()


def load(port: int, path: str, connections: int, seconds: float, rate: float = 0) -> dict[str, float]:
    command = [sys.executable, str(HERE / "load.py"), str(port), path, str(connections), str(seconds), str(rate)]
    answer: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return answer


def measure(proxies: list[Proxy], rounds: int, seconds: float) -> None:
    """Interleaved rounds; the first of each path only warms up."""
    for path in PATHS.values():
        for number in range(rounds + 1):
            for proxy in proxies:
                before = proxy.cpu()
                got = load(proxy.port, path, 16, seconds)
                if number:
                    cpu = (proxy.cpu() - before) * 1000 / got["answers"]
                    proxy.samples.setdefault(path, []).append((got["answers"] / got["seconds"], cpu))


def ratios(proxy: Proxy, bare: Proxy, path: str) -> tuple[float, float]:
    """Medians over the rounds of throughput against bare, and of bare's CPU against ours (more is better in both)."""
    pairs = list(zip(proxy.samples[path], bare.samples[path], strict=True))
    return statistics.median(a[0] / b[0] for a, b in pairs), statistics.median(b[1] / a[1] for a, b in pairs)


def report(proxies: list[Proxy], direct: int, seconds: float) -> None:
    bare = next(proxy for proxy in proxies if proxy.name == "bare mitmproxy")
    print(
        "\nAgainst bare mitmproxy (1.00): answers/s, and answers per CPU second. In brackets: answers/s, CPU ms each.\n"
    )
    print("| | " + " | ".join(proxy.name for proxy in proxies) + " |")
    print("| --- " * (len(proxies) + 1) + "|")
    for name, path in PATHS.items():
        cells = []
        for proxy in proxies:
            speed, cpu = ratios(proxy, bare, path)
            rate = statistics.median(sample[0] for sample in proxy.samples[path])
            each = statistics.median(sample[1] for sample in proxy.samples[path])
            cells.append(f"{speed:.2f} · {cpu:.2f} ({rate:.0f}/s, {each:.2f} ms)")
        print(f"| {name} | " + " | ".join(cells) + " |")
    print("| RSS after the run | " + " | ".join(f"{proxy.rss():.0f} MiB" for proxy in proxies) + " |")
    rate = min(statistics.median(sample[0] for sample in proxy.samples["/v1/json"]) for proxy in proxies) / 2
    straight = load(direct, "/v1/json", 8, seconds, rate)
    print(f"\nAdded latency of healthy JSON at {rate:.0f} answers/s (half of the slowest), milliseconds:\n")
    print("| | p50 | p99 |\n| --- | --- | --- |")
    for proxy in proxies:
        got = load(proxy.port, "/v1/json", 8, seconds, rate)
        print(f"| {proxy.name} | {got['p50'] - straight['p50']:.2f} | {got['p99'] - straight['p99']:.2f} |")
    print(f"\nDirect: p50 {straight['p50']:.2f} ms, p99 {straight['p99']:.2f} ms.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0)
    args = parser.parse_args()
    engine, ports = free_port(), [free_port() for _ in range(3)]
    python, upstream = sys.executable, f"http://127.0.0.1:{engine}"
    with contextlib.ExitStack() as stack:
        stack.enter_context(process([python, str(HERE / "upstream.py"), str(engine)], engine))
        confdir = stack.enter_context(tempfile.TemporaryDirectory())
        commands = {
            "Postel": [python, "-m", "postel", "run", "--upstream", upstream, "--listen", f"127.0.0.1:{ports[0]}"],
            "bare mitmproxy": [python, str(HERE / "bare.py"), str(engine), str(ports[1]), confdir],
            "stock mitmdump": [
                *(python, "-c", "from mitmproxy.tools.main import mitmdump; mitmdump()"),
                *("--mode", f"reverse:{upstream}", "--listen-host", "127.0.0.1", "--listen-port", str(ports[2])),
                *("--set", f"confdir={confdir}", "--set", "connection_strategy=lazy"),
            ],
        }
        proxies = [
            Proxy(name, port, stack.enter_context(process(command, port)))
            for (name, command), port in zip(commands.items(), ports, strict=True)
        ]
        measure(proxies, args.rounds, args.seconds)
        report(proxies, engine, args.seconds)


if __name__ == "__main__":
    main()

"""What an open stream that says nothing costs in memory: 1,000 of them, in a proxy that has done nothing else.

A used process would hide it: memory that was given back stays with the process and is used again.
"""

from __future__ import annotations

import contextlib
import resource
import socket
from collections.abc import Sequence

from bench import chat
from bench.contender import Contender, proxy
from bench.rounds import table

QUIET = 600  # seconds to the next event: longer than any run
OTHERS = 200  # files that a process has open beside its streams


def file_limit(streams: int) -> int:
    """Let this process, and those it starts, open what `streams` need; gives how many they can be."""
    needed = 2 * streams + OTHERS  # a proxy has two connections for each
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    if soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    if most == needed:
        return streams
    fewer = max(1, (hard - OTHERS) // 2)
    print(
        f"\n{streams} streams need {needed} open files, the hard limit is {hard}: {fewer} streams instead. To raise it:"
        f" `ulimit -Hn {needed}` as root, `docker run --ulimit nofile={needed}`, or LimitNOFILE= of a systemd unit."
    )
    return fewer


def open_stream(port: int) -> socket.socket:
    """A stream that is past its first event with output."""
    sock = socket.create_connection(("127.0.0.1", port), timeout=30)
    sock.sendall(chat.ask(f"events=2&gap={QUIET}"))
    got = b""
    while not chat.STAMP.search(got):
        data = sock.recv(65536)
        if not data:
            raise SystemExit(f"no stream: {got!r}")
        got += data
    return sock


def _idle(contender: Contender, streams: int) -> list[str]:
    first = streams // 10  # with them come costs of the first use of everything
    start = contender.rss()
    with contextlib.ExitStack() as all_:
        for _ in range(first):
            all_.enter_context(open_stream(contender.port))
        before = contender.rss()
        for _ in range(streams - first):
            all_.enter_context(open_stream(contender.port))
        after = contender.rss()
    each = (after - before) / (streams - first)
    return [f"{start / 1024:.0f} MiB", f"{after / 1024:.0f} MiB", f"{each:.1f} KiB"]


def compare(direct: Contender, names: Sequence[str], streams: int) -> None:
    rows = []
    for name in names:
        with proxy(name, direct) as fresh:
            rows.append([name, *_idle(fresh, streams)])
    print(f"\nMemory (RSS) with {streams} idle streams, each asked for with 2 kB:\n")
    table(["", "at start", f"with {streams}", "each"], *rows)

"""Postel beside a bare mitmproxy, stock mitmdump and, where it is installed, nginx, in one run. Linux only.

    make bench                                               everything
    make bench ARGS="--only streams --rounds 3 --seconds 2"  a part of it

Machines are noisy, so nothing here is an absolute claim: rounds are interleaved, the figure is the median of the
rounds' ratios to bare mitmproxy, and CPU of the proxy's process stands beside things per second. Lateness is measured
at half load, as what the proxy adds to a direct call.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
from importlib.metadata import version

from bench import answers, memory, streams
from bench.contender import BARE, NGINX, POSTEL, STOCK, engine, nginx, proxy


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=("answers", "streams"), help="this part alone")
    parser.add_argument("--rounds", type=int, default=3, help="measured rounds, after one that warms up")
    parser.add_argument("--seconds", type=float, default=2.0, help="length of one measurement")
    parser.add_argument("--idle", type=int, default=1000, metavar="STREAMS", help="streams to hold open for the memory")
    args = parser.parse_args()
    if args.rounds < 1 or args.seconds < 0.5 or args.idle < 10:
        parser.error("at least 1 round, 0.5 seconds (a few short streams, one after another) and 10 idle streams")
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    print(
        f"{os.cpu_count()} cores, {platform.python_implementation()} {platform.python_version()},"
        f" mitmproxy {version('mitmproxy')}; load averages before: {load}; medians of {args.rounds} interleaved rounds"
        f" of {args.seconds:g} s."
    )
    idle = memory.file_limit(args.idle)  # before the processes that are to inherit it
    with engine() as direct:
        with contextlib.ExitStack() as stack:
            proxies = {name: stack.enter_context(proxy(name, direct)) for name in (POSTEL, BARE, STOCK)}
            if args.only != "streams":
                answers.compare(direct, list(proxies.values()), args.rounds, args.seconds)
            if args.only != "answers":
                if nginx():
                    proxies[NGINX] = stack.enter_context(proxy(NGINX, direct))
                streams.compare(direct, proxies, args.rounds, args.seconds)
        if args.only != "answers":
            memory.compare(direct, (POSTEL, BARE), idle)


if __name__ == "__main__":
    main()

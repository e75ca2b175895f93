"""Whole answers: how many a second, at what CPU, and how much later than from the engine itself."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from bench.contender import BARE, Contender, client
from bench.rounds import Sample, cell, interleaved, table

PATHS = {"healthy JSON": "/v1/json", "nginx 502 page": "/v1/html", "vLLM error": "/v1/overflow"}


def sample(contender: Contender, path: str, seconds: float, things: int = 1) -> Sample:
    """Load at full speed; an answer is `things` things."""
    before = contender.cpu()
    got = client("load", contender.port, path, 16, seconds)
    count = got["answers"] * things
    return Sample(count / got["seconds"], (contender.cpu() - before) / count)


def compare(direct: Contender, proxies: Sequence[Contender], rounds: int, seconds: float) -> None:
    got = {
        name: interleaved(proxies, rounds, lambda contender, path=path: sample(contender, path, seconds))  # type: ignore[misc]
        for name, path in PATHS.items()
    }
    print("\nAnswers. Against bare mitmproxy (1.00): answers/s · answers per CPU second (answers/s, CPU each).\n")
    table(
        ["", *(proxy.name for proxy in proxies)],
        *(
            [name, *(cell(samples[proxy.name], samples[BARE], "ms") for proxy in proxies)]
            for name, samples in got.items()
        ),
        ["RSS after the run", *(f"{proxy.rss() / 1024:.0f} MiB" for proxy in proxies)],
    )
    rate = min(median(sample.rate for sample in samples) for samples in got["healthy JSON"].values()) / 2
    straight, *through = (client("load", each.port, "/v1/json", 8, seconds, rate) for each in (direct, *proxies))
    print(f"\nAdded latency of healthy JSON at {rate:.0f} answers/s (half of the slowest), milliseconds:\n")
    table(
        ["", "p50", "p99"],
        *(
            [proxy.name, f"{late['p50'] - straight['p50']:.2f}", f"{late['p99'] - straight['p99']:.2f}"]
            for proxy, late in zip(proxies, through, strict=True)
        ),
    )
    print(f"\nDirect: p50 {straight['p50']:.2f} ms, p99 {straight['p99']:.2f} ms.")

"""Streams of chat chunks: events a second, CPU of an event that comes alone, and how much later events arrive.

Half load is as many streams, with an event each 20 ms like one from a busy engine, as keep the core of the slower of
Postel and bare mitmproxy half busy. Lateness is read there, and stated as what a proxy adds to the engine's own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from bench.answers import sample
from bench.contender import BARE, DIRECT, POSTEL, STOCK, Contender, client
from bench.rounds import Sample, cell, interleaved, paired, table

EVENTS, SHORT, GAP = 200, 10, 0.02
LATENESS = {"first": "first event", "late": "each event", "gap": "gap between two"}

type Rounds = dict[str, list[dict[str, float]]]


@dataclass(frozen=True, slots=True)
class Streams:
    """The measurements of one run; `engine` is where readers ask for the next event."""

    engine: int
    seconds: float

    def one_by_one(self, contender: Contender) -> Sample:
        """Each event leaves the engine when the reader has the one before it, so none ever shares a read."""
        before = contender.cpu()
        got = client("readers", contender.port, 16, self.seconds, EVENTS, 0, self.engine)
        return Sample(got["rate"], (contender.cpu() - before) / got["events"])

    def short(self, contender: Contender, readers: int) -> dict[str, float]:
        """Short streams, one after another: many beginnings."""
        return self._paced(contender, readers, SHORT)

    def long(self, contender: Contender, readers: int) -> dict[str, float]:
        """One stream for each reader, so that hardly any CPU goes into beginnings."""
        return self._paced(contender, readers, max(2, math.ceil(self.seconds / GAP)))

    def _paced(self, contender: Contender, readers: int, events: int) -> dict[str, float]:
        before = contender.cpu()
        got = client("readers", contender.port, readers, self.seconds, events, GAP, self.engine)
        return got | {"cpu": (contender.cpu() - before) / got["events"]}


def half_load(run: Callable[[Contender, int], dict[str, float]], proxies: Sequence[Contender]) -> int:
    """How many readers keep the slowest one's core half busy."""
    return max(1, round(0.5 * GAP / max(run(proxy, 16)["cpu"] for proxy in proxies)))


def compare(direct: Contender, proxies: Mapping[str, Contender], rounds: int, seconds: float) -> None:
    """Stock mitmdump buffers, so it has no part in what comes one by one; nginx is there for the lateness only."""
    streams = Streams(direct.port, seconds)
    ours, ways = [proxies[POSTEL], proxies[BARE]], [proxy for name, proxy in proxies.items() if name != STOCK]
    burst = interleaved([*ours, proxies[STOCK]], rounds, lambda way: sample(way, f"?events={EVENTS}", seconds, EVENTS))
    lone = interleaved(ours, rounds, streams.one_by_one)
    print(
        f"\nStreams of {EVENTS} events. Against bare mitmproxy (1.00): events/s · events per CPU second"
        " (events/s, CPU each).\n"
    )
    table(
        ["", *burst],
        ["in one burst", *(cell(samples, burst[BARE], "µs") for samples in burst.values())],
        ["one by one", *(cell(samples, lone[BARE], "µs") for samples in lone.values()), "it buffers"],
    )
    few, many = half_load(streams.short, ours), half_load(streams.long, ours)
    begun = interleaved([direct, *ways], rounds, lambda way: streams.short(way, few), warm_up=False)
    got = interleaved([direct, *ways], rounds, lambda way: streams.long(way, many), warm_up=False)
    print(
        f"\nAt half load ({many} streams with an event each {GAP * 1000:.0f} ms; for the first event {few}, of {SHORT}"
        " events each and followed by the next): milliseconds added to a direct call, and CPU of an event that comes"
        " alone (events per CPU second against bare).\n"
    )
    table(
        ["", *(f"{name} p{share}" for name in LATENESS.values() for share in (50, 99)), "CPU"],
        *([way.name, *_added(begun, got, way.name), _cpu(got, way.name)] for way in ways),
    )
    straight = ", ".join(
        f"{LATENESS[name]} {_middle(rows, f'{name}_p50'):.2f} and {_middle(rows, f'{name}_p99'):.2f}"
        for name, rows in _rows(begun, got, DIRECT)
    )
    print(f"\nDirect, p50 and p99: {straight} ms.")


def _rows(begun: Rounds, got: Rounds, name: str) -> list[tuple[str, list[dict[str, float]]]]:
    return [("first", begun[name]), ("late", got[name]), ("gap", got[name])]


def _steady(milliseconds: float) -> float:
    return round(milliseconds, 2) + 0.0  # no -0.00


def _middle(rows: list[dict[str, float]], name: str) -> float:
    return _steady(median(row[name] for row in rows))


def _added(begun: Rounds, got: Rounds, name: str) -> list[str]:
    return [
        f"{_steady(median(ours[key] - direct[key] for ours, direct in zip(rows, straight, strict=True))):+.2f}"
        for (reading, rows), (_, straight) in zip(_rows(begun, got, name), _rows(begun, got, DIRECT), strict=True)
        for key in (f"{reading}_p50", f"{reading}_p99")
    ]


def _cpu(got: Rounds, name: str) -> str:
    ours, bare = [row["cpu"] for row in got[name]], [row["cpu"] for row in got[BARE]]
    return f"{median(ours) * 1e6:.0f} µs ({paired(bare, ours):.2f})"

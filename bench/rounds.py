"""Interleaved rounds, and what they say side by side.

Machines are noisy: a contender is compared with the one that ran next to it in the same round, and the figure is the
median of the rounds' ratios.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from bench.contender import Contender


@dataclass(frozen=True, slots=True)
class Sample:
    """What one contender did in one round: things a second, and CPU seconds for each."""

    rate: float
    cpu: float


def interleaved[T](
    contenders: Sequence[Contender], rounds: int, run: Callable[[Contender], T], *, warm_up: bool = True
) -> dict[str, list[T]]:
    """What `run` gave for each contender, by name, round by round. A round to warm up goes before and is forgotten."""
    got: dict[str, list[T]] = {contender.name: [] for contender in contenders}
    for number in range(rounds + warm_up):
        for contender in contenders:
            result = run(contender)
            if number >= warm_up:
                got[contender.name].append(result)
    return got


def paired(ours: Sequence[float], others: Sequence[float]) -> float:
    """The median of the ratios of two that ran side by side."""
    return median(our / other for our, other in zip(ours, others, strict=True))


def cell(ours: Sequence[Sample], bare: Sequence[Sample], unit: str) -> str:
    """Rate and CPU against bare, more being better in both; then the figures themselves, CPU in `unit` (ms or µs)."""
    speed = paired([sample.rate for sample in ours], [sample.rate for sample in bare])
    thrift = paired([sample.cpu for sample in bare], [sample.cpu for sample in ours])
    rate, cpu = median(sample.rate for sample in ours), median(sample.cpu for sample in ours)
    each = f"{cpu * 1e3:.2f} ms" if unit == "ms" else f"{cpu * 1e6:.0f} µs"
    return f"{speed:.2f} · {thrift:.2f} ({rate:.0f}/s, {each})"


def table(*rows: Sequence[str]) -> None:
    """Print a table; the first row is its head."""
    head, *body = [f"| {' | '.join(row)} |" for row in rows]
    print("\n".join([head, "| " + " | ".join("---" for _ in rows[0]) + " |", *body]))

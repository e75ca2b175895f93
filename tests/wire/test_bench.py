"""The benchmark's streams pass, or its figures would be those of errors."""

from __future__ import annotations

import pytest

from bench.contender import BARE, POSTEL, client, engine, proxy
from bench.memory import open_stream


@pytest.mark.parametrize("name", [POSTEL, BARE])
def test_streams_of_the_benchmark_come_whole_in_a_burst_one_by_one_and_paced(name: str) -> None:
    with engine() as direct, proxy(name, direct) as way, open_stream(way.port):
        assert client("load", way.port, "?events=200", 1, 0)["answers"] >= 1
        assert client("readers", way.port, 2, 0.1, 20, 0, direct.port)["events"] >= 40
        paced = client("readers", way.port, 2, 0.2, 5, 0.01, direct.port)

    assert {"late_p50", "late_p99", "gap_p50", "gap_p99", "first_p50", "first_p99"} < paced.keys()

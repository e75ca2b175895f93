import pytest

from postel import demo
from postel.misbehave import SCRIPTS
from tests.wire.harness import wired


@wired
async def test_the_table_shows_every_failure_before_and_after(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "PATIENCE", 0.4)
    monkeypatch.setenv("COLUMNS", "200")

    header, *rows = (await demo.compare()).splitlines()

    assert ["failure", "without Postel", "with Postel"] == [part.strip() for part in header.split("  ") if part.strip()]
    assert [script.summary for script in SCRIPTS.values()] == [
        next(script.summary for script in SCRIPTS.values() if row.startswith(f"{script.summary}  ")) for row in rows
    ]
    told = dict(zip(SCRIPTS, rows, strict=True))
    assert "connection closed without an answer" in told["closed"]
    assert "no answer in" in told["slow"]
    assert "504 timeout" in told["slow"]
    assert "502 bad_gateway" in told["garbage"]
    assert "retry after 7 s" in told["busy"]
    assert told["healthy"].count("200 {") == 2
    assert max(len(row) for row in rows) <= 200


def test_a_narrow_table_is_cut_and_not_wrapped() -> None:
    lines = demo.table([("a failure", "x" * 100, "y" * 100)], 60).splitlines()

    assert [60] * 1 == [len(line) for line in lines[1:]]
    assert 2 == lines[1].count("…")

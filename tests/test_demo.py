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


ROWS = [demo.Row("short", "a failure in a few words", "x" * 200, "y" * 200)]


@pytest.mark.parametrize("width", [120, 200])
def test_a_wide_table_has_what_happened_in_words_and_both_answers_beside_it(width: int) -> None:
    _, row = demo.table(ROWS, width).splitlines()

    assert row.startswith("a failure in a few words  x")
    assert (width, 2) == (len(row), row.count("…"))


@pytest.mark.parametrize("width", [60, 80, 119])
def test_a_narrow_table_has_the_name_and_both_answers_below_each_other(width: int) -> None:
    header, below, before, after = demo.table(ROWS, width).splitlines()

    assert ["failure  - without Postel", "         + with Postel"] == [header, below]
    assert ["short    - xx", "         + yy"] == [before[:13], after[:13]]
    assert [width, width] == [len(before), len(after)]


def test_in_80_columns_it_can_be_told_what_a_client_sees() -> None:
    longest = max(SCRIPTS, key=len)
    telling = "502 bad_gateway: The model server's answer is not HTTP."

    assert telling in demo.table([demo.Row(longest, "", "", telling)], 80)

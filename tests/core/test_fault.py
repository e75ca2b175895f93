import pytest

from postel.core.fault import BASE, TELLS_WAIT, FaultRow, Faults

FAULTS = Faults({**BASE, "finer": FaultRow(), "finest": FaultRow()}, {"finer": "rate_limited", "finest": "finer"})


def test_there_are_32_base_faults_and_each_row_is_complete() -> None:
    assert 32 == len(BASE)
    for row in BASE.values():
        assert row.status is not None
        assert None not in (row.message, row.retryable, row.retry_after, row.blame)


def test_a_status_is_an_error_of_the_side_that_is_to_blame() -> None:
    assert {"client"} == {row.blame for row in BASE.values() if row.status and row.status < 500}
    assert "client" not in {row.blame for row in BASE.values() if row.status and row.status >= 500}


def test_a_fault_with_a_wait_can_be_retried() -> None:
    assert set() == {name for name, row in BASE.items() if row.retry_after and not row.retryable}
    assert TELLS_WAIT <= set(BASE)


def test_lineage_leads_from_a_fault_to_its_base() -> None:
    assert ("finest", "finer", "rate_limited") == FAULTS.lineage("finest")
    assert ("timeout",) == FAULTS.lineage("timeout")
    assert "rate_limited" == FAULTS.base("finest")


def test_faults_are_a_collection_of_names() -> None:
    assert "finer" in FAULTS
    assert "made_up" not in FAULTS
    assert set(FAULTS) == {*BASE, "finer", "finest"}


def test_an_unknown_fault_has_no_lineage() -> None:
    with pytest.raises(KeyError):
        FAULTS.lineage("made_up")

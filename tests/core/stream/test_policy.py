"""The numbers of the contract on streams (DESIGN section 6)."""

from math import inf

from postel.core.stream.policy import REPAIRS, StreamPolicy


def test_the_defaults_are_those_that_the_documents_promise() -> None:
    policy = StreamPolicy()

    assert (590, 120, 590, inf) == (
        policy.first_output_timeout,
        policy.idle_timeout,
        policy.comment_timeout,
        policy.total_timeout,
    )
    assert (30, 64 * 1024) == (policy.hold_time, policy.hold_bytes)
    assert (False, False, None) == (policy.strict, policy.done_after_error, policy.keepalive)


def test_every_repair_is_on_unless_it_is_switched_off() -> None:
    assert {"empty_data", "blank_line", "bom", "utf8"} == REPAIRS == StreamPolicy().repairs


def test_an_event_is_held_in_less_memory_than_all_exchanges_may_have_together() -> None:
    assert 64 * 1024 < StreamPolicy().event_bytes < 64 * 1024 * 1024

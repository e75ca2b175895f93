"""The moments after which a stream is given up."""

from math import inf

from postel.core.stream.clock import Clock
from postel.core.stream.policy import StreamPolicy

POLICY = StreamPolicy(first_output_timeout=90, idle_timeout=20, comment_timeout=50, hold_time=3, total_timeout=200)


def test_until_there_is_output_the_whole_patience_counts_from_the_request() -> None:
    clock = Clock(POLICY, asked=100, now=130)
    clock.heard = clock.event = 185

    assert 190 == clock.silent_at(spoken=False)


def test_afterwards_bytes_count_and_events_count_for_longer() -> None:
    clock = Clock(POLICY, asked=0, now=10)
    clock.heard = clock.event = 30
    assert 50 == clock.silent_at(spoken=True)

    clock.heard = 75  # comments
    assert 80 == clock.silent_at(spoken=True)


def test_after_the_protocols_last_event_only_a_grace_is_left() -> None:
    clock = Clock(POLICY, asked=0, now=0)
    clock.terminated = 7

    assert 12 == clock.silent_at(spoken=True)


def test_the_head_is_released_some_time_after_it_came_and_the_whole_ends_some_time_after_the_request() -> None:
    clock = Clock(POLICY, asked=100, now=110)

    assert (113, 300) == (clock.release_at, clock.total_by)


def test_what_was_the_clients_slowness_is_not_the_upstreams_silence() -> None:
    clock = Clock(POLICY, asked=0, now=0)
    clock.terminated = 1
    clock.excuse(40)

    assert (45, 40, 40, 40) == (clock.silent_at(spoken=True), clock.heard, clock.event, clock.sent)


def test_a_sign_of_life_is_due_only_where_one_was_asked_for() -> None:
    assert inf == Clock(POLICY, asked=0, now=0).quiet_at()
    assert 15 == Clock(StreamPolicy(keepalive=15), asked=0, now=0).quiet_at()

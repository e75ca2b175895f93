from hypothesis import given
from hypothesis import strategies as st

from postel import metrics
from postel.proxy.budget import TOTAL_HOLD, Budget, Held


def refusals() -> float:
    return float(metrics.HOLDS_REFUSED._value.get())


def test_all_holds_together_are_at_most_64_mib() -> None:
    assert 64 * 1024 * 1024 == TOTAL_HOLD == Budget().limit


def test_what_does_not_fit_is_refused_whole_and_counted() -> None:
    budget, before = Budget(limit=100), refusals()

    assert budget.take(60)
    assert not budget.take(41)
    assert budget.take(40)
    assert (100, before + 1) == (budget.held, refusals())


def test_what_is_given_back_can_be_taken_again() -> None:
    budget = Budget(limit=100)
    budget.take(100)
    budget.give(50)

    assert budget.take(50)
    assert not budget.take(1)


@given(st.lists(st.integers(0, 60), max_size=30))
def test_no_more_is_held_than_may_be(sizes: list[int]) -> None:
    budget = Budget(limit=100)
    taken = [size for size in sizes if budget.take(size)]

    assert sum(taken) == budget.held <= 100
    for size in taken:
        budget.give(size)
    assert 0 == budget.held


def test_a_body_that_is_refused_again_and_again_is_counted_once() -> None:
    before = refusals()
    held = Held(Budget(limit=10))

    assert [False, True, False] == [held.take(size) for size in (11, 10, 1)]
    assert before + 1 == refusals()

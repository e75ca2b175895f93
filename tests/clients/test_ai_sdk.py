"""The AI SDK throws nothing: a failure is an `error` part of its stream, and `onError` is told the same."""

from collections.abc import Callable

import pytest

from tests.clients.case import Broken, Case, Failure, Whole
from tests.clients.forms import FAILED, text
from tests.clients.playbook import CASES, can_make
from tests.clients.stage import AI_SDKS, Outcome
from tests.clients.test_streams import BOUND, told

Of = Callable[[str, Case], Outcome]
Witness = Callable[[Outcome, Case], int]


def each[T: Case](kind: type[T]) -> pytest.MarkDecorator:
    """Every case of a kind, with every provider that has its operation."""
    pairs = [
        (client, case) for client in AI_SDKS for case in CASES if isinstance(case, kind) and can_make(client, case)
    ]
    return pytest.mark.parametrize(("client", "case"), pairs, ids=[f"{client}-{case.name}" for client, case in pairs])


@each(Broken)
def test_a_broken_stream_has_its_text_and_one_error(client: str, case: Broken, outcome: Of, witness: Witness) -> None:
    got = outcome(client, case)
    assert text(case.document) == "".join(got.value) != ""
    # An error of a stream is a plain object here. `response.failed` makes one of its own, without our words.
    expected = "Object, then Object" if FAILED[0] in case.document else "Object"
    assert expected == got.raised, got.text
    assert told(got.error, case, got.headers["x-request-id"]) == got.text
    assert got.code in case.code
    assert (case.type, "error") == (got.type, got.finish)
    assert 1 == got.attempts == witness(got, case), "nobody asks again once there was text"
    assert got.seconds < BOUND


@each(Whole)
def test_a_whole_stream_has_its_text_and_no_error(client: str, case: Whole, outcome: Of, witness: Witness) -> None:
    got = outcome(client, case)
    assert got.raised is None, got.text
    assert text(case.document) == "".join(got.value)
    assert "stop" == got.finish
    assert case.attempts == got.attempts == witness(got, case)
    assert got.seconds < BOUND


@each(Failure)
def test_a_stream_that_was_never_opened_is_an_error_with_its_status(
    client: str, case: Failure, outcome: Of, witness: Witness
) -> None:
    got = outcome(client, case)
    assert [] == got.value
    assert ("AI_RetryError" if case.attempts > 1 else "AI_APICallError") == got.raised, got.text
    assert (case.status, case.type, case.param) == (got.status, got.type, got.param)
    assert got.code in (case.code if isinstance(case.code, tuple) else (case.code,))
    assert got.error["message"] == got.text
    assert got.headers["x-request-id"] == got.request_id
    assert case.attempts == got.attempts == witness(got, case)
    assert got.seconds < BOUND

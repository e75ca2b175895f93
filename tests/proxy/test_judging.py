from typing import cast

import pytest

from postel.core.evidence import End, Evidence, Phase, Request
from postel.core.normalise import Normaliser
from postel.core.render import Reply
from postel.proxy.budget import Budget, Held
from postel.proxy.judging import EXTRACT, Judge


class Asked:
    """In the place of a normaliser: keeps what it was asked, and finds everything healthy."""

    def __init__(self) -> None:
        self.evidence: list[Evidence] = []

    def answer(self, evidence: Evidence, **_said: object) -> Reply | None:
        self.evidence.append(evidence)
        return None


class Broken:
    def answer(self, _evidence: Evidence, **_said: object) -> Reply | None:
        raise RuntimeError("a bug in Postel")


def judge(asked: object, body: bytes = b"") -> Judge:
    return Judge(cast("Normaliser", asked), "id-1", lambda: Request(path="/v1/x", body=body))


EVENT = Evidence(phase=Phase.EVENT, body=b"data: {}\n\n")


def test_rules_see_the_whole_request_while_an_answer_may_become_another() -> None:
    asked = Asked()

    assert None is judge(asked, b"x" * 100_000)(EVENT)
    assert [Evidence(Phase.EVENT, Request(path="/v1/x", body=b"x" * 100_000), body=EVENT.body)] == asked.evidence


def test_afterwards_they_see_its_end_which_is_accounted_for() -> None:
    asked, budget = Asked(), Budget()
    one = judge(asked, b"a" * 100_000 + b"b" * EXTRACT)
    one.shorten(held := Held(budget))
    one(EVENT)

    assert Request(path="/v1/x", body=b"b" * EXTRACT) == asked.evidence[0].request
    assert EXTRACT == budget.held == held.size
    assert None is one.whole


def test_a_short_request_stays_as_it_is() -> None:
    asked, budget = Asked(), Budget()
    one = judge(asked, b"short")
    one.shorten(Held(budget))
    one(EVENT)

    assert (b"short", 5) == (asked.evidence[0].request.body, budget.held)


def test_without_room_for_it_nothing_of_the_body_stays() -> None:
    asked = Asked()
    one = judge(asked, b"x" * 100)
    one.shorten(Held(Budget(limit=10)))
    one(EVENT)

    assert Request(path="/v1/x") == asked.evidence[0].request


@pytest.mark.parametrize("phase", [Phase.EVENT, Phase.END])
def test_a_failure_of_ours_finds_an_event_healthy_and_an_end_broken(
    phase: Phase, caplog: pytest.LogCaptureFixture
) -> None:
    reply = judge(Broken())(Evidence(phase=phase, end=End.BROKEN if phase is Phase.END else None))

    assert (reply and reply.fault) == ("bad_gateway" if phase is Phase.END else None)
    assert "Postel failed" in caplog.text

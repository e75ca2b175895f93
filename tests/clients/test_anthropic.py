"""On a route that speaks Anthropic's dialect its SDK raises what Anthropic's own API would have made it raise."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.clients.claude import CLAUDES, PREFIX, Claude
from tests.clients.stage import HERE, Call, Outcome, Stage, drive

each_case = pytest.mark.parametrize("case", CLAUDES, ids=lambda case: case.name)


@pytest.fixture(scope="module")
def outcomes(stage: Stage, needs_client: Callable[[str], Path]) -> Mapping[str, Outcome]:
    """All cases, played once, by name."""
    python = needs_client("anthropic") / "bin/python"
    calls = [
        Call(
            id=f"anthropic/{case.name}",
            base_url=f"{stage.urls['engine']}{PREFIX}/v1",
            operation=case.operation,
            max_retries=case.max_retries,
        )
        for case in CLAUDES
    ]
    played = drive([python, "-I", HERE / "driver_anthropic.py"], calls)
    return {outcome.id.partition("/")[2]: outcome for outcome in played}


@each_case
def test_the_sdk_raises_the_class_of_its_own_api(case: Claude, outcomes: Mapping[str, Outcome]) -> None:
    got = outcomes[case.name]

    assert (case.raised, case.status, case.type) == (got.raised, got.status, got.type), got.text
    assert case.says in got.text


@each_case
def test_the_sdk_asks_again_only_where_it_helps(case: Claude, outcomes: Mapping[str, Outcome], stage: Stage) -> None:
    got = outcomes[case.name]

    assert case.attempts == got.attempts == len(stage.upstream.arrivals[got.id])


@each_case
def test_the_exception_names_the_request_that_the_upstream_saw(
    case: Claude, outcomes: Mapping[str, Outcome], stage: Stage
) -> None:
    got = outcomes[case.name]
    asked = stage.upstream.arrivals[got.id][-1].request_id

    assert asked
    assert asked == got.error["request_id"]
    assert asked in got.text if case.status == 200 else asked == got.request_id

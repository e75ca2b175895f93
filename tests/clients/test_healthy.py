"""Where the upstream works, or works again, its answers reach the user of an SDK as if nothing stood between."""

from collections.abc import Callable

import pytest

from tests.clients.case import Healthy
from tests.clients.healthy import HEALTHY, RECOVERIES
from tests.clients.playbook import calls
from tests.clients.stage import SDKS, Outcome, Play, Stage

Of = Callable[[str, Healthy], Outcome]
Witness = Callable[[Outcome, Healthy], int]

each_sdk = pytest.mark.parametrize("client", SDKS)
AS_SENT = [case for case in HEALTHY if case.where == "engine"]


@pytest.mark.parametrize("case", [*HEALTHY, *RECOVERIES], ids=lambda case: case.name)
@each_sdk
def test_an_sdk_gives_out_the_document_that_the_upstream_sent(
    client: str, case: Healthy, outcome: Of, witness: Witness
) -> None:
    got = outcome(client, case)
    assert got.raised is None, got.text
    assert case.attempts == got.attempts == witness(got, case)
    if isinstance(case.document, dict):
        assert case.document == {key: got.value.get(key) for key in case.document}
    else:
        assert case.document == got.value


@pytest.mark.parametrize("case", [case for case in HEALTHY if "slow" in case.name], ids=lambda case: case.name)
@each_sdk
def test_a_stream_is_passed_on_as_it_comes(client: str, case: Healthy, outcome: Of) -> None:
    assert outcome(client, case).spread > 0.6


@pytest.mark.parametrize("case", RECOVERIES, ids=lambda case: case.name)
@each_sdk
def test_an_sdk_waits_as_long_as_it_is_told_and_then_has_its_answer(
    client: str, case: Healthy, outcome: Of, stage: Stage
) -> None:
    got = outcome(client, case)
    first, second = stage.upstream.arrivals[got.id]
    assert 0.95 <= second.time - first.time < 5, "1 s as Retry-After says; of itself an SDK waits half a second"


def test_curl_gets_byte_for_byte_what_it_gets_without_postel(
    outcome: Of, stage: Stage, player: Callable[[str], Play]
) -> None:
    urls = dict.fromkeys(stage.urls, f"http://127.0.0.1:{stage.engine_port}")
    names = {case.name: case for case in AS_SENT}
    straight = [call for call in calls("straight", urls) if call.id.partition("/")[2] in names]
    for without in player("curl")(straight):
        case = names[without.id.partition("/")[2]]
        got = outcome("curl", case)
        assert without.status == got.status == 200
        assert without.value == got.value, case.name
        added = dict(got.headers.items() - without.headers.items())
        assert {"x-request-id"} == set(added), case.name
        lost = set(without.headers) - set(got.headers)
        assert not lost, case.name

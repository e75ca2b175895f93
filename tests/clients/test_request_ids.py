"""Every answer names its request, under the id that the upstream was given and that an SDK shows its user."""

import uuid
from collections.abc import Callable, Mapping

import pytest

from tests.clients.playbook import CASES
from tests.clients.stage import CLIENTS, SDKS, Outcome, Stage

Batch = Callable[[str, str], Mapping[str, Outcome]]


def ids(outcome: Outcome) -> list[str | None]:
    """The request id of each answer."""
    return [headers.get("x-request-id") for _, headers in outcome.answers]


@pytest.mark.parametrize("client", CLIENTS)
def test_each_answer_carries_the_id_that_the_upstream_saw(client: str, batch: Batch, stage: Stage) -> None:
    got = batch(client, "engine")
    names = [case.name for case in CASES if case.where == "engine"]
    assert {name: [arrival.request_id for arrival in stage.upstream.arrivals[got[name].id]] for name in names} == {
        name: ids(got[name]) for name in names
    }


@pytest.mark.parametrize("half", ["engine", "nginx"])
@pytest.mark.parametrize("client", CLIENTS)
def test_an_id_is_the_clients_own_or_else_a_new_uuid(client: str, half: str, batch: Batch) -> None:
    got = batch(client, half)
    for case in CASES:
        if case.name in got:
            sent = ids(got[case.name])
            assert got[case.name].attempts == len(sent), case.name
            if named := case.headers.get("x-request-id"):
                assert {named} == set(sent), case.name
            else:
                assert len(sent) == len({uuid.UUID(sent_id) for sent_id in sent}), case.name


@pytest.mark.parametrize("half", ["engine", "nginx"])
@pytest.mark.parametrize("client", SDKS)
def test_an_exception_shows_the_id_of_the_last_answer(client: str, half: str, batch: Batch) -> None:
    # The Python SDK has no room for it beside an error in a stream, whose message has it (test_streams).
    raised = {name: outcome for name, outcome in batch(client, half).items() if outcome.raised and outcome.status}
    assert {name: ids(outcome)[-1] for name, outcome in raised.items()} == {
        name: outcome.request_id for name, outcome in raised.items()
    }

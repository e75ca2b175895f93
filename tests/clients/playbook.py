"""All cases together: what the engine plays for each, and which calls a client is asked to make.

Owns the join of cases and addresses. Knows no process. Used by the fixtures and by the tests.
"""

from collections.abc import Mapping, Sequence

from postel.misbehave import Step, answer
from tests.clients.behind_nginx import BEHIND_NGINX
from tests.clients.breakdowns import BEFORE_A_STREAM, DEAD_SOCKETS, THE_SERVERS_FAULT
from tests.clients.case import Failure, Healthy, Where, said
from tests.clients.healthy import HEALTHY, MODEL_LIST, RECOVERIES
from tests.clients.refusals import LIMITS, THE_CLIENTS_FAULT
from tests.clients.stage import Call

FAILURES: Sequence[Failure] = (
    *THE_CLIENTS_FAULT,
    *LIMITS,
    *THE_SERVERS_FAULT,
    *DEAD_SOCKETS,
    *BEFORE_A_STREAM,
    *BEHIND_NGINX,
)
CASES: Sequence[Failure | Healthy] = (*FAILURES, *HEALTHY, *RECOVERIES)

WARM_UP = "warm-up"
"""No case: what the engine plays to those who ask before the clients do."""


def plays() -> dict[str, Sequence[Sequence[Step]]]:
    """For each case the steps of the engine, an attempt at a time; the last ones are played again."""
    played: dict[str, Sequence[Sequence[Step]]] = {case.name: [case.plays] for case in CASES}
    played |= {case.name: [case.first, case.plays] for case in RECOVERIES}
    return played | {WARM_UP: [[answer("200 OK", said(MODEL_LIST))]]}


def calls(client: str, urls: Mapping[Where, str]) -> list[Call]:
    """What a client is asked for: every case whose upstream has a URL here."""
    return [
        Call(
            id=f"{client}/{case.name}",
            base_url=f"{urls[case.where]}{case.prefix}/v1",
            operation=case.operation,
            headers=case.headers,
            max_retries=case.max_retries,
        )
        for case in CASES
        if case.where in urls
    ]

"""All cases together: what the engine plays for each, and which calls a client is asked to make.

Owns the join of cases and addresses. Knows no process. Used by the fixtures and by the tests.
"""

from collections.abc import Mapping, Sequence

from postel.misbehave import End, Step, answer
from tests.clients.behind_nginx import BEHIND_NGINX
from tests.clients.breakdowns import BEFORE_A_STREAM, DEAD_SOCKETS, THE_SERVERS_FAULT
from tests.clients.broken_streams import BROKEN_STREAMS
from tests.clients.case import Broken, Case, Failure, Healthy, Where, said
from tests.clients.claude import CLAUDES
from tests.clients.healthy import HEALTHY, MODEL_LIST, RECOVERIES
from tests.clients.refusals import LIMITS, THE_CLIENTS_FAULT
from tests.clients.stage import Call
from tests.clients.unopened_streams import UNOPENED_STREAMS
from tests.clients.whole_streams import WHOLE_STREAMS

FAILURES: Sequence[Failure] = (
    *THE_CLIENTS_FAULT,
    *LIMITS,
    *THE_SERVERS_FAULT,
    *DEAD_SOCKETS,
    *BEFORE_A_STREAM,
    *UNOPENED_STREAMS,
    *BEHIND_NGINX,
)
CASES: Sequence[Failure | Healthy | Broken] = (*FAILURES, *HEALTHY, *RECOVERIES, *WHOLE_STREAMS, *BROKEN_STREAMS)

WARM_UP = "warm-up"
"""No case: what the engine plays to those who ask before the clients do."""


def plays() -> dict[str, Sequence[Sequence[Step]]]:
    """For each case the steps of the engine, an attempt at a time; the last ones are played again."""
    played: dict[str, Sequence[Sequence[Step]]] = {WARM_UP: [[answer("200 OK", said(MODEL_LIST))]]}
    for case in (*CASES, *CLAUDES):
        assert case.name not in played, f"{case.name} twice"
        first = [case.first] if isinstance(case, Healthy) and case.first else []
        played[case.name] = [*first, case.plays]
    return played


def can_make(client: str, case: Case) -> bool:
    """Whether a client has the operation of a case: the AI SDK is asked for streams only, and in its own ways."""
    operation = case.operation
    if client.startswith("ai-"):
        # The other provider has no Responses API, and takes an `error` of null for an error, whoever sends it.
        known = client == "ai-openai" or (operation.path != "/responses" and "null" not in case.name)
        return bool(operation.arguments.get("stream")) and case.where == "engine" and known
    return True


def calls(client: str, urls: Mapping[Where, str]) -> list[Call]:
    """What a client is asked for: every case whose upstream has a URL here, first those in which it has to wait."""
    return [
        Call(
            id=f"{client}/{case.name}",
            base_url=f"{urls[case.where]}{case.prefix}/v1",
            operation=case.operation,
            headers=case.headers,
            max_retries=case.max_retries,
        )
        for case in sorted(CASES, key=lambda case: End.STALL not in case.plays)
        if case.where in urls and can_make(client, case)
    ]

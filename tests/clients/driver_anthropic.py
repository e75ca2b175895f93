"""Makes calls with Anthropic's Python SDK and tells how each ended. Runs inside the SDK's own environment.

    python driver_anthropic.py < calls.json > outcomes.json

The shape of both lists is in tests/clients/stage.py, which starts this. Knows no case and judges nothing.
"""

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anthropic  # type: ignore[import-not-found, unused-ignore]  # of the environment this runs in

Call = dict[str, Any]
Outcome = dict[str, Any]


def call(http: Any, wanted: Call) -> Outcome:
    client = anthropic.Anthropic(
        http_client=http,
        base_url=wanted["base_url"].removesuffix("/v1"),  # the SDK says it itself
        api_key="test-key",
        max_retries=wanted["max_retries"],
        timeout=wanted["timeout"],
        default_headers={"x-call": wanted["id"], **wanted["headers"]},
    )
    try:
        result = client.messages.create(**wanted["arguments"])
        value = [event.model_dump(mode="json") for event in result] if wanted["arguments"].get("stream") else result.id
    except anthropic.APIStatusError as error:
        return {
            "raised": type(error).__name__,
            "text": error.api_message,
            "status": error.status_code,
            "error": error.body,
            "type": error.type,
            "request_id": error.request_id,
        }
    except Exception as error:  # noqa: BLE001 - whatever the SDK raises is the outcome
        return {"raised": type(error).__name__, "text": str(error)}
    return {"value": value}


def main() -> None:
    calls = json.load(sys.stdin)
    answered: list[tuple[str, int, dict[str, str]]] = []

    def note(response: Any) -> None:
        answered.append((response.request.headers["x-call"], response.status_code, dict(response.headers)))

    with anthropic.DefaultHttpxClient(event_hooks={"response": [note]}) as http, ThreadPoolExecutor(16) as pool:
        outcomes = list(pool.map(lambda wanted: call(http, wanted), calls))
    for wanted, outcome in zip(calls, outcomes, strict=True):
        outcome["id"] = wanted["id"]
        outcome["answers"] = [[status, headers] for of, status, headers in answered if of == wanted["id"]]
        outcome["attempts"] = len(outcome["answers"])
    json.dump(outcomes, sys.stdout)


if __name__ == "__main__":
    main()

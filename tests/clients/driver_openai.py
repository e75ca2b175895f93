"""Makes calls with the official Python SDK and tells how each ended. Runs inside the SDK's own environment.

    python driver_openai.py sync|async < calls.json > outcomes.json

The shape of both lists is in tests/clients/stage.py, which starts this. Many calls run at once, each with a client of
its own over one HTTP client, so that a batch takes little longer than its slowest call. Knows no case and judges
nothing.
"""

import asyncio
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import openai  # type: ignore[import-not-found]  # of the environment this runs in, not of the project's

AT_ONCE = 32
"""Calls that run at a time: with all of them, a driver cannot tell any more when something came."""

Call = dict[str, Any]
Outcome = dict[str, Any]

requested: list[str] = []
answered: list[tuple[str, int, dict[str, str]]] = []


def note_request(request: Any) -> None:
    requested.append(request.headers["x-call"])


def note_response(response: Any) -> None:
    answered.append((response.request.headers["x-call"], response.status_code, dict(response.headers)))


async def note_request_async(request: Any) -> None:
    note_request(request)


async def note_response_async(response: Any) -> None:
    note_response(response)


def options(call: Call) -> dict[str, Any]:
    return {
        "base_url": call["base_url"],
        "api_key": "test-key",
        "max_retries": call["max_retries"],
        "timeout": call["timeout"],
        "default_headers": {"x-call": call["id"], **call["headers"]},
    }


def method(client: Any, call: Call) -> Any:
    for name in call["method"].split("."):
        client = getattr(client, name)
    return client


def dump(model: Any) -> Any:
    return model.model_dump(mode="json", exclude_unset=True)


class Stream:
    """The chunks of a stream as they come."""

    def __init__(self) -> None:
        self.chunks: list[Any] = []
        self.times: list[float] = []

    def take(self, chunk: Any) -> None:
        self.chunks.append(chunk)
        self.times.append(time.monotonic())

    def hear(self, event: Any) -> None:
        """Take what a helper gives out, without the events that it makes of its own."""
        if event.type == "chunk":
            self.take(event.chunk)
        elif event.type.startswith("response."):
            self.take(event)

    def told(self) -> Outcome:
        times = self.times
        return {"value": [dump(chunk) for chunk in self.chunks], "spread": times[-1] - times[0] if times else 0.0}


def gathered(helper: Any) -> Any:
    """What a helper made of all events."""
    return (helper.get_final_response if hasattr(helper, "get_final_response") else helper.get_final_completion)()


def failed(error: Exception) -> Outcome:
    told = {name: getattr(error, name, None) for name in ("code", "type", "param", "request_id")}
    return {
        "raised": type(error).__name__,
        "text": str(error),
        "status": getattr(error, "status_code", None),
        "error": getattr(error, "body", None),
        **told,
    }


def call_sync(client: Any, call: Call) -> Outcome:
    stream, begun = Stream(), time.monotonic()
    try:
        result = method(client, call)(**call["arguments"])
        if call["helps"]:
            with result as helper:
                for event in helper:
                    stream.hear(event)
                gathered(helper)
            outcome = stream.told()
        elif call["arguments"].get("stream"):
            for chunk in result:
                stream.take(chunk)
            outcome = stream.told()
        else:
            outcome = {"value": dump(result)}
    except Exception as error:  # noqa: BLE001 - whatever the SDK raises is the outcome
        outcome = {**stream.told(), **failed(error)}
    return {**outcome, "seconds": time.monotonic() - begun}


async def call_async(client: Any, call: Call) -> Outcome:
    stream, begun = Stream(), time.monotonic()
    try:
        if call["helps"]:
            async with method(client, call)(**call["arguments"]) as helper:
                async for event in helper:
                    stream.hear(event)
                await gathered(helper)
            outcome = stream.told()
        else:
            result = await method(client, call)(**call["arguments"])
            if call["arguments"].get("stream"):
                async for chunk in result:
                    stream.take(chunk)
                outcome = stream.told()
            else:
                outcome = {"value": dump(result)}
    except Exception as error:  # noqa: BLE001 - as above
        outcome = {**stream.told(), **failed(error)}
    return {**outcome, "seconds": time.monotonic() - begun}


def play_sync(calls: list[Call]) -> list[Outcome]:
    hooks = {"request": [note_request], "response": [note_response]}
    with openai.DefaultHttpxClient(event_hooks=hooks) as http, ThreadPoolExecutor(AT_ONCE) as pool:
        clients = [openai.OpenAI(http_client=http, **options(call)) for call in calls]
        return list(pool.map(call_sync, clients, calls))


async def play_async(calls: list[Call]) -> list[Outcome]:
    hooks = {"request": [note_request_async], "response": [note_response_async]}
    async with openai.DefaultAsyncHttpxClient(event_hooks=hooks) as http:
        clients = [openai.AsyncOpenAI(http_client=http, **options(call)) for call in calls]
        turns = asyncio.Semaphore(AT_ONCE)

        async def in_turn(client: Any, call: Call) -> Outcome:
            async with turns:
                return await call_async(client, call)

        return await asyncio.gather(*map(in_turn, clients, calls))


def main() -> None:
    calls = json.load(sys.stdin)
    outcomes = play_sync(calls) if sys.argv[1] == "sync" else asyncio.run(play_async(calls))
    for call, outcome in zip(calls, outcomes, strict=True):
        outcome["id"] = call["id"]
        outcome["attempts"] = requested.count(call["id"])
        outcome["answers"] = [[status, headers] for of, status, headers in answered if of == call["id"]]
    json.dump(outcomes, sys.stdout)


if __name__ == "__main__":
    main()

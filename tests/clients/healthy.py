"""Answers that must reach the client as they are, and answers that are well again at the second attempt."""

import gzip
from collections.abc import Mapping, Sequence
from typing import Any

from postel.misbehave import Step, answer, chunk
from tests.clients.calls import COMPLETIONS, EMBEDDINGS, MODELS, RESPONSES, STREAM, chat_of
from tests.clients.case import BUSY, COMPLETION, Healthy, problem, said


def events(*documents: object, pause: float = 0.0) -> list[Step]:
    """An event stream, one write an event, ended by [DONE] and in its framing."""
    steps: list[Step] = [b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"]
    for document in documents:
        steps += [chunk(f"data: {said(document)}\n\n"), pause]
    return [*steps, chunk("data: [DONE]\n\n") + b"0\r\n\r\n"]


def _delta(delta: Mapping[str, str], finish_reason: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1700000000,
        "model": "demo",
        "choices": [choice],
    }


DELTAS = [
    _delta({"role": "assistant", "content": ""}),
    _delta({"content": "Grüße"}),
    _delta({"content": ": error, 502"}),
    _delta({}, "stop"),
]
_EMBEDDING = {
    "object": "list",
    "data": [{"object": "embedding", "index": 0, "embedding": [0.25, -0.5, 1.0]}],
    "model": "demo",
    "usage": {"prompt_tokens": 1, "total_tokens": 1},
}
MODEL_LIST = {
    "object": "list",
    "data": [{"id": "demo", "object": "model", "created": 1700000000, "owned_by": "error"}],
}
_TEXT = {
    "id": "cmpl-1",
    "object": "text_completion",
    "created": 1700000000,
    "model": "demo",
    "choices": [{"index": 0, "text": " Hello!", "finish_reason": "stop", "logprobs": None}],
}
_RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1700000000,
    "status": "completed",
    "error": None,
    "model": "demo",
    "output": [
        {
            "type": "message",
            "id": "msg_1",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": "Hello!", "annotations": []}],
        }
    ],
}
_LONG = {**COMPLETION, "vendor_extension": "x" * 300_000}

HEALTHY: Sequence[Healthy] = [
    Healthy("chat", [answer("200 OK", said(COMPLETION))], COMPLETION),
    Healthy(
        "chat-in-gzip",
        [answer("200 OK", gzip.compress(said(COMPLETION).encode()), "application/json", "Content-Encoding: gzip")],
        COMPLETION,
        headers={"x-request-id": "named-by-the-client/8"},
    ),
    Healthy("a-long-answer", [answer("200 OK", said(_LONG))], _LONG),
    Healthy("a-long-question", [answer("200 OK", said(COMPLETION))], COMPLETION, operation=chat_of(1_500_000)),
    Healthy("completion", [answer("200 OK", said(_TEXT))], _TEXT, operation=COMPLETIONS),
    Healthy("embeddings", [answer("200 OK", said(_EMBEDDING))], _EMBEDDING, operation=EMBEDDINGS),
    Healthy("response", [answer("200 OK", said(_RESPONSE))], _RESPONSE, operation=RESPONSES),
    Healthy("models", [answer("200 OK", said(MODEL_LIST))], MODEL_LIST, operation=MODELS),
    Healthy("stream", events(*DELTAS), DELTAS, operation=STREAM),
    Healthy("slow-stream", events(*DELTAS, pause=0.4), DELTAS, operation=STREAM),
    Healthy("nginx-chat", [answer("200 OK", said(COMPLETION))], COMPLETION, where="nginx", prefix="/engine"),
    Healthy("nginx-zips", [answer("200 OK", said(COMPLETION))], COMPLETION, where="nginx", prefix="/zipped"),
    Healthy("nginx-slow-stream", events(*DELTAS, pause=0.4), DELTAS, operation=STREAM, where="nginx", prefix="/engine"),
]

OK = [answer("200 OK", said(COMPLETION))]

# What stands in Retry-After is the time from the first attempt to the second.
RECOVERIES: Sequence[Healthy] = [
    Healthy(
        "after-a-rate-limit",
        OK,
        COMPLETION,
        first=problem("429 Too Many Requests", {"message": "Too many requests"}, "Retry-After: 1"),
    ),
    Healthy(
        "after-a-rate-limit-in-milliseconds",
        OK,
        COMPLETION,
        first=problem("429 Too Many Requests", {"message": "Too many requests"}, "retry-after-ms: 700"),
    ),
    Healthy("after-a-full-queue", OK, COMPLETION, first=BUSY),
    # SDKs never ask again after a 400, and here the status was wrong.
    Healthy(
        "after-a-400-that-was-no-400",
        OK,
        COMPLETION,
        first=[
            answer("400 Bad Request", "CUDA out of memory. Tried to allocate 2.00 GiB", "text/plain", "Retry-After: 1")
        ],
    ),
    Healthy("after-a-full-queue-and-then-a-stream", events(*DELTAS), DELTAS, operation=STREAM, first=BUSY),
]

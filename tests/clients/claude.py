"""What Anthropic's SDK is asked for, on a route that speaks its dialect, and what its user has to see.

Owns the cases; a class of exception is the SDK's own for a status (anthropic-sdk-python `_error_classes.py`). Knows no
process.
"""

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass

from postel.misbehave import End, answer
from tests.clients.calls import Operation
from tests.clients.case import Case, page, problem, said

PREFIX = "/claude"
"""Below it, Postel speaks the dialect `anthropic`."""

_MESSAGE = {"model": "demo", "max_tokens": 5, "messages": [{"role": "user", "content": "Say hello."}]}
MESSAGE = Operation("messages.create", "/messages", _MESSAGE)
STREAM = Operation("messages.create", "/messages", {**_MESSAGE, "stream": True})

_DELTA = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hel"}}
_BEGUN = f"event: content_block_delta\ndata: {said(_DELTA)}\n\n".encode()
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Claude(Case):
    """`raised` is the exception's class, `type` the word in the body, `says` a part of the message."""

    _: KW_ONLY
    raised: str
    status: int
    type: str
    says: str
    attempts: int = 1


CLAUDES: Sequence[Claude] = [
    Claude(
        "claude-busy",
        problem("503 Service Unavailable", {"detail": "queue is full"}, "Retry-After: 1"),
        operation=MESSAGE,
        max_retries=1,
        raised="OverloadedError",
        status=529,
        type="overloaded_error",
        says="queue is full",
        attempts=2,
    ),
    Claude(
        "claude-a-wait-of-an-hour",
        problem("429 Too Many Requests", {"message": "Too many requests"}, "Retry-After: 3600"),
        operation=MESSAGE,
        raised="RateLimitError",
        status=429,
        type="rate_limit_error",
        says="Too many requests",
    ),
    Claude(
        "claude-a-prompt-too-long",
        problem("400 Bad Request", {"message": "context is full: 5000 tokens, n_ctx 4096", "code": "context_overflow"}),
        operation=MESSAGE,
        raised="BadRequestError",
        status=400,
        type="invalid_request_error",
        says="prompt is too long",
    ),
    Claude(
        "claude-no-key",
        problem("401 Unauthorized", {"detail": "Not authenticated"}),
        operation=MESSAGE,
        raised="AuthenticationError",
        status=401,
        type="authentication_error",
        says="Not authenticated",
    ),
    Claude(
        "claude-a-quota",
        [
            answer(
                "429 Too Many Requests",
                said({"error": {"message": "You exceeded your current quota", "code": "insufficient_quota"}}),
            )
        ],
        operation=MESSAGE,
        raised="PaymentRequiredError",
        status=402,
        type="billing_error",
        says="current quota",
    ),
    Claude(
        "claude-no-such-model",
        problem("404 Not Found", {"message": "The model `demo` does not exist.", "type": "NotFoundError", "code": 404}),
        operation=MESSAGE,
        raised="NotFoundError",
        status=404,
        type="not_found_error",
        says="does not exist",
    ),
    Claude(
        "claude-a-page",
        page("502 Bad Gateway"),
        operation=MESSAGE,
        max_retries=1,
        raised="InternalServerError",
        status=502,
        type="api_error",
        says="model server",
        attempts=2,
    ),
    Claude(
        "claude-nobody-answers",
        [End.FIN],
        operation=MESSAGE,
        max_retries=1,
        raised="InternalServerError",
        status=502,
        type="api_error",
        says="without an answer",
        attempts=2,
    ),
    Claude(
        "claude-a-stream-that-never-opened",
        [_HEAD, b'data: {"error":{"message":"queue is full","code":503}}\n\n', End.FIN],
        operation=STREAM,
        max_retries=0,
        raised="OverloadedError",
        status=529,
        type="overloaded_error",
        says="queue is full",
    ),
    Claude(
        "claude-a-stream-that-broke",
        [_HEAD, _BEGUN, End.FIN],
        operation=STREAM,
        raised="APIStatusError",
        status=200,
        type="api_error",
        says="(1 event delivered, request id ",
    ),
]

"""Upstreams that break: 5xx, errors under 200, sockets that die, and all of it in the place of a stream."""

from collections.abc import Sequence

from postel.misbehave import End, answer, chunk
from tests.clients.calls import EMBEDDINGS, MODELS, STREAM
from tests.clients.case import BUSY, CUT_COMPLETION, SERVER, Failure, cut, error, page, problem

TRACEBACK = (
    'Traceback (most recent call last):\n  File "/app/server.py", line 12, in run\n    step()\n'
    "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has 1.10 GiB free.\n"
)

THE_SERVERS_FAULT: Sequence[Failure] = [
    Failure(
        "words-in-a-500",
        [answer("500 Internal Server Error", "Internal Server Error", "text/plain; charset=utf-8")],
        *(500, SERVER, "internal_error"),
        retryable=True,
    ),
    Failure(
        "an-empty-500",
        [answer("500 Internal Server Error", b"", None)],
        *(500, SERVER, ("internal_error", "engine_crashed")),
        retryable=True,
        max_retries=0,
    ),
    Failure(
        "a-traceback",
        [answer("500 Internal Server Error", TRACEBACK, "text/plain")],
        *(500, SERVER, "out_of_memory"),
        retryable=True,
        wait=(5, 7),
        max_retries=0,
        says=("CUDA out of memory",),
        hides=("Traceback", "/app/server.py", "step()"),
    ),
    Failure(
        "a-missing-feature",
        [answer("501 Not Implemented", error(message="Embeddings are not supported by this server", code=501))],
        *(501, SERVER, "not_implemented"),
        operation=EMBEDDINGS,
    ),
    Failure(
        "html-for-a-bad-gateway",
        page("502 Bad Gateway"),
        *(502, SERVER, "bad_gateway"),
        operation=MODELS,
        retryable=True,
    ),
    Failure(
        "a-full-queue",
        BUSY,
        *(503, SERVER, "server_is_overloaded"),
        retryable=True,
        wait=(1, 1),
        says=("queue is full",),
    ),
    Failure(
        "a-model-that-loads",
        [answer("503 Service Unavailable", error(code=503, message="Loading model", type="unavailable_error"))],
        *(503, SERVER, "model_loading"),
        retryable=True,
        wait=(20, 25),
        max_retries=0,
        says=("loading",),
    ),
    Failure(
        "maintenance-for-two-hours",
        [answer("503 Service Unavailable", "Down for maintenance", "text/plain", "Retry-After: 7200")],
        *(503, SERVER, ("service_unavailable", "server_is_overloaded")),
        retryable=True,
        wait=(7200, 7200),
    ),
    Failure(
        "a-gateway-that-waited-too-long",
        [answer("504 Gateway Timeout", "upstream request timeout", "text/plain")],
        *(504, SERVER, "timeout"),
        retryable=True,
        max_retries=1,
    ),
    Failure(
        "a-status-that-is-anthropics",
        problem("529 ", {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}),
        *(503, SERVER, "server_is_overloaded"),
        retryable=True,
        wait=(5, 7),
        max_retries=0,
    ),
    Failure(
        "a-client-that-is-said-to-have-gone",
        [answer("499 Client Closed Request", "context canceled", "text/plain")],
        *(503, SERVER, "service_unavailable"),
        retryable=True,
        wait=(10, 13),
        max_retries=0,
    ),
    Failure(
        "an-error-under-200",
        [answer("200 OK", error(message="backend failed", code=500))],
        *(500, SERVER, "internal_error"),
        retryable=True,
        max_retries=1,
        says=("backend failed",),
    ),
    Failure(
        "a-login-page-under-200",
        [answer("200 OK", "<html><title>Sign in</title><h1>Sign in</h1></html>", "text/html")],
        *(502, SERVER, "bad_gateway"),
        retryable=True,
        max_retries=0,
    ),
]

DEAD_SOCKETS: Sequence[Failure] = [
    Failure(
        "nobody-listens",
        [],
        *(502, SERVER, "upstream_unreachable"),
        where="nobody",
        retryable=True,
        wait=(5, 7),
        max_retries=0,
    ),
    Failure("closed-before-the-head", [End.FIN], *(502, SERVER, "bad_gateway"), retryable=True),
    Failure("reset-before-the-head", [End.RST], *(502, SERVER, "bad_gateway"), retryable=True, max_retries=1),
    Failure(
        "no-http",
        [b"\x15\x03\x01\x00\x02\x02\x46\r\n", End.FIN],
        *(502, SERVER, "bad_gateway"),
        retryable=True,
        max_retries=0,
    ),
    Failure(
        "json-cut-short", cut("200 OK", CUT_COMPLETION), *(502, SERVER, "bad_gateway"), retryable=True, max_retries=0
    ),
    Failure(
        "a-chunked-body-without-its-end",
        [
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
            + chunk(CUT_COMPLETION),
            End.RST,
        ],
        *(502, SERVER, "bad_gateway"),
        retryable=True,
        max_retries=0,
    ),
    Failure("silence", [End.STALL], *(504, SERVER, "timeout"), prefix="/impatient", retryable=True, max_retries=0),
]

BEFORE_A_STREAM: Sequence[Failure] = [
    Failure(
        "a-full-queue-instead-of-a-stream",
        BUSY,
        *(503, SERVER, "server_is_overloaded"),
        operation=STREAM,
        retryable=True,
        wait=(1, 1),
        max_retries=1,
        says=("queue is full",),
    ),
    Failure(
        "html-instead-of-a-stream",
        page("502 Bad Gateway", content_type="text/event-stream"),
        *(502, SERVER, "bad_gateway"),
        operation=STREAM,
        retryable=True,
        max_retries=0,
    ),
    # Without Postel the three that follow are an empty answer and no error in every SDK.
    Failure(
        "an-error-under-200-instead-of-a-stream",
        [answer("200 OK", error(message="backend failed", code=500))],
        *(500, SERVER, "internal_error"),
        operation=STREAM,
        retryable=True,
        max_retries=0,
        says=("backend failed",),
    ),
    Failure(
        "a-login-page-instead-of-a-stream",
        [answer("200 OK", "<html><title>Sign in</title><h1>Sign in</h1></html>", "text/html")],
        *(502, SERVER, "bad_gateway"),
        operation=STREAM,
        retryable=True,
        max_retries=0,
    ),
    Failure(
        "nothing-under-200-instead-of-a-stream",
        [answer("200 OK", b"", "application/json")],
        *(502, SERVER, "bad_gateway"),
        operation=STREAM,
        retryable=True,
        max_retries=0,
    ),
    Failure(
        "a-reset-instead-of-a-stream",
        [End.RST],
        *(502, SERVER, "bad_gateway"),
        operation=STREAM,
        retryable=True,
        max_retries=0,
    ),
]

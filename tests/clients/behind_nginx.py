"""What a real nginx makes of its own limits and of an upstream that is dead, slow or broken."""

from collections.abc import Sequence

from postel.misbehave import End, answer, chunk
from tests.clients.calls import MODELS, STREAM, chat_of
from tests.clients.case import CUT_COMPLETION, LIMIT, REQUEST, SERVER, Failure, cut, error

# nginx answers 502 alike whether its upstream refused, reset or closed early: only its error log knows (1.22.1).
BEHIND_NGINX: Sequence[Failure] = [
    Failure("nginx-dead-upstream", [], *(502, SERVER, "bad_gateway"), where="nginx", prefix="/dead", retryable=True),
    Failure(
        "nginx-dead-upstream-of-a-stream",
        [],
        *(502, SERVER, "bad_gateway"),
        where="nginx",
        prefix="/dead",
        operation=STREAM,
        retryable=True,
        max_retries=0,
    ),
    Failure(
        "nginx-slow-upstream",
        [End.STALL],
        *(504, SERVER, "timeout"),
        where="nginx",
        prefix="/slow",
        retryable=True,
        max_retries=0,
    ),
    Failure(
        "nginx-upstream-closes-early",
        [End.FIN],
        *(502, SERVER, "bad_gateway"),
        where="nginx",
        prefix="/engine",
        retryable=True,
        max_retries=1,
    ),
    Failure(
        "nginx-upstream-resets",
        [End.RST],
        *(502, SERVER, "bad_gateway"),
        where="nginx",
        prefix="/engine",
        retryable=True,
        max_retries=0,
    ),
    # nginx 1.22 passes bytes that are no HTTP on as they are, without a head of its own.
    Failure(
        "nginx-upstream-talks-no-http",
        [b"panic: out of cheese\r\n", End.FIN],
        *(502, SERVER, "bad_gateway"),
        where="nginx",
        prefix="/engine",
        retryable=True,
        max_retries=0,
        hides=("cheese",),
    ),
    Failure(
        "nginx-upstream-head-too-big",
        [answer("200 OK", "{}", "application/json", f"X-Trace: {'a' * 20_000}")],
        *(502, SERVER, "bad_gateway"),
        where="nginx",
        prefix="/engine",
        retryable=True,
        max_retries=0,
    ),
    Failure(
        "nginx-truncates-json",
        cut("200 OK", CUT_COMPLETION, missing=5_000),
        *(502, SERVER, "bad_gateway"),
        where="nginx",
        prefix="/engine",
        retryable=True,
        max_retries=1,
    ),
    Failure(
        "nginx-upstream-dies-in-a-chunked-body",
        [
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
            + chunk(CUT_COMPLETION),
            0.1,
            End.RST,
        ],
        *(502, SERVER, "bad_gateway"),
        where="nginx",
        prefix="/engine",
        retryable=True,
        max_retries=0,
    ),
    Failure(
        "nginx-upstream-stalls-in-the-body",
        [cut("200 OK", CUT_COMPLETION)[0], End.STALL],
        *(502, SERVER, "bad_gateway"),
        where="nginx",
        prefix="/slow",
        retryable=True,
        max_retries=0,
    ),
    Failure(
        "nginx-zips-an-error",
        [
            answer(
                "429 Too Many Requests",
                error(message="Too many requests in flight for this key", type="requests", code="rate_limit_exceeded"),
                "application/json",
                "Retry-After: 1",
            )
        ],
        *(429, LIMIT, "rate_limit_exceeded"),
        where="nginx",
        prefix="/zipped",
        retryable=True,
        wait=(1, 1),
        max_retries=1,
        says=("Too many requests in flight",),
    ),
    Failure(
        "nginx-says-sorry-under-200",
        [],
        *(502, SERVER, "bad_gateway"),
        where="nginx",
        prefix="/sorry",
        retryable=True,
        max_retries=0,
    ),
    Failure(
        "nginx-body-too-large",
        [],
        *(413, REQUEST, "payload_too_large"),
        where="nginx",
        prefix="/small",
        operation=chat_of(5_000),
    ),
    # Told before the body was sent: nginx answers after the head and reads on only to be polite.
    Failure(
        "nginx-body-far-too-large",
        [],
        *(413, REQUEST, "payload_too_large"),
        where="nginx",
        prefix="/small",
        operation=chat_of(3_000_000),
    ),
    Failure(
        "nginx-header-too-large",
        [],
        *(400, REQUEST, ("malformed_request", "payload_too_large")),
        where="nginx",
        prefix="/engine",
        headers={"x-context": "a" * 9_000},
    ),
    # Its request limiter answers 503 unless told otherwise, with the page of any other 503.
    Failure(
        "nginx-limit-req",
        [],
        *(503, SERVER, ("service_unavailable", "server_is_overloaded")),
        where="nginx",
        prefix="/limited",
        retryable=True,
        wait=(5, 13),
        max_retries=0,
    ),
    Failure(
        "nginx-limit-req-with-429",
        [],
        *(429, LIMIT, "rate_limit_exceeded"),
        where="nginx",
        prefix="/limited-429",
        retryable=True,
        wait=(5, 7),
        max_retries=0,
    ),
    Failure(
        "nginx-wants-a-password",
        [],
        *(401, REQUEST, "invalid_api_key"),
        where="nginx",
        prefix="/private",
        keeps={"www-authenticate": 'Basic realm="models"'},
    ),
    Failure("nginx-denies", [], *(403, "permission_error", "permission_denied"), where="nginx", prefix="/denied"),
    Failure("nginx-has-no-such-location", [], *(404, REQUEST, "unknown_url"), where="nginx", prefix="/nowhere"),
    Failure(
        "nginx-has-no-such-file", [], *(404, REQUEST, "unknown_url"), where="nginx", prefix="/missing", operation=MODELS
    ),
    Failure("nginx-posts-to-a-file", [], *(405, REQUEST, "method_not_allowed"), where="nginx", prefix="/static"),
    Failure("nginx-returns-500", [], *(500, SERVER, "internal_error"), where="nginx", prefix="/broken", retryable=True),
    Failure(
        "nginx-hangs-up",  # its 444: closed without an answer
        [],
        *(502, SERVER, "bad_gateway"),
        where="nginx",
        prefix="/hung-up",
        retryable=True,
        max_retries=1,
    ),
    Failure(
        "nginx-returns-503",
        [],
        *(503, SERVER, ("service_unavailable", "server_is_overloaded")),
        where="nginx",
        prefix="/closed",
        retryable=True,
        wait=(5, 13),
        max_retries=0,
    ),
]

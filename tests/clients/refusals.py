"""Answers that blame the client, rightly or not: 4xx in many dialects, limits and quotas."""

import gzip
from collections.abc import Sequence

from postel.misbehave import answer
from tests.clients.calls import EMBEDDINGS, RESPONSES
from tests.clients.case import LIMIT, QUOTA, REQUEST, Failure, cut, error, page, problem

TOO_LONG = (
    "This model's maximum context length is 4096 tokens. However, you requested 4608 tokens (4096 in the messages, "
    "512 in the completion). Please reduce the length of the messages or completion."
)

THE_CLIENTS_FAULT: Sequence[Failure] = [
    Failure(
        "a-parameter-of-the-wrong-type",
        [
            answer(
                "400 Bad Request",
                error(
                    message="Invalid type for 'temperature': expected a decimal, but got a string instead.",
                    type=REQUEST,
                    param="temperature",
                    code="invalid_type",
                ),
            )
        ],
        *(400, REQUEST, "invalid_type"),
        param="temperature",
        says=("Invalid type for 'temperature'",),
    ),
    Failure(
        "a-missing-field-told-by-fastapi",
        problem(
            "422 Unprocessable Entity",
            {
                "detail": [
                    {"type": "missing", "loc": ["body", "messages"], "msg": "Field required", "input": {"secret": 1}}
                ]
            },
        ),
        *(400, REQUEST, "invalid_parameter"),
        param="messages",
        says=("Field required",),
        hides=("secret",),
    ),
    Failure(
        "a-prompt-too-long-for-vllm",
        problem(
            "400 Bad Request",
            {"object": "error", "message": TOO_LONG, "type": "BadRequestError", "param": None, "code": 400},
        ),
        *(400, REQUEST, "context_length_exceeded"),
        param="messages",
        says=("maximum context length", "4096"),
    ),
    Failure(
        "an-input-too-long-for-tei",
        problem(
            "422 Unprocessable Entity",
            {
                "error": "Input validation error: `inputs` must have less than 512 tokens. Given: 900",
                "error_type": "Validation",
            },
        ),
        *(400, REQUEST, "context_length_exceeded"),
        operation=EMBEDDINGS,
        says=("512",),
    ),
    Failure(
        "an-error-inside-an-error",
        [
            answer(
                "500 Internal Server Error", error(message=error(message=TOO_LONG, type="BadRequestError"), code="500")
            )
        ],
        *(400, REQUEST, "context_length_exceeded"),
        param="messages",
        says=("maximum context length",),
        hides=('{\\"error', "BadRequestError"),
    ),
    Failure(
        "azure-filters-the-prompt",
        [
            answer(
                "400 Bad Request",
                error(
                    message="The response was filtered due to the prompt triggering Azure OpenAI's content management "
                    "policy.",
                    type=None,
                    param="prompt",
                    code="content_filter",
                    status=400,
                    innererror={"code": "ResponsibleAIPolicyViolation"},
                ),
            )
        ],
        *(400, REQUEST, "content_filter"),
        param="prompt",
        says=("content management policy",),
    ),
    Failure("html-for-a-bad-request", page("400 Bad Request", "haproxy"), *(400, REQUEST, "malformed_request")),
    Failure(
        "an-error-that-ends-too-early",
        cut("400 Bad Request", '{"error":{"message":"max_tokens must be pos'),
        *(400, REQUEST, "invalid_parameter"),
        param="max_tokens",
    ),
    Failure(
        "an-error-that-calls-itself-gzip-and-is-not",
        [answer("400 Bad Request", error(message="bad"), "application/json", "Content-Encoding: gzip")],
        *(400, REQUEST, ("malformed_request", "invalid_parameter")),
    ),
    Failure(
        "an-error-in-gzip",
        [
            answer(
                "401 Unauthorized",
                gzip.compress(error(message="Incorrect API key provided", code="invalid_api_key").encode()),
                "application/json",
                "Content-Encoding: gzip",
            )
        ],
        *(401, REQUEST, "invalid_api_key"),
        says=("Incorrect API key provided",),
    ),
    Failure(
        "a-wrong-key",
        [
            answer(
                "401 Unauthorized",
                error(
                    message="Incorrect API key provided: sk-abcd1234efgh5678ijkl. You can find your API key at "
                    "https://platform.openai.com/account/api-keys.",
                    type=REQUEST,
                    param=None,
                    code="invalid_api_key",
                ),
            )
        ],
        *(401, REQUEST, "invalid_api_key"),
        says=("Incorrect API key provided",),
        hides=("sk-abcd1234efgh5678ijkl",),
    ),
    Failure(
        "no-key",
        problem("401 Unauthorized", {"detail": "Not authenticated"}, 'WWW-Authenticate: Bearer realm="models"'),
        *(401, REQUEST, "invalid_api_key"),
        says=("Not authenticated",),
        keeps={"www-authenticate": 'Bearer realm="models"'},
    ),
    Failure(
        "an-expired-token",
        problem("403 Forbidden", {"message": "The security token included in the request is expired"}),
        *(401, REQUEST, ("token_expired", "invalid_api_key")),
        says=("expired",),
    ),
    Failure(
        "no-credit-left",
        [answer("402 Payment Required", error(message="Insufficient credits. Add more to go on.", code=402))],
        *(402, QUOTA, "insufficient_quota"),
        says=("Insufficient credits",),
    ),
    Failure(
        "not-allowed",
        problem("403 Forbidden", {"detail": "Your team may not use this model"}),
        *(403, "permission_error", "permission_denied"),
        says=("Your team may not use this model",),
    ),
    Failure(
        "no-such-model",
        problem(
            "404 Not Found",
            {
                "object": "error",
                "message": "The model `demo` does not exist.",
                "type": "NotFoundError",
                "param": None,
                "code": 404,
            },
        ),
        *(404, REQUEST, "model_not_found"),
        param="model",
        says=("The model `demo` does not exist.",),
    ),
    Failure(
        "no-such-endpoint",
        problem("404 Not Found", {"detail": "Not Found"}),
        *(404, REQUEST, "unknown_url"),
        operation=RESPONSES,
    ),
    Failure(
        "a-method-that-is-not-allowed",
        problem("405 Method Not Allowed", {"detail": "Method Not Allowed"}, "Allow: GET"),
        *(405, REQUEST, "method_not_allowed"),
        keeps={"allow": "GET"},
    ),
    Failure(
        "a-request-that-came-too-slowly",
        page("408 Request Timeout", "apache"),
        *(408, REQUEST, "request_timeout"),
        retryable=True,
        wait=(1, 2),
        max_retries=1,
    ),
    Failure(
        "a-conflict",
        [answer("409 Conflict", error(type="conflict_error", message="The resource is being modified."))],
        *(409, REQUEST, "conflict"),
        retryable=True,
        wait=(1, 2),
        max_retries=1,
        says=("The resource is being modified.",),
    ),
    Failure(
        "a-body-that-is-too-large",
        page("413 Request Entity Too Large"),
        *(413, REQUEST, "payload_too_large"),
    ),
    Failure(
        "a-media-type-that-is-not-supported",
        problem("415 Unsupported Media Type", {"detail": 'Unsupported media type "text/plain" in request.'}),
        *(415, REQUEST, "unsupported_media_type"),
        says=("Unsupported media type",),
    ),
    Failure(
        "an-image-that-cannot-be-read",
        [
            answer(
                "422 Unprocessable Entity",
                error(message="Failed to decode the image.", type="UnprocessableEntityError", param=None, code=422),
            )
        ],
        *(422, REQUEST, "unprocessable"),
        says=("Failed to decode the image.",),
    ),
]

LIMITS: Sequence[Failure] = [
    Failure(
        "a-rate-limit",
        problem("429 Too Many Requests", {"message": "Too many requests"}, "Retry-After: 1"),
        *(429, LIMIT, "rate_limit_exceeded"),
        retryable=True,
        wait=(1, 1),
        says=("Too many requests",),
    ),
    Failure(
        "a-rate-limit-without-a-wait",
        problem("429 Too Many Requests", {"message": "Too many requests"}),
        *(429, LIMIT, "rate_limit_exceeded"),
        retryable=True,
        wait=(5, 7),
        max_retries=0,
    ),
    Failure(
        "a-rate-limit-in-milliseconds",
        problem("429 Too Many Requests", {"message": "Too many requests"}, "retry-after-ms: 700"),
        *(429, LIMIT, "rate_limit_exceeded"),
        headers={"x-request-id": "named-by-the-client/7"},
        retryable=True,
        wait=(1, 1),
        max_retries=1,
    ),
    Failure(
        "a-rate-limit-until-a-date",
        problem(
            "429 Too Many Requests",
            {"message": "Too many requests"},
            "Date: Fri, 20 Nov 2026 15:40:30 GMT",
            "Retry-After: Fri, 20 Nov 2026 15:41:00 GMT",
        ),
        *(429, LIMIT, "rate_limit_exceeded"),
        retryable=True,
        wait=(30, 30),
        max_retries=0,
    ),
    Failure(
        "a-rate-limit-in-words",
        [
            answer(
                "429 Too Many Requests",
                error(
                    message="Rate limit reached for demo on requests per min (RPM): Limit 3, Used 3, Requested 1. "
                    "Please try again in 6.2s.",
                    type="requests",
                    param=None,
                    code="rate_limit_exceeded",
                ),
            )
        ],
        *(429, LIMIT, "rate_limit_exceeded"),
        operation=RESPONSES,
        retryable=True,
        wait=(7, 7),
        max_retries=0,
        says=("Rate limit reached",),
    ),
    # Obeyed, this would make the npm client hammer: it takes 0 for "at once".
    Failure(
        "a-retry-after-of-0",
        problem("429 Too Many Requests", {"message": "Too many requests"}, "Retry-After: 0"),
        *(429, LIMIT, "rate_limit_exceeded"),
        retryable=True,
        wait=(5, 7),
        max_retries=0,
    ),
    # Left as it is, this would make the npm client sleep an hour.
    Failure(
        "a-wait-of-an-hour",
        problem("429 Too Many Requests", {"message": "Too many requests"}, "Retry-After: 3600"),
        *(429, LIMIT, "rate_limit_exceeded"),
        retryable=True,
        wait=(3600, 3600),
    ),
    Failure(
        "an-exhausted-quota",
        [
            answer(
                "429 Too Many Requests",
                error(
                    message="You exceeded your current quota, please check your plan and billing details.",
                    type=QUOTA,
                    param=None,
                    code="insufficient_quota",
                ),
            )
        ],
        *(429, QUOTA, "insufficient_quota"),
        says=("You exceeded your current quota",),
    ),
]

"""What the documents of the APIs behind the dialects promise, row by row.

Owns the rows as the documents have them, and of which faults each one speaks. Read by tests/core/test_dialect.py, which
holds the dialect files to them, and by tests/docs, which puts both side by side.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a document. None where it leaves something open.

    `faults`: those the row speaks of. `retried`: whether it tells its clients to ask again.
    """

    says: str
    faults: tuple[str, ...]
    status: int
    type: str | None = None
    code: str | None = None
    retried: bool | None = None


SIATI = (
    Row("Malformed JSON, unknown field, invalid parameter", ("malformed_request", "invalid_parameter"), 400),
    Row("Missing / invalid / revoked API key", ("authentication_failed", "token_expired"), 401),
    Row("PAYG credits exhausted", ("payment_required",), 402, retried=False),
    Row("Slug not in /v1/models for your tier", ("model_not_found",), 404, "invalid_request_error", "model_not_found"),
    Row("Input exceeds the model's context window", ("context_length_exceeded", "payload_too_large"), 413),
    Row("Rate limit exceeded. Honour Retry-After", ("rate_limited",), 429, retried=True),
    Row(
        "Plan quota exhausted",
        ("daily_quota_exhausted",),
        429,
        "quota_exhausted",
        "daily_quota_exhausted",
        retried=False,
    ),
    Row("Bug or panic on our side", ("internal",), 500, retried=True),
    Row(
        "Upstream inference engine failed - retry idempotently",
        ("bad_gateway", "upstream_unreachable", "engine_crashed", "out_of_memory"),
        502,
        retried=True,
    ),
    Row(
        "Backend draining or capacity-saturated. Retry with backoff",
        ("overloaded", "unavailable", "model_loading"),
        503,
        retried=True,
    ),
)

_REQUEST = "invalid_request_error"
SIATI_ROUTER = (
    Row(
        "Malformed body, missing required field",
        ("malformed_request", "invalid_parameter"),
        400,
        _REQUEST,
        "bad_request",
    ),
    Row("Tier name unrecognised", ("unknown_tier",), 400, _REQUEST, "unknown_tier"),
    Row("Key missing / malformed / revoked", ("authentication_failed",), 401, _REQUEST, "invalid_api_key"),
    Row("JWT expired", ("token_expired",), 401, _REQUEST, "expired_token"),
    Row("Plan doesn't include this tier", ("tier_not_allowed",), 403, "permission_denied", "tier_not_allowed"),
    Row("Account suspended", ("account_disabled",), 403, "permission_denied", "account_disabled"),
    Row("model_id not in catalog", ("model_not_found",), 404, "not_found", "model_not_found"),
    Row("Knowledge base does not exist or not yours", ("kb_not_found",), 404, "not_found", "kb_not_found"),
    Row("Upload > 50 MB", ("payload_too_large",), 413, _REQUEST, "payload_too_large"),
    Row("Prompt + max_tokens > model context", ("context_length_exceeded",), 422, _REQUEST, "context_too_long"),
    Row("RPM exceeded", ("rate_limited",), 429, "rate_limit_exceeded", "rate_limit_exceeded", retried=True),
    Row("Bug on our side", ("internal",), 500, "server_error", "internal_error", retried=True),
    Row(
        "Upstream model server returned error",
        ("bad_gateway", "upstream_unreachable", "engine_crashed", "out_of_memory"),
        502,
        "bad_gateway",
        "backend_unavailable",
        retried=True,
    ),
    Row(
        "All backends serving this model are down",
        ("unavailable",),
        503,
        "service_unavailable",
        "all_backends_down",
        retried=True,
    ),
    Row("Inference timed out", ("timeout", "stream_stalled"), 504, "gateway_timeout", "backend_timeout", retried=True),
)

BUDGET_GATEWAY = (
    Row(
        "Bad request: malformed JSON, unknown field, value out of range",
        ("malformed_request", "invalid_parameter"),
        400,
        retried=False,
    ),
    Row(
        "Total tokens exceed the model's context window",
        ("context_length_exceeded",),
        400,
        code="context_exceeded",
        retried=False,
    ),
    Row(
        "Authentication failed: key missing, malformed, revoked, or expired",
        ("authentication_failed", "token_expired"),
        401,
        retried=False,
    ),
    Row(
        "Key or org budget is exhausted",
        ("payment_required", "quota_exhausted"),
        402,
        code="budget_exceeded",
        retried=False,
    ),
    Row("Forbidden: model not in your org's allowed list", ("permission_denied",), 403, retried=False),
    Row("Unknown endpoint or model id", ("endpoint_not_found", "model_not_found"), 404, retried=False),
    Row("Payload too large", ("payload_too_large",), 413, retried=False),
    Row("Too many requests per minute", ("rate_limited",), 429, code="rpm_exceeded", retried=True),
    Row("Model didn't respond in time", ("timeout", "stream_stalled"), 504, code="timeout", retried=True),
    Row("Server error: memory limit", ("out_of_memory",), 500, retried=True),
    Row("Server error: transient failure", ("internal", "engine_crashed"), 500, retried=True),
    Row("Server error: transient failure", ("bad_gateway", "upstream_unreachable"), 502, retried=True),
    Row("Server error: transient failure", ("overloaded", "unavailable", "model_loading"), 503, retried=True),
)

CAI = (
    Row(
        "Malformed JSON, missing required field, invalid parameter value",
        ("malformed_request", "invalid_parameter"),
        400,
        retried=False,
    ),
    Row("Key missing, invalid or revoked", ("authentication_failed", "token_expired"), 401, retried=False),
    Row("Insufficient balance for the request", ("payment_required", "quota_exhausted"), 402, retried=False),
    Row("This resource or model is not available to your key", ("permission_denied",), 403, retried=False),
    Row("Unknown model", ("model_not_found",), 404, _REQUEST, "model_not_found", retried=False),
    Row("Non-existent path", ("endpoint_not_found",), 404, retried=False),
    Row("Timeout", ("request_timeout",), 408, retried=True),
    Row("Timeout - the provider took too long to respond", ("timeout",), 504, retried=True),
    Row("Rate limit exceeded", ("rate_limited",), 429, retried=True),
    Row("Internal gateway error", ("internal",), 500, retried=True),
    Row(
        "The model provider is temporarily unavailable",
        ("bad_gateway", "upstream_unreachable", "engine_crashed", "out_of_memory"),
        502,
        retried=True,
    ),
    Row(
        "The model provider is temporarily unavailable or overloaded",
        ("overloaded", "unavailable", "model_loading"),
        503,
        retried=True,
    ),
)

# platform.claude.com, "Errors", and the SDK's own list (anthropic-sdk-python 2.12.0, types/shared/error_type.py)
ANTHROPIC = (
    Row(
        "There was an issue with the format or content of your request",
        ("malformed_request", "invalid_parameter", "context_length_exceeded", "content_filtered"),
        400,
        _REQUEST,
        retried=False,
    ),
    Row(
        "There's an issue with your API key",
        ("authentication_failed", "token_expired"),
        401,
        "authentication_error",
        retried=False,
    ),
    Row(
        "There's an issue with your billing",
        ("payment_required", "quota_exhausted"),
        402,
        "billing_error",
        retried=False,
    ),
    Row(
        "Your API key does not have permission to use the specified resource",
        ("permission_denied",),
        403,
        "permission_error",
        retried=False,
    ),
    Row(
        "The requested resource was not found",
        ("model_not_found", "endpoint_not_found"),
        404,
        "not_found_error",
        retried=False,
    ),
    Row("The request conflicts with another one", ("conflict",), 409, "conflict_error", retried=True),
    Row(
        "Request exceeds the maximum allowed number of bytes",
        ("payload_too_large",),
        413,
        "request_too_large",
        retried=False,
    ),
    Row("Your account has hit a rate limit", ("rate_limited",), 429, "rate_limit_error", retried=True),
    Row(
        "An unexpected error has occurred internal to the systems",
        ("internal", "engine_crashed", "out_of_memory"),
        500,
        "api_error",
        retried=True,
    ),
    Row("The request timed out while processing", ("timeout", "stream_stalled"), 504, "timeout_error", retried=True),
    Row("The API is temporarily overloaded", ("overloaded",), 529, "overloaded_error", retried=True),
)

CONTRACTS: Mapping[str, Sequence[Row]] = {
    "siati": SIATI,
    "siati-router": SIATI_ROUTER,
    "budget-gateway": BUDGET_GATEWAY,
    "cai": CAI,
    "anthropic": ANTHROPIC,
}

ROUTER_CODES = """
    bad_request unknown_tier invalid_api_key expired_token tier_not_allowed account_disabled model_not_found
    kb_not_found payload_too_large context_too_long rate_limit_exceeded internal_error backend_unavailable
    all_backends_down backend_timeout
""".split()
GATEWAY_CODES = "budget_exceeded rpm_exceeded timeout context_exceeded".split()

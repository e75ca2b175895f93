"""From terms to bytes: the one place that knows the OpenAI envelope and the header policy of rewritten errors.

Owns the shape of an error answer (DESIGN section 6). Decides no fault and reads no body. Called by `normalise`, and by
the proxy for the one answer that is made without rules (`fixed_reply`).
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from postel.core.evidence import Headers
from postel.core.redact import ADDRESS, PATH, SECRET, Redactor

Scalar = str | int | float | bool
Fields = tuple[tuple[str, str], ...]

OBEYED_WAIT = 59
"""Longest wait in seconds that every SDK obeys: the AI SDK ignores 60 (facts: openai 1.x-3.x, ai 6 and 7)."""

KEPT = frozenset(
    """
    www-authenticate proxy-authenticate allow vary date set-cookie traceparent tracestate
    ratelimit ratelimit-policy x-envoy-ratelimited
    request-id apim-request-id x-ms-request-id x-ms-client-request-id x-ms-correlation-request-id x-azure-ref
    x-amzn-requestid x-amzn-trace-id x-amz-apigw-id x-amz-request-id x-amz-id-2 x-amz-cf-id cf-ray
    x-cloud-trace-context x-trace-id b3 uber-trace-id x-kong-request-id x-correlation-id x-generation-id
    nvcf-reqid x-debug-trace-id audit-id
    """.split()
)
"""Upstream headers that stay on a rewritten error; a vendor's own request id is what its support asks for."""

OURS = frozenset(
    "content-length content-encoding transfer-encoding connection retry-after retry-after-ms x-should-retry".split()
)
"""Never the upstream's, even if a setting keeps them: on an answer of ours they would lie."""

KEPT_FAMILIES = (
    "access-control-",
    "ratelimit-",
    "x-ratelimit-",
    "x-rate-limit-",
    "anthropic-ratelimit-",
    "x-ai-ratelimit-",
    "x-b3-",
)


@dataclass(frozen=True, slots=True)
class Reply:
    """One complete error answer. Header names are in lower case; `body` is empty for HEAD.

    The other fields say what is in it, for the end of a stream, the journal, the metrics and the cases: `error` is the
    object inside the envelope, `base` the base fault that `fault` is a form of, `retry_after` is in whole seconds.
    """

    status: int
    headers: Fields
    body: bytes
    error: Mapping[str, object]
    fault: str
    base: str
    rule: str | None
    message: str
    type: str
    code: str | None
    param: str | None
    details: Mapping[str, Scalar]
    retryable: bool
    retry_after: int | None


@dataclass(frozen=True, slots=True)
class Policy:
    """What a deployment may change about the envelope: `provenance` names fault and rule to the client."""

    provenance: bool = False
    keep_headers: Collection[str] = ()


def seconds(wait: float) -> int:
    """A wait as Retry-After carries it: whole seconds, rounded up, at least 1."""
    return max(1, math.ceil(wait))


def kept(headers: Headers, redactor: Redactor, extra: Collection[str] = ()) -> Fields:
    """The upstream's header fields that stay on a rewritten error, in their order, names in lower case.

    Challenges are for people, too, and lose what must not leave; everything else stays to the letter.
    """
    named = ((name.lower(), value) for name, value in headers.fields)
    return tuple(
        (name, _challenge(value, redactor) if name in _CHALLENGES else value)
        for name, value in named
        if name in KEPT or name.startswith(KEPT_FAMILIES) or name in extra
    )


_CHALLENGES = ("www-authenticate", "proxy-authenticate")
_ANSWERED = ("digest", "negotiate", "ntlm", "scram")
"""Schemes whose challenge a client computes with: any letter less and nobody gets in."""


def _challenge(value: str, redactor: Redactor) -> str:
    """`Bearer realm="http://keycloak.internal/x", error="invalid_token"` without the address."""
    if value.lower().startswith(_ANSWERED):
        return value
    left = redactor.redact(value)
    if not any(left.count(mask) > value.count(mask) for mask in (ADDRESS, PATH, SECRET)):
        return value
    # Redaction resolves character references, and `&#10;` must not become a line of its own.
    return "".join(letter if " " <= letter <= "~" else " " for letter in left)


def error_body(error: Mapping[str, object]) -> bytes:
    """The envelope, compact. A lone surrogate (legal in JSON, not in UTF-8) becomes `?`."""
    return json.dumps({"error": error}, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def render(
    *,
    status: int,
    message: str,
    type: str,
    code: str | None,
    param: str | None,
    details: Mapping[str, Scalar],
    keys: tuple[str, ...],
    fault: str,
    base: str,
    rule: str | None,
    retryable: bool,
    wait: int | None,
    request_id: str,
    upstream: Headers,
    method: str,
    redactor: Redactor,
    policy: Policy,
) -> Reply:
    """Put one error into its envelope. `wait` is in whole seconds, None for no Retry-After."""
    said: dict[str, object] = {"message": message, "type": type, "param": param, "code": code}
    if details:
        said["details"] = dict(details)
    error = {key: said[key] for key in keys if key in said}
    headers: list[tuple[str, str]] = [("content-type", "application/json"), ("x-request-id", request_id)]
    if wait is not None:
        headers.append(("retry-after", str(wait)))
    headers.append(("x-should-retry", "true" if retryable and (wait or 0) <= OBEYED_WAIT else "false"))
    headers.append(("cache-control", "no-store"))
    if (theirs := upstream.get("x-request-id")) and theirs != request_id:
        headers.append(("x-upstream-request-id", theirs))
    if policy.provenance:
        error |= {"fault": fault} | ({"rule": rule} if rule else {})
        headers.append(("x-postel-fault", fault))
        if rule:
            headers.append(("x-postel-rule", rule))
    ours = {name for name, _ in headers} | OURS
    headers += [(name, value) for name, value in kept(upstream, redactor, policy.keep_headers) if name not in ours]
    body = error_body(error)
    headers.append(("content-length", str(len(body))))
    return Reply(
        status=status,
        headers=tuple(headers),
        body=b"" if method == "HEAD" else body,
        error=error,
        fault=fault,
        base=base,
        rule=rule,
        message=message,
        type=type,
        code=code,
        param=param,
        details=details,
        retryable=retryable,
        retry_after=wait,
    )


def fixed_reply(request_id: str, method: str = "POST") -> Reply:
    """The answer when Postel itself failed and there is nothing to pass through: no rule, no dialect, no reading."""
    return render(
        status=502,
        message="The proxy could not process the answer of the model server.",
        type="server_error",
        code="bad_gateway",
        param=None,
        details={},
        keys=("message", "type", "param", "code"),
        fault="bad_gateway",
        base="bad_gateway",
        rule=None,
        retryable=True,
        wait=None,
        request_id=request_id,
        upstream=Headers(),
        method=method,
        redactor=Redactor(),
        policy=Policy(),
    )

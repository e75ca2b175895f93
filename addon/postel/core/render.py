"""From terms to an answer: the headers of a rewritten error and what its body says.

Owns the header policy (DESIGN section 6) and which fields an error has; the shape around them is `envelope`'s. Decides
no fault and reads no body. Called by `normalise`, and by the proxy for the one answer that is made without rules
(`fixed_reply`).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from urllib.parse import quote

from postel.core import envelope
from postel.core.dialect import KEYS, Dialect, Terms
from postel.core.envelope import Document, Envelope
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

    The other fields say what is in it, for the end of a stream, the journal, the metrics and the cases: `streamed` is
    the error object as an event of a stream has it, `base` the base fault that `fault` is a form of, `retry_after` is
    in whole seconds.
    """

    status: int
    headers: Fields
    body: bytes
    envelope: Envelope
    streamed: Document
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
    """What a deployment may change about the answer: `provenance` names fault and rule to the client.

    `keep` are keys of the upstream's JSON error that are carried beside `error`.
    """

    provenance: bool = False
    keep_headers: Collection[str] = ()
    keep: Collection[str] = ()


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


def render(
    *,
    dialect: Dialect,
    terms: Terms,
    message: str,
    streamed: str,
    param: str | None,
    details: Mapping[str, Scalar],
    carried: Document,
    fault: str,
    base: str,
    rule: str | None,
    wait: int | None,
    request_id: str,
    upstream: Headers,
    method: str,
    redactor: Redactor,
    policy: Policy,
) -> Reply:
    """Put one error into its envelope. `wait` is in whole seconds, None for no Retry-After.

    `streamed` is the message as the end of a stream has it; `carried` are the upstream's old keys beside `error`.
    """
    said: dict[str, object] = {"message": message, "type": terms.type, "param": param, "code": terms.code}
    if details:
        said["details"] = dict(details)
    source: dict[str, object] = {}
    if policy.provenance:
        source = {"fault": fault, "rule": rule} if rule else {"fault": fault}
    error = {key: said[key] for key in dialect.keys if key in said} | source
    headers: list[tuple[str, str]] = [
        ("content-type", envelope.MEDIA_TYPES[dialect.envelope]),
        ("x-request-id", request_id),
    ]
    if wait is not None:
        headers.append(("retry-after", str(wait)))
    headers.append(("x-should-retry", "true" if terms.retryable and (wait or 0) <= OBEYED_WAIT else "false"))
    headers.append(("cache-control", "no-store"))
    theirs = upstream.get("x-request-id")
    document: Document
    match dialect.envelope:
        case "openai":
            document = envelope.openai(error, carried)
        case "anthropic":
            document = envelope.anthropic(error, request_id, terms.type)
            headers.append(("request-id", request_id))  # the only one that Anthropic's SDKs read
            theirs = theirs or upstream.get("request-id")
        case "problem":
            document = envelope.problem(
                {"message": message} | error,
                type_uri=dialect.type_uri.replace("{code}", quote(terms.code or base, safe="")),
                title=terms.message.rstrip("."),
                status=terms.status,
                request_id=request_id,
                retry_after=wait,
            )
    if theirs and theirs != request_id:
        headers.append(("x-upstream-request-id", theirs))
    headers += ((f"x-postel-{name}", str(value)) for name, value in source.items())
    ours = {name for name, _ in headers} | OURS
    headers += [(name, value) for name, value in kept(upstream, redactor, policy.keep_headers) if name not in ours]
    body = envelope.written(document)
    headers.append(("content-length", str(len(body))))
    # Inside a stream the protocol decides, and it knows no other keys than these.
    keys = dialect.keys if dialect.envelope == "openai" else KEYS
    told = said | {"message": streamed, "type": terms.stream_type}
    return Reply(
        status=terms.status,
        headers=tuple(headers),
        body=b"" if method == "HEAD" else body,
        envelope=dialect.envelope,
        streamed={key: told[key] for key in keys if key in told} | source,
        fault=fault,
        base=base,
        rule=rule,
        message=message,
        type=terms.type,
        code=terms.code,
        param=param,
        details=details,
        retryable=terms.retryable,
        retry_after=wait,
    )


def fixed_reply(request_id: str, method: str = "POST") -> Reply:
    """The answer when Postel itself failed and there is nothing to pass through: no rule, no dialect, no reading."""
    message = "The proxy could not process the answer of the model server."
    terms = Terms(502, "server_error", "server_error", "bad_gateway", message, (), True, 0, "upstream")
    return render(
        dialect=Dialect("fixed"),
        terms=terms,
        message=message,
        streamed=message,
        param=None,
        details={},
        carried={},
        fault="bad_gateway",
        base="bad_gateway",
        rule=None,
        wait=None,
        request_id=request_id,
        upstream=Headers(),
        method=method,
        redactor=Redactor(),
        policy=Policy(),
    )

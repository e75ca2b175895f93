"""The vocabulary of failure: the base faults and what each means without any dialect.

Owns the one table of base faults. Knows no upstream (that is what rule files are for) and no `type` or
`code` (that is a dialect's). Called by everything that names a fault.

A rule pack or a dialect may add a finer fault with a parent; what it does not say is its parent's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

Blame = Literal["client", "operator", "upstream"]
"""Whose the failure is: who has to act so that it does not come back."""


@dataclass(frozen=True, slots=True)
class FaultRow:
    """What one source (base table, pack or dialect) says of one fault; `None` means "ask the next nearest".

    `retry_after` is the default wait in seconds when the upstream named none; 0 says that there is none.
    """

    status: int | None = None
    type: str | None = None
    code: str | None = None
    message: str | None = None
    retryable: bool | None = None
    retry_after: float | None = None
    blame: Blame | None = None


@dataclass(frozen=True, slots=True)
class Faults:
    """Every fault that is known: the base ones and the finer ones of packs and dialects.

    `rows` holds the base table and what packs say; what a dialect says stays in the dialect, because it is
    nearer. `parents` has an entry for each finer fault.
    """

    rows: Mapping[str, FaultRow]
    parents: Mapping[str, str] = field(default_factory=dict)

    def __contains__(self, fault: object) -> bool:
        return fault in self.rows

    def __iter__(self) -> Iterator[str]:
        return iter(self.rows)

    def lineage(self, fault: str) -> tuple[str, ...]:
        """The fault, its parent, and so on up to the base fault.

        Raises KeyError for a fault that nobody declared.
        """
        self.rows[fault]
        line = [fault]
        while line[-1] in self.parents:
            line.append(self.parents[line[-1]])
        return tuple(line)

    def base(self, fault: str) -> str:
        """The base fault that `fault` is, or is a finer form of."""
        return self.lineage(fault)[-1]


def _row(
    status: int,
    blame: Blame,
    message: str,
    *,
    retryable: bool = False,
    retry_after: float = 0,
) -> FaultRow:
    return FaultRow(status=status, blame=blame, message=message, retryable=retryable, retry_after=retry_after)


# Statuses follow what the official SDKs do with them: 408, 409, 429 and every 5xx are retried by default, so a
# fault that no retry cures either has another status or says `x-should-retry: false`. The sentences are what a
# client reads when the upstream said nothing usable; they promise nothing that the evidence does not carry.
BASE: Mapping[str, FaultRow] = {
    "malformed_request": _row(400, "client", "The request could not be understood."),
    "invalid_parameter": _row(400, "client", "A parameter of the request is missing or not valid."),
    "context_length_exceeded": _row(400, "client", "The input is longer than the model's maximum context length."),
    "content_filtered": _row(400, "client", "The request was rejected by a content filter."),
    "authentication_failed": _row(401, "client", "The credentials are missing or not valid."),
    "token_expired": _row(401, "client", "The credentials have expired."),
    "payment_required": _row(402, "client", "The account has no credit left for this request."),
    "permission_denied": _row(403, "client", "The credentials do not allow this request."),
    "model_not_found": _row(404, "client", "The requested model does not exist here."),
    "endpoint_not_found": _row(404, "client", "The requested endpoint does not exist here."),
    "method_not_allowed": _row(405, "client", "This method is not allowed on this endpoint."),
    "request_timeout": _row(408, "client", "The request did not arrive in time.", retryable=True, retry_after=1),
    "conflict": _row(
        409, "client", "The request conflicts with another one in progress.", retryable=True, retry_after=1
    ),
    "payload_too_large": _row(413, "client", "The request body is too large."),
    "unsupported_media_type": _row(415, "client", "The content type of the request is not supported."),
    "unprocessable": _row(422, "client", "The request was understood but could not be processed."),
    "rate_limited": _row(429, "client", "Too many requests.", retryable=True, retry_after=5),
    "quota_exhausted": _row(429, "client", "The quota is used up."),
    "client_closed": _row(499, "client", "The client closed the connection."),
    "internal": _row(500, "upstream", "The model server failed to process the request.", retryable=True),
    "engine_crashed": _row(
        500, "upstream", "The inference engine stopped unexpectedly.", retryable=True, retry_after=10
    ),
    "out_of_memory": _row(500, "upstream", "The model server ran out of memory.", retryable=True, retry_after=5),
    "not_implemented": _row(501, "operator", "The model server does not support this request."),
    "bad_gateway": _row(502, "upstream", "The model server sent an invalid or incomplete answer.", retryable=True),
    "upstream_unreachable": _row(
        502, "operator", "The model server could not be reached.", retryable=True, retry_after=5
    ),
    "overloaded": _row(503, "upstream", "The model server is overloaded.", retryable=True, retry_after=5),
    "unavailable": _row(503, "upstream", "The model server is not available.", retryable=True, retry_after=10),
    "model_loading": _row(503, "upstream", "The model is still loading.", retryable=True, retry_after=20),
    "timeout": _row(504, "upstream", "The model server did not answer in time.", retryable=True),
    "stream_interrupted": _row(502, "upstream", "The answer was interrupted before it was complete.", retryable=True),
    "stream_stalled": _row(504, "upstream", "The answer stopped coming before it was complete.", retryable=True),
    "stream_malformed": _row(502, "upstream", "The model server sent an answer that cannot be read.", retryable=True),
}

TELLS_WAIT = frozenset({"payment_required", "quota_exhausted"})
"""Faults that no retry cures but whose wait is worth telling: a quota that comes back at midnight."""

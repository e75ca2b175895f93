"""Which answers are kept until they are whole, so that they can still become something else.

Owns the rule of DESIGN section 6 on holding: errors always, because they are rewritten; of healthy statuses those whose
body could carry an error. Called by the proxy when a response head comes, and by `rulefile.cases`.
"""

from __future__ import annotations

from postel.core.evidence import BODY_LIMIT

EVENTS = frozenset({"text/event-stream", "application/x-ndjson", "application/jsonl", "application/stream+json"})
"""Media types of answers that are sequences of events: never held, whatever they begin with."""


def is_held(
    method: str, status: int, media_type: str | None, length: int | None, *, grpc_status: str | None = None
) -> bool:
    """Whether an answer on a path that is normalised is held.

    `media_type` is in lower case without parameters; `length` is the Content-Length, None if there is none. 1xx and 3xx
    are never Postel's business, and an answer that has no body has nothing to hold. `grpc_status` is that header: in a
    head it is gRPC's trailers-only answer, which says 200 and failed (gRPC over HTTP/2, "Responses").
    """
    if status >= 400:
        return True
    if not 200 <= status < 300 or status in (204, 205) or method == "HEAD" or (length or 0) > BODY_LIMIT:
        return False
    if grpc_status is not None:
        return True
    if media_type is None:
        return True
    if media_type in EVENTS:
        return False
    return media_type.startswith("text/") or media_type.endswith(("/json", "+json", "/xml", "+xml"))

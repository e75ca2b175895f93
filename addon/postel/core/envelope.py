"""The shapes in which an error is written down: OpenAI's, Anthropic's, and RFC 9457's problem details.

Owns every shape that more than one place sends. Decides no fault, no wording and no header. Called by `render` for
answers and by `stream.tail` for the events that end a stream.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Literal
from urllib.parse import quote

Envelope = Literal["openai", "anthropic", "problem"]

Document = Mapping[str, object]

MEDIA_TYPES: Mapping[Envelope, str] = {
    "openai": "application/json",
    "anthropic": "application/json",
    "problem": "application/problem+json",
}

NO_TYPE = "about:blank"
"""A problem that has no more to say of its kind than the status does (RFC 9457 section 4.2.1)."""


def openai(error: Document, carried: Document | None = None) -> Document:
    """OpenAI's, `error` first: sashabaranov/go-openai looks for nothing else. `carried` are old keys beside it."""
    return {"error": error, **(carried or {})}


def anthropic(error: Document, request_id: str, type: str) -> Document:
    """Anthropic's: its word for the kind of error first, then whatever else the error says."""
    named = {"type": type} | {key: value for key, value in error.items() if key != "type"}
    return {"type": "error", "error": named, "request_id": request_id}


def problem(
    error: Document, *, type_uri: str, title: str, status: int, request_id: str, retry_after: int | None
) -> Document:
    """RFC 9457: its five members, then what else the error says, then the request and the wait.

    OpenAI's `type` is left out: the member of this name is a URI here. `title` is used where `type_uri` says more than
    the status does.
    """
    told: dict[str, object] = {
        "type": type_uri,
        "title": _phrase(status) if type_uri == NO_TYPE else title,
        "status": status,
        "detail": error["message"],
        "instance": _occurrence(request_id),
    }
    told |= {key: value for key, value in error.items() if key not in ("message", "type")}
    told["request_id"] = request_id
    if retry_after is not None:
        told["retry_after"] = retry_after
    return told


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase if status in HTTPStatus else f"Error {status}"


_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE | re.ASCII)


def _occurrence(request_id: str) -> str:
    """A URI reference for one occurrence: a UUID has a namespace of its own (RFC 9562), other ids are a fragment."""
    return f"urn:uuid:{request_id}" if _UUID.fullmatch(request_id) else f"#{quote(request_id, safe='')}"


_ANTHROPIC_TYPES: Mapping[int, str] = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}


def anthropic_type(status: int) -> str:
    """Anthropic's own word for a status (its API reference, "Errors"), where the dialect speaks another API's."""
    return _ANTHROPIC_TYPES.get(status) or ("api_error" if status >= 500 else "invalid_request_error")


def written(document: Document) -> bytes:
    """Compact JSON on one line. A lone surrogate (legal in JSON, not in UTF-8) becomes `?`."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")

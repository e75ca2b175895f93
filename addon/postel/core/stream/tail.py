"""One error as the last event of a stream.

Owns the bytes, each of which some SDK needs (facts: `go-openai` wants `error` first and no space, the AI SDK no
`choices`, all of them a blank line). Decides no fault. Called by `guard`, when an answer fails after its head was sent.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import Enum

from postel.core.render import Reply, error_body
from postel.core.stream.protocol import Progress, Protocol

DONE = b"data: [DONE]\n\n"


class Form(Enum):
    """How an error looks on one kind of stream."""

    CHAT = "chat"  # chat, legacy completions, and every other SSE
    RESPONSES = "responses"
    MESSAGES = "messages"
    LINES = "lines"
    OLLAMA = "ollama"


def form_of(progress: Progress, path: str, *, lines: bool) -> Form:
    """What is on the wire decides; the path only where nothing told."""
    if lines:
        return Form.OLLAMA if path.startswith("/api/") else Form.LINES
    path = path.rstrip("/")
    match progress.protocol:
        case Protocol.RESPONSES:
            return Form.RESPONSES
        case Protocol.MESSAGES:
            return Form.MESSAGES
        case Protocol.UNKNOWN if path.endswith("/responses"):
            return Form.RESPONSES
        case Protocol.UNKNOWN if path.endswith("/messages"):
            return Form.MESSAGES
    return Form.CHAT


def tail(reply: Reply, form: Form, *, request_id: str, delivered: int, sequence: int, done: bool) -> bytes:
    """The bytes that end a stream with `reply`.

    The message names the request, because the Python SDK keeps no header of a stream that failed, and says how much had
    come. `sequence` is a Responses stream's next number; `done` adds OpenAI's terminator where there is one.
    """
    events = "no events" if delivered == 0 else "1 event" if delivered == 1 else f"{delivered} events"
    message = f"{reply.message} ({events} delivered, request id {request_id})"
    error = {key: message if key == "message" else value for key, value in reply.error.items()}
    match form:
        case Form.CHAT:
            return b"data: " + error_body(error) + b"\n\n" + (DONE if done else b"")
        case Form.RESPONSES:
            # Nested for the SDKs, which raise on nothing else; flat as OpenAI documents it.
            said = {"error": error, "type": "error", "sequence_number": sequence}
            flat = {key: error.get(key) for key in ("code", "message", "param")}
            return b"event: error\ndata: " + _json(said | flat) + b"\n\n"
        case Form.MESSAGES:
            named = {"type": _anthropic_type(reply.status)} | {k: v for k, v in error.items() if k != "type"}
            return (
                b"event: error\ndata: " + _json({"type": "error", "error": named, "request_id": request_id}) + b"\n\n"
            )
        case Form.LINES:
            return error_body(error) + b"\n"
        case Form.OLLAMA:
            return _json({"error": message}) + b"\n"


_ANTHROPIC_TYPES: Mapping[int, str] = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}


def _anthropic_type(status: int) -> str:
    """Anthropic's own words (its API reference, "Errors"); its SDKs choose their classes by them."""
    return _ANTHROPIC_TYPES.get(status) or ("api_error" if status >= 500 else "invalid_request_error")


def _json(value: Mapping[str, object]) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")

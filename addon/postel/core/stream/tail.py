"""One error as the last event of a stream.

Owns the framing and which protocol has which shape. Each byte is some SDK's need (facts: `go-openai` wants `error`
first and no space, the AI SDK no `choices`, all of them a blank line); the shapes themselves are `envelope`'s. Decides
no fault. Called by `guard`, when an answer fails after its head was sent.
"""

from __future__ import annotations

from enum import Enum

from postel.core import envelope
from postel.core.envelope import written
from postel.core.render import Reply
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
    words = reply.streamed.get("message", reply.message)
    message = f"{words} ({events} delivered, request id {request_id})"
    error = {key: message if key == "message" else value for key, value in reply.streamed.items()}
    match form:
        case Form.CHAT:
            return b"data: " + written(envelope.openai(error)) + b"\n\n" + (DONE if done else b"")
        case Form.RESPONSES:
            # Nested for the SDKs, which raise on nothing else; flat as OpenAI documents it.
            flat = {key: error.get(key) for key in ("code", "message", "param")}
            said = envelope.openai(error, {"type": "error", "sequence_number": sequence} | flat)
            return b"event: error\ndata: " + written(said) + b"\n\n"
        case Form.MESSAGES:
            own = reply.envelope == "anthropic"
            word = str(error["type"]) if own else envelope.anthropic_type(reply.status)
            return b"event: error\ndata: " + written(envelope.anthropic(error, request_id, word)) + b"\n\n"
        case Form.LINES:
            return written(envelope.openai(error)) + b"\n"
        case Form.OLLAMA:
            return written({"error": message}) + b"\n"

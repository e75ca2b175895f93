"""How a healthy stream of each OpenAI API looks, event by event.

Owns the forms in which these tests stream and the text that all of them carry. Knows no failure and no process.
Read by the cases of streams and by the tests, which ask what text an event has.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tests.clients.calls import COMPLETIONS_STREAM, HELPER, RESPONSES_HELPER, RESPONSES_STREAM, STREAM, Operation

Document = Mapping[str, Any]

DONE = b"data: [DONE]\n\n"
PIECES = ("Grüße", ": error, 502")
"""The text of all streams here, in the pieces in which it comes."""


@dataclass(frozen=True, slots=True)
class Form:
    """One API as a stream, or one way of an SDK to ask for it.

    `opening` has nothing for a user yet, `speech` has the text, `ending` says that this is all. `done`: the event that
    follows, which is no document.
    """

    name: str
    operation: Operation
    opening: Sequence[Document]
    speech: Sequence[Document]
    ending: Sequence[Document]
    done: bytes

    @property
    def spoken(self) -> list[Document]:
        """All up to the end of the text."""
        return [*self.opening, *self.speech]

    def case(self, name: str) -> str:
        """The name of a case in this form."""
        return f"{self.name}-stream-{name}"

    @property
    def documents(self) -> list[Document]:
        return [*self.spoken, *self.ending]


def event(document: Document) -> bytes:
    """A document as OpenAI sends it: the Responses API names its events, the older ones do not."""
    name = f"event: {document['type']}\n" if "type" in document else ""
    return f"{name}data: {json.dumps(document, separators=(',', ':'), ensure_ascii=False)}\n\n".encode()


def events(documents: Sequence[Document]) -> bytes:
    return b"".join(map(event, documents))


def text(documents: Sequence[Document]) -> str:
    """What a user reads."""
    return "".join(map(_text, documents))


def _text(document: Document) -> str:
    if document.get("type") == "response.output_text.delta":
        return str(document["delta"])
    choices = document.get("choices") or [{}]
    return str(choices[0].get("text") or choices[0].get("delta", {}).get("content") or "")


def delta(delta: Document, finish_reason: str | None = None) -> Document:
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1700000000,
        "model": "demo",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}],
    }


def completion(piece: str, finish_reason: str | None = None) -> Document:
    return {
        "id": "cmpl-1",
        "object": "text_completion",
        "created": 1700000000,
        "model": "demo",
        "choices": [{"index": 0, "text": piece, "finish_reason": finish_reason, "logprobs": None}],
    }


def response(status: str, **more: object) -> Document:
    """The object that the Responses API builds up."""
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1700000000,
        "status": status,
        "error": None,
        "incomplete_details": None,
        "model": "demo",
        "output": [],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        **more,
    }


_PART = {"item_id": "msg_1", "output_index": 0, "content_index": 0}


def _said(piece: str) -> Document:
    return {"type": "output_text", "text": piece, "annotations": []}


def _message(status: str, *content: Document) -> Document:
    return {"type": "message", "id": "msg_1", "role": "assistant", "status": status, "content": list(content)}


def _numbered(*documents: Document, start: int = 0) -> Sequence[Document]:
    return [{**document, "sequence_number": number} for number, document in enumerate(documents, start)]


_WHOLE_TEXT = _said("".join(PIECES))
_USAGE = {
    "input_tokens": 5,
    "input_tokens_details": {"cached_tokens": 0},
    "output_tokens": 4,
    "output_tokens_details": {"reasoning_tokens": 0},
    "total_tokens": 9,
}
_COMPLETED = response("completed", output=[_message("completed", _WHOLE_TEXT)], usage=_USAGE)

CHAT_FORM = Form(
    "chat",
    STREAM,
    opening=[delta({"role": "assistant", "content": ""})],
    speech=[delta({"content": piece}) for piece in PIECES],
    ending=[delta({}, "stop")],
    done=DONE,
)
HELPER_FORM = replace(CHAT_FORM, name="helper", operation=HELPER)
COMPLETIONS_FORM = Form(
    "completions",
    COMPLETIONS_STREAM,
    opening=[completion("")],
    speech=[completion(piece) for piece in PIECES],
    ending=[completion("", "stop")],
    done=DONE,
)
RESPONSES_FORM = Form(
    "responses",
    RESPONSES_STREAM,
    opening=_numbered(
        {"type": "response.created", "response": response("in_progress")},
        {"type": "response.in_progress", "response": response("in_progress")},
    ),
    speech=_numbered(
        {"type": "response.output_item.added", "output_index": 0, "item": _message("in_progress")},
        {"type": "response.content_part.added", **_PART, "part": _said("")},
        *({"type": "response.output_text.delta", **_PART, "delta": piece, "logprobs": []} for piece in PIECES),
        start=2,
    ),
    ending=_numbered(
        {"type": "response.output_text.done", **_PART, "text": "".join(PIECES), "logprobs": []},
        {"type": "response.content_part.done", **_PART, "part": _WHOLE_TEXT},
        {"type": "response.output_item.done", "output_index": 0, "item": _message("completed", _WHOLE_TEXT)},
        {"type": "response.completed", "response": _COMPLETED},
        start=6,
    ),
    done=b"",
)
RESPONSES_HELPER_FORM = replace(RESPONSES_FORM, name="responses-helper", operation=RESPONSES_HELPER)
FAILED = _numbered(
    {
        "type": "response.failed",
        "response": response("failed", error={"code": "server_error", "message": "The worker ran out of patience."}),
    },
    start=6,
)
"""How the Responses API says that it failed, where its text would have gone on."""

FORMS = (CHAT_FORM, HELPER_FORM, COMPLETIONS_FORM, RESPONSES_FORM, RESPONSES_HELPER_FORM)

"""Failures of streams after a head that said 200, and one healthy stream.

Owns the bytes, by name: what vLLM, SGLang, a Knative proxy and dying processes put on the wire (facts with versions are
in the cases beside the rules). Shown by `postel demo`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from postel.misbehave.engine import End, Script, Step, chunk

_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
_CHUNKED = _HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
_CLEAN_END = b"0\r\n\r\n"
_DONE = "data: [DONE]\n\n"


def _event(finish_reason: str | None = None, **delta: str) -> str:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    event = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1700000000, "model": "demo"}
    return f"data: {json.dumps({**event, 'choices': [choice]}, separators=(',', ':'))}\n\n"


_ROLE = _event(role="assistant", content="")
_WORDS = [_event(content=word) for word in ("The", " answer", " is")]
_BEGUN = [_ROLE, *_WORDS]


def _script(summary: str, *events: str, end: bytes | End = _CLEAN_END) -> Script:
    steps: list[Step] = [_CHUNKED, *map(chunk, events), end]
    return Script(summary, steps)


STREAMS: Mapping[str, Script] = {
    "stream": _script("a healthy stream", *_BEGUN, _event(content=" 42."), _event("stop"), _DONE),
    "stream-cut": _script("a stream whose engine dies", *_BEGUN, end=End.FIN),
    "stream-reset": _script("a stream whose connection is reset", *_BEGUN, end=End.RST),
    "stream-short": _script("a stream that ends early and properly, as HTTP sees it", *_BEGUN),
    "stream-stall": _script("a stream that stops coming", *_BEGUN, end=End.STALL),
    "stream-error": _script(
        "vLLM: the engine dies in the middle of a stream",
        *_BEGUN,
        'data: {"error": {"object": "error", "message": "EngineCore encountered an issue.", '
        '"type": "BadRequestError", "param": null, "code": 400}}\n\n',
        _DONE,
    ),
    "stream-abort": _script("SGLang: the scheduler drops a stream", *_BEGUN, _event("abort"), _DONE),
    "stream-words": _script("Knative: a timeout, appended as bare words", *_BEGUN, "request timeout"),
    "stream-page": _script(
        "a web page in the middle of a stream",
        *_BEGUN,
        "<html><head><title>502 Bad Gateway</title></head>\n<body><h1>502 Bad Gateway</h1></body></html>\n",
    ),
    "stream-first": _script(
        "an error as the first event",
        _ROLE,
        'data: {"error":{"message":"Model is overloaded","http_status_code":422}}\n\n',
        _DONE,
    ),
    "stream-empty": _script("a stream without any event"),
}

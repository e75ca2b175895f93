"""A chat request and its streamed answer, in the shape and size of vLLM's.

The word of every event is a number: the engine's monotonic clock as it wrote the event. On one machine that is also the
reader's clock. Used by the engine and by all who read its streams.
"""

from __future__ import annotations

import re

PATH = "/v1/chat/completions"
BODY = (
    b'{"model":"meta-llama/Llama-3.1-8B-Instruct","stream":true,"stream_options":{"include_usage":true},'
    b'"messages":[{"role":"user","content":"%s"}]}'
) % (b"Say hello to the whole world, please. " * 50)  # 2 kB

HEAD = (
    b"HTTP/1.1 200 OK\r\ndate: Sat, 21 Nov 2026 12:00:00 GMT\r\nserver: uvicorn\r\n"
    b"content-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"
)
STAMP = re.compile(rb'"content":" (\d+\.\d{6})"')


def request(path: str, body: bytes) -> bytes:
    head = (
        f"POST {path} HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\n"
        f"user-agent: bench\r\naccept: application/json\r\nauthorization: Bearer none\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def ask(query: str) -> bytes:
    """The request for a stream; `query` says how the engine is to send it (see bench/upstream.py)."""
    return request(f"{PATH}?{query}", BODY)


def _event(choices: bytes, more: bytes = b"") -> bytes:
    data = (
        b'data: {"id":"chatcmpl-5f0c2d6e8b1a4f3c9d7e6a5b4c3d2e1f","object":"chat.completion.chunk",'
        b'"created":1763726400,"model":"meta-llama/Llama-3.1-8B-Instruct","choices":[%s]%s}\n\n'
    ) % (choices, more)
    return b"%x\r\n%s\r\n" % (len(data), data)


def _choice(delta: bytes, end: bytes = b"null") -> bytes:
    return b'{"index":0,"delta":{%s},"logprobs":null,"finish_reason":%s}' % (delta, end)


ROLE = _event(_choice(b'"role":"assistant","content":""'))
_FINISH = _event(_choice(b'"content":""', b'"stop","stop_reason":null'))


def word(sent: float) -> bytes:
    """An event with output, as one chunk of the body."""
    return _event(_choice(b'"content":" %.6f"' % sent))


def ending(words: int) -> bytes:
    """What comes after the last word, to the end of the body."""
    usage = b',"usage":{"prompt_tokens":430,"total_tokens":%d,"completion_tokens":%d}' % (430 + words, words)
    return _FINISH + _event(b"", usage) + b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"

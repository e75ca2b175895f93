"""Failures of answers that are no streams, and one healthy answer: what engines and the proxies before them send.

Owns the bytes, by name. Shown by `postel demo`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from postel.misbehave.engine import End, Script, answer


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


_NGINX = (
    "<html>\r\n<head><title>{0}</title></head>\r\n<body>\r\n<center><h1>{0}</h1></center>\r\n"
    "<hr><center>nginx/1.22.1</center>\r\n</body>\r\n</html>\r\n"
)
_COMPLETION = _json(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1700000000,
        "model": "demo",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello!"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7},
    }
)

ANSWERS: Mapping[str, Script] = {
    "healthy": Script("a healthy chat completion", [answer("200 OK", _COMPLETION)]),
    "nginx-502": Script(
        "nginx in front of a dead engine", [answer("502 Bad Gateway", _NGINX.format("502 Bad Gateway"), "text/html")]
    ),
    "nginx-504": Script(
        "nginx in front of a slow engine",
        [answer("504 Gateway Time-out", _NGINX.format("504 Gateway Time-out"), "text/html")],
    ),
    "vllm-context": Script(
        "vLLM: the prompt is too long",
        [
            answer(
                "400 Bad Request",
                _json(
                    {
                        "object": "error",
                        "message": "This model's maximum context length is 4096 tokens. However, you requested 4608 "
                        "tokens (4096 in the messages, 512 in the completion). Please reduce the length of the "
                        "messages or completion.",
                        "type": "BadRequestError",
                        "param": None,
                        "code": 400,
                    }
                ),
            )
        ],
    ),
    "vllm-dead": Script("vLLM: the engine process died", [answer("500 Internal Server Error", b"", None)]),
    "fastapi-422": Script(
        "FastAPI: a field is missing",
        [
            answer(
                "422 Unprocessable Entity",
                _json(
                    {"detail": [{"type": "missing", "loc": ["body", "messages"], "msg": "Field required", "input": {}}]}
                ),
            )
        ],
    ),
    "busy": Script(
        "an engine that is busy, with a Retry-After",
        [answer("503 Service Unavailable", _json({"detail": "queue is full"}), "application/json", "Retry-After: 7")],
    ),
    "limit-date": Script(
        "a rate limit whose Retry-After is a date",
        [
            answer(
                "429 Too Many Requests",
                _json({"message": "Too many requests"}),
                "application/json",
                "Date: Fri, 20 Nov 2026 15:40:30 GMT",
                "Retry-After: Fri, 20 Nov 2026 15:41:00 GMT",
            )
        ],
    ),
    "error-in-200": Script(
        "an error body under HTTP 200", [answer("200 OK", _json({"error": {"message": "backend failed", "code": 500}}))]
    ),
    "login-page": Script(
        "a login page under HTTP 200",
        [answer("200 OK", "<html><title>Sign in</title><h1>Sign in</h1></html>", "text/html")],
    ),
    "traceback": Script(
        "a Python traceback",
        [
            answer(
                "500 Internal Server Error",
                'Traceback (most recent call last):\n  File "/app/server.py", line 12, in run\n    step()\n'
                "RuntimeError: CUDA out of memory. Tried to allocate 2.00 GiB\n",
                "text/plain",
            )
        ],
    ),
    "closed": Script("closed before the head", [End.FIN]),
    "reset": Script("reset before the head", [End.RST]),
    "garbage": Script("garbage instead of HTTP", [b"\x15\x03\x01\x00\x02\x02\x46 not http\r\n", End.FIN]),
    "cut": Script(
        "a JSON answer that ends half-way",
        [
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n"
            + _COMPLETION[:60].encode(),
            End.FIN,
        ],
    ),
    "slow": Script("no answer in time", [End.STALL]),
}

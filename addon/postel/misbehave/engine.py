"""An upstream that fails on demand: scripted answers, byte for byte, on a real socket.

Owns the script format, the server that plays it, and the failures that `postel demo` shows. A leaf without mitmproxy;
the project's wire tests play their own scripts on it. `/fault/NAME/...` plays NAME whatever follows, so that an SDK can
be pointed at one failure with `base_url=".../fault/NAME/v1"`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto


class End(Enum):
    """How a script stops when it does not just keep the connection for the next request."""

    FIN = auto()
    RST = auto()
    STALL = auto()


Step = bytes | float | End
"""Bytes to write, seconds to wait, or how to stop."""


@dataclass(frozen=True, slots=True)
class Script:
    """What the upstream does once it has a request. `early`: answer after the head, without reading the body."""

    summary: str
    steps: Sequence[Step]
    early: bool = False


@dataclass(slots=True)
class Received:
    """A request as the upstream saw it."""

    line: str
    headers: list[tuple[str, str]]
    body: bytes = b""

    def get(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name]

    @property
    def path(self) -> str:
        return self.line.split(" ")[1]


def answer(status: str, body: bytes | str = b"", content_type: str | None = "application/json", *headers: str) -> bytes:
    """A whole HTTP/1.1 answer with a true Content-Length; `status` is like `502 Bad Gateway`."""
    raw = body.encode() if isinstance(body, str) else body
    lines = [f"HTTP/1.1 {status}", *([f"Content-Type: {content_type}"] if content_type else []), *headers]
    return "\r\n".join([*lines, f"Content-Length: {len(raw)}", "", ""]).encode() + raw


def chunk(data: bytes | str) -> bytes:
    """One chunk of a chunked body."""
    raw = data.encode() if isinstance(data, str) else data
    return b"%x\r\n%s\r\n" % (len(raw), raw)


@dataclass(slots=True)
class Engine:
    """Plays `choose(request)` for each request; keeps what it received. `stop_stalling` ends every stall."""

    choose: Callable[[Received], Script]
    received: list[Received] = field(default_factory=list)
    connections: int = 0
    gone: int = 0
    _server: asyncio.Server | None = None
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> int:
        """Listen; returns the port."""
        self._server = await asyncio.start_server(self._connection, host, port)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        if self._server:
            self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task
        self._tasks.add(task)
        try:
            while await self._exchange(reader, writer):
                pass
        except (EOFError, asyncio.LimitOverrunError, ConnectionError, ValueError, asyncio.CancelledError):
            pass  # gone in the middle of a request, or of a chunk's size
        finally:
            self.gone += 1
            self._tasks.discard(task)
            writer.close()
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        fields = [(name, value.strip()) for name, _, value in (line.partition(":") for line in head[1:] if line)]
        request = Received(head[0], fields)
        self.received.append(request)
        script = self.choose(request)
        if not script.early:
            request.body = await _body(reader, request)
        for step in script.steps:
            if isinstance(step, bytes):
                writer.write(step)
                await writer.drain()
            elif isinstance(step, float | int):
                await asyncio.sleep(step)
            elif step is End.STALL:
                await reader.read()  # until the other side goes
                return False
            else:
                if step is End.RST:
                    sock = writer.get_extra_info("socket")
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    writer.transport.abort()
                return False
        return True


async def _body(reader: asyncio.StreamReader, request: Received) -> bytes:
    if length := request.get("content-length"):
        return await reader.readexactly(int(length[0]))
    body = b""
    if request.get("transfer-encoding"):
        while size := int((await reader.readline()).split(b";")[0], 16):
            body += await reader.readexactly(size)
            await reader.readexactly(2)
        while await reader.readline() != b"\r\n":
            pass
    return body


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

SCRIPTS: Mapping[str, Script] = {
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
"""The failures of `postel demo`, and one healthy answer."""


def by_path(request: Received) -> Script:
    """`/fault/NAME/...` plays NAME; anything else is healthy."""
    parts = request.path.split("?")[0].split("/")
    if len(parts) > 2 and parts[1] == "fault":
        return SCRIPTS.get(parts[2]) or Script(
            "unknown", [answer("404 Not Found", _json({"detail": f"no such fault; try one of {', '.join(SCRIPTS)}"}))]
        )
    return SCRIPTS["healthy"]

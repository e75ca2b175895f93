"""The server that plays scripts: answers byte for byte, on a real socket.

Owns the script format and the playing. Knows no failure by name. Used by `postel demo` and by the project's tests.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable, Sequence
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

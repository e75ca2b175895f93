"""A fast fake engine: one fixed answer per path, or a stream of chat chunks; cheap enough not to be the bottleneck.

    python -m bench.upstream PORT

How a stream is sent is said in the query of its request:

    events=200               all at once
    events=200&gap=0.02      one every 20 ms
    events=200&number=7      one by one, each when a datagram with this number comes to PORT
"""

from __future__ import annotations

import asyncio
import functools
import sys
import time
from collections.abc import Callable

from bench import chat

JSON = (
    b'{"id":"x","object":"chat.completion",'
    b'"choices":[{"index":0,"message":{"content":"Hello!"},"finish_reason":"stop"}]}'
)
PAGE = (
    b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n"
    b"<hr><center>nginx/1.22.1</center>\r\n</body>\r\n</html>\r\n"
)
OVERFLOW = (
    b'{"object":"error","message":"This model\'s maximum context length is 4096 tokens. However, you requested 4608 '
    b'tokens (4096 in the messages, 512 in the completion). Please reduce the length of the messages or completion.",'
    b'"type":"BadRequestError","param":null,"code":400}'
)


def _answer(status: bytes, content_type: bytes, body: bytes) -> bytes:
    head = b"HTTP/1.1 %s\r\ncontent-type: %s\r\ncontent-length: %d\r\n\r\n" % (status, content_type, len(body))
    return head + body


@functools.cache
def _burst(events: int) -> bytes:
    return chat.HEAD + chat.ROLE + chat.word(0) * events + chat.ending(events)


ANSWERS = {
    b"/v1/json": _answer(b"200 OK", b"application/json", JSON),
    b"/v1/html": _answer(b"502 Bad Gateway", b"text/html", PAGE),
    b"/v1/overflow": _answer(b"400 Bad Request", b"application/json", OVERFLOW),
}


class Stream:
    """One stream whose events leave one by one: the role, then words, `gap` seconds apart or one for each `next()`."""

    def __init__(self, transport: asyncio.Transport, events: int, gap: float) -> None:
        self.transport, self.events, self.left, self.gap = transport, events, events, gap
        self.loop = asyncio.get_running_loop()
        self.due = self.loop.time()
        transport.write(chat.HEAD + chat.ROLE)
        self.next()

    def next(self) -> None:
        if self.transport.is_closing():
            return
        if self.left == 0:
            self.transport.write(chat.ending(self.events))
            return
        self.left -= 1
        self.transport.write(chat.word(time.monotonic()))
        if self.gap:
            self.due += self.gap
            self.loop.call_at(self.due, self.next)


class Upstream(asyncio.Protocol):
    """Answers each request as soon as its head and body are whole."""

    def __init__(self, on_demand: dict[int, Callable[[], None]]) -> None:
        self.on_demand = on_demand
        self.buffer = b""
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head = self.buffer[:end].lower()
            at = head.find(b"content-length:")
            size = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(self.buffer) < end + 4 + size:
                return
            path, _, query = self.buffer.split(b" ", 2)[1].partition(b"?")
            self.buffer = self.buffer[end + 4 + size :]
            if query:
                self._stream(dict(pair.split(b"=") for pair in query.split(b"&")))
            else:
                self.transport.write(ANSWERS[path])

    def _stream(self, how: dict[bytes, bytes]) -> None:
        events, gap, number = int(how[b"events"]), how.get(b"gap"), how.get(b"number")
        if gap:
            Stream(self.transport, events, float(gap))
        elif number:
            self.on_demand[int(number)] = Stream(self.transport, events, 0).next
        else:
            self.transport.write(_burst(events))


class Demand(asyncio.DatagramProtocol):
    """Hands each number that comes to the stream that waits for it."""

    def __init__(self, on_demand: dict[int, Callable[[], None]]) -> None:
        self.on_demand = on_demand

    def datagram_received(self, data: bytes, _addr: object) -> None:
        self.on_demand[int(data)]()


async def main(port: int) -> None:
    loop = asyncio.get_running_loop()
    on_demand: dict[int, Callable[[], None]] = {}
    await loop.create_datagram_endpoint(lambda: Demand(on_demand), ("127.0.0.1", port))
    server = await loop.create_server(lambda: Upstream(on_demand), "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))

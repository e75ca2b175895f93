"""A fast fake engine: one fixed answer per path, on one core, cheap enough not to be the bottleneck.

python bench/upstream.py PORT
"""

from __future__ import annotations

import asyncio
import sys

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


def _events(count: int) -> bytes:
    choice = b'data: {"id":"x","object":"chat.completion.chunk","choices":[{"index":0,"delta":{%s}%s}]}\n\n'
    event, last = choice % (b'"content":"word "', b""), choice % (b"", b',"finish_reason":"stop"')
    body = b"".join(b"%x\r\n%s\r\n" % (len(data), data) for data in [event] * count + [last, b"data: [DONE]\n\n"])
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    return head + body + b"0\r\n\r\n"


ANSWERS = {
    b"/v1/json": _answer(b"200 OK", b"application/json", JSON),
    b"/v1/html": _answer(b"502 Bad Gateway", b"text/html", PAGE),
    b"/v1/overflow": _answer(b"400 Bad Request", b"application/json", OVERFLOW),
    b"/v1/events": _events(200),
}


class Upstream(asyncio.Protocol):
    """Answers each request as soon as its head and body are whole."""

    def __init__(self) -> None:
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
            path = self.buffer.split(b" ", 2)[1]
            self.buffer = self.buffer[end + 4 + size :]
            self.transport.write(ANSWERS[path])


async def main(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))

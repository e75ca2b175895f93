"""HTTP/1 on both sides, where mitmproxy's own gives up.

Owns three repairs of mitmproxy 12.2 (`proxy/layers/http/_http1.py`): requests that cannot be parsed get an envelope
instead of an HTML page; interim answers (1xx) and trailers do not break the exchange (mitmproxy #2229, #2474); heads
have a largest size (a FIXME there). Decides no fault: it names the cause and lets `Rescue` answer. Made by
`layer.RescueLayer`.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass

import h11
from h11._receivebuffer import ReceiveBuffer
from mitmproxy.connection import Connection
from mitmproxy.net.http import http1
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http._base import HttpEvent, ReceiveHttp
from mitmproxy.proxy.layers.http._events import (
    ErrorCode,
    RequestData,
    RequestEndOfMessage,
    RequestHeaders,
    RequestProtocolError,
    ResponseData,
    ResponseEndOfMessage,
    ResponseHeaders,
    ResponseProtocolError,
)
from mitmproxy.proxy.layers.http._http1 import Http1Client, Http1Server, TBodyReader, make_body_reader

from postel.core.evidence import Cause
from postel.proxy.layer.rescue import Rescue, UpstreamFailure

HEAD_LIMIT = 64 * 1024
"""Largest head in bytes, either way: twice nginx's default for requests, and what asyncio buffers anyway."""

AHEAD_LIMIT = 1024 * 1024
"""Bytes a client may send of its next requests before it has its answer; nobody pipelines uploads."""

LINGER = 2.0
"""Seconds an unparsable request may go on after its answer. Closing at once would reset the connection while the client
still sends, and a reset destroys an answer that was not read yet (RFC 9112 section 9.6)."""

LINGER_UPLOAD = 30.0
"""As LINGER, for a request that is well-formed and long (nginx: lingering_time)."""

_HEAD_END = re.compile(rb"\n\r?\n")
_INTERIM = re.compile(rb"HTTP/1\.[01] 1(?!01)\d\d[ \r\n]")
_SWITCH = re.compile(rb"HTTP/1\.[01] 101[ \r\n]")
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] +[1-9]\d\d(?!\d)")
_MAY_BEGIN_A_REQUEST = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]*(?:[ \r\n]|\Z)")

Commands = layer.CommandGenerator[None]


def _head_too_large(buf: ReceiveBuffer) -> bool:
    return len(buf) > HEAD_LIMIT and not _HEAD_END.search(bytes(buf)[:HEAD_LIMIT])


def _skip_blank_lines(buf: ReceiveBuffer) -> None:
    """RFC 9112 section 2.2: ignore empty lines before a start line. h11's buffer would take one for a whole head."""
    data = bytes(buf)
    if blank := len(data) - len(data.lstrip(b"\r\n")):
        buf.maybe_extract_at_most(blank)


def _could_begin_an_answer(data: bytes) -> bool:
    """Whether these bytes are, or may yet become, a status line of RFC 9112 section 4."""
    if b"\n" in data or len(data) > 40:
        return _STATUS_LINE.match(data) is not None
    return data[:7] == b"HTTP/1."[: len(data)]


@dataclass(frozen=True, slots=True)
class _Read:
    """What one read gave of a body: its data in one piece, and whether the body ended or broke."""

    data: bytes
    ended: bool = False
    problem: str = ""


def _read(reader: TBodyReader, buf: ReceiveBuffer, event: events.Event) -> _Read:
    """Read on with h11, in one piece.

    mitmproxy hands on chunk by chunk, which costs an event and two writes for each, and has no place for trailers
    (#2474); here they are dropped.
    """
    pieces: list[bytes] = []
    while True:
        try:
            got = reader(buf) if isinstance(event, events.DataReceived) else reader.read_eof()
        except h11.ProtocolError as error:
            return _Read(b"".join(pieces), problem=f"HTTP/1 protocol error: {error}")
        if isinstance(got, h11.Data):
            pieces.append(bytes(got.data))
        elif got is None and len(buf) > HEAD_LIMIT:
            return _Read(b"".join(pieces), problem=f"HTTP/1 protocol error: chunk header over {HEAD_LIMIT} bytes")
        else:
            return _Read(b"".join(pieces), ended=got is not None)


def _silence() -> Commands:
    yield from ()


class _OneWrite:
    """Keeps a head until the body that is ready with it comes, so that both leave in one write."""

    def __init__(self, conn: Connection) -> None:
        self._conn = conn
        self._head = b""

    def keep(self, sent: Commands) -> Commands:
        for command in sent:
            if isinstance(command, commands.SendData):
                self._head += command.data
            else:
                yield command

    def join(self, sent: Commands) -> Commands:
        for command in sent:
            if self._head and isinstance(command, commands.SendData):
                yield commands.SendData(self._conn, self._head + command.data)
                self._head = b""
                continue
            yield from self._flush()
            yield command
        yield from self._flush()

    def _flush(self) -> Commands:
        if self._head:
            yield commands.SendData(self._conn, self._head)
            self._head = b""


class RescueHttp1Server(Http1Server):
    """Towards the client."""

    def __init__(self, context: Context, rescue: Rescue) -> None:
        super().__init__(context)
        self._rescue = rescue
        self._write = _OneWrite(self.conn)

    def send(self, event: HttpEvent) -> Commands:
        if self.state == self.linger:
            return _silence()  # the refusal was the answer, and our side is closed
        sent = super().send(event)
        if isinstance(event, ResponseHeaders) and not event.end_stream:
            at_once = event.response.stream or event.response.status_code < 200
            return sent if at_once else self._write.keep(sent)
        return self._write.join(sent)

    def read_headers(self, event: events.ConnectionEvent) -> Commands:
        if not isinstance(event, events.DataReceived):
            yield from super().read_headers(event)
            return
        _skip_blank_lines(self.buf)
        if _head_too_large(self.buf):
            yield from self._refuse(Cause.REQUEST_HEAD_TOO_LARGE, f"request head over {HEAD_LIMIT} bytes")
            return
        if not _MAY_BEGIN_A_REQUEST.match(start := bytes(self.buf)[:64]):
            # TLS, say. No line end may ever come of it, and the client waits for us.
            yield from self._refuse(Cause.BAD_REQUEST, f"no HTTP/1 request: {start!r}")
            return
        lines = self.buf.maybe_extract_lines()
        if not lines:
            return
        head = [bytes(line) for line in lines]
        try:
            if any(line[:1] in b" \t" or b"\r" in line or b"\0" in line for line in head):
                raise ValueError("a folded line, a bare CR or a NUL in the head")  # RFC 9112 sections 2.2 and 5.2
            request = http1.read_request_head(head)
            if request.http_version not in ("HTTP/1.0", "HTTP/1.1"):
                raise ValueError(f"unsupported version {request.http_version}")
            size = http1.expected_http_body_size(request)
        except ValueError as error:
            yield from self._refuse(Cause.BAD_REQUEST, str(error), head)
            return
        self.request = request
        yield ReceiveHttp(RequestHeaders(self.stream_id, request, end_stream=size == 0))
        self.body_reader = make_body_reader(size)
        self.state = self.read_body
        yield from self.state(event)

    def _refuse(self, cause: Cause, detail: str, head: Sequence[bytes] = ()) -> Commands:
        fields = [line.partition(b":") for line in head[1:]]
        ids = [value.strip().decode("latin-1") for name, _, value in fields if name.lower() == b"x-request-id"]
        response = self._rescue.refuse(cause, detail, ids)
        self.state = self.linger
        self.buf = ReceiveBuffer()
        yield commands.SendData(self.conn, http1.assemble_response(response))
        yield commands.CloseTcpConnection(self.conn, half_close=True)
        yield commands.RequestWakeup(LINGER)

    def linger(self, event: events.Event) -> Commands:
        """The answer is out; swallow what still comes, then close."""
        if isinstance(event, events.DataReceived):
            self.buf = ReceiveBuffer()
        else:
            yield commands.CloseConnection(self.conn)

    def read_body(self, event: events.Event) -> Commands:
        if isinstance(event, events.Wakeup):
            yield commands.CloseConnection(self.conn)
            return
        got = _read(self.body_reader, self.buf, event)
        if got.data:
            yield ReceiveHttp(RequestData(self.stream_id, got.data))
        if got.problem:
            # mitmproxy closes without a word. Of a client that left (no data in the event) there is nobody to tell.
            answered = self.response is not None and self.response.status_code >= 200
            if isinstance(event, events.DataReceived) and not answered:
                yield from self._refuse(Cause.BAD_REQUEST, got.problem)
            else:
                yield commands.CloseConnection(self.conn)
            yield ReceiveHttp(RequestProtocolError(self.stream_id, got.problem, ErrorCode.GENERIC_CLIENT_ERROR))
        elif got.ended:
            if self.request and self.request.method != "CONNECT":
                yield ReceiveHttp(RequestEndOfMessage(self.stream_id))
            yield from self.mark_done(request=True)

    def mark_done(self, *, request: bool = False, response: bool = False) -> Commands:
        yield from super().mark_done(request=request, response=response)
        if self.response_done and not self.request_done:
            yield commands.RequestWakeup(LINGER_UPLOAD)

    def wait(self, event: events.Event) -> Commands:
        if isinstance(event, events.DataReceived) and len(self.buf) > AHEAD_LIMIT:
            yield commands.CloseConnection(self.conn)
            told = "client sent too much before it had its answer"
            yield ReceiveHttp(RequestProtocolError(self.stream_id, told, ErrorCode.CLIENT_DISCONNECTED))
            return
        yield from super().wait(event)


class RescueHttp1Client(Http1Client):
    """Towards the upstream. `served` counts answers on this connection, `idle_since` is when the last one ended."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.served = 0
        self.idle_since = time.monotonic()
        self._write = _OneWrite(self.conn)

    def send(self, event: HttpEvent) -> Commands:
        sent = super().send(event)
        if isinstance(event, RequestHeaders) and not event.end_stream:
            return sent if event.request.stream else self._write.keep(sent)
        return self._write.join(sent)

    def read_headers(self, event: events.ConnectionEvent) -> Commands:
        if isinstance(event, events.DataReceived) and self.request:
            _skip_blank_lines(self.buf)
            while _INTERIM.match(data := bytes(self.buf)) and (end := _HEAD_END.search(data)):
                self.buf.maybe_extract_at_most(end.end())
                _skip_blank_lines(self.buf)
            if _head_too_large(self.buf):
                yield from self._fail(Cause.HEAD_TOO_LARGE, f"response head over {HEAD_LIMIT} bytes")
                return
            if not _could_begin_an_answer(bytes(self.buf)[:80]):
                # No head will ever come of this; waiting for its end would only run into the timer.
                yield from self._fail(Cause.BAD_HEAD, f"no HTTP/1 answer: {bytes(self.buf)[:60]!r}")
                return
            if _SWITCH.match(bytes(self.buf)) and "upgrade" not in self.request.headers:
                yield from self._fail(Cause.BAD_HEAD, "a switch of protocols that nobody asked for")
                return
        yield from super().read_headers(event)

    def read_body(self, event: events.Event) -> Commands:
        assert self.stream_id is not None
        got = _read(self.body_reader, self.buf, event)
        if got.data:
            yield ReceiveHttp(ResponseData(self.stream_id, got.data))
        if got.problem:
            yield commands.CloseConnection(self.conn)
            yield ReceiveHttp(ResponseProtocolError(self.stream_id, got.problem, ErrorCode.GENERIC_SERVER_ERROR))
        elif got.ended:
            yield ReceiveHttp(ResponseEndOfMessage(self.stream_id))
            yield from self.mark_done(response=True)
            if self.response_done and not self.request_done:
                self.state = self.spent

    def spent(self, _event: events.Event) -> Commands:
        """The answer is whole; bytes after it, or the upstream's leaving, end the connection and nothing else."""
        yield commands.CloseConnection(self.conn)

    def mark_done(self, *, request: bool = False, response: bool = False) -> Commands:
        yield from super().mark_done(request=request, response=response)
        if response:
            self.served += 1
            self.idle_since = time.monotonic()

    def _fail(self, cause: Cause, detail: str) -> Commands:
        assert self.stream_id is not None
        yield commands.CloseConnection(self.conn)
        yield ReceiveHttp(UpstreamFailure(self.stream_id, cause, detail))

"""HTTP/1 on both sides, where mitmproxy's own gives up.

Owns four repairs of mitmproxy 12.2 (`proxy/layers/http/_http1.py`): requests that cannot be parsed get an envelope
instead of an HTML page; interim answers (1xx) and trailers do not break the exchange (mitmproxy #2229, #2474); heads
have a largest size (a FIXME there); HTTP/1.0 clients get no chunks. Decides no fault: it names the cause and lets
`Rescue` answer. Made by `layer.RescueLayer`.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass

import h11
from h11._receivebuffer import ReceiveBuffer
from mitmproxy import http
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
from postel.proxy.layer.heads import could_begin_an_answer, request_of, response_of, skip_blank_lines, unfolded
from postel.proxy.layer.rescue import HeadOfMore, RequestBroken, Rescue, UpstreamFailure

HEAD_LIMIT = 64 * 1024
"""Largest head in bytes, either way: twice nginx's default for requests, and what asyncio buffers anyway."""

AHEAD_LIMIT = 1024 * 1024
"""Bytes a client may send of its next requests before it has its answer; nobody pipelines uploads."""

LINGER = 2.0
"""Seconds an unparsable request may go on after its answer. Closing at once would reset the connection while the client
still sends, and a reset destroys an answer that was not read yet (RFC 9112 section 9.6)."""

CLIENT_LEFT = ErrorCode.CLIENT_DISCONNECTED

HEAD_PATIENCE = 60.0
"""Seconds a request head may take from its first byte to its last (nginx: client_header_timeout)."""

LINGER_UPLOAD = 30.0
"""As LINGER, for a request that is well-formed and long (nginx: lingering_time)."""

_HEAD_END = re.compile(rb"\n\r?\n")
_INTERIM = re.compile(rb"HTTP/1\.[01] 1(?!01)\d\d[ \r\n]")
_UNCLEAN = re.compile(rb"[\r\0]")
_SWITCH = re.compile(rb"HTTP/1\.[01] 101[ \r\n]")
_MAY_BEGIN_A_REQUEST = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]*(?:[ \r\n]|\Z)")

Commands = layer.CommandGenerator[None]


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


def _without_chunks(response: http.Response) -> http.Response:
    """The answer as a client of HTTP/1.0 can read it: its end is then the connection's (RFC 9112 section 6.1)."""
    if "transfer-encoding" not in response.headers:
        return response
    stream, response = response.stream, response.copy()
    response.stream = stream
    del response.headers["transfer-encoding"]
    response.headers["connection"] = "close"
    return response


class RescueHttp1Server(Http1Server):
    """Towards the client."""

    def __init__(self, context: Context, rescue: Rescue) -> None:
        super().__init__(context)
        self._rescue = rescue
        self._write = _OneWrite(self.conn)
        self._closing: commands.RequestWakeup | None = None
        self._awaiting: commands.RequestWakeup | None = None

    def _handle_event(self, event: events.Event) -> Commands:
        if isinstance(event, events.Wakeup):
            return self._woken(event)
        return super()._handle_event(event)

    def _woken(self, event: events.Wakeup) -> Commands:
        if event.command is self._closing:
            yield commands.CloseConnection(self.conn)
        elif event.command is self._awaiting and self.state == self.read_headers and self.buf:
            yield from self._give_up(Cause.REQUEST_TIMEOUT, "the request head stopped coming")

    def send(self, event: HttpEvent) -> Commands:
        if isinstance(event, ResponseHeaders) and self.request and self.request.http_version == "HTTP/1.0":
            event = type(event)(self.stream_id, _without_chunks(event.response), event.end_stream)
        sent = super().send(event)
        if isinstance(event, ResponseHeaders) and not event.end_stream:
            alone = event.response.stream and not isinstance(event, HeadOfMore)
            return sent if alone or event.response.status_code < 200 else self._write.keep(sent)
        return self._write.join(sent)

    def read_headers(self, event: events.ConnectionEvent) -> Commands:
        if not isinstance(event, events.DataReceived):
            yield from super().read_headers(event)
            return
        data = skip_blank_lines(self.buf)
        end = _HEAD_END.search(data, 0, HEAD_LIMIT)
        if not end:
            if len(data) >= HEAD_LIMIT:
                yield from self._give_up(Cause.REQUEST_HEAD_TOO_LARGE, f"request head over {HEAD_LIMIT} bytes")
            elif not _MAY_BEGIN_A_REQUEST.match(data[:64]):
                # TLS, say. No line end may ever come of it, and the client waits for us.
                yield from self._give_up(Cause.BAD_REQUEST, f"no HTTP/1 request: {data[:64]!r}")
            elif data and self._awaiting is None:
                self._awaiting = commands.RequestWakeup(HEAD_PATIENCE)
                yield self._awaiting
            return
        self._awaiting = None
        head = [bytes(line) for line in self.buf.maybe_extract_lines() or ()]
        try:
            if any(line[:1] in (b" ", b"\t") or b"\r" in line or b"\0" in line for line in head):
                raise ValueError("a folded line, a bare CR or a NUL in the head")  # RFC 9112 sections 2.2 and 5.2
            request = request_of(head)
            if request.http_version not in ("HTTP/1.0", "HTTP/1.1"):
                raise ValueError(f"unsupported version {request.http_version}")
            size = http1.expected_http_body_size(request)
        except ValueError as error:
            yield from self._give_up(Cause.BAD_REQUEST, str(error), head)
            return
        self.request = request
        yield ReceiveHttp(RequestHeaders(self.stream_id, request, end_stream=size == 0))
        self.body_reader = make_body_reader(size)
        self.state = self.read_body
        yield from self.state(event)

    def _give_up(self, cause: Cause, detail: str, head: Sequence[bytes] = ()) -> Commands:
        """Answer what never became a request, and read no further one from this connection."""
        fields = [line.partition(b":") for line in head[1:]]
        ids = [value.strip().decode("latin-1") for name, _, value in fields if name.lower() == b"x-request-id"]
        response = self._rescue.refuse(cause, detail, ids)
        self.state = self.linger
        self.buf = ReceiveBuffer()
        yield commands.SendData(self.conn, http1.assemble_response(response))
        yield commands.CloseTcpConnection(self.conn, half_close=True)
        yield from self._linger(LINGER)

    def _linger(self, seconds: float) -> Commands:
        self._closing = commands.RequestWakeup(seconds)
        yield self._closing

    def linger(self, event: events.Event) -> Commands:
        """What still comes is no request any more: swallow it, until the client goes or the time is over."""
        self.buf = ReceiveBuffer()
        if isinstance(event, events.ConnectionClosed):
            yield commands.CloseConnection(self.conn)
            yield ReceiveHttp(RequestProtocolError(self.stream_id, "Client disconnected.", CLIENT_LEFT))

    def read_body(self, event: events.Event) -> Commands:
        got = _read(self.body_reader, self.buf, event)
        if got.data:
            yield ReceiveHttp(RequestData(self.stream_id, got.data))
        if got.problem:
            self.state = self.linger  # where the next request begins cannot be known
            if isinstance(event, events.ConnectionClosed):
                yield from self.linger(event)
            else:
                yield ReceiveHttp(RequestBroken(self.stream_id, got.problem))
        elif got.ended:
            if self.request and self.request.method != "CONNECT":
                yield ReceiveHttp(RequestEndOfMessage(self.stream_id))
            yield from self.mark_done(request=True)

    def mark_done(self, *, request: bool = False, response: bool = False) -> Commands:
        yield from super().mark_done(request=request, response=response)
        if self.response_done and not self.request_done:
            yield from self._linger(LINGER if self.state == self.linger else LINGER_UPLOAD)

    def wait(self, event: events.Event) -> Commands:
        if isinstance(event, events.DataReceived) and len(self.buf) > AHEAD_LIMIT:
            yield commands.CloseConnection(self.conn)
            told = "client sent too much before it had its answer"
            yield ReceiveHttp(RequestProtocolError(self.stream_id, told, CLIENT_LEFT))
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
        if not (isinstance(event, events.DataReceived) and self.request):
            yield from super().read_headers(event)
            return
        assert self.stream_id is not None
        data = skip_blank_lines(self.buf)
        while _INTERIM.match(data) and (end := _HEAD_END.search(data)):
            self.buf.maybe_extract_at_most(end.end())
            data = skip_blank_lines(self.buf)
        if hopeless := self._hopeless(data):
            yield from self._give_up(*hopeless)
            return
        lines = self.buf.maybe_extract_lines()
        if not lines:
            return
        try:
            # A bare CR, a NUL or a folded line is not passed on, each becomes a space (RFC 9112 sections 2.2 and 5.2).
            response = response_of([_UNCLEAN.sub(b" ", line) for line in unfolded(lines)])
        except ValueError as error:
            yield from self._give_up(Cause.BAD_HEAD, str(error))
            return
        try:
            size = http1.expected_http_body_size(self.request, response)
        except ValueError as error:
            yield from self._give_up(Cause.BAD_FRAMING, str(error))
            return
        self.response = response
        yield ReceiveHttp(ResponseHeaders(self.stream_id, response, end_stream=size == 0))
        self.body_reader = make_body_reader(size)
        self.state = self.read_body
        yield from self.state(event)

    def _give_up(self, cause: Cause, detail: str) -> Commands:
        assert self.stream_id is not None
        yield commands.CloseConnection(self.conn)
        yield ReceiveHttp(UpstreamFailure(self.stream_id, cause, detail))

    def _hopeless(self, data: bytes) -> tuple[Cause, str] | None:
        """Why no answer will ever come of these bytes; waiting for their end would only run into the timer."""
        assert self.request
        if len(data) > HEAD_LIMIT and not _HEAD_END.search(data, 0, HEAD_LIMIT):
            return Cause.HEAD_TOO_LARGE, f"response head over {HEAD_LIMIT} bytes"
        if not could_begin_an_answer(data[:80]):
            return Cause.BAD_HEAD, f"no HTTP/1 answer: {data[:60]!r}"
        if _SWITCH.match(data) and "upgrade" not in self.request.headers:
            return Cause.BAD_HEAD, "a switch of protocols that nobody asked for"
        return None

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

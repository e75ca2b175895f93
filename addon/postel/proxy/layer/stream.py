"""One exchange inside mitmproxy's HTTP layer, with the failures that hooks cannot answer.

Owns, for one request: turning an error that mitmproxy would tell in HTML (or not at all) into our answer, how much of a
body is held and when it is let go, its deadlines, and the one repeat on a stale connection. Knows no fault and no rule:
it names a cause and asks `Rescue`. Made by `layer.RescueLayer`.

`handle_event` filters the commands of mitmproxy's own `HttpStream`, which is sound because replies to commands come
back as events and never through the generator. `_handle_event` sees the events first; it is the one that mitmproxy may
pause, so everything that waits for a connection happens there.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from mitmproxy import flow as mflow
from mitmproxy.net.http.http1 import expected_http_body_size
from mitmproxy.proxy import events, layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http import DropStream, HttpStream, SendHttp
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
from mitmproxy.proxy.layers.http._hooks import HttpErrorHook, HttpRequestHeadersHook, HttpResponseHeadersHook

from postel.core.evidence import BODY_LIMIT, Cause
from postel.proxy.exchange import REQUEST_HOLD, Tee
from postel.proxy.layer.rescue import Rescue, UpstreamFailure
from postel.proxy.observe import cause_of

if TYPE_CHECKING:
    from postel.proxy.layer import RescueLayer

Commands = layer.CommandGenerator[None]

NOBODY_LISTENS = frozenset(
    {
        ErrorCode.KILL,
        ErrorCode.CANCEL,
        ErrorCode.CLIENT_DISCONNECTED,
        ErrorCode.PASSTHROUGH_CLOSE,
        ErrorCode.HTTP_1_1_REQUIRED,
    }
)
"""Errors that mean the client is gone or asked for it: they pass as they are."""

REPEATABLE = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that may be sent twice; a POST may bill twice (RFC 9110 section 9.2.2)."""


UNLIMITED = 1 << 62


class RescueStream(HttpStream):
    """See the module. `deadline` is on the monotonic clock and is read by `proxy.timers`."""

    def __init__(self, context: Context, stream_id: int, parent: RescueLayer, rescue: Rescue) -> None:
        super().__init__(context, stream_id)
        self.deadline = 0.0
        self.connecting = False
        self.parent = parent
        self._rescue = rescue
        self._limit = rescue.max_body or UNLIMITED
        self._asked = False  # the upstream got our request head
        self._heard = False  # a response head came
        self._head_sent = False  # the client got a final response head
        self._ended = False  # the client got a whole answer
        self._deaf = False  # what still comes from the upstream no longer counts
        self._repeated = False
        self._late = False  # the connect timer fired
        self._idle = 0.0
        self._held = 0
        self._uploaded = 0
        self._downloaded = 0

    # What leaves ------------------------------------------------------------------------------------------------------

    def handle_event(self, event: events.Event) -> Commands:
        if type(event) is ResponseData and self._streaming():
            # The path of every piece of a stream: what mitmproxy's three generators would do with it, at once.
            self.deadline = time.monotonic() + self._idle
            return iter((SendHttp(event, self.context.client),))  # type: ignore[return-value]
        if self.connecting and type(event) is RequestData:
            # It is queued until there is a connection, without bound. Once is not enough: asyncio's StreamReader goes
            # on reading by itself after a pause of its own.
            self._rescue.hold_back(self.context.client, stop=True)
        return self._filter(event)

    def _streaming(self) -> bool:
        """Whether pieces of the answer go to the client as they are."""
        if self.server_state != self.state_stream_response_body or self._paused:
            return False
        assert self.flow.response
        return self.flow.response.stream is True and not self.context.options.store_streamed_bodies

    def _filter(self, event: events.Event) -> Commands:
        for command in super().handle_event(event):
            if isinstance(command, SendHttp) and type(command.event) is not ResponseData:
                yield from self._send(command)
            elif isinstance(command, DropStream):
                self._release()
                yield command
            else:
                yield command

    def _send(self, command: SendHttp) -> Commands:
        event = command.event
        if isinstance(event, ResponseProtocolError) and command.connection is self.context.client:
            if event.code in NOBODY_LISTENS:
                yield command
            elif self._ended:
                pass  # the upstream's later troubles are nobody's business
            elif self._head_sent:
                yield command
            else:
                yield from self._answer(event)
            return
        if isinstance(event, ResponseHeaders):
            self._head_sent = event.response.status_code >= 101  # mitmproxy's own 100 Continue is no answer
            if self._head_sent and self.client_state != self.state_done:
                # The upstream answered before it had the whole request. The client may still be sending; it reads the
                # answer, and the connection ends with the request (RFC 9112 section 9.3).
                event.response.headers["connection"] = "close"
        elif isinstance(event, ResponseEndOfMessage):
            if self._ended:
                return
            self._ended = True
        elif isinstance(event, RequestHeaders | RequestData | RequestEndOfMessage):
            self._asked = True
            if not self._ended:  # after a switch of protocols there is nothing more to wait for
                self._wait(self._rescue.exchanges[self.flow].first_byte_timeout)
        yield command

    def _answer(self, error: ResponseProtocolError) -> Commands:
        cause = (
            error.cause if isinstance(error, UpstreamFailure) else cause_of(error.code.name, error.message, self._heard)
        )
        if cause is Cause.BAD_REQUEST and self.flow.request.method == "CONNECT":
            cause = Cause.CONNECT_METHOD
        if self._late:
            cause = Cause.CONNECT_TIMEOUT
        response = self._rescue.answer(self.flow, cause, error.message, bytes(self.response_body_buf))
        self._rescue.timers.forget(self)
        self._head_sent = self._ended = True
        if self.client_state != self.state_done:
            response.headers["connection"] = "close"
        content = response.raw_content
        client = self.context.client
        yield SendHttp(ResponseHeaders(self.stream_id, response, end_stream=not content), client)
        if content:
            yield SendHttp(ResponseData(self.stream_id, content), client)
        yield SendHttp(ResponseEndOfMessage(self.stream_id), client)

    # What arrives -----------------------------------------------------------------------------------------------------

    def _handle_event(self, event: events.Event) -> Commands:
        if self._deaf and isinstance(event, ResponseData | ResponseEndOfMessage | ResponseProtocolError):
            return
        if type(event) is ResponseData:
            yield from self._response_data(event)
            return
        if isinstance(event, events.Wakeup):
            yield from self._expired()
            return
        if isinstance(event, ResponseHeaders):
            self._heard = True
            self._idle = self._rescue.exchanges[self.flow].idle_timeout
            self._wait(self._idle)
        elif isinstance(event, ResponseEndOfMessage):
            self._rescue.timers.forget(self)
        elif isinstance(event, RequestData):
            self._uploaded += len(event.data)
            if self._uploaded > self._limit and self.client_state != self.state_errored:
                yield from self._fail(Cause.REQUEST_TOO_LARGE, "request body over the limit")
                self.client_state = self.state_errored
                return
        elif isinstance(event, ResponseProtocolError) and self._stale(event):
            yield from self._repeat()
            return
        yield from super()._handle_event(event)
        if isinstance(event, ResponseEndOfMessage) and self.client_state == self.state_stream_request_body:
            # mitmproxy ends the answer only when the request has ended too; the client need not wait for that.
            yield SendHttp(ResponseEndOfMessage(self.stream_id), self.context.client)

    def _response_data(self, event: ResponseData) -> Commands:
        self.deadline = time.monotonic() + self._idle
        self._downloaded += len(event.data)
        if self._downloaded > self._limit and not self._head_sent:
            yield from self._fail(Cause.ANSWER_TOO_LARGE, "answer body over the limit")
            return
        if self._streaming():
            yield SendHttp(event, self.context.client)
            return
        if self.server_state != self.state_consume_response_body:
            yield from super()._handle_event(event)
            return
        room = BODY_LIMIT - len(self.response_body_buf)
        if len(event.data) <= room and self._hold(len(event.data)):
            yield from super()._handle_event(event)
            return
        assert self.flow.response
        held = bytes(self.response_body_buf)
        self.response_body_buf.clear()
        if self.flow.response.status_code >= 400 and self._rescue.judge(self.flow, held + event.data[: max(room, 0)]):
            # An error is judged by what fits; whatever follows would be thrown away.
            self._deaf = True
            yield from self._cancel("answer body over the hold limit")
            self.response_body_buf += self.flow.response.raw_content or b""
            yield from super()._handle_event(ResponseEndOfMessage(self.stream_id))
            return
        self._let_go()
        self.flow.response.stream = True
        self._rescue.passes(self.flow)
        yield from self.start_response_stream()
        for data in (held, event.data):
            if data:
                yield from super()._handle_event(ResponseData(self.stream_id, data))

    def check_body_size(self, request: bool) -> layer.CommandGenerator[bool]:
        """Replaces mitmproxy's option-driven check: refuse what is over `max_body`, stop holding a large request.

        True stops the exchange. Called with the head, and again for each piece of a request body held.
        """
        if not request:
            assert self.flow.response
            if (
                self._limit is not UNLIMITED
                and not self.response_body_buf
                and self._announced(self.flow.response) > self._limit
            ):
                yield HttpResponseHeadersHook(self.flow)
                yield from self._fail(Cause.ANSWER_TOO_LARGE, "answer body over the limit")
                self.client_state = self.server_state = self.state_errored
                return True
            return False
        held = len(self.request_body_buf)
        size = held or (self._announced(None) if "content-length" in self.flow.request.headers else 0)
        if not held and size > self._limit:
            yield HttpRequestHeadersHook(self.flow)
            yield from self._fail(Cause.REQUEST_TOO_LARGE, "request body over the limit")
            self.client_state = self.state_errored
            return True
        if size <= REQUEST_HOLD and (not held or self._hold(held - self._held)):
            return False
        self.flow.request.stream = Tee(self._hold)
        if held:
            body = bytes(self.request_body_buf)
            self.request_body_buf.clear()
            self._let_go()
            yield from self.start_request_stream()
            yield from super()._handle_event(RequestData(self.stream_id, body))
        return False

    # Deadlines --------------------------------------------------------------------------------------------------------

    def _wait(self, seconds: float) -> None:
        self.deadline = time.monotonic() + seconds
        self._rescue.timers.watch(self)

    def _expired(self) -> Commands:
        if self.deadline > time.monotonic() or self._ended:
            return
        if not self._heard:
            yield from self._fail(Cause.HEAD_TIMEOUT, "no response head in time")
        else:
            yield from self._fail(Cause.BODY_TIMEOUT, "the response body stopped coming")

    def make_server_connection(self) -> layer.CommandGenerator[bool]:
        self.connecting = True
        self._wait(self._rescue.exchanges[self.flow].connect_timeout)
        connected = yield from super().make_server_connection()
        self.connecting = False
        if self.flow.request.stream:
            self._rescue.hold_back(self.context.client, stop=False)
        self._late = self._late and not connected
        if not self._asked:
            self._rescue.timers.forget(self)
        return connected

    def connect_expired(self) -> None:
        """The connect timer fired; whoever calls this also cancels the attempt, which then surfaces as an error."""
        self._late = True

    # Failing, repeating, holding --------------------------------------------------------------------------------------

    def _fail(self, cause: Cause, detail: str) -> Commands:
        yield from self._cancel(detail)
        if not self.flow.error:
            self.flow.error = mflow.Error(detail)
            yield HttpErrorHook(self.flow)
        self.flow.live = False
        yield SendHttp(UpstreamFailure(self.stream_id, cause, detail), self.context.client)
        self.server_state = self.state_errored
        yield DropStream(self.stream_id)

    def _cancel(self, detail: str) -> Commands:
        """Close the upstream connection, so that the engine stops generating."""
        self._rescue.timers.forget(self)
        if self._asked and self.context.server in self.parent.connections:
            yield SendHttp(RequestProtocolError(self.stream_id, detail, ErrorCode.CANCEL), self.context.server)

    def _stale(self, error: ResponseProtocolError) -> bool:
        """Whether the upstream had closed the reused connection, not one answer byte came, and a repeat is allowed."""
        return (
            self._asked
            and not self._heard
            and not self._repeated
            and error.message == "server closed connection"  # `_http1.py` has other words where bytes came
            and self.parent.was_reused(self.context.server)
            and self.client_state == self.state_done
            and not self.flow.request.stream
            and (self.flow.request.method in REPEATABLE or self._rescue.exchanges[self.flow].retry_stale)
        )

    def _repeat(self) -> Commands:
        self._repeated = True
        self._asked = False
        if not (yield from self.make_server_connection()):
            return
        request = self.flow.request
        content = request.raw_content
        server = self.context.server
        yield SendHttp(RequestHeaders(self.stream_id, request, end_stream=not content), server)
        if content:
            yield SendHttp(RequestData(self.stream_id, content), server)
        yield SendHttp(RequestEndOfMessage(self.stream_id), server)

    def _announced(self, response: object) -> int:
        """The body's size as its head announces it, 0 where it does not."""
        try:
            size = expected_http_body_size(self.flow.request, self.flow.response if response else None)
        except ValueError:
            return 0
        return max(size or 0, 0)

    def _hold(self, size: int) -> bool:
        if not self._rescue.budget.take(size):
            return False
        self._held += size
        return True

    def _let_go(self) -> None:
        self._rescue.budget.give(self._held)
        self._held = 0

    def _release(self) -> None:
        self._let_go()
        self._rescue.timers.forget(self)

    def abandon(self) -> None:
        """The client connection is gone: give back what was held."""
        self._release()

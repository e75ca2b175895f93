"""One exchange inside mitmproxy's HTTP layer, with the failures that hooks cannot answer.

Owns, for one request: turning an error that mitmproxy would tell in HTML (or not at all) into our answer, the one
repeat on a stale connection, and the client's leaving. What is held of its bodies is `holding`'s, its deadlines are
`timed`'s, a stream of events is `guarded`'s. Knows no fault and no rule: it names a cause and asks `Rescue`. Made by
`layer.RescueLayer`.

`handle_event` filters the commands of mitmproxy's own `HttpStream`, which is sound because replies to commands come
back as events and never through the generator. `_handle_event` sees the events first; it is the one that mitmproxy may
pause, so everything that waits for a connection happens there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mitmproxy import flow as mflow
from mitmproxy import http
from mitmproxy.proxy import events, layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http import DropStream, SendHttp
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
from mitmproxy.proxy.layers.http._hooks import HttpErrorHook

from postel.core.evidence import Cause
from postel.proxy.layer.guarded import GuardedStream, Stopped
from postel.proxy.layer.holding import REQUEST_OVER_LIMIT
from postel.proxy.layer.rescue import RequestBroken, Rescue, UpstreamFailure
from postel.proxy.layer.timed import Told, Upstream
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


class RescueStream(GuardedStream):
    """See the module. `deadline` is on the monotonic clock and is read by `proxy.timers`."""

    def __init__(self, context: Context, stream_id: int, parent: RescueLayer, rescue: Rescue) -> None:
        super().__init__(context, stream_id, rescue)
        self.parent = parent
        self._repeated = False
        self._uploaded = 0

    # What leaves ------------------------------------------------------------------------------------------------------

    def handle_event(self, event: events.Event) -> Commands:
        if type(event) is ResponseData:
            # The path of every piece of a stream: what mitmproxy's three generators would do with it, at once.
            if (sent := self._guarded_at_once(event)) is not None:
                return sent
            if self.streams_through():
                self._body_came()
                return iter((SendHttp(event, self.context.client),))  # type: ignore[return-value]
        elif self.connecting and type(event) is RequestData:
            # It is queued until there is a connection, without bound. Once is not enough: asyncio's StreamReader goes
            # on reading by itself after a pause of its own.
            self._rescue.pause(self.context.client)
            self._client_paused = True
        return self._filter(event)

    def _filter(self, event: events.Event) -> Commands:
        for command in super().handle_event(event):
            if isinstance(command, SendHttp) and type(command.event) is not ResponseData:
                yield from self._send(command)
            elif isinstance(command, DropStream):
                self.release()
                yield command
            else:
                yield command

    def _send(self, command: SendHttp) -> Commands:
        event = command.event
        if isinstance(event, ResponseProtocolError) and command.connection is self.context.client:
            if event.code in NOBODY_LISTENS:
                yield command
            elif self._told is Told.HEAD:
                self._told = Told.ALL  # it sees that this is not all of it
                yield command
            elif self._told is Told.NOTHING:
                yield from self._answer(event)
            return  # after a whole answer the upstream's later troubles are nobody's business
        if isinstance(event, ResponseHeaders):
            if event.response.status_code >= 101:  # mitmproxy's own 100 Continue is no answer
                self._told = Told.HEAD
                self._close_after_early(event.response)
        elif isinstance(event, ResponseEndOfMessage):
            if self._told is Told.ALL:
                return
            self._told = Told.ALL
        elif isinstance(event, RequestHeaders | RequestData | RequestEndOfMessage):
            self._upstream = max(self._upstream, Upstream.ASKED)
            if self._told is not Told.ALL:  # after a switch of protocols there is nothing more to wait for
                self._wait_for_upstream()
        yield command

    def _answer(self, error: ResponseProtocolError) -> Commands:
        if isinstance(error, UpstreamFailure):
            cause = error.cause
        else:
            cause = cause_of(error.code.name, error.message, heard=self._upstream >= Upstream.HEARD)
        if cause is Cause.BAD_REQUEST and self.flow.request.method == "CONNECT":
            cause = Cause.CONNECT_METHOD
        if self._late:
            cause = Cause.CONNECT_TIMEOUT
        response = self._rescue.answer(self.flow, cause, error.message, bytes(self.response_body_buf))
        self._rescue.timers.forget(self)
        self._told = Told.ALL
        self._close_after_early(response)
        yield from self._whole(response)

    def _close_after_early(self, response: http.Response) -> None:
        """An answer before the end of the request is the connection's last (RFC 9112 section 9.3)."""
        if self.client_state != self.state_done:
            response.headers["connection"] = "close"

    # What arrives -----------------------------------------------------------------------------------------------------

    def _handle_event(self, event: events.Event) -> Commands:
        match event:
            case ResponseData():
                yield from self._body_data(event)
                return
            case Stopped():
                yield from self._obey(event.data)
                return
            case events.Wakeup():
                yield from self._expired()
                return
            case RequestData() | RequestBroken() | RequestProtocolError():
                taken = yield from self._taken_from_client(event)
            case ResponseHeaders() | ResponseEndOfMessage() | ResponseProtocolError():
                taken = yield from self._taken_from_upstream(event)
            case _:
                taken = False
        if taken:
            return
        yield from super()._handle_event(event)
        if isinstance(event, RequestHeaders) and self.client_state == self.state_consume_request_body:
            if not event.end_stream:
                self._wait_for_upload()
        elif isinstance(event, ResponseHeaders) and self.server_state == self.state_consume_response_body:
            if event.end_stream and self._rescue.exchanges[self.flow].events:
                yield from self.start_response_stream()  # a stream of nothing
        elif isinstance(event, ResponseEndOfMessage) and self.client_state == self.state_stream_request_body:
            yield from self._end_before_request()

    def _taken_from_client(self, event: events.Event) -> layer.CommandGenerator[bool]:
        """Deal with what the client does wrong; False leaves the event to mitmproxy."""
        if isinstance(event, RequestBroken):
            if self._told is Told.NOTHING and self.client_state != self.state_errored:
                yield from self._fail(Cause.BAD_REQUEST, event.detail)
            return True
        if isinstance(event, RequestProtocolError):
            self._left()
        elif isinstance(event, RequestData) and self.client_state != self.state_errored:
            self._uploaded += len(event.data)
            if self._uploaded > self._limit:
                yield from self._fail(Cause.REQUEST_TOO_LARGE, REQUEST_OVER_LIMIT)
                return True
            if self._upstream is Upstream.UNASKED:
                self._wait_for_upload()
        return False

    def abandon(self) -> None:
        """The client's connection is gone, and so is whatever was held for it."""
        self._left()
        self.release()

    def _left(self) -> None:
        """The client is gone. What mitmproxy does now closes the upstream's connection at once."""
        if self._told is not Told.ALL:
            self._told = Told.ALL
            self._upstream = Upstream.IGNORED
            waited = not (self._guarding and self._guarding.is_complete)
            if waited:
                self._rescue.left(self.flow)
            if self._guarding:
                self._guarding.over(left=waited)

    def _taken_from_upstream(self, event: events.Event) -> layer.CommandGenerator[bool]:
        """Keep the timers, and deal with what is stale or no longer wanted; False leaves the event to mitmproxy."""
        if isinstance(event, ResponseHeaders):
            self._upstream = Upstream.HEARD
            self._wait_for_body()
            return False
        if self._upstream is Upstream.IGNORED:
            return True
        if isinstance(event, ResponseProtocolError) and self._stale(event):
            yield from self._repeat()
            return True
        assert isinstance(event, ResponseEndOfMessage | ResponseProtocolError)
        if (yield from self._body_ended(event)):
            return True
        self._rescue.timers.forget(self)
        return False

    # Failing, repeating -----------------------------------------------------------------------------------------------

    def _fail(self, cause: Cause, detail: str) -> Commands:
        """End the exchange: our answer if nothing was sent, else a closed connection."""
        yield from self._cancel(detail)
        if not self.flow.error:
            self.flow.error = mflow.Error(detail)
            yield HttpErrorHook(self.flow)
        self.flow.live = False
        yield SendHttp(UpstreamFailure(self.stream_id, cause, detail), self.context.client)
        self._upstream = Upstream.IGNORED
        self.client_state = self.server_state = self.state_errored
        yield DropStream(self.stream_id)

    def _ignore_upstream(self, detail: str) -> Commands:
        self._upstream = Upstream.IGNORED
        yield from self._cancel(detail)

    def _cancel(self, detail: str) -> Commands:
        """Close the upstream connection, so that the engine stops generating."""
        self._rescue.timers.forget(self)
        if self._upstream >= Upstream.ASKED and self.context.server in self.parent.connections:
            yield SendHttp(RequestProtocolError(self.stream_id, detail, ErrorCode.CANCEL), self.context.server)

    def _stale(self, error: ResponseProtocolError) -> bool:
        """Whether the upstream had closed the reused connection, not one answer byte came, and a repeat is allowed."""
        return (
            self._upstream is Upstream.ASKED
            and not self._repeated
            and error.message == "server closed connection"  # `_http1.py` has other words where bytes came
            and self.parent.was_reused(self.context.server)
            and self.client_state == self.state_done
            and not self.flow.request.stream
            and (self.flow.request.method in REPEATABLE or self._terms.retry_stale)
        )

    def _repeat(self) -> Commands:
        self._repeated = True
        self._upstream = Upstream.UNASKED
        if not (yield from self.make_server_connection()):
            return
        request = self.flow.request
        content = request.raw_content
        server = self.context.server
        yield SendHttp(RequestHeaders(self.stream_id, request, end_stream=not content), server)
        if content:
            yield SendHttp(RequestData(self.stream_id, content), server)
        yield SendHttp(RequestEndOfMessage(self.stream_id), server)

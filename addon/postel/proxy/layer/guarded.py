"""An answer that is a stream of events: what of it reaches the client, when, and how it ends.

Owns the obeying of `core.stream.guard`: the head waits until the guard lets it go, and the guard's last stage is the
answer's. Decides nothing about events. `stream.RescueStream` is built on it.
"""

from __future__ import annotations

import time
from abc import abstractmethod

from mitmproxy import flow as mflow
from mitmproxy import http
from mitmproxy.proxy import layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http import DropStream, SendHttp
from mitmproxy.proxy.layers.http._base import HttpEvent
from mitmproxy.proxy.layers.http._events import (
    ResponseData,
    ResponseEndOfMessage,
    ResponseHeaders,
    ResponseProtocolError,
)
from mitmproxy.proxy.layers.http._hooks import HttpErrorHook, HttpResponseHook

from postel.core.evidence import Cause, End
from postel.core.stream.guard import Stage
from postel.proxy.guarding import Guarding
from postel.proxy.layer.holding import UNLIMITED
from postel.proxy.layer.rescue import HeadOfMore, Rescue
from postel.proxy.layer.timed import TimedStream, Told, Upstream

Commands = layer.CommandGenerator[None]

OUT_OF_TIME = "the stream stopped coming, or took too long"

HOP_BY_HOP = ("connection", "keep-alive", "content-length", "transfer-encoding")
"""What a head says of the upstream's connection and framing, which are not the client's."""


class Stopped(HttpEvent):
    """The guard came to its last stage on the short path; `data` is what it still sends."""

    def __init__(self, stream_id: int, data: bytes) -> None:
        super().__init__(stream_id)
        self.data = data


class GuardedStream(TimedStream):
    """A `TimedStream` whose answer may have a guard."""

    def __init__(self, context: Context, stream_id: int, rescue: Rescue) -> None:
        super().__init__(context, stream_id, rescue)
        self._guarding: Guarding | None = None
        self._look_at = 0  # bytes of a held answer with which it is asked again whether it is a stream

    @abstractmethod
    def _cancel(self, detail: str) -> Commands:
        """Close the upstream connection, so that the engine stops generating."""

    # The short path ---------------------------------------------------------------------------------------------------

    def _guarded_at_once(self, event: ResponseData) -> Commands | None:
        """What becomes of a piece of a stream whose head is out, without a generator; None if that is not so easy."""
        guarding = self._guarding
        if guarding is None or self._told is not Told.HEAD or self._upstream is not Upstream.HEARD or self._paused:
            return None
        data = guarding.receive(event.data, time.monotonic())
        guard = guarding.guard
        self.deadline = guard.deadline
        if guard.stage is not Stage.OPEN:
            return self.handle_event(Stopped(self.stream_id, data))
        if not data:
            return iter(())  # type: ignore[return-value]
        event.data = data
        return iter((SendHttp(event, self.context.client),))  # type: ignore[return-value]

    # Under guard ------------------------------------------------------------------------------------------------------

    def start_response_stream(self) -> Commands:
        """In the place of mitmproxy's, which sends the head."""
        now = time.monotonic()
        self._guarding = self._rescue.guard(self.flow, self._held_answer, asked=self.asked or now, now=now)
        if self._guarding is None:
            self._rescue.passes(self.flow)
            yield from super().start_response_stream()
        else:
            self.server_state = self.state_stream_response_body
            self._watch()

    def _hold(self, event: ResponseData) -> Commands:
        """As `HoldingStream`, until it turns out to be a stream: then there is nothing to wait for."""
        yield from super()._hold(event)
        held = self.response_body_buf
        if len(held) >= self._look_at and self.server_state == self.state_consume_response_body:
            body = event.data if len(held) == len(event.data) else bytes(held)
            if self._is_stream(body):
                yield from self._turn_into_stream(body)

    def _hold_no_more(self, event: ResponseData) -> Commands:
        body = bytes(self.response_body_buf) + event.data
        if self._is_stream(body):
            yield from self._turn_into_stream(body)
        else:
            yield from super()._hold_no_more(event)

    def _is_stream(self, body: bytes) -> bool:
        """Whether a held answer is a stream, whatever its head says."""
        if self._look_at == UNLIMITED:
            return False
        if body[:1] == b"{" and b"\n" not in body:  # nearly every answer there is
            self._look_at = 2 * len(body)
            return False
        shape = self._rescue.shape(self.flow, body)
        self._look_at = 2 * len(body) if shape == "unsure" else UNLIMITED  # not with each of many small pieces
        return shape is not None and shape != "unsure"

    def _turn_into_stream(self, body: bytes) -> Commands:
        """Guard what was held so far, from its beginning."""
        assert self.flow.response
        self.flow.response.stream = True
        self.response_body_buf.clear()
        self._held_answer.give_back()
        yield from self.start_response_stream()
        yield from self._body_data(ResponseData(self.stream_id, body))

    def _body_data(self, event: ResponseData) -> Commands:
        """A piece of the answer, on the long path."""
        if self._upstream is Upstream.IGNORED:
            return
        if self._guarding:
            yield from self._obey(self._guarding.receive(event.data, time.monotonic()))
            return
        self._body_came()
        if self.streams_through():
            yield SendHttp(event, self.context.client)
        elif self.server_state != self.state_consume_response_body:
            yield from super()._handle_event(event)
        else:
            yield from self._hold(event)

    def streams_through(self) -> bool:
        """Whether pieces of the answer go to the client as they are."""
        if self.server_state != self.state_stream_response_body or self._paused or self._guarding:
            return False
        assert self.flow.response
        return self.flow.response.stream is True and not self.context.options.store_streamed_bodies

    def _body_ended(self, event: ResponseEndOfMessage | ResponseProtocolError) -> layer.CommandGenerator[bool]:
        """The upstream's answer is whole, or it broke; False leaves the event to mitmproxy."""
        if isinstance(event, ResponseEndOfMessage) and self.server_state == self.state_consume_response_body:
            held = self.response_body_buf
            if 2 * len(held) > self._look_at and self._is_stream(body := bytes(held)):
                yield from self._turn_into_stream(body)
        if self._guarding is None:
            return False
        if self._upstream is Upstream.IGNORED:
            return True
        now = time.monotonic()
        if isinstance(event, ResponseEndOfMessage):
            yield from self._obey(self._guarding.end(End.CLOSED, now), End.CLOSED)
        else:
            yield from self._obey(self._guarding.end(End.BROKEN, now), End.BROKEN, event.message)
        return True

    def _expired(self) -> Commands:
        if self._guarding is None or self._upstream is Upstream.IGNORED:
            yield from super()._expired()
            return
        yield from self._obey(self._guarding.tick(time.monotonic()), None, OUT_OF_TIME)
        if self._guarding.guard.stage < Stage.REFUSED:
            self._watch()

    def _watch(self) -> None:
        assert self._guarding
        self.deadline = self._guarding.guard.deadline
        self._rescue.timers.watch(self)

    def _body_came(self) -> None:
        if self._guarding is None:  # it has its own idea of silence
            super()._body_came()

    def excuse(self, now: float) -> None:
        if self._guarding is None:
            super().excuse(now)
        else:
            self._guarding.excuse(now)
            self.deadline = self._guarding.guard.deadline

    def release(self) -> None:
        super().release()
        if self._guarding:
            self._guarding.over()

    # What the guard wants ---------------------------------------------------------------------------------------------

    def _obey(self, data: bytes, ended: End | None = None, trouble: str = "") -> Commands:
        """Do as the guard's stage says.

        `ended` is how the upstream has, None if it goes on; `trouble` is what is wrong with its connection.
        """
        assert self._guarding
        guard = self._guarding.guard
        self.deadline = guard.deadline
        if guard.stage in (Stage.OPEN, Stage.ENDED, Stage.UNFINISHED):
            if self._told is Told.NOTHING:
                yield from self._send_head(HeadOfMore if data else ResponseHeaders)
            if data:
                yield SendHttp(ResponseData(self.stream_id, data), self.context.client)
        if guard.stage >= Stage.REFUSED:
            yield from self._end(ended, trouble)

    def _send_head(self, kind: type[ResponseHeaders]) -> Commands:
        assert self._guarding
        assert self.flow.response
        response = self.flow.response
        self._rescue.passes(self.flow)
        for name in HOP_BY_HOP:
            response.headers.pop(name, None)
        if self._guarding.decoder:
            del response.headers["content-encoding"]
        response.headers["transfer-encoding"] = "chunked"  # `http1` knows clients who cannot read that
        response.http_version = "HTTP/1.1"
        yield SendHttp(kind(self.stream_id, response, end_stream=False), self.context.client)
        self._held_request.give_back()
        self._guarding.head_sent(self._held_request)
        self._forget_request()

    def _end(self, ended: End | None, trouble: str) -> Commands:
        """The guard will send nothing more. Nobody waits for what the upstream may still have to say."""
        assert self._guarding
        guard = self._guarding.guard
        self._upstream = Upstream.IGNORED
        self._guarding.over()
        if guard.stage is Stage.UNFINISHED:
            yield from self._fail(Cause.BODY_CUT, trouble or "an event that is out in part cannot be ended")
            return
        self._rescue.timers.forget(self)
        refusal = guard.stage is Stage.REFUSED
        if guard.reply:
            self._rescue.tells(self.flow, guard.reply, refusal=refusal)
        if ended is End.CLOSED and not refusal:
            yield from self._end_with_upstream()
            return
        if ended is None or self.client_state != self.state_done:
            yield from self._cancel("the stream was ended")
        if trouble and guard.reply:
            self.flow.error = mflow.Error(trouble)
            yield HttpErrorHook(self.flow)
        else:
            yield HttpResponseHook(self.flow)
        self.flow.live = False
        if refusal:
            assert self.flow.response
            yield from self._whole(self.flow.response)
        else:
            yield SendHttp(ResponseEndOfMessage(self.stream_id), self.context.client)
        self.client_state = self.server_state = self.state_errored
        yield DropStream(self.stream_id)

    def _end_with_upstream(self) -> Commands:
        """The upstream's answer is whole, and so is the client's."""
        yield from super()._handle_event(ResponseEndOfMessage(self.stream_id))
        if self.client_state == self.state_stream_request_body:
            yield from self._end_before_request()

    def _end_before_request(self) -> Commands:
        """Mitmproxy ends the answer only when the request has ended too; the client need not wait for that."""
        yield SendHttp(ResponseEndOfMessage(self.stream_id), self.context.client)

    def _whole(self, response: http.Response) -> Commands:
        """An answer of ours, from its head to its end."""
        content, client = response.raw_content, self.context.client
        yield SendHttp(ResponseHeaders(self.stream_id, response, end_stream=not content), client)
        if content:
            yield SendHttp(ResponseData(self.stream_id, content), client)
        yield SendHttp(ResponseEndOfMessage(self.stream_id), client)

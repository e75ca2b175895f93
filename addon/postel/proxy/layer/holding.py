"""What is kept of the bodies of one exchange, and what happens when it is too much.

Owns the bounds: requests are held until they are whole (up to 1 MiB, then streamed), answers that may still become
something else until they are judged (up to 64 KiB, then let go), all of it on the budget, and nothing over `max_body`.
Knows no fault. `stream.RescueStream` is built on it.
"""

from __future__ import annotations

from abc import abstractmethod
from functools import cached_property

from mitmproxy import http
from mitmproxy.net.http.http1 import expected_http_body_size
from mitmproxy.proxy import layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http import HttpStream
from mitmproxy.proxy.layers.http._events import RequestData, ResponseData, ResponseEndOfMessage
from mitmproxy.proxy.layers.http._hooks import HttpRequestHeadersHook, HttpResponseHeadersHook

from postel.core.evidence import BODY_LIMIT, Cause
from postel.proxy.budget import Held
from postel.proxy.exchange import REQUEST_HOLD, Tee
from postel.proxy.layer.rescue import Rescue
from postel.proxy.observe import guarded
from postel.settings import Terms

Commands = layer.CommandGenerator[None]

UNLIMITED = 1 << 62

REQUEST_OVER_LIMIT = "request body over the limit"


class HoldingStream(HttpStream):
    """An `HttpStream` with bounds of our own in the place of mitmproxy's options."""

    def __init__(self, context: Context, stream_id: int, rescue: Rescue) -> None:
        super().__init__(context, stream_id)
        self._rescue = rescue
        self._limit = rescue.max_body or UNLIMITED
        self._held_request = Held(rescue.budget)
        self._held_answer = Held(rescue.budget)
        self._downloaded = 0

    @cached_property
    def _terms(self) -> Terms:
        return self._rescue.exchanges[self.flow].terms

    @abstractmethod
    def _fail(self, cause: Cause, detail: str) -> Commands:
        """End the exchange: our answer if nothing was sent, else a closed connection."""

    @abstractmethod
    def _ignore_upstream(self, detail: str) -> Commands:
        """Close the upstream connection, and pay no heed to what it still says."""

    def _hold(self, event: ResponseData) -> Commands:
        """Keep a piece of an answer, or find that it is too much."""
        self._downloaded += len(event.data)
        if self._downloaded > self._limit:
            yield from self._fail(Cause.ANSWER_TOO_LARGE, "answer body over the limit")
        elif self._downloaded <= self._terms.hold_body and self._held_answer.take(len(event.data)):
            yield from super()._handle_event(event)
        else:
            yield from self._hold_no_more(event)

    def _hold_no_more(self, event: ResponseData) -> Commands:
        """More came than is held: judge an error by what there is, let everything else go."""
        assert self.flow.response
        held = bytes(self.response_body_buf)
        self.response_body_buf.clear()
        if self.flow.response.status_code >= 400 and self._rescue.judge(self.flow, (held + event.data)[:BODY_LIMIT]):
            yield from self._ignore_upstream("answer body over the hold limit")
            self.response_body_buf += self.flow.response.raw_content or b""
            yield from super()._handle_event(ResponseEndOfMessage(self.stream_id))
            return
        self.flow.response.stream = True
        yield from self.start_response_stream()
        for data in (held, event.data):
            if data:
                yield from super()._handle_event(ResponseData(self.stream_id, data))

    def start_response_stream(self) -> Commands:
        # Nothing will be judged any more, and an answer may stream for minutes: let the request go.
        self._held_answer.give_back()
        self._held_request.give_back()
        self._forget_request()
        return super().start_response_stream()

    def _forget_request(self) -> None:
        if not self._rescue.keeps_bodies:
            self.flow.request.data.content = None
        if isinstance(self.flow.request.stream, Tee):
            self.flow.request.stream.stop()

    def check_body_size(self, request: bool) -> layer.CommandGenerator[bool]:
        """Replaces mitmproxy's option-driven check: refuse what is over `max_body`, stop holding a large request.

        True stops the exchange. Called with the head, and again for each piece of a body held.
        """
        return (yield from self._check_request() if request else self._check_answer())

    def _check_answer(self) -> layer.CommandGenerator[bool]:
        if self._limit is UNLIMITED or self.response_body_buf or self._announced(self.flow.response) <= self._limit:
            return False
        assert self.flow.response
        if guarded(self.flow.request.method, self.flow.response):
            return False  # nothing of it is held but an event
        yield HttpResponseHeadersHook(self.flow)
        yield from self._fail(Cause.ANSWER_TOO_LARGE, "answer body over the limit")
        return True

    def _check_request(self) -> layer.CommandGenerator[bool]:
        buffered = len(self.request_body_buf)
        if not buffered:
            size = self._announced(None) if "content-length" in self.flow.request.headers else 0
            if size > self._limit:
                yield HttpRequestHeadersHook(self.flow)
                yield from self._fail(Cause.REQUEST_TOO_LARGE, REQUEST_OVER_LIMIT)
                return True
            if size > REQUEST_HOLD:
                self.flow.request.stream = Tee(self._held_request.take)
        elif buffered > REQUEST_HOLD or not self._held_request.take(buffered - self._held_request.size):
            body = bytes(self.request_body_buf)
            self.request_body_buf.clear()
            self._held_request.give_back()
            self.flow.request.stream = Tee(self._held_request.take)
            yield from self.start_request_stream()
            yield from super()._handle_event(RequestData(self.stream_id, body))
        return False

    def _announced(self, response: http.Response | None) -> int:
        """A body's size as its head announces it, 0 where it does not; of the request without `response`."""
        try:
            return max(expected_http_body_size(self.flow.request, response) or 0, 0)
        except ValueError:
            return 0

    def release(self) -> None:
        """Give back what is held."""
        self._held_request.give_back()
        self._held_answer.give_back()

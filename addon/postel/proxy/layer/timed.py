"""How far each side of an exchange has come, and how long its next step may take.

Owns the deadlines: connecting, the upload, the first byte, silence in the body, and the whole answer. Knows no fault:
it names a cause. `guarded.GuardedStream` is built on it; `proxy.timers` reads `deadline` and says when it has passed.
"""

from __future__ import annotations

import time
from enum import IntEnum
from math import inf

from mitmproxy.proxy import layer
from mitmproxy.proxy.context import Context

from postel.core.evidence import Cause
from postel.proxy.layer.holding import HoldingStream
from postel.proxy.layer.rescue import Rescue

Commands = layer.CommandGenerator[None]


class Upstream(IntEnum):
    """How far the upstream has come. It only ever goes on."""

    UNASKED = 0
    ASKED = 1  # it has our request head
    HEARD = 2  # its response head came
    IGNORED = 3  # what still comes no longer counts


class Told(IntEnum):
    """How far the client's answer has come. It only ever goes on."""

    NOTHING = 0
    HEAD = 1
    ALL = 2


class TimedStream(HoldingStream):
    """`deadline` and `asked`, the moment when the upstream had the whole request, are on the monotonic clock."""

    def __init__(self, context: Context, stream_id: int, rescue: Rescue) -> None:
        super().__init__(context, stream_id, rescue)
        self.deadline = 0.0
        self.asked: float | None = None
        self.connecting = False
        self._upstream = Upstream.UNASKED
        self._told = Told.NOTHING
        self._late = False  # the connect timer fired
        self._client_paused = False
        self._idle = 0.0
        self._until = inf  # when the whole answer must have come

    def _wait(self, seconds: float) -> None:
        self.deadline = min(time.monotonic() + seconds, self._until)
        self._rescue.timers.watch(self)

    def _wait_for_upload(self) -> None:
        self._wait(self._terms.idle_timeout)

    def _wait_for_upstream(self) -> None:
        """The upstream's time begins when it has the whole request; until then the client is waited for."""
        if self._upstream >= Upstream.HEARD:
            self._body_came()  # it answers already, and whoever still sends a request is not silent
        elif self.client_state == self.state_stream_request_body:
            self._wait_for_upload()
        else:
            self.asked = now = time.monotonic()
            self._until = now + self._terms.total_timeout
            self.deadline = min(now + self._terms.first_byte_timeout, self._until)
            self._rescue.timers.watch(self)

    def _wait_for_body(self) -> None:
        self._idle = self._terms.idle_timeout
        if self.asked is None:
            self.asked = time.monotonic()  # it answers before it has the whole request
            self._until = self.asked + self._terms.total_timeout
        self._wait(self._idle)

    def _body_came(self) -> None:
        self.deadline = min(time.monotonic() + self._idle, self._until)

    def excuse(self, now: float) -> None:
        """The client is slow to read, and the upstream is held back for it: not the upstream's silence."""
        self.deadline = min(now + self._terms.idle_timeout, self._until)

    def _expired(self) -> Commands:
        """`deadline` had passed when this was on its way."""
        if self._told is Told.ALL:
            return
        if self.deadline > time.monotonic():
            self._rescue.timers.watch(self)
        elif self._upstream >= Upstream.HEARD:
            yield from self._fail(Cause.BODY_TIMEOUT, "the response body stopped coming")
        elif self.client_state == self.state_done:
            yield from self._fail(Cause.HEAD_TIMEOUT, "no response head in time")
        else:
            yield from self._fail(Cause.REQUEST_TIMEOUT, "the request body stopped coming")

    def make_server_connection(self) -> layer.CommandGenerator[bool]:
        self.connecting = True
        self._wait(self._terms.connect_timeout)
        connected = yield from super().make_server_connection()
        self.connecting = False
        if self._client_paused:
            self._client_paused = False
            self._rescue.resume(self.context.client)
        self._late = self._late and not connected
        if self._upstream is Upstream.UNASKED:
            self._rescue.timers.forget(self)
        return connected

    def connect_expired(self) -> None:
        """The connect timer fired; whoever calls this also cancels the attempt, which then surfaces as an error."""
        self._late = True

    def release(self) -> None:
        """Give back what is held; the exchange is over, or its client is gone."""
        super().release()
        self._rescue.timers.forget(self)

"""What the layer asks of the addon, and the events it adds to mitmproxy's.

Owns the seam between the protocol stack and the hooks. The layer knows when something must be answered; what to answer
is the addon's to say, and it asks the core.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from mitmproxy.connection import Client
from mitmproxy.http import HTTPFlow, Response
from mitmproxy.options import Options
from mitmproxy.proxy.layers.http._base import HttpEvent
from mitmproxy.proxy.layers.http._events import ErrorCode, ResponseHeaders, ResponseProtocolError

from postel.core.evidence import Cause
from postel.core.hold import Shape
from postel.core.render import Reply
from postel.proxy.budget import Budget, Held
from postel.proxy.exchange import Exchanges
from postel.proxy.guarding import Guarding

if TYPE_CHECKING:
    from postel.proxy.layer.timed import TimedStream
    from postel.proxy.timers import Timers


class UpstreamFailure(ResponseProtocolError):
    """A failure whose cause the layer knows itself, so that nobody has to read it out of a message."""

    def __init__(self, stream_id: int, cause: Cause, detail: str) -> None:
        super().__init__(stream_id, detail, ErrorCode.GENERIC_SERVER_ERROR)
        self.cause = cause


class HeadOfMore(ResponseHeaders):
    """A head whose body is at hand in part: both leave in one write."""


class RequestBroken(HttpEvent):
    """The request's body breaks the rules of HTTP/1, and its client is still there.

    No RequestProtocolError: for mitmproxy that is a client that left, and it answers nobody.
    """

    def __init__(self, stream_id: int, detail: str) -> None:
        super().__init__(stream_id)
        self.detail = detail


class Rescue(Protocol):
    """The addon, as the layer sees it. None of these raises: an exception inside the layer would hang the client."""

    exchanges: Exchanges
    budget: Budget
    timers: Timers[TimedStream]
    max_body: int | None
    keeps_bodies: bool
    """Whether request bodies stay with their flows after use, for somebody who looks at them."""
    options: Options
    """A copy of mitmproxy's options that costs an attribute to read; its own deep-copies each value."""

    def judge(self, flow: HTTPFlow, body: bytes) -> bool:
        """Replace a held answer if it is a failure, by what came of its body; False if it is to pass."""

    def passes(self, flow: HTTPFlow) -> None:
        """The upstream's answer, held until now, goes to the client after all."""

    def shape(self, flow: HTTPFlow, body: bytes) -> Shape | None:
        """What a held answer that begins so is a stream of; None for none. "unsure" is to be asked again."""

    def guard(self, flow: HTTPFlow, held: Held, *, asked: float, now: float) -> Guarding | None:
        """What guards an answer that begins to stream; None for one that passes unguarded.

        `held` accounts for what it keeps. `asked` is when the upstream had the request, `now` when its head came.
        """

    def tells(self, flow: HTTPFlow, reply: Reply, *, refusal: bool) -> None:
        """A stream fails with this: as an answer in the place of the upstream's, or else at its end."""

    def left(self, flow: HTTPFlow) -> None:
        """The client went before it had its answer."""

    def pause(self, client: Client) -> None:
        """Read no more from a client for now."""

    def resume(self, client: Client) -> None:
        """Read from a client again."""

    def refuse(self, cause: Cause, detail: str, request_ids: Sequence[str]) -> Response:
        """The answer to a request that never became a flow; `request_ids` are its X-Request-Id values."""

    def answer(self, flow: HTTPFlow, cause: Cause, detail: str, partial: bytes) -> Response:
        """The answer to a flow that failed before its head was sent; `partial` is what came of the body."""

"""What clients are told, and the record of it.

Owns the asking of the core: evidence in, a reply out, and what is done where that fails (what the upstream sent, or a
fixed envelope; never nothing). Decides no fault. `addon` is built on it; the layer calls it as its `Rescue`.
"""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Sequence

from mitmproxy import http
from mitmproxy.http import HTTPFlow
from mitmproxy.net.http import status_codes

from postel import metrics
from postel.coding import Decoder, decoder
from postel.core.evidence import Cause, Evidence, Phase, Request
from postel.core.hold import Shape
from postel.core.normalise import Normaliser
from postel.core.render import Reply, fixed_reply
from postel.core.requestid import choose
from postel.core.stream.guard import Guard
from postel.proxy import observe
from postel.proxy.budget import Held
from postel.proxy.exchange import Exchange, Exchanges
from postel.proxy.guarding import Guarding
from postel.proxy.judging import Judge
from postel.proxy.mishap import failed_inside


class Telling:
    """`exchanges` are those in progress; `normaliser` is for what never became one."""

    exchanges: Exchanges
    normaliser: Normaliser

    # Whole answers ----------------------------------------------------------------------------------------------------

    def judge(self, flow: HTTPFlow, body: bytes) -> bool:
        exchange = self.exchanges.get(flow)
        if exchange is None or not (exchange.normalised and exchange.enforcing):
            return False
        try:
            reply = _ask(exchange.normaliser, observe.response(flow, body), exchange.request_id.value)
        except Exception:
            failed_inside()
            return False
        if reply:
            self._replace(flow, exchange, reply)
        return reply is not None

    def answer(self, flow: HTTPFlow, cause: Cause, detail: str, partial: bytes) -> http.Response:
        exchange = self.exchanges.get(flow)
        request_id = exchange.request_id.value if exchange else str(uuid.uuid4())
        normaliser = exchange.normaliser if exchange else self.normaliser
        try:
            heard = flow.response.status_code if flow.response and not (exchange and exchange.reply) else 0
            evidence = observe.response(flow, partial) if heard >= 400 else observe.transport(flow, cause, detail)
            reply = _ask(normaliser, evidence, request_id)
        except Exception:
            failed_inside()
            reply = None
        reply = reply or fixed_reply(request_id, flow.request.method)
        return self._replace(flow, exchange, reply)

    def refuse(self, cause: Cause, detail: str, request_ids: Sequence[str]) -> http.Response:
        request_id = choose(request_ids, str(uuid.uuid4())).value
        evidence = Evidence(phase=Phase.TRANSPORT, request=Request(path=""), cause=cause, detail=detail)
        try:
            reply = _ask(self.normaliser, evidence, request_id)
        except Exception:
            failed_inside()
            reply = None
        response = _response(reply or fixed_reply(request_id))
        response.headers["connection"] = "close"
        return response

    def passes(self, flow: HTTPFlow) -> None:
        """Put our request id on the upstream's answer; its own differing one moves aside.

        Not before the answer was judged: what the upstream sent is evidence.
        """
        exchange, response = self.exchanges.get(flow), flow.response
        if exchange is None or response is None:
            return
        ours, theirs = exchange.request_id.value, response.headers.get("x-request-id")
        if theirs is not None and theirs != ours:
            response.headers["x-upstream-request-id"] = theirs
        response.headers["x-request-id"] = ours

    # Streams ----------------------------------------------------------------------------------------------------------

    def guard(self, flow: HTTPFlow, held: Held, *, asked: float, now: float) -> Guarding | None:
        exchange, response = self.exchanges.get(flow), flow.response
        if exchange is None or response is None or exchange.events is None:
            return None
        try:
            unpacks = decoder(response.headers.get("content-encoding"))
            if unpacks:
                return self._guarding(flow, exchange, unpacks=unpacks, held=held, asked=asked, now=now)
        except Exception:
            failed_inside()
        metrics.STREAMS.labels("unguarded").inc()
        return None

    def _guarding(
        self, flow: HTTPFlow, exchange: Exchange, *, unpacks: Decoder, held: Held, asked: float, now: float
    ) -> Guarding:
        assert flow.response
        request_id, terms = exchange.request_id.value, exchange.terms
        judge = Judge(exchange.normaliser, request_id, lambda: observe.request(flow))
        guard = Guard(
            judge,
            observe.request_line(flow),
            observe.headers(flow.response.headers),
            policy=terms.stream,
            request_id=request_id,
            lines=exchange.events == "lines",
            asked=asked,
            now=now,
        )
        return Guarding(guard, judge, held, decoder=unpacks if unpacks.codings else None, idle=terms.idle_timeout)

    def shape(self, flow: HTTPFlow, body: bytes) -> Shape | None:
        exchange, response = self.exchanges.get(flow), flow.response
        if exchange is None or response is None or not (exchange.enforcing and 200 <= response.status_code < 300):
            return None
        try:
            shape = observe.shape(flow, body)
        except Exception:
            failed_inside()
            return None
        exchange.events = None if shape == "unsure" else shape
        return shape

    def tells(self, flow: HTTPFlow, reply: Reply, *, refusal: bool) -> None:
        exchange = self.exchanges.get(flow)
        if refusal:
            self._replace(flow, exchange, reply)
        else:
            self._record(flow, exchange, reply)

    def left(self, flow: HTTPFlow) -> None:
        metrics.FAULTS.labels(**metrics.UNTOLD).inc()
        flow.metadata["postel.fault"] = metrics.UNTOLD["fault"]

    # The record -------------------------------------------------------------------------------------------------------

    def _replace(self, flow: HTTPFlow, exchange: Exchange | None, reply: Reply) -> http.Response:
        self._record(flow, exchange, reply)
        flow.response = _response(reply)
        return flow.response

    def _record(self, flow: HTTPFlow, exchange: Exchange | None, reply: Reply) -> None:
        if exchange:
            exchange.reply = reply
        metrics.FAULTS.labels(reply.fault, reply.rule or "none", str(reply.status)).inc()
        flow.metadata["postel.fault"] = reply.fault
        flow.metadata["postel.rule"] = reply.rule


def _ask(normaliser: Normaliser, evidence: Evidence, request_id: str) -> Reply | None:
    return normaliser.answer(evidence, request_id=request_id, now=time.time(), jitter=random.random())  # noqa: S311


def _response(reply: Reply) -> http.Response:
    now = time.time()
    return http.Response(
        http_version=b"HTTP/1.1",
        status_code=reply.status,
        reason=status_codes.RESPONSES.get(reply.status, "Error").encode(),
        headers=http.Headers(
            [(name.encode(), value.encode("utf-8", "surrogateescape")) for name, value in reply.headers]
        ),
        content=reply.body,
        trailers=None,
        timestamp_start=now,
        timestamp_end=now,
    )

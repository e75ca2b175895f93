"""The mitmproxy addon: hooks that translate and delegate.

Owns the life of an exchange: its request id, what is done with its answer, and what the client gets when Postel itself
fails (what the upstream sent, or a fixed envelope; never nothing). Decides no fault. Added to a master by `master`, or
by `mitmdump -s` through `addon/postel_addon.py`.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
import uuid
from collections.abc import Sequence
from functools import lru_cache
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import urlsplit

from mitmproxy import ctx, http
from mitmproxy.connection import Client, Server
from mitmproxy.http import HTTPFlow
from mitmproxy.net.http import status_codes
from mitmproxy.options import Options
from mitmproxy.tcp import TCPFlow

from postel import metrics
from postel.core.evidence import Cause, Evidence, Phase, Request
from postel.core.normalise import Normaliser
from postel.core.paths import PathSet, without_query
from postel.core.render import Reply, fixed_reply
from postel.core.requestid import RequestId, choose
from postel.proxy import observe
from postel.proxy.budget import Budget
from postel.proxy.exchange import Exchange, Exchanges
from postel.proxy.layer import (
    NextLayer,
    RescueLayer,
    RescueStream,
    ServerConnectionHookData,
    check_seams,
    install,
    install_stock,
)
from postel.proxy.timers import Timers
from postel.settings import Route, Settings

logger = logging.getLogger(__name__)

DRAIN = 20.0
"""Seconds that answers in progress have after a signal; Kubernetes kills a pod after 30."""


class Postel:
    """One proxy's worth of state."""

    def __init__(self, settings: Settings, normaliser: Normaliser) -> None:
        self.exchanges = Exchanges()
        self.budget = Budget()
        self.timers: Timers[RescueStream] = Timers(self._expired)
        self.keeps_bodies = False
        self.options = cast("Options", SimpleNamespace())
        self._layers: dict[str, RescueLayer] = {}
        self.use(settings, normaliser)

    def use(self, settings: Settings, normaliser: Normaliser) -> None:
        """Go on with these; exchanges in progress keep what they began with."""
        self.settings = settings
        self.normaliser = normaliser
        self.max_body = settings.max_body
        upstream = urlsplit(settings.upstream)
        self._scheme = upstream.scheme
        default_port = ":443" if upstream.scheme == "https" else ":80"
        # mitmproxy writes the Host of its own (plain) idea of the upstream; only an https one needs another.
        self._host = (
            upstream.netloc.removesuffix(default_port) if upstream.scheme == "https" and not settings.keep_host else ""
        )
        self._passthrough = PathSet(settings.passthrough)
        self._routes = tuple((PathSet([route.path]), route) for route in settings.routes)
        self._route = lru_cache(maxsize=1024)(self._find_route)

    # Life of the proxy ------------------------------------------------------------------------------------------------

    def load(self, _loader: object) -> None:
        check_seams()

    def configure(self, _updated: set[str]) -> None:
        values = {name: option.current() for name, option in ctx.options.items()}
        self.options = cast("Options", SimpleNamespace(**values))

    def running(self) -> None:
        self.timers.start()

    async def done(self) -> None:
        """Let what is in progress finish, within a bound; nothing new can come, the listeners are closed."""
        until = time.monotonic() + DRAIN
        while any(layer.streams for layer in self._layers.values()) and time.monotonic() < until:  # noqa: ASYNC110 - once
            await asyncio.sleep(0.05)
        await self.timers.stop()

    def next_layer(self, nextlayer: NextLayer) -> None:
        try:
            self._layers[nextlayer.context.client.id] = install(nextlayer, self)
        except Exception:
            self._failed_inside()
            install_stock(nextlayer)  # without a layer the client would wait for ever

    def client_disconnected(self, client: Client) -> None:
        if layer := self._layers.pop(client.id, None):
            layer.abandon()
        _close_leftover(client, client)

    def server_disconnected(self, data: ServerConnectionHookData) -> None:
        _close_leftover(data.client, data.server)

    def websocket_message(self, flow: HTTPFlow) -> None:
        """Inside a socket nothing is ours; mitmproxy would keep every message of it in memory."""
        if flow.websocket:
            del flow.websocket.messages[:-1]

    def tcp_message(self, flow: TCPFlow) -> None:
        """As `websocket_message`, for other upgrades."""
        del flow.messages[:-1]

    # Life of an exchange ----------------------------------------------------------------------------------------------

    def requestheaders(self, flow: HTTPFlow) -> None:
        try:
            self._begin(flow)
        except Exception:
            self._failed_inside()
            # The layer cannot do without one; what the upstream sends is left alone.
            self.exchanges[flow] = self._exchange(RequestId(flow.id), None, normalised=False)

    def _begin(self, flow: HTTPFlow) -> None:
        request = flow.request
        route, passthrough = self._route(without_query(request.path))
        sent = request.headers.get_all("x-request-id")
        request_id = choose(sent, flow.id)  # mitmproxy has drawn a UUID for the flow already
        self.exchanges[flow] = self._exchange(request_id, route, normalised=not passthrough)
        self._address(request)
        _stay_on_http1(request)
        if (forwarded := request_id.forwarded(self.settings.forward_request_id)) is None:
            request.headers.pop("x-request-id", None)
        elif sent != [forwarded]:
            request.headers["x-request-id"] = forwarded
        if request_id.refused is not None:
            request.headers["x-client-request-id"] = request_id.refused

    def _exchange(self, request_id: RequestId, route: Route | None, *, normalised: bool) -> Exchange:
        settings = self.settings
        enforcing = settings.mode == "enforce"
        return Exchange(
            normaliser=self.normaliser,
            request_id=request_id,
            normalised=normalised,
            enforcing=enforcing,
            connect_timeout=(route and route.connect_timeout) or settings.connect_timeout,
            first_byte_timeout=(route and route.first_byte_timeout) or settings.first_byte_timeout,
            # Observing, Postel ends nothing that has begun.
            idle_timeout=((route and route.idle_timeout) or settings.idle_timeout) if enforcing else float("inf"),
            retry_stale=bool(route and route.retry_stale),
        )

    def _address(self, request: http.Request) -> None:
        """Send the request to the upstream, in origin form.

        An absolute-form target (RFC 9112 section 3.2.2) keeps its path and loses its authority: this is no forward
        proxy. The listener is plain for either scheme, because mitmproxy's `reverse:https` would also bind UDP.
        """
        request.authority = ""
        if request.scheme != self._scheme:
            request.scheme = self._scheme
        if self._host:
            request.host_header = self._host

    def responseheaders(self, flow: HTTPFlow) -> None:
        exchange, response = self.exchanges.get(flow), flow.response
        if exchange is None or response is None or exchange.reply:
            return
        # A switched protocol is no stream of a body; mitmproxy upgrades only where it is not asked to stream.
        response.stream = response.status_code != 101 and not (
            exchange.normalised and exchange.enforcing and observe.held(flow.request.method, response)
        )
        if response.stream:
            self.passes(flow)

    def response(self, flow: HTTPFlow) -> None:
        exchange, response = self.exchanges.get(flow), flow.response
        if exchange is None or response is None or exchange.reply or response.stream:
            return
        if response.status_code == 101 or not self.judge(flow, response.raw_content or b""):
            self.passes(flow)

    # What the layer asks ----------------------------------------------------------------------------------------------

    def judge(self, flow: HTTPFlow, body: bytes) -> bool:
        exchange = self.exchanges.get(flow)
        if exchange is None or not (exchange.normalised and exchange.enforcing):
            return False
        try:
            reply = self._answer(exchange.normaliser, observe.response(flow, body), exchange.request_id.value)
        except Exception:
            self._failed_inside()
            return False
        if reply:
            self._replace(flow, exchange, reply)
        return reply is not None

    def pause(self, client: Client) -> None:
        if transport := _transport(client):
            transport.pause_reading()

    def resume(self, client: Client) -> None:
        if transport := _transport(client):
            transport.resume_reading()

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

    def answer(self, flow: HTTPFlow, cause: Cause, detail: str, partial: bytes) -> http.Response:
        exchange = self.exchanges.get(flow)
        request_id = exchange.request_id.value if exchange else str(uuid.uuid4())
        normaliser = exchange.normaliser if exchange else self.normaliser
        try:
            heard = flow.response.status_code if flow.response and not (exchange and exchange.reply) else 0
            evidence = observe.response(flow, partial) if heard >= 400 else observe.transport(flow, cause, detail)
            reply = self._answer(normaliser, evidence, request_id)
        except Exception:
            self._failed_inside()
            reply = None
        reply = reply or fixed_reply(request_id, flow.request.method)
        return self._replace(flow, exchange, reply)

    def refuse(self, cause: Cause, detail: str, request_ids: Sequence[str]) -> http.Response:
        request_id = choose(request_ids, str(uuid.uuid4())).value
        evidence = Evidence(phase=Phase.TRANSPORT, request=Request(path=""), cause=cause, detail=detail)
        try:
            reply = self._answer(self.normaliser, evidence, request_id)
        except Exception:
            self._failed_inside()
            reply = None
        response = _response(reply or fixed_reply(request_id))
        response.headers["connection"] = "close"
        return response

    def _answer(self, normaliser: Normaliser, evidence: Evidence, request_id: str) -> Reply | None:
        return normaliser.answer(evidence, request_id=request_id, now=time.time(), jitter=random.random())  # noqa: S311

    def _replace(self, flow: HTTPFlow, exchange: Exchange | None, reply: Reply) -> http.Response:
        if exchange:
            exchange.reply = reply
        metrics.FAULTS.labels(reply.fault, reply.rule or "none", str(reply.status)).inc()
        flow.metadata["postel.fault"] = reply.fault
        flow.metadata["postel.rule"] = reply.rule
        flow.response = _response(reply)
        return flow.response

    def _failed_inside(self) -> None:
        metrics.INTERNAL_ERRORS.inc()
        # Called in exception handlers only.
        logger.error("Postel failed; the upstream's answer goes through as it is", exc_info=True)  # noqa: LOG014

    # Deadlines --------------------------------------------------------------------------------------------------------

    async def _expired(self, stream: RescueStream) -> None:
        client = stream.context.client
        handler = _handler(client)
        layer = self._layers.get(client.id)
        if handler is None or layer is None:
            return
        if stream.connecting:
            stream.connect_expired()
            for server in layer.connecting():
                if (io := handler.transports.get(server)) and io.handler:
                    io.handler.cancel("connect timeout")
            return
        if (transport := _transport(client)) and transport.get_write_buffer_size():
            # The client is slow to read, and mitmproxy holds the upstream back for it: not the upstream's silence.
            stream.deadline = time.monotonic() + self.exchanges[stream.flow].idle_timeout
            self.timers.watch(stream)
            return
        await handler.server_event(layer.wake(stream))

    def _find_route(self, path: str) -> tuple[Route | None, bool]:
        route = next((route for paths, route in self._routes if path in paths), None)
        return route, path in self._passthrough


def _stay_on_http1(request: http.Request) -> None:
    """Take back an offer of HTTP/2 over cleartext, which mitmproxy cannot speak; a server may ignore it anyway."""
    if "h2c" in request.headers.get("upgrade", "").lower().replace(" ", "").split(","):
        for name in ("upgrade", "http2-settings", "connection"):
            request.headers.pop(name, None)


def _handler(client: Client) -> Any:
    """Mitmproxy's ConnectionHandler of this client, None if there is none."""
    return ctx.master.addons.get("proxyserver").connections.get(client.id)


def _transport(client: Client) -> Any:
    """The asyncio transport of a client connection, None if it is gone."""
    handler = _handler(client)
    io = handler.transports.get(client) if handler else None
    return io.writer.transport if io and io.writer else None


def _close_leftover(client: Client, closed: Client | Server) -> None:
    """Close the socket of a connection that mitmproxy has done with.

    `ConnectionHandler.handle_connection` (mitmproxy 12.2.3) leaves it open where its cancellation, which is how a
    connection is closed, arrives while it waits for the lock of `server_event`. An engine would go on generating.
    """
    handler = _handler(client)
    io = handler.transports.pop(closed, None) if handler else None
    if io and io.writer:
        io.writer.close()


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

"""The mitmproxy addon: hooks that translate and delegate.

Owns the life of an exchange: its request id, the settings that are its own, whether its answer is held, guarded or
passes, and its deadlines. Decides no fault; what is told is `telling`'s. Added to a master by `master`, or by
`mitmdump -s` through `addon/postel_addon.py`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass, replace
from functools import lru_cache
from math import inf
from types import SimpleNamespace
from typing import cast
from urllib.parse import urlsplit

from mitmproxy import ctx, http
from mitmproxy.connection import Client
from mitmproxy.http import HTTPFlow
from mitmproxy.options import Options
from mitmproxy.tcp import TCPFlow

from postel.core.normalise import Normaliser
from postel.core.paths import PathSet, without_query
from postel.core.requestid import RequestId, choose
from postel.proxy import observe
from postel.proxy.budget import Budget
from postel.proxy.exchange import Exchange, Exchanges
from postel.proxy.layer import (
    NextLayer,
    RescueLayer,
    ServerConnectionHookData,
    TimedStream,
    check_seams,
    install,
    install_stock,
)
from postel.proxy.mishap import failed_inside
from postel.proxy.sockets import close_leftover, handler_of, transport_of
from postel.proxy.telling import Telling
from postel.proxy.timers import Timers
from postel.settings import Route, Settings, Terms

logger = logging.getLogger(__name__)

DRAIN = 20.0
"""Seconds that answers in progress have after a signal; Kubernetes kills a pod after 30."""


@dataclass(frozen=True, slots=True)
class Way:
    """What counts for some paths: the settings, and the rules in the dialect that is spoken there."""

    terms: Terms
    normaliser: Normaliser


class Postel(Telling):
    """One proxy's worth of state."""

    def __init__(self, settings: Settings, normaliser: Normaliser) -> None:
        self.exchanges = Exchanges()
        self.budget = Budget()
        self.timers: Timers[TimedStream] = Timers(self._expired)
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
        self._routes = tuple((PathSet([route.path]), self._way(route)) for route in settings.routes)
        self._anywhere = self._way()
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
            failed_inside()
            install_stock(nextlayer)  # without a layer the client would wait for ever

    def client_disconnected(self, client: Client) -> None:
        if layer := self._layers.pop(client.id, None):
            layer.abandon()
        close_leftover(client, client)

    def server_disconnected(self, data: ServerConnectionHookData) -> None:
        close_leftover(data.client, data.server)

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
            failed_inside()
            # The layer cannot do without one; what the upstream sends is left alone.
            self.exchanges[flow] = self._exchange(RequestId(flow.id), self._anywhere, normalised=False)

    def _begin(self, flow: HTTPFlow) -> None:
        request = flow.request
        way, passthrough = self._route(without_query(request.path))
        sent = request.headers.get_all("x-request-id")
        request_id = choose(sent, flow.id)  # mitmproxy has drawn a UUID for the flow already
        self.exchanges[flow] = self._exchange(request_id, way, normalised=not passthrough)
        self._address(request)
        _stay_on_http1(request)
        if (forwarded := request_id.forwarded(self.settings.forward_request_id)) is None:
            request.headers.pop("x-request-id", None)
        elif sent != [forwarded]:
            request.headers["x-request-id"] = forwarded
        if request_id.refused is not None:
            request.headers["x-client-request-id"] = request_id.refused

    def _exchange(self, request_id: RequestId, way: Way, *, normalised: bool) -> Exchange:
        return Exchange(way.normaliser, request_id, normalised, self.settings.mode == "enforce", way.terms)

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
        ours = exchange.normalised and exchange.enforcing
        held = ours and observe.held(flow.request.method, response)
        if ours and not held:
            exchange.events = observe.guarded(flow.request.method, response)
        # A switched protocol is no stream of a body; mitmproxy upgrades only where it is not asked to stream.
        response.stream = not held and response.status_code != 101
        if response.stream and not exchange.events:
            self.passes(flow)

    def response(self, flow: HTTPFlow) -> None:
        exchange, response = self.exchanges.get(flow), flow.response
        if exchange is None or response is None or exchange.reply or response.stream:
            return
        if response.status_code == 101 or not self.judge(flow, response.raw_content or b""):
            self.passes(flow)

    # What the layer asks ----------------------------------------------------------------------------------------------

    def pause(self, client: Client) -> None:
        if transport := transport_of(client):
            transport.pause_reading()

    def resume(self, client: Client) -> None:
        if transport := transport_of(client):
            transport.resume_reading()

    # Deadlines --------------------------------------------------------------------------------------------------------

    async def _expired(self, stream: TimedStream) -> None:
        client = stream.context.client
        handler = handler_of(client)
        layer = self._layers.get(client.id)
        if handler is None or layer is None:
            return
        if stream.connecting:
            stream.connect_expired()
            for server in layer.connecting():
                if (io := handler.transports.get(server)) and io.handler:
                    io.handler.cancel("connect timeout")
            return
        if (transport := transport_of(client)) and transport.get_write_buffer_size():
            stream.excuse(now := time.monotonic())
            if stream.deadline > now:
                self.timers.watch(stream)
                return
        await handler.server_event(layer.wake(stream))

    def _find_route(self, path: str) -> tuple[Way, bool]:
        way = next((way for paths, way in self._routes if path in paths), self._anywhere)
        return way, path in self._passthrough

    def _way(self, route: Route | None = None) -> Way:
        terms = self.settings.for_route(route)
        if self.settings.mode == "observe":
            terms = replace(terms, idle_timeout=inf, total_timeout=inf)  # nothing that has begun is ended
        return Way(terms, self.normaliser.speaking(terms.dialect, terms.keep) if route else self.normaliser)


def _stay_on_http1(request: http.Request) -> None:
    """Take back an offer of HTTP/2 over cleartext, which mitmproxy cannot speak; a server may ignore it anyway."""
    if "h2c" in request.headers.get("upgrade", "").lower().replace(" ", "").split(","):
        for name in ("upgrade", "http2-settings", "connection"):
            request.headers.pop(name, None)

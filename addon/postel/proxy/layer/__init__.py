"""Our place in mitmproxy's protocol stack: the only importer of `mitmproxy.proxy.*`.

mitmproxy's hooks cannot answer a failure: in the `error` hook a response is ignored and the client gets an HTML page or
a closed connection (mitmproxy #7999). The public `next_layer` hook may choose the layers, though, so `install` puts a
subclass of `HttpLayer` in place, whose streams (`stream`) and HTTP/1 connections (`http1`) say what happened and send
what `rescue.Rescue` answers. Subclassing these is covered by no promise: `check_seams` holds the expectations against
the installed version at start.
"""

from __future__ import annotations

import time
from types import ModuleType
from typing import cast

from mitmproxy import connection
from mitmproxy.net.http.http1 import read
from mitmproxy.proxy import commands, context, events, layer, server, tunnel
from mitmproxy.proxy.layer import NextLayer
from mitmproxy.proxy.layers import http
from mitmproxy.proxy.layers.http import GetHttpConnection, HttpLayer, HTTPMode
from mitmproxy.proxy.layers.http import _http1 as http1
from mitmproxy.proxy.server_hooks import ServerConnectionHookData

from postel.proxy.layer.http1 import RescueHttp1Client, RescueHttp1Server
from postel.proxy.layer.rescue import Rescue
from postel.proxy.layer.stream import RescueStream
from postel.proxy.layer.timed import TimedStream

__all__ = [
    "NextLayer",
    "RescueLayer",
    "RescueStream",
    "SeamError",
    "ServerConnectionHookData",
    "TimedStream",
    "check_seams",
    "install",
    "install_stock",
]

REUSE_IDLE = 1.0
"""Seconds an upstream connection may have been idle and still be used again. uvicorn closes idle ones after 5 s, and a
request that crosses the FIN on the wire is lost."""

Commands = layer.CommandGenerator[None]


class SeamError(Exception):
    """The installed mitmproxy is not the one this module was written against."""


class RescueHttpClient(http.HttpClient):
    """Opens an upstream connection as mitmproxy does, then speaks HTTP/1 with `RescueHttp1Client`."""

    http1: RescueHttp1Client | None = None

    def _handle_event(self, event: events.Event) -> Commands:
        err: str | None = None
        if not self.context.server.connected:
            err = yield commands.OpenConnection(self.context.server)
        if not err:
            self.http1 = self.child_layer = RescueHttp1Client(self.context)
            self._handle_event = self.http1.handle_event  # type: ignore[method-assign]
            yield from self._handle_event(event)
        yield http.RegisterHttpConnection(self.context.server, err)


class RescueLayer(HttpLayer):
    """`HttpLayer` with our streams and connections; one for each client connection."""

    def __init__(self, ctx: context.Context, mode: HTTPMode, rescue: Rescue) -> None:
        super().__init__(ctx, mode)
        self._rescue = rescue
        self._upstreams: dict[connection.Connection, RescueHttpClient] = {}

    def _handle_event(self, event: events.Event) -> Commands:
        if isinstance(event, events.Start) and self.context.client.alpn in (None, b"", b"http/1.1", b"http/1.0"):
            # super() keeps a connection that is already there, for client playback.
            self.connections[self.context.client] = RescueHttp1Server(self.context.fork(), self._rescue)
        if isinstance(event, events.ConnectionEvent) and event.connection not in self.connections:
            return _nothing()  # a connection that was forgotten; mitmproxy would fail to find it
        return cast("Commands", super()._handle_event(event))

    def make_stream(self, stream_id: int) -> Commands:
        stream = RescueStream(self.context.fork(), stream_id, self, self._rescue)
        self.streams[stream_id] = stream
        yield from self.event_to_child(stream, events.Start())

    def get_connection(self, event: GetHttpConnection, *, reuse: bool = True) -> Commands:
        now = time.monotonic()
        for known in list(self.connections):
            if not isinstance(known, connection.Server):
                continue
            if known.error or known.timestamp_end:
                # mitmproxy keeps the dead ones as long as the client stays, and answers every later request of this
                # client with the first error it ever met.
                del self.connections[known]
                self._upstreams.pop(known, None)
            elif self._idle_for(known, now) > REUSE_IDLE:
                yield commands.CloseConnection(known)
        yield from super().get_connection(event, reuse=reuse)

    def event_to_child(self, child: layer.Layer | http.HttpStream, event: events.Event) -> Commands:
        if isinstance(event, events.Start) and isinstance(child, http.HttpClient | tunnel.TunnelLayer):
            child = self._adopt(child)
        return super().event_to_child(child, event)

    def _adopt(self, top: layer.Layer) -> layer.Layer:
        """Replace the HttpClient at the end of a new upstream stack, before it starts. Returns the new top."""
        server = top.context.server
        client = top.context.layers[-1]
        if type(client) is not http.HttpClient:
            return top
        above = top.context.layers[-2]
        top.context.layers.pop()
        ours = self._upstreams[server] = RescueHttpClient(top.context)
        if client is top:
            self.connections[server] = ours
            return ours
        assert isinstance(above, tunnel.TunnelLayer)
        above.child_layer = ours
        return top

    def was_reused(self, server: connection.Connection) -> bool:
        """Whether this upstream connection had carried an answer before."""
        upstream = self._upstreams.get(server)
        return bool(upstream and upstream.http1 and upstream.http1.served)

    def _idle_for(self, server: connection.Connection, now: float) -> float:
        upstream = self._upstreams.get(server)
        if not (upstream and upstream.http1 and upstream.http1.served and server.connected):
            return 0.0
        return now - upstream.http1.idle_since if upstream.http1.request is None else 0.0

    def connecting(self) -> list[connection.Connection]:
        """Upstream connections that are being opened, TLS included."""
        return list(self.waiting_for_establishment)

    def wake(self, stream: TimedStream) -> events.Wakeup:
        """An event that reaches `stream` through the stack, as if it had asked for a wakeup."""
        command = commands.RequestWakeup(0)
        self.command_sources[command] = stream
        return events.Wakeup(command)

    def abandon(self) -> None:
        """The client is gone: nothing of its exchanges may be held any longer."""
        for stream in self.streams.values():
            if isinstance(stream, RescueStream):
                stream.abandon()


def _nothing() -> Commands:
    yield from ()


def install(nextlayer: layer.NextLayer, rescue: Rescue) -> RescueLayer:
    """Let this client connection speak plain HTTP/1 through a RescueLayer.

    Whatever was chosen before is taken out: mitmproxy would answer a TLS handshake on a plain port with a certificate
    of its own making, and we rather say that it is no HTTP.
    """
    del nextlayer.context.layers[1:]  # the first is the reverse proxy mode's own
    nextlayer.context.options = rescue.options
    ours = nextlayer.layer = RescueLayer(nextlayer.context, HTTPMode.transparent, rescue)
    return ours


def install_stock(nextlayer: layer.NextLayer) -> None:
    """Mitmproxy's own layer, for when ours cannot be made: traffic flows, and failures are told as mitmproxy does."""
    del nextlayer.context.layers[1:]
    nextlayer.layer = HttpLayer(nextlayer.context, HTTPMode.transparent)


def check_seams() -> None:
    """Raise SeamError unless mitmproxy has what the classes above replace or call."""
    expected: dict[type | ModuleType, tuple[str, ...]] = {
        http.HttpLayer: ("_handle_event", "make_stream", "get_connection", "event_to_child", "register_connection"),
        http.HttpClient: ("_handle_event",),
        server.ConnectionHandler: ("handle_connection", "server_event", "open_connection"),
        http.HttpStream: (
            "check_body_size",
            "make_server_connection",
            "start_request_stream",
            "start_response_stream",
            "state_consume_response_body",
            "state_stream_request_body",
            "handle_protocol_error",
        ),
        http1.Http1Server: ("read_headers", "read_body", "mark_done", "send"),
        http1.Http1Client: ("read_headers", "read_body", "mark_done", "send"),
        read: ("_read_request_line", "_read_response_line", "_read_headers"),
    }
    missing = [
        f"{owner.__name__}.{name}" for owner, names in expected.items() for name in names if not hasattr(owner, name)
    ]
    if missing:
        raise SeamError(f"mitmproxy has no {', '.join(missing)}; install mitmproxy>=12.2.3,<13")

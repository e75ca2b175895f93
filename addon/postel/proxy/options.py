"""The mitmproxy options that are pinned, each with its reason.

Owns the list; `master` applies it. Facts were measured on mitmproxy 12.2.3.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from postel.settings import Route, Settings


def pinned(settings: Settings) -> dict[str, object]:
    """Option values for a reverse proxy in front of `settings.upstream`."""
    upstream = urlsplit(settings.upstream)
    timers: tuple[Settings | Route, ...] = (settings, *settings.routes)
    longest = max(max(t.first_byte_timeout or 0, t.idle_timeout or 0, t.connect_timeout or 0) for t in timers)
    return {
        # The scheme is put on each request: `reverse:https` would bind UDP for QUIC as well.
        "mode": [f"reverse:http://{upstream.netloc}"],
        "listen_host": settings.listen.host,
        "listen_port": settings.listen.port,
        # `eager` turns a dead upstream into a TCP reset without a response, a flow or an error hook.
        "connection_strategy": "lazy",
        # mitmproxy allows five upstream connections per client connection: HTTP/2 clients would be served in batches.
        "http2": False,
        "http3": False,
        # Both the client's and the upstream's smuggling attempts become envelopes.
        "validate_inbound_headers": True,
        "keep_host_header": settings.keep_host,
        # The only timer of mitmproxy's own closes the client without a word: it must never come first.
        "tcp_timeout": int(2 * longest) + 60,
        # What is held and for how long is decided per exchange (`layer.stream`).
        "stream_large_bodies": None,
        "body_size_limit": None,
        "store_streamed_bodies": False,
        "rawtcp": True,
        "websocket": True,
        "ssl_insecure": settings.upstream_insecure,
        "ssl_verify_upstream_trusted_ca": settings.upstream_ca,
    }

"""What Postel is measured against: mitmproxy as a reverse proxy and nothing more.

The core with the addons a reverse proxy needs (core, proxyserver, next_layer, tlsconfig), and one that streams answers,
because a proxy that buffers them is no comparison for events.

    python -m bench.bare UPSTREAM_PORT PORT CONFDIR
"""

from __future__ import annotations

import asyncio
import sys

from mitmproxy import options
from mitmproxy.addons import core, next_layer, proxyserver, tlsconfig
from mitmproxy.http import HTTPFlow
from mitmproxy.master import Master


class Stream:
    """Streams event streams, buffers the rest, as Postel does."""

    def responseheaders(self, flow: HTTPFlow) -> None:
        assert flow.response
        flow.response.stream = "event-stream" in flow.response.headers.get("content-type", "")


async def main(upstream: str, port: str, confdir: str) -> None:
    master = Master(options.Options())
    master.addons.add(core.Core(), proxyserver.Proxyserver(), next_layer.NextLayer(), tlsconfig.TlsConfig(), Stream())
    master.options.update(
        mode=[f"reverse:http://127.0.0.1:{upstream}"],
        listen_host="127.0.0.1",
        listen_port=int(port),
        connection_strategy="lazy",
        confdir=confdir,
    )
    await master.run()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:4]))

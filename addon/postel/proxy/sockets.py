"""The asyncio side of mitmproxy's connections, where its layers cannot reach.

Owns the finding of a client's connection handler and transport, and the closing of what mitmproxy forgets. Knows no
HTTP. Called by `addon`.
"""

from __future__ import annotations

from typing import Any

from mitmproxy import ctx
from mitmproxy.connection import Client, Server


def handler_of(client: Client) -> Any:
    """Mitmproxy's ConnectionHandler of this client, None if there is none."""
    return ctx.master.addons.get("proxyserver").connections.get(client.id)


def transport_of(client: Client) -> Any:
    """The asyncio transport of a client connection, None if it is gone."""
    handler = handler_of(client)
    io = handler.transports.get(client) if handler else None
    return io.writer.transport if io and io.writer else None


def close_leftover(client: Client, closed: Client | Server) -> None:
    """Close the socket of a connection that mitmproxy has done with.

    `ConnectionHandler.handle_connection` (mitmproxy 12.2.3) leaves it open where its cancellation, which is how a
    connection is closed, arrives while it waits for the lock of `server_event`. An engine would go on generating.
    """
    handler = handler_of(client)
    io = handler.transports.pop(closed, None) if handler else None
    if io and io.writer:
        io.writer.close()

"""The slim mitmproxy master: what a reverse proxy needs and nothing else.

Owns which of mitmproxy's addons run: the default set has a script loader, replay, an onboarding app and a forward
proxy's manners, at about a third of the CPU of a request. Called by `run`.
"""

from __future__ import annotations

import asyncio
import errno
import gc
import logging
import os
import socket

from mitmproxy import options
from mitmproxy.addons import proxyserver, tlsconfig
from mitmproxy.master import Master
from mitmproxy.utils import asyncio_utils

from postel.proxy.addon import Postel
from postel.proxy.dispatch import Dispatch
from postel.proxy.options import pinned
from postel.settings import Address


class StartError(Exception):
    """The proxy could not start listening; the text says where and why."""


def _reason(error: BaseException | None) -> str:
    """The system's own words for why there is no listening; mitmproxy and asyncio each wrap them in the address."""
    error = error.__cause__ or error if error else None
    if isinstance(error, socket.gaierror):
        return error.strerror or str(error)
    if isinstance(error, OSError):
        # asyncio keeps no number where none of a name's addresses is this machine's (`create_server`, Python 3.13)
        return os.strerror(error.errno or errno.EADDRNOTAVAIL)
    return str(error or "unknown reason")


class UpstreamTls(tlsconfig.TlsConfig):
    """TLS towards the upstream only. mitmproxy's own would write a CA into the user's home, or fail where it cannot."""

    def configure(self, _updated: set[str]) -> None:
        """There is no certificate store to make."""

    def request(self, _flow: object) -> None:
        """Nor a revocation list to serve: mitmproxy's own answers any path that ends in that list's name."""


class SlimMaster(Master):
    """A master with Postel, the proxy server and, for https upstreams, TLS. To be made inside a running loop."""

    def __init__(self, postel: Postel) -> None:
        super().__init__(options.Options())
        self.addons = Dispatch(self)
        self._legacy_log_events.uninstall()  # nobody listens to log events, and every record would pass here
        logging.getLogger("mitmproxy").setLevel(logging.WARNING)  # INFO has six lines a request
        self.proxyserver = proxyserver.Proxyserver()
        self.addons.add(self.proxyserver)
        if postel.settings.upstream.startswith("https:"):
            self.addons.add(UpstreamTls())
        self.addons.add(postel)
        # The next-layer addon is left out on purpose (Postel chooses the layer); its absence is worth a warning only
        # to somebody who forgot it.
        server_log = logging.getLogger(proxyserver.__name__)
        server_log.setLevel(logging.ERROR)
        self.options.update(**pinned(postel.settings))
        server_log.setLevel(logging.NOTSET)
        self._up = asyncio.Event()

    async def run(self) -> None:
        """Serve until `shutdown`. Raises StartError if the address cannot be had."""
        with (
            asyncio_utils.install_exception_handler(self._asyncio_exception_handler),
            asyncio_utils.set_eager_task_factory(),
        ):
            await self._listen()
            try:
                await self.running()
                self._up.set()
                gc.collect()
                gc.freeze()  # what is here now stays; the collector need not walk it again
                await self.should_exit.wait()
            finally:
                await self.proxyserver.servers.update([])
                await self.done()

    async def started(self, run: asyncio.Task[None]) -> None:
        """Wait until `run`, the task of `self.run()`, serves. Raises what ended it if it never does."""
        up = asyncio.create_task(self._up.wait())
        await asyncio.wait([run, up], return_when=asyncio.FIRST_COMPLETED)
        up.cancel()
        if run.done():
            run.result()

    async def _listen(self) -> None:
        logger = logging.getLogger(proxyserver.__name__)
        silence = logging.NullHandler()  # what mitmproxy logs here is raised below, without its advice on its own flags
        logger.addHandler(silence)
        logger.propagate = False
        try:
            listening = await self.proxyserver.setup_servers()
        finally:
            logger.removeHandler(silence)
            logger.propagate = True
        if not listening:
            where = Address(host=self.options.listen_host, port=self.options.listen_port)
            (server,) = self.proxyserver.servers
            raise StartError(f"cannot listen on {where}: {_reason(server.last_exception)}")

    @property
    def address(self) -> tuple[str, int]:
        """Host and port that are really listened on (a port of 0 becomes a real one)."""
        host, port = self.proxyserver.listen_addrs()[0][:2]
        return host, port

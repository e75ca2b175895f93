"""Postel between a scripted upstream and a raw client, all on loopback, in one event loop.

    @wired
    async def test_a_page_becomes_an_envelope() -> None:
        async with rig(says(answer("502 Bad Gateway", "<html>"))) as wire:
            got = await wire.ask(post("/v1/chat/completions"))
        assert (502, "bad_gateway") == got.told

Nothing is mocked: real sockets, the proxy as `postel run` starts it, the rules as shipped.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import logging
import socket
import tracemalloc
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from postel.core.normalise import Normaliser
from postel.misbehave import Engine, Received, Script, Step, by_path
from postel.run import normaliser, serving
from postel.settings import Settings, load

ENVELOPE = ("message", "type", "param", "code")

PATIENCE = 8.0
"""Seconds after which a client of these tests calls an answer missing."""


JUDGING = ("rules", "packs", "dialect", "keep", "provenance", "keep_headers", "redact", "routes")
"""The settings that a normaliser is made of. Reading the library costs more than a test, so each is made once."""


@functools.lru_cache(maxsize=32)
def _normaliser(*said: object) -> Normaliser:
    return normaliser(load({"upstream": "http://localhost:1", **dict(zip(JUDGING, said, strict=True))}, {}))[0]


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer as a raw client saw it. `clean`: its framing ended as its head said."""

    status: int
    reason: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    clean: bool
    closed: bool
    seconds: float = 0.0

    def get(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name), None)

    @property
    def error(self) -> dict[str, Any]:
        """The error object; fails unless the answer is exactly one envelope of the contract."""
        assert self.get("content-type") == "application/json"
        assert self.get("content-length") == str(len(self.body))
        document = json.loads(self.body)
        assert list(document) == ["error"]
        error = document["error"]
        assert [key for key in error if key in ENVELOPE] == list(ENVELOPE)
        assert set(error) <= {*ENVELOPE, "details", "fault", "rule"}
        assert isinstance(error["message"], str)
        assert error["message"].strip()
        assert isinstance(error["type"], str)
        assert isinstance(error["param"], str | None)
        assert isinstance(error["code"], str | None)
        assert self.get("x-request-id")
        assert self.get("cache-control") == "no-store"
        assert self.get("x-should-retry") in {"true", "false"}
        assert self.clean
        return dict(error)

    @property
    def told(self) -> tuple[int, str]:
        """Status and fault of an answer that must be one envelope (the rig runs with `provenance`)."""
        return self.status, self.error["fault"]

    def get_all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name]


class NoAnswer(AssertionError):
    """The client got nothing that is an HTTP answer."""


@dataclass(slots=True)
class Client:
    """A raw HTTP/1.1 client on one connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self, *, head: bool = False) -> Answer:
        """Read one answer. Raises NoAnswer if the connection ends or stays silent before a whole head."""
        start = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(PATIENCE):
                raw = await self.reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError, TimeoutError) as error:
            raise NoAnswer(f"{type(error).__name__}: {getattr(error, 'partial', b'')!r}") from None
        lines = raw.decode("latin-1").split("\r\n")
        _, status, *reason = lines[0].split(" ", 2)
        fields = tuple((name, value.strip()) for name, _, value in (line.partition(":") for line in lines[1:] if line))
        got = Answer(int(status), "".join(reason), fields, b"", clean=True, closed=False)
        body, clean = await self._body(got, head=head or int(status) in (204, 304) or int(status) < 200)
        seconds = asyncio.get_running_loop().time() - start
        return Answer(got.status, got.reason, fields, body, clean, closed=self.reader.at_eof(), seconds=seconds)

    async def _body(self, got: Answer, *, head: bool) -> tuple[bytes, bool]:
        body = b""
        try:
            async with asyncio.timeout(PATIENCE):
                if head:
                    return b"", True
                if "chunked" in (got.get("transfer-encoding") or ""):
                    while size := int((await self.reader.readline()).split(b";")[0], 16):
                        body += await self.reader.readexactly(size)
                        await self.reader.readexactly(2)
                    await self.reader.readexactly(2)
                elif (length := got.get("content-length")) is not None:
                    body = await self.reader.readexactly(int(length))
                else:
                    body = await self.reader.read()
        except (asyncio.IncompleteReadError, ConnectionError, TimeoutError, ValueError) as error:
            return body + getattr(error, "partial", b""), False
        return body, True

    async def closed(self, seconds: float = PATIENCE) -> bool:
        """Whether the proxy closes the connection within `seconds`, without another byte."""
        try:
            async with asyncio.timeout(seconds):
                return await self.reader.read(1) == b""
        except TimeoutError:
            return False
        except ConnectionError:
            return True


@dataclass(slots=True)
class Wire:
    """A proxy and its upstream. `engine.received` is what the upstream saw."""

    engine: Engine
    engine_port: int
    host: str
    port: int
    _clients: list[asyncio.StreamWriter] = field(default_factory=list)

    async def connect(self) -> Client:
        reader, writer = await asyncio.open_connection(self.host, self.port, limit=1 << 20)
        self._clients.append(writer)
        return Client(reader, writer)

    async def ask(self, request: bytes) -> Answer:
        """Send one request on a connection of its own and read the answer."""
        client = await self.connect()
        await client.send(request)
        return await client.answer(head=request.startswith(b"HEAD "))

    def close(self) -> None:
        for writer in self._clients:
            writer.close()


def post(path: str = "/v1/chat/completions", body: bytes = b'{"model":"m"}', **headers: str) -> bytes:
    """A POST with a JSON body; `x_request_id="a"` becomes `x-request-id: a`."""
    return request("POST", path, body, **headers)


def request(method: str, path: str, body: bytes = b"", **headers: str) -> bytes:
    fields = {"host": "client.test", "content-type": "application/json", "content-length": str(len(body))}
    fields |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items()), "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


def says(*steps: Step, early: bool = False) -> Script:
    """An upstream that does this, whatever it is asked."""
    return Script("", steps, early=early)


def head(status: str, *headers: str) -> bytes:
    """An answer's head without any header but these."""
    return "\r\n".join([f"HTTP/1.1 {status}", *headers, "", ""]).encode("latin-1")


def unused_port() -> int:
    """A port of this machine on which nothing listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]


@contextlib.asynccontextmanager
async def listening(handler: Handler, **options: Any) -> AsyncIterator[int]:
    """A server that knows no HTTP; gives its port. For what a script cannot play."""
    tasks: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        tasks.add(task)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await handler(reader, writer)
        writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0, **options)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@contextlib.contextmanager
def memory_below(limit: int) -> Iterator[None]:
    """Fail if what Python has allocated inside, proxy and test together, ever exceeds `limit` bytes."""
    tracemalloc.start()
    try:
        yield
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < limit


Scripts = Script | Mapping[str, Script] | Callable[[Received], Script]


class _Crashes(logging.Handler):
    """Keeps what mitmproxy and Postel log as errors: a hook or a layer of ours that raised."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(self.format(record))


@contextlib.contextmanager
def no_crash() -> Iterator[None]:
    """Fail if anything inside crashed, even where the client noticed nothing."""
    crashes = _Crashes()
    logging.getLogger().addHandler(crashes)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(crashes)
    assert not crashes.texts, "\n".join(crashes.texts)


@contextlib.asynccontextmanager
async def rig(scripts: Scripts = by_path, *, crashing: bool = False, **settings: Any) -> AsyncIterator[Wire]:
    """A proxy in front of an engine that plays `scripts`: one for every request, one by path, or a choice of yours.

    `settings` are those of `postel run`; `upstream` replaces the engine. `crashing` says that Postel will fail inside.
    """
    if isinstance(scripts, Script):
        one = scripts
        engine = Engine(lambda _: one)
    elif isinstance(scripts, Mapping):
        several = scripts
        engine = Engine(lambda received: several[received.path.split("?")[0]])
    else:
        engine = Engine(scripts)
    engine_port = await engine.start()
    own = {"upstream": f"http://127.0.0.1:{engine_port}", "listen": "127.0.0.1:0", "provenance": True}
    made: Settings = load({**own, **settings}, {})
    judge = _normaliser(*(getattr(made, name) for name in JUDGING))
    try:
        with contextlib.nullcontext() if crashing else no_crash():
            async with serving(made, judge) as (host, port):
                wire = Wire(engine, engine_port, host, port)
                try:
                    yield wire
                finally:
                    wire.close()
    finally:
        await engine.stop()


def run[T](test: Coroutine[Any, Any, T]) -> T:
    """Run one wire test to its end, within a bound."""

    async def bounded() -> T:
        async with asyncio.timeout(30):
            return await test

    return asyncio.run(bounded())


def wired[**P](test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Let pytest call an async test: in a loop of its own, and bounded."""

    @functools.wraps(test)
    def bounded(*args: P.args, **kwargs: P.kwargs) -> None:
        run(test(*args, **kwargs))

    return bounded

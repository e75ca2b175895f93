"""A closed-loop load: N connections, each asking again as soon as it has its answer; or paced, at a fixed rate.

    python -m bench.load PORT PATH CONNECTIONS SECONDS [RATE]

PATH may be `?events=200`, for a stream. Prints one JSON object: answers, seconds, and latencies in milliseconds.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

from bench import chat

BODY = b'{"model":"m","messages":[{"role":"user","content":"Say hello to the whole world, please."}]}'


class Client(asyncio.Protocol):
    """One connection; measures from the request's last byte to the answer's."""

    def __init__(self, path: str, gap: float, until: float, first: float) -> None:
        self.streamed = path.startswith("?")
        self.request = chat.ask(path[1:]) if self.streamed else chat.request(path, BODY)
        self.gap, self.until, self.first = gap, until, first
        self.latencies: list[float] = []
        self.done = asyncio.get_running_loop().create_future()
        self.transport: asyncio.Transport
        self.buffer = b""
        self.sent = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        asyncio.get_running_loop().call_later(self.first, self.ask)

    def ask(self) -> None:
        self.sent = time.perf_counter()
        self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        if not self._whole():
            return
        # An error is soon told: it must not pass for a fast stream.
        if self.streamed and (b" 200 " not in self.buffer[:20] or b'{"error"' in self.buffer[-600:]):
            raise RuntimeError(f"no healthy stream: {self.buffer[:20]!r} ... {self.buffer[-600:]!r}")
        self.buffer = b""
        now = time.perf_counter()
        self.latencies.append(now - self.sent)
        if now >= self.until:
            self.transport.close()
        elif self.gap:
            asyncio.get_running_loop().call_later(max(0.0, self.sent + self.gap - now), self.ask)
        else:
            self.ask()

    def _whole(self) -> bool:
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return False
        head = self.buffer[:end].lower()
        at = head.find(b"content-length:")
        if at >= 0:
            return len(self.buffer) - end - 4 >= int(head[at + 15 :].split(b"\r\n", 1)[0])
        return self.buffer.endswith(b"\r\n0\r\n\r\n")

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result(exc)


async def main(port: int, path: str, connections: int, seconds: float, rate: float) -> None:
    loop = asyncio.get_running_loop()
    start = time.perf_counter()
    clients = []
    gap = connections / rate if rate else 0.0
    for number in range(connections):
        client = Client(path, gap, start + seconds, first=gap * number / connections)  # no two at once
        await loop.create_connection(lambda client=client: client, "127.0.0.1", port)  # type: ignore[misc]
        clients.append(client)
    async with asyncio.timeout(seconds + 10):
        lost = [error for error in await asyncio.gather(*(client.done for client in clients)) if error]
    if lost:
        raise SystemExit(f"{len(lost)} connections lost: {lost[0]!r}")
    took = time.perf_counter() - start
    all_ = sorted(latency for client in clients for latency in client.latencies)
    pick = lambda share: round(all_[min(len(all_) - 1, int(len(all_) * share))] * 1000, 3)  # noqa: E731
    print(json.dumps({"answers": len(all_), "seconds": took, "p50": pick(0.5), "p99": pick(0.99)}))


if __name__ == "__main__":
    port, path, connections, seconds, rate = [*sys.argv[1:], "0"][:5]
    asyncio.run(main(int(port), path, int(connections), float(seconds), float(rate)))

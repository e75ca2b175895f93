"""Readers of streams whose events come one by one: how many came, and how late.

    python -m bench.readers PORT READERS SECONDS EVENTS GAP ENGINE_PORT

Each reader asks for a stream of EVENTS, and for the next one until SECONDS are over. The engine sends them GAP seconds
apart; with a GAP of 0, each as soon as the reader has the one before. Prints one JSON object: all events; events a
second; and, while all readers read, p50 and p99 in milliseconds of

    first   from the request to the first event with output, on a connection that has had a stream before
    late    from an event's leaving the engine to its arrival
    gap     what the time between two events has grown by
"""

from __future__ import annotations

import asyncio
import functools
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from bench import chat


@dataclass(slots=True)
class Readings:
    """What all readers of a run have seen, in seconds; times count from `since` to `until`."""

    since: float = 0.0
    until: float = 0.0
    events: int = 0
    in_time: int = 0
    first: list[float] = field(default_factory=list)
    late: list[float] = field(default_factory=list)
    gap: list[float] = field(default_factory=list)

    def spread(self) -> dict[str, float]:
        """The middle and the worst but one percent of each; what was not seen is left out."""
        found = {}
        for name in ("first", "late", "gap"):
            if values := sorted(getattr(self, name)):
                for share in (50, 99):
                    found[f"{name}_p{share}"] = values[len(values) * share // 100] * 1000
        return found


class Chunked:
    """Takes the chunked coding off a body, whatever the pieces it comes in."""

    def __init__(self) -> None:
        self.rest = b""
        self.ended = False

    def receive(self, data: bytes) -> bytes:
        self.rest += data
        whole, at = [], 0
        while not self.ended and (line := self.rest.find(b"\r\n", at)) >= 0:
            size = int(self.rest[at:line], 16)
            end = line + 2 + size
            if len(self.rest) < end + 2:
                break
            whole.append(self.rest[line + 2 : end])
            at = end + 2
            self.ended = size == 0
        self.rest = self.rest[at:]
        return b"".join(whole)


class Reader(asyncio.Protocol):
    """One connection, stream after stream. `demand` is called for each next event; None leaves it to the engine."""

    def __init__(self, query: str, events: int, seen: Readings, demand: Callable[[], None] | None) -> None:
        self.request, self.events, self.seen, self.demand = chat.ask(query), events, seen, demand
        self.done = asyncio.get_running_loop().create_future()
        self.transport: asyncio.Transport
        self.streams = -1
        self.over = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def ask(self) -> None:
        self.streams += 1
        self.head = self.text = b""
        self.body = Chunked()
        self.came = 0
        self.sent = self.arrived = 0.0
        self.asked = time.monotonic()
        self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        now = time.monotonic()
        if not self.head.endswith(b"\r\n\r\n"):
            head, end, data = (self.head + data).partition(b"\r\n\r\n")
            self.head = head + end
            if not end:
                return
            if b" 200 " not in head[:20]:
                raise RuntimeError(f"no stream: {head!r} {data!r}")
        self.text += self.body.receive(data)
        at = 0
        for stamp in chat.STAMP.finditer(self.text):
            self._event(now, float(stamp[1]))
            at = stamp.end()
        self.text = self.text[at:]
        if self.body.ended:
            self._end(now)

    def _event(self, now: float, sent: float) -> None:
        seen = self.seen
        seen.events += 1
        if seen.since <= now <= seen.until:
            seen.in_time += 1
            seen.late.append(now - sent)
            if self.came:
                seen.gap.append((now - self.arrived) - (sent - self.sent))
            elif self.streams:
                seen.first.append(now - self.asked)
        self.came += 1
        self.sent, self.arrived = sent, now
        if self.demand:
            self.demand()

    def _end(self, now: float) -> None:
        if self.came != self.events or b"[DONE]" not in self.text or b'{"error"' in self.text:
            raise RuntimeError(f"{self.came} of {self.events} events, then: {self.text!r}")
        if now < self.seen.until:
            self.ask()
        else:
            self.over = True
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self.done.set_result(exc or (None if self.over else EOFError(f"after {self.came} events")))


def beginnings(readers: int, seconds: float, length: float, gap: float) -> list[float]:
    """When each reader starts: beginnings apart, because each costs many events, and then events apart."""
    over = min(length, seconds / 4)
    return [(number * over / readers // gap + number / readers) * gap if gap else 0.0 for number in range(readers)]


async def main(port: int, readers: int, *, seconds: float, events: int, gap: float, engine: int) -> None:
    loop = asyncio.get_running_loop()
    to_engine, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, remote_addr=("127.0.0.1", engine))
    seen, all_ = Readings(), []
    for number in range(readers):
        how = f"gap={gap}" if gap else f"number={number}"
        demand = None if gap else functools.partial(to_engine.sendto, b"%d" % number)
        reader = Reader(f"events={events}&{how}", events, seen, demand)
        await loop.create_connection(lambda reader=reader: reader, "127.0.0.1", port)  # type: ignore[misc]
        all_.append(reader)
    start, starts = time.monotonic(), beginnings(readers, seconds, events * gap, gap)
    seen.since, seen.until = start + starts[-1], start + seconds
    for reader, begin in zip(all_, starts, strict=True):
        loop.call_later(begin, reader.ask)
    async with asyncio.timeout(seconds + events * gap + 30):
        lost = [error for error in await asyncio.gather(*(reader.done for reader in all_)) if error]
    if lost:
        raise SystemExit(f"{len(lost)} streams lost: {lost[0]!r}")
    rate = seen.in_time / (seen.until - seen.since)
    print(json.dumps({"events": seen.events, "rate": rate, **seen.spread()}))


if __name__ == "__main__":
    port, readers, seconds, events, gap, engine = sys.argv[1:]
    paced = {"seconds": float(seconds), "gap": float(gap)}
    asyncio.run(main(int(port), int(readers), events=int(events), engine=int(engine), **paced))

"""One answer's guard at work.

Owns what stands between the wire and `core.stream.Guard`: the undoing of a content coding, the account of what is held,
the bytes to pass should the guard itself fail, and the counting of how the stream ended. Decides nothing. Made by
`telling`, fed by `layer.guarded`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from math import inf

from postel import metrics
from postel.coding import Decoder
from postel.core.evidence import End
from postel.core.render import Reply
from postel.core.stream.guard import Guard, Stage
from postel.proxy.budget import Held
from postel.proxy.judging import Judge
from postel.proxy.mishap import failed_inside

_BLOCK = 4096
"""What is held is accounted for in blocks: most streams hold a part of one event most of the time."""


_DROPPED = 256 * 1024
"""Bytes of dropped events that are remembered while the head waits; whoever sends more of them sends nothing else."""


class Through:
    """In the place of a guard that failed: everything passes as it comes, and silence still ends it."""

    def __init__(self, idle: float, now: float) -> None:
        self._idle = idle
        self.stage = Stage.OPEN
        self.reply: Reply | None = None
        self.held = 0
        self.repaired: Counter[str] = Counter()
        self.deadline = now + idle

    def receive(self, data: bytes, now: float) -> bytes:
        self.deadline = now + self._idle
        return data

    def end(self, how: End, _now: float) -> bytes:
        self.stage = Stage.ENDED if how is End.CLOSED else Stage.UNFINISHED
        self.deadline = inf
        return b""

    def tick(self, now: float) -> bytes:
        return self.end(End.STALLED, now) if now >= self.deadline else b""

    def release(self, _now: float) -> bytes:
        return b""

    def excuse(self, now: float) -> None:
        self.deadline = now + self._idle


class Guarding:
    """`guard` has `stage`, `deadline` and `reply`; what the methods return is to be sent now, as its stage says.

    `decoder` undoes the body's content coding, None if it has none: an event cannot be seen inside a compressed one.
    """

    __slots__ = ("_counted", "_fed", "_head_is_out", "_held", "_idle", "_judge", "_kept", "_size", "decoder", "guard")

    def __init__(self, guard: Guard, judge: Judge, held: Held, *, decoder: Decoder | None, idle: float) -> None:
        self.guard: Guard | Through = guard
        self.decoder = decoder
        self._judge = judge
        self._held = held
        self._idle = idle
        self._head_is_out = False
        self._fed: list[bytes] = []  # what the guard has of the wire and has not let out ends these
        self._size = 0  # bytes of these
        self._kept = 0  # bytes that the guard has not let out
        self._counted = False

    def receive(self, data: bytes, now: float) -> bytes:
        """Bytes of the body came."""
        if self.decoder:
            return self._unpacked(self.decoder.feed(data), now)
        return self._feed(data, now)

    def end(self, how: End, now: float) -> bytes:
        """The body ended, or broke."""
        out = self._unpacked(self.decoder.finish(), now) if self.decoder and how is End.CLOSED else b""
        return out + self._ask(lambda: self.guard.end(how, now), now)

    def tick(self, now: float) -> bytes:
        """`guard.deadline` has passed."""
        return self._ask(lambda: self.guard.tick(now), now)

    def excuse(self, now: float) -> None:
        """The client is slow, and the upstream is held back for it."""
        try:
            self.guard.excuse(now)
        except Exception:
            failed_inside()

    def head_sent(self, request_held: Held) -> None:
        """Nothing can become a status any more: of the request only as much as `request_held` allows is kept."""
        self._head_is_out = True
        self._judge.shorten(request_held)

    @property
    def is_complete(self) -> bool:
        """Whether the client has all that there is to have."""
        return isinstance(self.guard, Guard) and self.guard.is_complete

    def over(self, *, left: bool = False) -> None:
        """Count how it ended, once; `left` says that the client did not wait for it."""
        if self._counted:
            return
        self._counted = True
        metrics.STREAMS.labels("client_closed" if left else self._outcome()).inc()
        for kind, times in self.guard.repaired.items():
            metrics.REPAIRS.labels(kind).inc(times)

    def _outcome(self) -> metrics.Outcome:
        if isinstance(self.guard, Through):
            return "unguarded"
        if self.guard.stage is Stage.ENDED or self.is_complete:
            return "failed" if self.guard.reply else "complete"
        return "unfinished" if self._head_is_out else "refused"

    def _unpacked(self, pieces: Iterator[bytes], now: float) -> bytes:
        assert self.decoder
        out = [self._feed(b"", now)]  # bytes that unpack to nothing yet are a sign of life, too
        for piece in pieces:
            out.append(self._feed(piece, now))
            if self.guard.stage >= Stage.REFUSED:
                break
        if self.decoder.broken:
            out.append(self._ask(lambda: self.guard.end(End.BROKEN, now), now))
        return b"".join(out)

    def _feed(self, data: bytes, now: float) -> bytes:
        try:
            out = self.guard.receive(data, now)
        except Exception:
            return self._give_way(data, now)
        if self.guard.held or self._fed:
            return self._keep(data, out, now)
        return out

    def _ask(self, call: Callable[[], bytes], now: float) -> bytes:
        try:
            out = call()
        except Exception:
            return self._give_way(b"", now) + call()
        return self._keep(b"", out, now) if self.guard.held or self._fed else out

    def _keep(self, data: bytes, out: bytes, now: float) -> bytes:
        """Remember what the guard holds, and account for it; without room for it, let it go."""
        held = self.guard.held
        if not held:
            self._fed.clear()
            self._size = 0
            self._held.give_back()
            return out
        if self.guard.stage is not Stage.HELD and held <= len(data):
            self._fed, self._size = [data[-held:]], held
        elif data:
            self._fed.append(data)
            self._size += len(data)
        self._kept = held
        missing = max(held, self._size) - self._held.size
        room = self._size <= held + _DROPPED and (missing <= 0 or self._held.take(-(-missing // _BLOCK) * _BLOCK))
        return out if room else out + self._ask(lambda: self.guard.release(now), now)

    def _give_way(self, data: bytes, now: float) -> bytes:
        """The guard raised: what it held goes as it came, and so does all that follows."""
        failed_inside()
        fed = b"".join(self._fed)
        self.guard = Through(self._idle, now)
        self._fed.clear()
        self._size = 0
        self._held.give_back()
        return (fed[len(fed) - self._kept :] if self._head_is_out else fed) + data

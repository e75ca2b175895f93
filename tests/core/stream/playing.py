"""A guard on a simulated clock, with the rules as shipped.

    play = Play(path="/v1/responses")
    play.receive(b"data: ...")
    play.wait(30)
    play.end(End.BROKEN)
    assert Stage.ENDED is play.stage

The upstream has the request at second 0 and its head comes at second 1, unless said otherwise. Nothing real passes: the
clock moves in `wait`, which calls `tick` whenever the guard asked for it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from math import inf

from postel.core.evidence import End, Evidence, Headers, Request
from postel.core.normalise import Normaliser
from postel.core.render import Policy, Reply
from postel.core.stream.guard import Guard, Stage
from postel.core.stream.policy import StreamPolicy
from tests.library import built_in
from tests.streams import CHAT, NDJSON, SSE, Stream
from tests.streams import REQUEST_ID as ID

TERMINAL = (Stage.REFUSED, Stage.ENDED, Stage.UNFINISHED)

Judge = Callable[[Evidence], Reply | None]


@cache
def library(*, provenance: bool = False) -> Normaliser:
    loaded = built_in()
    return Normaliser(loaded.rules, loaded.dialects["openai"], policy=Policy(provenance=provenance))


@cache
def judged(evidence: Evidence) -> Reply | None:
    """What the rules say. Remembered, because a sweep asks the same again and again."""
    return library().answer(evidence, request_id=ID, now=1_763_222_400.0)


class Play:
    """One guarded answer: everything sent so far is `sent`."""

    def __init__(
        self,
        *,
        path: str = CHAT,
        lines: bool = False,
        policy: StreamPolicy | None = None,
        judge: Judge = judged,
        body: bytes = b'{"model":"m","stream":true}',
        now: float = 1.0,
    ) -> None:
        self.now = now
        self.sent = b""
        self.guard = Guard(
            judge,
            Request(path=path, body=body),
            Headers.of([("content-type", NDJSON if lines else SSE)]),
            policy=policy or StreamPolicy(),
            request_id=ID,
            lines=lines,
            asked=0.0,
            now=now,
        )

    @property
    def stage(self) -> Stage:
        return self.guard.stage

    @property
    def ended(self) -> bool:
        return self.stage in TERMINAL

    @property
    def reply(self) -> Reply:
        assert self.guard.reply
        return self.guard.reply

    def _send(self, data: bytes) -> bytes:
        if data:
            assert self.stage not in (Stage.HELD, Stage.REFUSED)
        self.sent += data
        return data

    def receive(self, data: bytes, size: int | None = None) -> bytes:
        """Give the guard these bytes, `size` at a time; what it sends."""
        before = len(self.sent)
        step = size or len(data) or 1
        for start in range(0, len(data), step):
            self._send(self.guard.receive(data[start : start + step], self.now))
        return self.sent[before:]

    def end(self, how: End = End.CLOSED) -> bytes:
        return self._send(self.guard.end(how, self.now))

    def release(self) -> bytes:
        return self._send(self.guard.release(self.now))

    def excuse(self) -> None:
        self.guard.excuse(self.now)

    def wait(self, seconds: float) -> bytes:
        """Let time pass; what the guard sends meanwhile."""
        before, target = len(self.sent), self.now + seconds
        idle = 0
        while not self.ended and self.guard.deadline <= target:
            moved = self.guard.deadline > self.now
            idle = 0 if moved else idle + 1
            assert idle < 3, "the deadline does not move: the caller would spin"
            self.now = max(self.now, self.guard.deadline)
            self._send(self.guard.tick(self.now))
        self.now = target
        return self.sent[before:]

    def until_ended(self) -> float:
        """Let time pass until the guard ends the answer; when that was."""
        for _ in range(100):
            if self.ended:
                return self.now
            assert self.guard.deadline < inf, "no timer runs: the client would wait for ever"
            self.wait(max(0.0, self.guard.deadline - self.now))
        raise AssertionError(f"still {self.stage.name} at {self.now}")


def play(stream: Stream, data: bytes, how: End, *, size: int | None = None, policy: StreamPolicy | None = None) -> Play:
    """An answer of which `data` came, and then `how`."""
    made = Play(path=stream.path, lines=stream.lines, policy=policy)
    made.receive(data, size)
    if how is End.STALLED:
        made.until_ended()
    else:
        made.end(how)
    return made


def settled(made: Play) -> None:
    """What holds for every answer that has ended: nothing is kept, and nothing more is sent."""
    guard, stage, reply = made.guard, made.stage, made.guard.reply
    assert made.ended
    assert 0 == guard.held
    assert guard.opened is (stage is not Stage.REFUSED)
    if stage is Stage.REFUSED:
        assert reply is not None
        assert b"" == made.sent
    after = [
        guard.receive(b"data: {}\n\n", made.now),
        guard.tick(made.now + 999),
        guard.end(End.BROKEN, made.now + 999),
    ]
    after += [guard.receive(b"\n", made.now + 999), guard.release(made.now + 999)]
    guard.excuse(made.now + 999)
    assert [b""] * 5 == after
    assert (stage, reply, 0) == (guard.stage, guard.reply, guard.held)

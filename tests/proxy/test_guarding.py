"""A guard at work, with a guard of the test's own: what is counted, held, unpacked, and passed when it fails."""

import logging
import zlib
from collections import Counter
from math import inf
from typing import cast

import pytest

from postel import metrics
from postel.coding import decoder
from postel.core.evidence import End, Request
from postel.core.normalise import Normaliser
from postel.core.render import Reply, fixed_reply
from postel.core.stream.guard import Guard, Stage
from postel.proxy.budget import Budget, Held
from postel.proxy.guarding import Guarding
from postel.proxy.judging import Judge


class Lines:
    """Lets whole lines out once one begins with `!`, and raises at `boom`."""

    def __init__(self) -> None:
        self.stage = Stage.HELD
        self.deadline = inf
        self.reply: Reply | None = None
        self.repaired: Counter[str] = Counter()
        self.fed: list[bytes] = []
        self._rest = b""

    @property
    def held(self) -> int:
        return len(self._rest)

    def receive(self, data: bytes, now: float) -> bytes:
        if b"boom" in data:
            raise RuntimeError("a bug in the guard")
        self.fed.append(data)
        self._rest += data
        if self.stage is Stage.HELD and b"!" not in self._rest:
            return b""
        self.stage = Stage.OPEN
        out, newline, self._rest = self._rest.rpartition(b"\n")
        return out + newline

    def end(self, how: End, now: float) -> bytes:
        self._rest = b""
        self.reply = None if how is End.CLOSED else fixed_reply("id-1")
        self.stage = Stage.ENDED if self.stage is Stage.OPEN else Stage.REFUSED
        return b"tail" if self.reply and self.stage is Stage.ENDED else b""

    def tick(self, now: float) -> bytes:
        raise RuntimeError("a bug in the guard")

    def release(self, now: float) -> bytes:
        self.stage = Stage.OPEN
        out, self._rest = self._rest, b""
        return out

    def excuse(self, now: float) -> None:
        raise RuntimeError("a bug in the guard")


def guarding(guard: Lines, budget: Budget | None = None, coding: str | None = None) -> Guarding:
    held = Held(budget or Budget())
    judge = Judge(cast("Normaliser", None), "id-1", Request)
    return Guarding(cast("Guard", guard), judge, held, decoder=decoder(coding) if coding else None, idle=5)


def count(outcome: str) -> float:
    return float(metrics.STREAMS.labels(outcome)._value.get())


def repaired(kind: str) -> float:
    return float(metrics.REPAIRS.labels(kind)._value.get())


# The account ----------------------------------------------------------------------------------------------------------


def test_what_is_held_is_on_the_budget_until_it_leaves() -> None:
    budget = Budget()
    one = guarding(Lines(), budget)

    assert b"" == one.receive(b"x" * 5000, 0)
    assert 5000 <= budget.held < 5000 + 4096
    assert b"x" * 5000 + b"!\n" == one.receive(b"!\n", 0)
    assert 0 == budget.held
    assert b"!a\n" == one.receive(b"!a\nb", 0)
    assert 1 <= budget.held <= 4096


def test_where_the_budget_refuses_everything_is_let_go() -> None:
    budget = Budget(limit=10)
    guard = Lines()
    one = guarding(guard, budget)

    assert b"opening" == one.receive(b"opening", 0)
    assert (Stage.OPEN, 0) == (guard.stage, budget.held)


def test_nothing_stays_on_the_budget_when_it_is_over() -> None:
    budget = Budget()
    one = guarding(Lines(), budget)
    one.receive(b"!a\nb", 0)
    one.end(End.BROKEN, 0)

    assert 0 == budget.held


# Codings --------------------------------------------------------------------------------------------------------------


def test_a_compressed_body_reaches_the_guard_unpacked_and_in_pieces() -> None:
    guard = Lines()
    one = guarding(guard, coding="gzip")
    packer = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)
    packed = packer.compress(b"!" * 1_000_000 + b"\n") + packer.flush()

    out = b"".join(one.receive(packed[at : at + 50], 0) for at in range(0, len(packed), 50))

    assert b"!" * 1_000_000 + b"\n" == out
    assert max(map(len, guard.fed)) <= 64 * 1024


def test_a_coding_that_breaks_is_a_body_that_breaks() -> None:
    guard = Lines()
    one = guarding(guard, coding="gzip")
    packer = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)

    assert b"!a\n" == one.receive(packer.compress(b"!a\n") + packer.flush(zlib.Z_SYNC_FLUSH), 0)
    assert b"tail" == one.receive(b"\xff" * 100, 0)
    assert Stage.ENDED is guard.stage


# A guard that fails ---------------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, "postel")


@pytest.mark.parametrize(
    "pieces",
    [
        [b"boom"],
        [b"a\n", b"b", b"boom"],
        [b"a\n", b"b!\nc", b"d", b"boom"],
        [b"!a\n", b"boom"],
        [b"!a\nb", b"c\nd", b"e", b"boom\n"],
        [b"!", b"\n", b"boom"],
    ],
)
def test_a_guard_that_raises_loses_no_byte_and_doubles_none(pieces: list[bytes]) -> None:
    one = guarding(Lines())
    out = b""
    for piece in [*pieces, b"after", b"wards"]:
        got = one.receive(piece, 0)
        if one.guard.stage is Stage.OPEN and not out:
            one.head_sent(Held(Budget()))
        out += got
    one.end(End.CLOSED, 0)

    assert b"".join(pieces) + b"afterwards" == out
    assert Stage.ENDED is one.guard.stage


def test_a_guard_that_raises_at_its_deadline_gives_the_rest_and_silence_ends_it_later() -> None:
    one = guarding(Lines())
    one.receive(b"!a\nb", 0)
    one.head_sent(Held(Budget()))

    assert b"b" == one.tick(10)
    assert (Stage.OPEN, 15) == (one.guard.stage, one.guard.deadline)
    one.excuse(12)
    assert (b"", Stage.OPEN) == (one.tick(16), one.guard.stage)
    assert (b"", Stage.UNFINISHED) == (one.tick(17), one.guard.stage)


@pytest.mark.parametrize(("how", "stage"), [(End.CLOSED, Stage.ENDED), (End.BROKEN, Stage.UNFINISHED)])
def test_after_a_failure_the_body_ends_as_the_upstreams_does(how: End, stage: Stage) -> None:
    one = guarding(Lines())
    one.receive(b"boom", 0)
    one.end(how, 0)

    assert stage is one.guard.stage


def test_a_guard_that_cannot_excuse_a_client_is_no_matter() -> None:
    one = guarding(Lines())
    one.excuse(1)

    assert b"!\n" == one.receive(b"!\n", 2)


# Counting -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pieces", "end", "outcome"),
    [
        ([b"!a\n"], End.CLOSED, "complete"),
        ([b"!a\n"], End.BROKEN, "failed"),
        ([b"a\n"], End.BROKEN, "refused"),
        ([b"!a\n"], None, "unfinished"),
        ([b"a\n"], None, "refused"),
        ([b"boom"], End.CLOSED, "unguarded"),
    ],
)
def test_how_a_stream_ended_is_counted_once(pieces: list[bytes], end: End | None, outcome: str) -> None:
    one = guarding(guard := Lines())
    guard.repaired["bom"] += 2
    before, mended = count(outcome), repaired("bom")
    for piece in pieces:
        one.receive(piece, 0)
    if one.guard.stage is Stage.OPEN:
        one.head_sent(Held(Budget()))
    if end:
        one.end(end, 0)
    one.over()
    one.over()
    one.over(left=True)

    assert before + 1 == count(outcome)
    assert mended + (0 if outcome == "unguarded" else 2) == repaired("bom")


def test_a_client_that_leaves_is_how_a_stream_ended() -> None:
    one = guarding(Lines())
    before = count("client_closed")
    one.receive(b"!a\n", 0)
    one.over(left=True)
    one.over()

    assert before + 1 == count("client_closed")

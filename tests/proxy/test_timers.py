import asyncio
import logging
import time
from dataclasses import dataclass

import pytest

from postel.proxy.timers import Timers
from tests.wire.harness import wired


@dataclass(eq=False)
class Waiting:
    """Something that waits; `name` is for the one who reads the result."""

    name: str
    deadline: float


def waiting(name: str, seconds: float) -> Waiting:
    return Waiting(name, time.monotonic() + seconds)


@wired
async def test_each_deadline_is_told_once_and_not_before_it_has_passed() -> None:
    told: list[tuple[str, bool]] = []

    async def expired(timed: Waiting) -> None:
        told.append((timed.name, time.monotonic() >= timed.deadline))

    timers = Timers(expired, sweep=0.01)
    timers.start()
    timers.watch(waiting("second", 0.08))
    timers.watch(waiting("first", 0.02))
    timers.watch(waiting("never", 60))
    await asyncio.sleep(0.2)
    assert 1 == len(timers)
    await timers.stop()

    assert [("first", True), ("second", True)] == told


@wired
async def test_a_deadline_may_be_moved_or_forgotten() -> None:
    told: list[str] = []

    async def expired(timed: Waiting) -> None:
        told.append(timed.name)

    timers = Timers(expired, sweep=0.01)
    timers.start()
    moved, forgotten = waiting("moved", 0.03), waiting("forgotten", 0.03)
    timers.watch(moved)
    timers.watch(forgotten)
    moved.deadline += 60
    timers.forget(forgotten)
    timers.forget(forgotten)
    await asyncio.sleep(0.1)
    await timers.stop()

    assert [] == told


@wired
async def test_one_that_fails_does_not_stop_the_others(caplog: pytest.LogCaptureFixture) -> None:
    """A sweep that died would leave every later stall to the client's own patience."""
    told: list[str] = []
    caplog.set_level(logging.CRITICAL)

    async def expired(timed: Waiting) -> None:
        if timed.name == "broken":
            raise RuntimeError("a bug in Postel")
        told.append(timed.name)

    timers = Timers(expired, sweep=0.01)
    timers.start()
    timers.watch(waiting("broken", 0.01))
    timers.watch(waiting("later", 0.05))
    await asyncio.sleep(0.15)
    await timers.stop()

    assert ["later"] == told


@wired
async def test_timers_that_were_never_started_can_be_stopped() -> None:
    async def expired(timed: Waiting) -> None:
        raise AssertionError

    await Timers(expired).stop()

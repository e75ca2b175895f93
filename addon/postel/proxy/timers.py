"""Deadlines of the exchanges in progress.

Owns the one sweep that looks at them all: a wakeup task for each request, as mitmproxy's RequestWakeup would make,
costs more than the request's own timers are worth. Knows no protocol; what expires is told so and decides itself.
Streams register here, `addon` starts and stops the sweep.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Protocol

from postel import metrics

logger = logging.getLogger(__name__)

SWEEP = 0.25
"""Seconds between two sweeps, hence how late a timer may fire."""


class Timed(Protocol):
    """Something with a deadline on the monotonic clock."""

    deadline: float


class Timers[T: Timed]:
    """Everything that waits. `expired` is called once for each deadline that has passed."""

    def __init__(self, expired: Callable[[T], Awaitable[None]], sweep: float = SWEEP) -> None:
        self._waiting: dict[int, T] = {}
        self._expired = expired
        self._sweep = sweep
        self._task: asyncio.Task[None] | None = None

    def watch(self, timed: T) -> None:
        """Look at `timed.deadline` from now on; it may be moved at will."""
        self._waiting[id(timed)] = timed

    def forget(self, timed: T) -> None:
        self._waiting.pop(id(timed), None)

    def __len__(self) -> int:
        return len(self._waiting)

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run(), name="postel timers")

    async def stop(self) -> None:
        if self._task:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._sweep)
            for timed in list(self._waiting.values()):
                if timed.deadline > time.monotonic():
                    continue
                self.forget(timed)
                try:
                    await self._expired(timed)
                except Exception:
                    # Without the sweep every later stall would last as long as its client.
                    metrics.INTERNAL_ERRORS.inc()
                    logger.exception("a deadline could not be told")

"""When a stream has been waited for long enough.

Owns the moments that count (the last byte, event, thing sent, the protocol's own end) and what follows
from them under a policy. Knows no event and no bytes, and has no time of its own: all is told. Used by `guard`.
"""

from __future__ import annotations

from math import inf

from postel.core.stream.policy import StreamPolicy

GRACE = 5.0
"""Seconds that a body may stay open after its protocol's last event; an SDK that reads to the end waits for it."""


class Clock:
    """Moments in seconds of one clock. `asked` is when the upstream had the request, `now` when its head came.

    `terminated` is when the protocol's last event came, None before.
    """

    __slots__ = ("_policy", "event", "heard", "output_by", "release_at", "sent", "terminated", "total_by")

    def __init__(self, policy: StreamPolicy, *, asked: float, now: float) -> None:
        self._policy = policy
        self.output_by = asked + policy.first_output_timeout
        self.total_by = asked + policy.total_timeout
        self.release_at = now + policy.hold_time
        self.heard = self.event = self.sent = now
        self.terminated: float | None = None

    def excuse(self, now: float) -> None:
        """The silence until now is not the upstream's."""
        self.heard = self.event = self.sent = now
        if self.terminated is not None:
            self.terminated = now

    def silent_at(self, *, spoken: bool) -> float:
        """When the upstream will have been silent for too long; `spoken` says that there was output."""
        if self.terminated is not None:
            return self.terminated + GRACE
        if not spoken:
            return self.output_by
        return min(self.heard + self._policy.idle_timeout, self.event + self._policy.comment_timeout)

    def quiet_at(self) -> float:
        """When the client is due a sign of life."""
        return inf if self._policy.keepalive is None else self.sent + self._policy.keepalive
